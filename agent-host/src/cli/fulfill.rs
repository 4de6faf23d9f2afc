//! `agent-host fulfill`: the arguments, the plan, the progress and the report.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;
use connector_api::{Error, ErrorKind, mapping::Deactivation};

use crate::{
    agent::Agent,
    fulfill::{FulfillOptions, Leave, Orders, Stop, fulfill, plan},
};

use super::{Format, actor, now_ms, print, progress::OrdersDisplay};

/// Some orders errored, or a file was rejected.
const SOME_ERRORED: u8 = 6;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The connection
    connection: String,
    /// A file, a folder, or - for standard input; else the connection's folder in ProvisioningOrders in the work folder
    #[arg(long, value_name = "PATH")]
    orders: Option<PathBuf>,
    /// The file for the results; else a new one in FulfillResults in the work folder
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,
    /// Print what would change, attribute by attribute, and stop; nothing is sent and no file is moved
    #[arg(long)]
    plan: bool,
    /// Let exactly these orders go over a safety limit once, by the code that was given when they were refused
    #[arg(long, value_name = "CODE", conflicts_with = "plan")]
    approve: Option<String>,
}

pub(super) async fn run(agent: &Agent, format: Format, options: &Options, stop: &Stop) -> anyhow::Result<ExitCode> {
    let opened = agent.connection(&options.connection)?;
    if let Some(place) = agent.switched_off(&options.connection, Deactivation::Fulfill) {
        let message = format!("{place}: the fulfillment of `{}` is switched off", options.connection);
        return Err(Error::new(ErrorKind::Settings, message).with_hint("switch it on in the mapping").into());
    }
    let orders = match &options.orders {
        None => Orders::Folder,
        Some(path) if path.as_os_str() == "-" => Orders::Stdin,
        Some(path) => Orders::Path(path.clone()),
    };
    if options.plan {
        let report = plan(agent, &opened, &orders, usize::MAX, None, now_ms()).await?;
        print(format, &report, |out| write!(out, "{report}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let approve = options.approve.clone().map(|code| Leave { code, actor: actor() });
    let results = options.results.clone();
    let wanted = FulfillOptions { orders, results, approve, clock: now_ms, stop: stop.clone() };
    let mut display = OrdersDisplay::new(&options.connection);
    let outcome = fulfill(agent, &opened, &wanted, |progress| display.show(progress)).await;
    drop(display);
    let report = outcome?;
    print(format, &report, |out| write!(out, "{report}"))?;
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(SOME_ERRORED) })
}
