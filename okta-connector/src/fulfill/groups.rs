//! What an order about a group comes to: pure decisions from what is there and what is wanted.
//!
//! Only groups of Okta's own are written: built-in groups are kept by Okta, imported ones by where they come from.
//! A profile is replaced as a whole, so what is read is sent back with the changes. Source: Okta's API for groups.

use connector_api::{ForeseenEffect, ProvisioningOrder, Result};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{
    attributes::{Attributes, PROFILE, profile_name},
    found::Noun,
    links::{self, Link},
    steps::{Decision, GONE, Proof, Sent, Step},
    users::Origin,
    values::{at, cell, change, refused, same, text_at},
};
use crate::{
    client::{Body, Write},
    tables::bucket,
};

/// The profile an order wants a group to have; null clears.
///
/// # Errors
/// Kind `Rejected`, naming a column that cannot be written or a value that the schema does not allow.
pub(super) fn wanted(order: &ProvisioningOrder, attributes: &Attributes, is_new: bool) -> Result<Map<String, Value>> {
    for (column, value) in order.values.iter().filter(|(column, _)| profile_name(column).is_none()) {
        let is_its_key = order.key.as_ref().is_some_and(|key| key.value == cell(value));
        if is_new || !column.eq_ignore_ascii_case("id") || !is_its_key {
            return Err(refused(
                format!("`{column}` of a group cannot be written by an order"),
                "Okta sets it itself; take the property out of the provisioning rules",
            ));
        }
    }
    attributes.wanted(&order.values, is_new)
}

pub(super) fn creation(profile: &Map<String, Value>) -> Write {
    let given: Map<_, _> =
        profile.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
    Write {
        method: Method::POST,
        bucket: bucket::GROUPS,
        target: Noun::Group.path().to_owned(),
        what: format!("creating the group `{}`", cell(given.get("name").unwrap_or(&Value::Null))),
        body: Body::Json(json!({ "profile": given })),
        repeatable: false,
    }
}

/// What is to be done with a group that is there.
///
/// # Errors
/// Kind `Rejected` where the group is not Okta's own and more than its apps would change.
pub(super) fn decide(profile: Map<String, Value>, group: &Value, origin: Origin, links: &[Link]) -> Result<Decision> {
    let mut decision = Decision::nothing();
    let present = at(group, "profile");
    let different: Map<String, Value> = profile
        .into_iter()
        .filter(|(name, value)| origin != Origin::Created && !same(present.get(name).unwrap_or(&Value::Null), value))
        .collect();
    if !different.is_empty() {
        check_own(group)?;
        for (name, value) in &different {
            let old = present.get(name).unwrap_or(&Value::Null);
            decision.changes.push(change(format!("{PROFILE}{name}"), old, value));
        }
        let mut whole = present.as_object().cloned().unwrap_or_default();
        whole.extend(different);
        decision.steps.push(Step::Send(Sent {
            name: "update",
            done: "its values changed",
            method: Method::PUT,
            bucket: bucket::GROUP,
            suffix: String::new(),
            body: Body::Json(json!({ "profile": whole })),
            leads_to: &[],
            proof: Proof::Answer,
        }));
    }
    decision.changes.extend(links.iter().map(Link::change));
    decision.steps.extend(links::in_turn(links).into_iter().map(Step::Links));
    decision.effect = match origin {
        _ if decision.steps.is_empty() => ForeseenEffect::None,
        Origin::Known => ForeseenEffect::Update,
        _ => ForeseenEffect::Adopt,
    };
    if origin == Origin::Adopted {
        decision.notes.push(format!("the group {} was there already", Noun::Group.name_in(group)));
    }
    Ok(decision)
}

/// # Errors
/// Kind `Rejected` where the group is not Okta's own.
pub(super) fn removal(group: &Value) -> Result<Decision> {
    check_own(group)?;
    let delete = Sent {
        name: "delete",
        done: "deleted",
        method: Method::DELETE,
        bucket: bucket::GROUP,
        suffix: String::new(),
        body: Body::Nothing,
        leads_to: &[GONE],
        proof: Proof::Answer,
    };
    Ok(Decision { effect: ForeseenEffect::Delete, steps: vec![Step::Send(delete)], ..Decision::nothing() })
}

fn check_own(group: &Value) -> Result<()> {
    let name = Noun::Group.name_in(group);
    match text_at(group, "type") {
        "BUILT_IN" => Err(refused(
            format!("the group {name} is built in: Okta keeps it itself"),
            "take the group out of the provisioning rules",
        )),
        "APP_GROUP" => Err(refused(
            format!("the group {name} is imported: it is kept by the app or directory it comes from"),
            "change it there, or provision a group of Okta's own",
        )),
        _ => Ok(()),
    }
}
