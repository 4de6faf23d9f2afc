//! Signing keys and the provisioning connection of an application: shapes only, the keys sign nothing.
//! Okta: generate and clone answer 201; a new application shows the organisation's key; lists have no Link.

use hyper::Method;
use serde_json::{Value, json};

use crate::clock::seconds;
use crate::error::ApiError;
use crate::org::Org;
use crate::routes::{apps, unknown};
use crate::wire::{Answer, Call, Outcome};

const YEAR: i64 = 365 * 86_400_000;

pub(crate) fn read(org: &Org, id: &str, rest: &[&str]) -> Outcome {
    let app = org.apps.get(apps::row(org, id)?).ok_or_else(|| ApiError::not_found(id, "AppInstance"))?;
    let own = key(&org.id.repeat(3)[..43], app.created, 10);
    let mut keys = std::iter::once(&own).chain(&app.keys);
    match rest {
        ["credentials", "keys"] => Ok(Answer::ok(keys.cloned().collect::<Value>().to_string())),
        ["credentials", "keys", kid] => {
            let found = keys.find(|key| key["kid"] == *kid);
            found.map(|key| Answer::value(200, key)).ok_or_else(|| ApiError::not_found(kid, "JsonWebKey"))
        }
        ["connections", "default"] => {
            let me = format!("{}/api/v1/apps/{id}/connections/default", org.base);
            Ok(Answer::value(
                200,
                &json!({
                    "authScheme": "TOKEN",
                    "status": "DISABLED",
                    "_links": {
                        "activate": {"href": format!("{me}/lifecycle/activate"), "hints": {"allow": ["POST"]}},
                        "self": {"href": me, "hints": {"allow": ["POST", "GET"]}},
                    },
                }),
            ))
        }
        _ => Err(ApiError::coded("E0000008")),
    }
}

pub(crate) fn write(call: &Call, org: &mut Org, id: &str, rest: &[&str]) -> Outcome {
    let row = apps::row(org, id)?;
    let made = match (&call.method, rest) {
        (&Method::POST, ["credentials", "keys", "generate"]) => {
            let years = call.parameter("validityYears").and_then(|text| text.parse().ok()).unwrap_or(2);
            let kid = org.ids.word(43);
            (row, key(&kid, call.now, years))
        }
        (&Method::POST, ["credentials", "keys", kid, "clone"]) => {
            let target = apps::row(org, call.parameter("targetAid").unwrap_or_default())?;
            let known = org.apps.get(row).and_then(|app| app.keys.iter().find(|key| key["kid"] == *kid));
            (target, known.cloned().ok_or_else(|| ApiError::not_found(kid, "JsonWebKey"))?)
        }
        _ => return Err(unknown(call)),
    };
    let (target, key) = made;
    let answer = Answer::value(201, &key);
    if let Some(app) = org.apps.get_mut(target) {
        app.keys.push(key);
    }
    Ok(answer)
}

fn key(kid: &str, created: i64, years: i64) -> Value {
    json!({
        "kty": "RSA",
        "created": seconds(created),
        "lastUpdated": seconds(created),
        "expiresAt": seconds(created + years * YEAR),
        "kid": kid,
        "use": "sig",
        "x5c": [kid.repeat(8)],
        "x5t#S256": kid,
        "e": "AQAB",
        "n": kid.repeat(8),
    })
}
