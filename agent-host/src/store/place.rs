//! Where the store is: a file of SQLite's in the work folder, or, where `Store:Url` names one, a PostgreSQL that several
//! agents share. And what a store that cannot be opened means to whoever asked.
//!
//! The address holds a password: what is shown of it is the server and the database alone.

use std::{
    fmt,
    fs::OpenOptions,
    path::{Path, PathBuf},
    time::Duration,
};

use connector_api::{Error, ErrorKind};
use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    AnyPool, ConnectOptions, Executor,
    any::{AnyConnectOptions, AnyPoolOptions},
};

use crate::settings::Settings;

/// One to note with, one to change directories with, the others to read with.
const CONNECTIONS: u32 = 6;
/// One to note with, one to read with.
const CONNECTIONS_FOR_ONE: u32 = 2;
/// How long another process may hold the database.
const BUSY: Duration = Duration::from_secs(30);
/// How long a server is tried that does not answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// What every connection to a server starts with. Whoever is frozen in the middle of a transaction, or leaves without a
/// word, must not hold up the others for ever.
const SERVER_SETTINGS: &str = "SET lock_timeout = '30s'; SET statement_timeout = '120s'; \
     SET idle_in_transaction_session_timeout = '10s'";
/// How often a server looks whether whoever waits for a statement is still there. PostgreSQL 13 does not know it, and
/// later ones refuse it on systems that tell nothing of it; there `statement_timeout` alone ends such a statement.
const IS_ANYBODY_THERE: [&str; 2] = ["client_connection_check_interval", "10s"];

/// Where the store is.
#[derive(Debug, Clone)]
pub enum Place {
    /// A file of SQLite's.
    File(PathBuf),
    /// A PostgreSQL database, by its address.
    Server(SecretString),
}

/// What is waited for at a commit of SQLite's: the disk, or nothing. PostgreSQL always waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    Full,
    /// The same, for one who notes and reads, and nobody beside: fewer connections get in each other's way, and each has
    /// a thread and its memory.
    FullForOne,
    Normal,
}

impl Place {
    /// Where the settings want it.
    pub fn of(settings: &Settings) -> Self {
        match &settings.store_url {
            Some(url) => Self::Server(url.clone()),
            None => Self::File(settings.work_folder.join("agent.db")),
        }
    }

    /// Whether several agents may share it.
    pub fn is_shared(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    /// Connects; makes the file where it is missing, for its owner's eyes alone.
    pub(super) async fn connect(&self, care: Care) -> anyhow::Result<AnyPool> {
        // Says again what was said before, where two parts of a program open stores.
        sqlx::any::install_default_drivers();
        match self {
            Self::File(path) => Ok(connect_file(path, care).await?),
            Self::Server(url) => connect_server(url).await.map_err(|error| unreachable(&error).into()),
        }
    }
}

impl From<&Path> for Place {
    fn from(path: &Path) -> Self {
        Self::File(path.to_owned())
    }
}

impl From<&PathBuf> for Place {
    fn from(path: &PathBuf) -> Self {
        Self::File(path.clone())
    }
}

impl From<&Self> for Place {
    fn from(place: &Self) -> Self {
        place.clone()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Server(url) => match url::Url::parse(url.expose_secret()) {
                Ok(url) => {
                    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
                    write!(f, "postgres://{}{port}{}", url.host_str().unwrap_or_default(), url.path())
                }
                Err(_) => f.write_str("postgres://"),
            },
        }
    }
}

async fn connect_file(path: &Path, care: Care) -> anyhow::Result<AnyPool> {
    let path = std::path::absolute(path)?;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    // One that is there is not even opened: closing it again would take the locks away that SQLite holds on it for this
    // whole process (POSIX), and the next program that lets go of the database would take its journal with it.
    options.create_new(true).write(true);
    // Files that SQLite puts beside it get the same rights.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    let options: AnyConnectOptions = address(&path).parse()?;
    let pool = AnyPoolOptions::new()
        .max_connections(if care == Care::FullForOne { CONNECTIONS_FOR_ONE } else { CONNECTIONS })
        .test_before_acquire(false)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                for pragma in pragmas(care) {
                    connection.execute(sqlx::AssertSqlSafe(pragma)).await?;
                }
                Ok(())
            })
        })
        .connect_with(options.disable_statement_logging())
        .await?;
    Ok(pool)
}

async fn connect_server(url: &SecretString) -> Result<AnyPool, sqlx::Error> {
    let options: AnyConnectOptions = url.expose_secret().parse()?;
    AnyPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ANSWER_WITHIN)
        // Other than a file, a server may have gone and come back since.
        .test_before_acquire(true)
        .after_connect(|connection, _| {
            Box::pin(async move {
                let settings = format!("{SERVER_SETTINGS}; {}", where_it_can(IS_ANYBODY_THERE));
                connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(settings))).await.map(drop)
            })
        })
        .connect_with(options.disable_statement_logging())
        .await
}

/// Sets this, and does without it where the server does not know it or refuses it.
fn where_it_can([name, value]: [&str; 2]) -> String {
    format!(
        "DO $$ BEGIN PERFORM set_config('{name}', '{value}', false); \
         EXCEPTION WHEN undefined_object OR invalid_parameter_value THEN NULL; END $$"
    )
}

fn pragmas(care: Care) -> [String; 4] {
    let synchronous = match care {
        Care::Full | Care::FullForOne => "FULL",
        Care::Normal => "NORMAL",
    };
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

fn unreachable(error: &sqlx::Error) -> Error {
    let code = error.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
    let (kind, hint) = match code.get(..2) {
        // Authorisation, a database that is not there, rights.
        Some("28" | "42") => (ErrorKind::Credentials, "give `Store:Url` a user and a password that may use it"),
        Some("3D") => (ErrorKind::Settings, "make the database, or name another in `Store:Url`"),
        _ if matches!(error, sqlx::Error::Configuration(_)) => {
            (ErrorKind::Settings, "write `Store:Url` as `postgres://user:password@server:5432/database`")
        }
        _ => (ErrorKind::Unavailable, "see that the server runs and that `Store:Url` leads to it"),
    };
    // What sqlx says repeats its own source, and who opens the store names it.
    Error::new(kind, "its server cannot be used").with_source(error.to_string()).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_user_nor_password_is_shown() {
        let place = Place::Server("postgres://ada:s3cret@db.example:5433/agents?sslmode=require".into());
        assert_eq!(place.to_string(), "postgres://db.example:5433/agents");
        assert!(!format!("{place:?}").contains("s3cret"));
        let error = unreachable(&sqlx::Error::PoolTimedOut);
        assert_eq!((error.kind(), error.to_string().contains("s3cret")), (ErrorKind::Unavailable, false));
    }

    #[tokio::test]
    async fn a_server_gets_the_settings_it_knows_and_may_refuse_one() {
        let Some(url) = passing_postgres::database() else { return };
        let pool = Place::Server(url.into()).connect(Care::Full).await.unwrap();
        let mut connection = pool.acquire().await.unwrap();
        for (name, value) in [("lock_timeout", "30s"), (IS_ANYBODY_THERE[0], IS_ANYBODY_THERE[1])] {
            let statement = format!("SELECT current_setting('{name}')");
            let query = sqlx::query_as(sqlx::AssertSqlSafe(statement));
            let (set,): (String,) = query.fetch_one(&mut *connection).await.unwrap();
            assert_eq!(set, value, "{name}");
        }
        for refused in [["no_such_setting", "10s"], [IS_ANYBODY_THERE[0], "-7"]] {
            let settings = where_it_can(refused);
            connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(settings))).await.unwrap();
        }
    }
}
