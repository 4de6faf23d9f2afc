//! Provisioning orders carried out: exactly once in effect, whatever happens to the process in between.
//!
//! Files are read twice: first all of them, to find what contradicts itself, what belongs together and what is too much
//! at once; then order by order, as its turn comes. Each write to the managed system stands in the store before it is
//! sent, so that the next run knows what to look at first. What comes of an order is reported once.

mod index;
mod intake;
mod journal;
mod limits;
mod passwords;
mod plan;
mod report;
mod results;
mod run;
mod take_up;

use std::{
    io,
    path::{Path, PathBuf},
};

use anyhow::Context;
use chrono::{DateTime, Utc};
use connector_api::{Error, ErrorKind};

pub use intake::RejectedFile;
pub use journal::Clock;
pub use limits::OverLimit;
pub use plan::{PlanReport, PlannedChange, PlannedOrder};
pub use report::FulfillReport;
pub use run::Progress;

use crate::{
    agent::{Agent, Opened},
    disk::Lock,
    export::{FileError, manifest_path},
    orders::{Vocabulary, folder},
    password_reset::PasswordResets,
    store::{self, Notes, Store},
};
use index::Index;
use intake::{Intake, Source, sources};
use journal::stopwatch;
use limits::SafetyLimits;
use passwords::Passwords;
use run::Run;
use take_up::OrderReader;

/// Requests under way at once where no setting says so; orders at work are twice as many in each lane.
const REQUESTS_AT_ONCE: usize = 12;

/// Which orders, and what else is wanted.
#[derive(Debug)]
pub struct FulfillOptions {
    /// Where the orders are.
    pub orders: Orders,
    /// The file for the results; else one of its own in `FulfillResults` in the work folder.
    pub results: Option<PathBuf>,
    /// The approval of an operator to go over a safety limit.
    pub approve: Option<String>,
    /// The time.
    pub clock: Clock,
}

/// Where orders are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Orders {
    /// In the connection's folder.
    Folder,
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
    let began = stopwatch();
    let id = opened.settings.id();
    let connection = id.as_str().to_lowercase();
    let limits = SafetyLimits::read(opened.settings).map_err(|error| agent.located(id, error))?;
    let vocabulary = Vocabulary::new(&agent.mapping, id, &opened.capabilities)?;
    let home = orders_folder(agent, opened);
    let _lock = lock(&agent.settings.work_folder, &connection)?;
    let store = Store::open(&store::path_in(&agent.settings.work_folder)).await?;
    results::settle(&store, &connection, (options.clock)()).await?;

    let sources = find_sources(&options.orders, &home, options.clock)?;
    let mut intake = Intake::new(Index::new(&opened.capabilities));
    intake.read(sources, &vocabulary, opened.connector.as_ref(), true).await?;
    let Intake { mut index, rejected, copies } = intake;
    for file in &mut index.files {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        file.order_file = store.order_file(&connection, &file.digest, &name, (options.clock)()).await?;
    }
    index.settle();
    let losses = index.losses();
    let over = limits.exceeded(&losses, &manifest_path(&agent.export_folder(), id.as_str()));
    let now = (options.clock)();
    let approval = limits::pass(&store, &connection, &over, &losses, options.approve.as_deref(), now).await?;

    let turns = index.turns();
    let notes = store.notes();
    let resets = password_resets(agent, &connection, &store, options.clock)?;
    tell(resets.as_ref(), &connection).await?;
    let passwords = resets.as_ref().map(|resets| Passwords { resets, connection: &connection });
    let reader = OrderReader::new(&index, &vocabulary);
    let mut run = Run::new(reader, opened.connector.as_ref(), &notes, passwords, options.clock);
    recall(&store, &index, &mut run).await?;
    let run_id = store.begin_run(&connection, now).await?;
    let places = opened.settings.text("MaxConcurrency").and_then(|text| text.parse().ok()).unwrap_or(REQUESTS_AT_ONCE);
    let mut ending = run.carry_out(&turns, 2 * places, &mut watch).await;
    let report_path = options.results.clone().unwrap_or_else(|| results_path(agent, opened, options.clock));
    let tally = match close(&store, &notes, &connection, run_id, &report_path, options.clock).await {
        Ok(tally) => tally,
        // What stopped the run tells more than that nothing can be reported after it.
        Err(error) => return Err(ending.stopped.take().unwrap_or(error)),
    };
    tell(resets.as_ref(), &connection).await?;
    let open = run.open_in(0..index.entries.len());
    put_away(&store, &index, &run, &copies, options.clock).await?;
    if let Some(code) = approval.filter(|_| open == 0) {
        store.spend_approval(&code, (options.clock)()).await?;
    }
    store.forget_old((options.clock)()).await?;
    let results = tally.map(|_| report_path);
    let where_to = results.as_ref().map_or_else(String::new, |path| format!("; the others are in {}", path.display()));
    if let Some(error) = ending.error(open, index.entries.len(), &where_to) {
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

/// Foretells what [`fulfill`] would do with the orders now; leaves files and store as they are.
///
/// # Errors
/// Those of the connector where they are about no single order; files that cannot be read at all.
pub async fn plan(agent: &Agent, opened: &Opened<'_>, orders: &Orders) -> anyhow::Result<PlanReport> {
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
        orders => find_sources(orders, &orders_folder(agent, opened), || 0)?,
    };
    let mut intake = Intake::new(Index::new(&opened.capabilities));
    intake.read(sources, &vocabulary, opened.connector.as_ref(), false).await?;
    let Intake { mut index, rejected, .. } = intake;
    index.settle();
    let over_limit = limits.exceeded(&index.losses(), &manifest_path(&agent.export_folder(), id.as_str()));
    let reader = OrderReader::new(&index, &vocabulary);
    let orders = plan::preview_all(&reader, opened.connector.as_ref()).await?;
    Ok(PlanReport { connection: id.as_str().to_owned(), orders, rejected, over_limit })
}

