//! One job as it is written, in XML or in the settings, made into steps in the order in which they run.

use std::{ops::RangeInclusive, time::Duration};

use chrono_tz::Tz;
use connector_api::{
    Error, ErrorKind, Result,
    mapping::{self, CronTimeZone, Position, TaskKind},
};

use super::{DEFAULT_LOG_LEVEL, Job, Kind, MAX_MINUTES, Schedule, Step, sequence};
use crate::{
    agent::Agent,
    import,
    settings::{Section, Settings},
};

const MAX_LEVEL: RangeInclusive<u32> = 0..=10_000;

/// The time zone of this machine, asked for only where a job wants it.
pub(super) struct ServerZone<'a>(pub(super) &'a Section<'a>);

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
pub(super) struct Reader<'a> {
    pub(super) agent: &'a Agent,
    pub(super) zone: ServerZone<'a>,
    pub(super) timeout: Duration,
}

/// A step that does not know yet when it runs.
struct Draft {
    step: Step,
    /// By what others name it; all steps of one task have the same.
    name: Option<String>,
    /// The names of those without whose output it does not run.
    after: Vec<String>,
    /// Where it is written.
    place: String,
}

impl Reader<'_> {
    pub(super) fn job_of_xml(&self, declared: &mapping::Job) -> Result<Job> {
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
        let mut drafts = Vec::new();
        let mut lowest = 0;
        for (task, level) in placed {
            let level = level.unwrap_or(lowest);
            lowest = lowest.max(level + 1);
            drafts.extend(self.steps_of(task, level, &declared.identifier));
        }
        let circle = |names: String| {
            let what = format!("tasks of the job `{}` wait for each other: {names}", declared.identifier);
            refused(&declared.position, &what).with_hint("take a `TaskDependsOnTask` out")
        };
        Ok(Job {
            name: declared.identifier.clone(),
            schedule: schedule.transpose()?,
            steps: in_order(&drafts, |draft, parent| left_alone(draft, parent, &declared.identifier), circle)?,
            timeout: self.timeout,
            start_denied: declared.user_start_denied,
            log_level: declared.log_level.unwrap_or(DEFAULT_LOG_LEVEL),
            place: Some(declared.position.to_string()),
        })
    }

    /// A task is a step for each connection that it is about.
    fn steps_of(&self, task: &mapping::Task, level: u32, job: &str) -> Vec<Draft> {
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
            after: Vec::new(),
        };
        let draft = |connection| Draft {
            step: step(connection),
            name: task.identifier.clone(),
            after: task.depends_on.clone(),
            place: task.position.to_string(),
        };
        ours.iter().map(draft).collect()
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

    pub(super) fn job_of_settings(&self, settings: &Settings, name: &str) -> Result<Job> {
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
        let mut drafts = Vec::new();
        for index in indexes(settings, &format!("{place}:Steps"))? {
            drafts.push(self.step_of_settings(settings, &format!("{place}:Steps:{index}"), index)?);
        }
        if drafts.is_empty() {
            return Err(section.error("Steps", "is missing, or holds no step").with_hint(STEP_HINT));
        }
        let unknown = |draft: &Draft, parent: &str| {
            let error =
                settings.section(&[&draft.place]).error("After", format_args!("names `{parent}`, which no step is"));
            Err(error.with_hint("name a step of the same job"))
        };
        let circle = |names: String| {
            let error = section.error("Steps", format_args!("has steps that wait for each other: {names}"));
            error.with_hint("take an `After` out")
        };
        Ok(Job {
            name: name.to_owned(),
            schedule: schedule.transpose()?,
            steps: in_order(&drafts, unknown, circle)?,
            timeout: Duration::from_secs(60 * minutes),
            start_denied: section.flag("UserStartDenied", false)?,
            log_level: DEFAULT_LOG_LEVEL,
            place: Some(format!("`{place}`")),
        })
    }

    fn step_of_settings(&self, settings: &Settings, place: &str, level: u32) -> Result<Draft> {
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
        let step = Step {
            name: section.text("Name").map_or_else(|| Job::name_of(kind, about), str::to_owned),
            kind,
            connection: connection.clone(),
            source,
            import,
            level: section.number("Level", level, MAX_LEVEL)?,
            continue_on_error: section.flag("ContinueOnError", false)?,
            after: Vec::new(),
        };
        let after = section.list("After", ',').into_iter().map(str::to_owned).collect();
        Ok(Draft { name: Some(step.name.clone()), step, after, place: place.to_owned() })
    }
}

const CRON_HINT: &str =
    "write five fields, minute hour day month weekday, such as `0 3 * * *`, or six with seconds first";
const STEP_HINT: &str = "write `\"Steps\": [{ \"Kind\": \"export\", \"Connection\": \"NAME\" }]`";

fn is_named(task: &mapping::Task, name: &str) -> bool {
    task.identifier.as_ref().is_some_and(|identifier| identifier.eq_ignore_ascii_case(name))
}

/// The steps in the order in which they run. `unknown` is told of the names that no step has, `circle` of steps that wait
/// for each other.
fn in_order(
    drafts: &[Draft],
    unknown: impl Fn(&Draft, &str) -> Result<()>,
    circle: impl Fn(String) -> Error,
) -> Result<Vec<Step>> {
    let mut after = Vec::new();
    for draft in drafts {
        let mut places = Vec::new();
        for name in &draft.after {
            let is_it = |other: &Draft| other.name.as_ref().is_some_and(|other| other.eq_ignore_ascii_case(name));
            let named: Vec<usize> = (0..drafts.len()).filter(|place| is_it(&drafts[*place])).collect();
            if named.is_empty() {
                unknown(draft, name)?;
            }
            places.extend(named);
        }
        after.push(places);
    }
    let mut levels: Vec<u32> = drafts.iter().map(|draft| draft.step.level).collect();
    let order = sequence::order(&mut levels, &after).map_err(|places| {
        let names: Vec<String> = places.iter().map(|place| format!("`{}`", drafts[*place].step.name)).collect();
        circle(names.join(", "))
    })?;
    let new_place = |old: usize| order.iter().position(|place| *place == old);
    let in_place = |place: &usize| Step {
        level: levels[*place],
        after: after[*place].iter().filter_map(|parent| new_place(*parent)).collect(),
        ..drafts[*place].step.clone()
    };
    Ok(order.iter().map(in_place).collect())
}

/// XML serves several agents and the server: what they run is not waited for.
fn left_alone(draft: &Draft, parent: &str, job: &str) -> Result<()> {
    let (place, step) = (&draft.place, &draft.step.name);
    tracing::warn!("{place}: no step of the job `{job}` here is the task `{parent}`: `{step}` does not wait for it");
    Ok(())
}

/// The numbers of the elements of an array.
fn indexes(settings: &Settings, place: &str) -> Result<Vec<u32>> {
    let (array, job) = (settings.section(&[place]), place.trim_end_matches(":Steps"));
    let whole = settings.section(&[job]);
    // An element that is no object; the keys of those that are have a colon.
    let texts = whole.pairs("Steps").into_iter().map(|(name, _)| name).filter(|name| !name.contains(':'));
    let mut indexes = Vec::new();
    for name in array.sections().into_iter().chain(texts) {
        let index = name.parse().map_err(|_| array.error(name, "is no step of a list").with_hint(STEP_HINT))?;
        indexes.push(index);
    }
    indexes.sort_unstable();
    indexes.dedup();
    Ok(indexes)
}

fn refused(position: &Position, what: &str) -> Error {
    Error::new(ErrorKind::Settings, format!("{position}: {what}"))
}
