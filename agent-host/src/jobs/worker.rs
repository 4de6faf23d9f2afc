//! Takes runs from the store's queue and carries them out, each under a lease that it renews while it is at it.
//!
//! Due times are queued here too. What a worker leaves when it dies another takes up once the lease has run out; what it
//! leaves when it is asked to end, at once. A worker that finds its lease gone drops what it is doing.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use connector_api::SPANS;
use futures::{FutureExt, StreamExt, channel::mpsc};
use tokio::sync::{Notify, watch};
use tracing::field::Empty;

use super::{Clock, Course, Jobs, OrdersWatch, course::wanted, due::DueTimes, log::RunLog, run::Steps, step::Ended};
use crate::{
    agent::Agent,
    leases::{Gate, Moment},
    monitoring::{Monitoring, Part, families},
    presence::{clocks_differ_by, place_of},
    redaction::redact,
    store::{Claim, JobRun, Lease, RunState, StepRun, Store},
    telemetry::traced,
};

/// Between two looks at the queue.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two times that old runs are forgotten.
const FORGET_EVERY_MS: i64 = 3_600_000;
/// Of those that are forgotten for their age: a clock that is wrong for a while costs no more.
const MOST_FORGOTTEN: i64 = 200;
/// A run that has ended so many of its workers is not taken up again.
const MAX_ATTEMPTS: i64 = 5;
/// How long one look for work may take: a store that is frozen says nothing.
const LONGEST_LOOK: Duration = Duration::from_secs(40);
/// How long a store is waited for when runs are handed over.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(5);
/// How the note of a step begins that a repaired run did.
const DONE_BY: &str = "done by run ";
const DAY_MS: i64 = 24 * 3_600_000;

/// One worker of an agent.
#[derive(Debug)]
pub struct Worker<'a> {
    agent: &'a Agent,
    jobs: &'a Jobs,
    store: &'a Store,
    name: String,
    /// The jobs that it has, where agents that have others share the store.
    own: Option<Vec<String>>,
    /// The id of the orders folder that it sees, where not every agent does.
    place: Option<String>,
    clock: Clock,
    course: watch::Receiver<Course>,
    monitoring: Arc<Monitoring>,
    due: DueTimes,
    /// Told when somebody in this process has queued a run.
    queued: Arc<Notify>,
    /// When runs were taken up that are not begun yet.
    taken: RefCell<BTreeMap<i64, Moment>>,
    /// The runs that were taken up and are not over.
    at_work: RefCell<BTreeSet<i64>>,
}

/// Why a run may not go on as it does.
enum Stopped {
    Cancelled,
    Lost,
}

impl<'a> Worker<'a> {
    /// A worker of this name, which no other has.
    pub fn new(agent: &'a Agent, jobs: &'a Jobs, store: &'a Store, name: String, clock: Clock) -> Self {
        let place = place_of(&agent.settings, store);
        let (course, taken, at_work) = (watch::channel(Course::GoOn).1, RefCell::default(), RefCell::default());
        let (monitoring, due, queued) = Default::default();
        let own = store.is_shared().then(|| jobs.jobs.iter().map(|job| job.name.to_lowercase()).collect());
        Self { agent, jobs, store, name, own, place, clock, course, monitoring, due, queued, taken, at_work }
    }

    /// The same, asked to end by this.
    pub fn asked_by(mut self, course: watch::Receiver<Course>) -> Self {
        self.course = course;
        self
    }

    /// The same, telling this how it is and what it does.
    pub fn watched_by(mut self, monitoring: Arc<Monitoring>) -> Self {
        self.monitoring = monitoring;
        self
    }

    /// The same, looking for runs as soon as this is told.
    pub fn woken_by(mut self, queued: Arc<Notify>) -> Self {
        self.queued = queued;
        self
    }

