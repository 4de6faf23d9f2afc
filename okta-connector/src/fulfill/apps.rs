//! What an order about an app comes to: pure decisions from what is there and what is wanted.
//!
//! An app is created from columns alone, so only of the kinds whose columns say it all: bookmarks, the templates, OpenID
//! Connect, SAML, automatic login and catalogue apps without further needs. It is replaced as a whole: what is read is
//! sent back with the changes. Source: Okta's API for applications.

use connector_api::{ForeseenEffect, ProvisioningOrder, Result};
use reqwest::Method;
use serde_json::{Map, Value};

use super::{
    found::Noun,
    guards::is_oktas_own,
    links::{self, Link},
    steps::{Decision, GONE, Proof, Sent, Step},
    users::Origin,
    values::{Kind, at, cell, change, check_storable, is_empty, put, refused, same, text_at},
};
use crate::{
    client::{Body, Write},
    tables::bucket,
};

const MAX_LABEL_CHARS: usize = 100;

/// How apps of each template sign people on, which the template implies.
const SIGN_ON_OF: [(&str, &str); 7] = [
    ("bookmark", "BOOKMARK"),
    ("template_basic_auth", "BASIC_AUTH"),
    ("template_swa", "BROWSER_PLUGIN"),
    ("template_swa3field", "BROWSER_PLUGIN"),
    ("template_sps", "SECURE_PASSWORD_STORE"),
    ("oidc_client", "OPENID_CONNECT"),
    ("template_wsfed", "WS_FEDERATION"),
];

/// What an order wants of an app.
#[derive(Debug)]
pub(super) struct WantedApp {
    /// By dotted path; null clears.
    values: Vec<(String, Value)>,
    /// Whether it shall be in use.
    is_active: Option<bool>,
}

impl WantedApp {
    /// # Errors
    /// Kind `Rejected`, naming a column that cannot be written or a value that no app can have.
    pub(super) fn of(order: &ProvisioningOrder, is_new: bool) -> Result<Self> {
        let mut wanted = Self { values: Vec::new(), is_active: is_active(order)? };
        for (column, value) in &order.values {
            check_storable(column, value)?;
            let head = column.split('.').next().unwrap_or_default();
            match head {
                "status" => {}
                "id" if !is_new && order.key.as_ref().is_some_and(|key| key.value == cell(value)) => {}
                "label" | "name" | "signOnMode" | "accessibility" | "visibility" | "credentials" | "settings"
                | "profile" | "licensing" => wanted.values.push((column.clone(), typed(column, value)?)),
                _ => {
                    return Err(refused(
                        format!("`{column}` of an app cannot be written by an order"),
                        "Okta sets it itself; take the property out of the provisioning rules",
                    ));
                }
            }
        }
        let label = wanted.value("label");
        let chars = label.and_then(Value::as_str).map_or(0, |label| label.chars().count());
        if (is_new || label.is_some()) && !(1..=MAX_LABEL_CHARS).contains(&chars) {
            return Err(refused(
                format!("`label` of an app has 1 to {MAX_LABEL_CHARS} characters"),
                "correct the rule",
            ));
        }
        Ok(wanted)
    }

    fn value(&self, column: &str) -> Option<&Value> {
        self.values.iter().find(|(path, _)| path == column).map(|(_, value)| value)
    }

    /// The request that makes the app.
    ///
    /// # Errors
    /// Kind `Rejected` where the columns do not say what kind of app it is.
    pub(super) fn creation(&self) -> Result<Write> {
        let mut body = Map::new();
        for (path, value) in self.values.iter().filter(|(_, value)| !value.is_null()) {
            put(&mut body, path, value.clone())?;
        }
        let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
        let implied = SIGN_ON_OF.into_iter().find(|(template, _)| *template == name).map(|(_, mode)| mode);
        match implied {
            Some(mode) => {
                body.entry("signOnMode").or_insert(mode.into());
            }
            None if !body.contains_key("signOnMode") => {
                return Err(refused(
                    "an app needs `signOnMode` to be created, or the `name` of a template",
                    "map the column `name` (bookmark, oidc_client, template_swa, …) or `signOnMode` (SAML_2_0, AUTO_LOGIN, …)",
                ));
            }
            None => {}
        }
        Ok(Write {
            method: Method::POST,
            bucket: bucket::APPS,
            target: format!("{}?activate={}", Noun::App.path(), self.is_active.unwrap_or(true)),
            what: format!("creating the app `{}`", cell(self.value("label").unwrap_or(&Value::Null))),
            body: Body::Json(body.into()),
            repeatable: false,
        })
    }

    /// What a preview shows of an app that would be made.
    pub(super) fn as_new(&self, links: &[Link]) -> Result<Decision> {
        self.creation()?;
        let given = self.values.iter().filter(|(_, value)| !value.is_null());
        let mut changes: Vec<_> = given.map(|(path, value)| change(path, &Value::Null, value)).collect();
        changes.extend(links.iter().map(Link::change));
        Ok(Decision { effect: ForeseenEffect::Create, changes, ..Decision::nothing() })
    }

