//! The settings of one vault: where it is, who asks, what is wanted. Typed, with errors that say where each is written.
//!
//! A secret may be given in place (`Token`) or in a file (`TokenFile`), whose relative name is looked for among the
//! credentials that systemd passes on (`$CREDENTIALS_DIRECTORY`), then in the agent directory.

use std::{fmt, net::IpAddr, ops::RangeInclusive, path::Path, time::Duration};

use connector_api::{Error, ErrorKind, Result};
use reqwest::{Certificate, Url};
use secrecy::{SecretString, zeroize::Zeroizing};

use super::Sources;
use crate::{
    redaction,
    settings::{named_file, values::Values},
};

/// A section of the settings that describes a vault.
#[derive(Clone, Copy)]
pub(super) struct Section<'a> {
    name: &'static str,
    sources: Sources<'a>,
    values: &'a Values,
}

impl<'a> Section<'a> {
    pub(super) fn new(name: &'static str, sources: Sources<'a>, values: &'a Values) -> Self {
        Self { name, sources, values }
    }

    /// The full key of a setting of this section.
    pub(super) fn key(&self, key: &str) -> String {
        format!("{}:{key}", self.name)
    }

    /// An error about a setting of this section. `what` must not repeat a secret.
    pub(super) fn error(&self, key: &str, what: impl fmt::Display) -> Error {
        self.values.error(&self.key(key), what)
    }

