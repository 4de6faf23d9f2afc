//! Who may do what: operators of the dashboard, and tokens of the API. For administrators alone.

use std::sync::Arc;

use axum::extract::{Path, State};
use minijinja::context;

use super::{Asked, Page, routes::Routes, said, show, told, value};
use crate::web::{
    Web,
    session::{Sent, SignedIn, see},
    views::{connections, operators, tokens},
};

pub(super) fn routes() -> Routes {
    Routes::default()
        .page("/access", page)
        .form("/access/operators", create)
        .form("/access/operators/{operator}/password", password)
        .form("/access/operators/{operator}/remove", remove)
        .form("/access/tokens", create_token)
        .form("/access/tokens/{token}/revoke", revoke_token)
}

async fn page(State(web): State<Arc<Web>>, who: SignedIn, asked: Asked) -> Page {
    let caller = &who.session.caller;
    let operators = told(&web, &who, operators::operators(&web, caller).await)?;
    let tokens = told(&web, &who, tokens::tokens(&web, caller).await)?;
    let names = told(&web, &who, connections::connections(&web, caller).await)?.connections;
    let names: Vec<String> = names.into_iter().map(|it| it.connection).collect();
    let words = context! {
        here => "/access", said => said(&asked), operators => value(&operators.operators),
        tokens => value(&tokens.tokens),
        connections => names, openid => web.operators.openid().map(|openid| openid.host().to_owned()),
    };
    Ok(show(&web, &who, "access.html", words))
}

async fn create(State(web): State<Arc<Web>>, sent: Sent) -> Page {
    let Sent { who, fields } = &sent;
    let (name, role, scope) = (fields.text("name"), fields.text("role"), fields.texts("connection"));
    let made = told(&web, who, operators::create(&web, &who.session.caller, name, role, &scope).await)?;
    Ok(show(&web, who, "shown_once.html", context! { here => "/access", operator => value(&made) }))
}

async fn password(State(web): State<Arc<Web>>, Path(name): Path<String>, sent: Sent) -> Page {
    sent.use_up(&web).await?;
    let made = told(&web, &sent.who, operators::password(&web, &sent.who.session.caller, &name).await)?;
    Ok(show(&web, &sent.who, "shown_once.html", context! { here => "/access", operator => value(&made) }))
}

async fn remove(State(web): State<Arc<Web>>, Path(name): Path<String>, sent: Sent) -> Page {
    told(&web, &sent.who, operators::remove(&web, &sent.who.session.caller, &name).await)?;
    Ok(see("/access?said=removed"))
}

async fn create_token(State(web): State<Arc<Web>>, sent: Sent) -> Page {
    let Sent { who, fields } = &sent;
    let (name, role, scope) = (fields.text("name"), fields.text("role"), fields.texts("connection"));
    let days = fields.text("days").parse().ok();
    let made = tokens::create(&web, &who.session.caller, name, role, scope, days).await;
    let made = told(&web, who, made)?;
    Ok(show(&web, who, "shown_once.html", context! { here => "/access", token => value(&made) }))
}

async fn revoke_token(State(web): State<Arc<Web>>, Path(name): Path<String>, sent: Sent) -> Page {
    told(&web, &sent.who, tokens::revoke(&web, &sent.who.session.caller, &name).await)?;
    Ok(see("/access?said=revoked"))
}
