//! Administrator roles over HTTP, for users and groups alike, with their group targets.
//! Okta: assigning answers 201; lists of roles have no Link, lists of targets page by 20.

use hyper::Method;

use crate::error::ApiError;
use crate::org::Org;
use crate::roles::{Role, label};
use crate::routes::{groups, unknown, users};
use crate::wire::{Answer, Call, Limit, Outcome};

const TARGETS: Limit = Limit { default: 20, min: 1, max: 200 };

/// Who has the roles, by the id in the path.
#[derive(Clone, Copy)]
pub(crate) enum Of<'a> {
    User(&'a str),
    Group(&'a str),
}

pub(crate) fn read(call: &Call, org: &Org, of: Of<'_>, rest: &[&str]) -> Outcome {
    let (id, address) = of.resolve(call, org)?;
    let roles = org.roles.get(&id).map(Vec::as_slice).unwrap_or_default();
    let find =
        |role: &str| roles.iter().find(|known| known.id == role).ok_or_else(|| ApiError::not_found(role, "Role"));
    match rest {
        [] => {
            let values: serde_json::Value = roles.iter().map(|role| role.value(&address)).collect();
            Ok(Answer::value(200, &values))
        }
        [role] => Ok(Answer::value(200, &find(role)?.value(&address))),
        [role, "targets", "groups"] => {
            let targets = &find(role)?.targets;
            let mut page = call.page(TARGETS)?;
            let start = usize::try_from(page.start).unwrap_or(usize::MAX);
            let rows = targets.iter().enumerate().skip(start);
            let rows = rows.filter_map(|(n, id)| Some((n as u64, org.groups.get(org.groups.row(id)?)?)));
            let body = page.fill(rows, |group, out| group.push(&org.base, call.now, None, out));
            Ok(Answer::list(body, page))
        }
        _ => Err(unknown(call)),
    }
}

pub(crate) fn write(call: &Call, org: &mut Org, of: Of<'_>, rest: &[&str]) -> Outcome {
    let (id, address) = of.resolve(call, org)?;
    match (&call.method, rest) {
        (&Method::POST, []) => {
            let request = call.object()?;
            let kind = request.get("type").and_then(serde_json::Value::as_str).unwrap_or_default();
            if label(kind).is_none() {
                return Err(ApiError::validation("type", "type: The role type is not known"));
            }
            let role_id = org.ids.word(16).to_uppercase();
            let roles = org.roles.entry(id).or_default();
            if roles.iter().any(|known| known.kind == kind) {
                return Err(ApiError::coded("E0000090"));
            }
            let assignment = if matches!(of, Of::User(_)) { "USER" } else { "GROUP" };
            let role = Role { id: role_id, kind: kind.to_owned(), assignment, created: call.now, targets: Vec::new() };
            let answer = Answer::value(201, &role.value(&address));
            roles.push(role);
            Ok(answer)
        }
        (&Method::DELETE, [role]) => {
            let at = position(org, &id, role)?;
            org.roles.entry(id).or_default().remove(at);
            Ok(Answer::empty(204))
        }
        (&Method::PUT | &Method::DELETE, [role, "targets", "groups", group]) => {
            groups::row(org, group)?;
            let at = position(org, &id, role)?;
            let targets = &mut org.roles.entry(id).or_default()[at].targets;
            targets.retain(|known| known != group);
            if call.method == Method::PUT {
                targets.push((*group).to_owned());
            }
            Ok(Answer::empty(204))
        }
        _ => Err(unknown(call)),
    }
}

impl Of<'_> {
    /// The id roles are kept under and the address they show.
    fn resolve(self, call: &Call, org: &Org) -> Result<(String, String), ApiError> {
        match self {
            Of::User(id) => {
                let id = users::find(call, org, id)?.id.to_string();
                let address = format!("{}/api/v1/users/{id}", org.base);
                Ok((id, address))
            }
            Of::Group(id) => {
                groups::row(org, id)?;
                Ok((id.to_owned(), format!("{}/api/v1/groups/{id}", org.base)))
            }
        }
    }
}

fn position(org: &Org, assignee: &str, role: &str) -> Result<usize, ApiError> {
    let roles = org.roles.get(assignee).map(Vec::as_slice).unwrap_or_default();
    roles.iter().position(|known| known.id == role).ok_or_else(|| ApiError::not_found(role, "Role"))
}