    /// The text of a setting that is no secret; none where it is absent or blank.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.values.text(&self.key(key))
    }

    /// The text of a setting that must be there.
    pub(super) fn required(&self, key: &str) -> Result<&'a str> {
        self.text(key).ok_or_else(|| self.error(key, "is missing").with_hint("set it, or remove the vault's section"))
    }

    pub(super) fn flag(&self, key: &str) -> Result<bool> {
        self.values.flag(&self.key(key))
    }

    pub(super) fn seconds(&self, key: &str, default: u64, range: RangeInclusive<u64>) -> Result<Duration> {
        let Some(text) = self.text(key) else { return Ok(Duration::from_secs(default)) };
        text.parse().ok().filter(|seconds| range.contains(seconds)).map(Duration::from_secs).ok_or_else(|| {
            let (low, high) = range.into_inner();
            self.error(key, format_args!("is no number of seconds from {low} to {high}"))
                .with_hint(format!("write one, or remove the key for the default, {default}"))
        })
    }

    /// How long one question to the vault may take, with all its repetitions.
    pub(super) fn timeout(&self) -> Result<Duration> {
        self.seconds("TimeoutSeconds", 10, 1..=120)
    }

    /// After how long the vault's values are read again, where nothing it says asks for less.
    pub(super) fn refresh(&self) -> Result<Duration> {
        self.seconds("RefreshSeconds", 3600, 30..=86_400)
    }

    /// An array, or one text with commas.
    pub(super) fn list(&self, key: &str) -> Vec<&'a str> {
        match self.text(key) {
            Some(text) => text.split(',').map(str::trim).filter(|element| !element.is_empty()).collect(),
            None => self.below(key).map(|(_, element)| element).collect(),
        }
    }

    /// The texts below a key, each with the rest of its key.
    pub(super) fn below(&self, key: &str) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let values = self.values;
        values.below(&self.key(key)).filter_map(|(rest, entry)| Some((rest, values.text(&entry.key)?)))
    }

    /// Whether anything is set below a key, or the key itself.
    pub(super) fn has(&self, key: &str) -> bool {
        self.text(key).is_some() || self.below(key).next().is_some()
    }

    /// A variable of the environment, as others than us name it.
    pub(super) fn variable(&self, name: &str) -> Option<&'a str> {
        let found = self.sources.environment.iter().find(|(variable, _)| variable == name);
        found.and_then(|(_, value)| value.to_str()).map(str::trim).filter(|value| !value.is_empty())
    }

    /// A secret, given in place or in a file.
    pub(super) fn secret(&self, key: &str) -> Result<Option<SecretString>> {
        let file_key = format!("{key}File");
        match (self.values.secret(&self.key(key)), self.text(&file_key)) {
            (Some(_), Some(_)) => {
                let hint = format!("keep `{key}` or `{file_key}`");
                Err(self.error(&file_key, format_args!("and `{key}` are both given")).with_hint(hint))
            }
            (Some(secret), None) => Ok(Some(secret.clone())),
            (None, Some(_)) => {
                let bytes = self.file(&file_key)?.unwrap_or_default();
                let text = str::from_utf8(&bytes).map(str::trim).ok().filter(|text| !text.is_empty());
                let unusable = || self.error(&file_key, "names a file that holds no text").with_hint("write it again");
                let secret: SecretString = text.ok_or_else(unusable)?.into();
                redaction::remember([&secret]);
                Ok(Some(secret))
            }
            (None, None) => Ok(None),
        }
    }

    /// The contents of the file that a setting names.
    pub(super) fn file(&self, key: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some(name) = self.text(key) else { return Ok(None) };
        let passed_on = self.variable("CREDENTIALS_DIRECTORY").map(|folder| Path::new(folder).join(name));
        let path = passed_on.filter(|path| path.is_file());
        let path = path.unwrap_or_else(|| named_file::at(self.sources.directory, name));
        let contents = named_file::contents(&path);
        contents.map(Some).map_err(|problem| named_file::unusable(self.values, &self.key(key), problem))
    }

    /// The text of the file that a variable of the environment names.
    pub(super) fn file_of(&self, variable: &str) -> Result<Option<SecretString>> {
        let Some(path) = self.variable(variable) else { return Ok(None) };
        let unusable = |what: &str, hint: &str| {
            let what = format!("environment variable {variable}: it names a file that {what}");
            Error::new(ErrorKind::Settings, what).with_hint(hint)
        };
        let bytes = named_file::contents(Path::new(path)).map_err(|problem| unusable(&problem.what, &problem.hint))?;
        let text = str::from_utf8(&bytes).map_err(|_| unusable("holds no text", "name the right file"))?;
        let secret: SecretString = text.trim().into();
        redaction::remember([&secret]);
        Ok(Some(secret))
    }

    /// An address with `https`; plain `http` is for this machine alone.
    pub(super) fn address(&self, key: &str) -> Result<Url> {
        self.check_address(key, self.required(key)?)
    }

    /// As [`Section::address`], for a text that is the setting's or stands for it.
    pub(super) fn check_address(&self, key: &str, text: &str) -> Result<Url> {
        let refuse = |what: &str| {
            Err(self.error(key, what).with_hint("write an address such as `https://vault.example.com:8200`"))
        };
        match Url::parse(text) {
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                refuse("holds a user or a password, which belong elsewhere")
            }
            Ok(url) if url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url) => Ok(url),
            Ok(url) if url.scheme() == "http" => refuse("is no `https` address"),
            _ => refuse("is no address"),
        }
    }

    /// The certificates in the file of `CaFile`, which the vault is then trusted by alone.
    pub(super) fn authorities(&self) -> Result<Option<Vec<Certificate>>> {
        let Some(pem) = self.file("CaFile")? else { return Ok(None) };
        let certificates = Certificate::from_pem_bundle(&pem).unwrap_or_default();
        if certificates.is_empty() {
            let error = self.error("CaFile", "names a file without a certificate");
            return Err(error.with_hint("name a PEM file with the certificate of the vault's authority"));
        }
        Ok(Some(certificates))
    }
}

/// Whether the address is on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
    })
}

/// An error about what a vault holds or says. `what` must not repeat a secret.
pub(super) fn problem(kind: ErrorKind, vault: &str, what: impl fmt::Display, hint: impl Into<String>) -> Error {
    Error::new(kind, format!("{vault}: {what}")).with_hint(hint)
}
