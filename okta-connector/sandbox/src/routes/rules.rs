//! Group rules over HTTP. Okta: list 50 a page (200 at most); POST makes an inactive rule (200);
//! PUT only while inactive; lifecycle calls 204; DELETE 202.

use std::collections::BTreeSet;

use hyper::Method;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::org::Org;
use crate::routes::unknown;
use crate::rules::Rule;
use crate::wire::{Answer, Call, Limit, Outcome};

const LIMIT: Limit = Limit { default: 50, min: 1, max: 200 };

pub(crate) fn read(call: &Call, org: &Org, rest: &[&str]) -> Outcome {
    match rest {
        [] => {
            let wanted = call.parameter("search").unwrap_or_default();
            let mut page = call.page(LIMIT)?;
            let start = usize::try_from(page.start).unwrap_or(usize::MAX);
            let rows = org.rules.iter().enumerate().skip(start).filter(|(_, rule)| rule.name.contains(wanted));
            let body =
                page.fill(rows.map(|(n, rule)| (n as u64, rule)), |rule, out| out.push_str(&rule.value().to_string()));
            Ok(Answer::list(body, page))
        }
        [id] => Ok(Answer::value(200, &org.rules[find(org, id)?].value())),
        _ => Err(unknown(call)),
    }
}

pub(crate) fn write(call: &Call, org: &mut Org, rest: &[&str]) -> Outcome {
    match (&call.method, rest) {
        (&Method::POST, []) => {
            let id = org.ids.next("0pr");
            let mut rule = Rule {
                id,
                status: "INACTIVE",
                name: String::new(),
                created: call.now,
                last_updated: call.now,
                expression: String::new(),
                groups: Vec::new(),
                placed: BTreeSet::new(),
            };
            take(call, org, &mut rule)?;
            let answer = Answer::value(200, &rule.value());
            org.rules.push(rule);
            Ok(answer)
        }
        (&Method::PUT, [id]) => {
            let at = find(org, id)?;
            if org.rules[at].status == "ACTIVE" {
                return Err(ApiError::validation("rule", "Cannot update an active group rule"));
            }
            let mut rule = org.rules.remove(at);
            let taken = take(call, org, &mut rule);
            rule.last_updated = call.now;
            let answer = Answer::value(200, &rule.value());
            org.rules.insert(at, rule);
            taken.map(|()| answer)
        }
        (&Method::DELETE, [id]) => {
            let at = find(org, id)?;
            let rule = org.rules.remove(at);
            if call.flag("removeUsers", false) {
                let groups: Vec<u32> = rule.groups.iter().filter_map(|group| org.groups.row(group)).collect();
                for (group, user) in groups.iter().flat_map(|group| rule.placed.iter().map(move |user| (*group, *user)))
                {
                    org.change_member(group, user, false, call.now);
                }
            }
            Ok(Answer::json(202, "{}"))
        }
        (&Method::POST, [id, "lifecycle", step @ ("activate" | "deactivate")]) => {
            let at = find(org, id)?;
            org.rules[at].status = if *step == "activate" { "ACTIVE" } else { "INACTIVE" };
            org.apply_rule(at, None, call.now);
            Ok(Answer::empty(204))
        }
        _ => Err(unknown(call)),
    }
}

fn find(org: &Org, id: &str) -> Result<usize, ApiError> {
    org.rules.iter().position(|rule| rule.id == id).ok_or_else(|| ApiError::not_found(id, "GroupRule"))
}

fn take(call: &Call, org: &Org, rule: &mut Rule) -> Result<(), ApiError> {
    let request = Value::from(call.object()?);
    let name = request["name"].as_str().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| ApiError::validation("name", "name: The field cannot be left blank"))?;
    if org.rules.iter().any(|known| known.name == name) {
        return Err(ApiError::duplicate("name"));
    }
    name.clone_into(&mut rule.name);
    request["conditions"]["expression"]["value"].as_str().unwrap_or_default().clone_into(&mut rule.expression);
    let groups = request["actions"]["assignUserToGroups"]["groupIds"].clone();
    rule.groups = serde_json::from_value(if groups.is_null() { json!([]) } else { groups })
        .map_err(|_| ApiError::coded("E0000003"))?;
    match rule.groups.iter().find(|id| org.groups.row(id).is_none()) {
        Some(id) => Err(ApiError::not_found(id, "UserGroup")),
        None => Ok(()),
    }
}
