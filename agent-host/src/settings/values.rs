//! Settings as .NET configuration holds them: flat keys (`Connections:Okta:ApiKey`), text, and where each is written.
//!
//! Keys ignore case and keep the spelling and the place in the order in which they were first met, so that a
//! variable in capitals does not rename a connection. Values may be secrets: nothing here shows one.

use std::{collections::HashMap, fmt, sync::Arc};

use connector_api::{Error, ErrorKind, Result};
use secrecy::{ExposeSecret, SecretString};

/// All settings of one source or, merged, of several.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    entries: Vec<Entry>,
    places: HashMap<String, usize>,
}

/// One key, what it holds and where that is written.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    /// None for a section, which holds other keys.
    pub(super) text: Option<SecretString>,
    pub(super) origin: Origin,
    /// Whether it stands where every value is protected, and has not been opened yet.
    pub(super) must_be_protected: bool,
}

/// Where a setting is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    File {
        file: Arc<str>,
        line: usize,
        column: usize,
    },
    Variable(String),
    /// What it is in which vault, such as "HashiCorp vault `https://…`, `secret/okta`".
    Vault(Arc<str>),
}

impl Values {
    /// Gives `key` its value (none for a section) and returns where its former value, if any, was written.
    pub(super) fn set(&mut self, key: &str, text: Option<SecretString>, origin: Origin) -> Option<Origin> {
        let place = *self.places.entry(key.to_lowercase()).or_insert(self.entries.len());
        match self.entries.get_mut(place) {
            None => {
                self.entries.push(Entry { key: key.to_owned(), text, origin, must_be_protected: false });
                None
            }
            Some(_) if text.is_none() => None,
            Some(entry) => {
                let former = std::mem::replace(&mut entry.origin, origin);
                entry.must_be_protected = false;
                entry.text.replace(text?).map(|_| former)
            }
        }
    }

    /// Takes over the values of a later source, which win.
    pub(super) fn merge(&mut self, later: Self) {
        for Entry { key, text, origin, must_be_protected } in later.entries {
            let is_value = text.is_some();
            self.set(&key, text, origin);
            if let Some(&place) = self.places.get(&key.to_lowercase()).filter(|_| is_value) {
                self.entries[place].must_be_protected = must_be_protected;
            }
        }
    }

    /// The same values, as such of a file in which every value is protected.
    pub(super) fn must_be_protected(mut self) -> Self {
        self.entries.iter_mut().for_each(|entry| entry.must_be_protected = entry.text.is_some());
        self
    }

    /// The value of `key`, trimmed; none where it is absent or blank. Not for secrets.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        let text = self.entry(key)?.text.as_ref()?.expose_secret().trim();
        (!text.is_empty()).then_some(text)
    }

    /// The value of `key` as a secret; none where it is absent or blank.
    pub(super) fn secret(&self, key: &str) -> Option<&SecretString> {
        self.text(key)?;
        self.entry(key)?.text.as_ref()
    }

    /// The same values, all from `origin` and under other keys.
    pub(super) fn moved(self, origin: &Origin, key: impl Fn(&str) -> String) -> Self {
        self.entries.into_iter().fold(Self::default(), |mut moved, entry| {
            moved.set(&key(&entry.key), entry.text, origin.clone());
            moved
        })
    }

    /// Whether `key` is true; it is not where it is absent.
    pub(super) fn flag(&self, key: &str) -> Result<bool> {
        match self.text(key) {
            None => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(_) => Err(self.error(key, "is neither true nor false").with_hint("write true or false")),
        }
    }

    /// All that is there, in the order in which it was first met.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The same, to be changed in place.
    pub(super) fn entries_mut(&mut self) -> &mut [Entry] {
        &mut self.entries
    }

    /// What is known of `key`.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.places.get(&key.to_lowercase()).map(|&place| &self.entries[place])
    }

    /// Everything below `section`, in the order in which it was first met, each with the rest of its key.
    pub(super) fn below<'a>(&'a self, section: &str) -> impl Iterator<Item = (&'a str, &'a Entry)> + use<'a> {
        let start = format!("{}:", section.to_lowercase());
        let depth = start.matches(':').count();
        self.entries.iter().filter(move |entry| entry.key.to_lowercase().starts_with(&start)).map(move |entry| {
            let rest = entry.key.splitn(depth + 1, ':').last().expect("a split yields at least one part");
            (rest, entry)
        })
    }

    /// An error about `key` that starts with where it is written. `what` must not repeat a secret.
    pub(super) fn error(&self, key: &str, what: impl fmt::Display) -> Error {
        match self.entry(key) {
            Some(entry) => entry.error(what),
            None => Error::new(ErrorKind::Settings, format!("`{key}` {what}")),
        }
    }
}

impl Entry {
    /// An error about this key that starts with where it is written. `what` must not repeat a secret.
    pub(super) fn error(&self, what: impl fmt::Display) -> Error {
        Error::new(ErrorKind::Settings, format!("{}: `{}` {what}", self.origin, self.key))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Vault(place) => f.write_str(place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str) -> Origin {
        Origin::Variable(name.to_owned())
    }

    #[test]
    fn a_later_value_wins_and_the_first_spelling_stays() {
        let mut values = Values::default();
        values.set("Connections:Okta", None, variable("a"));
        assert_eq!(values.set("Connections:Okta:ApiKey", Some("one".into()), variable("b")), None);
        assert_eq!(values.set("CONNECTIONS:OKTA:APIKEY", Some("two".into()), variable("c")), Some(variable("b")));
        assert_eq!(values.text("connections:okta:apikey"), Some("two"));
        let below: Vec<&str> = values.below("connections").map(|(rest, _)| rest).collect();
        assert_eq!(below, ["Okta", "Okta:ApiKey"]);
        assert_eq!(values.entry("Connections:Okta:ApiKey").unwrap().origin, variable("c"));
    }

    #[test]
    fn a_section_does_not_erase_a_text() {
        let mut values = Values::default();
        values.set("A", Some("text".into()), variable("a"));
        values.set("A", None, variable("b"));
        assert_eq!(values.text("A"), Some("text"));
    }

    #[test]
    fn blank_is_unset_and_debug_shows_no_value() {
        let mut values = Values::default();
        values.set("A", Some(" ".into()), variable("a"));
        values.set("B", Some("00secret".into()), variable("b"));
        assert_eq!(values.text("A"), None);
        assert!(!format!("{values:?}").contains("00secret"));
    }
}
