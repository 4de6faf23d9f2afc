//! Every state an account can be in, and every state that can be wanted of it.

use connector_api::Effect;
use okta_sandbox::Status;
use serde_json::json;

use super::*;

const STATES: [Status; 8] = [
    Status::Staged,
    Status::Provisioned,
    Status::Active,
    Status::Recovery,
    Status::PasswordExpired,
    Status::LockedOut,
    Status::Suspended,
    Status::Deprovisioned,
];

/// What an order for a state comes to: left alone, refused, or a call.
async fn check(wanted: &str, expected: [&str; 8]) {
    for (status, expected) in STATES.into_iter().zip(expected) {
        let world = world().await;
        let id = world.nth("users", 1);
        world.sandbox.with_org(|org| org.set_user_status(&id, status));
        let order = modified("users", &id, json!({"status": wanted}));
        let (outcome, sent) = world.sent_by(&order, &[]).await;
        let writes: Vec<&String> = sent.iter().filter(|line| !line.starts_with("GET")).collect();
        let when = format!("{wanted} from {status:?}: {outcome:?} {sent:?}");
        match (expected, outcome) {
            ("", Ok(outcome)) => assert!(outcome.effect == Effect::AlreadyInPlace && writes.is_empty(), "{when}"),
            ("x", Err(error)) => {
                assert_told(&error, ErrorKind::Rejected, &[]);
                assert!(writes.is_empty(), "{when}");
            }
            (call, Ok(outcome)) => {
                assert!(outcome.effect == Effect::Changed && writes.len() == 1, "{when}");
                assert!(writes[0].starts_with(&format!("POST users/{id}/lifecycle/{call}")), "{when}");
                let (again, sent) = world.sent_by(&order, &[]).await;
                assert_effect(again, Effect::AlreadyInPlace);
                assert_eq!(sent.iter().filter(|line| !line.starts_with("GET")).count(), 0, "{when}");
            }
            _ => panic!("{when}"),
        }
    }
}

#[tokio::test]
async fn active_is_reached_by_the_call_that_leads_there() {
    check("ACTIVE", ["activate", "", "", "", "", "unlock", "unsuspend", "activate"]).await;
}

#[tokio::test]
async fn only_active_accounts_are_suspended() {
    check("SUSPENDED", ["x", "x", "suspend", "x", "x", "x", "", "x"]).await;
}

#[tokio::test]
async fn every_account_can_be_deactivated() {
    let off = "deactivate?sendEmail=false";
    check("DEPROVISIONED", [off, off, off, off, off, off, off, ""]).await;
}

#[tokio::test]
async fn no_account_becomes_staged_again() {
    check("STAGED", ["", "x", "x", "x", "x", "x", "x", "x"]).await;
}

#[tokio::test]
async fn deletion_follows_the_setting() {
    for (setting, status, left, writes) in [
        ("Delete", Status::Active, None, 2),
        ("Delete", Status::Deprovisioned, None, 1),
        ("Deactivate", Status::Active, Some(Status::Deprovisioned), 1),
        ("Deactivate", Status::Deprovisioned, Some(Status::Deprovisioned), 0),
        ("Suspend", Status::Active, Some(Status::Suspended), 1),
        ("Suspend", Status::Deprovisioned, Some(Status::Deprovisioned), 0),
    ] {
        let world = world().await;
        let id = world.nth("users", 1);
        world.sandbox.with_org(|org| org.set_user_status(&id, status));
        let settings = [("OnDelete", setting)];
        let effect = if writes > 0 { Effect::Changed } else { Effect::AlreadyInPlace };
        assert_effect(world.fulfill(&deleted("users", &id), &settings).await, effect);
        assert_eq!(world.sandbox.with_org(|org| org.user_status(&id)), left, "{setting} {status:?}");
        assert_eq!(world.writes(), writes, "{setting} {status:?}: {:?}", world.sent());
        assert_effect(world.fulfill(&deleted("users", &id), &settings).await, Effect::AlreadyInPlace);
        assert_eq!(world.writes(), writes, "once more changes nothing");
    }
}

#[tokio::test]
async fn a_deletion_is_proved_by_a_read() {
    let world = world().await;
    let id = world.nth("users", 1);
    let (outcome, sent) = world.sent_by(&deleted("users", &id), &[]).await;
    assert_effect(outcome, Effect::Changed);
    let one = format!("users/{id}");
    let delete = format!("DELETE {one}?sendEmail=false");
    let get = format!("GET {one}");
    assert_eq!(sent, [get.clone(), "GET users/me".to_owned(), delete.clone(), get.clone(), delete, get]);
}

#[tokio::test]
async fn what_is_staged_cannot_be_suspended_on_deletion() {
    let world = world().await;
    let id = world.nth("users", 1);
    world.sandbox.with_org(|org| org.set_user_status(&id, Status::Staged));
    assert_rejected(world.fulfill(&deleted("users", &id), &[("OnDelete", "Suspend")]).await, &["STAGED"]);
}
