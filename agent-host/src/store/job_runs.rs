//! Runs of jobs: queued once a due time, taken up by one worker at a time, kept for a while when they have ended.
//!
//! A run is a worker's for as long as it renews its lease; one whose worker is silent is taken up by another. What
//! another has taken up its former worker can neither renew nor end.

use anyhow::Context;
use sqlx::{Row, any::AnyRow};

use super::{Store, names, only};

const UNCLAIMED: &str = "nobody took it up for a day: no agent has the job, or sees the orders folder that it is for";

/// What came of a run or a step, or where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// It waits for a worker.
    Queued,
    /// It is being carried out.
    Started,
    /// All is done.
    Success,
    /// All is done, but something is to be looked at.
    Warning,
    /// Something is not done.
    Error,
    /// A safety limit stopped it: somebody must decide.
    Blocked,
    /// Somebody stopped it.
    Cancelled,
}

impl RunState {
    const ALL: [Self; 7] =
        [Self::Queued, Self::Started, Self::Success, Self::Warning, Self::Error, Self::Blocked, Self::Cancelled];

    /// The states that a run or a step ends in.
    pub const ENDS: [Self; 5] = [Self::Success, Self::Warning, Self::Error, Self::Blocked, Self::Cancelled];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Started => "started",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Blocked => "blocked",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more will come of it.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Started)
    }

    /// Whether the work is done.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Success | Self::Warning)
    }

    /// The state of this name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    pub(super) fn named(name: &str) -> Self {
        Self::of(name).unwrap_or(Self::Error)
    }
}

/// A run of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRun {
    /// Its number.
    pub id: i64,
    /// The job's name as it is written.
    pub name: String,
    /// `schedule`, `person` or `orders`.
    pub cause: String,
    /// The time of the schedule that it is for.
    pub due_ms: Option<i64>,
    /// The run whose failed steps it repeats.
    pub repairs: Option<i64>,
    /// Where it is.
    pub state: RunState,
    /// When it was asked for.
    pub queued_ms: i64,
    /// When it was first taken up.
    pub began_ms: Option<i64>,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// How often it was taken up.
    pub attempts: i64,
    /// When somebody asked that it end.
    pub cancel_ms: Option<i64>,
    /// How far it is, or how it ended.
    pub message: String,
}

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepRun {
    /// Its place in the job.
    pub position: i64,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub state: RunState,
    /// When it began.
    pub began_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// What came of it.
    pub message: String,
}

/// A run that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct WantedRun<'a> {
    /// The job's name as it is written.
    pub name: &'a str,
    /// `schedule`, `person` or `orders`.
    pub cause: &'a str,
    /// The time of the schedule that it is for.
    pub due_ms: Option<i64>,
    /// The run whose failed steps it repeats.
    pub repairs: Option<i64>,
    /// The orders folder whose files ask for it, where not every agent sees it.
    pub place: Option<&'a str>,
}

/// By whom a run is to be taken up.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The worker.
    pub worker: &'a str,
    /// The orders folder that it sees, where not every agent does.
    pub place: Option<&'a str>,
    /// The jobs that its agent has, in lower case, where others may have others; else any.
    pub jobs: Option<&'a [String]>,
    /// The runs that its agent is at.
    pub at_work: &'a [i64],
    /// The time.
    pub now_ms: i64,
    /// Until when the run is the worker's if it says nothing more.
    pub until_ms: i64,
}

impl Claim<'_> {
    /// Whether a run's job is one of its agent's, whose names are bound from this number on.
    fn known(&self, first: usize) -> String {
        match self.jobs {
            None => "TRUE".to_owned(),
            Some([]) => "FALSE".to_owned(),
            Some(jobs) => format!("job IN ({})", names(first, jobs.len())),
        }
    }
}

/// What a worker is told when it renews a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// The run is its own.
    Held,
    /// The run is its own, and somebody asks that it end.
    Cancelled,
    /// Another has the run, or it has ended.
    Lost,
}

pub(super) const COLUMNS: &str =
    "id, name, cause, due_ms, repairs, state, queued_ms, began_ms, ended_ms, attempts, cancel_ms, message";

