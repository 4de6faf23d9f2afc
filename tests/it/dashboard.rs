//! The dashboard in a real browser: what an administrator does in a day, by mouse, by keyboard, on a phone and at night.

mod directories;
pub(crate) mod doors;
mod guards;
mod timeline;

use acceptance::{
    CONNECTION, TestAgent,
    browser::{Browser, ENTER, TAB},
    orders::{list, order},
    watch,
};
use okta_sandbox::{SandboxConfig, Seed, Status, WebApp};
use serde_json::{Value, json};

use crate::password::{ADA, daemon::Daemon, say};

pub(crate) const PASSWORD: &str = "four-quiet-words-suffice";
const WAYS: &str = r#"<ConfigurationFile>
  <PasswordResetSettings Identifier="OneWay" Mode="1" AutoGenerate="true" MustChange="true" DisableNotifications="true" />
</ConfigurationFile>"#;

/// An agent of an organisation with Ada, and with an administrator.
pub(super) fn agent(web: &Value) -> TestAgent {
    // So much that nobody waits, and so little that it shows how much is used.
    let bucket_limits =
        [("apps", 40), ("groups", 120), ("users", 600)].map(|(of, limit)| (format!("/api/v1/{of}"), limit)).into();
    let seed = Seed::exact(40, 8, 5, 60);
    let agent = TestAgent::with(SandboxConfig { seed, bucket_limits, ..SandboxConfig::default() });
    let profile = json!({ "login": ADA, "email": ADA, "firstName": "Ada", "lastName": "Lovelace" });
    agent.org(|org| org.add_user(profile, Status::Active));
    agent.write("Conf/Passwords.xml", WAYS);
    let steps =
        json!([{ "Kind": "export", "Connection": CONNECTION }, { "Kind": "fulfill", "Connection": CONNECTION }]);
    let jobs = json!({ "Nightly": { "Schedule": "15 2 * * *", "TimeZone": "Europe/Paris", "Steps": steps } });
    agent.write("appsettings.json", &json!({ "Jobs": jobs, "Web": web }).to_string());
    operator(&agent, "grace", &[]);
    agent
}

/// Makes an operator with the password of all of them.
pub(super) fn operator(agent: &TestAgent, name: &str, further: &[&str]) {
    watch(PASSWORD);
    let arguments = [&["operator", "create", name], further].concat();
    agent.run_with_input(&arguments, &format!("{PASSWORD}\n")).must_exit(0);
}

fn browser() -> Option<Browser> {
    let browser = Browser::open();
    if browser.is_none() {
        say("left out: Chromium or its driver is not there (Debian: apt-get install chromium chromium-driver)");
    }
    browser
}

/// Nothing was refused by the browser, and it spoke to nobody else.
#[track_caller]
fn assert_quiet(browser: &Browser, hosts: &[&str]) {
    let complaints = browser.complaints();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let strangers: Vec<String> = browser.hosts().into_iter().filter(|host| !hosts.contains(&host.as_str())).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}

/// No page is wider than the window.
#[track_caller]
fn assert_fits(browser: &Browser) {
    let wide = browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth");
    assert_eq!(wide, 0, "{} is wider than the window", browser.address());
}

