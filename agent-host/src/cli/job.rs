//! `agent-host job`: what jobs there are, start one, what came of runs, end one.
//!
//! All of it works on the store. A job that is started while an agent runs is that agent's to carry out, and is followed;
//! else it is carried out here, a run like any other.

mod report;

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Subcommand;
use connector_api::{Error, ErrorKind};

use crate::{
    agent::Agent,
    daemon::is_running,
    export::FileError,
    jobs::{self, Jobs, Worker},
    password_reset::random_text,
    settings::Settings,
    store::{self, AuditRecord, RunState, Store, WantedRun},
};

use super::{Format, actor, now_ms, print};
use report::{HistoryReport, ListReport, RunReport};

/// Between two looks at a run that another carries out.
const LOOK_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug, Subcommand)]
pub(super) enum Job {
    /// List all jobs, when they are due and how they last ended
    #[command(after_help = "Example:\n  agent-host job list --format json")]
    List,
    /// Start a job and wait for its end
    #[command(after_help = "\
Examples:
  agent-host job start Nightly
  agent-host job start Nightly --repair
  agent-host job start export:OktaExportFulfillment --format json")]
    Start {
        /// The job
        name: String,
        /// Do again only what the last run did not do
        #[arg(long)]
        repair: bool,
        /// Leave it to the running agent and do not wait
        #[arg(long)]
        no_wait: bool,
    },
    /// Show the last runs, or one of them with its steps and its log
    #[command(after_help = "Examples:\n  agent-host job history Nightly --count 5\n  agent-host job history --run 42")]
    History {
        /// Of this job; else of all
        name: Option<String>,
        /// This run with its steps and its log
        #[arg(long, value_name = "RUN", conflicts_with = "name")]
        run: Option<i64>,
        /// How many
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        count: i64,
    },
    /// End a run that waits or is at work; what was done stays done
    #[command(after_help = "Example:\n  agent-host job cancel 42")]
    Cancel {
        /// The run's number
        run: i64,
    },
}

pub(super) async fn run(agent: Agent, format: Format, command: &Job) -> anyhow::Result<ExitCode> {
    let jobs = Jobs::read(&agent)?;
    let store = Store::open_in_haste(store::Place::of(&agent.settings)).await?;
    match command {
        Job::List => {
            let report = ListReport::new(&jobs, &store, now_ms()).await?;
            print(format, &report, |out| write!(out, "{report}"))?;
            Ok(ExitCode::SUCCESS)
        }
        Job::Start { name, repair, no_wait } => {
            let run = queue(&agent.settings, jobs.job(name)?, &store, *repair).await?;
            if !*no_wait {
                finish(agent, jobs, &store, run).await?;
            }
            Ok(exit_code(tell(&store, run, format).await?))
        }
        Job::History { run: Some(run), .. } => {
            tell(&store, *run, format).await?;
            Ok(ExitCode::SUCCESS)
        }
        Job::History { name, count, .. } => {
            let report = HistoryReport::new(store.job_runs(name.as_deref(), *count).await?);
            print(format, &report, |out| write!(out, "{report}"))?;
            Ok(ExitCode::SUCCESS)
        }
        Job::Cancel { run } => {
            let before = store.cancel_run(*run, now_ms()).await?.ok_or_else(|| unknown(*run))?;
            if before.is_over() {
                let message = format!("run {run} has ended already: {}", before.name());
                return Err(FileError::busy(message, "`agent-host job history` shows what came of it").into());
            }
            let name = store.job_run(*run).await?.map(|run| run.name).unwrap_or_default();
            audit(&store, "cancel_run", &format!("{name} {run}"), "asked").await?;
            tell(&store, *run, format).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Puts a run of the job into the queue.
async fn queue(settings: &Settings, job: &jobs::Job, store: &Store, repair: bool) -> anyhow::Result<i64> {
    if job.start_denied {
        let place = job.place.as_deref().unwrap_or_default();
        let error = Error::new(ErrorKind::Settings, format!("{place}: people may not start the job `{}`", job.name));
        return Err(error.with_hint("remove `UserStartDenied`, or wait for its schedule").into());
    }
    let last = store.job_runs(Some(&job.name), 1).await?.pop();
    if let Some(run) = last.as_ref().filter(|run| !run.state.is_over()) {
        return Err(overlap(&job.name, run.id, run.state).into());
    }
    let repairs = match last {
        Some(run) if repair && !run.state.is_done() => Some(run.id),
        _ if repair => {
            let message = format!("there is nothing to repair: the last run of `{}` did not fail", job.name);
            return Err(FileError::busy(message, "start it without `--repair`").into());
        }
        _ => None,
    };
    let place = job.orders_place(settings, store);
    let wanted = WantedRun { name: &job.name, cause: "person", due_ms: None, repairs, place: place.as_deref() };
    let queued = store.queue_run(&wanted, now_ms()).await?;
    let Some(run) = queued else {
        let waiting = store.job_runs(Some(&job.name), 1).await?.pop();
        let (id, state) = waiting.map_or((0, RunState::Queued), |run| (run.id, run.state));
        return Err(overlap(&job.name, id, state).into());
    };
    audit(store, "start_job", &job.name, "queued").await?;
    Ok(run)
}

/// Writes down what somebody did to a job.
async fn audit(store: &Store, action: &str, what: &str, outcome: &str) -> anyhow::Result<()> {
    let line = AuditRecord::of(random_text(16)?, now_ms(), &actor(), action, outcome);
    store.add_to_audit(&AuditRecord { account: what.to_owned(), mode: "command".to_owned(), ..line }).await
}

fn overlap(job: &str, run: i64, state: RunState) -> FileError {
    let message = format!("the job `{job}` does not overlap itself: its run {run} is {}", state.name());
    FileError::busy(message, "wait until it is done, or end it with `agent-host job cancel`")
}

/// Comes when the run has ended: a running agent carries it out, or this process does.
async fn finish(agent: Agent, jobs: Jobs, store: &Store, run: i64) -> anyhow::Result<()> {
    let agent = Arc::new(agent);
    let worker = Worker::new(agent.clone(), jobs, store.clone(), agent.name.clone(), now_ms);
    loop {
        if !is_running(&agent.settings.work_folder)?
            && let Some(claimed) = worker.queue.claim(Some(run)).await?
        {
            worker.carry_out(&claimed).await?;
        }
        match store.job_run(run).await? {
            Some(run) if !run.state.is_over() => tokio::time::sleep(LOOK_EVERY).await,
            _ => return Ok(()),
        }
    }
}

/// Prints a run with its steps and its log.
async fn tell(store: &Store, run: i64, format: Format) -> anyhow::Result<RunState> {
    let found = store.job_run(run).await?.ok_or_else(|| unknown(run))?;
    let state = found.state;
    let report = RunReport::whole(found, store.steps_of(run).await?, store.log_of(run).await?);
    print(format, &report, |out| write!(out, "{report}"))?;
    Ok(state)
}

fn unknown(run: i64) -> Error {
    let error = Error::new(ErrorKind::Settings, format!("there is no run {run}"));
    error.with_hint("`agent-host job history` lists those that are kept")
}

/// As those of the commands that do the same.
fn exit_code(state: RunState) -> ExitCode {
    match state {
        RunState::Queued | RunState::Started | RunState::Success => ExitCode::SUCCESS,
        RunState::Warning => ExitCode::from(6),
        RunState::Blocked => ExitCode::from(7),
        RunState::Error | RunState::Cancelled => ExitCode::FAILURE,
    }
}
