//! Accounts that are created: active, staged, with a password, with groups; and those that are there already.

use connector_api::{Connector, Effect, LinkAction, NewPassword};
use futures::future::join_all;
use okta_sandbox::{SandboxConfig, Seed, Status};
use serde_json::json;

use super::*;

fn with_password(mut order: ProvisioningOrder, must_change: bool) -> ProvisioningOrder {
    order.password = Some(NewPassword { value: "Correct-Horse7".into(), must_change });
    order
}

#[tokio::test]
async fn an_account_with_a_password_takes_one_request_and_no_mail() {
    let world = world().await;
    let order = with_password(added("users", person("ada@example.com")), false);
    let (outcome, sent) = world.sent_by(&order, &[]).await;
    let made = assert_effect(outcome, Effect::Changed);
    assert_eq!(sent, ["POST users?activate=true"]);
    assert_eq!(made.key, world.id_of("ada@example.com"));
    assert_eq!(world.sandbox.with_org(|org| org.user_status("ada@example.com")), Some(Status::Active));
    assert!(world.sandbox.with_org(|org| org.password_is("ada@example.com", "Correct-Horse7")));
}

#[tokio::test]
async fn ten_accounts_take_ten_requests_and_two_for_the_schema() {
    let world = world().await;
    let connector = world.connector(&[]);
    let orders: Vec<_> =
        (0..10).map(|n| with_password(added("users", person(&format!("p{n}@example.com"))), false)).collect();
    let journals: Vec<Memory> = orders.iter().map(|_| Memory::default()).collect();
    let made = join_all(orders.iter().zip(&journals).map(|(order, journal)| connector.fulfill(order, journal))).await;
    assert!(made.iter().all(Result::is_ok), "{made:?}");
    assert_eq!(world.sandbox.journal().len(), 12, "{:?}", world.asked());
}

#[tokio::test]
async fn without_a_password_the_account_is_activated_without_mail() {
    let world = world().await;
    let (outcome, sent) = world.sent_by(&added("users", person("ada@example.com")), &[]).await;
    let made = assert_effect(outcome, Effect::Changed);
    let activate = format!("POST users/{}/lifecycle/activate?sendEmail=false", made.key);
    assert_eq!(sent, ["POST users?activate=false".to_owned(), activate]);
    assert_eq!(world.sandbox.with_org(|org| org.user_status("ada@example.com")), Some(Status::Provisioned));
}

#[tokio::test]
async fn settings_and_status_say_in_which_state_an_account_begins() {
    type Case = (&'static [(&'static str, &'static str)], Option<&'static str>, bool, &'static [&'static str], Status);
    let cases: [Case; 6] = [
        (&[("ActivateUsers", "false")], None, false, &["POST users?activate=false"], Status::Staged),
        (&[("SendEmail", "true")], None, false, &["POST users?activate=true"], Status::Provisioned),
        (&[], Some("STAGED"), true, &["POST users?activate=false"], Status::Staged),
        (&[("ActivateUsers", "false")], Some("ACTIVE"), true, &["POST users?activate=true"], Status::Active),
        (
            &[],
            Some("SUSPENDED"),
            true,
            &["POST users?activate=true", "POST users/ID/lifecycle/suspend"],
            Status::Suspended,
        ),
        (
            &[],
            Some("DEPROVISIONED"),
            false,
            &["POST users?activate=false", "POST users/ID/lifecycle/deactivate?sendEmail=false", "GET users/ID"],
            Status::Deprovisioned,
        ),
    ];
    for (settings, status, password, expected, state) in cases {
        let world = world().await;
        let mut values = person("ada@example.com");
        if let Some(status) = status {
            values["status"] = json!(status);
        }
        let mut order = added("users", values);
        if password {
            order = with_password(order, false);
        }
        let (outcome, sent) = world.sent_by(&order, settings).await;
        let made = assert_effect(outcome, Effect::Changed);
        let sent: Vec<String> = sent.iter().map(|line| line.replace(&made.key, "ID")).collect();
        assert_eq!(sent, expected, "{settings:?} {status:?}");
        assert_eq!(world.sandbox.with_org(|org| org.user_status("ada@example.com")), Some(state));
    }
}

#[tokio::test]
async fn who_must_change_the_password_is_asked_at_the_first_login() {
    let world = world().await;
    let (outcome, sent) = world.sent_by(&with_password(added("users", person("ada@example.com")), true), &[]).await;
    assert_effect(outcome, Effect::Changed);
    assert_eq!(sent, ["POST users?activate=true&nextLogin=changePassword"]);
    assert_eq!(world.sandbox.with_org(|org| org.user_status("ada@example.com")), Some(Status::PasswordExpired));
}

#[tokio::test]
async fn groups_are_joined_as_the_account_is_created_and_the_others_one_by_one() {
    let world = world().await;
    let groups: Vec<String> = (0..22).map(|n| world.group(&format!("G{n}"))).collect();
    let mut order = with_password(added("users", person("ada@example.com")), false);
    order.links = groups.iter().map(|group| link("groupsusers", 1, group, LinkAction::Add)).collect();
    let (outcome, sent) = world.sent_by(&order, &[]).await;
    assert_effect(outcome, Effect::Changed);
    assert_eq!(sent.len(), 3, "{sent:?}");
    assert!(groups.iter().all(|group| world.sandbox.with_org(|org| org.has_member(group, "ada@example.com"))));
}

