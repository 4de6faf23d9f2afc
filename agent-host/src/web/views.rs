//! What the API and the dashboard both show and do: plain structures, each with the function that makes it.
//!
//! Every function is given the caller and asks whether they may. Nothing secret is in any structure, but for what is shown
//! once to whoever asked for it. A refusal is told with the status that an answer by HTTP has.

pub mod audit;
pub mod connections;
pub mod deliveries;
pub mod directories;
pub mod exports;
pub mod operators;
pub mod orders;
pub mod passwords;
pub mod runs;
pub mod shown_once;
pub mod tokens;
pub mod typed_settings;

use axum::http::StatusCode;
use connector_api::{ConnectionSettings, ErrorKind};

use super::Web;
use crate::{
    access::{Caller, Role, Scope},
    complaint::Complaint,
    password_reset::random_text,
    store::{AuditRecord, is_of_no_text},
};

/// How many entries of a list are given where nothing is said, …
pub const USUAL_PAGE: u32 = 50;
/// … and at most.
pub const LARGEST_PAGE: u32 = 500;

/// What a view answers.
pub type Result<T> = std::result::Result<T, Refusal>;

/// Why something is not shown or not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// As HTTP tells it.
    pub status: StatusCode,
    /// As people read it.
    pub complaint: Complaint,
}

impl Refusal {
    pub(super) fn new(
        status: StatusCode,
        kind: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self { status, complaint: Complaint { kind, message: message.into(), hint: Some(hint.into()) } }
    }

    pub(super) fn not_found(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", message, hint)
    }

    pub(super) fn forbidden(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message, hint)
    }

    pub(super) fn conflict(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", message, hint)
    }

    pub(super) fn unfit(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "unfit", message, hint)
    }
}

impl From<anyhow::Error> for Refusal {
    /// What is the managed system's fault is told from what is ours. The latter is logged, and told only where something is
    /// known to be done about it: it may speak of the agent's insides.
    fn from(error: anyhow::Error) -> Self {
        if is_of_no_text(&error) {
            let hint = "send it without; it is `%00` in an address, `\\u0000` in JSON";
            return Self::new(
                StatusCode::BAD_REQUEST,
                "rejected",
                "a text holds U+0000, which nothing is called",
                hint,
            );
        }
        let mut complaint = Complaint::of(&error);
        let status = match complaint.kind {
            "rejected" => StatusCode::UNPROCESSABLE_ENTITY,
            "not_found" => StatusCode::NOT_FOUND,
            "settings" | "unsupported" | "refused" => StatusCode::CONFLICT,
            "credentials" | "protocol" => StatusCode::BAD_GATEWAY,
            "unavailable" => StatusCode::SERVICE_UNAVAILABLE,
            _ => {
                tracing::error!("a request failed: {}", complaint.message);
                if complaint.hint.is_none() {
                    complaint.message = "the agent failed".to_owned();
                    complaint.hint = Some("its log says why".to_owned());
                }
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self { status, complaint }
    }
}

impl From<connector_api::Error> for Refusal {
    fn from(error: connector_api::Error) -> Self {
        anyhow::Error::from(error).into()
    }
}

/// The settings of a connection in which the caller may do what asks for this role.
fn connection<'a>(web: &'a Web, caller: &Caller, role: Role, name: &str) -> Result<&'a ConnectionSettings> {
    if !caller.may_in(Role::Viewer, name) {
        // Told the same whether there is the connection or not.
        let message = format!("you may not look at the connection `{}`", shown(name));
        return Err(Refusal::forbidden(message, "ask an administrator for a token or an operator that holds for it"));
    }
    let settings = web.agent.settings.connection(name).map_err(|error| match error.kind() {
        ErrorKind::Settings => Refusal::not_found(error.to_string(), error.hint().unwrap_or_default()),
        _ => error.into(),
    })?;
    if caller.may_in(role, name) { Ok(settings) } else { Err(lacks(caller, role)) }
}

/// Whether the caller may do what asks for this role and belongs to no connection.
fn everywhere(caller: &Caller, role: Role) -> Result<()> {
    if caller.may(role) {
        return Ok(());
    }
    if caller.role < role {
        return Err(lacks(caller, role));
    }
    let hint = "ask an administrator for a token or an operator without such a limit";
    Err(Refusal::forbidden("you may only look at some connections, and this belongs to none", hint))
}

fn lacks(caller: &Caller, role: Role) -> Refusal {
    let hint = format!("ask an administrator for the role `{role}`");
    Refusal::forbidden(format!("this asks for the role `{role}`, and you are `{}`", caller.role), hint)
}

/// The connections that the caller may look at, in the order of the settings.
fn visible<'a>(web: &'a Web, caller: &'a Caller) -> impl Iterator<Item = &'a ConnectionSettings> {
    web.agent.settings.connections.iter().filter(|it| caller.may_in(Role::Viewer, it.id().as_str()))
}

/// The connections that the caller is limited to; none where they are not.
fn limited_to(caller: &Caller) -> Option<&[String]> {
    match &caller.scope {
        Scope::All => None,
        Scope::Connections(names) => Some(names),
    }
}

/// So many of a page as are asked for, and may be.
fn page(limit: Option<u32>) -> i64 {
    i64::from(limit.unwrap_or(USUAL_PAGE).clamp(1, LARGEST_PAGE))
}

/// A name that somebody sent, as far as it is repeated.
fn shown(name: &str) -> String {
    name.chars().take(64).collect::<String>().escape_debug().to_string()
}

/// Writes down what the caller did.
async fn note(web: &Web, caller: &Caller, action: &str, connection: &str, what: &str, outcome: &str) -> Result<()> {
    let line = AuditRecord::of(random_text(16)?, web.now_ms(), &caller.name, action, outcome);
    let (connection, account) = (connection.to_owned(), what.to_owned());
    Ok(web.store().add_to_audit(&AuditRecord { connection, account, mode: "web".to_owned(), ..line }).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_inside_is_told_in_the_log_alone() {
        let refusal =
            Refusal::from(anyhow::anyhow!("no such table: audit").context("reading `/srv/agent/Work/agent.db`"));
        assert_eq!(refusal.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!((refusal.complaint.message.as_str(), refusal.complaint.kind), ("the agent failed", "failed"));
        assert!(refusal.complaint.hint.is_some());
        let error = connector_api::Error::new(ErrorKind::Unavailable, "the system is down").with_hint("wait");
        assert_eq!(Refusal::from(error).complaint.message, "the system is down");
    }
}
