//! Whatever is wrong, the answer is a SCIM error that says what to fix (RFC 7644 §3.12), and nothing is half done.

use std::{
    convert::Infallible,
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
};

use bytes::Bytes;
use http::Request;
use http_body::Frame;
use http_body_util::StreamBody;
use reqwest::Method;
use scim_server::{Directory, Error};
use serde_json::json;

use crate::inbox::Inbox;

const AUTHORIZED: (&str, &str) = ("authorization", "Bearer s3cret");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn addresses_that_do_not_exist() {
    let inbox = Inbox::open().await;
    for path in ["/users", "/Users/1/2", "/Things", "/Schemas/a/b", "/Bulk/1", "/.search/x"] {
        inbox.get(path).await.expect_error(404, "", "/Users");
    }
    inbox.get("/Users/none").await.expect_error(404, "", "`none`");
    inbox.get("/Users/%C3%A9").await.expect_error(404, "", "`é`");
    inbox.get("/Users/%FF").await.expect_error(400, "invalidSyntax", "UTF-8");
    // A user's id is no group's.
    let id = inbox.user(json!({ "userName": "ann" })).await;
    inbox.get(&format!("/Groups/{id}")).await.expect_error(404, "", &id);
}

#[tokio::test]
async fn methods_that_are_not_answered() {
    let inbox = Inbox::open().await;
    assert_eq!(inbox.delete("/Users").await.expect_error(405, "", "GET, POST").header("allow"), "GET, POST");
    inbox.post("/Users/1", json!({})).await.expect_error(405, "", "GET, PUT, PATCH, DELETE");
    inbox.get("/.search").await.expect_error(405, "", "POST");
    inbox.send(Method::OPTIONS, "/Users", &[], None).await.expect_error(405, "", "GET, POST");
}

#[tokio::test]
async fn credentials_that_are_not_the_directorys() {
    let inbox = Inbox::open().await;
    for headers in [vec![], vec![("authorization", "Bearer wrong")], vec![("authorization", "non-token")]] {
        let refused = inbox.raw(Method::GET, "/Users", &headers, Vec::new()).await.expect_error(401, "", "token");
        assert_eq!(refused.header("www-authenticate"), "Bearer realm=\"SCIM\"");
    }
}

#[tokio::test]
async fn bodies_that_cannot_be_read() {
    let inbox = Inbox::open().await;
    let cases: [(&[u8], &str); 10] = [
        (b"", "not usable JSON"),
        (b"{", "not usable JSON"),
        (b"not json", "not usable JSON"),
        (b"[]", "the body of a User is an object"),
        (b"\"x\"", "the body of a User is an object"),
        (b"{\"userName\":\"\xff\xfe\"}", "not UTF-8"),
        (b"{\"userName\":\"a\",\"USERNAME\":\"b\"}", "one name twice"),
        (b"{\"userName\":\"a\",\"name\":{\"givenName\":\"b\",\"givenname\":\"c\"}}", "one name twice"),
        (&b"[".repeat(60_000), "nested deeper than 64"),
        (&b"{\"userName\":".repeat(60_000), "nested deeper than 64"),
    ];
    for (body, detail) in cases {
        let reply = inbox.raw(Method::POST, "/Users", &[AUTHORIZED, JSON], body.to_vec()).await;
        reply.expect_error(400, "invalidSyntax", detail);
    }
    assert!(inbox.names("/Users").await.is_empty());
}

#[tokio::test]
async fn bodies_that_are_too_long() {
    let inbox = Inbox::open().await;
    let long = |bytes: usize| format!("{{\"userName\":\"ann\",\"title\":\"{}\"}}", "a".repeat(bytes)).into_bytes();
    inbox.raw(Method::POST, "/Users", &[AUTHORIZED, JSON], long(9 << 20)).await.expect(201);
    assert_eq!(inbox.names("/Users?attributes=userName").await.len(), 1);
    // What is announced as too long is refused unread, so nothing of it need be sent.
    let address = inbox.base_url.strip_prefix("http://").unwrap();
    let (host, path) = address.split_once('/').unwrap();
    let head = format!(
        "POST /{path}/Users HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer s3cret\r\nconnection: close\r\n\
         content-type: application/scim+json\r\ncontent-length: {}\r\n\r\n",
        12 << 20
    );
    let host = host.to_owned();
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(host).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("\"status\":\"413\"") && answer.contains("longer than 10485760 bytes"), "{answer}");
}

