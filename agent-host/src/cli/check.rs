//! `agent-host check`: every connection tried out, and what to fix.

use std::process::ExitCode;

use serde::Serialize;

use crate::{
    agent::Agent,
    check::{CheckReport, check},
};

use super::{Format, failure, print};

#[derive(Debug, Serialize)]
struct Report {
    connections: Vec<CheckReport>,
}

/// Rights are missing, though the credentials were accepted.
const RIGHTS_MISSING: u8 = 4;

pub(super) async fn run(agent: &Agent, format: Format, names: &[String]) -> anyhow::Result<ExitCode> {
    let all: Vec<String>;
    let names = if names.is_empty() {
        let connections = agent.settings.connections.iter().map(|connection| connection.id().to_string());
        all = connections.chain(agent.settings.misnamed.iter().map(|misnamed| misnamed.name.clone())).collect();
        &all
    } else {
        names
    };
    let mut report = Report { connections: Vec::new() };
    for name in names {
        report.connections.push(check(agent, name).await);
    }
    print(format, &report, |out| {
        for connection in &report.connections {
            writeln!(out, "{}: {}", connection.connection, if connection.ok { "ok" } else { "not ok" })?;
            for (table, readable) in &connection.tables {
                writeln!(out, "  {table:<12} {}", if *readable { "can be read" } else { "cannot be read" })?;
            }
            for note in &connection.notes {
                writeln!(out, "  {note}")?;
            }
            for problem in &connection.problems {
                writeln!(out, "  problem: {}; {}", problem.message, problem.hint)?;
            }
            for warning in &connection.warnings {
                writeln!(out, "  warning: {}; {}", warning.message, warning.hint)?;
            }
        }
        if report.connections.is_empty() {
            writeln!(out, "There is no connection; add one to `Connections` in appsettings.agent.json.")?;
        }
        Ok(())
    })?;
    Ok(ExitCode::from(report.connections.iter().map(exit_code).max().unwrap_or(0)))
}

fn exit_code(report: &CheckReport) -> u8 {
    match report.failed {
        Some(kind) => failure::exit_code(kind),
        None if report.ok => 0,
        None => RIGHTS_MISSING,
    }
}
