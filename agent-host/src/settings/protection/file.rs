//! Whole settings files protected, opened or changed to another key, value by value and in place.
//!
//! Only values change: order, spelling and, but for a file that is being protected, comments stay. A comment of a
//! plain file may hold what a value held before, so it does not go along. Files are replaced in one go.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use connector_api::{Error, ErrorKind, Problems, Result};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use tempfile::NamedTempFile;

use super::{
    super::{
        files,
        json::{self, Leaf},
        unusable::Unusable,
    },
    Keyring, foreign, is_sealed, keys,
    sealed::{self, Sealer},
};

/// A settings file as text, and how it is named in messages.
pub(crate) struct SettingsFile {
    name: String,
    text: Zeroizing<String>,
    has_protected_alone: bool,
}

impl SettingsFile {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = files::text(path, &name)?;
        let has_protected_alone = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().split('.').any(|part| part.eq_ignore_ascii_case("encrypted")));
        Ok(Self { name, text, has_protected_alone })
    }

    /// The same tree with every value protected, each for its own key. Null stays, for it says nothing.
    pub(crate) fn protect(&self, sealer: &Sealer) -> Result<Zeroizing<String>> {
        let protected = self.rewrite(|leaf| {
            let text = leaf.text.expose_secret();
            if is_sealed(text) || foreign::is_foreign(text) {
                return Err(Unusable::new("is protected already", "start from a file in which nothing is protected"));
            }
            Ok((!leaf.is_null).then(|| sealer.seal(&leaf.text, Some(&leaf.key)).into()))
        })?;
        Ok(json::without_comments(&protected))
    }

    /// The same text with every protected value opened, and how many there were.
    pub(crate) fn unprotect(&self, keyring: &Keyring) -> Result<(Zeroizing<String>, usize)> {
        let mut count = 0;
        let text = self.rewrite(|leaf| {
            let opened = self.open(leaf, keyring)?;
            count += usize::from(opened.is_some());
            Ok(opened)
        })?;
        Ok((text, count))
    }

    /// The same text with every protected value protected by `sealer` instead, and how many there were. The password of
    /// the certificate's file stays with its key: by a certificate nobody could open it, not even to begin again.
    pub(crate) fn rotate(&self, keyring: &Keyring, sealer: &Sealer) -> Result<(Zeroizing<String>, usize)> {
        let mut count = 0;
        let text = self.rewrite(|leaf| {
            let value = leaf.text.expose_secret().trim();
            if sealer.is_by_certificate() && keys::is_password(&leaf.key) && sealed::is_by_shared_key(value) {
                return Ok(None);
            }
            let Some(opened) = self.open(leaf, keyring)? else { return Ok(None) };
            count += 1;
            let path = (!sealed::is_movable(value)).then_some(leaf.key.as_str());
            Ok(Some(sealer.seal(&opened, path).into()))
        })?;
        Ok((text, count))
    }

    /// The value, where it is protected.
    fn open(&self, leaf: &Leaf, keyring: &Keyring) -> Result<Option<SecretString>, Unusable> {
        let text = leaf.text.expose_secret().trim();
        if text.is_empty() || !(self.has_protected_alone || is_sealed(text) || foreign::is_foreign(text)) {
            return Ok(None);
        }
        keyring.open(text, Some(&leaf.key)).map(Some)
    }

    /// Replaces the values for which `change` has another; all that it refuses is told together.
    fn rewrite(
        &self,
        mut change: impl FnMut(&Leaf) -> Result<Option<SecretString>, Unusable>,
    ) -> Result<Zeroizing<String>> {
        let leaves = json::leaves(&self.name, &self.text)?;
        let mut problems = Problems::default();
        let mut text = Zeroizing::new(String::with_capacity(self.text.len()));
        let mut done = 0;
        for leaf in &leaves {
            match change(leaf) {
                Ok(None) => {}
                Ok(Some(value)) => {
                    text.push_str(&self.text[done..leaf.range.start]);
                    let quoted = serde_json::to_string(value.expose_secret()).map(Zeroizing::new);
                    text.push_str(&quoted.expect("text can be written as JSON"));
                    done = leaf.range.end;
                }
                Err(problem) => {
                    let what = format!("{}: `{}` {}", leaf.origin, leaf.key, problem.what);
                    problems.push(Error::new(ErrorKind::Settings, what).with_hint(problem.hint));
                }
            }
        }
        text.push_str(&self.text[done..]);
        problems.into_result().map(|()| text)
    }
}

/// Prepares a file that nobody else can read, beside the one whose place it will take.
pub(crate) fn stage(path: &Path, contents: &[u8]) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// The same for a file that is there: its owner stays, and so do the rights of its owner's group, or else a service might
/// no longer read it. Rights of everybody do not.
pub(crate) fn stage_over(path: &Path, contents: &[u8]) -> io::Result<NamedTempFile> {
    let file = stage(path, contents)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
        let former = fs::metadata(path)?;
        let mode = former.mode() & 0o777;
        // Who may not give files away keeps the file.
        let is_given = fchown(file.as_file(), Some(former.uid()), Some(former.gid())).is_ok();
        if is_given && mode & 0o007 == 0 {
            file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        }
    }
    Ok(file)
}

/// Puts a staged file in place, in one go.
pub(crate) fn publish(file: NamedTempFile, path: &Path, replace: bool) -> io::Result<()> {
    if replace {
        file.persist(path)?;
    } else {
        file.persist_noclobber(path)?;
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match fs::File::open(folder).and_then(|folder| folder.sync_all()) {
        // Elsewhere, and on some network file systems, a folder cannot be synced and its names need no help.
        Err(_) | Ok(()) => Ok(()),
    }
}
