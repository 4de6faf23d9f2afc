//! How many records each table had at the last export that is known here, for limits in percent.
//!
//! Two places know: the manifest in the agent's own folder, and the store's history, where whoever shares the store notes
//! what was exported, to a bucket too. Of each table the later count holds. A table that neither knows has none: then a
//! limit's floor is all that is allowed.

use std::collections::BTreeMap;

use chrono::DateTime;

use crate::{
    agent::Agent,
    export::{Manifest, manifest_path},
    store::{Place, Store},
};

/// Records by table. Without a store, the agent's own is opened for this, where there is one.
///
/// # Errors
/// Where the store fails. A manifest that cannot be read counts as none.
pub(super) async fn last_counts(
    agent: &Agent,
    connection: &str,
    store: Option<&Store>,
) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut counts = match store {
        Some(store) => store.last_counts(connection).await?,
        None => in_own_store(agent, connection).await?,
    };
    let manifest = Manifest::read(&manifest_path(&agent.export_folder(), connection)).ok().flatten();
    for (table, entry) in manifest.unwrap_or_default().tables {
        let finished_ms = DateTime::parse_from_rfc3339(&entry.finished).map_or(0, |time| time.timestamp_millis());
        let is_later = counts.get(&table).is_none_or(|(noted_ms, _)| *noted_ms < finished_ms);
        if is_later {
            counts.insert(table, (finished_ms, entry.records));
        }
    }
    Ok(counts.into_iter().map(|(table, (_, records))| (table, records)).collect())
}

async fn in_own_store(agent: &Agent, connection: &str) -> anyhow::Result<BTreeMap<String, (i64, u64)>> {
    let place = Place::of(&agent.settings);
    if matches!(&place, Place::File(path) if !path.exists()) {
        return Ok(BTreeMap::new());
    }
    let store = Store::open_for_one(place).await?;
    let counts = store.last_counts(connection).await;
    store.close().await;
    counts
}