#[test]
fn an_administrator_checks_exports_approves_resets_and_reads_the_audit() {
    let Some(browser) = browser() else { return };
    let agent = agent(&json!({}));
    agent.set("MaxDeletes", json!(1));
    let daemon = Daemon::start(agent.command(&["run"]));
    let base = format!("http://{}", daemon.address);
    browser.look(1280, false);
    browser.go(&format!("{base}/connections"));
    browser.picture("dashboard-sign-in");
    browser.fill("#name", "grace");
    browser.fill("#password", PASSWORD);
    browser.press("Sign in");
    assert!(browser.address().ends_with("/connections"), "it goes on to where one wanted to go");

    check_and_export(&browser, &agent, &daemon, &base);
    approve(&browser, &agent, &daemon, &base);
    reset_a_password(&browser, &agent, &daemon, &base);
    make_a_directory(&browser, &agent, &daemon, &base);
    browser.go(&format!("{base}/access"));
    browser.press("New operator");
    browser.picture("dashboard-access");
    browser.go(&format!("{base}/audit"));
    for done in ["operator sign in", "check connection", "approve orders", "password reset", "create directory"] {
        browser.reads(done);
    }
    browser.picture("dashboard-audit");
    for (path, name) in [("/", "overview"), ("/runs", "runs"), ("/exports", "exports"), ("/connections", "connections")]
    {
        browser.go(&format!("{base}{path}"));
        browser.picture(&format!("dashboard-{name}"));
    }
    // Nobody but whom the test expects: what is refused is refused with a status, of which a browser complains.
    let complaints: Vec<String> = browser.complaints().into_iter().filter(|it| !it.contains("/passwords")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert_quiet(&browser, &[&daemon.address]);

    pictures_at_night_and_on_a_phone(&browser, &base);
    browser.click(".menu > summary");
    browser.picture("dashboard-menu-phone");
    assert_quiet(&browser, &[&daemon.address]);
    daemon.end();
}

/// A check, and three exports that are watched to their end.
fn check_and_export(browser: &Browser, agent: &TestAgent, _: &Daemon, base: &str) {
    browser.press(CONNECTION);
    browser.press("Check now");
    browser.reads("Nothing is to be fixed.");
    browser.picture("dashboard-connection");

    for number in 1..=3 {
        browser.press("Exports");
        agent.org(|org| org.add_user(json!({ "login": format!("new{number}@corp.example"), "email": "n@corp.example", "firstName": "N", "lastName": "E" }), Status::Active));
        browser.press("Export now");
        if number == 1 {
            browser.picture("dashboard-run-live");
        }
        // The script follows the log and loads the page anew when the run is over: nobody presses anything.
        browser.until(|| browser.text().contains("Start again"));
        browser.reads("exported users");
        browser.go(&format!("{base}/connections/{CONNECTION}"));
    }
    for path in [format!("/connections/{CONNECTION}"), "/".to_owned()] {
        browser.go(&format!("{base}{path}"));
        browser.reads("a minute at the busiest");
        assert!(browser.run("return document.querySelectorAll('meter').length").as_u64() >= Some(3), "one a bucket");
    }
    browser.go(&format!("{base}/runs/1"));
    browser.reads("the run begins");
    browser.picture("dashboard-run");
    browser.go(&format!("{base}/exports/{CONNECTION}"));
    browser.reads("+1");
    browser.picture("dashboard-export");
}

/// Orders that are over a limit, looked at and approved.
fn approve(browser: &Browser, agent: &TestAgent, _: &Daemon, base: &str) {
    let users: Vec<String> = agent.org(|org| org.user_ids().into_iter().skip(1).take(14).collect());
    let delete = |(id, user): (usize, &String)| order(&id.to_string(), "Deleted", "User", user, json!({}));
    agent.order_file("leavers.json", &list(&users.iter().enumerate().map(delete).collect::<Vec<_>>()));
    browser.go(&format!("{base}/orders/{CONNECTION}"));
    browser.until(|| {
        browser.go(&format!("{base}/orders/{CONNECTION}"));
        browser.text().contains("wait for leave")
    });
    browser.picture("dashboard-orders");
    browser.press("What would change?");
    browser.reads("MaxDeletes");
    browser.picture("dashboard-plan");
    browser.go(&format!("{base}/"));
    browser.reads("Needs attention");
    browser.picture("dashboard-overview-attention");
    browser.press("Look and decide");
    let before = agent.org(|org| org.counts().users);
    browser.press("Approve and carry out");
    browser.until(|| browser.text().contains("Start again"));
    assert_eq!(agent.org(|org| org.counts().users), before - 14);
    browser.go(&format!("{base}/orders/{CONNECTION}"));
    browser.click("tbody th a");
    browser.reads("Results of run");
    browser.picture("dashboard-results");
}

/// A password, after one for nobody.
fn reset_a_password(browser: &Browser, agent: &TestAgent, _: &Daemon, base: &str) {
    browser.go(&format!("{base}/passwords"));
    browser.fill("#login", "nobody@corp.example");
    browser.press("Reset password");
    browser.reads("nobody@corp.example");
    browser.run("document.querySelector('#login').value = ''");
    browser.fill("#login", ADA);
    browser.click("input[name=show]");
    browser.press("Reset password");
    browser.reads("It is shown this once.");
    let password =
        browser.run("return document.querySelector('#once').textContent").as_str().unwrap_or_default().to_owned();
    watch(&password);
    agent.org(|org| assert!(org.password_is(ADA, &password)));
    browser.run("document.querySelector('#once').textContent = 'made for the picture'");
    browser.picture("dashboard-passwords");
}

/// A directory, whose token is shown once, and what Okta sends there.
fn make_a_directory(browser: &Browser, _: &TestAgent, daemon: &Daemon, base: &str) {
    browser.go(&format!("{base}/directories"));
    browser.fill("#name", "acme");
    browser.press("Create directory");
    let secret =
        browser.run("return document.querySelector('#secret').textContent").as_str().unwrap_or_default().to_owned();
    watch(&secret);
    assert!(secret.contains('.'), "a bearer token has two halves");
    browser.reads(&format!("http://{}/scim/v2/acme", daemon.address));
    browser.picture("dashboard-directory-new");
    browser.press("I have it");
    assert!(
        !browser.run("return document.documentElement.innerHTML").to_string().contains(&secret),
        "it is shown once"
    );
    provision(daemon, &secret);
    browser.go(&format!("{base}/directories/acme"));
    browser.reads("grace.hopper@corp.example");
    // Calls are kept once a second.
    browser.until(|| {
        browser.go(&format!("{base}/directories/acme"));
        browser.text().contains("wrong credentials")
    });
    browser.reads("409 Conflict");
    let endpoint = browser.run("return document.querySelector('#endpoint').textContent");
    let endpoint = endpoint.as_str().unwrap_or_default();
    assert!(endpoint.starts_with("http://127.0.0.1:") && endpoint.ends_with("/scim/v2/acme"), "{endpoint}");
    browser.reads("uniqueness");
    browser.click("#calls ~ .body summary, [aria-labelledby=calls] summary");
    browser.picture("dashboard-directory");
}

/// Every page in the dark and on a phone.
fn pictures_at_night_and_on_a_phone(browser: &Browser, base: &str) {
    for (path, name) in [
        ("/".to_owned(), "overview"),
        ("/connections".to_owned(), "connections"),
        (format!("/connections/{CONNECTION}"), "connection"),
        ("/exports".to_owned(), "exports"),
        (format!("/exports/{CONNECTION}"), "export"),
        ("/orders?said=all".to_owned(), "orders-all"),
        (format!("/orders/{CONNECTION}"), "orders"),
        (format!("/orders/{CONNECTION}/runs/1"), "results"),
        ("/runs".to_owned(), "runs"),
        ("/runs/4".to_owned(), "run"),
        ("/passwords".to_owned(), "passwords"),
        ("/directories".to_owned(), "directories"),
        ("/audit".to_owned(), "audit"),
        ("/access".to_owned(), "access"),
        ("/directories/acme".to_owned(), "directory"),
    ] {
        browser.look(1280, true);
        browser.go(&format!("{base}{path}"));
        browser.picture(&format!("dashboard-{name}-dark"));
        browser.look(360, name == "export");
        browser.go(&format!("{base}{path}"));
        assert_fits(browser);
        browser.picture(&format!("dashboard-{name}-phone"));
    }
}

/// What Okta does with an address and a token.
fn provision(daemon: &Daemon, token: &str) {
    let headers = format!("authorization: Bearer {token}\r\ncontent-type: application/scim+json\r\n");
    let send_and_get = |path: &str, body: &Value, status: u16| {
        let page = daemon.ask_with("POST", path, &headers, &body.to_string());
        assert_eq!(page.status, status, "{}", page.body);
        serde_json::from_str::<Value>(&page.body).expect("an answer is JSON")
    };
    let send = |path: &str, body: &Value| send_and_get(path, body, 201);
    send_and_get("/scim/v2/acme/Users", &json!({ "displayName": "Nobody" }), 400);
    let user = send(
        "/scim/v2/acme/Users",
        &json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "grace.hopper@corp.example",
            "name": { "givenName": "Grace", "familyName": "Hopper" }, "active": true }),
    );
    send_and_get("/scim/v2/acme/Users", &json!({ "userName": "Grace.Hopper@corp.example" }), 409);
    let stranger =
        daemon.ask_with("GET", "/scim/v2/acme/Users?startIndex=1&count=2", "authorization: Bearer a.b\r\n", "");
    assert_eq!(stranger.status, 401, "{}", stranger.body);
    send(
        "/scim/v2/acme/Groups",
        &json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Navy",
            "members": [{ "value": user["id"] }] }),
    );
}

