//! Applications: list, create, replace, lifecycle, delete.
//! Okta: one `eq` filter; active applications cannot be deleted (403 `E0000056`); replacing an inactive
//! auto-login application is 400 `E0000024`; integrator plans cap the number of applications.

use hyper::Method;
use serde_json::{Map, Value};

use crate::app::App;
use crate::error::ApiError;
use crate::org::{Org, app_target};
use crate::routes::unknown;
use crate::search::{self, Grammar, Operator};
use crate::template;
use crate::wire::{Answer, Call, Limit, Outcome};

const LIMIT: Limit = Limit { default: 20, min: 1, max: 200 };

const FILTER: Grammar = Grammar {
    fold: false,
    allows: |property, operator| {
        let known = ["id", "status", "name", "credentials.signing.kid", "settings.slo.enabled", "user.id", "group.id"];
        operator == Operator::Eq && known.contains(&property)
    },
};

pub(crate) fn list(call: &Call, org: &Org) -> Outcome {
    let expand = call.parameter("expand");
    if expand.is_some_and(|expand| !expand.starts_with("user/") || expand.len() < 6) {
        return Err(ApiError::validation("RequestParams", "Expand query is malformed."));
    }
    let parsed = match call.parameter("filter") {
        Some(text) => Some(search::parse(text, &FILTER).ok_or_else(|| ApiError::coded("E0000031"))?),
        None => None,
    };
    let wanted = match &parsed {
        Some(expression) => Some(expression.equality().ok_or_else(|| ApiError::coded("E0000031"))?),
        None => None,
    };
    let q = call.parameter("q").map(str::to_lowercase);
    let mut page = call.page(LIMIT)?;
    let rows = org.apps.from(page.start).filter(|(_, app)| {
        let named = q.as_ref().is_none_or(|q| {
            app.label().to_lowercase().starts_with(q) || app.field("name").to_lowercase().starts_with(q)
        });
        named && wanted.is_none_or(|(property, value)| fits(org, app, property, value))
    });
    let body = page.fill(rows, |app, out| out.push_str(app.text()));
    Ok(Answer::list(body, page))
}

pub(crate) fn read(_call: &Call, org: &Org, id: &str) -> Outcome {
    let app = org.apps.get(row(org, id)?).ok_or_else(|| ApiError::not_found(id, "AppInstance"))?;
    Ok(Answer::ok(app.text()))
}

pub(crate) fn create(call: &Call, org: &mut Org) -> Outcome {
    if org.max_apps.is_some_and(|most| org.apps.len() >= most) {
        let cause = "Cannot create application instance. Maximum number of instances has been reached.";
        return Err(ApiError::validation("generalSettings", cause));
    }
    let body = template::body(&call.object()?, None, &mut org.ids)?;
    check_label(org, &body, None)?;
    let id = org.ids.next("0oa");
    let mut app = App::new(&id, body, call.flag("activate", true), call.now);
    app.write(&org.base, &org.id);
    let answer = Answer::ok(app.text());
    app.hide_secret();
    app.write(&org.base, &org.id);
    let row = org.apps.insert(&id, app);
    note(call, org, row, "application.lifecycle.create");
    Ok(answer)
}

pub(crate) fn write(call: &Call, org: &mut Org, id: &str, step: Option<&str>) -> Outcome {
    let row = row(org, id)?;
    let Some(app) = org.apps.get_mut(row) else { return Err(ApiError::not_found(id, "AppInstance")) };
    match (&call.method, step) {
        (&Method::PUT, None) => {
            if !app.active && app.field("signOnMode") == "AUTO_LOGIN" {
                let error = ApiError::coded("E0000024");
                return Err(error.cause("This operation on app metadata is not yet supported.: No active instances."));
            }
            let body = template::body(&call.object()?, Some(&app.body), &mut org.ids)?;
            check_label(org, &body, Some(id))?;
            let Some(app) = org.apps.get_mut(row) else { return Err(ApiError::not_found(id, "AppInstance")) };
            app.body = body;
            app.last_updated = call.now;
            app.hide_secret();
            app.write(&org.base, &org.id);
            note(call, org, row, "application.lifecycle.update");
            read(call, org, id)
        }
        (&Method::DELETE, None) => {
            if app.active {
                let cause = "The application must be deactivated before deletion.";
                return Err(ApiError::coded("E0000056").cause(cause));
            }
            note(call, org, row, "application.lifecycle.delete");
            org.delete_app(id);
            Ok(Answer::empty(204))
        }
        (&Method::POST, Some("activate" | "deactivate")) => {
            app.active = step == Some("activate");
            app.last_updated = call.now;
            app.write(&org.base, &org.id);
            let event = if app.active { "application.lifecycle.activate" } else { "application.lifecycle.deactivate" };
            note(call, org, row, event);
            Ok(Answer::ok("{}"))
        }
        _ => Err(unknown(call)),
    }
}

pub(crate) fn row(org: &Org, id: &str) -> Result<u32, ApiError> {
    org.apps.row(id).ok_or_else(|| ApiError::not_found(id, "AppInstance"))
}

fn check_label(org: &Org, body: &Map<String, Value>, of: Option<&str>) -> Result<(), ApiError> {
    let label = body.get("label").and_then(Value::as_str).unwrap_or_default();
    let taken = |app: &App| app.label() == label && Some(&*app.id) != of;
    if org.unique_app_labels && org.apps.iter().any(taken) { Err(ApiError::coded("E0000040")) } else { Ok(()) }
}

fn fits(org: &Org, app: &App, property: &str, value: &str) -> bool {
    match property {
        "id" => *app.id == *value,
        "status" => app.status() == value,
        "name" => app.field("name") == value,
        "credentials.signing.kid" => {
            app.body.get("credentials").is_some_and(|credentials| credentials["signing"]["kid"] == value)
        }
        "group.id" => org.groups.row(value).is_some_and(|group| app.assignment(group).is_some()),
        "user.id" => org.users.row(value).is_some_and(|user| {
            app.users.contains_key(&user) || app.groups.iter().any(|known| org.is_member(known.group, user))
        }),
        _ => {
            app.body.get("settings").is_some_and(|settings| settings["slo"]["enabled"] == Value::Bool(value == "true"))
        }
    }
}

fn note(call: &Call, org: &mut Org, row: u32, event: &str) {
    let Some(target) = org.apps.get(row).map(app_target) else { return };
    org.note(call.now, &call.caller, event, &[target]);
}
