//! Jobs with their last and next run; runs with their steps; the log of a run, from where the reader is; and what starts
//! and ends runs.
//!
//! Whoever is limited to some connections sees the jobs of which every step is for one of these, and their runs.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Refusal, Result, lacks, limited_to, note, page, shown};
use crate::{
    access::{Caller, Role},
    jobs::Job,
    presence::place_of,
    store::{JobRun, RunState, StepRun, WantedRun},
    web::Web,
};

/// A run that waits may begin before it is looked at: then another is tried for, so often.
const TRIES: u32 = 3;

/// All jobs that the caller may look at.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobList {
    /// In the order of the settings; each connection's own are the last.
    pub jobs: Vec<JobView>,
}

/// A job.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobView {
    /// Its name.
    pub job: String,
    /// The expression and its zone; none where it runs only when it is asked for.
    pub schedule: Option<String>,
    /// When it is due next, in the schedule's zone.
    pub next: Option<String>,
    /// The same in milliseconds since 1970.
    pub next_ms: Option<i64>,
    /// Whether people may start it.
    pub may_be_started: bool,
    /// In the order of their levels.
    pub steps: Vec<JobStepView>,
    /// The last run.
    pub last: Option<RunView>,
}

/// A step of a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobStepView {
    /// Its name.
    pub step: String,
    /// `export`, `fulfill`, …
    pub kind: &'static str,
    /// To which connection.
    pub connection: String,
    /// Steps of one level run together.
    pub level: u32,
}

/// A page of runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunPage {
    /// The newest first.
    pub runs: Vec<RunView>,
    /// Where the next page begins; none on the last.
    pub next: Option<i64>,
}

/// A run of a job.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RunView {
    /// Its number.
    pub run: i64,
    /// The job.
    pub job: String,
    /// `queued`, `started`, `success`, `warning`, `error`, `blocked` or `cancelled`.
    pub state: &'static str,
    /// Whether nothing more will come of it.
    pub is_over: bool,
    /// `schedule`, `person` or `orders`.
    pub cause: String,
    /// The time of the schedule that it is for.
    pub due_ms: Option<i64>,
    /// When it was asked for.
    pub queued_ms: i64,
    /// When it was first taken up.
    pub began_ms: Option<i64>,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// How often it was taken up.
    pub attempts: i64,
    /// The run whose failed steps it repeats.
    pub repairs: Option<i64>,
    /// When somebody asked that it end.
    pub cancel_ms: Option<i64>,
    /// How far it is, or how it ended.
    pub message: String,
}

/// A run with its steps.
#[derive(Debug, Serialize, ToSchema)]
pub struct RunDetails {
    /// The run.
    #[serde(flatten)]
    pub run: RunView,
    /// The steps that have begun.
    pub steps: Vec<StepView>,
}

/// A step of a run.
#[derive(Debug, Serialize, ToSchema)]
pub struct StepView {
    /// Its name.
    pub step: String,
    /// As those of runs.
    pub state: &'static str,
    /// When it began.
    pub began_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// What came of it.
    pub message: String,
}

/// What a run logged from some place on.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogPart {
    /// Whole lines; empty where nothing has come.
    pub text: String,
    /// What to ask for next.
    pub next: i64,
    /// Whether nothing more will come.
    pub is_whole: bool,
}

/// Which runs are wanted.
#[derive(Debug, Clone, Default)]
pub struct RunWish {
    /// Of this job.
    pub job: Option<String>,
    /// Of jobs with a step for this connection.
    pub connection: Option<String>,
    /// In this state.
    pub state: Option<String>,
    /// Where the page begins.
    pub cursor: Option<i64>,
    /// How many runs.
    pub limit: Option<u32>,
}

/// The jobs.
///
/// # Errors
/// Where the store fails.
pub async fn jobs(web: &Web, caller: &Caller) -> Result<JobList> {
    let mut listed = Vec::new();
    for job in web.jobs.jobs.iter().filter(|job| may(caller, Role::Viewer, job)) {
        let schedule = job.schedule.as_ref();
        let next_ms = schedule.and_then(|schedule| schedule.next(web.now_ms()));
        let step = |step: &crate::jobs::Step| JobStepView {
            step: step.name.clone(),
            kind: step.kind.name(),
            connection: step.connection.clone(),
            level: step.level,
        };
        listed.push(JobView {
            job: job.name.clone(),
            schedule: schedule.map(crate::jobs::Schedule::text),
            next: schedule.zip(next_ms).map(|(schedule, next)| schedule.shown(next)),
            next_ms,
            may_be_started: !job.start_denied,
            steps: job.steps.iter().map(step).collect(),
            last: web.store().job_runs(Some(&job.name), 1).await?.pop().map(Into::into),
        });
    }
    Ok(JobList { jobs: listed })
}