#[test]
fn somebody_signs_in_by_keyboard_alone() {
    let Some(browser) = browser() else { return };
    let agent = agent(&json!({}));
    let daemon = Daemon::start(agent.command(&["run"]));
    let base = format!("http://{}", daemon.address);
    browser.look(1280, false);
    browser.go(&format!("{base}/"));
    // The first field has the focus.
    browser.keys(&format!("grace{TAB}{PASSWORD}{ENTER}"));
    browser.reads("Overview");
    browser.keys(&TAB.to_string());
    assert_eq!(browser.run("return document.activeElement.textContent"), "Skip to content");
    browser.picture("dashboard-keyboard");
    browser.keys(&ENTER.to_string());
    browser.until(|| browser.run("return document.activeElement.id") == "content");
    for path in ["/", "/connections", "/runs", "/passwords", "/directories", "/audit", "/access"] {
        browser.go(&format!("{base}{path}"));
        let nameless = "return [...document.querySelectorAll('input:not([type=hidden]), select, textarea')].filter(it => !it.labels.length).length";
        assert_eq!(browser.run(nameless), 0, "every field of {path} has a label");
        let out_of_turn =
            "return document.querySelectorAll('[tabindex]:not([tabindex=\"0\"], [tabindex=\"-1\"])').length";
        assert_eq!(browser.run(out_of_turn), 0, "{path}");
        assert_eq!(browser.run("return document.querySelectorAll('h1').length"), 1, "{path} has one heading");
        assert_eq!(browser.run("return document.querySelectorAll('th:not([scope])').length"), 0, "{path}");
    }
    assert_quiet(&browser, &[&daemon.address]);
    daemon.end();
}

