//! The audit: who did what to whom, when, and what came of it. Rows are added; nothing here changes or removes one.

use sqlx::Row;

use super::Store;

/// One line of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Unique.
    pub id: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Joins the beginning of an action and what came of it.
    pub action_id: String,
    /// What was done, such as `password_reset`.
    pub action: String,
    /// Who asked for it.
    pub actor: String,
    /// In which connection.
    pub connection: String,
    /// To which account.
    pub account: String,
    /// What the account's owner signs in with.
    pub login: String,
    /// In which way.
    pub mode: String,
    /// `begun`, `done`, `refused`, `unknown`, …
    pub outcome: String,
    /// The managed system's name for the request.
    pub request_id: Option<String>,
    /// What a reader should know. Never a secret.
    pub note: Option<String>,
}

impl Store {
    /// Adds a line.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn add_to_audit(&self, record: &AuditRecord) -> anyhow::Result<()> {
        let statement = "INSERT INTO audit (id, at_ms, action_id, action, actor, connection, account, login, mode, outcome, \
             request_id, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let query = sqlx::query(statement).bind(&record.id).bind(record.at_ms).bind(&record.action_id);
        let query = query.bind(&record.action).bind(&record.actor).bind(record.connection.to_lowercase());
        let query = query.bind(&record.account).bind(&record.login).bind(&record.mode).bind(&record.outcome);
        query.bind(&record.request_id).bind(&record.note).execute(&self.pool).await?;
        Ok(())
    }

    /// The newest lines, the newest first.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn audit(&self, most: u32) -> anyhow::Result<Vec<AuditRecord>> {
        let statement = "SELECT id, at_ms, action_id, action, actor, connection, account, login, mode, outcome, request_id, note \
             FROM audit ORDER BY at_ms DESC, id DESC LIMIT $1";
        let rows = sqlx::query(statement).bind(i64::from(most)).fetch_all(&self.pool).await?;
        rows.iter().map(record).collect()
    }
}

/// A line as statements here select it.
pub(super) fn record(row: &sqlx::any::AnyRow) -> anyhow::Result<AuditRecord> {
    Ok(AuditRecord {
        id: row.try_get(0)?,
        at_ms: row.try_get(1)?,
        action_id: row.try_get(2)?,
        action: row.try_get(3)?,
        actor: row.try_get(4)?,
        connection: row.try_get(5)?,
        account: row.try_get(6)?,
        login: row.try_get(7)?,
        mode: row.try_get(8)?,
        outcome: row.try_get(9)?,
        request_id: row.try_get(10)?,
        note: row.try_get(11)?,
    })
}
