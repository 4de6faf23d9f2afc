//! Operators of the dashboard, their sessions, and wrong passwords of late. Of a password and of a session its hash alone
//! is kept.

use anyhow::Context;
use sqlx::{Row, any::AnyRow};

use super::Store;

/// Somebody who may use the dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorRecord {
    /// As it was spelt.
    pub name: String,
    /// The name of their role.
    pub role: String,
    /// The connections that the role holds for, as a JSON list; none for all.
    pub connections: Option<String>,
    /// The password's hash, in the PHC string format.
    pub password: String,
    /// When they were made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When they last signed in.
    pub signed_in_ms: Option<i64>,
}

/// Somebody who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// SHA-256 of what the browser holds, in hexadecimal digits.
    pub hash: String,
    /// The operator; none for whoever signed in by OpenID Connect.
    pub operator: Option<String>,
    /// Who it is.
    pub name: String,
    /// The name of their role: an operator's is the one they have now.
    pub role: String,
    /// The connections that the role holds for, as a JSON list; none for all.
    pub connections: Option<String>,
    /// When they signed in.
    pub created_ms: i64,
    /// When the session was last used, to the minute.
    pub used_ms: i64,
}

/// Nobody may try for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    /// Until when.
    pub until_ms: i64,
    /// Whether somebody was told so before.
    pub is_told: bool,
}

/// The most rows of attempts; the oldest go first.
const MOST_ATTEMPTS: i64 = 10_000;
const OPERATOR: &str = "SELECT spelling, role, connections, password, created_ms, signed_in_ms FROM operators";

