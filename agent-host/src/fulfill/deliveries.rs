//! Which delivery of an order file this is: the one that an earlier run left unfinished, or a new one.
//!
//! The same text may be delivered twice, and means something both times: who was suspended, let in again and is to be
//! suspended once more has two files that say the same. What is over is therefore never taken for what is new, and a
//! file that was reported and not yet moved is not carried out again. A file is over once it lies where it was to go.

use std::path::{Path, PathBuf};

use super::index::{Index, IndexedFile};
use crate::{
    presence::{own_id, place_of},
    settings::Settings,
    store::{OpenOrderFile, Store},
};

/// From where paths of order files are to be understood: the orders folder, which others may see too, or this machine.
/// What another agent has in a folder of its own is neither here nor gone.
#[derive(Debug, Default)]
pub(super) struct Places {
    home: PathBuf,
    shared: String,
    own: String,
}

impl Places {
    /// Those of an agent whose orders are in this folder; all the same where the store is nobody else's.
    pub(super) fn of(settings: &Settings, store: &Store, home: &Path) -> anyhow::Result<Self> {
        if !store.is_shared() {
            return Ok(Self::default());
        }
        let own = own_id(settings)?;
        let shared = place_of(settings, store).unwrap_or_else(|| own.clone());
        Ok(Self { home: std::path::absolute(home)?, shared, own })
    }

    fn place<'a>(&'a self, path: &'a str) -> (&'a str, &'a str) {
        (if Path::new(path).starts_with(&self.home) { &self.shared } else { &self.own }, path)
    }

    fn sees(&self, known: &OpenOrderFile) -> bool {
        known.place.is_empty() || known.place == self.shared || known.place == self.own
    }
}

/// Gives each file of the index its id in the store.
pub(super) async fn identify(
    store: &Store,
    connection: &str,
    places: &Places,
    index: &mut Index,
    now_ms: i64,
) -> anyhow::Result<()> {
    let mut open = store.open_order_files(connection).await?;
    open.retain(|known| places.sees(known));
    for file in &mut index.files {
        let path = std::path::absolute(&file.path)?.to_string_lossy().into_owned();
        let at = places.place(&path);
        (file.order_file, file.received_ms) = match unfinished(store, &mut open, file, at, now_ms).await? {
            Some(known) => (known.id, known.received_ms),
            None => (store.begin_order_file(connection, &file.digest, at, now_ms).await?, now_ms),
        };
    }
    // What somebody took away will not go on, and must not be taken for the same text delivered later.
    for gone in open.iter().filter(|known| !Path::new(&known.path).exists()) {
        store.close_order_file(gone.id, now_ms).await?;
    }
    Ok(())
}

