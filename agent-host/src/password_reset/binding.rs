//! The paths of `NotifiedEmailBinding` and its like, followed in the owner that an order names.
//!
//! `AssignedResourceType:Owner.Directory_User:MainRecord.Organization.Manager.MainRecord.Mail` begins at the order; each
//! part is a property, with the entity type before a colon where the path changes it. An order carries its owner as a
//! JSON object; what is not in there cannot be found. Source: the vendor's page on bindings.

use serde_json::Value;

/// The longest path that is followed.
const MAX_PARTS: usize = 32;

/// The text at the end of the path; none where the order does not carry it.
pub(crate) fn follow(binding: &str, owner: &Value) -> Option<String> {
    let mut parts = binding.split('.').map(|part| part.rsplit(':').next().unwrap_or(part).trim()).take(MAX_PARTS);
    let first = parts.next()?;
    let mut value = if first.eq_ignore_ascii_case("Owner") { owner } else { property(owner, first)? };
    for part in parts {
        value = property(value, part)?;
    }
    let text = value.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A property of an object, whatever its case; of a list with one element, that element's.
fn property<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Array(elements) if elements.len() == 1 => property(&elements[0], name),
        Value::Object(properties) => {
            properties.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_through_the_owner() {
        let owner = json!({
            "Mail": " ada@example.com ",
            "MainRecord": { "Organization": { "Manager": [{ "MainRecord": { "mail": "boss@example.com" } }] } },
            "Empty": "", "Count": 3,
        });
        for (binding, found) in [
            (
                "AssignedResourceType:Owner.Directory_User:MainRecord.Organization.Manager.MainRecord.Mail",
                Some("boss@example.com"),
            ),
            ("AssignedResourceType:Owner.Mail", Some("ada@example.com")),
            ("Directory_User:Mail", Some("ada@example.com")),
            ("AssignedResourceType:Owner", None),
            ("AssignedResourceType:Owner.Nobody.Mail", None),
            ("AssignedResourceType:Owner.Empty", None),
            ("AssignedResourceType:Owner.Count", None),
            ("", None),
        ] {
            assert_eq!(follow(binding, &owner).as_deref(), found, "{binding}");
        }
    }
}
