//! Bodies: JSON text to a tree, refused before it can do harm.
//!
//! Refuses what is no UTF-8, what holds U+0000, what is nested deeper than [`MAX_DEPTH`], and an object that has one name
//! twice, whatever the case of its letters: in SCIM names ignore case (RFC 7643 §2.1), so the two would be one attribute.

use std::{collections::HashSet, fmt};

use secrecy::zeroize::Zeroize;
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Number, Value};

use crate::error::{Error, ErrorKind, Result};

/// How deep arrays and objects may lie in each other. No attribute of SCIM needs more than eight.
pub const MAX_DEPTH: usize = 64;

/// The most bytes of a body.
pub const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// Up to how many names of an object are compared one by one; from there on a set is kept.
const FEW_NAMES: usize = 16;

/// Reads a whole body.
pub(crate) fn read(bytes: &[u8]) -> Result<Value> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let detail = format!("the body is not UTF-8 from byte {} on", error.valid_up_to());
        Error::of(ErrorKind::InvalidSyntax, detail)
    })?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let tree = Node { depth: 0 }.deserialize(&mut deserializer);
    let mut tree = tree
        .and_then(|tree| deserializer.end().map(|()| tree))
        .map_err(|error| Error::of(ErrorKind::InvalidSyntax, format!("the body is not usable JSON: {error}")))?;
    // It can only come escaped, and hardly ever does.
    if text.contains("\\u0000") && holds_nul(&tree) {
        wipe(&mut tree);
        let detail = "a text of the body holds U+0000, which no directory can keep; send it without";
        return Err(Error::of(ErrorKind::InvalidValue, detail));
    }
    Ok(tree)
}

/// The member of an object by its name in any case.
pub(crate) fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let (_, value) = object.get_key_value(name).or_else(|| object.iter().find(|(key, _)| is(key, name)))?;
    Some(value)
}

/// The member of an object by its name in any case, taken out.
pub(crate) fn take(object: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let key = object.keys().find(|key| is(key, name))?.clone();
    object.remove(&key)
}

/// The member's own spelling, where the object has it in any case.
pub(crate) fn spelling<'a>(object: &'a Map<String, Value>, name: &'a str) -> &'a str {
    object.keys().find(|key| is(key, name)).map_or(name, String::as_str)
}

/// Whether two names are the same; they ignore case.
pub(crate) fn is(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right)
}

/// Whether the value is the same state as none at all (RFC 7643 §2.5).
pub(crate) fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Whether a text or a name in it holds U+0000.
fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(object) => object.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

/// Overwrites the texts of a value that may hold a password.
pub(crate) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(object) => object.values_mut().for_each(wipe),
        _ => {}
    }
}

/// Reads one value at its depth.
#[derive(Debug, Clone, Copy)]
struct Node {
    depth: usize,
}

impl Node {
    fn below<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH {
            return Err(E::custom(format!("it is nested deeper than {MAX_DEPTH}")));
        }
        Ok(Self { depth })
    }
}

impl<'de> DeserializeSeed<'de> for Node {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let node = self.below()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(node)? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let node = self.below()?;
        let mut object = Map::new();
        let mut many: Option<HashSet<String>> = None;
        while let Some(name) = members.next_key::<String>()? {
            if many.is_none() && object.len() >= FEW_NAMES {
                many = Some(object.keys().map(|key: &String| key.to_ascii_lowercase()).collect());
            }
            let is_new = match &mut many {
                Some(names) => names.insert(name.to_ascii_lowercase()),
                None => !object.keys().any(|key| is(key, &name)),
            };
            if !is_new {
                return Err(A::Error::custom("an object has one name twice (case does not tell names apart)"));
            }
            object.insert(name, members.next_value_seed(node)?);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmful_bodies_are_refused() {
        let cases: [(&[u8], &str); 8] = [
            (b"", "EOF"),
            (b"{\"a\":1", "EOF"),
            (b"{} {}", "trailing characters"),
            (b"{\"a\":\"\xff\"}", "not UTF-8 from byte 6 on"),
            (b"{\"userName\":1,\"USERNAME\":2}", "one name twice"),
            (b"{\"a\":{\"b\":1,\"b\":2}}", "one name twice"),
            (&[b'['; 60_000], "nested deeper than 64"),
            (&b"{\"a\":".repeat(60_000), "nested deeper than 64"),
        ];
        for (body, expected) in cases {
            let error = read(body).unwrap_err();
            assert_eq!(error.kind(), Some(ErrorKind::InvalidSyntax));
            assert!(error.detail().contains(expected), "{error}");
        }
    }

    #[test]
    fn nul_is_refused_wherever_it_lies() {
        for body in [r#""\u0000""#, r#"{"a":[{"b":"x\u0000y"}]}"#, r#"{"a\u0000":1}"#] {
            let error = read(body.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), Some(ErrorKind::InvalidValue));
            assert!(error.detail().contains("U+0000"), "{error}");
        }
        assert_eq!(read(br#""\\u0000""#).unwrap(), "\\u0000", "a backslash before it makes it another text");
    }

    #[test]
    fn a_name_is_found_twice_among_many() {
        let names: Vec<String> = (0..100).map(|n| format!("\"n{n}\":{n}")).collect();
        let body = |last: &str| format!("{{{},\"{last}\":0}}", names.join(","));
        assert_eq!(read(body("other").as_bytes()).unwrap().as_object().unwrap().len(), 101);
        assert!(read(body("N50").as_bytes()).unwrap_err().detail().contains("one name twice"));
    }

    #[test]
    fn values_stay_as_they_are() {
        let body = r#"{"a":[null,true,-1,18446744073709551615,1.5,"ü\n"],"b":{"C":{}}}"#;
        assert_eq!(read(body.as_bytes()).unwrap(), serde_json::from_str::<Value>(body).unwrap());
    }
}
