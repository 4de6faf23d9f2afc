//! Every secret that a test hands out, and the search for it in everything that the product leaves.
//!
//! Whoever makes an agent or gives it a password or a key has it watched; each run's output is searched when it ends, and
//! the agent's folder, its store included, when the test does. Signed tokens (JWT: access tokens, assertions, proofs) are
//! found by their look. What a test itself wrote is left out while it is as it was written, and what `unprotect` and
//! `--show` print, for that is what they are asked for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use aho_corasick::AhoCorasick;

/// Shorter ones stand in any text.
const MIN_BYTES: usize = 6;

/// What stands before a password in mails, in each language.
const PASSWORD_LABELS: [&str; 2] = ["Password:", "Mot de passe :"];
/// What stands before the token of a link.
const LINK: &str = "?activationCode=";

static WATCHED: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// From now on nothing may show this; of a key in PEM, none of its lines.
pub fn watch(secret: &str) {
    let lines = secret.lines().map(str::trim).filter(|line| line.len() >= MIN_BYTES && !line.starts_with("-----"));
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner).extend(lines.map(str::to_owned));
}

/// From now on nothing may show the password or the link that this text of a mail tells.
pub fn watch_mail(text: &str) {
    for line in text.lines() {
        let told = PASSWORD_LABELS.iter().find_map(|label| line.strip_prefix(label));
        told.map(|told| told.trim_start_matches([' ', ':']).trim()).into_iter().for_each(watch);
        // Of a link, its signature: the rest is no secret.
        line.split_once(LINK).and_then(|(_, token)| token.rsplit('.').next()).into_iter().for_each(watch);
    }
}

/// The same for every mail in a pickup folder.
pub(crate) fn watch_mails_below(folder: &Path) {
    for path in files_below(folder).into_iter().filter(|path| path.extension().is_some_and(|it| it == "eml")) {
        watch_mail(&plain(&fs::read(path).unwrap_or_default()));
    }
}

/// A mail's text without its transfer encoding, quoted-printable (RFC 2045).
fn plain(mail: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(mail.len());
    let mut rest = mail;
    while let Some((first, others)) = rest.split_first() {
        let hex = std::str::from_utf8(others.get(..2).unwrap_or_default()).ok();
        rest = match (first, hex) {
            (b'=', Some("\r\n")) => &others[2..],
            (b'=', Some(hex)) if u8::from_str_radix(hex, 16).is_ok() => {
                bytes.extend(u8::from_str_radix(hex, 16));
                &others[2..]
            }
            _ => {
                bytes.push(*first);
                others
            }
        };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Fails where the bytes show a secret.
#[track_caller]
pub(crate) fn assert_unseen(what: &str, bytes: &[u8]) {
    let found = found(bytes);
    assert!(found.is_none(), "{what} shows the secret `{}`", found.unwrap_or_default());
}

/// Fails where a file below shows a secret, but for those that are as the test wrote them, and for mails in a pickup
/// folder, which tell a password to whom it is for.
pub fn assert_folder_unseen(folder: &Path, written: &BTreeMap<PathBuf, String>) {
    for path in files_below(folder).into_iter().filter(|path| path.extension().is_none_or(|it| it != "eml")) {
        match fs::read(&path) {
            Ok(bytes) if written.get(&path).is_none_or(|text| text.as_bytes() != bytes) => {
                assert_unseen(&path.display().to_string(), &bytes);
            }
            _ => {}
        }
    }
}

fn found(bytes: &[u8]) -> Option<String> {
    let watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
    // All at once: tests that share a process watch hundreds of them.
    let finder = AhoCorasick::new(&*watched).expect("secrets are short");
    let known = finder.find(bytes).and_then(|at| watched.iter().nth(at.pattern().as_usize()));
    known.cloned().or_else(|| signed_token(bytes))
}

/// What looks like a JWT: each begins with `{"` in base64url, and has a dot before its claims, which begin so too.
fn signed_token(bytes: &[u8]) -> Option<String> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let finder = AhoCorasick::new(["eyJ"]).expect("it is short");
    let starts = finder.find_iter(bytes).map(|at| at.start());
    let mut tokens = starts.filter_map(|start| {
        let header = bytes[start..].iter().take_while(|byte| is_part(byte)).count();
        let token = &bytes[start..(start + header + 4).min(bytes.len())];
        token.ends_with(b".eyJ").then(|| String::from_utf8_lossy(token).into_owned())
    });
    tokens.next()
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() && !path.is_symlink() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn a_secret_is_found_in_texts_and_files() {
    watch_mail(&plain(b"Mot de passe : 00to=\r\nld=21\r\nhttps://x/?activationCode=a.b.00signature\r\n"));
    assert_eq!(found(b"a 00told! b"), Some("00told!".to_owned()));
    assert_eq!(found(b"a 00signature b"), Some("00signature".to_owned()));
    watch("00watched");
    watch("x");
    assert_eq!(found(b"a 00watched b"), Some("00watched".to_owned()));
    assert_eq!(found(b"a x b"), None);
    watch("-----BEGIN PRIVATE KEY-----\n00lineOfAKey\n-----END PRIVATE KEY-----\n");
    assert_eq!(found(b"..00lineOfAKey.."), Some("00lineOfAKey".to_owned()));
    assert_eq!(found(b"Bearer eyJhbGci.eyJzdWIi.x"), Some("eyJhbGci.eyJ".to_owned()));
    assert_eq!(found(b"eyJhbGci, keyJar.csv"), None);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("a").join("b");
    fs::create_dir(path.parent().expect("a folder")).expect("it can be made");
    fs::write(&path, "..00watched..").expect("it can be written");
    let fails = |written| std::panic::catch_unwind(|| assert_folder_unseen(folder.path(), &written)).is_err();
    assert!(fails(BTreeMap::new()));
    assert!(!fails(BTreeMap::from([(path.clone(), "..00watched..".to_owned())])));
    assert!(fails(BTreeMap::from([(path, "what was there before".to_owned())])));
}
