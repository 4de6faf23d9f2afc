//! Every secret that a test hands out, and the search for it in everything that the product leaves.
//!
//! Whoever makes an agent or gives it a password has it watched; each run's output is searched when it ends, and the
//! agent's folder when the test does. What a test itself wrote is left out, and what `unprotect` prints, for that is
//! what it is asked for.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Shorter ones stand in any text.
const MIN_BYTES: usize = 6;

static WATCHED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// From now on nothing may show this.
pub fn watch(secret: &str) {
    if secret.trim().len() >= MIN_BYTES {
        WATCHED.lock().unwrap_or_else(PoisonError::into_inner).insert(secret.trim().to_owned());
    }
}

/// Fails where the bytes show a secret.
#[track_caller]
pub(crate) fn assert_unseen(what: &str, bytes: &[u8]) {
    let found = found(bytes);
    assert!(found.is_none(), "{what} shows the secret `{}`", found.unwrap_or_default());
}

/// Fails where a file below shows a secret, but for those written by the test.
pub(crate) fn assert_folder_unseen(folder: &Path, written: &BTreeSet<PathBuf>) {
    for path in files_below(folder).into_iter().filter(|path| !written.contains(path)) {
        if let Ok(bytes) = fs::read(&path) {
            assert_unseen(&path.display().to_string(), &bytes);
        }
    }
}

fn found(bytes: &[u8]) -> Option<String> {
    let watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    watched.iter().find(|secret| bytes.windows(secret.len()).any(|window| window == secret.as_bytes())).cloned()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() && !path.is_symlink() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn a_secret_is_found_in_texts_and_files() {
    watch("00watched");
    watch("x");
    assert_eq!(found(b"a 00watched b"), Some("00watched".to_owned()));
    assert_eq!(found(b"a x b"), None);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("a").join("b");
    fs::create_dir(path.parent().expect("a folder")).expect("it can be made");
    fs::write(&path, "..00watched..").expect("it can be written");
    assert!(std::panic::catch_unwind(|| assert_folder_unseen(folder.path(), &BTreeSet::new())).is_err());
    assert_folder_unseen(folder.path(), &BTreeSet::from([path]));
}
