//! `agent-host token`: who may call the API. A token is printed once, when it is made; nobody can print it later.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use secrecy::ExposeSecret;
use serde::Serialize;

use crate::{
    access::{Role, Scope},
    agent::Agent,
    store::{self, Store, TokenRecord},
    tokens::{self, WantedToken},
};

use super::{Format, actor, now_ms, print};

const DAY_MS: i64 = 24 * 3_600_000;

#[derive(Debug, Subcommand)]
pub(super) enum Token {
    /// Make a token; prints it, once
    #[command(
        after_help = "Examples:\n  agent-host token create prometheus --expires-days 365\n  agent-host token create policy --role operator --connection OktaExportFulfillment"
    )]
    Create(Create),
    /// Show every token, what it may do and when it was last used
    #[command(after_help = "Example:\n  agent-host token list")]
    List,
    /// End a token at once
    #[command(after_help = "Example:\n  agent-host token revoke prometheus")]
    Revoke {
        /// Its name
        name: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Its name, by which the audit tells of it
    name: String,
    /// What its holder may do
    #[arg(long, value_enum, default_value_t = RoleName::Viewer)]
    role: RoleName,
    /// Only in this connection; may be given several times
    #[arg(long = "connection", value_name = "NAME")]
    connections: Vec<String>,
    /// After how many days it ends by itself; else it does not
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    expires_days: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleName {
    /// Looks, and changes nothing
    Viewer,
    /// Starts and cancels runs, sends and approves orders, resets passwords
    Operator,
    /// Everything
    Administrator,
}

#[derive(Serialize)]
struct NewToken<'a> {
    name: &'a str,
    token: &'a str,
    role: &'static str,
    connections: Option<&'a [String]>,
    ends_ms: Option<i64>,
}

#[derive(Serialize)]
struct ListReport {
    tokens: Vec<ListedToken>,
}

#[derive(Serialize)]
struct ListedToken {
    name: String,
    prefix: String,
    role: String,
    connections: Option<Vec<String>>,
    /// `in_force`, `expired` or `revoked`.
    state: &'static str,
    created_ms: i64,
    ends_ms: Option<i64>,
    revoked_ms: Option<i64>,
    last_used_ms: Option<i64>,
}

#[derive(Serialize)]
struct RevokeReport<'a> {
    name: &'a str,
    revoked: bool,
}

pub(super) async fn run(agent: &Agent, format: Format, command: &Token) -> anyhow::Result<ExitCode> {
    let store = Store::open(store::Place::of(&agent.settings)).await?;
    let actor = actor();
    match command {
        Token::Create(wanted) => create(agent, format, &store, wanted, &actor).await?,
        Token::List => list(format, &store).await?,
        Token::Revoke { name } => {
            tokens::revoke(&store, name, &actor, now_ms()).await?;
            print(format, &RevokeReport { name, revoked: true }, |out| writeln!(out, "Revoked `{name}`."))?;
        }
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

async fn create(agent: &Agent, format: Format, store: &Store, wanted: &Create, actor: &str) -> anyhow::Result<()> {
    let mut connections = Vec::new();
    for name in &wanted.connections {
        connections.push(agent.settings.connection(name)?.id().to_string());
    }
    let scope = if connections.is_empty() { Scope::All } else { Scope::Connections(connections.clone()) };
    let now_ms = now_ms();
    let ends_ms = wanted.expires_days.map(|days| now_ms + i64::from(days) * DAY_MS);
    let token = WantedToken { name: wanted.name.clone(), role: wanted.role.role(), scope, ends_ms };
    let made = tokens::create(store, &token, actor, now_ms).await?.token();
    let report = NewToken {
        name: &wanted.name,
        token: made.expose_secret(),
        role: token.role.name(),
        connections: (!connections.is_empty()).then_some(&connections),
        ends_ms,
    };
    print(format, &report, |out| {
        writeln!(out, "Token:  {}", report.token)?;
        writeln!(out, "It is shown this once. Next: send it as `Authorization: Bearer …` to `agent-host run`.")
    })
}

async fn list(format: Format, store: &Store) -> anyhow::Result<()> {
    let now_ms = now_ms();
    let tokens = store.tokens().await?.into_iter().map(|token| listed(token, now_ms)).collect();
    let report = ListReport { tokens };
    print(format, &report, |out| {
        if report.tokens.is_empty() {
            writeln!(out, "There are no tokens.")?;
        }
        for token in &report.tokens {
            let ListedToken { name, prefix, role, state, .. } = token;
            let places = token.connections.as_ref().map_or_else(|| "everywhere".to_owned(), |names| names.join(", "));
            let used =
                token.last_used_ms.map_or_else(|| "never used".to_owned(), |at| format!("last used {}", day(at)));
            let state = state.replace('_', " ");
            let ends = token.ends_ms.map_or_else(String::new, |at| format!(", ends {}", day(at)));
            writeln!(out, "{name}  {prefix}  {role}, {places}  {state}, made {}, {used}{ends}", day(token.created_ms))?;
        }
        Ok(())
    })
}

fn listed(token: TokenRecord, now_ms: i64) -> ListedToken {
    let state = match (token.revoked_ms, token.ends_ms) {
        (Some(_), _) => "revoked",
        (None, Some(ends_ms)) if ends_ms <= now_ms => "expired",
        _ => "in_force",
    };
    ListedToken {
        name: token.name,
        prefix: token.prefix,
        role: token.role,
        connections: token.connections,
        state,
        created_ms: token.created_ms,
        ends_ms: token.ends_ms,
        revoked_ms: token.revoked_ms,
        last_used_ms: token.last_used_ms,
    }
}

impl RoleName {
    fn role(self) -> Role {
        match self {
            Self::Viewer => Role::Viewer,
            Self::Operator => Role::Operator,
            Self::Administrator => Role::Administrator,
        }
    }
}

fn day(at_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(at_ms)
        .map_or_else(String::new, |at| at.format("%Y-%m-%d %H:%M UTC").to_string())
}
