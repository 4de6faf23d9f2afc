//! Passwords of accounts: set, made up by Okta, chosen behind a link that Okta mails; locked accounts unlocked.
//!
//! What the account's state and its origin allow is in `rules`. A mail is never asked for twice before it is known that
//! the first one was not sent; all else has the same effect when repeated. Nothing is kept, nothing of a password shown.
//! Sources: Okta's API reference for users, "User lifecycle" and "Credentials".

mod account;
mod rules;

use connector_api::{
    Account, Error, ErrorKind, NewPassword, PasswordAction, PasswordEffect, PasswordOutcome, PasswordReset, Result,
};
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Map, Value};

use self::{
    account::User,
    rules::{Course, course},
};
use crate::{
    client::{Body, Client, Write, WriteFailure},
    error::Refusal,
    fulfill::Known,
    lists::encoded,
    tables::bucket,
};

/// How often a mail is asked for when the answer was lost and Okta says that it did not begin.
const MAX_MAIL_ATTEMPTS: u32 = 2;

/// The account that `login` names: by its whole login or by its id, never by a part of the login.
///
/// # Errors
/// Kind `NotFound` where there is none; kind `Rejected` where `login` is a part of logins.
pub(crate) async fn find_account(client: &Client, known: &Known, login: &str) -> Result<Account> {
    let user = account::find(client, login.trim()).await?;
    let obstacle = match rules::obstacle(&user) {
        Some(obstacle) => Some(obstacle),
        None => match known.check_account(client, &user.id).await {
            Err(error) if error.kind() == ErrorKind::Rejected => Some(error.to_string()),
            checked => checked.map(|()| None)?,
        },
    };
    let mut account = user.into_account();
    account.obstacle = obstacle;
    Ok(account)
}

/// Carries out a reset. Whoever may ask for resets could take over an administrator by one: so protected accounts and the
/// one this connection signs in as are refused, whatever is asked, an unlocking too.
///
/// # Errors
/// Kind `Rejected` where state, origin, protection or Okta's password policy refuse it.
pub(crate) async fn reset(client: &Client, known: &Known, reset: &PasswordReset) -> Result<PasswordOutcome> {
    let user = account::find(client, &reset.key).await?;
    known.check_account(client, &user.id).await?;
    let mut outcome = match course(&user, &reset.action)? {
        Course::NothingToDo => PasswordOutcome::new(PasswordEffect::NotLocked),
        Course::Send => match &reset.action {
            PasswordAction::Set(password) => set(client, &user, password).await?,
            PasswordAction::Temporary => make_temporary(client, &user).await?,
            PasswordAction::MailedLink => mail_link(client, &user).await?,
            PasswordAction::Unlock => unlock(client, &user).await?,
            _ => return Err(Error::new(ErrorKind::Unsupported, "Okta does not know this kind of reset")),
        },
    };
    if reset.revoke_sessions {
        revoke_sessions(client, &user, &mut outcome).await;
    }
    Ok(outcome)
}

async fn set(client: &Client, user: &User, password: &NewPassword) -> Result<PasswordOutcome> {
    let write = Write {
        method: Method::POST,
        bucket: bucket::USER,
        target: user.path(""),
        body: Body::WithPassword(Map::new(), password.value.clone()),
        what: format!("setting the password of `{}`", user.login()),
        repeatable: true,
    };
    let request_id = send(client, user, &write).await?.1;
    let mut outcome = PasswordOutcome::new(PasswordEffect::Set);
    outcome.request_id = Some(request_id);
    if password.must_change {
        let what = format!("making `{}` change the password", user.login());
        match client.write(&action(user, "lifecycle/expire_password", what.clone(), true)).await {
            Ok(_) => outcome.effect = PasswordEffect::SetToChange,
            // The password is set: whoever asked must hear of it, so this is no error.
            Err(failure) => {
                let why = failure.into_error(&what);
                outcome.note = Some(format!("the password is set, but need not be changed at the next login: {why}"));
            }
        }
    }
    Ok(outcome)
}

async fn make_temporary(client: &Client, user: &User) -> Result<PasswordOutcome> {
    let what = format!("asking Okta for a temporary password of `{}`", user.login());
    let write = action(user, "lifecycle/expire_password_with_temp_password", what, true);
    let (mut answer, request_id) = send(client, user, &write).await?;
    let Some(Value::String(password)) = answer.get_mut("tempPassword").map(Value::take) else {
        let message = format!("{}: Okta's answer holds no password", write.what);
        return Err(Error::new(ErrorKind::Protocol, message).with_hint("reset the password again"));
    };
    let mut outcome = PasswordOutcome::new(PasswordEffect::Temporary);
    outcome.temporary = Some(SecretString::from(password));
    outcome.request_id = Some(request_id);
    Ok(outcome)
}

