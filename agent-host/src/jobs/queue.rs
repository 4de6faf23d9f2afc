//! The store's queue as one worker sees it: what is due comes in, what waits is taken up under a lease, what is old goes.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{Clock, Jobs, due::DueTimes};
use crate::{
    leases::Moment,
    store::{Claim, JobRun, Store},
};

/// Of those that are forgotten for their age: a clock that is wrong for a while costs no more.
const MOST_FORGOTTEN: i64 = 200;
const DAY_MS: i64 = 24 * 3_600_000;

/// The queue of a worker.
#[derive(Debug)]
pub struct Queue {
    pub(super) jobs: Jobs,
    pub(super) store: Store,
    /// Of the worker.
    pub(super) name: String,
    pub(super) clock: Clock,
    /// The jobs that it has, where agents that have others share the store.
    own: Option<Vec<String>>,
    /// The id of the orders folder that it sees, where not every agent does.
    place: Option<String>,
    due: DueTimes,
    /// The runs that were taken up and are not over, and when each was asked for.
    at_work: Mutex<BTreeMap<i64, Moment>>,
    /// Told when one of them is over.
    freed: Notify,
}

impl Queue {
    /// Of a worker of this name, which no other has, and which sees the orders folder of this id.
    pub(super) fn new(jobs: Jobs, store: Store, name: String, place: Option<String>, clock: Clock) -> Self {
        let own = store.is_shared().then(|| jobs.jobs.iter().map(|job| job.name.to_lowercase()).collect());
        let (due, at_work, freed) = Default::default();
        Self { jobs, store, name, clock, own, place, due, at_work, freed }
    }

    /// The orders folder that it sees, where not every agent does.
    pub(super) fn place(&self) -> Option<&str> {
        self.place.as_deref()
    }

    /// Queues a run for every job whose time has come since it was last dealt with: one, for the last of those times.
    /// How many.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn add_due(&self) -> anyhow::Result<usize> {
        self.due.queue(&self.jobs, &self.store, (self.clock)()).await
    }

    /// Takes up a run that waits, or this one; none that files ask for which this agent does not see.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn claim(&self, only: Option<i64>) -> anyhow::Result<Option<JobRun>> {
        let asked = Moment::now();
        let at_work: Vec<i64> = self.at_work().keys().copied().collect();
        let claimed = self.store.claim_run(only, &self.wish(&at_work)).await?;
        if let Some(run) = &claimed {
            self.at_work().insert(run.id, asked);
        }
        Ok(claimed)
    }

    /// Forgets what is old, and ends what nobody takes up. How many runs it ended.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn tidy_up(&self) -> anyhow::Result<usize> {
        let (limits, now) = (&self.jobs.limits, (self.clock)());
        let before = now - i64::from(limits.keep_days) * DAY_MS;
        self.store.forget_runs(before, MOST_FORGOTTEN, i64::from(limits.keep_runs)).await?;
        let ended = self.store.end_unclaimed(&self.wish(&[]), now - DAY_MS).await?;
        for (run, job) in &ended {
            self.store.end_open_steps(*run, now).await?;
            tracing::error!(job.name = job, run.id = run, "nobody took up the run for a day: it is ended");
        }
        Ok(ended.len())
    }

    /// Whether one more may be taken up.
    pub(super) fn has_room(&self) -> bool {
        self.at_work().len() < self.jobs.limits.runs_at_once
    }

    /// When the run was asked for, by which its lease began at the earliest.
    pub(super) fn asked_for(&self, run: i64) -> Moment {
        self.at_work().get(&run).copied().unwrap_or(Moment::none())
    }

    /// Makes room where a run is over. One whose end could not be noted is taken up again when its lease has run out.
    pub(super) fn free(&self, run: i64) {
        self.at_work().remove(&run);
        self.freed.notify_one();
    }

    /// Comes when room was made.
    pub(super) async fn freed(&self) {
        self.freed.notified().await;
    }

    fn at_work(&self) -> MutexGuard<'_, BTreeMap<i64, Moment>> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wish<'a>(&'a self, at_work: &'a [i64]) -> Claim<'a> {
        let now_ms = (self.clock)();
        let until_ms = self.jobs.limits.lease.until_ms(now_ms);
        Claim { worker: &self.name, place: self.place(), jobs: self.own.as_deref(), at_work, now_ms, until_ms }
    }
}
