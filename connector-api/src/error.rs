//! What goes wrong between a host and a managed system, sorted by what the caller can do about it.
//!
//! A message says what was being tried, with the name of the thing in backticks; the hint says what to do.
//! Neither ever holds a secret, a request body or a profile.

use std::{error::Error as StdError, fmt};

/// The result of a call to a connector.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed call: kind, one-line message and, where a person can act, a hint.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    setting: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// The remedy a failure asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting or the mapping is unusable: somebody must change it.
    Settings,
    /// The credentials were refused, or they lack a right.
    Credentials,
    /// The thing asked for does not exist in the managed system.
    NotFound,
    /// The managed system understood the request and refused it; repeating it is useless.
    Rejected,
    /// The managed system cannot be reached or keeps failing; later may be better.
    Unavailable,
    /// The managed system answered with something that its documentation does not allow.
    Protocol,
    /// The connector does not offer this.
    Unsupported,
}

impl Error {
    /// An error of this kind; `message` says what was being tried and what came of it.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, setting: None, source: None }
    }

    /// An unusable value of the connection setting `key`. The message must not repeat the value of a secret.
    pub fn setting(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { setting: Some(key.into()), ..Self::new(ErrorKind::Settings, message) }
    }

    /// The same error with advice on what to do, as a sentence without its full stop.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same error with the failure that caused it.
    #[must_use]
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// The same error as one of another kind, where what failed was a step on the way to something else.
    #[must_use]
    pub fn of_kind(self, kind: ErrorKind) -> Self {
        Self { kind, ..self }
    }

    /// The same error, its message preceded by where it arose.
    #[must_use]
    pub fn within(self, place: &str) -> Self {
        Self { message: format!("{place}: {}", self.message), ..self }
    }

    /// The error without its cause, and the cause.
    pub(crate) fn take_source(mut self) -> (Self, Option<Box<dyn StdError + Send + Sync>>) {
        let source = self.source.take();
        (self, source)
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What to do about it, in words.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The connection setting that is at fault, so that a host can say where it is written.
    pub fn setting_key(&self) -> Option<&str> {
        self.setting.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
