//! What SCIM clients asked a directory lately: the last calls of each kind, and how many were answered how in each hour.
//!
//! Calls are given by the batch, some time after they were answered; what a crash takes of them is lost. Of each kind so
//! many are kept as [`CallKind::most_kept`] says, so that somebody who guesses secrets drives out nothing that an
//! administrator looks for.

use std::collections::BTreeMap;

use sqlx::{AnyConnection, Row, any::AnyRow};

use super::Store;

const HOUR_MS: i64 = 3_600_000;
/// How long calls and counts are kept.
const KEPT_MS: i64 = 30 * 24 * HOUR_MS;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallKind {
    /// As it was asked.
    Answered,
    /// The client did something that cannot be, or the agent failed.
    Refused,
    /// The credentials did not open the directory.
    SignIn,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryCall {
    /// Its place among the others; later ones sort behind earlier ones.
    pub id: String,
    /// When it came, in milliseconds since 1970.
    pub at_ms: i64,
    /// How it ended.
    pub kind: CallKind,
    /// `GET`, `POST` and so on.
    pub method: String,
    /// Below the directory's address, without what may be of people or secret.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// The `scimType` of a refusal.
    pub scim_type: Option<String>,
    /// What the client was told to fix.
    pub detail: Option<String>,
    /// The public half of the secret or access token, where it opened the directory.
    pub secret: Option<String>,
    /// The client of OAuth whose token that was. Not written: the store knows.
    pub client: Option<String>,
    /// How long it took to answer.
    pub took_ms: i64,
}

/// How many calls were answered with a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallCount {
    /// The status.
    pub status: u16,
    /// How many.
    pub calls: i64,
}

/// Calls of one directory that are to be kept.
#[derive(Debug, Default)]
pub struct NewCalls {
    /// The last ones.
    pub calls: Vec<DirectoryCall>,
    /// How many there were, by the hour's beginning in milliseconds since 1970 and by status.
    pub counts: BTreeMap<(i64, u16), i64>,
}

impl CallKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Answered, Self::Refused, Self::SignIn];

    /// How many calls of the kind are kept of a directory.
    pub fn most_kept(self) -> usize {
        match self {
            Self::Answered | Self::SignIn => 50,
            Self::Refused => 200,
        }
    }

    /// As it is told: `answered`, `refused`, `sign-in`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::SignIn => "sign-in",
        }
    }

    fn number(self) -> i64 {
        match self {
            Self::Answered => 0,
            Self::Refused => 1,
            Self::SignIn => 2,
        }
    }
}

impl NewCalls {
    /// Counts a call.
    pub fn count(&mut self, at_ms: i64, status: u16) {
        *self.counts.entry((at_ms - at_ms.rem_euclid(HOUR_MS), status)).or_default() += 1;
    }
}

impl Store {
    /// Keeps calls of the directory of this name, if there is one, and forgets those that are too many.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn add_calls(&self, name: &str, new: &NewCalls) -> anyhow::Result<()> {
        let Some(directory) = self.directory(name).await?.map(|directory| directory.id) else { return Ok(()) };
        let mut transaction = self.pool.begin().await?;
        for call in &new.calls {
            insert(&mut transaction, directory, call).await?;
        }
        for kind in CallKind::ALL {
            // What comes behind those that are kept, and everything before it.
            let statement = "DELETE FROM directory_calls WHERE directory = $1 AND kind = $2 AND id <= (SELECT id FROM \
                 directory_calls WHERE directory = $1 AND kind = $2 ORDER BY id DESC LIMIT 1 OFFSET $3)";
            let kept = i64::try_from(kind.most_kept())?;
            sqlx::query(statement).bind(directory).bind(kind.number()).bind(kept).execute(&mut *transaction).await?;
        }
        for ((hour_ms, status), calls) in &new.counts {
            let statement = "INSERT INTO directory_call_counts (directory, hour_ms, status, calls) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (directory, hour_ms, status) DO UPDATE SET calls = directory_call_counts.calls + excluded.calls";
            let query = sqlx::query(statement).bind(directory).bind(hour_ms).bind(i64::from(*status)).bind(calls);
            query.execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// The last calls of a directory, the newest first, at most so many.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn calls(&self, directory: i64, kind: Option<CallKind>, most: i64) -> anyhow::Result<Vec<DirectoryCall>> {
        let statement = "SELECT id, at_ms, kind, method, path, status, scim_type, detail, secret, client, took_ms \
             FROM directory_calls WHERE directory = $1 AND kind BETWEEN $2 AND $3 ORDER BY id DESC LIMIT $4";
        let (first, last) = kind.map_or((0, 2), |kind| (kind.number(), kind.number()));
        let query = sqlx::query(statement).bind(directory).bind(first).bind(last).bind(most);
        query.fetch_all(&self.pool).await?.iter().map(read).collect()
    }

