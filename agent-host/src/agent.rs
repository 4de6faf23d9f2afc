//! An agent: the settings and the mapping of one agent directory, read and checked.
//!
//! Opening it makes no request but to the vaults that the settings name. The mapping's files are read in the order of their paths.

mod key_file;

use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use connector_api::{
    Capabilities, ConnectionId, ConnectionSettings, Connector, Error, ErrorKind, Mapping, Result, Table,
    mapping::Deactivation,
};
use tokio::time::MissedTickBehavior;

use crate::{
    connections,
    monitoring::{CountedTraffic, Monitoring},
    presence::Peers,
    settings::{self, Settings},
    store,
};

/// Folders within `Conf` are read down to this depth; a link that leads in a circle ends here.
const MAX_CONF_DEPTH: usize = 16;
/// Between two looks at what a connection has sent while it is at work.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// One agent directory.
#[derive(Debug)]
pub struct Agent {
    /// Its settings.
    pub settings: Settings,
    /// Its mapping.
    pub mapping: Mapping,
    /// Under which name it holds leases: no other process has the same.
    pub name: String,
    /// The agents that use the same organisations.
    pub peers: Peers,
    /// Where it is counted what its connections send, and what came of it.
    pub monitoring: Arc<Monitoring>,
}

/// A connection made ready: its connector and the tables that the mapping asks of it. What it sends is counted, at the
/// latest when it is dropped.
pub struct Opened<'a> {
    /// The connection's settings.
    pub settings: &'a ConnectionSettings,
    /// The way to the managed system.
    pub connector: Box<dyn Connector>,
    /// What the connector offers.
    pub capabilities: Capabilities,
    /// All tables of the connector, with the columns that the mapping names.
    pub tables: Vec<Table>,
    agent: &'a Agent,
    counted: CountedTraffic,
}

impl Agent {
    /// Reads the agent directory. What is not obeyed but can be left out is logged as a warning.
    ///
    /// # Errors
    /// Of kind `Settings`: a file that cannot be read, a value or an element that cannot be obeyed. Of a vault's too.
    pub async fn open(directory: &Path) -> Result<Self> {
        let (settings, warnings) = Settings::load(directory, settings::environment()).await?;
        Self::with_settings(settings, &warnings)
    }

    /// An agent with settings that were read before.
    ///
    /// # Errors
    /// As [`Agent::open`].
    pub fn with_settings(settings: Settings, warnings: &[settings::Warning]) -> Result<Self> {
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let mapping = read_mapping(&settings)?;
        let machine = whoami::hostname().unwrap_or_default();
        let name = format!("command-{machine}-{}", std::process::id());
        Ok(Self { settings, mapping, name, peers: Peers::default(), monitoring: Arc::default() })
    }

    /// Makes the connection of this name ready; makes no request.
    ///
    /// # Errors
    /// Of kind `Settings`; a setting at fault is named with the place where it is written.
    pub fn connection(&self, name: &str) -> Result<Opened<'_>> {
        let settings = self.settings.connection(name)?;
        let connector = self.connector(settings)?;
        let capabilities = connector.capabilities();
        let tables = self.mapping.tables(settings.id(), &capabilities)?;
        let opened =
            Opened { settings, connector, capabilities, tables, agent: self, counted: CountedTraffic::default() };
        opened.look_around();
        Ok(opened)
    }

    /// Whether a connection could be made ready with these settings; makes no request.
    ///
    /// # Errors
    /// As [`connection`](Self::connection).
    pub fn try_settings(&self, settings: &ConnectionSettings) -> Result<()> {
        self.connector(settings).map(drop)
    }

    fn connector(&self, settings: &ConnectionSettings) -> Result<Box<dyn Connector>> {
        let declared = self.mapping.connections.iter().find(|connection| settings.id().is(&connection.identifier));
        let package = declared.and_then(|connection| connection.package.as_deref());
        let located = |error: Error| self.located(settings.id(), error);
        let with_key = key_file::read(&self.settings.directory, settings).map_err(located)?;
        let place = connections::Place {
            directory: &self.settings.directory,
            store: store::Place::of(&self.settings),
            source_roots: self.settings.source_roots(),
        };
        connections::open(package, with_key.as_ref().unwrap_or(settings), place).map_err(located)
    }

    /// Where exports go when nothing else is said.
    pub fn export_folder(&self) -> PathBuf {
        self.settings.export_folder.clone()
    }

    /// The error with the place where the setting at fault is written, if it is about one; of several, each.
    pub fn located(&self, connection: &ConnectionId, error: Error) -> Error {
        error.map_each(|error| self.located_alone(connection, error))
    }

    fn located_alone(&self, connection: &ConnectionId, error: Error) -> Error {
        let key = error.setting_key().map(str::to_owned);
        // A key that came from a file is at fault where the file is named.
        let places = key.iter().flat_map(|key| [key.clone(), format!("{key}File")]);
        match places.into_iter().find_map(|key| self.settings.locate(connection, &key)) {
            Some(place) => error.within(&format!("{place}: connection `{connection}`")),
            None => error.within(&format!("connection `{connection}`")),
        }
    }

    /// Whether the mapping switches this use of the connection off, and where it says so.
    pub fn switched_off(&self, name: &str, what: Deactivation) -> Option<String> {
        let connection = self.mapping.connections.iter().find(|c| c.identifier.eq_ignore_ascii_case(name))?;
        let name = connection.connector.as_deref().unwrap_or_default();
        let connector =
            self.mapping.connectors.iter().find(|connector| connector.identifier.eq_ignore_ascii_case(name));
        if connection.deactivation == what {
            Some(format!("{}: DeactivationExportFulfill", connection.position))
        } else {
            connector.filter(|c| c.is_deactivated).map(|c| format!("{}: IsDeactivated", c.position))
        }
    }
}

impl Opened<'_> {
    /// Does long work with the connection: meanwhile it is counted what is sent, and the connector uses the part of the
    /// limits that is this agent's as others come and go.
    pub async fn at_work<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                _ = ticks.tick() => self.look_around(),
                done = &mut work => return done,
            }
        }
    }

    fn look_around(&self) {
        self.connector.share_limits_among(self.agent.peers.using(self.settings));
        self.count(false);
    }

    fn count(&self, is_last: bool) {
        let (metrics, traffic) = (&self.agent.monitoring.metrics, self.connector.traffic());
        self.counted.look(metrics, self.settings.id().as_str(), traffic, is_last);
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.count(true);
    }
}

fn read_mapping(settings: &Settings) -> Result<Mapping> {
    let mut reader = Mapping::reader();
    for path in xml_files(&settings.conf_folder)? {
        let name = path.strip_prefix(&settings.directory).unwrap_or(&path).display().to_string();
        tracing::debug!(file = name, "reading the mapping");
        let file = File::open(&path).map_err(|error| unreadable(&path, error))?;
        reader.read(&name, BufReader::new(file))?;
    }
    let (mapping, warnings) = reader.finish()?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    Ok(mapping)
}

/// The XML files of a folder and the folders within, in the order of their paths. No folder, no files.
fn xml_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![(folder.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && depth == 0 => return Ok(files),
            entries => entries.map_err(|error| unreadable(&folder, error))?,
        };
        for entry in entries {
            let path = entry.map_err(|error| unreadable(&folder, error))?.path();
            if path.is_dir() && depth < MAX_CONF_DEPTH {
                folders.push((path, depth + 1));
            } else if path.is_file() && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("xml"))
            {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::new(ErrorKind::Settings, format!("cannot read `{}`", path.display()))
        .with_source(error)
        .with_hint("let the agent's account read it")
}
