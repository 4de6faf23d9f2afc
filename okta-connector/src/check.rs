//! Trying out a connection: is this an Okta organisation, is the token accepted, may it read what each table needs?
//!
//! Takes a request for the organisation and one or two for each table, with the smallest pages, and up to three for what
//! may go wrong soon.

mod outlook;

use std::fmt;

use connector_api::{ConnectionReport, Error, ErrorKind, Problem, Result, Table};
use serde::Deserialize;

use crate::{
    client::{Client, Request},
    error::Failure,
    governor::Lane,
    lists,
    settings::GroupsAppsBy,
    tables::{APPS, GROUPS, GROUPS_APPS, GROUPS_USERS, USERS, bucket, right_to_read},
};

#[derive(Deserialize)]
struct Organisation {
    id: String,
    #[serde(rename = "_links")]
    links: Option<OrganisationLinks>,
}

#[derive(Deserialize)]
struct OrganisationLinks {
    organization: Option<Href>,
}

#[derive(Deserialize)]
struct Href {
    href: String,
}

#[derive(Deserialize)]
struct WithId {
    id: String,
}

/// Tries out whether `tables` can be read.
pub(crate) async fn check(client: &Client, tables: &[Table]) -> Result<ConnectionReport> {
    let mut report = ConnectionReport::default();
    report.notes.push(organisation(client).await?);
    client.sign_in(tables).await?;
    for table in tables {
        let cannot = |why: &dyn fmt::Display| format!("`{}` cannot be read: {why}", table.name);
        let right = || right_to_read(&table.name, client.settings().auth.app().is_some());
        let problem = match try_table(client, &table.name).await {
            Ok(()) => None,
            Err(Failure::Refused(refusal)) if refusal.status == 403 => {
                Some(Problem { message: cannot(&refusal), hint: right() })
            }
            Err(Failure::Other(error)) if error.kind() == ErrorKind::Credentials => {
                let hint = error.hint().map_or_else(right, str::to_owned);
                Some(Problem { message: cannot(&error), hint })
            }
            Err(failure) => return Err(failure.into_error(&format!("reading `{}`", table.name))),
        };
        report.tables.push((table.name.clone(), problem.is_none()));
        report.problems.extend(problem);
    }
    report.warnings = outlook::warnings(client).await;
    Ok(report)
}

async fn organisation(client: &Client) -> Result<String> {
    let mut request = request(bucket::FREE, "/.well-known/okta-organization", "asking for the organisation");
    let answer = client.get(&mut request, |body| serde_json::from_str::<Organisation>(body)).await;
    let organisation = answer.map_err(|failure| match failure {
        Failure::Refused(refusal) if refusal.status == 404 => {
            Error::setting("Server", format!("{}: {refusal}", request.what))
                .with_hint("set `Server` to the address of an Okta organisation")
        }
        failure => failure.into_error(&request.what),
    })?;
    let organisation = organisation.value;
    let href = organisation.links.and_then(|links| links.organization).map(|link| link.href);
    let note = format!("organisation {} {}", organisation.id, href.unwrap_or_default());
    Ok(client.settings().auth.redact(note.trim_end()))
}

/// Reads the least that shows whether the table can be read.
async fn try_table(client: &Client, table: &str) -> Result<(), Failure> {
    match table {
        USERS => {
            let user = first(client, bucket::USERS, "/api/v1/users?limit=1", "listing `users`").await?;
            user.map(|_| ()).ok_or_else(|| client.sees_nobody().into())
        }
        GROUPS => first_group(client).await.map(|_| ()),
        APPS => first_app(client).await.map(|_| ()),
        GROUPS_USERS => {
            if let Some(group) = first_group(client).await? {
                first_of(client, lists::members(&group), lists::MEMBER_PAGE, 1).await?;
            }
            Ok(())
        }
        GROUPS_APPS => {
            if let Some(app) = first_app(client).await? {
                first_of(client, lists::groups_of_app(&app), lists::ASSIGNMENT_PAGE, 20).await?;
            }
            if client.settings().groups_apps_by != GroupsAppsBy::App
                && let Some(group) = first_group(client).await?
            {
                first_of(client, lists::apps_of_group(&group), lists::ASSIGNMENT_PAGE, 1).await?;
            }
            Ok(())
        }
        other => Err(Error::new(ErrorKind::Settings, format!("Okta has no table `{other}`")).into()),
    }
}

async fn first_group(client: &Client) -> Result<Option<String>, Failure> {
    first(client, bucket::GROUPS, "/api/v1/groups?limit=1", "listing `groups`").await
}

async fn first_app(client: &Client) -> Result<Option<String>, Failure> {
    first(client, bucket::APPS, "/api/v1/apps?limit=1", "listing `apps`").await
}

/// The id of the first object of a list.
async fn first(client: &Client, bucket: &'static str, target: &str, what: &str) -> Result<Option<String>, Failure> {
    let mut request = request(bucket, target, what);
    first_id(client, &mut request).await
}

/// The first object of a list that is read with the smallest page instead of the largest.
async fn first_of(client: &Client, mut request: Request, page: u32, smallest: u32) -> Result<Option<String>, Failure> {
    request.target = request.target.replace(&format!("limit={page}"), &format!("limit={smallest}"));
    first_id(client, &mut request).await
}

async fn first_id(client: &Client, request: &mut Request) -> Result<Option<String>, Failure> {
    let answer = client.get(request, |body| serde_json::from_str::<Vec<WithId>>(body)).await?;
    Ok(answer.value.into_iter().next().map(|object| object.id))
}

fn request(bucket: &'static str, target: &str, what: &str) -> Request {
    let (target, what) = (target.to_owned(), what.to_owned());
    Request { bucket, lane: Lane::Fan, target, what, light: false, smallest_limit: 1 }
}
