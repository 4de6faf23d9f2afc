//! The first reading of a run's files: every order is found, understood as far as possible, and entered in the index.
//!
//! A file is taken as a whole or not at all: one that is no JSON is rejected, one that is perhaps still being written is
//! left for the next run. Nothing is sent, nothing is kept of an order but its entry.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use connector_api::Connector;
use secrecy::zeroize::Zeroize;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::index::{Index, IndexedFile, MAX_ORDERS, Mark, hex};
use crate::orders::{Scanner, Unreadable, Vocabulary, folder};

/// How long a file that breaks off is watched for more to come.
const STILL_WRITTEN: Duration = Duration::from_millis(500);

/// A file that could not be read as orders.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RejectedFile {
    /// Where it is now.
    #[schema(value_type = String)]
    pub file: PathBuf,
    /// What is wrong with it, and where.
    pub reason: String,
}

/// What was found in the files.
#[derive(Debug)]
pub(super) struct Intake {
    pub(super) index: Index,
    pub(super) rejected: Vec<RejectedFile>,
    /// Files that hold the same as the file of this index.
    pub(super) copies: Vec<(PathBuf, usize)>,
}

/// A file to be read; one with a root moves within it when it is handled.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) root: Option<PathBuf>,
}

/// What a file turned out to be.
enum FileContent {
    Orders(String),
    TooMany,
}

impl Intake {
    pub(super) fn new(index: Index) -> Self {
        Self { index, rejected: Vec::new(), copies: Vec::new() }
    }

    /// Reads the files one after the other. `moves` says whether rejected ones are put away.
    pub(super) async fn read(
        &mut self,
        sources: Vec<Source>,
        vocabulary: &Vocabulary<'_>,
        connector: &dyn Connector,
        moves: bool,
    ) -> anyhow::Result<()> {
        for source in sources {
            let mark = self.index.mark();
            let size = || fs::metadata(&source.path).map(|metadata| metadata.len()).ok();
            let before = size();
            let read = self.read_file(&source, vocabulary, connector);
            if !matches!(read, Ok(FileContent::Orders(_))) {
                self.index.back_to(mark);
            }
            match read {
                Ok(FileContent::Orders(digest)) => self.add_file(source, digest, mark),
                Ok(FileContent::TooMany) if !self.index.files.is_empty() => {
                    tracing::warn!(file = %source.path.display(), "left for the next run: this one has orders enough");
                    return Ok(());
                }
                Ok(FileContent::TooMany) => {
                    let reason = format!("it holds more than {MAX_ORDERS} orders; split it");
                    self.reject(&source, reason, moves);
                }
                Err(Unreadable::Io(error)) if source.root.is_some() => {
                    // It stays: tomorrow it may be readable, and the others need not wait for it.
                    let reason = Unreadable::Io(error).to_string();
                    tracing::error!(file = %source.path.display(), "not carried out: {reason}");
                    self.rejected.push(RejectedFile { file: source.path, reason });
                }
                Err(Unreadable::Io(error)) => {
                    return Err(error)
                        .with_context(|| format!("cannot read the orders in `{}`", source.path.display()));
                }
                Err(error @ Unreadable::CutShort { .. }) if source.root.is_some() && moves => {
                    tokio::time::sleep(STILL_WRITTEN).await;
                    if size() == before {
                        self.reject(&source, error.to_string(), moves);
                    } else {
                        tracing::warn!(file = %source.path.display(), "left for the next run: it is still being written");
                    }
                }
                Err(error) => self.reject(&source, error.to_string(), moves),
            }
            // Whoever asks the program to end is heard here.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn read_file(
        &mut self,
        source: &Source,
        vocabulary: &Vocabulary<'_>,
        connector: &dyn Connector,
    ) -> Result<FileContent, Unreadable> {
        let mut digest = Sha256::new();
        let mut scanner = Scanner::new(Digested { file: File::open(&source.path)?, digest: &mut digest });
        let mut text = Vec::new();
        while let Some(found) = scanner.next(&mut text)? {
            let read = vocabulary.read(&found, &text)?;
            let resolved = read.resolved.as_ref().ok().map(|it| (it, connector.outlook(&it.order)));
            self.index.push(&found, &text, &read.head.id, resolved);
            text.zeroize();
            if self.index.is_full() {
                return Ok(FileContent::TooMany);
            }
        }
        drop(scanner);
        Ok(FileContent::Orders(hex(&digest.finalize())))
    }

    fn add_file(&mut self, source: Source, digest: String, mark: Mark) {
        let first = self.index.files.last().map_or(0, |last| last.first + last.count);
        let count = self.index.entries.len() - first;
        // With others in between, which may want the opposite, the same text is the last word once more.
        let before = self.index.files.last().filter(|known| known.digest == digest && count > 0);
        if let Some(twin) = before {
            let name = source.path.display();
            tracing::warn!(file = %name, "holds the same as `{}`: carried out once", twin.path.display());
            self.index.back_to(mark);
            self.copies.push((source.path, self.index.files.len() - 1));
            return;
        }
        let Source { path, root } = source;
        self.index.files.push(IndexedFile { path, root, digest, order_file: 0, received_ms: 0, first, count });
    }

    fn reject(&mut self, source: &Source, reason: String, moves: bool) {
        let mut file = source.path.clone();
        tracing::error!(file = %file.display(), "not carried out: {reason}");
        if let (Some(root), true) = (&source.root, moves) {
            match folder::reject(root, &file, &reason) {
                Ok(put_away) => file = put_away,
                Err(error) => tracing::error!(file = %file.display(), %error, "cannot be put away: it stays"),
            }
        }
        self.rejected.push(RejectedFile { file, reason });
    }
}

/// The files that a path names: itself, or those in it.
pub(super) fn sources(path: &Path) -> io::Result<Vec<Source>> {
    if path.is_file() {
        return Ok(vec![Source { path: path.to_owned(), root: None }]);
    }
    let files = folder::files_in(path)?;
    Ok(files.into_iter().map(|file| Source { path: file, root: Some(path.to_owned()) }).collect())
}

/// A file, and the sum of what was read of it.
struct Digested<'a> {
    file: File,
    digest: &'a mut Sha256,
}

impl Read for Digested<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.digest.update(&buffer[..count]);
        Ok(count)
    }
}
