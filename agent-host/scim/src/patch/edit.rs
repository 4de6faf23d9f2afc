//! One operation at one attribute: the whole of it, a part, or chosen elements.
//!
//! Adding what is there changes nothing, a new primary value takes the place of the old one, and what becomes empty
//! goes. Source: RFC 7644 §§3.5.2.1 to 3.5.2.3.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::Verb;
use crate::{
    error::{Error, ErrorKind, Result},
    filter::ElementTest,
    json::{field, is_unset, spelling},
    schema::Attribute,
    syntax::{Filter, Operator},
    values::{check_count, check_undeclared, checked, element, is_primary},
};

/// So many new elements are compared with each that is there.
const FEW: usize = 2;

/// An operation whose path is resolved.
#[derive(Debug)]
pub(super) struct Edit<'p> {
    pub(super) verb: Verb,
    /// As the client wrote it.
    pub(super) path: &'p str,
    /// None in an undeclared extension.
    pub(super) attribute: Option<&'static Attribute>,
    /// A part of the attribute: its name and, where it is declared, what it is.
    pub(super) sub: Option<(&'p str, Option<&'static Attribute>)>,
    /// Which elements; None for the attribute as a whole.
    pub(super) selection: Option<Selection<'p>>,
}

/// The brackets of a path.
#[derive(Debug)]
pub(super) struct Selection<'p> {
    pub(super) test: ElementTest,
    pub(super) filter: &'p Filter,
}

