//! What password resets keep: who holds an account, notices that wait sealed, links and whether they were used.

use super::{OrderPlace, Store};

/// Rows that are read at a time.
const MOST: i64 = 50;
/// No notice is put off for so long, but by a clock that was ahead.
const FURTHEST_MS: i64 = 2 * 3_600_000;

/// A mail that waits to be sent, sealed.
#[derive(Debug, Clone)]
pub struct WaitingNotice {
    /// Its name, under which it is sealed.
    pub id: String,
    /// What it says, encrypted.
    pub sealed: String,
    /// How often it was tried.
    pub attempts: i64,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
}

/// A link behind which a password is chosen.
#[derive(Debug, Clone)]
pub struct PasswordLink {
    /// Its name.
    pub id: String,
    /// The connection of the account, in lower case.
    pub connection: String,
    /// The account.
    pub account: String,
    /// What the account's owner signs in with.
    pub login: String,
    /// The password reset settings it was made by.
    pub setting: String,
    /// Until when it is good, in milliseconds since 1970.
    pub expires_ms: i64,
}

impl Store {
    /// Takes the account for the holder until then; false where another has it at `now_ms`. The holder may take it again.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn lease_account(
        &self,
        connection: &str,
        account: &str,
        holder: &str,
        now_ms: i64,
        until_ms: i64,
    ) -> anyhow::Result<bool> {
        let statement = "INSERT INTO account_leases (connection, account, holder, until_ms) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (connection, account) DO UPDATE SET holder = excluded.holder, until_ms = excluded.until_ms \
             WHERE account_leases.until_ms <= $5 OR account_leases.holder = excluded.holder";
        let query = sqlx::query(statement).bind(connection.to_lowercase()).bind(account).bind(holder);
        let taken = query.bind(until_ms).bind(now_ms).execute(&self.pool).await?;
        Ok(taken.rows_affected() > 0)
    }

    /// Lets go of the account, if the holder has it still.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn release_account(&self, connection: &str, account: &str, holder: &str) -> anyhow::Result<()> {
        let statement = "DELETE FROM account_leases WHERE connection = $1 AND account = $2 AND holder = $3";
        let query = sqlx::query(statement).bind(connection.to_lowercase()).bind(account).bind(holder);
        query.execute(&self.pool).await?;
        Ok(())
    }

    /// Keeps a notice of what `subject` does, not to be sent yet. `about` is what it tells of which account, where a later
    /// one makes it untrue.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn hold_notice(
        &self,
        id: &str,
        subject: &str,
        about: Option<&str>,
        sealed: &str,
        now_ms: i64,
    ) -> anyhow::Result<()> {
        let statement = "INSERT INTO notices (id, subject, about, sealed, confirmed, created_ms, due_ms, attempts) \
             VALUES ($1, $2, $3, $4, 0, $5, NULL, 0)";
        let query = sqlx::query(statement).bind(id).bind(subject).bind(about).bind(sealed);
        query.bind(now_ms).execute(&self.pool).await?;
        Ok(())
    }

    /// Forgets the notices of others than `subject` that wait to be sent and tell what is true no more; how many there were.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn drop_overtaken_notices(&self, about: &str, subject: &str) -> anyhow::Result<u64> {
        let statement = "DELETE FROM notices WHERE about = $1 AND subject <> $2 AND due_ms IS NOT NULL";
        Ok(sqlx::query(statement).bind(about).bind(subject).execute(&self.pool).await?.rows_affected())
    }

    /// The notices about `subject` that are held, the oldest first.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn held_notices(&self, subject: &str) -> anyhow::Result<Vec<WaitingNotice>> {
        let statement = "SELECT id, sealed, attempts, created_ms FROM notices WHERE subject = $1 AND due_ms IS NULL \
             ORDER BY created_ms, id LIMIT $2";
        let rows = sqlx::query_as(statement).bind(subject).bind(MOST).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(notice).collect())
    }

    /// Notes that what the held notices about `subject` tell has happened.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn confirm_notices(&self, subject: &str) -> anyhow::Result<()> {
        let statement = "UPDATE notices SET confirmed = 1 WHERE subject = $1";
        sqlx::query(statement).bind(subject).execute(&self.pool).await?;
        Ok(())
    }

    /// What the notices are about that are confirmed and still held, as far as it begins so.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn confirmed_notices(&self, beginning: &str) -> anyhow::Result<Vec<String>> {
        let statement = "SELECT DISTINCT subject FROM notices WHERE confirmed = 1 AND due_ms IS NULL";
        let rows: Vec<(String,)> = sqlx::query_as(statement).fetch_all(&self.pool).await?;
        Ok(rows.into_iter().map(|(subject,)| subject).filter(|subject| subject.starts_with(beginning)).collect())
    }

    /// Whether it is known what came of the order.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn has_outcome(&self, place: OrderPlace) -> anyhow::Result<bool> {
        let statement = "SELECT COUNT(*) FROM orders WHERE order_file = $1 AND position = $2";
        let query = sqlx::query_as(statement).bind(place.order_file).bind(place.position);
        let (count,): (i64,) = query.fetch_one(&self.pool).await?;
        Ok(count > 0)
    }

    /// Lets the held notices about `subject` be sent.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn release_notices(&self, subject: &str, now_ms: i64) -> anyhow::Result<()> {
        let statement = "UPDATE notices SET due_ms = $2 WHERE subject = $1 AND due_ms IS NULL";
        sqlx::query(statement).bind(subject).bind(now_ms).execute(&self.pool).await?;
        Ok(())
    }

    /// Forgets the held notices about `subject`: what they tell did not happen.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn drop_held_notices(&self, subject: &str) -> anyhow::Result<()> {
        let statement = "DELETE FROM notices WHERE subject = $1 AND due_ms IS NULL";
        sqlx::query(statement).bind(subject).execute(&self.pool).await?;
        Ok(())
    }

    /// Forgets notices that were held and given up by everybody before then; how many there were.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn drop_notices_held_before(&self, before_ms: i64) -> anyhow::Result<u64> {
        let statement = "DELETE FROM notices WHERE due_ms IS NULL AND created_ms < $1";
        Ok(sqlx::query(statement).bind(before_ms).execute(&self.pool).await?.rows_affected())
    }

    /// A notice that is due, which nobody else gets before `again_ms`; none where none is due. One that was put off by a
    /// clock that was ahead is due too.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn take_due_notice(&self, now_ms: i64, again_ms: i64) -> anyhow::Result<Option<WaitingNotice>> {
        // One statement, so that two processes do not take the same.
        let statement = "UPDATE notices SET due_ms = $2, attempts = attempts + 1 WHERE id = (SELECT id FROM notices \
             WHERE due_ms <= $1 OR due_ms > $3 ORDER BY due_ms, id LIMIT 1) AND (due_ms <= $1 OR due_ms > $3) \
             RETURNING id, sealed, attempts, created_ms";
        let query = sqlx::query_as(statement).bind(now_ms).bind(again_ms).bind(now_ms + FURTHEST_MS);
        let row = super::only(query.fetch_all(&self.pool).await)?;
        Ok(row.map(notice))
    }

    /// Puts off a notice until then.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn put_off_notice(&self, id: &str, due_ms: i64) -> anyhow::Result<()> {
        let statement = "UPDATE notices SET due_ms = $2 WHERE id = $1";
        sqlx::query(statement).bind(id).bind(due_ms).execute(&self.pool).await?;
        Ok(())
    }

    /// Forgets a notice: it was sent, or never can be.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn drop_notice(&self, id: &str) -> anyhow::Result<()> {
        sqlx::query("DELETE FROM notices WHERE id = $1").bind(id).execute(&self.pool).await?;
        Ok(())
    }

    /// How many notices wait to be sent.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn count_waiting_notices(&self) -> anyhow::Result<i64> {
        let statement = "SELECT COUNT(*) FROM notices WHERE due_ms IS NOT NULL";
        let (count,): (i64,) = sqlx::query_as(statement).fetch_one(&self.pool).await?;
        Ok(count)
    }

    /// Keeps a link. Those that the account had before are good no more, and forgotten a while after.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn add_link(&self, link: &PasswordLink, now_ms: i64, forget_before_ms: i64) -> anyhow::Result<()> {
        let connection = link.connection.to_lowercase();
        let mut transaction = self.pool.begin().await?;
        let former =
            "UPDATE password_links SET used_ms = $3 WHERE connection = $1 AND account = $2 AND used_ms IS NULL";
        let query = sqlx::query(former).bind(&connection).bind(&link.account).bind(now_ms);
        query.execute(&mut *transaction).await?;
        let old = sqlx::query("DELETE FROM password_links WHERE expires_ms < $1").bind(forget_before_ms);
        old.execute(&mut *transaction).await?;
        let new = "INSERT INTO password_links (id, connection, account, login, setting, created_ms, expires_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let query = sqlx::query(new).bind(&link.id).bind(&connection).bind(&link.account).bind(&link.login);
        query.bind(&link.setting).bind(now_ms).bind(link.expires_ms).execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The link of this name, if it is good at `now_ms`.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn good_link(&self, id: &str, now_ms: i64) -> anyhow::Result<Option<PasswordLink>> {
        let statement = "SELECT id, connection, account, login, setting, expires_ms FROM password_links \
             WHERE id = $1 AND used_ms IS NULL AND expires_ms > $2";
        let row: Option<(String, String, String, String, String, i64)> =
            sqlx::query_as(statement).bind(id).bind(now_ms).fetch_optional(&self.pool).await?;
        Ok(row.map(|(id, connection, account, login, setting, expires_ms)| PasswordLink {
            id,
            connection,
            account,
            login,
            setting,
            expires_ms,
        }))
    }

    /// Uses a link; false where it was used before.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn use_link(&self, id: &str, now_ms: i64) -> anyhow::Result<bool> {
        let statement = "UPDATE password_links SET used_ms = $2 WHERE id = $1 AND used_ms IS NULL";
        Ok(sqlx::query(statement).bind(id).bind(now_ms).execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Makes a link good again whose use came to nothing.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn restore_link(&self, id: &str) -> anyhow::Result<()> {
        sqlx::query("UPDATE password_links SET used_ms = NULL WHERE id = $1").bind(id).execute(&self.pool).await?;
        Ok(())
    }
}

