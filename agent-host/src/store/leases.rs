//! What one process at a time may do, on whatever machine: held by a name, for a time, and renewed while it is at it.

use anyhow::Context;

use super::Store;

/// By whom notes may be kept: nobody else may take them at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    /// The lease.
    pub name: String,
    /// Who must have it.
    pub holder: String,
}

impl Store {
    /// Takes a lease that nobody has, whose time is over, or that is the holder's already; whether it was taken.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn take_lease(&self, fence: &Fence, now_ms: i64, until_ms: i64) -> anyhow::Result<bool> {
        let statement = "INSERT INTO leases (name, holder, until_ms) VALUES ($1, $2, $3) ON CONFLICT (name) \
             DO UPDATE SET holder = excluded.holder, until_ms = excluded.until_ms \
             WHERE leases.until_ms < $4 OR leases.holder = excluded.holder";
        let query = sqlx::query(statement).bind(&fence.name).bind(&fence.holder).bind(until_ms).bind(now_ms);
        Ok(query.execute(&self.pool).await.context("taking a lease")?.rows_affected() > 0)
    }

    /// Renews a lease; whether it was still the holder's.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn renew_lease(&self, fence: &Fence, until_ms: i64) -> anyhow::Result<bool> {
        let statement = "UPDATE leases SET until_ms = $3 WHERE name = $1 AND holder = $2";
        let query = sqlx::query(statement).bind(&fence.name).bind(&fence.holder).bind(until_ms);
        Ok(query.execute(&self.pool).await.context("renewing a lease")?.rows_affected() > 0)
    }

    /// Lets go of a lease, if it is the holder's.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn drop_lease(&self, fence: &Fence) -> anyhow::Result<()> {
        let statement = "DELETE FROM leases WHERE name = $1 AND holder = $2";
        sqlx::query(statement).bind(&fence.name).bind(&fence.holder).execute(&self.pool).await?;
        Ok(())
    }

    /// Lets go of all leases of holders whose names begin so, who are known to be gone.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn drop_leases_of(&self, holders: &str) -> anyhow::Result<()> {
        let statement = "DELETE FROM leases WHERE holder LIKE $1";
        sqlx::query(statement).bind(format!("{holders}%")).execute(&self.pool).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{OrderPlace, tests::stores};

    fn fence(holder: &str) -> Fence {
        Fence { name: "fulfill:okta".to_owned(), holder: holder.to_owned() }
    }

    #[tokio::test]
    async fn a_lease_is_one_holders_until_it_is_over_or_let_go_of() {
        for (_folder, store) in stores().await {
            assert!(store.take_lease(&fence("a"), 0, 10).await.unwrap());
            assert!(!store.take_lease(&fence("b"), 10, 20).await.unwrap());
            assert!(
                store.renew_lease(&fence("a"), 15).await.unwrap() && !store.renew_lease(&fence("b"), 99).await.unwrap()
            );
            assert!(store.take_lease(&fence("b"), 16, 30).await.unwrap(), "its time was over");
            assert!(!store.renew_lease(&fence("a"), 99).await.unwrap(), "the former holder notices");
            store.drop_lease(&fence("a")).await.unwrap();
            assert!(!store.take_lease(&fence("a"), 20, 30).await.unwrap());
            store.drop_leases_of("b").await.unwrap();
            assert!(store.take_lease(&fence("a"), 20, 30).await.unwrap());
        }
    }

    #[tokio::test]
    async fn no_note_is_kept_for_who_has_lost_the_lease() {
        for (_folder, store) in stores().await {
            let file = store.begin_order_file("okta", "digest", ("", "a.json"), 1).await.unwrap();
            let place = |position| OrderPlace { order_file: file, position };
            store.take_lease(&fence("a"), 0, 10).await.unwrap();
            let notes = store.notes(Some(fence("a")));
            notes.begun(place(0), "create", 1).await.unwrap();
            store.take_lease(&fence("b"), 11, 20).await.unwrap();
            let refused = notes.begun(place(1), "create", 12).await.unwrap_err();
            assert!(refused.to_string().contains("another agent"), "{refused}");
            assert_eq!(store.begun(file).await.unwrap().len(), 1);
            store.notes(Some(fence("b"))).begun(place(1), "create", 12).await.unwrap();
        }
    }
}
