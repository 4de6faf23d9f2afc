//! OAuth clients of directories, what was consented to, and the codes and tokens that came of it. Hashes alone are kept.
//!
//! A code or a refresh token is exchanged once: whoever notes its use first has it. Whatever came of one consent goes
//! together.

use sqlx::{AnyConnection, Row, any::AnyRow};

use super::Store;

/// The client of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthClient {
    /// The directory.
    pub directory: i64,
    /// By which it names itself.
    pub client_id: String,
    /// SHA-256 of its secret; none where it keeps none.
    pub secret_hash: Option<String>,
    /// Where it may be sent back to.
    pub redirects: Vec<String>,
    /// Whom it acts as.
    pub service_user: String,
    /// SHA-256 of the code by which somebody consents.
    pub approval_hash: Option<String>,
    /// When that code ends, in milliseconds since 1970.
    pub approval_ends_ms: Option<i64>,
    /// When it last came with an access token, to the minute. Not written with the rest.
    pub last_used_ms: Option<i64>,
}

/// What somebody consented to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthGrant {
    /// Unique.
    pub id: String,
    /// For which directory.
    pub directory: i64,
    /// Who consented.
    pub approver: String,
    /// Where the code was sent.
    pub redirect: String,
    /// The challenge of PKCE.
    pub challenge: Option<String>,
}

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OauthTokenKind {
    /// To be exchanged for the first pair of the others.
    Code,
    /// Opens the directory.
    Access,
    /// To be exchanged for a new pair.
    Refresh,
}

/// A code or a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OauthToken {
    /// The public half, by which it is found.
    pub prefix: String,
    /// What it came of.
    pub grant: String,
    /// The directory.
    pub directory: i64,
    /// What it is for.
    pub kind: OauthTokenKind,
    /// SHA-256 of the secret half.
    pub hash: String,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it ends.
    pub ends_ms: i64,
    /// When it was exchanged or last used.
    pub used_ms: Option<i64>,
}

impl OauthTokenKind {
    fn number(self) -> i64 {
        match self {
            Self::Code => 0,
            Self::Access => 1,
            Self::Refresh => 2,
        }
    }
}

