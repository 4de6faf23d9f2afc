//! Operators of the dashboard: who they are, made and removed. For administrators alone.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Refusal, Result, everywhere, shown, shown_once::ShownOnce};
use crate::{
    access::{Caller, Role},
    operators,
    password_reset::random_text,
    store::OperatorRecord,
    web::Web,
};

/// Bytes of chance in a password that is made up.
const PASSWORD_BYTES: usize = 18;

/// All operators.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperatorList {
    /// By name.
    pub operators: Vec<OperatorView>,
}

/// Somebody who may use the dashboard.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperatorView {
    /// Their name.
    pub operator: String,
    /// `viewer`, `operator` or `administrator`.
    pub role: String,
    /// The connections that the role holds for; none for all.
    pub connections: Option<Vec<String>>,
    /// When they were made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When they last signed in.
    pub signed_in_ms: Option<i64>,
}

/// A password that was made up, told this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewPasswordView {
    /// The operator.
    pub operator: String,
    /// The password.
    pub password: ShownOnce,
}

/// The operators.
///
/// # Errors
/// Where the caller may not.
pub async fn operators(web: &Web, caller: &Caller) -> Result<OperatorList> {
    everywhere(caller, Role::Administrator)?;
    Ok(OperatorList { operators: web.store().operators().await?.into_iter().map(Into::into).collect() })
}

/// Makes an operator with a password of chance; of all connections where none is named.
///
/// # Errors
/// Where the caller may not; a name that cannot be one or is taken, no such role or connection.
pub async fn create(
    web: &Web,
    caller: &Caller,
    name: &str,
    role: &str,
    connections: &[String],
) -> Result<NewPasswordView> {
    everywhere(caller, Role::Administrator)?;
    let role = role.parse::<Role>().map_err(|_| {
        Refusal::unfit(format!("no role is called `{}`", shown(role)), "choose viewer, operator or administrator")
    })?;
    for connection in connections {
        web.agent.settings.connection(connection)?;
    }
    let password = random_text(PASSWORD_BYTES)?.into();
    operators::create(web.store(), name, role, connections, &password, &caller.name, web.now_ms()).await?;
    Ok(NewPasswordView { operator: name.to_owned(), password: ShownOnce(password) })
}

/// Gives an operator a new password of chance; their sessions end.
///
/// # Errors
/// Where the caller may not, or there is no such operator.
pub async fn password(web: &Web, caller: &Caller, name: &str) -> Result<NewPasswordView> {
    let found = find(web, caller, name).await?;
    let password = random_text(PASSWORD_BYTES)?.into();
    operators::set_password(web.store(), &found.name, &password, &caller.name, web.now_ms()).await?;
    Ok(NewPasswordView { operator: found.name, password: ShownOnce(password) })
}

/// Removes an operator, whose sessions end.
///
/// # Errors
/// Where the caller may not, there is no such operator, or it is the caller.
pub async fn remove(web: &Web, caller: &Caller, name: &str) -> Result<()> {
    let found = find(web, caller, name).await?;
    if caller.name == format!("operator {}", found.name) {
        return Err(Refusal::conflict("you cannot remove yourself", "ask another administrator"));
    }
    Ok(operators::remove(web.store(), &found.name, &caller.name, web.now_ms()).await?)
}

async fn find(web: &Web, caller: &Caller, name: &str) -> Result<OperatorRecord> {
    everywhere(caller, Role::Administrator)?;
    let found = web.store().operator(name).await?;
    found.ok_or_else(|| Refusal::not_found(format!("there is no operator `{}`", shown(name)), "list those there are"))
}

impl From<OperatorRecord> for OperatorView {
    fn from(record: OperatorRecord) -> Self {
        Self {
            operator: record.name,
            role: record.role,
            // What cannot be read opens nothing.
            connections: record.connections.map(|text| serde_json::from_str(&text).unwrap_or_default()),
            created_ms: record.created_ms,
            signed_in_ms: record.signed_in_ms,
        }
    }
}
