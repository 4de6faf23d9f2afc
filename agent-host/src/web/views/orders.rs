//! Provisioning orders of a connection: what waits, what came of what ran, what would change, and leave to go over a
//! safety limit.

use std::{fs, path::Path, time::SystemTime};

use serde::Serialize;
use tokio::runtime::Handle;
use utoipa::ToSchema;

use super::{Refusal, Result, connection, note, page, runs, shown};
use crate::{
    access::{Caller, Role},
    fulfill::{self, Orders, PlanReport, orders_folder},
    jobs::{Job, Kind},
    orders::folder,
    presence::{own_id, place_of},
    store::{ApprovalState, OrderRun, ReportedOrder},
    web::Web,
};

/// Files of a folder that are named.
const MOST_FILES: usize = 200;
/// Bytes of all files that a plan reads.
const MOST_PLANNED_BYTES: u64 = 64 << 20;
/// Orders that a plan looks into.
const MOST_PLANNED: usize = 500;

/// What waits for a connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderQueue {
    /// The connection.
    pub connection: String,
    /// Files in its folder that are not handled, in the order in which they are taken; the first two hundred.
    pub files: Vec<WaitingFile>,
    /// How many there are.
    pub file_count: usize,
    /// Files of which some orders have an outcome.
    pub open: Vec<OpenFile>,
    /// Approvals that may be given to go over a safety limit.
    pub approvals: Vec<OfferedApprovalView>,
    /// The run that carries them out or waits to do so.
    pub run: Option<runs::RunView>,
}

/// A file that waits.
#[derive(Debug, Serialize, ToSchema)]
pub struct WaitingFile {
    /// Its name below the connection's folder.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// When something was last written to it.
    pub changed_ms: i64,
    /// Whether nobody is writing it any more.
    pub is_complete: bool,
}

/// A file that is at work.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenFile {
    /// Where it lies.
    pub file: String,
    /// When it was first taken up.
    pub received_ms: i64,
    /// Orders of it that have an outcome.
    pub done: i64,
    /// Whether the agent that answers sees it; else it is in the folder of another agent.
    pub is_here: bool,
}

/// An approval that may be given.
#[derive(Debug, Serialize, ToSchema)]
pub struct OfferedApprovalView {
    /// By which it is given.
    pub code: String,
    /// When it was offered.
    pub issued_ms: i64,
    /// Until when it may be given.
    pub expires_ms: i64,
    /// The machine of the agent that found the orders to be too much; none where there is one agent alone.
    pub machine: Option<String>,
    /// Whether the orders wait in the folder of the agent that answers; else that agent carries them out whose folder it
    /// is.
    pub is_here: bool,
}

/// A page of runs of fulfilment.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderRunPage {
    /// The newest first.
    pub runs: Vec<OrderRunView>,
    /// Where the next page begins; none on the last.
    pub next: Option<i64>,
}

/// A run of fulfilment, by whomever it was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderRunView {
    /// Its number; those of jobs are counted apart.
    pub order_run: i64,
    /// When it began.
    pub began_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// The file of its results, if there is one.
    pub results: Option<String>,
    /// Orders that are as they were wanted.
    pub executed: i64,
    /// Orders that are not.
    pub errored: i64,
}

/// A page of what a run reported.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResultPage {
    /// The run.
    pub run: OrderRunView,
    /// In the order of the files.
    pub results: Vec<ResultView>,
    /// Where the next page begins; none on the last.
    pub next: Option<i64>,
}

/// What came of an order.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResultView {
    /// The order's name.
    pub order: String,
    /// `Executed` or `Errored`.
    pub state: String,
    /// Why and what to do, or what else is to be known.
    pub message: String,
    /// As it was written.
    pub change: String,
    /// Whom it was for.
    pub owner: String,
    /// Of what kind that is.
    pub owner_type: String,
    /// Whether something was written to the managed system.
    pub is_changed: bool,
}

