//! Answers that are lost, faults of Okta and the network, processes that were killed: each effect once.

use connector_api::{Effect, LinkAction, NewPassword};
use okta_sandbox::Status;
use serde_json::json;

use super::*;

fn error(status: u16, code: &str) -> FaultAction {
    FaultAction::Error { status, code: code.to_owned() }
}

fn faults() -> Vec<FaultAction> {
    vec![
        FaultAction::LoseAnswer,
        FaultAction::ResetConnection,
        FaultAction::CutBody { after_bytes: 0 },
        FaultAction::Html(502),
        FaultAction::RateLimit429,
        FaultAction::Concurrency429,
        error(500, "E0000009"),
        error(503, "E0000010"),
        error(409, "E0000112"),
        error(423, "E0000239"),
    ]
}

#[tokio::test]
async fn a_creation_takes_place_once_whatever_is_lost() {
    for fault in faults() {
        for table in ["users", "groups", "apps"] {
            let world = world().await;
            let before =
                world.sandbox.with_org(|org| (org.user_ids().len(), org.group_ids().len(), org.app_ids().len()));
            let mut order = match table {
                "users" => added(table, person("ada@example.com")),
                "groups" => added(table, json!({"profile.name": "Readers"})),
                _ => added(
                    table,
                    json!({"label": "Wiki", "name": "bookmark", "settings.app.url": "https://a.example.com"}),
                ),
            };
            order.unique.retain(|column| column != "label");
            if table == "users" {
                order.password = Some(NewPassword { value: "Correct-Horse7".into(), must_change: false });
            }
            world.strike_writes("POST", &format!("/api/v1/{table}"), fault.clone(), 1);
            let made = world.fulfill(&order, &[]).await.unwrap_or_else(|error| panic!("{fault:?} {table}: {error}"));
            let after =
                world.sandbox.with_org(|org| (org.user_ids().len(), org.group_ids().len(), org.app_ids().len()));
            let grown = (after.0 - before.0) + (after.1 - before.1) + (after.2 - before.2);
            assert_eq!(grown, 1, "{fault:?} {table}: {:?}", world.sent());
            assert_eq!(made.effect, Effect::Changed, "{fault:?} {table}");
            if table == "users" {
                assert!(world.sandbox.with_org(|org| org.password_is("ada@example.com", "Correct-Horse7")));
            }
        }
    }
}

#[tokio::test]
async fn every_other_write_survives_every_fault() {
    for fault in faults() {
        let world = world().await;
        let (user, group, app) = (world.nth("users", 1), world.group("Readers"), world.nth("apps", 0));
        let mut linked = modified("users", &user, json!({"profile.city": "Oslo"}));
        linked.links =
            vec![link("groupsusers", 1, &group, LinkAction::Add), link("appsusers", 1, &app, LinkAction::Add)];
        let orders = [
            linked,
            modified("users", &user, json!({"status": "SUSPENDED"})),
            modified("groups", &group, json!({"profile.name": "Writers"})),
            modified("apps", &app, json!({"status": "INACTIVE"})),
            deleted("groups", &group),
            deleted("apps", &app),
            deleted("users", &user),
        ];
        for order in &orders {
            for method in ["POST", "PUT", "DELETE"] {
                world.sandbox.clear_faults();
                world.strike_writes(method, "/api/v1/", fault.clone(), 1);
                let outcome = world.fulfill(order, &[]).await;
                assert!(outcome.is_ok(), "{fault:?} on {method} of {order:?}: {outcome:?}");
            }
        }
        world.sandbox.with_org(|org| {
            assert_eq!(org.user_status(&user), None);
            assert!(!org.group_ids().contains(&group) && !org.app_ids().contains(&app));
        });
    }
}

#[tokio::test]
async fn what_fails_for_good_is_unavailable_and_carried_out_later() {
    let world = world().await;
    let user = world.nth("users", 1);
    for fault in [error(500, "E0000009"), FaultAction::LoseAnswer, error(503, "E0000010")] {
        world.sandbox.clear_faults();
        world.strike_writes("POST", "/api/v1/users", fault.clone(), u32::MAX);
        let journal = Memory::default();
        let order = modified("users", &user, json!({"profile.city": format!("{fault:?}")}));
        let failed = world.connector(&[]).fulfill(&order, &journal).await.expect_err("it fails for good");
        assert_told(&failed, ErrorKind::Unavailable, &["update"]);
        world.sandbox.clear_faults();
        assert!(world.connector(&[]).fulfill(&order, &journal).await.is_ok());
        assert_eq!(world.user_of(&user)["profile"]["city"], format!("{fault:?}"));
    }
}

