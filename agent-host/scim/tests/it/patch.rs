//! PATCH through the wire (RFC 7644 §3.5.2). What each operation means is tabled in `src/patch/tests.rs`.

use serde_json::json;

use crate::inbox::{ENTERPRISE, Inbox};

#[tokio::test]
async fn operations_apply_in_order_and_are_answered_with_the_resource() {
    let inbox = Inbox::open().await;
    let path = format!("/Users/{}", inbox.user(json!({ "userName": "ann" })).await);
    let operations = json!([
        { "op": "add", "path": "title", "value": "x" },
        { "op": "replace", "path": "title", "value": "y" },
        { "op": "add", "value": { "nickName": "A", ENTERPRISE: { "department": "Sales" } } },
        { "op": "add", "path": "emails", "value": [{ "value": "a@x", "primary": true }] },
        { "op": "add", "path": "emails", "value": [{ "value": "b@x", "primary": true }] },
        { "op": "remove", "path": "nickName" }
    ]);
    let body = inbox.patch(&path, operations).await.expect(200).body;
    assert_eq!(body["title"], "y");
    assert_eq!(body[ENTERPRISE]["department"], "Sales");
    assert_eq!(body["emails"], json!([{ "value": "a@x", "primary": false }, { "value": "b@x", "primary": true }]));
    assert!(body.get("nickName").is_none());
    assert_eq!(body["schemas"][1], ENTERPRISE);
    assert_eq!(inbox.get(&path).await.body, body);
    let shown = inbox
        .patch(&format!("{path}?attributes=title"), json!([{ "op": "remove", "path": "title" }]))
        .await
        .expect(200);
    assert_eq!(shown.body.as_object().unwrap().len(), 2);
}

#[tokio::test]
async fn all_or_nothing() {
    let inbox = Inbox::open().await;
    let path = format!("/Users/{}", inbox.user(json!({ "userName": "ann" })).await);
    let before = inbox.get(&path).await.body;
    let operations = json!([
        { "op": "add", "path": "title", "value": "x" },
        { "op": "replace", "path": "emails[type eq \"work\" and value eq \"none\"]", "value": { "value": "y" } }
    ]);
    inbox.patch(&path, operations).await.expect_error(400, "noTarget", "operation 2");
    assert_eq!(inbox.get(&path).await.body, before);
    let group = format!("/Groups/{}", inbox.group(json!({ "displayName": "Staff" })).await);
    let operations = json!([
        { "op": "add", "path": "members", "value": [{ "value": "m" }] },
        { "op": "replace", "path": "id", "value": "x" }
    ]);
    inbox.patch(&group, operations).await.expect_error(400, "mutability", "operation 2: `id`");
    assert!(inbox.get(&group).await.body.get("members").is_none());
}

#[tokio::test]
async fn every_refusal_has_its_type() {
    let inbox = Inbox::open().await;
    let path = format!("/Users/{}", inbox.user(json!({ "userName": "ann" })).await);
    let cases = [
        (json!([{ "op": "remove" }]), "noTarget"),
        (json!([{ "op": "remove", "path": "userName" }]), "mutability"),
        (json!([{ "op": "add", "path": "meta.created", "value": "x" }]), "mutability"),
        (json!([{ "op": "add", "path": "emails[type", "value": "x" }]), "invalidPath"),
        (json!([{ "op": "add", "path": "shoeSize", "value": "x" }]), "invalidPath"),
        (json!([{ "op": "add", "path": "active", "value": "perhaps" }]), "invalidValue"),
        (json!([{ "op": "turn", "path": "active", "value": true }]), "invalidSyntax"),
        (json!([]), "invalidSyntax"),
        (json!({}), "invalidSyntax"),
    ];
    for (operations, kind) in cases {
        inbox.patch(&path, operations).await.expect_error(400, kind, "");
    }
}

#[tokio::test]
async fn a_large_group_is_answered_without_its_members() {
    let inbox = Inbox::open().await;
    let members: Vec<_> = (0..150).map(|n| json!({ "value": format!("m{n}") })).collect();
    let created = inbox.post("/Groups", json!({ "displayName": "Staff", "members": members })).await.expect(201).body;
    assert!(created.get("members").is_none());
    let path = format!("/Groups/{}", created["id"].as_str().unwrap());
    let remove = json!([{ "op": "remove", "path": "members[value eq \"m7\"]" }]);
    let patched = inbox.patch(&path, remove).await.expect(200).body;
    assert!(patched.get("members").is_none());
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": "m8" }] }]);
    let asked = inbox.patch(&format!("{path}?attributes=members"), add).await.expect(200).body;
    assert_eq!(asked["members"].as_array().unwrap().len(), 149);
    assert_eq!(inbox.get(&path).await.body["members"].as_array().unwrap().len(), 149);
}
