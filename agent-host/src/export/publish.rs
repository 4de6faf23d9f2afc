//! Puts a complete set of files in place of the former one, all at once or not at all.
//!
//! A set is made in a folder of its own, `<output>/.<connection>/set-N`. Where links can be made, the names in the
//! output folder lead through the link `current` into such a folder, and one rename of `current` switches them all.
//! Elsewhere the files are renamed one by one: the manifest, put into `.<connection>` first, is the record that the set
//! is complete, so that the next start finishes what was interrupted; put into the output folder last, it ends the
//! publication. Whatever is cut short is finished or cleared by the next export of the same connection.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    file_error::FileError,
    manifest::Manifest,
    step::{self, Step},
};
use crate::disk::Lock;

/// The link to the current set's folder.
const CURRENT: &str = "current";
/// What names of set folders start with.
const SET: &str = "set-";
/// Names in use only during a step.
const PASSING: [&str; 2] = ["link", "manifest.part"];

/// The file of a table.
pub(super) fn csv_name(connection: &str, table: &str) -> String {
    format!("{connection}_{table}.csv")
}

/// The manifest's file.
pub(super) fn manifest_name(connection: &str) -> String {
    format!("{connection}_export.json")
}

/// A set in the making; dropped without [`Staging::publish`] it leaves nothing behind. While it lives no other export
/// of the connection writes into the same output folder.
#[derive(Debug)]
pub(super) struct Staging {
    place: Place,
    folder: PathBuf,
    previous: Option<Manifest>,
    // Let go last, when all else is cleared.
    _lock: Lock,
}

/// Where the sets of a connection are, and how one takes the place of another.
#[derive(Debug)]
struct Place {
    output: PathBuf,
    home: PathBuf,
    connection: String,
    mode: Mode,
}

/// How the names in the output folder get to a new set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Links,
    Renames,
}

/// Carries out a step; tests stop at one.
type Run<'a> = &'a mut dyn FnMut(&Step) -> Result<(), FileError>;

impl Staging {
    /// Starts a set of `connection` for the folder `output`, after clearing up what killed exports have left.
    pub(super) fn open(output: &Path, connection: &str) -> Result<Self, FileError> {
        Self::open_by(output, connection, None, &mut Step::run)
    }

    /// Where the set's files are to be made.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is known of the published set; none where there is none or its manifest is unreadable.
    pub(super) fn previous(&self) -> Option<&Manifest> {
        self.previous.as_ref()
    }

    /// Publishes the files in the folder and the manifest that describes them. Tables it does not name keep their
    /// files, and their entries. After an error readers still find the former set, byte for byte; only where files are
    /// renamed one by one, an error among the renames leaves the rest of them to the next start.
    pub(super) fn publish(self, manifest: Manifest) -> Result<(), FileError> {
        self.publish_by(manifest, &mut Step::run)
    }

    fn open_by(output: &Path, connection: &str, mode: Option<Mode>, run: Run<'_>) -> Result<Self, FileError> {
        let home = output.join(format!(".{connection}"));
        fs::create_dir_all(&home).map_err(|error| FileError::new("make", &home, error))?;
        let lock = lock(&home, output, connection)?;
        let mode = mode.unwrap_or(if step::can_link(&home) { Mode::Links } else { Mode::Renames });
        let place = Place { output: output.to_owned(), home, connection: connection.to_owned(), mode };
        each(place.finish_steps()?, run)?;
        each(place.clear_steps()?, run)?;
        let previous = Manifest::read(&place.output.join(manifest_name(connection)))?;
        let folder = place.new_set();
        run(&Step::MakeFolder(folder.clone()))?;
        Ok(Self { place, folder, previous, _lock: lock })
    }

