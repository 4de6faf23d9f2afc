//! Forms of the dashboard that were sent, so that each is obeyed once, by whichever agent it comes to.

use anyhow::Context;

use super::Store;

impl Store {
    /// Uses a form up; whether it was not before. Those used before `forget_ms` are forgotten.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn use_form(&self, form: &str, now_ms: i64, forget_ms: i64) -> anyhow::Result<bool> {
        let old = sqlx::query("DELETE FROM used_forms WHERE used_ms < $1").bind(forget_ms);
        old.execute(&self.pool).await.context("forgetting old forms")?;
        let statement = "INSERT INTO used_forms (form, used_ms) VALUES ($1, $2) ON CONFLICT (form) DO NOTHING";
        let used = sqlx::query(statement).bind(form).bind(now_ms).execute(&self.pool).await.context("using a form")?;
        Ok(used.rows_affected() > 0)
    }
}

#[cfg(test)]
mod tests {
    use crate::store::tests::stores;

    #[tokio::test]
    async fn a_form_is_used_once_until_it_is_forgotten() {
        for (_folder, store) in stores().await {
            assert!(store.use_form("a", 10, 0).await.unwrap());
            assert!(!store.use_form("a", 20, 10).await.unwrap());
            assert!(store.use_form("b", 20, 10).await.unwrap());
            assert!(store.use_form("a", 30, 11).await.unwrap(), "it was forgotten");
        }
    }
}
