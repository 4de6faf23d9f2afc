//! What an order about an account comes to: pure decisions from what is there and what is wanted.
//!
//! What enables an account comes first where its values cannot be changed before, then its values and password, then its
//! links, and what takes it out of use last. Source: Okta's "User lifecycle" and its API reference for users.

use std::collections::BTreeMap;

use connector_api::{AttributeChange, ForeseenEffect, NewPassword, ProvisioningOrder, Result};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::{
    attributes::{Attributes, PROFILE, profile_name},
    found::Noun,
    links::{self, Link},
    status::{Lifecycle, Wanted, Way},
    steps::{Decision, GONE, Proof, Sent, Step},
    values::{at, cell, change, is_empty, put, refused, same, text_at},
};
use crate::{
    client::{Body, Write},
    settings::{OktaSettings, OnDelete},
    tables::bucket,
};

/// Groups that a new account joins as it is created; the others follow one by one.
pub(super) const MAX_GROUPS_AT_CREATION: usize = 20;

/// How an account that is there came to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// This order made it, with its values, password and first groups.
    Created,
    /// This order probably made it: its answer was lost.
    Ours,
    /// It was there when this order came to create it.
    Adopted,
    /// The order speaks of it by its key.
    Known,
}

/// What an order wants of an account.
#[derive(Debug)]
pub(super) struct WantedUser<'o> {
    profile: Map<String, Value>,
    status: Option<Wanted>,
    type_id: Option<String>,
    realm: Option<String>,
    provider: Map<String, Value>,
    password: Option<&'o NewPassword>,
}

/// The type of users that the order names.
pub(super) fn type_of(values: &BTreeMap<String, Value>) -> Option<&str> {
    let named = values.iter().find(|(column, _)| column.eq_ignore_ascii_case("type.id"));
    named.and_then(|(_, value)| value.as_str()).map(str::trim).filter(|id| !id.is_empty())
}

/// The state that the order asks for.
pub(super) fn status_of(values: &BTreeMap<String, Value>) -> Result<Option<Wanted>> {
    match values.iter().find(|(column, _)| column.eq_ignore_ascii_case("status")) {
        None => Ok(None),
        Some((_, value)) => Wanted::named(value.as_str().unwrap_or_default()).map(Some),
    }
}

impl<'o> WantedUser<'o> {
    /// # Errors
    /// Kind `Rejected`, naming a column that cannot be written or a value that the schema does not allow.
    pub(super) fn of(order: &'o ProvisioningOrder, attributes: &Attributes, is_new: bool) -> Result<Self> {
        let mut wanted = Self {
            profile: attributes.wanted(&order.values, is_new)?,
            status: status_of(&order.values)?,
            type_id: type_of(&order.values).map(str::to_owned),
            realm: None,
            provider: Map::new(),
            password: order.password.as_ref(),
        };
        for (column, value) in order.values.iter().filter(|(column, _)| profile_name(column).is_none()) {
            match column.to_ascii_lowercase().as_str() {
                "status" | "type.id" => {}
                "realmid" => wanted.realm = Some(cell(value).into_owned()),
                "credentials.provider.type" | "credentials.provider.name" if is_new && !is_empty(value) => {
                    let (_, name) = column.rsplit_once('.').unwrap_or_default();
                    put(&mut wanted.provider, &name.to_ascii_lowercase(), value.clone())?;
                }
                "id" if !is_new && order.key.as_ref().is_some_and(|key| key.value == cell(value)) => {}
                _ => return Err(not_writable(column)),
            }
        }
        Ok(wanted)
    }

    /// The state that a new account shall have.
    fn first_status(&self, settings: &OktaSettings) -> Wanted {
        self.status.unwrap_or(if settings.activate_users { Wanted::Active } else { Wanted::Staged })
    }

