//! This agent among those that share its store: who it is, that it lives, and how many of them use one organisation.

use std::{
    collections::HashMap,
    fs,
    io::{self, Write},
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::Context;
use connector_api::ConnectionSettings;

use crate::{leases::Clock, settings::Settings, store::Store};

/// The file in the work folder by which an agent knows itself again.
const ID: &str = "agent.id";
/// The file in an orders folder by which agents know that they see the same one.
const PLACE: &str = ".place";
/// An agent that was not seen for so long uses no organisation.
const SILENT_MS: i64 = 20_000;
/// Clocks that differ by more make leases of one agent end too early by another's.
const CLOCKS_DIFFER_MS: i64 = 5_000;

/// How the name of a file begins that is about to be put in place.
const PASSING: &str = ".new-";
/// Of an id; so many that no two agents get the same.
const ID_LETTERS: usize = 16;

/// How many agents use each organisation, as it was last seen.
#[derive(Debug, Default)]
pub struct Peers(Mutex<HashMap<String, u32>>);

impl Peers {
    /// How many agents, this one among them, send requests to the organisation of the connection.
    pub fn using(&self, connection: &ConnectionSettings) -> u32 {
        let peers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        peers.get(&organisation(connection)).copied().unwrap_or(1).max(1)
    }

    /// Tells the others what this agent uses, and sees what they do.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn meet(
        &self,
        store: &Store,
        id: &str,
        connections: &[ConnectionSettings],
        now_ms: i64,
    ) -> anyhow::Result<()> {
        let mut ours: Vec<String> = connections.iter().map(organisation).collect();
        ours.sort();
        ours.dedup();
        store.see_agent(id, &ours, now_ms).await?;
        let mut counts = HashMap::new();
        for agent in store.agents(now_ms - SILENT_MS).await? {
            for organisation in agent.organisations {
                *counts.entry(organisation).or_insert(0) += 1;
            }
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counts;
        Ok(())
    }
}

/// By how much the clock of this machine is ahead of the server's, where that is so much that leases cannot be relied upon.
///
/// # Errors
/// Where the store fails.
pub(crate) async fn clocks_differ_by(store: &Store, clock: Clock) -> anyhow::Result<Option<i64>> {
    let before = clock();
    let Some(server) = store.server_clock_ms().await? else { return Ok(None) };
    // The server looked at some moment in between, however long it took to answer.
    let (least, most) = (before - server, clock() - server);
    let by = if least > 0 { least } else { most.min(0) };
    Ok((by.abs() > CLOCKS_DIFFER_MS).then_some(by))
}

/// The agent's own id, which is made where there is none yet.
///
/// # Errors
/// Where the disk refuses.
pub(crate) fn own_id(settings: &Settings) -> anyhow::Result<String> {
    let path = settings.work_folder.join(ID);
    kept_id(&path).with_context(|| format!("cannot keep the agent's id in `{}`", path.display()))
}

/// The name of this machine, for people.
pub(crate) fn own_machine() -> String {
    whoami::hostname().unwrap_or_default()
}

/// The id of the orders folder, where not every agent sees it; none where it cannot be kept there: then any agent may take
/// up what its files ask for.
pub(crate) fn place_of(settings: &Settings, store: &Store) -> Option<String> {
    if !store.is_shared() {
        return None;
    }
    let id = kept_id(&settings.orders_folder.join(PLACE));
    let told = |error: &io::Error| {
        tracing::warn!("the orders folder `{}` gets no id: {error}", settings.orders_folder.display());
    };
    id.inspect_err(told).ok()
}

/// The id that is kept in this file, which is made where it is missing: whoever sees the file knows the same.
///
/// # Errors
/// Where the disk refuses.
fn kept_id(path: &Path) -> io::Result<String> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    loop {
        match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            read => return read.map(|text| text.trim().to_owned()),
        }
        // Its name is the chance that is wanted, and it is put in place whole.
        let mut file = tempfile::Builder::new().prefix(PASSING).rand_bytes(ID_LETTERS).tempfile_in(folder)?;
        let name = file.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
        writeln!(file, "{}", name.trim_start_matches(PASSING))?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Err(refused) if refused.error.kind() != io::ErrorKind::AlreadyExists => return Err(refused.error),
            _ => {}
        }
    }
}

/// Whom requests of the connection go to.
fn organisation(connection: &ConnectionSettings) -> String {
    let server = connection.text("Server").unwrap_or_default();
    let host = url::Url::parse(server).ok().and_then(|url| {
        let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
        Some(format!("{}{port}", url.host_str()?))
    });
    host.unwrap_or_else(|| connection.id().as_str().to_owned()).to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::stores;

    #[test]
    fn an_id_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Work/agent.id");
        let ids: Vec<String> = std::thread::scope(|scope| {
            let at_once: Vec<_> = (0..8).map(|_| scope.spawn(|| kept_id(&path).unwrap())).collect();
            at_once.into_iter().map(|made| made.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0] && id.len() == ID_LETTERS), "{ids:?}");
        assert_eq!(fs::read_dir(folder.path().join("Work")).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_clock_is_compared_with_the_servers_where_there_is_one() {
        for (_folder, store) in stores().await {
            let now = store.server_clock_ms().await.unwrap();
            let early = clocks_differ_by(&store, || 0).await.unwrap();
            let late = clocks_differ_by(&store, || i64::MAX / 2).await.unwrap();
            assert_eq!(early.is_some_and(|by| -by >= now.unwrap_or(0)), store.is_shared());
            assert_eq!(late.is_some_and(|by| by > 0), store.is_shared());
            let right = || i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
            assert_eq!(clocks_differ_by(&store, right).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn agents_that_live_and_use_an_organisation_are_counted() {
        let settings =
            |id: &str, server: &str| ConnectionSettings::new(id.parse().unwrap()).with("Server", server.to_owned());
        let both = [settings("A", "https://Acme.okta.com"), settings("B", "https://acme.okta.com/")];
        for (_folder, store) in stores().await {
            let peers = Peers::default();
            assert_eq!(peers.using(&both[0]), 1);
            store.start_agent("a", "m", 0).await.unwrap();
            store.start_agent("b", "m", 0).await.unwrap();
            peers.meet(&store, "b", &both[1..], 1).await.unwrap();
            peers.meet(&store, "a", &both, 1).await.unwrap();
            assert_eq!((peers.using(&both[0]), peers.using(&settings("C", "https://else"))), (2, 1));
            peers.meet(&store, "a", &both[..1], 2 + SILENT_MS).await.unwrap();
            assert_eq!(peers.using(&both[0]), 1, "the other is silent");
        }
    }
}
