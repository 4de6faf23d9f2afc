//! Links: who is in which group, which app is assigned to which group or user.
//!
//! Adding what is there and removing what is not are no errors to Okta, so a link costs one request. It is read first
//! where an earlier attempt may have come through. Source: Okta's API reference and refusals recorded from organisations.

use std::collections::BTreeMap;

use connector_api::{AttributeChange, Earlier, Error, ErrorKind, Journal, LinkAction, LinkChange, RecordKey, Result};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    found::{self, Noun, read},
    refusals::explained,
    values::{Kind, at, put, refused, same, text_at},
};
use crate::{
    client::{Body, Client, Request, Write, WriteFailure},
    governor::Lane,
    lists::encoded,
    paging::List,
    tables::{APPS_USERS, GROUPS_APPS, GROUPS_USERS, bucket},
};

/// Links of one order.
pub(super) const MAX_LINKS: usize = 100_000;

/// A link that is wanted or no longer wanted at a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Link {
    pub table: Table,
    pub action: LinkAction,
    /// What the record of the order is: the other end follows from the table.
    record: Noun,
    pub other: String,
    /// What the assignment says beside its ends.
    body: Map<String, Value>,
}

/// A table of links.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Members,
    GroupApps,
    UserApps,
}

/// Whether there is something to link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    AreThere,
    OtherIsMissing,
}

#[derive(Deserialize)]
struct WithId {
    id: String,
}

impl Table {
    fn named(name: &str) -> Option<Self> {
        let tables = [(GROUPS_USERS, Self::Members), (GROUPS_APPS, Self::GroupApps), (APPS_USERS, Self::UserApps)];
        tables.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, table)| table)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Members => GROUPS_USERS,
            Self::GroupApps => GROUPS_APPS,
            Self::UserApps => APPS_USERS,
        }
    }

    /// What is on each side, as the capabilities number them.
    fn sides(self) -> [Noun; 2] {
        match self {
            Self::Members => [Noun::Group, Noun::User],
            Self::GroupApps => [Noun::Group, Noun::App],
            Self::UserApps => [Noun::App, Noun::User],
        }
    }
}

/// The budget that a change of this link draws on.
pub(super) fn bucket_of(change: &LinkChange) -> &'static str {
    match Table::named(&change.table) {
        Some(Table::Members) => bucket::GROUPS,
        _ => bucket::APPS,
    }
}

/// The links of an order at a record of this kind, each once. Keys that are no ids are looked up.
///
/// # Errors
/// Kind `Unsupported` for a table or side that the record does not have; kind `Rejected` for a link both wanted and
/// unwanted, or to a record that does not exist.
pub(super) async fn of_order(client: &Client, record: Noun, changes: &[LinkChange]) -> Result<Vec<Link>> {
    if changes.len() > MAX_LINKS {
        return Err(refused(format!("an order with more than {MAX_LINKS} links is never carried out"), "split it"));
    }
    let mut links: Vec<Link> = Vec::new();
    let mut actions: BTreeMap<(Table, String), LinkAction> = BTreeMap::new();
    for change in changes {
        let sides = Table::named(&change.table).map(|table| (table, table.sides()));
        let Some((table, sides)) = sides.filter(|(_, sides)| sides.get(change.side) == Some(&record)) else {
            let message = format!("`{}` links no {}s by side {}", change.table, record.in_words(), change.side);
            return Err(Error::new(ErrorKind::Unsupported, message).with_hint("correct the association in the mapping"));
        };
        let noun = sides[1 - change.side];
        let other = if change.other.column.eq_ignore_ascii_case("id") {
            found::checked_id(noun, &change.other.value)?.to_owned()
        } else {
            let found = found::find(client, noun, &change.other).await?;
            let found = found.ok_or_else(|| no_such_end(noun, &change.other.column, &change.other.value))?;
            text_at(&found, "id").to_owned()
        };
        match actions.insert((table, other.clone()), change.action) {
            Some(action) if action == change.action => continue,
            Some(_) => {
                let message = format!("the link to the {} `{other}` is both to be added and removed", noun.in_words());
                return Err(refused(message, "the order contradicts itself; evaluate the policy again"));
            }
            None => {}
        }
        links.push(Link { table, action: change.action, record, other, body: body(table, &change.values)? });
    }
    Ok(links)
}

