//! What somebody hostile, hasty or gone in the middle tries at the dashboard's doors.

use std::{io::Write, net::TcpStream, time::Duration};

use acceptance::{CONNECTION, TestAgent, watch};
use okta_sandbox::{Fault, FaultAction};
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::{
    PASSWORD, agent,
    doors::{Visitor, started},
    operator,
};
use crate::password::{
    ADA,
    daemon::{Daemon, Page, until},
};

const REDIRECT: &str = "https://system-admin.okta.com/admin/app/cpc/acme_1/oauth/callback";

fn form(pairs: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn field(page: &Page, name: &str) -> String {
    page.between(&format!("name=\"{name}\" value=\""), "\"")
}

#[test]
fn nobody_is_led_away_when_they_sign_in() {
    let agent = agent(&json!({}));
    let daemon = started(&agent);
    for (next, location) in
        [("/runs?state=error", "/runs?state=error"), ("/\t/evil.example", "/"), ("/\\evil.example", "/")]
    {
        let shown = daemon.ask("GET", "/sign-in", "", "");
        let (code, cookie) = (field(&shown, "code"), shown.cookie());
        let body = form(&[("code", &code), ("next", next), ("name", "grace"), ("password", PASSWORD)]);
        let page = daemon.ask("POST", "/sign-in", &format!("cookie: {cookie}\r\n"), &body);
        assert!(page.head.contains(&format!("\r\nlocation: {location}\r\n")), "{next:?}: {}", page.head);
    }
    daemon.end();
}

#[test]
fn a_form_that_shows_a_secret_is_obeyed_once() {
    let agent = agent(&json!({}));
    operator(&agent, "vera", &["--role", "viewer"]);
    agent.run(&["directory", "create", "acme"]).must_exit(0);
    let daemon = started(&agent);
    let grace = Visitor::sign_in(&daemon, "grace");
    for (shown, path, further, secret) in [
        ("/passwords", "/passwords", [("connection", CONNECTION), ("login", ADA), ("show", "1")].as_slice(), "once"),
        ("/directories/acme", "/directories/acme/rotate", &[("days", "0")], "secret"),
        ("/access", "/access/operators/vera/password", &[], "secret"),
    ] {
        let page = grace.get(shown);
        let (code, once) = (field(&page, "code"), field(&page, "once"));
        let body = form(&[&[("code", code.as_str()), ("once", &once)], further].concat());
        let done = grace.post(path, "", &body);
        assert_eq!(done.status, 200, "{path}: {}", done.body);
        watch(&done.between(&format!("<code id=\"{secret}\">"), "<"));
        // As a browser does whose page is loaded anew.
        let again = grace.post(path, "", &body);
        assert!(again.status == 409 && again.body.contains("nothing was done again"), "{path}: {}", again.status);
        let without = form(&[&[("code", code.as_str())], further].concat());
        assert_eq!(grace.post(path, "", &without).status, 403, "{path}");
    }
    for (action, times) in [("password_reset", 2), ("rotate_directory", 1), ("set_operator_password", 1)] {
        let audit = grace.get(&format!("/audit?action={action}")).body;
        assert_eq!(audit.matches("class=\"when\"").count(), times, "{action}: {audit}");
    }
    daemon.end();
}

#[test]
fn what_was_asked_for_is_done_and_written_down_though_the_asker_goes() {
    let agent = agent(&json!({}));
    let daemon = started(&agent);
    let grace = Visitor::sign_in(&daemon, "grace");
    let page = grace.get("/passwords");
    let (code, once) = (field(&page, "code"), field(&page, "once"));
    let body = form(&[("code", &code), ("once", &once), ("connection", CONNECTION), ("login", ADA), ("show", "1")]);
    let slow = FaultAction::SlowFirstByte(Duration::from_secs(2));
    agent.sandbox.add_fault(Fault::new(slow).on("POST", "/api/v1/users").always());
    let mut stream = TcpStream::connect(&daemon.address).expect("the daemon listens");
    let head = format!(
        "POST /passwords HTTP/1.1\r\nhost: a\r\n{}content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n",
        grace.cookie,
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).expect("it reads");
    until(|| agent.sandbox.faults_hit() > 0);
    drop(stream);
    until(|| grace.get("/audit?action=password_reset").body.contains("password set, must be changed"));
    daemon.end();
}

#[test]
fn whoever_types_a_secret_is_told_that_it_is_kept_in_the_clear_where_there_is_no_key() {
    let agent = agent(&json!({}));
    let daemon = started(&agent);
    let grace = Visitor::sign_in(&daemon, "grace");
    let path = format!("/connections/{CONNECTION}");
    let page = grace.get(&path).body;
    assert!(page.contains("kept in the clear") && page.contains("agent-host protect new-key"), "{page}");
    agent.run(&["protect", "new-key"]).must_exit(0);
    agent.write("appsettings.json", &json!({ "ProtectionKey": { "File": "protection.key" } }).to_string());
    daemon.reload("settings were read anew");
    let page = grace.get(&path).body;
    assert!(page.contains("Change settings") && !page.contains("kept in the clear"), "{page}");
    daemon.end();
}

/// What the directory's client was set up with: its id and secret.
fn client_of(agent: &TestAgent) -> (String, String) {
    let arguments = ["--format", "json", "directory", "oauth", "acme", "--redirect", REDIRECT];
    let report = agent.run(&arguments).must_exit(0).json();
    let text = |name: &str| report[name].as_str().expect("it is printed").to_owned();
    watch(&text("approval_code"));
    watch(&text("client_secret"));
    (text("client_id"), text("client_secret"))
}

/// The access token for a code.
fn exchanged(daemon: &Daemon, (id, secret): &(String, String), code: &str) -> String {
    let pairs = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT)];
    let body = form(&[&pairs[..], &[("client_id", id.as_str()), ("client_secret", secret)]].concat());
    let page = daemon.ask("POST", "/oauth/acme/token", "", &body);
    assert_eq!(page.status, 200, "{}", page.body);
    let tokens: Value = serde_json::from_str(&page.body).expect("an answer is JSON");
    let access = tokens["access_token"].as_str().expect("a token").to_owned();
    watch(access.split('.').next_back().expect("a half"));
    access
}

