//! The daemon: the page behind a link, its other end, and what it tells to whom.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use acceptance::{CONNECTION, TestAgent, http, watch};
use okta_sandbox::{Fault, FaultAction, Status};
use serde_json::{Value, json};

use super::{ADA, CONFIRMATION, agent, configure, picture};
use crate::api::administrator;

/// What another process does comes within this; a mail that its server did not take is tried again after 30 s.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// `agent-host run`, until it is asked to end.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: String,
    log: Arc<Mutex<String>>,
}

impl Daemon {
    pub(crate) fn start(mut command: Command) -> Self {
        command.env("Web__Urls", "http://127.0.0.1:0");
        Self::start_as_told(command)
    }

    /// Where the settings say where it listens.
    pub(crate) fn start_as_told(mut command: Command) -> Self {
        command.stdout(Stdio::null());
        let mut child = command.spawn().expect("the daemon starts");
        let mut lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            // A line of JSON goes on after it.
            let address = line.split_once("Now listening on: ")?.1.split('"').next()?.trim();
            Some(address.trim_start_matches("https://").trim_start_matches("http://").to_owned())
        });
        Self { child, address: address.expect("it says where it listens"), log: read(lines) }
    }

    /// The same where it does not listen yet, but is told to listen here.
    pub(crate) fn start_at(address: String, mut command: Command) -> Self {
        command.stdout(Stdio::null()).env("Web__Urls", format!("http://{address}"));
        let mut child = command.spawn().expect("the daemon starts");
        let lines = BufReader::new(child.stderr.take().expect("it is piped")).lines();
        Self { child, address, log: read(lines) }
    }

    /// What it has said since it began to listen.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("nobody panics with it").clone()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, such as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status();
        assert!(status.expect("kill is there").success());
    }

    /// Reads its settings anew, with this line in the log.
    pub(crate) fn reload(&self, outcome: &str) {
        let before = self.log().matches(outcome).count();
        self.signal("HUP");
        until(|| self.log().matches(outcome).count() > before);
    }

    /// Asks it to end, as an operating system does.
    pub(crate) fn end(mut self) {
        let status =
            Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().expect("kill is there");
        assert!(status.success());
        let code = self.child.wait().expect("it ends").code();
        assert_eq!(code, Some(0), "being asked to end is no failure");
    }

    /// Ends it at once, in the middle of whatever it does.
    pub(crate) fn kill(&self) {
        let status =
            Command::new("kill").args(["-KILL", &self.child.id().to_string()]).status().expect("kill is there");
        assert!(status.success());
    }

    /// The status of this page; none where it does not listen.
    pub(crate) fn status(&self, target: &str) -> Option<u16> {
        Some(http::request(&self.address, "GET", target, "", b"")?.status)
    }

    /// A request; what is posted is a form.
    pub(crate) fn ask(&self, method: &str, target: &str, headers: &str, body: &str) -> Page {
        let form = if method == "POST" { "content-type: application/x-www-form-urlencoded\r\n" } else { "" };
        self.ask_with(method, target, &format!("{headers}{form}"), body)
    }

    /// A request with these header lines, each with its end.
    pub(crate) fn ask_with(&self, method: &str, target: &str, headers: &str, body: &str) -> Page {
        http::request(&self.address, method, target, headers, body.as_bytes()).expect("the daemon answers").into()
    }
}

/// What it says further is read, so that it can go on saying it.
fn read(lines: Lines<BufReader<ChildStderr>>) -> Arc<Mutex<String>> {
    let log = Arc::new(Mutex::new(String::new()));
    let kept = log.clone();
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            *kept.lock().expect("nobody panics with it") += &(line + "\n");
        }
    });
    log
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What was answered.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl From<http::Answer> for Page {
    fn from(http::Answer { status, head, body }: http::Answer) -> Self {
        Self { status, head, body }
    }
}

