//! What no order touches: protected accounts and groups, and our own account.

use connector_api::{Effect, LinkAction};
use serde_json::json;

use super::*;

#[tokio::test]
async fn protected_accounts_are_never_touched() {
    let world = world().await;
    let (user, group, app) = (world.nth("users", 1), world.group("Readers"), world.nth("apps", 0));
    let login = world.user_of(&user)["profile"]["login"].as_str().expect("a login").to_owned();
    let filter = format!("profile.login eq \"{login}\"");
    let settings = [("ProtectedUserFilter", filter.as_str())];
    let mut member = modified("groups", &group, json!({}));
    member.links = vec![link("groupsusers", 0, &user, LinkAction::Add)];
    let mut assigned = modified("users", &user, json!({}));
    assigned.links = vec![link("appsusers", 1, &app, LinkAction::Add)];
    let orders = [
        modified("users", &user, json!({"profile.city": "Oslo"})),
        modified("users", &user, json!({"status": "SUSPENDED"})),
        deleted("users", &user),
        added("users", person(&login)),
        member,
        assigned,
    ];
    for order in &orders {
        assert_rejected(world.fulfill(order, &settings).await, &["ProtectedUserFilter", &user]);
    }
    assert_eq!(world.writes(), 0, "{:?}", world.sent());
    let other = modified("users", &world.nth("users", 2), json!({"profile.city": "Oslo"}));
    assert_effect(world.fulfill(&other, &settings).await, Effect::Changed);
}

#[tokio::test]
async fn protected_groups_are_never_touched() {
    let world = world().await;
    let (user, group) = (world.nth("users", 1), world.group("Administrators"));
    let settings = [("ProtectedGroupFilter", "profile.name sw \"Admin\"")];
    let mut member = modified("users", &user, json!({}));
    member.links = vec![link("groupsusers", 1, &group, LinkAction::Remove)];
    let mut created = added("users", person("ada@example.com"));
    created.links = vec![link("groupsusers", 1, &group, LinkAction::Add)];
    for order in [member, created, deleted("groups", &group), modified("groups", &group, json!({"profile.name": "X"}))]
    {
        assert_rejected(world.fulfill(&order, &settings).await, &["ProtectedGroupFilter", &group]);
    }
    assert_eq!(world.writes(), 0);
}

#[tokio::test]
async fn an_unusable_filter_names_its_setting() {
    let world = world().await;
    let order = deleted("users", &world.nth("users", 1));
    let error =
        world.fulfill(&order, &[("ProtectedUserFilter", "login is nonsense")]).await.expect_err("no expression");
    assert_eq!((error.kind(), error.setting_key()), (ErrorKind::Settings, Some("ProtectedUserFilter")), "{error}");
    assert_eq!(world.writes(), 0);
}

#[tokio::test]
async fn no_order_touches_the_account_of_the_token() {
    let world = world().await;
    let me = &world.own_account().await;
    for on_delete in ["Delete", "Deactivate", "Suspend"] {
        assert_rejected(world.fulfill(&deleted("users", me), &[("OnDelete", on_delete)]).await, &[me, "signs in as"]);
    }
    for status in ["SUSPENDED", "DEPROVISIONED"] {
        assert_rejected(world.fulfill(&modified("users", me, json!({"status": status})), &[]).await, &["signs in as"]);
    }
    let login = world.user_of(me)["profile"]["login"].as_str().expect("a login").to_owned();
    let mut adopted = person(&login);
    adopted["status"] = json!("DEPROVISIONED");
    assert_rejected(world.fulfill(&added("users", adopted), &[]).await, &["signs in as"]);
    assert_rejected(
        world.fulfill(&modified("users", me, json!({"profile.city": "Oslo"})), &[]).await,
        &["signs in as"],
    );
    let mut left = modified("users", me, json!({}));
    left.links = vec![link("groupsusers", 1, &world.group("Readers"), LinkAction::Remove)];
    assert_rejected(world.fulfill(&left, &[]).await, &["signs in as"]);
    assert_eq!(world.writes(), 0);
    let other = modified("users", &world.nth("users", 1), json!({"profile.city": "Oslo"}));
    assert_effect(world.fulfill(&other, &[]).await, Effect::Changed);
}
