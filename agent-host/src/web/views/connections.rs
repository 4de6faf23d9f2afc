//! Connections: what they are, how they are, and a check now.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use utoipa::ToSchema;

use super::{Result, connection, note, runs, visible};
use crate::{
    access::{Caller, Role},
    check::{self, CheckReport},
    export::BucketLimit,
    jobs::Kind,
    redaction::redact,
    web::Web,
};

/// How long the storage of sets may take to tell how much of the limits was used.
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// The connections that the caller may look at.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectionList {
    /// In the order of the settings.
    pub connections: Vec<ConnectionView>,
}

/// A connection, and how it is.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectionView {
    /// Its name.
    pub connection: String,
    /// The vendor's package, where the XML names one.
    pub package: Option<String>,
    /// Where the managed system is.
    pub server: Option<String>,
    /// `ok`, `problem` or `unknown`: the worst of what was seen last.
    pub health: &'static str,
    /// What the last check found.
    pub last_check: Option<CheckedView>,
    /// The last export that a job made.
    pub last_export: Option<LastStep>,
    /// The last fulfilment that a job made.
    pub last_fulfillment: Option<LastStep>,
    /// When a job is due that has to do with it, in milliseconds since 1970.
    pub next_ms: Option<i64>,
    /// That job.
    pub next_job: Option<String>,
    /// Requests of the last export, its limits and how long they were waited for, by the name of the bucket.
    pub quota: BTreeMap<String, BucketView>,
}

/// How much of a bucket the last export used.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct BucketView {
    /// Requests.
    pub requests: u64,
    /// How long its limit was used up.
    pub waited_ms: u64,
    /// Requests that the managed system allows a minute; none where it named no limit.
    pub limit: Option<u32>,
    /// Requests of the busiest minute, whoever sent them; none where there is no limit.
    pub most_used: Option<u32>,
}

/// A connection with its settings.
#[derive(Debug, Serialize, ToSchema)]
pub struct ConnectionDetails {
    /// What there is to know of it.
    #[serde(flatten)]
    pub connection: ConnectionView,
    /// In alphabetical order.
    pub settings: Vec<SettingView>,
}

/// A setting of a connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct SettingView {
    /// Its key.
    pub key: String,
    /// What it is set to; none where that is a secret.
    pub value: Option<String>,
    /// Whether it is a secret: then it is only told that it is set.
    pub is_secret: bool,
    /// Where it is written.
    pub place: Option<String>,
}

/// What a check found, and when.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckedView {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// What was found.
    #[serde(flatten)]
    pub report: CheckReport,
}

/// The last step of a kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct LastStep {
    /// The run it was in.
    pub run: i64,
    /// `started`, `success`, `warning`, `error`, `blocked` or `cancelled`.
    pub state: &'static str,
    /// When it began.
    pub began_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// What came of it.
    pub message: String,
}

/// The connections.
///
/// # Errors
/// Where the store fails.
pub async fn connections(web: &Web, caller: &Caller) -> Result<ConnectionList> {
    let mut listed = Vec::new();
    for settings in visible(web, caller) {
        listed.push(view(web, caller, settings.id().as_str()).await?);
    }
    Ok(ConnectionList { connections: listed })
}

/// One connection with its settings, of which no secret is told.
///
/// # Errors
/// Where there is none, or the caller may not look at it.
pub async fn one(web: &Web, caller: &Caller, name: &str) -> Result<ConnectionDetails> {
    let settings = connection(web, caller, Role::Viewer, name)?;
    let id = settings.id();
    // The text of the file that `CaFile` names is no setting of its own.
    let keys = settings.keys().filter(|key| !key.eq_ignore_ascii_case("CaCertificates"));
    let setting = |key: &str| {
        let is_secret = web.agent.settings.is_secret(&format!("Connections:{id}:{key}"));
        SettingView {
            key: key.to_owned(),
            value: settings.text(key).filter(|_| !is_secret).map(|text| redact(text).into_owned()),
            is_secret,
            place: web.agent.settings.locate(id, key),
        }
    };
    Ok(ConnectionDetails { connection: view(web, caller, id.as_str()).await?, settings: keys.map(setting).collect() })
}

