//! Traces for OpenTelemetry: spans of runs, steps, exports, orders, imports, requests to managed systems and requests that
//! are answered, sent to a collector in batches, in builds with the feature `otel` alone.
//!
//! A span belongs to a trace when its target is [`connector_api::SPANS`]; the log never shows such spans, and events are no part of them.
//! Attributes are names, numbers and states; every text goes through redaction. What the collector does not take is lost:
//! work never waits for it. Batches, protocol (OTLP over HTTP, in JSON) and sampling are OpenTelemetry's own crates'.

#[cfg(feature = "otel")]
mod collector;
#[cfg(feature = "otel")]
mod span;

use std::future::Future;

use connector_api::Result;
use tracing::{Instrument, Span};

use crate::settings::Settings;

#[cfg(feature = "otel")]
pub(crate) use span::spans;

const SECTION: &str = "Telemetry";

/// Begins to send spans where the settings name a collector. Begun before, it goes on as it is.
///
/// # Errors
/// Of kind `Settings`.
#[cfg(feature = "otel")]
pub(crate) fn start(settings: &Settings) -> Result<()> {
    if let Some(tracer) = collector::start(settings)? {
        span::begin(tracer);
    }
    Ok(())
}

/// Refuses settings that this build cannot obey.
///
/// # Errors
/// Of kind `Settings` where they name a collector.
#[cfg(not(feature = "otel"))]
pub(crate) fn start(settings: &Settings) -> Result<()> {
    let section = settings.section(&[SECTION]);
    if section.text("Endpoint").is_none() {
        return Ok(());
    }
    let hint = "build it with `--features otel`, or remove the key";
    Err(section.error("Endpoint", "names a collector, and this build sends no traces").with_hint(hint))
}

/// What the log's filter says of spans: nothing where they are not sent.
pub(crate) fn directive() -> String {
    #[cfg(feature = "otel")]
    if collector::tracer().is_some() {
        return format!(",{}=info", connector_api::SPANS);
    }
    String::new()
}

/// Sends what is left, within two seconds.
pub(crate) async fn end() {
    #[cfg(feature = "otel")]
    collector::end().await;
}

/// Does the work within the span, and notes in it when the work fails. The span has the field `otel.status_code`.
pub(crate) async fn traced<T>(span: Span, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let outcome = work.instrument(span.clone()).await;
    if outcome.is_err() {
        span.record("otel.status_code", "ERROR");
    }
    outcome
}
