//! A service app (an OAuth 2.0 client of client credentials) and the assertion it proves itself with.
//! Okta: `private_key_jwt` alone; `iss` = `sub` = the client id, `aud` = the token address of the host called,
//! `exp` at most an hour ahead, `jti` once; up to 50 keys, each active or not.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use crate::oauth::jose::{Jwt, Key};
use crate::oauth::proof::is_address;

/// The most keys an app may have.
const MOST_KEYS: usize = 50;
/// How far ahead an assertion may expire.
pub(crate) const HOUR: i64 = 3_600_000;

/// A service app as an administrator registers it; in a seed file under `serviceApps`, in camel case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ServiceApp {
    pub client_id: String,
    #[serde(default = "app_name")]
    pub name: String,
    /// Public keys: a JWK set, a single JWK, or PEM text. A JWK with `"status": "INACTIVE"` verifies nothing.
    pub keys: Value,
    /// The granted scopes.
    #[serde(default = "scopes")]
    pub scopes: BTreeSet<String>,
    /// Without a role the app sees no user (`200 []`) and may nothing else.
    #[serde(default = "yes")]
    pub has_admin_role: bool,
    /// Okta's default for new apps.
    #[serde(default = "yes")]
    pub require_dpop: bool,
}

/// A registered app, its keys read.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub app: ServiceApp,
    pub keys: Vec<Key>,
    pub created: i64,
    /// The principal's entry among the rate limits.
    pub limit_id: String,
    /// Its share of each bucket and of the requests in flight.
    pub percentages: (u64, u64),
    pub limit_updated: i64,
    /// Path prefixes and bucket names this app gets 403 for.
    pub denied: Vec<String>,
}

impl ServiceApp {
    /// An app with an administrator's role, DPoP required, and all scopes an export and a fulfillment use.
    pub fn new(client_id: &str, keys: Value) -> Self {
        Self {
            client_id: client_id.to_owned(),
            name: app_name(),
            keys,
            scopes: scopes(),
            has_admin_role: true,
            require_dpop: true,
        }
    }

    /// With these scopes granted and no others.
    pub fn scopes(mut self, scopes: &[&str]) -> Self {
        self.scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self
    }

    /// With plain bearer tokens.
    pub fn bearer(mut self) -> Self {
        self.require_dpop = false;
        self
    }

    pub fn without_admin_role(mut self) -> Self {
        self.has_admin_role = false;
        self
    }

    pub(crate) fn read_keys(&self) -> Result<Vec<Key>, String> {
        let keys = Key::all(&self.keys).map_err(|problem| format!("service app `{}`: {problem}", self.client_id))?;
        if keys.is_empty() || keys.len() > MOST_KEYS {
            return Err(format!("service app `{}`: one to {MOST_KEYS} keys", self.client_id));
        }
        Ok(keys)
    }
}

impl Client {
    /// Checks all of an assertion but whether its `jti` is new; the answer is that `jti` and when it expires.
    /// The error is the description of an `invalid_client`.
    pub(crate) fn check<'a>(
        &self,
        jwt: &'a Jwt<'_>,
        host: &str,
        path: &str,
        now: i64,
    ) -> Result<(&'a str, i64), &'static str> {
        let id = self.app.client_id.as_str();
        if jwt.claim("iss") != Some(id) || jwt.claim("sub") != Some(id) {
            return Err("The issuer and subject claims of the client_assertion must be the client_id.");
        }
        let key = self.key(jwt.head("kid")).ok_or("The client_assertion is signed with an unknown key.")?;
        if !jwt.is_signed_by(key) {
            return Err("The client_assertion signature is invalid.");
        }
        let for_us = |audience: &Value| audience.as_str().is_some_and(|audience| is_address(audience, host, path));
        let audience = jwt.claims.get("aud").unwrap_or(&Value::Null);
        if !for_us(audience) && !audience.as_array().is_some_and(|all| all.iter().any(for_us)) {
            return Err("The audience claim for client_assertion must be the endpoint invoked for the request.");
        }
        let expires = jwt.time("exp").ok_or("The client_assertion has no expiration.")?;
        if expires <= now {
            return Err("The client_assertion token is expired.");
        }
        if expires > now + HOUR {
            return Err("The client_assertion token has an expiration too far into the future.");
        }
        if jwt.time("iat").is_some_and(|issued| issued > now + 300_000) {
            return Err("The client_assertion token was issued in the future.");
        }
        let jti = jwt.claim("jti").filter(|jti| !jti.is_empty()).ok_or("The client_assertion has no 'jti' claim.")?;
        Ok((jti, expires))
    }

    /// The active key of this name; without a name, the only active one.
    fn key(&self, kid: Option<&str>) -> Option<&Key> {
        let mut active = self.keys.iter().filter(|key| key.active);
        match kid {
            Some(kid) if self.keys.iter().any(|key| key.kid.is_some()) => {
                active.find(|key| key.kid.as_deref() == Some(kid))
            }
            _ => active.next().filter(|_| active.next().is_none()),
        }
    }
}

fn app_name() -> String {
    "Service app".to_owned()
}

fn yes() -> bool {
    true
}

fn scopes() -> BTreeSet<String> {
    let manage = ["users", "groups", "apps", "schemas", "userTypes", "linkedObjects", "roles"];
    let read = ["logs", "apiTokens", "principalRateLimits"];
    let both = manage.into_iter().flat_map(|of| [format!("okta.{of}.read"), format!("okta.{of}.manage")]);
    both.chain(read.into_iter().map(|of| format!("okta.{of}.read"))).collect()
}