    fn publish_by(&self, mut manifest: Manifest, run: Run<'_>) -> Result<(), FileError> {
        for entry in manifest.tables.values_mut() {
            entry.finished.clone_from(&manifest.finished);
        }
        for (table, entry) in self.previous.iter().flat_map(|previous| &previous.tables) {
            if self.place.output.join(&entry.file).exists() {
                manifest.tables.entry(table.clone()).or_insert_with(|| entry.clone());
            }
        }
        each(self.place.commit_steps(&self.folder, &manifest)?, run)?;
        each(self.place.finish_steps()?, run)?;
        // The set is in place: what cannot be cleared now is left to the next export.
        if let Err(error) = self.place.clear_steps().and_then(|steps| each(steps, run)) {
            tracing::warn!("the former set of `{}` was not cleared: {error}", self.place.connection);
        }
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Best effort: the next export clears what stays.
        let _ = self.place.clear_steps().and_then(|steps| each(steps, &mut Step::run));
    }
}

impl Place {
    /// Makes a staged set the one that counts. Up to the last step nothing changes for readers; with it everything
    /// does, or (by renames) will by the steps that finish.
    fn commit_steps(&self, set: &Path, manifest: &Manifest) -> Result<Vec<Step>, FileError> {
        let former = self.current().map_or_else(|| Ok(BTreeSet::new()), |current| files(&current))?;
        let made = files(set)?;
        let export = manifest_name(&self.connection);
        let mut steps = Vec::new();
        for name in former.iter().filter(|&name| !made.contains(name) && *name != export) {
            steps.push(Step::Carry { from: self.seen(name), to: set.join(name) });
        }
        if self.mode == Mode::Renames {
            let part = self.home.join("manifest.part");
            steps.push(Step::Write { path: part.clone(), text: manifest.to_text() });
            steps.extend([Step::Sync(set.to_owned()), Step::Sync(self.home.clone())]);
            steps.push(Step::Move { from: part, to: self.home.join(export) });
            return Ok(steps);
        }
        steps.push(Step::Write { path: set.join(&export), text: manifest.to_text() });
        steps.extend([Step::Sync(set.to_owned()), Step::Sync(self.home.clone())]);
        let names: BTreeSet<_> = former.iter().chain(&made).chain([&export]).cloned().collect();
        steps.extend(self.adopt_steps(&former, &names));
        steps.extend(names.iter().map(|name| self.lead(name)));
        steps.extend([Step::Sync(self.output.clone()), self.switch(set), Step::Sync(self.home.clone())]);
        Ok(steps)
    }

    /// Makes a set of what readers see now, where that is not a set already: its names can then become links.
    fn adopt_steps(&self, former: &BTreeSet<String>, names: &BTreeSet<String>) -> Vec<Step> {
        let strange = |name: &&String| self.output.join(name).exists() && !self.is_led(name);
        if names.iter().all(|name| !strange(&name)) {
            return Vec::new();
        }
        let adopted = self.new_set();
        let mut steps = vec![Step::MakeFolder(adopted.clone())];
        for name in names.iter().filter(|name| former.contains(*name) || strange(name)) {
            steps.push(Step::Carry { from: self.seen(name), to: adopted.join(name) });
        }
        steps.extend([Step::Sync(adopted.clone()), Step::Sync(self.home.clone())]);
        steps.extend([self.switch(&adopted), Step::Sync(self.home.clone())]);
        steps
    }

    /// Puts the files of a committed set in place by renames; nothing where none is committed.
    fn finish_steps(&self) -> Result<Vec<Step>, FileError> {
        let export = manifest_name(&self.connection);
        let commit = self.home.join(&export);
        if !commit.exists() {
            return Ok(Vec::new());
        }
        let mut steps = vec![Step::Sync(self.home.clone())];
        let current = self.current();
        for set in self.sets()?.into_iter().filter(|set| Some(set) != current.as_ref()) {
            let moves = files(&set)?.into_iter();
            steps.extend(moves.map(|name| Step::Move { from: set.join(&name), to: self.output.join(name) }));
        }
        steps.push(Step::Sync(self.output.clone()));
        // Every name is a plain file now. The link goes last: it tells the set it leads to from the committed one.
        steps.extend(current.into_iter().chain([self.home.join(CURRENT)]).map(Step::Remove));
        steps.push(Step::Move { from: commit, to: self.output.join(export) });
        steps.extend([Step::Sync(self.output.clone()), Step::Sync(self.home.clone())]);
        Ok(steps)
    }

