//! Directories: their names, switches and secrets. Of a secret its hash alone is kept, and when it was last used.

use anyhow::Context;
use connector_api::{Error, ErrorKind};
use sqlx::Row;

use super::Store;

/// A directory as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryRecord {
    /// Its number.
    pub id: i64,
    /// As it was spelt.
    pub name: String,
    /// Switches and limits, as JSON.
    pub options: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it last changed.
    pub changed_ms: Option<i64>,
}

/// A secret of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRecord {
    /// The public half, by which it is found.
    pub prefix: String,
    /// The directory it opens.
    pub directory: i64,
    /// SHA-256 of the secret half, in hexadecimal digits.
    pub hash: String,
    /// Whether it comes as Basic.
    pub basic: bool,
    /// When it was made.
    pub created_ms: i64,
    /// When it ends; none where it does not.
    pub ends_ms: Option<i64>,
    /// When it was last used, to the minute.
    pub last_used_ms: Option<i64>,
    /// The consent that it came of, where it is an access token of OAuth.
    pub grant: Option<String>,
}

/// How many resources a directory has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryCounts {
    /// Users.
    pub users: i64,
    /// Groups.
    pub groups: i64,
    /// The number of the last event.
    pub last_event: i64,
}

const SECRET: &str = "SELECT prefix, directory, hash, basic, created_ms, ends_ms, last_used_ms, '' \
     FROM directory_secrets WHERE";
/// Access tokens of OAuth open a directory as secrets do.
const ACCESS_TOKEN: &str = "SELECT prefix, directory, hash, CAST(0 AS BIGINT), created_ms, ends_ms, used_ms, \
     grant_id FROM oauth_tokens WHERE kind = 1 AND";

