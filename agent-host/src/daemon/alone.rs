//! One daemon a work folder: its lock, and whether somebody has it.

use std::{path::Path, time::Duration};

use anyhow::Context;

use crate::{disk::Lock, export::FileError};

/// Commands that ask whether an agent runs hold its lock for a moment: it is tried so often, …
const TRIES: u32 = 10;
/// … with so long in between.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Whether an agent runs on this work folder.
///
/// # Errors
/// Where the disk refuses.
pub fn is_running(work_folder: &Path) -> anyhow::Result<bool> {
    Ok(take(work_folder)?.is_none())
}

/// Sees that no other agent runs on this work folder, as long as the lock is held.
pub(super) async fn alone(work_folder: &Path) -> anyhow::Result<Lock> {
    for _ in 0..TRIES {
        if let Some(lock) = take(work_folder)? {
            return Ok(lock);
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    let message = format!("another agent runs on the work folder `{}`", work_folder.display());
    Err(FileError::busy(message, "end it, or give this one a `WorkFolderPath` of its own").into())
}

fn take(work_folder: &Path) -> anyhow::Result<Option<Lock>> {
    let path = work_folder.join(".agent.lock");
    let taken = std::fs::create_dir_all(work_folder).and_then(|()| Lock::take(&path));
    taken.with_context(|| format!("cannot lock `{}`", path.display()))
}
