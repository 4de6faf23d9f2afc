//! Exports: the set in place, how counts went, how it differs from the one before, its files.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::header,
    response::IntoResponse,
    routing::{get, post},
};
use minijinja::context;

use super::{Asked, Page, chart, format::segment, said, show, told, value};
use crate::{
    access::Role,
    web::{
        Web,
        session::{Sent, SignedIn, see},
        views::exports,
    },
};

/// Sets that the charts show.
const CHARTED: u32 = 60;
/// Sets that the page lists.
const LISTED: usize = 12;

pub(super) fn routes() -> Router<Arc<Web>> {
    Router::new()
        .route("/exports", get(list))
        .route("/exports/{connection}", get(one))
        .route("/exports/{connection}/start", post(start))
        .route("/exports/{connection}/files/{file}", get(file))
}

async fn list(State(web): State<Arc<Web>>, who: SignedIn, asked: Asked) -> Page {
    let list = told(&web, &who, exports::exports(&web, &who.session.caller).await)?;
    let words = context! { here => "/exports", said => said(&asked), list => value(&list) };
    Ok(show(&web, &who, "exports.html", words))
}

async fn one(State(web): State<Arc<Web>>, who: SignedIn, Path(name): Path<String>, asked: Asked) -> Page {
    let caller = &who.session.caller;
    let one = told(&web, &who, exports::one(&web, caller, &name).await)?;
    let history = told(&web, &who, exports::history(&web, caller, &name, None, Some(CHARTED)).await)?;
    let charts = chart::of(&history.sets);
    let words = context! {
        here => "/exports", said => said(&asked), it => value(&one),
        charts => value(&charts),
        sets => value(&history.sets[..history.sets.len().min(LISTED)]),
        may_act => caller.may_in(Role::Operator, &name),
    };
    Ok(show(&web, &who, "export.html", words))
}

async fn start(State(web): State<Arc<Web>>, Path(name): Path<String>, sent: Sent) -> Page {
    let run = told(&web, &sent.who, exports::start(&web, &sent.who.session.caller, &name).await)?;
    Ok(see(&format!("/runs/{}?said=started", run.run)))
}

async fn file(State(web): State<Arc<Web>>, who: SignedIn, Path((name, file)): Path<(String, String)>) -> Page {
    let found = told(&web, &who, exports::file(&web, &who.session.caller, &name, &file).await)?;
    // By its plain name, and for names beyond ASCII as RFC 6266 has it.
    let disposition = format!("attachment; filename*=UTF-8''{}", segment(&found.name));
    let headers = [
        (header::CONTENT_TYPE, found.kind().to_owned()),
        (header::CONTENT_LENGTH, found.bytes.to_string()),
        (header::CONTENT_DISPOSITION, disposition),
    ];
    Ok((headers, Body::from_stream(found.pieces)).into_response())
}
