//! Groups: list with statistics, single reads, create, replace, delete, members, assigned applications, owners.
//! Okta: 10,000 a page unless asked (200 is advised), `q` unpaged and without Link; imported and built-in groups
//! are read-only; memberships are idempotent 204s.

use std::fmt::Write as _;

use hyper::Method;
use serde_json::{Map, Value, json};

use crate::clock::seconds;
use crate::error::ApiError;
use crate::group::{Group, GroupAt, Kind};
use crate::org::{Org, group_target, user_target};
use crate::profile;
use crate::routes::{unknown, user_parts, users};
use crate::search::{self, Grammar, Operator};
use crate::user::Status;
use crate::wire::{Answer, Call, Limit, Outcome};

const LIMIT: Limit = Limit { default: 10_000, min: 1, max: 10_000 };
const Q_LIMIT: usize = 300;
const APPS: Limit = Limit { default: 20, min: 1, max: 200 };

const FILTER: Grammar = Grammar {
    fold: false,
    allows: |property, operator| match property {
        "id" | "type" => operator == Operator::Eq,
        "lastUpdated" | "lastMembershipUpdated" => !matches!(operator, Operator::Sw | Operator::Co | Operator::Pr),
        _ => false,
    },
};

const SEARCH: Grammar = Grammar {
    fold: true,
    allows: |property, operator| match property {
        "id" | "type" | "created" | "lastUpdated" | "lastMembershipUpdated" | "source.id" => operator != Operator::Co,
        "profile.name" | "profile.description" => true,
        _ => property.starts_with("profile.") && operator != Operator::Co,
    },
};

pub(crate) fn list(call: &Call, org: &Org) -> Outcome {
    let stats = wants_stats(call);
    let push = |(row, group): (u32, &Group), out: &mut String| push(call, org, row, group, stats, out);
    let numbered = |(row, group): (u64, _)| (row, (u32::try_from(row).unwrap_or(u32::MAX), group));
    if let Some(q) = call.parameter("q").map(str::to_lowercase) {
        let limit = call.parameter("limit").and_then(|text| text.parse().ok()).unwrap_or(Q_LIMIT).min(Q_LIMIT);
        let found = org.groups.from(0).filter(|(_, group)| group.name().to_lowercase().starts_with(&q));
        let mut page = call.page(LIMIT)?;
        return Ok(Answer::ok(page.fill(found.map(numbered).take(limit), push)));
    }
    let expression = match (call.parameter("search"), call.parameter("filter")) {
        (Some(text), _) => Some(search::parse(text, &SEARCH)),
        (None, Some(text)) => Some(search::parse(text, &FILTER)),
        (None, None) => None,
    };
    let expression = match expression {
        Some(parsed) => Some(parsed.ok_or_else(|| ApiError::coded("E0000031").cause("Invalid search criteria."))?),
        None => None,
    };
    let mut page = call.page(LIMIT)?;
    let fits = |group: &Group| expression.as_ref().is_none_or(|wanted| wanted.matches(&GroupAt(group, call.now)));
    let rows = org.groups.from(page.start).filter(|(_, group)| fits(group)).map(numbered);
    let body = page.fill(rows, push);
    Ok(Answer::list(body, page))
}

pub(crate) fn read(call: &Call, org: &Org, id: &str, rest: &[&str]) -> Outcome {
    let row = row(org, id)?;
    match rest {
        [] => Ok(single(call, org, row)),
        ["users"] => user_parts::members(call, org, id),
        ["apps"] => {
            let mut page = call.page(APPS)?;
            let mut apps: Vec<u32> = org.groups.get(row).map(|group| group.apps.clone()).unwrap_or_default();
            apps.sort_unstable();
            let shown = apps.into_iter().filter_map(|app| Some((u64::from(app), org.apps.get(app)?)));
            let start = page.start;
            let rows = shown.filter(|(app, record)| *app >= start && (record.active || org.inactive_apps_listed));
            let body = page.fill(rows, |app, out| out.push_str(app.text()));
            Ok(Answer::list(body, page))
        }
        ["stats"] => Ok(Answer::ok(stats(call, org, row))),
        ["owners"] => Ok(Answer::value(200, &Value::from(org.owners.get(id).cloned().unwrap_or_default()))),
        _ => Err(unknown(call)),
    }
}

pub(crate) fn create(call: &Call, org: &mut Org) -> Outcome {
    let profile = checked_profile(call, org, None)?;
    let id = org.ids.next("00g");
    let row = org.groups.insert(&id, Group::new(&id, Kind::Okta, Value::from(profile).to_string(), call.now));
    note(call, org, row, "group.lifecycle.create");
    Ok(single(call, org, row))
}

pub(crate) fn write(call: &Call, org: &mut Org, id: &str, rest: &[&str]) -> Outcome {
    let row = row(org, id)?;
    let kind = org.groups.get(row).map_or(Kind::Okta, |group| group.kind);
    match (&call.method, rest) {
        (&Method::PUT, []) => {
            writable(kind)?;
            let profile = Value::from(checked_profile(call, org, Some(row))?).to_string();
            if let Some(group) = org.groups.get_mut(row) {
                group.profile = profile.into_boxed_str();
                group.last_updated = call.now;
            }
            note(call, org, row, "group.profile.update");
            Ok(single(call, org, row))
        }
        (&Method::DELETE, []) => {
            if kind == Kind::BuiltIn {
                return Err(ApiError::coded("E0000006"));
            }
            note(call, org, row, "group.lifecycle.delete");
            org.delete_group(id);
            Ok(Answer::empty(204))
        }
        (&Method::PUT | &Method::DELETE, ["users", user]) => {
            writable(kind)?;
            let user = users::row(call, org, user)?;
            let added = call.method == Method::PUT;
            let is_gone = org.users.get(user).is_some_and(|user| user.status == Status::Deprovisioned);
            if added && is_gone && !org.is_member(row, user) {
                return Err(ApiError::coded("E0000038"));
            }
            if org.change_member(row, user, added, call.now) {
                note_member(call, org, row, user, added);
            }
            // Whom a rule placed it places again.
            org.apply_rules(user, call.now);
            Ok(Answer::empty(204))
        }
        (&Method::POST, ["owners"]) => add_owner(call, org, id),
        (&Method::DELETE, ["owners", owner]) => {
            org.owners.entry(id.to_owned()).or_default().retain(|known| known["id"] != *owner);
            Ok(Answer::empty(204))
        }
        _ => Err(unknown(call)),
    }
}

