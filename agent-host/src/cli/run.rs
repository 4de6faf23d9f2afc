//! `agent-host run`: the daemon. Serves the web pages and sends mails that wait, until it is asked to end.

use std::{process::ExitCode, sync::Arc, time::Duration};

use crate::{
    agent::Agent,
    directories::Directories,
    password_reset::PasswordResets,
    store::{self, Store},
    web,
};

use super::{interrupt::asked_to_end, now_ms};

/// Between two looks for mails that wait.
const LOOK_FOR_MAILS: Duration = Duration::from_secs(30);

pub(super) async fn run(agent: Agent) -> anyhow::Result<ExitCode> {
    let addresses = web::addresses(&agent.settings)?;
    let store = Store::open(&store::path_in(&agent.settings.work_folder)).await?;
    let resets = PasswordResets::open(&agent, store.clone(), Arc::new(now_ms))?;
    let resets = Arc::new(resets);
    let directories = Directories::open(&agent.settings, store, Arc::new(now_ms))?;
    let log = directories.clone();
    let state = web::Web::new(agent, resets.clone(), directories);
    tokio::select! {
        () = send_mails(&resets) => {}
        () = log.forget_old_events() => {}
        served = web::serve(&addresses, state, asked_to_end()) => served?,
    }
    tracing::info!("ended");
    Ok(ExitCode::SUCCESS)
}

async fn send_mails(resets: &PasswordResets) {
    loop {
        if let Err(error) = resets.send_waiting().await {
            tracing::error!(error = format!("{error:#}"), "mails that wait cannot be looked for");
        }
        tokio::time::sleep(LOOK_FOR_MAILS).await;
    }
}
