//! What the operations of a PATCH do to the members of a group, without the members.
//!
//! Ids that come and ids that go are joined over all operations, each in constant time. Only a filter that chooses
//! members by something else than their id needs to see them.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::Verb;
use crate::{
    error::{Error, ErrorKind, Result},
    filter::ElementTest,
    resource::Link,
    store::MemberChange,
    syntax::{Filter, Operator},
    values,
    view::View,
};

/// The change that the operations so far amount to.
#[derive(Debug, Default)]
pub(crate) struct MemberEdit {
    clear: bool,
    remove: BTreeSet<String>,
    /// In order; None where a later operation took it back.
    add: Vec<Option<Link>>,
    places: HashMap<String, usize>,
}

impl MemberEdit {
    /// One operation at `members`. `view` carries the links where [`ids`] cannot say what the filter means.
    pub(super) fn apply(
        &mut self,
        verb: Verb,
        filter: Option<&Filter>,
        value: Option<Value>,
        view: &View<'_>,
    ) -> Result<()> {
        let value = value.unwrap_or_default();
        match (verb, filter) {
            (Verb::Add, None) => values::members(value)?.into_iter().for_each(|member| self.come(member)),
            (Verb::Replace, None) => {
                let members = values::members(value)?;
                self.clear();
                members.into_iter().for_each(|member| self.come(member));
            }
            // An empty list of those who go is nobody, and not all.
            (Verb::Remove, None) if value.is_null() => self.clear(),
            (Verb::Remove, None) => values::members(value)?.iter().for_each(|member| self.go(&member.id)),
            (Verb::Remove, Some(filter)) => {
                self.chosen(filter, view)?.iter().for_each(|id| self.go(id));
            }
            (Verb::Add | Verb::Replace, Some(_)) => {
                let detail = "members are added and replaced without brackets in the `path`";
                return Err(Error::of(ErrorKind::InvalidPath, detail));
            }
        }
        Ok(())
    }

    pub(super) fn into_change(self) -> MemberChange {
        MemberChange {
            clear: self.clear,
            remove: self.remove.into_iter().collect(),
            add: self.add.into_iter().flatten().collect(),
        }
    }

    fn clear(&mut self) {
        *self = Self { clear: true, ..Self::default() };
    }

    fn come(&mut self, member: Link) {
        self.remove.remove(&member.id);
        if !self.places.contains_key(&member.id) {
            self.places.insert(member.id.clone(), self.add.len());
            self.add.push(Some(member));
        }
    }

    fn go(&mut self, id: &str) {
        if let Some(place) = self.places.remove(id) {
            self.add[place] = None;
        }
        if !self.clear {
            self.remove.insert(id.to_owned());
        }
    }

    fn chosen(&self, filter: &Filter, view: &View<'_>) -> Result<Vec<String>> {
        if let Some(ids) = ids(filter) {
            return Ok(ids);
        }
        let attribute = view.kind.schema().attribute("members");
        let test = ElementTest::of(attribute, filter, ErrorKind::InvalidPath)?;
        let present = view.resource.links.iter().flatten().filter(|_| !self.clear);
        let all = present.chain(self.add.iter().flatten());
        let chosen = all.filter(|link| {
            let kind = link.kind.map(|kind| kind.name());
            test.holds(&json!({ "value": link.id, "display": link.display, "type": kind }))
        });
        Ok(chosen.map(|link| link.id.clone()).collect())
    }
}

/// The ids of a filter that is nothing but `value eq "a" or value eq "b" …`.
pub(super) fn ids(filter: &Filter) -> Option<Vec<String>> {
    match filter {
        Filter::Compare(path, Operator::Equal, Value::String(id))
            if path.urn.is_none() && path.sub.is_none() && path.name.eq_ignore_ascii_case("value") =>
        {
            Some(vec![id.clone()])
        }
        Filter::Any(parts) => parts.iter().try_fold(Vec::new(), |mut found, part| {
            found.extend(ids(part)?);
            Some(found)
        }),
        _ => None,
    }
}
