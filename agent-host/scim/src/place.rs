//! What an attribute path means for a kind of resource: a declared attribute, one of an undeclared extension, or a
//! whole extension.
//!
//! A short name is looked for in the core schema first, then in EnterpriseUser, since Entra writes `manager` alone. What
//! `urn:acme:badge` means where no schema declares it, the extensions of a resource say: the whole of that name, or the
//! attribute `badge` of `urn:acme`. Where they do not, its form does.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::{
    error::{Error, ErrorKind, Result},
    json::is,
    resource::Kind,
    schema::{Attribute, ENTERPRISE_SCHEMA, Mutability, Returned, Type, schema},
    syntax::AttributePath,
};

/// Where a value lies.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// Everything under an extension's URN.
    Extension(String),
    /// An attribute, perhaps a part of it.
    Attribute(Target),
}

/// An attribute, perhaps a part of it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// The extension, None for the core.
    pub(crate) urn: Option<String>,
    /// In the table's spelling, where it is declared.
    pub(crate) name: String,
    /// None in an undeclared extension.
    pub(crate) attribute: Option<&'static Attribute>,
    pub(crate) sub: Option<Sub>,
}

/// A part of a complex attribute.
#[derive(Debug, Clone)]
pub(crate) struct Sub {
    pub(crate) name: String,
    pub(crate) attribute: Option<&'static Attribute>,
}

impl Place {
    /// The place of the path in this kind of resource; a refusal has the given kind and names the path.
    pub(crate) fn of(kind: Kind, path: &AttributePath, refusal: ErrorKind) -> Result<Self> {
        let unknown = || Error::of(refusal, format!("a {kind} has no attribute `{path}`; see /Schemas"));
        let Some(urn) = &path.urn else {
            let own = kind.schema().attribute(&path.name).map(|attribute| (None, attribute));
            let (urn, attribute) = own.or_else(|| in_extension(kind, &path.name)).ok_or_else(unknown)?;
            return Target::declared(urn, attribute, path.sub.as_deref()).ok_or_else(unknown).map(Self::Attribute);
        };
        if is(urn, kind.schema().id) {
            let attribute = kind.schema().attribute(&path.name).ok_or_else(unknown)?;
            return Target::declared(None, attribute, path.sub.as_deref()).ok_or_else(unknown).map(Self::Attribute);
        }
        if is(&path.whole(), kind.schema().id) {
            return Err(unknown());
        }
        if let Some(extension) = kind.extensions().iter().find(|extension| is(extension.id, urn)) {
            let attribute = extension.attribute(&path.name).ok_or_else(unknown)?;
            let target = Target::declared(Some(extension.id), attribute, path.sub.as_deref());
            return target.ok_or_else(unknown).map(Self::Attribute);
        }
        if path.sub.is_none() && is_extension(kind, urn, &path.name) {
            let whole = path.whole();
            return Ok(Self::Extension(schema(&whole).map_or(whole, |known| known.id.to_owned())));
        }
        Ok(Self::undeclared(path))
    }

    /// The place of an attribute that no schema declares for this kind of resource.
    pub(crate) fn undeclared(path: &AttributePath) -> Self {
        let sub = path.sub.clone().map(|name| Sub { name, attribute: None });
        Self::Attribute(Target { urn: path.urn.clone(), name: path.name.clone(), attribute: None, sub })
    }

