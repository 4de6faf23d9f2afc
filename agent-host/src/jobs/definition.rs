//! The jobs of an agent directory, from its XML and from the section `Jobs`, checked, with the place of what is wrong.
//!
//! XML serves several agents: what leads to a connection that is not in the settings is left out with a warning. What
//! `Jobs` says is for this agent alone: there it is an error. For each connection there are the jobs `export:NAME` and
//! `fulfill:NAME` beside, which run when they are asked for.

use std::{ops::RangeInclusive, time::Duration};

use chrono_tz::Tz;
use connector_api::{
    Error, ErrorKind, Result,
    mapping::{self, CronTimeZone, Position, TaskKind},
};

use super::Schedule;
use crate::{
    agent::Agent,
    import,
    leases::Length,
    presence::place_of,
    settings::{Section, Settings},
    store::Store,
};

/// The most minutes a job may be given: a month.
const MAX_MINUTES: u64 = 31 * 24 * 60;
const MAX_LEVEL: RangeInclusive<u32> = 0..=10_000;

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
    /// In the order in which they run: by levels, which never become less.
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
    /// Names of the steps without whose output it does not run.
    pub after: Vec<String>,
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
            } else if !jobs.iter().any(|known| known.is(&job.name)) {
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
        let places: Vec<usize> = (0..self.steps.len()).collect();
        let levels = places.chunk_by(|one, other| self.steps[*one].level == self.steps[*other].level);
        levels.flat_map(|level| level.chunks(at_once.max(1)).map(<[usize]>::to_vec)).collect()
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

/// The time zone of this machine, asked for only where a job wants it.
struct ServerZone<'a>(&'a Section<'a>);

impl ServerZone<'_> {
    fn zone(&self) -> Result<Tz> {
        let named = self.0.text("TimeZone");
        let text = named.map(str::to_owned).or_else(|| iana_time_zone::get_timezone().ok());
        let zone = text.and_then(|text| text.parse().ok());
        zone.ok_or_else(|| {
            let error =
                self.0.error("TimeZone", "is needed: a job is scheduled by server time, which is not known here");
            error.with_hint("name the zone, such as Europe/Paris")
        })
    }
}

/// What jobs are read with.
struct Reader<'a> {
    agent: &'a Agent,
    zone: ServerZone<'a>,
    timeout: Duration,
}

