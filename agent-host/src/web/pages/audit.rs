//! The audit: who did what to whom, when, and what came of it.

use std::sync::Arc;

use axum::extract::State;
use minijinja::context;

use super::{Asked, Page, routes::Routes, show, told, value};
use crate::web::{
    Web,
    session::SignedIn,
    views::{
        audit::{AuditWish, audit},
        connections,
    },
};

const DAY_MS: i64 = 24 * 3_600_000;

pub(super) fn routes() -> Routes {
    Routes::default().page("/audit", page)
}

async fn page(State(web): State<Arc<Web>>, who: SignedIn, asked: Asked) -> Page {
    let caller = &who.session.caller;
    let days: Option<i64> = asked.number("days").filter(|days| (1..=3_650).contains(days));
    let wish = AuditWish {
        connection: asked.text("connection").to_owned(),
        action: asked.text("action").to_owned(),
        actor: asked.text("actor").to_owned(),
        account: asked.text("account").to_owned(),
        from_ms: days.map(|days| web.now_ms() - days * DAY_MS),
        until_ms: None,
        cursor: asked.some("cursor"),
        limit: None,
    };
    let found = told(&web, &who, audit(&web, caller, &wish).await)?;
    let names = told(&web, &who, connections::connections(&web, caller).await)?.connections;
    let names: Vec<String> = names.into_iter().map(|it| it.connection).collect();
    let words = context! {
        here => "/audit", found => value(&found), connections => names, days,
        connection => wish.connection, action => wish.action, actor => wish.actor, account => wish.account,
        is_first => wish.cursor.is_none(),
    };
    Ok(show(&web, &who, "audit.html", words))
}
