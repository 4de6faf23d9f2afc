//! The place of exports in storage that speaks S3's language: complete sets only, whoever reads while one is written.
//!
//! A set's files go into a folder of their own, `sets/<connection>/<time>/`, then to their well-known names; the manifest
//! comes last and is the record that the set is complete: it names the folder and the digest of each file. What is cut
//! short leaves the former manifest and the former folder as they were. The former set is kept, older ones are removed.

use std::{
    fmt,
    fs::File,
    io::{self, Seek, Write},
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use connector_api::{Error, ErrorKind, Result};
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{
    GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload, aws::AmazonS3Builder, buffered::BufWriter,
    path::Path as Key,
};
use secrecy::ExposeSecret;
use tokio::io::AsyncWriteExt;

use super::{manifest::Manifest, output::Pieces};
use crate::{leases::Held, settings::Settings};

const SECTION: &str = "ExportOutputStorage";
const SCHEME: &str = "s3://";
/// A manifest is read up to this size.
const MAX_MANIFEST_BYTES: u64 = 16 << 20;
/// Bytes that are read and sent at once.
const PIECE_BYTES: u32 = 5 << 20;

/// A bucket, and the folder in it.
#[derive(Debug, Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    /// As it is shown: `s3://bucket/prefix`.
    shown: String,
    prefix: Key,
}

impl Bucket {
    /// The one that the setting `ExportOutput` names; none where it names a folder. Credentials are those of the section
    /// `ExportOutputStorage`, else those of AWS's own variables or of the machine.
    ///
    /// # Errors
    /// Of kind `Settings` where it cannot be used.
    pub fn of(settings: &Settings) -> Result<Option<Self>> {
        let Some(address) = settings.export_bucket.as_deref() else { return Ok(None) };
        let (bucket, prefix) = address[SCHEME.len()..].split_once('/').unwrap_or((&address[SCHEME.len()..], ""));
        let section = settings.section(&[SECTION]);
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        if let Some(endpoint) = section.text("Endpoint") {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = section.text("Region") {
            builder = builder.with_region(region);
        }
        match (section.text("AccessKeyId"), section.secret("SecretAccessKey")) {
            (Some(id), Some(key)) => {
                builder = builder.with_access_key_id(id).with_secret_access_key(key.expose_secret());
            }
            (None, None) => {}
            (Some(_), None) => {
                return Err(section.error("SecretAccessKey", "is missing").with_hint("write both, or none"));
            }
            (None, Some(_)) => return Err(section.error("AccessKeyId", "is missing").with_hint("write both, or none")),
        }
        let builder = builder.with_allow_http(section.flag("AllowHttp", false)?);
        let store = builder.build().map_err(|error| {
            let error = Error::new(ErrorKind::Settings, format!("`ExportOutput` `{address}` cannot be used"))
                .with_source(error);
            error.with_hint("write `s3://bucket/prefix`, and `ExportOutputStorage:Region` or `Endpoint`")
        })?;
        let prefix = Key::parse(prefix.trim_matches('/')).map_err(|error| {
            Error::new(ErrorKind::Settings, format!("`ExportOutput` `{address}` is no name")).with_source(error)
        })?;
        Ok(Some(Self { store: Arc::new(store), shown: address.trim_end_matches('/').to_owned(), prefix }))
    }

    /// The manifest of the set that readers find; none where there is none.
    ///
    /// # Errors
    /// Of kind `Unavailable` where the storage fails.
    pub(super) async fn manifest(&self, name: &str) -> anyhow::Result<Option<Manifest>> {
        let key = self.prefix.clone().join(name);
        let found = match self.store.get(&key).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(|error| self.failed("reading", name, error))?,
        };
        if found.meta.size > MAX_MANIFEST_BYTES {
            return Ok(None);
        }
        let text = found.bytes().await.map_err(|error| self.failed("reading", name, error))?;
        Ok(Manifest::parse(&text, format_args!("{self}/{name}")))
    }

