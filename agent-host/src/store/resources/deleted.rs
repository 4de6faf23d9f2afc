//! What clients deleted in directories that keep a trace of it: who, when, and how it last was, as long as events are kept.

use serde_json::{Map, Value};
use sqlx::Row;

use super::{
    super::Store,
    rows::{attributes, kind_of},
};

/// A resource that a client deleted.
#[derive(Debug, Clone, PartialEq)]
pub struct DeletedResource {
    /// Its id.
    pub id: String,
    /// `User` or `Group`.
    pub kind: &'static str,
    /// When, in milliseconds since 1970.
    pub deleted_ms: i64,
    /// Who asked for it, as events say; empty where that was not kept.
    pub actor: String,
    /// The attributes it last had, without passwords.
    pub attributes: Map<String, Value>,
}

impl Store {
    /// What was deleted in a directory, the newest first, at most so many.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn deleted_resources(&self, directory: i64, most: i64) -> anyhow::Result<Vec<DeletedResource>> {
        let statement = "SELECT id, kind, deleted_ms, actor, attributes FROM deleted_resources WHERE directory = $1 \
             ORDER BY deleted_ms DESC, id DESC LIMIT $2";
        let rows = sqlx::query(statement).bind(directory).bind(most).fetch_all(&self.pool).await?;
        let deleted = rows.iter().map(|row| {
            Ok(DeletedResource {
                id: row.try_get(0)?,
                kind: kind_of(row.try_get(1)?).map_or("", scim_server::Kind::name),
                deleted_ms: row.try_get(2)?,
                actor: row.try_get(3)?,
                attributes: attributes(row.try_get(4)?)?,
            })
        });
        Ok(deleted.collect::<Result<_, sqlx::Error>>()?)
    }

    /// Forgets what was deleted before then; how many there were.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn forget_deleted_resources(&self, before_ms: i64) -> anyhow::Result<u64> {
        let statement = "DELETE FROM deleted_resources WHERE deleted_ms < $1";
        Ok(sqlx::query(statement).bind(before_ms).execute(&self.pool).await?.rows_affected())
    }
}
