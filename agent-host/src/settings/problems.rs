//! What is wrong with settings, told all at once: the one who corrects them need not start the agent for each.

use std::{error::Error as StdError, fmt};

use connector_api::{Error, ErrorKind, Result};

/// More are counted, not shown.
const MAX_SHOWN: usize = 100;

/// Why something is of no use, and what to do about it; both go on a sentence that begins with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unusable {
    pub(crate) what: String,
    pub(crate) hint: String,
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Error>);

/// Several problems, each a line: the source of the one error that stands for them.
#[derive(Debug)]
pub struct ProblemList {
    lines: Vec<String>,
    further: usize,
}

impl Unusable {
    pub(crate) fn new(what: impl fmt::Display, hint: impl fmt::Display) -> Self {
        Self { what: what.to_string(), hint: hint.to_string() }
    }
}

impl Problems {
    /// Notes a problem, once.
    pub(super) fn push(&mut self, problem: Error) {
        if !self.0.iter().any(|known| known.to_string() == problem.to_string()) {
            self.0.push(problem);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the value, or notes the problem.
    pub(super) fn note<T>(&mut self, outcome: Result<T>) -> Option<T> {
        outcome.map_err(|problem| self.push(problem)).ok()
    }

    /// The one problem, or one error that stands for all. Its kind is that of the remedy to begin with: while a setting
    /// is wrong, other credentials are useless, and waiting is as long as either is.
    pub(super) fn into_result(mut self) -> Result<()> {
        let count = self.0.len();
        if count < 2 {
            return self.0.pop().map_or(Ok(()), Err);
        }
        let line = |problem: &Error| {
            let source = problem.source().map_or_else(String::new, |source| format!(": {source}"));
            let hint = problem.hint().map_or_else(String::new, |hint| format!("; {hint}"));
            format!("{problem}{source}{hint}")
        };
        let lines = self.0.iter().take(MAX_SHOWN).map(line).collect();
        let list = ProblemList { lines, further: count.saturating_sub(MAX_SHOWN) };
        let what = format!("{count} settings are unusable");
        let first = [ErrorKind::Settings, ErrorKind::Credentials, ErrorKind::Protocol];
        let kind = first.into_iter().find(|kind| self.0.iter().any(|problem| problem.kind() == *kind));
        Err(Error::new(kind.unwrap_or(ErrorKind::Unavailable), what)
            .with_hint("correct each of them")
            .with_source(list))
    }
}

impl ProblemList {
    /// A line for each problem, with what to do.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let further = (self.further > 0).then(|| format!("and {} more", self.further));
        self.lines.iter().cloned().chain(further)
    }
}

impl fmt::Display for ProblemList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().collect::<Vec<_>>().join(" · "))
    }
}

impl StdError for ProblemList {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_problem_is_itself_and_several_are_told_together() {
        let problem = |what: &str| Error::new(ErrorKind::Settings, what).with_hint("do");
        let mut problems = Problems::default();
        assert_eq!(problems.note(Ok(1)), Some(1));
        problems.push(problem("a"));
        assert_eq!(Problems(vec![problem("a")]).into_result().unwrap_err().to_string(), "a");
        problems.push(problem("b"));
        problems.push(problem("b"));
        let error = problems.into_result().unwrap_err();
        assert_eq!(error.to_string(), "2 settings are unusable");
        assert_eq!(error.source().unwrap().to_string(), "a; do · b; do");
        let of = |kinds: &[ErrorKind]| {
            let problem = |kind: &ErrorKind| Error::new(*kind, format!("{kind:?}"));
            Problems(kinds.iter().map(problem).collect()).into_result().unwrap_err().kind()
        };
        let (unavailable, refused) = (ErrorKind::Unavailable, ErrorKind::Credentials);
        assert_eq!(of(&[unavailable, unavailable]), unavailable);
        assert_eq!(of(&[unavailable, refused]), refused);
        assert_eq!(of(&[unavailable, refused, ErrorKind::Settings]), ErrorKind::Settings);
        let many = Problems((0..MAX_SHOWN + 2).map(|_| problem("a")).collect()).into_result().unwrap_err();
        assert!(many.source().unwrap().to_string().ends_with(" · and 2 more"));
    }
}
