//! The agent's settings as the rest of the program sees them: typed, checked, secrets as `SecretString`.
//!
//! Where they come from is `settings/files.rs`; unknown sections are ignored, because the vendor allows them for
//! human use. An error says where the setting is written, its key and what to do, and never a value that may be secret.

mod files;
mod json;
mod values;

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use connector_api::{ConnectionId, ConnectionSettings, Error, ErrorKind, Result};
use tracing::Level;
use values::{Entry, Values};

/// Serilog's levels and ours; `Fatal` has none of its own here.
const LOG_LEVELS: [(&str, Level); 6] = [
    ("Verbose", Level::TRACE),
    ("Debug", Level::DEBUG),
    ("Information", Level::INFO),
    ("Warning", Level::WARN),
    ("Error", Level::ERROR),
    ("Fatal", Level::ERROR),
];

/// Switches that let values come from elsewhere. Refused, because without those values secrets would be missing.
const UNREADABLE: [(&str, &str); 2] = [
    ("EncryptionCertificate:UseEncryptedAppsettings", "asks for appsettings.encrypted.agent.json"),
    ("CyberArk:UseCyberArkSetting", "asks for values from a CyberArk vault"),
];

/// The settings of one agent directory.
#[derive(Debug)]
pub struct Settings {
    /// The agent directory, as it was named.
    pub directory: PathBuf,
    /// Where configuration XML is.
    pub conf_folder: PathBuf,
    /// What may be deleted at any time: exports, logs of jobs.
    pub temp_folder: PathBuf,
    /// What must be kept: provisioning orders, the store, settings typed in the dashboard.
    pub work_folder: PathBuf,
    /// The least important level that is logged.
    pub log_level: Level,
    /// Every connection, in the order of the files.
    pub connections: Vec<ConnectionSettings>,
    values: Values,
}

/// Something in the settings that is not obeyed, with its place, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(String);

/// The environment variables of this process, for [`Settings::load`].
pub fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}

impl Settings {
    /// Reads and checks the settings of the agent directory, over which `environment` wins.
    ///
    /// # Errors
    /// All of kind `Settings`: a file that cannot be read or understood, or an unusable value.
    pub fn load(
        directory: &Path,
        environment: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
    ) -> Result<(Self, Vec<Warning>)> {
        let environment: Vec<_> = environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let mut warnings = Vec::new();
        let values = files::read(directory, &environment, &mut warnings)?;
        for (key, asks) in UNREADABLE {
            if flag(&values, key)? {
                let error = values.error(key, format_args!("{asks}, which this version cannot read"));
                return Err(error.with_hint("set it to false and give the values in a file or in variables"));
            }
        }
        check_sinks(&values, &mut warnings);
        let settings = Self {
            directory: directory.to_owned(),
            conf_folder: directory.join("Conf"),
            temp_folder: files::temp_folder(directory, &values)?,
            work_folder: files::work_folder(directory, &values)?,
            log_level: log_level(&values)?,
            connections: connections(&values)?,
            values,
        };
        Ok((settings, warnings))
    }

    /// The settings of the connection of this name, in whatever case.
    ///
    /// # Errors
    /// Of kind `Settings` where there is none.
    pub fn connection(&self, name: &str) -> Result<&ConnectionSettings> {
        let known = || self.connections.iter().map(|connection| connection.id().as_str());
        self.connections.iter().find(|connection| connection.id().is(name)).ok_or_else(|| {
            let near = known().min_by_key(|known| distance(known, name)).filter(|known| distance(known, name) <= 3);
            let names: Vec<String> = known().map(|known| format!("`{known}`")).collect();
            let (are, hint) = match (names.is_empty(), near) {
                (true, _) => {
                    ("there are none".to_owned(), "add it to `Connections` in appsettings.agent.json".to_owned())
                }
                (_, None) => (format!("there are {}", names.join(", ")), "name one of them, or add it".to_owned()),
                (_, Some(near)) => (format!("there are {}", names.join(", ")), format!("did you mean `{near}`?")),
            };
            Error::new(ErrorKind::Settings, format!("no connection `{name}`: {are}")).with_hint(hint)
        })
    }

