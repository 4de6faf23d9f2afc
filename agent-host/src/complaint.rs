//! A failure in three parts, for whoever asked, by whatever way: what kind it is, which thing, and what to do about it.
//!
//! The first cause that knows what to do says which kind it is. No part shows a secret.

use connector_api::{Error, ErrorKind};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    export::{FileError, Refused},
    fulfill::{OverLimit, Stopped},
    redaction::redact,
};

/// What went wrong, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Complaint {
    /// The kind, in a word: `settings`, `credentials`, `not_found`, `refused`, …
    pub kind: &'static str,
    /// One line that names the thing.
    pub message: String,
    /// What to do, as a sentence without its full stop.
    pub hint: Option<String>,
}

impl Complaint {
    /// What to say of an error.
    pub fn of(error: &anyhow::Error) -> Self {
        let message = one_line(&format!("{error:#}"));
        let told = |kind, hint: Option<&str>| (kind, hint.map(one_line));
        let known = error.chain().find_map(|cause| {
            if let Some(cause) = cause.downcast_ref::<Error>() {
                return Some(told(word(cause.kind()), cause.hint()));
            }
            let of_guard = cause.downcast_ref::<Refused>().map(|cause| told("refused", Some(cause.hint())));
            let of_limit = || cause.downcast_ref::<OverLimit>().map(|cause| told("refused", Some(cause.hint())));
            let of_stop = || cause.downcast_ref::<Stopped>().map(|cause| told("interrupted", Some(cause.hint())));
            let of_file = || cause.downcast_ref::<FileError>().map(|cause| told("failed", Some(cause.hint())));
            of_guard.or_else(of_limit).or_else(of_stop).or_else(of_file)
        });
        let (kind, hint) = known.unwrap_or(("failed", None));
        // What went wrong may repeat what an answer or a file said, and that may be anything.
        let hint = hint.map(|hint| redact(&hint).into_owned());
        Self { kind, message: redact(&message).into_owned(), hint }
    }
}

/// The word for a kind of error.
pub fn word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Settings => "settings",
        ErrorKind::Credentials => "credentials",
        ErrorKind::NotFound => "not_found",
        ErrorKind::Rejected => "rejected",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Protocol => "protocol",
        ErrorKind::Unsupported => "unsupported",
        _ => "failed",
    }
}

/// The text without its line breaks.
pub fn one_line(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}
