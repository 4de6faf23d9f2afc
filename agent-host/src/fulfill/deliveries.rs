//! Which delivery of an order file this is: the one that an earlier run left unfinished, or a new one.
//!
//! The same text may be delivered twice, and means something both times: who was suspended, let in again and is to be
//! suspended once more has two files that say the same. What is over is therefore never taken for what is new, and a
//! file that was reported and not yet moved is not carried out again. A file is over once it lies where it was to go.

use std::path::Path;

use super::index::{Index, IndexedFile};
use crate::store::{OpenOrderFile, Store};

/// Gives each file of the index its id in the store.
pub(super) async fn identify(store: &Store, connection: &str, index: &mut Index, now_ms: i64) -> anyhow::Result<()> {
    let mut open = store.open_order_files(connection).await?;
    for file in &mut index.files {
        let path = std::path::absolute(&file.path)?.to_string_lossy().into_owned();
        (file.order_file, file.received_ms) = match unfinished(store, &mut open, file, &path, now_ms).await? {
            Some(known) => (known.id, known.received_ms),
            None => (store.begin_order_file(connection, &file.digest, &path, now_ms).await?, now_ms),
        };
    }
    // What somebody took away will not go on, and must not be taken for the same text delivered later.
    for gone in open.iter().filter(|known| !Path::new(&known.path).exists()) {
        store.close_order_file(gone.id, now_ms).await?;
    }
    Ok(())
}

/// What is known of this file if an earlier run left it unfinished: it lay here, or where there is nothing any more.
async fn unfinished(
    store: &Store,
    open: &mut Vec<OpenOrderFile>,
    file: &IndexedFile,
    path: &str,
    now_ms: i64,
) -> anyhow::Result<Option<OpenOrderFile>> {
    loop {
        let same = |known: &&OpenOrderFile| known.digest == file.digest;
        let here = open.iter().find(|known| same(known) && known.path == path);
        let moved = || open.iter().find(|known| same(known) && !Path::new(&known.path).exists());
        let Some(known) = here.or_else(moved).cloned() else { return Ok(None) };
        open.retain(|other| other.id != known.id);
        let was_put_away = !known.moving_to.is_empty() && Path::new(&known.moving_to).symlink_metadata().is_ok();
        let is_elsewhere = file.root.is_none() || known.path != path;
        let is_reported = store.reported_of(known.id).await? == file.count as u64;
        if was_put_away || is_elsewhere && is_reported {
            store.close_order_file(known.id, now_ms).await?;
            continue;
        }
        store.found_order_file(known.id, path).await?;
        return Ok(Some(known));
    }
}
