//! A user or a group as clients see it: what they wrote, and what the server knows.
//!
//! Written straight to JSON, since lists and large groups are most of what is sent. Source: RFC 7643 §3.

use std::hash::{DefaultHasher, Hash, Hasher};

use chrono::{DateTime, SecondsFormat};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

use crate::resource::{Kind, Link, Resource};

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

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    resource_type: &'static str,
    created: String,
    last_modified: String,
    version: String,
    location: String,
}

#[derive(Serialize)]
struct ShownLink<'l> {
    value: &'l str,
    #[serde(rename = "$ref", skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display: Option<&'l str>,
}

struct Schemas<'v>(&'v View<'v>);

struct ShownLinks<'v>(&'v View<'v>, &'v [Link]);

impl View<'_> {
    /// The whole as a tree.
    pub(crate) fn body(&self) -> Map<String, Value> {
        match tree(self) {
            Value::Object(body) => body,
            _ => unreachable!("a resource is written as an object"),
        }
    }

    /// A value that is not among the attributes, by its name in the table's spelling.
    pub(crate) fn own(&self, name: &str) -> Option<Value> {
        match name {
            "id" => Some(self.resource.id.as_str().into()),
            "meta" => Some(tree(&self.meta())),
            "schemas" => Some(tree(&Schemas(self))),
            name if name == self.kind.links() => self.links().map(|links| tree(&links)),
            _ => None,
        }
    }

    pub(crate) fn location(&self) -> String {
        location(self.base_url, self.kind, &self.resource.id)
    }

    /// The tag of what is shown; a weak one, since the same version may be shown in several ways. That of a user in groups
    /// ends in a sum of those, whose changes are no version of the user.
    pub(crate) fn entity_tag(&self) -> String {
        let version = self.resource.version;
        match self.links().filter(|_| self.kind == Kind::User) {
            Some(ShownLinks(_, groups)) => format!("W/\"{version}.{:x}\"", sum(groups)),
            None => format!("W/\"{version}\""),
        }
    }

    fn meta(&self) -> Meta {
        Meta {
            resource_type: self.kind.name(),
            created: time(self.resource.created_ms),
            last_modified: time(self.resource.modified_ms),
            version: self.entity_tag(),
            location: self.location(),
        }
    }

    /// None where there are none, or they were not asked for.
    fn links(&self) -> Option<ShownLinks<'_>> {
        let links = self.resource.links.as_ref().filter(|links| !links.is_empty())?;
        Some(ShownLinks(self, links))
    }

    fn link<'l>(&self, link: &'l Link) -> ShownLink<'l> {
        let names_are_shown = self.kind == Kind::User || self.shows_names;
        ShownLink {
            value: &link.id,
            reference: link.kind.map(|kind| location(self.base_url, kind, &link.id)),
            kind: match self.kind {
                Kind::User => Some("direct"),
                Kind::Group => link.kind.map(Kind::name),
            },
            display: link.display.as_deref().filter(|_| names_are_shown),
        }
    }
}

impl Serialize for View<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry("schemas", &Schemas(self))?;
        body.serialize_entry("id", &self.resource.id)?;
        for (name, value) in &self.resource.attributes {
            body.serialize_entry(name, value)?;
        }
        if let Some(links) = self.links() {
            body.serialize_entry(self.kind.links(), &links)?;
        }
        body.serialize_entry("meta", &self.meta())?;
        body.end()
    }
}

impl Serialize for Schemas<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let extensions = self.0.resource.attributes.keys().filter(|name| name.contains(':'));
        serializer.collect_seq(std::iter::once(self.0.kind.schema().id).chain(extensions.map(String::as_str)))
    }
}

impl Serialize for ShownLinks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.1.iter().map(|link| self.0.link(link)))
    }
}

/// The same in whatever order they come.
fn sum(links: &[Link]) -> u64 {
    links.iter().fold(0, |sum, link| {
        let mut hasher = DefaultHasher::new();
        (&link.id, &link.display).hash(&mut hasher);
        sum.wrapping_add(hasher.finish())
    })
}

fn tree(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("every name is a text")
}

fn location(base_url: &str, kind: Kind, id: &str) -> String {
    format!("{base_url}/{}/{id}", kind.endpoint())
}

/// A moment that no calendar has is shown as the beginning of time rather than not at all.
fn time(epoch_ms: i64) -> String {
    DateTime::from_timestamp_millis(epoch_ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_resource_is_written_with_what_the_server_knows() {
        let link = |id: &str, kind| Link { id: id.to_owned(), display: Some("Ann".to_owned()), kind };
        let mut group = Resource {
            id: "g1".to_owned(),
            version: 7,
            created_ms: 1_700_000_000_000,
            modified_ms: i64::MAX,
            links: Some(vec![link("u1", Some(Kind::User)), link("x", None)]),
            ..Resource::default()
        };
        group.attributes.insert("displayName".to_owned(), "Staff".into());
        group.attributes.insert("urn:x:1.0:Y".to_owned(), json!({ "z": 1 }));
        let mut view = View { kind: Kind::Group, resource: &group, base_url: "https://x/s", shows_names: false };
        let expected = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group", "urn:x:1.0:Y"],
            "id": "g1", "displayName": "Staff", "urn:x:1.0:Y": { "z": 1 },
            "members": [{ "value": "u1", "$ref": "https://x/s/Users/u1", "type": "User" }, { "value": "x" }],
            "meta": {
                "resourceType": "Group", "created": "2023-11-14T22:13:20.000Z", "lastModified": "1970-01-01T00:00:00.000Z",
                "version": "W/\"7\"", "location": "https://x/s/Groups/g1"
            }
        });
        assert_eq!(tree(&view), expected);
        view.shows_names = true;
        assert_eq!(view.own("members").unwrap()[1], json!({ "value": "x", "display": "Ann" }));
        assert_eq!((view.own("id"), view.own("displayName")), (Some("g1".into()), None));
    }
}
