//! A user or a group as the store keeps it, and as an answer shows it.
//!
//! What a client may write lies in `attributes`, in the spelling of the schemas; extensions lie under their URN. What
//! the server knows itself (id, version, times) and links (the members of a group, the groups of a user) lie beside it.

use std::fmt;

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

use crate::schema::{ENTERPRISE_SCHEMA, GROUP_SCHEMA, Schema, USER_SCHEMA, schema};

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are the RFC's own words")]
pub enum Kind {
    User,
    Group,
}

/// A user or a group of a directory.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resource {
    /// Given by the store: letters, digits, `-`, `.`, `_` and `~` alone, never used again.
    pub id: String,
    /// Its place, from 1, in the order in which the store took resources in; unique in the directory, never changed.
    pub sequence: u64,
    /// One more with each change.
    pub version: u64,
    /// When it was taken in, in milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// When it last changed, in milliseconds since 1970 UTC.
    pub modified_ms: i64,
    /// What clients wrote, without `members`, `password` and what the server knows itself.
    pub attributes: Map<String, Value>,
    /// The members of a group or the groups of a user, as far as they were asked for ([`Links`](crate::Links)).
    pub links: Option<Vec<Link>>,
}

/// One end of a group membership.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    /// Of the member, or of the group.
    pub id: String,
    /// Its name for people; a store answers with the present one, where it has the resource.
    pub display: Option<String>,
    /// What it is; None where the store does not have it.
    pub kind: Option<Kind>,
}

impl Kind {
    /// Every kind, in the order in which searches of the whole directory answer.
    pub const ALL: [Self; 2] = [Self::User, Self::Group];

    /// The name of the resource type.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// Its path below the base address.
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::User => "Users",
            Self::Group => "Groups",
        }
    }

    /// Its own schema.
    pub fn schema(self) -> &'static Schema {
        let urn = match self {
            Self::User => USER_SCHEMA,
            Self::Group => GROUP_SCHEMA,
        };
        schema(urn).expect("the table has it")
    }

    /// The declared extensions.
    pub fn extensions(self) -> Vec<&'static Schema> {
        match self {
            Self::User => schema(ENTERPRISE_SCHEMA).into_iter().collect(),
            Self::Group => Vec::new(),
        }
    }

    /// The attribute that holds the links.
    pub fn links(self) -> &'static str {
        match self {
            Self::User => "groups",
            Self::Group => "members",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A resource of a directory as clients see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'r> {
    pub(crate) kind: Kind,
    pub(crate) resource: &'r Resource,
    /// The directory's address, without `/` at the end.
    pub(crate) base_url: &'r str,
    /// Whether members have their names.
    pub(crate) shows_names: bool,
}

impl View<'_> {
    /// Everything but what is never given out.
    pub(crate) fn body(&self) -> Map<String, Value> {
        let mut body = Map::with_capacity(self.resource.attributes.len() + 5);
        body.insert("schemas".to_owned(), self.schemas());
        body.insert("id".to_owned(), self.resource.id.as_str().into());
        body.extend(self.resource.attributes.iter().map(|(name, value)| (name.clone(), value.clone())));
        if let Some(links) = self.links() {
            body.insert(self.kind.links().to_owned(), links);
        }
        body.insert("meta".to_owned(), self.meta());
        body
    }

    /// A value that is not among the attributes, by its name in the table's spelling.
    pub(crate) fn own(&self, name: &str) -> Option<Value> {
        match name {
            "id" => Some(self.resource.id.as_str().into()),
            "meta" => Some(self.meta()),
            "schemas" => Some(self.schemas()),
            name if name == self.kind.links() => self.links(),
            _ => None,
        }
    }

    pub(crate) fn location(&self) -> String {
        location(self.base_url, self.kind, &self.resource.id)
    }

    fn schemas(&self) -> Value {
        let extensions = self.resource.attributes.keys().filter(|name| name.contains(':'));
        let urns = std::iter::once(self.kind.schema().id).chain(extensions.map(String::as_str));
        urns.map(Value::from).collect()
    }

    fn meta(&self) -> Value {
        json!({
            "resourceType": self.kind.name(),
            "created": time(self.resource.created_ms),
            "lastModified": time(self.resource.modified_ms),
            "version": entity_tag(self.resource.version),
            "location": self.location(),
        })
    }

    /// None where there are none, or they were not asked for.
    fn links(&self) -> Option<Value> {
        let links = self.resource.links.as_ref().filter(|links| !links.is_empty())?;
        Some(links.iter().map(|link| self.link(link)).collect())
    }

    fn link(&self, link: &Link) -> Value {
        let mut value = json!({ "value": link.id });
        if let Some(kind) = link.kind {
            value["$ref"] = location(self.base_url, kind, &link.id).into();
        }
        match (self.kind, link.kind) {
            (Kind::User, _) => value["type"] = "direct".into(),
            (Kind::Group, Some(kind)) => value["type"] = kind.name().into(),
            (Kind::Group, None) => {}
        }
        if let Some(display) = link.display.as_ref().filter(|_| self.kind == Kind::User || self.shows_names) {
            value["display"] = display.as_str().into();
        }
        value
    }
}

/// The tag of a version; a weak one, since the same version may be shown in several ways.
pub(crate) fn entity_tag(version: u64) -> String {
    format!("W/\"{version}\"")
}

fn location(base_url: &str, kind: Kind, id: &str) -> String {
    format!("{base_url}/{}/{id}", kind.endpoint())
}

/// A moment that no calendar has is shown as the beginning of time rather than not at all.
fn time(epoch_ms: i64) -> String {
    DateTime::from_timestamp_millis(epoch_ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}