/// Tries a connection out now, and keeps what was found.
///
/// # Errors
/// Where there is none, or the caller may not; not where the check fails: that is what it finds.
pub async fn check(web: &Web, caller: &Caller, name: &str) -> Result<CheckedView> {
    let settings = connection(web, caller, Role::Operator, name)?;
    let id = settings.id().as_str();
    let report = check::check(&web.agent, id).await;
    let at_ms = web.now_ms();
    let text = serde_json::to_string(&report).map_err(anyhow::Error::from)?;
    web.store().note_check(id, &text, at_ms).await?;
    note(web, caller, "check_connection", id, "", if report.ok { "ok" } else { "problem" }).await?;
    Ok(CheckedView { at_ms, report })
}

async fn view(web: &Web, caller: &Caller, name: &str) -> Result<ConnectionView> {
    let settings = web.agent.settings.connection(name)?;
    let declared = web.agent.mapping.connections.iter().find(|it| settings.id().is(&it.identifier));
    let last_check = web.store().last_check(name).await?;
    let last_check =
        last_check.and_then(|(at_ms, report)| Some(CheckedView { at_ms, report: serde_json::from_str(&report).ok()? }));
    let (last_export, last_fulfillment) = (last(web, name, Kind::Export).await?, last(web, name, Kind::Fulfill).await?);
    let due = web.jobs.jobs.iter().filter(|job| runs::may(caller, Role::Viewer, job));
    let due = due.filter(|job| job.steps.iter().any(|it| it.connection.eq_ignore_ascii_case(name)));
    let due = due.filter_map(|job| Some((job.schedule.as_ref()?.next(web.now_ms())?, job.name.clone())));
    let (next_ms, next_job) = due.min().unzip();
    Ok(ConnectionView {
        connection: settings.id().to_string(),
        package: declared.and_then(|it| it.package.clone()),
        server: settings.text("Server").map(str::to_owned),
        health: health(last_check.as_ref(), [last_export.as_ref(), last_fulfillment.as_ref()]),
        last_check,
        last_export,
        last_fulfillment,
        next_ms,
        next_job,
        quota: quota(web, settings.id().as_str()).await,
    })
}

/// A check counts until a job has ended after it.
fn health(check: Option<&CheckedView>, steps: [Option<&LastStep>; 2]) -> &'static str {
    let ended = steps.into_iter().flatten().filter(|step| step.ended_ms.is_some());
    let latest = ended.clone().filter_map(|step| step.ended_ms).max();
    let is_bad = |step: &LastStep| matches!(step.state, "error" | "blocked");
    let check = check.filter(|check| latest.is_none_or(|latest| check.at_ms >= latest));
    match (check, latest) {
        (Some(check), _) if !check.report.ok => "problem",
        _ if ended.clone().any(is_bad) => "problem",
        (None, None) => "unknown",
        _ => "ok",
    }
}

/// The last step of this kind that a job made for the connection.
async fn last(web: &Web, connection: &str, kind: Kind) -> Result<Option<LastStep>> {
    let steps = web.jobs.jobs.iter().flat_map(|job| job.steps.iter().map(move |step| (job, step)));
    let steps = steps.filter(|(_, step)| step.kind == kind && step.connection.eq_ignore_ascii_case(connection));
    let steps: Vec<_> = steps.map(|(job, step)| (job.name.clone(), step.name.clone())).collect();
    let found = web.store().last_step(&steps).await?;
    Ok(found.map(|(run, step)| LastStep {
        run,
        state: step.state.name(),
        began_ms: step.began_ms,
        ended_ms: step.ended_ms,
        message: step.message,
    }))
}

/// Nothing where there is no set; nor where storage does not tell in time, which is no reason to show nothing else.
async fn quota(web: &Web, connection: &str) -> BTreeMap<String, BucketView> {
    let told = tokio::time::timeout(LONGEST_LOOK, web.output.manifest(connection)).await;
    let Ok(Ok(Some(manifest))) = told else { return BTreeMap::new() };
    let mut buckets: BTreeMap<String, BucketView> = BTreeMap::new();
    for (name, requests) in manifest.requests.by_bucket {
        buckets.entry(name).or_default().requests = requests;
    }
    for (name, waited_ms) in manifest.waited_ms {
        buckets.entry(name).or_default().waited_ms = waited_ms;
    }
    for (name, BucketLimit { limit, most_used }) in manifest.limits {
        let bucket = buckets.entry(name).or_default();
        (bucket.limit, bucket.most_used) = (Some(limit), Some(most_used));
    }
    buckets
}
