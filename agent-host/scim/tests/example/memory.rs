//! A store in memory: for tests, measurements and the example. Nothing survives the process.
//!
//! It keeps the indexes that a database would keep, so that what the protocol costs can be told from what a store
//! costs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;
use scim_server::{
    Change, Deletion, Draft, Field, From, Keys, Kind, Link, Links, Lookup, MemberChange, Order, Page, Query, Resource,
    ResourceStore, StoreError, UnknownMember,
};

pub(crate) struct Memory {
    inside: Mutex<Inside>,
    /// Milliseconds since 1970.
    now_ms: fn() -> i64,
}

#[derive(Default)]
struct Inside {
    sequence: u64,
    kept: HashMap<String, Kept>,
    /// By kind and sequence.
    order: BTreeMap<(Kind, u64), String>,
    counts: HashMap<Kind, u64>,
    /// By kind, field and key: ids.
    keys: HashMap<(Kind, &'static str, String), BTreeSet<String>>,
    /// By member: groups.
    groups_of: HashMap<String, BTreeSet<String>>,
}

struct Kept {
    kind: Kind,
    resource: Resource,
    keys: Keys,
    /// Of a group: by id, with what the client called it.
    members: BTreeMap<String, Link>,
}

const KEYS: [Field; 3] = [Field::UserName, Field::ExternalId, Field::DisplayName];

impl Memory {
    pub(crate) fn new(now_ms: fn() -> i64) -> Self {
        Self { inside: Mutex::default(), now_ms }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().expect("no thread died while it held the lock")
    }
}

#[async_trait]
impl ResourceStore for Memory {
    async fn get(&self, kind: Kind, id: &str, links: Links) -> Result<Option<Resource>, StoreError> {
        let inside = self.inside();
        Ok(inside.kept.get(id).filter(|kept| kept.kind == kind).map(|kept| inside.shown(kept, links)))
    }

    async fn page(&self, kind: Kind, query: &Query) -> Result<Page, StoreError> {
        Ok(self.inside().page(kind, query))
    }

    async fn create(&self, kind: Kind, draft: Draft, links: Links) -> Result<Resource, StoreError> {
        let mut inside = self.inside();
        inside.check_unique(kind, &draft.keys, &draft.unique, None)?;
        inside.check_members(&draft.members, draft.unknown_member)?;
        inside.sequence += 1;
        let sequence = inside.sequence;
        let now_ms = (self.now_ms)();
        let resource = Resource {
            id: format!("{sequence:08x}"),
            sequence,
            version: 1,
            created_ms: now_ms,
            modified_ms: now_ms,
            attributes: draft.attributes,
            links: None,
        };
        let id = resource.id.clone();
        inside.order.insert((kind, sequence), id.clone());
        *inside.counts.entry(kind).or_default() += 1;
        inside.index(kind, &id, &draft.keys);
        inside.kept.insert(id.clone(), Kept { kind, resource, keys: draft.keys, members: BTreeMap::new() });
        inside.change_members(&id, MemberChange { add: draft.members, ..MemberChange::default() });
        Ok(inside.shown(&inside.kept[&id], links))
    }

    async fn update(&self, kind: Kind, id: &str, change: Change, links: Links) -> Result<Resource, StoreError> {
        let mut inside = self.inside();
        let present = inside.kept.get(id).filter(|kept| kept.kind == kind).ok_or(StoreError::NotFound)?;
        if change.if_version.is_some_and(|version| version != present.resource.version) {
            return Err(StoreError::Conflict);
        }
        let old_keys = present.keys.clone();
        if let Some((_, keys)) = &change.attributes {
            inside.check_unique(kind, keys, &change.unique, Some(id))?;
        }
        inside.check_members(&change.members.add, change.unknown_member)?;
        let mut has_changed = inside.change_members(id, change.members);
        has_changed |= change.password.is_some();
        if let Some((attributes, keys)) = change.attributes {
            inside.unindex(kind, id, &old_keys);
            inside.index(kind, id, &keys);
            let kept = inside.kept.get_mut(id).expect("it was there a moment ago");
            kept.resource.attributes = attributes;
            kept.keys = keys;
            has_changed = true;
        }
        let kept = inside.kept.get_mut(id).expect("it was there a moment ago");
        if has_changed {
            kept.resource.version += 1;
            kept.resource.modified_ms = (self.now_ms)();
        }
        Ok(inside.shown(&inside.kept[id], links))
    }