/// Asks Okta to mail its link. Where the answer is lost, the account's state tells whether it was sent.
async fn mail_link(client: &Client, user: &User) -> Result<PasswordOutcome> {
    let what = format!("asking Okta to mail `{}` a link", user.login());
    let write = action(user, "lifecycle/reset_password?sendEmail=true", what, false);
    let mut outcome = PasswordOutcome::new(PasswordEffect::LinkMailed);
    for _ in 0..MAX_MAIL_ATTEMPTS {
        let why = match client.write_to_answer(&write).await {
            Ok(answer) => {
                outcome.request_id = Some(answer.request_id);
                return Ok(outcome);
            }
            Err(WriteFailure::Unknown(why)) => why,
            Err(failure) => return Err(explained(failure, user, &write.what)),
        };
        let now = account::read(client, &user.id).await?;
        if now.is_in_recovery() && !now.is_as_it_was(user) {
            outcome.note = Some("Okta's answer was lost; the account's state says that the link was mailed".to_owned());
            return Ok(outcome);
        }
        if now.is_in_recovery() {
            let message = format!("{}: {why}; whether the link was mailed cannot be told", write.what);
            let hint = "ask the account's owner for the mail before you ask for another";
            return Err(Error::new(ErrorKind::Unavailable, message).with_hint(hint));
        }
        tracing::info!(
            okta.request = write.what,
            why,
            "the account's state says that no link was mailed: asking again"
        );
    }
    Err(Error::new(ErrorKind::Unavailable, format!("{}: gave up", write.what))
        .with_hint("no link was mailed; see whether the organisation is reachable from here and run again later"))
}

async fn unlock(client: &Client, user: &User) -> Result<PasswordOutcome> {
    let what = format!("unlocking `{}`", user.login());
    let write = action(user, "lifecycle/unlock", what, true);
    match client.write_to_answer(&write).await {
        Ok(answer) => {
            let mut outcome = PasswordOutcome::new(PasswordEffect::Unlocked);
            outcome.request_id = Some(answer.request_id);
            Ok(outcome)
        }
        // Unlocked by an attempt whose answer was lost, by somebody else, or never locked.
        Err(WriteFailure::Refused(refusal)) if refusal.code == "E0000032" => {
            let unlocked = if user.is_locked() { PasswordEffect::Unlocked } else { PasswordEffect::NotLocked };
            Ok(PasswordOutcome::new(unlocked))
        }
        Err(failure) => Err(explained(failure, user, &write.what)),
    }
}

/// Ends open sessions. A refusal does not undo the reset, so it is a note.
async fn revoke_sessions(client: &Client, user: &User, outcome: &mut PasswordOutcome) {
    let what = format!("ending the sessions of `{}`", user.login());
    let write = Write {
        method: Method::DELETE,
        bucket: bucket::USERS,
        target: user.path("/sessions?oauthTokens=true"),
        body: Body::Nothing,
        what,
        repeatable: true,
    };
    match client.write(&write).await {
        Ok(_) => outcome.sessions_revoked = true,
        Err(failure) => {
            let why = format!("open sessions were not ended: {}", failure.into_error(&write.what));
            outcome.note = Some(outcome.note.take().map_or(why.clone(), |note| format!("{note}; {why}")));
        }
    }
}

fn action(user: &User, action: &str, what: String, repeatable: bool) -> Write {
    Write {
        method: Method::POST,
        bucket: bucket::USERS,
        target: user.path(&format!("/{action}")),
        body: Body::Nothing,
        what,
        repeatable,
    }
}

/// Sends a write; what Okta answers, and its id of the request.
async fn send(client: &Client, user: &User, write: &Write) -> Result<(Value, String)> {
    let answer = client.write_to_answer(write).await.map_err(|failure| explained(failure, user, &write.what))?;
    Ok((answer.value, answer.request_id))
}

/// A refusal that people can act on.
fn explained(failure: WriteFailure, user: &User, what: &str) -> Error {
    let WriteFailure::Refused(refusal) = failure else { return failure.into_error(what) };
    let Some((why, hint)) = reason(&refusal, user) else {
        return WriteFailure::Refused(refusal).into_error(what);
    };
    let request = Some(&refusal.request_id).filter(|id| !id.is_empty()).map(|id| format!(", request {id}"));
    let message = format!("{what}: {why} ({}{})", refusal.code, request.unwrap_or_default());
    Error::new(ErrorKind::Rejected, message).with_hint(hint)
}

/// What the commonest refusals mean. Okta's own words stay where they say more than ours.
fn reason(refusal: &Refusal, user: &User) -> Option<(String, &'static str)> {
    match refusal.code.as_str() {
        "E0000001" | "E0000014" | "E0000080" => {
            Some((refusal.summary.clone(), "choose a password that Okta's policy allows"))
        }
        "E0000038" | "E0000016" => Some((
            format!("the account's state, {}, does not allow it", user.status),
            "activate, unlock or unsuspend the account first",
        )),
        "E0000023" | "E0000077" => Some((
            "another directory keeps the account's password".to_owned(),
            "reset the password in the directory that the account comes from",
        )),
        _ => None,
    }
}

impl User {
    /// The path of the account, or of what is below it.
    fn path(&self, below: &str) -> String {
        format!("/api/v1/users/{}{below}", encoded(&self.id))
    }
}
