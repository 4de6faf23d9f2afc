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

use connector_api::{Error, ErrorKind, Result};

use super::{
    Warning, json,
    values::{Origin, Values},
};

/// What a vault's own settings are read from.
#[derive(Clone, Copy)]
struct Sources<'a> {
    directory: &'a Path,
    environment: &'a [(OsString, OsString)],
    values: &'a Values,
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

/// Merges the values of all vaults that the settings name into them; after how long that must be done again.
///
/// # Errors
/// Of kind `Settings`, `Credentials` or `Unavailable`, whichever of the problems found asks for a remedy first.
pub(super) async fn merge(
    directory: &Path,
    environment: &[(OsString, OsString)],
    values: &mut Values,
    warnings: &mut Vec<Warning>,
) -> Result<Option<Duration>> {
    let mut problems = Vec::new();
    let mut refresh_after = None;
    for vault in [Kind::HashiCorp, Kind::Aws, Kind::Azure, Kind::CyberArk] {
        let sources = Sources { directory, environment, values };
        match Box::pin(vault.read(sources, warnings)).await {
            Ok(None) => {}
            Ok(Some(found)) => {
                values.merge(found.values);
                problems.extend(found.problems);
                refresh_after =
                    Some(refresh_after.map_or(found.refresh_after, |after: Duration| after.min(found.refresh_after)));
            }
            Err(error) => problems.push(error),
        }
    }
    match join(problems) {
        None => Ok(refresh_after),
        Some(error) => Err(error),
    }
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
    async fn read(self, sources: Sources<'_>, warnings: &mut Vec<Warning>) -> Result<Option<Found>> {
        match self {
            Self::HashiCorp => hashicorp::read(sources, warnings).await,
            Self::Aws => aws::read(sources, warnings).await,
            Self::Azure => azure::read(sources, SystemTime::now(), warnings).await,
            Self::CyberArk => cyberark::read(sources, warnings).await,
        }
    }
}

/// The key of a setting, however a vault had to write it: `Connections--Okta--ApiKey`, `Connections__Okta__ApiKey`.
fn full_key(name: &str) -> String {
    name.replace("--", ":").replace("__", ":")
}

/// All problems as one. Its kind is that of the remedy to begin with: while a setting is wrong, waiting is useless.
fn join(mut problems: Vec<Error>) -> Option<Error> {
    let rank = |error: &Error| match error.kind() {
        ErrorKind::Settings => 0,
        ErrorKind::Credentials => 1,
        ErrorKind::Unavailable => 3,
        _ => 2,
    };
    problems.sort_by_key(rank);
    if problems.len() < 2 {
        return problems.pop();
    }
    let mut parts = problems.iter().map(|error| match (std::error::Error::source(error), error.hint()) {
        (Some(source), Some(hint)) => format!("{error}: {source} ({hint})"),
        (None, Some(hint)) => format!("{error} ({hint})"),
        _ => error.to_string(),
    });
    let first = parts.next()?;
    let message = parts.fold(first, |all, part| all + "; " + &part);
    Some(Error::new(problems[0].kind(), message).with_hint("correct each of them and run again"))
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

    #[test]
    fn of_several_problems_the_one_that_waiting_does_not_cure_decides() {
        let error = |kind, message: &str| Error::new(kind, message).with_hint("do it");
        assert!(join(Vec::new()).is_none());
        let one = join(vec![error(ErrorKind::Unavailable, "a")]).unwrap();
        assert_eq!((one.kind(), one.to_string().as_str(), one.hint()), (ErrorKind::Unavailable, "a", Some("do it")));
        let all = [ErrorKind::Unavailable, ErrorKind::Credentials, ErrorKind::Settings];
        let joined =
            join(all.into_iter().zip(["a", "b", "c"]).map(|(kind, name)| error(kind, name)).collect()).unwrap();
        assert_eq!(joined.kind(), ErrorKind::Settings);
        assert_eq!(joined.to_string(), "c (do it); b (do it); a (do it)");
    }
}
