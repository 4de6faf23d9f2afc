//! Password resets: the form, what came of it, and what was done before.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use minijinja::{Value, context};

use super::{Asked, Page, problem, routes::Routes, said, show_with, told, value};
use crate::{
    access::Role,
    password_reset::ResetWish,
    web::{
        Web,
        session::{Sent, SignedIn},
        views::{
            audit::AuditWish,
            connections,
            passwords::{self, ResetView},
        },
    },
};

/// Resets that the page lists.
const LISTED: u32 = 25;

pub(super) fn routes() -> Routes {
    Routes::default().page("/passwords", form).form("/passwords", reset)
}

async fn form(State(web): State<Arc<Web>>, who: SignedIn, asked: Asked) -> Page {
    let words = context! { said => said(&asked), cursor => asked.some("cursor") };
    page(&web, &who, StatusCode::OK, asked.some("cursor"), None, words).await
}

async fn reset(State(web): State<Arc<Web>>, sent: Sent) -> Page {
    sent.use_up(&web).await?;
    let Sent { who, fields } = &sent;
    let some = |name: &str| Some(fields.text(name).to_owned()).filter(|text| !text.is_empty());
    let wish = ResetWish {
        login: fields.text("login").to_owned(),
        setting: some("setting"),
        unlocks: fields.is_set("unlock"),
        revokes_sessions: fields.is_set("revoke"),
        shows: fields.is_set("show"),
        notified: some("notify"),
        actor: String::new(),
    };
    let typed = context! {
        connection => fields.text("connection"), login => fields.text("login"), setting => some("setting"),
        notify => some("notify"),
        unlock => wish.unlocks, revoke => wish.revokes_sessions, show => wish.shows,
    };
    match passwords::reset(&web, &who.session.caller, fields.text("connection"), wish).await {
        Ok(done) => page(&web, who, StatusCode::OK, None, Some(&done), Value::UNDEFINED).await,
        Err(refusal) if refusal.status != StatusCode::FORBIDDEN => {
            let words = context! { typed, problem => problem(&refusal) };
            page(&web, who, refusal.status, None, None, words).await
        }
        refused => Err(told(&web, who, refused).err().unwrap_or_else(|| super::forbidden(&web, who))),
    }
}

async fn page(
    web: &Web,
    who: &SignedIn,
    status: StatusCode,
    cursor: Option<String>,
    done: Option<&ResetView>,
    words: Value,
) -> Page {
    let caller = &who.session.caller;
    let names: Vec<String> = told(web, who, connections::connections(web, caller).await)?
        .connections
        .into_iter()
        .map(|it| it.connection)
        .collect();
    let settings = match names.first() {
        Some(name) => told(web, who, passwords::reset_settings(web, caller, name).await)?.settings,
        None => Vec::new(),
    };
    let wish = AuditWish { cursor, limit: Some(LISTED), ..AuditWish::default() };
    let found = told(web, who, passwords::resets(web, caller, wish).await)?;
    let acting: Vec<String> = names.iter().filter(|name| caller.may_in(Role::Operator, name)).cloned().collect();
    let words = context! {
        here => "/passwords", settings => value(&settings), found => value(&found),
        connections => acting, names => value(&names), done => value(done),
        may_rule => names.iter().any(|name| caller.may_in(Role::Administrator, name)), ..words
    };
    Ok(show_with(web, who, status, "passwords.html", words))
}
