//! Carries the orders of a run out: phase by phase, orders on one record one after the other, others side by side.
//!
//! Each lane has places of its own, so that no budget of the managed system waits for another's. They are twice as many
//! as requests may be under way: while some orders wait for their notes, others are at the managed system.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    mem,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    time::Duration,
};

use connector_api::{ChangeType, Connector, Effect, Error, ErrorKind, Fulfillment, ProvisioningOrder, Traffic};
use futures::{StreamExt, stream::FuturesUnordered};

use super::{
    index::{Index, Turns},
    journal::{Clock, OrderJournal, Steps, micros, stopwatch},
    limits::is_of_the_order,
    passwords::Passwords,
    stop::{Stop, Stopped},
    take_up::{OrderReader, TakenUp, Task},
};
use crate::{
    orders::WantedPassword,
    password_reset::Promise,
    store::{Notes, OrderPlace, Outcome},
};

/// How often an order is tried in one run where the system cannot be reached; each time the connector tries its best.
const TRIES: u8 = 2;
/// Orders one after the other that fail so before the run gives up.
const GIVE_UP_AFTER: u64 = 10;
/// How long an order is tried again, run after run, while the system carries others out.
const PATIENCE_MS: i64 = 2 * 86_400_000;
/// Why a record is not deleted that an order of the same run has adopted.
pub(super) const ADDED_HERE: &str = "another order of the same run adds this very record, which was there already: it is not \
     deleted; evaluate the policy again";
/// What the results say of a password that was made up and that nobody learns.
const TOLD_TO_NOBODY: &str =
    "nobody is told the account's first password: reset it, or name whom to tell in the settings";
/// How often the watcher is told.
const WATCH_EVERY: Duration = Duration::from_millis(200);

/// How far a run is.
#[derive(Debug)]
pub struct Progress {
    /// Orders that have an outcome.
    pub done: u64,
    /// All orders.
    pub orders: u64,
    /// Those of the first that errored.
    pub errored: u64,
    /// Requests, waits.
    pub traffic: Traffic,
}

/// How far an order is, as it is kept in an atomic.
mod state {
    pub(super) const OPEN: u8 = 0;
    pub(super) const EXECUTED: u8 = 1;
    pub(super) const ERRORED: u8 = 2;
}

/// The orders of a run on their way.
pub(super) struct Run<'a> {
    reader: OrderReader<'a>,
    connector: &'a dyn Connector,
    notes: &'a Notes,
    passwords: Option<Passwords<'a>>,
    stop: &'a Stop,
    clock: Clock,
    states: Vec<AtomicU8>,
    /// Records that orders to add came to, which no order of this run may delete.
    added: Mutex<HashSet<u64>>,
    /// Whether the system has carried out or refused an order in this run.
    has_answered: AtomicBool,
    /// What earlier runs noted of orders that have no outcome.
    begun: Mutex<HashMap<OrderPlace, Steps>>,
    stopping: AtomicBool,
    failed_in_a_row: AtomicU64,
    waited_us: AtomicU64,
    worked_us: AtomicU64,
}

/// How a run came to its end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// Why it stopped, where nothing more can be done.
    pub(super) stopped: Option<anyhow::Error>,
    /// Why the first order that was left open was.
    pub(super) unavailable: Option<Error>,
    /// Records with an order that was left open: those that come after it wait.
    held_up: HashSet<u32>,
    /// Percent of the time of orders that was spent waiting for the journal.
    pub(super) journal_percent: f64,
}

/// What came of an order.
#[derive(Debug, Default)]
struct Done {
    executed: bool,
    /// Whether something was written.
    changed: bool,
    /// The identity of the record that an order to add came to.
    record: String,
    /// What else is to be known.
    notes: Vec<String>,
    /// Why it is not executed, which is all that is told then.
    refusal: Option<String>,
}

/// What trying an order means for the run.
pub(super) enum Fate {
    Finished,
    /// It may be tried again later.
    Open(Error),
    /// No order can be carried out any more.
    Stop(anyhow::Error),
}

/// A chain of orders waiting for a place, from the nth of them on.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    chain: usize,
    from: usize,
    tries: u8,
}

