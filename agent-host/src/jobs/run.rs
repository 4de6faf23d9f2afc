//! One run of a job: its steps level by level, until they are done, it is stopped, or it is another worker's.
//!
//! What was done before, by a former attempt or by the run that this one repairs, is not done again and noted as done, so
//! that a repair of the repair finds it. A step's failure ends the run after those that run beside it, unless the step may
//! fail; a safety limit always does.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
};

use connector_api::SPANS;
use futures::future::join_all;
use tokio::sync::watch;
use tracing::{Instrument, field::Empty};

use super::{
    Clock, Course, Job, Jobs, Limits,
    course::wanted,
    step::{self, Ended},
};
use crate::{
    agent::Agent,
    fulfill::Stop,
    monitoring::{Metrics, families},
    store::{RunState, StepDone, StepRun, Store},
};

/// What a run is carried out with.
pub(super) struct Steps<'a> {
    pub(super) agent: &'a Agent,
    pub(super) store: &'a Store,
    pub(super) job: &'a Job,
    pub(super) limits: &'a Limits,
    pub(super) clock: Clock,
    pub(super) run: i64,
    /// How far each step is that is at work.
    pub(super) progress: Mutex<BTreeMap<usize, String>>,
    /// Whether it is to end before it is done.
    pub(super) course: watch::Receiver<Course>,
}

/// Begins the figures of all jobs. One that is born at 1 does not grow, as Prometheus sees it: the first failure would go
/// unseen.
pub fn count_from_zero(jobs: &Jobs, metrics: &Metrics) {
    for job in &jobs.jobs {
        for state in RunState::ENDS.map(RunState::name) {
            metrics.add(families::RUNS, &[("agent_job", job.name.as_str()), ("state", state)], 0.0);
            for step in &job.steps {
                let labels = [("kind", step.kind.name()), ("connection", &*step.connection), ("state", state)];
                metrics.add(families::STEPS, &labels, 0.0);
            }
        }
    }
}

