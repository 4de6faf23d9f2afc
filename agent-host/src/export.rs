//! One connection exported: every table read, sorted and checked, then published all at once or not at all.
//!
//! Half a file reads as mass deletion at the next synchronisation, so nothing is published before the last record of
//! the last table is there and the counts are plausible.

mod difference;
mod bucket;
mod csv_file;
mod file_error;
mod guard;
mod manifest;
mod publish;
mod report;
mod sort;
mod step;
mod output;

use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use chrono::{SecondsFormat, Utc};
use connector_api::{Capabilities, Error, ErrorKind, SPANS, Table, Traffic};
use futures::StreamExt;
use tracing::field::Empty;

pub use bucket::Bucket;
pub use difference::Difference;
pub use file_error::FileError;
pub use guard::Refused;
pub use manifest::{Manifest, Rejected, RejectedRecord, Requests, TableEntry};
pub use output::{Output, Pieces};
pub(crate) use report::grouped;
pub use report::{ExportReport, TableReport};
pub(crate) use sort::{Record, Sorter};

use crate::{
    agent::Opened,
    leases::Held,
    store::{PublishedSet, PublishedTable, RecordChanges, Store},
    telemetry::traced,
};
use csv_file::CsvFile;
use publish::Staging;

/// Cells of one table held in memory before they are sorted through temporary files.
const TABLE_BUDGET_BYTES: usize = 6 << 20;
/// How often the watcher is told.
const WATCH_EVERY: Duration = Duration::from_millis(200);

/// What to export, and what to do about suspicious results.
#[derive(Debug, Default)]
pub struct ExportOptions {
    /// The folder the files go to; else `ExportOutput` in the temp folder.
    pub output: PathBuf,
    /// Names of tables; empty for all that the settings ask for.
    pub tables: Vec<String>,
    /// Whether tables may be empty or much smaller than before.
    pub accept_shrink: bool,
    /// Where the store is shared: what must still be ours when the set is published.
    pub lease: Option<Held>,
    /// Where the set goes when it is in the folder; whose manifest it is compared with.
    pub bucket: Option<Bucket>,
}

/// The name of the lease under which a connection is exported into a place.
pub fn lease_name(connection: &str, output: &Path, bucket: Option<&Bucket>) -> String {
    let place = bucket.map_or_else(|| output.display().to_string(), Bucket::to_string);
    format!("export:{}:{place}", connection.to_lowercase())
}

/// What is told to who finds another agent at it.
pub fn busy(connection: &str, output: &Path) -> anyhow::Error {
    FileError::locked(connection, output).into()
}

/// How far an export is.
#[derive(Debug)]
pub struct Progress<'a> {
    /// By the place of the table in the list that is exported: its name, and the records read.
    pub records: &'a [(String, u64)],
    /// Requests, waits, pages.
    pub traffic: Traffic,
}

/// The manifest of the set that is published in the folder.
pub fn manifest_path(output: &Path, connection: &str) -> PathBuf {
    output.join(publish::manifest_name(connection))
}

/// The tables to export: those named, else those the setting `Tables` names, else all.
///
/// # Errors
/// Of kind `Settings` for a name that no table has.
pub fn choose_tables(opened: &Opened<'_>, named: &[String]) -> Result<Vec<Table>, Error> {
    let from_settings: Vec<String> =
        opened.settings.list("Tables").unwrap_or_default().into_iter().map(str::to_owned).collect();
    let names = if named.is_empty() { &from_settings } else { named };
    if let Some(unknown) =
        names.iter().find(|name| !opened.capabilities.table(name).is_some_and(|table| table.exported))
    {
        let known: Vec<&str> = opened.capabilities.exported().map(|table| table.name).collect();
        let error = Error::new(ErrorKind::Settings, format!("there is no table `{unknown}`"));
        return Err(error.with_hint(format!("name one of {}", known.join(", "))));
    }
    let is_wanted =
        |table: &&Table| names.is_empty() || names.iter().any(|name| name.eq_ignore_ascii_case(&table.name));
    Ok(opened.tables.iter().filter(is_wanted).cloned().collect())
}

