//! What the orders of a run take away, by table: what safety limits are held against.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{Change, Entry, Index, Risk, Verdict, hex};

/// What a run takes away, by table.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::fulfill) struct Losses {
    pub(in crate::fulfill) deletions: BTreeMap<String, u64>,
    pub(in crate::fulfill) deactivations: BTreeMap<String, u64>,
    pub(in crate::fulfill) link_removals: BTreeMap<String, u64>,
    /// Of the orders that do so: the same set has the same.
    pub(in crate::fulfill) digest: String,
}

impl Index {
    /// What the orders take away, those done before a crash included, so that the same orders are judged the same.
    pub(in crate::fulfill) fn losses(&self) -> Losses {
        let mut losses = Losses::default();
        let mut risky = Vec::new();
        let due = |entry: &Entry| entry.verdict == Verdict::Due && entry.change != Change::Unknown;
        for (at, entry) in self.entries.iter().enumerate().filter(|(_, entry)| due(entry)) {
            let table = || self.tables[usize::from(entry.table)].to_owned();
            match entry.risk {
                Risk::None => {}
                Risk::Deletes => *losses.deletions.entry(table()).or_default() += 1,
                Risk::Deactivates => *losses.deactivations.entry(table()).or_default() += 1,
            }
            let mut is_risky = entry.risk != Risk::None;
            let end = self.entries.get(at + 1).map_or(self.links.len(), |next| next.links as usize);
            for link in &self.links[entry.links as usize..end] {
                if !link.is_wanted && link.cancelled_by.is_none() {
                    let table = self.tables[usize::from(link.table)].to_owned();
                    *losses.link_removals.entry(table).or_default() += 1;
                    is_risky = true;
                }
            }
            if is_risky {
                risky.push(entry.hash);
            }
        }
        risky.sort_unstable();
        let digest = risky.iter().fold(Sha256::new(), |digest, hash| digest.chain_update(hash.to_be_bytes()));
        losses.digest = hex(&digest.finalize());
        losses
    }
}