/// A page of runs.
///
/// # Errors
/// Where there is no such state, or the store fails.
pub async fn runs(web: &Web, caller: &Caller, wish: &RunWish) -> Result<RunPage> {
    let state = wish.state.as_deref().map(|name| {
        let hint = "give queued, started, success, warning, error, blocked or cancelled";
        RunState::of(name).ok_or_else(|| Refusal::unfit(format!("no run is ever `{}`", shown(name)), hint))
    });
    let state = state.transpose()?;
    let is_for = |job: &&Job| match &wish.connection {
        None => true,
        Some(name) => job.steps.iter().any(|step| step.connection.eq_ignore_ascii_case(name)),
    };
    let known = web.jobs.jobs.iter().filter(|job| may(caller, Role::Viewer, job)).filter(is_for);
    let known = known.filter(|job| wish.job.as_deref().is_none_or(|name| job.is(name)));
    let names: Vec<String> = match &wish.job {
        // Jobs that are in the settings no more have runs still.
        Some(name) if wish.connection.is_none() && caller.may(Role::Viewer) => vec![name.clone()],
        _ => known.map(|job| job.name.clone()).collect(),
    };
    let is_limited = limited_to(caller).is_some() || wish.job.is_some() || wish.connection.is_some();
    let most = page(wish.limit);
    let before = wish.cursor.unwrap_or(i64::MAX);
    let mut found = web.store().runs_before(is_limited.then_some(&names), state, before, most + 1).await?;
    let most = usize::try_from(most).unwrap_or_default();
    let has_more = found.len() > most;
    found.truncate(most);
    let next = found.last().filter(|_| has_more).map(|last| last.id);
    Ok(RunPage { runs: found.into_iter().map(Into::into).collect(), next })
}

/// One run with its steps.
///
/// # Errors
/// Where there is none, or the caller may not look at it.
pub async fn run(web: &Web, caller: &Caller, number: i64) -> Result<RunDetails> {
    let run = find(web, caller, Role::Viewer, number).await?;
    let steps = web.store().steps_of(number).await?.into_iter().map(Into::into).collect();
    Ok(RunDetails { run: run.into(), steps })
}

/// What a run logged from this place on; 0 for all.
///
/// # Errors
/// Where there is none, or the caller may not look at it.
pub async fn log(web: &Web, caller: &Caller, number: i64, from: i64) -> Result<LogPart> {
    // Looked at before the log, so that nothing comes behind a log that is called whole.
    let is_whole = find(web, caller, Role::Viewer, number).await?.state.is_over();
    let (text, next) = web.store().log_from(number, from.max(0)).await?;
    Ok(LogPart { text, next, is_whole })
}

/// Starts a job, whole or, with `repair`, what its last run did not do.
///
/// # Errors
/// Where the caller may not, people may not start it, it is under way, or there is nothing to repair.
pub async fn start(web: &Web, caller: &Caller, name: &str, repair: bool) -> Result<RunView> {
    let job = job(web, caller, Role::Operator, name)?;
    if job.start_denied {
        let place = job.place.as_deref().unwrap_or_default();
        let message = format!("{place}: people may not start the job `{}`", job.name);
        return Err(Refusal::forbidden(message, "remove `UserStartDenied`, or wait for its schedule"));
    }
    let last = web.store().job_runs(Some(&job.name), 1).await?.pop();
    if let Some(run) = last.as_ref().filter(|run| !run.state.is_over()) {
        return Err(overlap(&job.name, run));
    }
    let repairs = match last {
        Some(run) if repair && !run.state.is_done() => Some(run.id),
        _ if repair => {
            let message = format!("there is nothing to repair: the last run of `{}` did not fail", job.name);
            return Err(Refusal::conflict(message, "start it whole"));
        }
        _ => None,
    };
    // What is repaired waits where it did, which may be in the folder of another agent.
    let there = match repairs {
        Some(run) => web.store().place_of_run(run).await?,
        None => None,
    };
    let place = there.or_else(|| job.orders_place(&web.agent.settings, web.store()));
    let wanted = WantedRun { name: &job.name, cause: "person", due_ms: None, repairs, place: place.as_deref() };
    match web.queue_run(&wanted).await? {
        Some(queued) => {
            note(web, caller, "start_job", &connection_of(job), &job.name, "queued").await?;
            Ok(find(web, caller, Role::Viewer, queued).await?.into())
        }
        None => {
            let waiting = web.store().job_runs(Some(&job.name), 1).await?.pop();
            Err(waiting.map_or_else(
                || Refusal::conflict("the job waits already", "look again"),
                |run| overlap(&job.name, &run),
            ))
        }
    }
}

/// Asks that a run end; what was done stays done.
///
/// # Errors
/// Where there is none, the caller may not, or it has ended.
pub async fn cancel(web: &Web, caller: &Caller, number: i64) -> Result<RunView> {
    let run = find(web, caller, Role::Operator, number).await?;
    let before = web.store().cancel_run(number, web.now_ms()).await?.unwrap_or(run.state);
    if before.is_over() {
        let message = format!("run {number} has ended already: {}", before.name());
        return Err(Refusal::conflict(message, "look at what came of it"));
    }
    let connection = web.jobs.job(&run.name).map_or_else(|_| String::new(), connection_of);
    note(web, caller, "cancel_run", &connection, &format!("{} {number}", run.name), "asked").await?;
    Ok(find(web, caller, Role::Viewer, number).await?.into())
}