    /// What is to be done with an app that is there.
    ///
    /// # Errors
    /// Kind `Rejected` for what Okta never changes.
    pub(super) fn decide(&self, app: &Value, origin: Origin, links: &[Link]) -> Result<Decision> {
        let mut decision = Decision::nothing();
        let is_now_active = text_at(app, "status") == "ACTIVE";
        let wanted = self.is_active.filter(|wanted| *wanted != is_now_active);
        if wanted == Some(false) {
            check_not_oktas(app)?;
        }
        // Some apps cannot be changed while inactive, and assignments of none can.
        if wanted == Some(true) {
            decision.changes.push(change("status", &text_at(app, "status").into(), &"ACTIVE".into()));
            decision.steps.push(lifecycle("activate", "activated"));
        }
        if origin != Origin::Created {
            self.update(app, &mut decision)?;
        }
        decision.changes.extend(links.iter().map(Link::change));
        decision.steps.extend(links::in_turn(links).into_iter().map(Step::Links));
        if wanted == Some(false) {
            decision.changes.push(change("status", &text_at(app, "status").into(), &"INACTIVE".into()));
            decision.steps.push(lifecycle("deactivate", "deactivated"));
        }
        decision.effect = match origin {
            _ if decision.steps.is_empty() => ForeseenEffect::None,
            Origin::Known if wanted == Some(false) => ForeseenEffect::Deactivate,
            Origin::Known => ForeseenEffect::Update,
            _ => ForeseenEffect::Adopt,
        };
        if origin == Origin::Adopted {
            decision.notes.push(format!("the app {} was there already", Noun::App.name_in(app)));
        }
        Ok(decision)
    }

    fn update(&self, app: &Value, decision: &mut Decision) -> Result<()> {
        let different: Vec<&(String, Value)> =
            self.values.iter().filter(|(path, value)| !same(at(app, path), value)).collect();
        if different.is_empty() {
            return Ok(());
        }
        let mut whole = app.as_object().cloned().unwrap_or_default();
        for field in ["_links", "_embedded", "id", "orn", "status", "created", "lastUpdated"] {
            whole.remove(field);
        }
        for (path, value) in different {
            if path == "name" {
                return Err(refused(
                    format!("`name` of the app {} never changes", Noun::App.name_in(app)),
                    "create another app; `label` is what people see",
                ));
            }
            decision.changes.push(change(path, at(app, path), value));
            put(&mut whole, path, like(at(app, path), value))?;
        }
        decision.steps.push(Step::Send(Sent {
            name: "update",
            done: "its values changed",
            method: Method::PUT,
            bucket: bucket::APP,
            suffix: String::new(),
            body: Body::Json(whole.into()),
            leads_to: &[],
            proof: Proof::Answer,
        }));
        Ok(())
    }
}

/// Whether the order wants the app in use.
pub(super) fn is_active(order: &ProvisioningOrder) -> Result<Option<bool>> {
    match order.values.iter().find(|(column, _)| column.eq_ignore_ascii_case("status")) {
        None => Ok(None),
        Some((_, value)) => match cell(value).trim().to_ascii_uppercase().as_str() {
            "ACTIVE" => Ok(Some(true)),
            "INACTIVE" => Ok(Some(false)),
            _ => Err(refused("`status` of an app is ACTIVE or INACTIVE", "correct the rule that computes it")),
        },
    }
}

/// # Errors
/// Kind `Rejected` for the apps that Okta itself needs.
pub(super) fn removal(app: &Value) -> Result<Decision> {
    check_not_oktas(app)?;
    let mut decision = Decision { effect: ForeseenEffect::Delete, ..Decision::nothing() };
    if text_at(app, "status") == "ACTIVE" {
        decision.steps.push(lifecycle("deactivate", "deactivated"));
    }
    decision.steps.push(Step::Send(Sent {
        name: "delete",
        done: "deleted",
        method: Method::DELETE,
        bucket: bucket::APP,
        suffix: String::new(),
        body: Body::Nothing,
        leads_to: &[GONE],
        proof: Proof::Answer,
    }));
    Ok(decision)
}

fn lifecycle(name: &'static str, done: &'static str) -> Step {
    Step::Send(Sent {
        name,
        done,
        method: Method::POST,
        bucket: bucket::APPS,
        suffix: format!("/lifecycle/{name}"),
        body: Body::Nothing,
        leads_to: if name == "activate" { &["ACTIVE"] } else { &["INACTIVE"] },
        proof: Proof::Answer,
    })
}

fn check_not_oktas(app: &Value) -> Result<()> {
    if !is_oktas_own(app) {
        return Ok(());
    }
    let message = format!("the app {} is Okta's own: without it nobody signs in", Noun::App.name_in(app));
    Err(refused(message, "take it out of the provisioning rules"))
}

/// The value in the type that Okta gives the column, where it is known to be no text.
fn typed(column: &str, value: &Value) -> Result<Value> {
    if is_empty(value) {
        return Ok(Value::Null);
    }
    let name = column.rsplit('.').next().unwrap_or_default();
    let kind = match name {
        "requestIntegration" | "autoSubmitToolbar" | "selfService" | "iOS" | "web" | "seatCount"
        | "honorForceAuthn" | "assertionSigned" | "responseSigned" | "autoKeyRotation" | "pkce_required" => {
            if name == "seatCount" { Kind::Integer } else { Kind::Boolean }
        }
        "redirect_uris" | "post_logout_redirect_uris" | "grant_types" | "response_types" => Kind::Array,
        _ => return Ok(value.clone()),
    };
    let typed = kind.read(Kind::Text, value);
    typed.ok_or_else(|| refused(format!("`{column}` must be {}", kind.in_words()), "correct the rule that computes it"))
}

/// The wanted value in the type of the one that is there.
fn like(present: &Value, wanted: &Value) -> Value {
    let kind = match present {
        Value::Bool(_) => Kind::Boolean,
        Value::Number(_) => Kind::Number,
        Value::Array(_) => Kind::Array,
        Value::Object(_) => Kind::Object,
        Value::Null | Value::String(_) => return wanted.clone(),
    };
    kind.read(Kind::Text, wanted).unwrap_or_else(|| wanted.clone())
}
