//! Values of orders and values of Okta: told apart, compared, shown. Pure.
//!
//! An order may give a value as JSON or as the text of its cell in an export: numbers and truth values as text, arrays
//! joined with LF, objects as compact JSON. What an export wrote comes back as the same value, but for the order of an
//! array, which exports sort; so arrays are compared as what they hold.

use std::borrow::Cow;

use connector_api::{AttributeChange, Error, ErrorKind, Result};
use serde_json::{Map, Number, Value};

/// The most a text may hold where the schema states no limit.
const MAX_TEXT_CHARS: usize = 65_536;

/// The kind of a value, as Okta's schemas name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Boolean,
    Integer,
    Number,
    Array,
    Object,
}

impl Kind {
    pub(super) fn named(name: &str) -> Self {
        match name {
            "boolean" => Self::Boolean,
            "integer" => Self::Integer,
            "number" => Self::Number,
            "array" => Self::Array,
            "object" => Self::Object,
            _ => Self::Text,
        }
    }

    /// The value as one of this kind, with elements of kind `items` where it is an array; null clears, as does an
    /// empty text. None where it cannot be one.
    pub(super) fn read(self, items: Self, value: &Value) -> Option<Value> {
        if is_empty(value) {
            return Some(Value::Null);
        }
        match (self, value) {
            (Self::Text, Value::String(_))
            | (Self::Boolean, Value::Bool(_))
            | (Self::Number, Value::Number(_))
            | (Self::Object, Value::Object(_)) => Some(value.clone()),
            (Self::Text, Value::Bool(_) | Value::Number(_)) => Some(value.to_string().into()),
            (Self::Integer, Value::Number(number)) => is_whole(number).then(|| value.clone()),
            (Self::Boolean, Value::String(text)) => match text.trim() {
                text if text.eq_ignore_ascii_case("true") => Some(true.into()),
                text if text.eq_ignore_ascii_case("false") => Some(false.into()),
                _ => None,
            },
            (Self::Integer, Value::String(text)) => text.trim().parse::<i64>().ok().map(Value::from),
            (Self::Number, Value::String(text)) => serde_json::from_str::<Number>(text.trim()).ok().map(Value::from),
            (Self::Object, Value::String(text)) => serde_json::from_str::<Map<_, _>>(text).ok().map(Value::from),
            (Self::Array, Value::Array(elements)) => elements.iter().map(|e| items.element(e)).collect(),
            (Self::Array, Value::String(text)) => text.split('\n').map(|e| items.element(&e.into())).collect(),
            (Self::Array, Value::Bool(_) | Value::Number(_)) => Some(vec![items.element(value)?].into()),
            _ => None,
        }
    }

    fn element(self, value: &Value) -> Option<Value> {
        self.read(Self::Text, value).filter(|element| !element.is_null())
    }

    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Boolean => "`true` or `false`",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Array => "a list",
            Self::Object => "a JSON object",
        }
    }
}

fn is_whole(number: &Number) -> bool {
    number.is_i64() || number.is_u64()
}

/// Whether the value clears what it is given to.
pub(super) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// Whether Okta can store the value.
///
/// # Errors
/// Kind `Rejected`, naming the column: a character beyond three bytes of UTF-8, or far too long a text.
pub(super) fn check_storable(column: &str, value: &Value) -> Result<()> {
    match value {
        Value::String(text) => {
            if let Some(c) = text.chars().find(|c| c.len_utf8() > 3 || *c == '\0') {
                return Err(refused(
                    format!("`{column}` holds the character U+{:04X}, which Okta cannot store", u32::from(c)),
                    "take it out at its source; Okta stores characters of up to three bytes, so no emoji",
                ));
            }
            if text.len() > MAX_TEXT_CHARS {
                return Err(refused(
                    format!("`{column}` is {} bytes long; more than {MAX_TEXT_CHARS} are never sent", text.len()),
                    "shorten it at its source",
                ));
            }
            Ok(())
        }
        Value::Array(elements) => elements.iter().try_for_each(|element| check_storable(column, element)),
        Value::Object(members) => members.values().try_for_each(|member| check_storable(column, member)),
        _ => Ok(()),
    }
}

/// Whether both are the same to a reader of an export: null, absent and empty are one, arrays are what they hold.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    a == b || cell(a) == cell(b)
}

/// The value as an export writes it.
pub(super) fn cell(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::String(text) => Cow::Borrowed(text),
        Value::Array(elements) => {
            let mut elements: Vec<Cow<'_, str>> = elements.iter().map(cell).collect();
            elements.sort();
            Cow::Owned(elements.join("\n"))
        }
        Value::Number(number) => match number.as_f64().filter(|_| !is_whole(number)) {
            Some(whole) if whole.fract() == 0.0 && whole.abs() < 1e15 => Cow::Owned(format!("{whole:.0}")),
            _ => Cow::Owned(number.to_string()),
        },
        other => Cow::Owned(other.to_string()),
    }
}

/// The change of a column from one value to another; what its name calls a secret is masked.
pub(super) fn change(attribute: impl Into<String>, old: &Value, new: &Value) -> AttributeChange {
    let attribute = attribute.into();
    let name = attribute.rsplit('.').next().unwrap_or_default().to_lowercase();
    let is_secret = ["password", "secret", "passphrase", "privatekey"].iter().any(|word| name.contains(word))
        || attribute.to_lowercase().starts_with("credentials.password");
    let shown = |value: &Value| {
        let text = Some(cell(value).into_owned()).filter(|text| !text.is_empty());
        if is_secret { text.map(|_| "***".to_owned()) } else { text }
    };
    let (old, new) = (shown(old), shown(new));
    AttributeChange { attribute, old, new }
}

