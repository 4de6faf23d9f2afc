//! What is wrong with settings, told all at once: the one who corrects them need not start the agent for each.

use std::{error::Error as StdError, fmt};

use crate::error::{Error, ErrorKind, Result};

/// More are counted, not shown.
const MAX_SHOWN: usize = 100;

/// The problems found so far.
#[derive(Debug, Default)]
pub struct Problems(Vec<Error>);

/// Several problems: the source of the one error that stands for them.
#[derive(Debug)]
pub struct ProblemList(Vec<Error>);

impl Problems {
    /// Notes a problem, once; of an error that stands for several, each.
    pub fn push(&mut self, problem: Error) {
        match split(problem) {
            Ok(several) => several.into_iter().for_each(|problem| self.push(problem)),
            Err(problem) if self.0.iter().any(|known| known.to_string() == problem.to_string()) => {}
            Err(problem) => self.0.push(*problem),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the value, or notes the problem.
    pub fn note<T>(&mut self, outcome: Result<T>) -> Option<T> {
        outcome.map_err(|problem| self.push(problem)).ok()
    }

    /// What was made of parts that were [noted](Problems::note).
    ///
    /// # Errors
    /// Where there is a problem.
    ///
    /// # Panics
    /// Where there is nothing and no problem either.
    pub fn finish<T>(self, whole: Option<T>) -> Result<T> {
        self.into_result().map(|()| whole.expect("a part is missing only where a problem was noted"))
    }

    /// The one problem, or one error that stands for all. Its kind is that of the remedy to begin with: while a setting
    /// is wrong, other credentials are useless, and waiting is as long as either is.
    ///
    /// # Errors
    /// Where there is a problem.
    pub fn into_result(mut self) -> Result<()> {
        let count = self.0.len();
        if count < 2 {
            return self.0.pop().map_or(Ok(()), Err);
        }
        let what = format!("{count} settings are unusable");
        let first = [ErrorKind::Settings, ErrorKind::Credentials, ErrorKind::Protocol];
        let kind = first.into_iter().find(|kind| self.0.iter().any(|problem| problem.kind() == *kind));
        Err(Error::new(kind.unwrap_or(ErrorKind::Unavailable), what)
            .with_hint("correct each of them")
            .with_source(ProblemList(self.0)))
    }
}

impl Extend<Error> for Problems {
    fn extend<I: IntoIterator<Item = Error>>(&mut self, errors: I) {
        errors.into_iter().for_each(|error| self.push(error));
    }
}

impl FromIterator<Error> for Problems {
    fn from_iter<I: IntoIterator<Item = Error>>(errors: I) -> Self {
        let mut problems = Self::default();
        problems.extend(errors);
        problems
    }
}

impl Error {
    /// Changes the error or, where it stands for several, each of them.
    #[must_use]
    pub fn map_each(self, change: impl Fn(Self) -> Self) -> Self {
        match split(self) {
            Err(one) => change(*one),
            Ok(several) => {
                let changed = several.into_iter().map(change).collect::<Problems>().into_result();
                changed.err().unwrap_or_else(|| Self::new(ErrorKind::Settings, "the settings are unusable"))
            }
        }
    }
}

impl ProblemList {
    /// Each problem with its cause, and what to do.
    pub fn each(&self) -> impl Iterator<Item = (String, &str)> {
        self.0.iter().map(|problem| (message(problem), problem.hint().unwrap_or_default()))
    }

    /// A line for each problem, with what to do.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let further = self.0.len().saturating_sub(MAX_SHOWN);
        let further = (further > 0).then(|| format!("and {further} more"));
        self.0.iter().take(MAX_SHOWN).map(line).chain(further)
    }
}

impl fmt::Display for ProblemList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().collect::<Vec<_>>().join(" · "))
    }
}

impl StdError for ProblemList {}

/// The errors that this one stands for; itself where it stands for itself alone.
fn split(error: Error) -> Result<Vec<Error>, Box<Error>> {
    let (error, source) = error.take_source();
    match source.map(|source| source.downcast::<ProblemList>()) {
        Some(Ok(list)) => Ok(list.0),
        Some(Err(source)) => Err(Box::new(error.with_source(source))),
        None => Err(Box::new(error)),
    }
}

fn line(problem: &Error) -> String {
    let hint = problem.hint().map_or_else(String::new, |hint| format!("; {hint}"));
    message(problem) + &hint
}

fn message(problem: &Error) -> String {
    let source = problem.source().map_or_else(String::new, |source| format!(": {source}"));
    format!("{problem}{source}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(what: &str) -> Error {
        Error::new(ErrorKind::Settings, what).with_hint("do")
    }

    fn all(problems: impl IntoIterator<Item = Error>) -> Error {
        problems.into_iter().collect::<Problems>().into_result().unwrap_err()
    }

    #[test]
    fn one_problem_is_itself_and_several_are_told_together() {
        let mut problems = Problems::default();
        assert_eq!(problems.note(Ok(1)), Some(1));
        problems.push(problem("a"));
        assert_eq!(all([problem("a")]).to_string(), "a");
        problems.push(problem("b"));
        problems.push(problem("b"));
        let error = problems.into_result().unwrap_err();
        assert_eq!(error.to_string(), "2 settings are unusable");
        assert_eq!(error.source().unwrap().to_string(), "a; do · b; do");
        let of = |kinds: &[ErrorKind]| all(kinds.iter().map(|kind| Error::new(*kind, format!("{kind:?}")))).kind();
        let (unavailable, refused) = (ErrorKind::Unavailable, ErrorKind::Credentials);
        assert_eq!(of(&[unavailable]), unavailable);
        assert_eq!(of(&[unavailable, refused]), refused);
        assert_eq!(of(&[unavailable, refused, ErrorKind::Settings]), ErrorKind::Settings);
        let many = all((0..MAX_SHOWN + 2).map(|number| problem(&number.to_string())));
        assert!(many.source().unwrap().to_string().ends_with(" · and 2 more"));
    }

    #[test]
    fn several_within_several_are_each_told_and_each_can_be_changed() {
        let error = all([problem("a"), all([problem("b"), problem("c")])]).map_each(|error| error.within("file"));
        assert_eq!(error.to_string(), "3 settings are unusable");
        assert_eq!(error.source().unwrap().to_string(), "file: a; do · file: b; do · file: c; do");
        assert_eq!(problem("a").map_each(|error| error.within("file")).to_string(), "file: a");
    }
}
