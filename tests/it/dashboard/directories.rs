//! The page of a directory: who came by OAuth, who is unknown, who is not managed yet, what was deleted.

use acceptance::watch;
use serde_json::{Value, json};

use super::{
    agent,
    doors::{Visitor, started},
};

#[test]
fn the_page_of_a_directory_shows_what_needs_a_look() {
    let agent = agent(&json!({}));
    let made = agent.run(&["--format", "json", "directory", "create", "acme", "--delete", "soft"]).must_exit(0).json();
    let token = made["token"].as_str().expect("a token").to_owned();
    watch(&token);
    let redirect = "https://system-admin.okta.com/admin/app/cpc/acme/oauth/callback";
    agent.run(&["directory", "oauth", "acme", "--redirect", redirect, "--service-user", "okta-sync"]).must_exit(0);
    let daemon = started(&agent);
    let send = |method: &str, path: &str, body: &Value| {
        let headers = format!("authorization: Bearer {token}\r\ncontent-type: application/scim+json\r\n");
        daemon.ask_with(method, &format!("/scim/v2/acme{path}"), &headers, &body.to_string())
    };
    let user = |name: &str| json!({ "userName": name });
    let gone = send("POST", "/Users", &user("leaver@example.com"));
    assert_eq!(gone.status, 201, "{}", gone.body);
    let id = gone.between("\"id\":\"", "\"");
    send("POST", "/Users", &user("stays@example.com"));
    send("POST", "/Groups", &json!({ "displayName": "Staff", "members": [{ "value": "00u-lost" }] }));
    assert_eq!(send("DELETE", &["/Users", &id].join("/"), &Value::Null).status, 204);

    let grace = Visitor::sign_in(&daemon, "grace");
    let page = grace.get("/directories/acme");
    for told in ["okta-sync", "not managed by the client yet", "Last deleted", "leaver@example.com"] {
        assert!(page.body.contains(told), "{told} in {}", page.body);
    }
    let groups = grace.get("/directories/acme?show=groups");
    assert!(groups.body.contains("00u-lost <span class=\"state bad\">unknown</span>"), "{}", groups.body);
    daemon.end();
}
