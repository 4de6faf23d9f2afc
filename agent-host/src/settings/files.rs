//! Which sources the settings come from, and in which order: a later one wins, key by key.
//!
//! The files of the agent directory with their overlays for the environment, the encrypted ones after the plain, vaults,
//! the file that the dashboard writes into the work folder, then environment variables
//! (`Connections__OktaExportFulfillment__ApiKey`). File names ignore case. Every file may be absent. Protected values
//! are opened here, in whatever file. Source: the vendor's pages on the agent's configuration.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{ErrorKind as IoErrorKind, Read as _},
    path::{MAIN_SEPARATOR, Path, PathBuf},
    time::Duration,
};

use connector_api::{Error, ErrorKind, Problems, Result};
use secrecy::zeroize::Zeroizing;

use super::{
    Warning, json, named_file,
    protection::{Keyring, key::Key, keys, opening::Opening},
    secrets,
    values::{Entry, Origin, Values},
    vaults,
};

/// Far above what people write; below it a wrong file cannot fill the memory.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// The plain files, in order, without the ending; the later ones win.
const PLAIN: [&str; 2] = ["appsettings", "appsettings.agent"];
/// Those whose values are all protected.
const ENCRYPTED: [&str; 2] = ["appsettings.encrypted", "appsettings.encrypted.agent"];
/// The one whose values are names of accounts in CyberArk.
const ACCOUNTS: &str = "appsettings.cyberark.agent";

/// The settings that stand in no section, so that their variables have no `__` to be known by.
const TOP_LEVEL: [&str; 4] = ["ExportOutput", "OrdersFolderPath", "TempFolderPath", "WorkFolderPath"];

/// What all sources together say.
pub(super) struct Read {
    pub(super) values: Values,
    /// After how long the vaults must be read again; none without one.
    pub(super) refresh_after: Option<Duration>,
    /// What could not be used. While there is something, the values are not all there.
    pub(super) problems: Problems,
}

/// Reads all sources of the agent directory.
///
/// # Errors
/// A source that cannot be understood: what else is wrong could only be guessed.
pub(super) async fn read(
    directory: &Path,
    environment: &[(OsString, OsString)],
    warnings: &mut Vec<Warning>,
) -> Result<Read> {
    if !directory.is_dir() {
        let hint = "run `agent-host init` with this name, or name another with --directory";
        let what = format!("there is no agent directory `{}`", directory.display());
        return Err(Error::new(ErrorKind::Settings, what).with_hint(hint));
    }
    let mut unreadable = Problems::default();
    let variables = variables(environment, &mut unreadable, warnings);
    let plain = plain(directory, environment, &variables, &mut unreadable, warnings);
    let accounts = files(directory, &[ACCOUNTS], environment, &mut unreadable, warnings);
    let mut values = plain.clone();
    let switch = format!("{}:UseEncryptedAppsettings", keys::SECTION);
    let uses_encrypted = plain.flag(&switch);
    if *uses_encrypted.as_ref().unwrap_or(&true) {
        let encrypted = files(directory, &ENCRYPTED, environment, &mut unreadable, warnings).must_be_protected();
        if encrypted.entries().is_empty() {
            let place = plain.entry(&switch).map_or_else(String::new, |entry| entry.origin.to_string());
            let what = "asks for encrypted settings, but there are none in appsettings.encrypted.agent.json";
            warnings.push(Warning(format!("{place}: `{switch}` {what}")));
        }
        values.merge(encrypted);
    }
    let mut problems = Problems::default();
    (if unreadable.is_empty() { &mut problems } else { &mut unreadable }).extend(uses_encrypted.err());
    unreadable.into_result()?;
    // Variables come twice: vaults and the place of the work folder may hang on them, and they win over both.
    values.merge(variables.clone());
    let mut opening = Opening::new(directory, plain, credentials(environment));
    opening.problems = problems;
    opening.open(&mut values, warnings);
    let mut refresh_after = None;
    // A vault's credentials may be among what could not be opened.
    if opening.problems.is_empty() {
        let sources = vaults::Sources { directory, environment, accounts: &accounts };
        refresh_after = vaults::merge(sources, &mut values, &mut opening.problems, warnings).await;
    }
    if let Some(work_folder) = opening.problems.note(work_folder(directory, &values)) {
        let typed = file(directory, &work_folder, "appsettings.connection.json", warnings);
        values.merge(opening.problems.note(typed).unwrap_or_default());
    }
    values.merge(variables);
    opening.open(&mut values, warnings);
    Ok(Read { values, refresh_after, problems: opening.problems })
}