#[derive(Debug, Default)]
struct Lane {
    queue: VecDeque<Waiting>,
    at_work: usize,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        reader: OrderReader<'a>,
        connector: &'a dyn Connector,
        notes: &'a Notes,
        passwords: Option<Passwords<'a>>,
        stop: &'a Stop,
        clock: Clock,
    ) -> Self {
        let states = reader.index.entries.iter().map(|_| AtomicU8::new(state::OPEN)).collect();
        Self {
            reader,
            connector,
            notes,
            passwords,
            stop,
            clock,
            states,
            added: Mutex::default(),
            has_answered: AtomicBool::new(false),
            begun: Mutex::default(),
            stopping: AtomicBool::new(false),
            failed_in_a_row: AtomicU64::new(0),
            waited_us: AtomicU64::new(0),
            worked_us: AtomicU64::new(0),
        }
    }

    /// An order that has an outcome from an earlier run.
    pub(super) fn was_finished(&mut self, at: usize, executed: bool, record: &str) {
        if !record.is_empty() {
            self.keep_record(at, record);
        }
        if let Some(known) = self.states.get_mut(at) {
            *known.get_mut() = if executed { state::EXECUTED } else { state::ERRORED };
        }
    }

    /// A step from an earlier run of an order without an outcome.
    pub(super) fn was_begun(&mut self, place: OrderPlace, step: String, result: Option<String>) {
        let begun = self.begun.get_mut().unwrap_or_else(PoisonError::into_inner);
        begun.entry(place).or_default().insert(step, result);
    }

    /// Orders without an outcome, of all or of those of one file.
    pub(super) fn open_in(&self, orders: std::ops::Range<usize>) -> usize {
        self.states[orders].iter().filter(|it| it.load(Ordering::Relaxed) == state::OPEN).count()
    }

    /// Carries out what is open, with so many places a lane.
    pub(super) async fn carry_out(&self, turns: &Turns, places: usize, watch: &mut impl FnMut(&Progress)) -> Ending {
        let index = self.reader.index;
        let mut ending = Ending::default();
        let mut next = 0;
        while next < turns.len() && !self.is_stopping() {
            let phase = phase_of(index, turns, next);
            let mut lanes: Vec<Lane> = index.lanes.iter().map(|_| Lane::default()).collect();
            if lanes.is_empty() {
                lanes.push(Lane::default());
            }
            while next < turns.len() && phase_of(index, turns, next) == phase {
                // What comes after an order that is left open waits for it, so that they keep their order.
                if !ending.held_up.contains(&turns.record(next)) {
                    let lane = index.entries[turns.chain(next)[0] as usize].lane;
                    lanes[usize::from(lane)].queue.push_back(Waiting { chain: next, from: 0, tries: 1 });
                }
                next += 1;
            }
            self.carry_out_phase(turns, &mut lanes, places, watch, &mut ending).await;
        }
        let (waited, worked) = (self.waited_us.load(Ordering::Relaxed), self.worked_us.load(Ordering::Relaxed));
        ending.journal_percent = if worked > 0 { waited as f64 * 100.0 / worked as f64 } else { 0.0 };
        ending
    }

    async fn carry_out_phase(
        &self,
        turns: &Turns,
        lanes: &mut [Lane],
        places: usize,
        watch: &mut impl FnMut(&Progress),
        ending: &mut Ending,
    ) {
        let mut at_work = FuturesUnordered::new();
        let mut ticks = tokio::time::interval(WATCH_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            for (number, lane) in lanes.iter_mut().enumerate() {
                while lane.at_work < places
                    && !self.is_stopping()
                    && let Some(waiting) = lane.queue.pop_front()
                {
                    lane.at_work += 1;
                    let chain = turns.chain(waiting.chain);
                    at_work.push(async move { (number, waiting, self.chain(chain, waiting).await) });
                }
            }
            let ended = tokio::select! {
                biased;
                ended = at_work.next() => ended,
                _ = ticks.tick() => {
                    watch(&self.progress());
                    continue;
                }
            };
            let Some((number, waiting, (from, fate))) = ended else { return };
            lanes[number].at_work -= 1;
            match fate {
                Fate::Finished => {}
                Fate::Open(_) if waiting.tries < TRIES && !self.is_stopping() => {
                    lanes[number].queue.push_back(Waiting { from, tries: waiting.tries + 1, ..waiting });
                }
                Fate::Open(error) => {
                    ending.held_up.insert(turns.record(waiting.chain));
                    ending.unavailable.get_or_insert(error);
                }
                Fate::Stop(error) => {
                    self.stopping.store(true, Ordering::Relaxed);
                    ending.stopped.get_or_insert(error);
                }
            }
        }
    }

    /// Carries the orders of a chain out, from the one that waits on; says where it ended.
    async fn chain(&self, orders: &[u32], waiting: Waiting) -> (usize, Fate) {
        for (nth, &at) in orders.iter().enumerate().skip(waiting.from) {
            if self.is_stopping() {
                break;
            }
            if self.states[at as usize].load(Ordering::Relaxed) != state::OPEN {
                continue;
            }
            let fate = self.order(at, nth == waiting.from && waiting.tries == TRIES).await;
            if !matches!(fate, Fate::Finished) {
                return (nth, fate);
            }
        }
        (orders.len(), Fate::Finished)
    }

    async fn order(&self, at: u32, is_last_try: bool) -> Fate {
        let taken = match self.reader.take_up(at) {
            Ok(taken) => taken,
            Err(error) => return Fate::Open(error),
        };
        let TakenUp { head, task, mut notes, first_password } = taken;
        let done = match task {
            Task::CarryOut(order) if order.change == ChangeType::Deleted && self.is_kept(at, &order) => {
                Done::refused(ADDED_HERE.to_owned())
            }
            Task::Nothing => Done { executed: true, ..Done::default() },
            Task::Refuse(why) => Done::refused(why),
            Task::Follow(other) => match self.states[other as usize].load(Ordering::Relaxed) {
                state::OPEN => return Fate::Open(Error::new(ErrorKind::Unavailable, "the same order is open")),
                known => Done { executed: known == state::EXECUTED, ..Done::default() },
            },
            Task::CarryOut(order) => match self.write(at, *order, first_password.as_ref(), is_last_try).await {
                Ok(done) => done,
                Err(fate) => return fate,
            },
        };
        self.states[at as usize].store(if done.executed { state::EXECUTED } else { state::ERRORED }, Ordering::Relaxed);
        match done.refusal {
            Some(why) => notes = vec![why],
            None => notes.extend(done.notes),
        }
        let kept = self.notes.outcome(Outcome {
            place: self.place(at),
            id: head.id,
            change_type: head.change,
            owner_id: head.owner_id,
            owner_type: head.owner_type,
            state: if done.executed { "Executed" } else { "Errored" },
            record: done.record,
            changed: done.changed,
            message: notes.join("\n"),
            at_ms: (self.clock)(),
        });
        kept.await.map_or_else(|failure| Fate::Stop(failure.into()), |()| Fate::Finished)
    }

    /// Has the connector carry an order out, with the first password of the account that it makes.
    async fn write(
        &self,
        at: u32,
        mut order: ProvisioningOrder,
        first_password: Option<&WantedPassword>,
        is_last_try: bool,
    ) -> Result<Done, Fate> {
        let (place, mut promise) = (self.place(at), Promise::default());
        if let (Some(passwords), Some(wanted)) = (&self.passwords, first_password) {
            let was_begun = self.lock_begun().get(&place).is_some_and(|steps| !steps.is_empty());
            promise = passwords.give(place, wanted, was_begun, &mut order).await?;
        }
        let (done, has_first_password) = match self.attempt(at, &order).await {
            Ok(Ok(fulfillment)) => {
                let mut notes = Vec::from_iter(fulfillment.note);
                if promise.is_lost && fulfillment.has_first_password {
                    notes.push(TOLD_TO_NOBODY.to_owned());
                }
                let mut done =
                    Done { executed: true, changed: fulfillment.effect == Effect::Changed, notes, ..Done::default() };
                if order.change == ChangeType::Added {
                    self.keep_record(at as usize, &fulfillment.key);
                    done.record = fulfillment.key;
                }
                (done, fulfillment.has_first_password)
            }
            Ok(Err(refusal)) => (Done::refused(in_words(&refusal)), false),
            Err(Fate::Open(error)) if is_last_try && self.is_hopeless(at) => (Done::refused(given_up(&error)), false),
            Err(fate) => return Err(fate),
        };
        if promise.is_held
            && let Some(passwords) = &self.passwords
        {
            passwords.settle(place, has_first_password).await.map_err(Fate::Stop)?;
        }
        Ok(done)
    }

    /// One try: what came of it, or why the order is refused; else what it means for the run.
    async fn attempt(&self, at: u32, order: &ProvisioningOrder) -> Result<Result<Fulfillment, Error>, Fate> {
        let place = self.place(at);
        let steps = self.lock_begun().remove(&place).unwrap_or_default();
        let journal = OrderJournal::new(self.notes, place, steps, self.clock, &self.waited_us);
        let began = stopwatch();
        let outcome = self.connector.fulfill(order, &journal).await;
        self.worked_us.fetch_add(micros(began.elapsed()), Ordering::Relaxed);
        let (failure, steps) = journal.into_parts();
        if let Some(failure) = failure {
            return Err(Fate::Stop(failure.into()));
        }
        match outcome {
            Ok(fulfillment) => {
                self.has_been_answered();
                Ok(Ok(fulfillment))
            }
            Err(error) if is_of_the_order(error.kind()) => {
                self.has_been_answered();
                Ok(Err(error))
            }
            Err(error) => {
                self.lock_begun().insert(place, steps);
                if matches!(error.kind(), ErrorKind::Credentials | ErrorKind::Settings) {
                    return Err(Fate::Stop(error.into()));
                }
                if self.failed_in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= GIVE_UP_AFTER {
                    self.stopping.store(true, Ordering::Relaxed);
                }
                Err(Fate::Open(error))
            }
        }
    }

    fn has_been_answered(&self) {
        self.failed_in_a_row.store(0, Ordering::Relaxed);
        self.has_answered.store(true, Ordering::Relaxed);
    }

    /// Whether the order fails for days while others are carried out: then it is told, for somebody to look at it.
    fn is_hopeless(&self, at: u32) -> bool {
        let index = self.reader.index;
        let received_ms = index.files[index.entries[at as usize].file as usize].received_ms;
        self.has_answered.load(Ordering::Relaxed) && (self.clock)() - received_ms >= PATIENCE_MS
    }

    fn keep_record(&self, at: usize, record: &str) {
        let name = self.reader.index.record_hash(at, record);
        self.added.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
    }

    /// Whether another order of this run, or of one that was cut off, has added or adopted the record of this one.
    fn is_kept(&self, at: u32, order: &ProvisioningOrder) -> bool {
        let added = self.added.lock().unwrap_or_else(PoisonError::into_inner);
        order.key.as_ref().is_some_and(|key| added.contains(&self.reader.index.record_hash(at as usize, &key.value)))
    }

    fn place(&self, at: u32) -> OrderPlace {
        let file = &self.reader.index.files[self.reader.index.entries[at as usize].file as usize];
        let position = i64::try_from(at as usize - file.first).expect("bounded by MAX_ORDERS");
        OrderPlace { order_file: file.order_file, position }
    }

    fn progress(&self) -> Progress {
        let count = |wanted: u8| self.states.iter().filter(|it| it.load(Ordering::Relaxed) == wanted).count() as u64;
        let (executed, errored) = (count(state::EXECUTED), count(state::ERRORED));
        let orders = self.states.len() as u64;
        Progress { done: executed + errored, orders, errored, traffic: self.connector.traffic() }
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed) || self.stop.is_asked()
    }

    fn lock_begun(&self) -> std::sync::MutexGuard<'_, HashMap<OrderPlace, Steps>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Done {
    fn refused(why: String) -> Self {
        Self { refusal: Some(why), ..Self::default() }
    }
}