impl Store {
    /// Writes the client of a directory, over the one there was.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn set_oauth_client(&self, client: &OauthClient, now_ms: i64) -> anyhow::Result<()> {
        let statement = "INSERT INTO oauth_clients (directory, client_id, secret_hash, redirects, service_user, \
             approval_hash, approval_ends_ms, created_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (directory) DO UPDATE SET client_id = excluded.client_id, secret_hash = excluded.secret_hash, \
             redirects = excluded.redirects, service_user = excluded.service_user, \
             approval_hash = excluded.approval_hash, approval_ends_ms = excluded.approval_ends_ms";
        let query = sqlx::query(statement).bind(client.directory).bind(client.client_id.as_str());
        let query = query.bind(client.secret_hash.as_deref()).bind(serde_json::to_string(&client.redirects)?);
        let query = query.bind(client.service_user.as_str()).bind(client.approval_hash.as_deref());
        query.bind(client.approval_ends_ms).bind(now_ms).execute(&self.pool).await?;
        Ok(())
    }

    /// The client of a directory.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn oauth_client(&self, directory: i64) -> anyhow::Result<Option<OauthClient>> {
        let statement = "SELECT directory, client_id, secret_hash, redirects, service_user, approval_hash, \
             approval_ends_ms, last_used_ms FROM oauth_clients WHERE directory = $1";
        let row = sqlx::query(statement).bind(directory).fetch_optional(&self.pool).await?;
        row.map(|row| {
            Ok(OauthClient {
                directory: row.try_get(0)?,
                client_id: row.try_get(1)?,
                secret_hash: row.try_get(2)?,
                redirects: serde_json::from_str(row.try_get(3)?)?,
                service_user: row.try_get(4)?,
                approval_hash: row.try_get(5)?,
                approval_ends_ms: row.try_get(6)?,
                last_used_ms: row.try_get(7)?,
            })
        })
        .transpose()
    }

    /// Uses up the code by which somebody consents; whether it was still there.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn use_consent_code(&self, directory: i64, hash: &str, now_ms: i64) -> anyhow::Result<bool> {
        let statement = "UPDATE oauth_clients SET approval_hash = NULL, approval_ends_ms = NULL \
             WHERE directory = $1 AND approval_hash = $2 AND approval_ends_ms > $3";
        let query = sqlx::query(statement).bind(directory).bind(hash).bind(now_ms);
        Ok(query.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Writes a consent with its code.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn add_oauth_grant(&self, grant: &OauthGrant, code: &OauthToken) -> anyhow::Result<()> {
        let mut transaction = self.pool.begin().await?;
        let statement = "INSERT INTO oauth_grants (id, directory, approver, redirect, challenge, created_ms) \
             VALUES ($1, $2, $3, $4, $5, $6)";
        let query = sqlx::query(statement).bind(grant.id.as_str()).bind(grant.directory).bind(grant.approver.as_str());
        let query = query.bind(grant.redirect.as_str()).bind(grant.challenge.as_deref()).bind(code.created_ms);
        query.execute(&mut *transaction).await?;
        insert(&mut transaction, code, None).await?;
        // Consents of which nothing is good any more are forgotten.
        let ended = "DELETE FROM oauth_tokens WHERE directory = $1 AND NOT EXISTS (SELECT 1 FROM oauth_tokens other \
             WHERE other.grant_id = oauth_tokens.grant_id AND other.ends_ms > $2)";
        sqlx::query(ended).bind(grant.directory).bind(code.created_ms).execute(&mut *transaction).await?;
        let empty = "DELETE FROM oauth_grants WHERE directory = $1 AND id NOT IN (SELECT grant_id FROM oauth_tokens)";
        sqlx::query(empty).bind(grant.directory).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }

    /// The code or token with this public half, and what it came of.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn oauth_token(
        &self,
        prefix: &str,
        kind: OauthTokenKind,
    ) -> anyhow::Result<Option<(OauthToken, OauthGrant)>> {
        let statement = "SELECT t.prefix, t.grant_id, t.directory, t.hash, t.created_ms, t.ends_ms, t.used_ms, \
             g.approver, g.redirect, g.challenge FROM oauth_tokens t JOIN oauth_grants g ON g.id = t.grant_id \
             WHERE t.prefix = $1 AND t.kind = $2";
        let row = sqlx::query(statement).bind(prefix).bind(kind.number()).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| read(&row, kind)).transpose()?)
    }

    /// Exchanges a code or refresh token for new tokens; false where it was exchanged before, and nothing is written.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn exchange(&self, prefix: &str, new: &[OauthToken], now_ms: i64) -> anyhow::Result<bool> {
        let mut transaction = self.pool.begin().await?;
        let statement = "UPDATE oauth_tokens SET used_ms = $2 WHERE prefix = $1 AND used_ms IS NULL AND ends_ms > $2";
        let used = sqlx::query(statement).bind(prefix).bind(now_ms).execute(&mut *transaction).await?;
        if used.rows_affected() == 0 {
            return Ok(false);
        }
        for token in new {
            insert(&mut transaction, token, Some(prefix)).await?;
            let statement = "DELETE FROM oauth_tokens WHERE directory = $1 AND ends_ms < $2 AND kind <> 0";
            sqlx::query(statement).bind(token.directory).bind(now_ms).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Gives other tokens for a code or refresh token that was exchanged after then, in place of those it was exchanged for;
    /// false where one of these was used, and nothing is written.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn exchange_again(&self, prefix: &str, new: &[OauthToken], after_ms: i64) -> anyhow::Result<bool> {
        let mut transaction = self.pool.begin().await?;
        // Takes the row's turn, so that of several at once each takes back what the one before it gave.
        let statement = "UPDATE oauth_tokens SET used_ms = used_ms WHERE prefix = $1 AND used_ms > $2 AND NOT EXISTS \
             (SELECT 1 FROM oauth_tokens given WHERE given.former = $1 AND given.used_ms IS NOT NULL)";
        let found = sqlx::query(statement).bind(prefix).bind(after_ms).execute(&mut *transaction).await?;
        if found.rows_affected() == 0 {
            return Ok(false);
        }
        sqlx::query("DELETE FROM oauth_tokens WHERE former = $1").bind(prefix).execute(&mut *transaction).await?;
        for token in new {
            insert(&mut transaction, token, Some(prefix)).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Takes back everything that came of a consent.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn revoke_oauth_grant(&self, grant: &str) -> anyhow::Result<()> {
        let mut transaction = self.pool.begin().await?;
        for statement in ["DELETE FROM oauth_tokens WHERE grant_id = $1", "DELETE FROM oauth_grants WHERE id = $1"] {
            sqlx::query(statement).bind(grant).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Takes back everything that was consented to for a directory; how many consents there were.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn revoke_oauth_grants(&self, directory: i64) -> anyhow::Result<u64> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM oauth_tokens WHERE directory = $1").bind(directory).execute(&mut *transaction).await?;
        let statement = "DELETE FROM oauth_grants WHERE directory = $1";
        let revoked = sqlx::query(statement).bind(directory).execute(&mut *transaction).await?.rows_affected();
        transaction.commit().await?;
        Ok(revoked)
    }

    /// Forgets the client of a directory and everything that was consented to for it; whether there was one.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn remove_oauth_client(&self, directory: i64) -> anyhow::Result<bool> {
        self.revoke_oauth_grants(directory).await?;
        let query = sqlx::query("DELETE FROM oauth_clients WHERE directory = $1").bind(directory);
        Ok(query.execute(&self.pool).await?.rows_affected() > 0)
    }
}

async fn insert(connection: &mut AnyConnection, token: &OauthToken, former: Option<&str>) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO oauth_tokens (prefix, grant_id, directory, kind, hash, created_ms, ends_ms, former) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let query = sqlx::query(statement).bind(token.prefix.as_str()).bind(token.grant.as_str()).bind(token.directory);
    let query = query.bind(token.kind.number()).bind(token.hash.as_str()).bind(token.created_ms).bind(token.ends_ms);
    query.bind(former).execute(connection).await.map(drop)
}