/// The keys of protected values, by the plain settings alone, and one `also`.
pub(super) fn keyring(
    directory: &Path,
    environment: &[(OsString, OsString)],
    also: Option<Key>,
    warnings: &mut Vec<Warning>,
) -> Result<Keyring> {
    let plain = plain_alone(directory, environment, warnings)?;
    keys::read(directory, &plain, credentials(environment).as_deref(), also, warnings)
}

/// The same without the certificate's.
pub(super) fn shared_keyring(
    directory: &Path,
    environment: &[(OsString, OsString)],
    warnings: &mut Vec<Warning>,
) -> Result<Keyring> {
    let plain = plain_alone(directory, environment, warnings)?;
    keys::read_shared(directory, &plain, credentials(environment).as_deref(), warnings).map(Keyring::new)
}

/// The plain settings, or all that cannot be read of them.
fn plain_alone(directory: &Path, environment: &[(OsString, OsString)], warnings: &mut Vec<Warning>) -> Result<Values> {
    let mut problems = Problems::default();
    let variables = variables(environment, &mut problems, warnings);
    let plain = plain(directory, environment, &variables, &mut problems, warnings);
    problems.into_result().map(|()| plain)
}

/// The plain files, and the variables over them.
fn plain(
    directory: &Path,
    environment: &[(OsString, OsString)],
    variables: &Values,
    problems: &mut Problems,
    warnings: &mut Vec<Warning>,
) -> Values {
    let mut values = files(directory, &PLAIN, environment, problems, warnings);
    values.merge(variables.clone());
    values
}

/// The files of these names, each with the overlay for the environment after it.
fn files(
    directory: &Path,
    names: &[&str],
    environment: &[(OsString, OsString)],
    problems: &mut Problems,
    warnings: &mut Vec<Warning>,
) -> Values {
    let stage = stage(environment);
    let mut values = Values::default();
    for name in names.iter().flat_map(|name| [format!("{name}.json"), format!("{name}.{stage}.json")]) {
        values.merge(problems.note(file(directory, directory, &name, warnings)).unwrap_or_default());
    }
    values
}

/// The folder in which systemd lays the credentials of this service.
fn credentials(environment: &[(OsString, OsString)]) -> Option<PathBuf> {
    environment.iter().find(|(name, _)| name == "CREDENTIALS_DIRECTORY").map(|(_, folder)| folder.into())
}

/// The folder that may be deleted at any time: exports and logs of jobs.
pub(super) fn temp_folder(directory: &Path, values: &Values) -> Result<PathBuf> {
    folder(directory, values, "TempFolderPath", "Temp")
}

/// The folder that must be kept: orders, the store and what was typed in the dashboard.
pub(super) fn work_folder(directory: &Path, values: &Values) -> Result<PathBuf> {
    folder(directory, values, "WorkFolderPath", "Work")
}

/// The folder of exports: in the temp folder, but where agents on several machines share one.
pub(super) fn export_folder(directory: &Path, values: &Values) -> Result<PathBuf> {
    match values.text("ExportOutput").filter(|text| !text.starts_with("s3://")) {
        Some(_) => folder(directory, values, "ExportOutput", ""),
        None => Ok(temp_folder(directory, values)?.join("ExportOutput")),
    }
}

/// Where else exports go: `s3://bucket/prefix`.
pub(super) fn export_bucket(values: &Values) -> Option<String> {
    values.text("ExportOutput").filter(|text| text.starts_with("s3://")).map(str::to_owned)
}

/// The folder of provisioning orders: in the work folder, but where agents on several machines share one.
pub(super) fn orders_folder(directory: &Path, values: &Values) -> Result<PathBuf> {
    match values.text("OrdersFolderPath") {
        Some(_) => folder(directory, values, "OrdersFolderPath", ""),
        None => Ok(work_folder(directory, values)?.join("ProvisioningOrders")),
    }
}

/// The folder that the setting `key` names, relative to the agent directory.
fn folder(directory: &Path, values: &Values, key: &str, default: &str) -> Result<PathBuf> {
    let text = values.text(key).unwrap_or(default);
    if MAIN_SEPARATOR == '\\' {
        return Ok(directory.join(text));
    }
    if matches!(text.as_bytes(), [drive, b':', ..] if drive.is_ascii_alphabetic()) {
        let hint = "name a folder of this system, best relative to the agent directory";
        return Err(values.error(key, "names a drive, which this system does not have").with_hint(hint));
    }
    Ok(directory.join(text.replace('\\', "/")))
}

