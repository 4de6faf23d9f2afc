//! The dashboard's doors over plain HTTP: who is let in, who is kept out, and what a form must carry.

use std::collections::BTreeSet;

use acceptance::{CONNECTION, TestAgent};
use agent_host::web::dashboard_routes;
use serde_json::json;

use super::{PASSWORD, agent, operator};
use crate::password::daemon::{Daemon, Page};

/// What is for everybody; whatever else the dashboard answers is for whoever is signed in.
const OPEN: [(&str, &str); 7] = [
    ("GET", "/sign-in"),
    ("POST", "/sign-in"),
    ("GET", "/sign-in/openid"),
    ("GET", "/sign-in/openid/done"),
    ("GET", "/static/dashboard.css"),
    ("GET", "/static/dashboard.js"),
    ("GET", "/static/icon.svg"),
];

/// Every door of the dashboard that is asked by this method and is for whoever is signed in, with something for each of
/// its parameters.
fn doors(method: &str) -> Vec<String> {
    let parameters = [
        ("{connection}", CONNECTION),
        ("{file}", "OktaExportFulfillment_users.csv"),
        ("{run}", "1"),
        ("{job}", "Nightly"),
        ("{directory}", "acme"),
        ("{operator}", "grace"),
        ("{token}", "policy"),
    ];
    let routes = dashboard_routes().into_iter().filter(|route| route.method == method && !route.is_open);
    let filled = routes.map(|route| {
        let path = parameters.iter().fold(route.path.to_owned(), |path, (name, value)| path.replace(name, value));
        assert!(!path.contains('{'), "{path}: give something for its parameter");
        path
    });
    let doors: Vec<String> = filled.collect();
    assert!(doors.len() > 10, "{doors:?}");
    doors
}

/// Somebody with a session.
pub(crate) struct Visitor<'a> {
    daemon: &'a Daemon,
    pub(super) cookie: String,
}

impl<'a> Visitor<'a> {
    pub(crate) fn sign_in(daemon: &'a Daemon, name: &str) -> Self {
        let page = attempt(daemon, name, PASSWORD);
        assert_eq!(page.status, 303, "{}", page.body);
        Self { daemon, cookie: format!("cookie: {}\r\n", page.cookie()) }
    }

    pub(crate) fn get(&self, path: &str) -> Page {
        self.daemon.ask("GET", path, &self.cookie, "")
    }

    pub(super) fn code(&self) -> String {
        self.get("/").between("name=\"code\" value=\"", "\"")
    }

    pub(super) fn post(&self, path: &str, headers: &str, body: &str) -> Page {
        self.daemon.ask("POST", path, &format!("{}{headers}", self.cookie), body)
    }
}

/// One attempt to sign in, with a form of its own.
fn attempt(daemon: &Daemon, name: &str, password: &str) -> Page {
    let form = daemon.ask("GET", "/sign-in", "", "");
    let (code, cookie) = (form.between("name=\"code\" value=\"", "\""), form.cookie());
    let body = format!("code={code}&name={name}&password={password}");
    daemon.ask("POST", "/sign-in", &format!("cookie: {cookie}\r\n"), &body)
}

pub(super) fn started(agent: &TestAgent) -> Daemon {
    Daemon::start(agent.command(&["run"]))
}

#[test]
fn nothing_is_shown_or_done_without_a_session() {
    let agent = agent(&json!({}));
    let daemon = started(&agent);
    let open: BTreeSet<_> =
        dashboard_routes().into_iter().filter(|it| it.is_open).map(|it| (it.method, it.path)).collect();
    assert_eq!(open, OPEN.into_iter().collect());
    for path in doors("GET") {
        for cookie in ["", "cookie: agent-session=forged-forged-forged\r\n"] {
            let page = daemon.ask("GET", &path, cookie, "");
            assert!(page.status == 303 && page.head.contains("location: /sign-in?next=%2F"), "{path}: {}", page.head);
            assert!(!page.body.contains(CONNECTION), "{path}");
        }
    }
    for path in doors("POST") {
        let page = daemon.ask("POST", &path, "", "name=x&code=x");
        assert!(page.status == 303 && page.head.contains("location: /sign-in"), "{path}: {}", page.head);
    }
    let page = daemon.ask("GET", "/sign-in", "", "");
    for header in [
        "content-security-policy: default-src 'none'; style-src 'self'; script-src 'self'",
        "x-frame-options: deny",
        "cache-control: no-store",
        "httponly; samesite=lax",
    ] {
        assert!(page.head.to_lowercase().contains(header), "{header} in {}", page.head);
    }
    assert!(!page.body.contains("style=") && !page.body.contains("<script>"), "{}", page.body);
    daemon.end();
    assert!(!agent.output().exists());
}

