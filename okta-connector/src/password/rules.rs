//! What an account's state and origin allow. Where Okta's documentation says nothing, Okta is asked.
//!
//! Source: Okta's API reference for users (which operation needs which status) and "User lifecycle".

use connector_api::{Error, ErrorKind, PasswordAction, Result};

use super::account::User;

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    Send,
    NothingToDo,
}

/// What the action comes to for this account.
///
/// # Errors
/// Kind `Rejected`, with the reason in plain words.
pub(super) fn course(user: &User, action: &PasswordAction) -> Result<Course> {
    let refuse = |why: String, hint: &str| {
        let message = format!("the password of `{}` cannot be reset: {why}", user.login());
        Err(Error::new(ErrorKind::Rejected, message).with_hint(hint))
    };
    if let Some((why, hint)) = lasting_obstacle(user) {
        return refuse(why, hint);
    }
    let is_unlock = matches!(action, PasswordAction::Unlock);
    match (user.status.as_str(), action) {
        ("SUSPENDED", _) if is_unlock => {
            refuse("the account is suspended, not locked".to_owned(), "unsuspend it in Okta")
        }
        // An active account may be blocked on unknown devices, which its state does not tell.
        ("LOCKED_OUT" | "ACTIVE", _) if is_unlock => Ok(Course::Send),
        (_, _) if is_unlock => Ok(Course::NothingToDo),
        ("STAGED", PasswordAction::Set(password)) if !password.must_change => Ok(Course::Send),
        ("STAGED", _) => refuse(
            "the account is not activated yet, and only a password that need not be changed can be given before"
                .to_owned(),
            "activate the account in Okta, or use a setting without MustChange",
        ),
        ("PROVISIONED", PasswordAction::Temporary | PasswordAction::MailedLink) => refuse(
            "its owner has not finished the activation".to_owned(),
            "have Okta send the activation mail again, or use a setting with a password",
        ),
        _ => Ok(Course::Send),
    }
}

/// Why no password at all can be set for the account as it is.
pub(super) fn obstacle(user: &User) -> Option<String> {
    lasting_obstacle(user).map(|(why, _)| why)
}

/// Why nothing can be reset, and what to do.
fn lasting_obstacle(user: &User) -> Option<(String, &'static str)> {
    if let Some((keeper, hint)) = foreign_keeper(user) {
        return Some((format!("{keeper} keeps it, not Okta"), hint));
    }
    let is_deactivated = user.status == "DEPROVISIONED";
    is_deactivated.then(|| {
        let hint = "activate the account in Okta before you reset its password";
        ("the account is deactivated".to_owned(), hint)
    })
}

/// Who keeps the password where it is not Okta, and where it is reset then.
fn foreign_keeper(user: &User) -> Option<(String, &'static str)> {
    let (kind, name) = user.provider();
    let keeper = match kind {
        "ACTIVE_DIRECTORY" => "Active Directory",
        "LDAP" => "an LDAP directory",
        "FEDERATION" => "the identity provider that the account signs in through",
        "SOCIAL" => "the social login that the account signs in through",
        _ => return None,
    };
    let named = if name.is_empty() || name == kind { keeper.to_owned() } else { format!("{keeper} (`{name}`)") };
    Some((named, "reset the password there"))
}

#[cfg(test)]
mod tests {
    use connector_api::NewPassword;
    use serde_json::json;

    use super::*;

    fn user(status: &str, provider: &str) -> User {
        serde_json::from_value(json!({
            "id": "00u1", "status": status, "profile": { "login": "ada@example.com" },
            "credentials": { "provider": { "type": provider, "name": "corp.example.com" } },
        }))
        .unwrap()
    }

    #[test]
    fn the_state_decides() {
        let set = |must_change| PasswordAction::Set(NewPassword { value: "x".into(), must_change });
        let (temporary, link, unlock) = (PasswordAction::Temporary, PasswordAction::MailedLink, PasswordAction::Unlock);
        let sent = Some(Course::Send);
        for (status, expected) in [
            ("STAGED", [sent, None, None, None, Some(Course::NothingToDo)]),
            ("PROVISIONED", [sent, sent, None, None, Some(Course::NothingToDo)]),
            ("ACTIVE", [sent; 5]),
            ("RECOVERY", [sent, sent, sent, sent, Some(Course::NothingToDo)]),
            ("PASSWORD_EXPIRED", [sent, sent, sent, sent, Some(Course::NothingToDo)]),
            ("LOCKED_OUT", [sent; 5]),
            ("SUSPENDED", [sent, sent, sent, sent, None]),
            ("DEPROVISIONED", [None; 5]),
        ] {
            let user = user(status, "OKTA");
            let courses =
                [&set(false), &set(true), &temporary, &link, &unlock].map(|action| course(&user, action).ok());
            assert_eq!(courses, expected, "{status}");
        }
    }

    #[test]
    fn whoever_keeps_the_password_is_named() {
        for (provider, keeper) in [
            ("ACTIVE_DIRECTORY", "Active Directory (`corp.example.com`) keeps it"),
            ("LDAP", "an LDAP directory (`corp.example.com`) keeps it"),
            ("FEDERATION", "signs in through (`corp.example.com`) keeps it"),
        ] {
            let error = course(&user("ACTIVE", provider), &PasswordAction::Temporary).unwrap_err();
            assert!(error.kind() == ErrorKind::Rejected && error.to_string().contains(keeper), "{error}");
            assert_eq!(error.hint(), Some("reset the password there"));
        }
    }
}
