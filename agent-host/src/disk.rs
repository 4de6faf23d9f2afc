//! Acts on files that must not be half done: one process at a time, and a file put in place whole.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::Path,
};

/// Held by one process at a time; let go of when it is dropped or its process ends, however that happens.
#[derive(Debug)]
pub(crate) struct Lock(pub(crate) File);

impl Lock {
    /// Waits for the lock whose file this is and takes it. For what takes others a moment.
    pub(crate) fn wait(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.lock() {
            Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
            _ => Ok(Self(file)),
        }
    }

    /// Takes the lock whose file this is; none where another process has it.
    pub(crate) fn take(path: &Path) -> io::Result<Option<Self>> {
        let file = File::options().create(true).truncate(false).write(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            // Some network file systems know no locks; then nobody can tell two processes apart.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a program that is just being started may hold the file open for a moment longer.
        let _ = self.0.unlock();
    }
}

/// A new file that its owner alone may read, in the place of what was there: another's file stays as open as it was, and a
/// link leads elsewhere.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Writes a file and sees it to the disk.
pub(crate) fn write_synced(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Moves a file whose content is on the disk, over what was there, and sees its new name to the disk.
#[expect(clippy::disallowed_methods, reason = "the content is synced by whoever wrote it, the names are synced here")]
pub(crate) fn put_in_place(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    for folder in [to.parent(), from.parent()].into_iter().flatten() {
        sync_names(folder)?;
    }
    Ok(())
}

fn sync_names(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened, and its names need no help.
    if !cfg!(unix) || folder.as_os_str().is_empty() {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        // Some network file systems know no such thing.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    #[cfg(unix)]
    #[test]
    fn a_private_file_is_its_owners_alone_whatever_was_there() {
        use std::os::unix::fs::{PermissionsExt, symlink};

        use super::*;

        let folder = tempfile::tempdir().unwrap();
        let [open, link, other] = ["open", "link", "other"].map(|name| folder.path().join(name));
        fs::write(&open, "anybody's").unwrap();
        fs::write(&other, "another's").unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o666)).unwrap();
        symlink(&other, &link).unwrap();
        for path in [&open, &link] {
            create_private(path).unwrap().write_all(b"secret").unwrap();
            let metadata = fs::symlink_metadata(path).unwrap();
            assert!(metadata.is_file() && metadata.permissions().mode() & 0o777 == 0o600, "{metadata:?}");
        }
        assert_eq!(fs::read_to_string(&other).unwrap(), "another's");
    }
}
