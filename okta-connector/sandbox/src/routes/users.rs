//! Users: the list in its four forms, single reads, create, update, replace, the two-step delete.
//! Okta: a plain list and `q` hide deactivated users, `search` and `filter` do not and lag behind writes;
//! 200 users a page, `q` 10 without paging; POST changes what it names, PUT nulls what is missing.

use hyper::Method;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::group::Kind;
use crate::org::{Goal, Org, complete, user_target};
use crate::profile;
use crate::raw::Fields;
use crate::routes::credentials::{self, Given};
use crate::routes::{groups, unknown};
use crate::schema::UserType;
use crate::search::{self, Atom, Expression, Grammar, Operator, Record};
use crate::user::{Status, User};
use crate::wire::{Answer, Call, Limit, Outcome, Page};

pub(crate) const LIMIT: Limit = Limit { default: 200, min: 1, max: 200 };
const Q_LIMIT: Limit = Limit { default: 10, min: 1, max: 200 };

/// `search` knows everything but the last login and the last password change; `co` only names, email and login.
const SEARCH: Grammar = Grammar {
    fold: true,
    allows: |property, operator| match property {
        "id" | "status" | "created" | "activated" | "statusChanged" | "lastUpdated" | "type.id" => {
            operator != Operator::Co
        }
        "profile.firstName" | "profile.lastName" | "profile.email" | "profile.login" => true,
        _ => property.starts_with("profile.") && operator != Operator::Co,
    },
};

const FILTER: Grammar = Grammar {
    fold: false,
    allows: |property, operator| match property {
        "id" | "status" | "profile.login" | "profile.email" | "profile.firstName" | "profile.lastName" => {
            operator == Operator::Eq
        }
        "lastUpdated" => !matches!(operator, Operator::Sw | Operator::Co | Operator::Pr),
        _ => false,
    },
};

/// The longest expression a next link can repeat.
const LONGEST: usize = 6000;

pub(crate) fn list(call: &Call, org: &Org) -> Outcome {
    let fields = match call.parameter("fields") {
        Some(text) => Some(Fields::parse(text).ok_or_else(|| ApiError::invalid("fields"))?),
        None => None,
    };
    let push = |user: &User, out: &mut String| push(user, fields.as_ref(), call.omit_credentials, out);
    if let Some(text) = call.parameter("search") {
        let expression = expression(text, &SEARCH)?;
        let mut page = call.page(LIMIT)?;
        let body = match call.parameter("sortBy") {
            Some(property) => sorted(call, org, &expression, property, &mut page, push)?,
            None => page.fill(indexed(call, org, page.start, &expression), push),
        };
        return Ok(Answer::list(body, page));
    }
    if let Some(text) = call.parameter("filter") {
        let expression = expression(text, &FILTER)?;
        let mut page = call.page(LIMIT)?;
        let body = page.fill(indexed(call, org, page.start, &expression), push);
        return Ok(Answer::list(body, page));
    }
    let visible = |(_, user): &(u64, &User)| user.status != Status::Deprovisioned;
    if let Some(q) = call.parameter("q").map(str::to_lowercase) {
        let starts = |user: &User, name: &str| user.attribute(name).to_lowercase().starts_with(&q);
        let found = |(_, user): &(u64, &User)| ["firstName", "lastName", "email"].iter().any(|name| starts(user, name));
        let mut page = call.page(Q_LIMIT)?;
        let body = page.fill(org.users.from(0).filter(visible).filter(found).take(page.limit), push);
        return Ok(Answer::list(body, page));
    }
    let mut page = call.page(LIMIT)?;
    let body = page.fill(org.users.from(page.start).filter(visible), push);
    Ok(Answer::list(body, page))
}

pub(crate) fn read(call: &Call, org: &Org, id: &str) -> Outcome {
    let user = find(call, org, id)?;
    let mut answer = Answer::ok(user.single(&org.base, call.omit_credentials));
    answer.headers.push(("etag", etag(org, user)));
    Ok(answer)
}

pub(crate) fn create(call: &Call, org: &mut Org) -> Outcome {
    let request = call.object()?;
    let (activate, next_login) = (call.flag("activate", true), call.parameter("nextLogin") == Some("changePassword"));
    let mut profile = object(&request, "profile");
    let type_id = request.get("type").and_then(|given| given["id"].as_str()).unwrap_or(&org.default_type).to_owned();
    let user_type = check_profile(org, &profile, &type_id, None)?;
    profile::check_change(&Map::new(), &profile, user_type, "OKTA")?;
    profile::check_required(&profile, user_type)?;
    let login = profile["login"].as_str().unwrap_or_default().to_owned();
    let given = credentials::given(org, &request, &login, true)?;
    match (next_login, given.password, activate) {
        (true, _, false) => return Err(ApiError::coded("E0000125")),
        (true, None, true) => return Err(ApiError::coded("E0000124")),
        _ => {}
    }
    let groups = group_rows(org, &request)?;
    complete(&mut profile);
    let id = org.ids.next("00u");
    let mut user = User::new(&id, Status::Staged, type_id.as_str().into(), call.now);
    take_credentials(&mut user, given, call.now);
    if call.flag("provider", false) {
        user.provider = credentials::provider(&request);
    }
    user.write(&org.base, &Value::from(profile).to_string());
    let row = org.insert_user(user, call.now);
    if activate {
        let status = match org.users.get(row).map(|user| user.password.is_some() || user.provider != "OKTA") {
            Some(true) if next_login => Status::PasswordExpired,
            Some(true) => Status::Active,
            _ => Status::Provisioned,
        };
        org.activate(row, status, call.now);
    }
    for group in groups {
        org.change_member(group, row, true, call.now);
    }
    org.apply_rules(row, call.now);
    note(call, org, row, &["user.lifecycle.create"]);
    if activate {
        note(call, org, row, &["user.lifecycle.activate"]);
    }
    Ok(single(call, org, row))
}

