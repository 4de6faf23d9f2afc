//! The agents that share the database: who they are, when they were last seen, whom they send requests to.

use anyhow::Context;
use sqlx::Row;

use super::{Store, only};

/// An agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentRecord {
    /// Kept in its work folder.
    pub id: String,
    /// The name of its machine.
    pub machine: String,
    /// How often it was started.
    pub starts: i64,
    /// When it was started the last time.
    pub started_ms: i64,
    /// Its last sign of life; 0 where it has ended.
    pub seen_ms: i64,
    /// The hosts of its connections.
    pub organisations: Vec<String>,
}

impl Store {
    /// Notes that an agent was started; the number of this start.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn start_agent(&self, id: &str, machine: &str, now_ms: i64) -> anyhow::Result<i64> {
        let statement = "INSERT INTO agents (id, machine, starts, started_ms, seen_ms, organisations) \
             VALUES ($1, $2, 1, $3, $3, '') ON CONFLICT (id) DO UPDATE SET machine = excluded.machine, \
             starts = agents.starts + 1, started_ms = excluded.started_ms, seen_ms = excluded.seen_ms RETURNING starts";
        let query = sqlx::query_as(statement).bind(id).bind(machine).bind(now_ms);
        let row: Option<(i64,)> = only(query.fetch_all(&self.pool).await).context("noting the start of the agent")?;
        let (starts,) = row.context("noting the start of the agent: the store gave nothing back")?;
        Ok(starts)
    }

    /// Notes a sign of life.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn see_agent(&self, id: &str, organisations: &[String], now_ms: i64) -> anyhow::Result<()> {
        let statement = "UPDATE agents SET seen_ms = $2, organisations = $3 WHERE id = $1";
        let query = sqlx::query(statement).bind(id).bind(now_ms).bind(organisations.join("\n"));
        query.execute(&self.pool).await.context("noting a sign of life")?;
        Ok(())
    }

    /// Notes that an agent has ended.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn end_agent(&self, id: &str) -> anyhow::Result<()> {
        sqlx::query("UPDATE agents SET seen_ms = 0 WHERE id = $1").bind(id).execute(&self.pool).await?;
        Ok(())
    }

    /// Agents that were seen at this time or later.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn agents(&self, since_ms: i64) -> anyhow::Result<Vec<AgentRecord>> {
        let statement = "SELECT id, machine, starts, started_ms, seen_ms, organisations FROM agents \
             WHERE seen_ms >= $1 ORDER BY id";
        let rows = sqlx::query(statement).bind(since_ms).fetch_all(&self.pool).await?;
        let agent = |row: &sqlx::any::AnyRow| -> Result<AgentRecord, sqlx::Error> {
            let organisations: String = row.try_get(5)?;
            Ok(AgentRecord {
                id: row.try_get(0)?,
                machine: row.try_get(1)?,
                starts: row.try_get(2)?,
                started_ms: row.try_get(3)?,
                seen_ms: row.try_get(4)?,
                organisations: organisations.lines().map(str::to_owned).collect(),
            })
        };
        Ok(rows.iter().map(agent).collect::<Result<_, _>>()?)
    }

    /// The time by the clock of the server; none where the store is a file.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn server_clock_ms(&self) -> anyhow::Result<Option<i64>> {
        if !self.is_shared {
            return Ok(None);
        }
        let statement = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
        let (now,): (i64,) = sqlx::query_as(statement).fetch_one(&self.pool).await?;
        Ok(Some(now))
    }
}

#[cfg(test)]
mod tests {
    use crate::store::tests::stores;

    #[tokio::test]
    async fn agents_are_seen_until_they_end_and_starts_are_counted() {
        for (_folder, store) in stores().await {
            assert_eq!(store.start_agent("a", "one", 10).await.unwrap(), 1);
            assert_eq!(store.start_agent("a", "two", 20).await.unwrap(), 2);
            store.start_agent("b", "one", 5).await.unwrap();
            store.see_agent("a", &["x".to_owned(), "y".to_owned()], 30).await.unwrap();
            let seen = store.agents(15).await.unwrap();
            assert_eq!((seen.len(), seen[0].machine.as_str(), seen[0].organisations.len()), (1, "two", 2));
            store.end_agent("a").await.unwrap();
            assert!(store.agents(15).await.unwrap().is_empty());
            assert_eq!(store.server_clock_ms().await.unwrap().is_some(), store.is_shared());
        }
    }
}
