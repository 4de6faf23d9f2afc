//! `agent-host run`: the daemon. Runs jobs on time, watches the orders folders, serves the web pages and sends mails
//! that wait, until it is asked to end.

use std::{path::Path, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context;
use tokio::sync::watch;

use crate::{
    agent::Agent,
    disk::Lock,
    export::FileError,
    jobs::{Jobs, OrdersWatch, Worker},
    password_reset::PasswordResets,
    store::{self, Store},
    web,
};

use super::{interrupt::asked_to_end, now_ms};

/// Between two looks for mails that wait.
const LOOK_FOR_MAILS: Duration = Duration::from_secs(30);
/// Commands that ask whether an agent runs hold its lock for a moment: it is tried so often, …
const TRIES: u32 = 10;
/// … with so long in between.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);
/// Workers of daemons are named so: the lock says that all former ones are gone.
const WORKER: &str = "daemon-";

pub(super) async fn run(agent: Agent) -> anyhow::Result<ExitCode> {
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
    let resets = Arc::new(PasswordResets::open(&agent, store, Arc::new(now_ms))?);
    let state = web::Web::new(agent.clone(), resets.clone());
    let worker = Worker::new(&agent, &jobs, &runs, format!("{WORKER}{}", std::process::id()), now_ms);
    let mut orders = OrdersWatch::new(&agent, &jobs);
    let (ending, ended) = watch::channel(false);
    let end = |mut ended: watch::Receiver<bool>| async move {
        // Closed is ended too.
        let _ = ended.wait_for(|ended| *ended).await;
    };
    let served = async {
        let served = web::serve(&addresses, state, end(ended.clone())).await;
        ending.send_replace(true);
        served
    };
    let asked = async {
        asked_to_end().await;
        tracing::info!("asked to end");
        ending.send_replace(true);
    };
    let work = worker.work(&mut orders, end(ended.clone()));
    let mails = async {
        tokio::select! {
            () = send_mails(&resets) => {}
            () = end(ended.clone()) => {}
        }
    };
    let all = async { tokio::join!(served, work, mails).0 };
    tokio::select! {
        served = all => served?,
        () = async { asked.await; std::future::pending().await } => {}
    }
    tracing::info!("ended");
    Ok(ExitCode::SUCCESS)
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
