//! `agent-host check`: every connection tried out, and what to fix.

use std::process::ExitCode;

use connector_api::ProblemList;
use serde::{Serialize, Serializer};

use crate::{agent::Agent, redaction::redact};

use super::{Format, failure::Failure, print};

#[derive(Debug, Serialize)]
struct Report {
    connections: Vec<ConnectionReport>,
}

#[derive(Debug, Serialize)]
struct ConnectionReport {
    connection: String,
    ok: bool,
    #[serde(serialize_with = "by_name")]
    tables: Vec<(String, bool)>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    notes: Vec<String>,
    #[serde(skip)]
    exit_code: u8,
}

#[derive(Debug, Serialize)]
struct Problem {
    message: String,
    hint: String,
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
    Ok(ExitCode::from(report.connections.iter().map(|connection| connection.exit_code).max().unwrap_or(0)))
}

async fn check(agent: &Agent, name: &str) -> ConnectionReport {
    let outcome = async {
        let opened = agent.connection(name)?;
        let tables = crate::export::choose_tables(&opened, &[])?;
        anyhow::Ok(opened.connector.test_connection(&tables).await?)
    };
    match outcome.await {
        Ok(found) => {
            let ok = found.problems.is_empty();
            let said = |list: Vec<connector_api::Problem>| {
                let said = |text: &str| redact(text).into_owned();
                list.into_iter().map(|one| Problem { message: said(&one.message), hint: said(&one.hint) }).collect()
            };
            ConnectionReport {
                connection: name.to_owned(),
                ok,
                tables: found.tables,
                problems: said(found.problems),
                warnings: said(found.warnings),
                notes: found.notes,
                exit_code: if ok { 0 } else { RIGHTS_MISSING },
            }
        }
        Err(error) => {
            let failure = Failure::of(&error);
            ConnectionReport {
                connection: name.to_owned(),
                ok: false,
                tables: Vec::new(),
                problems: problems(&error, &failure),
                warnings: Vec::new(),
                notes: Vec::new(),
                exit_code: failure.code(),
            }
        }
    }
}

/// Each problem alone, where the error stands for several.
fn problems(error: &anyhow::Error, failure: &Failure) -> Vec<Problem> {
    let problem =
        |message: &str, hint: &str| Problem { message: redact(message).into_owned(), hint: redact(hint).into_owned() };
    match error.chain().find_map(|cause| cause.downcast_ref::<ProblemList>()) {
        Some(list) => list.each().map(|(message, hint)| problem(&message, hint)).collect(),
        None => vec![problem(failure.message(), failure.hint())],
    }
}

fn by_name<S: Serializer>(tables: &[(String, bool)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(tables.iter().map(|(name, readable)| (name, readable)))
}
