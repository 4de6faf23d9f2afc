//! `agent-host store`: bring the store up to date, check it, copy it.

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;
use serde::Serialize;

use crate::{
    agent::Agent,
    store::{self, Store},
};

use super::{Format, print};

#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Bring the tables up to this version of the agent, as every command does that opens the store
    #[command(after_help = "Example:\n  agent-host store migrate")]
    Migrate,
    /// Look for damage
    #[command(after_help = "Example:\n  agent-host store check")]
    Check,
    /// Write a whole copy into a new file, while the agent may run
    #[command(after_help = "Example:\n  agent-host store backup /srv/backup/agent.db")]
    Backup {
        /// The file, which must not be there yet
        file: PathBuf,
    },
}

#[derive(Serialize)]
struct Report {
    store: String,
    version: i64,
    problems: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<PathBuf>,
}

pub(super) async fn run(agent: &Agent, format: Format, command: &StoreCommand) -> anyhow::Result<ExitCode> {
    let place = store::Place::of(&agent.settings);
    let store = Store::open(&place).await?;
    let mut report = Report { store: place.to_string(), version: store.version(), problems: Vec::new(), backup: None };
    match command {
        StoreCommand::Migrate => {}
        StoreCommand::Check => report.problems = store.problems().await?,
        StoreCommand::Backup { file } => {
            let file = std::path::absolute(file)?;
            store.back_up(&file).await?;
            report.backup = Some(file);
        }
    }
    store.close().await;
    print(format, &report, |out| {
        for problem in &report.problems {
            writeln!(out, "problem: {problem}")?;
        }
        if let Some(file) = &report.backup {
            writeln!(out, "Copied to {}.", file.display())?;
        }
        let state = if report.problems.is_empty() { "sound" } else { "damaged: go back to a backup" };
        match command {
            StoreCommand::Check => writeln!(out, "The store `{}` is {state}.", report.store),
            _ => writeln!(out, "The store `{}` has version {}.", report.store, report.version),
        }
    })?;
    Ok(if report.problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