/// Starts what a run that failed did not do.
///
/// # Errors
/// As of [`start`]; a run that is not the job's last.
pub async fn retry(web: &Web, caller: &Caller, number: i64) -> Result<RunView> {
    let run = find(web, caller, Role::Operator, number).await?;
    let last = web.store().job_runs(Some(&run.name), 1).await?.pop();
    if last.as_ref().is_some_and(|last| last.id != number) {
        let message = format!("run {number} is not the last one of `{}`", run.name);
        return Err(Refusal::conflict(message, "retry the last one, or start the job whole"));
    }
    start(web, caller, &run.name, true).await
}

/// The run of a job that waits for this agent's orders folder: a new one, or the one that waits already.
pub(super) async fn queue(web: &Web, job: &str, cause: &str) -> Result<RunView> {
    let place = place_of(&web.agent.settings, web.store());
    queue_at(web, job, cause, place.as_deref()).await
}

/// The run of a job that waits for this orders folder: a new one, or the one that waits already.
pub(super) async fn queue_at(web: &Web, job: &str, cause: &str, place: Option<&str>) -> Result<RunView> {
    let wanted = WantedRun { name: job, cause, due_ms: None, repairs: None, place };
    for _ in 0..TRIES {
        if let Some(run) = web.queue_run(&wanted).await? {
            let run = web.store().job_run(run).await?;
            return run.map(Into::into).ok_or_else(|| anyhow::anyhow!("a run that was queued is gone").into());
        }
        if let Some(run) = web.store().waiting_run(job, wanted.place).await? {
            return Ok(run.into());
        }
    }
    Err(Refusal::conflict(format!("runs of `{job}` come and go"), "send it again"))
}

fn overlap(job: &str, run: &JobRun) -> Refusal {
    let message = format!("the job `{job}` does not overlap itself: its run {} is {}", run.id, run.state.name());
    Refusal::conflict(message, "wait until it is done, or cancel it")
}

async fn find(web: &Web, caller: &Caller, role: Role, number: i64) -> Result<JobRun> {
    let unknown = || Refusal::not_found(format!("there is no run {number}"), "list the runs that are kept");
    let run = web.store().job_run(number).await?;
    let may_see = |run: &JobRun, role| match web.jobs.job(&run.name) {
        Ok(job) => may(caller, role, job),
        Err(_) => caller.may(role),
    };
    // Whoever may not look at it is told the same as where there is none.
    let run = run.filter(|run| may_see(run, Role::Viewer)).ok_or_else(unknown)?;
    if may_see(&run, role) { Ok(run) } else { Err(lacks(caller, role)) }
}

fn job<'a>(web: &'a Web, caller: &Caller, role: Role, name: &str) -> Result<&'a Job> {
    let job = web.jobs.jobs.iter().find(|job| job.is(name)).filter(|job| may(caller, Role::Viewer, job));
    let Some(job) = job else {
        return Err(Refusal::not_found(format!("job `{}` is not found", shown(name)), "list the jobs there are"));
    };
    if may(caller, role, job) { Ok(job) } else { Err(lacks(caller, role)) }
}

/// Whether the caller may do what asks for this role in every connection that the job reads or changes.
pub(super) fn may(caller: &Caller, role: Role, job: &Job) -> bool {
    let mut connections = job.steps.iter().flat_map(|step| [Some(&step.connection), step.source.as_ref()]).flatten();
    connections.all(|connection| caller.may_in(role, connection)) && (!job.steps.is_empty() || caller.may(role))
}

/// The only connection of a job; empty where there are several.
fn connection_of(job: &Job) -> String {
    let first = job.steps.first().map_or("", |step| step.connection.as_str());
    if job.steps.iter().all(|step| step.connection == first) { first.to_owned() } else { String::new() }
}

impl From<JobRun> for RunView {
    fn from(run: JobRun) -> Self {
        Self {
            run: run.id,
            job: run.name,
            state: run.state.name(),
            is_over: run.state.is_over(),
            cause: run.cause,
            due_ms: run.due_ms,
            queued_ms: run.queued_ms,
            began_ms: run.began_ms,
            ended_ms: run.ended_ms,
            attempts: run.attempts,
            repairs: run.repairs,
            cancel_ms: run.cancel_ms,
            message: run.message,
        }
    }
}

impl From<StepRun> for StepView {
    fn from(step: StepRun) -> Self {
        Self {
            step: step.name,
            state: step.state.name(),
            began_ms: step.began_ms,
            ended_ms: step.ended_ms,
            message: step.message,
        }
    }
}
