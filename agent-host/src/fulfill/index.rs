//! All orders of a run at a glance: where each stands, what it is about and when its turn is, in about a hundred bytes.
//!
//! Orders on the same record keep their order; of two that want a link added and removed the last counts. What
//! contradicts itself is found here, before anything is sent. Records are told apart by what orders call them, as
//! hashes of 64 bits.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

use connector_api::{Capabilities, ChangeType, LinkAction, LinkChange, Outlook, ProvisioningOrder, RecordKey};
use sha2::{Digest, Sha256};

use crate::orders::{Found, MAX_ORDER_BYTES, Place, Resolved};

/// Orders of one run, in all files.
pub(super) const MAX_ORDERS: usize = 1_000_000;
/// Links of one run.
pub(super) const MAX_LINKS: usize = 4_000_000;
/// The phase of deletions: the last.
const DELETIONS: u8 = u8::MAX;

/// A file of orders.
#[derive(Debug)]
pub(super) struct IndexedFile {
    pub(super) path: PathBuf,
    /// The folder that it moves within when it is handled; none where it stays.
    pub(super) root: Option<PathBuf>,
    /// SHA-256, in hexadecimal.
    pub(super) digest: String,
    /// Its id in the store; 0 where nothing is kept.
    pub(super) order_file: i64,
    /// The index of its first order.
    pub(super) first: usize,
    pub(super) count: usize,
}

/// What is known of an order before its turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) offset: u64,
    pub(super) length: u64,
    /// Of its text.
    pub(super) hash: u64,
    id: u64,
    key: u64,
    names: u32,
    links: u32,
    pub(super) file: u32,
    table: u8,
    pub(super) lane: u8,
    pub(super) phase: u8,
    change: Change,
    risk: Risk,
    pub(super) verdict: Verdict,
}

impl Entry {
    /// Where its file has it; the line is known to the first reading alone.
    pub(super) fn found(&self) -> Found {
        let place = Place { line: 0, column: 0, offset: self.offset };
        Found { place, length: self.length, too_large: self.length > MAX_ORDER_BYTES as u64 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Unknown,
    Added,
    Modified,
    Deleted,
}

/// What an order takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Risk {
    None,
    Deletes,
    Deactivates,
}

/// What the other orders of the run make of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is carried out, or errored by itself.
    Due,
    /// It is for a record that the order of this index deletes before.
    AfterDeletion(u32),
    /// The order of this index has the same id and says something else.
    Ambiguous(u32),
    /// The order of this index is the same.
    Repeats(u32),
}

#[derive(Debug, Clone, Copy)]
struct Link {
    hash: u64,
    table: u8,
    is_wanted: bool,
    /// The order that says the opposite later.
    cancelled_by: Option<u32>,
}

/// What a run takes away, by table.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Losses {
    pub(super) deletions: BTreeMap<String, u64>,
    pub(super) deactivations: BTreeMap<String, u64>,
    pub(super) link_removals: BTreeMap<String, u64>,
    /// Of the orders that do so: the same set has the same.
    pub(super) digest: String,
}

/// All orders of a run.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) files: Vec<IndexedFile>,
    pub(super) entries: Vec<Entry>,
    names: Vec<u64>,
    links: Vec<Link>,
    tables: Vec<&'static str>,
    /// Tables of links come after tables of records, in the order in which links are made.
    link_tables: Vec<&'static str>,
    pub(super) lanes: Vec<&'static str>,
}

/// The orders in the order of their turns: by phase, then those on one record together in their order.
#[derive(Debug, Default)]
pub(super) struct Turns {
    order: Vec<u32>,
    ends: Vec<u32>,
}

impl Turns {
    /// The number of chains: orders on one record, which are carried out one after the other.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The orders of a chain.
    pub(super) fn chain(&self, nth: usize) -> &[u32] {
        let start = nth.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.order[start as usize..self.ends[nth] as usize]
    }
}

/// How much an index holds, to go back to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark(usize, usize, usize);

