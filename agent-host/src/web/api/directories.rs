//! Directories that SCIM clients provision into.

use std::sync::Arc;

use axum::{Extension, Json, extract::State, http::StatusCode};
use scim_server::Kind;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    answer::Refusals,
    connections::PageQuery,
    input::{Asked, At, Limit, Number, Sent},
};
use crate::{
    access::Caller,
    directories::{DirectoryOptions, MAX_PAGE_SIZE},
    store::CallKind,
    web::{
        Web,
        views::{
            Refusal, Result,
            directories::{
                self, CallLog, DeletedPage, DirectoryList, DirectoryView, EventPage, NewSecretView, ResourcePage,
            },
        },
    },
};

/// For how many days a former secret may stay good.
const MAX_FORMER_DAYS: u16 = 90;

/// A directory that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DirectoryBody {
    /// Its name, which becomes a part of its address.
    #[schema(pattern = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    directory: String,
    /// Open it by a key and a secret (Basic) instead of a bearer token.
    #[serde(default)]
    basic: bool,
    /// Switches and limits, as far as they are said.
    #[serde(default)]
    #[schema(value_type = DirectoryOptions)]
    features: Map<String, Value>,
}

/// How a secret is replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RotateBody {
    /// For how many days the one before stays good.
    #[serde(default = "a_week")]
    #[schema(minimum = 0, maximum = 90)]
    former_days: u16,
}

/// Which events are wanted.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// Only what came behind this event
    #[param(value_type = Option<i64>, minimum = 0, maximum = 9007199254740991_i64)]
    after: Option<Number>,
    /// How many entries
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500)]
    limit: Option<Limit>,
}

/// Which calls are wanted.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CallsQuery {
    /// Only those that ended so
    kind: Option<WantedCalls>,
    /// How many entries
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500)]
    limit: Option<Limit>,
}

/// How much of what was deleted is wanted.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DeletedQuery {
    /// How many entries
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500)]
    limit: Option<Limit>,
}

/// How a call ended.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum WantedCalls {
    /// As it was asked.
    Answered,
    /// With an error.
    Refused,
    /// Refused for its credentials.
    SignIn,
}

pub(super) fn routes() -> OpenApiRouter<Arc<Web>> {
    OpenApiRouter::new()
        .routes(routes!(list_directories, create_directory))
        .routes(routes!(show_directory, remove_directory))
        .routes(routes!(rotate_secret))
        .routes(routes!(list_events))
        .routes(routes!(list_calls))
        .routes(routes!(list_deleted))
        .routes(routes!(list_users))
        .routes(routes!(list_groups))
}

/// All directories
#[utoipa::path(get, path = "/directories", tag = "directories", responses((status = 200, body = DirectoryList), Refusals))]
async fn list_directories(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<DirectoryList>> {
    directories::directories(&web, &caller).await.map(Json)
}

/// Make a directory; the answer tells its secret, this once
#[utoipa::path(post, path = "/directories", tag = "directories", request_body(content = DirectoryBody),
    responses((status = 201, body = NewSecretView), Refusals))]
async fn create_directory(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    Sent(body): Sent<DirectoryBody>,
) -> Result<(StatusCode, Json<NewSecretView>)> {
    let features: DirectoryOptions = serde_json::from_value(Value::Object(body.features))
        .map_err(|error| Refusal::unfit(format!("`features` cannot be read: {error}"), "give true or false"))?;
    if features.page_size.is_some_and(|size| !(1..=MAX_PAGE_SIZE).contains(&size)) {
        let message = format!("`page_size` must be from 1 to {MAX_PAGE_SIZE}");
        return Err(Refusal::unfit(message, "leave it out for 100"));
    }
    let made = directories::create(&web, &caller, &body.directory, &features, body.basic).await?;
    Ok((StatusCode::CREATED, Json(made)))
}

/// A directory
#[utoipa::path(get, path = "/directories/{directory}", tag = "directories",
    params(("directory" = String, Path, description = "Its name")),
    responses((status = 200, body = DirectoryView), Refusals))]
async fn show_directory(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(directory): At<String>,
) -> Result<Json<DirectoryView>> {
    directories::one(&web, &caller, &directory).await.map(Json)
}

