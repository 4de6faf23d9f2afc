//! The attributes that a profile may have, and what each may hold: checked before anything is sent. Pure.
//!
//! Source: Okta's "Schemas" API.

use std::collections::{BTreeMap, BTreeSet};

use connector_api::Result;
use serde_json::{Map, Value};

use super::values::{Kind, at, cell, check_storable, is_empty, refused, text_at};

/// The prefix of the columns of a profile.
pub(super) const PROFILE: &str = "profile.";

/// The attributes of one schema. Empty where the schema cannot be read: then nothing is known to be wrong.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    by_name: BTreeMap<String, Attribute>,
    required: BTreeSet<String>,
}

#[derive(Debug)]
struct Attribute {
    kind: Kind,
    items: Kind,
    /// The only values allowed; empty where all are.
    choices: Vec<Value>,
    item_choices: Vec<Value>,
    mutability: String,
    master: String,
    min_chars: Option<u64>,
    max_chars: Option<u64>,
}

impl Attributes {
    pub(super) fn read(schema: &Value) -> Self {
        let mut attributes = Self::default();
        for part in ["definitions.base", "definitions.custom"] {
            let part = at(schema, part);
            let required = at(part, "required").as_array().into_iter().flatten();
            attributes.required.extend(required.filter_map(|name| name.as_str().map(str::to_owned)));
            for (name, property) in at(part, "properties").as_object().into_iter().flatten() {
                if property.get("required") == Some(&Value::Bool(true)) {
                    attributes.required.insert(name.clone());
                }
                attributes.by_name.insert(name.clone(), Attribute::read(property));
            }
        }
        attributes
    }

    /// Whether anything is known.
    pub(super) fn are_known(&self) -> bool {
        !self.by_name.is_empty()
    }

    /// The first of the columns that is an attribute of the profile and not in the schema.
    pub(super) fn unknown<'c>(&self, mut columns: impl Iterator<Item = &'c String>) -> Option<&'c str> {
        let is_unknown = |column: &&String| profile_name(column).is_some_and(|name| self.find(name).is_none());
        if self.are_known() { columns.find(is_unknown).map(String::as_str) } else { None }
    }

    /// The wanted profile, as Okta spells and types it; null clears. Columns outside the profile are left out.
    ///
    /// # Errors
    /// Kind `Rejected`, naming the column and what it may hold.
    pub(super) fn wanted(&self, values: &BTreeMap<String, Value>, is_new: bool) -> Result<Map<String, Value>> {
        let mut profile = Map::new();
        for (column, value) in values {
            let Some(name) = profile_name(column) else { continue };
            check_storable(column, value)?;
            let (name, value) = match self.find(name) {
                Some((name, attribute)) => (name, attribute.convert(column, value, is_new)?),
                None if self.are_known() => return Err(self.unknown_attribute(column, name)),
                None => (name, if is_empty(value) { Value::Null } else { value.clone() }),
            };
            if value.is_null() && !is_new && self.required.contains(name) {
                return Err(refused(
                    format!("`{column}` cannot be cleared: Okta requires it"),
                    "give it a value, or make the attribute optional in Okta's Profile Editor",
                ));
            }
            profile.insert(name.to_owned(), value);
        }
        if is_new
            && let Some(missing) = self.required.iter().find(|name| profile.get(name.as_str()).is_none_or(is_empty))
        {
            return Err(refused(
                format!("`{PROFILE}{missing}` is missing: Okta requires it"),
                "map the attribute and give it a value, or make it optional in Okta's Profile Editor",
            ));
        }
        Ok(profile)
    }

    /// Of a profile, what this schema has a place for.
    pub(super) fn fitting(&self, profile: Map<String, Value>) -> Map<String, Value> {
        profile.into_iter().filter(|(name, _)| !self.are_known() || self.by_name.contains_key(name)).collect()
    }

    /// Whether another system than Okta decides the attribute of an account that it masters.
    pub(super) fn is_mastered_elsewhere(&self, name: &str) -> bool {
        self.by_name.get(name).is_some_and(|attribute| attribute.master == "PROFILE_MASTER")
    }

    fn find(&self, name: &str) -> Option<(&str, &Attribute)> {
        let exact = self.by_name.get_key_value(name);
        let found = exact.or_else(|| self.by_name.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)));
        found.map(|(name, attribute)| (name.as_str(), attribute))
    }

    fn unknown_attribute(&self, column: &str, name: &str) -> connector_api::Error {
        let distance = |known: &&String| strsim::osa_distance(&known.to_lowercase(), &name.to_lowercase());
        let nearest = self.by_name.keys().min_by_key(distance).map_or("", String::as_str);
        refused(
            format!("Okta's schema has no attribute `{column}`"),
            format!(
                "the nearest one is `{PROFILE}{nearest}`; correct the mapping, or add the attribute in Okta's Profile Editor"
            ),
        )
    }
}

/// The attribute that a column of a profile names.
pub(super) fn profile_name(column: &str) -> Option<&str> {
    let (head, name) = column.split_at_checked(PROFILE.len())?;
    head.eq_ignore_ascii_case(PROFILE).then_some(name)
}

