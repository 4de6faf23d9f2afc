//! Takes runs from the store's queue and carries them out, each under a lease that it renews while it is at it.
//!
//! Due times are queued here too. What a worker leaves when it dies another takes up once the lease has run out; what it
//! leaves when it is asked to end, at once. A worker that finds its lease gone drops what it is doing.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    pin::pin,
    time::Duration,
};

use futures::{StreamExt, channel::mpsc};
use tokio::sync::{Notify, watch};

use super::{Clock, Course, Jobs, OrdersWatch, course::wanted, log::RunLog, run::Steps, step::Ended};
use crate::{
    agent::Agent,
    store::{JobRun, Lease, RunState, Store, WantedRun},
};

/// How long a run is a worker's that says nothing more.
const LEASE_MS: i64 = 30_000;
/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// Between two looks at the queue.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two times that old runs are forgotten.
const FORGET_EVERY_MS: i64 = 3_600_000;
/// A run that has ended so many of its workers is not taken up again.
const MAX_ATTEMPTS: i64 = 3;
/// A schedule that is dealt with so far beyond now was dealt with by a wrong clock.
const WRONG_CLOCK_MS: i64 = 24 * 3_600_000;
const DAY_MS: i64 = 24 * 3_600_000;

/// One worker of an agent.
#[derive(Debug)]
pub struct Worker<'a> {
    agent: &'a Agent,
    jobs: &'a Jobs,
    store: &'a Store,
    name: String,
    clock: Clock,
    course: watch::Receiver<Course>,
}

/// Why a run may not go on as it does.
enum Stopped {
    Cancelled,
    Lost,
}

impl<'a> Worker<'a> {
    /// A worker of this name, which no other has.
    pub fn new(agent: &'a Agent, jobs: &'a Jobs, store: &'a Store, name: String, clock: Clock) -> Self {
        Self { agent, jobs, store, name, clock, course: watch::channel(Course::GoOn).1 }
    }

    /// The same, asked to end by this.
    pub fn asked_by(mut self, course: watch::Receiver<Course>) -> Self {
        self.course = course;
        self
    }