impl Ending {
    /// The error a run ends in that left so many orders open, if it is one.
    pub(super) fn error(&mut self, open: usize, of: usize, results: &str, was_asked: bool) -> Option<anyhow::Error> {
        let open_in_words = format!("{open} of {of} orders are not carried out");
        if let Some(error) = self.stopped.take() {
            return Some(match error.downcast::<Error>() {
                Ok(error) => error.within(&open_in_words).into(),
                Err(error) => error.context(open_in_words),
            });
        }
        if open == 0 {
            return None;
        }
        if was_asked {
            return Some(Stopped(format!("ended as asked: {open_in_words}{results}")).into());
        }
        let hint = format!("run again when it is back: they are kept{results}");
        let error = mem::take(&mut self.unavailable);
        let error = error.unwrap_or_else(|| Error::new(ErrorKind::Unavailable, "the managed system fails"));
        Some(error.within(&open_in_words).with_hint(hint).into())
    }
}

fn phase_of(index: &Index, turns: &Turns, chain: usize) -> u8 {
    index.entries[turns.chain(chain)[0] as usize].phase
}

/// What is told of an order that is tried no more.
fn given_up(error: &Error) -> String {
    let days = PATIENCE_MS / 86_400_000;
    format!("given up after {days} days, in which others went on; it may have taken effect: {}", in_words(error))
}

/// An error as the results show it.
fn in_words(error: &Error) -> String {
    error.hint().map_or_else(|| error.to_string(), |hint| format!("{error}; {hint}"))
}
