//! Jobs and runs: what is due, what ran, one run with its steps and its log, which is followed as it grows.
//!
//! A log, and the timeline with it, is followed by server-sent events. An answer lasts some seconds; the browser asks
//! again from where it is, so that no answer keeps the agent from ending, and a session that ended sees no more.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse,
        sse::{Event, Sse},
    },
};
use futures::{Stream, stream};
use minijinja::context;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Asked, Page,
    routes::Routes,
    said, show,
    timeline::{self, Timeline},
    told, value,
};
use crate::{
    access::{Caller, Role},
    web::{
        Web,
        session::{Sent, SignedIn, see},
        views::runs,
    },
};

/// Between two looks at a log that is followed, …
const LOOK: Duration = Duration::from_millis(400);
/// … so many of which make an answer.
const LOOKS: u32 = 20;
/// After so many looks the timeline is drawn anew: as long as the mark of what is at work takes to come and go.
const DRAWN: u32 = 4;
/// After how long the browser asks again.
const AGAIN: Duration = Duration::from_millis(250);
/// Runs of each job that the page marks.
const MARKED: u32 = 10;
/// Runs that the page lists.
const RUNS: u32 = 25;

pub(super) fn routes() -> Routes {
    Routes::default()
        .page("/runs", list)
        .page("/runs/{run}", one)
        .page("/runs/{run}/events", events)
        .form("/runs/{run}/cancel", cancel)
        .form("/runs/{run}/retry", retry)
        .form("/jobs/{job}/start", start)
}

async fn list(State(web): State<Arc<Web>>, who: SignedIn, asked: Asked) -> Page {
    let caller = &who.session.caller;
    let jobs = told(&web, &who, runs::jobs(&web, caller).await)?.jobs;
    let wish = runs::RunWish {
        job: asked.some("job"),
        connection: None,
        state: asked.some("state"),
        cursor: asked.number("cursor"),
        limit: Some(RUNS),
    };
    let found = told(&web, &who, runs::runs(&web, caller, &wish).await)?;
    let may: Vec<bool> = jobs
        .iter()
        .map(|job| job.may_be_started && job.steps.iter().all(|step| caller.may_in(Role::Operator, &step.connection)))
        .collect();
    let mut marks = Vec::with_capacity(jobs.len());
    for job in &jobs {
        let wish = runs::RunWish { job: Some(job.job.clone()), limit: Some(MARKED), ..Default::default() };
        let newest = told(&web, &who, runs::runs(&web, caller, &wish).await)?.runs;
        marks.push(newest.iter().rev().map(|run| run.state).collect::<Vec<_>>());
    }
    let words = context! {
        here => "/runs", said => said(&asked), jobs => value(&jobs), may, marks,
        found => value(&found), job => wish.job, state_wanted => wish.state,
    };
    Ok(show(&web, &who, "runs.html", words))
}

async fn one(State(web): State<Arc<Web>>, who: SignedIn, Path(number): Path<i64>, asked: Asked) -> Page {
    let caller = &who.session.caller;
    let run = told(&web, &who, runs::run(&web, caller, number).await)?;
    let log = told(&web, &who, runs::log(&web, caller, number, 0).await)?;
    let jobs = told(&web, &who, runs::jobs(&web, caller).await)?.jobs;
    let job = jobs.iter().find(|job| job.job.eq_ignore_ascii_case(&run.run.job));
    let may_act = match job {
        Some(job) => job.steps.iter().all(|step| caller.may_in(Role::Operator, &step.connection)),
        None => caller.may(Role::Operator),
    };
    let is_last = job.and_then(|job| job.last.as_ref()).is_some_and(|last| last.run == number);
    let words = context! {
        here => "/runs", said => said(&asked), it => value(&run), job => value(job),
        log => log.text, next => log.next, may_act, is_last, timeline => value(timeline_of(&web, &run)),
    };
    Ok(show(&web, &who, "run.html", words))
}

