//! The first page: whether everything is well, what needs somebody, what ran and what comes.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use minijinja::{Value, context};
use serde::Serialize;

use super::{Asked, Page, format::segment, routes::Routes, said, show, told, value};
use crate::web::{
    Web,
    session::SignedIn,
    views::{
        connections::{ConnectionView, connections},
        orders::queue,
        runs::{JobView, RunWish, jobs, runs},
    },
};

/// Runs that are shown.
const RUNS: u32 = 8;

/// Something that somebody should look at.
#[derive(Debug, Serialize)]
struct Attention {
    state: &'static str,
    what: String,
    path: String,
    title: &'static str,
}

pub(super) fn routes() -> Routes {
    Routes::default().page("/", overview)
}

async fn overview(State(web): State<Arc<Web>>, who: SignedIn, asked: Asked) -> Page {
    let caller = &who.session.caller;
    let connections = told(&web, &who, connections(&web, caller).await)?.connections;
    let jobs = told(&web, &who, jobs(&web, caller).await)?.jobs;
    let wish = RunWish { limit: Some(RUNS), ..RunWish::default() };
    let runs = told(&web, &who, runs(&web, caller, &wish).await)?.runs;
    let (mut attention, mut codes) = (Vec::new(), Vec::new());
    for connection in &connections {
        attention.extend(of_connection(connection));
        let waiting = told(&web, &who, queue(&web, caller, &connection.connection).await)?;
        for approval in waiting.approvals {
            attention.push(Attention {
                state: "blocked",
                what: format!(
                    "Orders of {} are over a safety limit and wait for leave ({})",
                    connection.connection, approval.code
                ),
                path: format!("/orders/{}", segment(&connection.connection)),
                title: "Look and decide",
            });
            codes.push(approval.code);
        }
    }
    // What waits for leave is told above, with what to do about it.
    let is_told = |item: &Attention| codes.iter().any(|code| item.what.contains(code));
    attention.extend(jobs.iter().filter_map(of_job).filter(|item| !is_told(item)));
    let mut coming: Vec<&JobView> = jobs.iter().filter(|job| job.next_ms.is_some()).collect();
    coming.sort_by_key(|job| job.next_ms);
    let counts = ["ok", "problem", "unknown"].map(|health| connections.iter().filter(|it| it.health == health).count());
    Ok(page(
        &web,
        &who,
        &asked,
        context! {
            connections => value(&connections), runs => value(&runs),
            coming => value(&coming), attention => value(&attention),
            well => counts[0], ill => counts[1], unknown => counts[2],
        },
    ))
}

fn page(web: &Web, who: &SignedIn, asked: &Asked, words: Value) -> Response {
    show(web, who, "overview.html", context! { here => "/", said => said(asked), ..words })
}

/// What the last check of a connection found wrong.
fn of_connection(connection: &ConnectionView) -> Option<Attention> {
    let check = connection.last_check.as_ref().filter(|check| !check.report.ok && connection.health == "problem")?;
    let first = check.report.problems.first().map_or("the last check failed", |problem| problem.message.as_str());
    Some(Attention {
        state: "problem",
        what: format!("{}: {first}", connection.connection),
        path: format!("/connections/{}", segment(&connection.connection)),
        title: "See what to do",
    })
}

/// A job whose last run left something undone.
fn of_job(job: &JobView) -> Option<Attention> {
    let last = job.last.as_ref().filter(|run| matches!(run.state, "error" | "blocked" | "warning"))?;
    let what = format!(
        "{}: {}",
        job.job,
        if last.message.is_empty() { "its last run did not go well" } else { &last.message }
    );
    Some(Attention { state: last.state, what, path: format!("/runs/{}", last.run), title: "See the run" })
}