    async fn delete(&self, kind: Kind, id: &str, deletion: Deletion) -> Result<(), StoreError> {
        let mut inside = self.inside();
        let present = inside.kept.get(id).filter(|kept| kept.kind == kind).ok_or(StoreError::NotFound)?;
        if deletion.if_version.is_some_and(|version| version != present.resource.version) {
            return Err(StoreError::Conflict);
        }
        inside.change_members(id, MemberChange { clear: true, ..MemberChange::default() });
        for group in inside.groups_of.remove(id).unwrap_or_default() {
            if let Some(group) = inside.kept.get_mut(&group) {
                group.members.remove(id);
                group.resource.version += 1;
            }
        }
        let gone = inside.kept.remove(id).expect("it was there a moment ago");
        inside.unindex(kind, id, &gone.keys);
        inside.order.remove(&(kind, gone.resource.sequence));
        *inside.counts.entry(kind).or_default() -= 1;
        Ok(())
    }
}

impl Inside {
    fn shown(&self, kept: &Kept, links: Links) -> Resource {
        let count = match kept.kind {
            Kind::Group => kept.members.len(),
            Kind::User => self.groups_of.get(&kept.resource.id).map_or(0, BTreeSet::len),
        };
        let is_shown = match links {
            Links::None => false,
            Links::UpTo(limit) => count <= limit,
            Links::All => true,
        };
        let mut resource = kept.resource.clone();
        resource.links = is_shown.then(|| match kept.kind {
            Kind::Group => kept.members.values().map(|member| self.link(member)).collect(),
            Kind::User => {
                let groups = self.groups_of.get(&resource.id).into_iter().flatten();
                groups.map(|id| self.link(&Link { id: id.clone(), ..Link::default() })).collect()
            }
        });
        resource
    }

    /// With the present name and kind of what it leads to.
    fn link(&self, link: &Link) -> Link {
        let Some(target) = self.kept.get(&link.id) else { return Link { kind: None, ..link.clone() } };
        let text = |name: &str| target.resource.attributes.get(name)?.as_str().map(str::to_owned);
        Link { id: link.id.clone(), display: text("displayName").or(text("userName")), kind: Some(target.kind) }
    }

    fn page(&self, kind: Kind, query: &Query) -> Page {
        let in_order = || self.order.range((kind, 0)..=(kind, u64::MAX)).map(|(_, id)| id);
        let looked_up = query.lookup.as_ref().map(|lookup| self.looked_up(kind, lookup));
        let total = query.count.then(|| match &looked_up {
            Some(found) => found.len() as u64,
            None => self.counts.get(&kind).copied().unwrap_or_default(),
        });
        let sequence = |id: &str| self.kept[id].resource.sequence;
        let ids: Vec<&String> = match (&looked_up, query.order, query.from) {
            (None, Order::Taken, From::After(after)) => {
                self.order.range((kind, after + 1)..=(kind, u64::MAX)).map(|(_, id)| id).take(query.limit).collect()
            }
            (None, Order::Taken, From::Offset(skip)) => in_order().skip(usize_of(skip)).take(query.limit).collect(),
            (_, order, from) => {
                let mut ids: Vec<&String> = match &looked_up {
                    Some(found) => found.iter().collect(),
                    None => in_order().collect(),
                };
                ids.sort_by_key(|id| sequence(id));
                if let Order::By { field, descending } = order {
                    let key = |id: &str| self.kept[id].keys.get(field).map(str::to_owned);
                    ids.sort_by(|left, right| {
                        let (left, right) = (key(left), key(right));
                        let ascending = left.is_none().cmp(&right.is_none()).then(left.cmp(&right));
                        if descending { ascending.reverse() } else { ascending }
                    });
                }
                let skip = match from {
                    From::Offset(skip) => usize_of(skip),
                    From::After(after) => ids.iter().take_while(|id| sequence(id) <= after).count(),
                };
                ids.into_iter().skip(skip).take(query.limit).collect()
            }
        };
        Page { resources: ids.iter().map(|id| self.shown(&self.kept[*id], query.links)).collect(), total }
    }