impl Reader<'_> {
    fn job_of_xml(&self, declared: &mapping::Job) -> Result<Job> {
        let schedule = declared.cron.as_ref().map(|(cron, position)| {
            let zone = match declared.time_zone {
                CronTimeZone::Utc => Tz::UTC,
                CronTimeZone::ServerTime => self.zone.zone()?,
            };
            let refuse =
                |what: String| refused(position, &format!("`{cron}` of the job `{}` {what}", declared.identifier));
            Schedule::parse(cron, zone).map_err(|what| refuse(what).with_hint(CRON_HINT))
        });
        let mut placed: Vec<(&mapping::Task, Option<u32>)> = Vec::new();
        for step in &declared.steps {
            let mut all = declared.tasks.iter().chain(&self.agent.mapping.tasks);
            match all.find(|task| is_named(task, &step.task)) {
                Some(task) => placed.push((task, step.level)),
                None => tracing::warn!(
                    "{}: `{}` is no task that an agent runs: the job `{}` leaves it out",
                    step.position,
                    step.task,
                    declared.identifier
                ),
            }
        }
        let inside = declared.tasks.iter().filter(|task| !declared.steps.iter().any(|step| is_named(task, &step.task)));
        placed.extend(inside.map(|task| (task, task.level)).collect::<Vec<_>>());
        let mut steps = Vec::new();
        let mut lowest = 0;
        for (task, level) in placed {
            let level = level.unwrap_or(lowest);
            lowest = lowest.max(level + 1);
            steps.extend(self.steps_of(task, level, &declared.identifier));
        }
        Ok(Job {
            name: declared.identifier.clone(),
            schedule: schedule.transpose()?,
            steps: in_order(steps),
            timeout: self.timeout,
            start_denied: declared.user_start_denied,
            log_level: declared.log_level.unwrap_or(DEFAULT_LOG_LEVEL),
            place: Some(declared.position.to_string()),
        })
    }

    /// A task is a step for each connection that it is about.
    fn steps_of(&self, task: &mapping::Task, level: u32, job: &str) -> Vec<Step> {
        let kind = match task.kind {
            TaskKind::Export => Kind::Export,
            TaskKind::Fulfill => Kind::Fulfill,
        };
        let connections = self.connections_of(task);
        let known = |name: &String| self.agent.settings.connection(name).is_ok();
        let (ours, others): (Vec<String>, Vec<String>) = connections.into_iter().partition(known);
        for name in &others {
            tracing::warn!(
                "{}: the connection `{name}` is not in the settings: the job `{job}` leaves it out",
                task.position
            );
        }
        if ours.is_empty() && others.is_empty() {
            tracing::warn!("{}: the task leads to no connection: the job `{job}` leaves it out", task.position);
        }
        let several = ours.len() > 1;
        let name = |connection: &str| match &task.identifier {
            Some(name) if several => format!("{name} ({connection})"),
            Some(name) => name.clone(),
            None => Job::name_of(kind, connection),
        };
        let step = |connection: &String| Step {
            name: name(connection),
            kind,
            connection: connection.clone(),
            source: None,
            import: None,
            level,
            continue_on_error: task.continue_on_error,
            after: task.depends_on.clone(),
        };
        ours.iter().map(step).collect()
    }

    fn connections_of(&self, task: &mapping::Task) -> Vec<String> {
        if let Some(connection) = &task.connection {
            return vec![connection.clone()];
        }
        let mapping = &self.agent.mapping;
        let of_connector = mapping.connections.iter().filter(|connection| {
            let connector = connection.connector.as_ref().zip(task.connector.as_ref());
            connector.is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
        });
        let of_types = mapping.resource_type_mappings.iter().filter(|mapping| {
            task.resource_types.iter().any(|wanted| wanted.eq_ignore_ascii_case(&mapping.identifier))
        });
        let mut names: Vec<String> = Vec::new();
        for name in of_connector.map(|it| &it.identifier).chain(of_types.map(|it| &it.connection)) {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name.clone());
            }
        }
        names
    }

    fn job_of_settings(&self, settings: &Settings, name: &str) -> Result<Job> {
        let place = format!("Jobs:{name}");
        let section = settings.section(&[&place]);
        let zone = match section.text("TimeZone") {
            None => Tz::UTC,
            Some(text) if text.eq_ignore_ascii_case("ServerTime") => self.zone.zone()?,
            Some(text) => text.parse().map_err(|_| {
                section.error("TimeZone", "is no time zone").with_hint("write one such as Europe/Paris, or ServerTime")
            })?,
        };
        let schedule = section.text("Schedule").map(|text| {
            Schedule::parse(text, zone).map_err(|what| section.error("Schedule", what).with_hint(CRON_HINT))
        });
        let minutes = section.number("TimeoutMinutes", self.timeout.as_secs() / 60, 1..=MAX_MINUTES)?;
        let mut steps = Vec::new();
        for index in section_indexes(&section) {
            let level = u32::try_from(index).unwrap_or(u32::MAX);
            steps.push(self.step_of_settings(settings, &format!("{place}:Steps:{index}"), level)?);
        }
        if steps.is_empty() {
            return Err(section.error("Steps", "is missing, or holds no step").with_hint(STEP_HINT));
        }
        let after = steps.iter().flat_map(|step| &step.after);
        if let Some(unknown) = after.into_iter().find(|name| !steps.iter().any(|step| step.name == **name)) {
            let error = section.error("Steps", format_args!("has a step after `{unknown}`, which no step is named"));
            return Err(error.with_hint("name a step of the same job"));
        }
        Ok(Job {
            name: name.to_owned(),
            schedule: schedule.transpose()?,
            steps: in_order(steps),
            timeout: Duration::from_secs(60 * minutes),
            start_denied: section.flag("UserStartDenied", false)?,
            log_level: DEFAULT_LOG_LEVEL,
            place: Some(format!("`{place}`")),
        })
    }

    fn step_of_settings(&self, settings: &Settings, place: &str, level: u32) -> Result<Step> {
        let section = settings.section(&[place]);
        let missing = |key: &str| section.error(key, "is missing").with_hint(STEP_HINT);
        section.text("Kind").ok_or_else(|| missing("Kind"))?;
        let kind = section.choice("Kind", Kind::Export, &Kind::ALL)?;
        let (import, connection) = if kind == Kind::Import {
            let import = section.text("Import").ok_or_else(|| missing("Import"))?;
            let (import, connection) = import::target_of(self.agent, import)?;
            (Some(import), connection)
        } else {
            let connection = section.text("Connection").ok_or_else(|| missing("Connection"))?;
            let connection = settings.connection(connection).map_err(|error| {
                let hint = error.hint().unwrap_or_default().to_owned();
                section.error("Connection", "names no connection of the settings").with_hint(hint)
            })?;
            (None, connection.id().as_str().to_owned())
        };
        let about = import.as_deref().unwrap_or(&connection);
        let source = import.as_deref().map(|import| import::source_of(self.agent, import).unwrap_or_default());
        Ok(Step {
            name: section.text("Name").map_or_else(|| Job::name_of(kind, about), str::to_owned),
            kind,
            connection: connection.clone(),
            source,
            import,
            level: section.number("Level", level, MAX_LEVEL)?,
            continue_on_error: section.flag("ContinueOnError", false)?,
            after: section.list("After", ',').into_iter().map(str::to_owned).collect(),
        })
    }
}

const CRON_HINT: &str =
    "write five fields, minute hour day month weekday, such as `0 3 * * *`, or six with seconds first";
const STEP_HINT: &str = "write `\"Steps\": [{ \"Kind\": \"export\", \"Connection\": \"NAME\" }]`";

fn is_named(task: &mapping::Task, name: &str) -> bool {
    task.identifier.as_ref().is_some_and(|identifier| identifier.eq_ignore_ascii_case(name))
}

fn in_order(mut steps: Vec<Step>) -> Vec<Step> {
    steps.sort_by_key(|step| step.level);
    steps
}

/// The numbers of the elements of `Steps`.
fn section_indexes(section: &Section<'_>) -> Vec<usize> {
    let present = |index: &usize| {
        let keys = ["Kind", "Connection", "Import", "Name", "Level", "ContinueOnError"];
        keys.iter().any(|key| section.text(&format!("Steps:{index}:{key}")).is_some())
    };
    (0..).take_while(present).collect()
}

fn refused(position: &Position, what: &str) -> Error {
    Error::new(ErrorKind::Settings, format!("{position}: {what}"))
}
