//! Groups: created once, replaced with all they have, never touched where others keep them.

use connector_api::Effect;
use okta_sandbox::{Seed, Status};
use serde_json::json;

use super::*;

async fn group_of(world: &World, id: &str) -> Value {
    serde_json::from_str(&crate::call(&world.sandbox, "GET", &format!("/api/v1/groups/{id}")).await).expect("JSON")
}

#[tokio::test]
async fn a_group_is_created_once_and_adopted_by_its_name() {
    let world = world().await;
    let mut order = added("groups", json!({"profile.name": "Readers", "profile.description": "read"}));
    order.links = vec![link("groupsusers", 0, &world.nth("users", 1), LinkAction::Add)];
    let (outcome, sent) = world.sent_by(&order, &[]).await;
    let made = assert_effect(outcome, Effect::Changed);
    assert_eq!(sent, ["POST groups".to_owned(), format!("PUT groups/{}/users/{}", made.key, world.nth("users", 1))]);
    order.links.clear();
    world.sandbox.clear_journal();
    let again = assert_effect(world.fulfill(&order, &[]).await, Effect::AlreadyInPlace);
    assert_eq!((again.key, world.writes()), (made.key, 0));
}

#[tokio::test]
async fn a_change_sends_back_what_was_there() {
    let world = world().await;
    let made =
        world.fulfill(&added("groups", json!({"profile.name": "Readers", "profile.description": "read"})), &[]).await;
    let id = made.expect("it is made").key;
    let order = modified("groups", &id, json!({"profile.name": "Writers"}));
    let (outcome, sent) = world.sent_by(&order, &[]).await;
    assert_effect(outcome, Effect::Changed);
    assert_eq!(sent, [format!("GET groups/{id}"), format!("PUT groups/{id}")]);
    let profile = group_of(&world, &id).await["profile"].clone();
    assert_eq!((&profile["name"], &profile["description"]), (&json!("Writers"), &json!("read")));
    assert_effect(world.fulfill(&order, &[]).await, Effect::AlreadyInPlace);
    assert_effect(
        world.fulfill(&modified("groups", &id, json!({"profile.description": ""})), &[]).await,
        Effect::Changed,
    );
    assert!(group_of(&world, &id).await["profile"]["description"].is_null());
}

#[tokio::test]
async fn a_group_is_deleted_and_gone_is_gone() {
    let world = world().await;
    let id = world.group("Readers");
    let (outcome, sent) = world.sent_by(&deleted("groups", &id), &[]).await;
    assert_effect(outcome, Effect::Changed);
    assert_eq!(sent, [format!("GET groups/{id}"), format!("DELETE groups/{id}")]);
    assert_effect(world.fulfill(&deleted("groups", &id), &[]).await, Effect::AlreadyInPlace);
}

#[tokio::test]
async fn groups_of_others_are_left_alone() {
    let world = World::new(Seed::default()).await;
    let everyone = world.sandbox.with_org(|org| org.group_id("Everyone")).expect("there is one");
    let imported = links::imported_group(&world).await;
    for (id, reason) in [(&everyone, "built in"), (&imported, "imported")] {
        assert_rejected(
            world.fulfill(&modified("groups", id, json!({"profile.description": "x"})), &[]).await,
            &[reason],
        );
        assert_rejected(world.fulfill(&deleted("groups", id), &[]).await, &[reason]);
    }
    assert_eq!(world.writes(), 0);
}

#[tokio::test]
async fn protected_and_own_are_other_matters_than_deactivated_members() {
    let world = world().await;
    let (group, user) = (world.group("Readers"), world.nth("users", 1));
    world.sandbox.with_org(|org| org.add_member(&group, &user) & org.set_user_status(&user, Status::Deprovisioned));
    let mut order = modified("groups", &group, json!({}));
    order.links = vec![link("groupsusers", 0, &user, LinkAction::Remove)];
    assert_effect(world.fulfill(&order, &[]).await, Effect::Changed);
    assert!(!world.sandbox.with_org(|org| org.has_member(&group, &user)));
}
