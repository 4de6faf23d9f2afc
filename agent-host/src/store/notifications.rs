//! What people are told about runs: which ends are still to be considered, which jobs fail, what is to be delivered.

use anyhow::Context;

use super::{RunState, Store};

/// The end of a run that nobody has considered yet.
#[derive(Debug, Clone)]
pub struct EndedRun {
    /// The run's number.
    pub id: i64,
    /// The job's name as it is written.
    pub name: String,
    /// How it ended.
    pub state: RunState,
    /// What came of it.
    pub message: String,
    /// When it ended.
    pub ended_ms: i64,
}

/// A job whose last run failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailingJob {
    /// Since when.
    pub since_ms: i64,
    /// When people were last told.
    pub told_ms: i64,
    /// Failures since then.
    pub untold: i64,
}

/// A notification on its way.
#[derive(Debug, Clone)]
pub struct WaitingNotification {
    /// Unique.
    pub id: String,
    /// When it was made.
    pub at_ms: i64,
    /// `webhook`, or `mail:` and the address.
    pub channel: String,
    /// JSON.
    pub body: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When its turn is.
    pub next_ms: i64,
}

impl Store {
    /// Ends of runs that nobody has considered yet, the oldest first, so many at most.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn unnoticed_runs(&self, most: i64) -> anyhow::Result<Vec<EndedRun>> {
        let statement = "SELECT id, name, state, message, ended_ms FROM job_runs \
             WHERE ended_ms IS NOT NULL AND noticed = 0 ORDER BY ended_ms, id LIMIT $1";
        let rows: Vec<(i64, String, String, String, i64)> =
            sqlx::query_as(statement).bind(most).fetch_all(&self.pool).await.context("looking for ended runs")?;
        let ended = |(id, name, state, message, ended_ms): (i64, String, String, String, i64)| EndedRun {
            id,
            name,
            state: RunState::named(&state),
            message,
            ended_ms,
        };
        Ok(rows.into_iter().map(ended).collect())
    }

    /// Whether the job's last run failed, and since when.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn failing_job(&self, job: &str) -> anyhow::Result<Option<FailingJob>> {
        let statement = "SELECT since_ms, told_ms, untold FROM failing_jobs WHERE job = $1";
        let row: Option<(i64, i64, i64)> =
            sqlx::query_as(statement).bind(job.to_lowercase()).fetch_optional(&self.pool).await?;
        Ok(row.map(|(since_ms, told_ms, untold)| FailingJob { since_ms, told_ms, untold }))
    }

    /// Settles all at once: the run is considered, whether its job fails, what is to be delivered. False, and nothing
    /// done, where another has considered the run.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn notice_run(
        &self,
        run: &EndedRun,
        failing: Option<FailingJob>,
        notifications: &[WaitingNotification],
    ) -> anyhow::Result<bool> {
        let job = run.name.to_lowercase();
        let mut transaction = self.pool.begin().await?;
        let claim = "UPDATE job_runs SET noticed = 1 WHERE id = $1 AND noticed = 0";
        if sqlx::query(claim).bind(run.id).execute(&mut *transaction).await?.rows_affected() == 0 {
            return Ok(false);
        }
        let query = match failing {
            None => sqlx::query("DELETE FROM failing_jobs WHERE job = $1").bind(job),
            Some(FailingJob { since_ms, told_ms, untold }) => {
                let statement = "INSERT INTO failing_jobs (job, since_ms, told_ms, untold) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (job) DO UPDATE SET told_ms = excluded.told_ms, untold = excluded.untold";
                sqlx::query(statement).bind(job).bind(since_ms).bind(told_ms).bind(untold)
            }
        };
        query.execute(&mut *transaction).await?;
        for notification in notifications {
            let statement = "INSERT INTO notifications (id, at_ms, channel, body, attempts, next_ms) \
                 VALUES ($1, $2, $3, $4, $5, $6)";
            let query = sqlx::query(statement).bind(&notification.id).bind(notification.at_ms);
            let query = query.bind(&notification.channel).bind(&notification.body).bind(notification.attempts);
            query.bind(notification.next_ms).execute(&mut *transaction).await?;
        }
        transaction.commit().await.context("settling what is told of a run")?;
        Ok(true)
    }

    /// Notifications whose turn has come, so many at most.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn waiting_notifications(&self, now_ms: i64, most: i64) -> anyhow::Result<Vec<WaitingNotification>> {
        let statement = "SELECT id, at_ms, channel, body, attempts, next_ms FROM notifications \
             WHERE next_ms <= $1 ORDER BY next_ms, at_ms LIMIT $2";
        let rows: Vec<(String, i64, String, String, i64, i64)> =
            sqlx::query_as(statement).bind(now_ms).bind(most).fetch_all(&self.pool).await?;
        let waiting = |(id, at_ms, channel, body, attempts, next_ms)| WaitingNotification {
            id,
            at_ms,
            channel,
            body,
            attempts,
            next_ms,
        };
        Ok(rows.into_iter().map(waiting).collect())
    }

    /// Counts an attempt and puts the next one off until then; false where another is at it.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn attempt_notification(&self, waiting: &WaitingNotification, next_ms: i64) -> anyhow::Result<bool> {
        let statement =
            "UPDATE notifications SET attempts = attempts + 1, next_ms = $3 WHERE id = $1 AND attempts = $2";
        let query = sqlx::query(statement).bind(&waiting.id).bind(waiting.attempts).bind(next_ms);
        Ok(query.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// It has arrived, or never will.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn drop_notification(&self, id: &str) -> anyhow::Result<()> {
        sqlx::query("DELETE FROM notifications WHERE id = $1").bind(id).execute(&self.pool).await?;
        Ok(())
    }

    /// How many are still to be delivered.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn notifications_waiting(&self) -> anyhow::Result<i64> {
        let (count,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM notifications").fetch_one(&self.pool).await?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Claim, WantedRun, tests::stores};

    #[tokio::test]
    async fn the_end_of_a_run_is_settled_once_and_its_notifications_are_tried_by_one_at_a_time() {
        for (_folder, store) in stores().await {
            let wanted = WantedRun { name: "Nightly", cause: "person", due_ms: None, repairs: None, place: None };
            let run = store.queue_run(&wanted, 1).await.unwrap().unwrap();
            assert!(store.unnoticed_runs(9).await.unwrap().is_empty(), "it has not ended");
            let claim = Claim { worker: "worker", place: None, jobs: None, at_work: &[], now_ms: 2, until_ms: 100 };
            store.claim_run(Some(run), &claim).await.unwrap().unwrap();
            store.end_job_run(run, "worker", RunState::Error, "no such host", 3).await.unwrap();
            let ended = store.unnoticed_runs(9).await.unwrap().remove(0);
            assert_eq!((ended.id, ended.state, ended.ended_ms), (run, RunState::Error, 3));
            let failing = FailingJob { since_ms: 3, told_ms: 3, untold: 0 };
            let waiting = |id: &str| WaitingNotification {
                id: id.to_owned(),
                at_ms: 4,
                channel: "webhook".to_owned(),
                body: "{}".to_owned(),
                attempts: 0,
                next_ms: 4,
            };
            assert!(store.notice_run(&ended, Some(failing), &[waiting("1"), waiting("2")]).await.unwrap());
            assert!(!store.notice_run(&ended, None, &[waiting("3")]).await.unwrap(), "another has settled it");
            assert!(store.unnoticed_runs(9).await.unwrap().is_empty());
            assert_eq!(store.failing_job("NIGHTLY").await.unwrap(), Some(failing));
            assert_eq!(store.notifications_waiting().await.unwrap(), 2);
            assert!(store.waiting_notifications(3, 9).await.unwrap().is_empty(), "it is too early");
            let first = store.waiting_notifications(4, 1).await.unwrap().remove(0);
            assert!(store.attempt_notification(&first, 50).await.unwrap());
            assert!(!store.attempt_notification(&first, 60).await.unwrap(), "another is at it");
            let due = store.waiting_notifications(50, 9).await.unwrap();
            assert_eq!(due.iter().map(|due| due.attempts).collect::<Vec<_>>(), [0, 1]);
            store.drop_notification(&first.id).await.unwrap();
            assert_eq!(store.notifications_waiting().await.unwrap(), 1);
        }
    }
}