/// A body that says nothing of its length is counted as it comes.
#[tokio::test]
async fn bodies_that_turn_out_too_long() {
    let piece = Bytes::from(vec![b' '; 1 << 20]);
    let pieces = (0..11).map(move |_| Ok::<_, Infallible>(Frame::data(piece.clone())));
    let body = StreamBody::new(futures::stream::iter(pieces));
    let store = Arc::new(crate::memory::Memory::new(|| 0));
    let request = Request::post("/Users").body(body).unwrap();
    let response = scim_server::answer(store, &Directory::new("https://x"), request).await;
    assert_eq!(response.status(), 413);
    let error = response.extensions().get::<Error>().unwrap();
    assert!(error.detail().contains("longer than 10485760 bytes"));
}

#[tokio::test]
async fn types_of_content() {
    let inbox = Inbox::open().await;
    let body = |name: &str| json!({ "userName": name }).to_string().into_bytes();
    let accepted = ["application/scim+json", "application/json; charset=utf-8", "APPLICATION/SCIM+JSON;charset=UTF-8"];
    for (n, media_type) in accepted.into_iter().enumerate() {
        let headers = [AUTHORIZED, ("content-type", media_type)];
        inbox.raw(Method::POST, "/Users", &headers, body(&n.to_string())).await.expect(201);
    }
    inbox.raw(Method::POST, "/Users", &[AUTHORIZED], body("none")).await.expect(201);
    for media_type in ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""] {
        let headers = [AUTHORIZED, ("content-type", media_type)];
        let reply = inbox.raw(Method::POST, "/Users", &headers, body("x")).await;
        reply.expect_error(415, "", "application/scim+json");
    }
}

#[tokio::test]
async fn values_of_the_wrong_type() {
    let inbox = Inbox::open().await;
    for (body, detail) in [
        (json!({}), "`userName`"),
        (json!({ "userName": 1 }), "`userName`"),
        (
            json!({ "userName": "a", "emails": [{ "value": "x", "primary": true }, { "value": "y", "primary": "true" }] }),
            "`emails`",
        ),
        (json!({ "userName": "a", "active": 1 }), "`active`"),
        (json!({ "userName": "a", "urn:x:1.0:Y": [1] }), "`urn:x:1.0:Y`"),
    ] {
        inbox.post("/Users", body).await.expect_error(400, "invalidValue", detail);
    }
    let group = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "userName": "a" });
    inbox.post("/Users", group).await.expect_error(400, "invalidSyntax", "`schemas`");
}

#[tokio::test]
async fn what_no_database_can_hold_is_refused_in_bodies_and_found_nowhere() {
    let inbox = Inbox::open().await;
    let id = inbox.user(json!({ "userName": "ann" })).await;
    let path = format!("/Users/{id}");
    for body in [json!({ "userName": "a\0" }), json!({ "userName": "a", "urn:x:1.0:Y": { "z\0": [{ "a": "\0" }] } })] {
        inbox.post("/Users", body.clone()).await.expect_error(400, "invalidValue", "U+0000");
        inbox.put(&path, body).await.expect_error(400, "invalidValue", "U+0000");
    }
    let add = json!([{ "op": "add", "path": "emails[type eq \"\\u0000\"].value", "value": "a@x" }]);
    inbox.patch(&path, add).await.expect_error(400, "invalidValue", "U+0000");
    inbox.get("/Users/%00").await.expect(404);
    inbox.delete("/Groups/a%00").await.expect(404);
    assert!(inbox.names("/Users?filter=userName%20eq%20%22\\u0000%22").await.is_empty());
}

#[tokio::test]
async fn keys_have_room_in_an_index() {
    let inbox = Inbox::open().await;
    let long = "x".repeat(2_001);
    let group = inbox.group(json!({ "displayName": "x".repeat(2_000) })).await;
    for body in [json!({ "userName": long }), json!({ "userName": "a", "externalId": long })] {
        inbox.post("/Users", body).await.expect_error(400, "invalidValue", "longer than 2000 bytes");
    }
    // It is their folded form that is kept.
    let grows = json!([{ "op": "replace", "path": "displayName", "value": "ᾷ".repeat(450) }]);
    inbox.patch(&format!("/Groups/{group}"), grows).await.expect_error(400, "invalidValue", "`displayName`");
    let member = json!([{ "op": "add", "path": "members", "value": [{ "value": long }] }]);
    inbox.patch(&format!("/Groups/{group}"), member).await.expect_error(400, "invalidValue", "`members`");
}
