//! Resets of every kind: what the organisation holds afterwards, what is sent how often, what a refusal says.

use connector_api::{
    Connector, ErrorKind, NewPassword, PasswordAction, PasswordEffect, PasswordOutcome, PasswordReset, Result,
};
use okta_connector::OktaConnector;
use okta_sandbox::{Fault, FaultAction, Org, Seed, Status};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::World;

const GOOD: &str = "Correct-Horse7";
const ADA: &str = "ada@example.com";

async fn world(status: Status) -> (World, OktaConnector) {
    let world = World::new(Seed::exact(3, 1, 1, 0)).await;
    world.sandbox.with_org(|org| add(org, ADA, status));
    let connector = world.connector(&[("RetryBudgetSeconds", "60")]);
    (world, connector)
}

fn add(org: &mut Org, login: &str, status: Status) -> String {
    let profile = json!({
        "login": login, "email": "ada@work.example", "secondEmail": "ada@home.example", "firstName": "Ada",
        "lastName": "Lovelace", "preferredLanguage": "fr",
    });
    org.add_user(profile, status)
}

fn set(password: &str, must_change: bool) -> PasswordAction {
    PasswordAction::Set(NewPassword { value: password.into(), must_change })
}

async fn reset(connector: &OktaConnector, action: PasswordAction) -> Result<PasswordOutcome> {
    let account = connector.find_account(ADA).await?;
    connector.reset_password(&PasswordReset::new(account.key, action)).await
}

fn posts(world: &World, end: &str) -> usize {
    let journal = world.sandbox.journal();
    journal.iter().filter(|exchange| exchange.method == "POST" && exchange.path.ends_with(end)).count()
}

#[tokio::test]
async fn a_password_is_set_and_must_be_changed_where_that_is_wanted() {
    for (must_change, effect, status) in
        [(false, PasswordEffect::Set, Status::Active), (true, PasswordEffect::SetToChange, Status::PasswordExpired)]
    {
        let (world, connector) = world(Status::Active).await;
        let outcome = reset(&connector, set(GOOD, must_change)).await.unwrap();
        assert_eq!(outcome.effect, effect);
        assert!(outcome.request_id.is_some_and(|id| !id.is_empty()), "Okta names its requests");
        world.sandbox.with_org(|org| {
            assert!(org.password_is(ADA, GOOD));
            assert_eq!(org.user_status(ADA), Some(status));
        });
    }
}

#[tokio::test]
async fn an_account_is_known_by_all_that_a_notice_needs() {
    let (_world, connector) = world(Status::Active).await;
    let account = connector.find_account("ADA@example.com").await.unwrap();
    assert_eq!((account.login.as_str(), account.full_name().as_str()), (ADA, "Ada Lovelace"));
    assert_eq!(account.email.as_deref(), Some("ada@work.example"));
    assert_eq!(account.second_email.as_deref(), Some("ada@home.example"));
    assert_eq!((account.language.as_deref(), account.state.as_str()), (Some("fr"), "ACTIVE"));
    assert_eq!(connector.find_account(&account.key).await.unwrap(), account);
}

#[tokio::test]
async fn okta_makes_up_a_password_or_mails_a_link() {
    let (world, connector) = world(Status::Active).await;
    let outcome = reset(&connector, PasswordAction::Temporary).await.unwrap();
    let temporary = outcome.temporary.as_ref().unwrap();
    assert_eq!(outcome.effect, PasswordEffect::Temporary);
    assert!(!format!("{outcome:?}").contains(temporary.expose_secret()));
    world.sandbox.with_org(|org| assert!(org.password_is(ADA, temporary.expose_secret())));

    let outcome = reset(&connector, PasswordAction::MailedLink).await.unwrap();
    assert_eq!(outcome.effect, PasswordEffect::LinkMailed);
    assert_eq!(world.sandbox.with_org(|org| org.user_status(ADA)), Some(Status::Recovery));
    let asked = world.asked();
    assert!(asked.iter().any(|asked| asked.ends_with("reset_password?sendEmail=true")), "{asked:?}");
}

#[tokio::test]
async fn a_locked_account_is_unlocked_and_any_other_is_left_alone() {
    let (world, connector) = world(Status::LockedOut).await;
    assert_eq!(reset(&connector, PasswordAction::Unlock).await.unwrap().effect, PasswordEffect::Unlocked);
    assert_eq!(world.sandbox.with_org(|org| org.user_status(ADA)), Some(Status::Active));
    assert_eq!(reset(&connector, PasswordAction::Unlock).await.unwrap().effect, PasswordEffect::NotLocked);
}

