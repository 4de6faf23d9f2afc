//! Creating, reading, replacing and deleting (RFC 7644 §§3.3, 3.4.1, 3.5.1, 3.6), and projection (§3.9).

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use crate::inbox::{ENTERPRISE, Inbox};

#[tokio::test]
async fn a_created_user_is_answered_with_its_address() {
    let inbox = Inbox::open().await;
    let created = inbox.post("/Users", json!({ "userName": "ann", "password": "s" })).await.expect(201);
    let id = created.body["id"].as_str().unwrap();
    let location = format!("{}/Users/{id}", inbox.base_url);
    assert_eq!(created.header("location"), location);
    assert_eq!(created.body["meta"]["location"], location);
    assert_eq!(created.header("etag"), "W/\"1\"");
    assert_eq!(created.body["meta"]["version"], "W/\"1\"");
    assert_eq!(created.body["meta"]["resourceType"], "User");
    assert_eq!(created.body["meta"]["created"], created.body["meta"]["lastModified"]);
    assert_eq!(created.body["active"], true);
    assert_eq!(created.body["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:User"]));
    assert_eq!(inbox.get(&format!("/Users/{id}")).await.expect(200).body, created.body);
    assert_eq!(inbox.get(&format!("/Users/{id}/")).await.expect(200).body, created.body);
}

#[tokio::test]
async fn a_password_is_never_given_out() {
    let inbox = Inbox::open().await;
    let id = inbox.user(json!({ "userName": "ann", "password": "s3cret-word" })).await;
    let path = format!("/Users/{id}");
    inbox.patch(&path, json!([{ "op": "replace", "value": { "password": "s3cret-word" } }])).await.expect(200);
    for path in [path.clone(), format!("{path}?attributes=password"), "/Users?attributes=password,userName".to_owned()]
    {
        assert!(!inbox.get(&path).await.expect(200).body.to_string().contains("assword"), "{path}");
    }
    inbox.get("/Users?filter=password%20eq%20%22s3cret-word%22").await.expect_error(400, "invalidFilter", "`password`");
    inbox.get("/Users?sortBy=password").await.expect_error(400, "invalidValue", "`password`");
}

#[tokio::test]
async fn a_user_name_is_taken_whatever_its_case() {
    let inbox = Inbox::open().await;
    inbox.user(json!({ "userName": "Straße@example.com" })).await;
    let twin = json!({ "userName": "STRASSE@EXAMPLE.COM" });
    inbox.post("/Users", twin.clone()).await.expect_error(409, "uniqueness", "`userName`");
    let other = inbox.user(json!({ "userName": "bo" })).await;
    inbox.put(&format!("/Users/{other}"), twin).await.expect_error(409, "uniqueness", "`userName`");
    let rename = json!([{ "op": "replace", "path": "userName", "value": "strasse@example.com" }]);
    inbox.patch(&format!("/Users/{other}"), rename).await.expect_error(409, "uniqueness", "`userName`");
    // A user may change the case of its own name.
    let renamed = inbox.put(&format!("/Users/{other}"), json!({ "userName": "BO" })).await.expect(200);
    assert_eq!(renamed.body["userName"], "BO");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_creations_of_one_name_give_one_user() {
    let inbox = Arc::new(Inbox::open().await);
    let mut racers = JoinSet::new();
    for n in 0..12 {
        let inbox = Arc::clone(&inbox);
        racers.spawn(async move {
            inbox.post("/Users", json!({ "userName": "Race", "title": n.to_string() })).await.status
        });
    }
    let mut statuses = racers.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![201], vec![409; 11]].concat());
}

#[tokio::test]
async fn put_replaces_what_a_client_may_write() {
    let inbox = Inbox::open().await;
    let id = inbox
        .user(json!({
            "userName": "ann", "title": "Boss", "externalId": "e1", "active": false, "nickName": "A",
            ENTERPRISE: { "department": "Sales" }, "urn:acme:1.0:Badge": { "level": 1 }
        }))
        .await;
    let path = format!("/Users/{id}");
    let mut wanted = inbox.get(&path).await.body;
    wanted.as_object_mut().unwrap().retain(|name, _| !["title", "active", ENTERPRISE].contains(&name.as_str()));
    wanted["nickName"] = "B".into();
    wanted["id"] = "another".into();
    wanted["meta"] = json!({ "created": "1999-01-01T00:00:00Z" });
    wanted["groups"] = json!([{ "value": "none" }]);
    wanted["EMAILS"] = json!([]);
    let replaced = inbox.put(&path, wanted).await.expect(200).body;
    assert_eq!(replaced["id"], id);
    assert_eq!(replaced["nickName"], "B");
    assert_eq!(replaced["active"], false, "what is not said about `active` leaves it");
    assert_eq!(replaced["urn:acme:1.0:Badge"], json!({ "level": 1 }));
    for gone in ["title", ENTERPRISE, "groups", "emails"] {
        assert!(replaced.get(gone).is_none(), "{gone}");
    }
    assert_eq!(replaced["schemas"], json!(["urn:ietf:params:scim:schemas:core:2.0:User", "urn:acme:1.0:Badge"]));
    inbox.put("/Users/none", json!({ "userName": "x" })).await.expect_error(404, "", "`none`");
    inbox.put(&path, json!({ "title": "x" })).await.expect_error(400, "invalidValue", "`userName`");
}

