//! OAuth 2.0 of the organisation: the token endpoint for service apps, and what an access token allows later.
//! Client credentials with `private_key_jwt`, DPoP as the app requires; everything signed is verified.
//! RFC 6749, 7523 and 9449 as Okta does them; the two DPoP errors of the token endpoint are as recorded.

pub(crate) mod client;
mod jose;
mod key_pair;
mod memory;
mod proof;
mod scope;
pub(crate) mod signin;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hyper::Method;
use serde_json::{Value, json};

pub use client::ServiceApp;
pub use key_pair::KeyPair;
pub use signin::WebApp;

use crate::error::ApiError;
use crate::ids::Dice;
use crate::oauth::client::{Client, HOUR};
use crate::oauth::jose::{ALGORITHMS, Jwt};
use crate::oauth::memory::{Nonces, Seen};
use crate::oauth::proof::{Proof, Request};
use crate::oauth::signin::SignIns;
use crate::wire::{Answer, Call, Outcome};

/// How many access tokens live at once; the oldest go first.
const MOST_TOKENS: usize = 10_000;

/// All service apps, their tokens, and what may be used once. Signatures are verified without holding the lock.
#[derive(Debug)]
pub(crate) struct OAuth {
    state: Mutex<State>,
    hasher: RandomState,
    /// Signs ID tokens; made when the first one is due.
    signing_key: OnceLock<KeyPair>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub clients: Vec<Arc<Client>>,
    pub nonces: Nonces,
    /// Whether calls of the API need a nonce too.
    pub api_nonce: bool,
    pub sign_ins: SignIns,
    tokens: HashMap<u64, Access>,
    issued: VecDeque<u64>,
    seen: Seen,
    dice: Dice,
}

/// An access token, known by its hash alone.
#[derive(Clone, Debug)]
struct Access {
    client_id: String,
    scopes: Arc<[String]>,
    /// The thumbprint of the DPoP key it is bound to.
    thumbprint: Option<String>,
    expires: i64,
}

/// The headers of a request that prove who sent it.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    pub authorization: Option<String>,
    pub proofs: Vec<String>,
    pub host: String,
    /// The server's clock, skew included.
    pub at: i64,
}

/// A client that showed a good token.
#[derive(Debug)]
pub(crate) struct Grant {
    pub client: Arc<Client>,
    pub scopes: Arc<[String]>,
}

