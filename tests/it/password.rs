//! Passwords reset by the program: every mode, both languages, a real mail server, and nothing that shows a password.

pub(crate) mod daemon;
mod first;
mod killed;
mod mail_server;
mod modes;
mod picture;

use acceptance::{CONNECTION, Run, TestAgent, watch};
use mail_server::{MailServer, USER};
use okta_sandbox::{Fault, FaultAction, Seed, Status};
use serde_json::{Value, json};

pub(crate) const ADA: &str = "ada.lovelace@corp.example";
const WAYS: &str = r#"
  <PasswordResetSettings Identifier="OneWay" Mode="1" AutoGenerate="true" MustChange="true" NotificationCC="audit@corp.example" />
  <PasswordResetSettings Identifier="Temporary" Mode="1" />
  <PasswordResetSettings Identifier="Written" Mode="1" DefaultPassword="Rather-Bad-Idea7" />
  <PasswordResetSettings Identifier="Link" Mode="2" StrengthCheck="'^..........*$','^.*[0-9].*$'" />
  <PasswordResetSettings Identifier="LinkTold" Mode="2" NotificationCC="audit@corp.example" />
  <PasswordResetSettings Identifier="Off" Mode="0" />
  <PasswordResetSettings Identifier="Silent" Mode="1" AutoGenerate="true" DisableNotifications="true" />
  <PasswordResetSettings Identifier="Impossible" Mode="1" AutoGenerate="true" GeneratedLength="4"
    GeneratedLowerCaseCharsCount="4" GeneratedUpperCaseCharsCount="0" GeneratedDigitCharsCount="0" GeneratedSymbolCharsCount="0" />
"#;
pub(crate) const CONFIRMATION: &str = "http://localhost:5000/PasswordReset/Activate/?activationCode=";

/// An agent whose organisation has Ada, who speaks this language.
pub(crate) fn agent(language: &str) -> TestAgent {
    watch("Rather-Bad-Idea7");
    let agent = TestAgent::seeded(Seed::exact(3, 1, 1, 1));
    agent.org(|org| {
        let profile = json!({
            "login": ADA, "email": ADA, "secondEmail": "ada@home.example", "firstName": "Ada",
            "lastName": "Lovelace", "preferredLanguage": language,
        });
        org.add_user(profile, Status::Active)
    });
    agent.write("Conf/Passwords.xml", &format!("<ConfigurationFile>{WAYS}</ConfigurationFile>"));
    agent
}

/// Gives the agent these settings of password resets beside those of mails.
pub(crate) fn configure(agent: &TestAgent, mail: impl Into<Value>, more: impl Into<Value>) {
    let (mail, more): (Value, Value) = (mail.into(), more.into());
    let mut section = json!({ "NotificationSettings": { "Cultures": ["en", "fr"] }, "MailSettings": mail });
    section
        .as_object_mut()
        .expect("the settings are objects")
        .extend(more.as_object().expect("the settings are objects").clone());
    let settings = json!({ "PasswordResetSettings": section });
    agent.write("appsettings.agent.Production.json", &settings.to_string());
}

fn reset(server: &MailServer, agent: &TestAgent, further: &[&str]) -> Run {
    let arguments = [&["-vv", "--format", "json", "reset-password", CONNECTION, ADA][..], further].concat();
    Run::of(server.command(agent, &arguments))
}

/// Carries a statement out in the agent's store, to let time pass there that a test does not wait for.
pub(crate) fn in_store(agent: &TestAgent, statement: &str) {
    let python = acceptance::python().expect("it runs the mail server");
    let script = "import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()";
    let mut command = std::process::Command::new(python);
    command.args(["-c", script]).arg(agent.directory().join("Work").join("agent.db")).arg(statement);
    assert!(command.status().expect("Python starts").success(), "{statement}");
}

/// What a statement finds in the agent's store: rows of values.
pub(crate) fn from_store(agent: &TestAgent, statement: &str) -> Value {
    let python = acceptance::python().expect("it runs the mail server");
    let script =
        "import sqlite3,sys,json; print(json.dumps(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall()))";
    let mut command = std::process::Command::new(python);
    command.args(["-c", script]).arg(agent.directory().join("Work").join("agent.db")).arg(statement);
    serde_json::from_slice(&command.output().expect("Python starts").stdout).expect("rows are JSON")
}

/// Says what a test leaves out.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
pub(crate) fn say(what: &str) {
    eprintln!("{what}");
}

/// The word behind this label in a mail's text.
pub(crate) fn labelled<'a>(mail: &'a Value, label: &str) -> &'a str {
    let text = mail["text"].as_str().expect("a mail has a text");
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    line.unwrap_or_else(|| panic!("`{label}` is in {text}")).trim_start_matches([' ', ':']).trim()
}

