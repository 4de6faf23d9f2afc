//! Settings typed in the dashboard: `appsettings.connection.json` in the work folder, which wins over every other file.
//!
//! Secrets are protected where the agent has a key; the file is for its owner's eyes alone in any case. It is written
//! beside its place and moved there whole, one writer at a time; what others wrote into it stays.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use connector_api::{ConnectionId, Error, ErrorKind, Result};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use super::{json, keyring, protection::sealed::Sealer, secrets};
use crate::disk::{self, Lock};

const FILE: &str = "appsettings.connection.json";

/// A setting that is to be written, or taken back where there is no value.
pub(crate) type Change = (String, Option<SecretString>);

/// The keys that the file sets for a connection, as they are spelt there.
///
/// # Errors
/// Of kind `Settings` where the file cannot be read or understood.
pub(crate) fn keys(work_folder: &Path, connection: &ConnectionId) -> Result<Vec<String>> {
    let section = format!("connections:{connection}:").to_lowercase();
    let keys = read(&path(work_folder))?.into_iter().map(|(key, _)| key);
    Ok(keys.filter(|key| key.to_lowercase().starts_with(&section)).map(|key| key[section.len()..].to_owned()).collect())
}

/// Whether secrets that are typed are protected: the agent has a key to do so.
pub(crate) fn protects(directory: &Path, environment: impl IntoIterator<Item = (OsString, OsString)>) -> bool {
    keyring(directory, environment, None).is_ok_and(|(keyring, _)| keyring.first().is_ok())
}

/// Writes settings of a connection. Whether secrets are protected: false where the agent has no key to do so.
///
/// # Errors
/// Of kind `Settings` where the file or a key cannot be read; of kind `Unavailable` where the disk refuses.
pub(crate) fn write(
    directory: &Path,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    work_folder: &Path,
    connection: &ConnectionId,
    changes: &[Change],
) -> Result<bool> {
    let path = path(work_folder);
    let refused = |error: io::Error| {
        let message = format!("cannot write `{}`", path.display());
        Error::new(ErrorKind::Unavailable, message).with_hint("let the agent's account write there").with_source(error)
    };
    let (keyring, _) = keyring(directory, environment, None)?;
    let sealer = keyring.first().ok().map(Sealer::new);
    fs::create_dir_all(work_folder).map_err(refused)?;
    let _turn = Lock::wait(&work_folder.join(".appsettings.connection.lock")).map_err(refused)?;
    let mut entries = read(&path)?;
    for (key, value) in changes {
        let key = format!("Connections:{connection}:{key}");
        entries.retain(|(known, _)| !known.eq_ignore_ascii_case(&key));
        let Some(value) = value else { continue };
        let value = match &sealer {
            Some(sealer) if secrets::names_secret(&key) => sealer.seal(value, Some(&key)).into(),
            _ => value.clone(),
        };
        entries.push((key, value));
    }
    let making = work_folder.join(format!(".{FILE}.new"));
    let written = disk::create_private(&making).and_then(|mut file| {
        io::Write::write_all(&mut file, text_of(&entries).as_bytes())?;
        file.sync_all()
    });
    written.and_then(|()| disk::put_in_place(&making, &path)).map_err(refused)?;
    Ok(sealer.is_some())
}

fn path(work_folder: &Path) -> PathBuf {
    work_folder.join(FILE)
}

/// What the file holds: full keys and values.
fn read(path: &Path) -> Result<Vec<(String, SecretString)>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            let message = format!("cannot read `{}`", path.display());
            return Err(Error::new(ErrorKind::Settings, message).with_source(error));
        }
    };
    let leaves = json::leaves(&path.display().to_string(), &text)?;
    Ok(leaves.into_iter().filter(|leaf| !leaf.is_null).map(|leaf| (leaf.key, leaf.text)).collect())
}

/// The file's text: sections within sections, each member on a line of its own.
fn text_of(entries: &[(String, SecretString)]) -> Zeroizing<String> {
    let entries: Vec<(&str, &SecretString)> = entries.iter().map(|(key, value)| (key.as_str(), value)).collect();
    // Its room is made at once: growing would leave copies behind.
    let room = entries.iter().map(|(key, value)| 4 * (key.len() + value.expose_secret().len()) + 128).sum();
    let mut text = Zeroizing::new(String::with_capacity(room));
    write_section(&entries, 1, &mut text);
    text.push('\n');
    text
}

fn write_section(entries: &[(&str, &SecretString)], depth: usize, text: &mut String) {
    let mut names: Vec<&str> = Vec::new();
    for (key, _) in entries {
        let name = key.split(':').next().unwrap_or(key);
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name);
        }
    }
    text.push('{');
    for (place, name) in names.iter().enumerate() {
        text.push_str(if place == 0 { "\n" } else { ",\n" });
        text.push_str(&"  ".repeat(depth));
        text.push_str(&quoted(name));
        text.push_str(": ");
        let is_it = |key: &str| key.eq_ignore_ascii_case(name);
        let inside: Vec<_> = entries
            .iter()
            .filter_map(|(key, value)| {
                key.split_once(':').filter(|(first, _)| is_it(first)).map(|(_, rest)| (rest, *value))
            })
            .collect();
        match entries.iter().find(|(key, _)| is_it(key)) {
            Some((_, value)) if inside.is_empty() => text.push_str(&quoted(value.expose_secret())),
            _ => write_section(&inside, depth + 1, text),
        }
    }
    text.push('\n');
    text.push_str(&"  ".repeat(depth - 1));
    text.push('}');
}

fn quoted(text: &str) -> Zeroizing<String> {
    Zeroizing::new(serde_json::to_string(text).expect("a text is JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: [(OsString, OsString); 0] = [];

    #[test]
    fn what_was_typed_is_kept_beside_what_others_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let (directory, work) = (folder.path(), folder.path().join("Work"));
        fs::create_dir_all(&work).unwrap();
        let others = "{ // by hand\n \"connections\": { \"okta\": { \"server\": \"a\", \"Max\": 3 } }, \"X\": { \"Y\": [1, 2] }, }";
        fs::write(work.join(FILE), others).unwrap();
        let okta: ConnectionId = "Okta".parse().unwrap();
        let changes = [
            ("Server".to_owned(), Some("https://b \"c\"".into())),
            ("ApiKey".to_owned(), Some("00secret".into())),
            ("max".to_owned(), None),
        ];
        assert!(!write(directory, NOTHING, &work, &okta, &changes).unwrap(), "there is no key to protect it with");
        let entries = read(&work.join(FILE)).unwrap();
        let shown: Vec<String> =
            entries.iter().map(|(key, value)| format!("{key}={}", value.expose_secret())).collect();
        let expected =
            ["X:Y:0=1", "X:Y:1=2", "Connections:Okta:Server=https://b \"c\"", "Connections:Okta:ApiKey=00secret"];
        assert_eq!(shown, expected);
        assert_eq!(keys(&work, &okta).unwrap(), ["Server", "ApiKey"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(work.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::write(work.join(FILE), "{").unwrap();
        write(directory, NOTHING, &work, &okta, &changes).unwrap_err();
        assert_eq!(fs::read_to_string(work.join(FILE)).unwrap(), "{", "nothing is lost");
    }

    #[test]
    fn an_empty_file_is_json_too() {
        assert_eq!(*text_of(&[]), "{\n}\n");
    }
}
