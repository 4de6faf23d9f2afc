//! Placeholder.
use std::collections::BTreeMap;
#[derive(Debug, Default)]
pub struct Rejected { pub count: u64, pub reasons: BTreeMap<String, u64> }
impl Rejected { pub(super) fn add(&mut self, reason: &str, _n: impl FnOnce() -> String) { self.count += 1; *self.reasons.entry(reason.into()).or_default() += 1; } }