    /// Removes what is neither current nor committed, and names that lead nowhere.
    fn clear_steps(&self) -> Result<Vec<Step>, FileError> {
        if self.home.join(manifest_name(&self.connection)).exists() {
            return Ok(Vec::new());
        }
        let current = self.current();
        let mut debris = self.sets()?;
        debris.retain(|set| Some(set) != current.as_ref());
        debris.extend(PASSING.iter().map(|name| self.home.join(name)).filter(|path| path.symlink_metadata().is_ok()));
        let led = names(&self.output)?.into_iter().filter(|name| self.is_led(name));
        debris.extend(led.map(|name| self.output.join(name)).filter(|path| !path.exists()));
        // Before a former set goes, the switch to its successor must be on the disk.
        let first = (!debris.is_empty()).then(|| Step::Sync(self.home.clone()));
        Ok(first.into_iter().chain(debris.into_iter().map(Step::Remove)).collect())
    }

    /// The folder of the current set, where links are in use.
    fn current(&self) -> Option<PathBuf> {
        let target = fs::read_link(self.home.join(CURRENT)).ok()?;
        Some(self.home.join(target)).filter(|set| set.is_dir())
    }

    fn sets(&self) -> Result<Vec<PathBuf>, FileError> {
        let names = names(&self.home)?;
        Ok(names.into_iter().filter(|name| name.starts_with(SET)).map(|name| self.home.join(name)).collect())
    }

    /// A folder that is not there yet.
    fn new_set(&self) -> PathBuf {
        let mut folders = (1_u64..).map(|number| self.home.join(format!("{SET}{number}")));
        folders.find(|folder| !folder.exists()).expect("numbers do not end")
    }

    /// The file that readers find under a name of the current set.
    fn seen(&self, name: &str) -> PathBuf {
        // A hard link to a link would be a second link.
        fs::canonicalize(self.output.join(name)).unwrap_or_else(|_| self.home.join(CURRENT).join(name))
    }

    /// Where `name` in the output folder leads: relative, so that the folder can be moved.
    fn target(&self, name: &str) -> PathBuf {
        Path::new(&format!(".{}", self.connection)).join(CURRENT).join(name)
    }

    fn is_led(&self, name: &str) -> bool {
        fs::read_link(self.output.join(name)).is_ok_and(|target| target == self.target(name))
    }

    fn lead(&self, name: &str) -> Step {
        Step::Lead { name: self.output.join(name), target: self.target(name), by: self.home.join("link") }
    }

    fn switch(&self, set: &Path) -> Step {
        let target = set.file_name().expect("a set has a name").into();
        Step::Lead { name: self.home.join(CURRENT), target, by: self.home.join("link") }
    }
}

fn lock(home: &Path, output: &Path, connection: &str) -> Result<Lock, FileError> {
    let path = home.join("lock");
    let lock = Lock::take(&path).map_err(|error| FileError::new("lock", &path, error))?;
    lock.ok_or_else(|| FileError::locked(connection, output))
}

fn each(steps: Vec<Step>, run: Run<'_>) -> Result<(), FileError> {
    steps.into_iter().try_for_each(|step| run(&step))
}

/// The files of a set.
fn files(set: &Path) -> Result<BTreeSet<String>, FileError> {
    Ok(names(set)?.into_iter().collect())
}

/// The names in a folder; none of ours is other than UTF-8.
fn names(folder: &Path) -> Result<Vec<String>, FileError> {
    let read = || fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>();
    let names = read().map_err(|error| FileError::new("read", folder, error))?;
    Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
}

#[cfg(test)]
mod tests;
