//! Accounts that are modified: the difference alone is sent.

use connector_api::{Effect, NewPassword};
use okta_sandbox::Status;
use serde_json::json;

use super::*;

#[tokio::test]
async fn only_what_differs_is_sent_and_absent_is_left() {
    let world = world().await;
    let id = world.nth("users", 1);
    world.sandbox.with_org(|org| org.set_attribute(&id, "city", json!("Oslo")));
    let before = world.user_of(&id);
    let order =
        modified("users", &id, json!({"profile.city": "Bergen", "profile.firstName": before["profile"]["firstName"]}));
    let (outcome, sent) = world.sent_by(&order, &[]).await;
    assert_effect(outcome, Effect::Changed);
    assert_eq!(sent, [format!("GET users/{id}"), "GET users/me".to_owned(), format!("POST users/{id}")]);
    let mut expected = before["profile"].clone();
    expected["city"] = json!("Bergen");
    assert_eq!(world.user_of(&id)["profile"], expected);
    let (again, sent) = world.sent_by(&order, &[]).await;
    assert_effect(again, Effect::AlreadyInPlace);
    assert_eq!(sent, [format!("GET users/{id}"), "GET users/me".to_owned()]);
}

#[tokio::test]
async fn null_and_empty_both_clear() {
    for empty in [json!(null), json!("")] {
        let world = world().await;
        let id = world.nth("users", 1);
        world.sandbox.with_org(|org| org.set_attribute(&id, "city", json!("Oslo")));
        let order = modified("users", &id, json!({"profile.city": empty}));
        assert_effect(world.fulfill(&order, &[]).await, Effect::Changed);
        assert!(world.user_of(&id)["profile"]["city"].is_null());
        assert_effect(world.fulfill(&order, &[]).await, Effect::AlreadyInPlace);
    }
}

#[tokio::test]
async fn who_is_missing_is_not_found_by_name() {
    let world = world().await;
    for table in ["users", "groups", "apps"] {
        let order = modified(table, "00u0missing", json!({"profile.city": "Oslo"}));
        let error = match table {
            "users" => world.fulfill(&order, &[]).await,
            "groups" => world.fulfill(&modified(table, "00g0missing", json!({"profile.name": "X"})), &[]).await,
            _ => world.fulfill(&modified(table, "0oa0missing", json!({"label": "X"})), &[]).await,
        };
        assert_told(&error.expect_err("there is none"), ErrorKind::NotFound, &["0missing", "there is no"]);
        assert_effect(world.fulfill(&deleted(table, "0000missing"), &[]).await, Effect::AlreadyInPlace);
    }
    assert_eq!(world.writes(), 0);
}

#[tokio::test]
async fn keys_that_lead_elsewhere_are_refused() {
    let world = world().await;
    for key in ["..", "me", "ME", "a/b", "a?b=c", "", "a b", "%2e%2e"] {
        assert_rejected(world.fulfill(&deleted("users", key), &[]).await, &[]);
    }
    assert_eq!(world.sandbox.journal().len(), 0, "{:?}", world.sent());
}

#[tokio::test]
async fn accounts_are_found_by_login_too() {
    let world = world().await;
    let id = world.nth("users", 1);
    let login = world.user_of(&id)["profile"]["login"].as_str().expect("a login").to_owned();
    let mut order = modified("users", &id, json!({"profile.city": "Bergen"}));
    order.key = Some(RecordKey { column: "profile.login".to_owned(), value: login });
    assert_eq!(assert_effect(world.fulfill(&order, &[]).await, Effect::Changed).key, id);
}

#[tokio::test]
async fn a_password_is_set_and_expired_where_it_must_change() {
    let world = world().await;
    let id = world.nth("users", 1);
    let mut order = modified("users", &id, json!({}));
    order.password = Some(NewPassword { value: "Correct-Horse7".into(), must_change: true });
    let journal = Memory::default();
    let connector = world.connector(&[]);
    assert_effect(connector.fulfill(&order, &journal).await, Effect::Changed);
    assert!(world.sandbox.with_org(|org| org.password_is(&id, "Correct-Horse7")));
    assert_eq!(world.sandbox.with_org(|org| org.user_status(&id)), Some(Status::PasswordExpired));
    assert_eq!(journal.steps(), ["expire password", "password"]);
    assert_eq!(world.writes(), 2);
    assert_effect(connector.fulfill(&order, &journal).await, Effect::AlreadyInPlace);
    assert_eq!(world.writes(), 2);
}

#[tokio::test]
async fn a_refused_password_is_told_and_never_shown() {
    let world = world().await;
    let mut order = modified("users", &world.nth("users", 1), json!({}));
    order.password = Some(NewPassword { value: "weak".into(), must_change: false });
    let error = world.fulfill(&order, &[]).await.expect_err("it is too weak");
    assert_told(&error, ErrorKind::Rejected, &["password"]);
    assert!(!format!("{error:?}").contains("weak"), "{error:?}");
}

#[tokio::test]
async fn what_was_done_before_a_failing_step_is_in_the_message() {
    let world = world().await;
    let id = world.nth("users", 1);
    world.strike_writes(
        "POST",
        &format!("/api/v1/users/{id}/lifecycle/suspend"),
        FaultAction::Error { status: 403, code: "E0000006".to_owned() },
        1,
    );
    let order = modified("users", &id, json!({"profile.city": "Bergen", "status": "SUSPENDED"}));
    assert_rejected(world.fulfill(&order, &[]).await, &["suspend", "done before: its values changed", "E0000006"]);
    assert_eq!(world.user_of(&id)["profile"]["city"], "Bergen");
}

#[tokio::test]
async fn columns_that_okta_sets_are_refused_by_name() {
    let world = world().await;
    let id = world.nth("users", 1);
    for column in ["created", "lastLogin", "passwordChanged", "credentials.password.value", "_links.self"] {
        let (outcome, _) = world.sent_by(&modified("users", &id, json!({column: "x"})), &[]).await;
        assert_rejected(outcome, &[&format!("`{column}`")]);
    }
    assert_rejected(world.fulfill(&modified("users", &id, json!({"id": "00u0other"})), &[]).await, &["`id`"]);
    assert_effect(world.fulfill(&modified("users", &id, json!({"id": id})), &[]).await, Effect::AlreadyInPlace);
    assert_eq!(world.writes(), 0);
}
