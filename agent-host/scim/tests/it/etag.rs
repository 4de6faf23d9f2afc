//! Versions (RFC 7644 §3.14): If-None-Match on reading, If-Match on changing, under races.

use std::sync::Arc;

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::inbox::{Inbox, PATCH};

#[tokio::test]
async fn what_is_known_is_not_sent_again() {
    let inbox = Inbox::open().await;
    let path = format!("/Users/{}", inbox.user(json!({ "userName": "ann" })).await);
    for (tag, status) in [("W/\"1\"", 304), ("\"1\"", 304), ("*", 304), ("W/\"9\", W/\"1\"", 304), ("W/\"2\"", 200)] {
        let reply = inbox.send(Method::GET, &path, &[("if-none-match", tag)], None).await.expect(status);
        assert_eq!(reply.header("etag"), "W/\"1\"", "{tag}");
        assert_eq!(reply.body.is_null(), status == 304, "{tag}");
    }
}

#[tokio::test]
async fn a_change_for_another_version_is_refused() {
    let inbox = Inbox::open().await;
    let path = format!("/Users/{}", inbox.user(json!({ "userName": "ann" })).await);
    let patch = json!({ "schemas": [PATCH], "Operations": [{ "op": "replace", "path": "title", "value": "x" }] });
    let changes = [
        (Method::PUT, Some(json!({ "userName": "ann" }))),
        (Method::PATCH, Some(patch.clone())),
        (Method::DELETE, None),
    ];
    for (method, body) in changes {
        let stale = inbox.send(method.clone(), &path, &[("if-match", "W/\"7\"")], body.clone()).await;
        stale.expect_error(412, "", "another version");
        for known in ["*", "W/\"7\", W/\"1\""] {
            let known = inbox.send(method.clone(), &path, &[("if-none-match", known)], body.clone()).await;
            known.expect_error(412, "", "another version");
        }
    }
    inbox.send(Method::DELETE, &path, &[("if-none-match", "W/\"7\""), ("if-match", "*")], None).await.expect(204);
}

#[tokio::test]
async fn a_user_whose_groups_changed_is_sent_again() {
    let inbox = Inbox::open().await;
    let ann = inbox.user(json!({ "userName": "ann" })).await;
    let path = format!("/Users/{ann}");
    let group = inbox.group(json!({ "displayName": "Staff", "members": [{ "value": ann }] })).await;
    let group = format!("/Groups/{group}");
    let mut tags = vec!["W/\"1\"".to_owned()];
    let rename = json!([{ "op": "replace", "path": "displayName", "value": "All" }]);
    let leave = json!([{ "op": "remove", "path": "members" }]);
    for change in [json!([{ "op": "replace", "path": "displayName", "value": "Staff" }]), rename, leave] {
        inbox.patch(&group, change).await.expect(200);
        let last = tags.last().unwrap().clone();
        let reply = inbox.send(Method::GET, &path, &[("if-none-match", &last)], None).await.expect(200);
        let tag = reply.header("etag").to_owned();
        assert_eq!(reply.body["meta"]["version"], tag);
        inbox.send(Method::GET, &path, &[("if-none-match", &tag)], None).await.expect(304);
        tags.push(tag);
    }
    assert_eq!(tags[3], "W/\"1\"", "it is in no group again");
    // The user itself is the same version all along.
    let body = json!({ "userName": "ann", "title": "x" });
    let changed = inbox.send(Method::PUT, &path, &[("if-match", &tags[1])], Some(body)).await.expect(200);
    assert_eq!(changed.header("etag"), "W/\"2\"");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_any_version_are_made_whatever_comes_between() {
    let inbox = Arc::new(Inbox::open().await);
    let path = format!("/Users/{}", inbox.user(json!({ "userName": "ann" })).await);
    let mut racers = JoinSet::new();
    for n in 0..16 {
        let (inbox, path) = (Arc::clone(&inbox), path.clone());
        let body = json!({ "Operations": [{ "op": "replace", "path": "title", "value": n.to_string() }] });
        racers.spawn(async move { inbox.send(Method::PATCH, &path, &[("if-match", "*")], Some(body)).await.status });
    }
    assert_eq!(racers.join_all().await, [200; 16]);
    inbox.send(Method::DELETE, &path, &[("if-match", "*")], None).await.expect(204);
}

#[tokio::test]
async fn versions_grow_with_changes_alone() {
    let inbox = Inbox::open().await;
    let path = format!("/Users/{}", inbox.user(json!({ "userName": "ann", "title": "x" })).await);
    let before = inbox.get(&path).await.body;
    let same = json!([{ "op": "add", "path": "title", "value": "x" }]);
    assert_eq!(inbox.patch(&path, same).await.expect(200).body, before);
    assert_eq!(inbox.put(&path, before.clone()).await.expect(200).body, before);
    let other = json!([{ "op": "add", "path": "title", "value": "y" }]);
    let after = inbox.patch(&path, other).await.expect(200);
    assert_eq!(after.header("etag"), "W/\"2\"");
    assert_ne!(after.body["meta"]["lastModified"], before["meta"]["lastModified"]);
    assert_eq!(after.body["meta"]["created"], before["meta"]["created"]);
    let matched = json!({ "userName": "ann", "title": "z" });
    inbox.send(Method::PUT, &path, &[("if-match", "W/\"2\"")], Some(matched)).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_eight_racers_for_one_version_one_wins() {
    let inbox = Arc::new(Inbox::open().await);
    let path = format!("/Users/{}", inbox.user(json!({ "userName": "ann" })).await);
    let mut racers = JoinSet::new();
    for n in 0..8 {
        let (inbox, path) = (Arc::clone(&inbox), path.clone());
        let body = json!({ "Operations": [{ "op": "replace", "path": "title", "value": n.to_string() }] });
        racers.spawn(
            async move { inbox.send(Method::PATCH, &path, &[("if-match", "W/\"1\"")], Some(body)).await.status },
        );
    }
    let mut statuses = racers.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_changes_of_one_group_lose_nothing() {
    let inbox = Arc::new(Inbox::open().await);
    let path = format!("/Groups/{}", inbox.group(json!({ "displayName": "Staff" })).await);
    let mut racers = JoinSet::new();
    for n in 0..64 {
        let (inbox, path) = (Arc::clone(&inbox), path.clone());
        racers.spawn(async move {
            let add = json!([
                { "op": "add", "path": "members", "value": [{ "value": format!("m{n}") }, { "value": "all" }] },
                { "op": "replace", "value": { "displayName": format!("Staff {n}") } }
            ]);
            inbox.patch(&path, add).await.status
        });
    }
    assert_eq!(racers.join_all().await, [200; 64]);
    let members = inbox.get(&path).await.body["members"].as_array().unwrap().len();
    assert_eq!(members, 65);
}
