//! The journal of one order: its notes go to the store, and what was noted before is told to whoever asks.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use connector_api::{Earlier, Error, ErrorKind, Journal, Result, async_trait};

use crate::store::{Notes, OrderPlace, StoreFailed};

pub use crate::leases::Clock;

/// The steps of an order that are known, and what came of them where that is known.
pub(super) type Steps = HashMap<String, Option<String>>;

/// The journal of one order.
#[derive(Debug)]
pub(super) struct OrderJournal<'a> {
    notes: &'a Notes,
    place: OrderPlace,
    clock: Clock,
    steps: Mutex<Steps>,
    failure: Mutex<Option<StoreFailed>>,
    waited_us: &'a AtomicU64,
}

impl<'a> OrderJournal<'a> {
    /// `steps` are those of earlier attempts; `waited_us` counts the time spent waiting for notes.
    pub(super) fn new(
        notes: &'a Notes,
        place: OrderPlace,
        steps: Steps,
        clock: Clock,
        waited_us: &'a AtomicU64,
    ) -> Self {
        Self { notes, place, clock, steps: Mutex::new(steps), failure: Mutex::new(None), waited_us }
    }

    /// Why notes could not be kept, if they could not; and the steps that are known now.
    pub(super) fn into_parts(self) -> (Option<StoreFailed>, Steps) {
        let failure = self.failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        (failure, self.steps.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn failed(&self, failure: StoreFailed) -> Error {
        let error = Error::new(ErrorKind::Unavailable, "the journal cannot be kept").with_source(failure.clone());
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        error
    }

    fn note(&self, step: &str, result: Option<&str>) -> Option<Option<String>> {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.insert(step.to_owned(), result.map(str::to_owned))
    }
}

#[async_trait]
impl Journal for OrderJournal<'_> {
    async fn begin(&self, step: &str) -> Result<Earlier> {
        let known = self.steps.lock().unwrap_or_else(PoisonError::into_inner).get(step).cloned();
        if let Some(Some(result)) = known {
            return Ok(Earlier::Done(result));
        }
        // One that began before is noted again: nobody else may be at it.
        let began = stopwatch();
        let kept = self.notes.begun(self.place, step, (self.clock)()).await;
        self.waited_us.fetch_add(micros(began.elapsed()), Ordering::Relaxed);
        kept.map_err(|failure| self.failed(failure))?;
        self.note(step, None);
        Ok(if known.is_some() { Earlier::Unknown } else { Earlier::None })
    }

    async fn done(&self, step: &str, result: &str) -> Result<()> {
        self.note(step, Some(result));
        let kept = self.notes.done(self.place, step, result, (self.clock)()).await;
        kept.map_err(|failure| self.failed(failure))
    }
}

/// For durations alone, which decide nothing.
pub(super) fn stopwatch() -> Instant {
    Instant::now()
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
