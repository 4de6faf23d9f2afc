//! What nobody should send: each is refused in SCIM's words that say what to fix, costs what its size costs, and leaves
//! nothing behind.

use std::time::{Duration, Instant};

use acceptance::{TestAgent, watch};
use serde_json::{Value, json};

use super::{client::Client, client::Reply, create, okta_user, patch};

const JSON: &str = "application/scim+json";
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
/// Eight times as much may take so many times as long; what grows with the square would take 64 times.
const TIMES_EIGHT: u32 = 24;
/// What is shorter says nothing.
const FLOOR: Duration = Duration::from_millis(3);

/// Checks that it is refused as SCIM refuses, for a reason in words.
#[track_caller]
fn must_refuse(reply: &Reply, status: u16, kind: Option<&str>) {
    let Reply { status: was, body, .. } = reply;
    assert_eq!(*was, status, "{body}");
    assert_eq!(reply.header("content-type"), Some(JSON));
    assert_eq!((&body["schemas"], &body["status"]), (&json!([ERROR]), &json!(status.to_string())));
    assert_eq!(body["scimType"].as_str(), kind, "{body}");
    assert!(body["detail"].as_str().is_some_and(|detail| detail.len() > 15), "{body}");
}

#[test]
fn hostile_requests_are_refused_in_words_and_leave_nothing_behind() {
    let agent = TestAgent::new();
    let client = Client::start(&agent, &create(&agent, &[]));
    let ada = client.post("/Users", &okta_user("ada@example.com", "00u1")).must(201);
    let ada = ada["id"].as_str().expect("an id");
    let at = format!("/Users/{ada}");
    let before = client.get(&at).must(200);
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(60_000), close.repeat(60_000));
    for (body, kind) in [
        (deep("[", "]").into_bytes(), "invalidSyntax"),
        (deep("{\"a\":", "}").into_bytes(), "invalidSyntax"),
        ("[".repeat(60_000).into_bytes(), "invalidSyntax"),
        (b"{\"userName\":\"\xff\xfe@example.com\"}".to_vec(), "invalidSyntax"),
        (b"{\"userName\":\"a\",\"USERNAME\":\"b\"}".to_vec(), "invalidSyntax"),
        (b"{\"userName\":\"a\",\"name\":{\"givenName\":\"A\",\"GivenName\":\"B\"}}".to_vec(), "invalidSyntax"),
        (b"{\"userName\":\"\\ud800\"}".to_vec(), "invalidSyntax"),
        (b"".to_vec(), "invalidSyntax"),
        (b"{\"userName\":\"a\"} {}".to_vec(), "invalidSyntax"),
        (b"{\"userName\":7}".to_vec(), "invalidValue"),
        (b"{}".to_vec(), "invalidValue"),
    ] {
        must_refuse(&client.raw("POST", "/Users", JSON, &body), 400, Some(kind));
        must_refuse(&client.raw("PUT", &at, JSON, &body), 400, Some(kind));
    }
    for kind in ["text/plain", "application/xml", "application/jsonx", "multipart/form-data; boundary=x"] {
        must_refuse(&client.raw("POST", "/Users", kind, b"{\"userName\":\"b\"}"), 415, None);
    }
    must_refuse(&client.raw("POST", "/Users", JSON, &vec![b' '; 12 << 20]), 413, None);
    let large = format!("{{\"userName\":\"{}\"}}", "x".repeat(12 << 20));
    must_refuse(&client.raw("PUT", &at, JSON, large.as_bytes()), 413, None);

    let terms = vec!["userName%20eq%20%22a%22"; 1_000].join("%20or%20");
    for filter in [
        terms.as_str(),
        "password%20eq%20%22x%22",
        "password%20pr",
        "urn:ietf:params:scim:schemas:core:2.0:User:PassWord%20sw%20%22x%22",
        "userName%20eq",
        "userName%20eq%20%22a",
        "emails[]",
        "()",
        "nosuch%20eq%201",
    ] {
        must_refuse(&client.get(&format!("/Users?filter={filter}")), 400, Some("invalidFilter"));
    }
    must_refuse(&client.get("/Users?filter=%ff%fe%20eq%201"), 400, Some("invalidSyntax"));
    must_refuse(&client.get("/Users?sortBy=password"), 400, Some("invalidValue"));
    for (paging, items) in
        [("startIndex=-5&count=-1", 0), ("startIndex=0&count=5", 1), ("count=-9223372036854775808", 0)]
    {
        let page = client.get(&format!("/Users?{paging}")).must(200);
        assert_eq!((&page["startIndex"], &page["itemsPerPage"]), (&json!(1), &json!(items)), "{paging}");
    }
    for paging in ["startIndex=x", "count=1e99", "cursor=%3B"] {
        assert_eq!(client.get(&format!("/Users?{paging}")).status, 400, "{paging}");
    }
    // The second operation cannot be: the first is not done either.
    let half = patch(
        &json!([{ "op": "replace", "path": "displayName", "value": "Changed" }, { "op": "add", "path": "id", "value": "x" }]),
    );
    must_refuse(&client.patch(&at, &half), 400, Some("mutability"));
    let many = patch(&json!(vec![json!({ "op": "replace", "path": "title", "value": "x" }); 2_001]));
    must_refuse(&client.patch(&at, &many), 400, Some("tooMany"));
    let emails: Vec<Value> = (0..900).map(|n| json!({ "value": format!("{n}@x") })).collect();
    let again = json!({ "op": "add", "path": "emails", "value": [{ "value": "899@x" }] });
    let all = json!({ "op": "add", "path": "emails", "value": emails });
    let over_and_over: Vec<Value> = [all].into_iter().chain(vec![again; 700]).collect();
    must_refuse(&client.patch(&at, &patch(&json!(over_and_over))), 400, Some("tooMany"));

    assert_eq!(client.get(&at).must(200), before, "nothing is half applied");
    assert_eq!(client.get("/Users").must(200)["totalResults"], 1);
    let log = agent.run(&["--format", "json", "directory", "events", "acme"]).must_exit(0).json();
    assert_eq!(log["after"], 1, "nothing but the creation happened: {log}");
    client.end();
}