    /// A file in the folder of a set, or beside the manifest where none is named: its size, and what is in it. None where
    /// there is none. A request a piece: how slowly somebody reads holds none of them up.
    ///
    /// # Errors
    /// Of kind `Unavailable` where the storage fails.
    pub(super) async fn open(&self, set: &str, file: &str) -> anyhow::Result<Option<(u64, Pieces)>> {
        let folders = set.split('/').filter(|folder| !folder.is_empty());
        let key = folders.fold(self.prefix.clone(), |key, folder| key.join(folder)).join(file);
        let range = Some(GetRange::Bounded(0..u64::from(PIECE_BYTES)));
        let found = match self.store.get_opts(&key, GetOptions { range, ..GetOptions::default() }).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            found => found.map_err(|error| self.failed("reading", key.as_ref(), error))?,
        };
        let size = found.meta.size;
        let first = found.bytes().await.map_err(|error| self.failed("reading", key.as_ref(), error))?;
        let (store, begin) = (Arc::clone(&self.store), first.len() as u64);
        let rest = stream::try_unfold(begin, move |at| {
            let (store, key) = (Arc::clone(&store), key.clone());
            async move {
                if at >= size {
                    return Ok(None);
                }
                let piece = store.get_range(&key, at..size.min(at + u64::from(PIECE_BYTES))).await;
                let piece = piece.map_err(io::Error::other)?;
                let next = at + piece.len() as u64;
                Ok(Some((Vec::from(piece), next)))
            }
        });
        Ok(Some((size, stream::once(async { Ok(Vec::from(first)) }).chain(rest).boxed())))
    }

    /// A copy of such a file, without a name; none where there is none.
    ///
    /// # Errors
    /// As of [`Bucket::open`]; the disk.
    pub(super) async fn fetch(&self, set: &str, file: &str, folder: &Path) -> anyhow::Result<Option<File>> {
        let Some((_, mut pieces)) = self.open(set, file).await? else { return Ok(None) };
        let mut copy = tempfile::tempfile_in(folder)?;
        while let Some(piece) = pieces.try_next().await.map_err(|error| self.failed("reading", file, error))? {
            copy.write_all(&piece)?;
        }
        copy.rewind()?;
        Ok(Some(copy))
    }

    /// Publishes the files that the manifest names, which are in this folder. Tables that it does not name keep their
    /// files and their entries.
    ///
    /// # Errors
    /// Of kind `Unavailable` where the storage fails; the disk; [`LeaseLost`](crate::leases::LeaseLost). Readers of the
    /// manifest then find the former set.
    pub(super) async fn publish(
        &self,
        folder: &Path,
        name: &str,
        mut manifest: Manifest,
        lease: Option<&Held>,
    ) -> anyhow::Result<()> {
        let previous = self.manifest(name).await?.unwrap_or_default();
        let id: String = manifest.finished.chars().filter(char::is_ascii_alphanumeric).collect();
        let sets = self.prefix.clone().join("sets").join(manifest.connection.as_str());
        let set = sets.clone().join(id);
        for entry in manifest.tables.values() {
            self.upload(&folder.join(&entry.file), &set.clone().join(entry.file.as_str())).await?;
        }
        let former: Vec<_> =
            previous.tables.iter().filter(|(table, _)| !manifest.tables.contains_key(*table)).collect();
        for (_, entry) in &former {
            self.copy(&self.prefix.clone().join(entry.file.as_str()), &set.clone().join(entry.file.as_str())).await?;
        }
        // Until now nothing changed for readers, and it may have taken long.
        if let Some(lease) = lease {
            lease.confirm().await?;
        }
        for entry in manifest.tables.values() {
            let file = entry.file.as_str();
            self.copy(&set.clone().join(file), &self.prefix.clone().join(file)).await?;
        }
        manifest.tables.extend(former.into_iter().map(|(table, entry)| (table.clone(), entry.clone())));
        manifest.set = self.relative(&set);
        let payload = PutPayload::from(manifest.to_text());
        let written = self.store.put(&self.prefix.clone().join(name), payload).await;
        written.map_err(|error| self.failed("writing", name, error))?;
        if let Err(error) = self.clear(&sets, [&manifest.set, &previous.set]).await {
            tracing::warn!("old sets in `{self}` are not removed: {error:#}");
        }
        Ok(())
    }

    async fn upload(&self, file: &Path, key: &Key) -> anyhow::Result<()> {
        let shown = file.display();
        let mut source = tokio::fs::File::open(file).await.with_context(|| format!("cannot read `{shown}`"))?;
        let mut target = BufWriter::with_capacity(Arc::clone(&self.store), key.clone(), PIECE_BYTES as usize);
        if let Err(error) = tokio::io::copy(&mut source, &mut target).await {
            // Parts that were sent must not be paid for.
            let _ = target.abort().await;
            return Err(self.failed("writing", key.as_ref(), error).into());
        }
        target.shutdown().await.map_err(|error| self.failed("writing", key.as_ref(), error).into())
    }

    async fn copy(&self, from: &Key, to: &Key) -> anyhow::Result<()> {
        self.store.copy(from, to).await.map_err(|error| self.failed("writing", to.as_ref(), error).into())
    }

    /// Removes sets but these.
    async fn clear(&self, sets: &Key, kept: [&String; 2]) -> anyhow::Result<()> {
        let found: Vec<_> = self.store.list(Some(sets)).try_collect().await?;
        for object in found {
            let place = self.relative(&object.location);
            if !kept.iter().any(|set| !set.is_empty() && place.starts_with(&format!("{set}/"))) {
                self.store.delete(&object.location).await?;
            }
        }
        Ok(())
    }

    /// The key within the prefix.
    fn relative(&self, key: &Key) -> String {
        let within = key.as_ref().strip_prefix(self.prefix.as_ref()).unwrap_or(key.as_ref());
        within.trim_start_matches('/').to_owned()
    }

    fn failed(&self, attempt: &str, what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Error {
        let error =
            Error::new(ErrorKind::Unavailable, format!("{attempt} `{what}` in `{self}` failed")).with_source(error);
        error.with_hint("see that the bucket is there and that `ExportOutputStorage` opens it, then try again")
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn a_file_of_many_pieces_is_read_from_the_folder_of_its_set() {
        let bucket = Bucket { store: Arc::new(InMemory::new()), shown: "s3://b/p".to_owned(), prefix: Key::from("p") };
        for length in [1, PIECE_BYTES as usize, 2 * PIECE_BYTES as usize + 3] {
            let text: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            bucket.store.put(&Key::from("p/sets/c/1/a.csv"), PutPayload::from(text.clone())).await.unwrap();
            let (size, pieces) = bucket.open("sets/c/1", "a.csv").await.unwrap().unwrap();
            assert_eq!(size, length as u64);
            assert!(pieces.try_concat().await.unwrap() == text, "{length}");
        }
        assert!(bucket.open("", "a.csv").await.unwrap().is_none(), "it is in no other folder");
        assert!(bucket.open("sets/c/2", "a.csv").await.unwrap().is_none());
    }
}
