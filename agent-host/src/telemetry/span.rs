//! The layer of the program's log that makes spans of traces out of spans of the program, by OpenTelemetry's own library.
//!
//! The log begins before the collector's address is known, so that the layer is filled in later. The fields `otel.name`,
//! `otel.kind` and `otel.status_code` mean what they mean to others.

use std::sync::OnceLock;

use connector_api::SPANS;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::{Layer, filter, registry::LookupSpan, reload};

use super::collector;

/// Gives the layer of the log the tracer that was made after it.
static LATER: OnceLock<Box<dyn Fn(SdkTracer) + Send + Sync>> = OnceLock::new();

/// The layer: spans of traces alone, without the events in them.
pub(crate) fn spans<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let (layer, handle) = reload::Layer::new(collector::tracer().map(traced));
    // A second log in the same process is none.
    let _ = LATER.set(Box::new(move |tracer| {
        // It fails where nobody logs any more.
        let _ = handle.reload(Some(traced(tracer)));
    }));
    layer.with_filter(filter::filter_fn(|metadata| metadata.is_span() && metadata.target() == SPANS))
}

/// From now on spans are made by this tracer.
pub(super) fn begin(tracer: SdkTracer) {
    if let Some(later) = LATER.get() {
        later(tracer);
    }
}

/// Nothing is noted but what the spans themselves say.
fn traced<S>(tracer: SdkTracer) -> OpenTelemetryLayer<S, SdkTracer>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_threads(false)
        .with_level(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_context_activation(false)
}
