//! Resets and first passwords whose process is killed at whatever moment: nobody is told a password that is not true,
//! none is told in two versions, and none that an account has is told to nobody.
//!
//! Chance is seeded, and the seed is in every message. Time that nobody waits for is made to pass in the store.

use std::{
    collections::BTreeMap,
    process::Child,
    time::{Duration, Instant},
};

use acceptance::{
    CONNECTION, Chance, Run, TestAgent,
    orders::{added_user, list},
};
use okta_sandbox::{Fault, FaultAction, Status};
use serde_json::{Value, json};

use super::{ADA, MailServer, agent, configure, in_store, labelled};

const SEED: u64 = 20_260_301;
const ROUNDS: usize = 30;
/// Kills while accounts are made, and while they are told.
const KILLS: [usize; 2] = [15, 5];
const ACCOUNTS: usize = 70;
/// Longer than any test waits.
const HOLD: Duration = Duration::from_secs(60);

/// The moment of a kill: at a request to Okta, before or after it is carried out, or while the mail server has the mail.
enum Moment {
    Okta(Fault),
    Mail,
}

fn moment(chance: &mut Chance, requests: usize) -> Moment {
    let nth = 1 + u32::try_from(chance.below(requests)).expect("it is small");
    let action = if chance.below(3) == 0 { FaultAction::SlowRequest(HOLD) } else { FaultAction::SlowFirstByte(HOLD) };
    Moment::Okta(Fault::new(action).nth(nth))
}

/// Kills the process at the moment; whether it was still at work.
fn kill_at(moment: Moment, server: &MailServer, agent: &TestAgent, start: impl FnOnce() -> Child) -> bool {
    let (hits, mails) = (agent.sandbox.faults_hit(), server.mails().len());
    match moment {
        Moment::Okta(fault) => agent.sandbox.add_fault(fault),
        Moment::Mail => server.hold(true),
    }
    let mut process = start();
    let began = Instant::now();
    while process.try_wait().expect("it is ours").is_none() {
        if agent.sandbox.faults_hit() > hits || server.mails().len() > mails {
            break;
        }
        assert!(began.elapsed() < HOLD, "seed {SEED}: the moment does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
    let is_killed = process.try_wait().expect("it is ours").is_none();
    process.kill().expect("it is ours");
    let _ = Run::from(process.wait_with_output().expect("it is ours"));
    agent.sandbox.clear_faults();
    server.hold(false);
    // Leases of the dead run out, and what it was sending is due again.
    in_store(agent, "DELETE FROM account_leases");
    in_store(agent, "UPDATE notices SET due_ms = 0 WHERE due_ms IS NOT NULL");
    is_killed
}

/// Mails that tell a password, by what they are named; the same name is the same mail.
fn told<'a>(mails: &'a [Value], to: &str) -> BTreeMap<&'a str, &'a Value> {
    let mut told: BTreeMap<&str, &Value> = BTreeMap::new();
    for mail in mails.iter().filter(|mail| mail["to"] == json!([to])) {
        let name = mail["headers"]["Message-ID"].as_str().expect("every mail has a name");
        if let Some(earlier) = told.insert(name, mail) {
            assert_eq!(earlier["text"], mail["text"], "seed {SEED}: a mail that comes twice says the same");
        }
    }
    told
}

#[test]
fn a_killed_reset_tells_nothing_untrue_and_the_next_one_tells_the_truth_last() {
    let Some(server) = MailServer::start("starttls") else { return };
    let agent = agent("en");
    configure(&agent, server.settings("StartTls"), json!({}));
    let mut chance = Chance::of(SEED);
    let mut killed = 0;
    for round in 0..ROUNDS {
        let setting = ["OneWay", "Temporary"][chance.below(2)];
        let command =
            || server.command(&agent, &["--format", "json", "reset-password", CONNECTION, ADA, "--setting", setting]);
        agent.org(|org| org.set_password(ADA, "Before-That7") && org.set_user_status(ADA, Status::Active));
        let before = server.mails().len();
        if chance.below(3) == 0 {
            agent.sandbox.add_fault(Fault::new(FaultAction::LoseAnswer).on("POST", "/api/v1/users"));
        }
        let moment = if chance.below(3) == 0 { Moment::Mail } else { moment(&mut chance, 5) };
        killed += usize::from(kill_at(moment, &server, &agent, || command().spawn().expect("the program starts")));

        let so_far = server.mails().split_off(before);
        for mail in told(&so_far, "ada@home.example").values() {
            let is_true = agent.org(|org| org.password_is(ADA, labelled(mail, "Password")));
            assert!(is_true, "seed {SEED}, round {round}: what is told is so");
        }
        let report = Run::of(command()).must_exit(0).json();
        assert_eq!(report["notice"], "sent", "seed {SEED}, round {round}: {report}");
        let mails = server.mails().split_off(before);
        let last = mails.iter().rfind(|mail| mail["to"] == json!(["ada@home.example"])).expect("she is told");
        let is_true = agent.org(|org| org.password_is(ADA, labelled(last, "Password")));
        assert!(is_true, "seed {SEED}, round {round}: the last mail tells the password");
        let resets = told(&mails, "ada@home.example").len();
        assert!(resets <= 2, "seed {SEED}, round {round}: {resets} mails of two resets");
    }
    assert!(killed >= ROUNDS / 2, "seed {SEED}: {killed} of {ROUNDS} were killed before they were done");
}

#[test]
fn first_passwords_are_told_in_one_version_however_often_the_run_is_killed() {
    let Some(server) = MailServer::start("starttls") else { return };
    let agent = agent("en");
    agent.write(
        "Conf/Passwords.xml",
        r#"<ConfigurationFile>
          <OktaResourceTypeMapping Identifier="Okta_User" Connection="OktaExportFulfillment" DefaultObjectClass="users" PasswordResetSetting="First" />
          <PasswordResetSettings Identifier="First" Mode="1" AutoGenerate="true" MustChange="true" />
        </ConfigurationFile>"#,
    );
    configure(&agent, server.settings("StartTls"), json!({}));
    agent.set("MaxConcurrency", json!(2));
    let login = |number: usize| format!("made{number}@corp.example");
    let orders: Vec<Value> = (0..ACCOUNTS).map(|number| added_user(&number.to_string(), &login(number))).collect();
    agent.order_file("a.json", &list(&orders));
    let command = || server.command(&agent, &["--format", "json", "fulfill", CONNECTION]);
    let mut chance = Chance::of(SEED);
    let mut killed = 0;
    for round in 0..KILLS[0] + KILLS[1] {
        if chance.below(3) == 0 {
            agent.sandbox.add_fault(Fault::new(FaultAction::LoseAnswer).on("POST", "/api/v1/users"));
        }
        let moment = if round < KILLS[0] { moment(&mut chance, 20) } else { Moment::Mail };
        killed += usize::from(kill_at(moment, &server, &agent, || command().spawn().expect("the program starts")));
    }
    Run::of(command()).must_exit(0);
    let most = (KILLS[0] + KILLS[1]) * 3 / 4;
    assert!(killed >= most, "seed {SEED}: only {killed} were killed before they were done");

    let mails = server.mails();
    for number in 0..ACCOUNTS {
        let login = login(number);
        let told = told(&mails, &login);
        assert_eq!(told.len(), 1, "seed {SEED}: `{login}` is told one password");
        for mail in told.values() {
            let is_true = agent.org(|org| org.password_is(&login, labelled(mail, "Password")));
            assert!(is_true, "seed {SEED}: `{login}` is told its password");
        }
    }
}
