//! What `agent-host job` prints: jobs, runs, one run with its steps and its log.

use std::fmt;

use chrono::{DateTime, SecondsFormat};
use serde::Serialize;

use crate::{
    jobs::Jobs,
    store::{JobRun, StepRun, Store},
};

#[derive(Serialize)]
pub(super) struct ListReport<'a> {
    jobs: Vec<ListedJob<'a>>,
}

#[derive(Serialize)]
struct ListedJob<'a> {
    job: &'a str,
    /// The expression and its zone.
    schedule: Option<String>,
    /// When it is due next, in the schedule's zone.
    next: Option<String>,
    next_ms: Option<i64>,
    steps: Vec<ListedStep<'a>>,
    last: Option<RunReport>,
}

#[derive(Serialize)]
struct ListedStep<'a> {
    step: &'a str,
    kind: &'static str,
    connection: &'a str,
    level: u32,
}

#[derive(Serialize)]
pub(super) struct HistoryReport {
    runs: Vec<RunReport>,
}

/// A run as it is told.
#[derive(Serialize)]
pub(super) struct RunReport {
    run: i64,
    job: String,
    state: &'static str,
    cause: String,
    due_ms: Option<i64>,
    queued_ms: i64,
    began_ms: Option<i64>,
    ended_ms: Option<i64>,
    attempts: i64,
    repairs: Option<i64>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<Vec<StepReport>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
}

#[derive(Serialize)]
struct StepReport {
    step: String,
    state: &'static str,
    began_ms: i64,
    ended_ms: Option<i64>,
    message: String,
}

impl<'a> ListReport<'a> {
    pub(super) async fn new(jobs: &'a Jobs, store: &Store, now_ms: i64) -> anyhow::Result<Self> {
        let mut listed = Vec::new();
        for job in &jobs.jobs {
            let schedule = job.schedule.as_ref();
            let next_ms = schedule.and_then(|schedule| schedule.next(now_ms));
            let step = |step: &'a crate::jobs::Step| ListedStep {
                step: &step.name,
                kind: step.kind.name(),
                connection: &step.connection,
                level: step.level,
            };
            listed.push(ListedJob {
                job: &job.name,
                schedule: schedule.map(|schedule| schedule.text()),
                next: schedule.zip(next_ms).map(|(schedule, next)| schedule.shown(next)),
                next_ms,
                steps: job.steps.iter().map(step).collect(),
                last: store.job_runs(Some(&job.name), 1).await?.pop().map(RunReport::new),
            });
        }
        Ok(Self { jobs: listed })
    }
}

impl HistoryReport {
    pub(super) fn new(runs: Vec<JobRun>) -> Self {
        Self { runs: runs.into_iter().map(RunReport::new).collect() }
    }
}

impl RunReport {
    fn new(run: JobRun) -> Self {
        Self {
            run: run.id,
            job: run.name,
            state: run.state.name(),
            cause: run.cause,
            due_ms: run.due_ms,
            queued_ms: run.queued_ms,
            began_ms: run.began_ms,
            ended_ms: run.ended_ms,
            attempts: run.attempts,
            repairs: run.repairs,
            message: run.message,
            steps: None,
            log: None,
        }
    }

    /// A run with its steps and its log.
    pub(super) fn whole(run: JobRun, steps: Vec<StepRun>, log: String) -> Self {
        let step = |step: StepRun| StepReport {
            step: step.name,
            state: step.state.name(),
            began_ms: step.began_ms,
            ended_ms: step.ended_ms,
            message: step.message,
        };
        let steps = Some(steps.into_iter().map(step).collect());
        Self { steps, log: Some(log), ..Self::new(run) }
    }
}

impl fmt::Display for ListReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for listed in &self.jobs {
            write!(f, "{}", listed.job)?;
            if let (Some(schedule), Some(next)) = (&listed.schedule, &listed.next) {
                write!(f, "  [{schedule}]  next {next}")?;
            }
            writeln!(f)?;
            for step in &listed.steps {
                writeln!(f, "    {} {} `{}`", step.level, step.kind, step.connection)?;
            }
            if let Some(last) = &listed.last {
                write!(f, "    last: {last}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for HistoryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.runs.is_empty() {
            return writeln!(f, "There are no runs.");
        }
        self.runs.iter().try_for_each(|run| write!(f, "{run}"))
    }
}

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, job, state, cause, message, .. } = self;
        let at = shown(self.began_ms.unwrap_or(self.queued_ms));
        writeln!(f, "run {run} of {job}: {state} (by {cause}, {at}{}) {message}", took(self.began_ms, self.ended_ms))?;
        for StepReport { step, state, began_ms, ended_ms, message } in self.steps.iter().flatten() {
            writeln!(f, "    {step}: {state} ({}{}) {message}", shown(*began_ms), took(Some(*began_ms), *ended_ms))?;
        }
        for line in self.log.iter().flat_map(|log| log.lines()) {
            writeln!(f, "    | {line}")?;
        }
        Ok(())
    }
}

fn shown(time_ms: i64) -> String {
    DateTime::from_timestamp_millis(time_ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn took(began_ms: Option<i64>, ended_ms: Option<i64>) -> String {
    let took = began_ms.zip(ended_ms).map(|(began, ended)| ended - began);
    took.map_or_else(String::new, |took| format!(", {}.{} s", took / 1000, took % 1000 / 100))
}
