//! The sandbox's journal: what was asked, as the server saw it, whatever the client says of itself.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One request and its answer.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Exchange {
    /// When it was counted, by the sandbox's clock.
    pub at_millis: i64,
    pub path: String,
    pub query: String,
    pub bucket: String,
    pub status: u16,
    pub in_flight: u64,
    pub bytes: u64,
}

/// The requests of one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal(pub Vec<Exchange>);

impl Journal {
    pub(crate) fn requests(&self) -> u64 {
        self.0.len() as u64
    }

    pub(crate) fn throttled(&self) -> u64 {
        self.0.iter().filter(|exchange| exchange.status == 429).count() as u64
    }

    /// The most requests under way at once.
    pub(crate) fn in_flight(&self) -> u64 {
        self.0.iter().map(|exchange| exchange.in_flight).max().unwrap_or(0)
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.iter().map(|exchange| exchange.bytes).sum()
    }

    /// The pages of the list that has most of them, which only one after the other can be asked for.
    pub(crate) fn longest_chain(&self) -> Self {
        let mut lists: BTreeMap<&str, Vec<Exchange>> = BTreeMap::new();
        for exchange in &self.0 {
            lists.entry(&exchange.path).or_default().push(exchange.clone());
        }
        Self(lists.into_values().max_by_key(Vec::len).unwrap_or_default())
    }

    /// The requests of each bucket, in the order in which they were counted.
    pub(crate) fn by_bucket(&self) -> BTreeMap<&str, Vec<i64>> {
        let mut buckets: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for exchange in &self.0 {
            buckets.entry(&exchange.bucket).or_default().push(exchange.at_millis);
        }
        buckets.values_mut().for_each(|times| times.sort_unstable());
        buckets
    }
}