#[tokio::test]
async fn a_taken_login_of_the_same_person_is_adopted_and_brought_up_to_date() {
    let world = world().await;
    let mut there =
        json!({"login": "ada@example.com", "email": "ada@example.com", "firstName": "A", "lastName": "Lovelace"});
    there["employeeNumber"] = json!("7");
    let id = world.sandbox.with_org(|org| org.add_user(there, Status::Active));
    let mut values = person("ADA@example.com");
    values["profile.employeeNumber"] = json!("7");
    values["profile.login"] = json!("ada@example.com");
    let order = with_password(added("users", values), false);
    let journal = Memory::default();
    let made = world.connector(&[]).fulfill(&order, &journal).await;
    let made = assert_effect(made, Effect::Changed);
    assert_eq!(made.key, id);
    assert!(made.note.is_some_and(|note| note.contains("there already") && note.contains("password was left")));
    assert_eq!(world.user_of(&id)["profile"]["firstName"], "Ada");
    assert!(!world.sandbox.with_org(|org| org.password_is(&id, "Correct-Horse7")), "nobody's password is replaced");
    // The same order again, by the same journal and by none: nothing is written.
    world.sandbox.clear_journal();
    assert_effect(world.connector(&[]).fulfill(&order, &journal).await, Effect::AlreadyInPlace);
    assert_effect(world.fulfill(&order, &[]).await, Effect::AlreadyInPlace);
    assert_eq!(world.writes(), 0, "{:?}", world.sent());
}

#[tokio::test]
async fn a_taken_login_of_somebody_else_is_told_with_whose_it_is() {
    let world = world().await;
    let there = json!({"login": "ada@example.com", "email": "ada@example.com", "firstName": "Ada", "lastName": "Byron", "employeeNumber": "8"});
    let id = world.sandbox.with_org(|org| org.add_user(there, Status::Active));
    let mut values = person("ada@example.com");
    values["profile.employeeNumber"] = json!("7");
    assert_rejected(
        world.fulfill(&added("users", values), &[]).await,
        &["ada@example.com", &id, "profile.employeeNumber"],
    );
    assert_eq!(world.writes(), 0);
}

#[tokio::test]
async fn who_comes_back_gets_the_old_account_and_it_is_activated() {
    let world = world().await;
    let there =
        json!({"login": "ada@example.com", "email": "ada@example.com", "firstName": "Ada", "lastName": "Lovelace"});
    let id = world.sandbox.with_org(|org| org.add_user(there, Status::Deprovisioned));
    let made = assert_effect(world.fulfill(&added("users", person("ada@example.com")), &[]).await, Effect::Changed);
    assert_eq!(made.key, id);
    assert_ne!(world.sandbox.with_org(|org| org.user_status(&id)), Some(Status::Deprovisioned));
}

#[tokio::test]
async fn two_orders_with_one_login_make_one_account() {
    let world = world().await;
    let connector = world.connector(&[]);
    let order = with_password(added("users", person("ada@example.com")), false);
    let (first, second) = (Memory::default(), Memory::default());
    let made = futures::join!(connector.fulfill(&order, &first), connector.fulfill(&order, &second));
    assert_eq!(made.0.expect("carried out").key, made.1.expect("carried out").key);
    assert_eq!(world.writes(), 1, "{:?}", world.sent());
}

#[tokio::test]
async fn slow_activation_is_waited_for_before_the_next_call() {
    let world = World::with(SandboxConfig { seed: Seed::exact(1, 1, 1, 0), ..Default::default() }).await;
    world.sandbox.with_org(|org| org.activation_millis = 5_000);
    let mut values = person("ada@example.com");
    values["status"] = json!("SUSPENDED");
    let order = with_password(added("users", values), false);
    assert_effect(world.fulfill(&order, &[]).await, Effect::Changed);
    assert_eq!(world.sandbox.with_org(|org| org.user_status("ada@example.com")), Some(Status::Suspended));
}

#[tokio::test]
async fn what_cannot_be_created_is_refused_before_anything_is_sent() {
    let world = world().await;
    let mut suspended = person("ada@example.com");
    suspended["status"] = json!("SUSPENDED");
    let mut locked = person("ada@example.com");
    locked["status"] = json!("LOCKED_OUT");
    let mut dated = person("ada@example.com");
    dated["created"] = json!("2020-01-01");
    let mut typed = person("ada@example.com");
    typed["type.id"] = json!("oty0");
    for (values, words) in [
        (suspended, "cannot be created suspended"),
        (locked, "`status` cannot become `LOCKED_OUT`"),
        (dated, "`created`"),
        (typed, "no user type `oty0`"),
        (json!({"profile.email": "a@example.com"}), "needs `profile.login`"),
    ] {
        assert_rejected(world.fulfill(&added("users", values), &[]).await, &[words]);
    }
    assert_eq!(world.sandbox.journal().iter().filter(|exchange| exchange.method != "GET").count(), 0);
}

#[tokio::test]
async fn a_group_that_cannot_be_joined_is_named_and_nothing_is_made() {
    let world = world().await;
    let everyone = world.sandbox.with_org(|org| org.group_id("Everyone")).expect("there is one");
    for (group, reason) in [("00g0missing", "there is no group"), (everyone.as_str(), "built-in")] {
        let mut order = with_password(added("users", person("ada@example.com")), false);
        order.links = vec![link("groupsusers", 1, group, LinkAction::Add)];
        let foretold = world.connector(&[]).preview(&order).await.expect_err("it would be refused");
        assert_told(&foretold, ErrorKind::Rejected, &[group, reason]);
        assert_rejected(world.fulfill(&order, &[]).await, &[group, reason]);
    }
    assert_eq!(world.writes(), 0, "{:?}", world.sent());
}
