//! Values: what an export wrote comes back, and what Okta cannot take is refused by name.

use connector_api::{Effect, NewPassword};
use okta_sandbox::Status;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;
use crate::scripted::{Answer, Scripted};

/// An organisation with attributes of every type.
async fn typed_world() -> World {
    let seed = json!({
        "userAttributes": {"shoeSize": "integer", "rate": "number", "isLead": "boolean", "skills": "array"},
        "users": [
            {"status": "ACTIVE", "profile": {"login": "ada@example.com", "firstName": "Ada", "lastName": "Lovelace"}},
            {"status": "ACTIVE", "profile": {"login": "bob@example.com", "firstName": "Bob", "lastName": "Byron"}},
        ],
    });
    World::new(Seed::from_json(&seed.to_string()).expect("a good seed")).await
}

#[tokio::test]
async fn the_text_of_a_cell_becomes_the_schemas_type() {
    let world = typed_world().await;
    let id = world.id_of("bob@example.com");
    let order = modified(
        "users",
        &id,
        json!({"profile.shoeSize": "42", "profile.rate": "1.5", "profile.isLead": "True", "Profile.Skills": "rust\nokta"}),
    );
    assert_effect(world.fulfill(&order, &[]).await, Effect::Changed);
    let profile = world.user_of(&id)["profile"].clone();
    assert_eq!(profile["shoeSize"], 42);
    assert_eq!(profile["rate"], 1.5);
    assert_eq!(profile["isLead"], true);
    assert_eq!(profile["skills"], json!(["rust", "okta"]));
    // As the export writes it: sorted.
    let exported = modified(
        "users",
        &id,
        json!({"profile.shoeSize": 42, "profile.skills": "okta\nrust", "profile.isLead": "true"}),
    );
    assert_effect(world.fulfill(&exported, &[]).await, Effect::AlreadyInPlace);
}

#[tokio::test]
async fn bad_values_are_refused_by_name_before_anything_is_sent() {
    let world = typed_world().await;
    let id = world.id_of("bob@example.com");
    let long = "x".repeat(70_000);
    for (column, value, words) in [
        ("profile.nothing", json!("x"), "no attribute `profile.nothing`"),
        ("profile.shoeSize", json!("large"), "`profile.shoeSize` must be a whole number"),
        ("profile.isLead", json!("maybe"), "`profile.isLead` must be"),
        ("profile.city", json!({"a": 1}), "`profile.city` must be text"),
        ("profile.city", json!("Oslo \u{1F600}"), "U+1F600"),
        ("profile.city", json!(long), "`profile.city`"),
        ("profile.login", json!(null), "`profile.login` cannot be cleared"),
        ("profile.firstName", json!("x".repeat(51)), "51 characters"),
    ] {
        let (outcome, _) = world.sent_by(&modified("users", &id, json!({column: value})), &[]).await;
        assert_rejected(outcome, &[words]);
        assert_eq!(world.writes(), 0, "{column}");
    }
}

#[tokio::test]
async fn schemas_are_read_once_and_once_more_for_an_unknown_attribute() {
    let world = typed_world().await;
    let (connector, id) = (world.connector(&[]), world.id_of("bob@example.com"));
    let schemas = || world.sandbox.journal().iter().filter(|exchange| exchange.path.contains("/meta/")).count();
    for city in ["Oslo", "Bergen", "Bodø"] {
        let order = modified("users", &id, json!({"profile.city": city}));
        assert_effect(connector.fulfill(&order, &Memory::default()).await, Effect::Changed);
    }
    assert_eq!(schemas(), 2, "the types, and the schema");
    for expected in [3, 3] {
        let order = modified("users", &id, json!({"profile.nothing": "x"}));
        assert_rejected(connector.fulfill(&order, &Memory::default()).await, &["profile.nothing"]);
        assert_eq!(schemas(), expected);
    }
}

#[tokio::test]
async fn an_attribute_that_okta_denies_in_error_is_sent_once_more_and_no_more() {
    let world = world().await;
    let denied = || FaultAction::Status {
        status: 400,
        body: json!({"errorCode": "E0000001", "errorSummary": "Api validation failed: newUser", "errorCauses": [
            {"errorSummary": "newUser: Property name 'firstName' is not defined in profile"}]})
        .to_string(),
        headers: Vec::new(),
    };
    world.strike_writes("POST", "/api/v1/users", denied(), 1);
    let order = added("users", person("ada@example.com"));
    assert_effect(world.fulfill(&order, &[]).await, Effect::Changed);
    world.strike_writes("POST", "/api/v1/users", denied(), 9);
    let other = added("users", person("bob@example.com"));
    let (outcome, sent) = world.sent_by(&other, &[]).await;
    assert_rejected(outcome, &["is not defined in profile"]);
    assert_eq!(sent.len(), 2, "{sent:?}");
}

#[tokio::test]
async fn a_password_for_what_has_none_is_refused() {
    let world = world().await;
    let mut group = added("groups", json!({"profile.name": "Readers"}));
    group.password = Some(NewPassword { value: "Correct-Horse7".into(), must_change: false });
    assert_rejected(world.fulfill(&group, &[]).await, &["a group has no password"]);
    assert_eq!(world.writes(), 0);
}

