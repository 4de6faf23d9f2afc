//! Links in all directions: one request each, none touched that was not named.

use connector_api::{Connector, Effect, LinkAction};
use okta_sandbox::{Seed, Status};
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_membership_takes_one_request_from_either_side() {
    let world = world().await;
    let (user, group) = (world.nth("users", 1), world.group("Readers"));
    for (table, id, side, other) in [("users", &user, 1, &group), ("groups", &group, 0, &user)] {
        for (action, method, is_member) in [(LinkAction::Add, "PUT", true), (LinkAction::Remove, "DELETE", false)] {
            let mut order = modified(table, id, json!({}));
            order.links = vec![link("groupsusers", side, other, action)];
            for _ in 0..2 {
                let (outcome, sent) = world.sent_by(&order, &[]).await;
                assert_effect(outcome, Effect::Changed);
                let link = format!("{method} groups/{group}/users/{user}");
                // An order for an account asks once a run whose token it is.
                let own = (table == "users").then(|| "GET users/me".to_owned());
                assert_eq!(sent, own.into_iter().chain([link]).collect::<Vec<_>>());
                assert_eq!(world.sandbox.with_org(|org| org.has_member(&group, &user)), is_member);
            }
        }
    }
}

#[tokio::test]
async fn an_assignment_takes_one_request_from_either_side() {
    let world = world().await;
    let (app, group) = (world.nth("apps", 0), world.group("Readers"));
    for (table, id, side, other) in [("apps", &app, 1, &group), ("groups", &group, 0, &app)] {
        for (action, method, is_assigned) in [(LinkAction::Add, "PUT", true), (LinkAction::Remove, "DELETE", false)] {
            let mut order = modified(table, id, json!({}));
            order.links = vec![link("groupsapps", side, other, action)];
            let (outcome, sent) = world.sent_by(&order, &[]).await;
            assert_effect(outcome, Effect::Changed);
            assert_eq!(sent, [format!("{method} apps/{app}/groups/{group}")]);
            assert_eq!(world.sandbox.with_org(|org| org.has_assignment(&app, &group)), is_assigned);
        }
    }
}

#[tokio::test]
async fn an_assignment_says_its_priority() {
    let world = world().await;
    let (app, group) = (world.nth("apps", 0), world.group("Readers"));
    let mut order = modified("apps", &app, json!({}));
    let mut assignment = link("groupsapps", 1, &group, LinkAction::Add);
    assignment.values.insert("priority".to_owned(), json!("3"));
    order.links = vec![assignment];
    assert_effect(world.fulfill(&order, &[]).await, Effect::Changed);
    let there = crate::call(&world.sandbox, "GET", &format!("/api/v1/apps/{app}/groups/{group}")).await;
    assert!(there.contains("\"priority\":3"), "{there}");
    order.links[0].values.insert("colour".to_owned(), json!("red"));
    let error = world.fulfill(&order, &[]).await.expect_err("an assignment has no colour");
    assert_told(&error, ErrorKind::Unsupported, &["`colour`"]);
}

#[tokio::test]
async fn apps_are_assigned_to_single_users() {
    let world = world().await;
    let (app, user) = (world.nth("apps", 0), world.nth("users", 1));
    let mut order = modified("users", &user, json!({}));
    order.links = vec![link("appsusers", 1, &app, LinkAction::Add)];
    for _ in 0..2 {
        assert_effect(world.fulfill(&order, &[]).await, Effect::Changed);
        let there = crate::call(&world.sandbox, "GET", &format!("/api/v1/apps/{app}/users/{user}")).await;
        assert!(there.contains("\"scope\":\"USER\""), "{there}");
    }
    order.links[0].action = LinkAction::Remove;
    for _ in 0..2 {
        assert_effect(world.fulfill(&order, &[]).await, Effect::Changed);
    }
    order.links[0].action = LinkAction::Add;
    world.sandbox.with_org(|org| org.set_user_status(&user, Status::Deprovisioned));
    assert_rejected(world.fulfill(&order, &[]).await, &["E0000117"]);
}

#[tokio::test]
async fn who_has_an_app_through_a_group_keeps_it_when_their_own_is_removed() {
    let world = world().await;
    let (app, user, group) = (world.nth("apps", 0), world.nth("users", 1), world.group("Readers"));
    world.sandbox.with_org(|org| org.add_member(&group, &user) & org.assign_group(&app, &group));
    let mut order = modified("users", &user, json!({}));
    order.links = vec![link("appsusers", 1, &app, LinkAction::Remove)];
    assert!(world.fulfill(&order, &[]).await.is_ok());
    assert!(world.sandbox.with_org(|org| org.has_assignment(&app, &group) & org.has_member(&group, &user)));
}

#[tokio::test]
async fn the_same_journal_sends_a_link_once() {
    let world = world().await;
    let (user, group) = (world.nth("users", 1), world.group("Readers"));
    let mut order = modified("groups", &group, json!({}));
    order.links = vec![link("groupsusers", 0, &user, LinkAction::Add)];
    let (connector, journal) = (world.connector(&[]), Memory::default());
    assert_effect(connector.fulfill(&order, &journal).await, Effect::Changed);
    assert_effect(connector.fulfill(&order, &journal).await, Effect::AlreadyInPlace);
    assert_eq!(world.sandbox.journal().len(), 1);
}