impl Store {
    /// Makes a directory; none where there is one of this name, whatever the case. `salt` is of chance.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn add_directory(
        &self,
        name: &str,
        options: &str,
        salt: &str,
        now_ms: i64,
    ) -> anyhow::Result<Option<DirectoryRecord>> {
        let statement = "INSERT INTO directories (id, name, folded, options, salt, created_ms, last_sequence, last_event) \
             SELECT COALESCE(MAX(id), 0) + 1, $1, $2, $3, $4, $5, 0, 0 FROM directories WHERE TRUE \
             ON CONFLICT DO NOTHING";
        let folded = name.to_lowercase();
        loop {
            let query = sqlx::query(statement).bind(name).bind(&folded).bind(options).bind(salt).bind(now_ms);
            let is_added = query.execute(&self.pool).await?.rows_affected() > 0;
            let found = self.directory(name).await?;
            // Where there is none, it was the number alone that another agent took at the same time.
            if is_added || found.is_some() {
                return Ok(found.filter(|_| is_added));
            }
        }
    }

    /// The directory of this name, whatever the case.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn directory(&self, name: &str) -> anyhow::Result<Option<DirectoryRecord>> {
        // No name holds U+0000, and PostgreSQL could not be asked for one.
        if name.contains('\0') {
            return Ok(None);
        }
        let statement = "SELECT id, name, options, created_ms, changed_ms FROM directories WHERE folded = $1";
        let row = sqlx::query(statement).bind(name.to_lowercase()).fetch_optional(&self.pool).await?;
        Ok(row.as_ref().map(directory).transpose()?)
    }

    /// The directory of this name, whatever the case, which somebody expects to be there.
    ///
    /// # Errors
    /// Of kind `Settings` where it is not; or the store fails.
    pub async fn existing_directory(&self, name: &str) -> anyhow::Result<DirectoryRecord> {
        if let Some(directory) = self.directory(name).await? {
            return Ok(directory);
        }
        let names: Vec<String> = self.directories().await?.iter().map(|known| format!("`{}`", known.name)).collect();
        let are =
            if names.is_empty() { "there are none".to_owned() } else { format!("there are {}", names.join(", ")) };
        let error = Error::new(ErrorKind::Settings, format!("no directory `{name}`: {are}"));
        Err(error.with_hint("name what there is, or make it by `agent-host directory create`").into())
    }

    /// All directories by name.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn directories(&self) -> anyhow::Result<Vec<DirectoryRecord>> {
        let statement = "SELECT id, name, options, created_ms, changed_ms FROM directories ORDER BY folded";
        let rows = sqlx::query(statement).fetch_all(&self.pool).await?;
        Ok(rows.iter().map(directory).collect::<Result<_, sqlx::Error>>()?)
    }

    /// How many resources a directory has.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn directory_counts(&self, directory: i64) -> anyhow::Result<DirectoryCounts> {
        let statement = "SELECT kind, CAST(SUM(resources) AS BIGINT) FROM resource_blocks WHERE directory = $1 GROUP BY kind \
             UNION ALL SELECT 2, last_event FROM directories WHERE id = $1";
        let rows = sqlx::query(statement).bind(directory).fetch_all(&self.pool).await?;
        let mut counts = [0; 3];
        for row in &rows {
            let kind = usize::try_from(row.try_get::<i64, _>(0)?).ok().and_then(|kind| counts.get_mut(kind));
            *kind.context("a directory has users, groups and events alone")? = row.try_get(1)?;
        }
        let [users, groups, last_event] = counts;
        Ok(DirectoryCounts { users, groups, last_event })
    }

    /// Removes a directory and everything in it.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn remove_directory(&self, directory: i64) -> anyhow::Result<()> {
        let mut transaction = self.pool.begin().await?;
        for statement in [
            "DELETE FROM oauth_tokens WHERE directory = $1",
            "DELETE FROM oauth_grants WHERE directory = $1",
            "DELETE FROM oauth_clients WHERE directory = $1",
            "DELETE FROM directory_secrets WHERE directory = $1",
            "DELETE FROM directory_calls WHERE directory = $1",
            "DELETE FROM directory_call_counts WHERE directory = $1",
            "DELETE FROM directory_events WHERE directory = $1",
            "DELETE FROM members WHERE directory = $1",
            "DELETE FROM resource_emails WHERE directory = $1",
            "DELETE FROM resource_blocks WHERE directory = $1",
            "DELETE FROM deleted_resources WHERE directory = $1",
            "DELETE FROM resources WHERE directory = $1",
            "DELETE FROM directories WHERE id = $1",
        ] {
            sqlx::query(statement).bind(directory).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Adds a secret. Of those there were, the newest stays until `former_end_ms`; the others are gone.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn add_secret(&self, secret: &SecretRecord, former_end_ms: i64) -> anyhow::Result<()> {
        let mut transaction = self.pool.begin().await?;
        let others = "DELETE FROM directory_secrets WHERE directory = $1 AND prefix NOT IN (SELECT prefix FROM \
             directory_secrets WHERE directory = $1 ORDER BY created_ms DESC, ends_ms IS NULL DESC LIMIT 1)";
        sqlx::query(others).bind(secret.directory).execute(&mut *transaction).await?;
        let former = "UPDATE directory_secrets SET ends_ms = $2 WHERE directory = $1 AND ends_ms IS NULL";
        sqlx::query(former).bind(secret.directory).bind(former_end_ms).execute(&mut *transaction).await?;
        let statement = "INSERT INTO directory_secrets (prefix, directory, hash, basic, created_ms) \
             VALUES ($1, $2, $3, $4, $5)";
        let query = sqlx::query(statement).bind(&secret.prefix).bind(secret.directory).bind(&secret.hash);
        let query = query.bind(i64::from(secret.basic)).bind(secret.created_ms);
        query.execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// The secret or access token with this public half.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn secret(&self, prefix: &str) -> anyhow::Result<Option<SecretRecord>> {
        let statement = sqlx::AssertSqlSafe(format!("{SECRET} prefix = $1 UNION ALL {ACCESS_TOKEN} prefix = $1"));
        let row = sqlx::query(statement).bind(prefix).fetch_optional(&self.pool).await?;
        Ok(row.as_ref().map(secret).transpose()?)
    }

    /// The secrets of a directory, the newest first.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn secrets(&self, directory: i64) -> anyhow::Result<Vec<SecretRecord>> {
        let statement = sqlx::AssertSqlSafe(format!("{SECRET} directory = $1 ORDER BY created_ms DESC, prefix"));
        let rows = sqlx::query(statement).bind(directory).fetch_all(&self.pool).await?;
        Ok(rows.iter().map(secret).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Notes that a secret or an access token was used.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn note_use(&self, prefix: &str, now_ms: i64) -> anyhow::Result<()> {
        for statement in [
            "UPDATE directory_secrets SET last_used_ms = $2 WHERE prefix = $1",
            "UPDATE oauth_tokens SET used_ms = $2 WHERE prefix = $1 AND kind = 1",
            // Tokens come and go; when the client last came stays.
            "UPDATE oauth_clients SET last_used_ms = $2 WHERE directory IN (SELECT directory FROM oauth_tokens \
             WHERE prefix = $1 AND kind = 1)",
        ] {
            sqlx::query(statement).bind(prefix).bind(now_ms).execute(&self.pool).await?;
        }
        Ok(())
    }
}

fn directory(row: &sqlx::any::AnyRow) -> Result<DirectoryRecord, sqlx::Error> {
    Ok(DirectoryRecord {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        options: row.try_get(2)?,
        created_ms: row.try_get(3)?,
        changed_ms: row.try_get(4)?,
    })
}

fn secret(row: &sqlx::any::AnyRow) -> Result<SecretRecord, sqlx::Error> {
    Ok(SecretRecord {
        prefix: row.try_get(0)?,
        directory: row.try_get(1)?,
        hash: row.try_get(2)?,
        basic: row.try_get::<i64, _>(3)? != 0,
        created_ms: row.try_get(4)?,
        ends_ms: row.try_get(5)?,
        last_used_ms: row.try_get(6)?,
        grant: Some(row.try_get(7)?).filter(|grant: &String| !grant.is_empty()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::stores;

    #[tokio::test]
    async fn a_new_secret_leaves_the_newest_former_one_for_a_while_and_no_other() {
        for (_folder, store) in stores().await {
            let made = store.add_directory("Acme", "{}", "salt", 1).await.unwrap().unwrap();
            for (number, basic) in [(1, false), (2, true), (3, false)] {
                let (prefix, hash) = (number.to_string(), "hash".to_owned());
                let secret = SecretRecord {
                    prefix,
                    directory: made.id,
                    hash,
                    basic,
                    created_ms: number,
                    ends_ms: None,
                    last_used_ms: None,
                    grant: None,
                };
                store.add_secret(&secret, 100).await.unwrap();
            }
            store.note_use("2", 50).await.unwrap();
            let told =
                |secret: &SecretRecord| (secret.prefix.clone(), secret.basic, secret.ends_ms, secret.last_used_ms);
            let kept: Vec<_> = store.secrets(made.id).await.unwrap().iter().map(told).collect();
            let expected = [("3".to_owned(), false, None, None), ("2".to_owned(), true, Some(100), Some(50))];
            assert_eq!(kept, expected);
            assert!(store.secret("1").await.unwrap().is_none());
            assert_eq!(store.existing_directory("ACME").await.unwrap(), made);
            assert!(store.existing_directory("other").await.is_err());
        }
    }

    #[tokio::test]
    async fn directories_that_are_made_at_once_are_numbered_apart_and_of_one_name_there_is_one() {
        for (_folder, store) in stores().await {
            let names = ["a", "b", "c", "d", "E", "e"];
            let made = names.map(|name| store.add_directory(name, "{}", "salt", 1));
            let made = futures::future::join_all(made).await.into_iter().filter_map(Result::unwrap);
            let mut ids: Vec<i64> = made.map(|directory| directory.id).collect();
            ids.sort_unstable();
            assert_eq!(ids, [1, 2, 3, 4, 5]);
        }
    }
}
