//! Fulfilment as it is looked through: its runs, what each reported, what waits for an approval; and the orders that came
//! by the API under a key.

use sqlx::{Row, any::AnyRow};

use super::{ReportedOrder, Store};

/// How long a key of the API is remembered.
const KEYS_KEPT_MS: i64 = 48 * 3_600_000;

/// A run of fulfilment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRun {
    /// Its number.
    pub id: i64,
    /// When it began.
    pub began_ms: i64,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// Where its results are, if there are any.
    pub results: Option<String>,
    /// Orders that it reported as executed.
    pub executed: i64,
    /// Orders that it reported as errored.
    pub errored: i64,
}

/// An approval that somebody may give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedApproval {
    /// By which it is given.
    pub code: String,
    /// When it was offered.
    pub issued_ms: i64,
    /// Until when it may be given.
    pub expires_ms: i64,
    /// The orders folder in which the orders wait, where not every agent sees it.
    pub place: Option<String>,
    /// The machine of the agent that found them to be too much.
    pub machine: Option<String>,
}

/// Orders that came under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderDelivery {
    /// The SHA-256 of what was sent.
    pub digest: String,
    /// The name of the file it became.
    pub file: String,
    /// How many orders it holds.
    pub orders: i64,
    /// The run that was queued for it; none where the agent ended in between.
    pub run: Option<i64>,
    /// The orders folder that it goes into, where not every agent sees it; else empty.
    pub place: String,
}

/// Who sent orders where under which key.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryKey<'a> {
    /// Who sent them.
    pub caller: &'a str,
    /// To which connection.
    pub connection: &'a str,
    /// The key.
    pub key: &'a str,
}

