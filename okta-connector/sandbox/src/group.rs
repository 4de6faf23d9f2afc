//! One group: who is in it, which applications it is assigned to, and what the member list shows meanwhile.
//! Okta: member lists and `lastMembershipUpdated` follow a change by seconds; changes within that time coalesce.

use std::fmt::Write as _;

use crate::clock::push_seconds;
use crate::raw;
use crate::search::{Atom, Record, any_at};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Okta,
    App,
    BuiltIn,
}

#[derive(Debug)]
pub(crate) struct Group {
    pub id: Box<str>,
    pub kind: Kind,
    pub created: i64,
    pub last_updated: i64,
    /// A serialised object.
    pub profile: Box<str>,
    /// The application an imported group belongs to.
    pub source: Option<Box<str>>,
    /// Row numbers of users, ascending. Everyone keeps none: its members are all users.
    pub members: Vec<u32>,
    /// Row numbers of applications.
    pub apps: Vec<u32>,
    membership_updated: i64,
    recent: Vec<Change>,
}

#[derive(Clone, Copy, Debug)]
struct Change {
    user: u32,
    added: bool,
    shown_from: i64,
    at: i64,
}

const LOGOS: &str = concat!(
    r#""logo":[{"name":"medium","href":"https://ok12static.oktacdn.com/assets/img/logos/groups/odyssey/okta-medium.30ce6d4085dff29412984e4c191bc874.png","type":"image/png"},"#,
    r#"{"name":"large","href":"https://ok12static.oktacdn.com/assets/img/logos/groups/odyssey/okta-large.c3cb8cda8ae0add1b4fe928f5844dbe3.png","type":"image/png"}]"#
);

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Okta => "OKTA_GROUP",
            Self::App => "APP_GROUP",
            Self::BuiltIn => "BUILT_IN",
        }
    }
}

impl Group {
    pub(crate) fn new(id: &str, kind: Kind, profile: String, now: i64) -> Self {
        Self {
            id: id.into(),
            kind,
            created: now,
            last_updated: now,
            profile: profile.into_boxed_str(),
            source: None,
            members: Vec::new(),
            apps: Vec::new(),
            membership_updated: now,
            recent: Vec::new(),
        }
    }

