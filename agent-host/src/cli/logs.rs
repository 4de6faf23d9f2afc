//! The log on stderr: text for people or JSON for machines. Progress bars step aside while a line is written, and no
//! line shows a secret that was loaded.

use std::{
    io::{self, IsTerminal, Write},
    sync::OnceLock,
};

use connector_api::SPANS;
use indicatif::MultiProgress;
use tracing::Level;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter,
    fmt::MakeWriter,
    layer::SubscriberExt,
    reload::{self, Handle},
    util::SubscriberInitExt,
};

use super::{Common, Format};
use crate::{jobs::RunLogs, redaction, telemetry};

static BARS: OnceLock<MultiProgress> = OnceLock::new();
/// By which the level changes when settings are read anew.
static FILTER: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();

/// The progress bars of this process.
pub(super) fn bars() -> &'static MultiProgress {
    BARS.get_or_init(MultiProgress::new)
}

/// Starts logging at the level of the settings, or more when `-v` asks for it. Started before, it goes on at this level; at
/// the one it has where none is known.
pub(super) fn start(common: &Common, level: Option<Level>) {
    if level.is_none() && FILTER.get().is_some() {
        return;
    }
    let level = match common.verbose {
        0 => level.unwrap_or(Level::INFO),
        1 => Level::DEBUG,
        _ => Level::TRACE,
    };
    // Libraries below us print addresses and headers at their finer levels: they stay at warnings.
    let ours = ["agent_host", "okta_connector", "connector_api"].map(|name| format!("{name}={level}")).join(",");
    let filter = EnvFilter::builder().parse_lossy(format!("warn,{ours}{}", telemetry::directive()));
    if let Some(known) = FILTER.get() {
        // It fails where nobody logs any more.
        let _ = known.reload(filter);
        return;
    }
    let (filter, handle) = reload::Layer::new(filter);
    // Another start came first: that one's goes on.
    let _ = FILTER.set(handle);
    let builder = tracing_subscriber::fmt::layer().with_target(false).with_writer(AboveBars);
    let registry = tracing_subscriber::registry().with(filter).with(RunLogs);
    #[cfg(feature = "otel")]
    let registry = registry.with(telemetry::spans());
    let no_spans = filter::filter_fn(|metadata| metadata.target() != SPANS);
    // A second start in the same process keeps the first log.
    let _ = match common.log_format {
        Format::Json => registry.with(builder.json().flatten_event(true).with_filter(no_spans)).try_init(),
        Format::Text => registry.with(builder.with_ansi(io::stderr().is_terminal()).with_filter(no_spans)).try_init(),
    };
}

/// Writes to stderr above the progress bars.
#[derive(Debug, Clone, Copy)]
struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        bars().suspend(|| io::stderr().write_all(redaction::redact(&text).as_bytes()))?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for AboveBars {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        *self
    }
}