#[tokio::test]
async fn what_is_deleted_is_gone_from_groups_too() {
    let inbox = Inbox::open().await;
    let ann = inbox.user(json!({ "userName": "ann" })).await;
    let bo = inbox.user(json!({ "userName": "bo" })).await;
    let group = inbox.group(json!({ "displayName": "Staff", "members": [{ "value": ann }, { "value": bo }] })).await;
    assert_eq!(inbox.get(&format!("/Users/{ann}")).await.body["groups"][0]["display"], "Staff");
    assert_eq!(inbox.delete(&format!("/Users/{ann}")).await.expect(204).body, json!(null));
    inbox.get(&format!("/Users/{ann}")).await.expect_error(404, "", &ann);
    inbox.delete(&format!("/Users/{ann}")).await.expect_error(404, "", &ann);
    inbox
        .patch(&format!("/Users/{ann}"), json!([{ "op": "remove", "path": "title" }]))
        .await
        .expect_error(404, "", &ann);
    let members = &inbox.get(&format!("/Groups/{group}")).await.body["members"];
    assert_eq!(members.as_array().unwrap().len(), 1);
    inbox.user(json!({ "userName": "ANN" })).await;
    inbox.delete(&format!("/Groups/{group}")).await.expect(204);
    let bo = inbox.get(&format!("/Users/{bo}")).await.expect(200).body;
    assert!(bo.get("groups").is_none());
}

#[tokio::test]
async fn members_lead_to_their_resources() {
    let inbox = Inbox::open().await;
    let ann = inbox.user(json!({ "userName": "ann", "displayName": "Ann Lee" })).await;
    let inner = inbox.group(json!({ "displayName": "Inner" })).await;
    let members = json!([{ "value": ann }, { "value": inner, "type": "Group" }, { "value": "unknown" }]);
    let id = inbox.group(json!({ "displayName": "Outer", "members": members })).await;
    let group = inbox.get(&format!("/Groups/{id}")).await.expect(200).body;
    let member =
        |id: &str| group["members"].as_array().unwrap().iter().find(|member| member["value"] == id).unwrap().clone();
    assert_eq!(
        member(&ann),
        json!({ "value": ann, "$ref": format!("{}/Users/{ann}", inbox.base_url), "type": "User" })
    );
    assert_eq!(member(&inner)["$ref"], format!("{}/Groups/{inner}", inbox.base_url));
    assert_eq!(member("unknown"), json!({ "value": "unknown" }));
    let named = inbox.get(&format!("/Groups/{id}?attributes=members.display,members.value")).await.expect(200).body;
    assert!(named["members"].as_array().unwrap().contains(&json!({ "value": ann, "display": "Ann Lee" })));
}

#[tokio::test]
async fn answers_hold_what_was_asked_for() {
    let inbox = Inbox::open().await;
    let body = json!({ "userName": "ann", "name": { "givenName": "A", "familyName": "L" }, ENTERPRISE: { "department": "d" } });
    let id = inbox.user(body.clone()).await;
    let path = format!("/Users/{id}");
    let keys = |body: &serde_json::Value| body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let some = inbox.get(&format!("{path}?attributes=username,name.givenName")).await.expect(200).body;
    assert_eq!(keys(&some), ["schemas", "id", "userName", "name"]);
    assert_eq!(some["name"], json!({ "givenName": "A" }));
    let rest = inbox.get(&format!("{path}?excludedAttributes=name,id,meta")).await.expect(200).body;
    assert_eq!(keys(&rest), ["schemas", "id", "userName", ENTERPRISE, "active"]);
    let one = inbox.get(&format!("{path}?attributes={ENTERPRISE}:department")).await.expect(200).body;
    assert_eq!(keys(&one), ["schemas", "id", ENTERPRISE]);
    inbox.get(&format!("{path}?attributes=a&excludedAttributes=b")).await.expect_error(400, "invalidValue", "exclude");
    let put = inbox.put(&format!("{path}?attributes=id"), body).await.expect(200).body;
    assert_eq!(keys(&put), ["schemas", "id"]);
    let other = inbox.post("/Users?attributes=userName", json!({ "userName": "bo" })).await.expect(201).body;
    assert_eq!(keys(&other), ["schemas", "id", "userName"]);
}
