//! The page behind a password link: its holder chooses the password, without any script.
//!
//! Looking at the page uses nothing up. A link that is no good shows the same page whatever is wrong with it, so that
//! nothing is told about accounts. The form carries a code that only the browser it was shown to can use, because another
//! site may send a form here too. Passwords are wiped after use and never shown again.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Form, Router,
    extract::{ConnectInfo, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use minijinja::{AutoEscape, Environment, Value};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use super::{Web, patience::Tried};
use crate::{
    mail::Language,
    password_reset::{Choice, ChosenLink, Demand, MAX_CHOSEN, MIN_CHOSEN, random_text},
};

const PATH: &str = "/PasswordReset/Activate";
const STYLE: &str = "/PasswordReset/style.css";
/// Holds the browser's half of the form's code.
const COOKIE: &str = "password-reset";

const TEXTS: [(&str, &str); 7] = [
    ("layout.html", include_str!("../../templates/password/layout.html")),
    ("form.en.html", include_str!("../../templates/password/form.en.html")),
    ("form.fr.html", include_str!("../../templates/password/form.fr.html")),
    ("done.en.html", include_str!("../../templates/password/done.en.html")),
    ("done.fr.html", include_str!("../../templates/password/done.fr.html")),
    ("bad.en.html", include_str!("../../templates/password/bad.en.html")),
    ("bad.fr.html", include_str!("../../templates/password/bad.fr.html")),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    #[serde(default)]
    activation_code: String,
}

#[derive(Deserialize)]
struct Chosen {
    #[serde(default)]
    code: String,
    #[serde(deserialize_with = "secret")]
    password: SecretString,
    #[serde(deserialize_with = "secret")]
    again: SecretString,
}

/// The texts of the page.
#[derive(Debug)]
pub(super) struct Pages {
    environment: Environment<'static>,
}

impl Pages {
    pub(super) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        for (name, text) in TEXTS {
            environment.add_template(name, text).expect("the page's own texts are templates");
        }
        Self { environment }
    }

    fn render(&self, page: &str, language: Language, words: Value) -> String {
        let template = self.environment.get_template(&format!("{page}.{}.html", language.code()));
        template.and_then(|template| template.render(words)).expect("the page's own texts name what they are given")
    }
}

pub(super) fn routes() -> Router<Arc<Web>> {
    let page = || get(show).post(choose);
    Router::new().route(PATH, page()).route(&format!("{PATH}/"), page()).route(STYLE, get(style))
}

async fn show(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Query(link): Query<Link>,
    headers: HeaderMap,
) -> Response {
    let language = language(&web, &headers);
    match web.resets.link(&link.activation_code).await {
        Ok(Some(good)) => form(&web, &headers, language, &good, ""),
        Ok(None) => no_good(&web, peer, language).await,
        Err(error) => failed(&error),
    }
}

async fn choose(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Query(link): Query<Link>,
    headers: HeaderMap,
    Form(chosen): Form<Chosen>,
) -> Response {
    let language = language(&web, &headers);
    let good = match web.resets.link(&link.activation_code).await {
        Ok(Some(good)) => good,
        Ok(None) => return no_good(&web, peer, language).await,
        Err(error) => return failed(&error),
    };
    let cookie = cookie(&headers).unwrap_or_default();
    if cookie.is_empty() || !web.resets.is_form_code(&good.id, cookie, &chosen.code) {
        return form(&web, &headers, language, &good, "again");
    }
    if chosen.password.expose_secret() != chosen.again.expose_secret() {
        return form(&web, &headers, language, &good, "different");
    }
    match web.resets.choose(&web.agent, &link.activation_code, &chosen.password).await {
        Ok(Choice::Done) => page(&web, StatusCode::OK, language, "done", application(&web)),
        Ok(Choice::BadLink) => no_good(&web, peer, language).await,
        Ok(Choice::Length) => form(&web, &headers, language, &good, "length"),
        Ok(Choice::NamesAccount) => form(&web, &headers, language, &good, "names"),
        Ok(Choice::TooWeak) => form(&web, &headers, language, &good, "weak"),
        Ok(Choice::Refused(words)) => form_with(&web, &headers, language, &good, "refused", &words),
        Ok(Choice::Later) => form(&web, &headers, language, &good, "later"),
        Err(error) => failed(&error),
    }
}