/// When its steps were at work, and which are to come.
fn timeline_of(web: &Web, run: &runs::RunDetails) -> Option<Timeline> {
    // A job that is in the settings no more has runs still.
    let steps = web.jobs.job(&run.run.job).map_or_else(|_| [].as_slice(), |job| &job.steps);
    timeline::of(run, steps.iter().map(|step| step.name.as_str()), web.now_ms())
}

async fn start(State(web): State<Arc<Web>>, Path(job): Path<String>, sent: Sent) -> Page {
    let run = told(&web, &sent.who, runs::start(&web, &sent.who.session.caller, &job, false).await)?;
    Ok(see(&format!("/runs/{}?said=started", run.run)))
}

async fn cancel(State(web): State<Arc<Web>>, Path(number): Path<i64>, sent: Sent) -> Page {
    told(&web, &sent.who, runs::cancel(&web, &sent.who.session.caller, number).await)?;
    Ok(see(&format!("/runs/{number}?said=cancelled")))
}

async fn retry(State(web): State<Arc<Web>>, Path(number): Path<i64>, sent: Sent) -> Page {
    let run = told(&web, &sent.who, runs::retry(&web, &sent.who.session.caller, number).await)?;
    Ok(see(&format!("/runs/{}?said=started", run.run)))
}

/// What the run logs from where the browser is.
async fn events(
    State(web): State<Arc<Web>>,
    who: SignedIn,
    Path(number): Path<i64>,
    asked: Asked,
    headers: HeaderMap,
) -> Page {
    let caller = who.session.caller.clone();
    told(&web, &who, runs::run(&web, &caller, number).await)?;
    let Ok(place) = web.followers.clone().try_acquire_owned() else {
        return Ok(
            (StatusCode::SERVICE_UNAVAILABLE, "Too many follow logs just now: load the page anew.\n").into_response()
        );
    };
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let from = last.or_else(|| asked.number("from")).unwrap_or(0);
    Ok(Sse::new(follow(Follower { web, caller, number, from, looks: 0, is_over: false, _place: place }))
        .into_response())
}

/// Somebody who follows a log.
struct Follower {
    web: Arc<Web>,
    caller: Caller,
    number: i64,
    from: i64,
    looks: u32,
    is_over: bool,
    _place: OwnedSemaphorePermit,
}

fn follow(follower: Follower) -> impl Stream<Item = Result<Event, Infallible>> + use<> {
    let parts = stream::unfold(follower, |mut follower| async {
        if follower.is_over || follower.looks >= LOOKS {
            return None;
        }
        if follower.looks > 0 {
            tokio::time::sleep(LOOK).await;
        }
        follower.looks += 1;
        let events = follower.look().await?;
        Some((stream::iter(events.into_iter().map(Ok)), follower))
    });
    futures::StreamExt::flatten(parts)
}

impl Follower {
    /// What has come; none where it cannot be looked at, which the page says when it is loaded anew.
    async fn look(&mut self) -> Option<Vec<Event>> {
        let log = runs::log(&self.web, &self.caller, self.number, self.from).await.ok()?;
        let run = runs::run(&self.web, &self.caller, self.number).await.ok()?;
        self.from = log.next;
        let id = log.next.to_string();
        let mut events = vec![Event::default().event("progress").id(&id).retry(AGAIN).data(one_line(&run.run.message))];
        if self.looks % DRAWN == 1 {
            let words = context! { timeline => value(timeline_of(&self.web, &run)) };
            let drawn = self.web.templates.render("timeline.html", words).ok()?;
            events.push(Event::default().event("timeline").id(&id).data(one_line(&drawn)));
        }
        if !log.text.is_empty() {
            events.push(Event::default().event("log").id(&id).data(log.text.trim_end()));
        }
        if log.is_whole {
            self.is_over = true;
            events.push(Event::default().event("over").id(&id).data(run.run.state));
        }
        Some(events)
    }
}

fn one_line(text: &str) -> String {
    text.replace(['\r', '\n'], " ")
}
