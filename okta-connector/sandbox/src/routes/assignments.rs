//! Groups and users assigned to an application.
//! Okta: `/groups` pages by 20 to 200, `/users` by 50 to 500; assignments of an inactive application are frozen
//! (404 `E0000007`); an inactive user cannot be assigned (403 `E0000117`).

use std::collections::BTreeMap;

use hyper::Method;
use serde_json::{Map, Value};

use crate::app::{App, AppUser};
use crate::error::ApiError;
use crate::org::{Org, app_target, group_target, user_target};
use crate::routes::{apps, groups, unknown, users};
use crate::user::Status;
use crate::wire::{Answer, Call, Limit, Outcome, Page};

const GROUPS: Limit = Limit { default: 20, min: 20, max: 200 };
const USERS: Limit = Limit { default: 50, min: 1, max: 500 };

pub(crate) fn read(call: &Call, org: &Org, id: &str, rest: &[&str]) -> Outcome {
    let app = find(org, id)?;
    match rest {
        ["groups"] => {
            let q = call.parameter("q").map(str::to_lowercase);
            let mut page = call.page(GROUPS)?;
            let start = usize::try_from(page.start).unwrap_or(usize::MAX);
            let named = app.groups.iter().enumerate().skip(start).filter_map(|(n, known)| {
                let group = org.groups.get(known.group)?;
                let fits = q.as_ref().is_none_or(|q| group.name().to_lowercase().starts_with(q));
                fits.then_some((n as u64, (known, group)))
            });
            let body = page.fill(named, |(known, group), out| known.push(&org.base, &app.id, &group.id, out));
            Ok(Answer::list(body, page))
        }
        ["groups", group] => {
            let known = app.assignment(groups::row(org, group)?);
            let known = known.ok_or_else(|| ApiError::not_found(group, "ApplicationGroupAssignment"))?;
            Ok(one(|out| known.push(&org.base, &app.id, group, out)))
        }
        ["users"] => list_users(call, org, app),
        ["users", user] => {
            let row = users::row(call, org, user)?;
            let page = user_rows(org, app, u64::from(row), 1);
            match page.into_iter().find(|(found, _)| *found == row) {
                Some((_, through)) => Ok(one(|out| push_user(org, app, row, through, out))),
                None => Err(ApiError::not_found(user, "AppUser")),
            }
        }
        _ => Err(unknown(call)),
    }
}

pub(crate) fn write(call: &Call, org: &mut Org, id: &str, rest: &[&str]) -> Outcome {
    let row = apps::row(org, id)?;
    if !find(org, id)?.active {
        return Err(ApiError::not_found(id, "AppInstance"));
    }
    match (&call.method, rest) {
        (&Method::PUT | &Method::PATCH, ["groups", group]) => {
            let group_row = groups::row(org, group)?;
            let (priority, profile) = wanted(call)?;
            let Some(app) = org.apps.get_mut(row) else { return Err(ApiError::not_found(id, "AppInstance")) };
            let event = if app.assignment(group_row).is_some() { "update" } else { "add" };
            if call.method == Method::PATCH && event == "add" {
                return Err(ApiError::not_found(group, "ApplicationGroupAssignment"));
            }
            app.assign(group_row, priority, profile, call.now);
            if let Some(record) = org.groups.get_mut(group_row).filter(|record| !record.apps.contains(&row)) {
                record.apps.push(row);
            }
            note_group(call, org, row, group_row, event);
            read(call, org, id, rest)
        }
        (&Method::DELETE, ["groups", group]) => {
            let group_row = groups::row(org, group)?;
            let removed = org.apps.get_mut(row).is_some_and(|app| app.unassign(group_row));
            if !removed {
                return Err(ApiError::not_found(group, "ApplicationGroupAssignment"));
            }
            if let Some(record) = org.groups.get_mut(group_row) {
                record.apps.retain(|app| *app != row);
            }
            note_group(call, org, row, group_row, "remove");
            Ok(Answer::empty(204))
        }
        (&Method::POST, ["users", ..]) => assign_user(call, org, row, rest.get(1).copied()),
        (&Method::DELETE, ["users", user]) => {
            let user_row = users::row(call, org, user)?;
            if org.apps.get_mut(row).and_then(|app| app.users.remove(&user_row)).is_none() {
                return Err(ApiError::not_found(user, "AppUser"));
            }
            note_user(call, org, row, user_row, "remove");
            Ok(Answer::empty(204))
        }
        (_, ["groups", _] | ["users", ..]) => Err(ApiError::coded("E0000022")),
        _ => Err(unknown(call)),
    }
}

fn find<'a>(org: &'a Org, id: &str) -> Result<&'a App, ApiError> {
    org.apps.get(apps::row(org, id)?).ok_or_else(|| ApiError::not_found(id, "AppInstance"))
}

