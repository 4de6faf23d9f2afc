//! Whether what the store refuses passes by itself: a server that is away, a disk that is full, a turn that did not come;
//! or never, because it cannot keep the text that somebody sent.
//!
//! Sources: SQLite, "Result and Error Codes"; PostgreSQL, "Error Codes" (appendix A).

use std::io;

use connector_api::{Error, ErrorKind};

/// SQLite's codes without their further detail: busy, locked, disk error, disk full, a file that cannot be opened (on a
/// full disk the one that it writes ahead into).
const OF_SQLITE: [u32; 5] = [5, 6, 10, 13, 14];
/// PostgreSQL's classes: connection lost, rolled back for another's sake, short of something, in no state for it, ended by
/// an operator, failed by its system.
const OF_POSTGRESQL: [&str; 6] = ["08", "40", "53", "55", "57", "58"];
/// Of a server that only reads: it is not, or no longer, the one that takes changes.
const READ_ONLY: &str = "25006";
/// Of a text that is none for it: one that holds U+0000.
const NO_TEXT: &str = "22021";

/// Whether the same may work later although nobody changes a setting.
pub fn is_passing(error: &anyhow::Error) -> bool {
    // An error that knows its kind knows what its cause comes to.
    if let Some(error) = error.chain().find_map(|cause| cause.downcast_ref::<Error>()) {
        return error.kind() == ErrorKind::Unavailable;
    }
    error.chain().any(|cause| {
        cause.downcast_ref::<sqlx::Error>().is_some_and(of_store)
            || cause.downcast_ref::<io::Error>().is_some_and(of_disk)
    })
}

/// Whether a text with U+0000 was sent, which PostgreSQL keeps nowhere and looks for nowhere.
pub fn is_of_no_text(error: &anyhow::Error) -> bool {
    let code = |cause: &sqlx::Error| cause.as_database_error()?.code().map(|code| code == NO_TEXT);
    error.chain().filter_map(|cause| cause.downcast_ref()).any(|cause| code(cause) == Some(true))
}

fn of_store(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_passing_code(&code)),
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

/// PostgreSQL's codes have five characters, SQLite's are shorter numbers.
fn is_passing_code(code: &str) -> bool {
    match code.parse::<u32>() {
        Ok(number) if code.len() < 5 => OF_SQLITE.contains(&(number & 0xFF)),
        _ => code == READ_ONLY || code.get(..2).is_some_and(|class| OF_POSTGRESQL.contains(&class)),
    }
}

fn of_disk(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};

    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Store, tests::stores};

    async fn refused(store: &Store, statements: &str) -> anyhow::Error {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statements.to_owned())).execute(&store.pool).await.unwrap_err().into()
    }

    #[tokio::test]
    async fn what_passes_is_told_from_what_is_wrong() {
        for (_folder, store) in stores().await {
            let passes = match store.is_shared() {
                false => ["PRAGMA max_page_count = 1; CREATE TABLE too_much AS SELECT zeroblob(1000000)"].as_slice(),
                true => &[
                    "SET statement_timeout = 1; SELECT pg_sleep(9)",
                    "SET LOCAL transaction_read_only = on; CREATE TABLE too_much (x TEXT)",
                    "SELECT pg_terminate_backend(pg_backend_pid())",
                ],
            };
            for statements in passes {
                let error = refused(&store, statements).await;
                assert!(is_passing(&error.context("opening")), "{statements}");
            }
            let error = refused(&store, "SELECT nothing FROM nowhere").await;
            assert!(!is_passing(&error) && !is_of_no_text(&error), "{error:#}");
            let asked =
                sqlx::query("SELECT id FROM directories WHERE name = $1").bind("a\0").fetch_all(&store.pool).await;
            let refused = asked.err().map(|error| is_of_no_text(&error.into()));
            assert_eq!(refused, store.is_shared().then_some(true));
            assert!(store.directory("a\0").await.unwrap().is_none());
        }
        let full = anyhow::Error::new(io::Error::from(io::ErrorKind::StorageFull)).context("writing");
        let denied = anyhow::Error::new(io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(is_passing(&full) && !is_passing(&denied));
        let of =
            |kind| anyhow::Error::new(Error::new(kind, "it").with_source(io::Error::from(io::ErrorKind::StorageFull)));
        assert!(is_passing(&of(ErrorKind::Unavailable)) && !is_passing(&of(ErrorKind::Settings)));
    }
}
