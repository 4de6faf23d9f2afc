//! A service app of Okta's: signs in with a key of its own, holds access tokens, and signs requests with them.
//!
//! Makes no request. A token is asked for when a request needs a scope that none has: for it together with all that are
//! wanted, or, where Okta refuses those together, for the one alone, so that the missing one is known by name.
//! Sources: RFC 6749 §4.4, RFC 7523, RFC 9449, Okta's "Implement OAuth for Okta with a service app".

use std::{
    collections::{BTreeSet, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use connector_api::{Error, Result};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};
use serde_json::json;
use url::{Url, form_urlencoded};

use super::{
    jwt::{fresh_id, signed},
    key::{SigningKey, fragments},
    proof::{Occasion, ProofKey},
    scopes::Scope,
};

/// Path of the token endpoint of the organisation's own authorization server.
pub(crate) const TOKEN_PATH: &str = "/oauth2/v1/token";
/// How long an assertion is good for, in seconds; Okta allows an hour.
const ASSERTION_SECONDS: i64 = 300;
/// A token is not used in this last part of its life, unless it lives less than five times as long.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// No token lives longer, whatever an answer says; Okta's live an hour.
const MAX_LIFETIME_SECONDS: u64 = 86_400;
/// The lifetime of a token whose answer does not tell.
const UNTOLD_LIFETIME_SECONDS: u64 = 600;
/// Tokens no longer used that are still taken out of texts.
const MAX_RETIRED: usize = 8;

/// Whether requests prove that they come from whom the token was given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DPoP {
    /// A proof is offered; what Okta answers decides. One request more at the start than without, for the nonce.
    Auto,
    /// A token without it is not used.
    On,
    /// Tokens are bearer tokens.
    Off,
}

/// A service app, as the settings name it.
pub(crate) struct App {
    client_id: String,
    key: SigningKey,
    key_id: Option<String>,
    key_fragments: Vec<SecretString>,
    /// The scopes of the setting `Scopes`: then each token has exactly these.
    scopes: Option<String>,
    dpop: DPoP,
    token_url: Url,
    proof_key: OnceLock<ProofKey>,
    state: Mutex<State>,
    /// Held by who asks for a token, so that others wait for it instead of asking too.
    pub fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    /// Scopes that requests to come need, as far as that is known.
    wanted: BTreeSet<Scope>,
    /// Whether Okta has refused several scopes together.
    one_by_one: bool,
    tokens: Vec<Arc<AccessToken>>,
    retired: VecDeque<Arc<AccessToken>>,
    nonce: Option<String>,
}

/// A token that Okta issued.
pub(crate) struct AccessToken {
    value: SecretString,
    /// Whether it needs a proof.
    is_bound: bool,
    /// None where the setting `Scopes` chose them.
    scopes: Option<Vec<Scope>>,
    /// On the connector's clock.
    renew_at: Duration,
}

/// The token endpoint's answer.
#[derive(Deserialize)]
pub(crate) struct TokenAnswer {
    token_type: String,
    expires_in: Option<u64>,
    #[serde(deserialize_with = "secret")]
    access_token: SecretString,
}

/// What to ask a token for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Asked {
    Scopes(Vec<Scope>),
    /// What the setting `Scopes` holds.
    Set(String),
}

