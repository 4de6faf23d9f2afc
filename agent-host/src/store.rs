//! What the agent must remember whatever happens to it: an SQLite database in the work folder, or a PostgreSQL that
//! several agents share. All SQL is here.
//!
//! SQLite is written ahead (`WAL`) and seen to the disk at every commit (`synchronous=FULL`), so that what was noted
//! survives a crash of the machine. Statements keep to what both share. Nothing secret is ever kept here.

mod agents;
mod approvals;
mod audit;
mod audit_pages;
mod checks;
mod directories;
mod directory_calls;
mod figures;
mod forms;
mod imports;
mod job_runs;
mod leases;
mod notes;
mod notifications;
mod oauth;
mod operators;
mod order_runs;
mod orders;
mod outage;
mod password_resets;
mod place;
mod published_sets;
mod resources;
mod run_pages;
mod runs;
mod schedules;
mod tokens;
mod upkeep;

use std::{path::Path, time::Duration};

use anyhow::Context;
use sqlx::{
    AnyPool, SqlSafeStr,
    migrate::{Migration, MigrationType, Migrator},
};

use crate::disk;

pub use agents::AgentRecord;
pub use approvals::{Approval, ApprovalState, Offer};
pub use audit::AuditRecord;
pub use audit_pages::AuditFilter;
pub use directories::{DirectoryCounts, DirectoryRecord, SecretRecord};
pub use directory_calls::{CallCount, CallKind, DirectoryCall, NewCalls};
pub use figures::{QueueFigures, StepDone};
pub use job_runs::{Claim, JobRun, Lease, RunState, StepRun, WantedRun};
pub use leases::Fence;
pub use notes::{Notes, OrderPlace, Outcome, StoreFailed};
pub use notifications::{EndedRun, FailingJob, WaitingNotification};
pub use oauth::{OauthClient, OauthGrant, OauthToken, OauthTokenKind};
pub use operators::{Lock, OperatorRecord, SessionRecord};
pub use order_runs::{DeliveryKey, OfferedApproval, OrderDelivery, OrderRun};
pub use orders::{BegunStep, OpenOrderFile};
pub use outage::{is_of_no_text, is_passing};
pub use password_resets::{PasswordLink, WaitingNotice};
use place::Care;
pub use place::Place;
pub use published_sets::{PublishedSet, PublishedTable, RecordChanges};
pub use resources::{DeletedResource, DirectoryEvent, ResourceReader, ResourceWriter, Resources};
pub use runs::{ReportedOrder, UnpublishedRun};
pub use schedules::SettledSchedule;
pub use tokens::TokenRecord;

/// Between two tries to be the one that makes the tables.
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

type Sql = (i64, &'static str, &'static str);

const MIGRATIONS: [Sql; 20] = [
    (1, "fulfillment", include_str!("../migrations/0001_fulfillment.sql")),
    (2, "password resets", include_str!("../migrations/0002_password_resets.sql")),
    (3, "jobs", include_str!("../migrations/0003_jobs.sql")),
    (4, "directories", include_str!("../migrations/0004_directories.sql")),
    (5, "web api", include_str!("../migrations/0005_api.sql")),
    (6, "operators", include_str!("../migrations/0006_operators.sql")),
    (7, "agents", include_str!("../migrations/0007_agents.sql")),
    (8, "OAuth", include_str!("../migrations/0008_oauth.sql")),
    (9, "notifications", include_str!("../migrations/0009_notifications.sql")),
    (10, "notices overtaken", include_str!("../migrations/0010_notices_overtaken.sql")),
    (11, "imports", include_str!("../migrations/0011_imports.sql")),
    (13, "forms", include_str!("../migrations/0013_forms.sql")),
    (14, "places", include_str!("../migrations/0014_places.sql")),
    (15, "directory calls", include_str!("../migrations/0015_directory_calls.sql")),
    (17, "schedules", include_str!("../migrations/0017_schedules.sql")),
    (18, "steps done", include_str!("../migrations/0018_steps_done.sql")),
    (19, "sets and approvals", include_str!("../migrations/0019_sets_and_approvals.sql")),
    (21, "inbox", include_str!("../migrations/0021_inbox.sql")),
    (22, "name indexes", include_str!("../migrations/0022_name_indexes.sql")),
    (23, "emails", include_str!("../migrations/0023_emails.sql")),
];