/// A refusal of the token endpoint: status, error, description, nonce.
type Refusal = (u16, &'static str, String, Option<String>);

/// A field of the form, empty when it is absent.
type Field<'f> = &'f dyn Fn(&str) -> &'f str;

impl OAuth {
    pub(crate) fn new(random: u64) -> Self {
        let state = State {
            clients: Vec::new(),
            nonces: Nonces::new(random),
            api_nonce: false,
            sign_ins: SignIns::default(),
            tokens: HashMap::new(),
            issued: VecDeque::new(),
            seen: Seen::default(),
            dice: Dice::new(random ^ 0x70ce),
        };
        Self { state: Mutex::new(state), hasher: RandomState::new(), signing_key: OnceLock::new() }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hash(&self, secret: &str) -> u64 {
        self.hasher.hash_one(secret)
    }

    /// `POST /oauth2/v1/token`; beside the answer the client it is about.
    pub(crate) fn token(&self, call: &Call, credentials: &Credentials) -> (Outcome, String) {
        if call.segments.last().is_none_or(|last| last != "token") {
            return (Err(ApiError::coded("E0000008")), String::new());
        }
        if call.method != Method::POST {
            return (Err(ApiError::coded("E0000022")), String::new());
        }
        let form = Call::query(&String::from_utf8_lossy(&call.body));
        let field = |name: &str| form.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.as_str());
        let mut client_id = String::new();
        let outcome = self.issue(call, credentials, &field, &mut client_id).unwrap_or_else(refused);
        (Ok(outcome), client_id)
    }

    fn issue(
        &self,
        call: &Call,
        credentials: &Credentials,
        field: Field<'_>,
        client_id: &mut String,
    ) -> Result<Answer, Refusal> {
        if field("grant_type") == "authorization_code" {
            return self.redeem(credentials, field);
        }
        if field("grant_type") != "client_credentials" {
            let text = "The authorization grant type is not supported by the authorization server. Configured grant types: [client_credentials, authorization_code].";
            return Err((400, "unsupported_grant_type", text.to_owned(), None));
        }
        let client = self.client(call, credentials, field)?;
        client.app.client_id.clone_into(client_id);
        let proof = self.proof(call, credentials, &client)?;
        let scopes = scopes(field("scope"), &client)?;
        let thumbprint = proof.map(|proof| proof.thumbprint);
        let mut state = self.state();
        let text = state.access_token(&client, &scopes, thumbprint.as_deref(), &call.path, credentials, credentials.at);
        let token_type = if thumbprint.is_some() { "DPoP" } else { "Bearer" };
        let scope = scopes.join(" ");
        let expires = credentials.at + HOUR;
        let access = Access { client_id: client.app.client_id.clone(), scopes: scopes.into(), thumbprint, expires };
        state.keep(self.hasher.hash_one(&text), access, credentials.at);
        let body = json!({"token_type": token_type, "expires_in": 3600, "access_token": text, "scope": scope});
        let mut answer = Answer::value(200, &body);
        if token_type == "DPoP" {
            answer.headers.push(("dpop-nonce", state.nonces.current(credentials.at)));
        }
        Ok(answer)
    }

    /// The client its assertion proves.
    fn client(&self, call: &Call, credentials: &Credentials, field: Field<'_>) -> Result<Arc<Client>, Refusal> {
        let refuse = |text: &str| (401, "invalid_client", text.to_owned(), None);
        if field("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
            return Err(refuse("The client_assertion_type is missing or not supported."));
        }
        let jwt = Jwt::parse(field("client_assertion"));
        let jwt = jwt.ok_or_else(|| refuse("The client_assertion is not a well-formed JWT."))?;
        let id = jwt.claim("sub").unwrap_or_default();
        let named = field("client_id");
        let client = self.state().client(id).filter(|_| named.is_empty() || named == id);
        let client = client.ok_or_else(|| refuse("Invalid value for 'client_id' parameter."))?;
        let checked = client.check(&jwt, &credentials.host, &call.path, credentials.at);
        let (jti, until) = checked.map_err(refuse)?;
        if !self.state().seen.first(self.hasher.hash_one((id, jti)), until, credentials.at) {
            return Err(refuse("The client_assertion has already been used."));
        }
        Ok(client)
    }

    /// The proof of a token request; none where none came and none is required.
    fn proof(&self, call: &Call, credentials: &Credentials, client: &Client) -> Result<Option<Proof>, Refusal> {
        if !client.app.require_dpop && credentials.proofs.is_empty() {
            return Ok(None);
        }
        let request = request(call, credentials, None);
        let invalid = |text: &str| (400, "invalid_dpop_proof", text.to_owned(), None);
        let proof = proof::read(&credentials.proofs, &request).map_err(invalid)?;
        let mut state = self.state();
        let nonce = state.nonces.current(credentials.at);
        if !proof.nonce.as_deref().is_some_and(|nonce| state.nonces.is_good(nonce, credentials.at)) {
            let text = "Authorization server requires nonce in DPoP proof.";
            return Err((400, "use_dpop_nonce", text.to_owned(), Some(nonce)));
        }
        if !state.seen.first(
            self.hasher.hash_one((&proof.thumbprint, &proof.jti)),
            credentials.at + 2 * proof::AGE,
            credentials.at,
        ) {
            return Err(invalid("The DPoP proof JWT has already been used."));
        }
        Ok(Some(proof))
    }

    /// The client of an API call that shows an access token.
    pub(crate) fn admit(&self, call: &Call, credentials: &Credentials) -> Result<Grant, ApiError> {
        let header = credentials.authorization.as_deref().unwrap_or_default();
        let (scheme, token) = header.split_once(' ').unwrap_or_default();
        let (client, access, api_nonce) = {
            let state = self.state();
            let access = state.tokens.get(&self.hasher.hash_one(token));
            let access = access.ok_or_else(|| invalid_token(scheme, "The access token is invalid."))?.clone();
            (state.client(&access.client_id), access, state.api_nonce)
        };
        let client = client.ok_or_else(|| invalid_token(scheme, "The client is unknown."))?;
        if access.expires <= credentials.at {
            return Err(invalid_token(scheme, "The token has expired."));
        }
        match (scheme, &access.thumbprint) {
            ("Bearer", None) => {}
            ("DPoP", Some(thumbprint)) => self.bound(call, credentials, token, thumbprint, api_nonce)?,
            _ => return Err(invalid_token(scheme, "The access token is of another type.")),
        }
        Ok(Grant { client, scopes: access.scopes })
    }

    /// Checks that a token comes with a fresh proof of the key it is bound to.
    fn bound(
        &self,
        call: &Call,
        credentials: &Credentials,
        token: &str,
        thumbprint: &str,
        needs_nonce: bool,
    ) -> Result<(), ApiError> {
        let proof = proof::read(&credentials.proofs, &request(call, credentials, Some(token)))
            .map_err(|text| challenge("DPoP", "invalid_dpop_proof", text))?;
        if proof.thumbprint != thumbprint {
            let text = "The DPoP proof JWT is signed with another key than the access token is bound to.";
            return Err(challenge("DPoP", "invalid_dpop_proof", text));
        }
        let mut state = self.state();
        let nonce = state.nonces.current(credentials.at);
        if needs_nonce && !proof.nonce.is_some_and(|nonce| state.nonces.is_good(&nonce, credentials.at)) {
            let text = "Resource server requires nonce in DPoP proof.";
            return Err(challenge("DPoP", "use_dpop_nonce", text).header("dpop-nonce", nonce));
        }
        if !state.seen.first(
            self.hasher.hash_one((thumbprint, &proof.jti)),
            credentials.at + 2 * proof::AGE,
            credentials.at,
        ) {
            return Err(challenge("DPoP", "invalid_dpop_proof", "The DPoP proof JWT has already been used."));
        }
        Ok(())
    }
}

impl State {
    pub(crate) fn client(&self, id: &str) -> Option<Arc<Client>> {
        self.clients.iter().find(|client| client.app.client_id == id).cloned()
    }

    /// Ends all access tokens: 401 from now on.
    pub(crate) fn end_tokens(&mut self) {
        self.tokens.clear();
        self.issued.clear();
    }

    /// A token that looks like Okta's; what it says is known by its hash, the signature is for show.
    fn access_token(
        &mut self,
        client: &Client,
        scopes: &[String],
        thumbprint: Option<&str>,
        path: &str,
        credentials: &Credentials,
        now: i64,
    ) -> String {
        let issuer = format!("http://{}", credentials.host);
        let mut claims = json!({"ver": 1, "jti": format!("AT.{}", self.dice.word(42)), "iss": issuer, "aud": issuer,
            "sub": client.app.client_id, "iat": now / 1000, "exp": (now + HOUR) / 1000, "cid": client.app.client_id,
            "scp": scopes, "uri": path});
        if let Some(thumbprint) = thumbprint {
            claims["cnf"] = json!({"jkt": thumbprint});
        }
        let header = json!({"kid": "sandbox", "typ": "application/okta-internal-at+jwt", "alg": "RS256"});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.{}", part(&header), part(&claims), self.dice.word(342))
    }

    fn keep(&mut self, hash: u64, access: Access, now: i64) {
        let over = |state: &Self| {
            let oldest = state.issued.front().and_then(|oldest| state.tokens.get(oldest));
            state.issued.len() >= MOST_TOKENS || oldest.is_some_and(|oldest| oldest.expires + HOUR <= now)
        };
        while over(self) {
            let Some(oldest) = self.issued.pop_front() else { break };
            self.tokens.remove(&oldest);
        }
        self.tokens.insert(hash, access);
        self.issued.push_back(hash);
    }
}

impl Grant {
    /// Whether the token's scopes allow a call.
    pub(crate) fn allows(&self, call: &Call) -> Result<(), ApiError> {
        match scope::needed(&call.method, &call.segments) {
            Some(needed) if !scope::holds(&self.scopes, &needed) => {
                let header = format!(
                    "Bearer scope=\"{needed}\", error=\"insufficient_scope\", error_description=\"The access token provided does not contain the required scopes.\", resource=\"{}\"",
                    call.path
                );
                Err(ApiError::coded("E0000006").header("www-authenticate", header))
            }
            _ => Ok(()),
        }
    }
}

/// Client id and secret of `Authorization: Basic`.
fn basic(credentials: &Credentials) -> Option<(String, String)> {
    let encoded = credentials.authorization.as_deref()?.strip_prefix("Basic ")?;
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((id.to_owned(), secret.to_owned()))
}

fn request<'a>(call: &'a Call, credentials: &'a Credentials, token: Option<&'a str>) -> Request<'a> {
    Request { method: call.method.as_str(), host: &credentials.host, path: &call.path, now: credentials.at, token }
}

