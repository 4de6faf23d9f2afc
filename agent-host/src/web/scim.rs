//! `/scim/v2/{directory}`: who comes in, and what they are told when they may not. The protocol is `scim_server`'s.
//!
//! Whoever comes with the wrong credentials is told the same whether there is the directory or not. Wrong attempts of one
//! address are slowed down and audited, the first and the last that is let through; right ones never wait.

use std::{net::SocketAddr, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, StatusCode, Uri, header, uri::Authority},
    response::{IntoResponse, Response},
    routing::any,
};
use futures::{FutureExt, StreamExt};
use scim_server::{Error, MAX_BODY_BYTES};

use super::{LONGEST_REQUEST, Web};
use crate::{
    credential::Credentials,
    directories::{Admitted, Attempt, Call, Way},
};

/// How much of a body that is too long is taken in before the client is cut off …
const MAX_DROPPED_BYTES: usize = 64 << 20;
/// … and for how long.
const LONGEST_DROP: Duration = Duration::from_secs(20);

/// The public half of what opened the directory, on the answer.
#[derive(Clone)]
struct Opened(String);

const BASE: &str = "/scim/v2/";
/// Offers both schemes, whatever opens the directory: who may not come in is not told which directories there are.
const CHALLENGE: &str = "Bearer realm=\"SCIM\", Basic realm=\"SCIM\"";

pub(super) fn routes() -> Router<Arc<Web>> {
    Router::new().route("/scim/{*rest}", any(respond))
}

async fn respond(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let at_ms = web.directories.now();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let Some((name, rest)) = split(&uri) else {
        return refusal(Error::not_found("directories are at `/scim/v2/{directory}`"));
    };
    let answered = AssertUnwindSafe(answer(&web, peer, name, rest, request)).catch_unwind();
    let response = match tokio::time::timeout(LONGEST_REQUEST, answered).await {
        Ok(Ok(response)) => response,
        // What panicked is in the log already.
        Ok(Err(_)) => refusal(Error::internal()),
        Err(_) => refusal(Error::new(StatusCode::SERVICE_UNAVAILABLE, "this took too long; ask for less at once")),
    };
    let call = Call {
        at_ms,
        method,
        address: Call::address(&uri),
        status: response.status(),
        refusal: response.extensions().get::<Error>().cloned(),
        secret: response.extensions().get::<Opened>().map(|opened| opened.0.clone()),
        took_ms: (web.directories.now() - at_ms).max(0),
    };
    web.directories.note_call(name, call);
    response
}

/// The directory's name, and what is behind it.
fn split(uri: &Uri) -> Option<(&str, &str)> {
    let below = uri.path_and_query()?.as_str().strip_prefix(BASE)?;
    Some(below.split_at(below.find(['/', '?']).unwrap_or(below.len())))
}

async fn answer(web: &Web, peer: SocketAddr, name: &str, rest: &str, request: Request) -> Response {
    let rest = if rest.starts_with('/') { rest.to_owned() } else { format!("/{rest}") };
    let admitted = match admit(web, peer, name, request.headers()).await {
        Ok(admitted) => admitted,
        Err(error) => return refusal(error),
    };
    let mut response = answer_admitted(web, &admitted, &rest, request).await;
    response.extensions_mut().insert(Opened(admitted.prefix));
    response
}

async fn answer_admitted(web: &Web, admitted: &Admitted, rest: &str, mut request: Request) -> Response {
    let Ok(uri) = rest.parse::<Uri>() else {
        return refusal(Error::not_found("the address is malformed"));
    };
    let base_url = format!("{}{BASE}{}", service_url(web, request.headers()), admitted.name);
    *request.uri_mut() = uri;
    drop_what_is_too_long(&mut request).await;
    let directory = admitted.options.serve_at(&base_url, admitted.authentication);
    let resources = web.directories.resources(admitted);
    let response = scim_server::answer(Arc::new(resources), &directory, request).await;
    if let Some(error) = response.extensions().get::<Error>() {
        tracing::debug!(directory = admitted.name, status = error.status().as_u16(), "{}", error.detail());
    }
    response.map(Body::new)
}

/// Takes in what will be refused for its length: a client that is cut off while it sends does not see the answer.
async fn drop_what_is_too_long(request: &mut Request) {
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_none_or(|length: usize| length <= MAX_BODY_BYTES) {
        return;
    }
    let mut body = std::mem::take(request.body_mut()).into_data_stream();
    let arrive = async {
        let mut length = 0;
        while let Some(Ok(bytes)) = body.next().await
            && length <= MAX_DROPPED_BYTES
        {
            length += bytes.len();
        }
    };
    // Whoever is slower is cut off.
    let _ = tokio::time::timeout(LONGEST_DROP, arrive).await;
}

async fn admit(web: &Web, peer: SocketAddr, name: &str, headers: &HeaderMap) -> Result<Admitted, Error> {
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(header) = header else {
        let detail = "the request carries no credentials; paste the directory's token, or its key and secret";
        return Err(Error::unauthorized(CHALLENGE, detail));
    };
    let credentials = Credentials::read(header);
    if let Some(credentials) = &credentials {
        match web.directories.admit(name, credentials).await {
            Ok(Some(admitted)) => return Ok(admitted),
            Ok(None) => {}
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "credentials cannot be looked for");
                return Err(Error::internal());
            }
        }
    }
    let prefix = credentials.as_ref().map(Credentials::prefix).unwrap_or_default();
    let directory = web.directories.store().directory(name).await.map_err(|error| {
        tracing::error!(error = format!("{error:#}"), "a directory cannot be looked for");
        Error::internal()
    })?;
    let directory = directory.map(|directory| directory.id);
    let wait = web.directories.count_wrong(&Attempt {
        way: Way::Credentials,
        directory,
        name,
        tried: prefix,
        from: peer.ip(),
    });
    match wait {
        Some(seconds) => {
            let detail = "too many wrong credentials came from this address; set the right ones and wait a minute";
            Err(Error::too_many_requests(u32::try_from(seconds).unwrap_or(60), detail))
        }
        None => {
            let detail = "these credentials open no directory at this address; copy address and token again, or \
                          rotate them by `agent-host directory rotate`";
            Err(Error::unauthorized(CHALLENGE, detail))
        }
    }
}

/// Where the client reached us: as the settings say, else as it says itself.
fn service_url(web: &Web, headers: &HeaderMap) -> String {
    if let Some(url) = web.directories.public_url() {
        return url.to_owned();
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.filter(|host| host.parse::<Authority>().is_ok_and(|host| !host.as_str().contains('@')));
    let scheme = if web.is_secure() { "https" } else { "http" };
    format!("{scheme}://{}", host.unwrap_or("localhost"))
}

fn refusal(error: Error) -> Response {
    error.into_response().map(Body::new).into_response()
}
