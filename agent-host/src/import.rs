//! Makes the accounts of a connection follow the records of another: exports both, compares, fulfills the difference.
//!
//! The difference becomes provisioning orders in a folder of the import's own, and they are carried out as all orders are:
//! exactly once in effect, with the same limits and results. Joiners that an earlier run left are finished first, so that
//! their first passwords are told; everything else is decided anew each time. A source that is empty or much smaller than
//! before, and leavers beyond `MaxLeavers`, stop the import before anything is sent; a first run takes nobody away. One
//! process at a time runs an import, on whatever machine.

mod comparison;
mod order_file;
mod report;
mod settings;
mod template;

use std::{
    fs,
    io::{self, BufReader, BufWriter},
    path::{Path, PathBuf},
};

use anyhow::Context;
use chrono::{DateTime, Utc};
use connector_api::{Column, Error, ErrorKind, SPANS, Table, mapping::Deactivation};
use futures::StreamExt;
use serde_json::{Map, Value, json};
use tracing::field::Empty;

pub use report::{ImportRefused, ImportReport, Tally};
pub(crate) use settings::{names, source_of, target_of};

use crate::{
    agent::{Agent, Opened},
    disk::Lock,
    export::{FileError, Record, Sorter},
    fulfill::{self, Clock, FulfillOptions, FulfillReport, Leave, Orders, OverLimit, Stop},
    leases::{Length, Wish},
    store::{self, Store},
    telemetry::traced,
};
use comparison::{Account, Comparison, Met, Person, Rules, Verdict};
use order_file::OrderFile;
use settings::{ImportSettings, Leavers};

/// Cells held in memory before they are sorted through temporary files.
const BUDGET_BYTES: usize = 6 << 20;
/// A source may always lose this many records …
const SMALL_LOSS: u64 = 100;
/// … and this share of them, in percent.
const SMALL_LOSS_PERCENT: u64 = 20;
/// Files of orders that were carried out are kept, so many of the newest.
const KEPT_FILES: usize = 40;
/// Keys that are named where accounts cannot be told apart.
const SHOWN_KEYS: usize = 20;
/// How the files of orders end: those of joiners, and those of everybody else.
const JOINERS: &str = "joiners.json";
const OTHERS: &str = "others.json";

/// How an import is run.
#[derive(Debug)]
pub struct ImportOptions {
    /// Only tell what would be done.
    pub plans: bool,
    /// Pass every limit.
    pub forces: bool,
    /// The time.
    pub clock: Clock,
    /// By which the run may be asked to end before its time.
    pub stop: Stop,
}

/// One import on its way.
struct Import<'a> {
    agent: &'a Agent,
    settings: ImportSettings,
    target: Opened<'a>,
    options: &'a ImportOptions,
    store: Store,
}

/// Runs the import of this name. `watch` is told now and then how far its orders are.
///
/// # Errors
/// [`ImportRefused`]; those of the two connections and of [`fulfill::fulfill`]; the disk, the store.
pub async fn import(
    agent: &Agent,
    name: &str,
    options: &ImportOptions,
    mut watch: impl FnMut(&fulfill::Progress),
) -> anyhow::Result<ImportReport> {
    let settings = ImportSettings::read(agent, name)?;
    let target = open(agent, &settings.target.0, Deactivation::Fulfill)?;
    let work = &agent.settings.work_folder;
    let length = Length::of(&agent.settings)?;
    let _lock = lock(work, &settings.name)?;
    let store = Store::open(store::Place::of(&agent.settings)).await?;
    let wish = Wish { store: &store, holder: &agent.name, clock: options.clock, length };
    let (lease, busy) = (lease_name(&settings.name), busy("another agent", &settings.name));
    let import = Import { agent, settings, target, options, store: store.clone() };
    let work = async |_| if options.plans { import.plan().await } else { import.follow(&mut watch).await };
    let span = tracing::info_span!(target: SPANS, "import", import = name, otel.status_code = Empty);
    traced(span, Box::pin(wish.alone(lease, || busy, work))).await
}

