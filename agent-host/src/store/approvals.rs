//! Leave to go over a safety limit: given for one set of orders, once, and not for ever.

use super::Store;

/// An approval that was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// What the operator types.
    pub code: String,
    /// The set of orders.
    pub digest: String,
    /// What has become of it.
    pub state: ApprovalState,
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

type Row = (String, String, i64, Option<i64>, Option<i64>);

impl Store {
    /// The approval that may be used, or is being used, for this set of orders.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn approval_of(&self, connection: &str, digest: &str, now_ms: i64) -> anyhow::Result<Option<Approval>> {
        let statement = "SELECT code, digest, expires_ms, used_ms, spent_ms FROM approvals \
             WHERE connection = $1 AND digest = $2 AND spent_ms IS NULL ORDER BY issued_ms DESC";
        let rows: Vec<Row> = sqlx::query_as(statement).bind(connection).bind(digest).fetch_all(&self.pool).await?;
        let mut approvals = rows.into_iter().map(|row| approval(row, now_ms));
        Ok(approvals.find(|it| matches!(it.state, ApprovalState::Offered | ApprovalState::Used)))
    }

    /// The approval with this code.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn approval(&self, connection: &str, code: &str, now_ms: i64) -> anyhow::Result<Option<Approval>> {
        let statement = "SELECT code, digest, expires_ms, used_ms, spent_ms FROM approvals \
             WHERE connection = $1 AND code = $2";
        let row: Option<Row> = sqlx::query_as(statement).bind(connection).bind(code).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| approval(row, now_ms)))
    }

    /// Offers an approval.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn offer_approval(
        &self,
        connection: &str,
        digest: &str,
        code: &str,
        now_ms: i64,
        expires_ms: i64,
    ) -> anyhow::Result<()> {
        let statement = "INSERT INTO approvals (code, connection, digest, issued_ms, expires_ms) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (code) DO NOTHING";
        let query = sqlx::query(statement).bind(code).bind(connection).bind(digest);
        query.bind(now_ms).bind(expires_ms).execute(&self.pool).await?;
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

fn approval((code, digest, expires_ms, used_ms, spent_ms): Row, now_ms: i64) -> Approval {
    let state = match (spent_ms, used_ms) {
        (Some(_), _) => ApprovalState::Spent,
        // A run that was cut off goes on with it, but not weeks later, when the same orders come anew.
        (None, Some(used_ms)) if used_ms + USED_FOR_MS <= now_ms => ApprovalState::Expired,
        (None, Some(_)) => ApprovalState::Used,
        (None, None) if expires_ms <= now_ms => ApprovalState::Expired,
        (None, None) => ApprovalState::Offered,
    };
    Approval { code, digest, state }
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
            store.offer_approval("okta", "digest", "code", 1, 10).await.unwrap();
            store.offer_approval("okta", "another", "code", 2, 99).await.unwrap();
            assert_eq!((state(9).await, state(10).await), (Some(ApprovalState::Offered), Some(ApprovalState::Expired)));
            assert_eq!(store.approval_of("okta", "another", 5).await.unwrap(), None, "the code is the first one's");
            store.use_approval("code", 5).await.unwrap();
            assert_eq!(state(50).await, Some(ApprovalState::Used));
            assert_eq!(state(5 + USED_FOR_MS).await, Some(ApprovalState::Expired));
            assert!(store.approval_of("okta", "digest", 50).await.unwrap().is_some());
            store.spend_approval("code", 60).await.unwrap();
            assert_eq!(state(61).await, Some(ApprovalState::Spent));
            assert_eq!(store.approval_of("okta", "digest", 61).await.unwrap(), None);
        }
    }
}
