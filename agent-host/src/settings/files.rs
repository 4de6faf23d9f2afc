//! Which sources the settings come from, and in which order: a later one wins, key by key.
//!
//! The files of the agent directory with their overlays for the environment, the file that the dashboard writes into
//! the work folder, then environment variables (`Connections__OktaExportFulfillment__ApiKey`). File names ignore
//! case. Every file may be absent. Source: the vendor's pages on the agent's configuration.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{ErrorKind as IoErrorKind, Read},
    path::{MAIN_SEPARATOR, Path, PathBuf},
};

use connector_api::{Error, ErrorKind, Result};

use super::{
    Warning, json,
    values::{Origin, Values},
};

/// Far above what people write; below it a wrong file cannot fill the memory.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// The settings that stand in no section, so that their variables have no `__` to be known by.
const TOP_LEVEL: [&str; 2] = ["TempFolderPath", "WorkFolderPath"];

/// Reads all sources of the agent directory.
pub(super) fn read(
    directory: &Path,
    environment: &[(OsString, OsString)],
    warnings: &mut Vec<Warning>,
) -> Result<Values> {
    if !directory.is_dir() {
        let hint = "run `agent-host init` with this name, or name another with --directory";
        let what = format!("there is no agent directory `{}`", directory.display());
        return Err(Error::new(ErrorKind::Settings, what).with_hint(hint));
    }
    let stage = stage(environment);
    let variables = variables(environment, warnings)?;

    let mut values = Values::default();
    values.merge(file(directory, directory, "appsettings.json", warnings)?);
    values.merge(file(directory, directory, &format!("appsettings.{stage}.json"), warnings)?);
    values.merge(file(directory, directory, "appsettings.agent.json", warnings)?);
    values.merge(file(directory, directory, &format!("appsettings.agent.{stage}.json"), warnings)?);
    // Variables come twice: they may move the work folder, and they win over the file in it.
    values.merge(variables.clone());
    values.merge(file(directory, &work_folder(directory, &values)?, "appsettings.connection.json", warnings)?);
    values.merge(variables);
    Ok(values)
}

/// The folder that may be deleted at any time: exports and logs of jobs.
pub(super) fn temp_folder(directory: &Path, values: &Values) -> Result<PathBuf> {
    folder(directory, values, "TempFolderPath", "Temp")
}

/// The folder that must be kept: orders, the store and what was typed in the dashboard.
pub(super) fn work_folder(directory: &Path, values: &Values) -> Result<PathBuf> {
    folder(directory, values, "WorkFolderPath", "Work")
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
fn variables(environment: &[(OsString, OsString)], warnings: &mut Vec<Warning>) -> Result<Values> {
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
            return Err(error.with_hint("set it to UTF-8 text, or unset it"));
        };
        if let Some(former) = values.set(&name.replace("__", ":"), Some(value.into()), origin.clone()) {
            warnings.push(Warning(format!("{origin}: the same setting as {former}; this value is used")));
        }
    }
    Ok(values)
}

/// The settings in the file of this name in `folder`; none where there is no such file.
fn file(directory: &Path, folder: &Path, name: &str, warnings: &mut Vec<Warning>) -> Result<Values> {
    let Some(path) = find(folder, name, warnings)? else { return Ok(Values::default()) };
    let label = path.strip_prefix(directory).unwrap_or(&path).display().to_string();
    let bytes = contents(&path, &label)?;
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    let text = str::from_utf8(bytes).map_err(|error| {
        let valid = error.valid_up_to();
        let before = String::from_utf8_lossy(&bytes[..valid]);
        json::refuse(&label, &before, valid, "the file is not UTF-8 from here on", "save it as UTF-8")
    })?;
    json::parse(&label, text, warnings)
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
fn contents(path: &Path, label: &str) -> Result<Vec<u8>> {
    let unreadable =
        |error| refuse(Path::new(label), "the file cannot be read", "let the agent's account read it", error);
    // Asked before opening, because opening a named pipe would wait for a writer.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        let error = Error::new(ErrorKind::Settings, format!("{label}: this is no regular file"));
        return Err(error.with_hint("put a file in its place, or remove it"));
    }
    let mut bytes = Vec::new();
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
