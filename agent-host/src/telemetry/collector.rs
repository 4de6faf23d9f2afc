//! Sends spans to the collector by OpenTelemetry's own libraries: in batches, from a thread and a bounded queue of theirs.
//!
//! Ours are the address and headers of the section `Telemetry`, the client, and what is told when the collector is down.
//! The standard variables `OTEL_…` count where the section says nothing. Requests are made on the program's runtime, so
//! that the batching thread needs none.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use connector_api::Result;
use opentelemetry::{Array, KeyValue, StringValue, Value, trace::TracerProvider};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, RetryPolicy, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{Sampler, SdkTracer, SdkTracerProvider, SpanData, SpanExporter},
};
use reqwest::{
    Client,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::runtime::Handle;
use url::Url;

use super::SECTION;
use crate::{
    outbound,
    redaction::{redact, remember},
    settings::{self, Section, Settings},
};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last spans may take when the program ends.
const LONGEST_GOODBYE: Duration = Duration::from_secs(2);
/// Where a collector takes traces, below its address. Source: OTLP over HTTP.
const PATH: &str = "v1/traces";
/// Characters of a text that are kept.
const MOST_CHARACTERS: usize = 256;
const SERVICE: &str = "agent-host";

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// The client, which adds the headers of the settings.
#[derive(Debug)]
struct Courier {
    client: Client,
    headers: HeaderMap,
    runtime: Handle,
}

/// Takes secrets and long texts out of spans, and tells when the collector does not take them.
#[derive(Debug)]
struct Careful {
    exporter: opentelemetry_otlp::SpanExporter,
    is_unwell: AtomicBool,
}

/// Begins to send spans where an address is given; the tracer that makes them, unless another start came first.
pub(super) fn start(settings: &Settings) -> Result<Option<SdkTracer>> {
    if PROVIDER.get().is_some() {
        return Ok(None);
    }
    let Some(provider) = provider(settings)? else { return Ok(None) };
    let tracer = provider.tracer(SERVICE);
    Ok(PROVIDER.set(provider).is_ok().then_some(tracer))
}

pub(super) fn tracer() -> Option<SdkTracer> {
    PROVIDER.get().map(|provider| provider.tracer(SERVICE))
}

pub(super) async fn end() {
    let Some(provider) = PROVIDER.get() else { return };
    // It waits for the thread that sends, whose requests are made meanwhile on this one.
    let goodbye = tokio::task::spawn_blocking(|| provider.shutdown_with_timeout(LONGEST_GOODBYE));
    if !matches!(goodbye.await, Ok(Ok(()))) {
        tracing::warn!("the last spans did not reach the collector in time");
    }
}

/// Reads the section and the variables that others know; none where no address is given.
fn provider(settings: &Settings) -> Result<Option<SdkTracerProvider>> {
    let section = settings.section(&[SECTION]);
    let Some(url) = address(&section)? else { return Ok(None) };
    let courier = Courier {
        client: outbound::client(settings, SECTION, &url, TIMEOUT)?,
        headers: headers(&section)?,
        runtime: Handle::current(),
    };
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(courier)
        .with_endpoint(url.as_str())
        .with_protocol(Protocol::HttpJson)
        .with_timeout(TIMEOUT)
        .with_retry_policy(RetryPolicy::default().with_max_retries(0))
        .build()
        .map_err(|error| section.error("Endpoint", format_args!("cannot be used for traces: {error}")))?;
    let exporter = Careful { exporter, is_unwell: AtomicBool::new(false) };
    let builder = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource(&section));
    // Else the standard variables say, or every trace is taken.
    let Some(text) = section.text("SampleRatio") else { return Ok(Some(builder.build())) };
    let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).ok_or_else(|| {
        section.error("SampleRatio", "is no number from 0 to 1").with_hint("write such as 0.1 for every tenth trace")
    })?;
    Ok(Some(builder.with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(ratio)))).build()))
}