/// The scopes asked for, each known and granted.
fn scopes(asked: &str, client: &Client) -> Result<Vec<String>, Refusal> {
    let scopes: Vec<String> = asked.split_whitespace().map(str::to_owned).collect();
    let refuse = |text: &str| Err((400, "invalid_scope", text.to_owned(), None));
    if scopes.is_empty() {
        return refuse(
            "The authorization server resource does not have any configured default scopes, 'scope' must be provided.",
        );
    }
    if scopes.iter().any(|scope| !scope::is_known(scope)) {
        return refuse("One or more scopes are not configured for the authorization server resource.");
    }
    if scopes.iter().any(|scope| !client.app.scopes.contains(scope)) {
        return refuse("You are not allowed any of the requested scopes.");
    }
    Ok(scopes)
}

fn refused((status, error, text, nonce): Refusal) -> Answer {
    let mut answer = Answer::value(status, &json!({"error": error, "error_description": text}));
    answer.headers.extend(nonce.map(|nonce| ("dpop-nonce", nonce)));
    answer
}

fn invalid_token(scheme: &str, text: &str) -> ApiError {
    challenge(if scheme == "DPoP" { "DPoP" } else { "Bearer" }, "invalid_token", text)
}

/// 401 with the challenge of RFC 6750 and 9449 beside Okta's body.
fn challenge(scheme: &str, error: &str, text: &str) -> ApiError {
    let algorithms = if scheme == "DPoP" { format!("algs=\"{ALGORITHMS}\", ") } else { String::new() };
    let header = format!("{scheme} {algorithms}error=\"{error}\", error_description=\"{text}\"");
    ApiError::coded("E0000011").header("www-authenticate", header)
}