#[tokio::test]
async fn a_creation_cut_short_by_the_process_is_found_again() {
    // Killed after the write: the account is there, its journal says only that it was begun.
    let world = world().await;
    let mut order = added("users", person("ada@example.com"));
    let group = world.group("Readers");
    order.links = vec![link("groupsusers", 1, &group, LinkAction::Add)];
    order.password = Some(NewPassword { value: "Correct-Horse7".into(), must_change: false });
    let first = world.fulfill(&order, &[]).await.expect("carried out");
    world.sandbox.with_org(|org| org.remove_member(&group, "ada@example.com"));
    let journal = Memory::begun(&["create"]);
    let second = world.connector(&[]).fulfill(&order, &journal).await.expect("carried out");
    assert_eq!(first.key, second.key);
    assert!(world.sandbox.with_org(|org| org.has_member(&group, "ada@example.com")));
    assert!(world.sandbox.with_org(|org| org.password_is("ada@example.com", "Correct-Horse7")));
    // Killed before the write: it is not there, and is made.
    world.sandbox.with_org(|org| org.remove_user("ada@example.com"));
    let third = world.connector(&[]).fulfill(&order, &Memory::begun(&["create"])).await.expect("carried out");
    assert_ne!(third.key, first.key);
}

#[tokio::test]
async fn who_was_made_by_somebody_else_meanwhile_keeps_their_password() {
    // Killed before the write; then an administrator made an account with that login.
    let world = world().await;
    let mut other = person("ada@example.com");
    other["profile.lastName"] = json!("King");
    world.fulfill(&added("users", other), &[]).await.expect("carried out");
    let mut order = added("users", person("ada@example.com"));
    order.password = Some(NewPassword { value: "Correct-Horse7".into(), must_change: false });
    let done = world.connector(&[]).fulfill(&order, &Memory::begun(&["create"])).await.expect("carried out");
    assert!(done.note.expect("a note").contains("was there already"));
    assert!(!world.sandbox.with_org(|org| org.password_is("ada@example.com", "Correct-Horse7")));
}

#[tokio::test]
async fn after_a_creation_that_is_done_only_the_rest_is_written() {
    let world = world().await;
    let order = added("users", person("ada@example.com"));
    let journal = Memory::default();
    world.strike_writes("POST", "/api/v1/users/", error(403, "E0000006"), 1);
    assert_rejected(world.connector(&[]).fulfill(&order, &journal).await, &["activate", "done before: created as"]);
    world.sandbox.clear_journal();
    assert_effect(world.connector(&[]).fulfill(&order, &journal).await, Effect::Changed);
    let id = world.id_of("ada@example.com");
    assert_eq!(
        world.sent(),
        [format!("GET users/{id}"), format!("POST users/{id}/lifecycle/activate?sendEmail=false")]
    );
    world.sandbox.clear_journal();
    assert_effect(world.connector(&[]).fulfill(&order, &journal).await, Effect::AlreadyInPlace);
    assert_eq!(world.writes(), 0);
    assert_eq!(world.sandbox.with_org(|org| org.user_status(&id)), Some(Status::Provisioned));
}

#[tokio::test]
async fn a_journal_that_fails_stops_everything_before_it_is_sent() {
    struct Broken;
    #[async_trait]
    impl Journal for Broken {
        async fn begin(&self, _: &str) -> Result<Earlier> {
            Err(Error::new(ErrorKind::Unavailable, "the lease is lost"))
        }
        async fn done(&self, _: &str, _: &str) -> Result<()> {
            unreachable!("nothing is done")
        }
    }
    let world = world().await;
    let (user, group) = (world.nth("users", 1), world.group("Readers"));
    let mut linked = modified("groups", &group, json!({}));
    linked.links = vec![link("groupsusers", 0, &user, LinkAction::Add)];
    for order in [
        linked,
        added("users", person("a@example.com")),
        modified("users", &user, json!({"profile.city": "X"})),
        deleted("users", &user),
    ] {
        let failed = world.connector(&[]).fulfill(&order, &Broken).await.expect_err("nothing may be sent");
        assert!(failed.to_string().contains("lease"), "{failed}");
    }
    assert_eq!(world.writes(), 0);
}
