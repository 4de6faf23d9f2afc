//! What a host hands to a connector: the connection's name and its settings.
//!
//! Every value is text and may be a secret, as in .NET configuration; a connector asks for the type it wants.
//! Keys ignore case. No error and no `Debug` output ever shows a value of a key read as a secret.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive, str::FromStr};

use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, Result};

/// A connection's identifier: starts with a letter, then letters, digits, `.` and `-`, at most 442 characters.
///
/// Two identifiers that differ in case alone are the same connection. `_` is refused because it separates the
/// connection from the table in `<connection>_<table>.csv`. Source: the vendor's page on `<Connection>`.
#[derive(Debug, Clone)]
pub struct ConnectionId(String);

impl ConnectionId {
    /// The identifier as it was spelt.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `other` names the same connection: case does not matter.
    pub fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }

    /// The table that the connection table `<connection>_<table>` of this connection names.
    pub fn table_of<'a>(&self, connection_table: &'a str) -> Option<&'a str> {
        let (connection, table) = connection_table.split_once('_')?;
        self.is(connection).then_some(table)
    }
}

impl FromStr for ConnectionId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refuse = |why: &str, hint: &str| {
            Err(Error::setting("Identifier", format!("`{text}` is no connection identifier: {why}")).with_hint(hint))
        };
        if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return refuse("it does not start with a letter", "start it with a letter");
        }
        if text.contains('_') {
            return refuse(
                "it contains `_`, which separates connection and table in file names",
                "use letters, digits, `.` and `-`",
            );
        }
        if let Some(c) = text.chars().find(|c| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-')) {
            return refuse(&format!("it contains `{}`", c.escape_default()), "use letters, digits, `.` and `-`");
        }
        if text.len() > 442 {
            return refuse("it is longer than 442 characters", "shorten it");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl PartialEq for ConnectionId {
    fn eq(&self, other: &Self) -> bool {
        self.is(&other.0)
    }
}

impl Eq for ConnectionId {}

/// The settings of one connection: flat keys (`Tables:0` for the first element of an array) and text.
pub struct ConnectionSettings {
    id: ConnectionId,
    values: BTreeMap<String, (String, SecretString)>,
}

impl ConnectionSettings {
    /// Settings without a value yet.
    pub fn new(id: ConnectionId) -> Self {
        Self { id, values: BTreeMap::new() }
    }

    /// The same settings with one more value; a key given before, in whatever case, is replaced.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<SecretString>) -> Self {
        let key = key.into();
        self.values.insert(key.to_lowercase(), (key, value.into()));
        self
    }

    /// The connection these settings are for.
    pub fn id(&self) -> &ConnectionId {
        &self.id
    }

    /// The keys as they were spelt, in alphabetical order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.values.values().map(|(key, _)| key.as_str())
    }

    /// The value of `key` as a secret; none where it is absent or blank.
    pub fn secret(&self, key: &str) -> Option<&SecretString> {
        let (_, value) = self.values.get(&key.to_lowercase())?;
        (!value.expose_secret().trim().is_empty()).then_some(value)
    }

    /// The value of `key`, trimmed; none where it is absent or blank. Not for secrets.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.secret(key).map(|value| value.expose_secret().trim())
    }

    /// The value of `key` as a whole number within `range`, else `default`.
    pub fn number(&self, key: &str, default: u32, range: RangeInclusive<u32>) -> Result<u32> {
        let Some(text) = self.text(key) else { return Ok(default) };
        text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
            let (low, high) = range.into_inner();
            Error::setting(key, format!("`{key}` is no whole number from {low} to {high}"))
                .with_hint(format!("write one, or remove the key for the default, {default}"))
        })
    }

    /// The value of `key` as `true` or `false`, in whatever case, else `default`.
    pub fn flag(&self, key: &str, default: bool) -> Result<bool> {
        match self.text(key) {
            None => Ok(default),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(_) => Err(Error::setting(key, format!("`{key}` is neither true nor false"))
                .with_hint(format!("write one of them, or remove the key for the default, {default}"))),
        }
    }

    /// The value of `key` as one of `choices` (name and meaning), in whatever case, else `default`.
    pub fn choice<T: Copy>(&self, key: &str, default: T, choices: &[(&str, T)]) -> Result<T> {
        let Some(text) = self.text(key) else { return Ok(default) };
        choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, meaning)| *meaning).ok_or_else(|| {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            Error::setting(key, format!("`{key}` is not known")).with_hint(format!("write one of {}", names.join(", ")))
        })
    }

    /// The value of `key` as a list: an array, or one text with commas. None where it is absent.
    pub fn list(&self, key: &str) -> Option<Vec<&str>> {
        if let Some(text) = self.text(key) {
            return Some(text.split(',').map(str::trim).filter(|element| !element.is_empty()).collect());
        }
        let elements: Vec<&str> = (0..).map_while(|index| self.text(&format!("{key}:{index}"))).collect();
        (!elements.is_empty()).then_some(elements)
    }
}

impl fmt::Debug for ConnectionSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionSettings").field("id", &self.id).field("keys", &self.values.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_follow_the_vendors_rule() {
        for good in ["OktaExportFulfillment", "a", "Okta-2.eu"] {
            assert!(good.parse::<ConnectionId>().is_ok(), "{good}");
        }
        for bad in ["", "1Okta", "Okta_Export", "Okta Export", "Okta:x", "Öktä", &"a".repeat(443)] {
            assert!(bad.parse::<ConnectionId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_connection_table_names_its_table_whatever_the_case() {
        let id: ConnectionId = "OktaExportFulfillment".parse().unwrap();
        assert_eq!(id.table_of("oktaexportfulfillment_users"), Some("users"));
        assert_eq!(id.table_of("Other_users"), None);
    }

    #[test]
    fn values_are_read_as_dotnet_reads_them() {
        let settings = ConnectionSettings::new("Okta".parse().unwrap())
            .with("maxconcurrency", "8")
            .with("IncludeDeprovisioned", "False")
            .with("Tables:0", "users")
            .with("Tables:1", "groups")
            .with("Blank", " ");
        assert_eq!(settings.number("MaxConcurrency", 12, 1..=100).unwrap(), 8);
        assert!(settings.number("MaxConcurrency", 12, 1..=4).is_err());
        assert!(!settings.flag("IncludeDeprovisioned", true).unwrap());
        assert_eq!(settings.list("Tables").unwrap(), ["users", "groups"]);
        assert_eq!(settings.text("Blank"), None);
        assert_eq!(settings.choice("Missing", 1, &[("one", 1)]).unwrap(), 1);
    }

    #[test]
    fn debug_shows_keys_and_no_value() {
        let shown = format!("{:?}", ConnectionSettings::new("Okta".parse().unwrap()).with("ApiKey", "00secret"));
        assert!(shown.contains("apikey") && !shown.contains("00secret"), "{shown}");
    }
}
