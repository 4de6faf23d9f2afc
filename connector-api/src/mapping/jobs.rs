//! Jobs as an integrator writes them in XML: when they run, and the tasks of them that an agent runs.
//!
//! Tasks that the server runs (synchronisation, policy evaluation …) are left out with a warning each. What the tasks
//! lead to is checked by whoever runs them. Source: the vendor's reference of `Job`, `ExportTask` and `FulfillTask`.

use super::{
    Position, quoted,
    read::Warnings,
    xml::{Attribute, Element},
};
use crate::error::Result;

/// A `<Job>`.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its name.
    pub identifier: String,
    /// `CronTabExpression`, also written `CrontabExpression`: when it runs by itself, and where that is written.
    pub cron: Option<(String, Position)>,
    /// The clock that the expression is about.
    pub time_zone: CronTimeZone,
    /// Whether people may not start it.
    pub user_start_denied: bool,
    /// The vendor's number of the least important level that is kept of its log, from 0, everything, to 5; none for
    /// `None`, the default.
    pub log_level: Option<u8>,
    /// `<Step>`: the tasks by name, where they are not written inside the job.
    pub steps: Vec<Step>,
    /// The tasks written inside the job.
    pub tasks: Vec<Task>,
    /// Where it is written.
    pub position: Position,
}

/// The clock of a cron expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CronTimeZone {
    /// 0, the default.
    Utc,
    /// 1: that of the machine.
    ServerTime,
}

/// A `<Step>` of a job.
#[derive(Debug, Clone)]
pub struct Step {
    /// The task's identifier.
    pub task: String,
    /// Steps of a level run together, after those of lower levels; none where the job does not say.
    pub level: Option<u32>,
    /// Where it is written.
    pub position: Position,
}

/// An `<ExportTask>` or a `<FulfillTask>`.
#[derive(Debug, Clone)]
pub struct Task {
    /// Which of them.
    pub kind: TaskKind,
    /// Its name, where it has one.
    pub identifier: Option<String>,
    /// The connection it is about.
    pub connection: Option<String>,
    /// Or all connections of this connector.
    pub connector: Option<String>,
    /// Or those of the mappings of these resource types.
    pub resource_types: Vec<String>,
    /// The level where the task stands inside a job and says so.
    pub level: Option<u32>,
    /// Whether the job goes on when this task fails.
    pub continue_on_error: bool,
    /// The tasks without whose output it does not run.
    pub depends_on: Vec<String>,
    /// Where it is written.
    pub position: Position,
}

/// What a task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskKind {
    /// `ExportTask`.
    Export,
    /// `FulfillTask`.
    Fulfill,
}

/// Attributes that concern the server, the way to it, or an incremental export, for which a complete one stands in.
const WITHOUT_EFFECT: [&str; 10] = [
    "BatchSize",
    "Dirty",
    "IgnoreCookieFile",
    "IgnoreHistorization",
    "InitMode",
    "IsConnectorJob",
    "IsIncremental",
    "IsInitializationJob",
    "OpenIdClient",
    "Job",
];

/// The kind of the task that an element is; none for every other element.
pub(super) fn task_kind(name: &str) -> Option<TaskKind> {
    match name {
        "ExportTask" => Some(TaskKind::Export),
        "FulfillTask" => Some(TaskKind::Fulfill),
        _ => None,
    }
}

/// A job of the element and the elements directly inside it, each with those inside.
pub(super) fn job(
    element: &mut Element,
    children: &mut [(Element, Vec<Element>)],
    warnings: &mut Warnings,
) -> Result<Job> {
    let zones = [
        ("0", CronTimeZone::Utc),
        ("UTC", CronTimeZone::Utc),
        ("1", CronTimeZone::ServerTime),
        ("ServerTime", CronTimeZone::ServerTime),
    ];
    let cron = ["CronTabExpression", "CrontabExpression"].into_iter().filter_map(|name| element.take(name)).last();
    let cron = cron.filter(|cron| !cron.value.trim().is_empty());
    let mut job = Job {
        identifier: element.required("Identifier")?,
        cron: cron.map(|Attribute { value, position, .. }| (value.trim().to_owned(), position)),
        time_zone: element.choice("CronTimeZone", CronTimeZone::Utc, &zones)?,
        user_start_denied: element.flag("UserStartDenied")?,
        log_level: log_level(element)?,
        steps: Vec::new(),
        tasks: Vec::new(),
        position: element.position.clone(),
    };
    leave_out(element);
    for (child, inside) in children {
        if let Some(kind) = task_kind(&child.name) {
            job.tasks.push(task(kind, child, inside)?);
        } else if child.name == "Step" {
            let (task, identifier) = (child.text("Task"), child.text("Identifier"));
            let task = task.or(identifier).ok_or_else(|| child.lacks("Task"))?;
            job.steps.push(Step { task, level: level(child)?, position: child.position.clone() });
        } else {
            child.attributes.clear();
            let (name, owner) = (quoted(&child.name), quoted(&job.identifier));
            let message = format!("{name} is no task that an agent runs: the job {owner} leaves it out");
            warnings.push(&child.position, message);
        }
    }
    Ok(job)
}

/// A task of the element and those inside it.
pub(super) fn task(kind: TaskKind, element: &mut Element, inside: &mut [Element]) -> Result<Task> {
    let mut task = Task {
        kind,
        identifier: element.text("Identifier"),
        connection: element.text("Connection"),
        connector: element.text("Connector"),
        resource_types: Vec::new(),
        level: level(element)?,
        continue_on_error: element.flag("ContinueOnError")?,
        depends_on: Vec::new(),
        position: element.position.clone(),
    };
    leave_out(element);
    for child in inside {
        match child.name.as_str() {
            "TaskResourceType" => task.resource_types.push(child.required("ResourceType")?),
            "TaskDependsOnTask" => task.depends_on.push(child.required("ParentTask")?),
            _ => {}
        }
    }
    Ok(task)
}

/// The vendor writes -1 for a step that says nothing.
fn level(element: &mut Element) -> Result<Option<u32>> {
    Ok(u32::try_from(element.number("Level", -1, -1..=10_000)?).ok())
}

fn log_level(element: &mut Element) -> Result<Option<u8>> {
    const NAMES: [&str; 7] = ["Trace", "Debug", "Information", "Warning", "Error", "Critical", "None"];
    const NUMBERS: [&str; 7] = ["0", "1", "2", "3", "4", "5", "6"];
    let level = |texts: [&'static str; 7]| texts.into_iter().zip(0_u8..);
    let choices: Vec<(&str, u8)> = level(NAMES).chain(level(NUMBERS)).collect();
    Ok(Some(element.choice("LogLevel", 6, &choices)?).filter(|level| *level < 6))
}

fn leave_out(element: &mut Element) {
    element.attributes.retain(|attribute| !WITHOUT_EFFECT.contains(&attribute.name.as_str()));
}