impl Import<'_> {
    /// What would be done.
    async fn plan(&self) -> anyhow::Result<ImportReport> {
        // Gone with the orders when the plan is told.
        let work = &self.agent.settings.work_folder;
        let passing = tempfile::tempdir_in(work).context("making a folder for the orders")?;
        let (tally, _) = self.compare(passing.path()).await?;
        let orders = Orders::Path(passing.path().to_owned());
        let (store, now_ms) = (Some(&self.store), (self.options.clock)());
        let plan = fulfill::plan(self.agent, &self.target, &orders, usize::MAX, store, now_ms).await?;
        Ok(self.report(tally, None, Some(plan)))
    }

    /// Makes the accounts follow the records.
    async fn follow(&self, watch: &mut impl FnMut(&fulfill::Progress)) -> anyhow::Result<ImportReport> {
        let folder = self.agent.settings.work_folder.join("Imports").join(&self.settings.name);
        if self.leave_joiners(&folder)? {
            tracing::info!(import = self.settings.name, "finishing joiners that an earlier run left");
            self.carry_out(&folder, watch).await?;
        }
        let (tally, has_orders) = self.compare(&folder).await?;
        let fulfilled = if has_orders { Some(self.carry_out(&folder, watch).await?) } else { None };
        forget_old(&folder)?;
        self.store.note_import(&self.settings.name, tally.records, (self.options.clock)()).await?;
        Ok(self.report(tally, fulfilled, None))
    }

    /// Reads both sides and writes the orders for the difference into the folder; whether there are any.
    async fn compare(&self, folder: &Path) -> anyhow::Result<(Tally, bool)> {
        let before = self.store.imported_records(&self.settings.name).await?;
        let scratch = tempfile::tempdir_in(&self.agent.settings.work_folder).context("making a folder to sort in")?;
        let mut tally = Tally::default();
        let people = self.read_people(scratch.path(), &mut tally).await?;
        if !self.options.forces && !self.options.plans {
            check_source(tally.records, before)?;
        }
        let accounts = self.read_accounts(scratch.path(), &mut tally).await?;
        let name = |what: &str| format!("{}-{what}", stamp((self.options.clock)()));
        let mut joiners = OrderFile::new(folder, &name(JOINERS))?;
        let mut others = OrderFile::new(folder, &name(OTHERS))?;
        let keeps_leavers = before.is_none() && !self.options.forces;
        let rules = self.rules();
        let tell = |met: Met<'_>| match (rules.judge(&met), &met) {
            (Verdict::Join(changes), Met::Joiner(person)) => {
                tally.joiners += 1;
                joiners.push(&self.order("Added", &person.cells[0], Some(person), None, &changes))
            }
            (Verdict::Move(changes), Met::Both(person, account)) => {
                tally.movers += 1;
                others.push(&self.order("Modified", &person.cells[0], Some(person), Some(account), &changes))
            }
            (Verdict::Return(changes), Met::Both(person, account)) => {
                tally.returners += 1;
                others.push(&self.order("Modified", &person.cells[0], Some(person), Some(account), &changes))
            }
            (Verdict::Leave(_), _) if keeps_leavers => {
                tally.leavers_kept += 1;
                Ok(())
            }
            (Verdict::Leave(changes), Met::Gone(account)) => {
                tally.leavers += 1;
                let change = if changes.is_some() { "Modified" } else { "Deleted" };
                others.push(&self.order(change, &account.key, None, Some(account), &changes.unwrap_or_default()))
            }
            (Verdict::Unchanged, _) => {
                tally.unchanged += 1;
                Ok(())
            }
            (Verdict::Inactive, _) => {
                tally.inactive += 1;
                Ok(())
            }
            (_, Met::Several(person)) => {
                tally.ambiguous += 1;
                if tally.ambiguous_keys.len() < SHOWN_KEYS {
                    tally.ambiguous_keys.push(person.cells[0].clone());
                }
                Ok(())
            }
            _ => Ok(()),
        };
        let mut comparison = Comparison::new(people, tell);
        accounts.finish(|record| comparison.account(account(record)))?;
        comparison.finish()?;
        let most = self.settings.max_leavers.of(tally.followed());
        if tally.leavers > most && !self.options.forces && !self.options.plans {
            joiners.discard()?;
            others.discard()?;
            let what = format!("{} accounts would leave, and `MaxLeavers` allows {most}", tally.leavers);
            return Err(ImportRefused(what).into());
        }
        let has_orders = joiners.count + others.count > 0;
        joiners.finish()?;
        others.finish()?;
        Ok((tally, has_orders))
    }

    /// The records of the source that count, sorted by their keys; kept in a file in the folder.
    async fn read_people(
        &self,
        folder: &Path,
        tally: &mut Tally,
    ) -> anyhow::Result<impl Iterator<Item = io::Result<Person>> + use<>> {
        let settings = &self.settings;
        let source = open(self.agent, &settings.source.0, Deactivation::Export)?;
        let columns: Vec<Column> = settings.columns.iter().map(Column::at).collect();
        let width = columns.len() + 1;
        let table = table(&source, &settings.source.1, columns)?;
        let mut sorter = Sorter::new(width, vec![0], BUDGET_BYTES, folder.to_owned());
        let tables = [table];
        let mut batches = source.connector.export(&tables);
        while let Some(batch) = source.at_work(batches.next()).await.transpose()? {
            for cells in batch.records.iter() {
                let cells: Vec<&str> = cells.collect();
                let counts = |(place, values): &(usize, Vec<String>)| {
                    values.iter().any(|value| value.eq_ignore_ascii_case(cells[*place].trim()))
                };
                if !settings.wanted.iter().all(counts) {
                    continue;
                }
                let key = folded(cells[0]);
                if key.is_empty() {
                    let message = format!("a record of `{}` has no `{}`", settings.source.0, settings.columns[0]);
                    let error = Error::new(ErrorKind::Protocol, message);
                    return Err(error.with_hint("give every record its key; nothing was sent").into());
                }
                tally.records += 1;
                sorter.draft(std::iter::once(key.as_str()).chain(cells));
                sorter.keep()?;
            }
        }
        let path = folder.join("people.csv");
        let out = BufWriter::new(crate::disk::create_private(&path)?);
        let mut out = csv::WriterBuilder::new().has_headers(false).from_writer(out);
        let mut last: Option<Vec<u8>> = None;
        let mut twice = Vec::new();
        sorter.finish(|record| {
            if last.as_deref() == Some(record.cell(0)) {
                twice.push(text(record.cell(1)));
            }
            last = Some(record.cell(0).to_owned());
            out.write_record(record.cells()).map_err(io::Error::other)
        })?;
        out.flush()?;
        if !twice.is_empty() {
            twice.truncate(SHOWN_KEYS);
            let message = format!("several records of `{}` have the key {}", settings.source.0, twice.join(", "));
            let error = Error::new(ErrorKind::Protocol, message);
            return Err(error.with_hint("give each record a key of its own; nothing was sent").into());
        }
        let people = csv::ReaderBuilder::new().has_headers(false).from_reader(BufReader::new(fs::File::open(path)?));
        Ok(people.into_records().map(|record| {
            let record = record.map_err(io::Error::other)?;
            let mut cells = record.iter().map(str::to_owned);
            let key = cells.next().unwrap_or_default();
            Ok(Person { key, cells: cells.collect() })
        }))
    }

    /// The accounts that have a key, to be sorted by it.
    async fn read_accounts(&self, folder: &Path, tally: &mut Tally) -> anyhow::Result<Sorter> {
        let settings = &self.settings;
        let mut columns = vec![&settings.key.column, &settings.id.column, &settings.status.column];
        columns.extend(settings.map.iter().map(|(property, _)| &property.column));
        let width = columns.len();
        let columns: Vec<Column> = columns.into_iter().map(Column::at).collect();
        let table = table(&self.target, &settings.target.1, columns)?;
        let mut sorter = Sorter::new(width, vec![0, 1], BUDGET_BYTES, folder.to_owned());
        let tables = [table];
        let mut batches = self.target.connector.export(&tables);
        while let Some(batch) = self.target.at_work(batches.next()).await.transpose()? {
            for cells in batch.records.iter() {
                tally.accounts += 1;
                let cells: Vec<&str> = cells.collect();
                let key = folded(cells[0]);
                if !key.is_empty() {
                    sorter.draft(std::iter::once(key.as_str()).chain(cells.into_iter().skip(1)));
                    sorter.keep()?;
                }
            }
        }
        Ok(sorter)
    }

    /// Puts orders of earlier runs away that are decided anew; whether joiners are left, which are not.
    fn leave_joiners(&self, folder: &Path) -> anyhow::Result<bool> {
        let mut has_joiners = false;
        let entries = match fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(OTHERS) || name.starts_with('.') && name.ends_with(".json") {
                fs::remove_file(entry.path())?;
            }
            has_joiners |= !name.starts_with('.') && name.ends_with(JOINERS);
        }
        Ok(has_joiners)
    }

    /// Carries the orders in the folder out.
    async fn carry_out(
        &self,
        folder: &Path,
        watch: &mut impl FnMut(&fulfill::Progress),
    ) -> anyhow::Result<FulfillReport> {
        let mut options = FulfillOptions {
            orders: Orders::Path(folder.to_owned()),
            results: None,
            approve: None,
            clock: self.options.clock,
            stop: self.options.stop.clone(),
        };
        let refused = match fulfill::fulfill(self.agent, &self.target, &options, &mut *watch).await {
            Err(error) if error.is::<OverLimit>() => error,
            outcome => return outcome,
        };
        let Some(over) = refused.downcast_ref::<OverLimit>() else { return Err(refused) };
        match over.code() {
            Some(code) if self.options.forces => {
                let (code, actor) = (code.to_owned(), format!("import {} --force", self.settings.name));
                options.approve = Some(Leave { code, actor });
                fulfill::fulfill(self.agent, &self.target, &options, watch).await
            }
            _ => Err(ImportRefused(over.reason().to_owned()).into()),
        }
    }

    fn rules(&self) -> Rules {
        let settings = &self.settings;
        Rules {
            wanted: settings.map.iter().map(|(property, template)| (property.name.clone(), template.clone())).collect(),
            scope: settings.scope,
            key: (settings.key.name.clone(), 0),
            status: (settings.leavers != Leavers::Delete).then(|| settings.status.name.clone()),
            leavers: settings.leavers,
            reactivates: settings.reactivates,
        }
    }

    /// An order as the engine would write it. Its name, which results repeat, is the record's key.
    fn order(
        &self,
        change: &str,
        key: &str,
        person: Option<&Person>,
        account: Option<&Account>,
        changes: &Map<String, Value>,
    ) -> Value {
        let settings = &self.settings;
        let mut owner = Map::from_iter([("Id".to_owned(), Value::from(key))]);
        if let Some(person) = person {
            let carried = settings.owner.iter();
            owner.extend(carried.map(|(name, template)| (name.clone(), Value::from(template.fill(&person.cells)))));
        }
        let mut order = json!({
            "AssignedResourceTypeId": key,
            "ChangeType": change,
            "Owner": owner,
            "ResourceType": {
                "Identifier": settings.resource_type,
                "SourceEntityType": { "Id": settings.name },
                "TargetEntityType": { "Identifier": settings.entity },
            },
            "Changes": changes,
        });
        if let Some(account) = account {
            order["Resource"] = json!({ &settings.id.name: account.id });
        }
        order
    }

    fn report(
        &self,
        tally: Tally,
        fulfilled: Option<FulfillReport>,
        plan: Option<fulfill::PlanReport>,
    ) -> ImportReport {
        let (import, source, target) =
            (self.settings.name.clone(), self.settings.source.0.clone(), self.settings.target.0.clone());
        ImportReport { import, source, target, tally, fulfilled, plan }
    }
}

