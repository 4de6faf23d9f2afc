//! The log of a directory: every accepted change in order, with who asked for it, what was before and what is now.
//!
//! It is written with the change itself, never holds a password, and is bounded by age and by number.

use serde::Serialize;
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Row};

use super::{
    super::{Store, places},
    rows::kind_of,
};

/// Events of a directory that are kept at most.
const MOST_KEPT: i64 = 1_000_000;
/// Rows that are written by one statement.
const ROWS: usize = 64;

/// A change of a resource.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DirectoryEvent {
    /// Its place in the directory's log, from 1, without repeats.
    pub number: i64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who asked for it: the public half of a secret, or a client of OAuth with what was consented to.
    pub actor: String,
    /// `created`, `adopted` (managed by a client from now on), `updated` or `deleted`.
    pub action: String,
    /// `User` or `Group`.
    pub kind: &'static str,
    /// Its id.
    pub resource: String,
    /// The attributes before, where they changed.
    pub before: Option<Value>,
    /// The attributes now, where they changed.
    pub after: Option<Value>,
    /// Ids of members that came.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// Ids of members that went.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
}

/// An event as it is written.
#[derive(Debug)]
pub(super) struct NewEvent {
    pub(super) directory: i64,
    pub(super) number: i64,
    pub(super) at_ms: i64,
    pub(super) actor: String,
    pub(super) action: &'static str,
    pub(super) kind: i64,
    pub(super) resource: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
}

impl Store {
    /// The events of a directory behind this number, at most so many.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn directory_events(&self, directory: i64, after: i64, most: u32) -> anyhow::Result<Vec<DirectoryEvent>> {
        let statement = "SELECT number, at_ms, actor, action, kind, resource, before, after, added, removed \
             FROM directory_events WHERE directory = $1 AND number > $2 ORDER BY number LIMIT $3";
        let query = sqlx::query(statement).bind(directory).bind(after).bind(i64::from(most));
        let rows = query.fetch_all(&self.pool).await?;
        rows.iter().map(read).collect()
    }

    /// The oldest event of a directory that is kept; none where none is.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn oldest_directory_event(&self, directory: i64) -> anyhow::Result<Option<i64>> {
        let statement = "SELECT MIN(number) FROM directory_events WHERE directory = $1";
        Ok(sqlx::query_scalar(statement).bind(directory).fetch_one(&self.pool).await?)
    }

    /// Forgets events from before then, and those beyond a million of a directory; how many there were.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn forget_directory_events(&self, before_ms: i64) -> anyhow::Result<u64> {
        let statement = "DELETE FROM directory_events WHERE at_ms < $1 OR number <= \
             (SELECT last_event FROM directories WHERE id = directory_events.directory) - $2";
        let query = sqlx::query(statement).bind(before_ms).bind(MOST_KEPT);
        Ok(query.execute(&self.pool).await?.rows_affected())
    }
}

pub(super) async fn insert(connection: &mut AnyConnection, events: &[NewEvent]) -> Result<(), sqlx::Error> {
    for events in events.chunks(ROWS) {
        let text = format!(
            "INSERT INTO directory_events (directory, number, at_ms, actor, action, kind, resource, before, after, \
             added, removed) VALUES {}",
            places(events.len(), 11)
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for event in events {
            query = query.bind(event.directory).bind(event.number).bind(event.at_ms).bind(event.actor.as_str());
            query = query.bind(event.action).bind(event.kind).bind(event.resource.as_str());
            query = query.bind(event.before.as_deref()).bind(event.after.as_deref());
            query = query.bind(list(&event.added)).bind(list(&event.removed));
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

fn list(ids: &[String]) -> Option<String> {
    (!ids.is_empty()).then(|| Value::from(ids.to_vec()).to_string())
}

fn read(row: &sqlx::any::AnyRow) -> anyhow::Result<DirectoryEvent> {
    let json = |index: usize| -> anyhow::Result<Option<Value>> {
        let text: Option<&str> = row.try_get(index)?;
        Ok(text.map(serde_json::from_str).transpose()?)
    };
    let ids = |index: usize| -> anyhow::Result<Vec<String>> {
        Ok(json(index)?.map(serde_json::from_value).transpose()?.unwrap_or_default())
    };
    Ok(DirectoryEvent {
        number: row.try_get(0)?,
        at_ms: row.try_get(1)?,
        actor: row.try_get(2)?,
        action: row.try_get(3)?,
        kind: kind_of(row.try_get(4)?).map_or("", scim_server::Kind::name),
        resource: row.try_get(5)?,
        before: json(6)?,
        after: json(7)?,
        added: ids(8)?,
        removed: ids(9)?,
    })
}
