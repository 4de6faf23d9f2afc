//! What the last check of each connection found, so that everybody sees it without asking the managed system again.

use super::Store;

impl Store {
    /// Notes what a check found, as JSON.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn note_check(&self, connection: &str, report: &str, now_ms: i64) -> anyhow::Result<()> {
        let statement = "INSERT INTO connection_checks (connection, at_ms, report) VALUES ($1, $2, $3) \
             ON CONFLICT (connection) DO UPDATE SET at_ms = excluded.at_ms, report = excluded.report";
        let query = sqlx::query(statement).bind(connection.to_lowercase()).bind(now_ms).bind(report);
        query.execute(&self.pool).await?;
        Ok(())
    }

    /// When the connection was last checked, and what was found.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn last_check(&self, connection: &str) -> anyhow::Result<Option<(i64, String)>> {
        let statement = "SELECT at_ms, report FROM connection_checks WHERE connection = $1";
        Ok(sqlx::query_as(statement).bind(connection.to_lowercase()).fetch_optional(&self.pool).await?)
    }
}
