//! Exports: the set that is in place, how the counts went over time, and the files, which are opened by known names alone.

use std::{collections::BTreeMap, fmt};

use futures::{StreamExt, TryStreamExt, stream};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Refusal, Result, connection, page, runs, shown, visible};
use crate::{
    access::{Caller, Role},
    export::{Manifest, Pieces},
    jobs::{Job, Kind},
    store::{PublishedSet, RecordChanges},
    web::Web,
};

/// Connections whose sets are looked at side by side.
const ASKED_AT_ONCE: usize = 8;

/// The sets of the connections that the caller may look at.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportList {
    /// In the order of the settings.
    pub exports: Vec<ExportView>,
}

/// The set of files of a connection that is in place.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportView {
    /// The connection.
    pub connection: String,
    /// The folder the files are in, or `s3://` with bucket and prefix.
    pub output: String,
    /// The set; none where nothing was exported yet.
    pub set: Option<SetView>,
    /// How it differs from the set before; none where one of them is not known.
    pub difference: Option<BTreeMap<String, TableDifference>>,
}

/// A set of files.
#[derive(Debug, Serialize, ToSchema)]
pub struct SetView {
    /// Name and version of the program that wrote it.
    pub written_by: String,
    /// When the export started, as UTC in ISO 8601.
    pub started: String,
    /// When its last table was complete.
    pub finished: String,
    /// Time between the two.
    pub duration_ms: u64,
    /// Requests of that export.
    pub requests: u64,
    /// Answers that said "too many requests".
    pub throttled: u64,
    /// By name.
    pub tables: BTreeMap<String, TableView>,
}

/// The file of a table.
#[derive(Debug, Serialize, ToSchema)]
pub struct TableView {
    /// Its name.
    pub file: String,
    /// When the export that read it was finished.
    pub finished: String,
    /// The header.
    pub columns: Vec<String>,
    /// Records in it.
    pub records: u64,
    /// Records that are not in it, because their key is empty or repeated.
    pub rejected: u64,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in lower-case hexadecimal.
    pub sha256: String,
}

/// How a table differs from that of the set before.
#[derive(Debug, Serialize, ToSchema)]
pub struct TableDifference {
    /// Records then.
    pub before: i64,
    /// Records now.
    pub now: i64,
    /// Whether the file is another.
    pub is_changed: bool,
    /// By record; none where the two files were not compared.
    pub records: Option<RecordChangesView>,
}

/// Records in which a table differs from the one before.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct RecordChangesView {
    /// Those whose key is new.
    pub added: i64,
    /// Those whose key is gone.
    pub removed: i64,
    /// Those with another content under the same key.
    pub changed: i64,
}

/// A page of the history of a connection's exports.
#[derive(Debug, Serialize, ToSchema)]
pub struct ExportHistory {
    /// The connection.
    pub connection: String,
    /// The newest first.
    pub sets: Vec<PastSetView>,
    /// Where the next page begins; none on the last.
    pub next: Option<i64>,
}

/// A set that was put in place some time.
#[derive(Debug, Serialize, ToSchema)]
pub struct PastSetView {
    /// Its number.
    pub set: i64,
    /// When it was put in place, in milliseconds since 1970.
    pub finished_ms: i64,
    /// How long the export took.
    pub duration_ms: i64,
    /// Requests that it took.
    pub requests: i64,
    /// Answers that said "too many requests".
    pub throttled: i64,
    /// Records by table.
    pub records: BTreeMap<String, i64>,
    /// Records that were left out, by table.
    pub rejected: BTreeMap<String, i64>,
    /// How it differed from the set before, by table; without those that were not compared.
    pub changes: BTreeMap<String, RecordChangesView>,
}

/// A file that may be given away.
pub struct ExportFile {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// What is in it.
    pub pieces: Pieces,
}

impl ExportFile {
    /// What it is, as browsers are told.
    pub fn kind(&self) -> &'static str {
        if self.name.ends_with(".json") { "application/json" } else { "text/csv; charset=utf-8" }
    }
}

impl fmt::Debug for ExportFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExportFile").field("name", &self.name).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// The sets in place.
///
/// # Errors
/// Where the store, the disk or the storage fails.
pub async fn exports(web: &Web, caller: &Caller) -> Result<ExportList> {
    // Storage takes its time for each: it is asked for several at once.
    let names: Vec<String> = visible(web, caller).map(|settings| settings.id().to_string()).collect();
    let listed = stream::iter(names).map(async |name| view(web, &name).await);
    Ok(ExportList { exports: listed.buffered(ASKED_AT_ONCE).try_collect().await? })
}

/// The set of a connection.
///
/// # Errors
/// Where there is no such connection, or the caller may not look at it.
pub async fn one(web: &Web, caller: &Caller, name: &str) -> Result<ExportView> {
    let settings = connection(web, caller, Role::Viewer, name)?;
    view(web, settings.id().as_str()).await
}

