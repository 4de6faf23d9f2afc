//! `agent-host directory`: the addresses that SCIM clients provision into, and the secrets that open them.
//!
//! A secret is printed once, when it is made; nobody can print it later.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::{
    agent::Agent,
    directories::{self, DirectoryOptions, Minted},
    store::{self, DirectoryEvent, SecretRecord, Store},
    web,
};

use super::{Format, now_ms, print};

const DAY_MS: i64 = 24 * 3600 * 1000;

#[derive(Debug, Subcommand)]
pub(super) enum Directory {
    /// Make a directory; prints its address and its secret, once
    Create(Create),
    /// Show every directory, what is in it and when its secrets were last used
    List,
    /// Make a new secret; the one before it stays good for a while, any other ends
    Rotate {
        /// The directory
        name: String,
        /// For how many days the one before stays good
        #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u16).range(0..=90))]
        former_days: u16,
    },
    /// Remove a directory with everything in it
    Remove {
        /// The directory
        name: String,
    },
    /// Print what changed in a directory, in order
    Events {
        /// The directory
        name: String,
        /// Only what came behind this event
        #[arg(long, value_name = "NUMBER", default_value_t = 0)]
        after: i64,
        /// At most so many
        #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        most: u32,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Its name, which becomes a part of its address
    name: String,
    /// Open it by a key and a secret (Basic) instead of a bearer token
    #[arg(long)]
    basic: bool,
    /// What clients may not do there; may be given several times
    #[arg(long, value_enum, value_name = "FEATURE")]
    without: Vec<Feature>,
    /// What to do with a member that the directory does not have
    #[arg(long, value_enum, default_value_t = UnknownMember::Keep)]
    unknown_member: UnknownMember,
    /// Let no two groups have one name
    #[arg(long)]
    group_name_unique: bool,
    /// Whether what is deleted leaves a trace
    #[arg(long, value_enum, default_value_t = Delete::Hard)]
    delete: Delete,
    /// How many resources an answer holds where the client does not say
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1000))]
    page_size: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Feature {
    Create,
    Update,
    Deactivate,
    Groups,
    Import,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum UnknownMember {
    Keep,
    Reject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Delete {
    Hard,
    Soft,
}

/// What is printed of a new secret: a token, or a key and a secret.
#[derive(Serialize)]
struct SecretReport<'a> {
    directory: &'a str,
    endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

#[derive(Serialize)]
struct ListReport {
    directories: Vec<ListedDirectory>,
}

#[derive(Serialize)]
struct ListedDirectory {
    directory: String,
    endpoint: String,
    users: i64,
    groups: i64,
    last_event: i64,
    created_ms: i64,
    changed_ms: Option<i64>,
    secrets: Vec<ListedSecret>,
}

#[derive(Serialize)]
struct ListedSecret {
    prefix: String,
    kind: &'static str,
    created_ms: i64,
    ends_ms: Option<i64>,
    last_used_ms: Option<i64>,
}

#[derive(Serialize)]
struct RemoveReport<'a> {
    directory: &'a str,
    users: i64,
    groups: i64,
}

#[derive(Serialize)]
struct EventsReport<'a> {
    directory: &'a str,
    events: &'a [DirectoryEvent],
    /// What to ask for next.
    after: i64,
}

