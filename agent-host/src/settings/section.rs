//! A section of the settings that another part of the agent reads by itself, typed and with the place of each value.
//!
//! A section that the vendor documents in two places is read from both: the first place that has a key wins.

use std::{fmt, ops::RangeInclusive, str::FromStr};

use connector_api::{Error, Result};
use secrecy::SecretString;

use super::values::{Entry, Values};

/// One section, wherever it is written.
#[derive(Debug, Clone)]
pub(crate) struct Section<'a> {
    values: &'a Values,
    /// Keys of sections, the one that wins first.
    places: Vec<String>,
}

impl<'a> Section<'a> {
    pub(super) fn new(values: &'a Values, places: &[&str]) -> Self {
        Self { values, places: places.iter().map(ToString::to_string).collect() }
    }

    /// The value of `key`, trimmed; none where it is absent or blank. Not for secrets.
    pub(crate) fn text(&self, key: &str) -> Option<&'a str> {
        self.places.iter().find_map(|place| self.values.text(&format!("{place}:{key}")))
    }

    /// The value of `key` as it is written; none where it is absent or blank.
    pub(crate) fn secret(&self, key: &str) -> Option<SecretString> {
        self.text(key)?;
        self.entry(key)?.text.clone()
    }

    /// Whether anything at all is written in the section.
    pub(crate) fn is_written(&self) -> bool {
        self.places.iter().any(|place| self.values.below(place).next().is_some())
    }

    /// The names of the sections directly inside, spelled as they were first met.
    pub(crate) fn sections(&self) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        for (rest, _) in self.places.iter().flat_map(|place| self.values.below(place)) {
            if let Some((name, _)) = rest.split_once(':')
                && !names.iter().any(|known| known.eq_ignore_ascii_case(name))
            {
                names.push(name);
            }
        }
        names
    }

    /// The keys directly inside a section within, with their values, spelled as they were first met. Not for secrets.
    pub(crate) fn pairs(&self, within: &str) -> Vec<(&'a str, &'a str)> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for place in &self.places {
            for (name, _) in self.values.below(&format!("{place}:{within}")) {
                let text = self.values.text(&format!("{place}:{within}:{name}"));
                if let Some(text) = text.filter(|_| !pairs.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))) {
                    pairs.push((name, text));
                }
            }
        }
        pairs
    }

    /// # Errors
    /// Where the value is neither true nor false.
    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.text(key) {
            None => Ok(default),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(self.error(key, "is neither true nor false").with_hint("write true or false")),
        }
    }

    /// # Errors
    /// Where the value is no number within `range`.
    pub(crate) fn number<T: FromStr + PartialOrd + fmt::Display>(
        &self,
        key: &str,
        default: T,
        range: RangeInclusive<T>,
    ) -> Result<T> {
        let Some(text) = self.text(key) else { return Ok(default) };
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let (low, high) = (range.start(), range.end());
            self.error(key, format_args!("is no whole number from {low} to {high}"))
                .with_hint(format!("write one, or remove the key for the default, {default}"))
        })
    }

    /// The value of `key` as one of `choices`, in whatever case, else `default`.
    ///
    /// # Errors
    /// Where the value is none of them.
    pub(crate) fn choice<T: Copy>(&self, key: &str, default: T, choices: &[(&str, T)]) -> Result<T> {
        let Some(text) = self.text(key) else { return Ok(default) };
        let found = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, meaning)| *meaning);
        found.ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.error(key, "is not known").with_hint(format!("write one of {}", names.join(", ")))
        })
    }

    /// The value of `key` as a list: an array, or one text in which `separator` stands between the elements.
    pub(crate) fn list(&self, key: &str, separator: char) -> Vec<&'a str> {
        let elements: Vec<&str> = (0..).map_while(|index| self.text(&format!("{key}:{index}"))).collect();
        if !elements.is_empty() {
            return elements;
        }
        let text = self.text(key).unwrap_or_default();
        text.split(separator).map(str::trim).filter(|element| !element.is_empty()).collect()
    }

    /// An error about `key` that says where it is written. `what` must not repeat a secret.
    pub(crate) fn error(&self, key: &str, what: impl fmt::Display) -> Error {
        match self.entry(key) {
            Some(entry) => entry.error(what),
            None => self.values.error(&format!("{}:{key}", self.places[0]), what),
        }
    }

    fn entry(&self, key: &str) -> Option<&'a Entry> {
        let mut entries = self.places.iter().filter_map(|place| self.values.entry(&format!("{place}:{key}")));
        let first = entries.clone().next();
        entries.find(|entry| self.values.text(&entry.key).is_some()).or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::values::Origin;

    #[test]
    fn the_first_place_that_has_a_key_wins() {
        let mut values = Values::default();
        for (key, text) in [("A:Mail:Host", "inner"), ("Mail:Host", "outer"), ("Mail:Port", "x"), ("A:Mail:Port", " ")]
        {
            values.set(key, Some(text.into()), Origin::Variable(key.to_owned()));
        }
        let section = Section::new(&values, &["A:Mail", "Mail"]);
        assert_eq!(section.text("host"), Some("inner"));
        assert!(section.is_written() && !Section::new(&values, &["B"]).is_written());
        let error = section.number("Port", 25, 0..=65_535).unwrap_err();
        assert_eq!(error.to_string(), "environment variable Mail:Port: `Mail:Port` is no whole number from 0 to 65535");
        assert_eq!(section.number("Other", 25, 0..=65_535).unwrap(), 25);
        assert_eq!(section.error("Other", "is missing").to_string(), "`A:Mail:Other` is missing");
    }
}
