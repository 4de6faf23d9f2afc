//! Signing in as a service app: gets access tokens, one request for a token at a time, and signs what is sent.
//!
//! A request for a token is governed, counted, bounded and repeated like any other. Errors say which scope is missing, or
//! what to check of the app.

use connector_api::{Error, ErrorKind, Result, Table};
use futures::{FutureExt, future::BoxFuture};
use reqwest::{
    Method, RequestBuilder,
    header::{CONTENT_TYPE, HeaderMap},
};
use url::Url;

use super::{Client, Request};
use crate::{
    auth::{App, Asked, Challenge, DPoP, Pass, Scope, TOKEN_PATH, TokenAnswer, Tried},
    error::{Failure, Refusal},
    governor::{Lane, LimitHeaders},
    tables::{USERS, bucket, right_to_read},
};

impl Client {
    /// Notes which tables will be read, so that one access token is enough for all of them.
    pub(crate) fn will_read(&self, tables: &[Table]) {
        if let Some(app) = self.settings.auth.app() {
            app.want(&Scope::to_read(tables));
        }
    }

    /// Signs in for what [`Client::will_read`] noted; a scope that is missing is for the request that needs it to say.
    pub(crate) async fn sign_in(&self, tables: &[Table]) -> Result<()> {
        self.will_read(tables);
        let (Some(app), Some(scope)) = (self.settings.auth.app(), Scope::to_read(tables).first().copied()) else {
            return Ok(());
        };
        match self.access(app, scope).await {
            Err(Failure::Refused(refusal)) if !refusal.is_missing_scope() => Err(self.as_error(app, refusal)),
            Err(Failure::Other(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// What signs the request: for an app an access token with the scope it needs.
    pub(super) async fn pass_for(&self, bucket: &str, method: &Method, target: &str) -> Result<Pass, Failure> {
        match self.settings.auth.app() {
            _ if bucket == bucket::FREE => Ok(Pass::Open),
            None => Ok(Pass::Token),
            Some(app) => match self.access(app, Scope::of(method, target)).await {
                Err(Failure::Refused(refusal)) => Err(self.as_error(app, refusal).into()),
                pass => pass,
            },
        }
    }

    pub(super) fn signs_anew(&self, pass: &Pass, refusal: &Refusal, tried: &mut Tried) -> bool {
        let said = (refusal.status, refusal.code.as_str());
        let again = self.settings.auth.signs_anew(pass, said, refusal.challenge, tried);
        if again {
            tracing::debug!(reason = %refusal, "signing the request anew");
        }
        again
    }

    /// A request signed for this one attempt.
    pub(super) fn signed(&self, pass: &Pass, method: Method, url: Url) -> RequestBuilder {
        let (auth, now) = (&self.settings.auth, self.server_time.now(&*self.clock));
        let headers = auth.headers(pass, &method, &url, now);
        let builder = self.http.request(method, url).headers(headers);
        match auth.form(pass, now) {
            Some(form) => builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form),
            None => builder,
        }
    }

    /// Learns from the headers of an answer what later signatures rest on.
    pub(super) fn learn(&self, headers: &HeaderMap, limits: LimitHeaders) -> Challenge {
        let date = limits.date.filter(|date| (0..i64::from(u32::MAX)).contains(date));
        let clock_was_off = date.is_some_and(|date| self.server_time.learn(date, &*self.clock));
        self.settings.auth.learn(headers, clock_was_off)
    }

    /// The time in seconds since 1970 by the server's clock, as far as its answers told.
    pub(crate) fn server_now(&self) -> i64 {
        self.server_time.now(&*self.clock)
    }

    /// The list of users came empty: every organisation has users, so the credentials lack a role, though nothing is
    /// refused.
    pub(crate) fn sees_nobody(&self) -> Error {
        let app = self.settings.auth.app();
        let message = match app {
            Some(app) => {
                format!("the app `{}` sees no user at all: it has the scope, and no admin role", app.client_id())
            }
            None => "the token sees no user at all".to_owned(),
        };
        Error::new(ErrorKind::Credentials, message).with_hint(right_to_read(USERS, app.is_some()))
    }

    /// An access token with the scope: one that is at hand, or a new one.
    async fn access(&self, app: &App, scope: Scope) -> Result<Pass, Failure> {
        if let Some(token) = app.token(scope, self.clock.now()) {
            return Ok(Pass::Access(token));
        }
        let _alone = app.fetching.lock().await;
        // Whoever was before may have got it.
        if let Some(token) = app.token(scope, self.clock.now()) {
            return Ok(Pass::Access(token));
        }
        let asked = app.to_ask_for(scope, self.clock.now());
        match self.fetch(app, asked.clone()).await {
            Err(Failure::Refused(refusal)) if refusal.is_missing_scope() && app.asks_one_by_one(&asked) => {
                self.fetch(app, app.to_ask_for(scope, self.clock.now())).await
            }
            pass => pass,
        }
    }

    /// Asks for a token. Boxed, because sending a request may mean asking for a token first.
    fn fetch<'a>(&'a self, app: &'a App, asked: Asked) -> BoxFuture<'a, Result<Pass, Failure>> {
        let fetch = async move {
            let what = format!("signing in as the app `{}`", app.client_id());
            let mut request = Request {
                bucket: bucket::TOKEN,
                lane: Lane::List,
                target: TOKEN_PATH.to_owned(),
                what,
                light: false,
                smallest_limit: 1,
            };
            let read = |body: &str| {
                let answer: TokenAnswer = serde_json::from_str(body)?;
                if answer.is_sound() { Ok(answer) } else { Err(serde::de::Error::custom("no token")) }
            };
            match self.exchange(&mut request, Some(Pass::Key(asked.clone())), read).await {
                Ok(answer) => {
                    let token = app.take_token(answer.value, asked, self.clock.now())?;
                    tracing::debug!(app = app.client_id(), "Okta issued an access token");
                    Ok(Pass::Access(token))
                }
                Err(Failure::Refused(refusal)) if refusal.is_missing_scope() => {
                    let summary = format!("{}: asked for {asked}", refusal.summary);
                    Err(Failure::Refused(Refusal { summary, ..refusal }))
                }
                Err(failure) => Err(failure),
            }
        };
        fetch.boxed()
    }

    /// A refusal of the token endpoint with what to do about it.
    fn as_error(&self, app: &App, refusal: Refusal) -> Error {
        let what = format!("signing in as the app `{}`", app.client_id());
        let wants_proof = matches!(refusal.code.as_str(), "invalid_dpop_proof" | "use_dpop_nonce");
        if wants_proof && app.dpop() == DPoP::Off {
            let message = format!("{what}: the app requires DPoP, and `DPoP` is off: {refusal}");
            return Error::setting("DPoP", message).with_hint("remove `DPoP`, or write auto");
        }
        let hint = match refusal.code.as_str() {
            "invalid_scope" => {
                "grant the app what was asked for in Okta's admin console under Okta API Scopes of the app, or name in \
                 `Scopes` those it has"
            }
            "invalid_dpop_proof" | "use_dpop_nonce" => {
                "check this machine's clock; else set `DPoP` to off if the app allows it"
            }
            "invalid_client" | "unauthorized_client" | "invalid_grant" | "access_denied" => {
                "check that `ClientId` is an active app of the kind API Services in this organisation, that the public \
                 half of `PrivateKey` is registered with it and active (named by `KeyId`, where it has several), that \
                 this machine's clock is right, and the network zone the app may be used from"
            }
            _ => return Failure::Refused(refusal).into_error(&what),
        };
        Error::new(ErrorKind::Credentials, format!("{what}: {refusal}")).with_hint(hint)
    }
}