#[tokio::test]
async fn an_attempt_of_unknown_outcome_is_read_first() {
    let world = world().await;
    let (user, group, app) = (world.nth("users", 1), world.group("Readers"), world.nth("apps", 0));
    for (action, is_there) in
        [(LinkAction::Add, true), (LinkAction::Add, false), (LinkAction::Remove, true), (LinkAction::Remove, false)]
    {
        world.sandbox.with_org(|org| {
            if is_there {
                org.add_member(&group, &user) | org.assign_group(&app, &group)
            } else {
                org.remove_member(&group, &user) | org.unassign_group(&app, &group)
            }
        });
        let mut order = modified("groups", &group, json!({}));
        order.links = vec![link("groupsusers", 0, &user, action), link("groupsapps", 0, &app, action)];
        let name = if action == LinkAction::Add { "add" } else { "remove" };
        let steps = [format!("{name} groupsusers {user}"), format!("{name} groupsapps {app}")];
        let journal = Memory::begun(&[&steps[0], &steps[1]]);
        world.sandbox.clear_journal();
        let is_so = (action == LinkAction::Add) == is_there;
        let effect = if is_so { Effect::AlreadyInPlace } else { Effect::Changed };
        assert_effect(world.connector(&[]).fulfill(&order, &journal).await, effect);
        assert_eq!(world.writes(), if is_so { 0 } else { 2 }, "{:?}", world.sent());
    }
}

#[tokio::test]
async fn groups_that_others_keep_are_refused_with_the_reason() {
    let world = World::new(Seed::default()).await;
    let everyone = world.sandbox.with_org(|org| org.group_id("Everyone")).expect("there is one");
    let user = world.nth("users", 1);
    let mut order = modified("users", &user, json!({}));
    for action in [LinkAction::Add, LinkAction::Remove] {
        order.links = vec![link("groupsusers", 1, &everyone, action)];
        assert_rejected(world.fulfill(&order, &[]).await, &["Everyone", "built-in"]);
    }
    let imported = imported_group(&world).await;
    order.links = vec![link("groupsusers", 1, &imported, LinkAction::Add)];
    assert_rejected(world.fulfill(&order, &[]).await, &[&imported, "imported"]);
    assert_eq!(world.writes(), 0);
}

/// The first group of the organisation that an app imported.
pub(super) async fn imported_group(world: &World) -> String {
    let list = crate::call(&world.sandbox, "GET", "/api/v1/groups?limit=1&filter=type%20eq%20%22APP_GROUP%22").await;
    let list: Value = serde_json::from_str(&list).expect("a list");
    list[0]["id"].as_str().expect("an imported group").to_owned()
}

#[tokio::test]
async fn an_inactive_app_explains_itself() {
    let world = world().await;
    let (app, group) = (world.nth("apps", 0), world.group("Readers"));
    world.sandbox.with_org(|org| org.set_app_active(&app, false));
    let mut order = modified("groups", &group, json!({}));
    order.links = vec![link("groupsapps", 0, &app, LinkAction::Add)];
    assert_rejected(world.fulfill(&order, &[]).await, &[&app, "inactive"]);
}

#[tokio::test]
async fn one_failing_link_stops_no_other_and_is_told() {
    let world = world().await;
    let (user, groups) = (world.nth("users", 1), [world.group("A"), world.group("B")]);
    let mut order = modified("users", &user, json!({}));
    order.links =
        [&groups[0], "00g0missing", &groups[1]].iter().map(|g| link("groupsusers", 1, g, LinkAction::Add)).collect();
    assert_rejected(
        world.fulfill(&order, &[]).await,
        &["00g0missing", "there is no group", "done before: 2 links changed"],
    );
    assert!(groups.iter().all(|group| world.sandbox.with_org(|org| org.has_member(group, &user))));
    order.links = vec![link("groupsusers", 1, "00g0missing", LinkAction::Remove)];
    assert!(world.fulfill(&order, &[]).await.is_ok(), "what is gone has no members");
}

#[tokio::test]
async fn a_missing_record_of_the_order_is_not_found() {
    let world = world().await;
    let group = world.group("A");
    for action in [LinkAction::Add, LinkAction::Remove] {
        let mut order = modified("users", "00u0missing", json!({}));
        order.links = vec![link("groupsusers", 1, &group, action)];
        let error = world.fulfill(&order, &[]).await.expect_err("there is no such account");
        assert_told(&error, ErrorKind::NotFound, &["00u0missing"]);
    }
}

#[tokio::test]
async fn contradictions_and_wrong_sides_are_refused() {
    let world = world().await;
    let (user, group) = (world.nth("users", 1), world.group("A"));
    let mut order = modified("users", &user, json!({}));
    order.links =
        vec![link("groupsusers", 1, &group, LinkAction::Add), link("groupsusers", 1, &group, LinkAction::Remove)];
    assert_rejected(world.fulfill(&order, &[]).await, &["both"]);
    for (table, side) in [("groupsusers", 0), ("groupsusers", 2), ("groupsapps", 1), ("strangers", 0)] {
        order.links = vec![link(table, side, &group, LinkAction::Add)];
        let error = world.fulfill(&order, &[]).await.expect_err("users have no such side");
        assert_told(&error, ErrorKind::Unsupported, &[table]);
    }
    assert_eq!(world.sandbox.journal().len(), 0);
}

#[tokio::test]
async fn a_thousand_memberships_take_a_thousand_requests() {
    let world = World::new(Seed::exact(1000, 1, 1, 0)).await;
    let group = world.group("All");
    let users = world.sandbox.with_org(|org| org.user_ids());
    let mut order = modified("groups", &group, json!({}));
    order.links = users.iter().map(|user| link("groupsusers", 0, user, LinkAction::Add)).collect();
    let connector = world.connector(&[]);
    assert_effect(connector.fulfill(&order, &Memory::default()).await, Effect::Changed);
    assert_eq!(world.sandbox.journal().len(), users.len());
    assert_eq!(world.sandbox.with_org(|org| org.member_ids(&group)).len(), users.len());
    assert_eq!(connector.traffic().max_in_flight, 12);
}
