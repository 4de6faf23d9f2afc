//! What one reading of the settings makes: the agent, its jobs, directories, mails and pages.

use std::{future::Future, sync::Arc, time::Duration};

use connector_api::{Error, ErrorKind};
use tokio::sync::watch;

use super::{house::House, retention::AuditRetention};
use crate::{
    agent::Agent,
    directories::Directories,
    jobs::{Clock, Course, Jobs, OrdersWatch, Worker, count_from_zero},
    monitoring::families,
    notifications::Notifications,
    password_reset::PasswordResets,
    presence::clocks_differ_by,
    store::{Place, Store},
    web::{self, Around, Served, Server, Web},
};

/// Between two looks for mails that wait.
const LOOK_FOR_MAILS: Duration = Duration::from_secs(30);

/// Between two signs of life.
const SEEN_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Generation {
    agent: Arc<Agent>,
    jobs: Jobs,
    runs: Store,
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
        let (reload, monitoring) = (house.reload.clone(), house.monitoring.clone());
        let around = Around { reload, course: course.subscribe(), monitoring };
        let web = Web::new(agent.clone(), jobs.clone(), resets.clone(), directories.clone(), around)?;
        let (runs, id) = (house.runs.clone(), house.id.clone());
        Ok(Self { agent, jobs, runs, id, clock, resets, directories, notifications, audit, web, course })
    }

    /// After how long the settings must be read again.
    pub(super) fn refresh_after(&self) -> Option<Duration> {
        self.agent.settings.refresh_after
    }

    /// What it serves, and where.
    pub(super) fn served(&self) -> anyhow::Result<Served> {
        let settings = &self.agent.settings;
        let addresses = web::addresses(settings)?;
        let tls = web::tls(settings, &addresses, (self.clock)())?;
        if let Some(ends_ms) = tls.as_ref().and_then(|tls| tls.ends_ms) {
            let ends = Duration::from_millis(u64::try_from(ends_ms)?);
            self.agent.monitoring.metrics.set(families::CERTIFICATE, &[], ends.as_secs_f64());
        }
        Ok(Served { addresses, tls, router: web::router(self.web.clone()) })
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
            let mut orders = OrdersWatch::new(&self.agent, &self.jobs);
            let worker = Worker::new(&self.agent, &self.jobs, &self.runs, self.agent.name.clone(), self.clock);
            let worker = worker.asked_by(self.course.subscribe());
            let chores = async {
                tokio::select! {
                    () = send_mails(&self.resets) => {}
                    () = self.directories.forget_old() => {}
                    () = self.directories.go_on_keeping_calls() => {}
                    () = self.notifications.keep() => {}
                    () = self.audit.keep() => {}
                    () = self.web.retired() => {}
                }
                self.directories.keep_calls().await;
            };
            let worked = async {
                // As long as runs are at work, the others know it.
                tokio::select! {
                    () = worker.work(&mut orders) => {}
                    () = self.be_seen() => {}
                }
            };
            tokio::join!(worked, chores);
        };
        (course, work)
    }

    /// Tells the other agents that this one lives, and sees how many share the limits of an organisation.
    async fn be_seen(&self) {
        let mut problem = None;
        loop {
            let met = async {
                let (connections, now) = (&self.agent.settings.connections, (self.clock)());
                self.agent.peers.meet(&self.runs, &self.id, connections, now).await?;
                clocks_differ_by(&self.runs, (self.clock)()).await
            };
            let told = match met.await {
                Ok(None) => None,
                Ok(Some(by)) => Some(format!("the clock differs by {by} ms from the store's: set it by NTP")),
                // The worker tells when the store fails.
                Err(_) => problem.clone(),
            };
            if told != problem
                && let Some(told) = &told
            {
                tracing::error!("{told}; until then runs may be taken from their agents too early");
            }
            problem = told;
            tokio::time::sleep(SEEN_EVERY).await;
        }
    }
}

async fn send_mails(resets: &PasswordResets) {
    loop {
        if let Err(error) = resets.send_waiting().await {
            tracing::error!(error = format!("{error:#}"), "mails that wait cannot be looked for");
        }
        tokio::time::sleep(LOOK_FOR_MAILS).await;
    }
}