fn assign_user(call: &Call, org: &mut Org, row: u32, in_path: Option<&str>) -> Outcome {
    let request = call.object()?;
    let id = in_path.or_else(|| request.get("id").and_then(Value::as_str)).unwrap_or_default().to_owned();
    let user_row = users::row(call, org, &id)?;
    let Some(user) = org.users.get(user_row) else { return Err(ApiError::not_found(&id, "User")) };
    if matches!(user.status, Status::Deprovisioned | Status::Suspended) {
        return Err(ApiError::coded("E0000117"));
    }
    let login = user.attribute("login").into_owned();
    let given = request.get("credentials").and_then(|credentials| credentials["userName"].as_str()).map(str::to_owned);
    let profile = request.get("profile").filter(|profile| profile.is_object()).map(Value::to_string);
    let Some(app) = org.apps.get_mut(row) else { return Err(ApiError::not_found(&id, "AppInstance")) };
    let event = if app.users.contains_key(&user_row) { "update" } else { "add" };
    if in_path.is_some() && event == "add" {
        return Err(ApiError::not_found(&id, "AppUser"));
    }
    let known = app.users.entry(user_row).or_insert_with(|| AppUser {
        created: call.now,
        last_updated: call.now,
        user_name: login,
        profile: "{}".to_owned(),
    });
    known.last_updated = call.now;
    known.user_name = given.unwrap_or_else(|| known.user_name.clone());
    known.profile = profile.unwrap_or_else(|| known.profile.clone());
    note_user(call, org, row, user_row, event);
    let Some(app) = org.apps.get(row) else { return Err(ApiError::not_found(&id, "AppInstance")) };
    Ok(one(|out| push_user(org, app, user_row, None, out)))
}

/// Priority and profile of a PUT, or of the JSON Patch of a PATCH.
fn wanted(call: &Call) -> Result<(Option<i64>, Option<String>), ApiError> {
    if call.method == Method::PATCH {
        let steps: Vec<Map<String, Value>> =
            serde_json::from_slice(&call.body).map_err(|_| ApiError::coded("E0000003"))?;
        let priority = steps.iter().find(|step| step.get("path").is_some_and(|path| path == "/priority"));
        return Ok((priority.and_then(|step| step.get("value")?.as_i64()), None));
    }
    let request = call.object()?;
    let profile = request.get("profile").filter(|profile| profile.is_object()).map(Value::to_string);
    Ok((request.get("priority").and_then(Value::as_i64), profile))
}

fn list_users(call: &Call, org: &Org, app: &App) -> Outcome {
    let q = call.parameter("q").map(str::to_lowercase);
    let mut page: Page = call.page(USERS)?;
    let wide = if q.is_some() { usize::MAX } else { page.limit + 1 };
    let rows = user_rows(org, app, page.start, wide).into_iter().filter(|(row, _)| {
        let starts = |name| {
            org.users
                .get(*row)
                .zip(q.as_ref())
                .is_none_or(|(user, q)| user.attribute(name).to_lowercase().starts_with(q))
        };
        starts("login") || starts("firstName") || starts("lastName")
    });
    let body = page.fill(rows.map(|(row, through)| (u64::from(row), (row, through))), |(row, through), out| {
        push_user(org, app, row, through, out);
    });
    Ok(Answer::list(body, page))
}

/// The first `count` assigned users from row `start` on, each with the group that brought it unless direct.
fn user_rows(org: &Org, app: &App, start: u64, count: usize) -> BTreeMap<u32, Option<u32>> {
    let mut rows = BTreeMap::new();
    for known in app.groups.iter().rev() {
        let members = org.members(known.group, start, i64::MAX).take(count);
        rows.extend(members.filter_map(|(row, _)| Some((u32::try_from(row).ok()?, Some(known.group)))));
    }
    let start = u32::try_from(start).unwrap_or(u32::MAX);
    rows.extend(app.users.range(start..).take(count).map(|(row, _)| (*row, None)));
    rows.into_iter().take(count).collect()
}

fn push_user(org: &Org, app: &App, row: u32, through: Option<u32>, out: &mut String) {
    let Some(user) = org.users.get(row) else { return };
    let through = through.and_then(|group| org.groups.get(group));
    let derived = || AppUser {
        created: user.created,
        last_updated: user.created,
        user_name: user.attribute("login").into_owned(),
        profile: "{}".to_owned(),
    };
    let known = app.users.get(&row).cloned().unwrap_or_else(derived);
    known.push(&org.base, &app.id, &user.id, through.map(|group| &*group.id), out);
}

fn one(push: impl FnOnce(&mut String)) -> Answer {
    let mut out = String::new();
    push(&mut out);
    Answer::ok(out)
}

fn note_group(call: &Call, org: &mut Org, app: u32, group: u32, what: &str) {
    let (Some(app), Some(group)) = (org.apps.get(app), org.groups.get(group)) else { return };
    let targets = [group_target(group), app_target(app)];
    org.note(call.now, &call.caller, &format!("group.application_assignment.{what}"), &targets);
}

fn note_user(call: &Call, org: &mut Org, app: u32, user: u32, what: &str) {
    let (Some(app), Some(user)) = (org.apps.get(app), org.users.get(user)) else { return };
    let targets = [user_target(user), app_target(app)];
    org.note(call.now, &call.caller, &format!("application.user_membership.{what}"), &targets);
}
