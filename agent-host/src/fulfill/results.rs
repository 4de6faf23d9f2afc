//! The results as the engine reads them: a CSV file with a line for each order, put in place whole.
//!
//! Which orders a file reports is noted before it is put in place and confirmed after, so that a crash in between
//! neither loses an outcome nor reports it twice.
//! Source: the vendor's pages on fulfilment scripts, for the columns.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::Context;
use sha2::{Digest, Sha256};

use super::index::hex;
use crate::{disk, store::Store};

const HEADER: [&str; 6] = ["AssignmentId", "ProvisioningState", "Message", "ChangeType", "OwnerId", "OwnerType"];

/// What a results file says, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) executed: u64,
    pub(super) errored: u64,
    pub(super) unchanged: u64,
}

/// Reports all outcomes of the connection that were not reported, into the file. No file where there are none.
pub(super) async fn report(
    store: &Store,
    connection: &str,
    run: i64,
    path: &Path,
    now_ms: i64,
) -> anyhow::Result<Option<Tally>> {
    if store.claim_outcomes(run, connection).await? == 0 {
        store.end_run(run, now_ms).await?;
        return Ok(None);
    }
    let path = std::path::absolute(path)?;
    let written = write(store, run, &path).await;
    let (part, tally) = written.with_context(|| format!("cannot write the results to `{}`", path.display()))?;
    store.announce_results(run, &path.to_string_lossy(), &digest_of(&part)?).await?;
    disk::put_in_place(&part, &path).with_context(|| format!("cannot put the results into `{}`", path.display()))?;
    store.publish_results(run, now_ms).await?;
    Ok(Some(tally))
}

/// Settles what runs left open that were cut off while they reported: a file that is in place counts, any other does
/// not, and its orders are reported by the present run.
pub(super) async fn settle(store: &Store, connection: &str, now_ms: i64) -> anyhow::Result<()> {
    for run in store.unpublished_runs(connection).await? {
        let is_there =
            !run.results.is_empty() && digest_of(Path::new(&run.results)).is_ok_and(|digest| digest == run.digest);
        if is_there {
            store.publish_results(run.id, now_ms).await?;
        } else {
            store.withdraw_outcomes(run.id, now_ms).await?;
        }
    }
    Ok(())
}

async fn write(store: &Store, run: i64, path: &Path) -> anyhow::Result<(PathBuf, Tally)> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    let name = path.file_name().context("it names no file")?.to_string_lossy().into_owned();
    let part = folder.join(format!(".{name}.part"));
    let mut csv = csv::WriterBuilder::new().from_writer(disk::create_private(&part)?);
    csv.write_record(HEADER)?;
    let mut tally = Tally::default();
    store
        .reported(run, |order| {
            match order.state.as_str() {
                "Executed" => tally.executed += 1,
                _ => tally.errored += 1,
            }
            tally.unchanged += u64::from(order.state == "Executed" && !order.changed);
            let line =
                [&order.id, &order.state, &order.message, &order.change_type, &order.owner_id, &order.owner_type];
            Ok(csv.write_record(line)?)
        })
        .await?;
    let file = csv.into_inner().map_err(|error| anyhow::anyhow!("{}", error.error()))?;
    file.sync_all()?;
    Ok((part, tally))
}

/// The SHA-256 of a file, in hexadecimal.
pub(super) fn digest_of(path: &Path) -> anyhow::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut digest = Sha256::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            count => digest.update(&chunk[..count]),
        }
    }
    Ok(hex(&digest.finalize()))
}
