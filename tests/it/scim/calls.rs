//! The calls of a directory as an administrator looks at them: what was asked, how it was answered, and nobody's data.

use acceptance::{TestAgent, watch};
use serde_json::{Value, json};

use super::{
    client::{Client, until},
    create, okta_user, patch,
};

/// The calls of the directory by the API, once there are so many.
fn calls(client: &Client, viewer: &str, query: &str, at_least: usize) -> Value {
    let ask = || client.ask("GET", &format!("/api/v1/directories/acme/calls{query}"), viewer, None).must(200);
    until(|| ask()["calls"].as_array().is_some_and(|calls| calls.len() >= at_least));
    ask()
}

#[test]
fn refusals_and_wrong_credentials_are_shown_without_names_or_secrets() {
    let agent = TestAgent::new();
    let token = create(&agent, &[]);
    let viewer = agent.run(&["--format", "json", "token", "create", "viewer"]).must_exit(0).json();
    let viewer = viewer["token"].as_str().expect("a token").to_owned();
    watch(&viewer);
    let viewer = format!("Bearer {viewer}");
    let client = Client::start(&agent, &token);
    client.get("/Users?startIndex=1&count=2").must(200);
    client.get("/Users?filter=userName+eq+%22ada%40example.com%22&startIndex=1&count=100").must(200);
    let ada = client.post("/Users", &okta_user("ada@example.com", "00u1")).must(201);
    client.post("/Users", &okta_user("ADA@example.com", "00u2")).must(409);
    client.get("/Users/ada@example.com").must(404);
    let path = json!([{ "op": "replace", "path": "shoe size", "value": 7 }]);
    let at = format!("/Users/{}", ada["id"].as_str().expect("an id"));
    client.patch(&at, &patch(&path)).must(400);
    client.ask("GET", "/scim/v2/ACME/Users?startIndex=1&count=2", "Bearer nobody.knows", None).must(401);
    client.ask("GET", "/scim/v2/nowhere/Users", "Bearer nobody.knows", None).must(401);

    let log = calls(&client, &viewer, "", 7);
    let told = log.to_string();
    assert!(!told.to_lowercase().contains("ada") && !told.contains("knows") && !told.contains("Ada"), "{told}");
    let calls_of = |kind: &str| calls(&client, &viewer, &format!("?kind={kind}"), 1)["calls"].clone();
    let refused = calls_of("refused");
    let seen = |call: &Value| {
        let text = |key: &str| call[key].as_str().unwrap_or_default().to_owned();
        (text("method"), text("path"), call["status"].as_i64().unwrap_or_default(), text("scim_type"))
    };
    let row =
        |method: &str, path: &str, status, kind: &str| (method.to_owned(), path.to_owned(), status, kind.to_owned());
    let found: Vec<_> = refused.as_array().expect("a list").iter().map(seen).collect();
    let newest_first = [
        row("PATCH", &at, 400, "invalidPath"),
        row("GET", "/Users/…", 404, ""),
        row("POST", "/Users", 409, "uniqueness"),
    ];
    assert_eq!(found, newest_first);
    let prefix = token.split('.').next().expect("a public half");
    for call in refused.as_array().expect("a list") {
        assert_eq!((&call["secret"], call["detail"].as_str().unwrap_or_default().is_empty()), (&json!(prefix), false));
    }
    let strangers = calls_of("sign-in");
    assert_eq!(strangers.as_array().map(Vec::len), Some(1), "a directory that is not there has no calls");
    assert_eq!((&strangers[0]["status"], &strangers[0]["secret"]), (&json!(401), &Value::Null));
    let answered = calls_of("answered");
    assert_eq!(answered[1]["path"], "/Users?filter=userName eq \"…\"&startIndex=1&count=100");
    let counts: Vec<(i64, i64)> = log["counts"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|count| Some((count["status"].as_i64()?, count["calls"].as_i64()?)))
        .collect();
    assert_eq!(counts, [(200, 2), (201, 1), (400, 1), (401, 1), (404, 1), (409, 1)]);
    client.ask("GET", "/api/v1/directories/acme/calls?kind=odd", &viewer, None).must(400);
    client.ask("GET", "/api/v1/directories/nowhere/calls", &viewer, None).must(404);
    client.end();
}

#[test]
fn an_agent_that_ends_keeps_the_calls_of_its_last_second() {
    let agent = TestAgent::new();
    let token = create(&agent, &[]);
    let viewer = agent.run(&["--format", "json", "token", "create", "viewer"]).must_exit(0).json();
    let viewer = format!("Bearer {}", viewer["token"].as_str().expect("a token"));
    let client = Client::start(&agent, &token);
    client.get("/Users/nobody").must(404);
    client.end();
    let client = Client::start(&agent, &token);
    let log = client.ask("GET", "/api/v1/directories/acme/calls", &viewer, None).must(200);
    assert_eq!(log["calls"][0]["status"], 404, "{log}");
    client.end();
}
