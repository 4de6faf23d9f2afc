//! The log of a run: what is logged while its steps are at work, kept up to a size and without secrets.
//!
//! A layer of the program's log sees every event; those that come from within [`RunLog::watch`] go to that run's log
//! too. What a library logs from a task of its own is in the program's log alone.

use std::{
    fmt::{self, Write as _},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use chrono::{DateTime, SecondsFormat};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use super::Clock;
use crate::redaction::redact;

tokio::task_local! {
    static CURRENT: RunLog;
}

/// The log of one run while it is at work.
#[derive(Debug, Clone)]
pub(super) struct RunLog {
    lines: Arc<Mutex<Lines>>,
    clock: Clock,
    least: u8,
}

#[derive(Debug)]
struct Lines {
    text: String,
    /// Bytes that may still be kept.
    left: usize,
    /// Lines for which there was no more room.
    lost: u64,
}

impl RunLog {
    /// A log of this size, from the vendor's number of a level on.
    pub(super) fn new(bytes: usize, least: u8, clock: Clock) -> Self {
        let lines = Lines { text: String::new(), left: bytes, lost: 0 };
        Self { lines: Arc::new(Mutex::new(lines)), clock, least }
    }

    /// Carries out what is logged here.
    pub(super) async fn watch<T>(&self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self.clone(), work).await
    }

    /// What has come and is not kept yet.
    pub(super) fn waiting(&self) -> Option<String> {
        let text = self.lines().text.clone();
        (!text.is_empty()).then_some(text)
    }

    /// So many bytes of it are kept.
    pub(super) fn kept(&self, bytes: usize) {
        self.lines().text.drain(..bytes);
    }

    /// What is not kept yet, and how much was left out over all.
    pub(super) fn finish(&self) -> Option<String> {
        let (text, lost) = (self.waiting(), self.lines().lost);
        if lost == 0 { text } else { Some(text.unwrap_or_default() + &format!("… and {lost} more lines\n")) }
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, event: &Event<'_>) {
        if number(*event.metadata().level()) < self.least {
            return;
        }
        let at = DateTime::from_timestamp_millis((self.clock)()).unwrap_or_default();
        let mut line =
            Line(format!("{} {}", at.to_rfc3339_opts(SecondsFormat::Millis, true), event.metadata().level()));
        event.record(&mut line);
        // What a managed system said may hold what terminals obey.
        let line = redact(&line.0).replace(char::is_control, " ") + "\n";
        let mut lines = self.lines();
        if line.len() <= lines.left && lines.lost == 0 {
            lines.left -= line.len();
            lines.text.push_str(&line);
        } else {
            lines.lost += 1;
        }
    }
}

/// The vendor's number of a level.
fn number(level: Level) -> u8 {
    match level {
        Level::TRACE => 0,
        Level::DEBUG => 1,
        Level::INFO => 2,
        Level::WARN => 3,
        Level::ERROR => 4,
    }
}

/// An event as one line: the message first, then its fields.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a text cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

/// The layer of the program's log that gives runs theirs.
#[derive(Debug, Clone, Copy)]
pub struct RunLogs;

impl<S: Subscriber> Layer<S> for RunLogs {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Outside of a run there is no log but the program's.
        let _ = CURRENT.try_with(|log| log.add(event));
    }
}
