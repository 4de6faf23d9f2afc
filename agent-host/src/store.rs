//! What the agent must remember whatever happens to it: an SQLite database in the work folder. All SQL is here.
//!
//! Written ahead (`WAL`) and seen to the disk at every commit (`synchronous=FULL`), so that what was noted survives a
//! crash of the machine. Statements keep to what SQLite and PostgreSQL share. Nothing secret is ever kept here.

mod approvals;
mod audit;
mod directories;
mod job_runs;
mod notes;
mod orders;
mod password_resets;
mod resources;
mod runs;
mod upkeep;

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use sqlx::{
    AnyPool, ConnectOptions, Executor, SqlSafeStr,
    any::{AnyConnectOptions, AnyPoolOptions},
    migrate::{Migration, MigrationType, Migrator},
};

use crate::disk::Lock;

pub use approvals::{Approval, ApprovalState};
pub use audit::AuditRecord;
pub use directories::{DirectoryCounts, DirectoryRecord, SecretRecord};
pub use job_runs::{JobRun, Lease, RunState, StepRun, WantedRun};
pub use notes::{Notes, OrderPlace, Outcome, StoreFailed};
pub use orders::{BegunStep, OpenOrderFile};
pub use password_resets::{PasswordLink, WaitingNotice};
pub use resources::{DirectoryEvent, ResourceReader, ResourceWriter, Resources};
pub use runs::{ReportedOrder, UnpublishedRun};

/// One to note with, one to change directories with, the others to read with.
const CONNECTIONS: u32 = 6;
/// How long another process may hold the database.
const BUSY: Duration = Duration::from_secs(30);

const MIGRATIONS: [(i64, &str, &str); 4] = [
    (1, "fulfillment", include_str!("../migrations/0001_fulfillment.sql")),
    (2, "password resets", include_str!("../migrations/0002_password_resets.sql")),
    (3, "jobs", include_str!("../migrations/0003_jobs.sql")),
    (4, "directories", include_str!("../migrations/0004_directories.sql")),
];

/// The agent's database.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
}

impl Store {
    /// Opens the database, which is made where it is missing, for its owner's eyes alone.
    ///
    /// # Errors
    /// Where the disk refuses, or the database was made by a later version.
    pub async fn open(path: &Path) -> anyhow::Result<Self> {
        Self::open_with(path, "FULL").await
    }

    /// As [`open`](Self::open), but what is noted survives the crash of a process for sure, and that of the machine up
    /// to some moments before it. For notes by the thousand that may be made again.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_in_haste(path: &Path) -> anyhow::Result<Self> {
        Self::open_with(path, "NORMAL").await
    }

    async fn open_with(path: &Path, synchronous: &'static str) -> anyhow::Result<Self> {
        let opened = Self::open_at(path, synchronous).await;
        opened.with_context(|| format!("cannot open the store `{}`", path.display()))
    }

    async fn open_at(path: &Path, synchronous: &'static str) -> anyhow::Result<Self> {
        let path = std::path::absolute(path)?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        // Files that SQLite puts beside it get the same rights.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        drop(options.open(&path)?);
        // Says again what was said before, where two parts of a program open stores.
        sqlx::any::install_default_drivers();
        let options: AnyConnectOptions = address(&path).parse()?;
        let pool = AnyPoolOptions::new()
            .max_connections(CONNECTIONS)
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                Box::pin(async move {
                    for pragma in pragmas(synchronous) {
                        connection.execute(sqlx::AssertSqlSafe(pragma)).await?;
                    }
                    Ok(())
                })
            })
            .connect_with(options.disable_statement_logging())
            .await?;
        let migration = |(version, name, sql): (i64, &'static str, &'static str)| {
            Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        };
        // Two programs that open a new store at once must not both make its tables.
        let _turn = Lock::wait(&path.with_extension("lock"))?;
        Migrator::with_migrations(MIGRATIONS.map(migration).into()).run(&pool).await?;
        Ok(Self { pool })
    }

    /// Lets go of the database.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

fn pragmas(synchronous: &str) -> [String; 4] {
    [
        format!("PRAGMA busy_timeout = {}", BUSY.as_millis()),
        "PRAGMA journal_mode = WAL".to_owned(),
        format!("PRAGMA synchronous = {synchronous}"),
        // In KiB, as it is negative.
        "PRAGMA cache_size = -1024".to_owned(),
    ]
}

/// The path as an address, in which other characters than these mean something else.
fn address(path: &Path) -> String {
    let mut address = "sqlite://".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => address.push(char::from(*byte)),
            byte => address.push_str(&format!("%{byte:02X}")),
        }
    }
    address
}

/// `($1, $2), ($3, $4)`: places for so many rows of so many values.
fn places(rows: usize, width: usize) -> String {
    let row = |row: usize| {
        let values: Vec<String> = (1..=width).map(|value| format!("${}", row * width + value)).collect();
        format!("({})", values.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

/// Where the database of an agent is.
pub fn path_in(work_folder: &Path) -> PathBuf {
    work_folder.join("agent.db")
}

#[cfg(test)]
mod tests;
