//! A failure in three parts, for whoever asked, by whatever way: what kind it is, which thing, and what to do about it.
//!
//! The first cause that knows what to do says which kind it is. No part shows a secret.

use connector_api::{Error, ErrorKind};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    export::{FileError, Refused},
    fulfill::{OverLimit, Stopped},
    import::ImportRefused,
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
            let of_import = || cause.downcast_ref::<ImportRefused>().map(|cause| told("refused", Some(cause.hint())));
            let of_stop = || cause.downcast_ref::<Stopped>().map(|cause| told("interrupted", Some(cause.hint())));
            let of_file = || cause.downcast_ref::<FileError>().map(|cause| told("failed", Some(cause.hint())));
            of_guard.or_else(of_limit).or_else(of_import).or_else(of_stop).or_else(of_file)
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

/// The text without its line breaks, and without what terminals obey.
pub fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ").chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_one_line_that_no_terminal_obeys() {
        assert_eq!(one_line("a\r\n  b\rc\u{1b}[2Jd\u{9b}e"), "a b c [2Jd e");
    }
}
