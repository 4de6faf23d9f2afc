//! The System Log: what changed, in the order it was kept, within bounds of number and age.
//! Okta: events stay 90 days; a polling request always gets a next link; readers match targets by type, not position.
//! Deleting a group or an application writes no event for each member or assignment.

use std::collections::VecDeque;

use serde_json::json;

use crate::clock::{push_millis, push_seconds};
use crate::ids::Ids;
use crate::search::{Atom, Record, any_at};

/// How many events are kept.
const BOUND: usize = 200_000;

/// 90 days.
pub(crate) const RETENTION: i64 = 90 * 86_400_000;

#[derive(Debug, Default)]
pub(crate) struct Log {
    events: VecDeque<Event>,
    first: u64,
}

#[derive(Debug)]
pub(crate) struct Event {
    pub published: i64,
    pub text: Box<str>,
}

/// What an event is about.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub kind: &'static str,
    pub id: String,
    pub alternate: String,
    pub name: String,
}

impl Log {
    pub(crate) fn note(&mut self, ids: &mut Ids, now: i64, event_type: &str, actor: &Target, targets: &[Target]) {
        let mut published = String::with_capacity(24);
        push_millis(&mut published, now);
        let uuid = ids.word(32).to_lowercase();
        let show = |target: &Target| {
            json!({"id": target.id, "type": target.kind, "alternateId": target.alternate,
                "displayName": target.name, "detailEntry": null})
        };
        let text = json!({
            "actor": show(actor),
            "displayMessage": event_type.replace(['.', '_'], " "),
            "eventType": event_type,
            "outcome": {"result": "SUCCESS", "reason": null},
            "published": published,
            "securityContext": {"asNumber": null, "asOrg": null, "isp": null, "domain": null, "isProxy": null},
            "severity": "INFO",
            "debugContext": {"debugData": {}},
            "legacyEventType": null,
            "transaction": {"type": "WEB", "id": ids.word(24), "detail": {}},
            "uuid": format!("{}-{}-11f0-{}-{}", &uuid[..8], &uuid[8..12], &uuid[16..20], &uuid[20..]),
            "version": "0",
            "request": {"ipChain": []},
            "target": targets.iter().map(show).collect::<Vec<_>>(),
        });
        self.events.push_back(Event { published: now, text: text.to_string().into() });
        while self.events.len() > BOUND || self.events.front().is_some_and(|event| event.published < now - RETENTION) {
            self.events.pop_front();
            self.first += 1;
        }
    }

    /// Events by their number, oldest first, from `start` on.
    pub(crate) fn from(&self, start: u64) -> impl DoubleEndedIterator<Item = (u64, &Event)> {
        let skip = usize::try_from(start.saturating_sub(self.first)).unwrap_or(usize::MAX).min(self.events.len());
        self.events.range(skip..).enumerate().map(move |(n, event)| (self.first + (skip + n) as u64, event))
    }

    /// The number the next event will have.
    pub(crate) fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }
}

impl Target {
    pub(crate) fn new(kind: &'static str, id: &str, alternate: &str, name: &str) -> Self {
        Self { kind, id: id.to_owned(), alternate: alternate.to_owned(), name: name.to_owned() }
    }
}

impl Record for Event {
    fn any(&self, property: &str, test: &mut dyn FnMut(Atom<'_>) -> bool) -> bool {
        if property == "published" {
            return test(Atom::Time(self.published));
        }
        any_at(&self.text, property, test)
    }
}

/// `2025-09-22T17:31:41Z`: the form of a few older endpoints.
pub(crate) fn short_time(at: i64) -> String {
    let mut out = String::new();
    push_seconds(&mut out, at);
    out.replace(".000Z", "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_order_and_forgets_with_age() {
        let (mut log, mut ids) = (Log::default(), Ids::new(1));
        let who = Target::new("User", "00u1", "a@b.c", "A");
        for (n, kind) in ["user.lifecycle.create", "group.user_membership.add"].into_iter().enumerate() {
            log.note(&mut ids, n as i64, kind, &who, std::slice::from_ref(&who));
        }
        let (number, last) = log.from(1).next().unwrap();
        assert_eq!(number, 1);
        assert!(last.any("target.id", &mut |atom| matches!(atom, Atom::Text("00u1"))));
        log.note(&mut ids, RETENTION + 1, "user.lifecycle.activate", &who, &[]);
        assert_eq!(log.from(0).map(|(n, _)| n).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(log.end(), 3);
    }
}
