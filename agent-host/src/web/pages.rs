//! The dashboard: pages made on the server from the views that the API answers with.
//!
//! Whoever may not do something is not shown its button, and is refused when they ask all the same. What a page did is
//! told on the page that follows, so that a reload repeats nothing. No page holds a script or a style; two files do.

mod routes;
mod format;
mod chart;
mod timeline;
mod sign_in;
mod overview;
mod connections;
mod exports;
mod orders;
mod runs;
mod passwords;
mod directories;
mod audit;
mod access;

use std::{collections::HashMap, str::FromStr, sync::Arc};

use anyhow::Context;
use axum::{
    Router,
    extract::{FromRequestParts, Query},
    http::{HeaderValue, StatusCode, header, request::Parts},
    middleware,
    response::{Html, IntoResponse, Response},
};
use minijinja::{AutoEscape, Environment, Value, context, value::Serde};
use serde::Serialize;

use super::{Web, session::SignedIn, views};
use crate::{
    access::{Role, Scope},
    password_reset::random_text,
};
pub use routes::Route;
use routes::Routes;

/// Bytes of chance in what a form carries that is obeyed once.
const ONCE_BYTES: usize = 12;

/// What pages may do: their own files alone, and forms to themselves.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const TEMPLATES: [(&str, &str); 22] = [
    ("access.html", include_str!("../../templates/pages/access.html")),
    ("audit.html", include_str!("../../templates/pages/audit.html")),
    ("base.html", include_str!("../../templates/pages/base.html")),
    ("connection.html", include_str!("../../templates/pages/connection.html")),
    ("connections.html", include_str!("../../templates/pages/connections.html")),
    ("directories.html", include_str!("../../templates/pages/directories.html")),
    ("directory.html", include_str!("../../templates/pages/directory.html")),
    ("export.html", include_str!("../../templates/pages/export.html")),
    ("exports.html", include_str!("../../templates/pages/exports.html")),
    ("layout.html", include_str!("../../templates/pages/layout.html")),
    ("order_run.html", include_str!("../../templates/pages/order_run.html")),
    ("orders.html", include_str!("../../templates/pages/orders.html")),
    ("overview.html", include_str!("../../templates/pages/overview.html")),
    ("parts.html", include_str!("../../templates/pages/parts.html")),
    ("passwords.html", include_str!("../../templates/pages/passwords.html")),
    ("plan.html", include_str!("../../templates/pages/plan.html")),
    ("refused.html", include_str!("../../templates/pages/refused.html")),
    ("run.html", include_str!("../../templates/pages/run.html")),
    ("runs.html", include_str!("../../templates/pages/runs.html")),
    ("shown_once.html", include_str!("../../templates/pages/shown_once.html")),
    ("sign_in.html", include_str!("../../templates/pages/sign_in.html")),
    ("timeline.html", include_str!("../../templates/pages/timeline.html")),
];

/// Pages by path and title, and the role that must hold everywhere to see them; none for those that show what one may see.
const PAGES: [(&str, &str, Option<Role>); 9] = [
    ("/", "Overview", None),
    ("/connections", "Connections", None),
    ("/exports", "Exports", None),
    ("/orders", "Orders", None),
    ("/runs", "Jobs and runs", None),
    ("/passwords", "Passwords", None),
    ("/directories", "Directories", Some(Role::Viewer)),
    ("/audit", "Audit", None),
    ("/access", "Access", Some(Role::Administrator)),
];

/// What a page says of what was done on the one before.
const SAID: [(&str, &str); 8] = [
    ("started", "It is started."),
    ("checked", "The connection was checked."),
    ("cancelled", "The run is asked to end."),
    ("approved", "The orders are approved and started."),
    ("saved", "The settings are saved, and hold for whatever begins from now on."),
    ("removed", "It is removed."),
    ("revoked", "The token opens nothing any more."),
    ("password", "The password is set."),
];

/// What a page answers: itself, or why not.
type Page = Result<Response, Response>;

