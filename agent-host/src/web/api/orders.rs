//! Provisioning orders of a connection.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    answer::Refusals,
    connections::PageQuery,
    input::{Asked, At, Limit, Number, Sent, malformed, must_be_json},
};
use crate::{
    access::Caller,
    fulfill::PlanReport,
    web::{
        Web,
        views::{
            Result,
            deliveries::{Delivered, deliver},
            orders::{self, OrderQueue, OrderRunPage, ResultPage},
            runs::RunView,
        },
    },
};

const KEY: &str = "Idempotency-Key";
/// Letters of a key.
const MAX_KEY: usize = 128;

/// Orders, as the engine writes them.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes what is streamed to a file unread")]
enum OrdersBody {
    /// The engine's own shape.
    List(OrdersList),
    /// The list alone.
    Bare(Vec<Value>),
}

/// The engine's own shape.
#[derive(Serialize, ToSchema)]
struct OrdersList {
    /// One order each; what cannot be understood is reported as Errored.
    #[serde(rename = "ProvisioningOrdersList")]
    orders: Vec<Value>,
}

/// Leave to go over a safety limit.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ApprovalBody {
    /// The code that was given when the orders were refused.
    #[schema(min_length = 1, max_length = 64)]
    code: String,
}

/// Which results are wanted.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ResultsQuery {
    /// Only what errored
    #[serde(default)]
    errored: bool,
    /// `next` of the page before; none for the first
    #[param(value_type = Option<i64>, minimum = 0, maximum = 9007199254740991_i64)]
    cursor: Option<Number>,
    /// How many entries
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500)]
    limit: Option<Limit>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<Web>> {
    OpenApiRouter::new()
        .routes(routes!(show_orders, send_orders))
        .routes(routes!(plan_orders))
        .routes(routes!(approve_orders))
        .routes(routes!(list_order_runs))
        .routes(routes!(show_results))
}

/// Orders that wait, and approvals that may be given
#[utoipa::path(get, path = "/connections/{connection}/orders", tag = "orders",
    params(("connection" = String, Path, description = "Its name")),
    responses((status = 200, body = OrderQueue), Refusals))]
async fn show_orders(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(connection): At<String>,
) -> Result<Json<OrderQueue>> {
    orders::queue(&web, &caller, &connection).await.map(Json)
}

/// Send orders, which are carried out at once
///
/// At most 64 MiB. What is sent again under the same `Idempotency-Key` within 48 hours is answered as before and taken once.
#[utoipa::path(post, path = "/connections/{connection}/orders", tag = "orders",
    params(
        ("connection" = String, Path, description = "Its name"),
        ("Idempotency-Key" = Option<String>, Header, description = "Names this delivery", pattern = "^[!-~]{1,128}$")
    ),
    request_body(content = OrdersBody),
    responses((status = 202, body = Delivered, headers(("Location" = String, description = "The run"))), Refusals))]
async fn send_orders(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(connection): At<String>,
    request: Request,
) -> Result<Response> {
    let key = key(request.headers())?.map(str::to_owned);
    must_be_json(request.headers())?;
    let delivered = deliver(&web, &caller, &connection, key.as_deref(), request.into_body()).await?;
    let location = format!("/api/v1/runs/{}", delivered.run);
    let mut response = (StatusCode::ACCEPTED, Json(delivered)).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// What the orders that wait would change; nothing is sent
#[utoipa::path(get, path = "/connections/{connection}/orders/plan", tag = "orders",
    params(("connection" = String, Path, description = "Its name")),
    responses((status = 200, body = PlanReport), Refusals))]
async fn plan_orders(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(connection): At<String>,
) -> Result<Json<PlanReport>> {
    orders::plan(&web, &caller, &connection).await.map(Json)
}

/// Let orders go over a safety limit, once
#[utoipa::path(post, path = "/connections/{connection}/orders/approvals", tag = "orders",
    params(("connection" = String, Path, description = "Its name")),
    request_body(content = ApprovalBody),
    responses((status = 202, body = RunView), Refusals))]
async fn approve_orders(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(connection): At<String>,
    Sent(body): Sent<ApprovalBody>,
) -> Result<(StatusCode, Json<RunView>)> {
    Ok((StatusCode::ACCEPTED, Json(orders::approve(&web, &caller, &connection, &body.code).await?)))
}

/// Runs of fulfilment, the newest first
#[utoipa::path(get, path = "/connections/{connection}/orders/runs", tag = "orders",
    params(("connection" = String, Path, description = "Its name"), PageQuery),
    responses((status = 200, body = OrderRunPage), Refusals))]
async fn list_order_runs(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(connection): At<String>,
    Asked(query): Asked<PageQuery>,
) -> Result<Json<OrderRunPage>> {
    let (cursor, limit) = query.parts();
    orders::order_runs(&web, &caller, &connection, cursor, limit).await.map(Json)
}

/// What came of the orders of a run
#[utoipa::path(get, path = "/connections/{connection}/orders/runs/{order_run}", tag = "orders",
    params(
        ("connection" = String, Path, description = "Its name"),
        ("order_run" = i64, Path, description = "Its number", minimum = 0, maximum = 9007199254740991_i64),
        ResultsQuery
    ),
    responses((status = 200, body = ResultPage), Refusals))]
async fn show_results(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At((connection, run)): At<(String, Number)>,
    Asked(query): Asked<ResultsQuery>,
) -> Result<Json<ResultPage>> {
    let (cursor, limit) = (query.cursor.map(|cursor| cursor.0), query.limit.map(|limit| limit.0));
    orders::results(&web, &caller, &connection, run.0, query.errored, cursor, limit).await.map(Json)
}

/// The key of a delivery, if it has one.
fn key(headers: &HeaderMap) -> Result<Option<&str>> {
    let Some(key) = headers.get(KEY) else { return Ok(None) };
    let is_fit = |key: &&str| (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
    let key = key.to_str().ok().filter(is_fit);
    let refusal = || malformed(format!("`{KEY}` must have 1 to {MAX_KEY} visible letters of ASCII"));
    key.map(Some).ok_or_else(refusal)
}