pub(crate) fn write(call: &Call, org: &mut Org, id: &str) -> Outcome {
    let row = row(call, org, id)?;
    if call.method == Method::DELETE {
        return delete(call, org, row);
    }
    if call.method != Method::POST && call.method != Method::PUT {
        return Err(unknown(call));
    }
    let request = call.object()?;
    let Some(user) = org.users.get(row) else { return Err(ApiError::not_found(id, "User")) };
    if call.if_match.as_ref().is_some_and(|wanted| *wanted != etag(org, user)) {
        return Err(ApiError::coded("E0000231"));
    }
    if user.status == Status::Deprovisioned && !org.deactivated_updatable {
        return Err(ApiError::coded("E0000038"));
    }
    let (login, mut type_id) = (user.attribute("login").into_owned(), user.type_id.to_string());
    let (replace, mut profile) = (call.method == Method::PUT, user.profile());
    if let Some(given) = request.get("type").and_then(|given| given["id"].as_str()).filter(|_| replace) {
        given.clone_into(&mut type_id);
    }
    let changes = object(&request, "profile");
    let user_type = check_profile(org, &changes, &type_id, Some(row))?;
    let old = profile.clone();
    if replace && request.contains_key("profile") {
        profile = changes;
        keep_read_only(&old, &mut profile, user_type);
    } else {
        profile.extend(changes);
    }
    profile::check_change(&old, &profile, user_type, user.provider)?;
    profile::check_required(&profile, user_type)?;
    let given = credentials::given(org, &request, &login, user.status == Status::Staged)?;
    if call.flag("strict", false) && given.password.is_some() && given.password == user.password {
        return Err(ApiError::validation("password", "password: Password has been used too recently"));
    }
    complete(&mut profile);
    let events: &[&str] = if given.password.is_some() {
        &["user.account.update_profile", "user.account.update_password"]
    } else {
        &["user.account.update_profile"]
    };
    let settles = given.password.is_some()
        && matches!(user.status, Status::Provisioned | Status::Recovery | Status::PasswordExpired);
    org.change_user(row, call.now, Some(&Value::from(profile).to_string()), |user| {
        user.type_id = type_id.as_str().into();
        take_credentials(user, given, call.now);
    });
    if settles {
        org.activate(row, Status::Active, call.now);
    }
    org.apply_rules(row, call.now);
    note(call, org, row, events);
    Ok(single(call, org, row))
}

/// The row of the user a path names: id, login, shortname or `me`.
pub(crate) fn row(call: &Call, org: &Org, id: &str) -> Result<u32, ApiError> {
    let id = if id == "me" { &call.caller } else { id };
    let short = || {
        let mut matches = org.users.from(0).filter(|(_, user)| user.attribute("login").split('@').next() == Some(id));
        matches.next().filter(|_| matches.next().is_none()).and_then(|(row, _)| u32::try_from(row).ok())
    };
    let looks_like_id = id.len() == 20 && id.starts_with("00u");
    let found = org.user_row(id).or_else(|| if looks_like_id || id.contains('@') { None } else { short() });
    found.ok_or_else(|| ApiError::not_found(id, "User"))
}

pub(crate) fn find<'a>(call: &Call, org: &'a Org, id: &str) -> Result<&'a User, ApiError> {
    org.users.get(row(call, org, id)?).ok_or_else(|| ApiError::not_found(id, "User"))
}

pub(crate) fn single(call: &Call, org: &Org, row: u32) -> Answer {
    let text = org.users.get(row).map(|user| user.single(&org.base, call.omit_credentials));
    Answer::ok(text.unwrap_or_default())
}

pub(crate) fn note(call: &Call, org: &mut Org, row: u32, events: &[&str]) {
    let Some(target) = org.users.get(row).map(user_target) else { return };
    for event in events {
        org.note(call.now, &call.caller, event, std::slice::from_ref(&target));
    }
}

/// Deactivates: direct assignments to applications go, memberships stay. It may take its time.
pub(crate) fn deactivate(call: &Call, org: &mut Org, row: u32) {
    org.end_user(row, Goal::Status(Status::Deprovisioned), call.respond_async, call.now);
    note(call, org, row, &["user.lifecycle.deactivate"]);
}