#[test]
fn a_form_that_was_not_shown_to_the_browser_does_nothing() {
    let agent = agent(&json!({}));
    let daemon = started(&agent);
    let grace = Visitor::sign_in(&daemon, "grace");
    let code = grace.code();
    let path = "/exports/OktaExportFulfillment/start";
    for (headers, body) in [
        ("", String::new()),
        ("", "code=".to_owned()),
        ("", format!("code={}", &code[1..])),
        ("sec-fetch-site: cross-site\r\n", format!("code={code}")),
        ("origin: https://evil.example\r\n", format!("code={code}")),
    ] {
        let page = grace.post(path, headers, &body);
        assert!(page.status == 403 && page.body.contains("This was not accepted"), "{headers} {body}: {}", page.status);
    }
    for path in doors("POST") {
        assert_eq!(grace.post(&path, "", "name=acme").status, 403, "{path}");
    }
    assert!(grace.get("/runs").body.contains("There is no such run"), "nothing was started");
    let other = Visitor::sign_in(&daemon, "grace");
    assert_eq!(other.post(path, "", &format!("code={code}")).status, 403, "a code is one session's");
    assert_eq!(grace.post(path, "sec-fetch-site: same-origin\r\n", &format!("code={code}")).status, 303);
    let page = daemon.ask("POST", "/sign-in", "", &format!("name=grace&password={PASSWORD}"));
    assert_eq!(page.status, 403, "nobody is signed in by another site");
    let out = grace.post("/sign-out", "", &format!("code={code}"));
    assert!(out.status == 303 && out.head.contains("Max-Age=0"), "{}", out.head);
    assert_eq!(grace.get("/").status, 303, "a session that was ended is over");
    daemon.end();
}

#[test]
fn a_viewer_is_shown_no_button_and_is_refused_all_the_same() {
    let agent = agent(&json!({}));
    operator(&agent, "vera", &["--role", "viewer"]);
    let daemon = started(&agent);
    let vera = Visitor::sign_in(&daemon, "vera");
    for path in doors("GET") {
        let page = vera.get(&path);
        // There is no set, no run and no directory yet.
        let is_nowhere = ["/files/", "/runs/", "/directories/"].iter().any(|part| path.contains(part));
        let expected = if path == "/access" {
            403
        } else if is_nowhere {
            404
        } else {
            200
        };
        let page = if path == "/orders" { vera.get("/orders?said=all") } else { page };
        assert_eq!(page.status, expected, "{path}: {}", page.body);
        // To sign out is all that is left to press, beside what filters a list.
        let forms = page.body.matches("method=\"post\"").count();
        assert_eq!(forms, page.body.matches("action=\"/sign-out\"").count(), "{path}: {}", page.body);
    }
    let code = vera.code();
    // A plan changes nothing, and nothing is to be planned.
    let is_free = |path: &String| ["/sign-out", "/orders/OktaExportFulfillment/plan"].contains(&path.as_str());
    for path in doors("POST").into_iter().filter(|path| !is_free(path)) {
        let page =
            vera.post(&path, "", &format!("code={code}&name=acme&connection={CONNECTION}&login=x&key=A&value=1"));
        assert!(matches!(page.status, 403 | 404), "{path}: {} {}", page.status, page.body);
    }
    assert!(vera.get("/runs").body.contains("There is no such run"));
    daemon.end();
}

