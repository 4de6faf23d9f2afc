//! Password resets: which settings there are, what was done, and a reset now.

use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Refusal, Result,
    audit::{AuditPage, AuditWish, audit},
    connection,
    shown_once::ShownOnce,
};
use crate::{
    access::{Caller, Role},
    password_reset::{ResetReport, ResetWay, ResetWish},
    web::Web,
};

/// One `<PasswordResetSettings>`, as a form offers it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResetSettingView {
    /// Its name.
    pub setting: String,
    /// `one_way`, `temporary_password`, `two_way`, `mailed_link` or `disabled`.
    pub mode: &'static str,
    /// Whether people are told by mail.
    pub notifies: bool,
    /// Whether the password must be changed at the next login.
    pub must_change: bool,
}

/// The settings there are, in the order of the mapping.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResetSettingList {
    /// Each.
    pub settings: Vec<ResetSettingView>,
}

/// What came of a reset.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResetView {
    /// The connection.
    pub connection: String,
    /// The account's login.
    pub user: String,
    /// `one_way`, `temporary_password`, `two_way`, `mailed_link` or `unlock`.
    pub mode: &'static str,
    /// What was done, in a word.
    pub effect: &'static str,
    /// Who was written to.
    pub notified: Option<String>,
    /// `sent`, `queued` or `none`.
    pub notice: &'static str,
    /// Whether open sessions were ended.
    pub sessions_revoked: bool,
    /// The managed system's name for the request.
    pub request_id: Option<String>,
    /// What a reader should know.
    pub note: Option<String>,
    /// The password that was set, where an administrator asked to see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temporary_password: Option<ShownOnce>,
}

/// The settings by which passwords may be reset in a connection.
///
/// # Errors
/// Where the caller may not.
pub async fn reset_settings(web: &Web, caller: &Caller, name: &str) -> Result<ResetSettingList> {
    connection(web, caller, Role::Viewer, name)?;
    let setting = |way: &ResetWay| ResetSettingView {
        setting: way.identifier.clone(),
        mode: way.mode.word(),
        notifies: way.notifies,
        must_change: way.must_change,
    };
    Ok(ResetSettingList { settings: web.resets.settings().ways.iter().map(setting).collect() })
}

/// The password resets of a connection, or of all that the caller may look at.
///
/// # Errors
/// Where the caller may not; a cursor that is none.
pub async fn resets(web: &Web, caller: &Caller, wish: AuditWish) -> Result<AuditPage> {
    audit(web, caller, &AuditWish { action: "password_reset".to_owned(), ..wish }).await
}

/// Resets a password now. `wish.actor` is the caller, whatever it says; only an administrator sees the password.
///
/// # Errors
/// Where the caller may not, the settings do not allow it, nobody could be told, or the managed system refuses.
pub async fn reset(web: &Web, caller: &Caller, name: &str, wish: ResetWish) -> Result<ResetView> {
    let settings = connection(web, caller, Role::Operator, name)?;
    if wish.shows && !caller.may_in(Role::Administrator, name) {
        let message = format!("only an administrator is shown a password, and you are `{}`", caller.role);
        return Err(Refusal::forbidden(message, "leave `show` out: the password travels by mail"));
    }
    let wish = ResetWish { actor: caller.name.clone(), ..wish };
    Ok(web.resets.reset(&web.agent, settings.id().as_str(), &wish).await?.into())
}

impl From<ResetReport> for ResetView {
    fn from(report: ResetReport) -> Self {
        Self {
            connection: report.connection,
            user: report.user,
            mode: report.mode,
            effect: report.effect,
            notified: report.notified,
            notice: report.notice,
            sessions_revoked: report.sessions_revoked,
            request_id: report.request_id,
            note: report.note,
            temporary_password: report.password.map(ShownOnce),
        }
    }
}
