//! `agent-host run`: the daemon. Serves the web pages and sends mails that wait, until it is asked to end.
//!
//! A vault that is down does not end it: it waits for the vault, at its start and whenever the vault's values are due
//! again; until then it goes on with those it has.

use std::{future::Future, pin::pin, process::ExitCode, sync::Arc, time::Duration};

use connector_api::ErrorKind;

use crate::{
    agent::Agent,
    password_reset::PasswordResets,
    settings::{self, Settings},
    store::{self, Store},
    web,
};

use super::{Common, interrupt::asked_to_end, logs, now_ms};

/// Between two looks for mails that wait.
const LOOK_FOR_MAILS: Duration = Duration::from_secs(30);
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
        serve(current, end).await?;
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
    let store = Store::open(&store::path_in(&agent.settings.work_folder)).await?;
    let resets = Arc::new(PasswordResets::open(&agent, store, Arc::new(now_ms))?);
    let state = web::Web::new(agent, resets.clone());
    tokio::select! {
        () = send_mails(&resets) => Ok(()),
        served = web::serve(&addresses, state, end) => served,
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
