//! What one reading of the settings makes: the agent, its jobs, directories, mails and pages.

use std::{future::Future, sync::Arc, time::Duration};

use axum::Router;
use connector_api::{Error, ErrorKind};
use tokio::sync::{Notify, watch};

use super::{house::House, retention::AuditRetention};
use crate::{
    agent::Agent,
    directories::Directories,
    jobs::{Clock, Course, Jobs, OrdersWatch, Worker, count_from_zero},
    monitoring::{Monitoring, Part, families},
    notifications::Notifications,
    password_reset::PasswordResets,
    settings::Settings,
    store::{Place, Store},
    web::{self, Around, Served, Server, Web},
};

/// Between two looks for mails that wait.
const LOOK_FOR_MAILS: Duration = Duration::from_secs(30);

/// How long the store may take to keep the last calls of clients when all else has ended.
const KEEP_WITHIN: Duration = Duration::from_secs(5);

/// Between two signs of life.
const SEEN_EVERY: Duration = Duration::from_secs(5);
/// How long one may take: longer than a store is waited for that another process holds.
const SEEN_WITHIN: Duration = Duration::from_secs(35);

pub(super) struct Generation {
    agent: Arc<Agent>,
    jobs: Jobs,
    runs: Store,
    /// Told when the pages have queued a run.
    queued: Arc<Notify>,
    /// The agent's own.
    id: String,
    clock: Clock,
    resets: Arc<PasswordResets>,
    directories: Directories,
    notifications: Notifications,
    audit: AuditRetention,
    web: Arc<Web>,
    course: watch::Sender<Course>,
}

impl Generation {
    /// Reads everything that the settings say, so that what is wrong with them shows before anything begins.
    pub(super) fn open(mut agent: Agent, house: &mut House) -> anyhow::Result<Self> {
        if agent.settings.work_folder != house.work_folder {
            let message = format!("`WorkFolderPath` cannot change to `{}`", agent.settings.work_folder.display());
            let error = Error::new(ErrorKind::Settings, message);
            return Err(error.with_hint("end the agent and start it again: it then works in the new folder").into());
        }
        if Place::of(&agent.settings).to_string() != house.place {
            let error = Error::new(ErrorKind::Settings, "`Store:Url` cannot change while the agent runs");
            return Err(error.with_hint("end the agent and start it again").into());
        }
        agent.name = house.name_worker();
        agent.monitoring = house.monitoring.clone();
        let (agent, clock) = (Arc::new(agent), house.clock);
        let jobs = Jobs::read(&agent)?;
        count_from_zero(&jobs, &agent.monitoring.metrics);
        let resets = Arc::new(PasswordResets::open(&agent, house.store.clone(), Arc::new(clock))?);
        let directories = Directories::open(&agent.settings, house.store.clone(), Arc::new(clock))?;
        let notifications = Notifications::open(&agent, house.store.clone(), clock)?;
        let audit = AuditRetention::read(&agent.settings, house.store.clone(), clock)?;
        let course = watch::Sender::new(Course::GoOn);
        let (reload, queued) = (house.reload.clone(), Arc::<Notify>::default());
        let monitoring = house.monitoring.clone();
        let around = Around { reload, course: course.subscribe(), monitoring, queued: queued.clone() };
        let web = Web::new(agent.clone(), jobs.clone(), resets.clone(), directories.clone(), around)?;
        let (runs, id) = (house.runs.clone(), house.id.clone());
        Ok(Self { agent, jobs, runs, queued, id, clock, resets, directories, notifications, audit, web, course })
    }

    /// After how long the settings must be read again.
    pub(super) fn refresh_after(&self) -> Option<Duration> {
        self.agent.settings.refresh_after
    }

    /// What its settings say.
    pub(super) fn settings(&self) -> &Settings {
        &self.agent.settings
    }

    /// How long what is under way may go on when the agent is asked to end.
    pub(super) fn stop_timeout(&self) -> Duration {
        self.jobs.limits.stop_timeout
    }

    /// What it serves.
    pub(super) fn router(&self) -> Router {
        web::router(self.web.clone())
    }

    /// Tells its pages where they are served.
    pub(super) fn told_of(&self, server: &Server) {
        if let Some(address) = server.address() {
            self.web.served_at(address);
        }
    }

    /// Its work, and by what it is asked to end.
    pub(super) fn work(self) -> (watch::Sender<Course>, impl Future<Output = ()>) {
        let course = self.course.clone();
        let work = async move {
            let orders = OrdersWatch::new(&self.agent, &self.jobs);
            let (agent, jobs, runs) = (self.agent.clone(), self.jobs.clone(), self.runs.clone());
            let worker = Worker::new(agent, jobs, runs, self.agent.name.clone(), self.clock);
            let worker = worker.asked_by(self.course.subscribe()).woken_by(self.queued.clone());
            let chores = async {
                tokio::select! {
                    () = self.send_mails() => {}
                    () = self.directories.look_after() => {}
                    () = self.directories.go_on_keeping_calls() => {}
                    () = self.notifications.keep() => {}
                    () = self.audit.keep() => {}
                    () = self.web.retired() => {}
                }
                // A store that does not answer must not hold up the end.
                let _ = tokio::time::timeout(KEEP_WITHIN, self.directories.finish()).await;
            };
            let worked = async {
                // As long as runs are at work, the others know it.
                tokio::select! {
                    () = worker.work(orders) => {}
                    () = self.be_seen() => {}
                }
            };
            tokio::join!(worked, chores);
        };
        (course, work)
    }

    /// Sends what is due by a clock that can be believed.
    async fn send_mails(&self) {
        loop {
            let agrees = !self.agent.monitoring.health.ailments().iter().any(|ailment| ailment.part == Part::Clock);
            if agrees && let Err(error) = self.resets.send_waiting().await {
                tracing::error!(error = format!("{error:#}"), "mails that wait cannot be looked for");
            }
            tokio::time::sleep(LOOK_FOR_MAILS).await;
        }
    }

    /// Tells the other agents that this one lives, and sees how many share the limits of an organisation. It is a change
    /// of the store, so that one that takes none any more is noticed by who has nothing to do too.
    async fn be_seen(&self) {
        let health = &self.agent.monitoring.health;
        loop {
            let (connections, now) = (&self.agent.settings.connections, (self.clock)());
            let met = tokio::time::timeout(SEEN_WITHIN, self.agent.peers.meet(&self.runs, &self.id, connections, now));
            match met.await.unwrap_or_else(|_| Err(anyhow::anyhow!("it does not answer"))) {
                Ok(()) if health.is_kept() => tracing::info!("the store is well again"),
                Err(error) if health.is_not_kept(now) => {
                    tracing::error!("the store fails; nothing is begun until it is well again: {error:#}");
                }
                _ => {}
            }
            tokio::time::sleep(SEEN_EVERY).await;
        }
    }
}

/// This, served where the settings say. When its certificate ends is a figure.
///
/// # Errors
/// Of kind `Settings`.
pub(super) fn served(
    settings: &Settings,
    monitoring: &Monitoring,
    now_ms: i64,
    router: Router,
) -> anyhow::Result<Served> {
    let addresses = web::addresses(settings)?;
    let tls = web::tls(settings, &addresses, now_ms)?;
    if let Some(ends_ms) = tls.as_ref().and_then(|tls| tls.ends_ms) {
        let ends = Duration::from_millis(u64::try_from(ends_ms)?);
        monitoring.metrics.set(families::CERTIFICATE, &[], ends.as_secs_f64());
    }
    Ok(Served { addresses, tls, router })
}