impl Index {
    pub(super) fn new(capabilities: &Capabilities) -> Self {
        let tables: Vec<&'static str> = capabilities.tables.iter().map(|table| table.name).collect();
        let link_tables = capabilities.tables.iter().filter(|table| !table.sides.is_empty());
        let link_tables = link_tables.map(|table| table.name).collect();
        let (files, entries, names, links, lanes) = Default::default();
        Self { files, entries, names, links, tables, link_tables, lanes }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark(self.entries.len(), self.names.len(), self.links.len())
    }

    /// Forgets what was added since.
    pub(super) fn back_to(&mut self, mark: Mark) {
        self.entries.truncate(mark.0);
        self.names.truncate(mark.1);
        self.links.truncate(mark.2);
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() > MAX_ORDERS || self.links.len() > MAX_LINKS
    }

    /// Adds the next order of the file that comes after those in `files`.
    pub(super) fn push(&mut self, found: &Found, text: &[u8], id: &str, resolved: Option<(&Resolved, Outlook)>) {
        let mut entry = Entry {
            offset: found.place.offset,
            length: found.length,
            hash: hash([text]),
            id: hash([id.as_bytes()]),
            key: 0,
            names: u32::try_from(self.names.len()).expect("bounded by MAX_ORDERS"),
            links: u32::try_from(self.links.len()).expect("bounded by MAX_LINKS"),
            file: u32::try_from(self.files.len()).expect("bounded by MAX_ORDERS"),
            table: 0,
            lane: 0,
            phase: 0,
            change: Change::Unknown,
            risk: Risk::None,
            verdict: Verdict::Due,
        };
        if !id.is_empty() {
            self.names.push(hash([b"order", entry.file.to_string().as_bytes(), id.as_bytes()]));
        }
        if let Some((resolved, outlook)) = resolved {
            self.describe(&mut entry, resolved, outlook);
        }
        self.entries.push(entry);
    }

    fn describe(&mut self, entry: &mut Entry, resolved: &Resolved, outlook: Outlook) {
        let order = &resolved.order;
        entry.table = place_of(&self.tables, &order.table);
        entry.lane = place_or_add(&mut self.lanes, outlook.lane);
        entry.key = order.key.as_ref().map_or(0, |key| name_hash(&order.table, key));
        (entry.change, entry.phase) = match order.change {
            ChangeType::Added => (Change::Added, self.phase(order)),
            ChangeType::Modified => (Change::Modified, self.phase(order)),
            ChangeType::Deleted => (Change::Deleted, DELETIONS),
        };
        entry.risk = match outlook {
            Outlook { deletes: true, .. } => Risk::Deletes,
            Outlook { deactivates: true, .. } => Risk::Deactivates,
            Outlook { .. } => Risk::None,
        };
        self.names.extend(resolved.names.iter().map(|name| name_hash(&order.table, name)));
        for link in &order.links {
            let (hash, table) = (link_hash(order, link), place_of(&self.tables, &link.table));
            self.links.push(Link { hash, table, is_wanted: link.action == LinkAction::Add, cancelled_by: None });
        }
    }

    /// Records before memberships before assignments, in the order of the tables.
    fn phase(&self, order: &ProvisioningOrder) -> u8 {
        order.links.iter().map(|link| 1 + place_of(&self.link_tables, &link.table)).max().unwrap_or(0)
    }

    /// Finds what contradicts itself, and when each order's turn is.
    pub(super) fn settle(&mut self) {
        self.find_repeated_ids();
        self.find_orders_after_deletions();
        self.cancel_links();
    }

    /// When each order's turn is. An order comes no earlier than the one before it on the same record.
    pub(super) fn turns(&mut self) -> Turns {
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
        let ends = ends.collect();
        Turns { order, ends }
    }

    /// Whether the `nth` link of an order does not count, and which order says so.
    pub(super) fn link_cancelled(&self, at: u32, nth: usize) -> Option<u32> {
        self.links.get(self.entries[at as usize].links as usize + nth)?.cancelled_by
    }

