//! One request for resources: what is asked of the store for it, and what it is answered.
//!
//! Changes are worked out from what the store has and given back with its version; if that has changed meanwhile, they
//! are worked out anew. A change of members alone needs no version: it is the same whatever happened before it.
//! Source: RFC 7644 §§3.3 to 3.6.

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    directory::Directory,
    error::{Error, Result},
    links::Completing,
    parameters::{ListHead, ListResponse, Parameters},
    patch::{Patch, Patched},
    pieces::{self, Pieces},
    preconditions::Preconditions,
    projection::Projection,
    resource::{Kind, Resource},
    search::{Searcher, refusal},
    store::{Change, Deletion, Draft, Field, Links, MemberChange, ResourceStore, StoreError},
    values,
    view::{View, entity_tag},
};

/// How often a change is worked out anew because another one came between.
const MAX_ATTEMPTS: usize = 100;

/// Up to how many members a group is shown with after a change of it; the whole list is there for the asking.
pub const MEMBERS_IN_ANSWER: usize = 100;

/// A request's directory and its store.
#[derive(Clone, Copy)]
pub(crate) struct Call<'c> {
    pub(crate) store: &'c Arc<dyn ResourceStore>,
    pub(crate) directory: &'c Directory,
}

/// What a request is answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Option<Content>,
    pub(crate) entity_tag: Option<String>,
    pub(crate) location: Option<String>,
}

/// JSON.
pub(crate) enum Content {
    Whole(String),
    Pieces(Pieces),
}

impl Answer {
    pub(crate) fn ok(body: &impl Serialize) -> Self {
        Self::list(Content::Whole(text(body)))
    }

    fn list(body: Content) -> Self {
        Self { status: StatusCode::OK, body: Some(body), entity_tag: None, location: None }
    }
}

