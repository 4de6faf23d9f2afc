//! A layer of the program's log that makes spans of traces out of spans of the program.
//!
//! The fields `otel.name`, `otel.kind` and `otel.status_code` mean what they mean to others: the name where it is not
//! fixed, `client` or `server`, and `ERROR`.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use connector_api::SPANS;
use serde_json::{Value, json};
use tracing::{
    Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::collector;
use crate::redaction::redact;

/// Characters of a text that are kept.
const MOST_CHARACTERS: usize = 256;

/// A span as the collector gets it.
#[derive(Debug)]
pub(super) struct TracedSpan {
    trace: (u64, u64),
    id: u64,
    parent: Option<u64>,
    name: String,
    kind: u8,
    started_ns: u128,
    ended_ns: u128,
    attributes: Vec<Value>,
    has_failed: bool,
}

/// The layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spans;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id).filter(|span| span.metadata().target() == SPANS) else { return };
        let above = span.scope().skip(1).find_map(|above| {
            let extensions = above.extensions();
            extensions.get::<TracedSpan>().map(|above| (above.trace, above.id))
        });
        let (trace, parent) = match above {
            Some((trace, parent)) => (trace, Some(parent)),
            None => ((some_id(), some_id()), None),
        };
        let mut traced = TracedSpan {
            trace,
            id: some_id(),
            parent,
            name: span.name().to_owned(),
            kind: 1,
            started_ns: now_ns(),
            ended_ns: 0,
            attributes: Vec::new(),
            has_failed: false,
        };
        attributes.record(&mut traced);
        span.extensions_mut().insert(traced);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(traced) = span.extensions_mut().get_mut::<TracedSpan>()
        {
            values.record(traced);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        if let Some(mut traced) = span.extensions_mut().remove::<TracedSpan>() {
            traced.ended_ns = now_ns();
            collector::send(traced);
        }
    }
}

impl Visit for TracedSpan {
    fn record_str(&mut self, field: &Field, text: &str) {
        let text: String = redact(text).chars().take(MOST_CHARACTERS).collect();
        match field.name() {
            "otel.name" => self.name = text,
            "otel.kind" => self.kind = if text == "server" { 2 } else { 3 },
            "otel.status_code" => self.has_failed = text == "ERROR",
            name => self.attributes.push(json!({ "key": name, "value": { "stringValue": text } })),
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attributes.push(json!({ "key": field.name(), "value": { "intValue": value.to_string() } }));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.attributes.push(json!({ "key": field.name(), "value": { "intValue": value.to_string() } }));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.attributes.push(json!({ "key": field.name(), "value": { "boolValue": value } }));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

impl TracedSpan {
    /// In the form of the protocol.
    pub(super) fn json(&self) -> Value {
        let mut span = json!({
            "traceId": format!("{:016x}{:016x}", self.trace.0, self.trace.1),
            "spanId": format!("{:016x}", self.id),
            "name": self.name,
            "kind": self.kind,
            "startTimeUnixNano": self.started_ns.to_string(),
            "endTimeUnixNano": self.ended_ns.max(self.started_ns).to_string(),
            "attributes": self.attributes,
            "status": if self.has_failed { json!({ "code": 2 }) } else { json!({}) },
        });
        if let Some(parent) = self.parent {
            span["parentSpanId"] = format!("{parent:016x}").into();
        }
        span
    }
}

/// An id that no other span has; never 0, which means none.
fn some_id() -> u64 {
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    KEYS.hash_one(COUNT.fetch_add(1, Ordering::Relaxed)).max(1)
}

fn now_ns() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos()
}