impl Page {
    pub(crate) fn between(&self, before: &str, after: &str) -> String {
        let rest = self.body.split_once(before).unwrap_or_else(|| panic!("{before} is in {}", self.body)).1;
        rest.split_once(after).expect("it ends").0.to_owned()
    }

    pub(crate) fn cookie(&self) -> String {
        let line = self.head.lines().find(|line| line.starts_with("set-cookie: ")).expect("a cookie is set");
        line.trim_start_matches("set-cookie: ").split(';').next().expect("a split yields a part").to_owned()
    }
}

/// Waits for something that another process does.
pub(crate) fn until(done: impl Fn() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < LONGEST_WAIT, "it does not come");
        std::thread::yield_now();
    }
}

/// The path of the link that was mailed last.
fn mailed_link(agent: &TestAgent) -> String {
    let report =
        agent.run(&["--format", "json", "reset-password", CONNECTION, ADA, "--setting", "Link"]).must_exit(0).json();
    assert_eq!(
        (&report["mode"], &report["effect"], &report["notice"]),
        (&json!("two_way"), &json!("link_mailed"), &json!("sent"))
    );
    let folder = agent.beside("Mails");
    let mails = acceptance::files(&folder);
    let (name, mail) = mails.iter().next().expect("a mail");
    let text = String::from_utf8_lossy(mail).replace("=\r\n", "").replace("=3D", "=");
    let at = text.find(CONFIRMATION).expect("the mail holds the link");
    let link: String = text[at..].chars().take_while(|c| !c.is_whitespace()).collect();
    std::fs::remove_file(folder.join(name)).expect("it can be removed");
    watch(link.rsplit('.').next().expect("a split yields a part"));
    link.trim_start_matches("http://localhost:5000").to_owned()
}

fn two_way() -> TestAgent {
    let agent = agent("en");
    let more = json!({ "TwoFactorSettings": { "ApplicationUri": "https://sign-in.corp.example", "ResetConfirmationUri": CONFIRMATION } });
    configure(&agent, json!({ "PickupDirectory": "../Mails" }), more);
    agent
}

pub(crate) fn form(page: &Page, password: &str, again: &str) -> String {
    let code = page.between("name=\"code\" value=\"", "\"");
    format!("code={code}&password={password}&again={again}")
}