/// The value at a dotted path; null where there is none.
pub(super) fn at<'v>(object: &'v Value, path: &str) -> &'v Value {
    path.split('.').try_fold(object, |value, segment| value.get(segment)).unwrap_or(&Value::Null)
}

/// The text at a dotted path; empty where there is none.
pub(super) fn text_at<'v>(object: &'v Value, path: &str) -> &'v str {
    at(object, path).as_str().unwrap_or_default()
}

/// Puts a value at a dotted path; objects are made on the way.
///
/// # Errors
/// Kind `Rejected` where something on the way is no object.
pub(super) fn put(object: &mut Map<String, Value>, path: &str, value: Value) -> Result<()> {
    let mut inner = object;
    let mut segments = path.split('.').peekable();
    while let Some(segment) = segments.next() {
        if segments.peek().is_none() {
            inner.insert(segment.to_owned(), value);
            return Ok(());
        }
        let next = inner.entry(segment.to_owned()).or_insert(Value::Null);
        if next.is_null() {
            *next = Value::Object(Map::new());
        }
        let Value::Object(next) = next else {
            return Err(refused(
                format!("`{path}` leads through `{segment}`, which holds no values"),
                "correct the mapping",
            ));
        };
        inner = next;
    }
    Ok(())
}

/// The order cannot be carried out.
pub(super) fn refused(message: impl Into<String>, hint: impl Into<String>) -> Error {
    Error::new(ErrorKind::Rejected, message).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn values_become_what_the_schema_says() {
        for (kind, items, given, expected) in [
            (Kind::Text, Kind::Text, json!(12), Some(json!("12"))),
            (Kind::Text, Kind::Text, json!(["a"]), None),
            (Kind::Boolean, Kind::Text, json!("True"), Some(json!(true))),
            (Kind::Boolean, Kind::Text, json!("yes"), None),
            (Kind::Integer, Kind::Text, json!(" 12 "), Some(json!(12))),
            (Kind::Integer, Kind::Text, json!(1.5), None),
            (Kind::Number, Kind::Text, json!("1.5"), Some(json!(1.5))),
            (Kind::Number, Kind::Text, json!("one"), None),
            (Kind::Array, Kind::Text, json!("a\nb"), Some(json!(["a", "b"]))),
            (Kind::Array, Kind::Integer, json!("1\n2"), Some(json!([1, 2]))),
            (Kind::Array, Kind::Integer, json!(["1", 2]), Some(json!([1, 2]))),
            (Kind::Array, Kind::Integer, json!(["x"]), None),
            (Kind::Object, Kind::Text, json!("{\"a\":1}"), Some(json!({"a": 1}))),
            (Kind::Integer, Kind::Text, json!(""), Some(Value::Null)),
        ] {
            assert_eq!(kind.read(items, &given), expected, "{kind:?} {given}");
        }
    }

    #[test]
    fn what_is_named_a_secret_is_masked() {
        for (name, shown) in [
            ("settings.app.sharedSecret", "***"),
            ("profile.TempPassword", "***"),
            ("profile.city", "x"),
            ("credentials.oauthClient.client_secret", "***"),
        ] {
            let change = change(name, &Value::Null, &json!("x"));
            assert_eq!((change.old, change.new.as_deref()), (None, Some(shown)), "{name}");
        }
    }

    #[test]
    fn arrays_are_what_they_hold_and_empty_is_absent() {
        assert!(same(&json!(["b", "a"]), &json!(["a", "b"])) && !same(&json!(["a"]), &json!(["a", "b"])));
        assert!(same(&Value::Null, &json!("")) && same(&json!(1), &json!(1.0)) && !same(&json!(1), &json!(2)));
    }

    #[test]
    fn a_character_that_okta_cannot_store_is_named() {
        let error = check_storable("profile.city", &json!(["ok", "\u{1F600}"])).unwrap_err();
        assert!(error.to_string().contains("`profile.city`") && error.to_string().contains("U+1F600"), "{error}");
        assert!(check_storable("profile.city", &json!("東京")).is_ok());
    }

    fn scalar() -> impl Strategy<Value = (Kind, Value)> {
        prop_oneof![
            "[^\n\u{0}]{1,20}".prop_map(|text| (Kind::Text, Value::from(text))),
            any::<bool>().prop_map(|truth| (Kind::Boolean, truth.into())),
            any::<i64>().prop_map(|number| (Kind::Integer, number.into())),
            (-1e12..1e12_f64).prop_map(|number| (Kind::Number, number.into())),
        ]
    }

    fn value() -> impl Strategy<Value = (Kind, Kind, Value)> {
        let array = scalar().prop_flat_map(|(kind, value)| {
            prop::collection::vec(scalar(), 0..5).prop_map(move |others| {
                let same_kind = others.into_iter().filter(|(other, _)| *other == kind).map(|(_, value)| value);
                let elements: Vec<Value> = std::iter::once(value.clone()).chain(same_kind).collect();
                (Kind::Array, kind, Value::from(elements))
            })
        });
        let object = prop::collection::btree_map("[a-z]{1,5}", scalar(), 0..4).prop_map(|members| {
            let members: Map<String, Value> = members.into_iter().map(|(name, (_, value))| (name, value)).collect();
            (Kind::Object, Kind::Text, Value::from(members))
        });
        prop_oneof![scalar().prop_map(|(kind, value)| (kind, Kind::Text, value)), array, object]
    }

    proptest! {
        #[test]
        fn what_an_export_wrote_comes_back((kind, items, value) in value()) {
            let text = Value::from(cell(&value));
            let back = kind.read(items, &text);
            prop_assert!(back.as_ref().is_some_and(|back| same(back, &value)), "{value} as {text} became {back:?}");
        }
    }
}
