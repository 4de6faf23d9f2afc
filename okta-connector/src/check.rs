//! Trying out a connection: is this an Okta organisation, is the token accepted, may it read what each table needs?
//!
//! Takes a request for the organisation and one or two for each table, with the smallest pages.

use connector_api::{ConnectionReport, Error, ErrorKind, Problem, Result, Table};
use serde::Deserialize;

use crate::{
    client::{Client, Request},
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
    for table in tables {
        match try_table(client, &table.name).await {
            Ok(note) => {
                report.tables.push((table.name.clone(), true));
                report.notes.extend(note);
            }
            Err(error) if is_missing_right(&error) => {
                report.tables.push((table.name.clone(), false));
                let message = format!("`{}` cannot be read: {error}", table.name);
                report.problems.push(Problem { message, hint: right_to_read(&table.name).to_owned() });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

async fn organisation(client: &Client) -> Result<String> {
    let mut request = request(bucket::FREE, "/.well-known/okta-organization", "asking for the organisation");
    let answer = client.get(&mut request, |body| serde_json::from_str::<Organisation>(body)).await;
    let organisation = answer.map_err(|failure| failure.into_error(&request.what))?.value;
    let href = organisation.links.and_then(|links| links.organization).map(|link| link.href);
    let note = format!("organisation {} {}", organisation.id, href.unwrap_or_default());
    Ok(client.settings().auth.redact(note.trim_end()))
}

/// Reads the least that shows whether the table can be read; returns what is worth knowing about it.
async fn try_table(client: &Client, table: &str) -> Result<Option<String>> {
    match table {
        USERS => {
            let user = first(client, bucket::USERS, "/api/v1/users?limit=1", "listing `users`").await?;
            let note = "no user is visible: if the organisation has users, the token's administrator lacks a role";
            Ok(user.is_none().then(|| note.to_owned()))
        }
        GROUPS => first(client, bucket::GROUPS, "/api/v1/groups?limit=1", "listing `groups`").await.map(|_| None),
        APPS => first(client, bucket::APPS, "/api/v1/apps?limit=1", "listing `apps`").await.map(|_| None),
        GROUPS_USERS => {
            if let Some(group) = first(client, bucket::GROUPS, "/api/v1/groups?limit=1", "listing `groups`").await? {
                first_of(client, lists::members(&group), lists::MEMBER_PAGE, 1).await?;
            }
            Ok(None)
        }
        GROUPS_APPS => {
            if let Some(app) = first(client, bucket::APPS, "/api/v1/apps?limit=1", "listing `apps`").await? {
                first_of(client, lists::groups_of_app(&app), lists::ASSIGNMENT_PAGE, 20).await?;
            }
            if client.settings().groups_apps_by != GroupsAppsBy::App
                && let Some(group) = first(client, bucket::GROUPS, "/api/v1/groups?limit=1", "listing `groups`").await?
            {
                first_of(client, lists::apps_of_group(&group), lists::ASSIGNMENT_PAGE, 1).await?;
            }
            Ok(None)
        }
        other => Err(Error::new(ErrorKind::Settings, format!("Okta has no table `{other}`"))),
    }
}

/// The id of the first object of a list.
async fn first(client: &Client, bucket: &'static str, target: &str, what: &str) -> Result<Option<String>> {
    let mut request = request(bucket, target, what);
    first_id(client, &mut request).await
}

/// The first object of a list that is read with the smallest page instead of the largest.
async fn first_of(client: &Client, mut request: Request, page: u32, smallest: u32) -> Result<Option<String>> {
    request.target = request.target.replace(&format!("limit={page}"), &format!("limit={smallest}"));
    first_id(client, &mut request).await
}

async fn first_id(client: &Client, request: &mut Request) -> Result<Option<String>> {
    match client.get(request, |body| serde_json::from_str::<Vec<WithId>>(body)).await {
        Ok(answer) => Ok(answer.value.into_iter().next().map(|object| object.id)),
        Err(failure) => Err(failure.into_error(&request.what)),
    }
}

fn request(bucket: &'static str, target: &str, what: &str) -> Request {
    let (target, what) = (target.to_owned(), what.to_owned());
    Request { bucket, lane: Lane::Fan, target, what, light: false, smallest_limit: 1 }
}

/// Whether the token is known but may not read this. A token that is not accepted ends the check.
fn is_missing_right(error: &Error) -> bool {
    error.kind() == ErrorKind::Credentials && error.to_string().contains("answered 403")
}
