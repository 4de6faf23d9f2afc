//! Who may call the API: every route asks for a token in force, and a token does what its role allows, where it holds.

use acceptance::{CONNECTION, TestAgent, watch};
use okta_sandbox::Seed;
use serde_json::{Value, json};

use super::{Client, administrator, of, token};

/// Every route of the description, each path with something for its names.
pub(super) fn routes(client: &Client) -> Vec<(String, String)> {
    let described = client.get("/api/openapi.json").must(200);
    let paths = described["paths"].as_object().expect("there are paths");
    let mut routes = Vec::new();
    for (path, methods) in paths {
        let path = path.replace("{connection}", CONNECTION).replace("{job}", "x").replace("{directory}", "x");
        let path = path.replace("{run}", "1").replace("{order_run}", "1").replace("{file}", "x");
        assert!(!path.contains('{'), "{path}");
        routes.extend(methods.as_object().expect("methods").keys().map(|method| (method.to_uppercase(), path.clone())));
    }
    routes.push(("GET".to_owned(), "/api/openapi.json".to_owned()));
    routes.push(("GET".to_owned(), "/api/v1/nothing".to_owned()));
    routes
}

#[test]
fn every_route_refuses_without_a_token_and_with_one_that_was_revoked() {
    let agent = TestAgent::seeded(Seed::exact(1, 1, 1, 1));
    let client = Client::start(&agent, &administrator(&agent));
    let revoked = token(&agent, "former", &["--role", "administrator"]);
    client.with(&revoked).get("/api/v1/me").must(200);
    agent.run(&["token", "revoke", "FORMER"]).must_exit(0);
    agent.run(&["token", "revoke", "former"]).must_exit(3);
    let routes = routes(&client);
    assert!(routes.len() > 30, "{routes:?}");
    for (method, path) in &routes {
        let refused = client.with("").send(method, path, None);
        assert!(refused.head.to_lowercase().contains("www-authenticate: bearer"), "{method} {path}: {}", refused.head);
        assert_eq!(refused.must(401)["error"]["kind"], "unauthorized", "{method} {path}");
        // The twentieth wrong one of a minute is the last that is answered at once.
        let refused = client.with(&revoked).send(method, path, None);
        assert!(matches!(refused.status, 401 | 429), "{method} {path}: {}", refused.status);
        refused.must(if client.with(&revoked).get("/api/v1/me").status == 429 { 429 } else { 401 });
    }
    client.get("/api/v1/me").must(200);
    let audit = client.get("/api/v1/audit?action=api_sign_in").must(200);
    let outcomes: Vec<&Value> = audit["lines"].as_array().unwrap().iter().map(|line| &line["outcome"]).collect();
    assert_eq!(outcomes, ["slowed", "refused"], "the first and the one that is slowed down");
    let prefix = revoked.split('.').next().expect("a split yields a part");
    assert_eq!(audit["lines"][0]["account"], prefix);
    for (action, count) in [("create_token", 2), ("revoke_token", 1)] {
        let lines = client.get(&format!("/api/v1/audit?action={action}")).must(200)["lines"].as_array().unwrap().len();
        assert_eq!(lines, count, "{action}");
    }
    client.end();
}