    /// The request that makes the account, with the groups it joins at once.
    ///
    /// # Errors
    /// Kind `Rejected` where no account can be made so.
    pub(super) fn creation(&self, settings: &OktaSettings, groups: &[String]) -> Result<Write> {
        let status = self.first_status(settings);
        let has_provider = !self.provider.is_empty();
        let must_change = self.password.is_some_and(|password| password.must_change);
        if status == Wanted::Suspended && (self.password.is_none() && !has_provider || must_change) {
            return Err(refused(
                "an account cannot be created suspended: Okta suspends only accounts that their owner can use",
                "ask for the status ACTIVE or STAGED, or give it a password that need not be changed",
            ));
        }
        // Without a password, to activate at once is to write to its owner.
        let at_once = matches!(status, Wanted::Active | Wanted::Suspended)
            && (self.password.is_some() || has_provider || settings.send_email);
        let mut target = format!("{}?activate={at_once}", Noun::User.path());
        if has_provider {
            target.push_str("&provider=true");
        }
        if must_change && at_once {
            target.push_str("&nextLogin=changePassword");
        }
        let profile: Map<_, _> =
            self.profile.iter().filter(|(_, value)| !value.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect();
        let mut body = Map::from_iter([("profile".to_owned(), profile.into())]);
        if has_provider {
            body.insert("credentials".to_owned(), json!({ "provider": self.provider }));
        }
        if !groups.is_empty() {
            body.insert("groupIds".to_owned(), json!(groups));
        }
        if let Some(id) = &self.type_id {
            body.insert("type".to_owned(), json!({ "id": id }));
        }
        if let Some(realm) = self.realm.as_ref().filter(|realm| !realm.is_empty()) {
            body.insert("realmId".to_owned(), json!(realm));
        }
        let body = match self.password {
            Some(password) => Body::WithPassword(body, password.value.clone()),
            None => Body::Json(body.into()),
        };
        let what = format!("creating the account `{}`", cell(self.profile.get("login").unwrap_or(&Value::Null)));
        Ok(Write { method: Method::POST, bucket: bucket::USERS, target, body, what, repeatable: false })
    }

    /// What a preview shows of an account that would be made.
    pub(super) fn as_new(&self, settings: &OktaSettings, links: &[Link]) -> Result<Decision> {
        self.creation(settings, &[])?;
        let mut decision = Decision { effect: ForeseenEffect::Create, ..Decision::nothing() };
        let status = self.first_status(settings).in_okta();
        let others =
            [("status", Some(status)), ("type.id", self.type_id.as_deref()), ("realmId", self.realm.as_deref())];
        for (column, value) in others {
            decision.changes.extend(value.map(|value| change(column, &Value::Null, &value.into())));
        }
        let given = self.profile.iter().filter(|(_, value)| !value.is_null());
        decision.changes.extend(given.map(|(name, value)| change(format!("{PROFILE}{name}"), &Value::Null, value)));
        decision.changes.extend(self.password.map(|_| password_change()));
        decision.changes.extend(links.iter().map(Link::change));
        Ok(decision)
    }

    /// What is to be done with an account that is there.
    ///
    /// # Errors
    /// Kind `Rejected`, with the reason, where Okta would refuse it or another system masters it.
    pub(super) fn decide(
        &self,
        account: &Value,
        origin: Origin,
        attributes: &Attributes,
        settings: &OktaSettings,
        links: &[Link],
    ) -> Result<Decision> {
        let mut decision = Decision::nothing();
        let is_new = origin == Origin::Created;
        let way = self.way(account, origin, settings, &mut decision)?;
        let (enabling, disabling) = match way {
            Some(call) if call.enables() && text_at(account, "status") != "STAGED" => (Some(call), None),
            call => (None, call),
        };
        let is_moving = !text_at(account, "transitioningToStatus").is_empty();
        if is_moving && (enabling.is_some() || disabling.is_some()) {
            decision.steps.push(Step::Settle);
        }
        decision.steps.extend(enabling.map(|call| lifecycle(call, settings)));
        if !is_new {
            self.update(account, attributes, &mut decision)?;
        }
        if matches!(origin, Origin::Ours | Origin::Known) {
            self.set_password(account, origin, way, &mut decision)?;
        }
        // A staged account gets its password before it is activated, so that it need not wait for its owner.
        let (activation, last) = match disabling {
            Some(call) if call.enables() => (Some(call), None),
            call => (None, call),
        };
        decision.steps.extend(activation.map(|call| lifecycle(call, settings)));
        decision.changes.extend(links.iter().map(Link::change));
        decision.steps.extend(links::in_turn(links).into_iter().map(Step::Links));
        decision.steps.extend(last.map(|call| lifecycle(call, settings)));
        decision.effect = match origin {
            _ if decision.steps.is_empty() => ForeseenEffect::None,
            Origin::Known if last.is_some() => ForeseenEffect::Deactivate,
            Origin::Known => ForeseenEffect::Update,
            _ => ForeseenEffect::Adopt,
        };
        if origin == Origin::Adopted {
            let password = if self.password.is_some() { "; its password was left as it is" } else { "" };
            decision.notes.push(format!("the account {} was there already{password}", Noun::User.name_in(account)));
        }
        Ok(decision)
    }

    /// The lifecycle call that the wanted state takes.
    fn way(
        &self,
        account: &Value,
        origin: Origin,
        settings: &OktaSettings,
        decision: &mut Decision,
    ) -> Result<Option<Lifecycle>> {
        let moving_to = text_at(account, "transitioningToStatus");
        let present = if moving_to.is_empty() { text_at(account, "status") } else { moving_to };
        let wanted = match origin {
            Origin::Known => self.status,
            Origin::Created => Some(self.first_status(settings)),
            // Who is hired again gets their account back, but nobody who was suspended.
            Origin::Ours | Origin::Adopted => match (self.status, present) {
                (None, "STAGED" | "DEPROVISIONED") if settings.activate_users => Some(Wanted::Active),
                (status, _) => status,
            },
        };
        let Some(wanted) = wanted else { return Ok(None) };
        match wanted.from(present)? {
            Way::There(note) => {
                decision.notes.extend(note.map(str::to_owned));
                Ok(None)
            }
            Way::Call(call) => {
                if origin != Origin::Created {
                    decision.changes.push(change("status", &present.into(), &wanted.in_okta().into()));
                }
                Ok(Some(call))
            }
        }
    }

    fn update(&self, account: &Value, attributes: &Attributes, decision: &mut Decision) -> Result<()> {
        let present = at(account, "profile");
        let is_different =
            |(name, value): &(&String, &Value)| !same(present.get(name.as_str()).unwrap_or(&Value::Null), value);
        let different: Map<String, Value> =
            self.profile.iter().filter(is_different).map(|(name, value)| (name.clone(), value.clone())).collect();
        let master = text_at(account, "credentials.provider.type");
        if let Some(name) = different.keys().find(|name| is_directory(master) && attributes.is_mastered_elsewhere(name))
        {
            return Err(refused(
                format!("`{PROFILE}{name}` of the account {} is mastered by {master}", Noun::User.name_in(account)),
                "change it there, or take the property out of the provisioning rules",
            ));
        }
        for (name, value) in &different {
            let old = present.get(name).unwrap_or(&Value::Null);
            decision.changes.push(change(format!("{PROFILE}{name}"), old, value));
        }
        let mut body = Map::new();
        if let Some(realm) = self.realm.as_deref().filter(|realm| *realm != text_at(account, "realmId")) {
            decision.changes.push(change("realmId", at(account, "realmId"), &realm.into()));
            body.insert("realmId".to_owned(), realm.into());
        }
        let new_type = self.type_id.as_deref().filter(|id| *id != text_at(account, "type.id"));
        let method = if let Some(id) = new_type {
            decision.changes.push(change("type.id", at(account, "type.id"), &id.into()));
            body.insert("type".to_owned(), json!({ "id": id }));
            let mut profile = present.as_object().cloned().unwrap_or_default();
            profile.extend(different);
            let (all, fitting) = (profile.clone(), attributes.fitting(profile));
            let lost = all.iter().filter(|(name, value)| !fitting.contains_key(*name) && !is_empty(value));
            decision.changes.extend(lost.map(|(name, value)| change(format!("{PROFILE}{name}"), value, &Value::Null)));
            body.insert("profile".to_owned(), fitting.into());
            Method::PUT
        } else {
            if !different.is_empty() {
                body.insert("profile".to_owned(), different.into());
            }
            Method::POST
        };
        if !body.is_empty() {
            decision.steps.push(Step::Send(Sent {
                name: "update",
                done: "its values changed",
                method,
                bucket: bucket::USER,
                suffix: String::new(),
                body: Body::Json(body.into()),
                leads_to: &[],
                proof: Proof::Answer,
            }));
        }
        Ok(())
    }

    fn set_password(
        &self,
        account: &Value,
        origin: Origin,
        way: Option<Lifecycle>,
        decision: &mut Decision,
    ) -> Result<()> {
        let Some(password) = self.password else { return Ok(()) };
        if origin == Origin::Ours && !at(account, "lastLogin").is_null() {
            decision.notes.push("the account is in use; its password was left as it is".to_owned());
            return Ok(());
        }
        let (name, provider) = (Noun::User.name_in(account), text_at(account, "credentials.provider.type"));
        if !matches!(provider, "" | "OKTA" | "IMPORT") {
            return Err(refused(
                format!("the password of the account {name} is kept by {provider}"),
                "reset it there; Okta does not know it",
            ));
        }
        if text_at(account, "status") == "DEPROVISIONED" && way != Some(Lifecycle::Activate) {
            return Err(refused(
                format!("the account {name} is deactivated: it can have no password"),
                "ask for ACTIVE",
            ));
        }
        decision.changes.push(password_change());
        decision.steps.push(Step::Send(Sent {
            name: "password",
            done: "its password set",
            method: Method::POST,
            bucket: bucket::USER,
            suffix: String::new(),
            body: Body::WithPassword(Map::new(), password.value.clone()),
            leads_to: &[],
            proof: Proof::Answer,
        }));
        if password.must_change && text_at(account, "status") == "STAGED" {
            decision.notes.push("Okta cannot make the owner of a staged account change its password".to_owned());
        } else if password.must_change {
            decision.steps.push(Step::Send(Sent {
                name: "expire password",
                done: "its password expired",
                method: Method::POST,
                bucket: bucket::USERS,
                suffix: "/lifecycle/expire_password".to_owned(),
                body: Body::Nothing,
                leads_to: &["PASSWORD_EXPIRED"],
                proof: Proof::Answer,
            }));
        }
        Ok(())
    }
}

/// How an account is deleted, or what the setting `OnDelete` says instead.
///
/// # Errors
/// Kind `Rejected` where its state forbids to suspend it.
pub(super) fn removal(account: &Value, settings: &OktaSettings) -> Result<Decision> {
    let status = text_at(account, "status");
    let mut decision = Decision::nothing();
    match settings.on_delete {
        OnDelete::Suspend if status == "DEPROVISIONED" => {
            decision.notes.push("the account is deactivated, which is more than suspended".to_owned());
        }
        OnDelete::Deactivate | OnDelete::Suspend => {
            let wanted =
                if settings.on_delete == OnDelete::Suspend { Wanted::Suspended } else { Wanted::Deprovisioned };
            if let Way::Call(call) = wanted.from(status)? {
                decision.effect = ForeseenEffect::Deactivate;
                decision.changes.push(change("status", &status.into(), &wanted.in_okta().into()));
                decision.steps.push(lifecycle(call, settings));
            }
        }
        OnDelete::Delete => {
            decision.effect = ForeseenEffect::Delete;
            if !text_at(account, "transitioningToStatus").is_empty() {
                decision.steps.push(Step::Settle);
            }
            let suffix = format!("?sendEmail={}", settings.send_email);
            let step = |name, done, proof| {
                Step::Send(Sent {
                    name,
                    done,
                    method: Method::DELETE,
                    bucket: bucket::USER,
                    suffix: suffix.clone(),
                    body: Body::Nothing,
                    leads_to: &[GONE],
                    proof,
                })
            };
            // The first deletion of an account deactivates it.
            if status != "DEPROVISIONED" {
                decision.steps.push(step("deactivate", "deactivated", Proof::Deactivated));
            }
            decision.steps.push(step("delete", "deleted", Proof::Gone));
        }
    }
    Ok(decision)
}

fn lifecycle(call: Lifecycle, settings: &OktaSettings) -> Step {
    let mail = matches!(call, Lifecycle::Activate | Lifecycle::Deactivate);
    let parameter = if mail { format!("?sendEmail={}", settings.send_email) } else { String::new() };
    Step::Send(Sent {
        name: call.name(),
        done: call.in_the_past(),
        method: Method::POST,
        bucket: bucket::USERS,
        suffix: format!("/lifecycle/{}{parameter}", call.name()),
        body: Body::Nothing,
        leads_to: call.leads_to(),
        proof: if call == Lifecycle::Deactivate { Proof::Deactivated } else { Proof::Answer },
    })
}

fn password_change() -> AttributeChange {
    AttributeChange { attribute: "password".to_owned(), old: None, new: Some("***".to_owned()) }
}

fn is_directory(provider: &str) -> bool {
    matches!(provider, "ACTIVE_DIRECTORY" | "LDAP")
}

fn not_writable(column: &str) -> connector_api::Error {
    refused(
        format!("`{column}` of an account cannot be written by an order"),
        "Okta sets it itself, or only when an account is created; take the property out of the provisioning rules",
    )
}
