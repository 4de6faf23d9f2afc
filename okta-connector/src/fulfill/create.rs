//! Creating a record once: sent at once, looked up only where it may be there already.
//!
//! A creation is refused where its name is taken: then what has the name is adopted, if it agrees in all unique columns
//! that the order gives. A creation whose answer was lost is looked up before it is sent again.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use connector_api::{Earlier, Error, ErrorKind, Journal, ProvisioningOrder, Result};
use serde_json::Value;
use tokio::sync::Notify;

use super::{
    attributes::profile_name,
    found::{Noun, find, read, search},
    refusals::explained,
    users::Origin,
    values::{at, cell, refused, same, text_at},
};
use crate::client::{Client, Write, WriteFailure};

/// How often a creation whose outcome is unknown is sent.
const MAX_TRIES: u32 = 3;
/// How far searches may be behind: what was just created may not be found before.
const SEARCH_LAG: Duration = Duration::from_secs(10);
/// Before the id in the journal where the record was there already.
const ADOPTED: &str = "adopted ";

/// The name of the step in the journal.
const STEP: &str = "create";

/// The names that are being created: two orders with one name go one after the other.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    names: Mutex<HashSet<(&'static str, String)>>,
    ended: Notify,
}

/// The turn of one name.
pub(super) struct Turn<'t> {
    turns: &'t Turns,
    name: (&'static str, String),
}

impl Turns {
    pub(super) async fn enter(&self, noun: Noun, name: &str) -> Turn<'_> {
        let name = (noun.path(), name.to_lowercase());
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.names().insert(name.clone()) {
                return Turn { turns: self, name };
            }
            ended.await;
        }
    }

    fn names(&self) -> MutexGuard<'_, HashSet<(&'static str, String)>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turns.names().remove(&self.name);
        self.turns.ended.notify_waiters();
    }
}

/// The record that an order creates, and how it came to be there.
pub(super) struct Made {
    pub record: Value,
    pub origin: Origin,
    /// Whether something was written for it now.
    pub has_changed: bool,
}

/// Sees to it that the record exists.
pub(super) async fn create(
    client: &Client,
    journal: &dyn Journal,
    noun: Noun,
    order: &ProvisioningOrder,
    write: &Write,
) -> Result<Made> {
    let is_unsure = match journal.begin(STEP).await? {
        Earlier::Done(result) => return made_before(client, noun, &result).await,
        Earlier::Unknown => true,
        Earlier::None => false,
    };
    if is_unsure && let Some(record) = look_up_lost(client, noun, order).await? {
        let origin = origin_of(order, &record);
        return Ok(Made { record, origin, has_changed: false });
    }
    if !is_unsure
        && noun == Noun::App
        && let Some(record) = existing(client, noun, order).await?
    {
        return adopt(journal, record, Origin::Adopted).await;
    }
    let mut is_lost = is_unsure;
    let mut why = String::new();
    for _ in 0..MAX_TRIES {
        match client.write(write).await {
            Ok(record) => {
                journal.done(STEP, text_at(&record, "id")).await?;
                return Ok(Made { record, origin: Origin::Created, has_changed: true });
            }
            Err(WriteFailure::Refused(refusal)) if refusal.says_it_exists() => {
                return match existing(client, noun, order).await? {
                    Some(record) => {
                        let origin = if is_lost { origin_of(order, &record) } else { Origin::Adopted };
                        adopt(journal, record, origin).await
                    }
                    None => Err(explained(WriteFailure::Refused(refusal), &write.what, noun)),
                };
            }
            Err(WriteFailure::Unknown(reason)) => {
                tracing::info!(
                    okta.request = write.what,
                    reason,
                    "no answer to a creation: looking whether it came through"
                );
                (is_lost, why) = (true, reason);
                if let Some(record) = look_up_lost(client, noun, order).await? {
                    let origin = origin_of(order, &record);
                    let made = adopt(journal, record, origin).await?;
                    return Ok(Made { has_changed: origin == Origin::Ours, ..made });
                }
            }
            Err(failure) => return Err(explained(failure, &write.what, noun)),
        }
    }
    let message = format!("{}: gave up after {MAX_TRIES} tries: {why}", write.what);
    Err(Error::new(ErrorKind::Unavailable, message)
        .with_hint("run again later; it is looked up before it is sent again"))
}

