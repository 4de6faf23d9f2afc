//! PATCH: operations in their order, all of them or none.
//!
//! Takes every form that Okta and Entra send: `op` in any case, no path with an object (also with dotted names and URNs
//! as its keys), values in brackets, lists of values to remove, texts for booleans. Members are never loaded for it:
//! they change by differences (`patch/members.rs`). Source: RFC 7644 §3.5.2.

mod edit;
mod members;

use secrecy::SecretString;
use serde_json::{Map, Value};

use edit::{Edit, Selection};
pub(crate) use members::MemberEdit;

use crate::{
    error::{Error, ErrorKind, Result},
    filter::ElementTest,
    json::{field, is, spelling, take, wipe},
    parser,
    place::{Place, Target},
    resource::Kind,
    store::MemberChange,
    syntax::{Filter, Path},
    values,
    view::View,
};

/// The URN of a PATCH body.
pub(crate) const PATCH_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// The most operations in one PATCH; Okta sends up to 1,000 changes of a group at once.
pub const MAX_PATCH_OPERATIONS: usize = 2_000;

/// The most terms in the brackets of one PATCH, since each is asked of every element. One that chooses members by
/// something else than their id counts as 100.
pub const MAX_PATCH_TERMS: usize = 5_000;

const TERM_OF_MEMBERS: usize = 100;

/// The most values that the operations of one PATCH may go over, one operation after the other; adding a thousand to an
/// attribute one by one goes over half a million.
pub const MAX_PATCHED_VALUES: usize = 600_000;

/// The operations of a PATCH.
#[derive(Debug)]
pub(crate) struct Patch {
    operations: Vec<Operation>,
}

#[derive(Debug, Clone)]
struct Operation {
    verb: Verb,
    path: Option<Path>,
    value: Option<Value>,
}

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Add,
    Remove,
    Replace,
}

/// A resource as a PATCH wants it.
#[derive(Debug)]
pub(crate) struct Patched {
    pub(crate) attributes: Map<String, Value>,
    pub(crate) members: MemberChange,
    pub(crate) password: Option<SecretString>,
}

impl Patch {
    /// Reads the body. Errors: `invalidSyntax`, `invalidPath`.
    pub(crate) fn read(body: Value) -> Result<Self> {
        let syntax = |detail: &str| Error::of(ErrorKind::InvalidSyntax, detail);
        let Value::Object(mut body) = body else { return Err(syntax("the body of a PATCH is an object")) };
        if let Some(Value::Array(urns)) = field(&body, "schemas")
            && !urns.iter().filter_map(Value::as_str).any(|urn| is(urn, PATCH_SCHEMA))
        {
            return Err(syntax(&format!("`schemas` of a PATCH holds `{PATCH_SCHEMA}`")));
        }
        let Some(Value::Array(operations)) = take(&mut body, "Operations") else {
            return Err(syntax("a PATCH has a list `Operations`"));
        };
        if operations.is_empty() {
            return Err(syntax("`Operations` is empty"));
        }
        if operations.len() > MAX_PATCH_OPERATIONS {
            let detail = format!("a PATCH has at most {MAX_PATCH_OPERATIONS} operations; send several");
            return Err(Error::of(ErrorKind::TooMany, detail));
        }
        let read = operations.into_iter().enumerate().map(|(index, operation)| {
            Operation::read(operation).map_err(|error| error.within(&format!("operation {}", index + 1)))
        });
        Ok(Self { operations: read.collect::<Result<_>>()? })
    }

    /// Whether it chooses members by something else than their ids, so that it must see them all.
    pub(crate) fn needs_members(&self, kind: Kind) -> bool {
        kind == Kind::Group
            && self.operations.iter().filter_map(|operation| operation.path.as_ref()).any(|path| {
                is(&path.attribute.name, "members")
                    && path.filter.as_ref().is_some_and(|filter| members::ids(filter).is_none())
            })
    }

    /// Applies it to what the resource is now. Errors name the operation; nothing is half done.
    pub(crate) fn apply(&self, view: &View<'_>) -> Result<Patched> {
        let mut work = Work {
            view: *view,
            attributes: view.resource.attributes.clone(),
            members: MemberEdit::default(),
            password: None,
            terms: 0,
            values: 0,
        };
        for (index, operation) in self.operations.iter().enumerate() {
            work.apply(operation).map_err(|error| error.within(&format!("operation {}", index + 1)))?;
        }
        values::check_count(work.attributes.len(), "the extensions")?;
        values::require(view.kind, &work.attributes)
            .map_err(|error| Error::of(ErrorKind::Mutability, error.detail()))?;
        Ok(Patched { attributes: work.attributes, members: work.members.into_change(), password: work.password })
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.value.iter_mut().for_each(wipe);
    }
}

