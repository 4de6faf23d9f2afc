//! Directories, as the administrator sees them who pastes an address and a token into Okta: who came last, what they sent,
//! and what they may do.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Path, State},
    routing::{get, post},
};
use minijinja::context;
use scim_server::Kind;

use super::{Asked, Page, said, show, told, value};
use crate::{
    access::Role,
    directories::DirectoryOptions,
    web::{
        Web,
        session::{Fields, Sent, SignedIn, see},
        views::directories,
    },
};

/// Events and resources that the page lists.
const EVENTS: i64 = 25;
const RESOURCES: u32 = 25;
/// All calls that are kept.
const CALLS: u32 = 300;
/// For how many days a secret stays good after it was rotated, unless it is said.
const FORMER_DAYS: u16 = 7;

pub(super) fn routes() -> Router<Arc<Web>> {
    Router::new()
        .route("/directories", get(list).post(create))
        .route("/directories/{directory}", get(one))
        .route("/directories/{directory}/rotate", post(rotate))
        .route("/directories/{directory}/remove", post(remove))
}

async fn list(State(web): State<Arc<Web>>, who: SignedIn, asked: Asked) -> Page {
    let list = told(&web, &who, directories::directories(&web, &who.session.caller).await)?;
    let words = context! { here => "/directories", said => said(&asked), list => value(&list) };
    Ok(show(&web, &who, "directories.html", words))
}

async fn one(State(web): State<Arc<Web>>, who: SignedIn, Path(name): Path<String>, asked: Asked) -> Page {
    let caller = &who.session.caller;
    let one = told(&web, &who, directories::one(&web, caller, &name).await)?;
    let kind = if asked.text("show") == "groups" { Kind::Group } else { Kind::User };
    let cursor = asked.number("cursor");
    let found = told(&web, &who, directories::resources(&web, caller, &name, kind, cursor, Some(RESOURCES)).await)?;
    let after = (one.last_event - EVENTS).max(0);
    let mut events = told(&web, &who, directories::events(&web, caller, &name, after, None).await)?.events;
    events.reverse();
    let deleted = told(&web, &who, directories::deleted(&web, caller, &name, Some(RESOURCES)).await)?.deleted;
    let mut log = told(&web, &who, directories::calls(&web, caller, &name, None, Some(CALLS)).await)?;
    let (answered, errors): (Vec<_>, Vec<_>) =
        std::mem::take(&mut log.calls).into_iter().partition(|call| call.kind == "answered");
    let words = context! {
        here => "/directories", said => said(&asked), it => value(&one),
        counts => value(&log.counts), errors => value(&errors), answered => value(&answered),
        shows_groups => matches!(kind, Kind::Group), found => value(&found),
        events => value(&events), deleted => value(&deleted), may_rule => caller.may(Role::Administrator),
    };
    Ok(show(&web, &who, "directory.html", words))
}

async fn create(State(web): State<Arc<Web>>, sent: Sent) -> Page {
    let Sent { who, fields } = &sent;
    let (name, basic) = (fields.text("name"), fields.text("kind") == "basic");
    let made = directories::create(&web, &who.session.caller, name, &options(fields), basic).await;
    let made = told(&web, who, made)?;
    let words = context! { here => "/directories", made => value(&made), is_new => true };
    Ok(show(&web, who, "shown_once.html", words))
}

async fn rotate(State(web): State<Arc<Web>>, Path(name): Path<String>, sent: Sent) -> Page {
    sent.use_up(&web).await?;
    let days = sent.fields.text("days").parse().unwrap_or(FORMER_DAYS).min(90);
    let made = told(&web, &sent.who, directories::rotate(&web, &sent.who.session.caller, &name, days).await)?;
    let words = context! { here => "/directories", made => value(&made), days };
    Ok(show(&web, &sent.who, "shown_once.html", words))
}

async fn remove(State(web): State<Arc<Web>>, Path(name): Path<String>, sent: Sent) -> Page {
    if !sent.fields.text("name").eq_ignore_ascii_case(&name) {
        let refusal = crate::web::views::Refusal::unfit(
            format!("the directory `{name}` was not removed"),
            "type its name to say that everything in it may go",
        );
        return told(&web, &sent.who, Err(refusal));
    }
    told(&web, &sent.who, directories::remove(&web, &sent.who.session.caller, &name).await)?;
    Ok(see("/directories?said=removed"))
}

/// Boxes are ticked for what clients may do.
fn options(fields: &Fields) -> DirectoryOptions {
    let off = |name: &str| (!fields.is_set(name)).then_some(false);
    DirectoryOptions {
        create: off("create"),
        update: off("update"),
        deactivate: off("deactivate"),
        groups: off("groups"),
        import: off("import"),
        group_name_unique: fields.is_set("unique").then_some(true),
        reject_unknown_member: fields.is_set("reject").then_some(true),
        soft_delete: fields.is_set("soft").then_some(true),
        bare_token: fields.is_set("bare").then_some(true),
        ..DirectoryOptions::default()
    }
}
