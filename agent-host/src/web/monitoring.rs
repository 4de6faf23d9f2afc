//! `/healthz`, `/readyz` and `/metrics`: whether the agent lives, whether it can work, and what it has done.
//!
//! The first two tell nothing that a stranger could use and ask nobody who they are. Figures name connections and jobs:
//! they are for this machine, for who shows a token, and for all where `Web:MetricsWithoutToken` says so.

use std::{fs, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::{DateTime, SecondsFormat};
use connector_api::SPANS;
use serde_json::{Value, json};
use tracing::{Instrument, field::Empty};

use super::{Web, api, guarded};
use crate::{
    access::Role,
    monitoring::{Ailment, Monitoring, Part, families},
    settings::Settings,
};

/// How long the store may take to answer.
const LONGEST_PING: Duration = Duration::from_secs(5);
/// What who comes before the store is there is told, in seconds.
const AGAIN_SOON: (HeaderName, &str) = (header::RETRY_AFTER, "10");
const WITHOUT_TOKEN: &str = "MetricsWithoutToken";
const DAY_MS: i64 = 24 * 3_600_000;
/// Of the system's clock, by which Linux counts processor time; the same on every machine since Linux 2.6.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_BYTES: f64 = 4096.0;

pub(super) fn routes() -> Router<Arc<Web>> {
    Router::new().route("/healthz", get(alive)).route("/readyz", get(ready)).route("/metrics", get(metrics))
}

/// What is served as long as there is nothing else yet: that the process lives, and what it waits for.
pub fn waiting(monitoring: Arc<Monitoring>) -> Router {
    let ready = move || async move { told(&monitoring.health.ailments()) };
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .fallback(|| async { (StatusCode::SERVICE_UNAVAILABLE, [AGAIN_SOON], "The agent waits for its store.\n") })
        .layer(middleware::map_response(guarded))
}

async fn alive() -> &'static str {
    "ok\n"
}

