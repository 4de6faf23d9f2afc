//! What of a filter an index can answer.

use super::{Check, Constant, ElementTest, Test};
use crate::{
    place::Place,
    resource::Kind,
    store::{Field, Lookup},
    syntax::Operator,
};

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
        let lookup = match &test {
            Test::All(tests) => tests.iter().find_map(|test| exact(kind, test)),
            _ => None,
        };
        Self { lookup, test: Some(test) }
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

fn text(constant: &Constant) -> Option<String> {
    match constant {
        Constant::Exact(text) | Constant::Folded(text) => Some(text.clone()),
        _ => None,
    }
}
