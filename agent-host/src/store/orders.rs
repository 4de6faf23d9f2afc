//! Order files that are at work, and what is known of their orders from earlier runs.

use anyhow::Context;
use futures::TryStreamExt;
use sqlx::Row;

use super::Store;

/// Days for which orders are kept once their file is closed.
const KEPT_DAYS: i64 = 90;

/// A step of an order that began before and whose order has no outcome yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BegunStep {
    /// The place of the order in its file.
    pub position: i64,
    /// The step.
    pub step: String,
    /// What came of it; none where that is not known.
    pub result: Option<String>,
}

impl Store {
    /// The id of the order file with this digest that is at work; a new one where there is none, as after it was
    /// reported and is delivered again.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn order_file(&self, connection: &str, digest: &str, name: &str, now_ms: i64) -> anyhow::Result<i64> {
        let known = "SELECT id FROM order_files WHERE connection = $1 AND digest = $2 AND closed_ms IS NULL";
        let known: Option<(i64,)> =
            sqlx::query_as(known).bind(connection).bind(digest).fetch_optional(&self.pool).await?;
        if let Some((id,)) = known {
            return Ok(id);
        }
        let statement = "INSERT INTO order_files (id, connection, digest, name, received_ms) \
             SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3, $4 FROM order_files RETURNING id";
        let (id,): (i64,) = sqlx::query_as(statement)
            .bind(connection)
            .bind(digest)
            .bind(name)
            .bind(now_ms)
            .fetch_one(&self.pool)
            .await
            .context("noting an order file")?;
        Ok(id)
    }

    /// Calls `found` with the place of each order of the file that has an outcome, and whether it was executed.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn finished(&self, order_file: i64, mut found: impl FnMut(i64, bool)) -> anyhow::Result<()> {
        let statement = sqlx::query("SELECT position, state FROM orders WHERE order_file = $1").bind(order_file);
        let mut rows = statement.fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            let state: String = row.try_get(1)?;
            found(row.try_get(0)?, state == "Executed");
        }
        Ok(())
    }

    /// The steps that began in orders of the file without an outcome.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn begun(&self, order_file: i64) -> anyhow::Result<Vec<BegunStep>> {
        let statement = "SELECT position, step, done_ms, result FROM steps WHERE order_file = $1 AND NOT EXISTS \
             (SELECT 1 FROM orders WHERE orders.order_file = steps.order_file AND orders.position = steps.position)";
        let rows = sqlx::query(statement).bind(order_file).fetch_all(&self.pool).await?;
        let step = |row: &sqlx::any::AnyRow| -> Result<BegunStep, sqlx::Error> {
            let done: Option<i64> = row.try_get(2)?;
            let result: Option<String> = row.try_get(3)?;
            let result = done.map(|_| result.unwrap_or_default());
            Ok(BegunStep { position: row.try_get(0)?, step: row.try_get(1)?, result })
        };
        Ok(rows.iter().map(step).collect::<Result<_, _>>()?)
    }

    /// Notes that all orders of the file are reported.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn close_order_file(&self, order_file: i64, now_ms: i64) -> anyhow::Result<()> {
        let statement = sqlx::query("UPDATE order_files SET closed_ms = $2 WHERE id = $1");
        statement.bind(order_file).bind(now_ms).execute(&self.pool).await?;
        Ok(())
    }

    /// Removes what was closed long ago.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn forget_old(&self, now_ms: i64) -> anyhow::Result<()> {
        let before = now_ms - KEPT_DAYS * 24 * 3600 * 1000;
        for statement in [
            "DELETE FROM steps WHERE order_file IN (SELECT id FROM order_files WHERE closed_ms < $1)",
            "DELETE FROM orders WHERE order_file IN (SELECT id FROM order_files WHERE closed_ms < $1)",
            "DELETE FROM order_files WHERE closed_ms < $1",
            "DELETE FROM runs WHERE ended_ms < $1 AND NOT EXISTS (SELECT 1 FROM orders WHERE orders.run = runs.id)",
            "DELETE FROM approvals WHERE expires_ms < $1",
        ] {
            sqlx::query(statement).bind(before).execute(&self.pool).await?;
        }
        Ok(())
    }
}
