//! Apps: the template kinds, changes that keep the rest, deletion after deactivation.

use connector_api::Effect;
use serde_json::json;

use super::*;

async fn app_of(world: &World, id: &str) -> Value {
    serde_json::from_str(&crate::call(&world.sandbox, "GET", &format!("/api/v1/apps/{id}")).await).expect("JSON")
}

#[tokio::test]
async fn each_kind_is_created_from_its_columns() {
    let url = "https://app.example.com";
    let kinds = [
        json!({"name": "bookmark", "settings.app.url": url, "settings.app.requestIntegration": "false"}),
        json!({"name": "template_basic_auth", "settings.app.url": url, "settings.app.authURL": url}),
        json!({"name": "template_swa", "settings.app.url": url, "settings.app.buttonField": "b",
            "settings.app.usernameField": "u", "settings.app.passwordField": "p"}),
        json!({"name": "template_swa3field", "settings.app.targetURL": url, "settings.app.buttonSelector": "b",
            "settings.app.userNameSelector": "u", "settings.app.passwordSelector": "p",
            "settings.app.extraFieldSelector": "e", "settings.app.extraFieldValue": "v"}),
        json!({"name": "template_sps", "settings.app.url": url, "settings.app.usernameField": "u",
            "settings.app.passwordField": "p"}),
        json!({"name": "oidc_client", "settings.oauthClient.application_type": "web",
            "settings.oauthClient.redirect_uris": format!("{url}/a\n{url}/b"),
            "settings.oauthClient.grant_types": "authorization_code",
            "settings.oauthClient.response_types": "code"}),
    ];
    for (place, mut values) in kinds.into_iter().enumerate() {
        let world = world().await;
        values["label"] = json!(format!("App {place}"));
        let order = added("apps", values);
        let made = assert_effect(world.fulfill(&order, &[]).await, Effect::Changed);
        let app = app_of(&world, &made.key).await;
        assert_eq!((&app["label"], &app["status"]), (&json!(format!("App {place}")), &json!("ACTIVE")), "{app}");
        world.sandbox.clear_journal();
        assert_effect(world.fulfill(&order, &[]).await, Effect::AlreadyInPlace);
        assert_eq!(world.writes(), 0, "{:?}", world.sent());
    }
}

#[tokio::test]
async fn what_says_not_what_it_is_is_no_app() {
    let world = world().await;
    assert_rejected(world.fulfill(&added("apps", json!({"label": "X"})), &[]).await, &["signOnMode"]);
    assert_rejected(world.fulfill(&added("apps", json!({"name": "bookmark"})), &[]).await, &["label"]);
    let long = "x".repeat(101);
    assert_rejected(world.fulfill(&added("apps", json!({"name": "bookmark", "label": long})), &[]).await, &["label"]);
    assert_rejected(world.fulfill(&added("apps", json!({"label": "X", "features": "a"})), &[]).await, &["`features`"]);
    assert_eq!(world.writes(), 0);
}

#[tokio::test]
async fn a_change_keeps_the_rest_and_is_sent_once() {
    let world = world().await;
    let bookmark = json!({"label": "Wiki", "name": "bookmark", "settings.app.url": "https://a.example.com"});
    let id = world.fulfill(&added("apps", bookmark), &[]).await.expect("it is made").key;
    let order = modified("apps", &id, json!({"label": "Handbook"}));
    let (outcome, sent) = world.sent_by(&order, &[]).await;
    assert_effect(outcome, Effect::Changed);
    assert_eq!(sent, [format!("GET apps/{id}"), format!("PUT apps/{id}")]);
    let app = app_of(&world, &id).await;
    assert_eq!((&app["label"], &app["settings"]["app"]["url"]), (&json!("Handbook"), &json!("https://a.example.com")));
    assert_effect(world.fulfill(&order, &[]).await, Effect::AlreadyInPlace);
    assert_rejected(world.fulfill(&modified("apps", &id, json!({"name": "oidc_client"})), &[]).await, &["`name`"]);
}

#[tokio::test]
async fn apps_are_taken_out_of_use_and_deleted_after() {
    let world = world().await;
    let id = world.nth("apps", 0);
    let (outcome, sent) = world.sent_by(&modified("apps", &id, json!({"status": "INACTIVE"})), &[]).await;
    assert_effect(outcome, Effect::Changed);
    assert_eq!(sent, [format!("GET apps/{id}"), format!("POST apps/{id}/lifecycle/deactivate")]);
    assert_effect(
        world.fulfill(&modified("apps", &id, json!({"status": "INACTIVE"})), &[]).await,
        Effect::AlreadyInPlace,
    );
    assert_effect(world.fulfill(&modified("apps", &id, json!({"status": "ACTIVE"})), &[]).await, Effect::Changed);
    // Okta may fail right after the deactivation.
    world.strike_writes("DELETE", "/api/v1/apps", FaultAction::Error { status: 500, code: "E0000009".to_owned() }, 1);
    let (outcome, sent) = world.sent_by(&deleted("apps", &id), &[]).await;
    assert_effect(outcome, Effect::Changed);
    let deletion = format!("DELETE apps/{id}");
    assert_eq!(sent[1..], [format!("POST apps/{id}/lifecycle/deactivate"), deletion.clone(), deletion]);
    assert_effect(world.fulfill(&deleted("apps", &id), &[]).await, Effect::AlreadyInPlace);
}
