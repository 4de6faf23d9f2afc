//! Previews: nothing is sent, and what is foretold is what is done. And the outlook, which asks nobody.

use connector_api::{Connector, Effect, ForeseenEffect, LinkAction, NewPassword, Preview};
use okta_sandbox::Status;
use serde_json::json;

use super::*;

async fn preview(world: &World, order: &ProvisioningOrder) -> Result<Preview> {
    world.sandbox.clear_journal();
    let preview = world.connector(&[]).preview(order).await;
    let sent = world.sandbox.journal();
    assert!(sent.iter().all(|exchange| exchange.method == "GET"), "a preview writes nothing: {:?}", world.sent());
    preview
}

#[tokio::test]
async fn what_is_foretold_is_what_is_done() {
    let world = world().await;
    let (user, group, app) = (world.nth("users", 1), world.group("Readers"), world.nth("apps", 0));
    let mut linked = modified("users", &user, json!({"profile.city": "Oslo"}));
    linked.links = vec![link("groupsusers", 1, &group, LinkAction::Add), link("appsusers", 1, &app, LinkAction::Add)];
    let mut unlinked = modified("groups", &group, json!({}));
    unlinked.links =
        vec![link("groupsusers", 0, &user, LinkAction::Remove), link("groupsapps", 0, &app, LinkAction::Add)];
    let mut created = added("users", person("ada@example.com"));
    created.password = Some(NewPassword { value: "Correct-Horse7".into(), must_change: false });
    let orders = [
        (created.clone(), ForeseenEffect::Create, 6),
        (linked, ForeseenEffect::Update, 3),
        (unlinked, ForeseenEffect::Update, 2),
        (modified("users", &user, json!({"status": "SUSPENDED"})), ForeseenEffect::Deactivate, 1),
        (modified("groups", &group, json!({"profile.name": "Writers"})), ForeseenEffect::Update, 1),
        (modified("apps", &app, json!({"status": "INACTIVE"})), ForeseenEffect::Deactivate, 1),
        (added("groups", json!({"profile.name": "Others"})), ForeseenEffect::Create, 1),
        (added("apps", json!({"label": "Wiki", "name": "bookmark"})), ForeseenEffect::Create, 2),
        (deleted("apps", &app), ForeseenEffect::Delete, 0),
        (deleted("groups", &group), ForeseenEffect::Delete, 0),
        (deleted("users", &user), ForeseenEffect::Delete, 0),
    ];
    for (order, effect, changes) in &orders {
        let foretold = preview(&world, order).await.expect("it can be done");
        assert_eq!((foretold.effect, foretold.changes.len()), (*effect, *changes), "{order:?}: {foretold:?}");
        assert!(!format!("{foretold:?}").contains("Correct-Horse7"));
        assert_effect(world.fulfill(order, &[]).await, Effect::Changed);
        let again = preview(&world, order).await.expect("it is done");
        assert_eq!(again.effect, ForeseenEffect::None, "{order:?}: {again:?}");
        assert_eq!(again.changes, [], "{order:?}");
    }
}

#[tokio::test]
async fn a_preview_names_old_and_new() {
    let world = world().await;
    let user = world.nth("users", 1);
    world.sandbox.with_org(|org| org.set_attribute(&user, "city", json!("Oslo")));
    let order = modified("users", &user, json!({"profile.city": "", "profile.title": "Countess"}));
    let foretold = preview(&world, &order).await.expect("it can be done");
    let shown: Vec<(&str, Option<&str>, Option<&str>)> =
        foretold.changes.iter().map(|c| (c.attribute.as_str(), c.old.as_deref(), c.new.as_deref())).collect();
    assert_eq!(shown, [("profile.city", Some("Oslo"), None), ("profile.title", None, Some("Countess"))]);
}

#[tokio::test]
async fn what_would_be_refused_is_the_same_refusal() {
    let world = world().await;
    let user = world.nth("users", 1);
    let everyone = world.sandbox.with_org(|org| org.group_id("Everyone")).expect("there is one");
    world.sandbox.with_org(|org| org.set_user_status(&user, Status::Staged));
    let mut linked = modified("users", &user, json!({}));
    linked.links = vec![link("groupsusers", 1, &everyone, LinkAction::Add)];
    for order in [
        linked,
        modified("users", &user, json!({"status": "SUSPENDED"})),
        modified("users", &user, json!({"profile.nothing": "x"})),
        modified("users", "00u0missing", json!({"profile.city": "x"})),
        deleted("groups", &everyone),
        ProvisioningOrder::new("1", ChangeType::Added, "groupsusers"),
    ] {
        let foretold = preview(&world, &order).await.expect_err("it would be refused");
        let refused = world.fulfill(&order, &[]).await.expect_err("it is refused");
        assert_eq!((foretold.kind(), foretold.to_string()), (refused.kind(), refused.to_string()));
    }
    assert_eq!(world.writes(), 0);
}

#[tokio::test]
async fn the_outlook_names_the_budget_and_what_is_taken_away() {
    let world = world().await;
    let mut member = modified("users", "00u1", json!({}));
    member.links = vec![link("groupsusers", 1, "00g1", LinkAction::Add)];
    let mut assigned = modified("users", "00u1", json!({}));
    assigned.links = vec![link("appsusers", 1, "0oa1", LinkAction::Add)];
    let one = |table: &str| format!("/api/v1/{table}/{{id}}");
    for (order, on_delete, lane, deletes, deactivates) in [
        (added("users", person("a@example.com")), "Delete", "/api/v1/users".to_owned(), false, false),
        (modified("users", "00u1", json!({"profile.city": "x"})), "Delete", one("users"), false, false),
        (modified("users", "00u1", json!({"status": "SUSPENDED"})), "Delete", "/api/v1/users".to_owned(), false, true),
        (modified("users", "00u1", json!({"status": "ACTIVE"})), "Delete", "/api/v1/users".to_owned(), false, false),
        (deleted("users", "00u1"), "Delete", one("users"), true, false),
        (deleted("users", "00u1"), "Suspend", "/api/v1/users".to_owned(), false, true),
        (deleted("groups", "00g1"), "Suspend", one("groups"), true, false),
        (modified("apps", "0oa1", json!({"status": "INACTIVE"})), "Delete", "/api/v1/apps".to_owned(), false, true),
        (member, "Delete", "/api/v1/groups".to_owned(), false, false),
        (assigned, "Delete", "/api/v1/apps".to_owned(), false, false),
    ] {
        let outlook = world.connector(&[("OnDelete", on_delete)]).outlook(&order);
        assert_eq!(
            (outlook.lane, outlook.deletes, outlook.deactivates),
            (lane.as_str(), deletes, deactivates),
            "{order:?}"
        );
    }
    assert_eq!(world.sandbox.journal().len(), 0);
}
