//! One user. The JSON that lists show is written once, when the user changes; pages copy it.
//! Okta: list items carry only the `self` link, a single read the links of what is allowed now;
//! `mobilePhone` and `secondEmail` are null when unset, any other unset attribute is absent.

use std::fmt::Write as _;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::clock::push_seconds;
use crate::raw;
use crate::search::{Atom, Record, any_at};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Staged,
    Provisioned,
    Active,
    Recovery,
    PasswordExpired,
    LockedOut,
    Suspended,
    Deprovisioned,
}

#[derive(Clone, Debug)]
pub(crate) struct User {
    pub id: Box<str>,
    pub status: Status,
    /// Where an asynchronous activation is heading.
    pub becoming: Option<Status>,
    pub created: i64,
    pub activated: Option<i64>,
    pub status_changed: Option<i64>,
    pub last_login: Option<i64>,
    pub last_updated: i64,
    pub password_changed: Option<i64>,
    pub type_id: Arc<str>,
    /// A keyed hash; the password itself is never kept.
    pub password: Option<u64>,
    pub question: Option<Box<Question>>,
    pub provider: &'static str,
    /// What the index still shows while a change is on its way to it.
    pub earlier: Option<Box<Earlier>>,
    text: Box<str>,
    profile: Range<u32>,
    credentials: Range<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub question: String,
    pub answer: u64,
}

/// The user as the index knows it until `until`; no user at all when it is new.
#[derive(Clone, Debug)]
pub(crate) struct Earlier {
    pub until: i64,
    pub user: Option<User>,
}

const STATUSES: [(Status, &str); 8] = [
    (Status::Staged, "STAGED"),
    (Status::Provisioned, "PROVISIONED"),
    (Status::Active, "ACTIVE"),
    (Status::Recovery, "RECOVERY"),
    (Status::PasswordExpired, "PASSWORD_EXPIRED"),
    (Status::LockedOut, "LOCKED_OUT"),
    (Status::Suspended, "SUSPENDED"),
    (Status::Deprovisioned, "DEPROVISIONED"),
];

impl Status {
    pub fn as_str(self) -> &'static str {
        STATUSES.iter().find(|(status, _)| *status == self).map_or("", |(_, name)| name)
    }
}

/// The provider of this name; an unknown one counts as Okta.
pub(crate) fn provider(named: &str) -> &'static str {
    const KNOWN: [&str; 6] = ["OKTA", "ACTIVE_DIRECTORY", "LDAP", "FEDERATION", "SOCIAL", "IMPORT"];
    KNOWN.into_iter().find(|known| *known == named).unwrap_or("OKTA")
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = STATUSES.iter().find(|(_, name)| *name == text).map(|(status, _)| *status);
        found.ok_or_else(|| format!("`{text}` is no status of a user"))
    }
}

impl User {
    /// A user without text; call [`User::write`] before it is shown.
    pub(crate) fn new(id: &str, status: Status, type_id: Arc<str>, now: i64) -> Self {
        Self {
            id: id.into(),
            status,
            becoming: None,
            created: now,
            activated: None,
            status_changed: Some(now),
            last_login: None,
            last_updated: now,
            password_changed: None,
            type_id,
            password: None,
            question: None,
            provider: "OKTA",
            earlier: None,
            text: "".into(),
            profile: 0..0,
            credentials: 0..0,
        }
    }

    pub(crate) fn profile_text(&self) -> &str {
        self.slice(&self.profile)
    }

    pub(crate) fn profile(&self) -> Map<String, Value> {
        serde_json::from_str(self.profile_text()).unwrap_or_default()
    }

