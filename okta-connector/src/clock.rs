//! The clock a connector waits by; tests pass one that they move themselves.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;

/// Where time comes from.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Time since some fixed moment; never goes back.
    fn now(&self) -> Duration;

    /// Time since 1970, as far as this machine knows; may be wrong by minutes.
    fn since_1970(&self) -> Duration;

    /// Returns when `now` has reached `deadline`.
    async fn sleep_until(&self, deadline: Duration);
}

/// The machine's own clock.
#[derive(Debug)]
pub(crate) struct SystemClock(Instant);

impl SystemClock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn since_1970(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    async fn sleep_until(&self, deadline: Duration) {
        tokio::time::sleep_until((self.0 + deadline).into()).await;
    }
}

/// The server's clock, as the `Date` of its answers tells it.
#[derive(Debug)]
pub(crate) struct ServerTime {
    /// Milliseconds from our `now` to the server's time; `UNKNOWN` before the first answer.
    ahead_ms: AtomicI64,
}

const UNKNOWN: i64 = i64::MIN;
/// A difference in seconds that those who check signatures may mind.
const NOTABLE_SECONDS: u64 = 30;

impl ServerTime {
    pub(crate) fn unknown() -> Self {
        Self { ahead_ms: AtomicI64::new(UNKNOWN) }
    }

    /// Seconds since 1970 by the server's clock, by this machine's until an answer has told.
    pub(crate) fn now(&self, clock: &dyn Clock) -> i64 {
        match self.ahead_ms.load(Ordering::Relaxed) {
            UNKNOWN => millis(clock.since_1970()) / 1_000,
            ahead => (millis(clock.now()) + ahead) / 1_000,
        }
    }

    /// Learns from the `Date` of an answer; whether the time was notably another than `now` gave.
    pub(crate) fn learn(&self, date: i64, clock: &dyn Clock) -> bool {
        let was_off = self.now(clock).abs_diff(date) > NOTABLE_SECONDS;
        self.ahead_ms.store(date * 1_000 - millis(clock.now()), Ordering::Relaxed);
        was_off
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 2)
}
