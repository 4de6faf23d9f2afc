//! Watches the orders folders of connections, and queues a run of `fulfill:NAME` when there are orders.
//!
//! The system tells of new files where it can; every folder is looked through from time to time anyway, because network
//! file systems tell nothing. A file that is still being written waits until it is complete.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use super::{Job, Jobs, Kind};
use crate::{
    agent::Agent,
    orders::folder,
    store::{JobRun, RunState, Store, WantedRun},
};

/// Between two looks when nothing is told.
const LOOK_EVERY_MS: i64 = 2_000;
/// Between two looks at the least.
const SWARM_MS: i64 = 500;
/// For a file that came by HTTP a run was queued; only one that is still there after so long has lost it.
const OF_HTTP_FOR_MS: i64 = 60_000;
/// A file that a failed run has left where it was is tried again after so long.
const AGAIN_AFTER_MS: i64 = 300_000;

/// The orders folders of an agent.
#[derive(Debug, Default)]
pub struct OrdersWatch {
    /// Each with the name of its job.
    folders: Vec<(PathBuf, String)>,
    /// Files for which a run was queued: their size and time of change, and when.
    asked_for: HashMap<PathBuf, (u64, SystemTime, i64)>,
    /// The id of the folder that they are in, where not every agent sees it.
    place: Option<String>,
    told: Arc<Told>,
    looked_ms: Option<i64>,
    // Tells as long as it lives.
    watcher: Option<RecommendedWatcher>,
}

/// What the system says.
#[derive(Debug, Default)]
struct Told {
    is_new: AtomicBool,
    waker: Notify,
}

impl OrdersWatch {
    /// The folders of all connections, which are made where they are missing; none where the settings want none watched.
    pub fn new(agent: &Agent, jobs: &Jobs) -> Self {
        let mut watch = Self::default();
        if !jobs.limits.watch_orders {
            return watch;
        }
        let told = watch.told.clone();
        // Looking is an access too.
        let tell = move |event: notify::Result<notify::Event>| {
            if !event.is_ok_and(|event| event.kind.is_access()) {
                told.is_new.store(true, Ordering::Release);
                told.waker.notify_one();
            }
        };
        watch.watcher = notify::recommended_watcher(tell).inspect_err(silent).ok();
        for connection in &agent.settings.connections {
            let name = connection.id().as_str();
            let folder = agent.settings.orders_folder.join(name);
            if let Err(error) = fs::create_dir_all(&folder) {
                tracing::warn!("the orders folder `{}` cannot be made: {error}", folder.display());
                continue;
            }
            if let Some(watcher) = &mut watch.watcher
                && let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive)
            {
                silent(&error);
            }
            watch.folders.push((folder, Job::name_of(Kind::Fulfill, name)));
        }
        watch
    }

    /// The same, with the id of the folder that these are in.
    pub(super) fn set_place(&mut self, place: Option<String>) {
        self.place = place;
    }

    /// Comes when something may have changed.
    pub(super) async fn changed(&self) {
        self.told.waker.notified().await;
    }

    /// Queues a run for each folder with complete files for which none was queued yet. How many.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn look(&mut self, store: &Store, now_ms: i64) -> anyhow::Result<usize> {
        // Files come in swarms: of what is told at once one look sees all.
        let rest = if self.told.is_new.load(Ordering::Acquire) { SWARM_MS } else { LOOK_EVERY_MS };
        if self.looked_ms.is_some_and(|looked| (looked..looked + rest).contains(&now_ms)) {
            return Ok(0);
        }
        self.told.is_new.store(false, Ordering::Release);
        self.looked_ms = Some(now_ms);
        let mut queued = 0;
        let mut seen = HashMap::new();
        for (folder, job) in &self.folders {
            let (mut is_wanted, mut is_left) = (false, false);
            for (file, size, changed) in files(folder).into_iter().filter(|file| !has_its_run(file, now_ms)) {
                let before = self.asked_for.get(&file).filter(|(old, then, _)| (*old, *then) == (size, changed));
                match before {
                    Some(&(.., at)) => {
                        let again = now_ms - at >= AGAIN_AFTER_MS;
                        is_left |= again;
                        seen.insert(file, (size, changed, if again { now_ms } else { at }));
                    }
                    None if folder::is_ready(&file, now_ms).unwrap_or(false) => {
                        is_wanted = true;
                        seen.insert(file, (size, changed, now_ms));
                    }
                    None => {}
                }
            }
            // What a safety limit blocked waits for somebody; what failed may be possible now.
            let place = self.place.as_deref();
            let failed = |run: Option<JobRun>| run.is_some_and(|run| run.state == RunState::Error);
            if is_wanted || is_left && failed(store.last_run_at(job, place).await?) {
                let wanted = WantedRun { name: job, cause: "orders", due_ms: None, repairs: None, place };
                queued += usize::from(store.queue_run(&wanted, now_ms).await?.is_some());
            }
        }
        self.asked_for = seen;
        Ok(queued)
    }
}

fn silent(error: &notify::Error) {
    tracing::warn!("new orders are found by looking for them, because the system does not tell: {error}");
}

/// Whether somebody else has queued a run for the file just now.
fn has_its_run((file, _, changed): &(PathBuf, u64, SystemTime), now_ms: i64) -> bool {
    let changed = changed.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let age_ms = now_ms - i64::try_from(changed.as_millis()).unwrap_or(i64::MAX);
    file.to_string_lossy().ends_with(folder::BY_HTTP) && age_ms < OF_HTTP_FOR_MS
}

/// The order files of a folder, with size and time of change. One that goes while it is looked at is not there.
fn files(folder: &Path) -> Vec<(PathBuf, u64, SystemTime)> {
    let files = folder::files_in(folder).unwrap_or_default().into_iter();
    let described = files.filter_map(|file| {
        let metadata = fs::metadata(&file).ok()?;
        let changed = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Some((file, metadata.len(), changed))
    });
    described.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::stores;

    #[tokio::test]
    async fn files_are_found_where_the_system_tells_nothing() {
        for (folder, store) in stores().await {
            let orders = folder.path().join("orders");
            fs::create_dir_all(&orders).unwrap();
            let folders = vec![(orders.clone(), "fulfill:okta".to_owned())];
            let mut watch = OrdersWatch { folders, ..OrdersWatch::default() };
            let now = 1_000_000;
            assert_eq!(watch.look(&store, now).await.unwrap(), 0);
            fs::write(orders.join("1.json"), r#"{"ProvisioningOrdersList":[]}"#).unwrap();
            assert_eq!(watch.look(&store, now + LOOK_EVERY_MS - 1).await.unwrap(), 0, "it is not its time");
            assert_eq!(watch.look(&store, now + LOOK_EVERY_MS).await.unwrap(), 1);
            let run = store.waiting_run("fulfill:okta", None).await.unwrap().expect("it waits");
            assert_eq!(run.cause, "orders");
        }
    }
}
