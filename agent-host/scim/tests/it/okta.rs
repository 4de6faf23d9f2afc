//! Okta's call sequences, of both kinds of client: catalog apps, which PATCH, and wizard apps, which GET and PUT.
//!
//! Source: developer.okta.com, "Understand SCIM" and the SCIM 2.0 reference; recorded traffic of "Okta SCIM Client
//! 1.0.0".

use serde_json::{Value, json};

use crate::inbox::{Inbox, Reply};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

/// What Okta sends to create a user.
fn assigned(name: &str) -> Value {
    json!({
        "schemas": [USER], "userName": name, "name": { "givenName": "Test", "familyName": "User" },
        "emails": [{ "primary": true, "value": name, "type": "work" }], "displayName": "Test User", "locale": "en-US",
        "externalId": "00ujl29u0le5T6Aj10h7", "groups": [], "password": "1mz050nq", "active": true
    })
}

async fn find(inbox: &Inbox, endpoint: &str, attribute: &str, name: &str) -> Reply {
    let name = name.replace('@', "%40").replace(' ', "%20");
    let path = format!("/{endpoint}?filter={attribute}%20eq%20%22{name}%22&startIndex=1&count=100");
    inbox.get(&path).await.expect(200)
}

async fn push_group(inbox: &Inbox, name: &str) -> String {
    assert_eq!(find(inbox, "Groups", "displayName", name).await.body["totalResults"], 0);
    let body =
        json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "members": [] });
    format!("/Groups/{}", inbox.group(body).await)
}

#[tokio::test]
async fn credentials_are_tested_by_lists() {
    let inbox = Inbox::open().await;
    let reply = inbox.get("/Users?startIndex=1&count=2").await.expect(200).body;
    assert_eq!(
        (&reply["totalResults"], &reply["itemsPerPage"], &reply["startIndex"]),
        (&json!(0), &json!(0), &json!(1))
    );
    assert_eq!(reply["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:ListResponse"]));
    inbox.get("/Groups?startIndex=1&count=100").await.expect(200);
}

#[tokio::test]
async fn a_catalog_app_creates_changes_deactivates_and_reactivates() {
    let inbox = Inbox::open().await;
    assert_eq!(find(&inbox, "Users", "userName", "test.user@okta.local").await.body["totalResults"], 0);
    let created = inbox.post("/Users", assigned("test.user@okta.local")).await.expect(201).body;
    assert_eq!(created["name"]["familyName"], "User");
    let path = format!("/Users/{}", created["id"].as_str().unwrap());

    // The profile goes by PUT, with what this server said merged in.
    let mut merged = inbox.get(&path).await.expect(200).body;
    merged["name"]["familyName"] = "Changed".into();
    assert_eq!(inbox.put(&path, merged).await.expect(200).body["name"]["familyName"], "Changed");

    let deactivated = inbox.patch(&path, json!([{ "op": "replace", "value": { "active": false } }])).await.expect(200);
    assert_eq!(deactivated.body["active"], false);
    let found = find(&inbox, "Users", "userName", "TEST.USER@OKTA.LOCAL").await.body;
    assert_eq!(found["Resources"][0]["id"], created["id"], "an inactive user is found, in any case");
    let again = inbox.patch(&path, json!([{ "op": "replace", "value": { "active": true } }])).await.expect(200);
    assert_eq!((&again.body["active"], &again.body["id"]), (&json!(true), &created["id"]));

    let password = json!([{ "op": "replace", "value": { "password": "t1meMa$heen" } }]);
    assert!(inbox.patch(&path, password).await.expect(200).body.get("password").is_none());
    inbox.post("/Users", assigned("Test.User@okta.local")).await.expect_error(409, "uniqueness", "userName");
}

#[tokio::test]
async fn a_wizard_app_puts_everything() {
    let inbox = Inbox::open().await;
    let id = inbox.user(assigned("aiw@okta.local")).await;
    let path = format!("/Users/{id}");
    for active in [false, true] {
        let found = find(&inbox, "Users", "userName", "aiw@okta.local").await.body;
        assert_eq!(found["Resources"][0]["id"], id);
        let mut body = inbox.get(&path).await.expect(200).body;
        body["active"] = active.into();
        assert_eq!(inbox.put(&path, body).await.expect(200).body["active"], active);
    }
    let group = push_group(&inbox, "Wizards").await;
    for members in [json!([{ "value": id, "display": "aiw@okta.local" }]), json!([])] {
        let mut body = inbox.get(&group).await.expect(200).body;
        body["members"] = members.clone();
        let replaced = inbox.put(&group, body).await.expect(200).body;
        assert_eq!(replaced["members"].as_array().map_or(0, Vec::len), members.as_array().unwrap().len());
    }
}

