//! What of a filter an index can answer, and what of e-mail addresses it holds.
//!
//! Some look-ups find exactly what the filter asks for, others candidates of which it is asked again: a conjunction goes by
//! one of its parts, and of an e-mail address no index knows to which element it belongs.

use serde_json::Value;

use super::{Check, Constant, ElementTest, Test, each_leaf};
use crate::{
    letters::fold,
    place::Place,
    resource::Kind,
    store::{Field, Lookup},
    syntax::Operator,
};

/// How many bytes of a folded e-mail address an index holds: no true one has more (RFC 5321 §4.5.3.1).
const INDEXED_EMAIL_BYTES: usize = 320;

/// How to find what a filter asks for.
#[derive(Debug)]
pub(crate) struct Plan {
    /// What the store looks up; None for everything.
    pub(crate) lookup: Option<Lookup>,
    /// What is asked of each that the store finds; None where the look-up says it all.
    pub(crate) test: Option<Test>,
}

impl Plan {
    /// The plan for a filter, None for all resources.
    pub(crate) fn of(kind: Kind, test: Option<Test>) -> Self {
        let Some(test) = test else { return Self { lookup: None, test: None } };
        if let Some(lookup) = exact(kind, &test) {
            return Self { lookup: Some(lookup), test: None };
        }
        Self { lookup: candidates(kind, &test), test: Some(test) }
    }

    /// Whether the test looks at the links of a resource.
    pub(crate) fn needs_links(&self, kind: Kind) -> bool {
        self.test.as_ref().is_some_and(|test| test.needs_links(kind))
    }
}

/// The look-up that finds exactly what the test asks for.
fn exact(kind: Kind, test: &Test) -> Option<Lookup> {
    match test {
        Test::Is(place, Check::Compare(Operator::Equal, constant)) => {
            Some(Lookup { field: field_of(kind, place)?, values: vec![text(constant)?] })
        }
        Test::Within(place, element) if place.is_core(kind.links()) => match &**element {
            ElementTest::Is(sub, Check::Compare(Operator::Equal, constant)) if sub.name == "value" => {
                Some(Lookup { field: Field::Link, values: vec![text(constant)?] })
            }
            _ => None,
        },
        Test::Any(tests) => tests.iter().map(|test| exact(kind, test)).reduce(either)?,
        _ => None,
    }
}

/// The look-up that finds all that the test asks for, and perhaps more.
fn candidates(kind: Kind, test: &Test) -> Option<Lookup> {
    match test {
        Test::All(tests) => fewest(tests.iter().filter_map(|test| candidates(kind, test))),
        Test::Any(tests) => tests.iter().map(|test| candidates(kind, test)).reduce(either)?,
        Test::Is(Place::Attribute(target), Check::Compare(Operator::Equal, constant))
            if kind == Kind::User
                && target.urn.is_none()
                && target.name == "emails"
                && target.sub.as_ref().is_none_or(|sub| sub.name == "value") =>
        {
            email(constant)
        }
        Test::Within(place, element) if kind == Kind::User && place.is_core("emails") => candidates_by_email(element),
        other => exact(kind, other),
    }
}

fn candidates_by_email(element: &ElementTest) -> Option<Lookup> {
    match element {
        ElementTest::All(tests) => tests.iter().find_map(candidates_by_email),
        ElementTest::Any(tests) => tests.iter().map(candidates_by_email).reduce(either)?,
        ElementTest::Is(sub, Check::Compare(Operator::Equal, constant)) if sub.name == "value" => email(constant),
        ElementTest::Is(..) | ElementTest::Not(_) => None,
    }
}

fn email(constant: &Constant) -> Option<Lookup> {
    Some(Lookup { field: Field::Email, values: vec![email_key(&text(constant)?)] })
}

/// The one that finds the fewest, as far as that can be told from its field.
fn fewest(lookups: impl Iterator<Item = Lookup>) -> Option<Lookup> {
    lookups.min_by_key(|lookup| match lookup.field {
        Field::Id | Field::UserName => 0,
        Field::ExternalId => 1,
        Field::Email => 2,
        Field::DisplayName => 3,
        Field::Link => 4,
    })
}

/// One look-up for both, where they are about the same field.
fn either(left: Option<Lookup>, right: Option<Lookup>) -> Option<Lookup> {
    let (mut left, right) = (left?, right?);
    if left.field != right.field {
        return None;
    }
    left.values.extend(right.values);
    left.values.sort_unstable();
    left.values.dedup();
    Some(left)
}

/// The indexed field at this place.
pub(crate) fn field_of(kind: Kind, place: &Place) -> Option<Field> {
    let Place::Attribute(target) = place else { return None };
    if target.urn.is_some() {
        return None;
    }
    match (target.name.as_str(), target.sub.as_ref().map(|sub| sub.name.as_str())) {
        ("id", None) => Some(Field::Id),
        ("userName", None) => Some(Field::UserName),
        ("externalId", None) => Some(Field::ExternalId),
        ("displayName", None) => Some(Field::DisplayName),
        (name, None | Some("value")) if name == kind.links() => Some(Field::Link),
        _ => None,
    }
}

/// What an index holds of a user's `emails`: each address once, folded, and of what is too long or has a U+0000 the part in
/// front of that. See [`Keys::emails`](crate::Keys::emails).
pub fn email_keys(emails: &Value) -> Vec<String> {
    let mut keys = Vec::new();
    each_leaf(emails, None, &mut |address| keys.extend(address.as_str().map(email_key)));
    keys.sort_unstable();
    keys.dedup();
    keys
}

fn email_key(address: &str) -> String {
    let folded = fold(address);
    let sound = folded.split('\0').next().unwrap_or_default();
    sound[..sound.floor_char_boundary(INDEXED_EMAIL_BYTES)].to_owned()
}

fn text(constant: &Constant) -> Option<String> {
    match constant {
        Constant::Exact(text) | Constant::Folded(text) => Some(text.clone()),
        _ => None,
    }
}
