//! The shape of a JSON value: which keys it has, how deep, and of which JSON type each value is.
//!
//! A shape is flat, from path to types: `profile.login` → `string`, `credentials.emails[].status` → `"VERIFIED"`. The
//! elements of an array share one path, so that an array's shape is the union of its elements' shapes. The values of
//! a few keys which enumerate states count as types of their own: a replay must arrive at the same states.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

type Shape = BTreeMap<String, BTreeSet<String>>;

const STATES: [&str; 6] = ["status", "type", "scope", "signOnMode", "syncState", "priority"];

/// One place where two shapes part: what kind of difference, where, and both sides in words.
pub(crate) struct Parting {
    pub(crate) subject: String,
    pub(crate) detail: String,
}

pub(crate) fn compare(recorded: &Value, ours: &Value) -> Vec<Parting> {
    let (recorded, ours) = (of(recorded), of(ours));
    let paths: BTreeSet<&String> = recorded.keys().chain(ours.keys()).collect();
    let mut partings = Vec::new();
    let mut reported: Vec<&String> = Vec::new();
    for path in paths {
        // What lies below a reported path differs with it: once is enough.
        let below =
            |above: &&String| path.strip_prefix(above.as_str()).is_some_and(|rest| rest.starts_with(['.', '[']));
        if reported.iter().any(below) {
            continue;
        }
        let (kind, detail) = match (recorded.get(path), ours.get(path)) {
            (Some(recorded), None) => ("missing", format!("recorded {}", words(recorded))),
            (None, Some(ours)) => ("extra", format!("ours {}", words(ours))),
            (Some(recorded), Some(ours)) if agree(path, recorded, ours) => continue,
            (Some(recorded), Some(ours)) => ("type", format!("ours {}, recorded {}", words(ours), words(recorded))),
            (None, None) => continue,
        };
        reported.push(path);
        partings.push(Parting { subject: format!("{kind} {path}"), detail });
    }
    partings
}

/// One value has one type, and it must be the same; below an array there may be several, and one in common will do.
fn agree(path: &str, recorded: &BTreeSet<String>, ours: &BTreeSet<String>) -> bool {
    if path.contains("[]") { !recorded.is_disjoint(ours) } else { recorded == ours }
}

fn words(types: &BTreeSet<String>) -> String {
    types.iter().map(String::as_str).collect::<Vec<_>>().join("|")
}

fn of(value: &Value) -> Shape {
    let mut shape = Shape::new();
    collect("", value, &mut shape);
    shape
}

fn collect(path: &str, value: &Value, shape: &mut Shape) {
    let key = path.rsplit('.').next().unwrap_or(path);
    let kind = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "boolean".to_owned(),
        Value::Number(_) | Value::String(_) if STATES.contains(&key) => value.to_string(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    };
    shape.entry(path.to_owned()).or_default().insert(kind);
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| collect(&format!("{path}[]"), element, shape)),
        Value::Object(members) => {
            for (key, member) in members {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect(&path, member, shape);
            }
        }
        _ => {}
    }
}

#[test]
fn partings_are_named_once_and_where_they_begin() {
    use serde_json::json;

    let recorded = json!({"id": "1", "status": "ACTIVE", "profile": {"city": null}, "_links": {"self": {"href": ""}}});
    let ours = json!({"id": "2", "status": "STAGED", "profile": {"city": "Ulm"}, "tags": [{"name": "a"}]});
    let subjects: Vec<_> = compare(&recorded, &ours).into_iter().map(|parting| parting.subject).collect();
    assert_eq!(subjects, ["missing _links", "type profile.city", "type status", "extra tags"]);

    let (recorded, ours) = (json!([{"at": null}, {"at": "noon"}]), json!([{"at": "noon"}]));
    assert!(compare(&recorded, &ours).is_empty());
}
