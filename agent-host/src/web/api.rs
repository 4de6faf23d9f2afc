//! `/api/v1`: what the views show and do, as JSON for programs that come with a token.
//!
//! Routes and their description come from one macro. Every one asks for a token, the description too. A refusal is always
//! `{"error":{"kind","message","hint"}}`. Wrong tokens of one address are slowed down and audited, the first and the first
//! too many; right ones never wait.

mod answer;
mod connections;
mod directories;
mod input;
mod orders;
mod people;
mod runs;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension, Json, Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use utoipa::{
    Modify, OpenApi, ToSchema,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use self::answer::{ErrorBody, Refusals};
use super::{LONGEST_REQUEST, Web, in_time, patience::Tried, views::Refusal};
use crate::{
    access::{Caller, Scope},
    credential::Credentials,
    tokens,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Agent", description = "What the agent shows and does, for programs."),
    components(schemas(ErrorBody)),
    modifiers(&Bearer),
    security(("token" = []))
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        openapi.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

/// Who calls.
#[derive(Debug, Serialize, ToSchema)]
struct Me {
    /// As the audit names them.
    name: String,
    /// `viewer`, `operator` or `administrator`.
    role: &'static str,
    /// The connections it holds for; none where it holds for all.
    connections: Option<Vec<String>>,
}

/// Everything below `/api`.
pub(super) fn routes(web: &Arc<Web>) -> Router<Arc<Web>> {
    let (router, v1) = OpenApiRouter::new().routes(routes!(me)).merge(all()).split_for_parts();
    let description = Arc::new(Description::openapi().nest("/api/v1", v1));
    let describe = move || async move { Json((*description).clone()) };
    let router = Router::new()
        .nest("/v1", router)
        .route("/openapi.json", get(describe))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(middleware::from_fn_with_state(web.clone(), authenticate));
    answered(router, LONGEST_REQUEST)
}

/// The same, answering in time, and in our words alone.
fn answered<S: Clone + Send + Sync + 'static>(router: Router<S>, longest: Duration) -> Router<S> {
    let in_time = middleware::from_fn_with_state(longest, in_time);
    router.layer(in_time).layer(middleware::map_response(answer::in_our_words))
}

fn all() -> OpenApiRouter<Arc<Web>> {
    connections::routes()
        .merge(runs::routes())
        .merge(orders::routes())
        .merge(people::routes())
        .merge(directories::routes())
}

/// Who I am, and what I may do
#[utoipa::path(get, path = "/me", tag = "me", responses((status = 200, body = Me), Refusals))]
async fn me(Extension(caller): Extension<Caller>) -> Json<Me> {
    let connections = match caller.scope {
        Scope::All => None,
        Scope::Connections(names) => Some(names),
    };
    Json(Me { name: caller.name, role: caller.role.name(), connections })
}

async fn authenticate(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    match admit(&web, peer, request.headers()).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(response) => response,
    }
}

/// Who shows this token; else what they are told.
pub(super) async fn admit(web: &Web, peer: SocketAddr, headers: &HeaderMap) -> Result<Caller, Response> {
    let unauthorized = |message: &str| {
        let hint = "send `Authorization: Bearer …` with a token that `agent-host token create` made";
        Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", message, hint).into_response()
    };
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(header) = header else { return Err(unauthorized("the request carries no token")) };
    let credentials = Credentials::read(header);
    if let Some(credentials) = &credentials {
        let admitted = tokens::admit(web.store(), credentials, web.now_ms()).await;
        if let Some(caller) = admitted.map_err(|error| Refusal::from(error).into_response())? {
            return Ok(caller);
        }
    }
    let prefix = credentials.as_ref().map(Credentials::prefix).unwrap_or_default();
    let wait = web.count_wrong(Tried::Token, peer.ip(), prefix).await;
    match wait {
        None => Err(unauthorized("the token is none that is in force")),
        Some(seconds) => {
            let message = "too many wrong tokens came from this address";
            let hint = "set the right one and wait a minute";
            let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "throttled", message, hint);
            let mut response = refusal.into_response();
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            Err(response)
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What a server of these routes answers, head and body.
    async fn asked(router: Router, method: &str) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let server = tokio::spawn(axum::serve(listener, router).into_future());
        let request = format!("{method} /slow HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        server.abort();
        answer
    }

    #[tokio::test]
    async fn what_takes_too_long_is_told_in_our_words() {
        for method in ["GET", "POST"] {
            let slow = axum::routing::any(std::future::pending::<()>);
            let router = answered(Router::new().route("/slow", slow), Duration::from_millis(1));
            let answer = asked(router, method).await;
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
            let told = r#"{"error":{"kind":"unavailable","message":"the answer took too long","hint":"see what came"#;
            assert!(answer.contains(told), "{answer}");
        }
    }
}
