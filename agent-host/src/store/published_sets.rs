//! The sets of files that exports put in place: when, and how many records. The newest are kept, so that counts can be
//! followed over time.

use std::collections::BTreeMap;

use sqlx::Row;

use super::{Store, only};

/// Sets that are kept of each connection.
const KEPT: i64 = 1_000;

/// A set of files that an export put in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedSet {
    /// Its number.
    pub id: i64,
    /// The connection.
    pub connection: String,
    /// When it was put in place.
    pub finished_ms: i64,
    /// How long the export took.
    pub duration_ms: i64,
    /// Requests that it took.
    pub requests: i64,
    /// Answers that said "too many requests".
    pub throttled: i64,
    /// The tables that it read, by name.
    pub tables: BTreeMap<String, PublishedTable>,
}

/// A table of such a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedTable {
    /// Records in its file.
    pub records: i64,
    /// Records that are not in its file.
    pub rejected: i64,
    /// SHA-256 of its file.
    pub sha256: String,
    /// How its records differ from those of the set before; none where they were not compared.
    pub changes: Option<RecordChanges>,
}

/// Records in which a table differs from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordChanges {
    /// Those whose key is new.
    pub added: i64,
    /// Those whose key is gone.
    pub removed: i64,
    /// Those with another content under the same key.
    pub changed: i64,
}

impl Store {
    /// Notes a set; its `id` is given here. Sets beyond the thousand newest of the connection are forgotten.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn add_published_set(&self, set: &PublishedSet) -> anyhow::Result<i64> {
        let connection = set.connection.to_lowercase();
        let mut transaction = self.pool.begin().await?;
        let statement = "INSERT INTO published_sets (id, connection, finished_ms, duration_ms, requests, throttled) \
             SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3, $4, $5 FROM published_sets WHERE TRUE \
             ON CONFLICT (id) DO NOTHING RETURNING id";
        // Another agent may take the same number at the same time.
        let id = loop {
            let query = sqlx::query_as(statement).bind(&connection).bind(set.finished_ms).bind(set.duration_ms);
            let query = query.bind(set.requests).bind(set.throttled);
            let row: Option<(i64,)> = only(query.fetch_all(&mut *transaction).await)?;
            if let Some((id,)) = row {
                break id;
            }
        };
        for (name, table) in &set.tables {
            let statement = "INSERT INTO published_tables \
                 (published_set, name, records, rejected, sha256, added, removed, changed) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
            let query = sqlx::query(statement).bind(id).bind(name).bind(table.records).bind(table.rejected);
            let query = query.bind(&table.sha256).bind(table.changes.map(|it| it.added));
            let query = query.bind(table.changes.map(|it| it.removed)).bind(table.changes.map(|it| it.changed));
            query.execute(&mut *transaction).await?;
        }
        let old =
            "COALESCE((SELECT id FROM published_sets WHERE connection = $1 ORDER BY id DESC LIMIT 1 OFFSET $2), 0)";
        for statement in [
            format!(
                "DELETE FROM published_tables WHERE published_set IN \
                 (SELECT id FROM published_sets WHERE connection = $1 AND id <= {old})"
            ),
            format!("DELETE FROM published_sets WHERE connection = $1 AND id <= {old}"),
        ] {
            let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(&connection).bind(KEPT);
            query.execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(id)
    }

    /// The newest sets of the connection that came before this one (`i64::MAX` for all), the newest first.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn published_sets(&self, connection: &str, before: i64, most: i64) -> anyhow::Result<Vec<PublishedSet>> {
        let wanted = "SELECT id FROM published_sets WHERE connection = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
        let statement = format!(
            "SELECT s.id, s.finished_ms, s.duration_ms, s.requests, s.throttled, t.name, t.records, t.rejected, t.sha256, \
             t.added, t.removed, t.changed FROM published_sets AS s LEFT JOIN published_tables AS t ON t.published_set = s.id \
             WHERE s.id IN ({wanted}) ORDER BY s.id DESC, t.name"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(connection.to_lowercase()).bind(before).bind(most);
        let mut sets: Vec<PublishedSet> = Vec::new();
        for row in query.fetch_all(&self.pool).await? {
            let id: i64 = row.try_get(0)?;
            if sets.last().is_none_or(|last| last.id != id) {
                sets.push(PublishedSet {
                    id,
                    connection: connection.to_owned(),
                    finished_ms: row.try_get(1)?,
                    duration_ms: row.try_get(2)?,
                    requests: row.try_get(3)?,
                    throttled: row.try_get(4)?,
                    tables: BTreeMap::new(),
                });
            }
            let name: Option<String> = row.try_get(5)?;
            if let (Some(set), Some(name)) = (sets.last_mut(), name) {
                let count = |at: usize| row.try_get::<Option<i64>, _>(at);
                let (added, removed, changed) = (count(9)?, count(10)?, count(11)?);
                let changes = |added| Some(RecordChanges { added, removed: removed?, changed: changed? });
                let table = PublishedTable {
                    records: row.try_get(6)?,
                    rejected: row.try_get(7)?,
                    sha256: row.try_get(8)?,
                    changes: added.and_then(changes),
                };
                set.tables.insert(name, table);
            }
        }
        Ok(sets)
    }