    /// A text attribute of the profile; empty when absent.
    pub(crate) fn attribute(&self, name: &str) -> std::borrow::Cow<'_, str> {
        raw::get(self.profile_text(), name).filter(|value| value.starts_with('"')).map_or("".into(), raw::text)
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.attribute("firstName"), self.attribute("lastName"))
    }

    /// Writes the text anew with the profile it has.
    pub(crate) fn rewrite(&mut self, base: &str) {
        let profile = self.profile_text().to_owned();
        self.write(base, &profile);
    }

    /// Writes the text lists show, around a serialised profile.
    pub(crate) fn write(&mut self, base: &str, profile: &str) {
        let mut out = String::with_capacity(profile.len() + 640);
        let _ = write!(out, "{{\"id\":\"{}\",\"status\":\"{}\",\"created\":", self.id, self.status.as_str());
        push_time(&mut out, Some(self.created));
        for (name, at) in [
            ("activated", self.activated),
            ("statusChanged", self.status_changed),
            ("lastLogin", self.last_login),
            ("lastUpdated", Some(self.last_updated)),
            ("passwordChanged", self.password_changed),
        ] {
            let _ = write!(out, ",\"{name}\":");
            push_time(&mut out, at);
        }
        if let Some(becoming) = self.becoming {
            let _ = write!(out, ",\"transitioningToStatus\":\"{}\"", becoming.as_str());
        }
        let _ = write!(out, ",\"type\":{{\"id\":\"{}\"}},\"profile\":", self.type_id);
        let profile_at = offset(&out);
        out.push_str(profile);
        let credentials_at = offset(&out);
        out.push_str(",\"credentials\":");
        self.push_credentials(profile, &mut out);
        let links_at = offset(&out);
        let _ = write!(out, ",\"_links\":{{\"self\":{{\"href\":\"{base}/api/v1/users/{}\"}}}}}}", self.id);
        self.profile = profile_at..credentials_at;
        self.credentials = credentials_at..links_at;
        self.text = out.into_boxed_str();
    }

    /// As a list shows it.
    pub(crate) fn push_item(&self, omit_credentials: bool, out: &mut String) {
        if omit_credentials {
            out.push_str(&self.text[..self.credentials.start as usize]);
            out.push_str(&self.text[self.credentials.end as usize..]);
        } else {
            out.push_str(&self.text);
        }
    }

    pub(crate) fn item(&self) -> &str {
        &self.text
    }

    /// As a single read shows it: with the links of what is allowed.
    pub(crate) fn single(&self, base: &str, omit_credentials: bool) -> String {
        let end = if omit_credentials { self.credentials.start } else { self.credentials.end };
        let mut out = self.text[..end as usize].to_owned();
        let me = format!("{base}/api/v1/users/{}", self.id);
        let meta = format!("{base}/api/v1/meta");
        out.push_str(",\"_links\":{");
        for (name, path) in self.allowed() {
            if omit_credentials && path.starts_with("credentials") {
                continue;
            }
            let _ = write!(out, "\"{name}\":{{\"href\":\"{me}/{path}\",\"method\":\"POST\"}},");
        }
        let schema = self.type_id.strip_prefix("oty").unwrap_or(&self.type_id);
        let _ = write!(
            out,
            "\"schema\":{{\"href\":\"{meta}/schemas/user/osc{schema}\"}},\"self\":{{\"href\":\"{me}\"}},\"type\":{{\"href\":\"{meta}/types/user/{}\"}}}}}}",
            self.type_id
        );
        out
    }

    /// The answer of the credentials calls.
    pub(crate) fn credentials_text(&self) -> String {
        let mut out = String::from("{\"password\":{},");
        self.push_question(&mut out);
        self.push_provider(&mut out);
        out
    }

    /// As the index knows the user at `now`.
    pub(crate) fn indexed(&self, now: i64) -> Option<&Self> {
        match &self.earlier {
            Some(earlier) if now < earlier.until => earlier.user.as_ref(),
            _ => Some(self),
        }
    }

    fn allowed(&self) -> &'static [(&'static str, &'static str)] {
        const ACTIVATE: (&str, &str) = ("activate", "lifecycle/activate");
        const DEACTIVATE: (&str, &str) = ("deactivate", "lifecycle/deactivate");
        const FACTORS: (&str, &str) = ("resetFactors", "lifecycle/reset_factors");
        const RESET: (&str, &str) = ("resetPassword", "lifecycle/reset_password");
        match self.status {
            Status::Staged => &[ACTIVATE, FACTORS],
            Status::Deprovisioned => &[ACTIVATE],
            Status::Provisioned => &[("reactivate", "lifecycle/reactivate"), RESET, FACTORS, DEACTIVATE],
            Status::Recovery => &[RESET, ("reactivate", "lifecycle/reactivate"), FACTORS, DEACTIVATE],
            Status::Suspended => &[("unsuspend", "lifecycle/unsuspend"), FACTORS, DEACTIVATE],
            Status::LockedOut => &[("unlock", "lifecycle/unlock"), RESET, FACTORS, DEACTIVATE],
            Status::Active | Status::PasswordExpired => &[
                ("suspend", "lifecycle/suspend"),
                RESET,
                ("forgotPassword", "credentials/forgot_password"),
                ("expirePassword", "lifecycle/expire_password"),
                ("changeRecoveryQuestion", "credentials/change_recovery_question"),
                FACTORS,
                ("changePassword", "credentials/change_password"),
                DEACTIVATE,
            ],
        }
    }

    fn push_credentials(&self, profile: &str, out: &mut String) {
        out.push('{');
        if self.password.is_some() {
            out.push_str("\"password\":{},");
        }
        if let Some(email) = raw::get(profile, "email") {
            let _ = write!(out, "\"emails\":[{{\"value\":{email},\"status\":\"VERIFIED\",\"type\":\"PRIMARY\"}}],");
        }
        self.push_question(out);
        self.push_provider(out);
    }

    fn push_question(&self, out: &mut String) {
        if let Some(question) = &self.question {
            out.push_str("\"recovery_question\":{\"question\":");
            raw::push_string(out, &question.question);
            out.push_str("},");
        }
    }

    fn push_provider(&self, out: &mut String) {
        let _ = write!(out, "\"provider\":{{\"type\":\"{0}\",\"name\":\"{0}\"}}}}", self.provider);
    }

    fn slice(&self, range: &Range<u32>) -> &str {
        &self.text[range.start as usize..range.end as usize]
    }
}