/// Where traces go: below the address of the settings or the general variable, or where the variable for traces says.
fn address(section: &Section<'_>) -> Result<Option<Url>> {
    let below = |text: &str| format!("{}/{PATH}", text.trim_end_matches('/'));
    let text = section
        .text("Endpoint")
        .map(below)
        .or_else(|| variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
        .or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT").as_deref().map(below));
    let is_off = || variable("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let Some(text) = text.filter(|_| !is_off()) else { return Ok(None) };
    let url = Url::parse(&text).ok().filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    let hint = "write such as http://127.0.0.1:4318; `OTEL_EXPORTER_OTLP_ENDPOINT` counts where the key is absent";
    url.map(Some).ok_or_else(|| section.error("Endpoint", "is no address of a collector").with_hint(hint))
}

/// `Headers`, such as `authorization=Bearer …,x-tenant=a`, as `OTEL_EXPORTER_OTLP_HEADERS` has them.
fn headers(section: &Section<'_>) -> Result<HeaderMap> {
    let refuse = || {
        let error = section.error("Headers", "holds something that is no header");
        error.with_hint("write such as `authorization=Bearer …,x-tenant=a`")
    };
    let mut headers = HeaderMap::new();
    let Some(text) = section.secret("Headers") else { return Ok(headers) };
    for pair in text.expose_secret().split(',').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(refuse)?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).map_err(|_| refuse())?;
        remember([&SecretString::from(value.trim().to_owned())]);
        let mut value = HeaderValue::from_str(value.trim()).map_err(|_| refuse())?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// Who sends: by the settings, else by the standard variables.
fn resource(section: &Section<'_>) -> Resource {
    let machine = whoami::hostname().unwrap_or_default();
    let ours = [KeyValue::new("service.version", env!("CARGO_PKG_VERSION")), KeyValue::new("host.name", machine)];
    let builder = Resource::builder().with_attributes(ours);
    let told = variable("OTEL_SERVICE_NAME").is_some()
        || variable("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|text| text.contains("service.name="));
    match section.text("ServiceName") {
        Some(name) => builder.with_service_name(name.to_owned()).build(),
        None if told => builder.build(),
        None => builder.with_service_name(SERVICE).build(),
    }
}

fn variable(name: &str) -> Option<String> {
    let value = settings::environment().find(|(key, _)| key == name)?.1.into_string().ok()?;
    Some(value.trim().to_owned()).filter(|value| !value.is_empty())
}

#[async_trait]
impl HttpClient for Courier {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> std::result::Result<Response<Bytes>, HttpError> {
        request.headers_mut().extend(self.headers.clone());
        let client = self.client.clone();
        self.runtime.spawn(async move { client.send_bytes(request).await }).await?
    }
}

impl SpanExporter for Careful {
    async fn export(&self, mut spans: Vec<SpanData>) -> OTelSdkResult {
        spans.iter_mut().for_each(clean);
        let outcome = self.exporter.export(spans).await;
        let was_unwell = self.is_unwell.swap(outcome.is_err(), Ordering::Relaxed);
        match &outcome {
            Err(why) if !was_unwell => {
                tracing::warn!("spans are lost until the collector is well again: {}", redact(&why.to_string()));
            }
            Ok(()) if was_unwell => tracing::info!("the collector is well again"),
            _ => {}
        }
        outcome
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Every text goes through redaction and is cut; values of kinds that are never noted are left out.
fn clean(span: &mut SpanData) {
    span.name = cut(&span.name).into();
    for attribute in &mut span.attributes {
        match &mut attribute.value {
            Value::String(text) => *text = cut(text.as_str()).into(),
            Value::Bool(_) | Value::I64(_) | Value::F64(_) => {}
            other => *other = Value::Array(Array::String(Vec::<StringValue>::new())),
        }
    }
}

fn cut(text: &str) -> String {
    redact(text).chars().take(MOST_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut() {
        assert_eq!(cut(&"ü".repeat(1000)).chars().count(), MOST_CHARACTERS);
        assert_eq!(cut("short"), "short");
    }
}