/// What waits.
///
/// # Errors
/// Where there is no such connection, or the caller may not look at it.
pub async fn queue(web: &Web, caller: &Caller, name: &str) -> Result<OrderQueue> {
    let settings = connection(web, caller, Role::Viewer, name)?;
    let id = settings.id().as_str();
    let home = web.agent.settings.orders_folder.join(id);
    let found = folder::files_in(&home).map_err(anyhow::Error::from)?;
    let now_ms = web.now_ms();
    let files = found.iter().take(MOST_FILES).filter_map(|file| waiting(&home, file, now_ms)).collect();
    let seen = Seen::by(web);
    let mut open = Vec::new();
    for file in web.store().open_order_files(&id.to_lowercase()).await? {
        let done = web.store().outcomes_of(file.id).await?;
        let is_here = seen.is_here(Some(&file.place));
        open.push(OpenFile { file: file.path, received_ms: file.received_ms, done, is_here });
    }
    let approvals = web.store().offered_approvals(id, now_ms).await?.into_iter();
    let approval = |it: crate::store::OfferedApproval| OfferedApprovalView {
        is_here: seen.is_here(it.place.as_deref()),
        code: it.code,
        issued_ms: it.issued_ms,
        expires_ms: it.expires_ms,
        machine: it.machine,
    };
    let job = Job::name_of(Kind::Fulfill, id);
    let run = web.store().job_runs(Some(&job), 1).await?.pop().filter(|run| !run.state.is_over());
    Ok(OrderQueue {
        connection: id.to_owned(),
        files,
        file_count: found.len(),
        open,
        approvals: approvals.map(approval).collect(),
        run: run.map(Into::into),
    })
}

/// A page of the runs behind this one.
///
/// # Errors
/// Where there is no such connection, or the caller may not look at it.
pub async fn order_runs(
    web: &Web,
    caller: &Caller,
    name: &str,
    cursor: Option<i64>,
    limit: Option<u32>,
) -> Result<OrderRunPage> {
    let settings = connection(web, caller, Role::Viewer, name)?;
    let most = page(limit);
    let before = cursor.unwrap_or(i64::MAX);
    let mut found = web.store().order_runs(settings.id().as_str(), None, before, most + 1).await?;
    let most = usize::try_from(most).unwrap_or_default();
    let has_more = found.len() > most;
    found.truncate(most);
    let next = found.last().filter(|_| has_more).map(|last| last.id);
    Ok(OrderRunPage { runs: found.into_iter().map(Into::into).collect(), next })
}

/// A page of what a run reported, from this place on; only what errored, where that is asked for.
///
/// # Errors
/// Where there is no such run, or the caller may not look at it.
pub async fn results(
    web: &Web,
    caller: &Caller,
    name: &str,
    run: i64,
    only_errored: bool,
    cursor: Option<i64>,
    limit: Option<u32>,
) -> Result<ResultPage> {
    let settings = connection(web, caller, Role::Viewer, name)?;
    let found = web.store().order_runs(settings.id().as_str(), Some(run), i64::MAX, 1).await?.pop();
    let Some(found) = found else {
        let message = format!("the connection `{}` has no run {run} of orders", settings.id());
        return Err(Refusal::not_found(message, "list its runs"));
    };
    let (most, skip) = (page(limit), cursor.unwrap_or(0).max(0));
    let mut results = web.store().reported_page(run, only_errored, skip, most + 1).await?;
    let has_more = results.len() > usize::try_from(most).unwrap_or_default();
    results.truncate(usize::try_from(most).unwrap_or_default());
    let next = has_more.then(|| skip.saturating_add(most));
    Ok(ResultPage { run: found.into(), results: results.into_iter().map(Into::into).collect(), next })
}

