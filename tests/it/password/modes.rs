//! Every mode, in both languages, by the real mail server: what the organisation holds afterwards and what is told to whom.

use acceptance::{CONNECTION, Run, TestAgent};
use okta_sandbox::{Fault, FaultAction, Status};
use serde_json::{Value, json};

use super::{
    ADA, CONFIRMATION, MailServer, agent, configure,
    daemon::{Daemon, until},
    in_store, labelled, picture,
};

/// What a person reads, in each language.
struct Words {
    language: &'static str,
    password: &'static str,
    new_password: &'static str,
    choose: &'static str,
    was_reset: &'static str,
    page: &'static str,
}

const LANGUAGES: [Words; 2] = [
    Words {
        language: "en",
        password: "Password",
        new_password: "Your new password for ada.lovelace@corp.example",
        choose: "Choose your new password for ada.lovelace@corp.example",
        was_reset: "The password of Ada Lovelace was reset",
        page: "Choose your password",
    },
    Words {
        language: "fr",
        password: "Mot de passe",
        new_password: "Votre nouveau mot de passe pour ada.lovelace@corp.example",
        choose: "Choisissez votre nouveau mot de passe pour ada.lovelace@corp.example",
        was_reset: "Le mot de passe de Ada Lovelace a été réinitialisé",
        page: "Choisissez votre mot de passe",
    },
];

fn with_page() -> Value {
    let two_way = json!({ "ApplicationUri": "https://sign-in.corp.example", "ResetConfirmationUri": CONFIRMATION });
    json!({ "TwoFactorSettings": two_way })
}

fn reset(server: &MailServer, agent: &TestAgent, further: &[&str]) -> Value {
    let arguments = [&["-vv", "--format", "json", "reset-password", CONNECTION, ADA][..], further].concat();
    Run::of(server.command(agent, &arguments)).must_exit(0).json()
}

/// Where the link of a mail leads on the daemon.
fn link(mail: &Value) -> String {
    let text = mail["text"].as_str().expect("a mail has a text");
    let line = text.lines().find(|line| line.starts_with(CONFIRMATION)).expect("the mail holds the link");
    line.trim_start_matches("http://localhost:5000").to_owned()
}

#[test]
fn passwords_that_we_or_okta_make_up_are_told_in_both_languages() {
    for words in &LANGUAGES {
        let Some(server) = MailServer::start("starttls") else { return };
        for (setting, mode, effect, status) in [
            ("OneWay", "one_way", "password_set_must_change", Status::PasswordExpired),
            ("Written", "one_way", "password_set", Status::Active),
            ("Temporary", "temporary_password", "temporary_password_set", Status::PasswordExpired),
        ] {
            let agent = agent(words.language);
            configure(&agent, server.settings("StartTls"), json!({}));
            let before = server.mails().len();
            let report = reset(&server, &agent, &["--setting", setting, "--revoke-sessions"]);
            for (key, value) in
                [("mode", mode), ("effect", effect), ("notice", "sent"), ("notified", "ada@home.example")]
            {
                assert_eq!(report[key], value, "{setting} {}: {report}", words.language);
            }
            assert_eq!(report["sessions_revoked"], true);
            let mails = server.mails().split_off(before);
            let mail = mails.iter().find(|mail| mail["to"] == json!(["ada@home.example"])).expect("she is told");
            assert_eq!((&mail["subject"], &mail["encrypted"]), (&json!(words.new_password), &json!(true)));
            assert_eq!(mail["headers"]["Content-Language"], words.language);
            agent.org(|org| {
                assert!(org.password_is(ADA, labelled(mail, words.password)), "{setting}");
                assert_eq!(org.user_status(ADA), Some(status), "{setting}");
            });
        }
    }
}

