//! Protected values: a keyring that opens them, and the walk through settings that does so.
//!
//! The format of ours is in `sealed`, those of others in `foreign`, where keys come from in `keys`. A value that
//! cannot be opened is named with its place and key, and never shown.

pub(crate) mod key;
pub(crate) mod sealed;
mod foreign;
pub(crate) mod file;
pub(crate) mod keys;
pub(super) mod opening;

use std::{cell::RefCell, collections::HashMap};

use secrecy::SecretString;

use super::unusable::Unusable;
use foreign::Foreign;
use key::{Bytes32, Key};
use sealed::{Sealed, damaged};

/// All keys of an agent. Values are protected with the first.
#[derive(Default)]
pub(crate) struct Keyring {
    keys: Vec<Key>,
    /// Data keys by what they were wrapped in: unwrapping is what takes long, and values of one file share a key.
    unwrapped: RefCell<HashMap<Vec<u8>, Bytes32>>,
}

/// Whether a value says of itself that it is protected in a format of ours, whatever the version.
pub(crate) fn is_sealed(value: &str) -> bool {
    let version = value.strip_prefix("prot").and_then(|rest| rest.split_once(':'));
    version.is_some_and(|(version, _)| !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit()))
}

impl Keyring {
    pub(crate) fn new(keys: Vec<Key>) -> Self {
        Self { keys, unwrapped: RefCell::default() }
    }

    /// The same keyring, with `key` as the one that values are protected with.
    fn with_first(mut self, key: Key) -> Self {
        self.keys.insert(0, key);
        self
    }

    /// The key that values are protected with.
    pub(crate) fn first(&self) -> Result<&Key, Unusable> {
        self.keys.first().ok_or_else(no_key)
    }

    /// Opens a value that was protected by any tool that is known; `path` is the full key of its setting.
    pub(crate) fn open(&self, value: &str, path: Option<&str>) -> Result<SecretString, Unusable> {
        let value = value.trim();
        if is_sealed(value) {
            return self.open_sealed(value, path);
        }
        let foreign = Foreign::parse(value)?.ok_or_else(not_protected)?;
        let mut rsa = self.keys.iter().filter_map(|key| match key {
            Key::Certificate(rsa) => Some(rsa),
            Key::Shared(_) => None,
        });
        let mut outcome = Err(no_certificate());
        while let Some(key) = rsa.next().filter(|_| outcome.is_err()) {
            outcome = foreign.open(key);
        }
        outcome
    }

    /// What is wrong with a value, as far as that shows without a key.
    pub(crate) fn recognise(value: &str) -> Result<(), Unusable> {
        let value = value.trim();
        if is_sealed(value) {
            return Sealed::parse(value).map(drop);
        }
        Foreign::parse(value)?.map(drop).ok_or_else(not_protected)
    }

    fn open_sealed(&self, value: &str, path: Option<&str>) -> Result<SecretString, Unusable> {
        let sealed = Sealed::parse(value)?;
        if self.keys.is_empty() {
            return Err(no_key());
        }
        let Some(key) = self.keys.iter().find(|key| sealed.is_for(key)) else {
            return Err(Unusable::new(
                "was protected with another certificate or key",
                "configure the one it was made with, or protect the value anew",
            ));
        };
        let mut unwrapped = self.unwrapped.borrow_mut();
        if !unwrapped.contains_key(sealed.wrapped()) {
            let data_key = key.unwrap(sealed.wrapped()).ok_or_else(damaged)?;
            unwrapped.insert(sealed.wrapped().to_vec(), data_key);
        }
        sealed.open(&unwrapped[sealed.wrapped()], path)
    }
}

fn not_protected() -> Unusable {
    Unusable::new(
        "is not protected, but stands where every value is",
        "protect it with `agent-host protect value`, or move it to the file without `encrypted` in its name",
    )
}

fn no_certificate() -> Unusable {
    Unusable::new(
        "needs a certificate, for another tool protected it with one, and none is configured",
        "set `EncryptionCertificate:File` and its `Password`, or protect the value anew with `agent-host protect value`",
    )
}

fn no_key() -> Unusable {
    Unusable::new(
        "needs a certificate or a key, and none is configured",
        "set `EncryptionCertificate:File` and its `Password`, or `ProtectionKey:File` \
         (`agent-host protect new-certificate` or `protect new-key` makes one)",
    )
}

#[cfg(test)]
mod tests;
