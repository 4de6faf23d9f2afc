//! What imports remember: how many records the source had when they last went through.

use super::Store;

impl Store {
    /// How many records the source of the import had; none where the import never went through.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn imported_records(&self, import: &str) -> anyhow::Result<Option<u64>> {
        let query = sqlx::query_as("SELECT records FROM imports WHERE name = $1").bind(import.to_lowercase());
        let row: Option<(i64,)> = query.fetch_optional(&self.pool).await?;
        Ok(row.and_then(|(records,)| u64::try_from(records).ok()))
    }

    /// Notes that the import went through.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn note_import(&self, import: &str, records: u64, now_ms: i64) -> anyhow::Result<()> {
        let statement = "INSERT INTO imports (name, records, ended_ms) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET records = excluded.records, ended_ms = excluded.ended_ms";
        let query = sqlx::query(statement).bind(import.to_lowercase()).bind(i64::try_from(records)?).bind(now_ms);
        query.execute(&self.pool).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::store::tests::stores;

    #[tokio::test]
    async fn the_last_import_that_went_through_is_remembered_whatever_the_case() {
        for (_folder, store) in stores().await {
            assert_eq!(store.imported_records("Staff").await.unwrap(), None);
            for records in [10, 12] {
                store.note_import("Staff", records, 1).await.unwrap();
            }
            assert_eq!(store.imported_records("STAFF").await.unwrap(), Some(12));
        }
    }
}