/// Those of PostgreSQL alone.
const SERVER_MIGRATIONS: [Sql; 2] = [
    (20, "bytewise names", include_str!("../migrations/0020_bytewise_names.sql")),
    (24, "bytewise emails", include_str!("../migrations/0024_bytewise_emails.sql")),
];

/// The agent's database.
#[derive(Debug, Clone)]
pub struct Store {
    pool: AnyPool,
    /// Whether it is PostgreSQL, which other agents may share.
    is_shared: bool,
}

impl Store {
    /// Opens the database and brings its tables up to this version; a file is made where it is missing.
    ///
    /// # Errors
    /// Where the disk refuses, or the database was made by a later version; of kind `Unavailable` where a server cannot
    /// be reached, `Credentials` where it refuses.
    pub async fn open(place: impl Into<Place>) -> anyhow::Result<Self> {
        Self::open_with(&place.into(), Care::Full).await
    }

    /// As [`open`](Self::open), for one run of orders and nobody beside.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_for_one(place: impl Into<Place>) -> anyhow::Result<Self> {
        Self::open_with(&place.into(), Care::FullForOne).await
    }

    /// As [`open`](Self::open), but what is noted in a file survives the crash of a process for sure, and that of the
    /// machine up to some moments before it. For notes by the thousand that may be made again.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_in_haste(place: impl Into<Place>) -> anyhow::Result<Self> {
        Self::open_with(&place.into(), Care::Normal).await
    }

    async fn open_with(place: &Place, care: Care) -> anyhow::Result<Self> {
        let opened = async {
            let pool = place.connect(care).await?;
            migrate(&pool, place).await?;
            anyhow::Ok(Self { pool, is_shared: place.is_shared() })
        };
        opened.await.with_context(|| format!("cannot open the store `{place}`"))
    }

    /// Whether other agents may work with the same database.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Lets go of the database.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

/// Makes the tables, or brings them up to date. Two programs that open a new store at once must not both do that: of a
/// server sqlx takes an advisory lock, of a file it does not.
async fn migrate(pool: &AnyPool, place: &Place) -> anyhow::Result<()> {
    let _turn = match place {
        Place::File(path) => Some(turn(&path.with_extension("lock")).await?),
        Place::Server(_) => None,
    };
    let own = SERVER_MIGRATIONS.into_iter().filter(|_| place.is_shared());
    let mut all: Vec<Sql> = MIGRATIONS.into_iter().chain(own).collect();
    all.sort_unstable();
    Migrator::with_migrations(all.into_iter().map(migration).collect()).run(pool).await?;
    Ok(())
}

fn migration((version, name, sql): Sql) -> Migration {
    Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
}

/// Waits without holding up the thread, on which the one that has the turn may be.
async fn turn(path: &Path) -> anyhow::Result<disk::Lock> {
    loop {
        match disk::Lock::take(path)? {
            Some(lock) => return Ok(lock),
            None => tokio::time::sleep(BETWEEN_TRIES).await,
        }
    }
}

/// The one row that a change gives back. All are asked for, because who takes the first alone does not hear what the disk
/// says at the commit, which comes after it.
fn only<T>(rows: sqlx::Result<Vec<T>>) -> sqlx::Result<Option<T>> {
    rows.map(|mut rows| rows.pop())
}

/// `$4, $5`: so many places from this number on.
fn names(first: usize, count: usize) -> String {
    (first..first + count).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ")
}

/// `($1, $2), ($3, $4)`: places for so many rows of so many values.
fn places(rows: usize, width: usize) -> String {
    let row = |row: usize| {
        let values: Vec<String> = (1..=width).map(|value| format!("${}", row * width + value)).collect();
        format!("({})", values.join(", "))
    };
    (0..rows).map(row).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(crate) mod tests;
