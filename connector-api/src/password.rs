//! Passwords on their way to a managed system. They are never shown, logged or stored.
//!
//! A reset speaks of one account and of one action on it. Whether the account's state allows the action is the
//! connector's to know; who asked, who is told and what is kept of it is the host's.

use secrecy::SecretString;

/// A password to be set.
#[derive(Debug, Clone)]
pub struct NewPassword {
    /// The password.
    pub value: SecretString,
    /// Whether its owner must choose another one at the first login.
    pub must_change: bool,
}

/// One reset that is wanted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PasswordReset {
    /// The identity of the account, as [`Account::key`] gives it.
    pub key: String,
    /// What is wanted.
    pub action: PasswordAction,
    /// Whether the sessions that the account has open are ended.
    pub revoke_sessions: bool,
}

impl PasswordReset {
    /// A reset that leaves open sessions alone.
    pub fn new(key: impl Into<String>, action: PasswordAction) -> Self {
        Self { key: key.into(), action, revoke_sessions: false }
    }
}

/// What is wanted of an account's password.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum PasswordAction {
    /// This password is set.
    Set(NewPassword),
    /// The system makes up a password that works once, and says it.
    Temporary,
    /// The system mails the account's owner a link behind which a new password is chosen.
    MailedLink,
    /// An account that is locked after wrong passwords can be used again; the password stays.
    Unlock,
}

/// An account, as far as a reset needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// Its identity in the managed system.
    pub key: String,
    /// What its owner signs in with.
    pub login: String,
    /// Its owner's given name; empty where the system has none.
    pub first_name: String,
    /// Its owner's family name; empty where the system has none.
    pub last_name: String,
    /// Its address.
    pub email: Option<String>,
    /// Another address of its owner, which is reached without this account.
    pub second_email: Option<String>,
    /// The language its owner prefers, such as `fr` or `fr_CA`.
    pub language: Option<String>,
    /// The state of the account in the system's own word, such as `ACTIVE`.
    pub state: String,
    /// Why no password can be set for it as it is now, in words; none where nothing is known to be in the way.
    pub obstacle: Option<String>,
}

impl Account {
    /// An account of which no more is known.
    pub fn new(key: impl Into<String>, login: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            login: login.into(),
            first_name: String::new(),
            last_name: String::new(),
            email: None,
            second_email: None,
            language: None,
            state: String::new(),
            obstacle: None,
        }
    }

    /// Its owner's name, or the login where the system has no name.
    pub fn full_name(&self) -> String {
        let name = format!("{} {}", self.first_name, self.last_name);
        if name.trim().is_empty() { self.login.clone() } else { name.trim().to_owned() }
    }
}

/// What came of a reset that was carried out.
#[derive(Debug)]
#[non_exhaustive]
pub struct PasswordOutcome {
    /// What was done.
    pub effect: PasswordEffect,
    /// The password that the system made up.
    pub temporary: Option<SecretString>,
    /// Whether open sessions were ended.
    pub sessions_revoked: bool,
    /// The system's own name for the request, for its support.
    pub request_id: Option<String>,
    /// What a reader should know, such as a part of the wish that the system refused.
    pub note: Option<String>,
}

impl PasswordOutcome {
    /// An outcome with nothing else to say.
    pub fn new(effect: PasswordEffect) -> Self {
        Self { effect, temporary: None, sessions_revoked: false, request_id: None, note: None }
    }
}

/// What was done to a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PasswordEffect {
    /// It is the one that was given.
    Set,
    /// It is the one that was given, and must be changed at the next login.
    SetToChange,
    /// It is one that the system made up, and must be changed at the next login.
    Temporary,
    /// The system has mailed a link.
    LinkMailed,
    /// The account was locked and no longer is.
    Unlocked,
    /// The account was not locked.
    NotLocked,
}