pub(crate) fn row(org: &Org, id: &str) -> Result<u32, ApiError> {
    org.groups.row(id).ok_or_else(|| ApiError::not_found(id, "UserGroup"))
}

/// Imported and built-in groups answer as a missing permission does (Everyone was 501 until 2026.04).
pub(crate) fn writable(kind: Kind) -> Result<(), ApiError> {
    if kind == Kind::Okta { Ok(()) } else { Err(ApiError::coded("E0000006")) }
}

fn single(call: &Call, org: &Org, row: u32) -> Answer {
    let mut out = String::with_capacity(1200);
    if let Some(group) = org.groups.get(row) {
        push(call, org, row, group, wants_stats(call), &mut out);
    }
    Answer::ok(out)
}

fn wants_stats(call: &Call) -> bool {
    call.parameter("expand").is_some_and(|expand| expand.split(',').any(|part| part == "stats"))
}

fn push(call: &Call, org: &Org, row: u32, group: &Group, with_stats: bool, out: &mut String) {
    let embedded = with_stats.then(|| format!("{{\"stats\":{}}}", stats(call, org, row)));
    group.push(&org.base, call.now, embedded.as_deref(), out);
}

fn stats(call: &Call, org: &Org, row: u32) -> String {
    let Some(group) = org.groups.get(row) else { return String::new() };
    let counted = |app: &&u32| org.apps.get(**app).is_some_and(|app| app.active || org.inactive_apps_listed);
    let apps = group.apps.iter().filter(counted).count();
    let admin = org.roles.get(&*group.id).is_some_and(|roles| !roles.is_empty());
    let mut out = String::with_capacity(200);
    let _ = write!(
        out,
        "{{\"usersCount\":{},\"appsCount\":{apps},\"groupPushMappingsCount\":0,\"hasAdminPrivilege\":{admin},\"_links\":{{\"self\":{{\"href\":\"{}/api/v1/groups/{}/stats\"}}}}}}",
        org.member_count(row, call.now),
        org.base,
        group.id
    );
    out
}

fn checked_profile(call: &Call, org: &Org, of: Option<u32>) -> Result<Map<String, Value>, ApiError> {
    let given = users::object(&call.object()?, "profile");
    let name = given.get("name").and_then(Value::as_str).unwrap_or_default();
    if name.is_empty() {
        return Err(ApiError::validation("name", "name: The field cannot be left blank"));
    }
    let mut same = org.groups.from(0).filter(|(_, group)| group.kind != Kind::App && group.name() == name);
    if same.any(|(row, _)| Some(row) != of.map(u64::from)) {
        return Err(ApiError::duplicate("name"));
    }
    let mut profile = json!({"name": name, "description": null});
    for (key, value) in &given {
        let base = match key.as_str() {
            "name" => Some(json!({"type": "string", "maxLength": 255})),
            "description" => Some(json!({"type": "string", "maxLength": 1024})),
            _ => None,
        };
        let attribute = base.as_ref().or_else(|| org.schemas.group_custom.get(key));
        profile::check_value(key, value, attribute.ok_or_else(|| profile::undefined(key))?)?;
        profile[key] = value.clone();
    }
    let Value::Object(mut profile) = profile else { return Ok(Map::new()) };
    profile.retain(|key, value| key == "description" || !value.is_null());
    Ok(profile)
}

fn add_owner(call: &Call, org: &mut Org, group: &str) -> Outcome {
    let request = Value::from(call.object()?);
    let id = request["id"].as_str().unwrap_or_default();
    let name = match request["type"].as_str() {
        Some("USER") => users::find(call, org, id)?.name(),
        Some("GROUP") => org.groups.get(row(org, id)?).map(|owner| owner.name().into_owned()).unwrap_or_default(),
        _ => return Err(ApiError::validation("type", "type: must be USER or GROUP")),
    };
    let owner = json!({
        "id": id,
        "type": request["type"],
        "displayName": name,
        "lastUpdated": seconds(call.now),
        "originId": null,
        "originType": "OKTA_DIRECTORY",
        "resolved": true,
    });
    let answer = Answer::value(201, &owner);
    let owners = org.owners.entry(group.to_owned()).or_default();
    owners.retain(|known| known["id"] != id);
    owners.push(owner);
    Ok(answer)
}

fn note(call: &Call, org: &mut Org, row: u32, event: &str) {
    let Some(target) = org.groups.get(row).map(group_target) else { return };
    org.note(call.now, &call.caller, event, &[target]);
}

fn note_member(call: &Call, org: &mut Org, group: u32, user: u32, added: bool) {
    let event = if added { "group.user_membership.add" } else { "group.user_membership.remove" };
    let (Some(group), Some(user)) = (org.groups.get(group), org.users.get(user)) else { return };
    let targets = [user_target(user), group_target(group)];
    org.note(call.now, &call.caller, event, &targets);
}
