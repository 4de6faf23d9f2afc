//! Which attributes an answer holds: `attributes` and `excludedAttributes`.
//!
//! `schemas` and `id` are always there, a password never. Names that no schema knows ask for nothing.
//! Source: RFC 7644 §3.9.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    error::{Error, ErrorKind, Result},
    json::is,
    parser,
    place::{Place, Target},
    resource::{Kind, Resource},
    schema::Returned,
    syntax::AttributePath,
    view::View,
};

/// What a request says about the attributes of its answer.
#[derive(Debug, Clone, Default)]
pub(crate) enum Projection {
    /// Nothing.
    #[default]
    Default,
    Only(Vec<AttributePath>),
    Without(Vec<AttributePath>),
}

impl Projection {
    /// Reads the two lists, whose names are separated by commas. Errors: `invalidValue`.
    pub(crate) fn read(only: Option<&str>, without: Option<&str>) -> Result<Self> {
        let names = |list: Option<&str>| {
            let names = list.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
            let invalid = |error: Error| Error::of(ErrorKind::InvalidValue, error.detail()).within("`attributes`");
            names.map(|name| parser::attribute(name).map_err(invalid)).collect::<Result<Vec<_>>>()
        };
        match (names(only)?, names(without)?) {
            (only, without) if without.is_empty() => Ok(if only.is_empty() { Self::Default } else { Self::Only(only) }),
            (only, without) if only.is_empty() => Ok(Self::Without(without)),
            _ => {
                let detail = "`attributes` and `excludedAttributes` exclude each other; send one of them";
                Err(Error::of(ErrorKind::InvalidValue, detail))
            }
        }
    }

    /// Whether an answer shows the links of a resource.
    pub(crate) fn shows_links(&self, kind: Kind) -> bool {
        match self {
            Self::Default => true,
            Self::Only(_) => self.asks_for_links(kind),
            Self::Without(paths) => !targets(kind, paths).any(|place| is_whole(&place, kind.links())),
        }
    }

    /// Whether the request names the links of a resource.
    pub(crate) fn asks_for_links(&self, kind: Kind) -> bool {
        let Self::Only(paths) = self else { return false };
        targets(kind, paths).any(|place| place.is_core(kind.links()))
    }

    /// Whether the request names the names of members.
    pub(crate) fn asks_for_names(&self) -> bool {
        let Self::Only(paths) = self else { return false };
        let is_display = |target: &Target| target.sub.as_ref().is_some_and(|sub| sub.name == "display");
        targets(Kind::Group, paths)
            .any(|place| place.is_core("members") && matches!(&place, Place::Attribute(target) if is_display(target)))
    }

    /// What is asked for of the resource.
    pub(crate) fn show<'r>(&self, kind: Kind, resource: &'r Resource, base_url: &'r str) -> Shown<'r> {
        let view = View { kind, resource, base_url, shows_names: self.asks_for_names() };
        match self {
            Self::Default => Shown::Whole(view),
            _ => Shown::Part(self.apply(view.kind, view.body())),
        }
    }

    fn apply(&self, kind: Kind, body: Map<String, Value>) -> Map<String, Value> {
        match self {
            Self::Default => body,
            Self::Only(paths) => {
                let places = targets(kind, paths).map(|place| place.in_resource(&body).into_owned());
                only(kind, &places.collect::<Vec<_>>(), body)
            }
            Self::Without(paths) => targets(kind, paths).fold(body, |body, place| {
                let place = place.in_resource(&body).into_owned();
                without(kind, &place, body)
            }),
        }
    }
}

/// A resource in an answer.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Shown<'r> {
    Whole(View<'r>),
    Part(Map<String, Value>),
}

fn targets(kind: Kind, paths: &[AttributePath]) -> impl Iterator<Item = Place> {
    paths.iter().filter_map(move |path| Place::of(kind, path, ErrorKind::InvalidValue).ok())
}

fn is_whole(place: &Place, name: &str) -> bool {
    place.is_core(name) && matches!(place, Place::Attribute(target) if target.sub.is_none())
}

fn is_always(kind: Kind, name: &str) -> bool {
    kind.schema().attribute(name).is_some_and(|attribute| attribute.returned == Returned::Always)
}

fn only(kind: Kind, places: &[Place], body: Map<String, Value>) -> Map<String, Value> {
    let mut kept = Map::new();
    for (name, value) in body {
        if is_always(kind, &name) {
            kept.insert(name, value);
        } else if let Some(value) = wanted_part(&name, value, places) {
            kept.insert(name, value);
        }
    }
    kept
}

/// What of a member of the body is asked for.
fn wanted_part(name: &str, value: Value, places: &[Place]) -> Option<Value> {
    let is_asked = |place: &&Place| matches!(place, Place::Extension(urn) if is(urn, name));
    if places.iter().any(|place| is_asked(&place)) {
        return Some(value);
    }
    let in_extension = |target: &&Target| target.urn.as_deref().is_some_and(|urn| is(urn, name));
    let targets =
        || places.iter().filter_map(|place| if let Place::Attribute(target) = place { Some(target) } else { None });
    if name.contains(':') {
        let asked: Vec<&Target> = targets().filter(in_extension).collect();
        let Value::Object(extension) = value else { return None };
        let parts = extension.into_iter().filter_map(|(name, value)| {
            let value = parts_of(&name, value, &asked)?;
            Some((name, value))
        });
        let kept: Map<String, Value> = parts.collect();
        return (!kept.is_empty()).then(|| kept.into());
    }
    parts_of(name, value, &targets().filter(|target| target.urn.is_none()).collect::<Vec<_>>())
}

