//! Orders of a connection: what waits, what it would change, leave to go over a limit, and what came of what ran.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::{Redirect, Response},
};
use minijinja::context;

use super::{Asked, Page, format::segment, routes::Routes, said, show, told, value};
use crate::{
    access::Role,
    jobs::{Job, Kind},
    web::{
        Web,
        session::{Sent, SignedIn, see},
        views::{connections, orders, runs},
    },
};

/// Runs that the page lists.
const RUNS: u32 = 15;

pub(super) fn routes() -> Routes {
    Routes::default()
        .page("/orders", list)
        .page("/orders/{connection}", one)
        .form("/orders/{connection}/plan", plan)
        .form("/orders/{connection}/start", start)
        .form("/orders/{connection}/approve", approve)
        .page("/orders/{connection}/runs/{run}", results)
}

/// Every connection with what waits; where there is one alone, that.
async fn list(State(web): State<Arc<Web>>, who: SignedIn, asked: Asked) -> Page {
    let caller = &who.session.caller;
    let names = told(&web, &who, connections::connections(&web, caller).await)?.connections;
    if let ([only], true) = (names.as_slice(), asked.text("said").is_empty()) {
        let path = format!("/orders/{}", segment(&only.connection));
        return Ok(axum::response::IntoResponse::into_response(Redirect::to(&path)));
    }
    let mut queues = Vec::new();
    for name in names {
        queues.push(told(&web, &who, orders::queue(&web, caller, &name.connection).await)?);
    }
    let words = context! { here => "/orders", said => said(&asked), queues => value(&queues) };
    Ok(show(&web, &who, "orders.html", words))
}

async fn one(State(web): State<Arc<Web>>, who: SignedIn, Path(name): Path<String>, asked: Asked) -> Page {
    let caller = &who.session.caller;
    let queue = told(&web, &who, orders::queue(&web, caller, &name).await)?;
    let found = told(&web, &who, orders::order_runs(&web, caller, &name, asked.number("cursor"), Some(RUNS)).await)?;
    let words = context! {
        here => "/orders", said => said(&asked), queue => value(&queue),
        found => value(&found), may_act => caller.may_in(Role::Operator, &name),
    };
    Ok(show(&web, &who, "orders.html", words))
}

async fn plan(State(web): State<Arc<Web>>, Path(name): Path<String>, sent: Sent) -> Page {
    let caller = &sent.who.session.caller;
    let plan = told(&web, &sent.who, orders::plan(&web, caller, &name).await)?;
    let queue = told(&web, &sent.who, orders::queue(&web, caller, &name).await)?;
    let words = context! {
        here => "/orders", plan => value(&plan), queue => value(&queue),
        may_act => caller.may_in(Role::Operator, &name),
    };
    Ok(show(&web, &sent.who, "plan.html", words))
}

async fn start(State(web): State<Arc<Web>>, Path(name): Path<String>, sent: Sent) -> Page {
    let caller = &sent.who.session.caller;
    // The name as the settings spell it, of a connection that the caller may look at.
    let queue = told(&web, &sent.who, orders::queue(&web, caller, &name).await)?;
    let job = Job::name_of(Kind::Fulfill, &queue.connection);
    let run = told(&web, &sent.who, runs::start(&web, caller, &job, false).await)?;
    Ok(started(&run))
}

async fn approve(State(web): State<Arc<Web>>, Path(name): Path<String>, sent: Sent) -> Page {
    let (caller, approval) = (&sent.who.session.caller, sent.fields.text("approval"));
    let run = told(&web, &sent.who, orders::approve(&web, caller, &name, approval).await)?;
    Ok(see(&format!("/runs/{}?said=approved", run.run)))
}

async fn results(
    State(web): State<Arc<Web>>,
    who: SignedIn,
    Path((name, run)): Path<(String, i64)>,
    asked: Asked,
) -> Page {
    let only_errored = asked.text("only") == "errored";
    let (caller, cursor) = (&who.session.caller, asked.number("cursor"));
    let page = told(&web, &who, orders::results(&web, caller, &name, run, only_errored, cursor, None).await)?;
    let words = context! {
        here => "/orders", connection => name, only_errored, found => value(&page),
    };
    Ok(show(&web, &who, "order_run.html", words))
}

fn started(run: &runs::RunView) -> Response {
    see(&format!("/runs/{}?said=started", run.run))
}
