//! The worker of an agent: apalis takes runs from the store's queue and has them carried out side by side.
//!
//! The queue is given to apalis as a stream of runs that were taken up. While it is polled the queue is kept too: what is
//! due comes in, whether there is room for more runs or not. What a worker leaves when it dies another takes up once the
//! lease has run out; what it leaves when it is asked to end, at once.

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use apalis::prelude::{WorkerBuilder, WorkerContext};
use futures::{StreamExt, stream};
use tokio::{
    sync::{Notify, watch},
    task::coop::unconstrained,
};

use super::{Clock, Course, Jobs, OrdersWatch, Queue, attempt::Attempt, course::wanted};
use crate::{
    agent::Agent,
    leases::Moment,
    monitoring::{Part, families},
    presence::{clocks_differ_by, place_of},
    store::{JobRun, RunState, Store},
};

/// Between two looks at the queue.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Between two times that the queue is tidied up.
const TIDY_EVERY_MS: i64 = 3_600_000;
/// How long one look for work may take: a store that is frozen says nothing.
const LONGEST_LOOK: Duration = Duration::from_secs(40);
/// How long a store is waited for when runs are handed over.
const HAND_OVER_WITHIN: Duration = Duration::from_secs(5);

/// One worker of an agent.
#[derive(Debug)]
pub struct Worker {
    agent: Arc<Agent>,
    /// What it works off.
    pub queue: Queue,
    course: watch::Receiver<Course>,
    /// Told when somebody in this process has queued a run.
    queued: Arc<Notify>,
}

impl Worker {
    /// A worker of this name, which no other has.
    pub fn new(agent: Arc<Agent>, jobs: Jobs, store: Store, name: String, clock: Clock) -> Self {
        let place = place_of(&agent.settings, &store);
        let queue = Queue::new(jobs, store, name, place, clock);
        Self { agent, queue, course: watch::channel(Course::GoOn).1, queued: Arc::default() }
    }

    /// The same, asked to end by this.
    pub fn asked_by(mut self, course: watch::Receiver<Course>) -> Self {
        self.course = course;
        self
    }

    /// The same, looking for runs as soon as this is told.
    pub fn woken_by(mut self, queued: Arc<Notify>) -> Self {
        self.queued = queued;
        self
    }

    /// Carries out a run that was taken up. How it ended; none where it is another's now.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn carry_out(&self, run: &JobRun) -> anyhow::Result<Option<RunState>> {
        let ended = Box::pin(self.attempt(run).carry_out()).await;
        self.queue.free(run.id);
        ended
    }

    fn attempt<'a>(&'a self, run: &'a JobRun) -> Attempt<'a> {
        let Queue { jobs, store, name, clock, .. } = &self.queue;
        let asked = self.queue.asked_for(run.id);
        Attempt { agent: &self.agent, jobs, store, worker: name, clock: *clock, course: &self.course, run, asked }
    }

    /// Works until it is asked to retire: then it ends with the runs at work. Asked to hand over, it gives them some
    /// time, and what is left is for the next worker.
    pub async fn work(self, mut orders: OrdersWatch) {
        orders.set_place(self.queue.place().map(str::to_owned));
        let worker = Arc::new(self);
        let context = WorkerContext::new(&worker.queue.name);
        let look_out =
            LookOut { worker: worker.clone(), orders, context: context.clone(), looked: None, tidied_ms: i64::MIN };
        let runs = stream::unfold(look_out, async |mut look_out| {
            // Whatever runs use up of the worker's turn: due times come, and systemd hears that it turns.
            let run = unconstrained(look_out.next()).await?;
            Some((Ok::<_, Infallible>(run), look_out))
        });
        let hand = worker.clone();
        let carry_out = move |run: JobRun| {
            let hand = hand.clone();
            async move { hand.carry_out_and_tell(&run).await }
        };
        let engine = WorkerBuilder::new(&context).backend(runs.boxed()).build(carry_out);
        let out_of_time = pin!(async {
            wanted(worker.course.clone(), Course::HandOver).await;
            tokio::time::sleep(worker.queue.jobs.limits.stop_timeout).await;
        });
        // What is not done by then is dropped, with what it holds of the store.
        tokio::select! {
            ended = engine.run() => ended.expect("it is begun once, and its queue never fails"),
            () = out_of_time => tracing::warn!("runs that are not done are left to the next agent"),
        }
        worker.hand_over().await;
    }

    async fn hand_over(&self) {
        let Queue { store, name, clock, .. } = &self.queue;
        match tokio::time::timeout(HAND_OVER_WITHIN, store.hand_over_runs(name, clock())).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                tracing::error!("runs cannot be handed over; they are taken up when their leases end: {error:#}");
            }
            Err(_) => tracing::error!("the store does not answer: runs are taken up when their leases end"),
        }
    }

    async fn carry_out_and_tell(&self, run: &JobRun) {
        let monitoring = &self.agent.monitoring;
        match Box::pin(self.attempt(run).carry_out()).await {
            Ok(Some(state)) => {
                let labels = [("agent_job", run.name.as_str()), ("state", state.name())];
                monitoring.metrics.add(families::RUNS, &labels, 1.0);
                tracing::info!(job.name = run.name, run.id, state = state.name(), "the run has ended");
            }
            Ok(None) => tracing::info!(job.name = run.name, run.id, "what is left of the run is for another worker"),
            Err(error) => {
                if monitoring.health.is_not_kept((self.queue.clock)()) {
                    tracing::error!(job.name = run.name, run.id, "the run cannot be noted: {error:#}");
                }
                // Its room stays taken for a moment: a store that fails is not hurried.
                tokio::time::sleep(self.queue.jobs.limits.lease.heartbeat()).await;
            }
        }
        self.queue.free(run.id);
    }
}