/// In the order in which links are made: memberships, then assignments; removals the other way round.
pub(super) fn in_turn(links: &[Link]) -> Vec<Vec<Link>> {
    use LinkAction::{Add, Remove};
    let turns = [
        (Add, Table::Members),
        (Add, Table::GroupApps),
        (Add, Table::UserApps),
        (Remove, Table::UserApps),
        (Remove, Table::GroupApps),
        (Remove, Table::Members),
    ];
    let turn = |(action, table)| links.iter().filter(|l| (l.action, l.table) == (action, table)).cloned().collect();
    turns.into_iter().map(turn).filter(|links: &Vec<Link>| !links.is_empty()).collect()
}

/// What an assignment says: its priority, its profile, the user's name in the app.
fn body(table: Table, values: &BTreeMap<String, Value>) -> Result<Map<String, Value>> {
    let mut body = Map::new();
    for (column, value) in values {
        let value = match (table, column.as_str()) {
            (Table::GroupApps, "priority") => Kind::Integer.read(Kind::Text, value),
            (Table::GroupApps | Table::UserApps, profile) if profile.starts_with("profile.") => Some(value.clone()),
            (Table::UserApps, "credentials.userName") => Kind::Text.read(Kind::Text, value),
            _ => {
                let message = format!("`{column}` of `{}` cannot be written", table.name());
                return Err(Error::new(ErrorKind::Unsupported, message).with_hint("take it out of the mapping"));
            }
        };
        super::values::check_storable(column, value.as_ref().unwrap_or(&Value::Null))?;
        let value = value.ok_or_else(|| refused(format!("`{column}` must be a whole number"), "correct the rule"))?;
        put(&mut body, column, value)?;
    }
    Ok(body)
}

impl Link {
    /// The ends by kind, with the record of the order at its place.
    fn end<'a>(&'a self, noun: Noun, record: &'a str) -> &'a str {
        if self.record == noun { record } else { &self.other }
    }

    fn other_noun(&self) -> Noun {
        let [first, second] = self.table.sides();
        if first == self.record { second } else { first }
    }

    /// The groups and users that the link touches, beside the record of the order.
    pub(super) fn touches(&self) -> (Noun, &str) {
        (self.other_noun(), &self.other)
    }

    fn step(&self) -> String {
        let action = if self.action == LinkAction::Add { "add" } else { "remove" };
        format!("{action} {} {}", self.table.name(), self.other)
    }

    pub(super) fn in_the_past(&self) -> String {
        let action = if self.action == LinkAction::Add { "linked to" } else { "unlinked from" };
        format!("{action} the {} `{}`", self.other_noun().in_words(), self.other)
    }

    /// The change that a preview shows.
    pub(super) fn change(&self) -> AttributeChange {
        let attribute = format!("{} {}", self.table.name(), self.other);
        let there = Some("linked".to_owned());
        match self.action {
            LinkAction::Add => AttributeChange { attribute, old: None, new: there },
            LinkAction::Remove => AttributeChange { attribute, old: there, new: None },
        }
    }

    fn path(&self, record: &str) -> String {
        let end = |noun| encoded(self.end(noun, record));
        match self.table {
            Table::Members => format!("/api/v1/groups/{}/users/{}", end(Noun::Group), end(Noun::User)),
            Table::GroupApps => format!("/api/v1/apps/{}/groups/{}", end(Noun::App), end(Noun::Group)),
            Table::UserApps => format!("/api/v1/apps/{}/users/{}", end(Noun::App), end(Noun::User)),
        }
    }

    fn write(&self, client: &Client, record: &str) -> Write {
        let bucket = if self.table == Table::Members { bucket::GROUPS } else { bucket::APPS };
        let path = self.path(record);
        let (method, target, body) = match (self.table, self.action) {
            (Table::UserApps, LinkAction::Remove) => {
                (Method::DELETE, format!("{path}?sendEmail={}", client.settings().send_email), Body::Nothing)
            }
            (_, LinkAction::Remove) => (Method::DELETE, path, Body::Nothing),
            (Table::UserApps, LinkAction::Add) => {
                let mut body = self.body.clone();
                body.insert("id".to_owned(), self.end(Noun::User, record).into());
                body.insert("scope".to_owned(), "USER".into());
                let list = format!("/api/v1/apps/{}/users", encoded(self.end(Noun::App, record)));
                (Method::POST, list, Body::Json(body.into()))
            }
            (_, LinkAction::Add) if self.body.is_empty() => (Method::PUT, path, Body::Nothing),
            (_, LinkAction::Add) => (Method::PUT, path, Body::Json(self.body.clone().into())),
        };
        Write { method, bucket, target, body, what: self.in_words(), repeatable: true }
    }

