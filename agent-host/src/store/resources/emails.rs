//! Which users have which e-mail address: rows by which they are looked up.
//!
//! They are written with the user. Whoever goes by them asks the user itself again, so a row too many does no harm, but one
//! too few would: whom a client does not find it creates again. So a directory says which event its rows follow and which
//! users are not gone through yet. Where that is not the last one, because an agent of an earlier version writes too, or
//! where users are missing, nobody goes by the rows.

use std::collections::BTreeMap;

use scim_server::{Field, Kind, Lookup, email_keys};
use serde::Deserialize;
use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::{
    super::{Store, names, places},
    Bound, Statement,
    rows::{kind_number, padded},
};

/// Rows of a statement that writes many.
const ROWS: usize = 512;
/// Users that are gone through in one transaction.
const USERS_AT_ONCE: i64 = 1_000;
/// Up to so many rows that a look-up finds the users are read by their ids.
const FEW_ROWS: usize = 100;

/// Rows that come and go, by directory and id of the user: whether the address is there in the end.
#[derive(Default)]
pub(super) struct Emails(BTreeMap<(i64, String), BTreeMap<String, bool>>);

/// What is read of a user's attributes.
#[derive(Deserialize)]
struct Addresses {
    #[serde(default)]
    emails: Value,
}

impl Emails {
    /// A user has these addresses now instead of those.
    pub(super) fn change(&mut self, directory: i64, id: &str, before: &[String], now: &[String]) {
        if before != now {
            let rows = self.0.entry((directory, id.to_owned())).or_default();
            rows.extend(before.iter().map(|email| (email.clone(), false)));
            rows.extend(now.iter().map(|email| (email.clone(), true)));
        }
    }

    pub(super) async fn write(self, connection: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let mut come = Vec::new();
        for ((directory, id), rows) in self.0 {
            let (here, gone): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, is_there)| *is_there);
            for gone in gone.chunks(ROWS) {
                let gone = padded(gone.iter().map(|(email, _)| email.clone()));
                let text = format!(
                    "DELETE FROM resource_emails WHERE directory = $1 AND id = $2 AND value IN ({})",
                    names(3, gone.len())
                );
                let query = sqlx::query(AssertSqlSafe(text)).bind(directory).bind(id.as_str());
                let query = gone.iter().fold(query, |query, email| query.bind(email.as_str()));
                query.execute(&mut *connection).await?;
            }
            come.extend(here.into_iter().map(|(email, _)| (email, directory, id.clone())));
        }
        insert(connection, &come).await
    }
}

impl Store {
    /// Goes through the users of directories whose rows are not all there; the ids of these directories.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn index_emails(&self) -> anyhow::Result<Vec<i64>> {
        let statement = "SELECT id FROM directories WHERE emails_event <> last_event OR emails_missing > 0 ORDER BY id";
        let directories: Vec<i64> = sqlx::query_scalar(statement).fetch_all(&self.pool).await?;
        for directory in &directories {
            let mut is_first = true;
            while index_some(self, *directory, is_first).await? {
                is_first = false;
            }
        }
        Ok(directories)
    }
}

/// The addresses in a user's attributes, as a look-up names them.
pub(super) fn of(attributes: &str) -> Result<Vec<String>, sqlx::Error> {
    let read = serde_json::from_str(attributes);
    let Addresses { emails } = read.map_err(|error| sqlx::Error::Decode(Box::new(error)))?;
    Ok(email_keys(&emails))
}

/// What to look up instead of addresses: the users that the rows lead to, of many the addresses themselves; None for
/// everything, where rows may be missing. It is one statement that tells both.
pub(super) async fn narrow(store: &Store, directory: i64, addresses: &Lookup) -> Result<Option<Lookup>, sqlx::Error> {
    let rows: Vec<(String,)> = candidates(directory, &addresses.values).bound_as().fetch_all(&store.pool).await?;
    if rows.iter().any(|(id,)| id.is_empty()) {
        return Ok(None);
    }
    if rows.len() > FEW_ROWS {
        return Ok(Some(addresses.clone()));
    }
    let mut ids: Vec<String> = rows.into_iter().map(|(id,)| id).collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(Some(Lookup { field: Field::Id, values: ids }))
}

/// Asks for ids of users, and for an empty one where rows may be missing. It stops when they are more than a few.
fn candidates(directory: i64, addresses: &[String]) -> Statement {
    let mut statement = Statement::new("");
    let directory = statement.bind(Bound::Number(directory));
    let has_address = statement.is_one_of("value", addresses);
    statement.push(&format!(
        "SELECT '' FROM directories WHERE id = {directory} AND (emails_event <> last_event OR emails_missing > 0) \
         UNION ALL SELECT id FROM (SELECT id FROM resource_emails WHERE directory = {directory} AND {has_address} \
         LIMIT {}) AS few",
        FEW_ROWS + 1
    ));
    statement
}

/// Goes through some users, from the last to the first; whether there are more. Only the first step begins anew: where
/// others keep letting the rows fall behind there would be no end.
async fn index_some(store: &Store, directory: i64, is_first: bool) -> Result<bool, sqlx::Error> {
    let mut transaction = store.pool.begin().await?;
    // With the turn in the directory, as who changes it has.
    let statement = "UPDATE directories SET changed_ms = changed_ms WHERE id = $1 \
         RETURNING emails_event, emails_missing, last_event, last_sequence";
    let query = sqlx::query_as(statement).bind(directory);
    let found: Option<(i64, i64, i64, i64)> = query.fetch_optional(&mut *transaction).await?;
    let Some((event, mut upto, last_event, last_sequence)) = found else { return Ok(false) };
    if event != last_event {
        if !is_first {
            return Ok(false);
        }
        let statement = "DELETE FROM resource_emails WHERE directory = $1";
        sqlx::query(statement).bind(directory).execute(&mut *transaction).await?;
        upto = last_sequence;
    }
    let statement = "SELECT sequence, id, attributes FROM resources WHERE directory = $1 AND kind = $2 AND sequence <= $3 \
         ORDER BY sequence DESC LIMIT $4";
    let query = sqlx::query_as(statement).bind(directory).bind(kind_number(Kind::User)).bind(upto).bind(USERS_AT_ONCE);
    let users: Vec<(i64, String, String)> = query.fetch_all(&mut *transaction).await?;
    let mut rows = Vec::new();
    for (_, id, attributes) in &users {
        rows.extend(of(attributes)?.into_iter().map(|email| (email, directory, id.clone())));
    }
    insert(&mut transaction, &rows).await?;
    let missing = users.last().map_or(0, |(sequence, ..)| sequence - 1);
    let statement = "UPDATE directories SET emails_event = $2, emails_missing = $3 WHERE id = $1";
    let query = sqlx::query(statement).bind(directory).bind(last_event).bind(missing);
    query.execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(missing > 0)
}

/// Writes rows of address, directory and id of the user, if they are not there.
async fn insert(connection: &mut AnyConnection, rows: &[(String, i64, String)]) -> Result<(), sqlx::Error> {
    for rows in rows.chunks(ROWS) {
        let count = rows.len().next_power_of_two();
        let text = format!(
            "INSERT INTO resource_emails (value, directory, id) VALUES {} ON CONFLICT (value, directory, id) DO NOTHING",
            places(count, 3)
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        // The last is named again until there are enough.
        for (email, directory, id) in (0..count).filter_map(|row| rows.get(row).or(rows.last())) {
            query = query.bind(email.as_str()).bind(*directory).bind(id.as_str());
        }
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
