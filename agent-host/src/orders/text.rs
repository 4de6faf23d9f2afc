//! One order as the engine writes it: what names it in results, and the sections that say what is wanted.
//!
//! Names of members are the vendor's and are found whatever their case. Ids may be text or numbers. Passwords may be in
//! the text, so it is wiped when the order is let go of, and nothing here is ever shown.

use std::fmt;

use secrecy::zeroize::Zeroize;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Characters of an id that are kept for results.
const MAX_ID: usize = 256;

/// What names an order in results; empty where the order does not say it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// `AssignedResourceTypeId`.
    pub(crate) id: String,
    /// `ChangeType` as it is written.
    pub(crate) change: String,
    /// `Owner.Id`.
    pub(crate) owner_id: String,
    /// `ResourceType.SourceEntityType.Id`.
    pub(crate) owner_type: String,
}

/// One order as it is written.
pub(crate) struct OrderText(Map<String, Value>);

impl OrderText {
    /// Reads the text of one order, which is JSON, but perhaps no object.
    ///
    /// # Errors
    /// Where it is no JSON: then neither is the file.
    pub(crate) fn parse(text: &[u8]) -> Result<Option<Self>, serde_json::Error> {
        Ok(match serde_json::from_slice(text)? {
            Value::Object(members) => Some(Self(members)),
            _ => None,
        })
    }

    /// What names the order.
    pub(crate) fn head(&self) -> Head {
        let source = self.section("ResourceType").and_then(|it| member(it, "SourceEntityType"));
        Head {
            id: id_in(member(&self.0, "AssignedResourceTypeId")),
            change: id_in(member(&self.0, "ChangeType")),
            owner_id: id_in(self.section("Owner").and_then(|owner| member(owner, "Id"))),
            owner_type: id_in(source.and_then(Value::as_object).and_then(|source| member(source, "Id"))),
        }
    }

    /// A member that is an object.
    pub(crate) fn section(&self, name: &str) -> Option<&Map<String, Value>> {
        member(&self.0, name).and_then(Value::as_object)
    }

    /// Whether a member is there and is neither null nor an object.
    pub(crate) fn is_malformed(&self, name: &str) -> bool {
        member(&self.0, name).is_some_and(|value| !value.is_null() && !value.is_object())
    }

    /// Takes the wanted values out.
    pub(crate) fn take_changes(&mut self) -> Map<String, Value> {
        let changes = self.0.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("Changes"));
        changes.and_then(|(_, value)| value.as_object_mut()).map(std::mem::take).unwrap_or_default()
    }
}

impl Drop for OrderText {
    fn drop(&mut self) {
        self.0.values_mut().for_each(wipe);
    }
}

/// The member of this name, as it is spelled or else whatever the case.
pub(crate) fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let found = members.get(name);
    found.or_else(|| members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// The text of a value that names something; none where it is empty or no text.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What can be told of an order from its beginning alone, because all of it is too much.
pub(crate) fn head_of_beginning(text: &[u8]) -> Head {
    let mut head = Head::default();
    let mut reader = serde_json::Deserializer::from_slice(text);
    // It ends in an error: the text is cut.
    let _ = reader.deserialize_map(HeadVisitor(&mut head));
    head
}

struct HeadVisitor<'a>(&'a mut Head);

impl<'de> Visitor<'de> for HeadVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an order")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut read = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if ["AssignedResourceTypeId", "ChangeType", "Owner", "ResourceType"].contains(&name.as_str()) {
                read.insert(name, members.next_value()?);
                *self.0 = OrderText(std::mem::take(&mut read)).head_over(self.0);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

impl OrderText {
    /// What names the order, by what is here and else by what was known before.
    fn head_over(&self, known: &Head) -> Head {
        let head = self.head();
        let either = |new: String, old: &String| if new.is_empty() { old.clone() } else { new };
        Head {
            id: either(head.id, &known.id),
            change: either(head.change, &known.change),
            owner_id: either(head.owner_id, &known.owner_id),
            owner_type: either(head.owner_type, &known.owner_type),
        }
    }
}

fn id_in(value: Option<&Value>) -> String {
    let text = value.and_then(plain).unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).take(MAX_ID).collect()
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(elements) => elements.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_named_by_texts_and_by_numbers() {
        let text = r#"{"assignedResourceTypeId":-41,"ChangeType":"Added","Owner":{"Id":"7"},
            "ResourceType":{"SourceEntityType":{"Id":51}},"Changes":{"a":null}}"#;
        let mut order = OrderText::parse(text.as_bytes()).unwrap().unwrap();
        let head = order.head();
        assert_eq!([&head.id, &head.change, &head.owner_id, &head.owner_type], ["-41", "Added", "7", "51"]);
        assert_eq!(order.take_changes().len(), 1);
        assert!(OrderText::parse(b"5").unwrap().is_none());
        assert!(OrderText::parse(b"{\"a\":tru}").is_err());
    }

    #[test]
    fn the_beginning_of_an_order_names_it_as_far_as_it_goes() {
        let text = r#"{"AssignedResourceTypeId":"8","Owner":{"Id":9},"Changes":{"x":"yyyyy"#;
        let head = head_of_beginning(text.as_bytes());
        assert_eq!([&head.id, &head.change, &head.owner_id, &head.owner_type], ["8", "", "9", ""]);
    }
}
