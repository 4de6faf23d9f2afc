//! What lives as long as the process: its lock and its stores. Generations of settings live in it, one after the other.

use std::path::PathBuf;

use super::alone::alone;
use crate::{
    agent::Agent,
    disk::Lock,
    jobs::Clock,
    reload::Reload,
    store::{self, Store},
};

/// Workers of daemons are named so: the lock says that all former ones are gone.
const WORKER: &str = "daemon-";

pub(super) struct House {
    pub(super) store: Store,
    /// The same one, for notes by the thousand.
    pub(super) runs: Store,
    pub(super) clock: Clock,
    pub(super) reload: Reload,
    pub(super) work_folder: PathBuf,
    generations: u32,
    // Held as long as the process lives.
    _alone: Lock,
}

impl House {
    /// Takes the lock, opens the stores, and hands on what a former daemon was at.
    pub(super) async fn open(agent: &Agent, clock: Clock, reload: Reload) -> anyhow::Result<Self> {
        let work_folder = agent.settings.work_folder.clone();
        let alone = alone(&work_folder).await?;
        let store = Store::open(store::Place::of(&agent.settings)).await?;
        let runs = Store::open_in_haste(store::Place::of(&agent.settings)).await?;
        let left = runs.hand_over_runs(WORKER).await?;
        if left > 0 {
            tracing::warn!(runs = left, "the agent ended while runs were at work: they are taken up again");
        }
        Ok(Self { store, runs, clock, reload, work_folder, generations: 0, _alone: alone })
    }

    /// A name for a worker, which none has had and with which none begins.
    pub(super) fn name_worker(&mut self) -> String {
        self.generations += 1;
        format!("{WORKER}{}-{:09}", std::process::id(), self.generations)
    }
}
