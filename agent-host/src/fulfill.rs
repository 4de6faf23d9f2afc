//! Provisioning orders carried out: exactly once in effect, whatever happens to the process in between.
//!
//! Files are read twice: first all of them, to find what contradicts itself, what belongs together and what is too much
//! at once; then order by order, as its turn comes. Each write to the managed system stands in the store before it is
//! sent, so that the next run knows what to look at first. What comes of an order is reported once.

mod index;
mod deliveries;
mod intake;
mod journal;
mod limits;
mod last_export;
mod passwords;
mod stop;
mod run;
mod plan;
mod report;
mod results;
mod take_up;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use anyhow::Context;
use chrono::{DateTime, Utc};
use connector_api::{Error, ErrorKind, SPANS};
use secrecy::zeroize::Zeroize;
use tracing::field::Empty;

pub use intake::RejectedFile;
pub use journal::Clock;
pub use limits::{Leave, OverLimit};
pub use plan::{PlanReport, PlannedChange, PlannedOrder};
pub use report::FulfillReport;
pub use run::Progress;
pub use stop::{Stop, Stopped};

use crate::{
    agent::{Agent, Opened},
    disk::{self, Lock},
    export::FileError,
    leases::{Held, Length, Wish},
    monitoring::families,
    orders::{Scanner, Unreadable, Vocabulary, folder},
    password_reset::PasswordResets,
    presence::place_of,
    store::{self, Notes, Store},
    telemetry::traced,
};
use deliveries::Places;
use index::{Index, IndexedFile, Losses};
use intake::{Intake, Source, sources};
use journal::stopwatch;
use last_export::last_counts;
use limits::{SafetyLimits, Waiting};
use passwords::Passwords;
use run::Run;
use take_up::OrderReader;

/// Requests under way at once where no setting says so; orders at work are twice as many in each lane.
const REQUESTS_AT_ONCE: usize = 12;

/// How the names of files end that standard input is kept in.
const STDIN: &str = "_stdin.json";

/// Which orders, and what else is wanted.
#[derive(Debug)]
pub struct FulfillOptions {
    /// Where the orders are.
    pub orders: Orders,
    /// The file for the results; else one of its own in `FulfillResults` in the work folder.
    pub results: Option<PathBuf>,
    /// The approval of an operator to go over a safety limit.
    pub approve: Option<Leave>,
    /// The time.
    pub clock: Clock,
    /// By which the run may be asked to end before its time.
    pub stop: Stop,
}

/// Where orders are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Orders {
    /// In the connection's folder.
    Folder,
    /// In the connection's folder, but for files that somebody is still writing.
    Ready,
    /// In this file or folder.
    Path(PathBuf),
    /// On standard input.
    Stdin,
}

/// Carries orders out. `watch` is told now and then how far it is.
///
/// # Errors
/// [`OverLimit`]; those of the connector where they are about no single order: the orders that are left are kept for the
/// next run, and what came of the others is reported; the disk, the store.
pub async fn fulfill(
    agent: &Agent,
    opened: &Opened<'_>,
    options: &FulfillOptions,
    mut watch: impl FnMut(&Progress),
) -> anyhow::Result<FulfillReport> {
    let connection = opened.settings.id().as_str().to_lowercase();
    let length = Length::of(&agent.settings)?;
    let _lock = lock(&agent.settings.work_folder, &connection)?;
    let store = Store::open_for_one(store::Place::of(&agent.settings)).await?;
    let wish = Wish { store: &store, holder: &agent.name, clock: options.clock, length };
    let name = format!("fulfill:{connection}");
    let work = async |held| carry_out(agent, opened, options, &store, held, &mut watch).await;
    let span = tracing::info_span!(target: SPANS, "fulfill", connection, otel.status_code = Empty);
    let alone = wish.alone(name, || busy("another agent", &connection), work);
    traced(span, Box::pin(opened.at_work(alone))).await
}