fn read(row: &AnyRow, kind: OauthTokenKind) -> Result<(OauthToken, OauthGrant), sqlx::Error> {
    let (grant, directory): (String, i64) = (row.try_get(1)?, row.try_get(2)?);
    let token = OauthToken {
        prefix: row.try_get(0)?,
        grant: grant.clone(),
        directory,
        kind,
        hash: row.try_get(3)?,
        created_ms: row.try_get(4)?,
        ends_ms: row.try_get(5)?,
        used_ms: row.try_get(6)?,
    };
    let grant = OauthGrant {
        id: grant,
        directory,
        approver: row.try_get(7)?,
        redirect: row.try_get(8)?,
        challenge: row.try_get(9)?,
    };
    Ok((token, grant))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::stores;

    fn token(prefix: &str, grant: &str, kind: OauthTokenKind, ends_ms: i64) -> OauthToken {
        let [prefix, grant, hash] = [prefix, grant, "hash"].map(str::to_owned);
        OauthToken { prefix, grant, directory: 1, kind, hash, created_ms: 10, ends_ms, used_ms: None }
    }

    fn grant(id: &str) -> OauthGrant {
        let [id, approver, redirect] = [id, "ada", "https://client.example/"].map(str::to_owned);
        OauthGrant { id, directory: 1, approver, redirect, challenge: None }
    }

    #[tokio::test]
    async fn a_code_is_exchanged_once_and_what_came_of_a_consent_goes_together() {
        for (_folder, store) in stores().await {
            store.add_directory("Acme", "{}", "salt", 1).await.unwrap();
            let code = token("code", "one", OauthTokenKind::Code, 100);
            store.add_oauth_grant(&grant("one"), &code).await.unwrap();
            let found = store.oauth_token("code", OauthTokenKind::Code).await.unwrap();
            assert_eq!(found, Some((code, grant("one"))));
            assert_eq!(store.oauth_token("code", OauthTokenKind::Refresh).await.unwrap(), None);
            let new = ["a", "b"].map(|end| {
                [OauthTokenKind::Access, OauthTokenKind::Refresh]
                    .map(|kind| token(&format!("{kind:?}{end}"), "one", kind, 90))
            });
            let exchanged = new.each_ref().map(|new| store.exchange("code", new, 20));
            let exchanged = futures::future::join_all(exchanged).await.into_iter().map(Result::unwrap);
            assert_eq!(exchanged.filter(|was_first| *was_first).count(), 1);
            let mut opens = Vec::new();
            for end in ["a", "b"] {
                opens.extend(store.secret(&format!("Access{end}")).await.unwrap().map(|secret| secret.ends_ms));
            }
            assert_eq!(opens, [Some(90)], "an access token opens the directory");
            // Everything of the first has ended by then, and is forgotten with it.
            let later = OauthToken { created_ms: 200, ..token("later", "two", OauthTokenKind::Code, 300) };
            store.add_oauth_grant(&grant("two"), &later).await.unwrap();
            assert_eq!(store.oauth_token("code", OauthTokenKind::Code).await.unwrap(), None);
            assert!(!store.exchange("later", &[], 300).await.unwrap(), "it has ended");
            assert_eq!(store.revoke_oauth_grants(1).await.unwrap(), 1);
            assert_eq!(store.oauth_token("later", OauthTokenKind::Code).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn a_token_gives_other_ones_once_more_until_one_of_them_was_used() {
        for (_folder, store) in stores().await {
            store.add_directory("Acme", "{}", "salt", 1).await.unwrap();
            store.add_oauth_grant(&grant("one"), &token("code", "one", OauthTokenKind::Code, 1_000)).await.unwrap();
            let refresh = token("refresh", "one", OauthTokenKind::Refresh, 1_000);
            store.exchange("code", &[refresh], 20).await.unwrap();
            let pair = |nth: usize| {
                [OauthTokenKind::Access, OauthTokenKind::Refresh]
                    .map(|kind| token(&format!("{kind:?}{nth}"), "one", kind, 1_000))
            };
            assert!(!store.exchange_again("refresh", &pair(0), 0).await.unwrap(), "it was not exchanged yet");
            assert!(store.exchange("refresh", &pair(1), 30).await.unwrap());
            assert!(!store.exchange_again("refresh", &pair(0), 30).await.unwrap(), "that is too long ago");
            assert!(store.exchange_again("refresh", &pair(2), 29).await.unwrap());
            assert_eq!(store.secret("Access1").await.unwrap(), None, "the pair that was lost is good no more");
            assert!(store.exchange_again("refresh", &pair(3), 29).await.unwrap());
            store.note_use("Access3", 40).await.unwrap();
            assert!(!store.exchange_again("refresh", &pair(4), 29).await.unwrap(), "the new pair was used");
            assert!(store.secret("Access3").await.unwrap().is_some());
        }
    }

    #[tokio::test]
    async fn the_code_by_which_somebody_consents_is_used_once_and_in_time() {
        for (_folder, store) in stores().await {
            store.add_directory("Acme", "{}", "salt", 1).await.unwrap();
            let client = |client_id: &str, ends_ms| OauthClient {
                directory: 1,
                client_id: client_id.to_owned(),
                secret_hash: None,
                redirects: vec!["https://client.example/".to_owned()],
                service_user: "okta".to_owned(),
                approval_hash: Some("hash".to_owned()),
                approval_ends_ms: Some(ends_ms),
                last_used_ms: None,
            };
            store.set_oauth_client(&client("one", 10), 1).await.unwrap();
            assert!(!store.use_consent_code(1, "hash", 10).await.unwrap(), "too late");
            store.set_oauth_client(&client("two", 20), 2).await.unwrap();
            assert_eq!(store.oauth_client(1).await.unwrap(), Some(client("two", 20)));
            assert!(!store.use_consent_code(1, "other", 10).await.unwrap());
            assert!(store.use_consent_code(1, "hash", 10).await.unwrap());
            assert!(!store.use_consent_code(1, "hash", 10).await.unwrap(), "it is used up");
            assert!(store.remove_oauth_client(1).await.unwrap());
            assert!(!store.remove_oauth_client(1).await.unwrap());
            store.remove_directory(1).await.unwrap();
        }
    }
}
