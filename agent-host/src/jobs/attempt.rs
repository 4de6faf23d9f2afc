//! One attempt at a run: carried out under a lease that is renewed meanwhile, and noted.
//!
//! An attempt that finds its lease gone drops what it is doing and notes nothing but its log. Asked to end, or out of its time, it
//! lets what is under way come to its end.

use std::{any::Any, collections::BTreeMap, panic::AssertUnwindSafe, pin::pin, sync::Mutex};

use connector_api::SPANS;
use futures::FutureExt;
use tokio::sync::watch;
use tracing::field::Empty;

use super::{Clock, Course, Jobs, course::wanted, log::RunLog, run::Steps, step::Ended};
use crate::{
    agent::Agent,
    leases::{Gate, Moment},
    redaction::redact,
    store::{JobRun, Lease, RunState, StepRun, Store},
    telemetry::traced,
};

/// A run that has ended so many of its workers is not taken up again.
const MAX_ATTEMPTS: i64 = 5;
/// How the note of a step begins that a repaired run did.
const DONE_BY: &str = "done by run ";

/// One attempt at a run that a worker has taken up.
pub(super) struct Attempt<'a> {
    pub(super) agent: &'a Agent,
    pub(super) jobs: &'a Jobs,
    pub(super) store: &'a Store,
    /// The worker's name.
    pub(super) worker: &'a str,
    pub(super) clock: Clock,
    /// What is wanted of the worker.
    pub(super) course: &'a watch::Receiver<Course>,
    pub(super) run: &'a JobRun,
    /// When the run was asked for.
    pub(super) asked: Moment,
}

/// Why a run may not go on as it does.
enum Stopped {
    Cancelled,
    Lost,
}

impl Attempt<'_> {
    /// How the run ended; none where it is another worker's now.
    ///
    /// # Errors
    /// Where the store fails.
    pub(super) async fn carry_out(&self) -> anyhow::Result<Option<RunState>> {
        let run = self.run;
        // Former attempts have used up some of it.
        let used = if run.attempts > 1 { self.store.log_of(run.id).await?.len() } else { 0 };
        let (room, level) = (self.jobs.limits.log_bytes.saturating_sub(used), self.jobs.job(&run.name));
        let log = RunLog::new(room, level.map_or(0, |job| job.log_level), self.clock);
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
        let ended = traced(span.clone(), log.watch(survived(self.begin(&log)))).await?;
        if let Some(ended) = &ended {
            ended.tell(&span, "run.state");
        }
        drop(span);
        if let Some(text) = log.finish() {
            self.add_to_log(&text).await;
        }
        let Some(Ended { state, message }) = ended else { return Ok(None) };
        let now = (self.clock)();
        let ours = self.store.end_job_run(run.id, self.worker, state, &message, now).await?;
        if ours && state == RunState::Error {
            self.store.end_open_steps(run.id, now).await?;
        }
        Ok(ours.then_some(state))
    }

    async fn begin(&self, log: &RunLog) -> anyhow::Result<Option<Ended>> {
        let run = self.run;
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
        let done_before = self.done_before().await?;
        let (agent, store, limits, clock) = (self.agent, self.store, &self.jobs.limits, self.clock);
        let progress = Mutex::new(BTreeMap::new());
        // What is to end before its next worker has it does not begin.
        let (wish, course) = watch::channel(if run.cancel_ms.is_some() { Course::Cancel } else { Course::GoOn });
        let steps = Steps { agent, store, job, limits, clock, run: run.id, progress, course };
        // A process that was stopped finds the gate closed until the store has said that the run is still its own.
        let gate = Gate::new(self.asked, limits.lease);
        let mut work = pin!(gate.pass(steps.carry_out(&done_before)));
        let mut out_of_time = pin!(tokio::time::sleep(job.timeout));
        loop {
            let wished = *wish.borrow();
            tokio::select! {
                // The lease first: what is no longer ours is not carried on with.
                biased;
                stopped = self.keep(log, &steps, &gate, wished >= Course::Cancel) => match stopped {
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
    async fn done_before(&self) -> anyhow::Result<Vec<StepRun>> {
        let run = self.run;
        let ours = if run.attempts > 1 { self.store.steps_of(run.id).await? } else { Vec::new() };
        let Some(repaired) = run.repairs.filter(|_| ours.is_empty()) else { return Ok(ours) };
        let mut steps = self.store.steps_of(repaired).await?;
        for step in steps.iter_mut().filter(|step| step.state.is_done() && !step.message.starts_with(DONE_BY)) {
            step.message = format!("{DONE_BY}{repaired}: {}", step.message);
        }
        Ok(steps)
    }

    /// A log that is not kept stops no run.
    async fn add_to_log(&self, text: &str) {
        if let Err(error) = self.store.add_to_log(self.run.id, text).await {
            tracing::warn!(run.id = self.run.id, "a part of the log is not kept: {error:#}");
        }
    }

    /// Renews the lease and keeps the log until there is a reason to stop. A store that fails is asked again.
    async fn keep(&self, log: &RunLog, steps: &Steps<'_>, gate: &Gate, is_cancelled: bool) -> Stopped {
        let (run, length) = (self.run.id, self.jobs.limits.lease);
        let mut is_well = true;
        loop {
            let message = steps.shown_progress();
            let asked = Moment::now();
            let renewed = self.store.renew_run(run, self.worker, length.until_ms((self.clock)()), &message);
            match length.answered(renewed).await {
                Ok(Lease::Lost) => return Stopped::Lost,
                Ok(lease) => {
                    gate.renewed(asked, length);
                    is_well = true;
                    if self.agent.monitoring.health.is_kept() {
                        tracing::info!("the store is well again");
                    }
                    if lease == Lease::Cancelled && !is_cancelled {
                        return Stopped::Cancelled;
                    }
                    if let Some(text) = log.waiting() {
                        self.add_to_log(&text).await;
                        log.kept(text.len());
                    }
                }
                Err(error) => {
                    self.agent.monitoring.health.is_not_kept((self.clock)());
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
