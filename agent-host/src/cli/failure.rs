//! How a failed command ends: an exit code, and one line that names the thing and says what to do.

use std::{error::Error as StdError, fmt, io::Write, process::ExitCode};

use connector_api::ProblemList;
use serde::Serialize;

use crate::{
    complaint::{Complaint, one_line},
    redaction::redact,
};

use super::{Format, interrupt::Interrupted};

/// A failure as the caller of the program sees it.
#[derive(Debug, Serialize)]
pub(super) struct Failure {
    kind: &'static str,
    message: String,
    hint: Option<String>,
    /// What the message sums up, a line each, for those who read text.
    #[serde(skip)]
    lines: Vec<String>,
    #[serde(skip)]
    exit_code: u8,
}

/// A command that was understood and makes no sense.
#[derive(Debug)]
pub(super) struct Usage {
    what: String,
    hint: &'static str,
}

impl Usage {
    pub(super) fn new(what: impl Into<String>, hint: &'static str) -> Self {
        Self { what: what.into(), hint }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl StdError for Usage {}

#[derive(Serialize)]
struct Report<'a> {
    error: &'a Failure,
}

impl Failure {
    /// The failure for an error: its kind follows from the first cause that knows what to do.
    pub(super) fn of(error: &anyhow::Error) -> Self {
        let mut failure = Self::of_cause(error);
        if let Some(list) = error.chain().find_map(|cause| cause.downcast_ref::<ProblemList>()) {
            failure.lines = list.lines().map(|line| one_line(&line)).collect();
        }
        // What went wrong may repeat what an answer or a file said, and that may be anything.
        let texts = failure.lines.iter_mut().chain([&mut failure.message]).chain(&mut failure.hint);
        texts.for_each(|text| *text = redact(text).into_owned());
        failure
    }

    fn of_cause(error: &anyhow::Error) -> Self {
        let lines = Vec::new();
        for cause in error.chain() {
            let own = cause.downcast_ref::<Interrupted>().map(|cause| ("interrupted", cause.hint().to_owned(), 1));
            let own = own.or_else(|| cause.downcast_ref::<Usage>().map(|cause| ("usage", cause.hint.to_owned(), 2)));
            if let Some((kind, hint, exit_code)) = own {
                return Self { kind, message: one_line(&format!("{error:#}")), hint: Some(hint), lines, exit_code };
            }
        }
        let Complaint { kind, message, hint } = Complaint::of(error);
        Self { kind, message, hint, lines, exit_code: exit_code(kind) }
    }

    /// The failure for arguments that cannot be understood, from what was said about them.
    pub(super) fn of_usage(text: &str) -> Self {
        let message = one_line(text.lines().next().unwrap_or_default().trim_start_matches("error: "));
        let hint = Some("see `agent-host --help`".to_owned());
        Self { kind: "usage", message, hint, lines: Vec::new(), exit_code: 2 }
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.exit_code)
    }

    /// One line on stderr, and with `--format json` an object on stdout.
    pub(super) fn print(&self, format: Format) {
        let hint = self.hint.as_ref().map_or_else(String::new, |hint| format!("; {hint}"));
        // Several problems have a line each before the one that sums them up.
        let message = match self.lines.as_slice() {
            [] => self.message.as_str(),
            lines => self.message.strip_suffix(&format!(": {}", lines.join(" · "))).unwrap_or(&self.message),
        };
        let lines: String = self.lines.iter().map(|line| format!("problem: {line}\n")).collect();
        // Nothing is left to do when stderr or stdout is gone.
        let _ = writeln!(std::io::stderr(), "{lines}error: {message}{hint}");
        if format == Format::Json {
            self.print_report();
        }
    }

    /// The object on stdout.
    pub(super) fn print_report(&self) {
        let report = serde_json::to_string(&Report { error: self }).unwrap_or_default();
        let _ = writeln!(std::io::stdout(), "{report}");
    }
}

/// The exit code for a kind of failure.
pub(super) fn exit_code(kind: &str) -> u8 {
    match kind {
        "settings" | "unsupported" => 3,
        "credentials" => 4,
        "not_found" | "rejected" | "unavailable" | "protocol" => 5,
        "refused" => 7,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;
    use connector_api::{Error, ErrorKind};

    use super::*;

    #[test]
    fn the_exit_code_follows_from_the_cause_that_knows_it() {
        let error = Error::new(ErrorKind::Credentials, "the token\nis refused").with_hint("make another");
        let failure = Failure::of(&Err::<(), _>(error).context("exporting").unwrap_err());
        assert_eq!((failure.kind, failure.exit_code), ("credentials", 4));
        assert_eq!(failure.message, "exporting: the token is refused");
        assert_eq!(failure.hint.as_deref(), Some("make another"));
        assert_eq!(Failure::of(&anyhow::anyhow!("something else")).exit_code, 1);
    }
}