#[test]
fn a_password_is_made_up_set_and_mailed_in_the_persons_language() {
    for (language, subject, label) in [
        ("en", "Your new password for ada.lovelace@corp.example", "Password"),
        ("fr_CA", "Votre nouveau mot de passe pour ada.lovelace@corp.example", "Mot de passe"),
    ] {
        let Some(server) = MailServer::start("starttls") else { return };
        let agent = agent(language);
        configure(&agent, server.settings("StartTls"), json!({}));
        let run = reset(&server, &agent, &["--setting", "oneway", "--revoke-sessions"]).must_exit(0);
        let report = run.json();
        for (key, value) in [
            ("connection", json!(CONNECTION)),
            ("user", json!(ADA)),
            ("mode", json!("one_way")),
            ("effect", json!("password_set_must_change")),
            ("notified", json!("ada@home.example")),
            ("notice", json!("sent")),
            ("sessions_revoked", json!(true)),
            ("temporary_password", json!(null)),
        ] {
            assert_eq!(report[key], value, "{key} in {report}");
        }
        let mails = server.mails();
        assert_eq!(mails.len(), 2);
        let to = |address: &str| mails.iter().find(|mail| mail["to"] == json!([address])).expect("a mail to it");
        let [copy, mail] = ["audit@corp.example", "ada@home.example"].map(to);
        assert_eq!(
            (mail["subject"].as_str(), &mail["encrypted"], &mail["login"]),
            (Some(subject), &json!(true), &json!(USER))
        );
        let password = labelled(mail, label);
        watch(password);
        agent.org(|org| {
            assert!(org.password_is(ADA, password), "the mail holds the password");
            assert_eq!(org.user_status(ADA), Some(Status::PasswordExpired));
        });
        assert!(mail["html"].as_str().unwrap().contains("<strong>ada.lovelace@corp.example</strong>"));
        assert!(!copy.to_string().contains(password), "a copy does not hold the password");
        assert!(!format!("{}{}", run.stdout, run.stderr).contains(password), "no report and no log does");
        picture::take(&format!("password-mail-{}", &language[..2]), mail["html"].as_str().unwrap());
        // When it is dropped, the whole agent directory with its store is searched for the password.
    }
}

#[test]
fn every_security_of_a_mail_server_is_spoken_or_refused() {
    let modes = [
        ("tls", "SslOnConnect", "sent"),
        ("starttls", "Auto", "sent"),
        ("starttls", "StartTlsWhenAvailable", "sent"),
        ("plain", "StartTlsWhenAvailable", "sent"),
        ("plain", "None", "sent"),
        ("plain", "StartTls", "queued"),
        ("starttls", "None", "queued"),
    ];
    for (mode, security, notice) in modes {
        let Some(server) = MailServer::start(mode) else { return };
        let agent = agent("en");
        let mut settings = server.settings(security);
        if mode == "plain" {
            let settings = settings.as_object_mut().unwrap();
            settings.remove("Username");
            settings.remove("Password");
        }
        configure(&agent, settings, json!({}));
        let report = reset(&server, &agent, &["--setting", "Temporary"]).must_exit(0).json();
        assert_eq!(
            (&report["notice"], &report["effect"]),
            (&json!(notice), &json!("temporary_password_set")),
            "{mode} {security}: {report}"
        );
        for mail in server.mails() {
            let password = labelled(&mail, "Password");
            watch(password);
            agent.org(|org| assert!(org.password_is(ADA, password)));
        }
    }
}