/// Counts what is answered, by area and status; nothing of who asks for what.
pub(super) async fn counted(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let first = request.uri().path().split('/').nth(1).unwrap_or_default();
    let area = match first {
        "scim" => "scim",
        "api" => "api",
        "PasswordReset" => "password",
        "healthz" | "readyz" | "metrics" => "monitoring",
        _ => "pages",
    };
    let span = tracing::info_span!(
        target: SPANS,
        "answer",
        otel.name = format_args!("{} {area}", request.method()),
        otel.kind = "server",
        http.request.method = request.method().as_str(),
        http.response.status_code = Empty,
        otel.status_code = Empty,
    );
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    // Collectors know signed numbers alone.
    span.record("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    let labels = [("area", area), ("status", status.as_str())];
    web.around.monitoring.metrics.add(families::SERVED, &labels, 1.0);
    response
}

/// `{"ready":false,"parts":[{"part":"store","ok":false,"since":"2026-01-01T00:00:00Z"},…]}`
async fn ready(State(web): State<Arc<Web>>) -> Response {
    let health = &web.around.monitoring.health;
    let answers = tokio::time::timeout(LONGEST_PING, web.directories.store().ping()).await;
    let mut unwell = health.ailments();
    if !answers.is_ok_and(|answer| answer.is_ok()) && !unwell.iter().any(|ailment| ailment.part == Part::Store) {
        unwell.push(Ailment { part: Part::Store, since_ms: web.directories.now() });
    }
    told(&unwell)
}

fn told(unwell: &[Ailment]) -> Response {
    let parts: Vec<Value> = Part::ALL.iter().map(|part| described(*part, unwell)).collect();
    let is_ready = !unwell.iter().any(|ailment| ailment.part.is_needed());
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let body = json!({ "ready": is_ready, "parts": parts }).to_string();
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn described(part: Part, unwell: &[Ailment]) -> Value {
    match unwell.iter().find(|ailment| ailment.part == part) {
        None => json!({ "part": part.name(), "ok": true }),
        Some(ailment) => {
            let since = DateTime::from_timestamp_millis(ailment.since_ms).unwrap_or_default();
            let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
            json!({ "part": part.name(), "ok": false, "since": since })
        }
    }
}

async fn metrics(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    if let Err(refusal) = may_read_metrics(&web, peer, &headers).await {
        return refusal;
    }
    if let Err(error) = measure(&web).await {
        tracing::warn!("figures of the store are missing: {error:#}");
    }
    let text = web.around.monitoring.metrics.text();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// `Web:MetricsWithoutToken`.
///
/// # Errors
/// Of kind `Settings`.
pub(super) fn without_token(settings: &Settings) -> connector_api::Result<Option<bool>> {
    let section = settings.section(&["Web"]);
    section.text(WITHOUT_TOKEN).map(|_| section.flag(WITHOUT_TOKEN, false)).transpose()
}

/// Whether whoever asks may read figures; else what they are told. What a proxy on this machine hands on does not come
/// from this machine.
async fn may_read_metrics(web: &Web, peer: SocketAddr, headers: &HeaderMap) -> Result<(), Response> {
    let is_handed_on =
        ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name));
    if web.metrics_without_token.unwrap_or_else(|| peer.ip().to_canonical().is_loopback() && !is_handed_on) {
        return Ok(());
    }
    match api::admit(web, peer, headers).await?.may(Role::Viewer) {
        true => Ok(()),
        false => {
            Err((StatusCode::FORBIDDEN, "Figures are of all connections: the token is for some.\n").into_response())
        }
    }
}

/// Sets the figures that are so at this moment.
async fn measure(web: &Web) -> anyhow::Result<()> {
    let Monitoring { metrics, health } = &*web.around.monitoring;
    metrics.set(families::BUILD, &[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    let unwell = health.ailments();
    for part in Part::ALL {
        let is_up = !unwell.iter().any(|ailment| ailment.part == part);
        metrics.set(families::UP, &[("part", part.name())], f64::from(u8::from(is_up)));
    }
    if let Some((memory, processor)) = usage() {
        metrics.set(families::MEMORY, &[], memory);
        metrics.set(families::PROCESSOR, &[], processor);
    }
    let (store, now_ms) = (web.directories.store(), web.directories.now());
    let queue = store.queue_figures().await?;
    metrics.set(families::QUEUED, &[], count(queue.queued));
    metrics.set(families::QUEUE_AGE, &[], seconds(queue.queued_ms.map_or(0, |queued| now_ms - queued)));
    metrics.set(families::STARTED, &[], count(queue.started));
    let lease = web.jobs.limits.lease;
    let lease_age_ms = queue.lease_until_ms.map_or(0, |until_ms| lease.until_ms(now_ms) - until_ms);
    metrics.set(families::LEASE_AGE, &[], seconds(lease_age_ms));
    metrics.set(families::NOTIFICATIONS, &[], count(store.notifications_waiting().await?));
    let (steps_done, audited) = (store.steps_done().await?, store.audit_figures(now_ms - DAY_MS).await?);
    // Nothing is waited for between the two, so that nobody else reads that there is none.
    metrics.clear(families::LAST_DONE);
    for done in steps_done {
        // Of what is no longer a job's, nobody waits for the next time.
        let mut steps = web.jobs.jobs.iter().flat_map(|job| &job.steps);
        let known = steps.find(|it| it.kind.name() == done.kind && it.connection.to_lowercase() == done.connection);
        if let Some(step) = known {
            let labels = [("kind", step.kind.name()), ("connection", step.connection.as_str())];
            metrics.set(families::LAST_DONE, &labels, seconds(done.ended_ms));
        }
    }
    metrics.clear(families::AUDITED);
    for (action, outcome, lines) in audited {
        metrics.set(families::AUDITED, &[("action", &action), ("outcome", &outcome)], count(lines));
    }
    Ok(())
}

/// Bytes in memory and seconds of processor time; none where the system does not tell. Source: proc(5).
fn usage() -> Option<(f64, f64)> {
    let pages: f64 = fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |field: usize| fields.get(field)?.parse::<f64>().ok();
    Some((pages * PAGE_BYTES, (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND))
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn count(value: i64) -> f64 {
    value as f64
}

fn seconds(ms: i64) -> f64 {
    count(ms.max(0)) / 1000.0
}