    fn in_words(&self) -> String {
        let action = if self.action == LinkAction::Add { "linking to" } else { "unlinking from" };
        format!("{action} the {} `{}`", self.other_noun().in_words(), self.other)
    }
}

/// Makes or removes one link; returns it and whether anything was written.
pub(super) async fn make<'l>(
    client: &Client,
    journal: &dyn Journal,
    record: &str,
    link: &'l Link,
) -> Result<(&'l Link, bool)> {
    let step = link.step();
    let is_done = match journal.begin(&step).await? {
        Earlier::Done(_) => return Ok((link, false)),
        Earlier::Unknown => is_as_wanted(client, record, link).await?,
        Earlier::None => false,
    };
    if !is_done {
        write(client, record, link).await?;
    }
    journal.done(&step, &link.other).await?;
    Ok((link, !is_done))
}

async fn write(client: &Client, record: &str, link: &Link) -> Result<()> {
    let write = link.write(client, record);
    let refusal = match client.write(&write).await {
        Ok(_) => return Ok(()),
        Err(WriteFailure::Refused(refusal)) => refusal,
        Err(failure) => return Err(explained(failure, &write.what, link.other_noun())),
    };
    if refusal.code == "E0000062" {
        // The user has the app already; what the assignment says is another request.
        if link.body.is_empty() {
            return Ok(());
        }
        let (target, body) = (link.path(record), Body::Json(link.body.clone().into()));
        let write = Write { target, body, ..write };
        let outcome = client.write(&write).await;
        return outcome.map(|_| ()).map_err(|failure| explained(failure, &write.what, link.other_noun()));
    }
    // Who has the app through a group has no assignment of their own to remove.
    let is_removal = link.action == LinkAction::Remove;
    if link.table == Table::UserApps && is_removal && is_as_wanted(client, record, link).await? {
        return Ok(());
    }
    if matches!(refusal.status, 403 | 404 | 501) {
        let ends = check_ends(client, record, link).await.map_err(|error| error.within(&write.what))?;
        // What is not there has no links.
        if is_removal && (ends == Ends::OtherIsMissing || refusal.is_missing_object()) {
            return Ok(());
        }
        if ends == Ends::OtherIsMissing {
            return Err(no_other(link).within(&write.what));
        }
    }
    Err(explained(WriteFailure::Refused(refusal), &write.what, link.other_noun()))
}

/// Whether the link is as the order wants it, and could be made so where it is not.
///
/// # Errors
/// Kind `Rejected` or `NotFound` with the reason why it cannot be made.
pub(super) async fn foresee(client: &Client, record: &str, link: &Link) -> Result<bool> {
    match check_ends(client, record, link).await.map_err(|error| error.within(&link.in_words()))? {
        Ends::AreThere => is_as_wanted(client, record, link).await,
        Ends::OtherIsMissing if link.action == LinkAction::Remove => Ok(true),
        Ends::OtherIsMissing => Err(no_other(link).within(&link.in_words())),
    }
}

async fn is_as_wanted(client: &Client, record: &str, link: &Link) -> Result<bool> {
    let wants = link.action == LinkAction::Add;
    let is_there = match link.table {
        Table::Members => {
            let groups = groups_of(client, link.end(Noun::User, record)).await?;
            return Ok(groups.iter().any(|group| group == link.end(Noun::Group, record)) == wants);
        }
        Table::GroupApps | Table::UserApps => {
            let noun = if link.table == Table::GroupApps { Noun::Group } else { Noun::User };
            let there = found::get(client, bucket::APPS, link.path(record), noun, link.end(noun, record)).await?;
            // A user who has the app through a group has no assignment of their own.
            there.filter(|there| link.table == Table::GroupApps || text_at(there, "scope") != "GROUP")
        }
    };
    let agrees = |there: &Value| link.body.iter().all(|(name, value)| agrees_in(at(there, name), value));
    Ok(match is_there {
        Some(there) => wants && agrees(&there),
        None => !wants,
    })
}

