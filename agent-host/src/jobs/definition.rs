//! The jobs of an agent directory, from its XML and from the section `Jobs`, checked, with the place of what is wrong.
//!
//! XML serves several agents: what leads to a connection that is not in the settings is left out with a warning. What
//! `Jobs` says is for this agent alone: there it is an error. For each connection there are the jobs `export:NAME` and
//! `fulfill:NAME` beside, which run when they are asked for.

mod reader;

use std::time::Duration;

use connector_api::{Error, ErrorKind, Result};

use super::{Schedule, sequence};
use crate::{
    agent::Agent,
    import,
    leases::Length,
    presence::place_of,
    settings::{Section, Settings},
    store::Store,
};
use reader::{Reader, ServerZone};

/// The most minutes a job may be given: a month.
const MAX_MINUTES: u64 = 31 * 24 * 60;

/// All jobs, and what holds for all of them.
#[derive(Debug, Clone)]
pub struct Jobs {
    /// The declared ones in the order of the files, then those of the connections.
    pub jobs: Vec<Job>,
    /// What holds for all.
    pub limits: Limits,
}

/// What holds for all jobs.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Whether schedules are kept.
    pub scheduled: bool,
    /// Whether orders folders are watched.
    pub watch_orders: bool,
    /// Steps of a level that run at once.
    pub steps_at_once: usize,
    /// Runs at once.
    pub runs_at_once: usize,
    /// How long ended runs are kept.
    pub keep_days: u32,
    /// How many ended runs are kept.
    pub keep_runs: u32,
    /// Bytes of the log that are kept of one run.
    pub log_bytes: usize,
    /// How long a run is a worker's that says nothing more.
    pub lease: Length,
    /// How long runs may go on when the agent is asked to end.
    pub stop_timeout: Duration,
}

/// One job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name; another in case alone is the same.
    pub name: String,
    /// When it runs by itself.
    pub schedule: Option<Schedule>,
    /// In the order in which they run: by levels, which never become less, and behind those they wait for.
    pub steps: Vec<Step>,
    /// How long a run may take.
    pub timeout: Duration,
    /// Whether people may not start it.
    pub start_denied: bool,
    /// The vendor's number of the least important level that is kept of its log.
    pub log_level: u8,
    /// Where it is written; none for a connection's own.
    pub place: Option<String>,
}

/// One step of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// To which connection; of an import, the one whose accounts follow.
    pub connection: String,
    /// Of an import, the one whose records are read; empty where that is not known.
    pub source: Option<String>,
    /// Which import it runs, if it is one.
    pub import: Option<String>,
    /// Steps of one level run together, after all of lower levels.
    pub level: u32,
    /// Whether the job goes on when it fails.
    pub continue_on_error: bool,
    /// The places of the steps without whose output it does not run, all before its own.
    pub after: Vec<usize>,
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Exports the connection.
    Export,
    /// Carries out the orders in its folder.
    Fulfill,
    /// Makes its accounts follow the records of another.
    Import,
    /// Writes its tables and columns as XML into the work folder.
    RefreshSchema,
}

impl Kind {
    /// By the names that settings have for them.
    pub const ALL: [(&'static str, Self); 4] = [
        ("export", Self::Export),
        ("fulfill", Self::Fulfill),
        ("import", Self::Import),
        ("refresh-schema", Self::RefreshSchema),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Export => "export",
            Self::Fulfill => "fulfill",
            Self::Import => "import",
            Self::RefreshSchema => "refresh-schema",
        }
    }
}

