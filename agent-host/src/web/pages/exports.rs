//! Exports: the set in place, how counts went, how it differs from the one before, its files.

use std::{
    fs::File,
    io::{self, Read},
    sync::Arc,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::header,
    response::IntoResponse,
    routing::{get, post},
};
use futures::{Stream, stream};
use minijinja::context;

use super::{Asked, Page, chart, failed, format::segment, said, show, told, value};
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
/// Bytes of a file that are read at once.
const CHUNK_BYTES: usize = 256 << 10;
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
    let found = told(&web, &who, exports::file(&web, &who.session.caller, &name, &file))?;
    // Opened once: a set that is put in place meanwhile changes nothing of this one.
    let opened = File::open(&found.path).map_err(|error| failed(&error.into()))?;
    let body = Body::from_stream(chunks(opened));
    let kind = if found.name.ends_with(".json") { "application/json" } else { "text/csv; charset=utf-8" };
    // By its plain name, and for names beyond ASCII as RFC 6266 has it.
    let disposition = format!("attachment; filename*=UTF-8''{}", segment(&found.name));
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, disposition.as_str())], body).into_response())
}

/// The contents, read piece by piece on threads that may wait for a disk.
fn chunks(file: File) -> impl Stream<Item = io::Result<Bytes>> + use<> {
    stream::try_unfold(file, |mut file| async {
        let read = tokio::task::spawn_blocking(move || {
            let mut chunk = vec![0; CHUNK_BYTES];
            let length = file.read(&mut chunk)?;
            chunk.truncate(length);
            io::Result::Ok((chunk, file))
        });
        let (chunk, file) = read.await.map_err(io::Error::other)??;
        Ok((!chunk.is_empty()).then(|| (Bytes::from(chunk), file)))
    })
}