/// The name of the environment, whose overlays are read.
fn stage(environment: &[(OsString, OsString)]) -> String {
    environment
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("ASPNETCORE_ENVIRONMENT"))
        .map(|(_, value)| value.to_string_lossy().trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "Production".to_owned())
}

/// The settings among the environment variables; `__` separates the parts of a key.
fn variables(environment: &[(OsString, OsString)], problems: &mut Problems, warnings: &mut Vec<Warning>) -> Values {
    let mut settings: Vec<(&str, &OsString)> = environment
        .iter()
        .filter_map(|(name, value)| Some((name.to_str()?, value)))
        .filter(|(name, _)| name.contains("__") || TOP_LEVEL.iter().any(|key| key.eq_ignore_ascii_case(name)))
        .collect();
    // The system's order is arbitrary, and of two names that differ in case alone the later one wins.
    settings.sort_unstable();
    let mut values = Values::default();
    for (name, value) in settings {
        let origin = Origin::Variable(name.to_owned());
        let Some(value) = value.to_str() else {
            let error = Error::new(ErrorKind::Settings, format!("{origin}: the value is not UTF-8"));
            problems.push(error.with_hint("set it to UTF-8 text, or unset it"));
            continue;
        };
        if let Some(former) = values.set(&name.replace("__", ":"), Some(value.into()), origin.clone()) {
            warnings.push(Warning(format!("{origin}: the same setting as {former}; this value is used")));
        }
    }
    values
}

/// The settings in the file of this name in `folder`; none where there is no such file.
fn file(directory: &Path, folder: &Path, name: &str, warnings: &mut Vec<Warning>) -> Result<Values> {
    let Some(path) = find(folder, name, warnings)? else { return Ok(Values::default()) };
    let label = path.strip_prefix(directory).unwrap_or(&path).display().to_string();
    let values = json::parse(&label, &text(&path, &label)?, warnings)?;
    if let Some(entry) = values
        .entries()
        .iter()
        .find(|entry| secrets::is_secret(entry))
        .filter(|_| !name.starts_with(ACCOUNTS) && named_file::is_open_to_all(&path))
    {
        let Entry { key, .. } = entry;
        warnings.push(Warning(format!(
            "{label}: everybody on this machine can read this file, and it holds a secret, `{key}`; take that right \
             away (`chmod o-rwx`), or protect the value (`agent-host protect value`)"
        )));
    }
    Ok(values)
}

/// The text of a settings file, which is named `label` in errors.
pub(super) fn text(path: &Path, label: &str) -> Result<Zeroizing<String>> {
    let bytes = contents(path, label)?;
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    let text = str::from_utf8(bytes).map_err(|error| {
        let valid = error.valid_up_to();
        let before = String::from_utf8_lossy(&bytes[..valid]);
        json::refuse(label, &before, valid, "the file is not UTF-8 from here on", "save it as UTF-8")
    })?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// Every settings file there is: those of the agent directory, whatever their environment, and the dashboard's.
pub(super) fn all(directory: &Path, environment: &[(OsString, OsString)]) -> Result<Vec<PathBuf>> {
    let mut warnings = Vec::new();
    let plain = plain_alone(directory, environment, &mut warnings)?;
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .map_err(|error| refuse(directory, "the folder cannot be listed", "let the agent's account read it", error))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            name.starts_with("appsettings.") && name.ends_with(".json") && path.is_file()
        })
        .collect();
    found.sort_unstable();
    found.extend(find(&work_folder(directory, &plain)?, "appsettings.connection.json", &mut warnings)?);
    Ok(found)
}

/// The file of this name, whatever its case; the exact spelling goes first.
fn find(folder: &Path, name: &str, warnings: &mut Vec<Warning>) -> Result<Option<PathBuf>> {
    let unreadable = |error| refuse(folder, "the folder cannot be listed", "let the agent's account read it", error);
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == IoErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(unreadable)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let spelling = entry.map_err(unreadable)?.file_name();
        if spelling.eq_ignore_ascii_case(name) {
            found.push(spelling);
        }
    }
    found.sort_unstable_by_key(|spelling| (spelling != name, spelling.clone()));
    let mut found = found.into_iter().map(|spelling| folder.join(spelling));
    let first = found.next();
    for other in found {
        let (other, name) = (other.display(), first.as_deref().unwrap_or(folder).display());
        warnings.push(Warning(format!("{other}: the file is ignored, because there is `{name}` too")));
    }
    Ok(first)
}