    fn looked_up(&self, kind: Kind, lookup: &Lookup) -> BTreeSet<String> {
        let found = lookup.values.iter().flat_map(|value| -> BTreeSet<String> {
            match (lookup.field, kind) {
                (Field::Id, _) => BTreeSet::from([value.clone()]),
                (Field::Link, Kind::Group) => self.groups_of.get(value).cloned().unwrap_or_default(),
                (Field::Link, Kind::User) => {
                    self.kept.get(value).map(|group| group.members.keys().cloned().collect()).unwrap_or_default()
                }
                (field, _) => self.keys.get(&(kind, field.name(), value.clone())).cloned().unwrap_or_default(),
            }
        });
        found.filter(|id| self.kept.get(id).is_some_and(|kept| kept.kind == kind)).collect()
    }

    fn check_unique(&self, kind: Kind, keys: &Keys, unique: &[Field], own: Option<&str>) -> Result<(), StoreError> {
        for field in unique {
            let Some(key) = keys.get(*field) else { continue };
            let others = self.keys.get(&(kind, field.name(), key.to_owned())).into_iter().flatten();
            if others.into_iter().any(|id| Some(id.as_str()) != own) {
                return Err(StoreError::NotUnique(*field));
            }
        }
        Ok(())
    }

    fn check_members(&self, members: &[Link], unknown: UnknownMember) -> Result<(), StoreError> {
        let missing = members.iter().find(|member| !self.kept.contains_key(&member.id));
        match missing {
            Some(member) if unknown == UnknownMember::Reject => Err(StoreError::UnknownMember(member.id.clone())),
            _ => Ok(()),
        }
    }

    /// Whether anything changed.
    fn change_members(&mut self, id: &str, change: MemberChange) -> bool {
        let Some(group) = self.kept.get_mut(id) else { return false };
        let stays: BTreeSet<&String> = change.add.iter().map(|member| &member.id).collect();
        let mut gone: Vec<String> = change.remove;
        if change.clear {
            gone.extend(group.members.keys().filter(|member| !stays.contains(member)).cloned());
        }
        let mut has_changed = false;
        for member in gone {
            if group.members.remove(&member).is_some() {
                self.groups_of.entry(member).or_default().remove(id);
                has_changed = true;
            }
        }
        for member in change.add {
            if !group.members.contains_key(&member.id) {
                self.groups_of.entry(member.id.clone()).or_default().insert(id.to_owned());
                group.members.insert(member.id.clone(), member);
                has_changed = true;
            }
        }
        has_changed
    }

    fn index(&mut self, kind: Kind, id: &str, keys: &Keys) {
        for (field, key) in indexed(keys) {
            self.keys.entry((kind, field.name(), key.to_owned())).or_default().insert(id.to_owned());
        }
    }

    fn unindex(&mut self, kind: Kind, id: &str, keys: &Keys) {
        for (field, key) in indexed(keys) {
            if let Some(ids) = self.keys.get_mut(&(kind, field.name(), key.to_owned())) {
                ids.remove(id);
            }
        }
    }
}

fn indexed(keys: &Keys) -> impl Iterator<Item = (Field, &str)> {
    let single = KEYS.into_iter().filter_map(|field| Some((field, keys.get(field)?)));
    single.chain(keys.emails.iter().map(|email| (Field::Email, email.as_str())))
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