#[test]
fn people_of_the_organisation_sign_in_with_okta_and_strangers_are_turned_away() {
    let Some(browser) = browser() else { return };
    let agent = agent(&json!({}));
    watch("00client-secret-of-the-agent");
    let issuer = agent.sandbox.url();
    let openid = json!({ "Issuer": issuer, "ClientId": "0oadashboard", "ClientSecret": "00client-secret-of-the-agent",
        "Roles": { "Operator": ["Keepers"], "Administrator": ["Nobody at all"] } });
    agent.write("appsettings.json", &json!({ "Web": { "OpenIdConnect": openid } }).to_string());
    let daemon = Daemon::start(agent.command(&["run"]));
    let base = format!("http://{}", daemon.address);
    let app = |user: &str| WebApp {
        client_id: "0oadashboard".to_owned(),
        client_secret: Some("00client-secret-of-the-agent".to_owned()),
        redirect_uris: vec![format!("{base}/sign-in/openid/done")],
        user: user.to_owned(),
    };
    agent.org(|org| {
        let keepers = org.add_group("Keepers");
        assert!(org.add_member(&keepers, ADA));
        org.add_web_app(app(ADA))
    });
    let host = issuer.trim_start_matches("http://").to_owned();
    browser.look(1280, false);
    browser.go(&format!("{base}/runs?state=error"));
    browser.picture("dashboard-sign-in-openid");
    let link = browser.run("return document.querySelector('a.button').textContent");
    assert!(link.as_str().unwrap_or_default().starts_with("Sign in with "), "{link}");
    browser.click("a.button");
    browser.reads("Overview");
    assert!(browser.address().ends_with("/runs?state=error"), "it goes on to where one wanted to go");
    assert!(browser.text().contains(ADA) && browser.text().contains("operator"), "{}", browser.text());
    browser.go(&format!("{base}/access"));
    browser.reads("You may not do this");
    let refused = browser.complaints();
    assert!(refused.iter().all(|line| line.contains("/access")), "{refused:#?}");
    assert_quiet(&browser, &[&daemon.address, &host]);

    browser.go(&format!("{base}/"));
    browser.click(".side > .who button");
    browser.reads("You are signed out.");
    agent.org(|org| {
        let profile =
            json!({ "login": "stranger@corp.example", "email": "s@corp.example", "firstName": "S", "lastName": "T" });
        org.add_user(profile, Status::Active);
        org.add_web_app(app("stranger@corp.example"))
    });
    browser.click("a.button");
    browser.reads("stranger@corp.example is known, but may not use this agent.");
    browser.picture("dashboard-stranger");
    daemon.end();
}