#[tokio::test]
async fn without_the_right_to_read_schemas_okta_checks() {
    let world = typed_world().await;
    let id = world.id_of("bob@example.com");
    world.sandbox.with_org(|org| org.deny("/api/v1/meta"));
    assert_effect(world.fulfill(&modified("users", &id, json!({"profile.city": "Oslo"})), &[]).await, Effect::Changed);
    assert_rejected(world.fulfill(&modified("users", &id, json!({"profile.nothing": "x"})), &[]).await, &["E0000001"]);
}

#[tokio::test]
async fn a_deactivated_account_is_changed_only_after_it_is_activated() {
    let world = typed_world().await;
    let id = world.id_of("bob@example.com");
    world.sandbox.with_org(|org| org.set_user_status(&id, Status::Deprovisioned));
    let order = modified("users", &id, json!({"profile.city": "Oslo", "status": "ACTIVE"}));
    let (outcome, sent) = world.sent_by(&order, &[]).await;
    assert_effect(outcome, Effect::Changed);
    let writes: Vec<&String> = sent.iter().filter(|line| line.starts_with("POST")).collect();
    assert!(writes[0].contains("activate") && writes[1].ends_with(&id), "{sent:?}");
}

#[tokio::test]
async fn another_type_is_a_full_replacement_that_loses_nothing_it_can_keep() {
    let world = typed_world().await;
    let id = world.id_of("bob@example.com");
    world
        .sandbox
        .with_org(|org| org.set_attribute(&id, "city", json!("Oslo")) & org.set_attribute(&id, "shoeSize", json!(42)));
    let made = post(&world, "/api/v1/meta/types/user", r#"{"name":"guest","displayName":"Guest"}"#).await;
    let guest = made["id"].as_str().expect("a type has an id");
    let order = modified("users", &id, json!({"type.id": guest, "profile.title": "Guest"}));
    let foretold = world.connector(&[]).preview(&order).await.expect("it can be done");
    let (outcome, sent) = world.sent_by(&order, &[]).await;
    assert_effect(outcome, Effect::Changed);
    assert_eq!(sent, [format!("GET users/{id}"), format!("PUT users/{id}")]);
    let user = world.user_of(&id);
    assert_eq!((&user["type"]["id"], &user["profile"]["city"]), (&json!(guest), &json!("Oslo")));
    let lost = foretold.changes.iter().any(|change| change.attribute == "profile.shoeSize" && change.new.is_none());
    assert_eq!(lost, user["profile"]["shoeSize"].is_null(), "what the new type has no place for is foretold");
    assert_effect(world.fulfill(&order, &[]).await, Effect::AlreadyInPlace);
}

#[tokio::test]
async fn what_a_directory_masters_is_named_before_anything_is_sent() {
    let organisation = Scripted::start(|target, _| match target {
        "/api/v1/meta/types/user" => Answer::json(
            200,
            r#"[{"id":"oty1","default":true,"_links":{"schema":{"href":"http://x/api/v1/meta/schemas/user/osc1"}}}]"#,
        ),
        "/api/v1/meta/schemas/user/osc1" => Answer::json(
            200,
            r#"{"definitions":{"base":{"properties":{
                "city":{"type":"string","master":{"type":"PROFILE_MASTER"}},
                "title":{"type":"string","master":{"type":"OKTA"}}}}}}"#,
        ),
        _ => Answer::json(
            200,
            r#"{"id":"00u1","status":"ACTIVE","type":{"id":"oty1"},"profile":{"login":"ada","city":"Oslo"},
                "credentials":{"provider":{"type":"ACTIVE_DIRECTORY","name":"example.com"}}}"#,
        ),
    })
    .await;
    let connector = organisation.connector("00token", &[]);
    let mastered = modified("users", "00u1", json!({"profile.city": "Bergen"}));
    assert_rejected(connector.fulfill(&mastered, &Memory::default()).await, &["`profile.city`", "ACTIVE_DIRECTORY"]);
    let mut password = modified("users", "00u1", json!({}));
    password.password = Some(NewPassword { value: "Correct-Horse7".into(), must_change: false });
    assert_rejected(connector.fulfill(&password, &Memory::default()).await, &["password", "ACTIVE_DIRECTORY"]);
    let unchanged = modified("users", "00u1", json!({"profile.city": "Oslo"}));
    assert_effect(connector.fulfill(&unchanged, &Memory::default()).await, Effect::AlreadyInPlace);
    assert!(organisation.heads().iter().all(|head| head.starts_with("GET ")));
    let oktas_own = modified("users", "00u1", json!({"profile.title": "Countess"}));
    assert_effect(connector.fulfill(&oktas_own, &Memory::default()).await, Effect::Changed);
}

/// Posts a body and gives the answer.
async fn post(world: &World, target: &str, body: &str) -> Value {
    let (url, token) = (world.sandbox.url(), world.sandbox.token().to_owned());
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("the sandbox listens");
    let length = body.len();
    let request = format!(
        "POST {target} HTTP/1.1\r\nhost: {address}\r\nauthorization: SSWS {token}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await.expect("the sandbox reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the sandbox answers");
    let (_, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    serde_json::from_str(body).expect("the answer is JSON")
}
