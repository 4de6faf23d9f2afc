//! `agent-host operator`: who may use the dashboard. A password is typed twice or comes on stdin; one that is made up is
//! printed once.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;

use crate::{
    agent::Agent,
    operators,
    password_reset::random_text,
    store::{self, OperatorRecord, Store},
};

use super::{Format, actor, now_ms, print, protect::input};

/// Bytes of chance in a password that is made up.
const GENERATED_BYTES: usize = 18;

#[derive(Debug, Subcommand)]
pub(super) enum Operator {
    /// Make an operator; the password is typed twice, or is the first line of stdin
    #[command(after_help = "Example:\n  agent-host operator create ada")]
    Create(Create),
    /// Show every operator
    #[command(after_help = "Example:\n  agent-host operator list")]
    List,
    /// Set a new password; the operator's sessions end
    #[command(after_help = "Example:\n  agent-host operator password ada --generate")]
    Password {
        /// The operator
        name: String,
        /// Make the password up and print it, once
        #[arg(long)]
        generate: bool,
    },
    /// Remove an operator; their sessions end
    #[command(after_help = "Example:\n  agent-host operator remove ada")]
    Remove {
        /// The operator
        name: String,
    },
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// What they sign in with
    name: String,
    /// What they may do: a viewer looks; an operator starts runs, approves orders and resets passwords; an
    /// administrator changes settings and says who may do what
    #[arg(long, value_name = "ROLE", default_value = "administrator", value_parser = ["viewer", "operator", "administrator"])]
    role: String,
    /// The connection that the role holds for; may be given several times; all where none is named
    #[arg(long, value_name = "CONNECTION")]
    connection: Vec<String>,
    /// Make the password up and print it, once
    #[arg(long)]
    generate: bool,
}

#[derive(Serialize)]
struct PasswordReport<'a> {
    operator: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<&'a str>,
}

#[derive(Serialize)]
struct ListReport {
    operators: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    name: String,
    role: String,
    /// None for all.
    connections: Option<serde_json::Value>,
    created_ms: i64,
    signed_in_ms: Option<i64>,
}

pub(super) async fn run(agent: &Agent, format: Format, command: &Operator) -> anyhow::Result<ExitCode> {
    let store = Store::open(store::Place::of(&agent.settings)).await?;
    match command {
        Operator::Create(wanted) => {
            for connection in &wanted.connection {
                agent.settings.connection(connection)?;
            }
            let password = password(wanted.generate)?;
            let role = wanted.role.parse().map_err(|_| anyhow::anyhow!("no role is called so"))?;
            let Create { name, connection, generate, .. } = wanted;
            operators::create(&store, name, role, connection, &password, &actor(), now_ms()).await?;
            show(
                format,
                name,
                "can sign in to the dashboard that `agent-host run` serves",
                generate.then_some(&password),
            )?;
        }
        Operator::List => {
            let operators = store.operators().await?.into_iter().map(Listed::from).collect();
            let report = ListReport { operators };
            print(format, &report, |out| {
                for Listed { name, role, connections, signed_in_ms, .. } in &report.operators {
                    let of = connections.as_ref().map(|names| format!(" of {names}")).unwrap_or_default();
                    let never = if signed_in_ms.is_none() { ", has not signed in yet" } else { "" };
                    writeln!(out, "{name}: {role}{of}{never}")?;
                }
                Ok(())
            })?;
        }
        Operator::Password { name, generate } => {
            let password = password(*generate)?;
            operators::set_password(&store, name, &password, &actor(), now_ms()).await?;
            show(format, name, "has a new password, and is signed in nowhere", generate.then_some(&password))?;
        }
        Operator::Remove { name } => {
            operators::remove(&store, name, &actor(), now_ms()).await?;
            show(format, name, "is removed", None)?;
        }
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}

impl From<OperatorRecord> for Listed {
    fn from(operator: OperatorRecord) -> Self {
        let connections = operator.connections.and_then(|text| serde_json::from_str(&text).ok());
        let OperatorRecord { name, role, created_ms, signed_in_ms, .. } = operator;
        Self { name, role, connections, created_ms, signed_in_ms }
    }
}

fn password(generate: bool) -> anyhow::Result<SecretString> {
    if generate {
        return Ok(random_text(GENERATED_BYTES)?.into());
    }
    input::new_password("The operator's password, at least 12 characters: ")
}

fn show(format: Format, name: &str, what: &str, password: Option<&SecretString>) -> anyhow::Result<()> {
    let report = PasswordReport { operator: name, password: password.map(ExposeSecret::expose_secret) };
    print(format, &report, |out| {
        writeln!(out, "`{name}` {what}.")?;
        match report.password {
            Some(password) => writeln!(out, "Password:  {password}\nIt is shown this once."),
            None => Ok(()),
        }
    })
}
