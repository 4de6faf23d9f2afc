//! `agent-host run`: the daemon. Runs jobs on time, watches the orders folders, serves SCIM directories and the web pages
//! and sends mails that wait, until it is asked to end.
//!
//! A vault that is down does not end it: it waits for the vault, at its start and whenever the vault's values are due
//! again; until then it goes on with those it has.

use std::{future::Future, path::Path, pin::pin, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use connector_api::ErrorKind;
use tokio::sync::watch;

use crate::{
    agent::Agent,
    directories::Directories,
    disk::Lock,
    export::FileError,
    jobs::{Jobs, OrdersWatch, Worker},
    password_reset::PasswordResets,
    settings::{self, Settings},
    store::{self, Store},
    web,
};

use super::{Common, interrupt::asked_to_end, logs, now_ms};

/// Between two looks for mails that wait.
const LOOK_FOR_MAILS: Duration = Duration::from_secs(30);
/// Commands that ask whether an agent runs hold its lock for a moment: it is tried so often, …
const TRIES: u32 = 10;
/// … with so long in between.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);
/// Workers of daemons are named so: the lock says that all former ones are gone.
const WORKER: &str = "daemon-";
/// Before settings that could not be read are read again; twice as long each time, …
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// … and no longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

pub(super) async fn run(common: &Common) -> anyhow::Result<ExitCode> {
    let mut asked = pin!(asked_to_end());
    let mut agent = tokio::select! {
        biased;
        () = &mut asked => return Ok(ExitCode::SUCCESS),
        agent = first(common) => Some(agent?),
    };
    while let Some(current) = agent.take() {
        let renewed = renewed(common, current.settings.refresh_after);
        let end = async {
            tokio::select! {
                () = &mut asked => {}
                renewed = renewed => agent = Some(renewed),
            }
        };
        Box::pin(serve(current, end)).await?;
    }
    tracing::info!("ended");
    Ok(ExitCode::SUCCESS)
}

/// The agent, as soon as no vault is down.
async fn first(common: &Common) -> anyhow::Result<Agent> {
    let mut wait = FIRST_WAIT;
    loop {
        match load(common).await {
            Err(error) if is_unavailable(&error) => later(common, &error, &mut wait).await,
            loaded => return loaded,
        }
    }
}

/// The agent with settings read anew, once their time has come and they can be used; never where they stay good.
async fn renewed(common: &Common, refresh_after: Option<Duration>) -> Agent {
    let Some(refresh_after) = refresh_after else { return std::future::pending().await };
    tokio::time::sleep(refresh_after).await;
    let mut wait = FIRST_WAIT;
    loop {
        match load(common).await {
            Ok(agent) => return agent,
            Err(error) => later(common, &error, &mut wait).await,
        }
    }
}

async fn later(common: &Common, error: &anyhow::Error, wait: &mut Duration) {
    logs::start(common, None);
    tracing::error!(wait_s = wait.as_secs(), "the settings cannot be read and will be tried again: {error:#}");
    tokio::time::sleep(*wait).await;
    *wait = (*wait * 2).min(LONGEST_WAIT);
}

async fn load(common: &Common) -> anyhow::Result<Agent> {
    let (settings, warnings) = Settings::load(&common.directory, settings::environment()).await?;
    logs::start(common, Some(settings.log_level));
    Ok(Agent::with_settings(settings, &warnings)?)
}

fn is_unavailable(error: &anyhow::Error) -> bool {
    error.downcast_ref::<connector_api::Error>().is_some_and(|error| error.kind() == ErrorKind::Unavailable)
}

async fn serve(agent: Agent, end: impl Future<Output = ()>) -> anyhow::Result<()> {
    let addresses = web::addresses(&agent.settings)?;
    let agent = Arc::new(agent);
    let jobs = Jobs::read(&agent)?;
    let work_folder = &agent.settings.work_folder;
    let _alone = alone(work_folder).await?;
    let store = Store::open(&store::path_in(work_folder)).await?;
    let runs = Store::open_in_haste(&store::path_in(work_folder)).await?;
    let left = runs.hand_over_runs(WORKER).await?;
    if left > 0 {
        tracing::warn!(runs = left, "the agent ended while runs were at work: they are taken up again");
    }
    let resets = Arc::new(PasswordResets::open(&agent, store.clone(), Arc::new(now_ms))?);
    let directories = Directories::open(&agent.settings, store, Arc::new(now_ms))?;
    let state = web::Web::new(agent.clone(), jobs.clone(), resets.clone(), directories.clone())?;
    let worker = Worker::new(&agent, &jobs, &runs, format!("{WORKER}{}", std::process::id()), now_ms);
    let mut orders = OrdersWatch::new(&agent, &jobs);
    let (ending, ended) = watch::channel(false);
    let until_end = |mut ended: watch::Receiver<bool>| async move {
        // Closed is ended too.
        let _ = ended.wait_for(|ended| *ended).await;
    };
    let served = async {
        let served = web::serve(&addresses, state, until_end(ended.clone())).await;
        ending.send_replace(true);
        served
    };
    let asked = async {
        end.await;
        ending.send_replace(true);
        std::future::pending::<()>().await;
    };
    let work = worker.work(&mut orders, until_end(ended.clone()));
    let mails = async {
        tokio::select! {
            () = send_mails(&resets) => {}
            () = directories.forget_old_events() => {}
            () = until_end(ended.clone()) => {}
        }
    };
    tokio::select! {
        (served, (), ()) = async { tokio::join!(served, work, mails) } => served,
        () = asked => Ok(()),
    }
}

/// Whether an agent runs on this work folder.
pub(super) fn is_running(work_folder: &Path) -> anyhow::Result<bool> {
    Ok(take(work_folder)?.is_none())
}

/// Sees that no other agent runs on this work folder, as long as the lock is held.
async fn alone(work_folder: &Path) -> anyhow::Result<Lock> {
    for _ in 0..TRIES {
        if let Some(lock) = take(work_folder)? {
            return Ok(lock);
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    let message = format!("another agent runs on the work folder `{}`", work_folder.display());
    Err(FileError::busy(message, "end it, or give this one a `WorkFolderPath` of its own").into())
}

fn take(work_folder: &Path) -> anyhow::Result<Option<Lock>> {
    let path = work_folder.join(".agent.lock");
    let taken = std::fs::create_dir_all(work_folder).and_then(|()| Lock::take(&path));
    taken.with_context(|| format!("cannot lock `{}`", path.display()))
}

async fn send_mails(resets: &PasswordResets) {
    loop {
        if let Err(error) = resets.send_waiting().await {
            tracing::error!(error = format!("{error:#}"), "mails that wait cannot be looked for");
        }
        tokio::time::sleep(LOOK_FOR_MAILS).await;
    }
}