/// Carries orders out while no other process does, whom the lease keeps away where the store is shared.
async fn carry_out(
    agent: &Agent,
    opened: &Opened<'_>,
    options: &FulfillOptions,
    store: &Store,
    held: Option<Held>,
    mut watch: impl FnMut(&Progress),
) -> anyhow::Result<FulfillReport> {
    let began = stopwatch();
    let id = opened.settings.id();
    let connection = id.as_str().to_lowercase();
    let limits = SafetyLimits::read(opened.settings).map_err(|error| agent.located(id, error))?;
    let vocabulary = Vocabulary::new(&agent.mapping, id, &opened.capabilities)?;
    let home = orders_folder(agent, opened);
    let report_path = options.results.clone().unwrap_or_else(|| results_path(agent, opened, options.clock));
    check_results(&report_path)?;
    results::settle(store, &connection, (options.clock)()).await?;

    let sources = find_sources(&options.orders, &home, (options.clock)())?;
    let mut intake = Intake::new(Index::new(&opened.capabilities));
    intake.read(sources, &vocabulary, opened.connector.as_ref(), true).await?;
    let Intake { mut index, rejected, copies } = intake;
    let places = Places::of(&agent.settings, store, &home)?;
    deliveries::identify(store, &connection, &places, &mut index, (options.clock)()).await?;
    index.settle();
    let losses = index.losses();
    let over = over_limits(agent, id.as_str(), &limits, &losses, Some(store)).await?;
    let now = (options.clock)();
    let place = place_of(&agent.settings, store);
    let waiting = Waiting { store, connection: &connection, place: place.as_deref(), now_ms: now };
    let approval = waiting.pass(&over, &losses, options.approve.as_ref()).await?;

    let turns = index.turns();
    let notes = store.notes(held.as_ref().map(|held| held.fence().clone()));
    let resets = password_resets(agent, &connection, store, options.clock)?;
    tell(resets.as_ref(), &connection).await?;
    let passwords = resets.as_ref().map(|resets| Passwords { resets, connection: &connection });
    let reader = OrderReader::new(&index, &vocabulary);
    let mut run = Run::new(reader, opened.connector.as_ref(), &notes, passwords, &options.stop, options.clock);
    recall(store, &index, &mut run).await?;
    let run_id = store.begin_run(&connection, now).await?;
    let places = opened.settings.text("MaxConcurrency").and_then(|text| text.parse().ok()).unwrap_or(REQUESTS_AT_ONCE);
    options.stop.heed();
    let mut ending = run.carry_out(&turns, 2 * places, &mut watch).await;
    let tally = match close(store, &notes, &connection, run_id, &report_path, options.clock).await {
        Ok(tally) => tally,
        // What stopped the run tells more than that nothing can be reported after it.
        Err(error) => return Err(ending.stopped.take().unwrap_or(error)),
    };
    tally.iter().for_each(|tally| count_reported(agent, id.as_str(), tally));
    tell(resets.as_ref(), &connection).await?;
    let open = run.open_in(0..index.entries.len());
    put_away(store, &index, &run, &copies, options.clock).await?;
    if let Some(code) = approval.filter(|_| open == 0) {
        store.spend_approval(&code, (options.clock)()).await?;
    }
    store.forget_old((options.clock)()).await?;
    let results = tally.map(|_| report_path);
    let where_to = results.as_ref().map_or_else(String::new, |path| format!("; the others are in {}", path.display()));
    if let Some(error) = ending.error(open, index.entries.len(), &where_to, options.stop.is_asked()) {
        return Err(error);
    }
    let tally = tally.unwrap_or_default();
    let traffic = opened.connector.traffic();
    Ok(FulfillReport {
        connection: id.as_str().to_owned(),
        orders: tally.executed + tally.errored,
        executed: tally.executed,
        errored: tally.errored,
        unchanged: tally.unchanged,
        results,
        rejected,
        requests: traffic.total(),
        throttled: traffic.throttled,
        max_in_flight: traffic.max_in_flight,
        journal_commits: notes.commits(),
        journal_percent: ending.journal_percent,
        duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// Each order is counted once: when its outcome is reported.
fn count_reported(agent: &Agent, connection: &str, tally: &results::Tally) {
    for (outcome, orders) in [("executed", tally.executed), ("errored", tally.errored)] {
        let labels = [("connection", connection), ("outcome", outcome)];
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        agent.monitoring.metrics.add(families::ORDERS, &labels, orders as f64);
    }
}

/// Tells of the first passwords of orders whose outcome is noted.
async fn tell(resets: Option<&PasswordResets>, connection: &str) -> anyhow::Result<()> {
    match resets {
        Some(resets) => resets.tell_first_passwords(connection).await,
        None => Ok(()),
    }
}

/// What gives accounts their first passwords; none where no resource type of the connection asks for it.
fn password_resets(
    agent: &Agent,
    connection: &str,
    store: &Store,
    clock: Clock,
) -> anyhow::Result<Option<PasswordResets>> {
    let resource_types = &agent.mapping.resource_type_mappings;
    let asks = resource_types
        .iter()
        .any(|it| it.connection.eq_ignore_ascii_case(connection) && it.password_reset_setting.is_some());
    let open = || PasswordResets::open(agent, store.clone(), std::sync::Arc::new(clock));
    asks.then(open).transpose()
}

/// Foretells what [`fulfill`] would do with the orders now, the first `most` of them; leaves files and store as they are.
/// Without a store, the agent's own is asked where that is needed.
///
/// # Errors
/// Those of the connector where they are about no single order; files that cannot be read at all; the store.
pub async fn plan(
    agent: &Agent,
    opened: &Opened<'_>,
    orders: &Orders,
    most: usize,
    store: Option<&Store>,
    now_ms: i64,
) -> anyhow::Result<PlanReport> {
    let id = opened.settings.id();
    let limits = SafetyLimits::read(opened.settings).map_err(|error| agent.located(id, error))?;
    let vocabulary = Vocabulary::new(&agent.mapping, id, &opened.capabilities)?;
    // Gone with its content when the plan is told.
    let passing = tempfile::tempdir().context("making a folder for the orders")?;
    let sources = match orders {
        Orders::Stdin => {
            let path = folder::keep(passing.path(), "stdin.json", &mut io::stdin().lock());
            vec![Source { path: path.context("reading the orders from standard input")?, root: None }]
        }
        orders => find_sources(orders, &orders_folder(agent, opened), now_ms)?,
    };
    let mut intake = Intake::new(Index::new(&opened.capabilities));
    intake.read(sources, &vocabulary, opened.connector.as_ref(), false).await?;
    let Intake { mut index, rejected, .. } = intake;
    index.settle();
    let over_limit = over_limits(agent, id.as_str(), &limits, &index.losses(), store).await?;
    let reader = OrderReader::new(&index, &vocabulary);
    let orders = plan::preview(&reader, opened.connector.as_ref(), most).await?;
    Ok(PlanReport { connection: id.as_str().to_owned(), orders, total: index.entries.len(), rejected, over_limit })
}

/// The safety limits that the orders are over, in words.
async fn over_limits(
    agent: &Agent,
    connection: &str,
    limits: &SafetyLimits,
    losses: &Losses,
    store: Option<&Store>,
) -> anyhow::Result<Vec<String>> {
    let records = match limits.need_counts(losses) {
        true => last_counts(agent, connection, store).await?,
        false => BTreeMap::new(),
    };
    Ok(limits.exceeded(losses, &records))
}

/// How many orders a file holds; in words, why it cannot be read as orders. Orders that cannot be understood stand alone
/// and are counted too.
///
/// # Errors
/// Of kind `Settings`, where the mapping cannot be obeyed.
pub fn count_orders(agent: &Agent, opened: &Opened<'_>, path: &Path) -> anyhow::Result<Result<usize, String>> {
    let vocabulary = Vocabulary::new(&agent.mapping, opened.settings.id(), &opened.capabilities)?;
    let mut scanner = Scanner::new(std::fs::File::open(path)?);
    let (mut text, mut count) = (Vec::new(), 0);
    let mut next = || -> Result<bool, Unreadable> {
        let Some(found) = scanner.next(&mut text)? else { return Ok(false) };
        let read = vocabulary.read(&found, &text).map(drop);
        text.zeroize();
        read.map(|()| true)
    };
    loop {
        match next() {
            Ok(true) if count < index::MAX_ORDERS => count += 1,
            Ok(true) => return Ok(Err(format!("there are more than {} orders", index::MAX_ORDERS))),
            Ok(false) => return Ok(Ok(count)),
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
}

/// The folder of a connection's orders.
pub fn orders_folder(agent: &Agent, opened: &Opened<'_>) -> PathBuf {
    agent.settings.orders_folder.join(opened.settings.id().as_str())
}

fn lock(work_folder: &Path, connection: &str) -> anyhow::Result<Lock> {
    let path = work_folder.join(format!(".fulfill-{connection}.lock"));
    let tried = std::fs::create_dir_all(work_folder).and_then(|()| Lock::take(&path));
    let lock = tried.with_context(|| format!("cannot lock `{}`", path.display()))?;
    lock.ok_or_else(|| busy("another process", connection))
}

fn busy(who: &str, connection: &str) -> anyhow::Error {
    let message = format!("{who} is carrying out orders of `{connection}`");
    FileError::busy(message, "wait until it is done, or end it: nothing is lost").into()
}

fn find_sources(orders: &Orders, home: &Path, now_ms: i64) -> anyhow::Result<Vec<Source>> {
    match orders {
        Orders::Stdin => {
            let name = format!("{}{STDIN}", stamp(now_ms));
            let path = folder::keep(home, &name, &mut io::stdin().lock());
            let path = path.and_then(|path| folder::instead_of(home, path, STDIN));
            let path = path.with_context(|| format!("keeping the orders in `{}`", home.display()))?;
            Ok(vec![Source { path, root: Some(home.to_owned()) }])
        }
        Orders::Folder => sources(home).with_context(|| format!("cannot read the folder `{}`", home.display())),
        Orders::Ready => {
            ready_sources(home, now_ms).with_context(|| format!("cannot read the folder `{}`", home.display()))
        }
        Orders::Path(path) if path.exists() => {
            sources(path).with_context(|| format!("cannot read the orders in `{}`", path.display()))
        }
        Orders::Path(path) => {
            let error = Error::new(ErrorKind::Settings, format!("there are no orders at `{}`", path.display()));
            Err(error.with_hint("name a file, a folder, or `-` for standard input").into())
        }
    }
}

fn ready_sources(home: &Path, now_ms: i64) -> io::Result<Vec<Source>> {
    let mut ready = Vec::new();
    for source in sources(home)? {
        if folder::is_ready(&source.path, now_ms)? {
            ready.push(source);
        }
    }
    Ok(ready)
}

/// Tells a run what earlier ones noted of its orders.
async fn recall(store: &Store, index: &Index, run: &mut Run<'_>) -> anyhow::Result<()> {
    for file in &index.files {
        let place = |position: i64| usize::try_from(position).ok().filter(|place| *place < file.count);
        store
            .finished(file.order_file, |position, executed, record| {
                if let Some(place) = place(position) {
                    run.was_finished(file.first + place, executed, record);
                }
            })
            .await?;
        for step in store.begun(file.order_file).await? {
            let place = store::OrderPlace { order_file: file.order_file, position: step.position };
            run.was_begun(place, step.step, step.result);
        }
    }
    Ok(())
}

/// Reports what has an outcome.
async fn close(
    store: &Store,
    notes: &Notes,
    connection: &str,
    run: i64,
    path: &Path,
    clock: Clock,
) -> anyhow::Result<Option<results::Tally>> {
    notes.flush().await?;
    results::report(store, connection, run, path, clock()).await
}

/// Closes the files whose orders are all reported, and moves those that are to be moved.
///
/// # Errors
/// The first file that cannot be moved, when all others are; the store.
async fn put_away(
    store: &Store,
    index: &Index,
    run: &Run<'_>,
    copies: &[(PathBuf, usize)],
    clock: Clock,
) -> anyhow::Result<()> {
    let mut failed = None;
    for (nth, file) in index.files.iter().enumerate() {
        if run.open_in(file.first..file.first + file.count) > 0 {
            continue;
        }
        let twins = copies.iter().filter(|(_, twin)| *twin == nth).map(|(path, _)| path);
        let moved = match &file.root {
            Some(root) => complete(store, file, root, twins.chain([&file.path])).await,
            None => Ok(()),
        };
        match moved {
            Ok(()) => store.close_order_file(file.order_file, clock()).await?,
            Err(error) => {
                let named = || format!("all orders of `{}` are reported, but it cannot be moved", file.path.display());
                failed.get_or_insert(error.context(named()));
            }
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Moves what was handled to its folder. What was put in its place meanwhile is for the next run.
async fn complete(
    store: &Store,
    file: &IndexedFile,
    root: &Path,
    paths: impl Iterator<Item = &PathBuf>,
) -> anyhow::Result<()> {
    for path in paths {
        if path.symlink_metadata().is_err() {
            tracing::warn!(file = %path.display(), "is gone: somebody else has put it away");
            continue;
        }
        if results::digest_of(path)? != file.digest {
            tracing::warn!(file = %path.display(), "has changed since it was read: left for the next run");
            continue;
        }
        let target = folder::free_place(root, path, folder::COMPLETED)?;
        if *path == file.path {
            store.announce_move(file.order_file, &std::path::absolute(&target)?.to_string_lossy()).await?;
        }
        disk::put_in_place(path, &target)?;
    }
    Ok(())
}

/// Finds out before anything is sent whether the results can go where they are to go.
fn check_results(path: &Path) -> anyhow::Result<()> {
    let is_file = path.metadata().map_or(path.file_name().is_some(), |there| there.is_file());
    if !is_file {
        let error = Error::new(ErrorKind::Settings, format!("the results cannot be put into `{}`", path.display()));
        return Err(error.with_hint("name a file, new or to be replaced").into());
    }
    let path = std::path::absolute(path)?;
    let folder = path.parent().unwrap_or(&path);
    let tried = std::fs::create_dir_all(folder).and_then(|()| tempfile::tempfile_in(folder));
    tried.map(drop).with_context(|| format!("the results cannot be put into `{}`", folder.display()))
}

fn results_path(agent: &Agent, opened: &Opened<'_>, clock: Clock) -> PathBuf {
    let name = format!("{}_{}.csv", opened.settings.id(), stamp(clock()));
    agent.settings.work_folder.join("FulfillResults").join(name)
}

/// The time as names of files hold it, to the millisecond.
pub(crate) fn stamp(now_ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(now_ms).unwrap_or_default().format("%Y%m%d%H%M%S%3f").to_string()
}
