//! Due times: for every schedule the last one since it was dealt with is queued, whoever else looks for them too.
//!
//! The store knows up to when each schedule's times are dealt with. Where another agent has another schedule for the job,
//! both are kept, and this one says so once.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use super::{Job, Jobs, Schedule};
use crate::store::{Store, WantedRun};

/// A schedule that is dealt with so far beyond now was dealt with by a wrong clock; what that clock ran does not run again.
const WRONG_CLOCK_MS: i64 = 300_000;
/// Between two times that others are told that a schedule is in force.
const SEEN_EVERY_MS: i64 = 60_000;

/// The due times of an agent's jobs.
#[derive(Debug, Default)]
pub(super) struct DueTimes {
    /// When they were first looked for.
    since_ms: OnceLock<i64>,
    /// The jobs for which it is told that another agent has another schedule.
    told: Mutex<BTreeSet<String>>,
}

impl DueTimes {
    /// Queues a run for every job whose time has come since it was last dealt with: one, for the last of those times.
    /// How many.
    ///
    /// # Errors
    /// Where the store fails.
    pub(super) async fn queue(&self, jobs: &Jobs, store: &Store, now_ms: i64) -> anyhow::Result<usize> {
        self.since_ms.get_or_init(|| now_ms);
        let mut queued = 0;
        for (job, schedule) in jobs.jobs.iter().filter_map(|job| Some((job, job.schedule.as_ref()?))) {
            queued += usize::from(self.queue_last(job, schedule, store, now_ms).await?);
        }
        Ok(queued)
    }

    async fn queue_last(&self, job: &Job, schedule: &Schedule, store: &Store, now_ms: i64) -> anyhow::Result<bool> {
        let text = schedule.text();
        let known = store.settled_schedule(&job.name, &text, now_ms).await?;
        let Some(known) = known.filter(|known| known.settled_ms < now_ms + WRONG_CLOCK_MS) else {
            // A new schedule, or one that a wrong clock ran ahead of, counts from now.
            store.settle_until(&job.name, &text, now_ms, now_ms).await?;
            return Ok(false);
        };
        if now_ms - known.seen_ms >= SEEN_EVERY_MS {
            store.see_schedule(&job.name, &text, now_ms).await?;
            self.tell_of_others(job, &text, store).await?;
        }
        let Some(due) = schedule.latest(known.settled_ms, now_ms) else { return Ok(false) };
        let wanted = WantedRun { name: &job.name, cause: "schedule", due_ms: Some(due), repairs: None, place: None };
        // First the run, then that it is dealt with: a crash in between finds the due time taken.
        let run = store.queue_run(&wanted, now_ms).await?;
        store.settle_until(&job.name, &text, due, now_ms).await?;
        self.tell_of_others(job, &text, store).await?;
        match run {
            Some(run) => tracing::info!(job.name, run.id = run, "due at {}: queued", schedule.shown(due)),
            None => tracing::info!(job.name, "due at {}, but it waits already", schedule.shown(due)),
        }
        Ok(run.is_some())
    }

    fn told(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that this agent itself had before its settings changed was not seen since then.
    async fn tell_of_others(&self, job: &Job, text: &str, store: &Store) -> anyhow::Result<()> {
        let since_ms = self.since_ms.get().copied().unwrap_or(i64::MAX);
        if self.told().contains(&job.name) {
            return Ok(());
        }
        if let Some(other) = store.other_schedule(&job.name, text, since_ms).await? {
            tracing::warn!(
                job.name,
                "the schedule here is `{text}`, another agent has `{other}`: the job runs by both; give all agents the \
                 same settings, and an IANA time zone instead of ServerTime"
            );
            self.told().insert(job.name.clone());
        }
        Ok(())
    }
}
