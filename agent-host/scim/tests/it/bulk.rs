//! `/Bulk` (RFC 7644 §3.7).

use serde_json::{Value, json};

use crate::inbox::{ENTERPRISE, Inbox};

const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";

async fn bulk(inbox: &Inbox, operations: Value) -> Vec<Value> {
    let body = json!({ "schemas": [BULK], "Operations": operations });
    inbox.post("/Bulk", body).await.expect(200).body["Operations"].as_array().unwrap().clone()
}

fn statuses(results: &[Value]) -> Vec<&str> {
    results.iter().map(|result| result["status"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn operations_may_refer_to_each_other_in_any_order() {
    let inbox = Inbox::open().await;
    let results = bulk(
        &inbox,
        json!([
            { "method": "POST", "path": "/Groups", "bulkId": "g", "data": {
                "displayName": "Staff", "members": [{ "value": "bulkId:ann" }, { "value": "bulkId:bo" }]
            } },
            { "method": "POST", "path": "/Users", "bulkId": "ann", "data": {
                "userName": "ann", ENTERPRISE: { "manager": { "value": "bulkId:bo" } }
            } },
            { "method": "post", "path": "/Users", "bulkId": "bo", "data": { "userName": "bo" } },
            { "method": "PATCH", "path": "/Users/bulkId:bo", "data": {
                "Operations": [{ "op": "add", "path": "title", "value": "Boss" }]
            } }
        ]),
    )
    .await;
    assert_eq!(statuses(&results), ["201", "201", "201", "200"]);
    assert_eq!(results[0]["bulkId"], "g");
    assert_eq!(results[0]["version"], "W/\"1\"");
    let path =
        |index: usize| results[index]["location"].as_str().unwrap().strip_prefix(&inbox.base_url).unwrap().to_owned();
    assert_eq!(inbox.get(&path(0)).await.expect(200).body["members"].as_array().unwrap().len(), 2);
    let bo = inbox.get(&path(2)).await.expect(200).body;
    assert_eq!(bo["title"], "Boss");
    assert_eq!(inbox.get(&path(1)).await.expect(200).body[ENTERPRISE]["manager"]["value"], bo["id"]);
}

#[tokio::test]
async fn circles_are_closed() {
    let inbox = Inbox::open().await;
    let group = |own: &str, other: &str| {
        let members = json!([{ "value": format!("bulkId:{other}"), "type": "Group" }]);
        json!({ "method": "POST", "path": "/Groups", "bulkId": own, "data": { "displayName": own, "members": members } })
    };
    let results = bulk(&inbox, json!([group("a", "b"), group("b", "a")])).await;
    assert_eq!(statuses(&results), ["201", "201"]);
    let groups = inbox.get("/Groups").await.expect(200).body["Resources"].clone();
    let member = |index: usize| groups[index]["members"][0]["value"].clone();
    assert_eq!((member(0), member(1)), (groups[1]["id"].clone(), groups[0]["id"].clone()));
    // The second was created first.
    for (result, group) in results.iter().zip(groups.as_array().unwrap().iter().rev()) {
        assert_eq!(result["location"], group["meta"]["location"]);
        assert_eq!(result["version"], group["meta"]["version"], "it is the version with the members");
    }
}

#[tokio::test]
async fn each_operation_fails_for_itself() {
    let inbox = Inbox::open().await;
    inbox.user(json!({ "userName": "ann" })).await;
    let results = bulk(
        &inbox,
        json!([
            { "method": "POST", "path": "/Users", "bulkId": "1", "data": { "userName": "ANN" } },
            { "method": "POST", "path": "/Groups", "bulkId": "2", "data": {
                "displayName": "x", "members": [{ "value": "bulkId:1" }]
            } },
            { "method": "DELETE", "path": "/Users/none" },
            { "method": "PUT", "path": "/Things/1" },
            { "method": "POST", "path": "/Users", "bulkId": "3", "data": { "userName": "bo" } },
            { "method": "POST", "path": "/Users", "bulkId": "3", "data": { "userName": "cy" } },
            { "method": "PATCH", "path": "/Users/bulkId:3", "version": "W/\"9\"", "data": {
                "Operations": [{ "op": "remove", "path": "title" }]
            } }
        ]),
    )
    .await;
    assert_eq!(statuses(&results), ["409", "400", "404", "400", "201", "400", "412"]);
    assert_eq!(results[0]["response"]["scimType"], "uniqueness");
    assert!(results[1]["response"]["detail"].as_str().unwrap().contains("`bulkId:1`"));
    assert!(results[2]["location"].as_str().unwrap().ends_with("/Users/none"));
}

#[tokio::test]
async fn it_ends_after_so_many_errors() {
    let inbox = Inbox::open().await;
    let wrong = json!({ "method": "DELETE", "path": "/Users/none" });
    let right = json!({ "method": "POST", "path": "/Users", "bulkId": "a", "data": { "userName": "ann" } });
    let body = json!({ "schemas": [BULK], "failOnErrors": 2, "Operations": [wrong, wrong, right] });
    let results = inbox.post("/Bulk", body).await.expect(200).body["Operations"].as_array().unwrap().clone();
    assert_eq!(statuses(&results), ["404", "404"]);
    assert!(inbox.names("/Users").await.is_empty());
}

#[tokio::test]
async fn it_is_bounded() {
    let inbox = Inbox::open().await;
    let many = vec![json!({ "method": "DELETE", "path": "/Users/none" }); 1_001];
    inbox.post("/Bulk", json!({ "Operations": many })).await.expect_error(413, "", "at most 1000 operations");
    inbox.post("/Bulk", json!({ "Operations": [{ "method": "GET" }] })).await.expect_error(
        400,
        "invalidSyntax",
        "`method`",
    );
    inbox.get("/Bulk").await.expect_error(405, "", "POST");
}
