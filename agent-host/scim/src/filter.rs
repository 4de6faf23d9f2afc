//! A filter bound to a kind of resource: checked once, then asked of many, or handed to the store as a look-up.
//!
//! Attributes that a resource does not have match nothing but `ne`, `eq null` and `not`. A multi-valued attribute
//! matches if one of its values does; a complex one without a sub-attribute stands for its `value`. Texts compare by
//! case folding unless the attribute is case-exact, times as instants. Source: RFC 7644 §3.4.2.2.

mod comparison;
mod lookup;

use std::borrow::Cow;

use serde_json::Value;

pub(crate) use comparison::instant;
pub use lookup::email_keys;
pub(crate) use lookup::{Plan, field_of};

use crate::{
    error::{Error, ErrorKind, Result},
    json::field,
    letters::fold,
    place::{Place, Sub},
    resource::Kind,
    schema::{Attribute, Type},
    syntax::{AttributePath, Filter, Operator},
    view::View,
};

/// A filter whose attributes are resolved and whose values are prepared.
#[derive(Debug)]
pub(crate) enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
    Is(Place, Check),
    /// Of the resource's attribute, one element is like this.
    Within(Place, Box<ElementTest>),
}

/// The same for an element of a multi-valued attribute.
#[derive(Debug)]
pub(crate) enum ElementTest {
    All(Vec<ElementTest>),
    Any(Vec<ElementTest>),
    Not(Box<ElementTest>),
    Is(Sub, Check),
}

/// What is asked of the values found.
#[derive(Debug)]
pub(crate) enum Check {
    Present,
    Compare(Operator, Constant),
}

/// The value that a filter compares with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Constant {
    Null,
    Boolean(bool),
    Number(f64),
    Exact(String),
    Folded(String),
    Instant(i64),
}

impl Test {
    /// Binds the filter to a kind; attributes that only other kinds in `searched` have are without value here.
    ///
    /// Errors: `invalidFilter`, naming the attribute.
    pub(crate) fn of(kind: Kind, searched: &[Kind], filter: &Filter) -> Result<Self> {
        let part = |filter: &Filter| Self::of(kind, searched, filter);
        let parts = |filters: &[Filter]| filters.iter().map(part).collect::<Result<_>>();
        Ok(match filter {
            Filter::All(filters) => Self::All(parts(filters)?),
            Filter::Any(filters) => Self::Any(parts(filters)?),
            Filter::Not(filter) => Self::Not(Box::new(part(filter)?)),
            Filter::Present(path) => Self::Is(readable(kind, searched, path)?, Check::Present),
            Filter::Compare(path, operator, value) => {
                let place = readable(kind, searched, path)?;
                let check = Check::of(path, place.attribute(), *operator, value)?;
                Self::Is(place, check)
            }
            Filter::Within(path, filter) => {
                let place = readable(kind, searched, path)?;
                let test = ElementTest::of(place.attribute(), filter, ErrorKind::InvalidFilter)?;
                Self::Within(place, Box::new(test))
            }
        })
    }

    pub(crate) fn holds(&self, view: &View<'_>) -> bool {
        match self {
            Self::All(tests) => tests.iter().all(|test| test.holds(view)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(view)),
            Self::Not(test) => !test.holds(view),
            Self::Is(place, check) => match whole(view, place) {
                Some((value, sub)) => check.holds(&value, sub),
                None => check.holds(&Value::Null, None),
            },
            Self::Within(place, test) => match whole(view, place).as_ref().map(|(value, _)| &**value) {
                Some(Value::Array(elements)) => elements.iter().any(|element| test.holds(element)),
                Some(element) => test.holds(element),
                None => false,
            },
        }
    }

    /// Whether it looks at the links of a resource.
    pub(crate) fn needs_links(&self, kind: Kind) -> bool {
        match self {
            Self::All(tests) | Self::Any(tests) => tests.iter().any(|test| test.needs_links(kind)),
            Self::Not(test) => test.needs_links(kind),
            Self::Is(place, _) | Self::Within(place, _) => place.is_core(kind.links()),
        }
    }
}

impl ElementTest {
    /// Binds the filter to the elements of an attribute; None is one that no schema declares.
    pub(crate) fn of(attribute: Option<&'static Attribute>, filter: &Filter, refusal: ErrorKind) -> Result<Self> {
        let part = |filter: &Filter| Self::of(attribute, filter, refusal);
        let parts = |filters: &[Filter]| filters.iter().map(part).collect::<Result<_>>();
        let sub = |path: &AttributePath| {
            let own = attribute.map_or(Some(None), |attribute| attribute.sub(&path.name).map(Some));
            match own {
                Some(declared) if path.urn.is_none() && path.sub.is_none() => {
                    let name = declared.map_or(path.name.as_str(), |declared| declared.name);
                    Ok(Sub { name: name.to_owned(), attribute: declared })
                }
                _ => Err(Error::of(refusal, format!("there is no sub-attribute `{path}` in front of the brackets"))),
            }
        };
        Ok(match filter {
            Filter::All(filters) => Self::All(parts(filters)?),
            Filter::Any(filters) => Self::Any(parts(filters)?),
            Filter::Not(filter) => Self::Not(Box::new(part(filter)?)),
            Filter::Present(path) => Self::Is(sub(path)?, Check::Present),
            Filter::Compare(path, operator, value) => {
                let sub = sub(path)?;
                let check = Check::of(path, sub.attribute, *operator, value)?;
                Self::Is(sub, check)
            }
            Filter::Within(path, _) => {
                return Err(Error::of(
                    refusal,
                    format!("`{path}[…]` lies in another pair of brackets; one is allowed"),
                ));
            }
        })
    }

