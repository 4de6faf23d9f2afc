//! Signing in and out: by name and password, or by OpenID Connect.
//!
//! The form carries a code that belongs to the browser's cookie, because another site may send a form here too and sign
//! somebody in as somebody else. A sign-in by a provider is bound to the browser by another cookie, good for ten minutes.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Bytes,
    extract::{ConnectInfo, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header, uri::Authority},
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use minijinja::{Value, context};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{Web, answer, failed, routes::Routes};
use crate::{
    operators::{SignIn, SignInFailed, state},
    password_reset::random_text,
    web::session::{
        self, Fields, SESSION, Sent, VISITOR, code_for, cookie, is_equal, is_from_us, own_path, see, set_cookie,
    },
};

const PATH: &str = "/sign-in";
const OPENID: &str = "/sign-in/openid";
const OPENID_DONE: &str = "/sign-in/openid/done";
/// The cookies of a sign-in that is under way at a provider: its secret, and where to go afterwards, in Base64.
const UNDER_WAY: &str = "agent-openid";
const NEXT: &str = "agent-openid-next";
/// How long that may take, in seconds.
const UNDER_WAY_S: i64 = 600;
/// How long the form may be open, in seconds.
const VISITOR_S: i64 = 24 * 3600;

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    next: String,
    #[serde(default)]
    said: String,
}

/// What a provider sends back.
#[derive(Deserialize)]
struct Returned {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    error: Option<String>,
    iss: Option<String>,
}

pub(super) fn routes() -> Routes {
    Routes::default()
        .open_page(PATH, form)
        .open_form(PATH, sign_in)
        .open_page(OPENID, begin)
        .open_page(OPENID_DONE, finish)
        .form("/sign-out", sign_out)
}

async fn form(State(web): State<Arc<Web>>, Query(asked): Query<Asked>, headers: HeaderMap) -> Response {
    let said = asked.said;
    show(&web, &headers, StatusCode::OK, &asked.next, context! { said }).await
}

async fn sign_in(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let fields = Fields::read(&body);
    let (name, next) = (fields.text("name"), fields.text("next"));
    let held = cookie(&headers, &session::name(&web, VISITOR)).map(code_for).unwrap_or_default();
    if !is_from_us(&headers) || !is_equal(fields.text("code"), &held) {
        return show(&web, &headers, StatusCode::FORBIDDEN, next, context! { problem => "again", name }).await;
    }
    let nothing = SecretString::default();
    let password = fields.secret("password").unwrap_or(&nothing);
    let (status, words) = match web.operators.sign_in(name, password, peer.ip()).await {
        Ok(SignIn::Welcome(held)) => return welcome(&web, &held, next),
        Ok(SignIn::Wrong) => (StatusCode::UNAUTHORIZED, context! { problem => "wrong", name }),
        Ok(SignIn::Locked(wait)) => (StatusCode::TOO_MANY_REQUESTS, context! { problem => "locked", wait, name }),
        Ok(SignIn::Busy) => (StatusCode::SERVICE_UNAVAILABLE, context! { problem => "busy", name }),
        Err(error) => return failed(&error),
    };
    show(&web, &headers, status, next, words).await
}

async fn sign_out(State(web): State<Arc<Web>>, sent: Sent) -> Response {
    if let Err(error) = web.operators.sign_out(&sent.who.session, sent.who.peer.ip()).await {
        return failed(&error);
    }
    let mut response = see("/sign-in?said=out");
    set_cookie(&web, &mut response, SESSION, "", 0);
    response
}

/// Sends the browser to the provider.
async fn begin(State(web): State<Arc<Web>>, Query(asked): Query<Asked>, headers: HeaderMap) -> Response {
    let Some(openid) = web.operators.openid() else { return StatusCode::NOT_FOUND.into_response() };
    let secret = match random_text(32) {
        Ok(secret) => secret,
        Err(error) => return failed(&error),
    };
    let redirect = format!("{}{OPENID_DONE}", service_url(&web, &headers));
    match openid.begin(&secret, &redirect, web.operators.now()).await {
        Ok(address) => {
            let mut response = Redirect::to(address.as_str()).into_response();
            set_cookie(&web, &mut response, UNDER_WAY, &secret, UNDER_WAY_S);
            set_cookie(&web, &mut response, NEXT, &URL_SAFE_NO_PAD.encode(own_path(&asked.next)), UNDER_WAY_S);
            response
        }
        Err(why) => not_signed_in(&web, &headers, &asked.next, &why).await,
    }
}

