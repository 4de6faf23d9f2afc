//! Runs as they are looked through: page by page, those of some jobs alone, and a log from where the reader is.

use anyhow::Context;
use sqlx::{AssertSqlSafe, Row};

use super::{
    RunState, Store,
    job_runs::{COLUMNS, JobRun, StepRun, job_run},
    names,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{AuditFilter, AuditRecord, WantedRun, tests::stores};

    #[tokio::test]
    async fn runs_logs_steps_checks_and_the_audit_are_read_in_parts() {
        for (_folder, store) in stores().await {
            for name in ["A", "B"] {
                let wanted = WantedRun { name, cause: "person", due_ms: None, repairs: None, place: None };
                store.queue_run(&wanted, 1).await.unwrap();
            }
            let jobs = ["a".to_owned()];
            let found = store.runs_before(Some(&jobs), Some(RunState::Queued), i64::MAX, 5).await.unwrap();
            assert_eq!(found.iter().map(|run| run.id).collect::<Vec<_>>(), [1]);
            assert!(store.runs_before(Some(&[]), None, i64::MAX, 5).await.unwrap().is_empty());
            assert_eq!(store.runs_before(None, None, 2, 5).await.unwrap().len(), 1);
            store.add_to_log(1, "one\n").await.unwrap();
            store.add_to_log(1, "two\n").await.unwrap();
            assert_eq!(store.log_from(1, 0).await.unwrap(), ("one\ntwo\n".to_owned(), 2));
            assert_eq!(store.log_from(1, 2).await.unwrap(), (String::new(), 2));
            let step = StepRun {
                position: 0,
                name: "Export".to_owned(),
                state: RunState::Success,
                began_ms: 1,
                ended_ms: Some(2),
                message: String::new(),
            };
            store.note_step(1, &step).await.unwrap();
            let last = store.last_step(&[("A".to_owned(), "Export".to_owned())]).await.unwrap();
            assert_eq!(last, Some((1, step)));
            assert_eq!(store.last_check("Okta").await.unwrap(), None);
            store.note_check("Okta", "{}", 3).await.unwrap();
            store.note_check("OKTA", "[]", 4).await.unwrap();
            assert_eq!(store.last_check("okta").await.unwrap(), Some((4, "[]".to_owned())));
            let line = |id: &str, connection: &str| AuditRecord {
                id: id.to_owned(),
                at_ms: 5,
                action_id: String::new(),
                action: "x".to_owned(),
                actor: "token a".to_owned(),
                connection: connection.to_owned(),
                account: "c".to_owned(),
                login: "l".to_owned(),
                mode: "web".to_owned(),
                outcome: "done".to_owned(),
                request_id: None,
                note: None,
            };
            for record in [line("1", "okta"), line("2", "other"), line("3", "okta")] {
                store.add_to_audit(&record).await.unwrap();
            }
            let connections = Some(vec!["Okta".to_owned()]);
            let filter =
                AuditFilter { connections, account: "l".to_owned(), from_ms: Some(5), ..AuditFilter::default() };
            assert_eq!(store.audit_page(&filter, None, 1).await.unwrap(), [line("3", "okta")]);
            assert_eq!(store.audit_page(&filter, Some((5, "3")), 9).await.unwrap(), [line("1", "okta")]);
            let none = AuditFilter { until_ms: Some(5), ..AuditFilter::default() };
            assert!(store.audit_page(&none, None, 9).await.unwrap().is_empty());
        }
    }
}
