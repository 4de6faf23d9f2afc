//! What the administrator of a directory is shown by the API beside its calls.

use acceptance::{TestAgent, watch};
use serde_json::{Value, json};

use super::{client::Client, create, okta_user};

/// What a caller of this role says in `Authorization`.
pub(super) fn caller(agent: &TestAgent, role: &str) -> String {
    let made = agent.run(&["--format", "json", "token", "create", role, "--role", role]).must_exit(0).json();
    let token = made["token"].as_str().expect("a token");
    watch(token);
    format!("Bearer {token}")
}

#[test]
fn switches_in_force_unknown_members_and_what_was_deleted_are_shown() {
    let agent = TestAgent::new();
    let said = json!({ "Directories": { "ACME": { "PageSize": 7, "Import": true } } });
    agent.write("appsettings.agent.json", &said.to_string());
    let token = create(&agent, &["--delete", "soft", "--without", "import", "--page-size", "50"]);
    let viewer = caller(&agent, "viewer");
    let client = Client::start(&agent, &token);
    let ask = |path: &str| client.ask("GET", &format!("/api/v1/directories/acme{path}"), &viewer, None).must(200);
    assert_eq!(ask("")["features"], json!({ "import": true, "soft_delete": true, "page_size": 7 }));
    assert_eq!(client.get("/ServiceProviderConfig").must(200)["pagination"]["defaultPageSize"], 7);

    let ada = client.post("/Users", &okta_user("ada@example.com", "00u1")).must(201);
    let members = json!([{ "value": ada["id"] }, { "value": "00u-unknown", "display": "Nobody we know" }]);
    client.post("/Groups", &json!({ "displayName": "Staff", "members": members })).must(201);
    let groups = ask("/groups");
    let mut links: Vec<(&str, bool)> = groups["resources"][0]["links"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|link| Some((link["display"].as_str()?, link["resolved"].as_bool()?)))
        .collect();
    links.sort_unstable();
    assert_eq!(links, [("Ada L", true), ("Nobody we know", false)]);
    assert_eq!(
        (&ask("/users")["resources"][0]["links"][0]["resolved"], &groups["resources"][0]["managed"]),
        (&json!(true), &Value::Null)
    );

    assert_eq!(ask("/deleted")["deleted"], json!([]));
    client.delete(&format!("/Users/{}", ada["id"].as_str().expect("an id"))).must(204);
    let deleted = ask("/deleted?limit=5")["deleted"][0].clone();
    let prefix = token.split('.').next().expect("a public half");
    let told = ["id", "kind", "actor"].map(|name| deleted[name].clone());
    assert_eq!(told, [ada["id"].clone(), json!("User"), json!(prefix)]);
    assert!(deleted["deleted_ms"].as_i64().is_some_and(|at_ms| at_ms > 0), "{deleted}");
    assert_eq!(
        (&deleted["attributes"]["userName"], &deleted["attributes"]["password"]),
        (&json!("ada@example.com"), &Value::Null)
    );
    client.ask("GET", "/api/v1/directories/nowhere/deleted", &viewer, None).must(404);
    client.end();
}

#[test]
fn okta_takes_no_underscore_in_an_address_and_so_no_new_directory_has_one() {
    let agent = TestAgent::new();
    let refused = agent.run(&["directory", "create", "acme_corp"]).must_exit(3);
    assert!(refused.failure().contains("`_`"), "{}", refused.failure());
    let token = create(&agent, &[]);
    let ruler = caller(&agent, "administrator");
    let client = Client::start(&agent, &token);
    let wanted = json!({ "directory": "acme_corp" });
    let refused = client.ask_with("POST", "/api/v1/directories", &ruler, "application/json", &wanted.to_string());
    assert!(refused.must(422).to_string().contains("Okta"), "the hint says why");
    client.end();
}

#[test]
fn a_bare_token_opens_a_directory_that_wants_it_so() {
    let agent = TestAgent::new();
    let token = create(&agent, &["--bare-token"]);
    let other = agent.run(&["--format", "json", "directory", "create", "other"]).must_exit(0).json();
    let other = other["token"].as_str().expect("a token").to_owned();
    watch(&other);
    let third = agent.run(&["--format", "json", "directory", "create", "third"]).must_exit(0).json();
    let third = third["token"].as_str().expect("a token").to_owned();
    watch(&third);
    let said = json!({ "Directories": { "Third": { "BareToken": true }, "Acme": { "PageSize": 9 } } });
    agent.write("appsettings.agent.json", &said.to_string());
    let client = Client::of(vec![agent.command(&["run"])], &token);
    assert_eq!(client.get("/Users?startIndex=1&count=2").must(200)["totalResults"], 0);
    client.ask("GET", "/scim/v2/acme/Users", &format!("Bearer {token}"), None).must(200);
    for (at, authorization) in [
        ("acme", format!("{token}x")),
        ("acme", other.clone()),
        ("acme", format!("Token {token}")),
        ("other", other.clone()),
    ] {
        client.ask("GET", &format!("/scim/v2/{at}/Users"), &authorization, None).must(401);
    }
    client.ask("GET", "/scim/v2/other/Users", &format!("Bearer {other}"), None).must(200);
    client.ask("GET", "/scim/v2/third/Users", &third, None).must(200);
    client.ask("GET", "/api/v1/directories", &token, None).must(401);
    client.end();
}