/// The browser comes back from the provider.
async fn finish(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Query(returned): Query<Returned>,
    headers: HeaderMap,
) -> Response {
    let Some(openid) = web.operators.openid() else { return StatusCode::NOT_FOUND.into_response() };
    let secret = cookie(&headers, &session::name(&web, UNDER_WAY)).unwrap_or_default();
    let next = wanted(&web, &headers);
    let refused = |why: &str| SignInFailed::Refused(why.to_owned());
    if secret.is_empty() || !is_equal(&returned.state, &state(secret)) || openid.is_foreign(returned.iss.as_deref()) {
        let why = refused("the answer is for another browser, or came too late");
        return not_signed_in(&web, &headers, &next, &why).await;
    }
    if let Some(error) = &returned.error {
        let error: String = error.chars().filter(char::is_ascii_graphic).take(64).collect();
        return not_signed_in(&web, &headers, &next, &refused(&format!("the provider answers {error}"))).await;
    }
    let redirect = format!("{}{OPENID_DONE}", service_url(&web, &headers));
    let person = match openid.finish(secret, &redirect, &returned.code, web.operators.now()).await {
        Ok(person) => person,
        Err(why) => return not_signed_in(&web, &headers, &next, &why).await,
    };
    let Some(role) = person.role else {
        if let Err(error) = web.operators.refuse(&person.name, peer.ip()).await {
            return failed(&error);
        }
        let words = context! { problem => "stranger", stranger => person.name };
        return show(&web, &headers, StatusCode::FORBIDDEN, &next, words).await;
    };
    match web.operators.welcome(&person.name, role, peer.ip()).await {
        Ok(held) => {
            let mut response = welcome(&web, &held, &next);
            set_cookie(&web, &mut response, UNDER_WAY, "", 0);
            set_cookie(&web, &mut response, NEXT, "", 0);
            response
        }
        Err(error) => failed(&error),
    }
}

/// Where the browser wanted to go before it was sent to the provider.
fn wanted(web: &Web, headers: &HeaderMap) -> String {
    let kept = cookie(headers, &session::name(web, NEXT)).and_then(|kept| URL_SAFE_NO_PAD.decode(kept).ok());
    kept.and_then(|path| String::from_utf8(path).ok()).unwrap_or_default()
}

fn welcome(web: &Web, held: &SecretString, next: &str) -> Response {
    let mut response = see(own_path(next));
    set_cookie(web, &mut response, SESSION, held.expose_secret(), web.operators.session_seconds());
    response
}

async fn not_signed_in(web: &Web, headers: &HeaderMap, next: &str, why: &SignInFailed) -> Response {
    let (status, why) = match why {
        SignInFailed::Unavailable(why) => (StatusCode::BAD_GATEWAY, why),
        SignInFailed::Refused(why) => (StatusCode::FORBIDDEN, why),
    };
    tracing::warn!("nobody was signed in by OpenID Connect: {why}");
    show(web, headers, status, next, context! { problem => "openid" }).await
}

async fn show(web: &Web, headers: &HeaderMap, status: StatusCode, next: &str, words: Value) -> Response {
    let are_none = match web.operators.are_none().await {
        Ok(are_none) => are_none,
        Err(error) => return failed(&error),
    };
    let known = cookie(headers, &session::name(web, VISITOR)).map(str::to_owned);
    let held = match known.map_or_else(|| random_text(16), Ok) {
        Ok(held) => held,
        Err(error) => return failed(&error),
    };
    let openid = web.operators.openid().map(|openid| openid.host().to_owned());
    let words = context! { code => code_for(&held), next => own_path(next), are_none, openid, ..words };
    let mut response = answer(web, status, "sign_in.html", words);
    set_cookie(web, &mut response, VISITOR, &held, VISITOR_S);
    if status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
    }
    response
}

/// Where the browser reached us: as the settings say, else as it says itself. A provider goes back to addresses alone that
/// it knows.
fn service_url(web: &Web, headers: &HeaderMap) -> String {
    if let Some(url) = web.directories.public_url() {
        return url.to_owned();
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.filter(|host| host.parse::<Authority>().is_ok_and(|host| !host.as_str().contains('@')));
    let scheme = if web.is_secure() { "https" } else { "http" };
    format!("{scheme}://{}", host.unwrap_or("localhost"))
}
