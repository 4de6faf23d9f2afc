//! Where the keys of protected values come from, as the plain settings and the environment say it.
//!
//! A certificate by `EncryptionCertificate`; else, or beside it, 32 bytes: from the variable `ProtectionKey__Value`,
//! the file that `ProtectionKey:File` names, or the systemd credential `protection-key`. The certificate's password
//! may itself be protected with such a key. Source: the vendor's page on the agent's settings.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use connector_api::{Error, ErrorKind, Problems, Result};
use secrecy::{ExposeSecret, SecretString};

use super::{
    super::{
        Warning,
        certificate::{Certificate, KeyFile},
        named_file,
        unusable::Unusable,
        values::{Origin, Values},
    },
    Keyring, foreign,
    key::Key,
};

/// The section of the certificate.
pub(crate) const SECTION: &str = "EncryptionCertificate";
/// The systemd credential that holds a key.
pub(crate) const CREDENTIAL: &str = "protection-key";

/// Keys of the section that name a certificate in a store.
const STORE: [&str; 5] = ["Thumbprint", "DistinguishedName", "StoreLocation", "StoreName", "CertificateAzureKeyVault"];

/// The settings that hold the password of the certificate's file.
const PASSWORDS: [&str; 2] = ["EncryptionCertificate:Password", "EncryptionCertificate:X509KeyFilePassword"];

/// Whether a setting holds the certificate's password, which the certificate cannot open.
pub(crate) fn is_password(key: &str) -> bool {
    PASSWORDS.iter().any(|password| password.eq_ignore_ascii_case(key))
}

/// Reads every key that the settings name, and takes in one `also`. `credentials` is the folder in which systemd lays
/// credentials.
pub(in super::super) fn read(
    directory: &Path,
    values: &Values,
    credentials: Option<&Path>,
    also: Option<Key>,
    warnings: &mut Vec<Warning>,
) -> Result<Keyring> {
    let mut problems = Problems::default();
    let shared = problems.note(read_shared(directory, values, credentials, warnings));
    if shared.is_none() && has_sealed_password(values) {
        problems.into_result()?;
        return Ok(Keyring::default());
    }
    // One more may be what the certificate's password is protected with by now.
    let keyring = Keyring::new(shared.into_iter().flatten().chain(also).collect());
    let certificate = problems.note(certificate(directory, values, &keyring, warnings)).flatten();
    problems.into_result().map(|()| match certificate {
        Some(certificate) => keyring.with_first(Key::Certificate(Box::new(certificate.key))),
        None => keyring,
    })
}

/// Reads the keys that are no certificate's.
pub(in super::super) fn read_shared(
    directory: &Path,
    values: &Values,
    credentials: Option<&Path>,
    warnings: &mut Vec<Warning>,
) -> Result<Vec<Key>> {
    let mut problems = Problems::default();
    let found = [variable(values), file(directory, values, warnings), credential(credentials)];
    let keys = found.into_iter().filter_map(|key| problems.note(key).flatten()).collect();
    problems.into_result().map(|()| keys)
}

/// The key in a file that somebody names: a certificate with its private key, or 32 bytes.
pub(crate) fn read_file(path: &Path, password: impl FnOnce() -> std::io::Result<SecretString>) -> Result<Key> {
    let named = |problem: Unusable| {
        Error::new(ErrorKind::Settings, format!("`{}` {}", path.display(), problem.what)).with_hint(problem.hint)
    };
    let contents = named_file::contents(path).map_err(named)?;
    if let Some(key) = Key::shared(&contents) {
        return Ok(key);
    }
    let file = KeyFile::read(&contents, None, "", false).or_else(|first| {
        let password =
            password().map_err(|error| Unusable::new("needs a password, which cannot be asked for", error))?;
        if password.expose_secret().is_empty() {
            Err(first)
        } else {
            KeyFile::read(&contents, None, password.expose_secret(), false)
        }
    });
    let certificate = file.and_then(|file| file.certificate()).map_err(named)?;
    Ok(Key::Certificate(Box::new(certificate.key)))
}

/// The key that a variable holds.
fn variable(values: &Values) -> Result<Option<Key>> {
    const KEY: &str = "ProtectionKey:Value";
    let Some((entry, text)) = values.entry(KEY).zip(values.text(KEY)) else { return Ok(None) };
    if !matches!(entry.origin, Origin::Variable(_)) {
        let hint = "set it by the variable `ProtectionKey__Value`, or name a file by `ProtectionKey:File`";
        return Err(entry.error("is a key in a file, beside what it protects").with_hint(hint));
    }
    Key::shared(text.as_bytes()).map(Some).ok_or_else(|| no_key(&entry.origin.to_string()))
}

