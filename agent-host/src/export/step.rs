//! The single changes to files and folders of which a publication consists.
//!
//! A step sees to itself alone: what readers can find is there or not there, never half. Whoever lists the steps sees
//! to their order.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::file_error::FileError;

/// One change to files and folders.
#[derive(Debug)]
pub(super) enum Step {
    /// Makes a folder.
    MakeFolder(PathBuf),
    /// Gives the file `from` a second name; where the file system knows no such links, a copy.
    Carry { from: PathBuf, to: PathBuf },
    /// Writes a file and sees it to the disk.
    Write { path: PathBuf, text: String },
    /// Sees the names in a folder to the disk.
    Sync(PathBuf),
    /// Makes `name` a link to `target` in place of what was there, by way of the name `by`.
    Lead { name: PathBuf, target: PathBuf, by: PathBuf },
    /// Puts a file in place of what was there.
    Move { from: PathBuf, to: PathBuf },
    /// Removes a file, a link or a folder, if it is there.
    Remove(PathBuf),
}

impl Step {
    pub(super) fn run(&self) -> Result<(), FileError> {
        match self {
            Self::MakeFolder(path) => fs::create_dir(path).map_err(|error| FileError::new("make", path, error)),
            Self::Carry { from, to } => carry(from, to).map_err(|error| FileError::new("copy", from, error)),
            Self::Write { path, text } => write(path, text).map_err(|error| FileError::new("write", path, error)),
            Self::Sync(path) => sync(path).map_err(|error| FileError::new("write", path, error)),
            Self::Lead { name, target, by } => {
                lead(name, target, by).map_err(|error| FileError::new("replace", name, error))
            }
            Self::Move { from, to } => rename(from, to).map_err(|error| FileError::new("replace", to, error)),
            Self::Remove(path) => remove(path).map_err(|error| FileError::new("remove", path, error)),
        }
    }
}

/// Whether links can be made in `folder`.
pub(super) fn can_link(folder: &Path) -> bool {
    let probe = folder.join("link");
    let made = remove(&probe).and_then(|()| link(Path::new("nowhere"), &probe));
    made.and_then(|()| remove(&probe)).is_ok()
}

fn carry(from: &Path, to: &Path) -> io::Result<()> {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    fs::copy(from, to)?;
    File::options().write(true).open(to)?.sync_all()
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn sync(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened, and its names need no help.
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        // Some network file systems know no such thing.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        done => done,
    }
}

fn lead(name: &Path, target: &Path, by: &Path) -> io::Result<()> {
    if fs::read_link(name).is_ok_and(|already| already == target) {
        return Ok(());
    }
    remove(by)?;
    link(target, by)?;
    rename(by, name)
}

#[cfg(unix)]
fn link(target: &Path, name: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, name)
}

/// Elsewhere links need rights that an agent seldom has, and none to a folder can be replaced in one go.
#[cfg(not(unix))]
fn link(_target: &Path, _name: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[expect(clippy::disallowed_methods, reason = "every list of steps syncs what it renames before it does")]
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

fn remove(path: &Path) -> io::Result<()> {
    let is_folder = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir());
    match if is_folder { fs::remove_dir_all(path) } else { fs::remove_file(path) } {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