#[test]
fn an_operator_of_one_connection_sees_and_does_nothing_elsewhere() {
    let agent = agent(&json!({}));
    let other = json!({ "Server": agent.sandbox.url(), "ApiKey": agent.sandbox.token() });
    agent.write("appsettings.agent.Production.json", &json!({ "Connections": { "Elsewhere": other } }).to_string());
    operator(&agent, "olga", &["--role", "operator", "--connection", "Elsewhere"]);
    agent
        .run_with_input(&["operator", "create", "oops", "--connection", "Nowhere"], "long-enough-as-it-is\n")
        .must_exit(3);
    let daemon = started(&agent);
    let olga = Visitor::sign_in(&daemon, "olga");
    for path in ["/", "/connections", "/exports", "/runs", "/passwords", "/audit"] {
        let page = olga.get(path);
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.body.contains(CONNECTION) && !page.body.contains("Nightly"), "{path}: {}", page.body);
    }
    for path in ["/connections/OktaExportFulfillment", "/exports/OktaExportFulfillment", "/directories", "/access"] {
        assert_eq!(olga.get(path).status, 403, "{path}");
    }
    let code = format!("code={}", olga.code());
    assert_eq!(olga.post("/exports/OktaExportFulfillment/start", "", &code).status, 403);
    assert_eq!(olga.post("/connections/Elsewhere/settings", "", &code).status, 403);
    let page = olga.post("/exports/Elsewhere/start", "", &code);
    assert!(page.status == 303 && page.head.contains("location: /runs/1"), "{}", page.head);
    // Whoever is removed is out at once.
    agent.run(&["operator", "remove", "Olga"]).must_exit(0);
    assert_eq!(olga.get("/connections").status, 303);
    daemon.end();
}

#[test]
fn wrong_passwords_sound_alike_and_lock_after_five() {
    let agent = agent(&json!({}));
    let daemon = started(&agent);
    let sound = |name: &str| {
        let page = attempt(&daemon, name, "not-the-right-one");
        assert_eq!(page.status, 401, "{}", page.body);
        page.between("role=\"alert\">", "<")
    };
    assert_eq!(sound("grace"), sound("nobody"));
    for _ in 1..5 {
        sound("grace");
        sound("nobody");
    }
    for name in ["grace", "nobody"] {
        let page = attempt(&daemon, name, PASSWORD);
        assert!(page.status == 429 && page.head.contains("retry-after: "), "{name}: {}", page.head);
        assert!(page.body.contains("too many wrong passwords"), "{}", page.body);
    }
    operator(&agent, "other", &[]);
    let other = Visitor::sign_in(&daemon, "other");
    let audit = other.get("/audit?action=operator_sign_in").body;
    for told in ["refused", "locked", "done", "127.0.0.1"] {
        assert!(audit.contains(told), "{told} in {audit}");
    }
    daemon.end();
}

#[test]
fn settings_that_are_typed_win_and_their_secrets_are_not_shown_again() {
    let agent = agent(&json!({}));
    acceptance::watch("00typed-in-the-dashboard");
    agent.run(&["protect", "new-key"]).must_exit(0);
    agent.write("appsettings.json", &json!({ "ProtectionKey": { "File": "protection.key" } }).to_string());
    let daemon = started(&agent);
    let grace = Visitor::sign_in(&daemon, "grace");
    let path = "/connections/OktaExportFulfillment/settings";
    let code = grace.code();
    let page = grace.post(path, "", &format!("code={code}&key=RateLimitShare&value=700"));
    assert!(page.status == 409 && page.body.contains("RateLimitShare"), "{} {}", page.status, page.body);
    let page = grace.post(path, "", &format!("code={code}&key=Rate.Limit&value=7"));
    assert_eq!(page.status, 422);
    let body = format!("code={code}&set:ApiKey=00typed-in-the-dashboard&set:Server=&key=RateLimitShare&value=70");
    let page = grace.post(path, "", &body);
    assert_eq!(page.status, 303, "{}", page.body);
    let page = grace.get("/connections/OktaExportFulfillment");
    assert!(page.body.contains("Take back what was typed"), "{}", page.body);
    let typed = std::fs::read_to_string(agent.directory().join("Work/appsettings.connection.json")).unwrap();
    assert!(typed.contains("\"RateLimitShare\": \"70\"") && !typed.contains("\"Server\""), "{typed}");
    daemon.end();
}
