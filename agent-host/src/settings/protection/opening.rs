//! The walk that opens protected values of settings, source by source, and notes every one that cannot be opened.
//!
//! In the encrypted files every value must be protected; elsewhere those are opened that begin as ours do. Keys are
//! read when the first value asks for one, so that a certificate nobody needs cannot stop the agent.

use std::path::{Path, PathBuf};

use connector_api::Problems;
use secrecy::ExposeSecret;

use super::{
    super::{
        Warning, secrets,
        values::{Entry, Values},
    },
    Keyring, foreign, is_sealed, keys,
};
use crate::redaction;

/// Where a whole file is protected, `groups` is protected too; cutting such words out of every message helps nobody.
const MIN_TELLING_BYTES: usize = 8;

/// What has been opened so far, and by which keys.
pub(in super::super) struct Opening<'a> {
    directory: &'a Path,
    /// The plain settings, which name the keys.
    plain: Values,
    credentials: Option<PathBuf>,
    /// None until asked for; then none where reading them failed, which is noted once.
    keyring: Option<Option<Keyring>>,
    /// What is unusable, of these values and whatever else the settings' reader notes.
    pub(in super::super) problems: Problems,
}

impl<'a> Opening<'a> {
    pub(in super::super) fn new(directory: &'a Path, plain: Values, credentials: Option<PathBuf>) -> Self {
        Self { directory, plain, credentials, keyring: None, problems: Problems::default() }
    }

    /// Opens what has to be opened among the values, in place.
    pub(in super::super) fn open(&mut self, values: &mut Values, warnings: &mut Vec<Warning>) {
        for entry in values.entries_mut() {
            let must_be_protected = std::mem::take(&mut entry.must_be_protected);
            let text = entry.text.as_ref().map(|text| text.expose_secret().trim()).unwrap_or_default();
            if is_sealed(text) || must_be_protected && !text.is_empty() {
                self.open_entry(entry, warnings);
            }
        }
    }

    fn open_entry(&mut self, entry: &mut Entry, warnings: &mut Vec<Warning>) {
        let keyring = self.keyring.get_or_insert_with(|| {
            let read = keys::read(self.directory, &self.plain, self.credentials.as_deref(), None, warnings);
            self.problems.note(read)
        });
        // What could not be opened is as if it were absent, so that it is not found fault with again.
        let Some(text) = entry.text.take() else { return };
        let Some(keyring) = keyring else {
            let problem = Keyring::recognise(text.expose_secret()).err();
            self.problems.extend(problem.map(|problem| entry.error(problem.what).with_hint(problem.hint)));
            return;
        };
        match keyring.open(text.expose_secret(), Some(&entry.key)) {
            Ok(opened) => {
                if foreign::is_vendors(text.expose_secret()) {
                    let (place, key) = (&entry.origin, &entry.key);
                    warnings.push(Warning(format!(
                        "{place}: `{key}` was opened in the vendor's format as its samples suggest it, which is \
                         unverified: see that the value works, then protect it with `agent-host protect value`"
                    )));
                }
                if secrets::names_secret(&entry.key) || opened.expose_secret().len() >= MIN_TELLING_BYTES {
                    redaction::remember([&opened]);
                }
                entry.text = Some(opened);
            }
            Err(problem) => self.problems.push(entry.error(problem.what).with_hint(problem.hint)),
        }
    }
}