/// Starts the export of a connection.
///
/// # Errors
/// As of [`runs::start`].
pub async fn start(web: &Web, caller: &Caller, name: &str) -> Result<runs::RunView> {
    let settings = connection(web, caller, Role::Operator, name)?;
    runs::start(web, caller, &Job::name_of(Kind::Export, settings.id().as_str()), false).await
}

/// A page of what was put in place over time, behind this set.
///
/// # Errors
/// Where there is no such connection, or the caller may not look at it.
pub async fn history(
    web: &Web,
    caller: &Caller,
    name: &str,
    cursor: Option<i64>,
    limit: Option<u32>,
) -> Result<ExportHistory> {
    let settings = connection(web, caller, Role::Viewer, name)?;
    let (id, most) = (settings.id().as_str(), page(limit));
    let mut sets = web.store().published_sets(id, cursor.unwrap_or(i64::MAX), most + 1).await?;
    let most = usize::try_from(most).unwrap_or_default();
    let has_more = sets.len() > most;
    sets.truncate(most);
    let next = sets.last().filter(|_| has_more).map(|last| last.id);
    Ok(ExportHistory { connection: id.to_owned(), sets: sets.into_iter().map(Into::into).collect(), next })
}

/// A file of the set in place; `name` is a table's file or the manifest, as [`one`] names them.
///
/// # Errors
/// Where there is none, the caller may not look at it, or disk or storage fail.
pub async fn file(web: &Web, caller: &Caller, name: &str, file: &str) -> Result<ExportFile> {
    let settings = connection(web, caller, Role::Viewer, name)?;
    if let Some((bytes, pieces)) = web.output.open(settings.id().as_str(), file).await? {
        return Ok(ExportFile { name: file.to_owned(), bytes, pieces });
    }
    let message = format!("the set of `{}` has no file `{}`", settings.id(), shown(file));
    Err(Refusal::not_found(message, "look at the set in place: it names its files"))
}

async fn view(web: &Web, connection: &str) -> Result<ExportView> {
    let manifest = web.output.manifest(connection).await?;
    let sets = web.store().published_sets(connection, i64::MAX, 2).await?;
    Ok(ExportView {
        connection: connection.to_owned(),
        output: web.output.to_string(),
        set: manifest.map(set_view),
        difference: difference(&sets),
    })
}

fn set_view(manifest: Manifest) -> SetView {
    let table = |(name, entry): (String, crate::export::TableEntry)| {
        let view = TableView {
            file: entry.file,
            finished: entry.finished,
            columns: entry.columns,
            records: entry.records,
            rejected: entry.rejected.count,
            bytes: entry.bytes,
            sha256: entry.sha256,
        };
        (name, view)
    };
    SetView {
        written_by: manifest.written_by,
        started: manifest.started,
        finished: manifest.finished,
        duration_ms: manifest.duration_ms,
        requests: manifest.requests.total,
        throttled: manifest.throttled,
        tables: manifest.tables.into_iter().map(table).collect(),
    }
}

/// Tables that were compared when the newest set was made, and those that both sets have.
fn difference(sets: &[PublishedSet]) -> Option<BTreeMap<String, TableDifference>> {
    let [now, former @ ..] = sets else { return None };
    let tables = now.tables.iter().filter_map(|(name, now)| {
        let (before, is_changed) = match now.changes {
            Some(RecordChanges { added, removed, changed }) => {
                (now.records - added + removed, added + removed + changed > 0)
            }
            None => {
                let before = former.first()?.tables.get(name)?;
                (before.records, now.sha256 != before.sha256)
            }
        };
        let records = now.changes.map(Into::into);
        Some((name.clone(), TableDifference { before, now: now.records, is_changed, records }))
    });
    let tables: BTreeMap<_, _> = tables.collect();
    (!tables.is_empty()).then_some(tables)
}

impl From<RecordChanges> for RecordChangesView {
    fn from(RecordChanges { added, removed, changed }: RecordChanges) -> Self {
        Self { added, removed, changed }
    }
}

impl From<PublishedSet> for PastSetView {
    fn from(set: PublishedSet) -> Self {
        Self {
            set: set.id,
            finished_ms: set.finished_ms,
            duration_ms: set.duration_ms,
            requests: set.requests,
            throttled: set.throttled,
            records: set.tables.iter().map(|(name, table)| (name.clone(), table.records)).collect(),
            rejected: set.tables.iter().map(|(name, table)| (name.clone(), table.rejected)).collect(),
            changes: set.tables.iter().filter_map(|(name, it)| Some((name.clone(), it.changes?.into()))).collect(),
        }
    }
}
