//! Tokens of the API: who may call it, as what, and for which connections.
//!
//! A token is told once, when it is made. The store is asked at every call, so that one that was revoked opens nothing any
//! more, whichever process revoked it.

use connector_api::{ConnectionId, Error, ErrorKind, Result};

use crate::{
    access::{Caller, Role, Scope},
    credential::{Credentials, Minted, Scheme},
    password_reset::random_text,
    store::{AuditRecord, Store, TokenRecord},
};

/// The longest name of a token.
const MAX_NAME: usize = 64;
/// The use of a token is noted no more often.
const NOTED_EVERY_MS: i64 = 60_000;

/// A token that is wanted.
#[derive(Debug, Clone)]
pub struct WantedToken {
    /// Its name, by which the audit tells of it.
    pub name: String,
    /// What its holder may do.
    pub role: Role,
    /// And where.
    pub scope: Scope,
    /// When it ends by itself.
    pub ends_ms: Option<i64>,
}

/// Makes a token. `actor` is who asked for it.
///
/// # Errors
/// Of kind `Settings`: a name that cannot be one or is taken, a connection that cannot be one; or the store fails.
pub async fn create(store: &Store, wanted: &WantedToken, actor: &str, now_ms: i64) -> anyhow::Result<Minted> {
    check_name(&wanted.name)?;
    let connections = match &wanted.scope {
        Scope::All => None,
        Scope::Connections(names) => Some(names.clone()),
    };
    for name in connections.iter().flatten() {
        name.parse::<ConnectionId>()?;
    }
    let minted = Minted::new(false)?;
    let record = TokenRecord {
        prefix: minted.prefix.clone(),
        name: wanted.name.clone(),
        hash: minted.hash(),
        role: wanted.role.name().to_owned(),
        connections,
        created_ms: now_ms,
        ends_ms: wanted.ends_ms,
        revoked_ms: None,
        last_used_ms: None,
    };
    if !store.add_token(&record).await? {
        let error = Error::new(ErrorKind::Settings, format!("there is a token `{}` already", wanted.name));
        return Err(error.with_hint("choose another name, or revoke it first").into());
    }
    audit(store, "create_token", actor, &wanted.name, wanted.role.name(), "done", now_ms).await?;
    Ok(minted)
}

/// Ends a token.
///
/// # Errors
/// Of kind `Settings` where none of this name is in force; or the store fails.
pub async fn revoke(store: &Store, name: &str, actor: &str, now_ms: i64) -> anyhow::Result<()> {
    if !store.revoke_token(name, now_ms).await? {
        let error = Error::new(ErrorKind::Settings, format!("no token `{}` is in force", name.escape_debug()));
        return Err(error.with_hint("`agent-host token list` names those there are").into());
    }
    audit(store, "revoke_token", actor, name, "", "done", now_ms).await
}

/// Who comes with these credentials; none where they are no token in force.
///
/// # Errors
/// Where the store fails.
pub async fn admit(store: &Store, credentials: &Credentials, now_ms: i64) -> anyhow::Result<Option<Caller>> {
    let Some(known) = store.token(credentials.prefix()).await? else { return Ok(None) };
    let is_in_force = known.revoked_ms.is_none() && known.ends_ms.is_none_or(|ends_ms| now_ms < ends_ms);
    let is_it = credentials.match_hash(&known.hash) && credentials.scheme() == Scheme::Bearer;
    let (true, true, Ok(role)) = (is_it, is_in_force, known.role.parse()) else { return Ok(None) };
    if known.last_used_ms.is_none_or(|used_ms| now_ms - used_ms >= NOTED_EVERY_MS) {
        store.note_token_use(&known.prefix, now_ms).await?;
    }
    let scope = known.connections.map_or(Scope::All, Scope::Connections);
    Ok(Some(Caller { name: format!("token {}", known.name), role, scope }))
}

/// A line of the audit about a token.
async fn audit(
    store: &Store,
    action: &str,
    actor: &str,
    token: &str,
    mode: &str,
    outcome: &str,
    now_ms: i64,
) -> anyhow::Result<()> {
    let line = AuditRecord::of(random_text(16)?, now_ms, actor, action, outcome);
    let (account, mode) = (token.to_owned(), mode.to_owned());
    store.add_to_audit(&AuditRecord { account, mode, ..line }).await
}

fn check_name(name: &str) -> Result<()> {
    let is_fit = |letter: char| letter.is_alphanumeric() || ".-_ @".contains(letter);
    if name.starts_with(char::is_alphanumeric) && name.len() <= MAX_NAME && name.chars().all(is_fit) {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Settings, format!("`{}` cannot name a token", name.escape_debug()));
    Err(error.with_hint(format!(
        "use letters, digits, blanks, `.`, `-`, `_` and `@`, a letter or digit first, at most {MAX_NAME} bytes"
    )))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::store::tests::stores;

    #[tokio::test]
    async fn a_token_opens_until_it_ends_and_by_its_own_scheme_alone() {
        for (_folder, store) in stores().await {
            let wanted = |name: &str| WantedToken {
                name: name.to_owned(),
                role: Role::Operator,
                scope: Scope::Connections(vec!["Okta".to_owned()]),
                ends_ms: Some(100),
            };
            let made = create(&store, &wanted("Policy"), "ada", 1).await.unwrap();
            for refused in ["policy", "", " a", "a\nb"] {
                assert!(create(&store, &wanted(refused), "ada", 1).await.is_err(), "{refused:?}");
            }
            let bearer = Credentials::read(&format!("Bearer {}", made.token().expose_secret())).unwrap();
            let caller = admit(&store, &bearer, 99).await.unwrap().expect("it is in force");
            assert_eq!((caller.name.as_str(), caller.role), ("token Policy", Role::Operator));
            assert_eq!(admit(&store, &bearer, 100).await.unwrap(), None);
            let other = Credentials::read(&format!("Bearer {}.{}", made.prefix, "x".repeat(43))).unwrap();
            assert_eq!(admit(&store, &other, 99).await.unwrap(), None);
            revoke(&store, "POLICY", "ada", 50).await.unwrap();
            assert_eq!(admit(&store, &bearer, 99).await.unwrap(), None);
            assert!(revoke(&store, "policy", "ada", 50).await.is_err());
            let lines = store.audit(9).await.unwrap();
            let told: Vec<_> = lines.iter().map(|line| (line.action.as_str(), line.account.as_str())).collect();
            assert_eq!(told, [("revoke_token", "POLICY"), ("create_token", "Policy")]);
        }
    }
}