/// The attribute, or its parts, as the targets name them.
fn parts_of(name: &str, value: Value, targets: &[&Target]) -> Option<Value> {
    let asked: Vec<&&Target> = targets.iter().filter(|target| is(&target.name, name)).collect();
    if asked.is_empty() {
        return None;
    }
    let subs: Option<Vec<&str>> = asked.iter().map(|target| target.sub.as_ref().map(|sub| sub.name.as_str())).collect();
    let Some(subs) = subs else { return Some(value) };
    let keep = |mut object: Map<String, Value>| {
        object.retain(|name, _| subs.iter().any(|sub| is(sub, name)));
        object
    };
    match value {
        Value::Object(object) => Some(keep(object).into()),
        Value::Array(elements) => {
            let objects = elements.into_iter().filter_map(|element| match element {
                Value::Object(object) => Some(Value::from(keep(object))),
                _ => None,
            });
            Some(objects.collect())
        }
        _ => None,
    }
}

fn without(kind: Kind, place: &Place, mut body: Map<String, Value>) -> Map<String, Value> {
    let target = match place {
        Place::Extension(urn) => {
            body.retain(|name, _| !is(name, urn));
            return body;
        }
        Place::Attribute(target) if target.urn.is_none() && is_always(kind, &target.name) => return body,
        Place::Attribute(target) => target,
    };
    match &target.urn {
        None => leave_out(&mut body, target),
        Some(urn) => {
            let extensions = body.iter_mut().filter(|(name, _)| is(name, urn));
            extensions.filter_map(|(_, value)| value.as_object_mut()).for_each(|object| leave_out(object, target));
        }
    }
    body
}

fn leave_out(object: &mut Map<String, Value>, target: &Target) {
    let Some(sub) = &target.sub else {
        object.retain(|name, _| !is(name, &target.name));
        return;
    };
    let drop_sub = |value: &mut Value| {
        if let Some(object) = value.as_object_mut() {
            object.retain(|name, _| !is(name, &sub.name));
        }
    };
    for (_, value) in object.iter_mut().filter(|(name, _)| is(name, &target.name)) {
        match value {
            Value::Array(elements) => elements.iter_mut().for_each(drop_sub),
            single => drop_sub(single),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_hold_what_is_asked_for() {
        let body = json!({
            "schemas": ["s"], "id": "1", "userName": "ann", "name": { "givenName": "A", "familyName": "B" },
            "emails": [{ "value": "a", "type": "work" }, { "value": "b" }],
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "d", "manager": { "value": "m" } },
            "urn:acme:1.0:Badge": { "Level": 1, "tag": 2 }, "urn:acme:desk": { "at": 1 }, "meta": { "version": "v" }
        });
        let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let cases = [
            (Some("userName"), None, json!({ "userName": "ann" })),
            (Some("USERNAME,password,nope"), None, json!({ "userName": "ann" })),
            (
                Some(" name.givenName , emails.value"),
                None,
                json!({ "name": { "givenName": "A" }, "emails": [{ "value": "a" }, { "value": "b" }] }),
            ),
            (
                Some("urn:ietf:params:scim:schemas:core:2.0:User:name"),
                None,
                json!({ "name": { "givenName": "A", "familyName": "B" } }),
            ),
            (
                Some("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"),
                None,
                json!({ enterprise: { "department": "d" } }),
            ),
            (
                Some("urn:acme:1.0:Badge:level,meta"),
                None,
                json!({ "urn:acme:1.0:Badge": { "Level": 1 }, "meta": { "version": "v" } }),
            ),
            (Some("urn:acme:desk"), None, json!({ "urn:acme:desk": { "at": 1 } })),
            (Some("urn:acme:desk:at,urn:acme:none"), None, json!({ "urn:acme:desk": { "at": 1 } })),
            (Some("urn:acme:1.0:badge"), None, json!({ "urn:acme:1.0:Badge": { "Level": 1, "tag": 2 } })),
            (
                None,
                Some(
                    "id,schemas,name.givenName,emails,urn:acme:1.0:Badge:LEVEL,urn:ietf:params:scim:schemas:extension:enterprise:2.0:User,meta,urn:acme:DESK",
                ),
                json!({ "userName": "ann", "name": { "familyName": "B" }, "urn:acme:1.0:Badge": { "tag": 2 } }),
            ),
        ];
        for (only, without, mut expected) in cases {
            expected["schemas"] = json!(["s"]);
            expected["id"] = "1".into();
            let projection = Projection::read(only, without).unwrap();
            let shown = projection.apply(Kind::User, body.as_object().unwrap().clone());
            assert_eq!(Value::from(shown), expected, "{only:?} {without:?}");
        }
    }

    #[test]
    fn links_are_fetched_where_they_are_shown() {
        let cases = [
            (None, None, true, false),
            (Some("members.value"), None, true, true),
            (Some("members.display"), None, true, true),
            (Some("displayName"), None, false, false),
            (None, Some("members"), false, false),
            (None, Some("members.display"), true, false),
        ];
        for (only, without, shows, asks) in cases {
            let projection = Projection::read(only, without).unwrap();
            assert_eq!(projection.shows_links(Kind::Group), shows);
            assert_eq!(projection.asks_for_links(Kind::Group), asks);
            assert_eq!(projection.asks_for_names(), only == Some("members.display"));
        }
        assert!(Projection::read(Some("a"), Some("b")).is_err());
        assert!(Projection::read(Some("a b"), None).is_err());
    }
}