    /// How many calls of a directory were answered how, in the hours that ended after then.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn call_counts(&self, directory: i64, since_ms: i64) -> anyhow::Result<Vec<CallCount>> {
        let statement = "SELECT status, CAST(SUM(calls) AS BIGINT) FROM directory_call_counts \
             WHERE directory = $1 AND hour_ms > $2 GROUP BY status ORDER BY status";
        let rows = sqlx::query(statement).bind(directory).bind(since_ms - HOUR_MS).fetch_all(&self.pool).await?;
        let count = |row: &AnyRow| {
            let status = u16::try_from(row.try_get::<i64, _>(0)?)?;
            anyhow::Ok(CallCount { status, calls: row.try_get(1)? })
        };
        rows.iter().map(count).collect()
    }

    /// Forgets calls that are a month old, and those of directories that are gone.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn forget_calls(&self, now_ms: i64) -> anyhow::Result<()> {
        for statement in [
            "DELETE FROM directory_calls WHERE at_ms < $1 OR directory NOT IN (SELECT id FROM directories)",
            "DELETE FROM directory_call_counts WHERE hour_ms < $1 OR directory NOT IN (SELECT id FROM directories)",
        ] {
            sqlx::query(statement).bind(now_ms - KEPT_MS).execute(&self.pool).await?;
        }
        Ok(())
    }
}

async fn insert(connection: &mut AnyConnection, directory: i64, call: &DirectoryCall) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO directory_calls \
         (directory, id, at_ms, kind, method, path, status, scim_type, detail, secret, took_ms, client) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, (SELECT oauth_clients.client_id FROM oauth_clients \
         JOIN oauth_tokens ON oauth_tokens.directory = oauth_clients.directory WHERE oauth_tokens.prefix = $10))";
    let query = sqlx::query(statement).bind(directory).bind(&call.id).bind(call.at_ms).bind(call.kind.number());
    let query = query.bind(&call.method).bind(&call.path).bind(i64::from(call.status));
    let query = query.bind(call.scim_type.as_deref()).bind(call.detail.as_deref()).bind(call.secret.as_deref());
    query.bind(call.took_ms).execute(connection).await.map(drop)
}

fn read(row: &AnyRow) -> anyhow::Result<DirectoryCall> {
    let number: i64 = row.try_get(2)?;
    Ok(DirectoryCall {
        id: row.try_get(0)?,
        at_ms: row.try_get(1)?,
        kind: CallKind::ALL.into_iter().find(|kind| kind.number() == number).unwrap_or(CallKind::Refused),
        method: row.try_get(3)?,
        path: row.try_get(4)?,
        status: u16::try_from(row.try_get::<i64, _>(5)?)?,
        scim_type: row.try_get(6)?,
        detail: row.try_get(7)?,
        secret: row.try_get(8)?,
        client: row.try_get(9)?,
        took_ms: row.try_get(10)?,
    })
}

#[cfg(test)]
mod tests {
    use super::{super::tests::stores, *};

    fn call(nth: usize, kind: CallKind) -> DirectoryCall {
        DirectoryCall {
            id: format!("{nth:09}"),
            at_ms: 7,
            kind,
            method: "GET".to_owned(),
            path: format!("/Groups/{nth}"),
            status: if kind == CallKind::Answered { 200 } else { 404 },
            scim_type: None,
            detail: None,
            secret: Some("abc".to_owned()),
            client: None,
            took_ms: 1,
        }
    }

    #[tokio::test]
    async fn the_newest_calls_of_each_kind_are_kept_and_all_are_counted() {
        for (_folder, store) in stores().await {
            let made = store.add_directory("Acme", "{}", "salt", 1).await.unwrap().unwrap();
            store.add_calls("nowhere", &NewCalls::default()).await.unwrap();
            for round in 0..2 {
                let mut new = NewCalls::default();
                new.calls.push(call(round, CallKind::Refused));
                for nth in 0..60 {
                    new.calls.push(call(100 + round * 100 + nth, CallKind::Answered));
                    new.count(HOUR_MS + 5, 200);
                }
                store.add_calls("ACME", &new).await.unwrap();
            }
            let answered = store.calls(made.id, Some(CallKind::Answered), 500).await.unwrap();
            assert_eq!(answered.len(), 50);
            assert_eq!((answered[0].path.as_str(), answered[49].path.as_str()), ("/Groups/259", "/Groups/210"));
            let all = store.calls(made.id, None, 500).await.unwrap();
            assert_eq!(all.len(), 52, "what was refused is not driven out");
            assert_eq!(all[51], call(0, CallKind::Refused));
            assert_eq!(store.calls(made.id, None, 3).await.unwrap().len(), 3);
            assert_eq!(store.call_counts(made.id, HOUR_MS).await.unwrap(), [CallCount { status: 200, calls: 120 }]);
            assert_eq!(store.call_counts(made.id, 2 * HOUR_MS).await.unwrap(), []);
            store.forget_calls(HOUR_MS + KEPT_MS).await.unwrap();
            assert_eq!(store.calls(made.id, None, 500).await.unwrap(), []);
            assert_eq!(store.call_counts(made.id, HOUR_MS).await.unwrap().len(), 1, "its hour is not old yet");
            store.remove_directory(made.id).await.unwrap();
            assert_eq!(store.call_counts(made.id, HOUR_MS).await.unwrap(), []);
        }
    }
}