/// Exports the tables of a connection and publishes them. `watch` is told now and then how far it is.
///
/// # Errors
/// Those of the connector; [`FileError`]; [`Refused`]. Readers then find the former set, byte for byte.
pub async fn export(
    opened: &Opened<'_>,
    options: &ExportOptions,
    watch: impl FnMut(&Progress<'_>),
) -> anyhow::Result<ExportReport> {
    let connection = opened.settings.id().as_str();
    let span = tracing::info_span!(target: SPANS, "export", connection, otel.status_code = Empty);
    traced(span, Box::pin(read_and_publish(opened, options, watch))).await
}

async fn read_and_publish(
    opened: &Opened<'_>,
    options: &ExportOptions,
    mut watch: impl FnMut(&Progress<'_>),
) -> anyhow::Result<ExportReport> {
    let connection = opened.settings.id().as_str();
    let tables = choose_tables(opened, &options.tables)?;
    let (began, started) = (Instant::now(), now());
    let staging = Staging::open(&options.output, connection)?;
    let files = read_tables(opened, &tables, staging.folder(), &mut watch).await?;
    let elsewhere = match &options.bucket {
        Some(bucket) => bucket.manifest(&publish::manifest_name(connection)).await?,
        None => None,
    };
    let mut entries = BTreeMap::new();
    for (table, mut file) in tables.iter().zip(files) {
        // Here an export can be interrupted: sorting and writing do not wait for anything.
        tokio::task::yield_now().await;
        if let Some(former) = former_file(options, &staging, elsewhere.as_ref(), &table.name).await {
            file.compare_with(former);
        }
        let entry = file.finish()?;
        tracing::debug!(connection.id = connection, table.name, records = entry.records, "the table is complete");
        warn_of_rejected(connection, &table.name, &entry.rejected);
        entries.insert(table.name.clone(), entry);
    }
    let previous = elsewhere.as_ref().or(staging.previous());
    compare(&opened.capabilities, &entries, previous, options.accept_shrink)?;
    let manifest = describe(connection, entries, &opened.connector.traffic(), started, began.elapsed());
    let mut report = report(&manifest, &tables, &options.output);
    if let Some(lease) = &options.lease {
        lease.confirm().await?;
    }
    staging.publish(manifest.clone())?;
    tracing::debug!(connection.id = connection, output = %options.output.display(), "the set is published");
    if let Some(bucket) = &options.bucket {
        bucket.publish(&options.output, &publish::manifest_name(connection), manifest, options.lease.as_ref()).await?;
        report.output = PathBuf::from(bucket.to_string());
    }
    Ok(report)
}

/// The file of a table in the set before: the one in the folder, or a copy of the bucket's where another agent put that
/// there. None where there is none, or it cannot be had: then it is not told how the sets differ.
async fn former_file(
    options: &ExportOptions,
    staging: &Staging,
    elsewhere: Option<&Manifest>,
    table: &str,
) -> Option<File> {
    let here = staging.previous().and_then(|previous| previous.tables.get(table));
    let copied = match (&options.bucket, elsewhere) {
        (Some(bucket), elsewhere) => {
            let (set, there) = elsewhere.and_then(|it| Some((&it.set, it.tables.get(table)?)))?;
            let is_here = here.is_some_and(|here| here.sha256 == there.sha256);
            (!is_here).then_some((bucket, set, &there.file))
        }
        (None, _) => None,
    };
    let opened = match copied {
        Some((bucket, set, file)) => bucket.fetch(set, file, staging.folder()).await,
        None => here.map(|here| File::open(options.output.join(&here.file))).transpose().map_err(Into::into),
    };
    let told = |error: &anyhow::Error| {
        tracing::warn!(table.name = table, "how the table differs from the set before is not known: {error:#}");
    };
    opened.inspect_err(told).ok().flatten()
}

/// Keeps in mind what was published, for whoever follows the counts over time. What cannot be noted is only warned of: the
/// set is in place.
pub async fn note_set(store: &Store, report: &ExportReport, now_ms: i64) {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    let table = |table: &TableReport| {
        let (records, rejected) = (number(table.records), number(table.rejected));
        let changes = table.difference.map(|it| RecordChanges {
            added: number(it.added),
            removed: number(it.removed),
            changed: number(it.changed),
        });
        (table.name.clone(), PublishedTable { records, rejected, sha256: table.sha256.clone(), changes })
    };
    let set = PublishedSet {
        id: 0,
        connection: report.connection.clone(),
        finished_ms: now_ms,
        duration_ms: number(report.duration_ms),
        requests: number(report.requests.total),
        throttled: number(report.throttled),
        tables: report.tables.iter().map(table).collect(),
    };
    if let Err(error) = store.add_published_set(&set).await {
        tracing::warn!(
            connection.id = report.connection,
            "the set is in place, but its history is not kept: {error:#}"
        );
    }
}

/// Reads all tables into files that are not finished yet.
async fn read_tables(
    opened: &Opened<'_>,
    tables: &[Table],
    folder: &Path,
    watch: &mut impl FnMut(&Progress<'_>),
) -> anyhow::Result<Vec<CsvFile>> {
    let file_of = |table: &Table| {
        let identity = opened.capabilities.table(&table.name).map_or(&[][..], |capability| capability.identity);
        let name = publish::csv_name(opened.settings.id().as_str(), &table.name);
        CsvFile::new(folder, &name, table, table.is_keyed_by(identity), TABLE_BUDGET_BYTES)
    };
    let mut files: Vec<CsvFile> = tables.iter().map(file_of).collect();
    let mut records: Vec<(String, u64)> = tables.iter().map(|table| (table.name.clone(), 0)).collect();
    let mut batches = opened.connector.export(tables);
    let mut ticks = tokio::time::interval(WATCH_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            _ = ticks.tick() => watch(&Progress { records: &records, traffic: opened.connector.traffic() }),
            batch = batches.next() => {
                let Some(batch) = batch.transpose()? else { return Ok(files) };
                records[batch.table].1 += u64::try_from(batch.records.len())?;
                files[batch.table].push(&batch.records)?;
            }
        }
    }
}

/// Refuses the set where a table is suspiciously small.
fn compare(
    capabilities: &Capabilities,
    entries: &BTreeMap<String, TableEntry>,
    previous: Option<&Manifest>,
    accept_shrink: bool,
) -> Result<(), Refused> {
    let before = |table: &str| Some(previous?.tables.get(table)?.records);
    let compared = entries.iter().map(|(table, entry)| guard::Compared {
        table,
        before: before(table),
        now: entry.records,
        never_empty: capabilities.table(table).is_some_and(|capability| capability.never_empty),
    });
    guard::check(compared, accept_shrink)
}

fn describe(
    connection: &str,
    tables: BTreeMap<String, TableEntry>,
    traffic: &Traffic,
    started: String,
    took: Duration,
) -> Manifest {
    let by_bucket = traffic.by_bucket.iter();
    Manifest {
        set: String::new(),
        connection: connection.to_owned(),
        written_by: concat!("agent-host ", env!("CARGO_PKG_VERSION")).to_owned(),
        started,
        finished: now(),
        duration_ms: millis(took),
        tables,
        requests: Requests {
            total: traffic.total(),
            by_bucket: by_bucket.clone().map(|(name, bucket)| (name.clone(), bucket.requests)).collect(),
        },
        throttled: traffic.throttled,
        waited_ms: by_bucket.map(|(name, bucket)| (name.clone(), millis(bucket.waited))).collect(),
        max_in_flight: traffic.max_in_flight,
    }
}

fn report(manifest: &Manifest, tables: &[Table], output: &Path) -> ExportReport {
    let tables = tables.iter().filter_map(|table| {
        let entry = manifest.tables.get(&table.name)?;
        let (name, file) = (table.name.clone(), entry.file.clone());
        let (sha256, rejected, difference) = (entry.sha256.clone(), entry.rejected.count, entry.difference);
        Some(TableReport { name, file, records: entry.records, rejected, sha256, difference })
    });
    ExportReport {
        connection: manifest.connection.clone(),
        output: output.to_owned(),
        published: true,
        tables: tables.collect(),
        requests: manifest.requests.clone(),
        throttled: manifest.throttled,
        max_in_flight: manifest.max_in_flight,
        waited_ms: manifest.waited_ms.clone(),
        duration_ms: manifest.duration_ms,
    }
}

fn warn_of_rejected(connection: &str, table: &str, rejected: &Rejected) {
    if rejected.count > 0 {
        tracing::warn!(
            connection.id = connection,
            table.name = table,
            records = rejected.count,
            "records with an empty or repeated key are not in the file; the manifest names them"
        );
    }
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
