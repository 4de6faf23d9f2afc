//! Leave to go over a safety limit: given for one set of orders, once, and not for ever.

use super::Store;

/// An approval that was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// What the operator types.
    pub code: String,
    /// The set of orders.
    pub digest: String,
    /// The orders folder in which they wait, where not every agent sees it.
    pub place: Option<String>,
    /// What has become of it.
    pub state: ApprovalState,
}

/// An approval that is offered.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The connection, in lower case.
    pub connection: &'a str,
    /// The set of orders.
    pub digest: &'a str,
    /// What the operator types.
    pub code: &'a str,
    /// The orders folder in which they wait, where not every agent sees it.
    pub place: Option<&'a str>,
    /// The machine of the agent that found them to be too much; none where there is one agent alone.
    pub machine: Option<&'a str>,
    /// When it is offered.
    pub now_ms: i64,
    /// Until when it may be used.
    pub expires_ms: i64,
}

/// What has become of an approval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApprovalState {
    /// It was offered and may be used.
    Offered,
    /// Nobody used it in time, or its orders were never all reported.
    Expired,
    /// Its orders are being carried out, or a run that did so was cut off.
    Used,
    /// All its orders were reported.
    Spent,
}

/// How long an approval serves the runs that carry its orders out.
const USED_FOR_MS: i64 = 7 * 86_400_000;

const COLUMNS: &str = "code, digest, place, expires_ms, used_ms, spent_ms";

type Row = (String, String, Option<String>, i64, Option<i64>, Option<i64>);

impl Store {
    /// The approval that may be used, or is being used, for this set of orders in this place.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn approval_of(
        &self,
        connection: &str,
        digest: &str,
        place: Option<&str>,
        now_ms: i64,
    ) -> anyhow::Result<Option<Approval>> {
        let statement = format!(
            "SELECT {COLUMNS} FROM approvals WHERE connection = $1 AND digest = $2 AND spent_ms IS NULL \
             AND (place IS NULL OR place = $3) ORDER BY issued_ms DESC"
        );
        let query = sqlx::query_as(sqlx::AssertSqlSafe(statement)).bind(connection).bind(digest).bind(place);
        let rows: Vec<Row> = query.fetch_all(&self.pool).await?;
        let mut approvals = rows.into_iter().map(|row| approval(row, now_ms));
        Ok(approvals.find(|it| matches!(it.state, ApprovalState::Offered | ApprovalState::Used)))
    }

    /// The approval with this code.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn approval(&self, connection: &str, code: &str, now_ms: i64) -> anyhow::Result<Option<Approval>> {
        let statement = format!("SELECT {COLUMNS} FROM approvals WHERE connection = $1 AND code = $2");
        let query = sqlx::query_as(sqlx::AssertSqlSafe(statement)).bind(connection).bind(code);
        let row: Option<Row> = query.fetch_optional(&self.pool).await?;
        Ok(row.map(|row| approval(row, now_ms)))
    }

    /// Offers an approval.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn offer_approval(&self, offer: &Offer<'_>) -> anyhow::Result<()> {
        let statement = "INSERT INTO approvals (code, connection, digest, place, machine, issued_ms, expires_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (code) DO NOTHING";
        let query = sqlx::query(statement).bind(offer.code).bind(offer.connection).bind(offer.digest);
        let query = query.bind(offer.place).bind(offer.machine).bind(offer.now_ms).bind(offer.expires_ms);
        query.execute(&self.pool).await?;
        Ok(())
    }

    /// Notes that an approval is being used.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn use_approval(&self, code: &str, now_ms: i64) -> anyhow::Result<()> {
        let statement = sqlx::query("UPDATE approvals SET used_ms = $2 WHERE code = $1 AND used_ms IS NULL");
        statement.bind(code).bind(now_ms).execute(&self.pool).await?;
        Ok(())
    }

    /// Notes that the orders of an approval are all reported: it serves no more.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn spend_approval(&self, code: &str, now_ms: i64) -> anyhow::Result<()> {
        let statement = sqlx::query("UPDATE approvals SET spent_ms = $2 WHERE code = $1");
        statement.bind(code).bind(now_ms).execute(&self.pool).await?;
        Ok(())
    }
}

fn approval((code, digest, place, expires_ms, used_ms, spent_ms): Row, now_ms: i64) -> Approval {
    let state = match (spent_ms, used_ms) {
        (Some(_), _) => ApprovalState::Spent,
        // A run that was cut off goes on with it, but not weeks later, when the same orders come anew.
        (None, Some(used_ms)) if used_ms + USED_FOR_MS <= now_ms => ApprovalState::Expired,
        (None, Some(_)) => ApprovalState::Used,
        (None, None) if expires_ms <= now_ms => ApprovalState::Expired,
        (None, None) => ApprovalState::Offered,
    };
    Approval { code, digest, place, state }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::stores;

    #[tokio::test]
    async fn an_approval_serves_one_set_of_orders_once_and_in_time() {
        for (_folder, store) in stores().await {
            let state =
                async |now_ms| store.approval("okta", "code", now_ms).await.unwrap().map(|approval| approval.state);
            let offer = |digest, place| Offer {
                connection: "okta",
                digest,
                code: "code",
                place,
                machine: None,
                now_ms: 1,
                expires_ms: 10,
            };
            store.offer_approval(&offer("digest", None)).await.unwrap();
            store.offer_approval(&Offer { expires_ms: 99, ..offer("another", None) }).await.unwrap();
            assert_eq!((state(9).await, state(10).await), (Some(ApprovalState::Offered), Some(ApprovalState::Expired)));
            assert_eq!(
                store.approval_of("okta", "another", None, 5).await.unwrap(),
                None,
                "the code is the first one's"
            );
            store.use_approval("code", 5).await.unwrap();
            assert_eq!(state(50).await, Some(ApprovalState::Used));
            assert_eq!(state(5 + USED_FOR_MS).await, Some(ApprovalState::Expired));
            assert!(
                store.approval_of("okta", "digest", Some("here"), 50).await.unwrap().is_some(),
                "it is of no place"
            );
            store.spend_approval("code", 60).await.unwrap();
            assert_eq!(state(61).await, Some(ApprovalState::Spent));
            assert_eq!(store.approval_of("okta", "digest", None, 61).await.unwrap(), None);
            store.offer_approval(&Offer { code: "here", ..offer("both", Some("here")) }).await.unwrap();
            store.offer_approval(&Offer { code: "there", ..offer("both", Some("there")) }).await.unwrap();
            for place in ["here", "there"] {
                let found = store.approval_of("okta", "both", Some(place), 5).await.unwrap().expect("each has its own");
                assert_eq!((found.code.as_str(), found.place.as_deref()), (place, Some(place)));
            }
        }
    }
}