/// Looks for runs, one after the other, until the worker is asked to retire.
struct LookOut {
    worker: Arc<Worker>,
    orders: OrdersWatch,
    /// By which apalis is told that no more runs come.
    context: WorkerContext,
    /// When the queue was looked after; none where there may be something new for it.
    looked: Option<Moment>,
    tidied_ms: i64,
}

impl LookOut {
    /// The next run that is to be carried out, which is taken up; none when no more are wanted.
    async fn next(&mut self) -> Option<JobRun> {
        let monitoring = self.worker.agent.monitoring.clone();
        let health = &monitoring.health;
        while *self.worker.course.borrow() < Course::Retire {
            health.turn();
            let look = tokio::time::timeout(LONGEST_LOOK, self.look());
            match look.await.unwrap_or_else(|_| Err(anyhow::anyhow!("it does not answer"))) {
                Ok(run) => {
                    if health.is_well(Part::Store) {
                        tracing::info!("the store is well again");
                    }
                    if run.is_some() {
                        return run;
                    }
                }
                Err(error) if health.is_unwell(Part::Store, (self.worker.queue.clock)()) => {
                    tracing::error!("the store fails; nothing is begun until it is well again: {error:#}");
                }
                Err(_) => {}
            }
            tokio::select! {
                () = wanted(self.worker.course.clone(), Course::Retire) => {}
                () = self.worker.queue.freed() => {}
                () = self.worker.queued.notified() => {}
                () = self.orders.changed() => self.looked = None,
                () = tokio::time::sleep(LOOK_EVERY) => self.looked = None,
            }
        }
        // Refused only where it has ended already.
        let _ = self.context.stop();
        None
    }

    /// Looks after the queue where its turn has come, and takes up a run if there is room.
    async fn look(&mut self) -> anyhow::Result<Option<JobRun>> {
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            if !self.clock_agrees().await? {
                return Ok(None);
            }
            self.look_after().await?;
            self.looked = Some(Moment::now());
        }
        let queue = &self.worker.queue;
        if queue.has_room() { queue.claim(None).await } else { Ok(None) }
    }

    /// Queues what is due, by time and by files, and tidies up.
    async fn look_after(&mut self) -> anyhow::Result<()> {
        let queue = &self.worker.queue;
        let now = (queue.clock)();
        if queue.jobs.limits.scheduled {
            queue.add_due().await?;
        }
        self.orders.look(&queue.store, now).await?;
        // Not waited for by a clock that was ahead and is set back.
        if !(self.tidied_ms..self.tidied_ms.saturating_add(TIDY_EVERY_MS)).contains(&now) {
            queue.tidy_up().await?;
            self.tidied_ms = now;
        }
        Ok(())
    }

    /// Whether this machine's clock is as a shared store's. By one that is not, due times come early or late, and runs of
    /// other agents seem to be over.
    async fn clock_agrees(&self) -> anyhow::Result<bool> {
        let (health, queue) = (&self.worker.agent.monitoring.health, &self.worker.queue);
        let differs = clocks_differ_by(&queue.store, queue.clock).await?;
        match differs {
            None if health.is_well(Part::Clock) => tracing::info!("the clock agrees with the store's again"),
            Some(by) if health.is_unwell(Part::Clock, (queue.clock)()) => {
                tracing::error!(
                    "the clock differs by {by} ms from the store's: nothing is begun until it is set by NTP"
                );
            }
            _ => {}
        }
        Ok(differs.is_none())
    }
}