    /// Queues a run for every job whose time has come since it was last dealt with: one, for the last of those times.
    /// How many.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn queue_due(&self) -> anyhow::Result<usize> {
        self.due.queue(self.jobs, self.store, (self.clock)()).await
    }

    /// Takes up a run that waits, or this one; none that files ask for which this agent does not see.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn claim(&self, only: Option<i64>) -> anyhow::Result<Option<JobRun>> {
        let asked = Moment::now();
        let at_work: Vec<i64> = self.at_work.borrow().iter().copied().collect();
        let claimed = self.store.claim_run(only, &self.wish(&at_work)).await?;
        if let Some(run) = &claimed {
            self.taken.borrow_mut().insert(run.id, asked);
            self.at_work.borrow_mut().insert(run.id);
        }
        Ok(claimed)
    }

    fn wish<'b>(&'b self, at_work: &'b [i64]) -> Claim<'b> {
        let now_ms = (self.clock)();
        let until_ms = self.jobs.limits.lease.until_ms(now_ms);
        Claim { worker: &self.name, place: self.place.as_deref(), jobs: self.own.as_deref(), at_work, now_ms, until_ms }
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

    /// Carries out a run that was taken up. How it ended; none where it is another's now.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn carry_out(&self, run: &JobRun) -> anyhow::Result<Option<RunState>> {
        let ended = Box::pin(self.carry_to_its_end(run)).await;
        // Where its end could not be noted, it is taken up again when the lease is over.
        self.at_work.borrow_mut().remove(&run.id);
        ended
    }

    async fn carry_to_its_end(&self, run: &JobRun) -> anyhow::Result<Option<RunState>> {
        let taken = self.taken.borrow_mut().remove(&run.id).unwrap_or(Moment::none());
        let log = match self.jobs.job(&run.name) {
            Ok(job) => RunLog::new(self.jobs.limits.log_bytes, job.log_level, self.clock),
            Err(_) => RunLog::new(self.jobs.limits.log_bytes, 0, self.clock),
        };
        let span = tracing::info_span!(
            target: SPANS,
            "run",
            job = run.name,
            run.id,
            run.cause,
            run.attempt = run.attempts,
            run.state = Empty,
            otel.status_code = Empty,
        );
        let ended = traced(span.clone(), log.watch(survived(self.attempt(run, &log, taken)))).await?;
        if let Some(ended) = &ended {
            ended.tell(&span, "run.state");
        }
        drop(span);
        if let Some(text) = log.finish() {
            self.store.add_to_log(run.id, &text).await?;
        }
        let Some(Ended { state, message }) = ended else { return Ok(None) };
        let now = (self.clock)();
        let ours = self.store.end_job_run(run.id, &self.name, state, &message, now).await?;
        if ours && state == RunState::Error {
            self.store.end_open_steps(run.id, now).await?;
        }
        Ok(ours.then_some(state))
    }

    async fn attempt(&self, run: &JobRun, log: &RunLog, taken: Moment) -> anyhow::Result<Option<Ended>> {
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
        let done_before = self.done_before(run).await?;
        let (agent, store, limits, clock) = (self.agent, self.store, &self.jobs.limits, self.clock);
        let progress = RefCell::new(BTreeMap::new());
        // What is to end before its next worker has it does not begin.
        let (wish, course) = watch::channel(if run.cancel_ms.is_some() { Course::Cancel } else { Course::GoOn });
        let steps = Steps {
            agent,
            store,
            job,
            limits,
            clock,
            run: run.id,
            progress,
            course,
            metrics: &self.monitoring.metrics,
        };
        // A process that was stopped finds the gate closed until the store has said that the run is still its own.
        let gate = Gate::new(taken, limits.lease);
        let mut work = pin!(gate.pass(steps.carry_out(&done_before)));
        let mut out_of_time = pin!(tokio::time::sleep(job.timeout));
        loop {
            let wished = *wish.borrow();
            tokio::select! {
                // The lease first: what is no longer ours is not carried on with.
                biased;
                stopped = self.keep(run.id, log, &steps, &gate, wished >= Course::Cancel) => match stopped {
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
                () = &mut out_of_time, if wished < Course::Cancel => {
                    tracing::error!(job.name, run.id, "not done after {} minutes: stopped", job.timeout.as_secs() / 60);
                    wish.send_replace(Course::Expire);
                }
                ended = &mut work => return ended,
            }
        }
    }

    /// The steps of a former attempt, which has noted those that were done before it; else those of the run that is
    /// repaired.
    async fn done_before(&self, run: &JobRun) -> anyhow::Result<Vec<StepRun>> {
        let ours = if run.attempts > 1 { self.store.steps_of(run.id).await? } else { Vec::new() };
        let Some(repaired) = run.repairs.filter(|_| ours.is_empty()) else { return Ok(ours) };
        let mut steps = self.store.steps_of(repaired).await?;
        for step in steps.iter_mut().filter(|step| step.state.is_done() && !step.message.starts_with(DONE_BY)) {
            step.message = format!("{DONE_BY}{repaired}: {}", step.message);
        }
        Ok(steps)
    }

    /// Renews the lease and keeps the log until there is a reason to stop. A store that fails is asked again.
    async fn keep(&self, run: i64, log: &RunLog, steps: &Steps<'_>, gate: &Gate, is_cancelled: bool) -> Stopped {
        let length = self.jobs.limits.lease;
        let mut is_well = true;
        loop {
            let message = steps.progress.borrow().values().cloned().collect::<Vec<_>>().join(" · ");
            let asked = Moment::now();
            let renewed = self.store.renew_run(run, &self.name, length.until_ms((self.clock)()), &message);
            match length.answered(renewed).await {
                Ok(Lease::Lost) => return Stopped::Lost,
                Ok(lease) => {
                    gate.renewed(asked, length);
                    is_well = true;
                    if self.monitoring.health.is_kept() {
                        tracing::info!("the store is well again");
                    }
                    if lease == Lease::Cancelled && !is_cancelled {
                        return Stopped::Cancelled;
                    }
                    if let Some(text) = log.take()
                        && let Err(error) = self.store.add_to_log(run, &text).await
                    {
                        tracing::warn!(run.id = run, "a part of the log is not kept: {error:#}");
                    }
                }
                Err(error) => {
                    self.monitoring.health.is_not_kept((self.clock)());
                    if is_well {
                        is_well = false;
                        tracing::warn!(
                            run.id = run,
                            "the lease cannot be renewed, the run may have to wait: {error:#}"
                        );
                    }
                }
            }
            tokio::time::sleep(length.heartbeat()).await;
        }
    }

    /// Works until it is asked to retire: then it ends with the runs at work. Asked to hand over, it gives them some
    /// time, and what is left is for the next worker.
    pub async fn work(&self, orders: &mut OrdersWatch) {
        orders.set_place(self.place.clone());
        let (hand, taken) = mpsc::unbounded();
        let (at_work, has_ended) = (Cell::new(0_usize), Notify::new());
        // Beside the looking, not in between: a run that holds a connection to the store must not wait for a look that
        // waits for one.
        let runs = taken.for_each_concurrent(None, async |run| {
            self.told(run).await;
            at_work.set(at_work.get() - 1);
            has_ended.notify_one();
        });
        let mut runs = Box::pin(runs);
        let mut out_of_time = pin!(async {
            wanted(self.course.clone(), Course::HandOver).await;
            tokio::time::sleep(self.jobs.limits.stop_timeout).await;
        });
        let mut looks = Box::pin(self.look_out(orders, hand, &at_work, &has_ended));
        let is_late = tokio::select! {
            () = &mut looks => false,
            () = &mut runs => false,
            // A look at a store that does not answer ends with the time there is.
            () = &mut out_of_time => true,
        };
        drop(looks);
        let is_late = is_late
            || tokio::select! {
                () = &mut runs => false,
                () = &mut out_of_time => true,
            };
        if is_late {
            tracing::warn!("runs that are not done are left to the next agent");
        }
        // With what they hold of the store.
        drop(runs);
        match tokio::time::timeout(HAND_OVER_WITHIN, self.store.hand_over_runs(&self.name, (self.clock)())).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::error!("runs cannot be handed over; they are taken up when their leases end: {error:#}");
            }
            Err(_) => tracing::error!("the store does not answer: runs are taken up when their leases end"),
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
        loop {
            self.monitoring.health.turn();
            let look = tokio::time::timeout(LONGEST_LOOK, self.look(orders, at_work.get(), &mut forgotten_ms));
            match look.await.unwrap_or_else(|_| Err(anyhow::anyhow!("it does not answer"))) {
                Ok(runs) => {
                    if self.monitoring.health.is_well(Part::Store) {
                        tracing::info!("the store is well again");
                    }
                    for run in runs {
                        at_work.set(at_work.get() + 1);
                        // Whoever takes them is there as long as this is.
                        let _ = hand.unbounded_send(run);
                    }
                }
                Err(error) if self.monitoring.health.is_unwell(Part::Store, (self.clock)()) => {
                    tracing::error!("the store fails; nothing is begun until it is well again: {error:#}");
                }
                Err(_) => {}
            }
            tokio::select! {
                biased;
                () = &mut end => return,
                () = has_ended.notified() => {}
                () = orders.changed() => {}
                () = self.queued.notified() => {}
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
        if !self.clock_agrees().await? {
            return Ok(Vec::new());
        }
        let (limits, now) = (&self.jobs.limits, (self.clock)());
        if limits.scheduled {
            self.queue_due().await?;
        }
        orders.look(self.store, now).await?;
        // Not waited for by a clock that was ahead and is set back.
        if !(*forgotten_ms..forgotten_ms.saturating_add(FORGET_EVERY_MS)).contains(&now) {
            self.tidy_up().await?;
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

    /// Whether this machine's clock is as a shared store's. By one that is not, due times come early or late, and runs of
    /// other agents seem to be over.
    async fn clock_agrees(&self) -> anyhow::Result<bool> {
        let (health, differs) = (&self.monitoring.health, clocks_differ_by(self.store, self.clock).await?);
        match differs {
            None if health.is_well(Part::Clock) => tracing::info!("the clock agrees with the store's again"),
            Some(by) if health.is_unwell(Part::Clock, (self.clock)()) => {
                tracing::error!(
                    "the clock differs by {by} ms from the store's: nothing is begun until it is set by NTP"
                );
            }
            _ => {}
        }
        Ok(differs.is_none())
    }

    async fn told(&self, run: JobRun) {
        match self.carry_out(&run).await {
            Ok(Some(state)) => {
                let labels = [("job", run.name.as_str()), ("state", state.name())];
                self.monitoring.metrics.add(families::RUNS, &labels, 1.0);
                tracing::info!(job.name = run.name, run.id, state = state.name(), "the run has ended");
            }
            Ok(None) => tracing::info!(job.name = run.name, run.id, "what is left of the run is for another worker"),
            Err(error) => {
                if self.monitoring.health.is_not_kept((self.clock)()) {
                    tracing::error!(job.name = run.name, run.id, "the run cannot be noted: {error:#}");
                }
                // Its place stays taken for a moment: a store that fails is not hurried.
                tokio::time::sleep(self.jobs.limits.lease.heartbeat()).await;
            }
        }
    }
}

/// What comes of an attempt, where a defect of the program ends it too: the other runs go on.
async fn survived(attempt: impl Future<Output = anyhow::Result<Option<Ended>>>) -> anyhow::Result<Option<Ended>> {
    AssertUnwindSafe(attempt).catch_unwind().await.unwrap_or_else(|broken: Box<dyn Any + Send>| {
        let text =
            broken.downcast_ref::<&str>().copied().or_else(|| broken.downcast_ref::<String>().map(String::as_str));
        let message = format!("a defect of the program ended it: {}", redact(text.unwrap_or("it says nothing")));
        tracing::error!("{message}");
        Ok(Some(Ended { state: RunState::Error, message }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_run_that_a_defect_ends_is_an_error_and_the_worker_goes_on() {
        let broken = async {
            tokio::task::yield_now().await;
            let empty: Vec<i64> = Vec::new();
            Ok(Some(Ended { state: RunState::Success, message: empty[empty.len()].to_string() }))
        };
        let ended = survived(broken).await.unwrap().unwrap();
        assert_eq!(ended.state, RunState::Error);
        assert!(ended.message.contains("index out of bounds"), "{}", ended.message);
    }
}
