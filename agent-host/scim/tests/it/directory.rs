//! The switches of a directory.

use serde_json::json;

use scim_server::UnknownMember;

use crate::inbox::Inbox;

#[tokio::test]
async fn users_are_created_only_where_that_is_on() {
    let inbox = Inbox::open_with(|directory| directory.create = false).await;
    inbox.post("/Users", json!({ "userName": "ann" })).await.expect_error(403, "", "`create`");
    inbox.group(json!({ "displayName": "Staff" })).await;
}

#[tokio::test]
async fn users_are_changed_only_where_that_is_on() {
    let inbox = Inbox::open_with(|directory| directory.update = false).await;
    let path = format!("/Users/{}", inbox.user(json!({ "userName": "ann" })).await);
    inbox.patch(&path, json!([{ "op": "add", "path": "title", "value": "x" }])).await.expect_error(403, "", "`update`");
    inbox
        .patch(&path, json!([{ "op": "add", "path": "password", "value": "x" }]))
        .await
        .expect_error(403, "", "`update`");
    inbox.put(&path, json!({ "userName": "bo" })).await.expect_error(403, "", "`update`");
    inbox.patch(&path, json!([{ "op": "replace", "value": { "active": false } }])).await.expect(200);
}

#[tokio::test]
async fn users_are_deactivated_only_where_that_is_on() {
    let inbox = Inbox::open_with(|directory| directory.deactivate = false).await;
    let path = format!("/Users/{}", inbox.user(json!({ "userName": "ann" })).await);
    let deactivate = json!([{ "op": "replace", "value": { "active": false } }]);
    inbox.patch(&path, deactivate).await.expect_error(403, "", "`deactivate`");
    inbox.delete(&path).await.expect_error(403, "", "`deactivate`");
    inbox.patch(&path, json!([{ "op": "add", "path": "title", "value": "x" }])).await.expect(200);
    inbox.patch(&path, json!([{ "op": "replace", "value": { "active": true } }])).await.expect(200);
}

#[tokio::test]
async fn groups_are_there_only_where_that_is_on() {
    let inbox = Inbox::open_with(|directory| directory.groups = false).await;
    inbox.post("/Groups", json!({ "displayName": "x" })).await.expect_error(403, "", "`groups`");
    inbox.get("/Groups").await.expect_error(403, "", "`groups`");
    assert_eq!(inbox.get("/ResourceTypes").await.expect(200).body["totalResults"], 1);
    assert_eq!(inbox.get("/Schemas").await.expect(200).body["totalResults"], 2);
    inbox.user(json!({ "userName": "ann" })).await;
    assert_eq!(inbox.post("/.search", json!({})).await.expect(200).body["totalResults"], 1);
}

#[tokio::test]
async fn without_import_only_one_that_is_known_is_found() {
    let inbox = Inbox::open_with(|directory| directory.import = false).await;
    let id = inbox.user(json!({ "userName": "ann", "externalId": "e", "emails": [{ "value": "a@x" }] })).await;
    for query in ["startIndex=1&count=2", "filter=userName+pr", "filter=active+eq+true", "cursor=", "sortBy=userName"] {
        assert_eq!(inbox.get(&format!("/Users?{query}")).await.expect(200).body["totalResults"], 0, "{query}");
    }
    for query in [
        "userName+eq+%22ANN%22",
        "externalId+eq+%22e%22",
        "active+eq+true+and+userName+eq+%22ann%22",
        "emails+eq+%22A@x%22",
    ] {
        assert_eq!(inbox.names(&format!("/Users?filter={query}")).await, ["ann"], "{query}");
    }
    inbox.get(&format!("/Users/{id}")).await.expect(200);
}

#[tokio::test]
async fn unknown_members_are_kept_or_refused() {
    let members = json!({ "displayName": "Staff", "members": [{ "value": "fake-member-id" }] });
    let inbox = Inbox::open().await;
    inbox.group(members.clone()).await;
    let inbox = Inbox::open_with(|directory| directory.unknown_member = UnknownMember::Reject).await;
    inbox.post("/Groups", members).await.expect_error(400, "invalidValue", "`fake-member-id`");
    let path = format!("/Groups/{}", inbox.group(json!({ "displayName": "Staff" })).await);
    let add = json!([{ "op": "add", "path": "members", "value": [{ "value": "fake-member-id" }] }]);
    inbox.patch(&path, add).await.expect_error(400, "invalidValue", "`fake-member-id`");
}

#[tokio::test]
async fn group_names_are_unique_where_that_is_wanted() {
    let twin = json!({ "displayName": "STAFF" });
    let inbox = Inbox::open().await;
    inbox.group(json!({ "displayName": "Staff" })).await;
    inbox.group(twin.clone()).await;
    let inbox = Inbox::open_with(|directory| directory.group_name_unique = true).await;
    inbox.group(json!({ "displayName": "Staff" })).await;
    inbox.post("/Groups", twin).await.expect_error(409, "uniqueness", "`displayName`");
}
