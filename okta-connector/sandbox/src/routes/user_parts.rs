//! What hangs under a user: groups, app links, grants, sessions, linked objects, and lists that stay empty here.
//! Okta: `/groups` pages by 200, most of the others have no Link; `/blocks` is a feature this organisation lacks
//! (401 `E0000015`, recorded).

use hyper::Method;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::org::Org;
use crate::routes::{groups, unknown, users};
use crate::wire::{Answer, Call, Limit, Outcome};

const GROUPS: Limit = Limit { default: 200, min: 1, max: 200 };
const GRANTS: Limit = Limit { default: 20, min: 1, max: 200 };

pub(crate) fn read(call: &Call, org: &Org, id: &str, rest: &[&str]) -> Outcome {
    let row = users::row(call, org, id)?;
    match rest {
        ["groups"] => {
            let mut page = call.page(GROUPS)?;
            let of_user = org
                .groups
                .from(page.start)
                .filter(|(group, _)| u32::try_from(*group).is_ok_and(|group| org.is_member(group, row)));
            let body = page.fill(of_user, |group, out| group.push(&org.base, call.now, None, out));
            Ok(Answer::list(body, page))
        }
        ["appLinks"] => Ok(Answer::ok(app_links(org, row).to_string())),
        ["grants"] => {
            let page = call.page(GRANTS)?;
            Ok(Answer::list("[]".to_owned(), page))
        }
        ["clients" | "idps" | "factors"] => Ok(Answer::ok("[]")),
        ["subscriptions"] => Ok(Answer::ok("[]")),
        ["blocks"] => Err(ApiError::coded("E0000015")),
        ["linkedObjects", relationship] => linked(org, &user_id(org, row), relationship),
        _ => Err(unknown(call)),
    }
}

pub(crate) fn write(call: &Call, org: &mut Org, id: &str, rest: &[&str]) -> Outcome {
    let row = users::row(call, org, id)?;
    let user = user_id(org, row);
    match (&call.method, rest) {
        (&Method::DELETE, ["sessions"]) => {
            users::note(call, org, row, &["user.session.clear"]);
            Ok(Answer::empty(204))
        }
        (&Method::DELETE, ["grants"] | ["clients", _, "grants" | "tokens"]) => Ok(Answer::empty(204)),
        (&Method::PUT, ["linkedObjects", primary, target]) => {
            let target = user_id(org, users::row(call, org, target)?);
            if definition(org, primary).is_none_or(|definition| definition["primary"]["name"] != *primary) {
                return Err(ApiError::not_found(primary, "LinkedObjectProperty"));
            }
            org.links.insert((user, (*primary).to_owned()), [target].into());
            Ok(Answer::empty(204))
        }
        (&Method::DELETE, ["linkedObjects", relationship]) => {
            if definition(org, relationship).is_none() {
                return Err(ApiError::not_found(relationship, "LinkedObjectProperty"));
            }
            org.links.remove(&(user, (*relationship).to_owned()));
            Ok(Answer::empty(204))
        }
        _ => Err(unknown(call)),
    }
}

fn user_id(org: &Org, row: u32) -> String {
    org.users.get(row).map(|user| user.id.to_string()).unwrap_or_default()
}

/// Applications assigned directly or through a group.
fn app_links(org: &Org, row: u32) -> Value {
    let assigned = org.apps.iter().filter(|app| {
        app.active && (app.users.contains_key(&row) || app.groups.iter().any(|known| org.is_member(known.group, row)))
    });
    let link = |app: &crate::app::App| {
        json!({
            "id": format!("00u{}", app.id.trim_start_matches("0oa")),
            "label": app.label(),
            "linkUrl": format!("{}/home/{}/{}/2557", org.base, app.field("name"), app.id),
            "logoUrl": "https://ok12static.oktacdn.com/assets/img/logos/default.6770228fb0dab49a1695ef440a5279bb.png",
            "appName": app.field("name"),
            "appInstanceId": app.id,
            "appAssignmentId": format!("0ua{}", app.id.trim_start_matches("0oa")),
            "credentialsSetup": false,
            "hidden": false,
            "sortOrder": 0,
        })
    };
    assigned.map(link).collect()
}

fn definition<'a>(org: &'a Org, name: &str) -> Option<&'a Value> {
    org.schemas.linked.iter().find(|known| known["primary"]["name"] == name || known["associated"]["name"] == name)
}

fn linked(org: &Org, user: &str, relationship: &str) -> Outcome {
    let definition =
        definition(org, relationship).ok_or_else(|| ApiError::not_found(relationship, "LinkedObjectProperty"))?;
    let ids: Vec<&String> = if definition["primary"]["name"] == relationship {
        org.links.get(&(user.to_owned(), relationship.to_owned())).into_iter().flatten().collect()
    } else {
        let primary = definition["primary"]["name"].as_str().unwrap_or_default();
        let pointing = org.links.iter().filter(|((_, name), to)| name == primary && to.contains(user));
        pointing.map(|((from, _), _)| from).collect()
    };
    let link = |id: &&String| json!({"_links": {"self": {"href": format!("{}/api/v1/users/{id}", org.base)}}});
    Ok(Answer::ok(ids.iter().map(link).collect::<Value>().to_string()))
}

/// Members of a group as the list shows them: whole users.
pub(crate) fn members(call: &Call, org: &Org, group: &str) -> Outcome {
    const MEMBERS: Limit = Limit { default: 1000, min: 1, max: 1000 };
    let group = groups::row(org, group)?;
    let mut page = call.page(MEMBERS)?;
    let rows = org.members(group, page.start, call.now);
    let body = page.fill(rows, |user, out| users::push(user, None, call.omit_credentials, out));
    Ok(Answer::list(body, page))
}