    pub(crate) fn holds(&self, element: &Value) -> bool {
        match self {
            Self::All(tests) => tests.iter().all(|test| test.holds(element)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(element)),
            Self::Not(test) => !test.holds(element),
            Self::Is(sub, check) => match element.as_object() {
                Some(object) => check.holds(field(object, &sub.name).unwrap_or(&Value::Null), None),
                None if sub.name == "value" => check.holds(element, None),
                None => check.holds(&Value::Null, None),
            },
        }
    }
}

/// The attribute's value in a resource, and which part of it is meant.
fn whole<'v>(view: &View<'v>, place: &'v Place) -> Option<(Cow<'v, Value>, Option<&'v str>)> {
    let attributes = &view.resource.attributes;
    // What the resource's own extensions turn it into has no part.
    if let Cow::Owned(place) = place.in_resource(attributes) {
        let value = match &place {
            Place::Extension(urn) => field(attributes, urn),
            Place::Attribute(target) => {
                let extension = field(attributes, target.urn.as_ref()?)?;
                extension.as_object().and_then(|extension| field(extension, &target.name))
            }
        };
        return Some((Cow::Borrowed(value?), None));
    }
    match place {
        Place::Extension(urn) => Some((Cow::Borrowed(field(attributes, urn)?), None)),
        Place::Attribute(target) => {
            let value = match &target.urn {
                Some(urn) => Cow::Borrowed(field(field(attributes, urn)?.as_object()?, &target.name)?),
                None => match attributes.get(&target.name) {
                    Some(value) => Cow::Borrowed(value),
                    None => Cow::Owned(view.own(&target.name)?),
                },
            };
            Some((value, target.sub.as_ref().map(|sub| sub.name.as_str())))
        }
    }
}

/// The place of the path, if a client may learn its value.
fn readable(kind: Kind, searched: &[Kind], path: &AttributePath) -> Result<Place> {
    let mut place = Place::of(kind, path, ErrorKind::InvalidFilter);
    let others = searched.iter().filter(|other| **other != kind);
    if place.is_err() && others.into_iter().any(|other| Place::of(*other, path, ErrorKind::InvalidFilter).is_ok()) {
        place = Ok(Place::undeclared(path));
    }
    let place = place?;
    if place.is_secret() {
        let detail = format!("`{path}` is never given out, so nothing can be found by it; leave it out of the filter");
        return Err(Error::of(ErrorKind::InvalidFilter, detail));
    }
    Ok(place)
}

/// The values that a test or an order looks at: the part, of each element; an object without a part is its `value`.
pub(crate) fn each_leaf<'v>(value: &'v Value, sub: Option<&str>, seen: &mut dyn FnMut(&'v Value)) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| each_leaf(element, sub, seen)),
        Value::Object(object) => match field(object, sub.unwrap_or("value")) {
            Some(Value::Array(values)) => values.iter().for_each(seen),
            Some(value) => seen(value),
            // A complex attribute that has no `value`, such as `name`: it is there.
            None if sub.is_none() && !object.is_empty() => seen(value),
            None => {}
        },
        Value::Null => {}
        value if sub.is_none() => seen(value),
        _ => {}
    }
}

/// The first value, or that of the primary element.
pub(crate) fn sort_value(view: &View<'_>, place: &Place) -> Option<Value> {
    let (value, sub) = whole(view, place)?;
    let primary = value.as_array().and_then(|elements| elements.iter().find(|element| element["primary"] == true));
    let mut first = None;
    each_leaf(primary.unwrap_or(&value), sub, &mut |leaf| {
        first.get_or_insert_with(|| leaf.clone());
    });
    first
}

/// A text as the attribute compares it.
pub(crate) fn comparable(attribute: Option<&Attribute>, text: &str) -> Constant {
    match attribute {
        Some(attribute) if attribute.kind == Type::DateTime => {
            instant(text).map_or_else(|| Constant::Exact(text.to_owned()), Constant::Instant)
        }
        Some(attribute) if attribute.case_exact => Constant::Exact(text.to_owned()),
        _ => Constant::Folded(fold(text).into_owned()),
    }
}

#[cfg(test)]
mod tests;
