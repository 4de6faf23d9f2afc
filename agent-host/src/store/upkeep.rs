//! Looking after the database: its version, whether it is sound, and a copy of it while it is in use.

use std::path::Path;

use anyhow::Context;
use connector_api::{Error, ErrorKind};

use super::{MIGRATIONS, Store};

/// The most problems that are told.
const MOST_PROBLEMS: usize = 20;

impl Store {
    /// The number of the last change to its tables, which opening it has made.
    pub fn version(&self) -> i64 {
        MIGRATIONS.last().map_or(0, |(version, ..)| *version)
    }

    /// What is wrong with the database; nothing where it is sound.
    ///
    /// # Errors
    /// Where it cannot be read at all.
    pub async fn problems(&self) -> anyhow::Result<Vec<String>> {
        let mut problems = Vec::new();
        if self.is_shared {
            // A server looks after its files and its references itself.
            sqlx::query("SELECT 1").execute(&self.pool).await?;
            return Ok(problems);
        }
        let statement = format!("PRAGMA integrity_check({MOST_PROBLEMS})");
        let rows: Vec<(String,)> = sqlx::query_as(sqlx::AssertSqlSafe(statement)).fetch_all(&self.pool).await?;
        problems.extend(rows.into_iter().map(|(line,)| line).filter(|line| line != "ok"));
        let dangling = "SELECT COUNT(*) FROM pragma_foreign_key_check";
        let (count,): (i64,) = sqlx::query_as(dangling).fetch_one(&self.pool).await?;
        if count > 0 {
            problems.push(format!("{count} rows belong to something that is not there"));
        }
        Ok(problems)
    }

    /// Writes a whole copy into a new file, while others may be at work.
    ///
    /// # Errors
    /// Where the file is there already, or the disk refuses.
    pub async fn back_up(&self, file: &Path) -> anyhow::Result<()> {
        if self.is_shared {
            let error = Error::new(ErrorKind::Unsupported, "a store in PostgreSQL is copied by its own tools");
            return Err(error.with_hint("use `pg_dump` with the address in `Store:Url`").into());
        }
        anyhow::ensure!(!file.exists(), "`{}` is there already: name a new file", file.display());
        let name = file.to_str().context("the file's name is no Unicode")?;
        let copied = sqlx::query("VACUUM INTO $1").bind(name).execute(&self.pool).await;
        copied.with_context(|| format!("cannot copy the store to `{}`", file.display()))?;
        Ok(())
    }
}
