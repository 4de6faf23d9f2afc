//! One step of a run: the same functions as those of the commands, and what came of it in a state and a line.

use std::time::Duration;

use connector_api::{Error, ErrorKind, Result, mapping::Deactivation};

use super::{Clock, Kind, Step};
use crate::{
    agent::{Agent, Opened},
    disk,
    export::{self, Bucket, ExportOptions, ExportReport, FileError, Refused, grouped},
    fulfill::{self, FulfillOptions, Orders, OverLimit, Stop, Stopped},
    import::{self, ImportOptions, ImportRefused},
    leases::{Length, Wish},
    monitoring::families,
    redaction::redact,
    schema_xml,
    store::{RunState, Store},
};

/// What came of a step.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) state: RunState,
    pub(super) message: String,
}

impl Ended {
    /// Notes in a span how it ended.
    pub(super) fn tell(&self, span: &tracing::Span, field: &str) {
        span.record(field, self.state.name());
        if self.state == RunState::Error {
            span.record("otel.status_code", "ERROR");
        }
    }
}

/// Between two looks whether another run or command is done with the connection.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Carries a step out, after whoever does the same with the connection; how long, the job's timeout says. A step that
/// heeds `stop` finishes what is under way. `progress` is told now and then how far it is.
pub(super) async fn carry_out(
    agent: &Agent,
    store: &Store,
    step: &Step,
    clock: Clock,
    stop: &Stop,
    progress: impl Fn(String),
) -> Ended {
    let mut has_waited = false;
    let outcome = loop {
        let outcome = match step.kind {
            Kind::Export => export(agent, store, &step.connection, clock, &progress).await,
            Kind::Fulfill => fulfill(agent, &step.connection, clock, stop, &progress).await,
            Kind::Import => import(agent, step, clock, stop, &progress).await,
            Kind::RefreshSchema => refresh_schema(agent, &step.connection).await,
        };
        match &outcome {
            Err(error) if is_busy(error) => {
                if !has_waited {
                    tracing::info!(step = step.name, connection.id = step.connection, "waits: {error:#}");
                }
                has_waited = true;
                progress(format!("waits: {error:#}"));
                tokio::time::sleep(AGAIN_AFTER).await;
            }
            _ => break outcome,
        }
    };
    let ended = outcome.unwrap_or_else(|error| failure(&error));
    let (step, connection, state) = (&step.name, &step.connection, ended.state.name());
    match ended.state {
        RunState::Error => tracing::error!(step, connection.id = connection, state, "{}", ended.message),
        RunState::Success => tracing::info!(step, connection.id = connection, state, "{}", ended.message),
        _ => tracing::warn!(step, connection.id = connection, state, "{}", ended.message),
    }
    ended
}

async fn export(
    agent: &Agent,
    store: &Store,
    connection: &str,
    clock: Clock,
    progress: impl Fn(String),
) -> anyhow::Result<Ended> {
    let opened = open(agent, connection, Deactivation::Export)?;
    let output = std::path::absolute(agent.export_folder())?;
    let bucket = Bucket::of(&agent.settings)?;
    let wish = Wish { store, holder: &agent.name, clock, length: Length::of(&agent.settings)? };
    let watch = |so_far: &export::Progress<'_>| {
        let records: u64 = so_far.records.iter().map(|(_, records)| records).sum();
        progress(format!("{} records, {} requests", grouped(records), grouped(so_far.traffic.total())));
    };
    let work = async |lease| {
        let (output, bucket) = (output.clone(), bucket.clone());
        let options = ExportOptions { output, lease, bucket, ..ExportOptions::default() };
        export::export(&opened, &options, watch).await
    };
    let name = export::lease_name(connection, &output, bucket.as_ref());
    let report = wish.alone(name, || export::busy(connection, &output), work).await?;
    count_exported(agent, &report);
    export::note_set(store, &report, clock()).await;
    let tables = report.tables.iter().map(|table| format!("{} {}", table.name, grouped(table.records)));
    let rejected: u64 = report.tables.iter().map(|table| table.rejected).sum();
    let mut message = format!("exported {}", tables.collect::<Vec<_>>().join(", "));
    if rejected > 0 {
        message.push_str(&format!("; {} records rejected, see the manifest", grouped(rejected)));
    }
    Ok(Ended { state: if rejected > 0 { RunState::Warning } else { RunState::Success }, message })
}

async fn fulfill(
    agent: &Agent,
    connection: &str,
    clock: Clock,
    stop: &Stop,
    progress: impl Fn(String),
) -> anyhow::Result<Ended> {
    let opened = open(agent, connection, Deactivation::Fulfill)?;
    let options = FulfillOptions { orders: Orders::Ready, results: None, approve: None, clock, stop: stop.clone() };
    let watch = |so_far: &fulfill::Progress| {
        let [done, orders, errored] = [so_far.done, so_far.orders, so_far.errored].map(grouped);
        progress(format!("{done} of {orders} orders, {errored} errored"));
    };
    let report = fulfill::fulfill(agent, &opened, &options, watch).await?;
    let [orders, executed, errored] = [report.orders, report.executed, report.errored].map(grouped);
    let mut message = format!("{orders} orders: {executed} executed, {errored} errored");
    for rejected in &report.rejected {
        message.push_str(&format!("; `{}` rejected: {}", rejected.file.display(), rejected.reason));
    }
    Ok(Ended { state: if report.is_clean() { RunState::Success } else { RunState::Warning }, message })
}

