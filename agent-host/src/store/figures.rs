//! Figures of the store for monitoring, and whether it answers at all.

use anyhow::Context;

use super::Store;

/// The queue at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueFigures {
    /// Runs that wait.
    pub queued: i64,
    /// Since when the first of them does.
    pub queued_ms: Option<i64>,
    /// Runs at work.
    pub started: i64,
    /// When the first of their leases ends.
    pub lease_until_ms: Option<i64>,
}

impl Store {
    /// Whether it answers.
    ///
    /// # Errors
    /// Where it does not.
    pub async fn ping(&self) -> anyhow::Result<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await.context("asking the store")?;
        Ok(())
    }

    /// The queue now.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn queue_figures(&self) -> anyhow::Result<QueueFigures> {
        let statement = "SELECT state, COUNT(*), MIN(queued_ms), MIN(lease_until_ms) FROM job_runs \
             WHERE ended_ms IS NULL GROUP BY state";
        let rows: Vec<(String, i64, Option<i64>, Option<i64>)> =
            sqlx::query_as(statement).fetch_all(&self.pool).await.context("counting runs")?;
        let mut figures = QueueFigures::default();
        for (state, count, queued_ms, lease_until_ms) in rows {
            if state == "queued" {
                (figures.queued, figures.queued_ms) = (count, queued_ms);
            } else {
                (figures.started, figures.lease_until_ms) = (count, lease_until_ms);
            }
        }
        Ok(figures)
    }

    /// How many lines the audit has since then, by action and outcome.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn audit_figures(&self, since_ms: i64) -> anyhow::Result<Vec<(String, String, i64)>> {
        let statement = "SELECT action, outcome, COUNT(*) FROM audit WHERE at_ms >= $1 GROUP BY action, outcome";
        let rows = sqlx::query_as(statement).bind(since_ms).fetch_all(&self.pool).await;
        rows.context("counting lines of the audit")
    }
}
