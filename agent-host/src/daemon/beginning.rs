//! How the daemon begins: settings, the lock of its work folder, its store, its addresses, in this order.
//!
//! A vault, a disk or a store that is out of reach is waited for, without end and without giving up the process: whoever
//! starts it again gains nothing. While it waits for its store it listens, and says that it lives and what it waits for.

use std::{pin::pin, sync::Arc, time::Duration};

use super::{
    FIRST_WAIT, LONGEST_WAIT, Start,
    alone::alone,
    generation::{Generation, served},
    house::House,
    systemd::{Systemd, Word},
};
use crate::{
    agent::Agent,
    complaint::one_line,
    monitoring::{Monitoring, Part},
    redaction::redact,
    settings::{self, Settings},
    store::is_passing,
    telemetry,
    web::{self, Served, Server},
};

/// Within which systemd hears the next word: longer than a wait and an attempt take together.
const NEXT_WORD: Duration = Duration::from_secs(300);

/// A store that is there within this time is not spoken of.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What has begun.
pub(super) struct Begun {
    pub(super) house: House,
    pub(super) server: Server,
    pub(super) generation: Generation,
}

/// Begins.
///
/// # Errors
/// Where the settings cannot be used, another agent runs on the work folder, an address cannot be listened on, or the
/// store refuses for a reason that does not pass.
pub(super) async fn begin(start: &Start<'_>, systemd: &Systemd) -> anyhow::Result<Begun> {
    let agent = patiently(start, systemd, async || load(start).await).await?;
    let settings = &agent.settings;
    let alone = Arc::new(patiently(start, systemd, async || alone(&settings.work_folder).await).await?);
    let monitoring = Arc::<Monitoring>::default();
    monitoring.health.is_unwell(Part::Store, (start.clock)());
    let waiting = served(settings, &monitoring, (start.clock)(), web::waiting(monitoring.clone()))?;
    let (mut house, waited) = {
        let open = async || House::open(settings, start, alone.clone(), monitoring.clone()).await;
        let mut opened = pin!(patiently(start, systemd, open));
        match tokio::time::timeout(AT_ONCE, &mut opened).await {
            Ok(house) => (house?, None),
            Err(_) => {
                let server = Server::open(waiting.clone()).await?;
                (opened.await?, Some(server))
            }
        }
    };
    let generation = Generation::open(agent, &mut house)?;
    let begun = Served { router: generation.router(), ..waiting };
    house.monitoring.health.is_well(Part::Store);
    let mut server = match waited {
        Some(server) => server,
        None => Server::open(begun.clone()).await?,
    };
    server.change(begun).await?;
    generation.told_of(&server);
    Ok(Begun { house, server, generation })
}

/// The agent as the settings describe it now.
///
/// # Errors
/// Where they cannot be used, or a vault does not answer.
pub(super) async fn load(start: &Start<'_>) -> anyhow::Result<Agent> {
    let (settings, warnings) = Settings::load(start.directory, settings::environment()).await?;
    telemetry::start(&settings)?;
    (start.log)(Some(settings.log_level));
    Ok(Agent::with_settings(settings, &warnings)?)
}

/// What this comes to, tried again as long as what it needs is out of reach.
async fn patiently<T>(
    start: &Start<'_>,
    systemd: &Systemd,
    attempt: impl AsyncFn() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut wait = FIRST_WAIT;
    loop {
        systemd.say([Word::Extend(NEXT_WORD)]);
        match attempt().await {
            Err(error) if is_passing(&error) => {
                (start.log)(None);
                let wait_s = wait.as_secs();
                tracing::error!(wait_s, "the agent cannot begin, and will be tried again: {error:#}");
                let status = format!("waiting: {}", redact(&one_line(&format!("{error:#}"))));
                systemd.say([Word::Status(status)]);
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            outcome => return outcome,
        }
    }
}