pub(super) async fn run(agent: &Agent, format: Format, command: &Directory) -> anyhow::Result<ExitCode> {
    let store = Store::open(store::Place::of(&agent.settings)).await?;
    match command {
        Directory::Create(wanted) => {
            let endpoint = endpoint(agent, &wanted.name)?;
            let made = directories::create(&store, &wanted.name, &wanted.options(), wanted.basic, now_ms()).await?;
            show_secret(format, &wanted.name, endpoint, &made)?;
        }
        Directory::List => list(agent, format, &store).await?,
        Directory::Rotate { name, former_days } => {
            let found = store.existing_directory(name).await?;
            let now_ms = now_ms();
            let former_end_ms = now_ms + i64::from(*former_days) * DAY_MS;
            let made = directories::rotate(&store, name, now_ms, former_end_ms).await?;
            show_secret(format, &found.name, endpoint(agent, &found.name)?, &made)?;
        }
        Directory::Remove { name } => {
            let found = store.existing_directory(name).await?;
            let counts = store.directory_counts(found.id).await?;
            store.remove_directory(found.id).await?;
            let report = RemoveReport { directory: &found.name, users: counts.users, groups: counts.groups };
            print(format, &report, |out| {
                let RemoveReport { directory, users, groups } = &report;
                writeln!(out, "Removed `{directory}` with {users} users and {groups} groups.")
            })?;
        }
        Directory::Events { name, after, most } => {
            let found = store.existing_directory(name).await?;
            let events = store.directory_events(found.id, *after, *most).await?;
            let after = events.last().map_or(*after, |event| event.number);
            let report = EventsReport { directory: &found.name, events: &events, after };
            print(format, &report, |out| {
                for event in report.events {
                    writeln!(out, "{}", serde_json::to_string(event)?)?;
                }
                Ok(())
            })?;
        }
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

impl Create {
    fn options(&self) -> DirectoryOptions {
        let off = |feature| self.without.contains(&feature).then_some(false);
        DirectoryOptions {
            create: off(Feature::Create),
            update: off(Feature::Update),
            deactivate: off(Feature::Deactivate),
            groups: off(Feature::Groups),
            import: off(Feature::Import),
            reject_unknown_member: (self.unknown_member == UnknownMember::Reject).then_some(true),
            group_name_unique: self.group_name_unique.then_some(true),
            soft_delete: (self.delete == Delete::Soft).then_some(true),
            page_size: self.page_size.map(usize::from),
        }
    }
}

fn show_secret(format: Format, name: &str, endpoint: String, made: &Minted) -> anyhow::Result<()> {
    let token = (!made.basic).then(|| made.token().expose_secret().to_owned());
    let key = made.basic.then_some(made.prefix.as_str());
    let secret = made.basic.then(|| made.secret.expose_secret());
    let report = SecretReport { directory: name, endpoint, token, key, secret };
    print(format, &report, |out| {
        writeln!(out, "SCIM base URL:  {}", report.endpoint)?;
        match (&report.token, report.key, report.secret) {
            (Some(token), ..) => writeln!(out, "Bearer token:   {token}")?,
            (None, key, secret) => {
                writeln!(out, "Key:            {}", key.unwrap_or_default())?;
                writeln!(out, "Secret:         {}", secret.unwrap_or_default())?;
            }
        }
        writeln!(out, "It is shown this once. Next: paste both into the client, and `agent-host run`.")
    })
}

async fn list(agent: &Agent, format: Format, store: &Store) -> anyhow::Result<()> {
    let mut listed = Vec::new();
    for found in store.directories().await? {
        let counts = store.directory_counts(found.id).await?;
        let secrets = store.secrets(found.id).await?.into_iter().map(listed_secret).collect();
        listed.push(ListedDirectory {
            endpoint: endpoint(agent, &found.name)?,
            directory: found.name,
            users: counts.users,
            groups: counts.groups,
            last_event: counts.last_event,
            created_ms: found.created_ms,
            changed_ms: found.changed_ms,
            secrets,
        });
    }
    let report = ListReport { directories: listed };
    print(format, &report, |out| {
        for known in &report.directories {
            let ListedDirectory { directory, endpoint, users, groups, .. } = known;
            writeln!(out, "{directory}  {endpoint}  {users} users, {groups} groups")?;
            for secret in &known.secrets {
                let used =
                    secret.last_used_ms.map_or_else(|| "never used".to_owned(), |at| format!("last used {}", day(at)));
                let ends = secret.ends_ms.map_or_else(String::new, |at| format!(", ends {}", day(at)));
                writeln!(out, "  {} {}  made {}, {used}{ends}", secret.kind, secret.prefix, day(secret.created_ms))?;
            }
        }
        Ok(())
    })
}

fn listed_secret(secret: SecretRecord) -> ListedSecret {
    ListedSecret {
        prefix: secret.prefix,
        kind: if secret.basic { "basic" } else { "bearer" },
        created_ms: secret.created_ms,
        ends_ms: secret.ends_ms,
        last_used_ms: secret.last_used_ms,
    }
}

fn day(at_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(at_ms)
        .map_or_else(String::new, |at| at.format("%Y-%m-%d %H:%M UTC").to_string())
}

/// Where clients find the directory: at the public address, else at the first that is listened on.
fn endpoint(agent: &Agent, name: &str) -> anyhow::Result<String> {
    let url = match directories::public_url(&agent.settings)? {
        Some(url) => url,
        None => {
            let addresses = web::addresses(&agent.settings)?;
            let first = addresses.first().map_or_else(String::new, ToString::to_string);
            format!("http://{first}")
        }
    };
    Ok(format!("{url}/scim/v2/{name}"))
}