/// A connection, ready for a use that the mapping has not switched off.
fn open<'a>(agent: &'a Agent, connection: &str, what: Deactivation) -> anyhow::Result<Opened<'a>> {
    if let Some(place) = agent.switched_off(connection, what) {
        let message = format!("{place}: this use of `{connection}` is switched off");
        return Err(Error::new(ErrorKind::Settings, message).with_hint("switch it on in the mapping").into());
    }
    Ok(agent.connection(connection)?)
}

/// The table of a connection with these columns, the first of which is its key.
fn table(opened: &Opened<'_>, name: &str, columns: Vec<Column>) -> Result<Table, Error> {
    let known = opened.capabilities.table(name).filter(|table| table.exported && table.sides.is_empty());
    let Some(known) = known else {
        let names: Vec<&str> = opened.capabilities.exported().map(|table| table.name).collect();
        let message = format!("`{}` has no table `{name}` of records", opened.settings.id());
        return Err(Error::new(ErrorKind::Settings, message).with_hint(format!("it has {}", names.join(", "))));
    };
    Ok(Table { name: known.name.to_owned(), columns, key: vec![0] })
}

/// Refuses a source that is suspiciously small.
fn check_source(now: u64, before: Option<u64>) -> Result<(), ImportRefused> {
    let before = before.unwrap_or(0);
    let lost = before.saturating_sub(now);
    if now == 0 {
        return Err(ImportRefused("the source holds no record that counts".to_owned()));
    }
    if lost > SMALL_LOSS && lost * 100 > before * SMALL_LOSS_PERCENT {
        return Err(ImportRefused(format!("the source fell from {before} to {now} records")));
    }
    Ok(())
}