fn form(web: &Web, headers: &HeaderMap, language: Language, link: &ChosenLink, problem: &str) -> Response {
    form_with(web, headers, language, link, problem, "")
}

fn form_with(
    web: &Web,
    headers: &HeaderMap,
    language: Language,
    link: &ChosenLink,
    problem: &str,
    refusal: &str,
) -> Response {
    let known = cookie(headers).filter(|cookie| !cookie.is_empty()).map(str::to_owned);
    let Ok(cookie) = known.map_or_else(|| random_text(16), Ok) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let least = link.demands.iter().filter_map(|demand| match demand {
        Demand::Length(least) => Some(*least),
        _ => None,
    });
    let asks = |wanted: Demand| Value::from(link.demands.contains(&wanted));
    let words = Value::from_pairs([
        ("login", Value::from(link.login.as_str())),
        ("code", Value::from(web.resets.form_code(&link.id, &cookie))),
        ("problem", Value::from(problem)),
        ("refusal", Value::from(refusal)),
        ("least", Value::from(least.fold(MIN_CHOSEN, usize::max))),
        ("most", Value::from(MAX_CHOSEN)),
        ("lower", asks(Demand::Lower)),
        ("upper", asks(Demand::Upper)),
        ("digit", asks(Demand::Digit)),
        ("symbol", asks(Demand::Symbol)),
        ("other", asks(Demand::Other)),
    ]);
    let status = if problem.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let mut response = page(web, status, language, "form", words);
    let secure = web.resets.settings().confirmation_uri.as_deref().is_some_and(|uri| uri.starts_with("https://"));
    let secure = if secure { "; Secure" } else { "" };
    // Lax, because the page is opened from a mail; a form that another site sends is a POST, to which it does not go.
    let set = format!("{COOKIE}={cookie}; Path=/PasswordReset; HttpOnly; SameSite=Lax{secure}");
    if let Ok(set) = HeaderValue::from_str(&set) {
        response.headers_mut().insert(header::SET_COOKIE, set);
    }
    response
}

/// The page for every link that is no good, whatever is wrong with it.
async fn no_good(web: &Web, peer: SocketAddr, language: Language) -> Response {
    // Nothing of a link is public: what was tried may be one that was good.
    let wait = web.count_wrong(Tried::Link, peer.ip(), "").await;
    let status = if wait.is_some() { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::NOT_FOUND };
    let words = Value::from_pairs([("wait", Value::from(wait.unwrap_or_default()))]);
    let mut response = page(web, status, language, "bad", words);
    if let Some(wait) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    response
}

fn application(web: &Web) -> Value {
    let uri = web.resets.settings().application_uri.clone().unwrap_or_default();
    // What stands in the settings may be no address; only one that leads to a page becomes a link.
    let uri = if uri.starts_with("https://") || uri.starts_with("http://") { uri } else { String::new() };
    Value::from_pairs([("application", Value::from(uri))])
}

fn page(web: &Web, status: StatusCode, language: Language, name: &str, words: Value) -> Response {
    (status, Html(web.pages.render(name, language, words))).into_response()
}

fn failed(error: &anyhow::Error) -> Response {
    tracing::error!(error = format!("{error:#}"), "the page of a password link failed");
    (StatusCode::SERVICE_UNAVAILABLE, "This does not work at the moment. Please try again later.\n").into_response()
}

/// The language of the browser, as far as there are texts in it and the settings name it.
fn language(web: &Web, headers: &HeaderMap) -> Language {
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let settings = web.resets.settings();
    let tags = accepted.split(',').filter_map(|tag| tag.split(';').next());
    let known = tags.filter_map(Language::of_tag).find(|language| settings.cultures.contains(language));
    known.unwrap_or_else(|| settings.language(None))
}

fn secret<'de, D: Deserializer<'de>>(field: D) -> Result<SecretString, D::Error> {
    String::deserialize(field).map(SecretString::from)
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == COOKIE)?;
    let is_ours = value.len() <= 64 && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    is_ours.then_some(value)
}

async fn style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")];
    (headers, include_str!("../../templates/password/style.css")).into_response()
}
