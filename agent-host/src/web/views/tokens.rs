//! Tokens of the API: who has one, made and revoked. For administrators alone.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Refusal, Result, everywhere, shown, shown_once::ShownOnce};
use crate::{
    access::{Caller, Role, Scope},
    store::TokenRecord,
    tokens::{self, WantedToken},
    web::Web,
};

const DAY_MS: i64 = 24 * 3_600_000;

/// All tokens.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenList {
    /// In the order of the store.
    pub tokens: Vec<TokenView>,
}

/// A token, as far as it is told.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenView {
    /// Its name.
    pub token: String,
    /// Its public half.
    pub prefix: String,
    /// `viewer`, `operator` or `administrator`.
    pub role: String,
    /// The connections it holds for; none for all.
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

/// A new token, told this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewTokenView {
    /// Its name.
    pub name: String,
    /// The token.
    pub token: ShownOnce,
}

/// The tokens.
///
/// # Errors
/// Where the caller may not.
pub async fn tokens(web: &Web, caller: &Caller) -> Result<TokenList> {
    everywhere(caller, Role::Administrator)?;
    Ok(TokenList { tokens: web.store().tokens().await?.into_iter().map(Into::into).collect() })
}

/// Makes a token, good for so many days; for all connections where none is named.
///
/// # Errors
/// Where the caller may not; a name that cannot be one or is taken, no such role or connection.
pub async fn create(
    web: &Web,
    caller: &Caller,
    name: &str,
    role: &str,
    connections: Vec<String>,
    days: Option<u16>,
) -> Result<NewTokenView> {
    everywhere(caller, Role::Administrator)?;
    let role = role.parse::<Role>().map_err(|_| {
        Refusal::unfit(format!("no role is called `{}`", shown(role)), "choose viewer, operator or administrator")
    })?;
    for connection in &connections {
        web.agent.settings.connection(connection)?;
    }
    let now_ms = web.now_ms();
    let wanted = WantedToken {
        name: name.to_owned(),
        role,
        scope: if connections.is_empty() { Scope::All } else { Scope::Connections(connections) },
        ends_ms: days.map(|days| now_ms + i64::from(days) * DAY_MS),
    };
    let made = tokens::create(web.store(), &wanted, &caller.name, now_ms).await?;
    Ok(NewTokenView { name: wanted.name, token: ShownOnce(made.token()) })
}

/// Ends a token.
///
/// # Errors
/// Where the caller may not, or none of this name is in force.
pub async fn revoke(web: &Web, caller: &Caller, name: &str) -> Result<()> {
    everywhere(caller, Role::Administrator)?;
    Ok(tokens::revoke(web.store(), name, &caller.name, web.now_ms()).await?)
}

impl From<TokenRecord> for TokenView {
    fn from(record: TokenRecord) -> Self {
        Self {
            token: record.name,
            prefix: record.prefix,
            role: record.role,
            connections: record.connections,
            created_ms: record.created_ms,
            ends_ms: record.ends_ms,
            revoked_ms: record.revoked_ms,
            last_used_ms: record.last_used_ms,
        }
    }
}