#[tokio::test]
async fn sessions_are_ended_on_request_alone() {
    let (world, connector) = world(Status::Active).await;
    let ended = |world: &World| world.sandbox.journal().iter().filter(|e| e.path.ends_with("/sessions")).count();
    assert!(!reset(&connector, set(GOOD, false)).await.unwrap().sessions_revoked);
    assert_eq!(ended(&world), 0);
    let mut wanted = PasswordReset::new(connector.find_account(ADA).await.unwrap().key, set(GOOD, false));
    wanted.revoke_sessions = true;
    assert!(connector.reset_password(&wanted).await.unwrap().sessions_revoked);
    assert_eq!(ended(&world), 1);
}

#[tokio::test]
async fn the_state_of_the_account_decides_before_anything_is_sent() {
    for (status, action, why) in [
        (Status::Deprovisioned, set(GOOD, false), "the account is deactivated"),
        (Status::Staged, set(GOOD, true), "not activated yet"),
        (Status::Provisioned, PasswordAction::MailedLink, "has not finished the activation"),
        (Status::Suspended, PasswordAction::Unlock, "suspended, not locked"),
    ] {
        let (world, connector) = world(status).await;
        let error = reset(&connector, action).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected);
        assert!(error.to_string().contains(why) && error.hint().is_some(), "{error}");
        assert_eq!(posts(&world, ""), 0, "{status:?}");
    }
}

#[tokio::test]
async fn no_reset_reaches_a_protected_account_or_the_one_we_sign_in_as() {
    let actions = || {
        [set(GOOD, false), PasswordAction::Temporary, PasswordAction::MailedLink, PasswordAction::Unlock].into_iter()
    };
    let (world, _) = world(Status::Active).await;
    let own = world.own_account().await;
    let filter = format!("profile.login eq \"{ADA}\"");
    let connector = world.connector(&[("ProtectedUserFilter", &filter)]);
    for (login, why) in [(ADA, "ProtectedUserFilter"), (own.as_str(), "signs in as")] {
        let account = connector.find_account(login).await.unwrap();
        assert!(account.obstacle.as_ref().is_some_and(|obstacle| obstacle.contains(why)), "{account:?}");
        for action in actions() {
            let mut wanted = PasswordReset::new(&account.key, action);
            wanted.revoke_sessions = true;
            let error = connector.reset_password(&wanted).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
            assert!(error.to_string().contains(why) && error.hint().is_some(), "{error}");
        }
    }
    assert_eq!(world.writes(), 0, "{:?}", world.sent());
    let other = world.sandbox.with_org(|org| add(org, "bob@example.com", Status::Active));
    assert_eq!(connector.find_account(&other).await.unwrap().obstacle, None);
    connector.reset_password(&PasswordReset::new(other, set(GOOD, false))).await.unwrap();
}

