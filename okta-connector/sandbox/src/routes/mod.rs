//! Which endpoint answers which path. Reads share the organisation, writes have it alone.
//! Okta: an unknown path is 404 `E0000008`, a known one with another method 405 `E0000022`.

mod admin;
mod app_keys;
mod apps;
mod assignments;
mod credentials;
mod groups;
mod lifecycle;
mod logs;
mod meta;
mod roles;
mod rules;
mod user_parts;
pub(crate) mod users;

use hyper::Method;
use serde_json::json;

use crate::error::ApiError;
use crate::org::Org;
use crate::wire::{Answer, Call, Outcome};

const RESOURCES: [&str; 8] = ["users", "groups", "apps", "meta", "logs", "api-tokens", "principal-rate-limits", "org"];

/// Answers a GET.
pub(crate) fn read(call: &Call, org: &Org) -> Outcome {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        [".well-known", "okta-organization"] => Ok(well_known(org)),
        ["api", "v1", "users", rest @ ..] => match rest {
            [] => users::list(call, org),
            [id] => users::read(call, org, id),
            [id, "roles", rest @ ..] => roles::read(call, org, roles::Of::User(id), rest),
            [id, rest @ ..] => user_parts::read(call, org, id, rest),
        },
        ["api", "v1", "groups", rest @ ..] => match rest {
            [] => groups::list(call, org),
            ["rules", rest @ ..] => rules::read(call, org, rest),
            [id, "roles", rest @ ..] => roles::read(call, org, roles::Of::Group(id), rest),
            [id, rest @ ..] => groups::read(call, org, id, rest),
        },
        ["api", "v1", "apps", rest @ ..] => match rest {
            [] => apps::list(call, org),
            [id] => apps::read(call, org, id),
            [id, "groups" | "users", ..] => assignments::read(call, org, id, &rest[1..]),
            [id, rest @ ..] => app_keys::read(org, id, rest),
        },
        ["api", "v1", "meta", rest @ ..] => meta::read(call, org, rest),
        ["api", "v1", "logs"] => logs::read(call, org),
        ["api", "v1", rest @ ..] => admin::read(call, org, rest),
        _ => Err(unknown(call)),
    }
}

/// Answers POST, PUT, PATCH and DELETE.
pub(crate) fn write(call: &Call, org: &mut Org) -> Outcome {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["api", "v1", "users", rest @ ..] => match rest {
            [] if call.method == Method::POST => users::create(call, org),
            [id] => users::write(call, org, id),
            [id, "lifecycle", action] if call.method == Method::POST => lifecycle::write(call, org, id, action),
            [id, "credentials", action] if call.method == Method::POST => credentials::write(call, org, id, action),
            [id, "roles", rest @ ..] => roles::write(call, org, roles::Of::User(id), rest),
            [id, rest @ ..] => user_parts::write(call, org, id, rest),
            [] => Err(unknown(call)),
        },
        ["api", "v1", "groups", rest @ ..] => match rest {
            [] if call.method == Method::POST => groups::create(call, org),
            ["rules", rest @ ..] => rules::write(call, org, rest),
            [id, "roles", rest @ ..] => roles::write(call, org, roles::Of::Group(id), rest),
            [id, rest @ ..] => groups::write(call, org, id, rest),
            [] => Err(unknown(call)),
        },
        ["api", "v1", "apps", rest @ ..] => match rest {
            [] if call.method == Method::POST => apps::create(call, org),
            [id] | [id, "lifecycle", _] => apps::write(call, org, id, rest.get(2).copied()),
            [id, "groups" | "users", ..] => assignments::write(call, org, id, &rest[1..]),
            [id, rest @ ..] => app_keys::write(call, org, id, rest),
            [] => Err(unknown(call)),
        },
        ["api", "v1", "meta", rest @ ..] => meta::write(call, org, rest),
        ["api", "v1", rest @ ..] => admin::write(call, org, rest),
        _ => Err(unknown(call)),
    }
}

/// The error of a path or method nothing answers.
fn unknown(call: &Call) -> ApiError {
    let known = call.segments.get(2).is_some_and(|resource| RESOURCES.contains(&resource.as_str()));
    ApiError::coded(if known && call.segments.len() < 5 { "E0000022" } else { "E0000008" })
}

/// The row of the user a segment names, if there is one.
pub(crate) fn user_row(call: &Call, org: &Org, id: &str) -> Option<u32> {
    users::row(call, org, id).ok()
}

/// The user a single read is about.
pub(crate) fn single_user(call: &Call, org: &Org) -> Option<u32> {
    match call.segments.as_slice() {
        [_, _, users, id] if users == "users" && call.method == Method::GET => user_row(call, org, id),
        _ => None,
    }
}

fn well_known(org: &Org) -> Answer {
    let links = json!({"organization": {"href": org.base}});
    Answer::value(200, &json!({"id": org.id, "cell": "ok12", "pipeline": "idx", "_links": links}))
}