/// The key in the file that the settings name.
fn file(directory: &Path, values: &Values, warnings: &mut Vec<Warning>) -> Result<Option<Key>> {
    const KEY: &str = "ProtectionKey:File";
    let Some(contents) = named_file::read(directory, values, KEY)? else { return Ok(None) };
    warn_if_open(directory, values, KEY, warnings);
    let problem = || named_file::unusable(values, KEY, Unusable::new("holds no key", KEY_FORM));
    Key::shared(&contents).map(Some).ok_or_else(problem)
}

/// The key that systemd passes on.
fn credential(credentials: Option<&Path>) -> Result<Option<Key>> {
    let path = credentials.map(|folder| folder.join(CREDENTIAL));
    let Some(path) = path.filter(|path| path.exists()) else { return Ok(None) };
    let name = format!("systemd credential `{CREDENTIAL}`");
    let contents = named_file::contents(&path).map_err(|problem| {
        Error::new(ErrorKind::Settings, format!("{name} {}", problem.what)).with_hint(problem.hint)
    })?;
    Key::shared(&contents).map(Some).ok_or_else(|| no_key(&name))
}

/// Warns of a key that lies open: who has it can open everything.
fn warn_if_open(directory: &Path, values: &Values, key: &str, warnings: &mut Vec<Warning>) {
    let Some((entry, name)) = values.entry(key).zip(values.text(key)) else { return };
    if named_file::is_open_to_all(&named_file::at(directory, name)) {
        let place = &entry.origin;
        warnings.push(Warning(format!(
            "{place}: `{key}` names a key that everybody on this machine can read; take that right away (`chmod 600`)"
        )));
    }
}

const KEY_FORM: &str = "put 32 random bytes there, as they are or as base64 (`agent-host protect new-key` makes them)";

fn no_key(name: &str) -> Error {
    Error::new(ErrorKind::Settings, format!("{name} holds no key")).with_hint(KEY_FORM)
}

/// The certificate of the section; none where it names none.
fn certificate(
    directory: &Path,
    values: &Values,
    shared: &Keyring,
    warnings: &mut Vec<Warning>,
) -> Result<Option<Certificate>> {
    let key = |name: &str| format!("{SECTION}:{name}");
    let file_key = key("File");
    let Some(file) = named_file::read(directory, values, &file_key)? else {
        let Some(store) = STORE.iter().map(|name| key(name)).find(|key| values.text(key).is_some()) else {
            return Ok(None);
        };
        let error = values.error(&store, "names a certificate in a store, which this version cannot read");
        return Err(error.with_hint(format!(
            "export the certificate with its private key into a PFX file and name it by `{file_key}`"
        )));
    };
    let key_file_key = key("KeyFile");
    let key_file = named_file::read(directory, values, &key_file_key)?;
    let password = password(values, shared)?;
    // In PEM, and in a PFX file without a password, the key itself stands in the clear.
    if password.expose_secret().is_empty() {
        warn_if_open(directory, values, if key_file.is_some() { &key_file_key } else { &file_key }, warnings);
    }
    let without_mac = values.flag(&key("AllowNoMac"))?;
    let read =
        KeyFile::read(&file, key_file.as_ref().map(|file| file.as_slice()), password.expose_secret(), without_mac);
    let certificate = read.and_then(|file| file.certificate());
    let certificate = certificate.map_err(|problem| named_file::unusable(values, &file_key, problem))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let place = values.entry(&file_key).map_or_else(String::new, |entry| entry.origin.to_string());
    for doubt in certificate.doubts(i64::try_from(now).unwrap_or(i64::MAX)) {
        warnings.push(Warning(format!("{place}: `{file_key}`: {doubt}")));
    }
    Ok(Some(certificate))
}

fn has_sealed_password(values: &Values) -> bool {
    PASSWORDS.iter().filter_map(|key| values.text(key)).any(super::is_sealed)
}

/// The password of the certificate's file; empty where there is none.
fn password(values: &Values, shared: &Keyring) -> Result<SecretString> {
    let Some(entry) = PASSWORDS.iter().filter_map(|key| values.entry(key)).find(|entry| entry.text.is_some()) else {
        return Ok(SecretString::default());
    };
    let text = entry.text.clone().unwrap_or_default();
    if super::is_sealed(text.expose_secret().trim()) {
        let opened = shared.open(text.expose_secret(), Some(&entry.key));
        return opened.map_err(|problem| entry.error(problem.what).with_hint(problem.hint));
    }
    if foreign::is_vendor_password(text.expose_secret().trim()) {
        let error = entry.error("is protected with a key of the vendor's, which opens in the vendor's product alone");
        return Err(error.with_hint(format!(
            "give the password by the variable `{SECTION}__Password`, or protect it with a key \
             (`agent-host protect new-key`, then `protect value --path {}`)",
            entry.key
        )));
    }
    Ok(text)
}
