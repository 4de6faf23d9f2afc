//! Runs as they are looked through: page by page, those of some jobs alone, and a log from where the reader is.

use anyhow::Context;
use sqlx::{AssertSqlSafe, Row};

use super::{
    RunState, Store,
    job_runs::{COLUMNS, JobRun, StepRun, job_run},
};

impl Store {
    /// The newest runs before this one (`i64::MAX` for all), the newest first; of these jobs, where they are given, and
    /// in this state.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn runs_before(
        &self,
        jobs: Option<&[String]>,
        state: Option<RunState>,
        before: i64,
        most: i64,
    ) -> anyhow::Result<Vec<JobRun>> {
        if jobs.is_some_and(<[_]>::is_empty) {
            return Ok(Vec::new());
        }
        let mut statement = format!("SELECT {COLUMNS} FROM job_runs WHERE id < $1 AND ($2 = '' OR state = $2)");
        if let Some(jobs) = jobs {
            statement.push_str(&format!(" AND job IN ({})", names(4, jobs.len())));
        }
        statement.push_str(" ORDER BY id DESC LIMIT $3");
        let state = state.map_or("", RunState::name);
        let mut query = sqlx::query(AssertSqlSafe(statement)).bind(before).bind(state).bind(most);
        for job in jobs.unwrap_or_default() {
            query = query.bind(job.to_lowercase());
        }
        query.fetch_all(&self.pool).await?.iter().map(job_run).collect()
    }

    /// The last of these steps, each a job and the name of a step in it, and its run.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn last_step(&self, steps: &[(String, String)]) -> anyhow::Result<Option<(i64, StepRun)>> {
        if steps.is_empty() {
            return Ok(None);
        }
        let each = (0..steps.len()).map(|at| format!("(r.job = ${} AND s.name = ${})", 2 * at + 1, 2 * at + 2));
        let statement = format!(
            "SELECT s.run, s.position, s.name, s.state, s.began_ms, s.ended_ms, s.message FROM job_steps AS s \
             JOIN job_runs AS r ON r.id = s.run WHERE {} ORDER BY s.run DESC LIMIT 1",
            each.collect::<Vec<_>>().join(" OR ")
        );
        let mut query = sqlx::query(AssertSqlSafe(statement));
        for (job, step) in steps {
            query = query.bind(job.to_lowercase()).bind(step);
        }
        let Some(row) = query.fetch_optional(&self.pool).await? else { return Ok(None) };
        let step = StepRun {
            position: row.try_get(1)?,
            name: row.try_get(2)?,
            state: RunState::named(row.try_get(3)?),
            began_ms: row.try_get(4)?,
            ended_ms: row.try_get(5)?,
            message: row.try_get(6)?,
        };
        Ok(Some((row.try_get(0)?, step)))
    }

    /// What a run logged from this piece on, and the piece with which it goes on.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn log_from(&self, run: i64, piece: i64) -> anyhow::Result<(String, i64)> {
        let statement = "SELECT position, text FROM job_logs WHERE run = $1 AND position >= $2 ORDER BY position";
        let query = sqlx::query_as(statement).bind(run).bind(piece);
        let rows: Vec<(i64, String)> = query.fetch_all(&self.pool).await.context("reading a log")?;
        let next = rows.last().map_or(piece, |(position, _)| position + 1);
        Ok((rows.into_iter().map(|(_, text)| text).collect(), next))
    }
}

/// `$4, $5`: so many places from this number on.
fn names(first: usize, count: usize) -> String {
    (first..first + count).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ")
}