    /// Where a setting of a connection is written: `appsettings.agent.json:5:19` or `environment variable X`.
    pub fn locate(&self, connection: &ConnectionId, key: &str) -> Option<String> {
        self.values.entry(&format!("Connections:{connection}:{key}")).map(|entry| entry.origin.to_string())
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Every connection with its settings. Keys that differ in case alone have become one key before.
fn connections(values: &Values) -> Result<Vec<ConnectionSettings>> {
    let mut ids: Vec<ConnectionId> = Vec::new();
    for (rest, entry) in values.below("Connections") {
        let name = rest.split(':').next().unwrap_or(rest);
        if !ids.iter().any(|id| id.is(name)) {
            ids.push(identifier(name, entry)?);
        }
        if name == rest && values.text(&entry.key).is_some() {
            return Err(entry.error("holds a value where its settings belong").with_hint("write `{ \"Server\": … }`"));
        }
    }
    let settings = |id: ConnectionId| {
        let section = format!("Connections:{id}");
        let given = values.below(&section).filter_map(|(key, entry)| Some((key, entry.text.clone()?)));
        given.fold(ConnectionSettings::new(id), |settings, (key, value)| settings.with(key, value))
    };
    Ok(ids.into_iter().map(settings).collect())
}

fn identifier(name: &str, entry: &Entry) -> Result<ConnectionId> {
    name.parse().map_err(|error: Error| {
        let hint = error.hint().unwrap_or_default().to_owned();
        Error::new(ErrorKind::Settings, format!("{}: {error}", entry.origin)).with_hint(hint)
    })
}

/// Serilog's minimum level: the one for the vendor's own namespace, which we stand for, goes before the general one.
fn log_level(values: &Values) -> Result<Level> {
    let keys = ["Serilog:MinimumLevel:Override:Usercube", "Serilog:MinimumLevel", "Serilog:MinimumLevel:Default"];
    let Some((key, text)) = keys.iter().find_map(|key| Some((key, values.text(key)?))) else {
        return Ok(Level::INFO);
    };
    let level = LOG_LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    level.map(|(_, level)| *level).ok_or_else(|| {
        let names = LOG_LEVELS.map(|(name, _)| name).join(", ");
        values.error(key, "is no log level").with_hint(format!("write one of {names}"))
    })
}

/// Warns of log sinks that are not obeyed: `WriteTo` lists names, or sections with a `Name`.
fn check_sinks(values: &Values, warnings: &mut Vec<Warning>) {
    for (rest, entry) in values.below("Serilog:WriteTo") {
        let is_name = match rest.split_once(':') {
            None => true,
            Some((_, key)) => key.eq_ignore_ascii_case("Name"),
        };
        let sink = values.text(&entry.key).filter(|_| is_name);
        if sink.is_some_and(|sink| !sink.eq_ignore_ascii_case("Console")) {
            let Entry { key, origin, .. } = entry;
            warnings
                .push(Warning(format!("{origin}: `{key}` is no sink of this version; logs go to the console alone")));
        }
    }
}

fn flag(values: &Values, key: &str) -> Result<bool> {
    match values.text(key) {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(_) => Err(values.error(key, "is neither true nor false").with_hint("write true or false")),
    }
}

/// How many letters must be added, removed or replaced to get from one name to the other, whatever the case.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut costs: Vec<usize> = (0..=right.len()).collect();
    for (row, l) in left.to_lowercase().chars().enumerate() {
        let mut diagonal = row;
        costs[0] = row + 1;
        for (column, &r) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(l != r);
            diagonal = costs[column + 1];
            costs[column + 1] = replaced.min(diagonal + 1).min(costs[column] + 1);
        }
    }
    costs[right.len()]
}
