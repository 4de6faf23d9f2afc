//! Sends spans to the collector: in batches, beside the work, from a queue that drops what it has no room for.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use connector_api::Result;
use reqwest::{Client, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use url::Url;

use super::{SECTION, span::TracedSpan};
use crate::{
    outbound,
    settings::{self, Settings},
};

/// Spans that wait; more are dropped, and counted.
const MOST_WAITING: usize = 2_048;
/// Spans that are sent at once, …
const BATCH: usize = 512;
/// … or those that came in this time.
const SEND_EVERY: Duration = Duration::from_secs(5);
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last spans may take when the program ends.
const LONGEST_GOODBYE: Duration = Duration::from_secs(2);
/// Where a collector takes traces, below its address. Source: OTLP over HTTP.
const PATH: &str = "v1/traces";

static QUEUE: OnceLock<mpsc::Sender<Waiting>> = OnceLock::new();
static DROPPED: AtomicU64 = AtomicU64::new(0);

enum Waiting {
    Span(TracedSpan),
    /// All that came before has been sent when this is answered.
    End(oneshot::Sender<()>),
}

struct Collector {
    client: Client,
    url: Url,
    resource: Value,
    is_well: bool,
}

pub(super) fn start(settings: &Settings) -> Result<()> {
    let Some(collector) = Collector::read(settings)? else { return Ok(()) };
    if QUEUE.get().is_none() {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        // Another start came first: that one's goes on.
        if QUEUE.set(queue).is_ok() {
            tokio::spawn(collector.keep(waiting));
        }
    }
    Ok(())
}

pub(super) fn is_on() -> bool {
    QUEUE.get().is_some()
}

pub(super) fn send(span: TracedSpan) {
    if QUEUE.get().is_some_and(|queue| queue.try_send(Waiting::Span(span)).is_err()) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) async fn end() {
    let Some(queue) = QUEUE.get() else { return };
    let (ended, answer) = oneshot::channel();
    let goodbye = async {
        // Where nobody takes it, there is nobody to wait for.
        if queue.send(Waiting::End(ended)).await.is_ok() {
            let _ = answer.await;
        }
    };
    if tokio::time::timeout(LONGEST_GOODBYE, goodbye).await.is_err() {
        tracing::warn!("the last spans did not reach the collector in time");
    }
}

impl Collector {
    /// Reads the section and the variables that others know; none where no address is given.
    fn read(settings: &Settings) -> Result<Option<Self>> {
        let section = settings.section(&[SECTION]);
        let (endpoint, service) = (variable("OTEL_EXPORTER_OTLP_ENDPOINT"), variable("OTEL_SERVICE_NAME"));
        let Some(text) = section.text("Endpoint").or(endpoint.as_deref()) else { return Ok(None) };
        let refuse = |key: &str, what: &str, hint: &str| section.error(key, what).with_hint(hint);
        let url = Url::parse(&format!("{}/{PATH}", text.trim_end_matches('/')));
        let url = url.ok().filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
        let hint = "write such as http://127.0.0.1:4318; `OTEL_EXPORTER_OTLP_ENDPOINT` counts where the key is absent";
        let url = url.ok_or_else(|| refuse("Endpoint", "is no address of a collector", hint))?;
        let client = outbound::client(settings, SECTION, &url, TIMEOUT)?;
        let service = section.text("ServiceName").or(service.as_deref()).unwrap_or("agent-host");
        let machine = whoami::hostname().unwrap_or_default();
        let attributes =
            [("service.name", service), ("service.version", env!("CARGO_PKG_VERSION")), ("host.name", &machine)]
                .map(|(key, text)| json!({ "key": key, "value": { "stringValue": text } }));
        let resource = json!({ "attributes": attributes });
        Ok(Some(Self { client, url, resource, is_well: true }))
    }

    /// Sends what comes, until the end comes.
    async fn keep(mut self, mut waiting: mpsc::Receiver<Waiting>) {
        loop {
            let (mut batch, mut end) = (Vec::new(), None);
            let gather = async {
                while batch.len() < BATCH && end.is_none() {
                    match waiting.recv().await {
                        Some(Waiting::Span(span)) => batch.push(span.json()),
                        Some(Waiting::End(ended)) => end = Some(ended),
                        None => return,
                    }
                }
            };
            // What was gathered until then is sent.
            let _ = tokio::time::timeout(SEND_EVERY, gather).await;
            if !batch.is_empty() {
                self.deliver(batch).await;
            }
            if let Some(ended) = end {
                // Who asked may have gone.
                let _ = ended.send(());
                return;
            }
        }
    }

    async fn deliver(&mut self, spans: Vec<Value>) {
        let scope = json!({ "name": "agent-host", "version": env!("CARGO_PKG_VERSION") });
        let body = json!({
            "resourceSpans": [{ "resource": self.resource, "scopeSpans": [{ "scope": scope, "spans": spans }] }],
        });
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let why = match request.body(body.to_string()).send().await {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answered {}", answer.status().as_u16())),
            Err(error) => Some(error.without_url().to_string()),
        };
        match &why {
            Some(why) if self.is_well => tracing::warn!("spans are lost until the collector is well again: {why}"),
            None if !self.is_well => tracing::info!("the collector is well again"),
            _ => {}
        }
        self.is_well = why.is_none();
        let dropped = DROPPED.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(dropped, "spans were dropped: more came than were sent");
        }
    }
}

fn variable(name: &str) -> Option<String> {
    let value = settings::environment().find(|(key, _)| key == name)?.1.into_string().ok()?;
    Some(value.trim().to_owned()).filter(|value| !value.is_empty())
}
