//! The first password of an account that an order makes: set with the account, told once, kept through a crash.

use acceptance::{
    TestAgent,
    orders::{GROUP_ID, added_user, list, results as results_of},
    watch,
};
use okta_sandbox::{Fault, FaultAction, Status};
use serde_json::{Value, json};

use super::{MailServer, labelled};

const NEW: &str = "new.person@corp.example";

fn agent(server: &MailServer) -> TestAgent {
    let agent = untold();
    super::configure(&agent, server.settings("StartTls"), json!({}));
    agent
}

/// Without settings for mails.
fn untold() -> TestAgent {
    let agent = super::agent("en");
    agent.write(
        "Conf/Passwords.xml",
        r#"<ConfigurationFile>
          <OktaResourceTypeMapping Identifier="Okta_User" Connection="OktaExportFulfillment" DefaultObjectClass="users" PasswordResetSetting="First" />
          <PasswordResetSettings Identifier="First" Mode="1" AutoGenerate="true" MustChange="true"
            NotifiedEmailBinding="AssignedResourceType:Owner.Directory_User:MainRecord.Manager.Mail" />
        </ConfigurationFile>"#,
    );
    super::configure(&agent, json!({ "Enabled": false }), json!({}));
    agent
}

fn order(login: &str) -> String {
    let mut order = added_user("1", login);
    order["Owner"] = json!({ "Id": "91", "MainRecord": { "Manager": { "Mail": "boss@corp.example" } } });
    list(&[order])
}

fn fulfill(server: &MailServer, agent: &TestAgent) -> acceptance::Run {
    acceptance::Run::of(server.command(agent, &["-vv", "--format", "json", "fulfill", acceptance::CONNECTION]))
}

#[test]
fn a_new_account_has_a_password_and_the_right_person_is_told_once() {
    let Some(server) = MailServer::start("starttls") else { return };
    let agent = agent(&server);
    agent.order_file("a.json", &order(NEW));
    // The answer to the creation is lost: whoever made the account, its password is the one that is told.
    agent.sandbox.add_fault(Fault::new(FaultAction::LoseAnswer).on("POST", "/api/v1/users"));
    let run = fulfill(&server, &agent).must_exit(0);
    let report = run.json();
    assert_eq!((&report["executed"], &report["errored"]), (&json!(1), &json!(0)), "{report}");
    let mails = server.mails();
    assert_eq!(mails.len(), 1, "{}", run.stderr);
    assert_eq!((mails.len(), &mails[0]["to"]), (1, &json!(["boss@corp.example"])));
    let password = labelled(&mails[0], "Password");
    watch(password);
    agent.org(|org| {
        assert!(org.password_is(NEW, password));
        assert_eq!(org.user_status(NEW), Some(Status::PasswordExpired));
    });
    // The same order again finds its account there: its password stays, and nobody is told.
    agent.order_file("b.json", &order(NEW));
    fulfill(&server, &agent).must_exit(0);
    assert_eq!(server.mails().len(), 1);
    agent.org(|org| assert!(org.password_is(NEW, password)));
}

#[test]
fn an_outage_between_two_runs_neither_changes_the_password_nor_tells_twice() {
    let Some(server) = MailServer::start("starttls") else { return };
    let agent = agent(&server);
    agent.set("RetryBudgetSeconds", json!(1));
    agent.order_file("a.json", &order(NEW));
    // The account is made, and from then on nothing answers.
    agent.sandbox.add_fault(Fault::new(FaultAction::LoseAnswer).on("POST", "/api/v1/users"));
    agent.sandbox.add_fault(Fault::new(FaultAction::Html(502)).on("GET", "/api/v1/users").always());
    fulfill(&server, &agent).must_exit(5);
    assert_eq!(server.mails().len(), 0, "nobody is told before it is certain");
    agent.sandbox.clear_faults();
    let before = agent.org(|org| org.user(NEW).is_some());
    assert!(before, "the account was made");
    fulfill(&server, &agent).must_exit(0);
    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    let password = labelled(&mails[0], "Password");
    watch(password);
    agent.org(|org| assert!(org.password_is(NEW, password)));
}

#[test]
fn an_account_that_was_there_keeps_its_password_and_nobody_is_told() {
    let Some(server) = MailServer::start("starttls") else { return };
    let agent = agent(&server);
    agent.org(|org| org.set_password(super::ADA, "Before-That7"));
    agent.order_file("a.json", &order(super::ADA));
    fulfill(&server, &agent).must_exit(0);
    agent.org(|org| assert!(org.password_is(super::ADA, "Before-That7")));
    assert_eq!(server.mails().len(), 0);
}

#[test]
fn a_password_that_nobody_was_to_be_told_is_not_made_up_again_to_be_told_later() {
    let agent = untold();
    // More groups than can be told with the creation.
    let groups: Vec<Value> =
        (0..30).map(|number| json!({ GROUP_ID: agent.org(|org| org.add_group(&format!("Staff {number}"))) })).collect();
    let mut order = added_user("1", NEW);
    order["Changes"]["Groups_add"] = json!(groups);
    agent.order_file("a.json", &list(&[order]));
    // The account is made, and then nothing more can be done for it.
    agent.set("RetryBudgetSeconds", json!(1));
    agent.sandbox.add_fault(Fault::new(FaultAction::Html(502)).on("PUT", "/api/v1/groups").always());
    agent.fulfill(&[]).must_exit(5);
    agent.sandbox.clear_faults();
    assert!(agent.org(|org| org.user(NEW).is_some()), "the account was made");
    super::configure(&agent, json!({ "PickupDirectory": "../Mails" }), json!({}));
    let report = agent.fulfill(&["--format", "json"]).must_exit(0).json();
    let results = std::fs::read_to_string(report["results"].as_str().expect("a path")).expect("they can be read");
    let (state, told) = results_of(&results)["1"].clone();
    assert_eq!(state, "Executed");
    assert!(told.contains("nobody is told the account's first password"), "{told}");
    assert!(!agent.beside("Mails").exists(), "what it would say may be untrue");
}
