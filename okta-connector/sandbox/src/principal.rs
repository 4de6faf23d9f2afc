//! Who makes a call, and whether it may: the owner of an API token, or a service app with an access token.
//! Okta: a token dies with its user and after 30 idle days; an app with scopes but without an administrator's role
//! sees an empty list of users and is refused everything else; each principal has a share of the rate limits.

use std::sync::atomic::Ordering;

use crate::error::ApiError;
use crate::oauth::{Credentials, Grant};
use crate::org::Org;
use crate::user::Status;
use crate::wire::Call;

#[derive(Debug)]
pub(crate) struct Principal {
    /// The id of the API token, or the client id.
    pub id: String,
    /// The user the token acts as, or the client id.
    pub caller: String,
    /// Its share of each bucket, in percent.
    pub share: u32,
    rights: Rights,
}

#[derive(Debug)]
enum Rights {
    Token,
    App(Grant),
}

/// What a call that is allowed gets to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    Whole,
    /// `200 []`.
    Nothing,
}

impl Principal {
    /// Who sent this; the error says why nobody may.
    pub(crate) fn of(call: &Call, credentials: &Credentials, org: &Org) -> Result<Self, ApiError> {
        let header = credentials.authorization.as_deref().unwrap_or_default();
        let Some(secret) = header.strip_prefix("SSWS ") else {
            if !header.starts_with("Bearer ") && !header.starts_with("DPoP ") {
                return Err(ApiError::coded("E0000011"));
            }
            let grant = org.oauth.admit(call, credentials)?;
            let id = grant.client.app.client_id.clone();
            let share = share(grant.client.percentages.0);
            return Ok(Self { caller: id.clone(), id, share, rights: Rights::App(grant) });
        };
        let invalid = || ApiError::coded("E0000011");
        let token = org.tokens.by_secret(org.hash(secret), call.now).ok_or_else(invalid)?;
        let dead = match org.users.row(&token.user).and_then(|row| org.users.get(row)) {
            Some(user) => matches!(user.status, Status::Deprovisioned | Status::Suspended),
            None => !token.user.is_empty(),
        };
        if dead {
            return Err(invalid());
        }
        token.last_used.fetch_max(call.now, Ordering::Relaxed);
        let (id, caller) = (token.id.clone(), token.user.clone());
        Ok(Self { id, caller, share: share(token.percentages.0), rights: Rights::Token })
    }

    /// Whether this call is allowed, and what it sees.
    pub(crate) fn may(&self, call: &Call, bucket: &str, org: &Org) -> Result<View, ApiError> {
        let denied = |denied: &[String]| denied.iter().any(|it| bucket == it || call.path.starts_with(it.as_str()));
        match &self.rights {
            Rights::Token => {
                let token = org.tokens.all.iter().find(|token| token.id == self.id);
                if token.is_some_and(|token| denied(&token.denied)) {
                    return Err(ApiError::coded("E0000006"));
                }
            }
            Rights::App(grant) => {
                grant.allows(call)?;
                if denied(&grant.client.denied) {
                    return Err(ApiError::coded("E0000006"));
                }
                if !grant.client.app.has_admin_role {
                    let lists_users = call.method == hyper::Method::GET && call.segments == ["api", "v1", "users"];
                    return if lists_users { Ok(View::Nothing) } else { Err(ApiError::coded("E0000006")) };
                }
            }
        }
        Ok(View::Whole)
    }
}

fn share(percent: u64) -> u32 {
    u32::try_from(percent.min(100)).unwrap_or(100)
}