impl Jobs {
    /// The jobs of the agent. What XML asks for in vain is logged as a warning.
    ///
    /// # Errors
    /// Of kind `Settings`, with the place: a schedule, a step, a name that cannot be obeyed.
    pub fn read(agent: &Agent) -> Result<Self> {
        let section = agent.settings.section(&["Jobs"]);
        let lease = Length::of(&agent.settings)?;
        let limits = Limits::read(&section, &agent.settings.section(&["Scheduler"]), lease)?;
        let minutes = section.number("TimeoutMinutes", 24 * 60, 1..=MAX_MINUTES)?;
        let reader = Reader { agent, zone: ServerZone(&section), timeout: Duration::from_secs(60 * minutes) };
        let mut jobs: Vec<Job> = Vec::new();
        for declared in &agent.mapping.jobs {
            let job = reader.job_of_xml(declared)?;
            if job.steps.is_empty() {
                let (position, name) = (&declared.position, &declared.identifier);
                tracing::warn!("{position}: no task of the job `{name}` is for this agent: it is left out");
            } else if let Some(known) = jobs.iter().find(|known| known.is(&job.name)) {
                let (position, place) = (&declared.position, known.place.as_deref().unwrap_or_default());
                tracing::warn!(
                    "{position}: the job `{}` is declared at {place} already: this one is left out",
                    job.name
                );
            } else {
                jobs.push(job);
            }
        }
        for name in section.sections() {
            let job = reader.job_of_settings(&agent.settings, name)?;
            if let Some(known) = jobs.iter().find(|known| known.is(name)) {
                let place = known.place.as_deref().unwrap_or_default();
                let error =
                    section.error(&format!("{name}:Steps"), format_args!("is of a job that {place} declares too"));
                return Err(error.with_hint("give one of them another name"));
            }
            jobs.push(job);
        }
        for connection in &agent.settings.connections {
            for kind in [Kind::Export, Kind::Fulfill] {
                let job = Job::of_connection(kind, connection.id().as_str(), reader.timeout);
                if !jobs.iter().any(|known| known.is(&job.name)) {
                    jobs.push(job);
                }
            }
        }
        for name in import::names(agent) {
            // An import that is not right stops nothing else; whoever starts it hears of it.
            let connection =
                import::target_of(agent, &name).map_or_else(|_| String::new(), |(_, connection)| connection);
            let mut job = Job::of_connection(Kind::Import, &name, reader.timeout);
            job.steps[0].connection = connection;
            job.steps[0].source = Some(import::source_of(agent, &name).unwrap_or_default());
            job.steps[0].import = Some(name);
            if !jobs.iter().any(|known| known.is(&job.name)) {
                jobs.push(job);
            }
        }
        Ok(Self { jobs, limits })
    }

    /// The job of this name.
    ///
    /// # Errors
    /// Of kind `Settings` where there is none.
    pub fn job(&self, name: &str) -> Result<&Job> {
        self.jobs.iter().find(|job| job.is(name)).ok_or_else(|| {
            let error = Error::new(ErrorKind::Settings, format!("job `{name}` is not found"));
            error.with_hint("`agent-host job list` names those there are")
        })
    }
}

impl Job {
    /// Whether this is its name.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// The orders folder whose files the job is about when somebody starts it here; none where any agent may take it up.
    pub(crate) fn orders_place(&self, settings: &Settings, store: &Store) -> Option<String> {
        let is_about_orders = !self.steps.is_empty() && self.steps.iter().all(|step| step.kind == Kind::Fulfill);
        is_about_orders.then(|| place_of(settings, store)).flatten()
    }

    /// The name of a connection's own job.
    pub fn name_of(kind: Kind, connection: &str) -> String {
        format!("{}:{connection}", kind.name())
    }

    /// The job that every connection has for this.
    fn of_connection(kind: Kind, connection: &str, timeout: Duration) -> Self {
        let step = Step {
            name: kind.name().to_owned(),
            kind,
            connection: connection.to_owned(),
            source: None,
            import: None,
            level: 0,
            continue_on_error: false,
            after: Vec::new(),
        };
        Self {
            name: Self::name_of(kind, connection),
            schedule: None,
            steps: vec![step],
            timeout,
            start_denied: false,
            log_level: DEFAULT_LOG_LEVEL,
            place: None,
        }
    }

    /// The steps as they run: places of those that run together, so many at most, level by level.
    pub fn batches(&self, at_once: usize) -> Vec<Vec<usize>> {
        sequence::batches(self.steps.iter().map(|step| (step.level, step.after.as_slice())), at_once)
    }
}

/// Information.
const DEFAULT_LOG_LEVEL: u8 = 2;

impl Limits {
    fn read(jobs: &Section<'_>, scheduler: &Section<'_>, lease: Length) -> Result<Self> {
        Ok(Self {
            lease,
            scheduled: scheduler.flag("Enabled", true)?,
            watch_orders: jobs.flag("WatchOrders", true)?,
            steps_at_once: jobs.number("MaxTaskBatchSize", 5, 1..=1000)?,
            runs_at_once: jobs.number("MaxRuns", 4, 1..=100)?,
            keep_days: jobs.number("KeepRunsDays", 90, 1..=36_500)?,
            keep_runs: jobs.number("KeepRuns", 10_000, 1..=10_000_000)?,
            log_bytes: jobs.number::<usize>("LogKilobytes", 256, 1..=65_536)? << 10,
            stop_timeout: Duration::from_secs(jobs.number("StopTimeoutSeconds", 30, 0..=86_400)?),
        })
    }
}
