//! What a recording presupposes: users, groups, applications and attributes that existed before its first step.
//!
//! Whatever a recorded answer shows without an earlier step having created it was there already, and the sandbox gets
//! its like before the replay starts. Its own administrator, token and built-in group stand for the recorded ones.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::recordings::{Exchange, Recording};
use crate::replay::{Caller, Ids};
use crate::restored;

pub(crate) async fn create(recording: &Recording, caller: &Caller) -> Ids {
    attributes(recording, caller).await;
    if let [only] = recording.exchanges.as_slice()
        && only.answer.links.next.is_some()
    {
        // The page that is not recorded holds somebody.
        let body = json!({"profile": {"login": "next@example.com", "email": "next@example.com", "firstName": "N", "lastName": "N"}});
        caller.call("POST", "/api/v1/users", Some(body.to_string())).await;
    }
    let created: BTreeSet<&str> = recording
        .exchanges
        .iter()
        .filter(|exchange| exchange.method == "POST")
        .filter_map(|exchange| exchange.answer.body.as_ref()?["id"].as_str())
        .collect();
    let (mut ids, mut has_principal) = (Ids::default(), false);
    for exchange in recording.exchanges.iter().filter(|exchange| exchange.answer.succeeded()) {
        for (kind, shown) in shown(exchange) {
            let Some(id) = shown["id"].as_str().filter(|id| !created.contains(id) && ids.get(id).is_none()) else {
                continue;
            };
            if let Some(ours) = like(kind, shown, caller).await {
                ids.insert(id, &ours);
            }
            // The sandbox has one token: it stands for the first, the others are gone as they are there.
            if let Some(principal) = shown["principalId"].as_str()
                && !std::mem::replace(&mut has_principal, true)
                && let Some(ours) = like("api-tokens", shown, caller).await
            {
                ids.insert(principal, &ours);
            }
        }
    }
    ids
}

/// The entities an answer shows, each with the collection it belongs to.
fn shown(exchange: &Exchange) -> Vec<(&str, &Value)> {
    let kind = match exchange.segments()[..] {
        [kind @ ("users" | "groups" | "apps" | "api-tokens" | "principal-rate-limits"), ..]
            if exchange.segments().len() < 3 =>
        {
            kind.split('?').next().unwrap_or(kind)
        }
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
    let activate = shown["status"] != "STAGED";
    let (method, target, body) = match kind {
        "api-tokens" => ("GET", "/api/v1/api-tokens".to_owned(), None),
        "principal-rate-limits" => {
            ("GET", "/api/v1/principal-rate-limits?filter=principalType+eq+%22SSWS_TOKEN%22".to_owned(), None)
        }
        "groups" if shown["type"] == "BUILT_IN" => {
            ("GET", format!("/api/v1/groups?q={}", shown["profile"]["name"].as_str()?), None)
        }
        "groups" => ("POST", "/api/v1/groups".to_owned(), Some(restored::group(shown))),
        // Who signed the organisation up is active without ever having been activated.
        "users" if activate && shown["activated"].is_null() => {
            ("PUT", "/api/v1/users/me".to_owned(), Some(restored::user(shown)))
        }
        "users" => ("POST", format!("/api/v1/users?activate={activate}"), Some(restored::user(shown))),
        _ => ("POST", "/api/v1/apps".to_owned(), Some(restored::application(shown))),
    };
    let answer = caller.call(method, &target, body.map(|body| body.to_string())).await;
    let entity = answer.body.as_ref().filter(|_| answer.succeeded())?;
    let id = entity.get(0).unwrap_or(entity)["id"].as_str()?.to_owned();
    if shown["status"] == "PASSWORD_EXPIRED" {
        caller.call("POST", &format!("/api/v1/users/{id}/lifecycle/expire_password"), None).await;
    }
    Some(id)
}

/// Custom attributes which a recorded schema or profile shows before any recorded request adds them.
async fn attributes(recording: &Recording, caller: &Caller) {
    let mut requested = String::new();
    for exchange in recording.exchanges.iter().filter(|exchange| exchange.answer.succeeded()) {
        requested.extend(exchange.body.as_ref().map(Value::to_string));
        let Some(body) = &exchange.answer.body else { continue };
        let (kind, mut properties) = match exchange.segments()[..] {
            ["meta", "schemas", kind, "default"] => (kind, body["definitions"]["custom"]["properties"].clone()),
            ["groups", _] => ("group", of_profile(&body["profile"])),
            _ => continue,
        };
        let Some(members) = properties.as_object_mut() else { continue };
        members.retain(|name, _| !requested.contains(&format!("\"{name}\":{{")));
        if !members.is_empty() {
            let custom = json!({"id": "#custom", "type": "object", "properties": properties});
            let schema = json!({"definitions": {"custom": custom}}).to_string();
            requested.push_str(&schema);
            caller.call("POST", &format!("/api/v1/meta/schemas/{kind}/default"), Some(schema)).await;
        }
    }
}

/// What describes the attributes of a group's profile which no group has by default.
fn of_profile(profile: &Value) -> Value {
    let names = profile.as_object().into_iter().flat_map(|profile| profile.keys());
    let custom = names.filter(|name| !["name", "description"].contains(&name.as_str()));
    custom.map(|name| (name.clone(), json!({"title": name, "type": "string"}))).collect()
}