impl Operation {
    fn read(operation: Value) -> Result<Self> {
        let Value::Object(mut operation) = operation else {
            return Err(Error::of(ErrorKind::InvalidSyntax, "it is no object"));
        };
        let verb = match field(&operation, "op").and_then(Value::as_str).map(str::to_ascii_lowercase).as_deref() {
            Some("add") => Verb::Add,
            Some("remove") => Verb::Remove,
            Some("replace") => Verb::Replace,
            _ => return Err(Error::of(ErrorKind::InvalidSyntax, "`op` is add, remove or replace")),
        };
        let path = match field(&operation, "path") {
            None | Some(Value::Null) => None,
            Some(Value::String(path)) => Some(parser::path(path)?),
            Some(_) => return Err(Error::of(ErrorKind::InvalidPath, "`path` is a text")),
        };
        let value = take(&mut operation, "value");
        match (verb, &path, &value) {
            (Verb::Remove, None, _) => {
                Err(Error::of(ErrorKind::NoTarget, "a remove needs a `path` that says what to remove"))
            }
            (Verb::Add | Verb::Replace, _, None) => Err(Error::of(ErrorKind::InvalidValue, "`value` is missing")),
            _ => Ok(Self { verb, path, value }),
        }
    }
}

/// A PATCH under way.
struct Work<'r> {
    view: View<'r>,
    attributes: Map<String, Value>,
    members: MemberEdit,
    password: Option<SecretString>,
    /// How many terms have been asked so far.
    terms: usize,
    /// How many values have been gone over so far.
    values: usize,
}