impl Call<'_> {
    /// GET of a list, and `.search`.
    pub(crate) async fn list(&self, kinds: &[Kind], parameters: &Parameters) -> Result<Answer> {
        let searched: Vec<Kind> = kinds.iter().copied().filter(|kind| self.offers(*kind)).collect();
        if let ([kind], true) = (kinds, searched.is_empty()) {
            self.check_offered(*kind)?;
        }
        let search = parameters.search()?;
        let limit = search.count.unwrap_or(self.directory.page_size).min(self.directory.max_page_size);
        let searcher = Searcher { store: self.store, directory: self.directory, kinds: &searched, search: &search };
        let found = searcher.find(limit).await?;
        let head = ListHead::new(found.total, &search.start, found.next_cursor);
        let wanted = searched.into_iter().filter(|kind| search.projection.shows_links(*kind)).collect();
        let base_url = &self.directory.base_url;
        match Completing::new(self.store, found.resources, wanted).whole() {
            Ok(resources) => {
                let shown = resources.iter().map(|(kind, resource)| search.projection.show(*kind, resource, base_url));
                Ok(Answer::ok(&ListResponse::new(head, shown.collect())))
            }
            Err(lacking) => {
                let pieces = pieces::list(&head, lacking, search.projection, base_url).await?;
                Ok(Answer::list(Content::Pieces(pieces)))
            }
        }
    }

    /// GET of a resource.
    pub(crate) async fn get(
        &self,
        kind: Kind,
        id: &str,
        preconditions: &Preconditions,
        parameters: &Parameters,
    ) -> Result<Answer> {
        self.check_offered(kind)?;
        let projection = parameters.projection()?;
        let links = if projection.shows_links(kind) { Links::All } else { Links::None };
        let resource = self.present(kind, id, links).await?;
        preconditions.check(resource.version)?;
        if preconditions.is_known(resource.version) {
            let entity_tag = Some(entity_tag(resource.version));
            return Ok(Answer { status: StatusCode::NOT_MODIFIED, body: None, entity_tag, location: None });
        }
        Ok(self.answer(StatusCode::OK, kind, &resource, &projection))
    }

    /// POST.
    pub(crate) async fn create(&self, kind: Kind, body: Value, parameters: &Parameters) -> Result<Answer> {
        self.check_offered(kind)?;
        if kind == Kind::User && !self.directory.create {
            return Err(switched_off("create", "creating users"));
        }
        let projection = parameters.projection()?;
        let mut written = values::resource(kind, body)?;
        if kind == Kind::User {
            written.attributes.entry("active").or_insert(Value::Bool(true));
        }
        let draft = Draft {
            keys: values::keys(kind, &written.attributes)?,
            attributes: written.attributes,
            unique: self.unique(kind),
            members: written.members.unwrap_or_default(),
            unknown_member: self.directory.unknown_member,
            password: written.password,
        };
        let links = links_after_change(kind, &projection);
        let created = self.store.create(kind, draft, links).await.map_err(|error| refusal(error, kind, ""))?;
        Ok(self.answer(StatusCode::CREATED, kind, &created, &projection))
    }

    /// PUT.
    pub(crate) async fn replace(
        &self,
        kind: Kind,
        id: &str,
        body: Value,
        preconditions: &Preconditions,
        parameters: &Parameters,
    ) -> Result<Answer> {
        self.check_offered(kind)?;
        let projection = parameters.projection()?;
        let written = values::resource(kind, body)?;
        self.change(kind, id, preconditions, &projection, Links::None, |present| {
            let mut attributes = written.attributes.clone();
            // To leave it out is not to say that an account may be used again.
            if let Some(active) = present.attributes.get("active") {
                attributes.entry("active").or_insert_with(|| active.clone());
            }
            let members = match kind {
                Kind::User => MemberChange::default(),
                Kind::Group => MemberChange::replace(written.members.clone().unwrap_or_default()),
            };
            Ok(Patched { attributes, members, password: written.password.clone() })
        })
        .await
    }

    /// PATCH; it is always answered with the resource.
    pub(crate) async fn patch(
        &self,
        kind: Kind,
        id: &str,
        body: Value,
        preconditions: &Preconditions,
        parameters: &Parameters,
    ) -> Result<Answer> {
        self.check_offered(kind)?;
        let projection = parameters.projection()?;
        let patch = Patch::read(body)?;
        let links = if patch.needs_members(kind) { Links::All } else { Links::None };
        self.change(kind, id, preconditions, &projection, links, |present| {
            patch.apply(&View { kind, resource: present, base_url: &self.directory.base_url, shows_names: true })
        })
        .await
    }

    /// DELETE.
    pub(crate) async fn delete(&self, kind: Kind, id: &str, preconditions: &Preconditions) -> Result<Answer> {
        self.check_offered(kind)?;
        if kind == Kind::User && !self.directory.deactivate {
            return Err(switched_off("deactivate", "deleting users"));
        }
        let mut deletion = Deletion { if_version: None, soft: self.directory.soft_delete };
        if preconditions.are_given() {
            let present = self.present(kind, id, Links::None).await?;
            preconditions.check(present.version)?;
            deletion.if_version = Some(present.version);
        }
        match self.store.delete(kind, id, deletion).await {
            Ok(()) => Ok(Answer { status: StatusCode::NO_CONTENT, body: None, entity_tag: None, location: None }),
            Err(StoreError::Conflict) => Err(Preconditions::failed()),
            Err(error) => Err(refusal(error, kind, id)),
        }
    }

    /// Works a change out from what is there, gives it to the store, and does so again where it came too late.
    async fn change(
        &self,
        kind: Kind,
        id: &str,
        preconditions: &Preconditions,
        projection: &Projection,
        links: Links,
        wanted: impl Fn(&Resource) -> Result<Patched>,
    ) -> Result<Answer> {
        for _ in 0..MAX_ATTEMPTS {
            let present = self.present(kind, id, links).await?;
            preconditions.check_change(present.version)?;
            let wanted = wanted(&present)?;
            let attributes = (wanted.attributes != present.attributes).then_some(wanted.attributes);
            if kind == Kind::User {
                self.check_switches(&present, attributes.as_ref(), wanted.password.is_some())?;
            }
            let rests_on_present = attributes.is_some() || links != Links::None || preconditions.are_given();
            let with_keys = |attributes| Ok::<_, Error>((values::keys(kind, &attributes)?, attributes));
            let attributes = attributes.map(with_keys).transpose()?.map(|(keys, attributes)| (attributes, keys));
            let change = Change {
                if_version: rests_on_present.then_some(present.version),
                attributes,
                unique: self.unique(kind),
                members: wanted.members,
                unknown_member: self.directory.unknown_member,
                password: wanted.password,
            };
            let shown = links_after_change(kind, projection);
            let is_nothing = change.attributes.is_none() && change.members.is_empty() && change.password.is_none();
            let changed = if is_nothing {
                self.store.confirm(kind, id).await.map_err(|error| refusal(error, kind, id))?;
                self.present(kind, id, shown).await?
            } else {
                match self.store.update(kind, id, change, shown).await {
                    Err(StoreError::Conflict) if preconditions.are_given() => return Err(Preconditions::failed()),
                    Err(StoreError::Conflict) => continue,
                    other => other.map_err(|error| refusal(error, kind, id))?,
                }
            };
            return Ok(self.answer(StatusCode::OK, kind, &changed, projection));
        }
        Err(refusal(StoreError::Conflict, kind, id))
    }

    /// Refuses what the directory's switches do not allow on a user.
    fn check_switches(
        &self,
        present: &Resource,
        wanted: Option<&Map<String, Value>>,
        has_password: bool,
    ) -> Result<()> {
        let Some(wanted) = wanted else {
            return if has_password && !self.directory.update {
                Err(switched_off("update", "changing users"))
            } else {
                Ok(())
            };
        };
        let others = |attributes: &Map<String, Value>| {
            let mut others = attributes.clone();
            others.remove("active");
            others
        };
        let is_otherwise = has_password || others(wanted) != others(&present.attributes);
        if !self.directory.update && is_otherwise {
            return Err(switched_off("update", "changing users"));
        }
        if !self.directory.deactivate && wanted.get("active") != present.attributes.get("active") {
            return Err(switched_off("deactivate", "changing whether users are active"));
        }
        Ok(())
    }

    async fn present(&self, kind: Kind, id: &str, links: Links) -> Result<Resource> {
        let present = self.store.get(kind, id, links).await.map_err(|error| refusal(error, kind, id))?;
        present.ok_or_else(|| refusal(StoreError::NotFound, kind, id))
    }

    fn answer(&self, status: StatusCode, kind: Kind, resource: &Resource, projection: &Projection) -> Answer {
        let view = View { kind, resource, base_url: &self.directory.base_url, shows_names: true };
        Answer {
            status,
            body: Some(Content::Whole(text(&projection.show(kind, resource, &self.directory.base_url)))),
            entity_tag: Some(entity_tag(resource.version)),
            location: Some(view.location()),
        }
    }

    /// What no other resource may have.
    fn unique(&self, kind: Kind) -> Vec<Field> {
        match kind {
            Kind::User => vec![Field::UserName],
            Kind::Group if self.directory.group_name_unique => vec![Field::DisplayName],
            Kind::Group => Vec::new(),
        }
    }

    fn offers(&self, kind: Kind) -> bool {
        kind == Kind::User || self.directory.groups
    }

    fn check_offered(&self, kind: Kind) -> Result<()> {
        if self.offers(kind) { Ok(()) } else { Err(switched_off("groups", "groups")) }
    }
}

fn text(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("every name is a text")
}

fn links_after_change(kind: Kind, projection: &Projection) -> Links {
    match kind {
        _ if !projection.shows_links(kind) => Links::None,
        Kind::Group if !projection.asks_for_links(kind) => Links::UpTo(MEMBERS_IN_ANSWER),
        _ => Links::All,
    }
}

fn switched_off(switch: &str, what: &str) -> Error {
    Error::forbidden(format!(
        "this directory does not take part in {what}; switch `{switch}` on there, or off in the client"
    ))
}
