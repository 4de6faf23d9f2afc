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

    /// Takes the value, or notes the problem.
    pub(super) fn note<T>(&mut self, outcome: Result<T>) -> Option<T> {
        outcome.map_err(|problem| self.push(problem)).ok()
    }

    /// The one problem, or one error that stands for all.
    pub(super) fn into_result(mut self) -> Result<()> {
        let count = self.0.len();
        if count < 2 {
            return self.0.pop().map_or(Ok(()), Err);
        }
        let line = |problem: &Error| match problem.hint() {
            Some(hint) => format!("{problem}; {hint}"),
            None => problem.to_string(),
        };
        let lines = self.0.iter().take(MAX_SHOWN).map(line).collect();
        let list = ProblemList { lines, further: count.saturating_sub(MAX_SHOWN) };
        let what = format!("{count} settings are unusable");
        Err(Error::new(ErrorKind::Settings, what).with_hint("correct each of them").with_source(list))
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
        let many = Problems((0..MAX_SHOWN + 2).map(|_| problem("a")).collect()).into_result().unwrap_err();
        assert!(many.source().unwrap().to_string().ends_with(" · and 2 more"));
    }
}
