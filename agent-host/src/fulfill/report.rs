//! What a run did, as JSON for machines and as text for people.

use std::{fmt, path::PathBuf, time::Duration};

use serde::Serialize;

use super::intake::RejectedFile;
use crate::export::grouped;

/// What a run did.
#[derive(Debug, Serialize)]
pub struct FulfillReport {
    /// The connection's identifier.
    pub connection: String,
    /// Orders that this run reports; those that a run which was cut off had carried out are among them.
    pub orders: u64,
    /// Those that are as they were wanted.
    pub executed: u64,
    /// Those that are not.
    pub errored: u64,
    /// Those executed where nothing had to be written.
    pub unchanged: u64,
    /// Where the results are; none where there was no order.
    pub results: Option<PathBuf>,
    /// Files that could not be read.
    pub rejected: Vec<RejectedFile>,
    /// Requests it took.
    pub requests: u64,
    /// Answers that said "too many requests".
    pub throttled: u64,
    /// The most requests under way at once.
    pub max_in_flight: u32,
    /// How often notes were seen to the disk.
    pub journal_commits: u64,
    /// Percent of the time of orders that was spent waiting for their notes.
    pub journal_percent: f64,
    /// How long it all took.
    pub duration_ms: u64,
}

impl FulfillReport {
    /// Whether all there was to do is done.
    pub fn is_clean(&self) -> bool {
        self.errored == 0 && self.rejected.is_empty()
    }
}

/// The report as people read it.
impl fmt::Display for FulfillReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for RejectedFile { file, reason } in &self.rejected {
            writeln!(f, "`{}` cannot be read: {reason}", file.display())?;
        }
        let took = Duration::from_millis(self.duration_ms).as_secs_f64();
        let [orders, executed, unchanged, errored] =
            [self.orders, self.executed, self.unchanged, self.errored].map(grouped);
        writeln!(
            f,
            "{orders} orders for `{}` in {took:.1} s: {executed} executed, {unchanged} of them without a change, \
             {errored} errored.",
            self.connection
        )?;
        let (requests, throttled) = (grouped(self.requests), grouped(self.throttled));
        writeln!(f, "{requests} requests, {throttled} refused for their frequency.")?;
        match &self.results {
            Some(path) => writeln!(f, "Results: {}", path.display()),
            None => Ok(()),
        }
    }
}
