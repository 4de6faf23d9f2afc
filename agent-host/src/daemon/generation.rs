//! What one reading of the settings makes: the agent, its jobs, directories, mails and pages.

use std::{future::Future, sync::Arc, time::Duration};

use connector_api::{Error, ErrorKind};
use tokio::sync::watch;

use super::house::House;
use crate::{
    agent::Agent,
    directories::Directories,
    jobs::{Clock, Course, Jobs, OrdersWatch, Worker},
    password_reset::PasswordResets,
    store::Store,
    web::{self, Around, Served, Web},
};

/// Between two looks for mails that wait.
const LOOK_FOR_MAILS: Duration = Duration::from_secs(30);

pub(super) struct Generation {
    agent: Arc<Agent>,
    jobs: Jobs,
    runs: Store,
    worker: String,
    clock: Clock,
    resets: Arc<PasswordResets>,
    directories: Directories,
    web: Arc<Web>,
    course: watch::Sender<Course>,
}

impl Generation {
    /// Reads everything that the settings say, so that what is wrong with them shows before anything begins.
    pub(super) fn open(agent: Agent, house: &mut House) -> anyhow::Result<Self> {
        if agent.settings.work_folder != house.work_folder {
            let message = format!("`WorkFolderPath` cannot change to `{}`", agent.settings.work_folder.display());
            let error = Error::new(ErrorKind::Settings, message);
            return Err(error.with_hint("end the agent and start it again: it then works in the new folder").into());
        }
        let (agent, clock) = (Arc::new(agent), house.clock);
        let jobs = Jobs::read(&agent)?;
        let resets = Arc::new(PasswordResets::open(&agent, house.store.clone(), Arc::new(clock))?);
        let directories = Directories::open(&agent.settings, house.store.clone(), Arc::new(clock))?;
        let course = watch::Sender::new(Course::GoOn);
        let around = Around { reload: house.reload.clone(), course: course.subscribe() };
        let web = Web::new(agent.clone(), jobs.clone(), resets.clone(), directories.clone(), around)?;
        let (runs, worker) = (house.runs.clone(), house.name_worker());
        Ok(Self { agent, jobs, runs, worker, clock, resets, directories, web, course })
    }

    /// After how long the settings must be read again.
    pub(super) fn refresh_after(&self) -> Option<Duration> {
        self.agent.settings.refresh_after
    }

    /// What it serves, and where.
    pub(super) fn served(&self) -> anyhow::Result<Served> {
        Ok(Served { addresses: web::addresses(&self.agent.settings)?, router: web::router(self.web.clone()) })
    }

    /// Its work, and by what it is asked to end.
    pub(super) fn work(self) -> (watch::Sender<Course>, impl Future<Output = ()>) {
        let course = self.course.clone();
        let work = async move {
            let mut orders = OrdersWatch::new(&self.agent, &self.jobs);
            let worker = Worker::new(&self.agent, &self.jobs, &self.runs, self.worker.clone(), self.clock);
            let worker = worker.asked_by(self.course.subscribe());
            let chores = async {
                tokio::select! {
                    () = send_mails(&self.resets) => {}
                    () = self.directories.forget_old_events() => {}
                    () = self.web.retired() => {}
                }
            };
            tokio::join!(worker.work(&mut orders), chores);
        };
        (course, work)
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