/// Forgets orders that were carried out long ago. Their names begin with the time.
fn forget_old(folder: &Path) -> io::Result<()> {
    let mut files: Vec<PathBuf> = match fs::read_dir(folder.join("Completed")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?,
    };
    files.sort();
    let old = files.len().saturating_sub(KEPT_FILES);
    files.iter().take(old).try_for_each(fs::remove_file)
}

fn lock(work_folder: &Path, import: &str) -> anyhow::Result<Lock> {
    let path: PathBuf = work_folder.join(format!(".import-{}.lock", import.to_lowercase()));
    let tried = fs::create_dir_all(work_folder).and_then(|()| Lock::take(&path));
    let lock = tried.with_context(|| format!("cannot lock `{}`", path.display()))?;
    lock.ok_or_else(|| busy("another process", import))
}

/// The name of the lease under which an import runs, on whatever machine.
fn lease_name(import: &str) -> String {
    format!("import:{}", import.to_lowercase())
}

fn busy(who: &str, import: &str) -> anyhow::Error {
    let message = format!("{who} is running the import `{import}`");
    FileError::busy(message, "wait until it is done, or end it: nothing is lost").into()
}

fn account(record: Record<'_>) -> Account {
    let mut cells = record.cells().map(text);
    let mut next = || cells.next().unwrap_or_default();
    let (key, id, status) = (next(), next(), next());
    Account { key, id, status, values: cells.collect() }
}

fn text(cell: &[u8]) -> String {
    String::from_utf8_lossy(cell).into_owned()
}

/// A key as keys are compared: without space around it, whatever its case.
fn folded(key: &str) -> String {
    key.trim().to_lowercase()
}

fn stamp(now_ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(now_ms).unwrap_or_default().format("%Y%m%d%H%M%S%3f").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_may_not_vanish_or_shrink_much() {
        for (before, now, is_refused) in [
            (None, 0, true),
            (None, 1, false),
            (Some(50), 0, true),
            (Some(101), 1, false),
            (Some(102), 1, true),
            (Some(1000), 800, false),
            (Some(1000), 799, true),
            (Some(1000), 2000, false),
        ] {
            assert_eq!(check_source(now, before).is_err(), is_refused, "{before:?} {now}");
        }
    }
}
