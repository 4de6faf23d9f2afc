//! `agent-host directory`: the addresses that SCIM clients provision into, and the secrets that open them.
//!
//! A secret is printed once, when it is made; nobody can print it later.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::{
    agent::Agent,
    credential::Minted,
    directories::{self, DirectoryOptions, WantedClient},
    store::{self, DirectoryEvent, SecretRecord, Store},
    web,
};

use super::{Format, now_ms, print};

const DAY_MS: i64 = 24 * 3600 * 1000;

#[derive(Debug, Subcommand)]
pub(super) enum Directory {
    /// Make a directory; prints its address and its secret, once
    #[command(
        after_help = "Examples:\n  agent-host directory create acme\n  agent-host directory create acme --basic --without import"
    )]
    Create(Create),
    /// Show every directory, what is in it and when its secrets were last used
    #[command(after_help = "Example:\n  agent-host directory list")]
    List,
    /// Make a new secret; the one before it stays good for a while, any other ends
    #[command(after_help = "Example:\n  agent-host directory rotate acme --former-days 3")]
    Rotate {
        /// The directory
        name: String,
        /// For how many days the one before stays good
        #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u16).range(0..=90))]
        former_days: u16,
    },
    /// Let a client get its tokens by OAuth 2.0; prints its id and secret, and a code by which somebody consents, once
    #[command(
        after_help = "Examples:\n  agent-host directory oauth acme --redirect https://system-admin.okta.com/admin/app/cpc/NAME/oauth/callback\n  agent-host directory oauth acme --off"
    )]
    Oauth(Oauth),
    /// Remove a directory with everything in it
    #[command(after_help = "Example:\n  agent-host directory remove acme")]
    Remove {
        /// The directory
        name: String,
    },
    /// Print what changed in a directory, in order
    #[command(after_help = "Example:\n  agent-host directory events acme --after 120")]
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
    /// Let a token come without `Bearer` before it, as Okta's mode "Header" sends it
    #[arg(long, conflicts_with = "basic")]
    bare_token: bool,
    /// How many resources an answer holds where the client does not say
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=1000))]
    page_size: Option<u16>,
}

#[derive(Debug, Args)]
pub(super) struct Oauth {
    /// The directory
    name: String,
    /// Where the client may be sent back to, letter by letter; may be given several times
    #[arg(long, value_name = "URI")]
    redirect: Vec<String>,
    /// Whom the client acts as; people read it when they consent
    #[arg(long, value_name = "NAME")]
    service_user: Option<String>,
    /// The client keeps no secret, and must use PKCE
    #[arg(long)]
    public: bool,
    /// Give the client another secret, and take back what it got by the one before
    #[arg(long, conflicts_with = "public")]
    new_secret: bool,
    /// Forget the client, and take back everything it got
    #[arg(long, conflicts_with_all = ["redirect", "service_user", "public", "new_secret"])]
    off: bool,
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

/// What is printed of a client of OAuth.
#[derive(Serialize)]
struct OauthReport<'a> {
    directory: &'a str,
    authorize: String,
    token: String,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<&'a str>,
    service_user: &'a str,
    redirects: &'a [String],
    approval_code: &'a str,
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
        Directory::Oauth(wanted) => set_up_oauth(agent, format, &store, wanted).await?,
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
            bare_token: self.bare_token.then_some(true),
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

async fn set_up_oauth(agent: &Agent, format: Format, store: &Store, wanted: &Oauth) -> anyhow::Result<()> {
    let found = store.existing_directory(&wanted.name).await?;
    if wanted.off {
        let was_there = store.remove_oauth_client(found.id).await?;
        let report = serde_json::json!({ "directory": found.name, "removed": was_there });
        let said = if was_there { "The client is forgotten." } else { "There was no client." };
        return print(format, &report, |out| writeln!(out, "{said}"));
    }
    let client = WantedClient {
        redirects: wanted.redirect.clone(),
        service_user: wanted.service_user.clone(),
        public: wanted.public,
        new_secret: wanted.new_secret,
    };
    let made = directories::set_up_client(store, &wanted.name, &client, now_ms()).await?;
    let base = format!("{}/oauth/{}", service(agent)?, found.name);
    let report = OauthReport {
        directory: &found.name,
        authorize: format!("{base}/authorize"),
        token: format!("{base}/token"),
        client_id: &made.client_id,
        client_secret: made.client_secret.as_ref().map(ExposeSecret::expose_secret),
        service_user: &made.service_user,
        redirects: &made.redirects,
        approval_code: made.approval_code.expose_secret(),
    };
    print(format, &report, |out| {
        writeln!(out, "Authorize endpoint:  {}", report.authorize)?;
        writeln!(out, "Token endpoint:      {}", report.token)?;
        writeln!(out, "Client id:           {}", report.client_id)?;
        if let Some(secret) = report.client_secret {
            writeln!(out, "Client secret:       {secret}")?;
        }
        writeln!(out, "Acts as:             {}", report.service_user)?;
        writeln!(out, "Approval code:       {} (once, within an hour)", report.approval_code)?;
        writeln!(out, "Secret and code are shown this once. Next: authenticate in the client, and enter the code here.")
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

/// Where clients find the directory.
fn endpoint(agent: &Agent, name: &str) -> anyhow::Result<String> {
    Ok(format!("{}/scim/v2/{name}", service(agent)?))
}

/// Where clients find the agent: at the public address, else at the first that is listened on.
fn service(agent: &Agent) -> anyhow::Result<String> {
    if let Some(url) = directories::public_url(&agent.settings)? {
        return Ok(url);
    }
    let addresses = web::addresses(&agent.settings)?;
    Ok(addresses.first().map_or_else(String::new, ToString::to_string))
}