impl Store {
    /// Puts a run into the queue; none where the job waits for the same place, or the due time has had its run.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn queue_run(&self, wanted: &WantedRun<'_>, now_ms: i64) -> anyhow::Result<Option<i64>> {
        let statement = "INSERT INTO job_runs \
             (id, job, name, cause, due_ms, repairs, state, queued_ms, attempts, message, place) \
             SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3, $4, $5, 'queued', $6, 0, '', $7 FROM job_runs WHERE TRUE \
             ON CONFLICT DO NOTHING RETURNING id";
        let job = wanted.name.to_lowercase();
        loop {
            let query = sqlx::query_as(statement).bind(&job).bind(wanted.name).bind(wanted.cause);
            let query = query.bind(wanted.due_ms).bind(wanted.repairs).bind(now_ms).bind(wanted.place);
            let row: Option<(i64,)> = only(query.fetch_all(&self.pool).await).context("queueing a run")?;
            // Where no such run is there, it was the number alone that another agent took at the same time.
            if row.is_some() || self.has_run(&job, wanted).await? {
                return Ok(row.map(|(id,)| id));
            }
        }
    }

    /// Whether the job waits for the same place, or has a run for this due time.
    async fn has_run(&self, job: &str, wanted: &WantedRun<'_>) -> anyhow::Result<bool> {
        let statement = "SELECT id FROM job_runs WHERE job = $1 \
             AND (state = 'queued' AND COALESCE(place, '') = $3 OR due_ms = $2) LIMIT 1";
        let query = sqlx::query_as(statement).bind(job).bind(wanted.due_ms).bind(wanted.place.unwrap_or_default());
        let row: Option<(i64,)> = query.fetch_optional(&self.pool).await?;
        Ok(row.is_some())
    }

    /// Takes up the run that has waited longest and whose job is not running, or this one; one whose worker is silent
    /// too. None that another orders folder asks for, of a job that its agent lacks, or that the worker is at.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn claim_run(&self, only: Option<i64>, claim: &Claim<'_>) -> anyhow::Result<Option<JobRun>> {
        // A clock that jumps makes a worker's own leases look as if they were over.
        let at_work: Vec<String> = claim.at_work.iter().map(i64::to_string).collect();
        let others = format!("id NOT IN (0{}{})", if at_work.is_empty() { "" } else { ", " }, at_work.join(", "));
        // Said twice, because another agent may have taken it between the choice and the change.
        let known = claim.known(6);
        let statement = format!(
            "UPDATE job_runs SET state = 'started', worker = $1, lease_until_ms = $3, attempts = attempts + 1, \
             began_ms = COALESCE(began_ms, $2) WHERE id = (SELECT id FROM job_runs AS wanted \
             WHERE ended_ms IS NULL AND ($4 = 0 OR id = $4) AND {others} AND (place IS NULL OR place = $5) AND {known} \
             AND ((state = 'queued' AND NOT EXISTS \
             (SELECT 1 FROM job_runs AS other WHERE other.job = wanted.job AND other.state = 'started')) \
             OR (state = 'started' AND lease_until_ms < $2)) ORDER BY queued_ms, id LIMIT 1) \
             AND (state = 'queued' OR state = 'started' AND lease_until_ms < $2) RETURNING {COLUMNS}"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(claim.worker).bind(claim.now_ms);
        let query = query.bind(claim.until_ms).bind(only.unwrap_or(0)).bind(claim.place);
        let query = claim.jobs.unwrap_or_default().iter().fold(query, |query, job| query.bind(job));
        match super::only(query.fetch_all(&self.pool).await) {
            // At the same time another agent began a run of the job that waits for another place.
            Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation()) => Ok(None),
            row => row.context("taking up a run")?.as_ref().map(job_run).transpose(),
        }
    }

    /// Ends what has waited since then and this worker may not take up: nobody has the job, or sees the orders folder,
    /// or it would have begun. What is ended: its number and its job.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn end_unclaimed(&self, claim: &Claim<'_>, before_ms: i64) -> anyhow::Result<Vec<(i64, String)>> {
        let known = claim.known(5);
        let statement = format!(
            "UPDATE job_runs SET state = 'error', message = $1, ended_ms = $2, lease_until_ms = NULL \
             WHERE queued_ms < $3 AND NOT ((place IS NULL OR place = $4) AND {known}) AND (state = 'queued' \
             AND NOT EXISTS (SELECT 1 FROM job_runs AS other WHERE other.job = job_runs.job AND other.state = 'started') \
             OR state = 'started' AND began_ms < $3 AND lease_until_ms < $3) RETURNING id, name"
        );
        let query = sqlx::query_as(sqlx::AssertSqlSafe(statement)).bind(UNCLAIMED).bind(claim.now_ms).bind(before_ms);
        let query = query.bind(claim.place.unwrap_or_default());
        let query = claim.jobs.unwrap_or_default().iter().fold(query, |query, job| query.bind(job));
        query.fetch_all(&self.pool).await.context("ending runs that nobody takes up")
    }

    /// Says that the worker is still at the run, and how far it is.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn renew_run(&self, run: i64, worker: &str, until_ms: i64, message: &str) -> anyhow::Result<Lease> {
        let statement = "UPDATE job_runs SET lease_until_ms = $3, message = $4 \
             WHERE id = $1 AND worker = $2 AND ended_ms IS NULL RETURNING cancel_ms";
        let query = sqlx::query_as(statement).bind(run).bind(worker).bind(until_ms).bind(message);
        let row: Option<(Option<i64>,)> = only(query.fetch_all(&self.pool).await).context("renewing a lease")?;
        Ok(match row {
            None => Lease::Lost,
            Some((None,)) => Lease::Held,
            Some((Some(_),)) => Lease::Cancelled,
        })
    }

    /// Notes how a run ended; whether it was still the worker's.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn end_job_run(
        &self,
        run: i64,
        worker: &str,
        state: RunState,
        message: &str,
        now_ms: i64,
    ) -> anyhow::Result<bool> {
        let statement = "UPDATE job_runs SET state = $3, message = $4, ended_ms = $5, lease_until_ms = NULL \
             WHERE id = $1 AND worker = $2 AND ended_ms IS NULL";
        let query = sqlx::query(statement).bind(run).bind(worker).bind(state.name()).bind(message).bind(now_ms);
        Ok(query.execute(&self.pool).await.context("ending a run")?.rows_affected() > 0)
    }

    /// Lets others take up what these workers were at: those whose names begin so are known to be gone.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn hand_over_runs(&self, workers: &str, now_ms: i64) -> anyhow::Result<u64> {
        let statement = "UPDATE job_runs SET lease_until_ms = $2 WHERE ended_ms IS NULL AND worker LIKE $1";
        let query = sqlx::query(statement).bind(format!("{workers}%")).bind(now_ms - 1);
        Ok(query.execute(&self.pool).await?.rows_affected())
    }

    /// Asks that a run end: one that waits has ended by that. What was so before; none where there is no such run.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn cancel_run(&self, run: i64, now_ms: i64) -> anyhow::Result<Option<RunState>> {
        let Some(before) = self.job_run(run).await? else { return Ok(None) };
        let waiting = "UPDATE job_runs SET state = 'cancelled', ended_ms = $2, cancel_ms = $2, \
             message = 'cancelled before it began' WHERE id = $1 AND state = 'queued'";
        let begun = "UPDATE job_runs SET cancel_ms = COALESCE(cancel_ms, $2) WHERE id = $1 AND ended_ms IS NULL";
        for statement in [waiting, begun] {
            sqlx::query(statement).bind(run).bind(now_ms).execute(&self.pool).await.context("cancelling a run")?;
        }
        Ok(Some(before.state))
    }

    /// The run of the job that waits for this place.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn waiting_run(&self, job: &str, place: Option<&str>) -> anyhow::Result<Option<JobRun>> {
        let statement =
            format!("SELECT {COLUMNS} FROM job_runs WHERE job = $1 AND state = 'queued' AND COALESCE(place, '') = $2");
        let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(job.to_lowercase());
        let row = query.bind(place.unwrap_or_default()).fetch_optional(&self.pool).await?;
        row.as_ref().map(job_run).transpose()
    }

    /// The last run of the job that was for this place.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn last_run_at(&self, job: &str, place: Option<&str>) -> anyhow::Result<Option<JobRun>> {
        let statement = format!(
            "SELECT {COLUMNS} FROM job_runs WHERE job = $1 AND COALESCE(place, '') = $2 ORDER BY id DESC LIMIT 1"
        );
        let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(job.to_lowercase());
        let row = query.bind(place.unwrap_or_default()).fetch_optional(&self.pool).await?;
        row.as_ref().map(job_run).transpose()
    }

    /// One run.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn job_run(&self, run: i64) -> anyhow::Result<Option<JobRun>> {
        let statement = format!("SELECT {COLUMNS} FROM job_runs WHERE id = $1");
        let row = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(run).fetch_optional(&self.pool).await?;
        row.as_ref().map(job_run).transpose()
    }

    /// The last runs, of one job or of all, the newest first.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn job_runs(&self, job: Option<&str>, most: i64) -> anyhow::Result<Vec<JobRun>> {
        let statement = format!("SELECT {COLUMNS} FROM job_runs WHERE $1 = '' OR job = $1 ORDER BY id DESC LIMIT $2");
        let job = job.map(str::to_lowercase).unwrap_or_default();
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(job).bind(most).fetch_all(&self.pool).await?;
        rows.iter().map(job_run).collect()
    }

    /// Notes where a step is.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn note_step(&self, run: i64, step: &StepRun) -> anyhow::Result<()> {
        let statement = "INSERT INTO job_steps (run, position, name, state, began_ms, ended_ms, message) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (run, position) DO UPDATE SET state = excluded.state, \
             began_ms = excluded.began_ms, ended_ms = excluded.ended_ms, message = excluded.message";
        let query = sqlx::query(statement).bind(run).bind(step.position).bind(&step.name).bind(step.state.name());
        query.bind(step.began_ms).bind(step.ended_ms).bind(&step.message).execute(&self.pool).await?;
        Ok(())
    }

    /// Notes of a run that has ended the steps that have not as failed.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn end_open_steps(&self, run: i64, now_ms: i64) -> anyhow::Result<()> {
        let statement = "UPDATE job_steps SET state = 'error', ended_ms = $2, message = 'dropped before it was done'              WHERE run = $1 AND ended_ms IS NULL";
        sqlx::query(statement).bind(run).bind(now_ms).execute(&self.pool).await.context("ending steps")?;
        Ok(())
    }

    /// The steps of a run that have begun, or were done before it.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn steps_of(&self, run: i64) -> anyhow::Result<Vec<StepRun>> {
        let statement = "SELECT position, name, state, began_ms, ended_ms, message FROM job_steps \
             WHERE run = $1 ORDER BY position";
        let rows = sqlx::query(statement).bind(run).fetch_all(&self.pool).await?;
        let step = |row: &AnyRow| {
            Ok(StepRun {
                position: row.try_get(0)?,
                name: row.try_get(1)?,
                state: RunState::named(row.try_get(2)?),
                began_ms: row.try_get(3)?,
                ended_ms: row.try_get(4)?,
                message: row.try_get(5)?,
            })
        };
        rows.iter().map(step).collect()
    }

    /// Adds to the log of a run.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn add_to_log(&self, run: i64, text: &str) -> anyhow::Result<()> {
        let statement = "INSERT INTO job_logs (run, position, text) \
             SELECT $1, COALESCE(MAX(position), -1) + 1, $2 FROM job_logs WHERE run = $1";
        sqlx::query(statement).bind(run).bind(text).execute(&self.pool).await?;
        Ok(())
    }

    /// What a run logged.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn log_of(&self, run: i64) -> anyhow::Result<String> {
        let statement = "SELECT text FROM job_logs WHERE run = $1 ORDER BY position";
        let rows: Vec<(String,)> = sqlx::query_as(statement).bind(run).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(text,)| text).collect())
    }

    /// Forgets runs that ended before this time, the first so many of them, and all but so many of the last ones; how
    /// many. The last one stays, so that no number comes twice. Schedules that nobody had since then go too.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn forget_runs(&self, before_ms: i64, most: i64, keep: i64) -> anyhow::Result<u64> {
        let old = "SELECT id FROM job_runs WHERE ended_ms IS NOT NULL \
             AND id < (SELECT MAX(id) FROM job_runs) AND (id <= \
             COALESCE((SELECT id FROM job_runs ORDER BY id DESC LIMIT 1 OFFSET $2), 0) \
             OR id IN (SELECT id FROM job_runs WHERE ended_ms < $1 ORDER BY id LIMIT $3))";
        let mut transaction = self.pool.begin().await?;
        let mut forgotten = 0;
        for (table, column) in [("job_logs", "run"), ("job_steps", "run"), ("job_runs", "id")] {
            let statement = format!("DELETE FROM {table} WHERE {column} IN ({old})");
            let query = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(before_ms).bind(keep).bind(most);
            forgotten = query.execute(&mut *transaction).await.context("forgetting old runs")?.rows_affected();
        }
        let schedules = "DELETE FROM job_schedules WHERE seen_ms < $1";
        sqlx::query(schedules).bind(before_ms).execute(&mut *transaction).await.context("forgetting schedules")?;
        transaction.commit().await?;
        Ok(forgotten)
    }
}

pub(super) fn job_run(row: &AnyRow) -> anyhow::Result<JobRun> {
    Ok(JobRun {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        cause: row.try_get(2)?,
        due_ms: row.try_get(3)?,
        repairs: row.try_get(4)?,
        state: RunState::named(row.try_get(5)?),
        queued_ms: row.try_get(6)?,
        began_ms: row.try_get(7)?,
        ended_ms: row.try_get(8)?,
        attempts: row.try_get(9)?,
        cancel_ms: row.try_get(10)?,
        message: row.try_get(11)?,
    })
}
