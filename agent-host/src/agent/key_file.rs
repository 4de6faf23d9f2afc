//! `PrivateKeyFile` of a connection: the file's text becomes the connection's `PrivateKey`, because connectors read no
//! files. A file that others may read is obeyed with a warning.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    path::{MAIN_SEPARATOR_STR, Path},
};

use connector_api::{ConnectionSettings, Error, Result};
use secrecy::SecretString;
use zeroize::Zeroize;

use crate::redaction;

const FILE: &str = "PrivateKeyFile";
const KEY: &str = "PrivateKey";
/// No key is larger: one of 8192 bits takes 7 KiB.
const MAX_BYTES: u64 = 64 << 10;
/// What is longer is no name, but perhaps a key, and not shown.
const MAX_NAME: usize = 512;

/// The same settings with the key that the file holds; none where no file is named.
///
/// # Errors
/// Of kind `Settings`, naming `PrivateKeyFile`: there is a key beside it, or the file cannot be read or is no text.
pub(super) fn read(directory: &Path, settings: &ConnectionSettings) -> Result<Option<ConnectionSettings>> {
    let Some(name) = settings.text(FILE) else { return Ok(None) };
    if settings.secret(KEY).is_some() {
        return Err(
            Error::setting(FILE, "`PrivateKey` and `PrivateKeyFile` are both given").with_hint("keep one of them")
        );
    }
    if name.contains("-----") || name.starts_with('{') || name.len() > MAX_NAME {
        return Err(Error::setting(FILE, "`PrivateKeyFile` is not the name of a file")
            .with_hint("a key itself belongs into `PrivateKey`"));
    }
    if name.starts_with('<') {
        return Err(Error::setting(FILE, "`PrivateKeyFile` still is the placeholder of the sample")
            .with_hint("name the file that holds the app's private key, relative to the agent directory"));
    }
    let refused = |why: &str, hint: &str| Error::setting(FILE, format!("`{FILE}`: `{name}` {why}")).with_hint(hint);
    let unreadable = |error: io::Error| {
        refused("cannot be read", "name a file that the agent's account may read; relative to the agent directory")
            .with_source(error)
    };
    let file = File::open(directory.join(name.replace('\\', MAIN_SEPARATOR_STR))).map_err(unreadable)?;
    let about = file.metadata().map_err(unreadable)?;
    if !about.is_file() {
        return Err(refused("is no file", "name the file that holds the key"));
    }
    if about.len() > MAX_BYTES {
        return Err(refused("is larger than 64 KiB, which no key is", "name the file that holds the key alone"));
    }
    warn_if_open(settings, name, &about);
    // One byte more than there is, so that the buffer never moves and leaves a copy.
    let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or(0) + 1);
    file.take(about.len()).read_to_end(&mut bytes).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        error.into_bytes().zeroize();
        refused("is no text", "convert it to PEM: openssl pkey -inform DER -in KEY -out key.pem")
    })?;
    let key = SecretString::from(text);
    redaction::remember([&key]);
    let others = settings.keys().filter_map(|key| Some((key, settings.secret(key)?.clone())));
    let others =
        others.fold(ConnectionSettings::new(settings.id().clone()), |settings, (key, value)| settings.with(key, value));
    Ok(Some(others.with(FILE, "").with(KEY, key)))
}

#[cfg(unix)]
fn warn_if_open(settings: &ConnectionSettings, name: &str, about: &Metadata) {
    use std::os::unix::fs::PermissionsExt as _;
    if about.permissions().mode() & 0o004 != 0 {
        let connection = settings.id().as_str();
        tracing::warn!(
            connection.id = connection,
            file = name,
            "everybody on this machine may read this key: chmod 600"
        );
    }
}

#[cfg(not(unix))]
fn warn_if_open(_settings: &ConnectionSettings, _name: &str, _about: &Metadata) {}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn settings(given: &[(&str, &str)]) -> ConnectionSettings {
        let settings = ConnectionSettings::new("Okta".parse().unwrap());
        given.iter().fold(settings, |settings, (key, value)| settings.with(*key, *value))
    }

    #[test]
    fn the_files_text_becomes_the_key() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("keys")).unwrap();
        fs::write(directory.path().join("keys/okta.pem"), "the key").unwrap();
        for name in ["keys/okta.pem", "keys\\okta.pem"] {
            let given = settings(&[("privatekeyfile", name), ("ClientId", "0oa1")]);
            let read = read(directory.path(), &given).unwrap().unwrap();
            assert_eq!((read.text("PrivateKey"), read.text("PrivateKeyFile")), (Some("the key"), None));
            assert_eq!(read.text("ClientId"), Some("0oa1"));
        }
        assert!(read(directory.path(), &settings(&[("PrivateKey", "x")])).unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_no_key_is_shown() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("large"), vec![b'x'; 70_000]).unwrap();
        fs::write(directory.path().join("key.der"), [0x30, 0x82, 0xff]).unwrap();
        fs::write(directory.path().join("key.pem"), "x").unwrap();
        for (given, why) in [
            (&[("PrivateKeyFile", "none.pem")][..], "`none.pem` cannot be read"),
            (&[("PrivateKeyFile", ".")], "`.` is no file"),
            (&[("PrivateKeyFile", "<PrivateKeyFile>")], "placeholder"),
            (&[("PrivateKeyFile", "large")], "64 KiB"),
            (&[("PrivateKeyFile", "key.der")], "is no text"),
            (&[("PrivateKeyFile", "-----BEGIN PRIVATE KEY-----\nsecret")], "not the name of a file"),
            (&[("PrivateKeyFile", "{\"d\":\"secret\"}")], "not the name of a file"),
            (&[("PrivateKeyFile", "key.pem"), ("PrivateKey", "secret")], "`PrivateKey` and `PrivateKeyFile`"),
        ] {
            let error = read(directory.path(), &settings(given)).unwrap_err();
            assert_eq!(error.setting_key(), Some("PrivateKeyFile"), "{error}");
            assert!(error.to_string().contains(why), "{error}");
            assert!(error.hint().is_some() && !format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
}
