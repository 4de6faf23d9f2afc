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

/// When a step of this kind was last carried out without an error, by whichever agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepDone {
    /// The name of its kind.
    pub kind: String,
    /// The connection, whatever its case.
    pub connection: String,
    /// When it ended.
    pub ended_ms: i64,
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

    /// Notes that a step was carried out without an error.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn note_done(&self, done: &StepDone) -> anyhow::Result<()> {
        let statement = "INSERT INTO steps_done (kind, connection, ended_ms) VALUES ($1, $2, $3) \
             ON CONFLICT (kind, connection) DO UPDATE SET ended_ms = excluded.ended_ms \
             WHERE steps_done.ended_ms < excluded.ended_ms";
        let query = sqlx::query(statement).bind(&done.kind).bind(done.connection.to_lowercase()).bind(done.ended_ms);
        query.execute(&self.pool).await.context("noting when a step was done")?;
        Ok(())
    }

    /// When steps were last carried out without an error, by kind and connection in lower case.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn steps_done(&self) -> anyhow::Result<Vec<StepDone>> {
        let statement = "SELECT kind, connection, ended_ms FROM steps_done ORDER BY kind, connection";
        let rows: Vec<(String, String, i64)> =
            sqlx::query_as(statement).fetch_all(&self.pool).await.context("reading when steps were done")?;
        Ok(rows.into_iter().map(|(kind, connection, ended_ms)| StepDone { kind, connection, ended_ms }).collect())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{AuditRecord, Claim, WantedRun, tests::stores};

    #[tokio::test]
    async fn the_last_time_that_any_agent_did_a_step_is_kept() {
        for (_folder, store) in stores().await {
            let done = |kind: &str, connection: &str, ended_ms| {
                let (kind, connection) = (kind.to_owned(), connection.to_owned());
                StepDone { kind, connection, ended_ms }
            };
            for (connection, ended_ms) in [("Okta", 5), ("OKTA", 9), ("okta", 7)] {
                store.note_done(&done("export", connection, ended_ms)).await.unwrap();
            }
            store.note_done(&done("fulfill", "Okta", 3)).await.unwrap();
            let kept = [done("export", "okta", 9), done("fulfill", "okta", 3)];
            assert_eq!(store.steps_done().await.unwrap(), kept);
        }
    }

    #[tokio::test]
    async fn runs_that_wait_and_work_and_lines_of_the_audit_are_counted() {
        for (_folder, store) in stores().await {
            store.ping().await.unwrap();
            assert_eq!(store.queue_figures().await.unwrap(), QueueFigures::default());
            for (name, at_ms) in [("a", 5), ("b", 6), ("c", 7)] {
                let wanted = WantedRun { name, cause: "person", due_ms: None, repairs: None, place: None };
                store.queue_run(&wanted, at_ms).await.unwrap();
            }
            let claim = Claim { worker: "worker", place: None, jobs: None, at_work: &[], now_ms: 8, until_ms: 90 };
            store.claim_run(None, &claim).await.unwrap().unwrap();
            let figures = QueueFigures { queued: 2, queued_ms: Some(6), started: 1, lease_until_ms: Some(90) };
            assert_eq!(store.queue_figures().await.unwrap(), figures);
            for (id, at_ms, outcome) in [("1", 1, "done"), ("2", 2, "done"), ("3", 3, "done"), ("4", 4, "refused")] {
                let [id, outcome, action, empty] = [id, outcome, "sign_in", ""].map(str::to_owned);
                let record = AuditRecord {
                    id,
                    at_ms,
                    action_id: empty.clone(),
                    action,
                    actor: empty.clone(),
                    connection: empty.clone(),
                    account: empty.clone(),
                    login: empty.clone(),
                    mode: empty,
                    outcome,
                    request_id: None,
                    note: None,
                };
                store.add_to_audit(&record).await.unwrap();
            }
            let mut counted = store.audit_figures(2).await.unwrap();
            counted.sort();
            let told = |outcome: &str, count| ("sign_in".to_owned(), outcome.to_owned(), count);
            assert_eq!(counted, [told("done", 2), told("refused", 1)]);
        }
    }
}