    /// How many records each table of the connection had when an export last read it, after when that set was put in place.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn last_counts(&self, connection: &str) -> anyhow::Result<BTreeMap<String, (i64, u64)>> {
        // An export may read some tables alone. What is older comes before what is newer.
        let statement = "SELECT t.name, s.finished_ms, t.records FROM published_tables AS t \
             JOIN published_sets AS s ON s.id = t.published_set \
             WHERE s.connection = $1 AND s.id IN (SELECT MAX(n.id) FROM published_tables AS m \
             JOIN published_sets AS n ON n.id = m.published_set WHERE n.connection = $1 GROUP BY m.name) ORDER BY s.id";
        let query = sqlx::query_as(statement).bind(connection.to_lowercase());
        let rows: Vec<(String, i64, i64)> = query.fetch_all(&self.pool).await?;
        let count = |(name, finished_ms, records)| (name, (finished_ms, u64::try_from(records).unwrap_or_default()));
        Ok(rows.into_iter().map(count).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::stores;

    #[tokio::test]
    async fn the_newest_sets_come_first_each_with_its_tables() {
        for (_folder, store) in stores().await {
            for records in 1..=3 {
                let changes = (records > 1).then_some(RecordChanges { added: records, removed: 1, changed: 0 });
                let table = PublishedTable { records, rejected: 0, sha256: records.to_string(), changes };
                let tables = ["groups", "users"].map(|name| (name.to_owned(), table.clone())).into();
                let connection = "Okta".to_owned();
                let set = PublishedSet {
                    id: 0,
                    connection,
                    finished_ms: 7,
                    duration_ms: 1,
                    requests: 2,
                    throttled: 0,
                    tables,
                };
                store.add_published_set(&set).await.unwrap();
            }
            let found = store.published_sets("okta", i64::MAX, 2).await.unwrap();
            let counts: Vec<_> =
                found.iter().map(|set| (set.id, set.tables["users"].records, set.tables.len())).collect();
            assert_eq!(counts, [(3, 3, 2), (2, 2, 2)]);
            let compared = store.published_sets("okta", 3, 5).await.unwrap();
            let compared: Vec<_> = compared.iter().map(|set| set.tables["users"].changes).collect();
            let second = RecordChanges { added: 2, removed: 1, changed: 0 };
            assert_eq!(compared, [Some(second), None], "the first had nothing to be compared with");
            assert_eq!(store.published_sets("okta", 2, 5).await.unwrap().len(), 1);
            // An export of one table says nothing of the others.
            let users = PublishedTable { records: 4, rejected: 0, sha256: String::new(), changes: None };
            let tables = [("users".to_owned(), users)].into();
            let newest = PublishedSet { id: 0, finished_ms: 8, tables, ..found[0].clone() };
            store.add_published_set(&newest).await.unwrap();
            let counts = [("groups".to_owned(), (7, 3)), ("users".to_owned(), (8, 4))].into();
            assert_eq!(store.last_counts("OKTA").await.unwrap(), counts);
            assert!(store.last_counts("other").await.unwrap().is_empty());
            assert!(store.published_sets("other", i64::MAX, 5).await.unwrap().is_empty());
        }
    }

    #[tokio::test]
    async fn sets_that_agents_note_at_once_are_numbered_apart() {
        for (_folder, store) in stores().await {
            let set = |nth: usize| PublishedSet {
                id: 0,
                connection: format!("c{nth}"),
                finished_ms: 7,
                duration_ms: 1,
                requests: 2,
                throttled: 0,
                tables: BTreeMap::new(),
            };
            let noted = (0..8).map(async |nth| store.add_published_set(&set(nth)).await.unwrap());
            let mut ids = futures::future::join_all(noted).await;
            ids.sort_unstable();
            assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7, 8]);
        }
    }
}
