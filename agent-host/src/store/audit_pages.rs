//! The audit as it is looked through: page by page, and filtered.

use sqlx::AssertSqlSafe;

use super::{AuditRecord, Store, audit::record};

/// Which lines of the audit are wanted; an empty text wants all.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Of these connections alone, whatever the case.
    pub connections: Option<Vec<String>>,
    /// What was done.
    pub action: String,
    /// Who asked for it.
    pub actor: String,
    /// To whom: the account, or what its owner signs in with.
    pub account: String,
    /// Not before this time.
    pub from_ms: Option<i64>,
    /// Before this time.
    pub until_ms: Option<i64>,
}

impl Store {
    /// The newest lines behind the one of this time and id, the newest first.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn audit_page(
        &self,
        filter: &AuditFilter,
        behind: Option<(i64, &str)>,
        most: i64,
    ) -> anyhow::Result<Vec<AuditRecord>> {
        if filter.connections.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        let mut statement = "SELECT id, at_ms, action_id, action, actor, connection, account, login, mode, outcome, \
             request_id, note FROM audit WHERE (at_ms < $1 OR (at_ms = $1 AND id < $2)) AND ($3 = '' OR action = $3) \
             AND ($4 = '' OR actor = $4) AND ($5 = '' OR account = $5 OR login = $5) AND at_ms >= $6 AND at_ms < $7"
            .to_owned();
        if let Some(connections) = &filter.connections {
            let places: Vec<String> = (0..connections.len()).map(|at| format!("${}", at + 9)).collect();
            statement.push_str(&format!(" AND connection IN ({})", places.join(", ")));
        }
        statement.push_str(" ORDER BY at_ms DESC, id DESC LIMIT $8");
        let (at_ms, id) = behind.unwrap_or((i64::MAX, ""));
        let query = sqlx::query(AssertSqlSafe(statement)).bind(at_ms).bind(id);
        let query = query.bind(&filter.action).bind(&filter.actor).bind(&filter.account);
        let query = query.bind(filter.from_ms.unwrap_or(i64::MIN)).bind(filter.until_ms.unwrap_or(i64::MAX));
        let mut query = query.bind(most);
        for connection in filter.connections.iter().flatten() {
            query = query.bind(connection.to_lowercase());
        }
        query.fetch_all(&self.pool).await?.iter().map(record).collect()
    }
}