#[tokio::test]
async fn policy_refusals_are_oktas_words_without_the_password() {
    let (world, connector) = world(Status::Active).await;
    let error = reset(&connector, set("weak7", false)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("Password requirements: at least 8 characters"), "{error}");
    assert!(error.to_string().contains("E0000001, request "), "{error}");
    assert_eq!(world.sandbox.with_org(|org| org.user_status(ADA)), Some(Status::Active));

    // Not even where Okta repeats it.
    let body = format!(r#"{{"errorCode":"E0000001","errorSummary":"Api validation failed: {GOOD}"}}"#);
    let echo = FaultAction::Status { status: 400, body, headers: Vec::new() };
    world.sandbox.add_fault(Fault::new(echo).on("POST", "/api/v1/users"));
    let error = reset(&connector, set(GOOD, false)).await.unwrap_err();
    assert!(error.to_string().contains("failed: ***") && !format!("{error:?}").contains(GOOD), "{error}");
}

#[tokio::test]
async fn only_a_whole_login_names_an_account() {
    let (world, connector) = world(Status::Active).await;
    let part = connector.find_account("ada").await.unwrap_err();
    assert_eq!(part.to_string(), "`ada` is no whole login: one login begins with it");
    world.sandbox.with_org(|org| add(org, "ada@example.org", Status::Active));
    let ambiguous = connector.find_account("ada").await.unwrap_err();
    assert_eq!(ambiguous.kind(), ErrorKind::Rejected);
    assert_eq!(ambiguous.to_string(), "`ada` is no whole login: 2 logins begin with it");
    for nobody in ["me", "..", "", "bob@example.com", "*", "ada@example.com\" or status pr or id eq \""] {
        let error = connector.find_account(nobody).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{nobody}: {error}");
    }
    // What a path cannot hold is searched for.
    for odd in ["a/da?x=1@example.com", "50%@example.com", "dé@example.com", "a\"b\\c@example.com"] {
        let id = world.sandbox.with_org(|org| add(org, odd, Status::Active));
        assert_eq!(connector.find_account(odd).await.unwrap().key, id, "{odd}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_repeated_where_nobody_notices() {
    let (world, connector) = world(Status::Active).await;
    world.sandbox.add_fault(Fault::new(FaultAction::LoseAnswer).on("POST", "/api/v1/users"));
    assert_eq!(reset(&connector, set(GOOD, true)).await.unwrap().effect, PasswordEffect::SetToChange);
    world.sandbox.with_org(|org| assert!(org.password_is(ADA, GOOD)));

    world
        .sandbox
        .add_fault(Fault::new(FaultAction::LoseAnswer).on("POST", "/api/v1/users").containing("temp_password"));
    let outcome = reset(&connector, PasswordAction::Temporary).await.unwrap();
    let temporary = outcome.temporary.unwrap();
    world.sandbox.with_org(|org| assert!(org.password_is(ADA, temporary.expose_secret())));

    world.sandbox.with_org(|org| org.set_user_status(ADA, Status::LockedOut));
    world.sandbox.add_fault(Fault::new(FaultAction::LoseAnswer).on("POST", "/api/v1/users").containing("unlock"));
    assert_eq!(reset(&connector, PasswordAction::Unlock).await.unwrap().effect, PasswordEffect::Unlocked);
}

#[tokio::test]
async fn a_link_is_mailed_once_whatever_answer_is_lost() {
    let mail = "/lifecycle/reset_password";
    let lose = |action| Fault::new(action).on("POST", "/api/v1/users").containing("reset_password");
    // Carried out, and the answer lost.
    let (lost, connector) = world(Status::Active).await;
    lost.sandbox.add_fault(lose(FaultAction::LoseAnswer));
    let outcome = reset(&connector, PasswordAction::MailedLink).await.unwrap();
    assert!(outcome.note.unwrap().contains("was lost"));
    assert_eq!(posts(&lost, mail), 1);
    // Not carried out: asked again.
    let (cut, connector) = world(Status::Active).await;
    cut.sandbox.add_fault(lose(FaultAction::ResetConnection));
    assert_eq!(reset(&connector, PasswordAction::MailedLink).await.unwrap().effect, PasswordEffect::LinkMailed);
    assert_eq!((posts(&cut, mail), cut.sandbox.with_org(|org| org.user_status(ADA))), (2, Some(Status::Recovery)));
    // A link was mailed before: whether this one was cannot be told, so it is left at that.
    let (unclear, connector) = world(Status::Recovery).await;
    unclear.sandbox.add_fault(lose(FaultAction::ResetConnection));
    let error = reset(&connector, PasswordAction::MailedLink).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("cannot be told"), "{error}");
    assert_eq!(posts(&unclear, mail), 1);
}

#[tokio::test]
async fn what_comes_after_the_password_fails_without_hiding_it() {
    let (world, connector) = world(Status::Active).await;
    let refuse = || FaultAction::Error { status: 403, code: "E0000038".to_owned() };
    world.sandbox.add_fault(Fault::new(refuse()).on("POST", "/api/v1/users").containing("expire_password"));
    world.sandbox.add_fault(Fault::new(refuse()).on("DELETE", "/api/v1/users").containing("sessions"));
    let mut wanted = PasswordReset::new(connector.find_account(ADA).await.unwrap().key, set(GOOD, true));
    wanted.revoke_sessions = true;
    let outcome = connector.reset_password(&wanted).await.unwrap();
    assert_eq!((outcome.effect, outcome.sessions_revoked), (PasswordEffect::Set, false));
    let note = outcome.note.unwrap();
    assert!(note.contains("need not be changed") && note.contains("sessions were not ended"), "{note}");
}
