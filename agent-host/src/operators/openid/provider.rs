//! The provider's side: where its endpoints are, its keys, and codes turned into ID tokens.
//!
//! Answers are bounded in size and time, and no redirect is followed. Keys are read anew where one is unknown, once a
//! minute at most, so that nobody makes us ask by naming keys that are not there.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use reqwest::{
    RequestBuilder,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    redirect::Policy,
};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::{Host, Url, form_urlencoded};

use super::SignInFailed;

const TIMEOUT: Duration = Duration::from_secs(15);
/// The largest answer that is read.
const MAX_BODY_BYTES: usize = 256 << 10;
/// The longest ID token that is looked at.
const MAX_TOKEN_BYTES: usize = 64 << 10;
/// How long what was discovered stays good.
const DISCOVERED_MS: i64 = 3_600_000;
/// Keys are read anew no more often.
const BETWEEN_KEYS_MS: i64 = 60_000;

pub(super) struct Provider {
    issuer: Url,
    issuer_text: String,
    secret: Option<SecretString>,
    http: reqwest::Client,
    endpoints: Mutex<Option<(i64, Arc<Endpoints>)>>,
    keys: Mutex<Option<(i64, JwkSet)>>,
}

/// Where to go for what.
pub(super) struct Endpoints {
    pub(super) authorization: Url,
    token: Url,
    keys: Url,
}

#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Redeemed {
    id_token: String,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    error: String,
}

impl Provider {
    /// # Errors
    /// What is wrong with the address, for people.
    pub(super) fn open(issuer: &str, secret: Option<SecretString>) -> Result<Self, &'static str> {
        let issuer_text = issuer.trim_end_matches('/').to_owned();
        let issuer = safe(&issuer_text).ok_or("is no address with https")?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("agent-host/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .referer(false);
        if issuer.scheme() == "http" {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|_| "cannot be asked: the HTTP client cannot be set up")?;
        Ok(Self { issuer, issuer_text, secret, http, endpoints: Mutex::default(), keys: Mutex::default() })
    }

    pub(super) fn issuer(&self) -> &Url {
        &self.issuer
    }

    pub(super) fn issuer_text(&self) -> &str {
        &self.issuer_text
    }

    pub(super) async fn endpoints(&self, now_ms: i64) -> Result<Arc<Endpoints>, SignInFailed> {
        let mut known = self.endpoints.lock().await;
        if let Some((at_ms, endpoints)) = &*known
            && (0..DISCOVERED_MS).contains(&(now_ms - at_ms))
        {
            return Ok(endpoints.clone());
        }
        let address = format!("{}/.well-known/openid-configuration", self.issuer_text);
        let (_, body) = self.send("its configuration", self.http.get(address)).await?;
        let found: Discovered = read("its configuration", &body)?;
        if found.issuer.trim_end_matches('/') != self.issuer_text {
            return Err(SignInFailed::unavailable(format!("it calls itself `{}`", found.issuer.escape_debug())));
        }
        let address = |text: &str| safe(text).ok_or_else(|| SignInFailed::unavailable("its endpoints are not safe"));
        let endpoints = Arc::new(Endpoints {
            authorization: address(&found.authorization_endpoint)?,
            token: address(&found.token_endpoint)?,
            keys: address(&found.jwks_uri)?,
        });
        *known = Some((now_ms, endpoints.clone()));
        Ok(endpoints)
    }

    /// The ID token for a code.
    pub(super) async fn redeem(
        &self,
        client_id: &str,
        redirect: &str,
        code: &str,
        verifier: &SecretString,
        now_ms: i64,
    ) -> Result<Zeroizing<String>, SignInFailed> {
        let endpoints = self.endpoints(now_ms).await?;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", verifier.expose_secret()),
        ];
        let mut request = self.http.post(endpoints.token.clone());
        match &self.secret {
            Some(secret) => request = request.header(AUTHORIZATION, basic(client_id, secret)?),
            None => fields.push(("client_id", client_id)),
        }
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        let (is_good, body) = self.send("the ID token", request).await?;
        if !is_good {
            let error = serde_json::from_slice::<Refusal>(&body).map(|refusal| refusal.error).unwrap_or_default();
            let error: String = error.chars().filter(char::is_ascii_graphic).take(64).collect();
            return Err(SignInFailed::refused(format!("the provider refuses the code: {error}")));
        }
        let redeemed: Redeemed = read("the ID token", &body)?;
        if redeemed.id_token.len() > MAX_TOKEN_BYTES {
            return Err(SignInFailed::refused("the ID token is too long"));
        }
        Ok(Zeroizing::new(redeemed.id_token))
    }

    /// The key of this name, or the only one where the token names none.
    pub(super) async fn key(&self, kid: Option<&str>, now_ms: i64) -> Result<Jwk, SignInFailed> {
        let mut known = self.keys.lock().await;
        if let Some(key) = known.as_ref().and_then(|(_, keys)| find(keys, kid)) {
            return Ok(key);
        }
        if known.as_ref().is_none_or(|(at_ms, _)| !(0..BETWEEN_KEYS_MS).contains(&(now_ms - at_ms))) {
            let address = self.endpoints(now_ms).await?.keys.clone();
            let (_, body) = self.send("its keys", self.http.get(address)).await?;
            *known = Some((now_ms, read("its keys", &body)?));
        }
        let found = known.as_ref().and_then(|(_, keys)| find(keys, kid));
        found.ok_or_else(|| SignInFailed::refused("the ID token is signed with a key that the provider does not have"))
    }

    /// Whether the answer is a good one, and its body; an error where there is none that can be read.
    async fn send(&self, what: &str, request: RequestBuilder) -> Result<(bool, Zeroizing<Vec<u8>>), SignInFailed> {
        let failed = |error: reqwest::Error| SignInFailed::unavailable(format!("{what}: {}", error.without_url()));
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        if !status.is_success() && !status.is_client_error() {
            return Err(SignInFailed::unavailable(format!("{what}: it answers {}", status.as_u16())));
        }
        let mut body = Zeroizing::new(Vec::new());
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(SignInFailed::unavailable(format!("{what}: the answer is too large")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((status.is_success(), body))
    }
}

fn find(keys: &JwkSet, kid: Option<&str>) -> Option<Jwk> {
    match kid {
        Some(kid) => keys.find(kid).cloned(),
        None => keys.keys.first().filter(|_| keys.keys.len() == 1).cloned(),
    }
}

fn read<'a, T: Deserialize<'a>>(what: &str, body: &'a [u8]) -> Result<T, SignInFailed> {
    serde_json::from_slice(body)
        .map_err(|_| SignInFailed::unavailable(format!("{what}: the answer is none of a provider")))
}

/// An address with https; plain http leads to this machine alone.
fn safe(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|url| url.username().is_empty() && url.fragment().is_none())?;
    let is_loopback = match url.host()? {
        Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    (url.scheme() == "https" || url.scheme() == "http" && is_loopback).then_some(url)
}

/// The client's name and secret as RFC 6749 section 2.3.1 has them.
fn basic(client_id: &str, secret: &SecretString) -> Result<HeaderValue, SignInFailed> {
    let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encoded(client_id), encoded(secret.expose_secret().trim())));
    let text = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let mut value =
        HeaderValue::from_str(&text).map_err(|_| SignInFailed::refused("the client's secret is no text"))?;
    value.set_sensitive(true);
    Ok(value)
}