fn opens(daemon: &Daemon, access: &str) -> bool {
    let bearer = format!("authorization: Bearer {access}\r\n");
    daemon.ask_with("GET", "/scim/v2/acme/Users", &bearer, "").status == 200
}

#[test]
fn an_administrator_who_is_signed_in_consents_and_a_rotation_takes_it_back() {
    let agent = agent(&json!({}));
    operator(&agent, "vera", &["--role", "viewer"]);
    operator(&agent, "sam", &["--connection", CONNECTION]);
    agent.run(&["directory", "create", "acme"]).must_exit(0);
    let client = client_of(&agent);
    let root =
        agent.run(&["--format", "json", "token", "create", "root", "--role", "administrator"]).must_exit(0).json();
    let root = format!("authorization: Bearer {}\r\n", root["token"].as_str().expect("a token"));
    let daemon = started(&agent);
    let asked =
        [("response_type", "code"), ("client_id", client.0.as_str()), ("redirect_uri", REDIRECT), ("state", "s")];
    let page = format!("/oauth/acme/authorize?{}", form(&asked));
    let grace = Visitor::sign_in(&daemon, "grace");
    let shown = grace.get(&page);
    assert!(shown.body.contains("You are signed in as <span class=\"account\">grace</span>"), "{}", shown.body);
    let code = field(&shown, "code");
    let allow = form(&[("decision", "allow"), ("code", &code)]);
    // A form of another site, without the code, by who is no administrator, or one of some connections alone.
    assert_eq!(grace.post(&page, "sec-fetch-site: cross-site\r\n", &allow).status, 422);
    assert_eq!(grace.post(&page, "", "decision=allow&code=").status, 422);
    assert_eq!(daemon.ask("POST", &page, "", &allow).status, 422);
    for name in ["vera", "sam"] {
        let other = Visitor::sign_in(&daemon, name);
        assert!(!other.get(&page).body.contains("You are signed in"), "{name}");
        let own = form(&[("decision", "allow"), ("code", &other.code())]);
        assert_eq!(other.post(&page, "", &own).status, 422, "{name}");
        assert_eq!(other.post(&page, "", &allow).status, 422, "{name}");
    }
    // Whoever may not say yes leaves no line by saying no.
    assert!(daemon.ask("POST", &page, "", "decision=deny").head.contains("error=access_denied"));
    assert!(
        grace.post(&page, "", &form(&[("decision", "deny"), ("code", &code)])).head.contains("error=access_denied")
    );
    let audit = grace.get("/audit?action=directory_oauth").body;
    assert_eq!(audit.matches("denied").count(), 1, "{audit}");
    for by_api in [false, true] {
        let allowed = grace.post(&page, "sec-fetch-site: same-origin\r\n", &allow);
        let location = allowed.head.lines().find_map(|line| line.strip_prefix("location: ")).expect("a location");
        let code = location.split_once("code=").and_then(|(_, rest)| rest.split('&').next()).expect("a code");
        let access = exchanged(&daemon, &client, code);
        assert!(location.starts_with(REDIRECT) && opens(&daemon, &access), "{location}");
        let rotated = if by_api {
            let headers = format!("{root}content-type: application/json\r\n");
            daemon.ask_with("POST", "/api/v1/directories/acme/rotate", &headers, "{}")
        } else {
            let shown = grace.get("/directories/acme");
            let body = form(&[("code", &field(&shown, "code")), ("once", &field(&shown, "once")), ("days", "7")]);
            grace.post("/directories/acme/rotate", "", &body)
        };
        assert_eq!(rotated.status, 200, "{}", rotated.body);
        until(|| !opens(&daemon, &access));
    }
    let audit = grace.get("/audit?action=directory_oauth&actor=grace").body;
    assert!(audit.matches("approved").count() >= 2, "{audit}");
    daemon.end();
}

#[test]
fn a_secret_is_not_led_to_another_address() {
    let agent = agent(&json!({}));
    let daemon = started(&agent);
    let grace = Visitor::sign_in(&daemon, "grace");
    let path = format!("/connections/{CONNECTION}/settings");
    let code = grace.code();
    let elsewhere = "https://evil.example.com";
    let page = grace.post(&path, "", &form(&[("code", &code), ("set:Server", elsewhere)]));
    assert!(page.status == 422 && page.body.contains("ApiKey"), "{} {}", page.status, page.body);
    assert!(!agent.directory().join("Work/appsettings.connection.json").exists());
    let page = grace.post(&path, "", &form(&[("code", &code), ("set:Server", elsewhere), ("set:ApiKey", "00another")]));
    assert_eq!(page.status, 303, "{}", page.body);
    daemon.end();
}
