//! Notes of steps and outcomes, taken while many orders run: those that come at the same time share one commit.
//!
//! Whoever is about to write to a managed system waits until its note is safe. What came of a write is noted without
//! waiting, and some of those notes are put off for a moment to share a commit: if one is lost in a crash, the next run
//! reads first, as after any unknown outcome. After a note that cannot be kept none is taken any more.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection};
use tokio::sync::{mpsc, oneshot};

use super::{Fence, Store, places};

/// Notes that wait, and that share a commit.
const MOST: usize = 512;
/// Notes nobody waits for, before they get a commit of their own …
const MOST_UNHURRIED: usize = 128;
/// … and for how long they may be put off while no other note comes.
const UNHURRIED_FOR: Duration = Duration::from_millis(50);

/// Which order: its file in the store, and its place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OrderPlace {
    /// The file's id in the store.
    pub order_file: i64,
    /// From 0.
    pub position: i64,
}

/// What came of an order, as it is reported.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Which order.
    pub place: OrderPlace,
    /// Its name.
    pub id: String,
    /// Its change type as it was written.
    pub change_type: String,
    /// Whom it is for.
    pub owner_id: String,
    /// Of what kind that is.
    pub owner_type: String,
    /// `Executed` or `Errored`.
    pub state: &'static str,
    /// The identity of the record that an order to add came to; else empty.
    pub record: String,
    /// Whether something was written to the managed system.
    pub changed: bool,
    /// Why it errored, or what else is to be known.
    pub message: String,
    /// When.
    pub at_ms: i64,
}

/// A note could not be kept: what it said is in the log, and nothing more may be written to a managed system.
#[derive(Debug, Clone)]
pub struct StoreFailed(String);

/// Takes notes, for all orders that run.
#[derive(Debug, Clone)]
pub struct Notes {
    sender: mpsc::Sender<Note>,
    commits: Arc<AtomicU64>,
}

#[derive(Debug)]
enum Note {
    Begun {
        place: OrderPlace,
        step: String,
        at_ms: i64,
        safe: Safe,
    },
    Done {
        place: OrderPlace,
        step: String,
        at_ms: i64,
        result: String,
    },
    Outcome(Outcome),
    /// Nothing: asks whether all that came before is kept.
    Flush(Safe),
}

type Safe = oneshot::Sender<Result<(), StoreFailed>>;

impl Store {
    /// Starts to take notes; none that comes when the fence is no longer its holder's.
    pub fn notes(&self, fence: Option<Fence>) -> Notes {
        let (sender, receiver) = mpsc::channel(MOST);
        let commits = Arc::new(AtomicU64::new(0));
        tokio::spawn(keep(self.pool.clone(), fence, receiver, Arc::clone(&commits)));
        Notes { sender, commits }
    }
}

impl Notes {
    /// Notes that a step is about to be taken, and returns when the note is safe.
    ///
    /// # Errors
    /// Where it cannot be kept.
    pub async fn begun(&self, place: OrderPlace, step: &str, at_ms: i64) -> Result<(), StoreFailed> {
        let (safe, kept) = oneshot::channel();
        self.take(Note::Begun { place, step: step.to_owned(), at_ms, safe }).await?;
        kept.await.unwrap_or_else(|_| Err(StoreFailed::gone()))
    }

    /// Notes what came of a step; does not wait until that is safe.
    ///
    /// # Errors
    /// Where no notes are taken any more.
    pub async fn done(&self, place: OrderPlace, step: &str, result: &str, at_ms: i64) -> Result<(), StoreFailed> {
        self.take(Note::Done { place, step: step.to_owned(), result: result.to_owned(), at_ms }).await
    }

    /// Notes what came of an order; does not wait until that is safe.
    ///
    /// # Errors
    /// Where no notes are taken any more.
    pub async fn outcome(&self, outcome: Outcome) -> Result<(), StoreFailed> {
        self.take(Note::Outcome(outcome)).await
    }

    /// Returns when all notes are safe.
    ///
    /// # Errors
    /// Where one could not be kept.
    pub async fn flush(&self) -> Result<(), StoreFailed> {
        let (safe, kept) = oneshot::channel();
        self.take(Note::Flush(safe)).await?;
        kept.await.unwrap_or_else(|_| Err(StoreFailed::gone()))
    }

    /// How often notes were seen to the disk.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    async fn take(&self, note: Note) -> Result<(), StoreFailed> {
        self.sender.send(note).await.map_err(|_| StoreFailed::gone())
    }
}

impl StoreFailed {
    fn gone() -> Self {
        Self("the store takes no notes any more".to_owned())
    }
}

impl fmt::Display for StoreFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StoreFailed {}