async fn import(
    agent: &Agent,
    step: &Step,
    clock: Clock,
    stop: &Stop,
    progress: impl Fn(String),
) -> anyhow::Result<Ended> {
    let name = step.import.as_deref().unwrap_or(&step.connection);
    let options = ImportOptions { plans: false, forces: false, clock, stop: stop.clone() };
    let watch = |so_far: &fulfill::Progress| {
        let [done, orders, errored] = [so_far.done, so_far.orders, so_far.errored].map(grouped);
        progress(format!("{done} of {orders} orders, {errored} errored"));
    };
    let report = import::import(agent, name, &options, watch).await?;
    let tally = &report.tally;
    let labels = [("import", report.import.as_str()), ("connection", report.source.as_str())];
    agent.monitoring.metrics.add(families::IMPORTED, &labels, count(tally.records));
    let [joiners, movers, returners, leavers, ambiguous] =
        [tally.joiners, tally.movers, tally.returners, tally.leavers, tally.ambiguous].map(grouped);
    let errored = grouped(report.fulfilled.as_ref().map_or(0, |fulfilled| fulfilled.errored));
    let message = format!(
        "{joiners} joined, {movers} changed, {returners} came back, {leavers} left; {errored} errored, {ambiguous} ambiguous"
    );
    Ok(Ended { state: if report.is_clean() { RunState::Success } else { RunState::Warning }, message })
}

async fn refresh_schema(agent: &Agent, connection: &str) -> anyhow::Result<Ended> {
    let opened = agent.connection(connection)?;
    let schema = opened.at_work(opened.connector.schema()).await?;
    let xml = String::from_utf8(schema_xml::write(opened.settings.id().as_str(), &schema)?)?;
    let folder = agent.settings.work_folder.join("Schemas");
    std::fs::create_dir_all(&folder)?;
    let file = folder.join(format!("{}.xml", opened.settings.id()));
    let new = file.with_extension("new");
    disk::write_synced(&new, &xml)?;
    disk::put_in_place(&new, &file)?;
    let message = format!("{} tables written to `{}`", schema.len(), file.display());
    Ok(Ended { state: RunState::Success, message })
}

fn count_exported(agent: &Agent, report: &ExportReport) {
    let metrics = &agent.monitoring.metrics;
    for table in &report.tables {
        let labels = [("connection", report.connection.as_str()), ("table", table.name.as_str())];
        metrics.add(families::EXPORTED, &labels, count(table.records));
        metrics.set(families::RECORDS, &labels, count(table.records));
        metrics.add(families::REJECTED, &labels, count(table.rejected));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn count(value: u64) -> f64 {
    value as f64
}

/// Opens a connection for a use that the mapping has not switched off.
fn open<'a>(agent: &'a Agent, connection: &str, what: Deactivation) -> Result<Opened<'a>> {
    let opened = agent.connection(connection)?;
    match agent.switched_off(connection, what) {
        None => Ok(opened),
        Some(place) => {
            let message = format!("{place}: this use of `{connection}` is switched off");
            Err(Error::new(ErrorKind::Settings, message).with_hint("switch it on in the mapping"))
        }
    }
}

/// Whether another run, or a command, is at the same work.
fn is_busy(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<FileError>()).any(FileError::is_busy)
}

/// What an error says, and what to do about it.
fn failure(error: &anyhow::Error) -> Ended {
    let hint = error.chain().find_map(|cause| {
        let of_connector = cause.downcast_ref::<Error>().and_then(Error::hint);
        let of_guard = || cause.downcast_ref::<Refused>().map(Refused::hint);
        let of_import = || cause.downcast_ref::<ImportRefused>().map(ImportRefused::hint);
        let of_limit = || cause.downcast_ref::<OverLimit>().map(OverLimit::hint);
        let of_file = || cause.downcast_ref::<FileError>().map(FileError::hint);
        let of_stop = || cause.downcast_ref::<Stopped>().map(Stopped::hint);
        of_connector
            .or_else(of_guard)
            .or_else(of_import)
            .or_else(of_limit)
            .or_else(of_file)
            .or_else(of_stop)
            .map(str::to_owned)
    });
    let is_refused =
        error.chain().any(|cause| cause.is::<Refused>() || cause.is::<OverLimit>() || cause.is::<ImportRefused>());
    let message = match hint {
        Some(hint) => format!("{error:#}; {hint}"),
        None => format!("{error:#}"),
    };
    let state = if is_refused { RunState::Blocked } else { RunState::Error };
    Ended { state, message: redact(&message).into_owned() }
}