/// The bytes of a settings file, as long as it is one.
fn contents(path: &Path, label: &str) -> Result<Zeroizing<Vec<u8>>> {
    let unreadable =
        |error| refuse(Path::new(label), "the file cannot be read", "let the agent's account read it", error);
    // Asked before opening, because opening a named pipe would wait for a writer.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        let error = Error::new(ErrorKind::Settings, format!("{label}: this is no regular file"));
        return Err(error.with_hint("put a file in its place, or remove it"));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        let error = Error::new(ErrorKind::Settings, format!("{label}: the file is larger than 16 MiB"));
        return Err(error.with_hint("keep nothing but settings in it"));
    }
    Ok(bytes)
}

fn refuse(path: &Path, what: &str, hint: &str, source: std::io::Error) -> Error {
    Error::new(ErrorKind::Settings, format!("{}: {what}", path.display())).with_hint(hint).with_source(source)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn agent(files: &[(&str, &str)]) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        directory
    }

    fn read_now(directory: &Path, environment: &[(OsString, OsString)], warnings: &mut Vec<Warning>) -> Result<Values> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let read = runtime.block_on(read(directory, environment, warnings))?;
        read.problems.into_result().map(|()| read.values)
    }

    fn read_agent(agent: &TempDir, environment: &[(&str, &str)]) -> Result<(Values, Vec<String>)> {
        let environment: Vec<_> = environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let mut warnings = Vec::new();
        let values = read_now(agent.path(), &environment, &mut warnings)?;
        Ok((values, warnings.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn later_sources_win_key_by_key() {
        let all = r#"{ "A": 1, "B": 1, "C": 1, "D": 1, "E": 1, "F": 1 }"#;
        let agent = agent(&[
            ("appsettings.json", all),
            ("appsettings.Production.json", &all.replace(r#""A": 1, "#, "").replace('1', "2")),
            ("appsettings.agent.json", r#"{ "C": 3, "D": 3, "E": 3, "F": 3 }"#),
            ("appsettings.agent.Production.json", r#"{ "D": 4, "E": 4, "F": 4 }"#),
            ("appsettings.agent.Staging.json", r#"{ "A": "of another environment" }"#),
            ("Work/appsettings.connection.json", r#"{ "E": 5, "X": { "Y": 5 } }"#),
            ("unrelated.json", "no JSON"),
        ]);
        let (values, warnings) = read_agent(&agent, &[("X__Y", "6"), ("F", "no setting"), ("HOME", "/")]).unwrap();
        for (key, text) in [("A", "1"), ("B", "2"), ("C", "3"), ("D", "4"), ("E", "5"), ("F", "4"), ("X:Y", "6")] {
            assert_eq!(values.text(key), Some(text), "{key}");
        }
        let origin = |key| values.entry(key).unwrap().origin.to_string();
        assert_eq!(origin("E"), Path::new("Work").join("appsettings.connection.json:1:8").display().to_string());
        assert_eq!(origin("X:Y"), "environment variable X__Y");
        assert!(warnings.is_empty(), "{warnings:?}");
    }

    #[test]
    fn the_environments_overlay_and_file_names_ignore_case() {
        let agent = agent(&[
            ("AppSettings.JSON", r#"{ "A": 1 }"#),
            ("appsettings.Agent.staging.json", r#"{ "A": 2 }"#),
            ("appsettings.agent.Production.json", r#"{ "A": 3 }"#),
        ]);
        for (environment, text) in [
            (&[] as &[_], "3"),
            (&[("ASPNETCORE_ENVIRONMENT", " ")], "3"),
            (&[("AspNetCore_Environment", "Staging")], "2"),
        ] {
            assert_eq!(read_agent(&agent, environment).unwrap().0.text("a"), Some(text), "{environment:?}");
        }
    }

    #[test]
    fn variables_address_elements_of_arrays() {
        let agent =
            agent(&[("appsettings.agent.json", r#"{ "Connections": { "Okta": { "Tables": ["a", "b", "c"] } } }"#)]);
        let environment = [("Connections__Okta__Tables__1", "B"), ("CONNECTIONS__OKTA__TABLES__3", "d")];
        let (values, _) = read_agent(&agent, &environment).unwrap();
        let tables: Vec<_> = (0..5).map(|index| values.text(&format!("Connections:Okta:Tables:{index}"))).collect();
        assert_eq!(tables, [Some("a"), Some("B"), Some("c"), Some("d"), None]);
    }

    #[test]
    fn variables_that_differ_in_case_alone_are_reported() {
        let environment = [("a__b", "1"), ("A__B", "2"), ("http_proxy", "1"), ("HTTP_PROXY", "2")];
        let (values, warnings) = read_agent(&agent(&[]), &environment).unwrap();
        assert_eq!(values.text("a:b"), Some("1"));
        assert_eq!(
            warnings,
            ["environment variable a__b: the same setting as environment variable A__B; this value is used"]
        );
    }

    #[test]
    fn the_work_folder_may_be_moved() {
        let agent = agent(&[
            ("appsettings.json", r#"{ "WorkFolderPath": "one\\Work" }"#),
            ("one/Work/appsettings.connection.json", r#"{ "A": 1 }"#),
            ("two/appsettings.connection.json", r#"{ "A": 2 }"#),
        ]);
        assert_eq!(read_agent(&agent, &[]).unwrap().0.text("A"), Some("1"));
        assert_eq!(read_agent(&agent, &[("WORKFOLDERPATH", "two")]).unwrap().0.text("A"), Some("2"));
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        let agent = agent(&[("appsettings.json", "\u{FEFF}{ \"A\": 1 }")]);
        assert_eq!(read_agent(&agent, &[]).unwrap().0.text("A"), Some("1"));
    }

    #[test]
    fn of_two_spellings_the_exact_one_is_read() {
        let agent = agent(&[("APPSETTINGS.json", r#"{ "A": 1 }"#), ("appsettings.json", r#"{ "A": 2 }"#)]);
        if fs::read_dir(agent.path()).unwrap().count() < 2 {
            return; // A file system that ignores case.
        }
        let (values, warnings) = read_agent(&agent, &[]).unwrap();
        assert_eq!(values.text("A"), Some("2"));
        assert!(warnings.len() == 1 && warnings[0].contains("APPSETTINGS.json: the file is ignored"), "{warnings:?}");
    }

    #[test]
    fn files_that_are_none_are_refused_by_name() {
        let folder = agent(&[("appsettings.json/x", "")]);
        let error = read_agent(&folder, &[]).unwrap_err();
        assert_eq!(error.to_string(), "appsettings.json: this is no regular file");

        let large = agent(&[("appsettings.agent.json", "")]);
        let path = large.path().join("appsettings.agent.json");
        File::options().write(true).open(path).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
        let error = read_agent(&large, &[]).unwrap_err();
        assert_eq!(error.to_string(), "appsettings.agent.json: the file is larger than 16 MiB");

        let latin = agent(&[]);
        fs::write(latin.path().join("appsettings.json"), b"{\n\"A\": \"\xFC\" }").unwrap();
        let error = read_agent(&latin, &[]).unwrap_err();
        assert_eq!(error.to_string(), "appsettings.json:2:7: the file is not UTF-8 from here on");

        let gone = agent(&[]);
        let error = read_now(&gone.path().join("gone"), &[], &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("gone") && error.hint().unwrap().contains("agent-host init"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn what_unix_alone_can_get_wrong_is_refused_by_name() {
        use std::os::unix::{ffi::OsStringExt, fs::symlink};

        let dangling = agent(&[]);
        symlink("nowhere", dangling.path().join("appsettings.json")).unwrap();
        let error = read_agent(&dangling, &[]).unwrap_err();
        assert_eq!(error.to_string(), "appsettings.json: the file cannot be read");

        let drive = agent(&[("appsettings.json", "{\n\"WorkFolderPath\": \"C:/Work\" }")]);
        let error = read_agent(&drive, &[]).unwrap_err();
        assert!(error.to_string().starts_with("appsettings.json:2:19: `WorkFolderPath` names a drive"), "{error}");

        let variables = [("A__B".into(), OsString::from_vec(vec![0xFC])), ("C".into(), OsString::from_vec(vec![0xFC]))];
        let error = read_now(agent(&[]).path(), &variables, &mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "environment variable A__B: the value is not UTF-8");
    }
}