impl Edit<'_> {
    /// Applies it to the attribute of this name in its object.
    pub(super) fn apply(&self, object: &mut Map<String, Value>, name: &str, value: Option<Value>) -> Result<()> {
        let present = object.get_mut(name).map_or(Value::Null, Value::take);
        let wanted = match (&self.selection, self.sub) {
            (Some(selection), _) => self.elements(present, selection, value)?,
            (None, Some(sub)) => self.part(present, sub, value)?,
            (None, None) => self.whole(present, value)?,
        };
        if is_unset(&wanted) {
            object.remove(name);
        } else {
            object.insert(name.to_owned(), wanted);
        }
        Ok(())
    }

    /// The attribute without brackets and part.
    fn whole(&self, present: Value, value: Option<Value>) -> Result<Value> {
        if self.verb == Verb::Remove {
            return match (present, value.filter(|value| !value.is_null())) {
                (Value::Array(elements), Some(unwanted)) => self.without(elements, unwanted),
                _ => Ok(Value::Null),
            };
        }
        let is_list = self.attribute.map_or(present.is_array(), |attribute| attribute.multi_valued);
        let wanted = self.checked(value.unwrap_or_default())?;
        match (self.verb, present, wanted) {
            (Verb::Add, present, wanted) if is_unset(&wanted) => Ok(present),
            (Verb::Replace, _, wanted) if is_unset(&wanted) || is_list => Ok(wanted),
            (_, Value::Array(elements), wanted) if is_list => {
                let wanted = match wanted {
                    Value::Array(wanted) => wanted,
                    single => vec![single],
                };
                self.joined(elements, wanted)
            }
            // Parts that are not named stay.
            (_, Value::Object(mut present), Value::Object(wanted)) => {
                merge(&mut present, wanted);
                Ok(present.into())
            }
            (_, _, wanted) => Ok(wanted),
        }
    }

    /// `attribute.sub`: of the object, or of each element.
    fn part(
        &self,
        present: Value,
        (name, declared): (&str, Option<&'static Attribute>),
        value: Option<Value>,
    ) -> Result<Value> {
        let part = self.checked_part(declared, value)?;
        let is_list = self.attribute.map_or(present.is_array(), |attribute| attribute.multi_valued);
        match present {
            Value::Array(mut elements) if is_list => {
                let touched: Vec<usize> = (0..elements.len()).collect();
                elements.iter_mut().for_each(|element| set_part(element, name, &part));
                self.settled(elements, &touched)
            }
            Value::Object(_) | Value::Null if is_list && part.is_none() => Ok(Value::Null),
            Value::Null if is_list => Ok(vec![object_of(name, part)].into()),
            mut present => {
                set_part(&mut present, name, &part);
                Ok(if is_empty(&present) { Value::Null } else { present })
            }
        }
    }

    /// `attribute[filter]` and `attribute[filter].sub`.
    fn elements(&self, present: Value, selection: &Selection<'_>, value: Option<Value>) -> Result<Value> {
        let mut elements = match present {
            Value::Array(elements) => elements,
            Value::Null => Vec::new(),
            single => vec![single],
        };
        if self.verb == Verb::Remove && self.sub.is_none() {
            elements.retain(|element| !selection.test.holds(element));
            return Ok(elements.into());
        }
        let wanted = match self.sub {
            Some((name, declared)) => object_of(name, self.checked_part(declared, value)?),
            None => match self.attribute {
                Some(attribute) => element(attribute, value.unwrap_or_default(), self.path)?.unwrap_or_default(),
                None => self.checked(value.unwrap_or_default())?,
            },
        };
        let Value::Object(wanted) = wanted else {
            return Err(Error::of(ErrorKind::InvalidValue, format!("`{}` is an object", self.path)));
        };
        let chosen: Vec<usize> = (0..elements.len()).filter(|at| selection.test.holds(&elements[*at])).collect();
        if chosen.is_empty() {
            if self.verb == Verb::Remove {
                return Ok(elements.into());
            }
            elements.push(self.missing(selection, wanted)?);
            check_count(elements.len(), self.path)?;
            let touched = elements.len() - 1;
            return self.settled(elements, &[touched]);
        }
        for at in &chosen {
            match (self.sub, &mut elements[*at]) {
                (Some((name, _)), element) => set_part(element, name, &wanted.get(name).cloned()),
                (None, Value::Object(element)) if self.verb == Verb::Add => merge(element, wanted.clone()),
                (None, element) => *element = wanted.clone().into(),
            }
        }
        self.settled(elements, &chosen)
    }

    /// The element that a client sets without having it: Entra means `emails[type eq "work"].value` to create one.
    fn missing(&self, selection: &Selection<'_>, wanted: Map<String, Value>) -> Result<Value> {
        let no_target = || {
            let detail = format!("`{}` chooses nothing; add the element first", self.path);
            Error::of(ErrorKind::NoTarget, detail)
        };
        if self.sub.is_none() && self.verb == Verb::Replace {
            return Err(no_target());
        }
        let mut created = Map::new();
        for (name, value) in equalities(selection.filter).ok_or_else(no_target)? {
            let declared = self.attribute.and_then(|attribute| attribute.sub(name));
            let name = declared.map_or(name, |declared| declared.name);
            if name == "value" {
                return Err(no_target());
            }
            if value.as_str().is_some_and(|text| text.contains('\0')) {
                let detail = format!("`{}` holds U+0000, which no directory can keep", self.path);
                return Err(Error::of(ErrorKind::InvalidValue, detail));
            }
            if let Some(value) = self.checked_part(declared, Some(value.clone()))? {
                created.insert(name.to_owned(), value);
            }
        }
        merge(&mut created, wanted);
        Ok(created.into())
    }

    /// The elements and the new ones; one that is there already takes what the new one brings.
    fn joined(&self, mut elements: Vec<Value>, wanted: Vec<Value>) -> Result<Value> {
        // One or two are looked for; for more it is worth while to make a table.
        let are_few = wanted.len() <= FEW;
        let mut places: HashMap<String, usize> =
            if are_few { HashMap::new() } else { elements.iter().map(identity).zip(0..).collect() };
        let mut touched = Vec::new();
        for element in wanted {
            let end = elements.len();
            let place = match are_few {
                true => elements.iter().position(|present| is_same(present, &element)).unwrap_or(end),
                false => *places.entry(identity(&element)).or_insert(end),
            };
            match (elements.get_mut(place), element) {
                (Some(Value::Object(present)), Value::Object(element)) => merge(present, element),
                (Some(_), _) => {}
                (None, element) => elements.push(element),
            }
            touched.push(place);
        }
        check_count(elements.len(), self.path)?;
        self.settled(elements, &touched)
    }

    /// The elements without those that have all the parts of an unwanted one.
    fn without(&self, mut elements: Vec<Value>, unwanted: Value) -> Result<Value> {
        let unwanted = match self.checked(unwanted)? {
            Value::Array(unwanted) => unwanted,
            Value::Null => Vec::new(),
            single => vec![single],
        };
        check_count(unwanted.len(), self.path)?;
        let has = |element: &Value, unwanted: &Value| match (element, unwanted) {
            (Value::Object(element), Value::Object(unwanted)) => {
                unwanted.iter().all(|(name, value)| field(element, name) == Some(value))
            }
            (element, unwanted) => element == unwanted,
        };
        elements.retain(|element| !unwanted.iter().any(|unwanted| has(element, unwanted)));
        Ok(elements.into())
    }

    /// Empty elements go, and where a touched one is primary the others are no longer.
    fn settled(&self, mut elements: Vec<Value>, touched: &[usize]) -> Result<Value> {
        let mut primaries = touched.iter().copied().filter(|at| is_primary(&elements[*at]));
        if let Some(primary) = primaries.next() {
            if primaries.any(|other| other != primary) {
                let detail = format!("only one value of `{}` can be primary", self.path);
                return Err(Error::of(ErrorKind::InvalidValue, detail));
            }
            let others = elements.iter_mut().enumerate().filter(|(at, element)| *at != primary && is_primary(element));
            others.for_each(|(_, element)| element["primary"] = false.into());
        }
        elements.retain(|element| !is_empty(element));
        Ok(elements.into())
    }

    fn checked(&self, value: Value) -> Result<Value> {
        let Some(attribute) = self.attribute else {
            check_undeclared(&value, self.path)?;
            return Ok(value);
        };
        Ok(checked(attribute, value, self.path)?.unwrap_or_default())
    }

    /// The value of a part; None to remove it.
    fn checked_part(&self, declared: Option<&Attribute>, value: Option<Value>) -> Result<Option<Value>> {
        match (self.verb, value, declared) {
            (Verb::Remove, ..) | (_, None, _) => Ok(None),
            (_, Some(value), Some(declared)) => checked(declared, value, self.path),
            (_, Some(value), None) => {
                check_undeclared(&value, self.path)?;
                Ok(Some(value).filter(|value| !is_unset(value)))
            }
        }
    }
}

