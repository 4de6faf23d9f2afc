//! The lifecycle of a user: which status allows which step, and what the step does.
//! Okta: a step the status does not allow is 403 `E0000038`, with codes of its own for activate, unlock and suspend;
//! while an activation is under way every step is 409 `E0000112`.

use serde_json::json;

use crate::error::ApiError;
use crate::org::Org;
use crate::routes::{unknown, users};
use crate::user::{Status, User};
use crate::wire::{Answer, Call, Outcome};

pub(crate) fn write(call: &Call, org: &mut Org, id: &str, action: &str) -> Outcome {
    let row = users::row(call, org, id)?;
    let Some(user) = org.users.get(row) else { return Err(ApiError::not_found(id, "User")) };
    allowed(user, action).map_err(|refusal| refusal.unwrap_or_else(|| unknown(call)))?;
    let has_password = user.password.is_some() || user.provider != "OKTA";
    match action {
        "activate" => {
            let fresh = user.status == Status::Staged && has_password;
            org.activate(row, if fresh { Status::Active } else { Status::Provisioned }, call.now);
            users::note(call, org, row, &["user.lifecycle.activate"]);
            Ok(activation(call, org))
        }
        "reactivate" => {
            users::note(call, org, row, &["user.lifecycle.reactivate"]);
            Ok(activation(call, org))
        }
        "deactivate" => {
            users::deactivate(call, org, row);
            Ok(Answer::ok("{}"))
        }
        "suspend" => Ok(turn(call, org, row, Status::Suspended, "user.lifecycle.suspend")),
        "unsuspend" => Ok(turn(call, org, row, Status::Active, "user.lifecycle.unsuspend")),
        "unlock" => Ok(turn(call, org, row, Status::Active, "user.account.unlock_by_admin")),
        "expire_password" => {
            turn(call, org, row, Status::PasswordExpired, "user.account.expire_password");
            Ok(users::single(call, org, row))
        }
        "expire_password_with_temp_password" => {
            let password = format!("{}a1Z", org.ids.word(9));
            let hash = org.hash(&password);
            turn(call, org, row, Status::PasswordExpired, "user.account.expire_password");
            org.change_user(row, call.now, None, |user| user.password = Some(hash));
            Ok(Answer::value(200, &json!({"tempPassword": password})))
        }
        "reset_password" => {
            turn(call, org, row, Status::Recovery, "user.account.reset_password");
            let url = format!("{}/reset_password/drp{}", org.base, org.ids.word(17));
            Ok(if call.flag("sendEmail", true) {
                Answer::ok("{}")
            } else {
                Answer::value(200, &json!({"resetPasswordUrl": url}))
            })
        }
        _ => {
            users::note(call, org, row, &["user.mfa.factor.reset_all"]);
            Ok(Answer::ok("{}"))
        }
    }
}

/// Whether the status of a user allows a step; `Err(None)` when there is no such step.
fn allowed(user: &User, action: &str) -> Result<(), Option<ApiError>> {
    use Status::{Active, Deprovisioned, LockedOut, PasswordExpired, Provisioned, Recovery, Staged, Suspended};
    if user.becoming.is_some() {
        return Err(Some(ApiError::coded("E0000112")));
    }
    let own_password = user.provider == "OKTA";
    let (good, refusal) = match (action, user.status) {
        ("activate", Active) => (false, ApiError::coded("E0000016")),
        ("activate", status) => (matches!(status, Staged | Deprovisioned), ApiError::coded("E0000038")),
        ("reactivate", status) => (matches!(status, Provisioned | Recovery), ApiError::coded("E0000038")),
        ("deactivate" | "reset_factors", status) => (status != Deprovisioned, ApiError::coded("E0000038")),
        ("suspend", status) => {
            (status == Active, ApiError::validation("suspend", "Cannot suspend a user that is not active"))
        }
        ("unsuspend", status) => {
            (status == Suspended, ApiError::validation("unsuspend", "Cannot unsuspend a user that is not suspended"))
        }
        ("unlock", status) => {
            (status == LockedOut && own_password, ApiError::coded("E0000032").cause("The user is not locked out."))
        }
        ("expire_password" | "expire_password_with_temp_password", status) => {
            (own_password && matches!(status, Active | PasswordExpired | Recovery), ApiError::coded("E0000038"))
        }
        ("reset_password", status) => {
            let may = matches!(status, Active | Recovery | PasswordExpired | LockedOut);
            (own_password && may, ApiError::coded("E0000038"))
        }
        _ => return Err(None),
    };
    if good { Ok(()) } else { Err(Some(refusal)) }
}

fn turn(call: &Call, org: &mut Org, row: u32, status: Status, event: &str) -> Answer {
    org.set_status(row, status, call.now);
    users::note(call, org, row, &[event]);
    Answer::ok("{}")
}

fn activation(call: &Call, org: &mut Org) -> Answer {
    if call.flag("sendEmail", true) {
        return Answer::ok("{}");
    }
    let token = org.ids.word(20);
    Answer::value(
        200,
        &json!({"activationUrl": format!("{}/tokens/{token}/verify", org.base), "activationToken": token}),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_allow_what_okta_allows() {
        let cases = [
            (Status::Staged, "activate", None),
            (Status::Active, "activate", Some("E0000016")),
            (Status::Staged, "reactivate", Some("E0000038")),
            (Status::Provisioned, "reactivate", None),
            (Status::Deprovisioned, "deactivate", Some("E0000038")),
            (Status::PasswordExpired, "suspend", Some("E0000001")),
            (Status::Active, "unlock", Some("E0000032")),
            (Status::LockedOut, "unlock", None),
            (Status::Deprovisioned, "reset_password", Some("E0000038")),
        ];
        for (status, action, code) in cases {
            let refused = allowed(&User::new("00u1", status, "oty1".into(), 0), action).err().flatten();
            assert_eq!(refused.as_ref().map(|error| error.code.as_str()), code, "{action} on {}", status.as_str());
        }
    }
}