#[test]
fn a_link_is_mailed_used_once_and_told_in_both_languages() {
    for words in &LANGUAGES {
        let Some(server) = MailServer::start("starttls") else { return };
        let agent = agent(words.language);
        configure(&agent, server.settings("StartTls"), with_page());
        let report = reset(&server, &agent, &["--setting", "LinkTold"]);
        assert_eq!((&report["mode"], &report["notice"]), (&json!("two_way"), &json!("sent")), "{report}");
        let mails = server.mails();
        assert_eq!(mails.len(), 1, "nothing was reset yet, so nobody else is told");
        let mail = &mails[0];
        assert_eq!(
            (&mail["subject"], &mail["to"], &mail["encrypted"]),
            (&json!(words.choose), &json!(["ada@home.example"]), &json!(true))
        );
        picture::take(&format!("link-mail-{}", words.language), mail["html"].as_str().expect("it has HTML"));

        let daemon = Daemon::start(server.command(&agent, &["run"]));
        let accept = format!("accept-language: {}\r\n", words.language);
        let page = daemon.ask("GET", &link(mail), &accept, "");
        assert!(page.status == 200 && page.body.contains(words.page), "{}", page.body);
        let headers = format!("{accept}cookie: {}\r\n", page.cookie());
        let form = super::daemon::form(&page, "Good-Enough-77", "Good-Enough-77");
        acceptance::watch("Good-Enough-77");
        assert_eq!(daemon.ask("POST", &link(mail), &headers, &form).status, 200);
        agent.org(|org| assert!(org.password_is(ADA, "Good-Enough-77")));
        assert_eq!(daemon.ask("POST", &link(mail), &headers, &form).status, 404, "once");

        until(|| server.mails().len() == 2);
        let copy = &server.mails()[1];
        assert_eq!((&copy["subject"], &copy["to"]), (&json!(words.was_reset), &json!(["audit@corp.example"])));
        picture::take(&format!("copy-mail-{}", words.language), copy["html"].as_str().expect("it has HTML"));
        daemon.end();
    }
}

#[test]
fn a_link_ends_with_its_time_and_with_a_newer_one() {
    let Some(server) = MailServer::start("starttls") else { return };
    let agent = agent("en");
    configure(&agent, server.settings("StartTls"), with_page());
    for _ in 0..2 {
        reset(&server, &agent, &["--setting", "Link"]);
    }
    let links: Vec<String> = server.mails().iter().map(link).collect();
    let daemon = Daemon::start(server.command(&agent, &["run"]));
    let ask = |link: &str| daemon.ask("GET", link, "", "").status;
    assert_eq!((ask(&links[0]), ask(&links[1])), (404, 200), "the newer one ends the older");
    let page = daemon.ask("GET", &links[1], "", "");
    let cookie = format!("cookie: {}\r\n", page.cookie());
    in_store(&agent, "UPDATE password_links SET expires_ms = 1");
    agent.org(|org| org.set_password(ADA, "Before-That7"));
    let late = daemon.ask("POST", &links[1], &cookie, &super::daemon::form(&page, "Good-Enough-77", "Good-Enough-77"));
    let wrong = daemon.ask("GET", "/PasswordReset/Activate/?activationCode=nonsense", "", "");
    assert_eq!((late.status, &late.body), (404, &wrong.body), "an outdated link tells nothing");
    agent.org(|org| assert!(org.password_is(ADA, "Before-That7")));
    daemon.end();
}

#[test]
fn okta_mails_its_link_and_accounts_are_unlocked_whatever_the_language() {
    for words in &LANGUAGES {
        let Some(server) = MailServer::start("starttls") else { return };
        let agent = agent(words.language);
        configure(&agent, server.settings("StartTls"), json!({}));
        agent.org(|org| org.set_user_status(ADA, Status::LockedOut));
        let report = reset(&server, &agent, &["--unlock"]);
        assert_eq!((&report["effect"], &report["notice"]), (&json!("unlocked"), &json!("none")));
        let report = reset(&server, &agent, &["--setting", "Link"]);
        assert_eq!((&report["mode"], &report["effect"]), (&json!("mailed_link"), &json!("link_mailed")));
        assert_eq!(agent.org(|org| org.user_status(ADA)), Some(Status::Recovery));
        assert_eq!(server.mails().len(), 0, "Okta mails it, not we");
    }
}

