//! `agent-host import`: the arguments, the progress and the report.

use std::process::ExitCode;

use clap::Args;

use crate::{
    agent::Agent,
    fulfill::Stop,
    import::{ImportOptions, import},
};

use super::{Format, now_ms, print, progress::OrdersDisplay};

/// Some orders errored, or some accounts cannot be told apart.
const SOME_ERRORED: u8 = 6;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The import, as the section Imports names it
    import: String,
    /// Print what would change, attribute by attribute, and stop; nothing is sent and nothing is kept
    #[arg(long)]
    plan: bool,
    /// Pass every limit once: a source that shrank, too many leavers, the limits of the connection; let a first run take away
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(agent: &Agent, format: Format, options: &Options, stop: &Stop) -> anyhow::Result<ExitCode> {
    let wanted = ImportOptions { plans: options.plan, forces: options.force, clock: now_ms, stop: stop.clone() };
    let mut display = OrdersDisplay::new(&options.import);
    let outcome = import(agent, &options.import, &wanted, |progress| display.show(progress)).await;
    drop(display);
    let report = outcome?;
    print(format, &report, |out| write!(out, "{report}"))?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(SOME_ERRORED) })
}