/// What the orders that wait would change: the first five hundred. Reads what it must, sends nothing.
///
/// # Errors
/// Where the caller may not, there is too much, or the managed system cannot be asked.
pub async fn plan(web: &Web, caller: &Caller, name: &str) -> Result<PlanReport> {
    let settings = connection(web, caller, Role::Viewer, name)?;
    let opened = web.agent.connection(settings.id().as_str())?;
    let files = folder::files_in(&orders_folder(&web.agent, &opened)).map_err(anyhow::Error::from)?;
    let bytes: u64 = files.iter().filter_map(|file| fs::metadata(file).ok()).map(|metadata| metadata.len()).sum();
    if bytes > MOST_PLANNED_BYTES {
        let message =
            format!("{bytes} bytes of orders wait, more than the {MOST_PLANNED_BYTES} of which a plan is made");
        return Err(Refusal::unfit(message, format!("use `agent-host fulfill {} --plan`", settings.id())));
    }
    // One at a time: each holds a connector and a thread, until it is done, whoever still waits for it.
    let turn = web.planning.clone().lock_owned().await;
    let (agent, id, now_ms) = (web.agent.clone(), settings.id().to_string(), web.now_ms());
    let (runtime, store) = (Handle::current(), web.store().clone());
    // Reading the files does not wait for anything: on a thread of its own it holds up nobody.
    let planned = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        runtime.block_on(async {
            let opened = agent.connection(&id)?;
            fulfill::plan(&agent, &opened, &Orders::Ready, MOST_PLANNED, Some(&store), now_ms).await
        })
    });
    Ok(planned.await.map_err(anyhow::Error::from)??)
}

/// Lets the orders for which the code was given go over a safety limit, once, and starts them where they wait.
///
/// # Errors
/// Where the caller may not, or the code is none that may be used.
pub async fn approve(web: &Web, caller: &Caller, name: &str, code: &str) -> Result<runs::RunView> {
    let settings = connection(web, caller, Role::Operator, name)?;
    let id = settings.id().as_str();
    let code = code.trim().to_ascii_lowercase();
    let known = web.store().approval(&id.to_lowercase(), &code, web.now_ms()).await?;
    let why = match known.as_ref().map(|known| known.state) {
        Some(ApprovalState::Offered | ApprovalState::Used) => None,
        Some(ApprovalState::Expired) => Some("has expired"),
        Some(ApprovalState::Spent) => Some("was used before"),
        None => {
            let message = format!("the approval `{}` was never given for `{id}`", shown(&code));
            return Err(Refusal::not_found(message, "look at what waits: it names the codes that may be used"));
        }
    };
    if let Some(why) = why {
        let message = format!("the approval `{code}` {why}");
        return Err(Refusal::conflict(message, "run the orders again: a new code is given where one is needed"));
    }
    note(web, caller, "approve_orders", id, &code, "approved").await?;
    web.store().use_approval(&code, web.now_ms()).await?;
    let place = known.and_then(|known| known.place).or_else(|| place_of(&web.agent.settings, web.store()));
    runs::queue_at(web, &Job::name_of(Kind::Fulfill, id), "person", place.as_deref()).await
}

/// The places whose order files an agent sees: its orders folder, and its machine.
struct Seen(Option<[String; 2]>);

impl Seen {
    /// Those of the agent that answers; none where every agent sees all.
    fn by(web: &Web) -> Self {
        let own = || Some([place_of(&web.agent.settings, web.store())?, own_id(&web.agent.settings).ok()?]);
        Self(if web.store().is_shared() { own() } else { None })
    }

    fn is_here(&self, place: Option<&str>) -> bool {
        match (&self.0, place.unwrap_or_default()) {
            (_, "") | (None, _) => true,
            (Some(seen), place) => seen.iter().any(|it| it == place),
        }
    }
}

fn waiting(home: &Path, file: &Path, now_ms: i64) -> Option<WaitingFile> {
    let metadata = fs::metadata(file).ok()?;
    let changed = metadata.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(WaitingFile {
        file: file.strip_prefix(home).unwrap_or(file).display().to_string(),
        bytes: metadata.len(),
        changed_ms: i64::try_from(changed.as_millis()).unwrap_or(i64::MAX),
        is_complete: folder::is_ready(file, now_ms).unwrap_or(false),
    })
}

impl From<OrderRun> for OrderRunView {
    fn from(run: OrderRun) -> Self {
        Self {
            order_run: run.id,
            began_ms: run.began_ms,
            ended_ms: run.ended_ms,
            results: run.results,
            executed: run.executed,
            errored: run.errored,
        }
    }
}

impl From<ReportedOrder> for ResultView {
    fn from(order: ReportedOrder) -> Self {
        Self {
            order: order.id,
            state: order.state,
            message: order.message,
            change: order.change_type,
            owner: order.owner_id,
            owner_type: order.owner_type,
            is_changed: order.changed,
        }
    }
}