/// What is there already and is the same record as the order's.
///
/// # Errors
/// Kind `Rejected` where something else has its name.
pub(super) async fn existing(client: &Client, noun: Noun, order: &ProvisioningOrder) -> Result<Option<Value>> {
    let name = name_of(noun, order);
    let mut found = match noun {
        Noun::User => find(client, noun, &named(noun, &name)).await?.into_iter().collect(),
        Noun::Group => {
            let mut groups = search(client, noun, noun.name_column(), &name).await?;
            groups.retain(|group| text_at(group, "type") != "APP_GROUP");
            groups
        }
        // Labels may repeat: only where the mapping makes them unique is the same label the same app.
        Noun::App if is_unique(order, noun.name_column()) => search(client, noun, noun.name_column(), &name).await?,
        Noun::App => Vec::new(),
    };
    let clashes = |record: &Value| clash(order, record);
    if let Some(place) = found.iter().position(|record| clashes(record).is_none()) {
        return Ok(Some(found.swap_remove(place)));
    }
    match found.first() {
        None => Ok(None),
        Some(_) if noun == Noun::App => Ok(None),
        Some(other) => {
            let column = clash(order, other).unwrap_or_default();
            Err(refused(
                format!(
                    "`{name}` is taken by the {} {}, whose `{column}` is another",
                    noun.in_words(),
                    noun.name_in(other)
                ),
                "it belongs to somebody else, or its unique values are wrong; correct them in Okta or in the rule",
            ))
        }
    }
}

/// The value of the column by which the record is told apart by people.
pub(super) fn name_of(noun: Noun, order: &ProvisioningOrder) -> String {
    let column = noun.name_column();
    let given = order.values.iter().find(|(name, _)| name.eq_ignore_ascii_case(column));
    given.map(|(_, value)| cell(value).into_owned()).unwrap_or_default()
}

fn named(noun: Noun, name: &str) -> connector_api::RecordKey {
    connector_api::RecordKey { column: noun.name_column().to_owned(), value: name.to_owned() }
}

fn is_unique(order: &ProvisioningOrder, column: &str) -> bool {
    order.unique.iter().any(|unique| unique.eq_ignore_ascii_case(column))
}

/// The first unique column that the order gives and in which the record differs.
fn clash(order: &ProvisioningOrder, record: &Value) -> Option<String> {
    let given = order.values.iter().filter(|(column, value)| is_unique(order, column) && !cell(value).is_empty());
    let mut differing = given.filter(|(column, value)| {
        let present = at(record, column);
        let ignores_case = column.eq_ignore_ascii_case("profile.login") || column.eq_ignore_ascii_case("profile.email");
        !(same(present, value) || ignores_case && cell(present).to_lowercase() == cell(value).to_lowercase())
    });
    differing.next().map(|(column, _)| column.clone())
}

/// How what is found after an answer that was lost came to be there: somebody else may have made it just then. What this
/// order made has the profile that it was made with.
fn origin_of(order: &ProvisioningOrder, record: &Value) -> Origin {
    let present = |column: &str| {
        let profile = at(record, "profile").as_object().into_iter().flatten();
        let name = profile_name(column)?;
        profile.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    let mut given = order.values.iter().filter(|(column, _)| profile_name(column).is_some());
    let is_as_made = given.all(|(column, value)| {
        let there = cell(present(column).unwrap_or(&Value::Null));
        there == cell(value) || there.to_lowercase() == cell(value).to_lowercase()
    });
    if is_as_made { Origin::Ours } else { Origin::Adopted }
}

async fn adopt(journal: &dyn Journal, record: Value, origin: Origin) -> Result<Made> {
    let mark = if origin == Origin::Adopted { ADOPTED } else { "" };
    journal.done(STEP, &format!("{mark}{}", text_at(&record, "id"))).await?;
    Ok(Made { record, origin, has_changed: false })
}

async fn made_before(client: &Client, noun: Noun, result: &str) -> Result<Made> {
    let (id, origin) = match result.strip_prefix(ADOPTED) {
        Some(id) => (id, Origin::Adopted),
        None => (result, Origin::Created),
    };
    match read(client, noun, id).await? {
        Some(record) => Ok(Made { record, origin, has_changed: false }),
        None => Err(refused(
            format!("the {} `{id}` was created by this order and has been deleted since", noun.in_words()),
            "synchronise, so that the next policy evaluation sees that",
        )),
    }
}

/// What a creation may have made whose answer was lost. Searches are given the time to see it.
async fn look_up_lost(client: &Client, noun: Noun, order: &ProvisioningOrder) -> Result<Option<Value>> {
    let found = find_lost(client, noun, order).await?;
    if found.is_some() || noun == Noun::User {
        return Ok(found);
    }
    client.pause(SEARCH_LAG).await;
    find_lost(client, noun, order).await
}

async fn find_lost(client: &Client, noun: Noun, order: &ProvisioningOrder) -> Result<Option<Value>> {
    if noun != Noun::App || is_unique(order, noun.name_column()) {
        return existing(client, noun, order).await;
    }
    // An app whose label need not be unique: what has the same values is what was made.
    let mut found = search(client, noun, noun.name_column(), &name_of(noun, order)).await?;
    let agrees = |app: &Value| {
        let compared = order.values.iter().filter(|(column, _)| *column != "status");
        compared.into_iter().all(|(column, value)| same(at(app, column), value) || cell(at(app, column)) == cell(value))
    };
    Ok(found.iter().position(agrees).map(|place| found.swap_remove(place)))
}