/// The templates of all pages.
#[derive(Debug)]
pub(super) struct Templates {
    environment: Environment<'static>,
}

/// What stands behind `?` of a page's address.
pub(super) struct Asked(HashMap<String, String>);

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

impl Asked {
    /// Empty where it is not there.
    fn text(&self, name: &str) -> &str {
        self.0.get(name).map(|text| text.trim()).unwrap_or_default()
    }

    /// None where it is not there or empty.
    fn some(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    fn number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.text(name).parse().ok()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asked {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let query = Query::<HashMap<String, String>>::from_request_parts(parts, state).await;
        query.map(|query| Self(query.0)).map_err(IntoResponse::into_response)
    }
}

pub(super) fn router() -> Router<Arc<Web>> {
    table().into_router().layer(middleware::map_response(guarded))
}

/// Every route of the dashboard.
pub fn listed() -> Vec<Route> {
    table().into_list()
}

fn table() -> Routes {
    Routes::default()
        .and(sign_in::routes())
        .and(overview::routes())
        .and(connections::routes())
        .and(exports::routes())
        .and(orders::routes())
        .and(runs::routes())
        .and(passwords::routes())
        .and(directories::routes())
        .and(audit::routes())
        .and(access::routes())
        .open_page("/static/dashboard.css", || file("text/css", include_str!("../../static/dashboard.css")))
        .open_page("/static/dashboard.js", || file("text/javascript", include_str!("../../static/dashboard.js")))
        .open_page("/static/icon.svg", || file("image/svg+xml", include_str!("../../static/icon.svg")))
}

/// What a view answers, or the page that says why it does not.
#[expect(clippy::result_large_err, reason = "what is refused is a page, and is answered at once")]
fn told<T>(web: &Web, who: &SignedIn, answer: views::Result<T>) -> Result<T, Response> {
    answer.map_err(|refusal| {
        let title = match refusal.status {
            StatusCode::FORBIDDEN => "You may not do this",
            StatusCode::NOT_FOUND => "There is nothing here",
            _ => "This was not done",
        };
        let words = context! { title, text => sentence(&refusal.complaint.message), hint => refusal.complaint.hint.as_deref().map(sentence) };
        show_with(web, who, refusal.status, "refused.html", words)
    })
}

/// A view as templates take it.
fn value(view: impl Serialize) -> Value {
    Value::from(Serde(view))
}

/// A refusal as a page tells it beside what it is about.
fn problem(refusal: &views::Refusal) -> Value {
    let (message, hint) = (sentence(&refusal.complaint.message), refusal.complaint.hint.as_deref().map(sentence));
    context! { message, hint }
}

/// A text that begins small and ends without a full stop, as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let end = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

/// What a page says of what was done on the one before.
fn said(asked: &Asked) -> Option<&'static str> {
    SAID.iter().find(|(key, _)| *key == asked.text("said")).map(|(_, text)| *text)
}

/// A page for somebody who is signed in.
pub(super) fn show(web: &Web, who: &SignedIn, page: &str, words: Value) -> Response {
    show_with(web, who, StatusCode::OK, page, words)
}

/// The same with another status.
pub(super) fn show_with(web: &Web, who: &SignedIn, status: StatusCode, page: &str, words: Value) -> Response {
    // Where there is no chance to be had, forms that are obeyed once are not obeyed at all.
    let once = random_text(ONCE_BYTES).unwrap_or_default();
    let words = context! { me => me(who), code => who.code.as_str(), once, ..words };
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

/// The page for a form that is obeyed once and was sent before.
pub(super) fn sent_before(web: &Web, who: &SignedIn) -> Response {
    let text = "This form was sent before, and is obeyed once: nothing was done again. The audit has what came of it. What \
                was shown the first time cannot be shown again; load the page anew to ask for another.";
    refusal(web, who, StatusCode::CONFLICT, "This was sent before", text)
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

#[cfg(test)]
mod tests;