#[test]
fn a_lost_answer_is_made_up_for_and_told_once() {
    for setting in ["OneWay", "Temporary", "Link"] {
        for fault in [FaultAction::LoseAnswer, FaultAction::ErrorAfter { status: 500, code: "E0000009".into() }] {
            let Some(server) = MailServer::start("starttls") else { return };
            let agent = agent("en");
            configure(&agent, server.settings("StartTls"), with_page());
            agent.sandbox.add_fault(Fault::new(fault.clone()).on("POST", "/api/v1/users").times(2));
            reset(&server, &agent, &["--setting", setting]);
            let mails = server.mails();
            let told: Vec<&Value> = mails.iter().filter(|mail| mail["to"] == json!(["ada@home.example"])).collect();
            assert_eq!(told.len(), 1, "{setting} after {fault:?}");
            if setting != "Link" {
                agent.org(|org| assert!(org.password_is(ADA, labelled(told[0], "Password")), "{setting} {fault:?}"));
            }
        }
    }
}

#[test]
fn a_newer_reset_overtakes_the_notice_that_still_waits() {
    let Some(server) = MailServer::start("starttls") else { return };
    let agent = agent("en");
    let mut down = server.settings("StartTls");
    down["Port"] = json!(std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    configure(&agent, down, json!({}));
    for setting in ["OneWay", "Temporary"] {
        assert_eq!(reset(&server, &agent, &["--setting", setting])["notice"], "queued");
    }
    configure(&agent, server.settings("StartTls"), json!({}));
    in_store(&agent, "UPDATE notices SET due_ms = 0");
    // Sends what waits, and needs no notice of its own.
    let daemon = Daemon::start(server.command(&agent, &["run"]));
    until(|| server.mails().len() >= 2);
    daemon.end();
    let mails = server.mails();
    let told: Vec<&Value> = mails.iter().filter(|mail| mail["to"] == json!(["ada@home.example"])).collect();
    assert_eq!(told.len(), 1, "the password of the first reset is good no more");
    agent.org(|org| assert!(org.password_is(ADA, labelled(told[0], "Password"))));
    assert_eq!(mails.len(), 2, "that the first one happened is true still: {mails:?}");
}

#[test]
fn addresses_that_catch_all_get_every_mail_and_every_copy() {
    let Some(server) = MailServer::start("tls") else { return };
    let agent = agent("en");
    let mut mail = server.settings("SslOnConnect");
    mail["CatchAllAddress"] = json!("everything@corp.example");
    mail["CatchAllCCAddress"] = json!("copies@corp.example");
    // Nobody but these two is written to, so the domains of people do not matter.
    mail["AllowedDomains"] = json!("corp.example");
    configure(&agent, mail, json!({}));
    assert_eq!(reset(&server, &agent, &["--setting", "Temporary"])["notified"], "everything@corp.example");
    let to: Vec<Value> = server.mails().iter().map(|mail| mail["to"].clone()).collect();
    assert!(to.iter().all(|to| *to == json!(["everything@corp.example"])) && to.len() == 2, "{to:?}");
}

#[test]
fn protected_accounts_are_refused_before_anybody_is_written_to() {
    let Some(server) = MailServer::start("starttls") else { return };
    let agent = agent("en");
    configure(&agent, server.settings("StartTls"), with_page());
    agent.set("ProtectedUserFilter", json!(format!("profile.login eq \"{ADA}\"")));
    agent.org(|org| org.set_password(ADA, "Before-That7"));
    for further in [&["--setting", "OneWay"][..], &["--setting", "Link"], &["--setting", "Temporary"], &["--unlock"]] {
        let arguments = [&["reset-password", CONNECTION, ADA][..], further].concat();
        let run = Run::of(server.command(&agent, &arguments)).must_exit(5);
        assert!(run.failure().contains("protected by the setting `ProtectedUserFilter`"), "{}", run.failure());
    }
    let run =
        Run::of(server.command(&agent, &["reset-password", CONNECTION, "admin@example.com", "--setting", "Link"]));
    assert!(run.must_exit(5).failure().contains("is the one this connection signs in as"));
    agent.org(|org| assert!(org.password_is(ADA, "Before-That7")));
    assert_eq!(server.mails().len(), 0);
}