/// Whether both have the same [`identity`].
fn is_same(left: &Value, right: &Value) -> bool {
    match (left.get("value"), right.get("value")) {
        (Some(one), Some(other)) => {
            one == other && left.get("type").unwrap_or(&Value::Null) == right.get("type").unwrap_or(&Value::Null)
        }
        (None, None) => left == right,
        _ => false,
    }
}

/// What makes an element the same as another one: its value and type, or else everything.
fn identity(element: &Value) -> String {
    match element.get("value") {
        Some(value) => format!("{value} {}", element.get("type").unwrap_or(&Value::Null)),
        None => element.to_string(),
    }
}

/// The names and values of a filter that only says what they are, as `type eq "work" and primary eq true`.
fn equalities(filter: &Filter) -> Option<Vec<(&str, &Value)>> {
    match filter {
        Filter::Compare(path, Operator::Equal, value) => Some(vec![(&path.name, value)]),
        Filter::All(parts) => parts.iter().try_fold(Vec::new(), |mut found, part| {
            found.extend(equalities(part)?);
            Some(found)
        }),
        _ => None,
    }
}

/// In the spelling that is there; by a table of names, since an undeclared object may have many.
fn merge(present: &mut Map<String, Value>, wanted: Map<String, Value>) {
    let names: HashMap<String, String> = present.keys().map(|name| (name.to_ascii_lowercase(), name.clone())).collect();
    for (name, value) in wanted {
        let name = names.get(&name.to_ascii_lowercase()).cloned().unwrap_or(name);
        present.insert(name, value);
    }
}

fn set_part(element: &mut Value, name: &str, part: &Option<Value>) {
    if !element.is_object() {
        *element = Value::Object(Map::new());
    }
    let Some(object) = element.as_object_mut() else { return };
    let name = spelling(object, name).to_owned();
    match part {
        Some(part) => drop(object.insert(name, part.clone())),
        None => drop(object.remove(&name)),
    }
}

fn object_of(name: &str, part: Option<Value>) -> Value {
    Value::Object(part.map(|part| (name.to_owned(), part)).into_iter().collect())
}

fn is_empty(value: &Value) -> bool {
    is_unset(value) || value.as_object().is_some_and(Map::is_empty)
}
