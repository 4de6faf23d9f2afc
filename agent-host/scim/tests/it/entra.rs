//! What Entra ID sends, with and without its flag for standard PATCH, and looks for.
//!
//! Source: learn.microsoft.com, "Develop and plan provisioning for a SCIM endpoint", and its notes on compliance.

use serde_json::json;

use crate::inbox::{ENTERPRISE, Inbox};

#[tokio::test]
async fn the_test_of_a_connection_finds_nobody() {
    let inbox = Inbox::open().await;
    let path = "/Users?aadOptscim062020&filter=userName+eq+%224a8d6b4e-0d1c%22";
    assert_eq!(inbox.get(path).await.expect(200).body["totalResults"], 0);
}

#[tokio::test]
async fn users_come_with_extras_and_are_found() {
    let inbox = Inbox::open().await;
    let created = inbox
        .post(
            "/Users?aadOptscim062020",
            json!({
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", ENTERPRISE],
                "externalId": "0a21f0f2", "userName": "Test_User@example.com", "active": true,
                "emails": [{ "primary": true, "type": "work", "value": "Test_User@fabrikam.example" }],
                "meta": { "resourceType": "User" }, "name": { "formatted": "g f", "familyName": "f", "givenName": "g" },
                "roles": []
            }),
        )
        .await
        .expect(201)
        .body;
    assert!(created.get("roles").is_none());
    for filter in [
        "userName eq \"test_user@EXAMPLE.com\"",
        "externalId eq \"0a21f0f2\"",
        "emails[type eq \"work\"].value eq \"test_user@fabrikam.example\"",
        "userName eq \"Test_User@example.com\" and externalId eq \"0a21f0f2\"",
    ] {
        let encoded = filter.replace(' ', "%20").replace('"', "%22").replace('[', "%5B").replace(']', "%5D");
        let found = inbox.get(&format!("/Users?filter={encoded}")).await.expect(200).body;
        assert_eq!(found["Resources"][0]["id"], created["id"], "{filter}");
    }
}

#[tokio::test]
async fn the_old_patch_has_capital_verbs_and_texts_for_booleans() {
    let inbox = Inbox::open().await;
    let path = format!("/Users/{}", inbox.user(json!({ "userName": "ann" })).await);
    let operations = json!([
        { "op": "Replace", "path": "active", "value": "False" },
        { "op": "Add", "path": "emails[type eq \"work\"].value", "value": "a@x" },
        { "op": "Replace", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "+1 (5) 55" },
        { "op": "Add", "path": "addresses[type eq \"work\"].locality", "value": "Paris" },
        { "op": "Add", "path": "roles[primary eq \"True\"].value", "value": "Admin" },
        { "op": "Replace", "path": "name.givenName", "value": "Ann" },
        { "op": "Add", "path": format!("{ENTERPRISE}:manager"), "value": "m1" },
        { "op": "Add", "path": format!("{ENTERPRISE}:department"), "value": "Sales" }
    ]);
    let body = inbox.patch(&path, operations).await.expect(200).body;
    assert_eq!(body["active"], false);
    assert_eq!(body["emails"], json!([{ "type": "work", "value": "a@x" }]));
    assert_eq!(
        body["phoneNumbers"],
        json!([{ "type": "mobile", "value": "+1 (5) 55" }]),
        "values stay as they were sent"
    );
    assert_eq!(body["addresses"], json!([{ "type": "work", "locality": "Paris" }]));
    assert_eq!(body["roles"], json!([{ "primary": true, "value": "Admin" }]));
    assert_eq!(body[ENTERPRISE], json!({ "manager": { "value": "m1" }, "department": "Sales" }));
    let remove = json!([{ "op": "Remove", "path": format!("{ENTERPRISE}:manager") }]);
    assert!(inbox.patch(&path, remove).await.expect(200).body[ENTERPRISE].get("manager").is_none());
}

#[tokio::test]
async fn the_new_patch_has_dotted_names_and_urns_as_keys() {
    let inbox = Inbox::open().await;
    let path = format!("/Users/{}", inbox.user(json!({ "userName": "ann" })).await);
    let value = json!({
        "displayName": "Ann", "name.givenName": "A", "name.familyName": "L",
        format!("{ENTERPRISE}:employeeNumber"): "7", "emails[type eq \"work\"].value": "a@x"
    });
    let body = inbox.patch(&path, json!([{ "op": "replace", "value": value }])).await.expect(200).body;
    assert_eq!(body["name"], json!({ "givenName": "A", "familyName": "L" }));
    assert_eq!(body[ENTERPRISE], json!({ "employeeNumber": "7" }));
    assert_eq!(body["emails"], json!([{ "type": "work", "value": "a@x" }]));
}

#[tokio::test]
async fn groups_come_with_a_foreign_schema_and_change_both_ways() {
    let inbox = Inbox::open().await;
    let foreign = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group";
    let body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group", foreign], "externalId": "8aa1a0c0",
        "displayName": "Crew", "meta": { "resourceType": "Group" }
    });
    let created = inbox.post("/Groups", body).await.expect(201).body;
    assert_eq!(created["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:Group"]));
    let path = format!("/Groups/{}", created["id"].as_str().unwrap());
    let ann = inbox.user(json!({ "userName": "ann" })).await;
    for remove in [
        json!({ "op": "Remove", "path": "members", "value": [{ "$ref": null, "value": ann }] }),
        json!({ "op": "remove", "path": format!("members[value eq \"{ann}\"]") }),
    ] {
        inbox
            .patch(&path, json!([{ "op": "Add", "path": "members", "value": [{ "$ref": null, "value": ann }] }]))
            .await
            .expect(200);
        let short = inbox.get(&format!("{path}?excludedAttributes=members")).await.expect(200).body;
        assert!(short.get("members").is_none());
        assert_eq!(inbox.get(&path).await.body["members"][0]["value"], ann);
        inbox.patch(&path, json!([remove])).await.expect(200);
        assert!(inbox.get(&path).await.body.get("members").is_none());
    }
    let found = inbox.names("/Groups?excludedAttributes=members&filter=displayName+eq+%22crew%22").await;
    assert_eq!(found, ["Crew"]);
}