    /// Queues a run for every job whose time has come since it was last dealt with: one, for the last of those times.
    /// How many.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn queue_due(&self) -> anyhow::Result<usize> {
        let now = (self.clock)();
        let mut queued = 0;
        for (job, schedule) in self.jobs.jobs.iter().filter_map(|job| Some((job, job.schedule.as_ref()?))) {
            let text = schedule.text();
            let settled = self.store.settled_until(&job.name, &text).await?;
            let Some(settled) = settled.filter(|settled| *settled < now + WRONG_CLOCK_MS) else {
                // A new schedule, or one that a wrong clock ran ahead of, counts from now.
                self.store.settle_until(&job.name, &text, now).await?;
                continue;
            };
            let Some(due) = schedule.latest(settled, now) else { continue };
            let wanted = WantedRun { name: &job.name, cause: "schedule", due_ms: Some(due), repairs: None };
            // First the run, then that it is dealt with: a crash in between finds the due time taken.
            let run = self.store.queue_run(&wanted, now).await?;
            self.store.settle_until(&job.name, &text, due).await?;
            match run {
                Some(run) => {
                    queued += 1;
                    tracing::info!(job.name, run.id = run, "due at {}: queued", schedule.shown(due));
                }
                None => tracing::info!(job.name, "due at {}, but it waits already", schedule.shown(due)),
            }
        }
        Ok(queued)
    }

    /// Takes up a run that waits, or this one.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn claim(&self, only: Option<i64>) -> anyhow::Result<Option<JobRun>> {
        let now = (self.clock)();
        self.store.claim_run(only, &self.name, now, now + LEASE_MS).await
    }

    /// Carries out a run that was taken up. How it ended; none where it is another's now.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn carry_out(&self, run: &JobRun) -> anyhow::Result<Option<RunState>> {
        let log = match self.jobs.job(&run.name) {
            Ok(job) => RunLog::new(self.jobs.limits.log_bytes, job.log_level, self.clock),
            Err(_) => RunLog::new(self.jobs.limits.log_bytes, 0, self.clock),
        };
        let ended = log.watch(self.attempt(run, &log)).await?;
        if let Some(text) = log.finish() {
            self.store.add_to_log(run.id, &text).await?;
        }
        let Some(Ended { state, message }) = ended else { return Ok(None) };
        let ours = self.store.end_job_run(run.id, &self.name, state, &message, (self.clock)()).await?;
        Ok(ours.then_some(state))
    }

    async fn attempt(&self, run: &JobRun, log: &RunLog) -> anyhow::Result<Option<Ended>> {
        let failed = |message: String| {
            tracing::error!(run.id, "{message}");
            Ok(Some(Ended { state: RunState::Error, message }))
        };
        let job = match self.jobs.job(&run.name) {
            Ok(job) => job,
            Err(error) => return failed(error.to_string()),
        };
        if run.attempts > MAX_ATTEMPTS {
            return failed(format!("its agent ended {MAX_ATTEMPTS} times while it was at it"));
        }
        tracing::info!(job.name, run.id, cause = run.cause, attempt = run.attempts, "the run begins");
        let mut done_before = Vec::new();
        for earlier in run.repairs.into_iter().chain((run.attempts > 1).then_some(run.id)) {
            done_before.extend(self.store.steps_of(earlier).await?);
        }
        let (agent, store, limits, clock) = (self.agent, self.store, &self.jobs.limits, self.clock);
        let progress = RefCell::new(BTreeMap::new());
        let (wish, course) = watch::channel(Course::GoOn);
        let steps = Steps { agent, store, job, limits, clock, run: run.id, progress, course };
        let mut work = pin!(steps.carry_out(&done_before));
        let mut out_of_time = pin!(tokio::time::sleep(job.timeout));
        loop {
            let wished = *wish.borrow();
            tokio::select! {
                // The lease first: what is no longer ours is not carried on with.
                biased;
                stopped = self.keep(run.id, log, &steps, wished == Course::Cancel) => match stopped? {
                    Stopped::Lost => {
                        tracing::warn!(job.name, run.id, "the run is another worker's now: dropped");
                        return Ok(None);
                    }
                    Stopped::Cancelled => {
                        tracing::warn!(job.name, run.id, "cancelled");
                        wish.send_replace(Course::Cancel);
                    }
                },
                () = wanted(self.course.clone(), Course::HandOver), if wished < Course::HandOver => {
                    wish.send_replace(Course::HandOver);
                }
                () = &mut out_of_time => {
                    return failed(format!("not done after {} minutes: stopped", job.timeout.as_secs() / 60));
                }
                ended = &mut work => return ended,
            }
        }
    }

    /// Renews the lease and keeps the log until there is a reason to stop.
    async fn keep(&self, run: i64, log: &RunLog, steps: &Steps<'_>, is_cancelled: bool) -> anyhow::Result<Stopped> {
        loop {
            let message = steps.progress.borrow().values().cloned().collect::<Vec<_>>().join(" · ");
            match self.store.renew_run(run, &self.name, (self.clock)() + LEASE_MS, &message).await? {
                Lease::Held => {}
                Lease::Cancelled if is_cancelled => {}
                Lease::Cancelled => return Ok(Stopped::Cancelled),
                Lease::Lost => return Ok(Stopped::Lost),
            }
            if let Some(text) = log.take() {
                self.store.add_to_log(run, &text).await?;
            }
            tokio::time::sleep(HEARTBEAT).await;
        }
    }

    /// Works until it is asked to retire: then it ends with the runs at work. Asked to hand over, it gives them some
    /// time, and what is left is for the next worker.
    pub async fn work(&self, orders: &mut OrdersWatch) {
        let (hand, taken) = mpsc::unbounded();
        let (at_work, has_ended) = (Cell::new(0_usize), Notify::new());
        // Beside the looking, not in between: a run that holds a connection to the store must not wait for a look that
        // waits for one.
        let runs = taken.for_each_concurrent(None, async |run| {
            Box::pin(self.told(run)).await;
            at_work.set(at_work.get() - 1);
            has_ended.notify_one();
        });
        let mut runs = Box::pin(runs);
        tokio::select! {
            () = self.look_out(orders, hand, &at_work, &has_ended) => {}
            () = &mut runs => {}
        }
        let out_of_time = async {
            wanted(self.course.clone(), Course::HandOver).await;
            tokio::time::sleep(self.jobs.limits.stop_timeout).await;
        };
        tokio::select! {
            () = &mut runs => {}
            () = out_of_time => tracing::warn!("runs that are not done are left to the next agent"),
        }
        // With what they hold of the store.
        drop(runs);
        if let Err(error) = self.store.hand_over_runs(&self.name).await {
            tracing::error!("runs cannot be handed over; they are taken up when their leases end: {error:#}");
        }
    }

    /// Looks for runs and hands them on until it is asked to retire.
    async fn look_out(
        &self,
        orders: &mut OrdersWatch,
        hand: mpsc::UnboundedSender<JobRun>,
        at_work: &Cell<usize>,
        has_ended: &Notify,
    ) {
        let mut end = pin!(wanted(self.course.clone(), Course::Retire));
        let mut forgotten_ms = i64::MIN;
        let mut is_store_well = true;
        loop {
            match self.look(orders, at_work.get(), &mut forgotten_ms).await {
                Ok(runs) => {
                    if !is_store_well {
                        tracing::info!("the store is well again");
                    }
                    is_store_well = true;
                    for run in runs {
                        at_work.set(at_work.get() + 1);
                        // Whoever takes them is there as long as this is.
                        let _ = hand.unbounded_send(run);
                    }
                }
                Err(error) if is_store_well => {
                    is_store_well = false;
                    tracing::error!("the store fails; nothing is begun until it is well again: {error:#}");
                }
                Err(_) => {}
            }
            tokio::select! {
                biased;
                () = &mut end => return,
                () = has_ended.notified() => {}
                () = orders.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Queues what is due and takes up as much as there are places for.
    async fn look(
        &self,
        orders: &mut OrdersWatch,
        at_work: usize,
        forgotten_ms: &mut i64,
    ) -> anyhow::Result<Vec<JobRun>> {
        let (limits, now) = (&self.jobs.limits, (self.clock)());
        if limits.scheduled {
            self.queue_due().await?;
        }
        orders.look(self.store, now).await?;
        if *forgotten_ms < now - FORGET_EVERY_MS {
            let before = now - i64::from(limits.keep_days) * DAY_MS;
            self.store.forget_runs(before, i64::from(limits.keep_runs)).await?;
            *forgotten_ms = now;
        }
        let mut claimed = Vec::new();
        while at_work + claimed.len() < limits.runs_at_once {
            match self.claim(None).await? {
                Some(run) => claimed.push(run),
                None => break,
            }
        }
        Ok(claimed)
    }

    async fn told(&self, run: JobRun) {
        match self.carry_out(&run).await {
            Ok(Some(state)) => tracing::info!(job.name = run.name, run.id, state = state.name(), "the run has ended"),
            Ok(None) => tracing::info!(job.name = run.name, run.id, "what is left of the run is for another worker"),
            Err(error) => tracing::error!(job.name = run.name, run.id, "the run cannot be noted: {error:#}"),
        }
    }
}
