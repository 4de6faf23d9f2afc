//! The set of files that readers find, wherever exports go: in the folder, or in storage that speaks S3's language.
//!
//! Reads alone. In storage the files come from the folder of the set that the manifest names, which never change, so that
//! nobody gets the beginning of one set and the end of another.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::PathBuf,
    time::Duration,
};

use connector_api::{Error, ErrorKind, Result};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::{bucket::Bucket, manifest::Manifest, manifest_path, publish::manifest_name};
use crate::settings::Settings;

/// Bytes of a file that are read at once.
const PIECE_BYTES: usize = 256 << 10;
/// How long storage may take to begin with an answer: somebody waits for it.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Where the exports of an agent go.
#[derive(Debug, Clone)]
pub struct Output {
    folder: PathBuf,
    bucket: Option<Bucket>,
}

/// The contents of a file, piece by piece.
pub type Pieces = BoxStream<'static, io::Result<Vec<u8>>>;

impl Output {
    /// The one that the settings name.
    ///
    /// # Errors
    /// Of kind `Settings` where it cannot be used.
    pub fn of(settings: &Settings) -> Result<Self> {
        Ok(Self { folder: settings.export_folder.clone(), bucket: Bucket::of(settings)? })
    }

    /// The manifest of the connection's set; none where there is none, or it is damaged.
    ///
    /// # Errors
    /// Where the disk refuses; of kind `Unavailable` where the storage fails.
    pub async fn manifest(&self, connection: &str) -> anyhow::Result<Option<Manifest>> {
        match &self.bucket {
            Some(bucket) => in_time(bucket, bucket.manifest(&manifest_name(connection))).await,
            None => Ok(Manifest::read(&manifest_path(&self.folder, connection))?),
        }
    }

    /// A file of the connection's set, by the name that the manifest has for it, or the manifest itself: its size, and
    /// what is in it. None where the set has no such file.
    ///
    /// # Errors
    /// As of [`Output::manifest`].
    pub async fn open(&self, connection: &str, file: &str) -> anyhow::Result<Option<(u64, Pieces)>> {
        let manifest = self.manifest(connection).await?.unwrap_or_default();
        let is_manifest = file == manifest_name(connection);
        let is_known = is_manifest || manifest.tables.values().any(|table| table.file == file);
        // A manifest is a file too: what it names may lead nowhere but into the folder.
        let is_plain = !file.contains(['/', '\\']) && !file.starts_with('.');
        if !is_known || !is_plain {
            return Ok(None);
        }
        match &self.bucket {
            Some(bucket) => {
                let set = if is_manifest { "" } else { &manifest.set };
                in_time(bucket, bucket.open(set, file)).await
            }
            None => Ok(self.open_here(file)?),
        }
    }

    /// Opened once: a set that is put in place meanwhile changes nothing of this file.
    fn open_here(&self, file: &str) -> io::Result<Option<(u64, Pieces)>> {
        let opened = match File::open(self.folder.join(file)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let metadata = opened.metadata()?;
        Ok(metadata.is_file().then(|| (metadata.len(), pieces(opened))))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.bucket {
            Some(bucket) => bucket.fmt(f),
            None => self.folder.display().fmt(f),
        }
    }
}

/// What is read piece by piece, on threads that may wait for a disk.
fn pieces(file: File) -> Pieces {
    let read = stream::try_unfold(file, |mut file| async {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; PIECE_BYTES];
            let length = file.read(&mut piece)?;
            piece.truncate(length);
            io::Result::Ok((piece, file))
        });
        let (piece, file) = read.await.map_err(io::Error::other)??;
        Ok((!piece.is_empty()).then_some((piece, file)))
    });
    read.boxed()
}

async fn in_time<T>(bucket: &Bucket, answer: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(ANSWER_WITHIN, answer).await.unwrap_or_else(|_| {
        let message = format!("`{bucket}` does not answer within {} s", ANSWER_WITHIN.as_secs());
        Err(Error::new(ErrorKind::Unavailable, message).with_hint("see that `ExportOutputStorage` leads to it").into())
    })
}
