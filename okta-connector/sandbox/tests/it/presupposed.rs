//! What a recording presupposes: users, groups and applications that existed before its first step.
//!
//! Whatever a recorded answer shows without an earlier step having created it was there already, and the sandbox gets
//! its like before the replay starts. Its own administrator, token and built-in group stand for the recorded ones.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::recordings::{Exchange, Recording};
use crate::replay::{Caller, Ids};
use crate::restored;

pub(crate) async fn create(recording: &Recording, caller: &Caller) -> Ids {
    let created: BTreeSet<&str> = recording
        .exchanges
        .iter()
        .filter(|exchange| exchange.method == "POST")
        .filter_map(|exchange| exchange.answer.body.as_ref()?["id"].as_str())
        .collect();
    let mut ids = Ids::default();
    for exchange in recording.exchanges.iter().filter(|exchange| exchange.answer.succeeded()) {
        for (kind, shown) in shown(exchange) {
            let Some(id) = shown["id"].as_str().filter(|id| !created.contains(id) && ids.get(id).is_none()) else {
                continue;
            };
            if let Some(ours) = like(kind, shown, caller).await {
                ids.insert(id, &ours);
            }
        }
    }
    ids
}

/// The entities an answer shows, each with the collection it belongs to.
fn shown(exchange: &Exchange) -> Vec<(&str, &Value)> {
    let path = exchange.target.split('?').next().unwrap_or_default();
    let segments: Vec<&str> = path.trim_start_matches("/api/v1/").trim_end_matches('/').split('/').collect();
    let kind = match segments[..] {
        [kind @ ("users" | "groups" | "apps" | "api-tokens")]
        | [kind @ ("users" | "groups" | "apps" | "api-tokens"), _] => kind,
        ["users", _, "groups"] => "groups",
        _ => return Vec::new(),
    };
    match &exchange.answer.body {
        Some(Value::Array(elements)) => elements.iter().map(|element| (kind, element)).collect(),
        Some(entity @ Value::Object(_)) => vec![(kind, entity)],
        _ => Vec::new(),
    }
}

/// The id of the entity which stands for the one shown: found where Okta keeps it itself, created otherwise.
async fn like(kind: &str, shown: &Value, caller: &Caller) -> Option<String> {
    let answer = match kind {
        "api-tokens" => caller.call("GET", "/api/v1/api-tokens", None).await,
        "groups" if shown["type"] == "BUILT_IN" => {
            let name = shown["profile"]["name"].as_str()?;
            caller.call("GET", &format!("/api/v1/groups?q={name}"), None).await
        }
        "groups" => {
            allow_attributes(&shown["profile"], caller).await;
            caller.call("POST", "/api/v1/groups", Some(restored::group(shown).to_string())).await
        }
        "users" => {
            let target = format!("/api/v1/users?activate={}", shown["status"] != "STAGED");
            caller.call("POST", &target, Some(restored::user(shown).to_string())).await
        }
        _ => caller.call("POST", "/api/v1/apps", Some(restored::application(shown).to_string())).await,
    };
    let entity = answer.body.filter(|_| (200..300).contains(&answer.status))?;
    let entity = if entity.is_array() { &entity[0] } else { &entity };
    let id = entity["id"].as_str()?.to_owned();
    if shown["status"] == "PASSWORD_EXPIRED" {
        caller.call("POST", &format!("/api/v1/users/{id}/lifecycle/expire_password"), None).await;
    }
    Some(id)
}

/// Adds the attributes to the group schema which a shown profile has and a new organisation's schema lacks.
async fn allow_attributes(profile: &Value, caller: &Caller) {
    for name in profile.as_object().into_iter().flat_map(|profile| profile.keys()) {
        if name != "name" && name != "description" {
            let properties = json!({name: {"title": name, "type": "string"}});
            let schema =
                json!({"definitions": {"custom": {"id": "#custom", "type": "object", "properties": properties}}});
            caller.call("POST", "/api/v1/meta/schemas/group/default", Some(schema.to_string())).await;
        }
    }
}
