//! What reading costs: foretold by a plan, counted while it happens.

use std::{collections::BTreeMap, time::Duration};

/// The target of spans that are traced: `tracing::info_span!(target: SPANS, …)`. Whoever collects traces takes these, and
/// the log shows none of them. Their fields are names, numbers and states, never a secret or a value of somebody's profile.
pub const SPANS: &str = "traces";

/// The requests a connector has made since it was opened.
#[derive(Debug, Clone, Default)]
pub struct Traffic {
    /// By the name of the budget ("bucket") that the managed system charges.
    pub by_bucket: BTreeMap<String, BucketTraffic>,
    /// Answers that said "too many requests".
    pub throttled: u64,
    /// The most requests that were under way at once.
    pub max_in_flight: u32,
    /// By table, for a progress display.
    pub tables: BTreeMap<String, TableProgress>,
}

impl Traffic {
    /// All requests, whatever the bucket.
    pub fn total(&self) -> u64 {
        self.by_bucket.values().map(|bucket| bucket.requests).sum()
    }
}

/// The traffic in one bucket.
#[derive(Debug, Clone, Default)]
pub struct BucketTraffic {
    /// Requests sent, repeated ones included.
    pub requests: u64,
    /// Those of them that were answered, by the status of the answer.
    pub statuses: BTreeMap<u16, u64>,
    /// Time during which nothing was sent because the limit's window was used up.
    pub waited: Duration,
    /// How long the present wait will still last; none where nothing waits.
    pub waiting: Option<Duration>,
    /// The bucket's limit and how near to it all came; none where the system names no limit, or has not yet.
    pub limit: Option<LimitUse>,
}

/// A bucket's limit, and the most that was used of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitUse {
    /// Requests that the system allows in a window.
    pub limit: u32,
    /// Requests of the busiest window that was seen, whoever sent them.
    pub most_used: u32,
}

/// How far the export of one table is.
#[derive(Debug, Clone, Copy, Default)]
pub struct TableProgress {
    /// Answers received.
    pub pages: u64,
    /// Answers there will be, once that is known.
    pub expected_pages: Option<u64>,
}

/// What an export would cost.
#[derive(Debug, Clone, Default)]
pub struct ExportPlan {
    /// By the name of the bucket.
    pub by_bucket: BTreeMap<String, BucketPlan>,
}

/// The part of a plan that one bucket carries.
#[derive(Debug, Clone, Copy, Default)]
pub struct BucketPlan {
    /// Requests to be sent.
    pub requests: u64,
    /// Requests a minute that may be used; none where the system names no limit.
    pub per_minute: Option<u32>,
    /// How long the bucket's requests take at the least, waits for the limit included.
    pub duration: Duration,
}
