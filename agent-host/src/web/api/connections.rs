//! Connections and their exports.

use std::sync::Arc;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    answer::Refusals,
    input::{Asked, At, Limit, Number},
};
use crate::{
    access::Caller,
    web::{
        Web,
        views::{
            Result,
            connections::{self, CheckedView, ConnectionDetails, ConnectionList},
            exports::{self, ExportHistory, ExportList, ExportView},
            runs::RunView,
        },
    },
};

/// Where a page begins, and how long it is.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// `next` of the page before; none for the first
    #[param(value_type = Option<i64>, minimum = 0, maximum = 9007199254740991_i64)]
    pub(super) cursor: Option<Number>,
    /// How many entries
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500)]
    pub(super) limit: Option<Limit>,
}

impl PageQuery {
    pub(super) fn parts(&self) -> (Option<i64>, Option<u32>) {
        (self.cursor.map(|cursor| cursor.0), self.limit.map(|limit| limit.0))
    }
}

pub(super) fn routes() -> OpenApiRouter<Arc<Web>> {
    OpenApiRouter::new()
        .routes(routes!(list_connections))
        .routes(routes!(show_connection))
        .routes(routes!(check_connection))
        .routes(routes!(list_exports))
        .routes(routes!(show_export, start_export))
        .routes(routes!(show_history))
        .routes(routes!(download))
}

/// All connections, and how they are
#[utoipa::path(get, path = "/connections", tag = "connections", responses((status = 200, body = ConnectionList), Refusals))]
async fn list_connections(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<ConnectionList>> {
    connections::connections(&web, &caller).await.map(Json)
}

/// A connection, how it is, and its settings without secrets
#[utoipa::path(get, path = "/connections/{connection}", tag = "connections",
    params(("connection" = String, Path, description = "Its name")),
    responses((status = 200, body = ConnectionDetails), Refusals))]
async fn show_connection(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(connection): At<String>,
) -> Result<Json<ConnectionDetails>> {
    connections::one(&web, &caller, &connection).await.map(Json)
}

/// Try a connection out now
#[utoipa::path(post, path = "/connections/{connection}/check", tag = "connections",
    params(("connection" = String, Path, description = "Its name")),
    responses((status = 200, body = CheckedView), Refusals))]
async fn check_connection(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(connection): At<String>,
) -> Result<Json<CheckedView>> {
    connections::check(&web, &caller, &connection).await.map(Json)
}

/// The sets of files that are in place
#[utoipa::path(get, path = "/exports", tag = "exports", responses((status = 200, body = ExportList), Refusals))]
async fn list_exports(State(web): State<Arc<Web>>, Extension(caller): Extension<Caller>) -> Result<Json<ExportList>> {
    exports::exports(&web, &caller).await.map(Json)
}

/// The set of files of a connection that is in place
#[utoipa::path(get, path = "/connections/{connection}/exports", tag = "exports",
    params(("connection" = String, Path, description = "Its name")),
    responses((status = 200, body = ExportView), Refusals))]
async fn show_export(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(connection): At<String>,
) -> Result<Json<ExportView>> {
    exports::one(&web, &caller, &connection).await.map(Json)
}

/// Start the export of a connection
#[utoipa::path(post, path = "/connections/{connection}/exports", tag = "exports",
    params(("connection" = String, Path, description = "Its name")),
    responses((status = 202, body = RunView), Refusals))]
async fn start_export(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(connection): At<String>,
) -> Result<(StatusCode, Json<RunView>)> {
    Ok((StatusCode::ACCEPTED, Json(exports::start(&web, &caller, &connection).await?)))
}

/// The sets that were put in place over time
#[utoipa::path(get, path = "/connections/{connection}/exports/history", tag = "exports",
    params(("connection" = String, Path, description = "Its name"), PageQuery),
    responses((status = 200, body = ExportHistory), Refusals))]
async fn show_history(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(connection): At<String>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<ExportHistory>> {
    let (cursor, limit) = query.parts();
    exports::history(&web, &caller, &connection, cursor, limit).await.map(Json)
}

/// A file of the set in place
#[utoipa::path(get, path = "/connections/{connection}/exports/files/{file}", tag = "exports",
    params(
        ("connection" = String, Path, description = "Its name"),
        ("file" = String, Path, description = "A file that the set names, or its manifest")
    ),
    responses(
        (status = 200, description = "The file: CSV, or JSON for the manifest",
            content((String = "text/csv"), (serde_json::Value = "application/json"))),
        Refusals
    ))]
async fn download(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At((connection, file)): At<(String, String)>,
) -> Result<Response> {
    let found = exports::file(&web, &caller, &connection, &file).await?;
    let (kind, bytes) = (HeaderValue::from_static(found.kind()), HeaderValue::from(found.bytes));
    let mut response = Body::from_stream(found.pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CONTENT_LENGTH, bytes);
    let disposition = format!("attachment; filename=\"{}\"", found.name.replace(['"', '\\'], "_"));
    if let Ok(disposition) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, disposition);
    }
    Ok(response)
}
