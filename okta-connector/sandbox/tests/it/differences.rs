//! The differences which are known and left, each with its reason. The list is exact: a difference that is not in it
//! fails the test, and so does an entry that no longer matches any.

use crate::comparison::Finding;
use crate::recordings::Era;

/// A group of differences with one reason. Patterns may hold `*`.
pub(crate) struct Known {
    pub(crate) era: Option<Era>,
    pub(crate) file: &'static str,
    pub(crate) request: &'static str,
    /// Each of these must be found somewhere.
    pub(crate) subjects: &'static [&'static str],
    pub(crate) reason: &'static str,
}

/// Between recorded answers and the sandbox's.
pub(crate) const KNOWN: &[Known] = &[];

/// Between the published description and the sandbox's answers.
pub(crate) const OPENAPI: &[Known] = &[];

/// Sorts findings into known ones and others, and remembers which entries were of use.
pub(crate) struct Ledger {
    known: &'static [Known],
    used: Vec<(usize, usize)>,
}

impl Ledger {
    pub(crate) fn new(known: &'static [Known]) -> Self {
        Self { known, used: Vec::new() }
    }

    pub(crate) fn explains(&mut self, finding: &Finding) -> bool {
        let mut explained = false;
        for (entry, known) in self.known.iter().enumerate() {
            let applies = known.era.is_none_or(|era| era == finding.era)
                && glob(known.file, &finding.file)
                && glob(known.request, &finding.request);
            let subject = known.subjects.iter().position(|subject| applies && glob(subject, &finding.subject));
            if let Some(subject) = subject {
                self.used.push((entry, subject));
                explained = true;
            }
        }
        explained
    }

    /// The entries which explained nothing.
    pub(crate) fn unused(&self) -> Vec<String> {
        let subjects =
            |entry: usize, known: &'static Known| known.subjects.iter().enumerate().map(move |(i, s)| (entry, i, s));
        self.known
            .iter()
            .enumerate()
            .flat_map(|(entry, known)| subjects(entry, known).map(move |subject| (known, subject)))
            .filter(|(_, (entry, subject, _))| !self.used.contains(&(*entry, *subject)))
            .map(|(known, (.., subject))| format!("{} {} {subject} ({})", known.file, known.request, known.reason))
            .collect()
    }
}

/// Whether `text` matches `pattern`, in which every `*` stands for any characters.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(tail) = text.strip_prefix(head) else { return false };
    (0..=tail.len()).filter(|at| tail.is_char_boundary(*at)).any(|at| glob(rest, &tail[at..]))
}