    pub(crate) fn name(&self) -> std::borrow::Cow<'_, str> {
        raw::get(&self.profile, "name").map_or("".into(), raw::text)
    }

    /// Adds or removes a member; false when nothing changes.
    pub(crate) fn change(&mut self, user: u32, added: bool, now: i64, lag: i64) -> bool {
        match (self.members.binary_search(&user), added) {
            (Err(at), true) => self.members.insert(at, user),
            (Ok(at), false) => drop(self.members.remove(at)),
            _ => return false,
        }
        self.settle(now);
        if lag > 0 {
            self.recent.push(Change { user, added, shown_from: now + lag, at: now });
        } else {
            self.membership_updated = now;
        }
        true
    }

    /// A deleted user leaves at once: there is no record left to show.
    pub(crate) fn forget(&mut self, user: u32, now: i64) {
        if let Ok(at) = self.members.binary_search(&user) {
            self.members.remove(at);
            self.membership_updated = now;
        }
        self.recent.retain(|change| change.user != user);
    }

    /// The members as lists show them at `now`, when that differs from the truth.
    pub(crate) fn lagging(&self, now: i64) -> Option<Vec<u32>> {
        let pending = self.recent.iter().filter(|change| now < change.shown_from);
        let mut members = None;
        for change in pending.rev() {
            let members = members.get_or_insert_with(|| self.members.clone());
            match (members.binary_search(&change.user), change.added) {
                (Ok(at), true) => drop(members.remove(at)),
                (Err(at), false) => members.insert(at, change.user),
                _ => {}
            }
        }
        members
    }

    pub(crate) fn membership_updated(&self, now: i64) -> i64 {
        let shown = self.recent.iter().filter(|change| now >= change.shown_from);
        shown.map(|change| change.at).max().unwrap_or(self.membership_updated).max(self.membership_updated)
    }

    pub(crate) fn touch_membership(&mut self, now: i64) {
        self.membership_updated = now;
    }

    /// The group as every endpoint shows it; `embedded` is the text of `_embedded`, if asked for.
    pub(crate) fn push(&self, base: &str, now: i64, embedded: Option<&str>, out: &mut String) {
        let _ = write!(out, "{{\"id\":\"{}\",\"created\":\"", self.id);
        push_seconds(out, self.created);
        out.push_str("\",\"lastUpdated\":\"");
        push_seconds(out, self.last_updated);
        out.push_str("\",\"lastMembershipUpdated\":\"");
        push_seconds(out, self.membership_updated(now));
        let _ = write!(
            out,
            "\",\"objectClass\":[\"okta:user_group\"],\"type\":\"{}\",\"profile\":{}",
            self.kind.as_str(),
            self.profile
        );
        if let Some(source) = &self.source {
            let _ = write!(out, ",\"source\":{{\"id\":\"{source}\"}}");
        }
        if let Some(embedded) = embedded {
            let _ = write!(out, ",\"_embedded\":{embedded}");
        }
        let _ =
            write!(out, ",\"_links\":{{{LOGOS},\"users\":{{\"href\":\"{base}/api/v1/groups/{0}/users\"}},", self.id);
        if let Some(source) = &self.source {
            let _ = write!(out, "\"source\":{{\"href\":\"{base}/api/v1/apps/{source}\"}},");
        }
        let _ = write!(out, "\"apps\":{{\"href\":\"{base}/api/v1/groups/{}/apps\"}}}}}}", self.id);
    }

    /// Drops what lists already show.
    fn settle(&mut self, now: i64) {
        self.membership_updated = self.membership_updated(now);
        self.recent.retain(|change| now < change.shown_from);
    }
}

/// A group at a moment: the shown `lastMembershipUpdated` depends on it.
pub(crate) struct GroupAt<'a>(pub &'a Group, pub i64);

impl Record for GroupAt<'_> {
    fn any(&self, property: &str, test: &mut dyn FnMut(Atom<'_>) -> bool) -> bool {
        let Self(group, now) = self;
        match property {
            "id" => test(Atom::Text(&group.id)),
            "type" => test(Atom::Text(group.kind.as_str())),
            "created" => test(Atom::Time(group.created)),
            "lastUpdated" => test(Atom::Time(group.last_updated)),
            "lastMembershipUpdated" => test(Atom::Time(group.membership_updated(*now))),
            "source.id" => group.source.as_ref().is_some_and(|source| test(Atom::Text(source))),
            _ => property.strip_prefix("profile.").is_some_and(|name| any_at(&group.profile, name, test)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_follow_a_change_after_the_lag() {
        let mut group = Group::new("00g1", Kind::Okta, r#"{"name":"A"}"#.into(), 0);
        assert!(group.change(7, true, 10_000, 3000));
        assert!(!group.change(7, true, 10_000, 3000), "adding twice changes nothing");
        assert_eq!(group.lagging(12_999), Some(vec![]));
        assert_eq!((group.lagging(13_000), group.membership_updated(12_999)), (None, 0));
        assert_eq!(group.membership_updated(13_000), 10_000);
        group.change(7, false, 14_000, 3000);
        assert_eq!((group.lagging(15_000), group.membership_updated(15_000)), (Some(vec![7]), 10_000));
        assert_eq!((group.lagging(17_000), group.membership_updated(17_000)), (None, 14_000));
    }

    #[test]
    fn the_text_is_json() {
        let mut group = Group::new("00g1", Kind::App, r#"{"name":"A","description":null}"#.into(), 0);
        group.source = Some("0oa1".into());
        let mut out = String::new();
        group.push("http://o", 0, Some(r#"{"stats":{}}"#), &mut out);
        let value: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(value["source"]["id"], "0oa1");
        assert_eq!(value["_links"]["users"]["href"], "http://o/api/v1/groups/00g1/users");
    }
}