impl App {
    pub(crate) fn new(
        client_id: String,
        private_key: &SecretString,
        key_id: Option<String>,
        scopes: Option<String>,
        dpop: DPoP,
        token_url: Url,
    ) -> Result<Self> {
        let key = SigningKey::read(private_key)?;
        let key_id = key_id.or_else(|| key.id.clone());
        Ok(Self {
            client_id,
            key,
            key_id,
            key_fragments: fragments(private_key),
            scopes,
            dpop,
            token_url,
            proof_key: OnceLock::new(),
            state: Mutex::default(),
            fetching: tokio::sync::Mutex::default(),
        })
    }

    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }

    pub(crate) fn dpop(&self) -> DPoP {
        self.dpop
    }

    /// Notes which scopes requests to come will need.
    pub(crate) fn want(&self, scopes: &[Scope]) {
        self.state().wanted.extend(scopes);
    }

    /// A token with this scope that is still good at `now`.
    pub(crate) fn token(&self, scope: Scope, now: Duration) -> Option<Arc<AccessToken>> {
        self.state().tokens.iter().find(|token| token.is_good_for(scope, now)).cloned()
    }

    /// What to ask for when a request needs `scope`: with it everything else that is wanted, if it is; else it alone.
    pub(crate) fn to_ask_for(&self, scope: Scope, now: Duration) -> Asked {
        if let Some(scopes) = &self.scopes {
            return Asked::Set(scopes.clone());
        }
        let state = self.state();
        let widest =
            |scope: Scope| state.wanted.iter().copied().find(|wanted| *wanted > scope && wanted.includes(scope));
        let needed = widest(scope).unwrap_or(scope);
        if state.one_by_one || !state.wanted.contains(&needed) {
            return Asked::Scopes(vec![needed]);
        }
        let is_new = |wanted: &Scope| !state.tokens.iter().any(|token| token.is_good_for(*wanted, now));
        let wanted = state.wanted.iter().copied();
        Asked::Scopes(wanted.filter(|wanted| widest(*wanted).is_none() && is_new(wanted)).collect())
    }

    /// Okta refused what was asked for. Whether each scope is to be asked for alone from now on.
    pub(crate) fn asks_one_by_one(&self, asked: &Asked) -> bool {
        let several = matches!(asked, Asked::Scopes(scopes) if scopes.len() > 1);
        self.state().one_by_one |= several;
        several
    }

    /// The form that asks for a token. Each has an assertion of its own: Okta takes one only once.
    pub(crate) fn form(&self, asked: &Asked, now: i64) -> String {
        let mut header = json!({ "alg": self.key.algorithm(), "typ": "JWT" });
        if let Some(key_id) = &self.key_id {
            header["kid"] = key_id.as_str().into();
        }
        let claims = json!({
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.token_url.as_str(),
            "iat": now,
            "exp": now + ASSERTION_SECONDS,
            "jti": fresh_id(),
        });
        form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("scope", &asked.to_string())
            .append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
            .append_pair("client_assertion", &signed(&self.key, &header, &claims))
            .finish()
    }

    /// The proof that goes with a request for a token, or with `token`; none where none is wanted.
    pub(crate) fn proof(&self, token: Option<&AccessToken>, method: &Method, url: &Url, now: i64) -> Option<String> {
        if !token.map_or(self.dpop != DPoP::Off, |token| token.is_bound) {
            return None;
        }
        let nonce = self.state().nonce.clone();
        let token = token.map(|token| token.value.expose_secret());
        let key = self.proof_key.get_or_init(ProofKey::generate);
        Some(key.proof(&Occasion { method, url, now, nonce: nonce.as_deref(), token }))
    }

    /// Keeps the nonce that the server wants to see in proofs from now on.
    pub(crate) fn take_nonce(&self, nonce: &str) {
        let mut state = self.state();
        if state.nonce.as_deref() != Some(nonce) {
            state.nonce = Some(nonce.to_owned());
        }
    }

    /// Takes in the token that Okta issued at `now` for what was asked.
    ///
    /// # Errors
    /// It is not of the kind that the setting `DPoP` demands, or nothing that can be sent.
    pub(crate) fn take_token(&self, answer: TokenAnswer, asked: Asked, now: Duration) -> Result<Arc<AccessToken>> {
        let is_bound = answer.token_type.eq_ignore_ascii_case("DPoP");
        if self.dpop == DPoP::On && !is_bound {
            let message = format!("`DPoP` is on, and Okta gave the app `{}` a token without it", self.client_id);
            return Err(Error::setting("DPoP", message).with_hint("require DPoP in the app's settings, or write auto"));
        }
        let lifetime = answer.expires_in.unwrap_or(UNTOLD_LIFETIME_SECONDS).min(MAX_LIFETIME_SECONDS);
        let lifetime = Duration::from_secs(lifetime);
        let scopes = match asked {
            Asked::Scopes(scopes) => Some(scopes),
            Asked::Set(_) => None,
        };
        let renew_at = now + lifetime - RENEW_BEFORE.min(lifetime / 5);
        let token = Arc::new(AccessToken { value: answer.access_token, is_bound, scopes, renew_at });
        let mut state = self.state();
        state.retire(|token| token.renew_at <= now);
        state.tokens.push(Arc::clone(&token));
        Ok(token)
    }

    /// Okta refused this token: it is not used again.
    pub(crate) fn drop_token(&self, refused: &Arc<AccessToken>) {
        self.state().retire(|token| Arc::ptr_eq(token, refused));
    }

    /// Calls `hide` with every secret that a text might repeat.
    pub(super) fn each_secret(&self, mut hide: impl FnMut(&str)) {
        let state = self.state();
        let tokens = state.tokens.iter().chain(&state.retired).map(|token| &token.value);
        tokens.chain(&self.key_fragments).for_each(|secret| hide(secret.expose_secret()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock leaves it half changed, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn retire(&mut self, which: impl Fn(&Arc<AccessToken>) -> bool) {
        self.retired.extend(self.tokens.extract_if(.., |token| which(token)));
        let surplus = self.retired.len().saturating_sub(MAX_RETIRED);
        self.retired.drain(..surplus);
    }
}

impl AccessToken {
    /// The value of the `Authorization` header.
    pub(super) fn authorization(&self) -> String {
        format!("{} {}", if self.is_bound { "DPoP" } else { "Bearer" }, self.value.expose_secret())
    }

    fn is_good_for(&self, scope: Scope, now: Duration) -> bool {
        now < self.renew_at && self.scopes.as_ref().is_none_or(|scopes| scopes.iter().any(|own| own.includes(scope)))
    }
}

impl TokenAnswer {
    /// Whether the token can be sent in a header.
    pub(crate) fn is_sound(&self) -> bool {
        let token = self.access_token.expose_secret();
        !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(scopes) => f.write_str(scopes),
            Self::Scopes(scopes) => {
                let names: Vec<String> = scopes.iter().map(ToString::to_string).collect();
                f.write_str(&names.join(" "))
            }
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("client_id", &self.client_id).field("key", &self.key).finish_non_exhaustive()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken").field("scopes", &self.scopes).finish_non_exhaustive()
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}
