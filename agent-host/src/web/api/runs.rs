//! Jobs and their runs.

use std::sync::Arc;

use axum::{Extension, Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;
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
            runs::{self, JobList, LogPart, RunDetails, RunPage, RunView, RunWish},
        },
    },
};

/// Which runs are wanted.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RunsQuery {
    /// Of this job
    job: Option<String>,
    /// Of jobs that have to do with this connection
    connection: Option<String>,
    /// In this state
    state: Option<StateName>,
    /// `next` of the page before; none for the first
    #[param(value_type = Option<i64>, minimum = 0, maximum = 9007199254740991_i64)]
    cursor: Option<Number>,
    /// How many entries
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500)]
    limit: Option<Limit>,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum StateName {
    Queued,
    Started,
    Success,
    Warning,
    Error,
    Blocked,
    Cancelled,
}

/// How a job is started.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StartQuery {
    /// Do again only what the last run did not do
    #[serde(default)]
    repair: bool,
}

/// From where a log is wanted.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LogQuery {
    /// `next` of the part before; none for the whole log
    #[param(value_type = Option<i64>, minimum = 0, maximum = 9007199254740991_i64)]
    from: Option<Number>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<Web>> {
    OpenApiRouter::new()
        .routes(routes!(list_jobs))
        .routes(routes!(start_job))
        .routes(routes!(list_runs))
        .routes(routes!(show_run))
        .routes(routes!(show_log))
        .routes(routes!(cancel_run))
        .routes(routes!(retry_run))
}

/// All jobs, with their last run and when they are due
#[utoipa::path(get, path = "/jobs", tag = "jobs", responses((status = 200, body = JobList), Refusals))]
async fn list_jobs(State(web): State<Arc<Web>>, Extension(caller): Extension<Caller>) -> Result<Json<JobList>> {
    runs::jobs(&web, &caller).await.map(Json)
}

/// Start a job
#[utoipa::path(post, path = "/jobs/{job}/runs", tag = "jobs",
    params(("job" = String, Path, description = "Its name"), StartQuery),
    responses((status = 202, body = RunView), Refusals))]
async fn start_job(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(job): At<String>,
    Asked(query): Asked<StartQuery>,
) -> Result<(StatusCode, Json<RunView>)> {
    Ok((StatusCode::ACCEPTED, Json(runs::start(&web, &caller, &job, query.repair).await?)))
}

/// Runs, the newest first
#[utoipa::path(get, path = "/runs", tag = "runs", params(RunsQuery), responses((status = 200, body = RunPage), Refusals))]
async fn list_runs(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    Asked(query): Asked<RunsQuery>,
) -> Result<Json<RunPage>> {
    let wish = RunWish {
        job: query.job,
        connection: query.connection,
        state: query.state.map(|state| format!("{state:?}").to_lowercase()),
        cursor: query.cursor.map(|cursor| cursor.0),
        limit: query.limit.map(|limit| limit.0),
    };
    runs::runs(&web, &caller, &wish).await.map(Json)
}

/// A run with its steps
#[utoipa::path(get, path = "/runs/{run}", tag = "runs",
    params(("run" = i64, Path, description = "Its number", minimum = 0, maximum = 9007199254740991_i64)),
    responses((status = 200, body = RunDetails), Refusals))]
async fn show_run(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(run): At<Number>,
) -> Result<Json<RunDetails>> {
    runs::run(&web, &caller, run.0).await.map(Json)
}

/// What a run logged; from `next` of the part before, what has come since
#[utoipa::path(get, path = "/runs/{run}/log", tag = "runs",
    params(("run" = i64, Path, description = "Its number", minimum = 0, maximum = 9007199254740991_i64), LogQuery),
    responses((status = 200, body = LogPart), Refusals))]
async fn show_log(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(run): At<Number>,
    Asked(query): Asked<LogQuery>,
) -> Result<Json<LogPart>> {
    runs::log(&web, &caller, run.0, query.from.map_or(0, |from| from.0)).await.map(Json)
}

/// Ask that a run end; what was done stays done
#[utoipa::path(post, path = "/runs/{run}/cancel", tag = "runs",
    params(("run" = i64, Path, description = "Its number", minimum = 0, maximum = 9007199254740991_i64)),
    responses((status = 202, body = RunView), Refusals))]
async fn cancel_run(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(run): At<Number>,
) -> Result<(StatusCode, Json<RunView>)> {
    Ok((StatusCode::ACCEPTED, Json(runs::cancel(&web, &caller, run.0).await?)))
}

/// Start what a run that failed did not do
#[utoipa::path(post, path = "/runs/{run}/retry", tag = "runs",
    params(("run" = i64, Path, description = "Its number", minimum = 0, maximum = 9007199254740991_i64)),
    responses((status = 202, body = RunView), Refusals))]
async fn retry_run(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(run): At<Number>,
) -> Result<(StatusCode, Json<RunView>)> {
    Ok((StatusCode::ACCEPTED, Json(runs::retry(&web, &caller, run.0).await?)))
}
