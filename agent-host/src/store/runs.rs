//! Runs of fulfilment and what each reported: an order is given to one run, and to no other once that is published.

use anyhow::Context;
use futures::TryStreamExt;
use sqlx::Row;

use super::Store;

/// A run whose results may or may not have been put in place when its process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnpublishedRun {
    /// The run.
    pub id: i64,
    /// Where the results were to go.
    pub results: String,
    /// The SHA-256 of the results.
    pub digest: String,
}

/// One line of the results.
#[derive(Debug)]
pub struct ReportedOrder {
    /// Its name.
    pub id: String,
    /// `Executed` or `Errored`.
    pub state: String,
    /// Why, or what else is to be known.
    pub message: String,
    /// As it was written.
    pub change_type: String,
    /// Whom it was for.
    pub owner_id: String,
    /// Of what kind that is.
    pub owner_type: String,
    /// Whether something was written to the managed system.
    pub changed: bool,
}

impl Store {
    /// Begins a run.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn begin_run(&self, connection: &str, now_ms: i64) -> anyhow::Result<i64> {
        let statement = "INSERT INTO runs (id, connection, began_ms) SELECT COALESCE(MAX(id), 0) + 1, $1, $2 \
             FROM runs WHERE TRUE ON CONFLICT (id) DO NOTHING RETURNING id";
        // Another agent may take the same number at the same time.
        loop {
            let query = sqlx::query_as(statement).bind(connection).bind(now_ms);
            let row: Option<(i64,)> = query.fetch_optional(&self.pool).await.context("noting a run")?;
            if let Some((id,)) = row {
                return Ok(id);
            }
        }
    }

    /// Gives all orders of the connection that have an outcome and were not reported to the run; how many.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn claim_outcomes(&self, run: i64, connection: &str) -> anyhow::Result<u64> {
        let statement = "UPDATE orders SET run = $1 WHERE run IS NULL AND order_file IN \
             (SELECT id FROM order_files WHERE connection = $2)";
        Ok(sqlx::query(statement).bind(run).bind(connection).execute(&self.pool).await?.rows_affected())
    }

    /// Calls `line` with each order the run reports, in the order of the files and within them.
    ///
    /// # Errors
    /// Where the store fails, or `line` does.
    pub async fn reported(
        &self,
        run: i64,
        mut line: impl FnMut(&ReportedOrder) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let statement = "SELECT id, state, message, change_type, owner_id, owner_type, changed FROM orders \
             WHERE run = $1 ORDER BY order_file, position";
        let mut rows = sqlx::query(statement).bind(run).fetch(&self.pool);
        while let Some(row) = rows.try_next().await? {
            let changed: i64 = row.try_get(6)?;
            line(&ReportedOrder {
                id: row.try_get(0)?,
                state: row.try_get(1)?,
                message: row.try_get(2)?,
                change_type: row.try_get(3)?,
                owner_id: row.try_get(4)?,
                owner_type: row.try_get(5)?,
                changed: changed != 0,
            })?;
        }
        Ok(())
    }

    /// Notes what is about to be put in place as the run's results.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn announce_results(&self, run: i64, results: &str, digest: &str) -> anyhow::Result<()> {
        let statement = sqlx::query("UPDATE runs SET results = $2, results_digest = $3 WHERE id = $1");
        statement.bind(run).bind(results).bind(digest).execute(&self.pool).await?;
        Ok(())
    }

    /// Notes that the results are in place.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn publish_results(&self, run: i64, now_ms: i64) -> anyhow::Result<()> {
        let statement = sqlx::query("UPDATE runs SET published_ms = $2, ended_ms = $2 WHERE id = $1");
        statement.bind(run).bind(now_ms).execute(&self.pool).await?;
        Ok(())
    }

    /// Notes that a run ended without results.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn end_run(&self, run: i64, now_ms: i64) -> anyhow::Result<()> {
        let statement = sqlx::query("UPDATE runs SET ended_ms = $2 WHERE id = $1 AND ended_ms IS NULL");
        statement.bind(run).bind(now_ms).execute(&self.pool).await?;
        Ok(())
    }

    /// Runs of the connection that were cut off while their results were put in place.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn unpublished_runs(&self, connection: &str) -> anyhow::Result<Vec<UnpublishedRun>> {
        let statement = "SELECT id, COALESCE(results, ''), COALESCE(results_digest, '') FROM runs \
             WHERE connection = $1 AND ended_ms IS NULL ORDER BY id";
        let rows: Vec<(i64, String, String)> = sqlx::query_as(statement).bind(connection).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(id, results, digest)| UnpublishedRun { id, results, digest }).collect())
    }

    /// Takes the orders away from a run whose results were not put in place, so that another run reports them.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn withdraw_outcomes(&self, run: i64, now_ms: i64) -> anyhow::Result<()> {
        sqlx::query("UPDATE orders SET run = NULL WHERE run = $1").bind(run).execute(&self.pool).await?;
        self.end_run(run, now_ms).await
    }
}