impl Store {
    /// The newest runs of the connection before this one, the newest first; only this one, where it is given.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn order_runs(
        &self,
        connection: &str,
        only: Option<i64>,
        before: i64,
        most: i64,
    ) -> anyhow::Result<Vec<OrderRun>> {
        let statement = "SELECT id, began_ms, ended_ms, results, \
             (SELECT COUNT(*) FROM orders WHERE run = runs.id AND state = 'Executed'), \
             (SELECT COUNT(*) FROM orders WHERE run = runs.id AND state <> 'Executed') \
             FROM runs WHERE connection = $1 AND ($2 = 0 OR id = $2) AND id < $3 ORDER BY id DESC LIMIT $4";
        let query = sqlx::query(statement).bind(connection.to_lowercase()).bind(only.unwrap_or(0));
        let rows = query.bind(before).bind(most).fetch_all(&self.pool).await?;
        let run = |row: &AnyRow| {
            Ok(OrderRun {
                id: row.try_get(0)?,
                began_ms: row.try_get(1)?,
                ended_ms: row.try_get(2)?,
                results: row.try_get(3)?,
                executed: row.try_get(4)?,
                errored: row.try_get(5)?,
            })
        };
        rows.iter().map(run).collect()
    }

    /// What the run reported, from this place on; only what errored, where that is asked for.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn reported_page(
        &self,
        run: i64,
        only_errored: bool,
        skip: i64,
        most: i64,
    ) -> anyhow::Result<Vec<ReportedOrder>> {
        let statement = "SELECT id, state, message, change_type, owner_id, owner_type, changed FROM orders \
             WHERE run = $1 AND ($2 = 0 OR state <> 'Executed') ORDER BY order_file, position LIMIT $4 OFFSET $3";
        let query = sqlx::query(statement).bind(run).bind(i64::from(only_errored)).bind(skip).bind(most);
        let order = |row: &AnyRow| {
            let changed: i64 = row.try_get(6)?;
            Ok(ReportedOrder {
                id: row.try_get(0)?,
                state: row.try_get(1)?,
                message: row.try_get(2)?,
                change_type: row.try_get(3)?,
                owner_id: row.try_get(4)?,
                owner_type: row.try_get(5)?,
                changed: changed != 0,
            })
        };
        query.fetch_all(&self.pool).await?.iter().map(order).collect()
    }

    /// How many orders of a file that is at work have an outcome.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn outcomes_of(&self, order_file: i64) -> anyhow::Result<i64> {
        let statement = "SELECT COUNT(*) FROM orders WHERE order_file = $1";
        let (count,): (i64,) = sqlx::query_as(statement).bind(order_file).fetch_one(&self.pool).await?;
        Ok(count)
    }

    /// The approvals of the connection that may still be given, the newest first.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn offered_approvals(&self, connection: &str, now_ms: i64) -> anyhow::Result<Vec<OfferedApproval>> {
        let statement = "SELECT code, issued_ms, expires_ms, place, machine FROM approvals WHERE connection = $1 \
             AND used_ms IS NULL AND spent_ms IS NULL AND expires_ms > $2 ORDER BY issued_ms DESC LIMIT 100";
        let query = sqlx::query(statement).bind(connection.to_lowercase()).bind(now_ms);
        let offered = |row: &AnyRow| {
            Ok(OfferedApproval {
                code: row.try_get(0)?,
                issued_ms: row.try_get(1)?,
                expires_ms: row.try_get(2)?,
                place: row.try_get(3)?,
                machine: row.try_get(4)?,
            })
        };
        query.fetch_all(&self.pool).await?.iter().map(offered).collect()
    }

    /// The orders folder that a run of a job waited for; none where it was no particular one.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn place_of_run(&self, run: i64) -> anyhow::Result<Option<String>> {
        let query = sqlx::query_as("SELECT place FROM job_runs WHERE id = $1").bind(run);
        let row: Option<(Option<String>,)> = query.fetch_optional(&self.pool).await?;
        Ok(row.and_then(|(place,)| place))
    }

    /// What came under this key before; else notes that this comes now. Old keys are forgotten.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn begin_delivery(
        &self,
        key: DeliveryKey<'_>,
        delivery: &OrderDelivery,
        now_ms: i64,
    ) -> anyhow::Result<OrderDelivery> {
        let old = sqlx::query("DELETE FROM order_deliveries WHERE at_ms < $1").bind(now_ms - KEYS_KEPT_MS);
        old.execute(&self.pool).await?;
        let statement = "INSERT INTO order_deliveries (caller, connection, idempotency_key, digest, file, orders, at_ms, place) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
        let query = sqlx::query(statement).bind(key.caller).bind(key.connection.to_lowercase()).bind(key.key);
        let query =
            query.bind(&delivery.digest).bind(&delivery.file).bind(delivery.orders).bind(now_ms).bind(&delivery.place);
        query.execute(&self.pool).await?;
        let statement = "SELECT digest, file, orders, run, place FROM order_deliveries \
             WHERE caller = $1 AND connection = $2 AND idempotency_key = $3";
        let query = sqlx::query(statement).bind(key.caller).bind(key.connection.to_lowercase()).bind(key.key);
        let row = query.fetch_one(&self.pool).await?;
        Ok(OrderDelivery {
            digest: row.try_get(0)?,
            file: row.try_get(1)?,
            orders: row.try_get(2)?,
            run: row.try_get(3)?,
            place: row.try_get(4)?,
        })
    }

    /// Notes the run that was queued for what came under this key.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn end_delivery(&self, key: DeliveryKey<'_>, run: i64) -> anyhow::Result<()> {
        let statement = "UPDATE order_deliveries SET run = $4 \
             WHERE caller = $1 AND connection = $2 AND idempotency_key = $3 AND run IS NULL";
        let query = sqlx::query(statement).bind(key.caller).bind(key.connection.to_lowercase()).bind(key.key);
        query.bind(run).execute(&self.pool).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Offer, tests::stores};

    #[tokio::test]
    async fn what_comes_under_one_key_is_known_for_two_days() {
        for (_folder, store) in stores().await {
            let key = DeliveryKey { caller: "token a", connection: "Okta", key: "1" };
            let delivery = |digest: &str| OrderDelivery {
                digest: digest.to_owned(),
                file: "a.json".to_owned(),
                orders: 2,
                run: None,
                place: String::new(),
            };
            assert_eq!(store.begin_delivery(key, &delivery("x"), 1).await.unwrap(), delivery("x"));
            store.end_delivery(key, 7).await.unwrap();
            let known = OrderDelivery { run: Some(7), ..delivery("x") };
            assert_eq!(store.begin_delivery(key, &delivery("y"), KEYS_KEPT_MS).await.unwrap(), known);
            let other = DeliveryKey { caller: "token b", ..key };
            assert_eq!(store.begin_delivery(other, &delivery("y"), 2).await.unwrap(), delivery("y"));
            assert_eq!(store.begin_delivery(key, &delivery("y"), KEYS_KEPT_MS + 2).await.unwrap(), delivery("y"));
        }
    }

    #[tokio::test]
    async fn runs_and_approvals_are_looked_through() {
        for (_folder, store) in stores().await {
            let first = store.begin_run("okta", 1).await.unwrap();
            let second = store.begin_run("okta", 2).await.unwrap();
            store.begin_run("other", 3).await.unwrap();
            let runs = store.order_runs("Okta", None, i64::MAX, 5).await.unwrap();
            assert_eq!(runs.iter().map(|run| (run.id, run.executed)).collect::<Vec<_>>(), [(second, 0), (first, 0)]);
            assert_eq!(store.order_runs("Okta", Some(first), i64::MAX, 1).await.unwrap().len(), 1);
            assert!(store.reported_page(first, true, 0, 10).await.unwrap().is_empty());
            assert_eq!(store.outcomes_of(1).await.unwrap(), 0);
            let (place, machine) = (Some("folder"), Some("m"));
            let (connection, digest, code, now_ms, expires_ms) = ("okta", "d", "code", 1, 100);
            let offer = Offer { connection, digest, code, place, machine, now_ms, expires_ms };
            store.offer_approval(&offer).await.unwrap();
            let (code, place, machine) = (code.to_owned(), place.map(str::to_owned), machine.map(str::to_owned));
            let offered = OfferedApproval { code, issued_ms: 1, expires_ms: 100, place, machine };
            assert_eq!(store.offered_approvals("Okta", 99).await.unwrap(), [offered]);
            assert!(store.offered_approvals("okta", 100).await.unwrap().is_empty());
        }
    }
}