#[test]
fn a_token_does_what_its_role_allows_where_it_holds() {
    let agent = TestAgent::seeded(Seed::exact(1, 1, 1, 1));
    let other =
        json!({ "Connections": { "Other": { "Server": agent.sandbox.url(), "ApiKey": agent.sandbox.token() } } });
    agent.write("appsettings.agent.Production.json", &other.to_string());
    let viewer = token(&agent, "looks", &[]);
    let scoped = token(&agent, "policy", &["--role", "operator", "--connection", "okTaexportfulfillment"]);
    agent.run(&["token", "create", "looks"]).must_exit(3);
    agent.run(&["token", "create", "x", "--connection", "Nobody"]).must_exit(3);
    let client = Client::start(&agent, &administrator(&agent));
    let (viewer, scoped) = (client.with(&viewer), client.with(&scoped));

    let me = scoped.get("/api/v1/me").must(200);
    assert_eq!(me, json!({ "name": "token policy", "role": "operator", "connections": [CONNECTION] }));
    assert_eq!(viewer.get("/api/v1/me").must(200)["connections"], Value::Null);
    for (method, path, body) in [
        ("POST", of("/exports"), None),
        ("POST", of("/check"), None),
        ("POST", of("/orders"), Some(json!({ "ProvisioningOrdersList": [] }))),
        ("POST", of("/orders/approvals"), Some(json!({ "code": "0123456789" }))),
        ("POST", of("/password-resets"), Some(json!({ "login": "ada" }))),
        ("POST", format!("/api/v1/jobs/export:{CONNECTION}/runs"), None),
        ("POST", "/api/v1/directories".to_owned(), Some(json!({ "directory": "acme" }))),
    ] {
        let refused = viewer.send(method, &path, body.as_ref()).must(403);
        assert_eq!(refused["error"]["kind"], "forbidden", "{path}: {refused}");
    }
    viewer.get(&of("/orders")).must(200);
    viewer.get("/api/v1/audit").must(200);

    scoped.post(&of("/check"), None).must(200);
    let listed = scoped.get("/api/v1/connections").must(200);
    assert_eq!(listed["connections"].as_array().unwrap().len(), 1);
    assert_eq!(client.get("/api/v1/connections").must(200)["connections"].as_array().unwrap().len(), 2);
    for path in ["/api/v1/connections/Other", "/api/v1/connections/Nobody", "/api/v1/connections/Other/orders"] {
        scoped.get(path).must(403);
    }
    scoped.post("/api/v1/connections/Other/exports", None).must(403);
    scoped.post("/api/v1/jobs/export:Other/runs", None).must(404);
    scoped.get("/api/v1/directories").must(403);
    let run = client.post("/api/v1/connections/Other/exports", None).must(202)["run"].clone();
    scoped.get(&format!("/api/v1/runs/{run}")).must(404);
    assert_eq!(scoped.get("/api/v1/runs").must(200)["runs"], json!([]));
    let audit = scoped.get("/api/v1/audit").must(200);
    let lines = audit["lines"].as_array().unwrap();
    assert!(!lines.is_empty() && lines.iter().all(|line| line["connection"] == CONNECTION.to_lowercase()), "{audit}");
    client.end();
}

#[test]
fn tokens_are_listed_without_what_opens_anything() {
    let agent = TestAgent::seeded(Seed::exact(1, 1, 1, 1));
    let made = token(&agent, "short", &["--expires-days", "1"]);
    watch(&made);
    let listed = agent.run(&["--format", "json", "token", "list"]).must_exit(0).json();
    assert_eq!((&listed["tokens"][0]["name"], &listed["tokens"][0]["state"]), (&json!("short"), &json!("in_force")));
    let text = agent.run(&["token", "list"]).must_exit(0).stdout;
    assert!(text.contains("viewer, everywhere  in force") && text.contains("never used, ends "), "{text}");
}

#[test]
fn what_cannot_be_understood_is_refused_with_what_to_do() {
    let agent = TestAgent::seeded(Seed::exact(1, 1, 1, 1));
    let client = Client::start(&agent, &administrator(&agent));
    let json = "content-type: application/json\r\n";
    let large = format!("{{\"directory\":\"{}\"}}", "a".repeat(20_000));
    for (method, path, headers, body, status) in [
        ("POST", "/api/v1/directories", "", "{\"directory\":\"a\"}", 415),
        ("POST", "/api/v1/directories", "content-type: text/plain\r\n", "{}", 415),
        ("POST", "/api/v1/directories", json, "{\"directory\":", 400),
        ("POST", "/api/v1/directories", json, "{\"directory\":7}", 422),
        ("POST", "/api/v1/directories", json, "{\"directory\":\"a\",\"more\":1}", 422),
        ("POST", "/api/v1/directories", json, "{\"directory\":\"../a\"}", 422),
        ("POST", "/api/v1/directories", json, "[\"a\"]", 422),
        ("POST", "/api/v1/directories", json, "{\"directory\":\"a\",\"features\":[]}", 422),
        ("POST", "/api/v1/directories", json, large.as_str(), 413),
        ("DELETE", "/api/v1/me", "", "", 405),
        ("GET", "/api/v1/nothing", "", "", 404),
        ("GET", "/api/v1/runs/first", "", "", 400),
        ("GET", "/api/v1/runs?limit=0", "", "", 400),
        ("GET", "/api/v1/runs?limit=501", "", "", 400),
        ("GET", "/api/v1/runs?state=lost", "", "", 400),
        ("GET", "/api/v1/runs?unknown=1", "", "", 400),
        ("GET", "/api/v1/audit?cursor=7", "", "", 422),
    ] {
        let reply = client.ask(method, path, headers, body.as_bytes());
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.text);
        assert!(status != 405 || reply.head.contains("allow: GET"), "{}", reply.head);
        reply.must(status);
    }
    let broken = client.ask("POST", "/api/v1/directories", json, b"{\n  \"directory\": ?").must(400);
    assert!(broken["error"]["message"].as_str().unwrap().contains("line 2 column 16"), "{broken}");
    client.end();
}