#[test]
fn the_holder_of_a_link_chooses_the_password_once() {
    let agent = two_way();
    agent.org(|org| org.set_password(ADA, "Before-That7"));
    let daemon = Daemon::start(agent.command(&["run"]));
    assert_eq!(daemon.ask("GET", "/healthz", "", "").status, 200);
    let link = mailed_link(&agent);
    agent.org(|org| assert!(org.password_is(ADA, "Before-That7"), "nothing changes before it is chosen"));

    let page = daemon.ask("GET", &link, "accept-language: fr-CA,fr;q=0.9\r\n", "");
    assert!(page.status == 200 && page.body.contains("Choisissez votre mot de passe"), "{}", page.body);
    let page = daemon.ask("GET", &link, "", "");
    assert_eq!(page.status, 200, "looking uses nothing up");
    for told in ["has 9 to 72 characters", "has a digit", ADA] {
        assert!(page.body.contains(told), "{told}");
    }
    assert!(!page.body.contains("<script") && !page.body.contains("style="), "{}", page.body);
    for header in
        ["content-security-policy: default-src 'none'", "referrer-policy: no-referrer", "cache-control: no-store"]
    {
        assert!(page.head.to_lowercase().contains(header), "{header} in {}", page.head);
    }
    for language in ["en", "fr"] {
        let address = format!("http://{}{link}", daemon.address);
        picture::take_of(&format!("password-page-{language}"), &address, language, 420, 900);
    }
    let cookie = format!("cookie: {}\r\n", page.cookie());
    let refused = [
        ("", "Good-Enough-77", "Good-Enough-77", "Please enter the password again"),
        (cookie.as_str(), "Good-Enough-77", "Good-Enough-78", "The two passwords are not the same"),
        (cookie.as_str(), "Shrt7", "Shrt7", "must have 9 to 72 characters"),
        (cookie.as_str(), "No-Digit-In-Here", "No-Digit-In-Here", "does not keep to the rules"),
        (cookie.as_str(), "xLovelace-1815", "xLovelace-1815", "must not hold a part of your login"),
        (cookie.as_str(), "no-upper-case-77", "no-upper-case-77", "Password requirements: at least 8 characters"),
    ];
    for (cookie, password, again, why) in refused {
        let page = daemon.ask("POST", &link, cookie, &form(&page, password, again));
        assert!(page.status == 422 && page.body.contains(why), "{why}: {} {}", page.status, page.body);
        assert!(!page.body.contains(password), "a password is never shown again");
        watch(password);
    }
    agent
        .sandbox
        .add_fault(Fault::new(FaultAction::Error { status: 403, code: "E0000006".into() }).on("POST", "/api/v1/users"));
    let later = daemon.ask("POST", &link, &cookie, &form(&page, "Good-Enough-77", "Good-Enough-77"));
    assert!(later.body.contains("Your link is still good"), "{}", later.body);

    let done = daemon.ask("POST", &link, &cookie, &form(&page, "Good-Enough-77", "Good-Enough-77"));
    assert!(done.status == 200 && done.body.contains("Your password is set"), "{}", done.body);
    agent.org(|org| {
        assert!(org.password_is(ADA, "Good-Enough-77"));
        assert_eq!(org.user_status(ADA), Some(Status::Active));
    });
    let reused = daemon.ask("GET", &link, "", "");
    assert!(reused.status == 404 && reused.body.contains("This link does not work"), "{}", reused.body);
    daemon.end();
}

#[test]
fn wrong_links_all_look_alike_are_audited_and_too_many_are_slowed_down() {
    let agent = two_way();
    let authorization = format!("authorization: Bearer {}\r\n", administrator(&agent));
    let daemon = Daemon::start(agent.command(&["run"]));
    let (old, new) = (mailed_link(&agent), mailed_link(&agent));
    let wrong = daemon.ask("GET", "/PasswordReset/Activate/?activationCode=nonsense", "", "");
    assert_eq!(wrong.status, 404);
    let mut broken = new.clone();
    broken.pop();
    for link in [&*old, &*broken, "/PasswordReset/Activate", "/PasswordReset/Activate/?other=1"] {
        let page = daemon.ask("GET", link, "", "");
        assert_eq!((page.status, &page.body), (wrong.status, &wrong.body), "{link}");
    }
    for _ in 5..20 {
        assert_eq!(daemon.ask("GET", &broken, "", "").status, 404);
    }
    let slowed = daemon.ask("GET", &broken, "", "");
    assert!(slowed.status == 429 && slowed.head.contains("retry-after: "), "{}", slowed.head);
    assert_eq!(daemon.ask("GET", &broken, "", "").status, 429);
    assert_eq!(daemon.ask("GET", &new, "", "").status, 200, "a right link goes on working");

    let audit = daemon.ask("GET", "/api/v1/audit?action=password_link", &authorization, "");
    let audit: Value = serde_json::from_str(&audit.body).expect("the API answers in JSON");
    let lines = audit["lines"].as_array().expect("a list");
    let told = |line: &Value| ["actor", "mode", "outcome", "account", "login"].map(|name| line[name].clone());
    // The first of the minute and the first too many; the old link was good once, and nothing is said of whose it was.
    assert_eq!(told(&lines[0]), ["127.0.0.1", "link", "slowed", "", ""], "{audit}");
    assert_eq!(told(&lines[1]), ["127.0.0.1", "link", "refused", "", ""], "{audit}");
    assert_eq!(lines.len(), 2, "{audit}");
    daemon.end();
}