pub(crate) fn push(user: &User, fields: Option<&Fields>, omit_credentials: bool, out: &mut String) {
    match fields {
        Some(fields) => fields.push(user.item(), out),
        None => user.push_item(omit_credentials, out),
    }
}

fn delete(call: &Call, org: &mut Org, row: u32) -> Outcome {
    let Some(user) = org.users.get(row) else { return Ok(Answer::empty(204)) };
    if user.becoming.is_some_and(|status| status != Status::Deprovisioned) {
        return Err(ApiError::coded("E0000112"));
    }
    if org.is_under_way(row) {
        // Okta promises nothing here: 204, and the step before goes on.
    } else if user.status == Status::Deprovisioned {
        note(call, org, row, &["user.lifecycle.delete.initiated", "user.lifecycle.delete.completed"]);
        org.end_user(row, Goal::Gone, call.respond_async, call.now);
    } else {
        deactivate(call, org, row);
    }
    Ok(Answer::empty(204))
}

fn expression(text: &str, grammar: &Grammar) -> Result<Expression, ApiError> {
    if text.len() > LONGEST {
        return Err(ApiError::coded("E0000256"));
    }
    search::parse(text, grammar).ok_or_else(|| ApiError::coded("E0000031").cause("Invalid search criteria."))
}

fn indexed<'a>(
    call: &Call,
    org: &'a Org,
    start: u64,
    expression: &'a Expression,
) -> impl Iterator<Item = (u64, &'a User)> {
    let now = call.now;
    let known = org.users.from(start).filter_map(move |(row, user)| Some((row, user.indexed(now)?)));
    known.filter(|(_, user)| expression.matches(*user))
}

/// Sorting needs the whole result; the cursor counts in it.
fn sorted(
    call: &Call,
    org: &Org,
    expression: &Expression,
    property: &str,
    page: &mut Page,
    push: impl Fn(&User, &mut String),
) -> Result<String, ApiError> {
    if !(SEARCH.allows)(property, Operator::Eq) {
        return Err(ApiError::invalid("sortBy"));
    }
    let mut rows: Vec<_> =
        indexed(call, org, 0, expression).map(|(_, user)| (sort_key(user, property), user)).collect();
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    if call.parameter("sortOrder").is_some_and(|order| order.eq_ignore_ascii_case("desc")) {
        rows.reverse();
    }
    let start = usize::try_from(page.start).unwrap_or(usize::MAX);
    let rest = rows.into_iter().enumerate().skip(start).map(|(at, (_, user))| (at as u64, user));
    Ok(page.fill(rest, push))
}

fn sort_key(user: &User, property: &str) -> (i64, String) {
    let mut key = (i64::MAX, String::new());
    user.any(property, &mut |atom| {
        match atom {
            Atom::Text(text) => key = (0, text.to_lowercase()),
            Atom::Time(at) => key.0 = at,
            Atom::Number(number) => key = (0, format!("{number:024.6}")),
            Atom::Flag(flag) => key.0 = i64::from(flag),
        }
        true
    });
    key
}

/// What a caller may not write it need not send back.
fn keep_read_only(old: &Map<String, Value>, new: &mut Map<String, Value>, user_type: &UserType) {
    for (name, value) in old {
        let read_only = || user_type.custom.get(name).is_some_and(|attribute| attribute["mutability"] == "READ_ONLY");
        if !new.contains_key(name) && read_only() {
            new.insert(name.clone(), value.clone());
        }
    }
}

fn check_profile<'a>(
    org: &'a Org,
    profile: &Map<String, Value>,
    type_id: &str,
    row: Option<u32>,
) -> Result<&'a UserType, ApiError> {
    let user_type = org.schemas.of_type(type_id).ok_or_else(|| ApiError::not_found(type_id, "UserType"))?;
    profile::check(profile, user_type)?;
    let taken = profile.get("login").and_then(Value::as_str).and_then(|login| org.login_row(login));
    if taken.is_some() && taken != row {
        return Err(ApiError::duplicate("login"));
    }
    Ok(user_type)
}

fn take_credentials(user: &mut User, given: Given, now: i64) {
    if given.password.is_some() {
        user.password = given.password;
        user.password_changed = Some(now);
    }
    if given.question.is_some() {
        user.question = given.question;
    }
}

fn group_rows(org: &Org, request: &Map<String, Value>) -> Result<Vec<u32>, ApiError> {
    let ids = request.get("groupIds").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let writable = |id: &str| {
        let row = groups::row(org, id)?;
        groups::writable(org.groups.get(row).map_or(Kind::BuiltIn, |group| group.kind)).map(|()| row)
    };
    ids.map(writable).collect()
}

pub(crate) fn object(request: &Map<String, Value>, name: &str) -> Map<String, Value> {
    request.get(name).and_then(Value::as_object).cloned().unwrap_or_default()
}

fn etag(org: &Org, user: &User) -> String {
    format!("W/\"{:016x}\"", org.hash(user.item()))
}
