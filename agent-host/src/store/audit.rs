//! The audit: who did what to whom, when, and what came of it. Rows are added and never changed; the
//! oldest are forgotten when the settings say that they may be.

use anyhow::Context;
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

impl AuditRecord {
    /// A line of this id that says who did what, and what came of it; the rest of it is empty.
    pub fn of(id: String, at_ms: i64, actor: &str, action: &str, outcome: &str) -> Self {
        Self {
            id,
            at_ms,
            action_id: String::new(),
            action: action.to_owned(),
            actor: actor.to_owned(),
            connection: String::new(),
            account: String::new(),
            login: String::new(),
            mode: String::new(),
            outcome: outcome.to_owned(),
            request_id: None,
            note: None,
        }
    }
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

    /// Forgets lines from before then, the oldest first and so many at the most. How many there were.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn forget_audit(&self, before_ms: i64, most: u32) -> anyhow::Result<u64> {
        let statement =
            "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at_ms < $1 ORDER BY at_ms, id LIMIT $2)";
        let query = sqlx::query(statement).bind(before_ms).bind(i64::from(most));
        Ok(query.execute(&self.pool).await.context("forgetting old lines of the audit")?.rows_affected())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::stores;

    fn line(id: &str, at_ms: i64) -> AuditRecord {
        let [action_id, action, actor, account, login, mode, outcome] =
            ["", "password_reset", "ada", "00u1", "bob", "", "done"].map(str::to_owned);
        let (id, connection) = (id.to_owned(), "okta".to_owned());
        let (request_id, note) = (None, Some("a note".to_owned()));
        AuditRecord { id, at_ms, action_id, action, actor, connection, account, login, mode, outcome, request_id, note }
    }

    #[tokio::test]
    async fn old_lines_are_forgotten_the_oldest_first_and_so_many_at_a_time() {
        for (_folder, store) in stores().await {
            let lines = [line("d", 40), line("a", 10), line("c", 30), line("b", 20)];
            for line in &lines {
                store.add_to_audit(line).await.unwrap();
            }
            assert_eq!(store.forget_audit(10, 9).await.unwrap(), 0, "that one is not from before");
            assert_eq!(store.forget_audit(40, 2).await.unwrap(), 2);
            assert_eq!(store.audit(9).await.unwrap(), [lines[0].clone(), lines[2].clone()]);
            assert_eq!(store.forget_audit(40, 2).await.unwrap(), 1);
            assert_eq!(store.audit(9).await.unwrap(), [lines[0].clone()]);
        }
    }
}
