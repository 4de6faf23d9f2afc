//! Requests put back in order: the bodies which the older recorder dropped, and the queries which scrubbing ate.
//!
//! A dropped body is read back from the answer it led to: what the caller must have sent, and nothing which Okta adds.

use serde_json::{Map, Value, json};

use crate::recordings::Exchange;

/// Meets the default password policy; every restored request which sends or changes a password agrees on it.
const PASSWORD: &str = "Password150kta";
const NEW_PASSWORD: &str = "Password151kta";
const ANSWER: &str = "a restored answer";

/// Path and query of one exchange, `index` steps into the recording `name`.
pub(crate) fn target(name: &str, index: usize, exchange: &Exchange) -> String {
    if !exchange.target.contains("limit=scrubbed") {
        return exchange.target.clone();
    }
    // The scrubber replaced everything from the first parameter holding a secret's look-alike. What was there follows
    // from the name of the test (`list_applications_with_query_parameters`) and from the answer.
    let query = match (name.ends_with("with_query_parameters"), index) {
        (true, 3) => "q=QueryParamsTestApp&expand=user&limit=10",
        (true, 6) => "q=QueryParamsTestApp&includeNonDeleted=true&limit=10",
        (true, 7) => "filter=status+eq+%22ACTIVE%22&limit=10",
        (true, 8) => "q=QueryParamsTestApp&limit=10",
        _ => panic!("{name} #{index}: {} needs its query restored", exchange.target),
    };
    format!("/api/v1/apps?{query}")
}

pub(crate) fn body(exchange: &Exchange) -> Option<Value> {
    if exchange.body.is_some() || !matches!(exchange.method.as_str(), "POST" | "PUT") {
        return exchange.body.clone();
    }
    let segments = exchange.segments();
    let answer = exchange.answer.body.as_ref();
    match segments[..] {
        [.., "credentials", operation] => Some(credentials(operation, answer?)),
        [.., "csrs"] => Some(json!({"subject": {"countryName": "US", "commonName": "Restored"}})),
        ["users"] => Some(user(answer?)),
        ["apps"] => Some(application(answer?)),
        ["groups", "rules", ..] if segments.len() < 4 => {
            Some(keep(answer?, &["type", "name", "conditions", "actions"]))
        }
        ["users" | "groups", _] | ["groups"] => Some(keep(answer?, &["profile"])),
        ["users" | "groups", _, "roles"] => Some(keep(answer?, &["type"])),
        ["apps", _, "users", ..] => Some(keep(answer?, &["id", "scope", "credentials", "profile"])),
        ["apps", _, "grants"] => Some(keep(answer?, &["issuer", "scopeId"])),
        ["meta", "types", "user", ..] => Some(keep(answer?, &["name", "displayName", "description"])),
        _ => None,
    }
}

/// What creates the user that an answer shows.
pub(crate) fn user(shown: &Value) -> Value {
    let mut user = keep(shown, &["profile"]);
    let credentials = &shown["credentials"];
    if credentials.get("password").is_some() {
        user["credentials"]["password"]["value"] = PASSWORD.into();
    }
    if let Some(question) = credentials.get("recovery_question") {
        user["credentials"]["recovery_question"] = json!({"question": question["question"], "answer": ANSWER});
    }
    user
}

/// What creates the group that an answer shows.
pub(crate) fn group(shown: &Value) -> Value {
    keep(shown, &["profile"])
}

/// What creates the application that an answer shows.
pub(crate) fn application(shown: &Value) -> Value {
    let mut application = keep(shown, &["name", "label", "signOnMode"]);
    application["settings"] = keep(&shown["settings"], &["app", "oauthClient"]);
    if let Some(client) = shown["credentials"].get("oauthClient") {
        application["credentials"]["oauthClient"] = keep(client, &["autoKeyRotation", "token_endpoint_auth_method"]);
    }
    if let Some(scheme) = shown["credentials"].get("scheme") {
        application["credentials"]["scheme"] = scheme.clone();
    }
    application
}

fn credentials(operation: &str, shown: &Value) -> Value {
    let question = &shown["recovery_question"]["question"];
    match operation {
        "change_password" => json!({"oldPassword": {"value": PASSWORD}, "newPassword": {"value": NEW_PASSWORD}}),
        "change_recovery_question" => json!({
            "password": {"value": PASSWORD},
            "recovery_question": {"question": question, "answer": ANSWER},
        }),
        "forgot_password_recovery_question" => json!({
            "password": {"value": NEW_PASSWORD},
            "recovery_question": {"answer": ANSWER},
        }),
        _ => json!({}),
    }
}

/// The named members of an object, without the nulls that Okta shows for what was never set.
fn keep(shown: &Value, names: &[&str]) -> Value {
    let members = names.iter().filter_map(|name| Some(((*name).to_owned(), shown.get(*name)?.clone())));
    let mut kept: Map<String, Value> = members.collect();
    if let Some(Value::Object(profile)) = kept.get_mut("profile") {
        profile.retain(|_, value| !value.is_null());
    }
    Value::Object(kept)
}