    /// What the orders take away, those done before a crash included, so that the same orders are judged the same.
    pub(super) fn losses(&self) -> Losses {
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

    fn find_repeated_ids(&mut self) {
        let mut first: HashMap<(u32, u64), u32> = HashMap::new();
        let none = hash([&b""[..]]);
        for at in 0..self.entries.len() {
            let entry = self.entries[at];
            if entry.id == none {
                continue;
            }
            let this = u32::try_from(at).expect("bounded by MAX_ORDERS");
            let Some(&known) = first.get(&(entry.file, entry.id)) else {
                first.insert((entry.file, entry.id), this);
                continue;
            };
            if self.entries[known as usize].hash == entry.hash {
                self.entries[at].verdict = Verdict::Repeats(known);
            } else {
                self.entries[at].verdict = Verdict::Ambiguous(known);
                self.entries[known as usize].verdict = Verdict::Ambiguous(this);
            }
        }
    }

    fn find_orders_after_deletions(&mut self) {
        let mut deleted: HashMap<u64, u32> = HashMap::new();
        for at in 0..self.entries.len() {
            let entry = &mut self.entries[at];
            match entry.change {
                _ if entry.verdict != Verdict::Due || entry.key == 0 => {}
                Change::Deleted => {
                    deleted.entry(entry.key).or_insert(u32::try_from(at).expect("bounded by MAX_ORDERS"));
                }
                _ => {
                    if let Some(&by) = deleted.get(&entry.key) {
                        entry.verdict = Verdict::AfterDeletion(by);
                    }
                }
            }
        }
    }

    fn cancel_links(&mut self) {
        let mut last: HashMap<u64, (bool, u32)> = HashMap::new();
        let owners: Vec<(u32, std::ops::Range<usize>)> = self
            .entries
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.verdict == Verdict::Due)
            .map(|(at, entry)| {
                let end = self.entries.get(at + 1).map_or(self.links.len(), |next| next.links as usize);
                (u32::try_from(at).expect("bounded by MAX_ORDERS"), entry.links as usize..end)
            })
            .filter(|(_, links)| !links.is_empty())
            .collect();
        for (at, links) in &owners {
            for link in &self.links[links.clone()] {
                last.insert(link.hash, (link.is_wanted, *at));
            }
        }
        for (_, links) in owners {
            for link in &mut self.links[links] {
                let (is_wanted, by) = last[&link.hash];
                link.cancelled_by = (is_wanted != link.is_wanted).then_some(by);
            }
        }
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

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

pub(super) fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let digest = parts
        .into_iter()
        .fold(Sha256::new(), |digest, part| digest.chain_update((part.len() as u64).to_be_bytes()).chain_update(part));
    let digest = digest.finalize();
    u64::from_be_bytes(digest[..8].try_into().expect("a SHA-256 has 32 bytes"))
}

/// Columns ignore case, as everywhere. Values that are no ids may: two records are then taken one after the other.
fn name_hash(table: &str, name: &RecordKey) -> u64 {
    hash([table.as_bytes(), name.column.to_lowercase().as_bytes(), name.value.as_bytes()])
}

/// The same for a link seen from either side. A record that is added has no key: its links meet no others.
fn link_hash(order: &ProvisioningOrder, link: &LinkChange) -> u64 {
    let own = order.key.as_ref().map_or_else(|| order.id.clone(), |key| format!("{}={}", key.column, key.value));
    let other = format!("{}={}", link.other.column, link.other.value);
    let (first, second) = if link.side == 0 { (own, other) } else { (other, own) };
    hash([link.table.as_bytes(), first.as_bytes(), second.as_bytes()])
}

fn place_of(names: &[&str], name: &str) -> u8 {
    let place = names.iter().position(|known| *known == name).unwrap_or(0);
    u8::try_from(place).unwrap_or(u8::MAX - 1)
}

fn place_or_add(names: &mut Vec<&'static str>, name: &'static str) -> u8 {
    let place = names.iter().position(|known| *known == name).unwrap_or_else(|| {
        names.push(name);
        names.len() - 1
    });
    u8::try_from(place).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use connector_api::{Side, TableCapability};

    use super::*;

    fn index() -> Index {
        const ENTITY: TableCapability = TableCapability {
            name: "users",
            fields: &[],
            default_attributes: &[],
            identity: &["id"],
            sides: &[],
            never_empty: false,
            exported: true,
        };
        const SIDES: &[Side] = &[
            Side { table: "groups", column: "groupId", aliases: &[] },
            Side { table: "users", column: "userId", aliases: &[] },
        ];
        let links = |name| TableCapability { name, sides: SIDES, ..ENTITY };
        let named = |name| TableCapability { name, ..ENTITY };
        Index::new(&Capabilities { tables: vec![ENTITY, named("groups"), links("groupsusers"), links("groupsapps")] })
    }

    /// `change table key links`: links as `+table:other` and `-table:other`; a key with `=` is another name.
    fn push(index: &mut Index, id: &str, text: &str) {
        let mut words = text.split_whitespace();
        let change = match words.next() {
            Some("A") => ChangeType::Added,
            Some("M") => ChangeType::Modified,
            _ => ChangeType::Deleted,
        };
        let mut order = ProvisioningOrder::new(id, change, words.next().expect("a table"));
        let key = |column: &str, value: &str| RecordKey { column: column.to_owned(), value: value.to_owned() };
        let mut names = Vec::new();
        for word in words {
            match word.split_once(':') {
                Some((table, other)) => order.links.push(LinkChange {
                    table: table[1..].to_owned(),
                    side: usize::from(order.table == "users"),
                    other: key("id", other),
                    action: if word.starts_with('+') { LinkAction::Add } else { LinkAction::Remove },
                    values: BTreeMap::new(),
                }),
                None => names.push(word.split_once('=').map_or_else(|| key("id", word), |(c, v)| key(c, v))),
            }
        }
        order.key = names.first().filter(|_| change != ChangeType::Added).cloned();
        let outlook = Outlook { lane: "", deletes: change == ChangeType::Deleted, deactivates: false };
        let place = Place { line: 1, column: 1, offset: 0 };
        let found = Found { place, length: 1, too_large: false };
        index.push(
            &found,
            text.as_bytes(),
            id,
            Some((&Resolved { order, names, note: None, first_password: None }, outlook)),
        );
    }

    fn turns(orders: &[&str]) -> Vec<Vec<u32>> {
        let mut index = index();
        orders.iter().enumerate().for_each(|(nth, order)| push(&mut index, &nth.to_string(), order));
        index.settle();
        let turns = index.turns();
        (0..turns.len()).map(|nth| turns.chain(nth).to_vec()).collect()
    }

    #[test]
    fn records_come_before_links_and_deletions_last_but_never_before_their_own() {
        let cases: [(&[&str], &[&[u32]]); 5] = [
            (
                &["D users a", "M groups g +groupsapps:x", "M users b +groupsusers:g", "A groups"],
                &[&[3], &[2], &[1], &[0]],
            ),
            (&["M users a", "M users b", "M users a"], &[&[0, 2], &[1]]),
            (&["M users a +groupsusers:g", "M users a"], &[&[0, 1]]),
            (&["D users a login=x", "A users login=x"], &[&[0, 1]]),
            (&["M users a login=x", "M users b login=y", "M users b login=x"], &[&[0, 1, 2]]),
        ];
        for (orders, expected) in cases {
            assert_eq!(turns(orders), expected, "{orders:?}");
        }
    }

    #[test]
    fn the_last_word_about_a_link_counts_from_whichever_side_it_comes() {
        let mut index = index();
        push(&mut index, "1", "M users u +groupsusers:g +groupsusers:h");
        push(&mut index, "2", "M groups g -groupsusers:u");
        push(&mut index, "3", "M users u +groupsusers:g");
        index.settle();
        assert_eq!([0, 1].map(|nth| index.link_cancelled(0, nth)), [None, None]);
        assert_eq!(index.link_cancelled(1, 0), Some(2));
        assert_eq!(index.losses().link_removals, BTreeMap::new());
    }

    #[test]
    fn contradictions_are_found_and_losses_counted() {
        let mut index = index();
        for (id, order) in
            [("1", "D users a"), ("2", "M users a"), ("3", "D users a"), ("4", "M users b"), ("4", "M users c")]
        {
            push(&mut index, id, order);
        }
        push(&mut index, "3", "D users a");
        index.settle();
        let verdicts: Vec<Verdict> = index.entries.iter().map(|entry| entry.verdict).collect();
        use Verdict::{AfterDeletion, Ambiguous, Due, Repeats};
        assert_eq!(verdicts, [Due, AfterDeletion(0), Due, Ambiguous(4), Ambiguous(3), Repeats(2)]);
        assert_eq!(index.losses().deletions, [("users".to_owned(), 2)].into());
    }
}
