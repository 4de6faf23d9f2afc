//! One account, read as a reset needs it, and found by what its owner signs in with.
//!
//! Okta takes a login's part before the `@` for the whole where it is the only one, and `me` for the token's own
//! account. A reset must not reach somebody by such a guess: only a whole login and an id name an account here.
//! Source: Okta's API reference, "Retrieve a user" and "List all users".

use connector_api::{Account, Error, ErrorKind, Result};
use serde::Deserialize;

use crate::{
    client::{Client, Request},
    error::Failure,
    governor::Lane,
    lists::encoded,
    tables::bucket,
};

/// Logins that are counted where only a part of one was given.
const SHOWN_MATCHES: usize = 10;

/// An account as Okta shows it alone.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    pub(super) id: String,
    #[serde(default)]
    pub(super) status: String,
    status_changed: Option<String>,
    last_updated: Option<String>,
    #[serde(default)]
    profile: Profile,
    #[serde(default)]
    credentials: Credentials,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Profile {
    login: String,
    first_name: Option<String>,
    last_name: Option<String>,
    email: Option<String>,
    second_email: Option<String>,
    preferred_language: Option<String>,
    locale: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Credentials {
    provider: Provider,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Provider {
    #[serde(rename = "type")]
    kind: String,
    name: String,
}

impl User {
    pub(super) fn login(&self) -> &str {
        &self.profile.login
    }

    /// What keeps the password: `OKTA`, `ACTIVE_DIRECTORY`, …, and its name.
    pub(super) fn provider(&self) -> (&str, &str) {
        (&self.credentials.provider.kind, &self.credentials.provider.name)
    }

    pub(super) fn is_in_recovery(&self) -> bool {
        self.status == "RECOVERY"
    }

    pub(super) fn is_locked(&self) -> bool {
        self.status == "LOCKED_OUT"
    }

    /// Whether nothing has happened to the account since `before` was read.
    pub(super) fn is_as_it_was(&self, before: &Self) -> bool {
        (&self.status, &self.status_changed, &self.last_updated)
            == (&before.status, &before.status_changed, &before.last_updated)
    }

    pub(super) fn into_account(self) -> Account {
        let filled = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let profile = self.profile;
        let mut account = Account::new(self.id, profile.login);
        account.first_name = profile.first_name.unwrap_or_default();
        account.last_name = profile.last_name.unwrap_or_default();
        account.email = filled(profile.email);
        account.second_email = filled(profile.second_email);
        account.language = filled(profile.preferred_language).or(filled(profile.locale));
        account.state = self.status;
        account
    }
}

/// The account of this whole login, or of this id.
pub(super) async fn find(client: &Client, name: &str) -> Result<User> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@._-+'".contains(c);
    let is_safe = !name.is_empty() && name.chars().all(is_plain) && !matches!(name, "me" | "." | "..");
    // In a path `/` and `?` mean something else, whatever they are encoded as.
    let found = if is_safe { one(client, name).await? } else { None };
    match found.filter(|user| user.id == name || user.login().eq_ignore_ascii_case(name)) {
        Some(user) => Ok(user),
        None => search(client, name).await,
    }
}

/// The account of this id, as it is now.
pub(super) async fn read(client: &Client, id: &str) -> Result<User> {
    one(client, id).await?.ok_or_else(|| missing(id))
}

async fn one(client: &Client, name: &str) -> Result<Option<User>> {
    let target = format!("/api/v1/users/{}", encoded(name));
    let mut request = request(bucket::READ_USER, target, format!("reading the account `{name}`"));
    match client.get(&mut request, |body| serde_json::from_str::<User>(body)).await {
        Ok(answer) => Ok(Some(answer.value)),
        Err(Failure::Refused(refusal)) if refusal.is_missing_object() => Ok(None),
        Err(failure) => Err(failure.into_error(&request.what)),
    }
}

/// Searches for the whole login, which a path cannot hold or the path did not find; else tells what begins like it.
async fn search(client: &Client, name: &str) -> Result<User> {
    if name.is_empty() {
        return Err(Error::new(ErrorKind::NotFound, "an empty login names no account").with_hint("give the login"));
    }
    let exact = matches(client, "eq", name).await?;
    match exact.into_iter().find(|user| user.login().eq_ignore_ascii_case(name)) {
        Some(user) => return read(client, &user.id).await,
        None if name.contains('@') => return Err(missing(name)),
        None => {}
    }
    let alike = matches(client, "sw", &format!("{name}@")).await?;
    let Some(first) = alike.first() else { return Err(missing(name)) };
    let many = match alike.len() {
        1 => "one login begins".to_owned(),
        SHOWN_MATCHES => format!("{SHOWN_MATCHES} logins or more begin"),
        several => format!("{several} logins begin"),
    };
    Err(Error::new(ErrorKind::Rejected, format!("`{name}` is no whole login: {many} with it"))
        .with_hint(format!("give the whole login, such as `{}`", first.login())))
}

async fn matches(client: &Client, operator: &str, value: &str) -> Result<Vec<User>> {
    let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
    let expression = format!("profile.login {operator} \"{quoted}\"");
    let target = format!("/api/v1/users?limit={SHOWN_MATCHES}&search={}", encoded(&expression));
    let mut request = request(bucket::USERS, target, format!("searching for the account `{value}`"));
    let answer = client.get(&mut request, |body| serde_json::from_str::<Vec<User>>(body)).await;
    answer.map(|answer| answer.value).map_err(|failure| failure.into_error(&request.what))
}

fn request(bucket: &'static str, target: String, what: String) -> Request {
    Request { bucket, lane: Lane::Fan, target, what, light: false, smallest_limit: 1 }
}

fn missing(name: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("no account has the login or id `{name}`"))
        .with_hint("check the spelling; a login is given whole, such as `ada@example.com`")
}
