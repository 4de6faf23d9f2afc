//! Password resets, and the audit.

use std::sync::Arc;

use axum::{Extension, Json, extract::State};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    answer::Refusals,
    input::{Asked, At, Limit, Number, Sent},
};
use crate::{
    access::Caller,
    password_reset::ResetWish,
    web::{
        Web,
        views::{
            Refusal, Result,
            audit::{self, AuditPage, AuditWish},
            passwords::{self, ResetSettingList, ResetView},
        },
    },
};

/// The longest login, or id of an account.
const MAX_LOGIN: usize = 256;

/// A reset that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ResetBody {
    /// The account's whole login, or its id.
    #[schema(min_length = 1, max_length = 256)]
    login: String,
    /// The PasswordResetSettings to go by; else those of the connection's users, or the only ones.
    setting: Option<String>,
    /// Only unlock the account; its password stays, and the rest has no effect.
    #[serde(default)]
    unlock: bool,
    /// End the account's open sessions too.
    #[serde(default)]
    revoke_sessions: bool,
    /// Answer with the password that was set, for an administrator alone; else it travels by mail.
    #[serde(default)]
    show: bool,
    /// Who is told in place of the account's owner: a mail address.
    notify: Option<String>,
}

/// Which lines of the audit are wanted.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Of this connection
    #[serde(default)]
    #[param(required = false)]
    connection: String,
    /// What was done
    #[serde(default)]
    #[param(required = false)]
    action: String,
    /// Who asked for it
    #[serde(default)]
    #[param(required = false)]
    actor: String,
    /// To whom: the account, or what its owner signs in with
    #[serde(default)]
    #[param(required = false)]
    account: String,
    /// Not before this time, in milliseconds since 1970
    #[param(value_type = Option<i64>, minimum = 0, maximum = 9007199254740991_i64)]
    from_ms: Option<Number>,
    /// Before this time
    #[param(value_type = Option<i64>, minimum = 0, maximum = 9007199254740991_i64)]
    until_ms: Option<Number>,
    /// `next` of the page before; none for the first
    #[param(pattern = "^[0-9]{1,15}[.][A-Za-z0-9_-]{1,64}$")]
    cursor: Option<String>,
    /// How many entries
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500)]
    limit: Option<Limit>,
}

/// Which resets are wanted.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ResetsQuery {
    /// `next` of the page before; none for the first
    #[param(pattern = "^[0-9]{1,15}[.][A-Za-z0-9_-]{1,64}$")]
    cursor: Option<String>,
    /// How many entries
    #[param(value_type = Option<u32>, minimum = 1, maximum = 500)]
    limit: Option<Limit>,
}

pub(super) fn routes() -> OpenApiRouter<Arc<Web>> {
    OpenApiRouter::new()
        .routes(routes!(list_resets, reset_password))
        .routes(routes!(list_reset_settings))
        .routes(routes!(list_all_resets))
        .routes(routes!(show_audit))
}

/// Reset the password of an account now
#[utoipa::path(post, path = "/connections/{connection}/password-resets", tag = "passwords",
    params(("connection" = String, Path, description = "Its name")),
    request_body(content = ResetBody),
    responses((status = 200, body = ResetView), Refusals))]
async fn reset_password(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(connection): At<String>,
    Sent(body): Sent<ResetBody>,
) -> Result<Json<ResetView>> {
    if body.login.trim().is_empty() || body.login.chars().count() > MAX_LOGIN {
        let message = format!("a login has 1 to {MAX_LOGIN} characters");
        return Err(Refusal::unfit(message, "give the account's whole login, or its id"));
    }
    let wish = ResetWish {
        login: body.login,
        setting: body.setting,
        unlocks: body.unlock,
        revokes_sessions: body.revoke_sessions,
        shows: body.show,
        notified: body.notify,
        actor: caller.name.clone(),
    };
    passwords::reset(&web, &caller, &connection, wish).await.map(Json)
}

/// The password resets of a connection
#[utoipa::path(get, path = "/connections/{connection}/password-resets", tag = "passwords",
    params(("connection" = String, Path, description = "Its name"), ResetsQuery),
    responses((status = 200, body = AuditPage), Refusals))]
async fn list_resets(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(connection): At<String>,
    Asked(query): Asked<ResetsQuery>,
) -> Result<Json<AuditPage>> {
    let limit = query.limit.map(|limit| limit.0);
    let wish = AuditWish { connection, cursor: query.cursor, limit, ..AuditWish::default() };
    passwords::resets(&web, &caller, wish).await.map(Json)
}

/// By which settings passwords can be reset
#[utoipa::path(get, path = "/connections/{connection}/password-resets/settings", tag = "passwords",
    params(("connection" = String, Path, description = "Its name")),
    responses((status = 200, body = ResetSettingList), Refusals))]
async fn list_reset_settings(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    At(connection): At<String>,
) -> Result<Json<ResetSettingList>> {
    passwords::reset_settings(&web, &caller, &connection).await.map(Json)
}

/// The password resets of all connections
#[utoipa::path(get, path = "/password-resets", tag = "passwords", params(ResetsQuery),
    responses((status = 200, body = AuditPage), Refusals))]
async fn list_all_resets(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    Asked(query): Asked<ResetsQuery>,
) -> Result<Json<AuditPage>> {
    let limit = query.limit.map(|limit| limit.0);
    let wish = AuditWish { cursor: query.cursor, limit, ..AuditWish::default() };
    passwords::resets(&web, &caller, wish).await.map(Json)
}

/// The audit, the newest first
#[utoipa::path(get, path = "/audit", tag = "audit", params(AuditQuery), responses((status = 200, body = AuditPage), Refusals))]
async fn show_audit(
    State(web): State<Arc<Web>>,
    Extension(caller): Extension<Caller>,
    Asked(query): Asked<AuditQuery>,
) -> Result<Json<AuditPage>> {
    let wish = AuditWish {
        connection: query.connection,
        action: query.action,
        actor: query.actor,
        account: query.account,
        from_ms: query.from_ms.map(|from| from.0),
        until_ms: query.until_ms.map(|until| until.0),
        cursor: query.cursor,
        limit: query.limit.map(|limit| limit.0),
    };
    audit::audit(&web, &caller, &wish).await.map(Json)
}