#[test]
fn a_mail_server_that_is_down_delays_the_notice_and_nothing_else() {
    let Some(server) = MailServer::start("starttls") else { return };
    let agent = agent("en");
    let mut settings = server.settings("StartTls");
    // A port that nobody listens on.
    settings["Port"] = json!(std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    configure(&agent, settings, json!({}));
    let report = reset(&server, &agent, &["--setting", "Temporary"]).must_exit(0).json();
    assert_eq!((&report["notice"], &report["notified"]), (&json!("queued"), &Value::Null));
    assert!(report["note"].as_str().unwrap().contains("it waits and is tried again"), "{report}");

    // The daemon finds it waiting, when its time has come; the first pause is a minute, which the store is told is over.
    configure(&agent, server.settings("StartTls"), json!({}));
    in_store(&agent, "UPDATE notices SET due_ms = 0");
    let daemon = daemon::Daemon::start(server.command(&agent, &["run"]));
    daemon::until(|| server.mails().len() == 1);
    daemon.end();
    let mails = server.mails();
    let password = labelled(&mails[0], "Password");
    watch(password);
    agent.org(|org| assert!(org.password_is(ADA, password)));
}

#[test]
fn a_mail_that_a_wrong_clock_finds_too_old_and_puts_off_for_years_is_tried_before_it_is_given_up() {
    if acceptance::python().is_none() {
        say("left out: there is no Python that looks into the store");
        return;
    }
    let agent = agent("en");
    let folder = agent.beside("Mails");
    configure(&agent, json!({ "PickupDirectory": "../Mails" }), json!({}));
    std::fs::write(&folder, "in the way").unwrap();
    let report = agent.run(&["--format", "json", "reset-password", CONNECTION, ADA, "--setting", "Temporary"]);
    assert_eq!(report.must_exit(0).json()["notice"], "queued");
    std::fs::remove_file(&folder).unwrap();
    in_store(&agent, "UPDATE notices SET created_ms = 0, due_ms = 9000000000000000");
    let daemon = daemon::Daemon::start(agent.command(&["run"]));
    daemon::until(|| folder.exists() && acceptance::files(&folder).keys().any(|name| name.ends_with(".eml")));
    daemon.end();
    acceptance::watch_mail(&String::from_utf8_lossy(acceptance::files(&folder).values().next().unwrap()));
}

#[test]
fn mails_go_into_a_folder_where_that_is_asked_for() {
    let agent = agent("fr");
    let folder = agent.beside("Mails");
    configure(&agent, json!({ "UseSpecifiedPickupDirectory": "true", "PickupDirectory": "../Mails" }), json!({}));
    let run = agent.run(&["--format", "json", "reset-password", CONNECTION, ADA, "--setting", "Temporary", "--show"]);
    let report = run.must_exit(0).json();
    let password = report["temporary_password"].as_str().expect("--show shows it");
    agent.org(|org| assert!(org.password_is(ADA, password)));
    let files = acceptance::files(&folder);
    assert_eq!(files.len(), 1, "{:?}", files.keys());
    assert!(files.keys().all(|name| name.ends_with(".eml")));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.join(files.keys().next().unwrap());
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn okta_mails_its_own_link_where_we_have_no_page() {
    let agent = agent("en");
    configure(&agent, json!({ "Enabled": "false" }), json!({}));
    let command = &["--format", "json", "reset-password", CONNECTION, ADA, "--setting", "Link"];
    let report = agent.run(command).must_exit(0).json();
    assert_eq!((&report["mode"], &report["effect"]), (&json!("mailed_link"), &json!("link_mailed")), "{report}");
    assert_eq!(agent.org(|org| org.user_status(ADA)), Some(Status::Recovery));
}

#[test]
fn accounts_are_unlocked_and_nothing_else_is_done() {
    let agent = agent("en");
    agent.org(|org| org.set_user_status(ADA, Status::LockedOut));
    let unlock = || agent.run(&["--format", "json", "reset-password", CONNECTION, ADA, "--unlock"]).must_exit(0).json();
    assert_eq!(
        (&unlock()["effect"], agent.org(|org| org.user_status(ADA))),
        (&json!("unlocked"), Some(Status::Active))
    );
    assert_eq!(unlock()["effect"], "not_locked");
}

#[test]
fn what_cannot_be_done_is_told_before_anything_is_changed() {
    let agent = agent("en");
    agent.org(|org| org.set_password(ADA, "Before-That7"));
    let mail = json!({ "PickupDirectory": "../Mails", "AllowedDomains": "corp.example;other.example" });
    let cases: [(&[&str], Value, i32, &str); 9] = [
        (&[ADA], mail.clone(), 3, "several password reset settings can be meant"),
        (&[ADA, "--setting", "Nothing"], mail.clone(), 3, "no password reset settings `Nothing`"),
        (&[ADA, "--setting", "Off"], mail.clone(), 3, "switch resets off"),
        (&[ADA, "--setting", "Silent"], mail.clone(), 3, "nobody would learn the new password"),
        (&[ADA, "--setting", "Temporary"], json!({}), 3, "no mail is sent without `MailSettings`"),
        (
            &[ADA, "--setting", "Temporary", "--notify", "eve@evil.example"],
            mail.clone(),
            3,
            "does not let mails go to `evil.example`",
        ),
        (
            &[ADA, "--setting", "Temporary", "--notify", "a@corp.example\nBcc: eve@evil.example"],
            mail.clone(),
            3,
            "is no mail address",
        ),
        (
            &["nobody@corp.example", "--setting", "Temporary"],
            mail.clone(),
            5,
            "no account has the login or id `nobody@corp.example`",
        ),
        (&["ada.lovelace", "--setting", "Temporary"], mail.clone(), 5, "is no whole login: one login begins with it"),
    ];
    for (arguments, mail, code, why) in cases {
        configure(&agent, mail, json!({}));
        let run = agent.run(&[&["reset-password", CONNECTION], arguments].concat()).must_exit(code);
        assert!(run.failure().contains(why), "{arguments:?}: {}", run.failure());
        agent.org(|org| assert!(org.password_is(ADA, "Before-That7"), "{arguments:?}"));
    }
    // The second address is not one that mails may go to; the first is.
    configure(&agent, mail, json!({}));
    let command = ["--format", "json", "reset-password", CONNECTION, ADA, "--setting", "Temporary"];
    assert_eq!(agent.run(&command).must_exit(0).json()["notified"], ADA);
}

#[test]
fn everything_wrong_with_the_settings_is_told_at_once() {
    let agent = agent("en");
    let bad = r#"<ConfigurationFile>
        <PasswordGenerationSetting AllowedSymbolChars="!a" />
        <PasswordResetSettings Identifier="A" Mode="1" AutoGenerate="true" StrengthCheck="'(?&lt;-x&gt;y)'" />
        <PasswordResetSettings Identifier="B" Mode="1" AutoGenerate="true" GeneratedLength="0" GeneratedLowerCaseCharsCount="0"
          GeneratedUpperCaseCharsCount="0" GeneratedDigitCharsCount="0" GeneratedSymbolCharsCount="0" NotificationCC="nobody" />
      </ConfigurationFile>"#;
    agent.write("Conf/Passwords.xml", bad);
    let more = json!({
        "TokenBuildingSettings": { "ValidFor": "3 hours" }, "NotificationSettings": { "Cultures": ["de"] },
        "TwoFactorSettings": { "ResetConfirmationUri": "http://agent.corp.example/PasswordReset/Activate/?activationCode=" },
    });
    configure(&agent, json!({ "Host": "mail", "FromAddress": "x", "SecureSocketOption": "Often" }), more);
    let run = agent.run(&["reset-password", CONNECTION, ADA]).must_exit(3);
    for why in [
        "`AllowedSymbolChars` holds `a`",
        "balancing groups are .NET's alone",
        "the password would be empty",
        "`NotificationCC` is no mail address",
        "ValidFor` is no time",
        "Cultures` names a language",
        "ResetConfirmationUri` would send people a link that others can read",
        "SecureSocketOption` is not known",
    ] {
        assert!(run.stderr.contains(why), "{why} in {}", run.stderr);
    }
    // What does not concern passwords goes on.
    agent.run(&["check"]).must_exit(0);
}

#[test]
fn what_okta_refuses_is_told_in_its_words_and_nobody_is_written_to() {
    let agent = agent("en");
    configure(&agent, json!({ "PickupDirectory": "../Mails" }), json!({}));
    let run = agent.run(&["reset-password", CONNECTION, ADA, "--setting", "Impossible"]).must_exit(5);
    assert!(run.failure().contains("Password requirements: at least 8 characters"), "{}", run.failure());
    agent.org(|org| org.set_user_status(ADA, Status::Deprovisioned));
    let run = agent.run(&["reset-password", CONNECTION, ADA, "--setting", "Temporary"]).must_exit(5);
    assert!(run.failure().contains("the account is deactivated"), "{}", run.failure());
    assert!(acceptance::files(&agent.beside("Mails")).is_empty());
}

#[test]
fn resets_of_one_account_come_one_after_the_other_and_every_mail_but_the_last_is_overtaken() {
    let agent = agent("en");
    configure(&agent, json!({ "PickupDirectory": "../Mails" }), json!({}));
    agent.sandbox.add_fault(Fault::new(FaultAction::LoseAnswer).on("POST", "/api/v1/users"));
    let command =
        || agent.command(&["--format", "json", "reset-password", CONNECTION, ADA, "--setting", "OneWay", "--show"]);
    let running: Vec<_> = (0..3).map(|_| command().spawn().unwrap()).collect();
    let runs: Vec<Run> =
        running.into_iter().map(|child| Run::from(child.wait_with_output().unwrap()).must_exit(0)).collect();
    let passwords: Vec<String> =
        runs.iter().map(|run| run.json()["temporary_password"].as_str().unwrap().to_owned()).collect();
    let good = agent.org(|org| passwords.iter().filter(|password| org.password_is(ADA, password)).count());
    assert_eq!(good, 1, "the last one set is the account's");
    // Each told its own password, and once; each copy once.
    assert_eq!(acceptance::files(&agent.beside("Mails")).len(), 6);
}
