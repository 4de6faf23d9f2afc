//! The agent's settings as the rest of the program sees them: typed, checked, secrets as `SecretString`.
//!
//! Where they come from is `settings/files.rs`; unknown sections are ignored, because the vendor allows them for
//! human use. An error says where the setting is written, its key and what to do, and never a value that may be secret.

mod values;
mod section;
mod json;
mod unusable;
mod named_file;
pub(crate) mod certificate;
pub(crate) mod protection;
mod secrets;
mod vaults;
mod files;
mod store_url;
mod proxy;

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use connector_api::{ConnectionId, ConnectionSettings, Error, ErrorKind, Problems, Result};
use secrecy::SecretString;
pub(crate) use section::Section;
use tracing::Level;
use unusable::Unusable;
use values::{Entry, Values};

use crate::redaction;

/// Serilog's levels and ours; `Fatal` has none of its own here.
const LOG_LEVELS: [(&str, Level); 6] = [
    ("Verbose", Level::TRACE),
    ("Debug", Level::DEBUG),
    ("Information", Level::INFO),
    ("Warning", Level::WARN),
    ("Error", Level::ERROR),
    ("Fatal", Level::ERROR),
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
    /// The PostgreSQL that is the store; none where it is a file in the work folder.
    pub store_url: Option<SecretString>,
    /// The least important level that is logged.
    pub log_level: Level,
    /// Every connection, in the order of the files.
    pub connections: Vec<ConnectionSettings>,
    /// Names under `Connections` that no connection can have: they are refused when they are asked for, so that a
    /// connection of another agent does not stop ours.
    pub misnamed: Vec<Misnamed>,
    /// After how long the settings must be read again, because values of a vault may be others then; none without a vault.
    pub refresh_after: Option<Duration>,
    values: Values,
}

/// A name that no connection can have.
#[derive(Debug)]
pub struct Misnamed {
    /// The name.
    pub name: String,
    /// Where it is written.
    pub place: String,
}

/// Something in the settings that is not obeyed, with its place, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(String);

/// The environment variables of this process, for [`Settings::load`].
pub fn environment() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}

/// The keys of protected values of the agent directory and one `also`, without reading what they protect.
pub(crate) fn keyring(
    directory: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    also: Option<protection::key::Key>,
) -> Result<(protection::Keyring, Vec<Warning>)> {
    let environment: Vec<_> = environment.into_iter().collect();
    let mut warnings = Vec::new();
    files::keyring(directory, &environment, also, &mut warnings).map(|keyring| (keyring, warnings))
}

