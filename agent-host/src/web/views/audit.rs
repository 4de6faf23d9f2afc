//! The audit: who did what to whom, when, and what came of it. Page by page, the newest first.

use serde::Serialize;
use utoipa::ToSchema;

use super::{Refusal, Result, connection, everywhere, limited_to, page};
use crate::{
    access::{Caller, Role},
    store::{AuditFilter, AuditRecord},
    web::Web,
};

/// A page of the audit.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditPage {
    /// The newest first.
    pub lines: Vec<AuditLine>,
    /// Where the next page begins; none on the last.
    pub next: Option<String>,
}

/// One line of the audit.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditLine {
    /// Unique.
    pub id: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Joins the beginning of an action and what came of it; may be empty.
    pub action_id: String,
    /// What was done.
    pub action: String,
    /// Who asked for it.
    pub actor: String,
    /// In which connection, in lower case; may be empty.
    pub connection: String,
    /// To which account, or to what else.
    pub account: String,
    /// What the account's owner signs in with.
    pub login: String,
    /// In which way.
    pub mode: String,
    /// What came of it.
    pub outcome: String,
    /// The managed system's name for the request.
    pub request_id: Option<String>,
    /// What a reader should know.
    pub note: Option<String>,
}

/// Which lines are wanted; an empty text wants all.
#[derive(Debug, Clone, Default)]
pub struct AuditWish {
    /// Of this connection alone.
    pub connection: String,
    /// What was done.
    pub action: String,
    /// Who asked for it.
    pub actor: String,
    /// The account, or what its owner signs in with.
    pub account: String,
    /// Not before this time.
    pub from_ms: Option<i64>,
    /// Before this time.
    pub until_ms: Option<i64>,
    /// Where the page begins.
    pub cursor: Option<String>,
    /// How many lines.
    pub limit: Option<u32>,
}

/// A page of the audit: all of it for those who may look at everything, else that of one of their connections.
///
/// # Errors
/// Where the caller may not; a cursor that is none.
pub async fn audit(web: &Web, caller: &Caller, wish: &AuditWish) -> Result<AuditPage> {
    let mut filter = AuditFilter {
        connections: None,
        action: wish.action.clone(),
        actor: wish.actor.clone(),
        account: wish.account.clone(),
        from_ms: wish.from_ms,
        until_ms: wish.until_ms,
    };
    if wish.connection.is_empty() {
        match limited_to(caller) {
            None => everywhere(caller, Role::Viewer)?,
            Some(names) => filter.connections = Some(names.to_vec()),
        }
    } else {
        let settings = connection(web, caller, Role::Viewer, &wish.connection)?;
        filter.connections = Some(vec![settings.id().to_string()]);
    }
    let behind = wish.cursor.as_deref().map(read_cursor).transpose()?;
    let most = page(wish.limit);
    let mut found = web.store().audit_page(&filter, behind, most + 1).await?;
    let has_more = found.len() > usize::try_from(most).unwrap_or_default();
    found.truncate(usize::try_from(most).unwrap_or_default());
    let next = found.last().filter(|_| has_more).map(|last| format!("{}.{}", last.at_ms, last.id));
    Ok(AuditPage { lines: found.into_iter().map(Into::into).collect(), next })
}

fn read_cursor(cursor: &str) -> Result<(i64, &str)> {
    let parts = cursor.split_once('.').and_then(|(at_ms, id)| Some((at_ms.parse().ok()?, id)));
    parts.ok_or_else(|| Refusal::unfit("the cursor is none of this list", "give `next` of the page before, unchanged"))
}

impl From<AuditRecord> for AuditLine {
    fn from(record: AuditRecord) -> Self {
        let AuditRecord {
            id,
            at_ms,
            action_id,
            action,
            actor,
            connection,
            account,
            login,
            mode,
            outcome,
            request_id,
            note,
        } = record;
        Self { id, at_ms, action_id, action, actor, connection, account, login, mode, outcome, request_id, note }
    }
}