#[tokio::test]
async fn an_import_pages_through_users_and_groups() {
    let inbox = Inbox::open().await;
    for n in 0..250 {
        let body = json!({ "userName": format!("u{n}@okta.local"), "active": n % 3 != 0 });
        inbox.user(body).await;
    }
    let mut seen = Vec::new();
    let mut start = 1;
    loop {
        let page = inbox.get(&format!("/Users?startIndex={start}&count=100")).await.expect(200).body;
        let users = page["Resources"].as_array().unwrap();
        assert_eq!(page["itemsPerPage"], users.len());
        seen.extend(users.iter().map(|user| user["id"].clone()));
        start += 100;
        if start > page["totalResults"].as_u64().unwrap() {
            break;
        }
    }
    assert_eq!(seen.len(), 250, "inactive users too");
    seen.sort_by_key(Value::to_string);
    seen.dedup();
    assert_eq!(seen.len(), 250);
    inbox.group(json!({ "displayName": "g", "members": [{ "value": seen[0] }] })).await;
    let groups = inbox.get("/Groups?startIndex=1&count=100").await.expect(200).body;
    assert_eq!(groups["Resources"][0]["members"][0]["value"], seen[0]);
}

#[tokio::test]
async fn a_pushed_group_lives_and_goes() {
    let inbox = Inbox::open().await;
    let ann = inbox.user(assigned("ann@okta.local")).await;
    let bo = inbox.user(assigned("bo@okta.local")).await;
    let path = push_group(&inbox, "Test SCIMv2").await;
    let id = path.rsplit('/').next().unwrap().to_owned();
    let rename = |name: &str| json!({ "op": "replace", "value": { "id": id, "displayName": name } });
    let members = async || {
        let group = inbox.get(&path).await.expect(200).body;
        let mut ids: Vec<String> = group["members"]
            .as_array()
            .map(|members| members.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect())
            .unwrap_or_default();
        ids.sort();
        ids
    };

    let add = json!({ "op": "add", "path": "members", "value": [
        { "value": ann, "display": "ann@okta.local" }, { "value": bo, "display": "bo@okta.local" }
    ] });
    inbox.patch(&path, json!([add])).await.expect(200);
    inbox.patch(&path, json!([rename("Test SCIMv2"), add])).await.expect(200);
    assert_eq!(members().await.len(), 2, "who is there is not added again");

    let remove = json!({ "op": "remove", "path": format!("members[value eq \"{ann}\"]") });
    inbox.patch(&path, json!([remove, add])).await.expect(200);
    inbox.patch(&path, json!([remove])).await.expect(200);
    assert_eq!(members().await, [bo.as_str()]);

    let renamed = inbox.patch(&path, json!([rename("Renamed")])).await.expect(200).body;
    assert_eq!((&renamed["displayName"], &renamed["id"]), (&json!("Renamed"), &json!(id)));

    // "Push now", of a group with members and of an empty one.
    inbox
        .patch(&path, json!([{ "op": "replace", "path": "members", "value": [{ "value": ann, "display": "a" }] }]))
        .await
        .expect(200);
    assert_eq!(members().await, [ann.as_str()]);
    inbox.patch(&path, json!([{ "op": "replace", "path": "members", "value": [] }])).await.expect(200);
    assert!(members().await.is_empty());

    assert_eq!(find(&inbox, "Groups", "displayName", "renamed").await.body["totalResults"], 1);
    inbox.delete(&path).await.expect(204);
    inbox.get(&path).await.expect_error(404, "", &id);
    inbox.get(&format!("/Users/{ann}")).await.expect(200);
}

#[tokio::test]
async fn members_come_in_chunks_of_a_thousand() {
    let inbox = Inbox::open().await;
    let path = push_group(&inbox, "Everyone").await;
    for chunk in 0..3 {
        let operations: Vec<Value> = (0..1_000)
            .map(|n| json!({ "op": "add", "path": "members", "value": [{ "value": format!("m{}", chunk * 1_000 + n) }] }))
            .collect();
        inbox.patch(&path, operations.into()).await.expect(200);
    }
    let removals: Vec<Value> =
        (0..1_000).map(|n| json!({ "op": "remove", "path": format!("members[value eq \"m{n}\"]") })).collect();
    inbox.patch(&path, removals.into()).await.expect(200);
    assert_eq!(inbox.get(&path).await.body["members"].as_array().unwrap().len(), 2_000);
}