/// The same without the certificate's: what the certificate's own password is protected with.
pub(crate) fn shared_keyring(
    directory: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(protection::Keyring, Vec<Warning>)> {
    let environment: Vec<_> = environment.into_iter().collect();
    let mut warnings = Vec::new();
    files::shared_keyring(directory, &environment, &mut warnings).map(|keyring| (keyring, warnings))
}

/// Every settings file of the agent directory.
pub(crate) fn settings_files(
    directory: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Vec<PathBuf>> {
    files::all(directory, &environment.into_iter().collect::<Vec<_>>())
}

impl Settings {
    /// Reads and checks the settings of the agent directory, over which `environment` wins. Asks the vaults that the
    /// settings name, and nobody where they name none.
    ///
    /// # Errors
    /// Of kind `Settings`: files that cannot be read or understood, or unusable values, all of them at once; of kind
    /// `Credentials` or `Unavailable` where a vault refuses or cannot be reached.
    pub async fn load(
        directory: &Path,
        environment: impl IntoIterator<Item = (impl Into<OsString>, impl Into<OsString>)>,
    ) -> Result<(Self, Vec<Warning>)> {
        let environment: Vec<_> = environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let mut warnings = Vec::new();
        proxy::check(&environment, &mut warnings);
        let files::Read { values, refresh_after, mut problems } =
            files::read(directory, &environment, &mut warnings).await?;
        let secret = values.entries().iter().filter(|entry| secrets::is_secret(entry));
        redaction::remember(secret.filter_map(|entry| entry.text.as_ref()));
        check_sinks(&values, &mut warnings);
        let (connections, misnamed) = connections(directory, &values, &mut problems);
        let temp_folder = problems.note(files::temp_folder(directory, &values)).unwrap_or_default();
        let work_folder = problems.note(files::work_folder(directory, &values)).unwrap_or_default();
        let log_level = problems.note(log_level(&values)).unwrap_or(Level::INFO);
        let store_url = problems.note(store_url::read(&values)).flatten();
        problems.into_result()?;
        let settings = Self {
            directory: directory.to_owned(),
            conf_folder: directory.join("Conf"),
            temp_folder,
            work_folder,
            store_url,
            log_level,
            connections,
            misnamed,
            refresh_after,
            values,
        };
        Ok((settings, warnings))
    }

    /// The settings of the connection of this name, in whatever case.
    ///
    /// # Errors
    /// Of kind `Settings` where there is none.
    pub fn connection(&self, name: &str) -> Result<&ConnectionSettings> {
        if let Some(misnamed) = self.misnamed.iter().find(|misnamed| misnamed.name.eq_ignore_ascii_case(name)) {
            misnamed.name.parse::<ConnectionId>().map_err(|error| error.within(&misnamed.place))?;
        }
        let known = || self.connections.iter().map(|connection| connection.id().as_str());
        self.connections.iter().find(|connection| connection.id().is(name)).ok_or_else(|| {
            let near = known().min_by_key(|known| distance(known, name)).filter(|known| distance(known, name) <= 3);
            let names: Vec<String> = known().map(|known| format!("`{known}`")).collect();
            let are = match names.as_slice() {
                [] => "there are none".to_owned(),
                [only] => format!("there is {only}"),
                several => format!("there are {}", several.join(", ")),
            };
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None if names.is_empty() => "add it to `Connections` in appsettings.agent.json".to_owned(),
                None => "name what there is, or add it to `Connections` in appsettings.agent.json".to_owned(),
            };
            Error::new(ErrorKind::Settings, format!("no connection `{name}`: {are}")).with_hint(hint)
        })
    }

    /// The section that is written in these places; the first that has a key wins.
    pub(crate) fn section(&self, places: &[&str]) -> Section<'_> {
        Section::new(&self.values, places)
    }

    /// The folders that files of other systems may be read from (`SourcesRootPaths`); anywhere where none is named.
    pub(crate) fn source_roots(&self) -> Vec<PathBuf> {
        (0..).map_while(|index| self.values.text(&format!("SourcesRootPaths:{index}"))).map(PathBuf::from).collect()
    }

    /// The names of the sections directly below this one, as they were first spelt.
    pub(crate) fn names_below(&self, section: &str) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.values.below(section).filter_map(|(rest, _)| Some(rest.split_once(':')?.0)) {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// Whether a secret stands under this key, by its name, whatever is written there.
    pub fn is_secret(&self, key: &str) -> bool {
        secrets::names_secret(key)
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
fn connections(directory: &Path, values: &Values, problems: &mut Problems) -> (Vec<ConnectionSettings>, Vec<Misnamed>) {
    let mut ids: Vec<ConnectionId> = Vec::new();
    let mut misnamed: Vec<Misnamed> = Vec::new();
    for (rest, entry) in values.below("Connections") {
        let name = rest.split(':').next().unwrap_or(rest);
        if misnamed.iter().any(|misnamed| misnamed.name.eq_ignore_ascii_case(name)) {
            continue;
        }
        if !ids.iter().any(|id| id.is(name)) {
            match name.parse() {
                Ok(id) => ids.push(id),
                Err(_) => {
                    misnamed.push(Misnamed { name: name.to_owned(), place: entry.origin.to_string() });
                    continue;
                }
            }
        }
        if name == rest && values.text(&entry.key).is_some() {
            let problem = entry.error("holds a value where its settings belong");
            problems.push(problem.with_hint("write `{ \"Server\": … }`"));
        }
    }
    let settings = |id: ConnectionId| {
        let section = format!("Connections:{id}");
        let given = values.below(&section).filter_map(|(key, entry)| Some((key, entry.text.clone()?)));
        let settings = given.fold(ConnectionSettings::new(id), |settings, (key, value)| settings.with(key, value));
        with_authorities(directory, values, &section, settings)
    };
    (ids.into_iter().filter_map(|id| problems.note(settings(id))).collect(), misnamed)
}

/// The settings of a connection with the text of its `CaFile` under `CaCertificates`, for connectors read no files.
fn with_authorities(
    directory: &Path,
    values: &Values,
    section: &str,
    settings: ConnectionSettings,
) -> Result<ConnectionSettings> {
    let key = format!("{section}:CaFile");
    let Some(contents) = named_file::read(directory, values, &key)? else { return Ok(settings) };
    let text = str::from_utf8(&contents).ok().filter(|text| text.contains("-----BEGIN CERTIFICATE-----"));
    let problem = || Unusable::new("holds no certificates in PEM", "name the file of your authority's certificates");
    let text = text.ok_or_else(|| named_file::unusable(values, &key, problem()))?;
    Ok(settings.with("CaCertificates", text.to_owned()))
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

#[cfg(test)]
mod tests {
    use std::{error::Error as _, fs};

    use tempfile::TempDir;

    use super::*;

    const NO_VARIABLES: [(&str, &str); 0] = [];

    /// An agent directory with these contents of appsettings.agent.json.
    fn agent(text: &str) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("appsettings.agent.json"), text).unwrap();
        directory
    }

    fn load_now(directory: &Path, environment: &[(&str, &str)]) -> Result<(Settings, Vec<Warning>)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(Settings::load(directory, environment.iter().copied()))
    }

    fn load(text: &str) -> Result<(Settings, Vec<String>)> {
        let (settings, warnings) = load_now(agent(text).path(), &NO_VARIABLES)?;
        Ok((settings, warnings.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn the_vendors_sample_loads() {
        let (settings, warnings) = load(
            r#"{
                "Connections": {
                    "OktaExportFulfillment": {
                        "Server": " https://<YourCompany>.okta.com",
                        "ApiKey": "<GeneratedUserToken>",
                    }
                }
            }"#,
        )
        .unwrap();
        let connection = settings.connection("oktaexportfulfillment").unwrap();
        assert_eq!(connection.id().as_str(), "OktaExportFulfillment");
        assert_eq!(connection.text("server"), Some("https://<YourCompany>.okta.com"));
        assert_eq!(settings.locate(connection.id(), "Server").unwrap(), "appsettings.agent.json:4:35");
        assert_eq!(settings.locate(connection.id(), "MaxConcurrency"), None);
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn connections_merge_over_all_sources_and_keep_their_first_spelling() {
        let agent = agent(r#"{ "connections": { "Okta": { "Server": "a", "Max": 8 }, "Empty": {} }, "Other": [] }"#);
        let environment = [("CONNECTIONS__OKTA__APIKEY", "b"), ("Connections__Okta-2.eu__Server", "c")];
        let (settings, _) = load_now(agent.path(), &environment).unwrap();
        let names: Vec<&str> = settings.connections.iter().map(|connection| connection.id().as_str()).collect();
        assert_eq!(names, ["Okta", "Empty", "Okta-2.eu"]);
        let okta = settings.connection("Okta").unwrap();
        assert_eq!(okta.keys().collect::<Vec<_>>(), ["APIKEY", "Max", "Server"]);
        assert_eq!((okta.number("max", 1, 1..=9).unwrap(), okta.text("ApiKey")), (8, Some("b")));
        assert_eq!(settings.locate(okta.id(), "ApiKey").unwrap(), "environment variable CONNECTIONS__OKTA__APIKEY");
    }

    #[test]
    fn an_unknown_connection_is_refused_with_the_nearest_name() {
        let (settings, _) = load(r#"{ "Connections": { "OktaExport": {}, "HR": {} } }"#).unwrap();
        for (name, hint) in [
            ("OktaExprot", "did you mean `OktaExport`?"),
            ("Salesforce", "name what there is, or add it to `Connections` in appsettings.agent.json"),
        ] {
            let error = settings.connection(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Settings);
            assert_eq!(error.to_string(), format!("no connection `{name}`: there are `OktaExport`, `HR`"));
            assert_eq!(error.hint(), Some(hint));
        }
        let (settings, _) = load("{}").unwrap();
        let error = settings.connection("Okta").unwrap_err();
        assert_eq!(error.to_string(), "no connection `Okta`: there are none");
    }

    #[test]
    fn a_name_no_connection_can_have_stops_nobody_but_who_asks_for_it() {
        let text = "{ \"Connections\":\n{ \"AD_Export\": { \"Password\": \"00secret\" }, \"Okta\": {} } }";
        let (settings, _) = load(text).unwrap();
        assert!(settings.connection("Okta").is_ok());
        let error = settings.connection("ad_export").unwrap_err();
        let place = "appsettings.agent.json:2:3: `AD_Export` is no connection identifier";
        assert!(error.to_string().starts_with(place), "{error}");
    }

    #[test]
    fn unusable_values_are_refused_where_they_are_written() {
        for (text, expected) in [
            (
                r#"{ "Connections": { "Okta": "00secret" } }"#,
                "appsettings.agent.json:1:28: `Connections:Okta` holds a value where its settings belong",
            ),
            (
                r#"{ "Serilog": { "MinimumLevel": "00secret" } }"#,
                "appsettings.agent.json:1:32: `Serilog:MinimumLevel` is no log level",
            ),
            (
                r#"{ "EncryptionCertificate": { "UseEncryptedAppsettings": "00secret" } }"#,
                "appsettings.agent.json:1:57: `EncryptionCertificate:UseEncryptedAppsettings` is neither true nor false",
            ),
            (
                r#"{ "CyberArk": { "UseCyberArkSetting": "00secret" } }"#,
                "appsettings.agent.json:1:39: `CyberArk:UseCyberArkSetting` is neither true nor false",
            ),
        ] {
            let error = load(text).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.kind(), ErrorKind::Settings);
            assert!(error.hint().is_some_and(|hint| !hint.is_empty()), "{error}");
            assert!(!format!("{error:?} {:?}", error.source()).contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn the_log_level_is_serilogs() {
        for (serilog, level) in [
            ("{}", Level::INFO),
            (r#"{ "MinimumLevel": "verbose" }"#, Level::TRACE),
            (r#"{ "MinimumLevel": { "Default": "Fatal" } }"#, Level::ERROR),
            (r#"{ "MinimumLevel": { "Default": "Error", "Override": { "Usercube": "Warning" } } }"#, Level::WARN),
            (r#"{ "MinimumLevel": { "Default": "Debug", "Override": { "Usercube.Jobs": "Error" } } }"#, Level::DEBUG),
        ] {
            let (settings, _) = load(&format!("{{ \"Serilog\": {serilog} }}")).unwrap();
            assert_eq!(settings.log_level, level, "{serilog}");
        }
    }

    #[test]
    fn sinks_other_than_the_console_are_reported() {
        let (_, warnings) = load(
            r#"{ "Serilog": { "WriteTo": [
                "console",
                { "Name": "Syslog", "Args": { "host": "00secret", "path": "x" } }
            ] } }"#,
        )
        .unwrap();
        let expected = "appsettings.agent.json:3:27: `Serilog:WriteTo:1:Name` is no sink of this version; \
                        logs go to the console alone";
        assert_eq!(warnings, [expected]);
    }

    #[test]
    fn folders_are_relative_to_the_agent_directory() {
        let agent = agent(r#"{ "TempFolderPath": " ..\\Temp\\one " }"#);
        let (settings, _) = load_now(agent.path(), &NO_VARIABLES).unwrap();
        assert_eq!(settings.temp_folder, agent.path().join("..").join("Temp").join("one"));
        assert_eq!(settings.work_folder, agent.path().join("Work"));
        assert_eq!(settings.conf_folder, agent.path().join("Conf"));
    }

    #[test]
    fn debug_shows_no_value() {
        let (settings, _) = load(r#"{ "Connections": { "Okta": { "ApiKey": "00secret" } } }"#).unwrap();
        assert!(!format!("{settings:?}").contains("00secret"));
    }
}