fn notice((id, sealed, attempts, created_ms): (String, String, i64, i64)) -> WaitingNotice {
    WaitingNotice { id, sealed, attempts, created_ms }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::stores;

    #[tokio::test]
    async fn an_account_is_held_by_one_at_a_time() {
        for (_folder, store) in stores().await {
            assert!(store.lease_account("Okta", "00u1", "a", 0, 100).await.unwrap());
            assert!(!store.lease_account("okta", "00u1", "b", 50, 150).await.unwrap());
            assert!(store.lease_account("okta", "00u1", "a", 50, 120).await.unwrap(), "its holder may hold it longer");
            assert!(store.lease_account("okta", "00u2", "b", 50, 150).await.unwrap(), "another account is free");
            assert!(store.lease_account("okta", "00u1", "b", 120, 200).await.unwrap(), "it is let go of by time");
            store.release_account("okta", "00u1", "a").await.unwrap();
            assert!(!store.lease_account("okta", "00u1", "a", 130, 230).await.unwrap(), "nobody lets go of another's");
            store.release_account("OKTA", "00u1", "b").await.unwrap();
            assert!(store.lease_account("okta", "00u1", "a", 130, 230).await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_notice_is_sent_by_one_and_only_when_it_is_true() {
        for (_folder, store) in stores().await {
            store.hold_notice("1", "reset one", None, "sealed", 0).await.unwrap();
            store.hold_notice("2", "reset two", None, "sealed", 0).await.unwrap();
            assert!(store.take_due_notice(10, 20).await.unwrap().is_none(), "held notices are not sent");
            store.release_notices("reset one", 10).await.unwrap();
            store.drop_held_notices("reset two").await.unwrap();
            let taken = store.take_due_notice(10, 70).await.unwrap().unwrap();
            assert_eq!((taken.id.as_str(), taken.attempts), ("1", 1));
            assert!(store.take_due_notice(60, 99).await.unwrap().is_none(), "nobody else takes it meanwhile");
            assert_eq!(store.take_due_notice(70, 99).await.unwrap().unwrap().attempts, 2);
            store.drop_notice("1").await.unwrap();
            assert_eq!(store.count_waiting_notices().await.unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn a_notice_that_waits_is_overtaken_by_a_later_one_and_a_copy_is_not() {
        for (_folder, store) in stores().await {
            for (id, subject, about) in [
                ("1", "reset one", Some("password okta ada")),
                ("2", "reset one", None),
                ("3", "reset two", Some("password okta ada")),
                ("4", "reset three", Some("password okta bob")),
                ("5", "held", Some("password okta ada")),
            ] {
                store.hold_notice(id, subject, about, "sealed", 0).await.unwrap();
            }
            for subject in ["reset one", "reset two", "reset three"] {
                store.release_notices(subject, 10).await.unwrap();
            }
            assert_eq!(store.drop_overtaken_notices("password okta ada", "reset two").await.unwrap(), 1);
            let mut left = Vec::new();
            while let Some(taken) = store.take_due_notice(10, 99).await.unwrap() {
                left.push(taken.id);
            }
            assert_eq!(left, ["2", "3", "4"]);
            assert_eq!(store.held_notices("held").await.unwrap().len(), 1, "whoever holds it is still at work");
        }
    }

    #[tokio::test]
    async fn a_link_is_good_once_until_its_time_and_until_there_is_a_newer_one() {
        for (_folder, store) in stores().await {
            let link = |id: &str| PasswordLink {
                id: id.to_owned(),
                connection: "Okta".to_owned(),
                account: "00u1".to_owned(),
                login: "ada@example.com".to_owned(),
                setting: "Link".to_owned(),
                expires_ms: 100,
            };
            store.add_link(&link("a"), 0, -1).await.unwrap();
            assert_eq!(store.good_link("a", 99).await.unwrap().unwrap().login, "ada@example.com");
            assert!(store.good_link("a", 100).await.unwrap().is_none());
            assert!(store.use_link("a", 50).await.unwrap() && !store.use_link("a", 50).await.unwrap());
            assert!(store.good_link("a", 50).await.unwrap().is_none());
            store.restore_link("a").await.unwrap();
            store.add_link(&link("b"), 60, -1).await.unwrap();
            assert!(store.good_link("a", 70).await.unwrap().is_none(), "a newer link ends the older");
            assert!(store.good_link("b", 70).await.unwrap().is_some());
        }
    }
}
