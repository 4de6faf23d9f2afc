//! The tokens of the API: their names, roles and connections. Of a token its hash alone is kept, and when it was last used.

use sqlx::Row;

use super::Store;

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// The public half, by which it is found.
    pub prefix: String,
    /// As it was spelt.
    pub name: String,
    /// SHA-256 of the secret half, in hexadecimal digits.
    pub hash: String,
    /// What its holder may do.
    pub role: String,
    /// The connections it holds for; none where it holds for all.
    pub connections: Option<Vec<String>>,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it ends by itself.
    pub ends_ms: Option<i64>,
    /// When somebody ended it.
    pub revoked_ms: Option<i64>,
    /// When it was last used, to the minute.
    pub last_used_ms: Option<i64>,
}

const COLUMNS: &str =
    "SELECT prefix, name, hash, role, connections, created_ms, ends_ms, revoked_ms, last_used_ms FROM tokens";

impl Store {
    /// Adds a token; whether its name was free.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn add_token(&self, token: &TokenRecord) -> anyhow::Result<bool> {
        let statement = "INSERT INTO tokens (prefix, name, folded, hash, role, connections, created_ms, ends_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
        let connections = token.connections.as_ref().map(serde_json::to_string).transpose()?;
        let query = sqlx::query(statement).bind(&token.prefix).bind(&token.name).bind(token.name.to_lowercase());
        let query = query.bind(&token.hash).bind(&token.role).bind(connections).bind(token.created_ms);
        Ok(query.bind(token.ends_ms).execute(&self.pool).await?.rows_affected() > 0)
    }

    /// The token with this public half, in force or not.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn token(&self, prefix: &str) -> anyhow::Result<Option<TokenRecord>> {
        let statement = sqlx::AssertSqlSafe(format!("{COLUMNS} WHERE prefix = $1"));
        let row = sqlx::query(statement).bind(prefix).fetch_optional(&self.pool).await?;
        row.as_ref().map(token).transpose()
    }

    /// All tokens, those that were revoked too, by name.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn tokens(&self) -> anyhow::Result<Vec<TokenRecord>> {
        let statement = sqlx::AssertSqlSafe(format!("{COLUMNS} ORDER BY folded, created_ms"));
        sqlx::query(statement).fetch_all(&self.pool).await?.iter().map(token).collect()
    }

    /// Ends the token of this name, whatever the case; whether there was one in force.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn revoke_token(&self, name: &str, now_ms: i64) -> anyhow::Result<bool> {
        let statement = "UPDATE tokens SET revoked_ms = $2 WHERE folded = $1 AND revoked_ms IS NULL";
        let query = sqlx::query(statement).bind(name.to_lowercase()).bind(now_ms);
        Ok(query.execute(&self.pool).await?.rows_affected() > 0)
    }

    /// Notes that a token was used.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn note_token_use(&self, prefix: &str, now_ms: i64) -> anyhow::Result<()> {
        let statement = sqlx::query("UPDATE tokens SET last_used_ms = $2 WHERE prefix = $1");
        statement.bind(prefix).bind(now_ms).execute(&self.pool).await?;
        Ok(())
    }
}

fn token(row: &sqlx::any::AnyRow) -> anyhow::Result<TokenRecord> {
    let connections: Option<String> = row.try_get(4)?;
    Ok(TokenRecord {
        prefix: row.try_get(0)?,
        name: row.try_get(1)?,
        hash: row.try_get(2)?,
        role: row.try_get(3)?,
        connections: connections.as_deref().map(serde_json::from_str).transpose()?,
        created_ms: row.try_get(5)?,
        ends_ms: row.try_get(6)?,
        revoked_ms: row.try_get(7)?,
        last_used_ms: row.try_get(8)?,
    })
}