impl Work<'_> {
    fn apply(&mut self, operation: &Operation) -> Result<()> {
        let value = operation.value.clone();
        match (&operation.path, value) {
            (Some(path), Some(Value::Object(object)))
                if is(&path.to_string(), self.view.kind.schema().id) && operation.verb != Verb::Remove =>
            {
                self.object(operation.verb, object)
            }
            (Some(path), value) => {
                let place = self.place(path, value.as_ref())?;
                self.at(operation.verb, &place, path, value)
            }
            (None, Some(Value::Object(object))) => self.object(operation.verb, object),
            (None, _) => Err(Error::of(ErrorKind::InvalidValue, "without `path`, `value` is an object")),
        }
    }

    /// Each member of the object at its own place. What a client may not write or nobody knows is passed over, since
    /// clients send whole resources here: Okta puts the group's `id` beside its name.
    fn object(&mut self, verb: Verb, object: Map<String, Value>) -> Result<()> {
        for (name, value) in values::without_core_urn(self.view.kind, object)? {
            let path = parser::path(&name)?;
            let Ok(place) = self.place(&path, Some(&value)) else { continue };
            let is_read_only = matches!(&place, Place::Attribute(target) if target.is_read_only());
            if !is_read_only {
                self.at(verb, &place, &path, Some(value))?;
            }
        }
        Ok(())
    }

    /// What the path means in this resource, to which the value may be put.
    fn place(&self, path: &Path, value: Option<&Value>) -> Result<Place> {
        let place = Place::of(self.view.kind, &path.attribute, ErrorKind::InvalidPath)?;
        let place = place.in_resource(&self.attributes).into_owned();
        let is_object = value.is_some_and(Value::is_object) && path.filter.is_none();
        Ok(if is_object { place.of_object(self.view.kind, &self.attributes) } else { place })
    }

    fn at(&mut self, verb: Verb, place: &Place, path: &Path, value: Option<Value>) -> Result<()> {
        let target = match place {
            Place::Extension(urn) => return self.extension(verb, urn, path, value),
            Place::Attribute(target) => target,
        };
        if target.is_read_only() {
            let detail = format!("`{path}` is read-only; leave it out");
            return Err(Error::of(ErrorKind::Mutability, detail));
        }
        if let Some(filter) = &path.filter {
            self.charge(filter, place.is_core("members"))?;
        }
        match (self.view.kind, target.urn.as_deref(), target.name.as_str()) {
            // It follows from the attributes that are there.
            (_, None, "schemas") => Ok(()),
            (Kind::User, None, "password") => {
                if verb == Verb::Remove || path.filter.is_some() {
                    return Err(Error::of(ErrorKind::Mutability, "`password` can only be replaced"));
                }
                self.password = values::password(value.unwrap_or_default())?.or(self.password.take());
                Ok(())
            }
            (Kind::Group, None, "members") => {
                if target.sub.is_some() || path.sub.is_some() {
                    let detail = "a member is added and removed as a whole";
                    return Err(Error::of(ErrorKind::Mutability, detail));
                }
                self.members.apply(verb, path.filter.as_ref(), value, &self.view)
            }
            _ => self.attribute(verb, target, path, value),
        }
    }

    /// Refuses brackets that are more work than a PATCH may ask for.
    fn charge(&mut self, filter: &Filter, is_of_members: bool) -> Result<()> {
        self.terms += match members::ids(filter) {
            Some(_) if is_of_members => 0,
            _ if is_of_members => filter.terms() * TERM_OF_MEMBERS,
            _ => filter.terms(),
        };
        if self.terms > MAX_PATCH_TERMS {
            let detail = format!("the brackets of a PATCH have at most {MAX_PATCH_TERMS} terms; send several");
            return Err(Error::of(ErrorKind::TooMany, detail));
        }
        Ok(())
    }

    fn attribute(&mut self, verb: Verb, target: &Target, path: &Path, value: Option<Value>) -> Result<()> {
        let selection = match &path.filter {
            Some(filter) if target.attribute.is_none() || target.is_complex() => {
                Some(Selection { test: ElementTest::of(target.attribute, filter, ErrorKind::InvalidPath)?, filter })
            }
            Some(_) => {
                let detail = format!("`{}` has no elements to choose from", target.name);
                return Err(Error::of(ErrorKind::InvalidPath, detail));
            }
            None => None,
        };
        let sub = match (&path.sub, target.attribute) {
            (Some(name), Some(attribute)) => Some(attribute.sub(name).ok_or_else(|| {
                Error::of(ErrorKind::InvalidPath, format!("`{}` has no sub-attribute `{name}`", target.name))
            })?),
            _ => target.leaf().filter(|_| target.sub.is_some()),
        };
        let object = match &target.urn {
            None => Some(&self.attributes),
            Some(urn) => field(&self.attributes, urn).and_then(Value::as_object),
        };
        let present = object.and_then(|object| object.get(&target.name)).and_then(Value::as_array);
        self.values += present.map_or(0, Vec::len);
        if self.values > MAX_PATCHED_VALUES {
            let detail = format!("the operations of a PATCH go over at most {MAX_PATCHED_VALUES} values; send several");
            return Err(Error::of(ErrorKind::TooMany, detail));
        }
        let written = path.to_string();
        let part = path.sub.as_deref().or(target.sub.as_ref().map(|sub| sub.name.as_str()));
        let edit = Edit {
            verb,
            path: &written,
            attribute: target.attribute,
            sub: part.map(|name| (sub.map_or(name, |sub| sub.name), sub)),
            selection,
        };
        match &target.urn {
            None => edit.apply(&mut self.attributes, &target.name, value),
            Some(urn) => edit_extension(&mut self.attributes, urn, |extension| {
                let name = spelling(extension, &target.name).to_owned();
                edit.apply(extension, &name, value)
            }),
        }
    }

    fn extension(&mut self, verb: Verb, urn: &str, path: &Path, value: Option<Value>) -> Result<()> {
        if verb == Verb::Remove {
            take(&mut self.attributes, urn);
            return Ok(());
        }
        let known = self.view.kind.extensions().into_iter().find(|extension| extension.id == urn);
        let Some(Value::Object(object)) = values::extension(known, urn, value.unwrap_or_default())? else {
            return Ok(());
        };
        if path.filter.is_some() {
            return Err(Error::of(ErrorKind::InvalidPath, format!("`{urn}` has no elements to choose from")));
        }
        edit_extension(&mut self.attributes, urn, |extension| {
            for (name, value) in object {
                let attribute = known.and_then(|known| known.attribute(&name));
                let edit = Edit { verb, path: &name, attribute, sub: None, selection: None };
                let name = spelling(extension, &name).to_owned();
                edit.apply(extension, &name, Some(value))?;
            }
            Ok(())
        })
    }
}

/// Changes the extension where it lies, in its present spelling; an empty one goes.
fn edit_extension(
    attributes: &mut Map<String, Value>,
    urn: &str,
    edit: impl FnOnce(&mut Map<String, Value>) -> Result<()>,
) -> Result<()> {
    let name = spelling(attributes, urn).to_owned();
    let mut extension = match attributes.get_mut(&name) {
        Some(Value::Object(extension)) => std::mem::take(extension),
        _ => Map::new(),
    };
    edit(&mut extension)?;
    values::check_count(extension.len(), urn)?;
    if extension.is_empty() {
        attributes.remove(&name);
    } else {
        attributes.insert(name, extension.into());
    }
    // Each is looked for among all the others.
    values::check_count(attributes.len(), "the extensions")
}

#[cfg(test)]
mod tests;