impl Attribute {
    fn read(property: &Value) -> Self {
        let items = at(property, "items");
        Self {
            kind: Kind::named(text_at(property, "type")),
            items: Kind::named(text_at(items, "type")),
            choices: choices(property),
            item_choices: choices(items),
            mutability: text_at(property, "mutability").to_owned(),
            master: text_at(property, "master.type").to_owned(),
            min_chars: at(property, "minLength").as_u64(),
            max_chars: at(property, "maxLength").as_u64(),
        }
    }

    fn convert(&self, column: &str, value: &Value, is_new: bool) -> Result<Value> {
        if self.mutability == "READ_ONLY" || self.mutability == "IMMUTABLE" && !is_new {
            let hint = "take the property out of the provisioning rules";
            return Err(refused(format!("`{column}` cannot be written: Okta's schema says {}", self.mutability), hint));
        }
        let Some(value) = self.kind.read(self.items, value) else {
            let hint = "see the attribute's data type in Okta's Profile Editor, and correct the rule that computes it";
            return Err(refused(format!("`{column}` must be {}", self.kind.in_words()), hint));
        };
        let (checked, choices): (Vec<&Value>, _) = match &value {
            Value::Array(elements) => (elements.iter().collect(), &self.item_choices),
            value => (vec![value], &self.choices),
        };
        for value in checked.into_iter().filter(|value| !value.is_null()) {
            if !choices.is_empty() && !choices.contains(value) {
                let allowed: Vec<String> =
                    choices.iter().take(20).map(|choice| format!("`{}`", cell(choice))).collect();
                let message = format!("`{column}` must not be `{}`", cell(value).chars().take(80).collect::<String>());
                return Err(refused(message, format!("Okta allows {}", allowed.join(", "))));
            }
        }
        if let Value::String(text) = &value {
            let chars = text.chars().count() as u64;
            let bounds = (self.min_chars.unwrap_or(0), self.max_chars.unwrap_or(u64::MAX));
            if chars < bounds.0 || chars > bounds.1 {
                let allowed = match (self.min_chars, self.max_chars) {
                    (Some(min), Some(max)) => format!("{min} to {max}"),
                    (Some(min), None) => format!("at least {min}"),
                    (None, max) => format!("at most {}", max.unwrap_or(u64::MAX)),
                };
                let message = format!("`{column}` has {chars} characters; Okta allows {allowed}");
                return Err(refused(message, "correct it at its source, or the bounds in Okta's Profile Editor"));
            }
        }
        Ok(value)
    }
}

/// The values that `enum` or `oneOf` allows.
fn choices(property: &Value) -> Vec<Value> {
    let listed = at(property, "enum").as_array().into_iter().flatten().cloned();
    let titled =
        at(property, "oneOf").as_array().into_iter().flatten().filter_map(|choice| choice.get("const").cloned());
    listed.chain(titled).filter(|choice| !choice.is_null()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Attributes {
        Attributes::read(&json!({"definitions": {
            "base": {"required": ["login"], "properties": {
                "login": {"type": "string", "minLength": 5, "maxLength": 10, "required": true},
                "city": {"type": "string"},
                "manager": {"type": "string", "mutability": "READ_ONLY"},
                "hired": {"type": "string", "mutability": "IMMUTABLE"}}},
            "custom": {"properties": {
                "size": {"type": "string", "enum": ["S", "M"]},
                "floors": {"type": "array", "items": {"type": "integer", "oneOf": [{"const": 1}, {"const": 2}]}}}}}}))
    }

    fn wanted(column: &str, value: Value, is_new: bool) -> Result<Value> {
        let mut values = BTreeMap::from([(column.to_owned(), value)]);
        if is_new {
            values.entry("profile.login".to_owned()).or_insert(json!("ada.l"));
        }
        let name = profile_name(column).unwrap().to_lowercase();
        schema().wanted(&values, is_new).map(|mut profile| profile.remove(&name).unwrap_or(Value::Null))
    }

    #[test]
    fn what_the_schema_forbids_is_named_before_it_is_sent() {
        for (column, value, is_new, words) in [
            ("profile.login", json!("ada"), false, "has 3 characters; Okta allows 5 to 10"),
            ("profile.login", json!(null), false, "cannot be cleared"),
            ("profile.login", json!(""), true, "is missing"),
            ("profile.ctiy", json!("x"), false, "no attribute `profile.ctiy`"),
            ("profile.manager", json!("x"), true, "READ_ONLY"),
            ("profile.hired", json!("x"), false, "IMMUTABLE"),
            ("profile.size", json!("XL"), false, "must not be `XL`"),
            ("profile.floors", json!("1\n3"), false, "must not be `3`"),
            ("profile.floors", json!("one"), false, "must be a list"),
        ] {
            let error = wanted(column, value, is_new).unwrap_err();
            assert!(error.to_string().contains(words) && error.hint().is_some(), "{column}: {error}");
        }
    }

    #[test]
    fn names_ignore_case_and_values_take_the_schemas_type() {
        assert_eq!(wanted("Profile.City", json!("Oslo"), false).unwrap(), "Oslo");
        assert_eq!(wanted("profile.floors", json!("2\n1"), false).unwrap(), json!([2, 1]));
        assert_eq!(wanted("profile.hired", json!("x"), true).unwrap(), "x");
        assert_eq!(wanted("profile.city", json!(""), false).unwrap(), Value::Null);
    }
}