impl Record for User {
    fn any(&self, property: &str, test: &mut dyn FnMut(Atom<'_>) -> bool) -> bool {
        match property {
            "id" => test(Atom::Text(&self.id)),
            "status" => test(Atom::Text(self.status.as_str())),
            "type.id" => test(Atom::Text(&self.type_id)),
            "created" => test(Atom::Time(self.created)),
            "lastUpdated" => test(Atom::Time(self.last_updated)),
            "activated" => self.activated.is_some_and(|at| test(Atom::Time(at))),
            "statusChanged" => self.status_changed.is_some_and(|at| test(Atom::Time(at))),
            _ => property.strip_prefix("profile.").is_some_and(|name| any_at(self.profile_text(), name, test)),
        }
    }
}

fn push_time(out: &mut String, at: Option<i64>) {
    match at {
        Some(at) => {
            out.push('"');
            push_seconds(out, at);
            out.push('"');
        }
        None => out.push_str("null"),
    }
}

fn offset(out: &str) -> u32 {
    u32::try_from(out.len()).expect("a user is shorter than four gigabytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_items_without_and_singles_with_links() {
        let mut user = User::new("00u1", Status::Staged, "oty1".into(), 1_759_117_127_000);
        user.write("http://o", r#"{"firstName":"A","mobilePhone":null,"login":"a@b.c","email":"a@b.c"}"#);
        let item: Value = serde_json::from_str(user.item()).unwrap();
        assert_eq!(item["_links"]["self"]["href"], "http://o/api/v1/users/00u1");
        assert_eq!(item["credentials"]["emails"][0]["value"], "a@b.c");
        let single: Value = serde_json::from_str(&user.single("http://o", true)).unwrap();
        assert!(single.get("credentials").is_none());
        assert_eq!(single["_links"]["activate"]["href"], "http://o/api/v1/users/00u1/lifecycle/activate");
        assert_eq!(single["_links"]["schema"]["href"], "http://o/api/v1/meta/schemas/user/osc1");
        assert_eq!(user.attribute("login"), "a@b.c");
        let mut short = String::new();
        user.push_item(true, &mut short);
        assert!(!short.contains("credentials") && serde_json::from_str::<Value>(&short).is_ok());
    }
}
