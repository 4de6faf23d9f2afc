//! Tokens and service apps, managed directly, as an administrator does at the console. Nothing here costs a request.
//! API tokens are named by their secret, service apps by their client id.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::Value;

use crate::oauth::client::Client;
use crate::oauth::{ServiceApp, WebApp};
use crate::org::Org;
use crate::tokens::{IDLE, Token};

impl Org {
    /// Refuses a path prefix or a bucket to all tokens and service apps: 403 `E0000006`, as a missing right does.
    pub fn deny(&mut self, prefix_or_bucket: &str) {
        self.tokens.all.iter_mut().for_each(|token| token.denied.push(prefix_or_bucket.to_owned()));
        let mut state = self.oauth.state();
        for client in state.clients.iter_mut().map(Arc::make_mut) {
            client.denied.push(prefix_or_bucket.to_owned());
        }
    }

    /// Refuses a path prefix or a bucket to one token.
    pub fn deny_token(&mut self, token: &str, prefix_or_bucket: &str) {
        self.change_token(token, |token| token.denied.push(prefix_or_bucket.to_owned()));
    }

    /// Takes back every refusal.
    pub fn allow_all(&mut self) {
        self.tokens.all.iter_mut().for_each(|token| token.denied.clear());
        let mut state = self.oauth.state();
        state.clients.iter_mut().map(Arc::make_mut).for_each(|client| client.denied.clear());
    }

    /// Adds a token that acts as a user (the first one when `user` is unknown).
    pub fn add_token(&mut self, secret: &str, name: &str, user: &str) {
        let user =
            self.users.get(self.user_row(user).unwrap_or(0)).map_or_else(String::new, |user| user.id.to_string());
        let now = self.clock.now_millis();
        let token = Token {
            id: self.ids.next("00T"),
            name: name.to_owned(),
            user,
            secret: self.hash(secret),
            created: now,
            last_used: AtomicI64::new(now),
            denied: Vec::new(),
            limit_id: self.ids.next("prl"),
            percentages: (50, 50),
            limit_updated: now,
        };
        self.tokens.all.push(token);
    }

    /// Ends a token: 401 `E0000011` from now on.
    pub fn revoke_token(&mut self, secret: &str) {
        let secret = self.hash(secret);
        self.tokens.all.retain(|token| token.secret != secret);
    }

    /// The id of a token, as the journal names it.
    pub fn token_id(&self, secret: &str) -> Option<String> {
        let secret = self.hash(secret);
        self.tokens.all.iter().find(|token| token.secret == secret).map(|token| token.id.clone())
    }

    /// When a token was last used, in milliseconds since 1970: it ends 30 days later. False when there is none.
    pub fn set_token_last_used(&mut self, secret: &str, at_millis: i64) -> bool {
        self.change_token(secret, |token| token.last_used.store(at_millis, Ordering::Relaxed))
    }

    /// When a token ends unless it is used before. False when there is none.
    pub fn set_token_expires(&mut self, secret: &str, at_millis: i64) -> bool {
        self.set_token_last_used(secret, at_millis.saturating_sub(IDLE))
    }

    /// The share of the rate limits a token or a service app has, in percent. False when there is none.
    pub fn set_share(&mut self, secret_or_client_id: &str, percent: u32) -> bool {
        let both = (u64::from(percent), u64::from(percent));
        self.change_token(secret_or_client_id, |token| token.percentages = both)
            || self.change_client(secret_or_client_id, |client| client.percentages = both)
    }

    /// Registers a service app; the error says what is wrong with its keys. An app of the same client id is replaced.
    pub fn add_service_app(&mut self, app: ServiceApp) -> Result<(), String> {
        let keys = app.read_keys()?;
        let now = self.clock.now_millis();
        let limit_id = self.ids.next("prl");
        self.remove_service_app(&app.client_id);
        let client =
            Client { app, keys, created: now, limit_id, percentages: (50, 50), limit_updated: now, denied: Vec::new() };
        self.oauth.state().clients.push(Arc::new(client));
        Ok(())
    }

    /// Removes a service app; its tokens end with it.
    pub fn remove_service_app(&mut self, client_id: &str) {
        self.oauth.state().clients.retain(|client| client.app.client_id != client_id);
    }

    /// Replaces the keys of a service app: a JWK set, a JWK or PEM.
    pub fn set_service_app_keys(&mut self, client_id: &str, keys: Value) -> Result<(), String> {
        let mut app = self.service_app(client_id).ok_or_else(|| format!("no service app `{client_id}`"))?;
        app.keys = keys;
        let keys = app.read_keys()?;
        self.change_client(client_id, |client| client.keys = keys);
        Ok(())
    }

    /// Gives a service app an administrator's role or takes it. False when there is no such app.
    pub fn set_admin_role(&mut self, client_id: &str, has_role: bool) -> bool {
        self.change_client(client_id, |client| client.app.has_admin_role = has_role)
    }

    /// Requires DPoP of a service app or not; tokens issued before stay what they are.
    pub fn set_require_dpop(&mut self, client_id: &str, required: bool) -> bool {
        self.change_client(client_id, |client| client.app.require_dpop = required)
    }

    /// Grants exactly these scopes to a service app; tokens issued before keep theirs.
    pub fn grant_scopes(&mut self, client_id: &str, scopes: &[&str]) -> bool {
        let scopes: BTreeSet<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        self.change_client(client_id, |client| client.app.scopes = scopes)
    }

    /// Registers a web app whose user signs in by OpenID Connect. An app of the same client id is replaced.
    pub fn add_web_app(&mut self, app: WebApp) {
        let mut state = self.oauth.state();
        state.sign_ins.apps.retain(|known| known.client_id != app.client_id);
        state.sign_ins.apps.push(app);
    }

    /// Ends all access tokens of service apps: 401 from now on.
    pub fn end_access_tokens(&mut self) {
        self.oauth.state().end_tokens();
    }

    /// Makes a new DPoP nonce now; earlier ones stay good for their three days.
    pub fn rotate_dpop_nonce(&mut self) {
        let now = self.clock.now_millis();
        self.oauth.state().nonces.rotate(now);
    }

    /// Forgets all DPoP nonces: the next proof is answered with `use_dpop_nonce`.
    pub fn forget_dpop_nonces(&mut self) {
        self.oauth.state().nonces.forget();
    }

    /// Whether calls of the API need a nonce in their DPoP proof too (401 with `dpop-nonce`).
    pub fn require_api_nonce(&mut self, required: bool) {
        self.oauth.state().api_nonce = required;
    }

    fn service_app(&self, client_id: &str) -> Option<ServiceApp> {
        self.oauth.state().client(client_id).map(|client| client.app.clone())
    }

    fn change_token(&mut self, secret: &str, change: impl FnOnce(&mut Token)) -> bool {
        let secret = self.hash(secret);
        self.tokens.all.iter_mut().find(|token| token.secret == secret).map(change).is_some()
    }

    pub(crate) fn change_client(&mut self, client_id: &str, change: impl FnOnce(&mut Client)) -> bool {
        let mut state = self.oauth.state();
        let found = state.clients.iter_mut().find(|client| client.app.client_id == client_id);
        found.map(Arc::make_mut).map(change).is_some()
    }
}
