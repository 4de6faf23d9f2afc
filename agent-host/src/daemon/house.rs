//! What lives as long as the process: its lock and its stores. Generations of settings live in it, one after the other.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::Start;
use crate::{
    disk::Lock,
    jobs::Clock,
    monitoring::Monitoring,
    presence::own_id,
    reload::Reload,
    settings::Settings,
    store::{self, Store},
};

/// How long a store is waited for when the agent ends.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

pub(super) struct House {
    pub(super) store: Store,
    /// The same one, for notes by the thousand.
    pub(super) runs: Store,
    pub(super) clock: Clock,
    pub(super) reload: Reload,
    pub(super) work_folder: PathBuf,
    /// Where the store is, without its password.
    pub(super) place: String,
    pub(super) monitoring: Arc<Monitoring>,
    /// The agent's own, whatever machine it is on.
    pub(super) id: String,
    /// How often it was started.
    starts: i64,
    generations: u32,
    // Held as long as the process lives.
    _alone: Arc<Lock>,
}

impl House {
    /// Opens the stores, and hands on what a former daemon was at: the lock is taken.
    pub(super) async fn open(
        settings: &Settings,
        start: &Start<'_>,
        alone: Arc<Lock>,
        monitoring: Arc<Monitoring>,
    ) -> anyhow::Result<Self> {
        let place = store::Place::of(settings);
        let store = Store::open(&place).await?;
        let runs = Store::open_in_haste(&place).await?;
        let id = own_id(settings)?;
        let starts = store.start_agent(&id, &whoami::hostname().unwrap_or_default(), (start.clock)()).await?;
        // The lock says that all its former processes are gone.
        let former = format!("agent-{id}-");
        store.drop_leases_of(&former).await?;
        let left = runs.hand_over_runs(&former, (start.clock)()).await?;
        if left > 0 {
            tracing::warn!(runs = left, "the agent ended while runs were at work: they are taken up again");
        }
        Ok(Self {
            place: place.to_string(),
            store,
            runs,
            clock: start.clock,
            reload: start.reload.clone(),
            work_folder: settings.work_folder.clone(),
            id,
            starts,
            monitoring,
            generations: 0,
            _alone: alone,
        })
    }

    /// Tells the other agents that this one has ended.
    pub(super) async fn leave(&self) {
        match tokio::time::timeout(LEAVE_WITHIN, self.store.end_agent(&self.id)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!("other agents are not told that this one has ended: {error:#}"),
            Err(_) => tracing::warn!("other agents are not told that this one has ended: the store does not answer"),
        }
    }

    /// A name for a worker, which none has had and with which none begins.
    pub(super) fn name_worker(&mut self) -> String {
        self.generations += 1;
        format!("agent-{}-{:09}-{:09}", self.id, self.starts, self.generations)
    }
}
