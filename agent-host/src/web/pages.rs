//! The dashboard: pages made on the server from the views that the API answers with.
//!
//! Whoever may not do something is not shown its button, and is refused when they ask all the same. What a page did is
//! told on the page that follows, so that a reload repeats nothing. No page holds a script or a style; two files do.

mod format;
mod sign_in;

use std::sync::Arc;

use anyhow::Context;
use axum::{
    Router,
    http::{HeaderValue, StatusCode, header},
    middleware,
    response::{Html, IntoResponse, Response},
    routing::get,
};
use minijinja::{AutoEscape, Environment, Value, context};
use serde::Serialize;

use super::{Web, session::SignedIn};
use crate::access::{Role, Scope};

/// What pages may do: their own files alone, and forms to themselves.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const TEMPLATES: [(&str, &str); 5] = [
    ("base.html", include_str!("../../templates/pages/base.html")),
    ("layout.html", include_str!("../../templates/pages/layout.html")),
    ("parts.html", include_str!("../../templates/pages/parts.html")),
    ("refused.html", include_str!("../../templates/pages/refused.html")),
    ("sign_in.html", include_str!("../../templates/pages/sign_in.html")),
];

/// Pages by path and title; whether they are for those alone whose role holds everywhere, and which role they need.
const PAGES: [(&str, &str, Option<Role>); 1] = [("/", "Overview", None)];

/// The templates of all pages.
#[derive(Debug)]
pub(super) struct Templates {
    environment: Environment<'static>,
}

/// A problem to tell on a page.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    message: String,
    hint: Option<String>,
}

impl Templates {
    pub(super) fn new(now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        format::add_to(&mut environment, now);
        for (name, text) in TEMPLATES {
            environment.add_template(name, text).expect("the pages' own texts are templates");
        }
        Self { environment }
    }

    fn render(&self, page: &str, words: Value) -> anyhow::Result<String> {
        self.environment.get_template(page)?.render(words).with_context(|| format!("the page `{page}`"))
    }
}

impl Problem {
    /// What an error says to people.
    pub(super) fn of(error: &anyhow::Error) -> Self {
        let hint = error.downcast_ref::<connector_api::Error>().and_then(|error| error.hint().map(str::to_owned));
        Self { message: crate::redaction::redact(&format!("{error:#}")).into_owned(), hint }
    }
}

pub(super) fn routes() -> Router<Arc<Web>> {
    Router::new()
        .merge(sign_in::routes())
        .route("/static/dashboard.css", get(|| file("text/css", include_str!("../../static/dashboard.css"))))
        .route("/static/dashboard.js", get(|| file("text/javascript", include_str!("../../static/dashboard.js"))))
        .route("/static/icon.svg", get(|| file("image/svg+xml", include_str!("../../static/icon.svg"))))
        .layer(middleware::map_response(guarded))
}

/// A page for somebody who is signed in.
pub(super) fn show(web: &Web, who: &SignedIn, page: &str, words: Value) -> Response {
    show_with(web, who, StatusCode::OK, page, words)
}

/// The same with another status.
pub(super) fn show_with(web: &Web, who: &SignedIn, status: StatusCode, page: &str, words: Value) -> Response {
    let words = context! { me => me(who), code => who.code.as_str(), ..words };
    answer(web, status, page, words)
}

/// The page for what somebody may not do.
pub(super) fn forbidden(web: &Web, who: &SignedIn) -> Response {
    let text = "Your role does not hold for this. Ask an administrator of this agent for another one.";
    refusal(web, who, StatusCode::FORBIDDEN, "You may not do this", text)
}

/// The page for a form that was not shown to whoever sends it.
pub(super) fn forged(web: &Web, who: &SignedIn) -> Response {
    let text = "This form was not sent from a page of this agent, or it was open since before you signed in. Nothing was \
                done. Go back, load the page anew and try again.";
    refusal(web, who, StatusCode::FORBIDDEN, "This was not accepted", text)
}

/// The page for what is not there.
pub(super) fn missing(web: &Web, who: &SignedIn, what: &str) -> Response {
    refusal(web, who, StatusCode::NOT_FOUND, "There is nothing here", what)
}

/// What is answered where the agent fails.
pub(super) fn failed(error: &anyhow::Error) -> Response {
    tracing::error!(error = format!("{error:#}"), "a page of the dashboard failed");
    (StatusCode::SERVICE_UNAVAILABLE, "This does not work at the moment. The agent's log says why.\n").into_response()
}

fn refusal(web: &Web, who: &SignedIn, status: StatusCode, title: &str, text: &str) -> Response {
    show_with(web, who, status, "refused.html", context! { title, text })
}

fn answer(web: &Web, status: StatusCode, page: &str, words: Value) -> Response {
    match web.templates.render(page, words) {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => failed(&error),
    }
}

/// What every page shows of whoever looks at it, and which pages are theirs.
fn me(who: &SignedIn) -> Value {
    let caller = &who.session.caller;
    let is_theirs = |role: Option<Role>| role.is_none_or(|role| caller.may(role));
    let pages = PAGES.iter().filter(|(.., role)| is_theirs(*role));
    let pages: Vec<Value> = pages.map(|(path, title, _)| context! { path => *path, title => *title }).collect();
    let connections = match &caller.scope {
        Scope::All => None,
        Scope::Connections(names) => Some(names.clone()),
    };
    context! {
        name => who.session.name.as_str(),
        role => caller.role.name(),
        connections,
        pages,
        may_look => caller.may(Role::Viewer),
        may_act => caller.may(Role::Operator),
        may_rule => caller.may(Role::Administrator),
    }
}

async fn file(kind: &'static str, text: &'static str) -> Response {
    let kind = format!("{kind}; charset=utf-8");
    ([(header::CONTENT_TYPE, kind.as_str()), (header::CACHE_CONTROL, "max-age=300")], text).into_response()
}

/// Before the headers of every answer: pages have a script of their own, and their forms tell where they come from.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}
