//! The clock a connector waits by; tests pass one that they move themselves.

use std::time::{Duration, Instant};

use async_trait::async_trait;

/// Where time comes from.
#[async_trait]
pub trait Clock: Send + Sync {
    /// Time since some fixed moment; never goes back.
    fn now(&self) -> Duration;

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

    async fn sleep_until(&self, deadline: Duration) {
        tokio::time::sleep_until((self.0 + deadline).into()).await;
    }
}