impl Store {
    /// Adds an operator; whether there was none of this name, whatever the case.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn add_operator(&self, operator: &OperatorRecord) -> anyhow::Result<bool> {
        let statement = "INSERT INTO operators (name, spelling, role, connections, password, created_ms) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO NOTHING";
        let query = sqlx::query(statement).bind(operator.name.to_lowercase()).bind(&operator.name);
        let query = query.bind(&operator.role).bind(&operator.connections).bind(&operator.password);
        let added = query.bind(operator.created_ms).execute(&self.pool).await.context("adding an operator")?;
        Ok(added.rows_affected() > 0)
    }

    /// The operator of this name, whatever the case.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn operator(&self, name: &str) -> anyhow::Result<Option<OperatorRecord>> {
        let statement = sqlx::AssertSqlSafe(format!("{OPERATOR} WHERE name = $1"));
        let row = sqlx::query(statement).bind(name.to_lowercase()).fetch_optional(&self.pool).await?;
        Ok(row.as_ref().map(operator).transpose()?)
    }

    /// All operators by name.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn operators(&self) -> anyhow::Result<Vec<OperatorRecord>> {
        let statement = sqlx::AssertSqlSafe(format!("{OPERATOR} ORDER BY name"));
        let rows = sqlx::query(statement).fetch_all(&self.pool).await?;
        Ok(rows.iter().map(operator).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Removes an operator, whose sessions end; whether there was one.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn remove_operator(&self, name: &str) -> anyhow::Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let name = name.to_lowercase();
        let sessions = sqlx::query("DELETE FROM sessions WHERE operator = $1").bind(&name);
        sessions.execute(&mut *transaction).await?;
        let removed =
            sqlx::query("DELETE FROM operators WHERE name = $1").bind(&name).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(removed.rows_affected() > 0)
    }

    /// Gives an operator another password, by its hash; their sessions end. Whether there is such an operator.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn set_operator_password(&self, name: &str, password: &str) -> anyhow::Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let name = name.to_lowercase();
        let sessions = sqlx::query("DELETE FROM sessions WHERE operator = $1").bind(&name);
        sessions.execute(&mut *transaction).await?;
        let statement = sqlx::query("UPDATE operators SET password = $2 WHERE name = $1").bind(&name).bind(password);
        let changed = statement.execute(&mut *transaction).await?.rows_affected();
        transaction.commit().await?;
        Ok(changed > 0)
    }

    /// Begins a session; those that began before `forget_ms` are forgotten.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn add_session(&self, session: &SessionRecord, forget_ms: i64) -> anyhow::Result<()> {
        let mut transaction = self.pool.begin().await?;
        let old = sqlx::query("DELETE FROM sessions WHERE created_ms < $1").bind(forget_ms);
        old.execute(&mut *transaction).await?;
        let statement = "INSERT INTO sessions (hash, operator, name, role, created_ms, used_ms) \
             VALUES ($1, $2, $3, $4, $5, $5)";
        let operator = session.operator.as_ref().map(|name| name.to_lowercase());
        let query = sqlx::query(statement).bind(&session.hash).bind(&operator).bind(&session.name);
        query.bind(&session.role).bind(session.created_ms).execute(&mut *transaction).await?;
        let statement = sqlx::query("UPDATE operators SET signed_in_ms = $2 WHERE name = $1").bind(operator);
        statement.bind(session.created_ms).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// The session of this hash. An operator's has their present role.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn session(&self, hash: &str) -> anyhow::Result<Option<SessionRecord>> {
        let statement = "SELECT s.hash, s.operator, s.name, COALESCE(o.role, s.role), o.connections, s.created_ms, \
             s.used_ms FROM sessions s LEFT JOIN operators o ON o.name = s.operator \
             WHERE s.hash = $1 AND (s.operator IS NULL OR o.name IS NOT NULL)";
        let row = sqlx::query(statement).bind(hash).fetch_optional(&self.pool).await?;
        let read = |row: &AnyRow| -> Result<SessionRecord, sqlx::Error> {
            Ok(SessionRecord {
                hash: row.try_get(0)?,
                operator: row.try_get(1)?,
                name: row.try_get(2)?,
                role: row.try_get(3)?,
                connections: row.try_get(4)?,
                created_ms: row.try_get(5)?,
                used_ms: row.try_get(6)?,
            })
        };
        Ok(row.as_ref().map(read).transpose()?)
    }

    /// Notes that a session was used.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn note_session(&self, hash: &str, now_ms: i64) -> anyhow::Result<()> {
        let statement = sqlx::query("UPDATE sessions SET used_ms = $2 WHERE hash = $1").bind(hash).bind(now_ms);
        statement.execute(&self.pool).await?;
        Ok(())
    }

    /// Ends a session.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn end_session(&self, hash: &str) -> anyhow::Result<()> {
        sqlx::query("DELETE FROM sessions WHERE hash = $1").bind(hash).execute(&self.pool).await?;
        Ok(())
    }

    /// Counts an attempt at a name or from an address, before it is known whether it is a right one, so that attempts
    /// side by side count too. How many there were in a row, or until when nobody may try; `locks` says for how long
    /// so many lock. Attempts older than `forget_ms` are forgotten.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn count_attempt(
        &self,
        subject: &str,
        now_ms: i64,
        forget_ms: i64,
        locks: impl Fn(i64) -> i64 + Send,
    ) -> anyhow::Result<Result<i64, Lock>> {
        let mut transaction = self.pool.begin().await?;
        let old = "DELETE FROM sign_in_attempts WHERE (last_ms < $1 AND locked_ms < $2) OR subject IN \
             (SELECT subject FROM sign_in_attempts ORDER BY last_ms DESC LIMIT 100 OFFSET $3)";
        let query = sqlx::query(old).bind(forget_ms).bind(now_ms).bind(MOST_ATTEMPTS);
        query.execute(&mut *transaction).await?;
        let statement = "INSERT INTO sign_in_attempts (subject, failed, last_ms, locked_ms) VALUES ($1, 1, $2, 0) \
             ON CONFLICT (subject) DO UPDATE SET failed = sign_in_attempts.failed + 1, last_ms = excluded.last_ms \
             WHERE sign_in_attempts.locked_ms <= excluded.last_ms RETURNING failed";
        let query = sqlx::query_as(statement).bind(subject).bind(now_ms);
        let counted: Option<(i64,)> = query.fetch_optional(&mut *transaction).await.context("counting an attempt")?;
        let outcome = match counted {
            Some((failed,)) => {
                let lock = sqlx::query("UPDATE sign_in_attempts SET locked_ms = $2 WHERE subject = $1").bind(subject);
                lock.bind(now_ms + locks(failed)).execute(&mut *transaction).await?;
                Ok(failed)
            }
            None => {
                let until = sqlx::query_as("SELECT locked_ms FROM sign_in_attempts WHERE subject = $1").bind(subject);
                let (until_ms,): (i64,) = until.fetch_one(&mut *transaction).await?;
                // The last attempt is called as late as the lock lasts: that is how it is known that it was told.
                let statement =
                    "UPDATE sign_in_attempts SET last_ms = locked_ms WHERE subject = $1 AND last_ms < locked_ms";
                let told = sqlx::query(statement).bind(subject).execute(&mut *transaction).await?;
                Err(Lock { until_ms, is_told: told.rows_affected() == 0 })
            }
        };
        transaction.commit().await?;
        Ok(outcome)
    }

    /// Takes an attempt back that was a right one: of a name all of them, of an address this one.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn forgive_attempts(&self, name: &str, address: &str) -> anyhow::Result<()> {
        let mut transaction = self.pool.begin().await?;
        let forget = sqlx::query("DELETE FROM sign_in_attempts WHERE subject = $1").bind(name);
        forget.execute(&mut *transaction).await?;
        let statement = "UPDATE sign_in_attempts SET failed = failed - 1, locked_ms = 0 WHERE subject = $1";
        sqlx::query(statement).bind(address).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }
}

fn operator(row: &AnyRow) -> Result<OperatorRecord, sqlx::Error> {
    Ok(OperatorRecord {
        name: row.try_get(0)?,
        role: row.try_get(1)?,
        connections: row.try_get(2)?,
        password: row.try_get(3)?,
        created_ms: row.try_get(4)?,
        signed_in_ms: row.try_get(5)?,
    })
}