/// Keeps notes until nobody takes them any more, or one cannot be kept.
async fn keep(pool: AnyPool, fence: Option<Fence>, mut receiver: mpsc::Receiver<Note>, commits: Arc<AtomicU64>) {
    let fence = fence.as_ref();
    let (mut notes, mut unhurried) = (Vec::with_capacity(MOST), Vec::with_capacity(MOST));
    let mut connection = match pool.acquire().await {
        Ok(connection) => connection,
        Err(error) => return tracing::error!("the store takes no notes: {error}"),
    };
    loop {
        let more = tokio::time::timeout(UNHURRIED_FOR, receiver.recv_many(&mut notes, MOST)).await;
        // Whoever is about to take a note may do so now.
        tokio::task::yield_now().await;
        while notes.len() < MOST
            && let Ok(note) = receiver.try_recv()
        {
            notes.push(note);
        }
        let has_flush = notes.iter().any(|note| matches!(note, Note::Flush(_)));
        let (hurried, others): (Vec<Note>, Vec<Note>) =
            notes.drain(..).partition(|note| matches!(note, Note::Begun { .. } | Note::Flush(_)));
        unhurried.extend(others);
        let is_over = more == Ok(0);
        let kept = if has_flush || is_over || more.is_err() || unhurried.len() >= MOST_UNHURRIED {
            unhurried.extend(hurried);
            let kept = commit(&mut connection, fence, &unhurried).await;
            (kept, std::mem::take(&mut unhurried))
        } else {
            (commit(&mut connection, fence, &hurried).await, hurried)
        };
        let (kept, told) = kept;
        let kept = kept.map_err(|error| match error {
            sqlx::Error::RowNotFound => StoreFailed("another agent carries out these orders now".to_owned()),
            error => StoreFailed(format!("a note cannot be kept: {error}")),
        });
        commits.fetch_add(u64::from(!told.is_empty()), Ordering::Relaxed);
        for note in told {
            if let Note::Begun { safe, .. } | Note::Flush(safe) = note {
                // Whoever waited may be gone.
                let _ = safe.send(kept.clone());
            }
        }
        if kept.is_err() || is_over {
            return;
        }
    }
}

/// Keeps notes in one commit. No row found: the fence is another's.
async fn commit(connection: &mut AnyConnection, fence: Option<&Fence>, notes: &[Note]) -> Result<(), sqlx::Error> {
    let mut steps: Vec<Step<'_>> = Vec::new();
    let mut index: HashMap<(OrderPlace, &str), usize> = HashMap::new();
    let mut outcomes = Vec::new();
    for note in notes {
        let (step, place, name) = match note {
            Note::Begun { place, step, at_ms, .. } => {
                (Step { place: *place, step, began_ms: *at_ms, done: None }, place, step)
            }
            Note::Done { place, step, at_ms, result } => {
                (Step { place: *place, step, began_ms: *at_ms, done: Some((*at_ms, result)) }, place, step)
            }
            Note::Outcome(outcome) => {
                outcomes.push(outcome);
                continue;
            }
            Note::Flush(_) => continue,
        };
        match index.get(&(*place, name.as_str())) {
            Some(&known) => steps[known].done = step.done,
            None => {
                index.insert((*place, name), steps.len());
                steps.push(step);
            }
        }
    }
    if outcomes.is_empty() && (fence.is_none() || steps.is_empty()) {
        // One statement is a transaction by itself.
        return insert_steps(connection, &steps).await;
    }
    let mut transaction = connection.begin().await?;
    if let Some(Fence { name, holder }) = fence {
        // Whoever would take the lease waits for this row until the notes are kept.
        let statement = "UPDATE leases SET until_ms = until_ms WHERE name = $1 AND holder = $2";
        let held = sqlx::query(statement).bind(name).bind(holder).execute(&mut *transaction).await?;
        if held.rows_affected() == 0 {
            return Err(sqlx::Error::RowNotFound);
        }
    }
    insert_steps(&mut transaction, &steps).await?;
    insert_outcomes(&mut transaction, &outcomes).await?;
    transaction.commit().await
}

struct Step<'a> {
    place: OrderPlace,
    step: &'a str,
    began_ms: i64,
    done: Option<(i64, &'a str)>,
}

async fn insert_steps(connection: &mut AnyConnection, steps: &[Step<'_>]) -> Result<(), sqlx::Error> {
    if steps.is_empty() {
        return Ok(());
    }
    let statement = format!(
        "INSERT INTO steps (order_file, position, step, began_ms, done_ms, result) VALUES {} \
         ON CONFLICT (order_file, position, step) DO UPDATE SET \
         done_ms = COALESCE(excluded.done_ms, steps.done_ms), result = COALESCE(excluded.result, steps.result)",
        places(steps.len(), 6)
    );
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for Step { place, step, began_ms, done } in steps {
        query = query.bind(place.order_file).bind(place.position).bind(*step).bind(*began_ms);
        query = query.bind(done.map(|(at_ms, _)| at_ms)).bind(done.map(|(_, result)| result));
    }
    query.execute(connection).await.map(drop)
}

async fn insert_outcomes(connection: &mut AnyConnection, outcomes: &[&Outcome]) -> Result<(), sqlx::Error> {
    if outcomes.is_empty() {
        return Ok(());
    }
    let statement = format!(
        "INSERT INTO orders (order_file, position, id, change_type, owner_id, owner_type, state, record, changed, \
         message, finished_ms) VALUES {} ON CONFLICT (order_file, position) DO NOTHING",
        places(outcomes.len(), 11)
    );
    let mut query = sqlx::query(AssertSqlSafe(statement));
    for it in outcomes {
        query = query.bind(it.place.order_file).bind(it.place.position).bind(it.id.as_str());
        query = query.bind(it.change_type.as_str()).bind(it.owner_id.as_str()).bind(it.owner_type.as_str());
        query = query
            .bind(it.state)
            .bind(it.record.as_str())
            .bind(i64::from(it.changed))
            .bind(it.message.as_str())
            .bind(it.at_ms);
    }
    query.execute(connection).await.map(drop)
}