#[test]
fn tokens_that_are_forged_replayed_or_of_another_directory_open_nothing() {
    let agent = TestAgent::new();
    let token = create(&agent, &[]);
    let rotated = |days: &str| {
        let report = agent.run(&["--format", "json", "directory", "rotate", "acme", "--former-days", days]);
        let token = report.must_exit(0).json()["token"].as_str().expect("a token").to_owned();
        watch(&token);
        token
    };
    let live = rotated("0");
    let client = Client::start(&agent, &live);
    let (prefix, secret) = live.split_once('.').expect("two halves");
    let (former_prefix, former_secret) = token.split_once('.').expect("two halves");
    let flipped: String = secret.chars().rev().collect();
    for forged in [
        // Replayed: it was good before.
        token.clone(),
        format!("{prefix}.{former_secret}"),
        format!("{former_prefix}.{secret}"),
        format!("{prefix}.{flipped}"),
        format!("{prefix}."),
        format!(".{secret}"),
        format!("{prefix}.{secret}\u{0}"),
        secret.to_owned(),
        "x".repeat(8_000),
    ] {
        let authorization = format!("Bearer {}", forged.replace('\u{0}', "%00"));
        let reply = client.ask("GET", "/scim/v2/acme/Users", &authorization, None);
        must_refuse(&reply, 401, None);
        assert!(reply.header("www-authenticate").is_some());
    }
    for target in ["/scim/v2/nowhere/Users", "/scim/v2/%2e%2e/Users", "/scim/v2//Users"] {
        must_refuse(&client.ask("GET", target, &format!("Bearer {live}"), None), 401, None);
    }
    client.get("/Users").must(200);
    client.end();
}

#[test]
fn no_request_costs_more_than_its_size() {
    let agent = TestAgent::new();
    let client = Client::start(&agent, &create(&agent, &[]));
    let users: Vec<String> = (0..20)
        .map(|n| {
            client.post("/Users", &okta_user(&format!("u{n}"), "00u")).must(201)["id"]
                .as_str()
                .expect("an id")
                .to_owned()
        })
        .collect();
    let group = client.post("/Groups", &json!({ "displayName": "Staff" })).must(201);
    let user = &users[0];
    let user = format!("/Users/{user}");
    let group = format!("/Groups/{}", group["id"].as_str().expect("an id"));
    let ids = |count: usize| (0..count).map(|n| json!({ "value": format!("m{n}") })).collect::<Vec<_>>();
    let emails = |count: usize| {
        (0..count).map(|n| json!({ "value": format!("{n}@x"), "type": format!("t{n}") })).collect::<Vec<_>>()
    };
    let brackets = |count: usize| {
        let terms: Vec<String> = (0..count).map(|n| format!("value eq \"{n}@y\"")).collect();
        let path = format!("emails[{}]", terms.join(" or "));
        json!([{ "op": "add", "path": "emails", "value": emails(100) }, { "op": "remove", "path": path }])
    };
    type Make<'m> = &'m dyn Fn(usize) -> Value;
    let cases: [(&str, &str, &str, usize, Make<'_>); 8] = [
        (
            "terms of a filter",
            "POST",
            "/Users/.search",
            60,
            &|n| json!({ "filter": vec!["emails.value co \"q\""; n].join(" or ") }),
        ),
        ("values of an attribute", "PUT", &user, 120, &|n| json!({ "userName": "u0", "emails": emails(n) })),
        ("names of an object", "PUT", &user, 4_000, &|n| {
            let names = (0..n).map(|n| (format!("name{n}"), json!(n)));
            Value::Object([("userName".to_owned(), json!("u0"))].into_iter().chain(names).collect())
        }),
        ("a long text", "PUT", &user, 200_000, &|n| json!({ "userName": "u0", "title": "\\\"".repeat(n) })),
        ("operations on one attribute", "PATCH", &user, 250, &|n| {
            patch(&(0..n).map(|n| json!({ "op": "replace", "path": "title", "value": n.to_string() })).collect())
        }),
        ("terms of a path", "PATCH", &user, 60, &|n| patch(&brackets(n))),
        ("members that come", "PATCH", &group, 1_000, &|n| {
            patch(
                &json!([{ "op": "replace", "path": "members", "value": [] }, { "op": "add", "path": "members", "value": ids(n) }]),
            )
        }),
        ("members that go", "PATCH", &group, 240, &|n| {
            let gone = ids(n)
                .into_iter()
                .map(|id| json!({ "op": "remove", "path": format!("members[value eq {}]", id["value"]) }));
            patch(&gone.collect())
        }),
    ];
    for (what, method, path, few, make) in cases {
        let cost = |count: usize| {
            let body = make(count).to_string();
            let times = (0..3).map(|_| {
                let began = Instant::now();
                let reply = client.raw(method, path, JSON, body.as_bytes());
                assert!(reply.status == 200, "{what}, {count}: {} {}", reply.status, reply.body);
                began.elapsed()
            });
            times.min().expect("three times")
        };
        let (few, many) = (cost(few).max(FLOOR), cost(few * 8));
        assert!(many < few * TIMES_EIGHT, "{what}: {few:?}, and for eight times as much {many:?}");
    }
    client.end();
}