impl Steps<'_> {
    /// How far the run is, in a line.
    pub(super) fn shown_progress(&self) -> String {
        self.progress().values().cloned().collect::<Vec<_>>().join(" · ")
    }

    fn progress(&self) -> MutexGuard<'_, BTreeMap<usize, String>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries out the steps of which none of these was done before. None where it is asked to hand over what is left.
    ///
    /// # Errors
    /// Where the store fails.
    pub(super) async fn carry_out(&self, done_before: &[StepRun]) -> anyhow::Result<Option<Ended>> {
        let mut ended: BTreeMap<usize, Ended> = BTreeMap::new();
        for done in done_before.iter().filter(|step| step.state.is_done()) {
            let is_it = |(place, step): &(usize, &super::Step)| step.name == done.name && !ended.contains_key(place);
            if let Some((place, _)) = self.job.steps.iter().enumerate().find(is_it) {
                ended.insert(place, Ended { state: done.state, message: done.message.clone() });
                let noted = StepRun { position: i64::try_from(place)?, ..done.clone() };
                self.store.note_step(self.run, &noted).await?;
            }
        }
        for batch in self.job.batches(self.limits.steps_at_once) {
            if *self.course.borrow() >= Course::HandOver {
                break;
            }
            let places = batch.into_iter().filter(|place| !ended.contains_key(place)).collect::<Vec<_>>();
            let outcomes = join_all(places.iter().map(|place| self.step(*place, &ended))).await;
            for (place, outcome) in places.into_iter().zip(outcomes) {
                ended.insert(place, outcome?);
            }
            let stops = |(place, step): (&usize, &Ended)| match step.state {
                RunState::Error => !self.job.steps[*place].continue_on_error,
                state => state == RunState::Blocked,
            };
            if ended.iter().any(stops) {
                break;
            }
        }
        let sum = self.sum_up(&ended);
        let is_whole = ended.len() == self.job.steps.len() && sum.state != RunState::Error;
        Ok(match *self.course.borrow() {
            Course::HandOver if !is_whole && sum.state != RunState::Blocked => None,
            course @ (Course::Cancel | Course::Expire) if !is_whole => {
                let done = if sum.message.is_empty() { String::new() } else { format!(" · {}", sum.message) };
                let minutes = self.job.timeout.as_secs() / 60;
                let (state, why) = match course {
                    Course::Expire => (RunState::Error, format!("not done after {minutes} minutes: stopped")),
                    _ => (RunState::Cancelled, "cancelled while it was at work".to_owned()),
                };
                Some(Ended { state, message: format!("{why}{done}") })
            }
            _ => Some(sum),
        })
    }

    async fn step(&self, place: usize, ended: &BTreeMap<usize, Ended>) -> anyhow::Result<Ended> {
        let step = &self.job.steps[place];
        let mut noted = StepRun {
            position: i64::try_from(place)?,
            name: step.name.clone(),
            state: RunState::Started,
            began_ms: (self.clock)(),
            ended_ms: None,
            message: String::new(),
        };
        let lacking = step.after.iter().find(|parent| !ended.get(parent).is_some_and(|step| step.state.is_done()));
        let outcome = match lacking {
            Some(parent) => {
                let message = format!("not begun, because `{}` has no output", self.job.steps[*parent].name);
                Ended { state: RunState::Cancelled, message }
            }
            None => {
                self.store.note_step(self.run, &noted).await?;
                let progress = |text: String| {
                    self.progress().insert(place, text);
                };
                let stop = Stop::default();
                let span = tracing::info_span!(
                    target: SPANS,
                    "step",
                    step.name,
                    step.kind = step.kind.name(),
                    connection = step.connection,
                    step.state = Empty,
                    otel.status_code = Empty,
                );
                let work = Box::pin(step::carry_out(self.agent, self.store, step, self.clock, &stop, progress));
                let outcome = self.unless_unwanted(&stop, work.instrument(span.clone())).await;
                outcome.tell(&span, "step.state");
                self.progress().remove(&place);
                outcome
            }
        };
        (noted.state, noted.message) = (outcome.state, outcome.message.clone());
        noted.ended_ms = Some((self.clock)());
        self.count(step, &noted);
        self.store.note_step(self.run, &noted).await?;
        if let (true, Some(ended_ms)) = (noted.state.is_done(), noted.ended_ms) {
            let (kind, connection) = (step.kind.name().to_owned(), step.connection.clone());
            self.store.note_done(&StepDone { kind, connection, ended_ms }).await?;
        }
        Ok(outcome)
    }

    fn count(&self, step: &super::Step, noted: &StepRun) {
        let metrics = &self.agent.monitoring.metrics;
        let (kind, connection) = (("kind", step.kind.name()), ("connection", step.connection.as_str()));
        let ended_ms = noted.ended_ms.unwrap_or(noted.began_ms);
        metrics.add(families::STEPS, &[kind, connection, ("state", noted.state.name())], 1.0);
        metrics.add(families::STEP_SECONDS, &[kind, connection], in_seconds(ended_ms - noted.began_ms));
    }

    /// What the step comes to. Asked to hand over, it has the time that the worker gives; cancelled, it is dropped, but
    /// for orders under way, which are given some time to come to their end.
    async fn unless_unwanted(&self, stop: &Stop, work: impl Future<Output = Ended>) -> Ended {
        let mut work = pin!(work);
        let unwanted = wanted(self.course.clone(), Course::HandOver);
        tokio::select! {
            outcome = &mut work => return outcome,
            () = unwanted => {}
        }
        let heeds = stop.ask();
        let out_of_time = async {
            wanted(self.course.clone(), Course::Cancel).await;
            if heeds {
                tokio::time::sleep(self.limits.stop_timeout).await;
            }
        };
        tokio::select! {
            outcome = work => outcome,
            () = out_of_time => Ended { state: RunState::Error, message: "dropped before it was done".to_owned() },
        }
    }

    /// The worst of the steps counts; where a step may fail, its failure is a warning.
    fn sum_up(&self, ended: &BTreeMap<usize, Ended>) -> Ended {
        let weighed = |(place, step): (&usize, &Ended)| {
            let state = match step.state {
                RunState::Error if self.job.steps[*place].continue_on_error => RunState::Warning,
                RunState::Cancelled => RunState::Warning,
                state => state,
            };
            (severity(state), state)
        };
        let worst = ended.iter().map(weighed).max_by_key(|(severity, _)| *severity);
        let state = worst.map_or(RunState::Success, |(_, state)| state);
        let told = |(place, step): (&usize, &Ended)| match self.job.steps.len() {
            1 => step.message.clone(),
            _ => format!("{}: {}", self.job.steps[*place].name, step.message),
        };
        let notable = ended.iter().filter(|(_, step)| state == RunState::Success || step.state != RunState::Success);
        Ended { state, message: notable.map(told).collect::<Vec<_>>().join(" · ") }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn in_seconds(ms: i64) -> f64 {
    ms.max(0) as f64 / 1000.0
}

fn severity(state: RunState) -> u8 {
    match state {
        RunState::Blocked => 3,
        RunState::Error => 2,
        RunState::Warning => 1,
        _ => 0,
    }
}
