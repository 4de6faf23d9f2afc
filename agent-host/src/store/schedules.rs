//! Schedules of jobs as agents have them: up to when the due times of each are dealt with, and which are in force.
//!
//! Agents that share a database may have different ones for a job, because their settings or time zones differ: none
//! touches what is noted of another.

use anyhow::Context;

use super::Store;

/// A schedule is no longer in force where another of its job was seen so much later.
const ABANDONED_MS: i64 = 300_000;

/// What is noted of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettledSchedule {
    /// Up to when its due times are dealt with.
    pub settled_ms: i64,
    /// When an agent last said that it is in force.
    pub seen_ms: i64,
}

impl Store {
    /// What is noted of the job's schedule; none where it is new, or another has taken its place since.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn settled_schedule(
        &self,
        job: &str,
        schedule: &str,
        now_ms: i64,
    ) -> anyhow::Result<Option<SettledSchedule>> {
        // What a clock that is ahead has seen is no reason.
        let statement = "SELECT settled_ms, seen_ms FROM job_schedules AS it WHERE job = $1 AND schedule = $2 \
             AND NOT EXISTS (SELECT 1 FROM job_schedules AS other WHERE other.job = it.job \
             AND other.schedule <> it.schedule AND other.seen_ms > it.seen_ms + $3 AND other.seen_ms <= $4)";
        let query = sqlx::query_as(statement).bind(job.to_lowercase()).bind(schedule);
        let row = query.bind(ABANDONED_MS).bind(now_ms).fetch_optional(&self.pool).await;
        let row: Option<(i64, i64)> = row.context("looking for a schedule")?;
        Ok(row.map(|(settled_ms, seen_ms)| SettledSchedule { settled_ms, seen_ms }))
    }

    /// Notes up to when the schedule's due times are dealt with, and that it is in force.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn settle_until(&self, job: &str, schedule: &str, settled_ms: i64, now_ms: i64) -> anyhow::Result<()> {
        let statement = "INSERT INTO job_schedules (job, schedule, settled_ms, seen_ms) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (job, schedule) DO UPDATE SET settled_ms = excluded.settled_ms, seen_ms = excluded.seen_ms";
        let query = sqlx::query(statement).bind(job.to_lowercase()).bind(schedule);
        query.bind(settled_ms).bind(now_ms).execute(&self.pool).await.context("settling a schedule")?;
        Ok(())
    }

    /// Says that the schedule is in force.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn see_schedule(&self, job: &str, schedule: &str, now_ms: i64) -> anyhow::Result<()> {
        let statement = "UPDATE job_schedules SET seen_ms = $3 WHERE job = $1 AND schedule = $2";
        let query = sqlx::query(statement).bind(job.to_lowercase()).bind(schedule).bind(now_ms);
        query.execute(&self.pool).await.context("noting a schedule")?;
        Ok(())
    }

    /// Another schedule of the job that somebody has said to be in force after this time.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn other_schedule(&self, job: &str, schedule: &str, after_ms: i64) -> anyhow::Result<Option<String>> {
        let statement = "SELECT schedule FROM job_schedules WHERE job = $1 AND schedule <> $2 AND seen_ms > $3 LIMIT 1";
        let query = sqlx::query_as(statement).bind(job.to_lowercase()).bind(schedule).bind(after_ms);
        let row: Option<(String,)> = query.fetch_optional(&self.pool).await.context("looking for schedules")?;
        Ok(row.map(|(schedule,)| schedule))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::stores;

    const MINUTE: i64 = 60_000;

    #[tokio::test]
    async fn schedules_of_a_job_are_kept_side_by_side_until_one_is_left_for_another() {
        for (_folder, store) in stores().await {
            let settled = async |schedule, now| store.settled_schedule("nightly", schedule, now).await.unwrap();
            let noted = |settled_ms, seen_ms| Some(SettledSchedule { settled_ms, seen_ms });
            assert_eq!(settled("a", 0).await, None);
            store.settle_until("Nightly", "a", 10, 20).await.unwrap();
            store.settle_until("Nightly", "b", 30, 40).await.unwrap();
            assert_eq!((settled("a", 50).await, settled("b", 50).await), (noted(10, 20), noted(30, 40)));
            assert_eq!(store.other_schedule("NIGHTLY", "a", 30).await.unwrap().as_deref(), Some("b"));
            assert_eq!(store.other_schedule("nightly", "a", 40).await.unwrap(), None);
            // Nobody has the first any more, and the second goes on.
            store.see_schedule("nightly", "b", 6 * MINUTE).await.unwrap();
            assert_eq!(settled("a", 5 * MINUTE).await, noted(10, 20), "what a wrong clock said counts for nothing");
            assert_eq!(settled("a", 7 * MINUTE).await, None, "when it comes back it is new");
            assert_eq!(settled("b", 7 * MINUTE).await, noted(30, 6 * MINUTE));
            store.forget_runs(MINUTE, 9, 9).await.unwrap();
            store.settle_until("nightly", "c", 1, 6 * MINUTE).await.unwrap();
            assert_eq!(settled("b", 7 * MINUTE).await, noted(30, 6 * MINUTE), "what is in force is not forgotten");
            let other = store.other_schedule("nightly", "b", 0).await.unwrap();
            assert_eq!(other.as_deref(), Some("c"), "what was left is forgotten");
        }
    }
}
