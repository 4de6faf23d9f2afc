//! `agent-host export`: the arguments, the plan, and the report.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use clap::Args;
use connector_api::{Error, ErrorKind, ExportPlan, mapping::Deactivation};
use serde::Serialize;

use crate::{
    agent::{Agent, Opened},
    export::{ExportOptions, choose_tables, export, grouped, note_set},
    store::{self, Store},
};

use super::{Format, now_ms, print, progress::Display};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The connection
    connection: String,
    /// The folder the files go to, relative to the current one; else ExportOutput in the temp folder
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Only this table, such as users; may be given several times
    #[arg(long = "table", value_name = "NAME")]
    tables: Vec<String>,
    /// Read everything, not only what has changed; this version always does
    #[arg(long)]
    full: bool,
    /// Print the requests and the time it would take, and stop
    #[arg(long)]
    plan: bool,
    /// Publish even when a table is empty or much smaller than before
    #[arg(long)]
    accept_shrink: bool,
}

#[derive(Serialize)]
struct PlanReport<'a> {
    connection: &'a str,
    requests: u64,
    seconds: u64,
    by_bucket: BTreeMap<&'a str, BucketReport>,
}

#[derive(Serialize)]
struct BucketReport {
    requests: u64,
    per_minute: Option<u32>,
    seconds: u64,
}

pub(super) async fn run(agent: &Agent, format: Format, options: &Options) -> anyhow::Result<ExitCode> {
    let opened = agent.connection(&options.connection)?;
    if let Some(place) = agent.switched_off(&options.connection, Deactivation::Export) {
        let message = format!("{place}: the export of `{}` is switched off", options.connection);
        return Err(Error::new(ErrorKind::Settings, message).with_hint("switch it on in the mapping").into());
    }
    if options.plan {
        plan(&opened, format, options).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut display = Display::new(&options.connection);
    let output = options.output.clone().unwrap_or_else(|| agent.export_folder());
    let output = std::path::absolute(output)?;
    let wanted = ExportOptions { output, tables: options.tables.clone(), accept_shrink: options.accept_shrink };
    let outcome = export(&opened, &wanted, |progress| display.show(progress)).await;
    drop(display);
    let report = outcome?;
    // A set elsewhere is its maker's own.
    if options.output.is_none() {
        match Store::open_in_haste(store::Place::of(&agent.settings)).await {
            Ok(store) => note_set(&store, &report, now_ms()).await,
            Err(error) => tracing::warn!("the set is in place, but its history is not kept: {error:#}"),
        }
    }
    print(format, &report, |out| write!(out, "{report}"))?;
    Ok(ExitCode::SUCCESS)
}

async fn plan(opened: &Opened<'_>, format: Format, options: &Options) -> anyhow::Result<()> {
    let tables = choose_tables(opened, &options.tables)?;
    let plan: ExportPlan = opened.connector.plan(&tables).await?;
    let buckets = plan.by_bucket.iter().map(|(name, bucket)| {
        let seconds = bucket.duration.as_secs_f64().ceil() as u64;
        (name.as_str(), BucketReport { requests: bucket.requests, per_minute: bucket.per_minute, seconds })
    });
    let by_bucket: BTreeMap<&str, BucketReport> = buckets.collect();
    let report = PlanReport {
        connection: opened.settings.id().as_str(),
        requests: by_bucket.values().map(|bucket| bucket.requests).sum(),
        seconds: by_bucket.values().map(|bucket| bucket.seconds).max().unwrap_or(0),
        by_bucket,
    };
    print(format, &report, |out| {
        for (name, bucket) in &report.by_bucket {
            let limit = bucket
                .per_minute
                .map_or_else(|| "limit not known".to_owned(), |limit| format!("{} a minute", grouped(limit.into())));
            writeln!(
                out,
                "{name:>16} {:>10} requests  {limit:>16}  {:>6} s",
                grouped(bucket.requests),
                grouped(bucket.seconds)
            )?;
        }
        writeln!(
            out,
            "Exporting `{}` takes {} requests and about {} s.",
            report.connection,
            grouped(report.requests),
            grouped(report.seconds)
        )
    })?;
    Ok(())
}