/// What is known of this file if an earlier run left it unfinished: it lay here, or where there is nothing any more.
async fn unfinished(
    store: &Store,
    open: &mut Vec<OpenOrderFile>,
    file: &IndexedFile,
    at: (&str, &str),
    now_ms: i64,
) -> anyhow::Result<Option<OpenOrderFile>> {
    let path = at.1;
    loop {
        let same = |known: &&OpenOrderFile| known.digest == file.digest;
        let here = open.iter().find(|known| same(known) && known.path == path);
        let moved = || open.iter().find(|known| same(known) && !Path::new(&known.path).exists());
        let Some(known) = here.or_else(moved).cloned() else { return Ok(None) };
        open.retain(|other| other.id != known.id);
        let was_put_away = !known.moving_to.is_empty() && Path::new(&known.moving_to).symlink_metadata().is_ok();
        let is_elsewhere = file.root.is_none() || known.path != path;
        let is_reported = store.reported_of(known.id).await? == file.count as u64;
        if was_put_away || is_elsewhere && is_reported {
            store.close_order_file(known.id, now_ms).await?;
            continue;
        }
        store.found_order_file(known.id, at).await?;
        return Ok(Some(known));
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use connector_api::Capabilities;

    use super::*;
    use crate::store::{OrderPlace, Outcome};

    /// A store, and a folder in which an order file was found, carried out and reported.
    struct Reported {
        folder: tempfile::TempDir,
        store: Store,
        id: i64,
        places: Places,
    }

    impl Reported {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("a.json"), "[{}]").unwrap();
            let store = Store::open(&folder.path().join("agent.db")).await.unwrap();
            let mut this = Self { folder, store, id: 0, places: Places::default() };
            this.id = this.found("a.json").await;
            let notes = this.store.notes(None);
            let [id, change_type, owner_id, owner_type, message, record] = Default::default();
            let place = OrderPlace { order_file: this.id, position: 0 };
            let (state, changed, at_ms) = ("Executed", true, 1);
            let it = Outcome { place, id, change_type, owner_id, owner_type, state, record, changed, message, at_ms };
            notes.outcome(it).await.unwrap();
            notes.flush().await.unwrap();
            let run = this.store.begin_run("okta", 1).await.unwrap();
            this.store.claim_outcomes(run, "okta").await.unwrap();
            this.store.publish_results(run, 1).await.unwrap();
            this
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        /// The id that a file of this name gets in a run of its own.
        async fn found(&self, name: &str) -> i64 {
            let mut index = Index::new(&Capabilities { tables: Vec::new() });
            index.files.push(IndexedFile {
                path: self.path(name),
                root: Some(self.folder.path().to_owned()),
                digest: "digest".to_owned(),
                order_file: 0,
                received_ms: 0,
                first: 0,
                count: 1,
            });
            identify(&self.store, "okta", &self.places, &mut index, 2).await.unwrap();
            index.files[0].order_file
        }
    }

    #[tokio::test]
    async fn a_file_that_was_reported_and_not_moved_is_still_the_same() {
        let reported = Reported::new().await;
        assert_eq!(reported.found("a.json").await, reported.id);
        // Nor if the process ended just before it was moved.
        let target = reported.path("Completed.json").to_string_lossy().into_owned();
        reported.store.announce_move(reported.id, &target).await.unwrap();
        assert_eq!(reported.found("a.json").await, reported.id);
    }

    #[tokio::test]
    async fn what_comes_after_a_file_was_moved_is_new_although_its_end_was_not_noted() {
        let reported = Reported::new().await;
        let target = reported.path("Completed.json");
        reported.store.announce_move(reported.id, &target.to_string_lossy()).await.unwrap();
        fs::copy(reported.path("a.json"), target).unwrap();
        assert_ne!(reported.found("a.json").await, reported.id);
    }

    #[tokio::test]
    async fn what_was_taken_away_is_not_what_comes_later() {
        let reported = Reported::new().await;
        fs::remove_file(reported.path("a.json")).unwrap();
        let mut nothing = Index::new(&Capabilities { tables: Vec::new() });
        identify(&reported.store, "okta", &reported.places, &mut nothing, 2).await.unwrap();
        fs::write(reported.path("a.json"), "[{}]").unwrap();
        assert_ne!(reported.found("a.json").await, reported.id);
    }

    #[tokio::test]
    async fn what_was_moved_before_it_was_done_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("agent.db")).await.unwrap();
        let reported = Reported { folder, store, id: 0, places: Places::default() };
        let id = reported.found("a.json").await;
        fs::write(reported.path("b.json"), "[{}]").unwrap();
        assert_eq!(reported.found("b.json").await, id);
    }

    #[tokio::test]
    async fn what_another_agent_has_in_its_own_folder_is_not_gone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("agent.db")).await.unwrap();
        let places = |name: &str| Places {
            home: folder.path().join(name),
            shared: format!("folder {name}"),
            own: format!("agent {name}"),
        };
        let mut agent = Reported { store, id: 0, places: places("one"), folder: tempfile::tempdir().unwrap() };
        // On another machine the same path is another file, or none.
        let begun = agent.found("a.json").await;
        agent.places = places("two");
        let mut nothing = Index::new(&Capabilities { tables: Vec::new() });
        identify(&agent.store, "okta", &agent.places, &mut nothing, 3).await.unwrap();
        let others = agent.found("a.json").await;
        assert_ne!(others, begun);
        agent.places = places("one");
        assert_eq!(agent.found("a.json").await, begun, "the first goes on with its own");
    }
}
