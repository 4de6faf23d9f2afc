//! Sign-in by OpenID Connect, as with Okta itself: authorization code with PKCE, and an ID token that is verified here.
//!
//! What binds a sign-in to the browser it began in is one secret that the browser alone holds; state, nonce and verifier
//! are derived from it, so that nothing of it is kept here. OpenID Connect Core 1.0 section 3.1, RFC 7636, RFC 9207.

mod provider;
mod token;

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use connector_api::Result;
use secrecy::SecretString;
use url::Url;

use crate::{access::Role, redaction, settings::Settings};
use provider::Provider;

/// What is asked for where nothing is said.
const SCOPES: &str = "openid profile email groups";
const GROUPS_CLAIM: &str = "groups";

/// A provider of sign-ins, and who of its people are whom.
pub struct OpenId {
    provider: Provider,
    client_id: String,
    scopes: String,
    groups_claim: String,
    /// Groups, in lower case, and the role that each gives.
    roles: Vec<(String, Role)>,
}

/// Somebody whom the provider knows.
#[derive(Debug)]
pub struct Person {
    /// Their user name, else their mail address, else the provider's own id.
    pub name: String,
    /// The highest role that their groups give; none where no group gives one.
    pub role: Option<Role>,
}

/// Why nobody was signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignInFailed {
    /// The provider cannot be reached, or does not answer as one.
    Unavailable(String),
    /// The answer is not for us, not for this browser, or not to be trusted.
    Refused(String),
}

impl OpenId {
    /// Reads the settings; none where they name no provider.
    ///
    /// # Errors
    /// Of kind `Settings`.
    pub(super) fn open(settings: &Settings) -> Result<Option<Self>> {
        let section = settings.section(&["Web:OpenIdConnect"]);
        let Some(issuer) = section.text("Issuer") else {
            let known = ["ClientId", "ClientSecret", "Roles:Administrator"];
            return match known.into_iter().find(|key| section.text(key).is_some()) {
                Some(_) => {
                    let error = section.error("Issuer", "is missing");
                    Err(error.with_hint("write your organisation's address: https://example.okta.com"))
                }
                None => Ok(None),
            };
        };
        let Some(client_id) = section.text("ClientId") else {
            let error = section.error("ClientId", "is missing");
            return Err(error.with_hint("write the client id of the web app that you made for the agent in Okta"));
        };
        let mut roles = Vec::new();
        for (key, role) in
            [("Viewer", Role::Viewer), ("Operator", Role::Operator), ("Administrator", Role::Administrator)]
        {
            let groups = section.list(&format!("Roles:{key}"), ',');
            roles.extend(groups.into_iter().map(|group| (group.to_lowercase(), role)));
        }
        if roles.is_empty() {
            let error = section.error("Roles", "gives nobody a role");
            return Err(error.with_hint("write `\"Roles\": { \"Administrator\": [\"the name of a group\"] }`"));
        }
        let secret = section.secret("ClientSecret");
        redaction::remember(&secret);
        let provider = Provider::open(issuer, secret).map_err(|problem| {
            section.error("Issuer", problem).with_hint("write an https address, such as https://example.okta.com")
        })?;
        Ok(Some(Self {
            provider,
            client_id: client_id.to_owned(),
            scopes: section.text("Scopes").unwrap_or(SCOPES).to_owned(),
            groups_claim: section.text("GroupsClaim").unwrap_or(GROUPS_CLAIM).to_owned(),
            roles,
        }))
    }

    /// The provider's host, for people.
    pub fn host(&self) -> &str {
        self.provider.issuer().host_str().unwrap_or_default()
    }

    /// Where a browser that holds `secret` goes to sign in, to come back to `redirect`.
    ///
    /// # Errors
    /// Where the provider cannot be reached.
    pub async fn begin(&self, secret: &str, redirect: &str, now_ms: i64) -> Result<Url, SignInFailed> {
        let endpoints = self.provider.endpoints(now_ms).await?;
        let mut address = endpoints.authorization.clone();
        address.query_pairs_mut().extend_pairs([
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", redirect),
            ("scope", &self.scopes),
            ("state", &state(secret)),
            ("nonce", &derived(secret, "nonce")),
            ("code_challenge", &challenge(&derived(secret, "verifier"))),
            ("code_challenge_method", "S256"),
        ]);
        Ok(address)
    }

    /// Who comes back with `code`.
    ///
    /// # Errors
    /// Where the provider cannot be reached or refuses, or its word is not to be trusted.
    pub async fn finish(&self, secret: &str, redirect: &str, code: &str, now_ms: i64) -> Result<Person, SignInFailed> {
        let verifier = SecretString::from(derived(secret, "verifier"));
        let token = self.provider.redeem(&self.client_id, redirect, code, &verifier, now_ms).await?;
        let kid = token::kid(&token)?;
        let key = self.provider.key(kid.as_deref(), now_ms).await?;
        let expected = token::Expected {
            issuer: self.provider.issuer_text(),
            client_id: &self.client_id,
            nonce: &derived(secret, "nonce"),
            now_s: now_ms / 1000,
        };
        let claims = token::verify(&token, &key, &expected)?;
        let groups = claims.texts(&self.groups_claim);
        let is_in = |group: &str| groups.iter().any(|name| name.to_lowercase() == *group);
        let role = self.roles.iter().filter(|(group, _)| is_in(group)).map(|(_, role)| *role).max();
        Ok(Person { name: claims.name().to_owned(), role })
    }

    /// Whether the answer names another provider than ours, as RFC 9207 lets it.
    pub fn is_foreign(&self, issuer: Option<&str>) -> bool {
        issuer.is_some_and(|issuer| issuer != self.provider.issuer_text())
    }
}

/// What the provider gives back unchanged, so that the answer is known to be for the browser that holds `secret`.
pub(crate) fn state(secret: &str) -> String {
    derived(secret, "state")
}

fn derived(secret: &str, name: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, format!("{name}\n{secret}").as_bytes()))
}

fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

impl SignInFailed {
    fn unavailable(what: impl Into<String>) -> Self {
        Self::Unavailable(what.into())
    }

    fn refused(what: impl Into<String>) -> Self {
        Self::Refused(what.into())
    }
}
