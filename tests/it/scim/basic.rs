//! A directory that is opened by a key and a secret, as Okta's templates with Basic have it: Key → Username, Secret →
//! Password.

use acceptance::{TestAgent, watch};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

use super::{
    GROUP,
    client::{Client, until},
    okta_user, patch,
    suites::sanity,
};

/// The key and the secret that a command prints.
fn pair(agent: &TestAgent, arguments: &[&str]) -> (String, String) {
    let report = agent.run(&[&["--format", "json", "directory"], arguments].concat()).must_exit(0).json();
    assert!(report.get("token").is_none(), "a directory of Basic has no token");
    let text = |name: &str| report[name].as_str().expect("it is printed").to_owned();
    watch(&text("secret"));
    (text("key"), text("secret"))
}

fn basic((key, secret): &(String, String)) -> String {
    format!("Basic {}", STANDARD.encode(format!("{key}:{secret}")))
}

#[test]
fn okta_tests_assigns_changes_deactivates_and_pushes_by_key_and_secret() {
    let agent = TestAgent::new();
    let first = pair(&agent, &["create", "acme", "--basic"]);
    let client = Client::of(vec![agent.command(&["run"])], &basic(&first));
    assert_eq!(client.get("/Users?startIndex=1&count=2").must(200)["totalResults"], 0);
    let schemes = client.get("/ServiceProviderConfig").must(200)["authenticationSchemes"].clone();
    let schemes: Vec<&str> = schemes.as_array().expect("a list").iter().filter_map(|it| it["type"].as_str()).collect();
    assert_eq!(schemes, ["httpbasic"]);
    let ada = client.post("/Users", &okta_user("ada@example.com", "00u1")).must(201);
    let at = format!("/Users/{}", ada["id"].as_str().expect("an id"));
    let mut whole = client.get(&at).must(200);
    whole["displayName"] = "Ada Lovelace".into();
    assert_eq!(client.put(&at, &whole).must(200)["displayName"], "Ada Lovelace");
    let off = patch(&json!([{ "op": "replace", "value": { "active": false } }]));
    assert_eq!(client.patch(&at, &off).must(200)["active"], false);
    let staff = json!({ "schemas": [GROUP], "displayName": "Staff", "members": [{ "value": ada["id"] }] });
    client.post("/Groups", &staff).must(201);

    // The same halves as a bearer token, and whatever is not the pair.
    let (key, secret) = &first;
    for wrong in [
        format!("Bearer {key}.{secret}"),
        format!("{key}.{secret}"),
        basic(&(key.clone(), format!("{secret}x"))),
        basic(&("x".to_owned(), secret.clone())),
        basic(&(secret.clone(), key.clone())),
        basic(&(key.clone(), String::new())),
        format!("Basic {key}:{secret}"),
    ] {
        let refused = client.ask("GET", "/scim/v2/acme/Users", &wrong, None);
        assert!(refused.header("www-authenticate").is_some_and(|challenge| challenge.contains("Basic realm=")));
        refused.must(401);
    }
    // The next pair is one of Basic too; the one before stays good, until there is a third.
    let second = pair(&agent, &["rotate", "acme"]);
    client.ask("GET", "/scim/v2/acme/Users", &basic(&second), None).must(200);
    client.get("/Users").must(200);
    pair(&agent, &["rotate", "acme", "--former-days", "0"]);
    until(|| {
        [&first, &second].iter().all(|pair| client.ask("GET", "/scim/v2/acme/Users", &basic(pair), None).status != 200)
    });
    client.end();
}

#[test]
fn scim_sanity_finds_nothing_by_key_and_secret() {
    let agent = TestAgent::new();
    let (key, secret) = pair(&agent, &["create", "acme", "--basic"]);
    let client = Client::of(vec![agent.command(&["run"])], "");
    sanity(&client.base_url(), &["--username", &key, "--password", &secret]);
    client.end();
}
