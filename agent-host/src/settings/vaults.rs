//! Settings that lie in vaults: read once when the settings are loaded, kept in memory alone.
//!
//! A vault's own settings, its credentials among them, come from all that was read before it: files, environment
//! variables, the vaults above it. Without a vault in the settings nothing is asked. Every unusable setting is
//! reported, whatever vault it is of. Source of the order: the vendor's page on the agent's configuration.

mod section;
mod client;
mod certificate;
mod assertion;
mod hashicorp;
mod aws;
mod azure;
mod cyberark;

use std::{
    ffi::OsString,
    path::Path,
    time::{Duration, SystemTime},
};

use connector_api::{Error, ErrorKind, Problems, Result};

use super::{
    Warning, json, secrets,
    values::{Origin, Values},
};
use crate::redaction;

/// What a vault may need beside the settings read before it.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) directory: &'a Path,
    pub(super) environment: &'a [(OsString, OsString)],
    /// The file of CyberArk's accounts.
    pub(super) accounts: &'a Values,
}

/// What was found in one vault.
struct Found {
    values: Values,
    /// After how long it must be read again.
    refresh_after: Duration,
    /// Why some of what was asked for is missing.
    problems: Vec<Error>,
}

impl Default for Found {
    fn default() -> Self {
        Self { values: Values::default(), refresh_after: Duration::MAX, problems: Vec::new() }
    }
}

impl Found {
    /// Whether the vault failed in between: asking it for the rest would only take longer.
    fn is_cut_short(&self) -> bool {
        self.problems.iter().any(|problem| problem.kind() == ErrorKind::Unavailable)
    }

    /// Takes one value, from what `place` names.
    fn take(&mut self, place: &str, key: &str, value: secrecy::SecretString) {
        self.values.set(key, Some(value), Origin::Vault(place.into()));
    }

    /// Takes the members of a JSON object as settings of `section`; without a section their keys are full.
    fn take_object(&mut self, place: &str, section: &str, text: &str, warnings: &mut Vec<Warning>) -> Result<()> {
        let origin = Origin::Vault(place.into());
        let values = json::parse(place, text, warnings)?;
        self.values.merge(values.moved(&origin, |key| match section {
            "" => full_key(key),
            section => format!("{section}:{}", full_key(key)),
        }));
        Ok(())
    }
}

/// Merges the values of all vaults that the settings name into them and notes every problem; after how long that must
/// be done again, where there is a vault.
pub(super) async fn merge(
    sources: Sources<'_>,
    values: &mut Values,
    problems: &mut Problems,
    warnings: &mut Vec<Warning>,
) -> Option<Duration> {
    let mut refresh_after: Option<Duration> = None;
    for vault in [Kind::HashiCorp, Kind::Aws, Kind::Azure, Kind::CyberArk] {
        let read = Box::pin(vault.read(sources, values, warnings)).await;
        let placed = |problem: Error| vault.placed(values, problem);
        let read = read.map_err(placed);
        let Some(Some(found)) = problems.note(read) else { continue };
        let secret = found.values.entries().iter().filter(|entry| secrets::is_secret(entry));
        redaction::remember(secret.filter_map(|entry| entry.text.as_ref()));
        problems.extend(found.problems.into_iter().map(placed));
        values.merge(found.values);
        refresh_after = Some(refresh_after.map_or(found.refresh_after, |after| after.min(found.refresh_after)));
    }
    refresh_after
}

/// The vaults in the order in which they are asked.
#[derive(Debug, Clone, Copy)]
enum Kind {
    HashiCorp,
    Aws,
    Azure,
    CyberArk,
}

impl Kind {
    async fn read(self, sources: Sources<'_>, values: &Values, warnings: &mut Vec<Warning>) -> Result<Option<Found>> {
        match self {
            Self::HashiCorp => hashicorp::read(sources, values, warnings).await,
            Self::Aws => aws::read(sources, values, warnings).await,
            Self::Azure => azure::read(sources, values, SystemTime::now(), warnings).await,
            Self::CyberArk => cyberark::read(sources, values).await,
        }
    }
}

impl Kind {
    /// The problem with the place of the setting that names the vault, unless it begins with a place of its own.
    fn placed(self, values: &Values, problem: Error) -> Error {
        let (keys, vault): (&[&str], _) = match self {
            Self::HashiCorp => (&["HashiCorpVault:Address"], "HashiCorp "),
            Self::Aws => {
                (&["AwsSecretsManager:Secrets", "AwsSecretsManager:Connections", "AwsSecretsManager:Keys"], "AWS ")
            }
            Self::Azure => (&["AzureKeyVault:Vault", "KeyVault:Vault"], "Azure "),
            Self::CyberArk => (&["CyberArk:Server"], "CyberArk "),
        };
        let entry = keys.iter().find_map(|key| {
            let below = || values.below(key).map(|(_, entry)| entry).find(|entry| entry.text.is_some());
            values.entry(key).filter(|entry| entry.text.is_some()).or_else(below)
        });
        match entry.filter(|_| problem.to_string().starts_with(vault)) {
            Some(entry) => problem.within(&format!("{}: `{}`", entry.origin, entry.key)),
            None => problem,
        }
    }
}

/// The key of a setting, however a vault had to write it: `Connections--Okta--ApiKey`, `Connections__Okta__ApiKey`.
fn full_key(name: &str) -> String {
    name.replace("--", ":").replace("__", ":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_every_spelling() {
        for name in ["Connections:Okta:ApiKey", "Connections--Okta--ApiKey", "Connections__Okta__ApiKey"] {
            assert_eq!(full_key(name), "Connections:Okta:ApiKey");
        }
        let mut found = Found::default();
        let text = r#"{ "ApiKey": "00secret", "Tables": ["users"], "Max": 3, "Sub": { "Key": true } }"#;
        found.take_object("the vault", "Connections:Okta", text, &mut Vec::new()).unwrap();
        for (key, value) in [("ApiKey", "00secret"), ("Tables:0", "users"), ("Max", "3"), ("Sub:Key", "true")] {
            let key = format!("Connections:Okta:{key}");
            assert_eq!(found.values.text(&key), Some(value), "{key}");
            assert_eq!(found.values.entry(&key).unwrap().origin.to_string(), "the vault");
        }
    }
}
