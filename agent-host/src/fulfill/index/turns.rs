//! When each order's turn is: records before memberships before assignments, deletions last, and orders on one record,
//! by whatever name, in their order.

use std::collections::HashMap;

use super::Index;

/// The orders in the order of their turns: by phase, then those on one record together in their order.
#[derive(Debug, Default)]
pub(in crate::fulfill) struct Turns {
    order: Vec<u32>,
    ends: Vec<u32>,
    /// For each chain, what tells its record from others.
    records: Vec<u32>,
}

impl Turns {
    /// The number of chains: orders on one record, which are carried out one after the other.
    pub(in crate::fulfill) fn len(&self) -> usize {
        self.ends.len()
    }

    /// What a chain has in common with the others on the same record.
    pub(in crate::fulfill) fn record(&self, nth: usize) -> u32 {
        self.records[nth]
    }

    /// The orders of a chain.
    pub(in crate::fulfill) fn chain(&self, nth: usize) -> &[u32] {
        let start = nth.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.order[start as usize..self.ends[nth] as usize]
    }
}

impl Index {
    /// When each order's turn is. An order comes no earlier than the one before it on the same record.
    pub(in crate::fulfill) fn turns(&mut self) -> Turns {
        let chains = self.chains();
        let mut latest: HashMap<u32, u8> = HashMap::new();
        for (entry, chain) in self.entries.iter_mut().zip(&chains) {
            let phase = latest.entry(*chain).or_insert(entry.phase);
            *phase = entry.phase.max(*phase);
            entry.phase = *phase;
        }
        drop(latest);
        let mut order: Vec<u32> = (0..).take(self.entries.len()).collect();
        order.sort_unstable_by_key(|&at| (self.entries[at as usize].phase, chains[at as usize], at));
        let together = |one: &u32, other: &u32| {
            let phase = |at: &u32| self.entries[*at as usize].phase;
            chains[*one as usize] == chains[*other as usize] && phase(one) == phase(other)
        };
        let mut end = 0;
        let ends = order.chunk_by(together).map(|chain| {
            end += chain.len();
            u32::try_from(end).expect("bounded by MAX_ORDERS")
        });
        let ends: Vec<u32> = ends.collect();
        let records = ends.iter().map(|end| chains[order[*end as usize - 1] as usize]).collect();
        Turns { order, ends, records }
    }

    /// For each order the first one that is, by whatever name, on the same record.
    fn chains(&self) -> Vec<u32> {
        let mut parents: Vec<u32> = (0..).take(self.entries.len()).collect();
        let mut known: HashMap<u64, u32> = HashMap::with_capacity(self.names.len());
        for at in 0..self.entries.len() {
            let this = u32::try_from(at).expect("bounded by MAX_ORDERS");
            let end = self.entries.get(at + 1).map_or(self.names.len(), |next| next.names as usize);
            for name in &self.names[self.entries[at].names as usize..end] {
                let other = *known.entry(*name).or_insert(this);
                let (one, other) = (root(&mut parents, this), root(&mut parents, other));
                parents[one.max(other) as usize] = one.min(other);
            }
        }
        (0..).take(parents.len()).map(|at| root(&mut parents, at)).collect()
    }
}

/// The first order of a chain; ways there are shortened on the way.
fn root(parents: &mut [u32], mut at: u32) -> u32 {
    while parents[at as usize] != at {
        let above = parents[parents[at as usize] as usize];
        parents[at as usize] = above;
        at = above;
    }
    at
}