/// The folder of a connection's orders.
pub fn orders_folder(agent: &Agent, opened: &Opened<'_>) -> PathBuf {
    agent.settings.work_folder.join("ProvisioningOrders").join(opened.settings.id().as_str())
}

fn lock(work_folder: &Path, connection: &str) -> anyhow::Result<Lock> {
    let path = work_folder.join(format!(".fulfill-{connection}.lock"));
    let tried = std::fs::create_dir_all(work_folder).and_then(|()| Lock::take(&path));
    let lock = tried.with_context(|| format!("cannot lock `{}`", path.display()))?;
    let message = || format!("another process is carrying out orders of `{connection}`");
    lock.ok_or_else(|| FileError::busy(message(), "wait until it is done, or end it: nothing is lost").into())
}

fn find_sources(orders: &Orders, home: &Path, clock: Clock) -> anyhow::Result<Vec<Source>> {
    match orders {
        Orders::Stdin => {
            let name = format!("{}_stdin.json", stamp(clock()));
            let path = folder::keep(home, &name, &mut io::stdin().lock());
            let path = path.with_context(|| format!("keeping the orders in `{}`", home.display()))?;
            Ok(vec![Source { path, root: Some(home.to_owned()) }])
        }
        Orders::Folder => sources(home).with_context(|| format!("cannot read the folder `{}`", home.display())),
        Orders::Path(path) if path.exists() => {
            sources(path).with_context(|| format!("cannot read the orders in `{}`", path.display()))
        }
        Orders::Path(path) => {
            let error = Error::new(ErrorKind::Settings, format!("there are no orders at `{}`", path.display()));
            Err(error.with_hint("name a file, a folder, or `-` for standard input").into())
        }
    }
}

/// Tells a run what earlier ones noted of its orders.
async fn recall(store: &Store, index: &Index, run: &mut Run<'_>) -> anyhow::Result<()> {
    for file in &index.files {
        let place = |position: i64| usize::try_from(position).ok().filter(|place| *place < file.count);
        store
            .finished(file.order_file, |position, executed| {
                if let Some(place) = place(position) {
                    run.was_finished(file.first + place, executed);
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
async fn put_away(
    store: &Store,
    index: &Index,
    run: &Run<'_>,
    copies: &[(PathBuf, usize)],
    clock: Clock,
) -> anyhow::Result<()> {
    for (nth, file) in index.files.iter().enumerate() {
        if run.open_in(file.first..file.first + file.count) > 0 {
            continue;
        }
        if let Some(root) = &file.root {
            let twins = copies.iter().filter(|(_, twin)| *twin == nth).map(|(path, _)| path);
            for path in twins.chain([&file.path]) {
                folder::put_away(root, path, folder::COMPLETED).with_context(|| {
                    format!("all orders of `{}` are reported, but it cannot be moved", path.display())
                })?;
            }
        }
        store.close_order_file(file.order_file, clock()).await?;
    }
    Ok(())
}

fn results_path(agent: &Agent, opened: &Opened<'_>, clock: Clock) -> PathBuf {
    let name = format!("{}_{}.csv", opened.settings.id(), stamp(clock()));
    agent.settings.work_folder.join("FulfillResults").join(name)
}

/// The time as names of files hold it, to the millisecond.
fn stamp(now_ms: i64) -> String {
    DateTime::<Utc>::from_timestamp_millis(now_ms).unwrap_or_default().format("%Y%m%d%H%M%S%3f").to_string()
}
