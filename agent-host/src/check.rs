//! One connection tried out: whether it can be reached, which tables can be read, and what to fix.

use std::collections::BTreeMap;

use connector_api::{Problem as Found, ProblemList};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{agent::Agent, complaint::Complaint, export::choose_tables, redaction::redact};

/// What a check found.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CheckReport {
    /// The connection, as it was named.
    pub connection: String,
    /// Whether nothing is to be fixed.
    pub ok: bool,
    /// By table: whether it can be read.
    pub tables: BTreeMap<String, bool>,
    /// What is to be fixed.
    pub problems: Vec<CheckProblem>,
    /// What should be looked at.
    pub warnings: Vec<CheckProblem>,
    /// What is good to know.
    pub notes: Vec<String>,
    /// The kind of what stopped the check; none where it came to its end.
    #[serde(skip)]
    pub failed: Option<&'static str>,
}

/// Something to be fixed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CheckProblem {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Tries the agent's connection of this name out. That it fails is what is told.
pub async fn check(agent: &Agent, name: &str) -> CheckReport {
    let outcome = async {
        let opened = agent.connection(name)?;
        let tables = choose_tables(&opened, &[])?;
        anyhow::Ok(opened.connector.test_connection(&tables).await?)
    };
    match outcome.await {
        Ok(found) => CheckReport {
            connection: name.to_owned(),
            ok: found.problems.is_empty(),
            tables: found.tables.into_iter().collect(),
            problems: told(&found.problems),
            warnings: told(&found.warnings),
            notes: found.notes,
            failed: None,
        },
        Err(error) => {
            let complaint = Complaint::of(&error);
            CheckReport {
                connection: name.to_owned(),
                ok: false,
                tables: BTreeMap::new(),
                failed: Some(complaint.kind),
                problems: problems(&error, complaint),
                warnings: Vec::new(),
                notes: Vec::new(),
            }
        }
    }
}

fn told(found: &[Found]) -> Vec<CheckProblem> {
    found.iter().map(|one| problem(&one.message, &one.hint)).collect()
}

/// Each problem alone, where the error stands for several.
fn problems(error: &anyhow::Error, complaint: Complaint) -> Vec<CheckProblem> {
    match error.chain().find_map(|cause| cause.downcast_ref::<ProblemList>()) {
        Some(list) => list.each().map(|(message, hint)| problem(&message, hint)).collect(),
        None => {
            vec![CheckProblem { message: complaint.message, hint: complaint.hint.unwrap_or_default() }]
        }
    }
}

fn problem(message: &str, hint: &str) -> CheckProblem {
    CheckProblem { message: redact(message).into_owned(), hint: redact(hint).into_owned() }
}
