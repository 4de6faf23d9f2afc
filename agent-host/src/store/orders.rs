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

/// An order file that is at work, or was when its process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOrderFile {
    /// Its id.
    pub id: i64,
    /// The SHA-256 of the file.
    pub digest: String,
    /// From where the path is to be understood.
    pub place: String,
    /// Where it was found.
    pub path: String,
    /// When it was first taken up.
    pub received_ms: i64,
    /// Where it was about to be moved; empty where it was not.
    pub moving_to: String,
}

impl Store {
    /// The order files of the connection that are at work, the oldest first.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn open_order_files(&self, connection: &str) -> anyhow::Result<Vec<OpenOrderFile>> {
        let statement = "SELECT id, digest, place, path, received_ms, COALESCE(moving_to, '') FROM order_files \
             WHERE connection = $1 AND closed_ms IS NULL ORDER BY id";
        let rows: Vec<(i64, String, String, String, i64, String)> =
            sqlx::query_as(statement).bind(connection).fetch_all(&self.pool).await?;
        let file = |(id, digest, place, path, received_ms, moving_to)| OpenOrderFile {
            id,
            digest,
            place,
            path,
            received_ms,
            moving_to,
        };
        Ok(rows.into_iter().map(file).collect())
    }

    /// Notes an order file that is taken up at a path, which is to be understood from this place, and gives its id.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn begin_order_file(
        &self,
        connection: &str,
        digest: &str,
        (place, path): (&str, &str),
        now_ms: i64,
    ) -> anyhow::Result<i64> {
        let statement = "INSERT INTO order_files (id, connection, digest, path, received_ms, place) \
             SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3, $4, $5 FROM order_files WHERE TRUE \
             ON CONFLICT (id) DO NOTHING RETURNING id";
        // Another agent may take the same number at the same time.
        loop {
            let query = sqlx::query_as(statement).bind(connection).bind(digest).bind(path).bind(now_ms).bind(place);
            let row: Option<(i64,)> = super::only(query.fetch_all(&self.pool).await).context("noting an order file")?;
            if let Some((id,)) = row {
                return Ok(id);
            }
        }
    }

    /// Notes where an order file that is at work lies now.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn found_order_file(&self, order_file: i64, (place, path): (&str, &str)) -> anyhow::Result<()> {
        let statement = sqlx::query("UPDATE order_files SET place = $3, path = $2, moving_to = NULL WHERE id = $1");
        statement.bind(order_file).bind(path).bind(place).execute(&self.pool).await?;
        Ok(())
    }

    /// Notes where an order file is about to be moved.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn announce_move(&self, order_file: i64, target: &str) -> anyhow::Result<()> {
        let statement = sqlx::query("UPDATE order_files SET moving_to = $2 WHERE id = $1");
        statement.bind(order_file).bind(target).execute(&self.pool).await?;
        Ok(())
    }

    /// How many orders of the file are in results that were put in place.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn reported_of(&self, order_file: i64) -> anyhow::Result<u64> {
        let statement = "SELECT COUNT(*) FROM orders JOIN runs ON runs.id = orders.run \
             WHERE orders.order_file = $1 AND runs.published_ms IS NOT NULL";
        let (count,): (i64,) = sqlx::query_as(statement).bind(order_file).fetch_one(&self.pool).await?;
        Ok(u64::try_from(count)?)
    }

    /// Calls `found` with the place of each order of the file that has an outcome, whether it was executed, and the
    /// record that an order to add came to.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn finished(&self, order_file: i64, mut found: impl FnMut(i64, bool, &str)) -> anyhow::Result<()> {
        let statement = "SELECT position, state, record FROM orders WHERE order_file = $1";
        let mut rows = sqlx::query(statement).bind(order_file).fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            let (state, record): (String, String) = (row.try_get(1)?, row.try_get(2)?);
            found(row.try_get(0)?, state == "Executed", &record);
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