/// Whether all that is wanted is there; what else is there does not matter.
fn agrees_in(there: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::Object(members) => members.iter().all(|(name, value)| agrees_in(at(there, name), value)),
        value => same(there, value),
    }
}

/// The ids of all groups of a user; none where there is no such user.
async fn groups_of(client: &Client, user: &str) -> Result<Vec<String>> {
    let what = format!("listing the groups of account `{user}`");
    let target = format!("/api/v1/users/{}/groups?limit=200", encoded(user));
    let (bucket, lane) = (bucket::USERS, Lane::Fan);
    let mut list = List::new(Request { bucket, lane, target, what: what.clone(), light: false, smallest_limit: 25 });
    let mut groups = Vec::new();
    while !list.is_done() {
        let page = list.next_page(client, |text| serde_json::from_str::<Vec<WithId>>(text)).await;
        match page {
            Ok(page) => groups.extend(page.into_iter().map(|group| group.id)),
            Err(crate::error::Failure::Refused(refusal)) if refusal.is_missing_object() => break,
            Err(failure) => return Err(failure.into_error(&what)),
        }
    }
    Ok(groups)
}

/// Whether both ends are there and let themselves be linked.
///
/// # Errors
/// Kind `NotFound` where the record of the order is not there, kind `Rejected` for an end that Okta keeps itself or
/// that is inactive.
async fn check_ends(client: &Client, record: &str, link: &Link) -> Result<Ends> {
    for noun in link.table.sides() {
        let id = link.end(noun, record);
        match read(client, noun, id).await? {
            Some(found) => check_end(link.table, noun, &found)?,
            None if id == record => {
                return Err(found::missing(noun, &RecordKey { column: "id".to_owned(), value: id.to_owned() }));
            }
            None => return Ok(Ends::OtherIsMissing),
        }
    }
    Ok(Ends::AreThere)
}

/// Checks the other end of a link to a record that is yet to be made.
///
/// # Errors
/// Kind `Rejected` where it is not there or does not let itself be linked.
pub(super) async fn check_other(client: &Client, link: &Link) -> Result<()> {
    let noun = link.other_noun();
    let checked = match read(client, noun, &link.other).await? {
        Some(found) => check_end(link.table, noun, &found),
        None if link.action == LinkAction::Remove => Ok(()),
        None => Err(no_other(link)),
    };
    checked.map_err(|error| error.within(&link.in_words()))
}

fn check_end(table: Table, noun: Noun, end: &Value) -> Result<()> {
    match noun {
        Noun::Group if table == Table::Members => check_members_writable(end),
        Noun::App if text_at(end, "status") == "INACTIVE" => Err(refused(
            format!("the app {} is inactive, which freezes its assignments", noun.name_in(end)),
            "ask for the app's status ACTIVE first, or evaluate the policy again once it is active",
        )),
        _ => Ok(()),
    }
}

/// # Errors
/// Kind `Rejected` with the reason where somebody else keeps the members of the group.
fn check_members_writable(group: &Value) -> Result<()> {
    let name = Noun::Group.name_in(group);
    match text_at(group, "type") {
        "BUILT_IN" => Err(refused(
            format!("Okta itself keeps the members of the built-in group {name}"),
            "take the group out of the provisioning rules",
        )),
        "APP_GROUP" => Err(refused(
            format!("the group {name} is imported: its members are kept by the app or directory it comes from"),
            "change the membership there, or provision a group of Okta's own",
        )),
        _ => Ok(()),
    }
}

fn no_other(link: &Link) -> Error {
    no_such_end(link.other_noun(), "id", &link.other)
}

fn no_such_end(noun: Noun, column: &str, value: &str) -> Error {
    let shown: String = value.chars().take(80).collect();
    refused(
        format!("there is no {} with `{column}` = `{shown}`", noun.in_words()),
        "it was deleted in Okta, or the rule that computes the link is wrong; synchronise and evaluate the policy again",
    )
}

/// Splits off what a new account joins as it is created: the groups, as the body of the creation names them.
pub(super) fn joined_at_creation(links: &[Link], most: usize) -> (Vec<String>, Vec<Link>) {
    let joins = |link: &&Link| link.table == Table::Members && link.action == LinkAction::Add;
    let joined: Vec<String> = links.iter().filter(joins).take(most).map(|link| link.other.clone()).collect();
    let rest = links.iter().filter(|link| !joins(link) || !joined.contains(&link.other)).cloned().collect();
    (joined, rest)
}