/// Remove a directory with everything in it
#[utoipa::path(delete, path = "/directories/{directory}", tag = "directories",
    params(("directory" = String, Path, description = "Its name")),
    responses((status = 204, description = "It is removed"), Refusals))]
async fn remove_directory(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(directory): At<String>,
) -> Result<StatusCode> {
    directories::remove(&web, &caller, &directory).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Make a new secret; the answer tells it, this once
#[utoipa::path(post, path = "/directories/{directory}/rotate", tag = "directories",
    params(("directory" = String, Path, description = "Its name")),
    request_body(content = RotateBody),
    responses((status = 200, body = NewSecretView), Refusals))]
async fn rotate_secret(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(directory): At<String>,
    Sent(body): Sent<RotateBody>,
) -> Result<Json<NewSecretView>> {
    if body.former_days > MAX_FORMER_DAYS {
        let message = format!("`former_days` must be from 0 to {MAX_FORMER_DAYS}");
        return Err(Refusal::unfit(message, "leave it out for 7"));
    }
    directories::rotate(&web, &caller, &directory, body.former_days).await.map(Json)
}

/// What changed in a directory, in order
#[utoipa::path(get, path = "/directories/{directory}/events", tag = "directories",
    params(("directory" = String, Path, description = "Its name"), EventsQuery),
    responses((status = 200, body = EventPage), Refusals))]
async fn list_events(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(directory): At<String>,
    Asked(query): Asked<EventsQuery>,
) -> Result<Json<EventPage>> {
    let (after, limit) = (query.after.map_or(0, |after| after.0), query.limit.map(|limit| limit.0));
    directories::events(&web, &caller, &directory, after, limit).await.map(Json)
}

/// What clients asked lately and how they were answered, as Okta sees it
#[utoipa::path(get, path = "/directories/{directory}/calls", tag = "directories",
    params(("directory" = String, Path, description = "Its name"), CallsQuery),
    responses((status = 200, body = CallLog), Refusals))]
async fn list_calls(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(directory): At<String>,
    Asked(query): Asked<CallsQuery>,
) -> Result<Json<CallLog>> {
    let kind = query.kind.map(|kind| match kind {
        WantedCalls::Answered => CallKind::Answered,
        WantedCalls::Refused => CallKind::Refused,
        WantedCalls::SignIn => CallKind::SignIn,
    });
    directories::calls(&web, &caller, &directory, kind, query.limit.map(|limit| limit.0)).await.map(Json)
}

/// What clients deleted, where the directory keeps a trace of it, the newest first
#[utoipa::path(get, path = "/directories/{directory}/deleted", tag = "directories",
    params(("directory" = String, Path, description = "Its name"), DeletedQuery),
    responses((status = 200, body = DeletedPage), Refusals))]
async fn list_deleted(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(directory): At<String>,
    Asked(query): Asked<DeletedQuery>,
) -> Result<Json<DeletedPage>> {
    directories::deleted(&web, &caller, &directory, query.limit.map(|limit| limit.0)).await.map(Json)
}

/// Users as they were received
#[utoipa::path(get, path = "/directories/{directory}/users", tag = "directories",
    params(("directory" = String, Path, description = "Its name"), PageQuery),
    responses((status = 200, body = ResourcePage), Refusals))]
async fn list_users(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(directory): At<String>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<ResourcePage>> {
    resources(&web, &caller, &directory, Kind::User, &query).await
}

/// Groups as they were received
#[utoipa::path(get, path = "/directories/{directory}/groups", tag = "directories",
    params(("directory" = String, Path, description = "Its name"), PageQuery),
    responses((status = 200, body = ResourcePage), Refusals))]
async fn list_groups(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(directory): At<String>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<ResourcePage>> {
    resources(&web, &caller, &directory, Kind::Group, &query).await
}

async fn resources(
    web: &Web,
    caller: &Caller,
    directory: &str,
    kind: Kind,
    query: &PageQuery,
) -> Result<Json<ResourcePage>> {
    let (cursor, limit) = query.parts();
    let cursor = cursor.and_then(|cursor| u64::try_from(cursor).ok());
    directories::resources(web, caller, directory, kind, cursor, limit).await.map(Json)
}

fn a_week() -> u16 {
    7
}