    /// The same place in a resource with these attributes.
    pub(crate) fn in_resource(&self, attributes: &Map<String, Value>) -> Cow<'_, Self> {
        match self {
            Self::Attribute(target) => {
                let whole = target.as_extension().filter(|whole| has_extension(attributes, whole));
                whole.map_or(Cow::Borrowed(self), |whole| Cow::Owned(Self::Extension(whole)))
            }
            Self::Extension(whole) if schema(whole).is_some() || has_extension(attributes, whole) => Cow::Borrowed(self),
            Self::Extension(whole) => match whole.rsplit_once(':').filter(|(urn, _)| has_extension(attributes, urn)) {
                Some((urn, name)) => Cow::Owned(Self::undeclared(&AttributePath {
                    urn: Some(urn.to_owned()),
                    name: name.to_owned(),
                    sub: None,
                })),
                None => Cow::Borrowed(self),
            },
        }
    }

    /// The same place where an object is to be put: it makes an extension, unless there is one of which it is an
    /// attribute, or its form says that.
    pub(crate) fn of_object(self, kind: Kind, attributes: &Map<String, Value>) -> Self {
        let Self::Attribute(target) = &self else { return self };
        let is_of_schema = target.urn.as_ref().is_some_and(|urn| {
            let by_form = urn.rsplit_once(':').is_some_and(|(urn, name)| is_extension(kind, urn, name));
            by_form || has_extension(attributes, urn)
        });
        target.as_extension().filter(|_| !is_of_schema).map_or(self, Self::Extension)
    }

    /// The declared attribute, and its part where one is named.
    pub(crate) fn attribute(&self) -> Option<&'static Attribute> {
        match self {
            Self::Extension(_) => None,
            Self::Attribute(target) => target.leaf(),
        }
    }

    /// Whether it is the core's attribute of this name.
    pub(crate) fn is_core(&self, name: &str) -> bool {
        matches!(self, Self::Attribute(target) if target.urn.is_none() && target.name == name)
    }

    /// Whether it, or that of which it is a part, is never given out.
    pub(crate) fn is_secret(&self) -> bool {
        let Self::Attribute(target) = self else { return false };
        target.attribute.is_some_and(|attribute| attribute.returned == Returned::Never)
    }
}

impl Target {
    /// None where the attribute has no such part.
    fn declared(urn: Option<&str>, attribute: &'static Attribute, sub: Option<&str>) -> Option<Self> {
        let sub = match sub {
            None => None,
            Some(name) => Some(Sub::declared(attribute.sub(name)?)),
        };
        Some(Self { urn: urn.map(str::to_owned), name: attribute.name.to_owned(), attribute: Some(attribute), sub })
    }

    /// The URN that the path would be as a whole extension; None where a schema declares it otherwise.
    fn as_extension(&self) -> Option<String> {
        let urn = self.urn.as_ref().filter(|_| self.attribute.is_none())?;
        let sub = self.sub.as_ref().map_or_else(String::new, |sub| format!(".{}", sub.name));
        Some(format!("{urn}:{}{sub}", self.name))
    }

    /// The declared attribute at the end of the path.
    pub(crate) fn leaf(&self) -> Option<&'static Attribute> {
        self.sub.as_ref().map_or(self.attribute, |sub| sub.attribute)
    }

    /// Whether a client may not write it; a part is not writable where the whole is not.
    pub(crate) fn is_read_only(&self) -> bool {
        let declared = [self.attribute, self.leaf()];
        declared.into_iter().flatten().any(|attribute| attribute.mutability == Mutability::ReadOnly)
    }

    pub(crate) fn is_complex(&self) -> bool {
        self.attribute.is_some_and(|attribute| attribute.kind == Type::Complex)
    }
}

impl Sub {
    pub(crate) fn declared(attribute: &'static Attribute) -> Self {
        Self { name: attribute.name.to_owned(), attribute: Some(attribute) }
    }
}

fn in_extension(kind: Kind, name: &str) -> Option<(Option<&'static str>, &'static Attribute)> {
    kind.extensions().iter().find_map(|extension| Some((Some(extension.id), extension.attribute(name)?)))
}

fn has_extension(attributes: &Map<String, Value>, urn: &str) -> bool {
    attributes.keys().any(|name| is(name, urn))
}

/// Whether `urn:name` is a whole extension: a declared one, or one that ends like a schema, in `…:2.0:Something`.
fn is_extension(kind: Kind, urn: &str, name: &str) -> bool {
    let is_version = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && !text.is_empty();
    let known = kind == Kind::User && is(&format!("{urn}:{name}"), ENTERPRISE_SCHEMA);
    known || urn.rsplit(':').next().is_some_and(is_version) || is_version(name)
}
