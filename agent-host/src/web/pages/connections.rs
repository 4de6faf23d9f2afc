//! Connections: how each is, its settings without secrets, a check, and settings typed here.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use minijinja::{Value, context};

use super::{Asked, Page, format::segment, problem, routes::Routes, said, show, show_with, told, value};
use crate::{
    access::Role,
    web::{
        Web,
        session::{Sent, SignedIn, see},
        views::{Refusal, connections, typed_settings},
    },
};

pub(super) fn routes() -> Routes {
    Routes::default()
        .page("/connections", list)
        .page("/connections/{connection}", one)
        .form("/connections/{connection}/check", check)
        .form("/connections/{connection}/settings", save)
}

async fn list(State(web): State<Arc<Web>>, who: SignedIn, asked: Asked) -> Page {
    let list = told(&web, &who, connections::connections(&web, &who.session.caller).await)?;
    let words = context! { here => "/connections", said => said(&asked), list => value(&list) };
    Ok(show(&web, &who, "connections.html", words))
}

async fn one(State(web): State<Arc<Web>>, who: SignedIn, Path(name): Path<String>, asked: Asked) -> Page {
    let words = context! { said => said(&asked) };
    page(&web, &who, &name, StatusCode::OK, words).await
}

async fn check(State(web): State<Arc<Web>>, Path(name): Path<String>, sent: Sent) -> Page {
    told(&web, &sent.who, connections::check(&web, &sent.who.session.caller, &name).await)?;
    Ok(see(&format!("/connections/{}?said=checked#check", segment(&name))))
}

/// Keeps what was typed; a field that was left empty changes nothing, a ticked box takes the setting back.
async fn save(State(web): State<Arc<Web>>, Path(name): Path<String>, sent: Sent) -> Page {
    let Sent { who, fields } = &sent;
    let mut changes = Vec::new();
    for key in fields.names().filter_map(|name| name.strip_prefix("set:")) {
        let value = fields.secret(&format!("set:{key}")).filter(|_| !fields.text(&format!("set:{key}")).is_empty());
        if fields.is_set(&format!("drop:{key}")) {
            changes.push((key.to_owned(), None));
        } else if let Some(value) = value {
            changes.push((key.to_owned(), Some(value.clone())));
        }
    }
    if let (key, Some(value)) = (fields.text("key"), fields.secret("value"))
        && !key.is_empty()
    {
        changes.push((key.to_owned(), Some(value.clone())));
    }
    match typed_settings::change(&web, &who.session.caller, &name, changes).await {
        Ok(_) => match web.reload().await {
            Ok(()) => Ok(see(&format!("/connections/{}?said=saved", segment(&name)))),
            Err(why) => {
                let message = format!("the settings are kept, but the agent goes on with the former ones: {why}");
                let refusal = Refusal::conflict(message, "set right what it names, and save again");
                page(&web, who, &name, refusal.status, context! { problem => problem(&refusal) }).await
            }
        },
        Err(refusal) if !matches!(refusal.status, StatusCode::FORBIDDEN | StatusCode::NOT_FOUND) => {
            page(&web, who, &name, refusal.status, context! { problem => problem(&refusal) }).await
        }
        refused => told(&web, who, refused).map(|_| see("/connections")),
    }
}

async fn page(web: &Web, who: &SignedIn, name: &str, status: StatusCode, words: Value) -> Result<Response, Response> {
    let caller = &who.session.caller;
    let one = told(web, who, connections::one(web, caller, name).await)?;
    let typed = typed_settings::typed(web, &one.connection.connection);
    let words = context! {
        here => "/connections",
        it => value(&one),
        typed => value(&typed),
        may_act => caller.may_in(Role::Operator, name),
        may_rule => caller.may_in(Role::Administrator, name),
        ..words
    };
    Ok(show_with(web, who, status, "connection.html", words))
}
