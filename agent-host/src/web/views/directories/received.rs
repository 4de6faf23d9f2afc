//! Users and groups of a directory as clients sent them, and those that they deleted.

use std::collections::HashSet;

use scim_server::{From as Begin, Kind, Link, Links, Order, Query, ResourceStore};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{super::page, Result, find};
use crate::{
    access::{Caller, Role},
    store::{DeletedResource, Resources},
    web::Web,
};

/// Links that a resource is shown with; where there are more, none.
const MOST_LINKS: usize = 100;

/// A page of users or groups as they were received.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResourcePage {
    /// The directory.
    pub directory: String,
    /// In the order in which they came.
    pub resources: Vec<ResourceView>,
    /// How many there are.
    pub total: u64,
    /// Where the next page begins; none on the last.
    pub next: Option<u64>,
}

/// A user or a group.
#[derive(Debug, Serialize, ToSchema)]
pub struct ResourceView {
    /// Its id.
    pub id: String,
    /// When it was received, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it last changed.
    pub modified_ms: i64,
    /// Of a user, whether a client manages it: created it with an `externalId`, or has written it since.
    pub managed: Option<bool>,
    /// What the client wrote, without passwords.
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
    /// Members of a group, groups of a user; none where there are more than a hundred.
    pub links: Option<Vec<LinkView>>,
}

/// A member of a group, or a group of a user.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub display: Option<String>,
    /// Whether the directory has it: a member that it does not have is kept as the client named it.
    pub resolved: bool,
}

/// What was deleted in a directory that keeps a trace of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedPage {
    /// The directory.
    pub directory: String,
    /// The newest first.
    pub deleted: Vec<DeletedView>,
}

/// A user or group that a client deleted; forgotten when its events are.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedView {
    /// Its id.
    pub id: String,
    /// `User` or `Group`.
    pub kind: &'static str,
    /// When, in milliseconds since 1970.
    pub deleted_ms: i64,
    /// Who asked for it, as events say; empty where that was not kept.
    pub actor: String,
    /// What it last was, without passwords.
    #[schema(value_type = Object)]
    pub attributes: Map<String, Value>,
}

/// Users or groups as they were received, behind this place.
///
/// # Errors
/// Where there is no such directory, or the caller may not.
pub async fn resources(
    web: &Web,
    caller: &Caller,
    name: &str,
    kind: Kind,
    cursor: Option<u64>,
    limit: Option<u32>,
) -> Result<ResourcePage> {
    let found = find(web, caller, Role::Viewer, name).await?;
    let limit = usize::try_from(page(limit)).unwrap_or(1);
    let query = Query {
        lookup: None,
        order: Order::Taken,
        from: Begin::After(cursor.unwrap_or(0)),
        limit,
        links: Links::UpTo(MOST_LINKS),
        count: true,
    };
    let directory = Resources::to_read(web.store().clone(), found.id);
    let read = directory.page(kind, &query).await;
    let read = read.map_err(|error| anyhow::anyhow!("reading the directory `{}`: {error:?}", found.name))?;
    let managed = match kind {
        Kind::User => Some(directory.managed(&read.resources).await?),
        Kind::Group => None,
    };
    let is_last = read.resources.len() < limit;
    let next = read.resources.last().filter(|_| !is_last).map(|last| last.sequence);
    let total = read.total.unwrap_or(0);
    Ok(ResourcePage {
        directory: found.name,
        resources: read.resources.into_iter().map(|resource| received(resource, managed.as_ref())).collect(),
        total,
        next,
    })
}

/// What was deleted, the newest first.
///
/// # Errors
/// Where there is no such directory, or the caller may not.
pub async fn deleted(web: &Web, caller: &Caller, name: &str, limit: Option<u32>) -> Result<DeletedPage> {
    let found = find(web, caller, Role::Viewer, name).await?;
    let deleted = web.store().deleted_resources(found.id, page(limit)).await?;
    Ok(DeletedPage { directory: found.name, deleted: deleted.into_iter().map(Into::into).collect() })
}

/// The resource as it was received, and whether it is among those that clients manage.
fn received(resource: scim_server::Resource, managed: Option<&HashSet<String>>) -> ResourceView {
    let link = |Link { id, display, kind }: Link| LinkView { id, display, resolved: kind.is_some() };
    ResourceView {
        managed: managed.map(|managed| managed.contains(&resource.id)),
        id: resource.id,
        created_ms: resource.created_ms,
        modified_ms: resource.modified_ms,
        attributes: resource.attributes,
        links: resource.links.map(|links| links.into_iter().map(link).collect()),
    }
}

impl From<DeletedResource> for DeletedView {
    fn from(deleted: DeletedResource) -> Self {
        let DeletedResource { id, kind, deleted_ms, actor, attributes } = deleted;
        Self { id, kind, deleted_ms, actor, attributes }
    }
}
