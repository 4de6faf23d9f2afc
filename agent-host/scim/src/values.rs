//! What a client sent, checked against the schemas and written their way.
//!
//! Names get the spelling of the table, unset values go, unknown attributes of declared schemas go too; undeclared
//! extensions stay as they are. Booleans may be texts and single values may stand for lists, as Entra sends them.
//! Canonical values, languages and time zones are not enforced. Source: RFC 7643 §§2, 3; RFC 7644 §§3.3, 3.5.1.

use std::collections::HashSet;

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::{
    error::{Error, ErrorKind, Result},
    filter::email_keys,
    json::{field, is, is_unset},
    letters::fold,
    resource::{Kind, Link},
    schema::{Attribute, Mutability, Schema, Type},
    store::{Field, Keys},
};

/// The most values of a multi-valued attribute other than `members`, and the most names of an extension.
pub const MAX_VALUES: usize = 1_000;

/// The longest key, in bytes of its folded form, and the longest id of a member: what an index of PostgreSQL has room for.
pub const MAX_KEY_BYTES: usize = 2_000;

/// A resource as a client wants it.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) attributes: Map<String, Value>,
    /// None where the client does not mention them.
    pub(crate) members: Option<Vec<Link>>,
    pub(crate) password: Option<SecretString>,
}

/// Reads the body of a POST or PUT. Errors: `invalidSyntax` where it is no resource of this kind, `invalidValue`.
pub(crate) fn resource(kind: Kind, body: Value) -> Result<Written> {
    let Value::Object(body) = body else {
        return Err(Error::of(ErrorKind::InvalidSyntax, format!("the body of a {kind} is an object")));
    };
    check_schemas(kind, &body)?;
    let mut written = Written::default();
    for (name, value) in without_core_urn(kind, body)? {
        if name.contains(':') {
            let known = kind.extensions().into_iter().find(|extension| is(extension.id, &name));
            if let Some(value) = extension(known, &name, value)? {
                written.attributes.insert(known.map_or(name, |known| known.id.to_owned()), value);
            }
            continue;
        }
        let Some(attribute) = kind.schema().attribute(&name) else { continue };
        if attribute.mutability == Mutability::ReadOnly || attribute.name == "schemas" {
            continue;
        }
        match (kind, attribute.name) {
            (Kind::Group, "members") => written.members = Some(members(value)?),
            (Kind::User, "password") => written.password = password(value)?,
            _ => {
                if let Some(value) = checked(attribute, value, attribute.name)? {
                    written.attributes.insert(attribute.name.to_owned(), value);
                }
            }
        }
    }
    check_count(written.attributes.len(), "the extensions")?;
    require(kind, &written.attributes)?;
    Ok(written)
}

/// The same without the core's own URN, which may stand around attributes and in front of each (RFC 7644 §3.10). Errors:
/// `invalidSyntax` where an attribute is there in two spellings.
pub(crate) fn without_core_urn(kind: Kind, object: Map<String, Value>) -> Result<Map<String, Value>> {
    let urn = kind.schema().id;
    let behind_urn = |name: &str| {
        let (start, rest) = name.split_at_checked(urn.len())?;
        (is(start, urn) && (rest.is_empty() || rest.starts_with(':'))).then(|| rest.to_owned())
    };
    if !object.keys().any(|name| behind_urn(name).is_some()) {
        return Ok(object);
    }
    let mut plain = Map::with_capacity(object.len());
    let mut names = HashSet::new();
    let mut put = |name: String, value: Value| {
        if !names.insert(name.to_ascii_lowercase()) {
            let detail = format!("`{name}` is there twice, with `{urn}` and without; send it once");
            return Err(Error::of(ErrorKind::InvalidSyntax, detail));
        }
        plain.insert(name, value);
        Ok(())
    };
    for (name, value) in object {
        match (behind_urn(&name).as_deref(), value) {
            (Some(""), Value::Object(inner)) => {
                without_core_urn(kind, inner)?.into_iter().try_for_each(|(name, value)| put(name, value))?;
            }
            (Some(""), value) if is_unset(&value) => {}
            (Some(""), _) => return Err(Error::of(ErrorKind::InvalidValue, format!("`{urn}` is an object"))),
            (Some(rest), value) => put(rest.trim_start_matches(':').to_owned(), value)?,
            (None, value) => put(name, value)?,
        }
    }
    Ok(plain)
}

/// A whole extension; None where nothing of it is set.
pub(crate) fn extension(known: Option<&Schema>, urn: &str, value: Value) -> Result<Option<Value>> {
    if is_unset(&value) {
        return Ok(None);
    }
    let Value::Object(object) = value else {
        return Err(Error::of(ErrorKind::InvalidValue, format!("`{urn}` is an object")));
    };
    check_count(object.len(), urn)?;
    let mut kept = Map::new();
    for (name, value) in object {
        match known {
            Some(schema) => {
                let Some(attribute) = schema.attribute(&name) else { continue };
                if let Some(value) = checked(attribute, value, attribute.name)? {
                    kept.insert(attribute.name.to_owned(), value);
                }
            }
            // Some clients repeat the schemas in here.
            None if is_unset(&value) || is(&name, "schemas") => {}
            None => {
                check_undeclared(&value, &name)?;
                kept.insert(name, value);
            }
        }
    }
    Ok((!kept.is_empty()).then(|| kept.into()))
}

/// The attribute's whole value; None where it is unset. `path` is how the client named it.
pub(crate) fn checked(attribute: &Attribute, value: Value, path: &str) -> Result<Option<Value>> {
    if !attribute.multi_valued {
        return element(attribute, value, path);
    }
    let values = match value {
        Value::Array(values) => values,
        single => vec![single],
    };
    check_count(values.len(), path)?;
    let mut elements = Vec::with_capacity(values.len());
    for value in values {
        elements.extend(element(attribute, value, path)?);
    }
    if elements.iter().filter(|element| is_primary(element)).count() > 1 {
        let detail = format!("only one value of `{path}` can be primary");
        return Err(Error::of(ErrorKind::InvalidValue, detail));
    }
    Ok((!elements.is_empty()).then(|| elements.into()))
}

/// One value of the attribute; None where it is unset.
pub(crate) fn element(attribute: &Attribute, value: Value, path: &str) -> Result<Option<Value>> {
    let wanted = match (attribute.kind, value) {
        (_, Value::Null) => return Ok(None),
        (Type::Complex, Value::Object(object)) => return parts(attribute, object, path),
        (Type::Complex, value @ Value::String(_)) if attribute.sub("value").is_some() => {
            return Ok(Some(json!({ "value": value })));
        }
        (Type::Complex, _) => "an object",
        (Type::Boolean, Value::Bool(value)) => return Ok(Some(value.into())),
        (Type::Boolean, Value::String(text)) if is(&text, "true") => return Ok(Some(true.into())),
        (Type::Boolean, Value::String(text)) if is(&text, "false") => return Ok(Some(false.into())),
        (Type::Boolean, _) => "true or false",
        (_, value @ Value::String(_)) => return Ok(Some(value)),
        _ => "a text",
    };
    Err(Error::of(ErrorKind::InvalidValue, format!("`{path}` is {wanted}")))
}

/// Refuses more values than an attribute may have.
pub(crate) fn check_count(count: usize, path: &str) -> Result<()> {
    if count > MAX_VALUES {
        let detail = format!("`{path}` has more than {MAX_VALUES} values; leave some out");
        return Err(Error::of(ErrorKind::InvalidValue, detail));
    }
    Ok(())
}

/// The same for a value of which no schema knows anything.
pub(crate) fn check_undeclared(value: &Value, path: &str) -> Result<()> {
    match value {
        Value::Array(values) => {
            check_count(values.len(), path)?;
            values.iter().try_for_each(|value| check_undeclared(value, path))
        }
        Value::Object(object) => {
            check_count(object.len(), path)?;
            object.values().try_for_each(|value| check_undeclared(value, path))
        }
        _ => Ok(()),
    }
}

/// The members named by a list, or by one of them alone, each once.
pub(crate) fn members(value: Value) -> Result<Vec<Link>> {
    let values = match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values,
        single => vec![single],
    };
    let mut seen = HashSet::new();
    let mut members = Vec::with_capacity(values.len());
    for value in values {
        let member = member(&value).ok_or_else(|| {
            let detail = "each of `members` is an object with the member's id as `value`";
            Error::of(ErrorKind::InvalidValue, detail)
        })?;
        check_length(&member.id, "value` of one of `members")?;
        if seen.insert(member.id.clone()) {
            members.push(member);
        }
    }
    Ok(members)
}

/// The password; an unset one changes nothing.
pub(crate) fn password(value: Value) -> Result<Option<SecretString>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.into())),
        _ => Err(Error::of(ErrorKind::InvalidValue, "`password` is a text")),
    }
}

/// Refuses a resource without what its schema requires.
pub(crate) fn require(kind: Kind, attributes: &Map<String, Value>) -> Result<()> {
    let is_missing = |attribute: &&Attribute| {
        let value = attributes.get(attribute.name).and_then(Value::as_str).unwrap_or_default();
        attribute.required && value.trim().is_empty()
    };
    match kind.schema().attributes.iter().find(is_missing) {
        Some(attribute) => {
            let detail = format!("a {kind} needs `{}`: give it a text that is not empty", attribute.name);
            Err(Error::of(ErrorKind::InvalidValue, detail))
        }
        None => Ok(()),
    }
}

/// What a store indexes. Errors: `invalidValue` for one that is too long for that.
pub(crate) fn keys(kind: Kind, attributes: &Map<String, Value>) -> Result<Keys> {
    let text = |field: Field| attributes.get(field.name()).and_then(Value::as_str);
    let folded = |field| text(field).map(|text| fold(text).into_owned());
    let keys = Keys {
        user_name: if kind == Kind::User { folded(Field::UserName) } else { None },
        external_id: text(Field::ExternalId).map(str::to_owned),
        display_name: folded(Field::DisplayName),
        emails: match (kind, attributes.get("emails")) {
            (Kind::User, Some(emails)) => email_keys(emails),
            _ => Vec::new(),
        },
    };
    for field in [Field::UserName, Field::ExternalId, Field::DisplayName] {
        keys.get(field).map_or(Ok(()), |key| check_length(key, field.name()))?;
    }
    Ok(keys)
}

fn check_length(key: &str, path: &str) -> Result<()> {
    if key.len() > MAX_KEY_BYTES {
        let detail = format!("`{path}` is longer than {MAX_KEY_BYTES} bytes; send a shorter one");
        return Err(Error::of(ErrorKind::InvalidValue, detail));
    }
    Ok(())
}

pub(crate) fn is_primary(element: &Value) -> bool {
    element.get("primary") == Some(&Value::Bool(true))
}

/// The parts of a complex value.
fn parts(attribute: &Attribute, object: Map<String, Value>, path: &str) -> Result<Option<Value>> {
    let mut kept = Map::with_capacity(object.len());
    for (name, value) in object {
        let Some(sub) = attribute.sub(&name) else { continue };
        if sub.mutability == Mutability::ReadOnly {
            continue;
        }
        if let Some(value) = checked(sub, value, &format!("{path}.{}", sub.name))? {
            kept.insert(sub.name.to_owned(), value);
        }
    }
    Ok((!kept.is_empty()).then(|| kept.into()))
}

fn member(value: &Value) -> Option<Link> {
    let (id, object) = match value {
        Value::String(id) => (id.as_str(), None),
        Value::Object(object) => (field(object, "value")?.as_str()?, Some(object)),
        _ => return None,
    };
    let text = |name| object.and_then(|object| field(object, name)?.as_str());
    let kind = text("type").and_then(|name| Kind::ALL.into_iter().find(|kind| is(kind.name(), name)));
    (!id.is_empty()).then(|| Link { id: id.to_owned(), display: text("display").map(str::to_owned), kind })
}

/// A body that names schemas names its own.
fn check_schemas(kind: Kind, body: &Map<String, Value>) -> Result<()> {
    let urns = match field(body, "schemas") {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::Array(urns)) => urns.as_slice(),
        Some(_) => return Err(Error::of(ErrorKind::InvalidSyntax, "`schemas` is a list of URNs")),
    };
    let own = kind.schema().id;
    if urns.is_empty() || urns.iter().filter_map(Value::as_str).any(|urn| is(urn, own)) {
        return Ok(());
    }
    Err(Error::of(ErrorKind::InvalidSyntax, format!("`schemas` of a {kind} holds `{own}`")))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_user_gets_the_schemas_spelling() {
        let written = resource(
            Kind::User,
            json!({
                "Schemas": ["urn:ietf:params:scim:schemas:core:2.0:USER", "http://example.com/unknown"],
                "USERNAME": "ann", "Active": "False", "nickname": null, "emails": { "Value": "a@x", "PRIMARY": "True" },
                "roles": [], "id": "mine", "meta": { "version": "1" }, "groups": [{ "value": "g" }], "unknown": 1,
                "phoneNumbers": ["+1"], "password": "s3cret", "name": { "givenname": "Ann", "other": 1, "familyName": null },
                "URN:ietf:params:scim:schemas:extension:enterprise:2.0:user": { "MANAGER": "m1", "department": "" },
                "urn:acme:1.0:Badge": { "Level": 3, "none": null }
            }),
        )
        .unwrap();
        assert_eq!(
            Value::from(written.attributes),
            json!({
                "userName": "ann", "active": false, "emails": [{ "value": "a@x", "primary": true }],
                "phoneNumbers": [{ "value": "+1" }], "name": { "givenName": "Ann" },
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "manager": { "value": "m1" }, "department": "" },
                "urn:acme:1.0:Badge": { "Level": 3 }
            })
        );
        assert_eq!(written.password.unwrap().expose_secret(), "s3cret");
    }

    #[test]
    fn the_core_may_stand_under_its_urn() {
        let body = json!({
            "URN:ietf:params:scim:schemas:core:2.0:User": { "userName": "ann", "active": false, "password": "s3cret" },
            "urn:ietf:params:scim:schemas:core:2.0:User:title": "Boss", "displayName": "Ann"
        });
        let written = resource(Kind::User, body).unwrap();
        let expected = json!({ "userName": "ann", "active": false, "title": "Boss", "displayName": "Ann" });
        assert_eq!(Value::from(written.attributes), expected);
        assert!(written.password.is_some());
    }

    #[test]
    fn members_are_counted_once() {
        let body =
            json!({ "displayName": "Staff", "members": [{ "value": "a" }, { "VALUE": "b", "type": "group" }, "a"] });
        let members = resource(Kind::Group, body).unwrap().members.unwrap();
        let kinds: Vec<_> = members.iter().map(|member| (member.id.as_str(), member.kind)).collect();
        assert_eq!(kinds, [("a", None), ("b", Some(Kind::Group))]);
    }

    #[test]
    fn wrong_values_are_named() {
        let long: Vec<String> = (0..=MAX_VALUES).map(|n| n.to_string()).collect();
        let cases = [
            (Kind::User, json!([]), "the body of a User is an object"),
            (Kind::User, json!({}), "a User needs `userName`"),
            (Kind::User, json!({ "userName": " " }), "a User needs `userName`"),
            (Kind::Group, json!({ "displayName": "" }), "a Group needs `displayName`"),
            (Kind::User, json!({ "userName": 1 }), "`userName` is a text"),
            (Kind::User, json!({ "userName": "a", "active": "yes" }), "`active` is true or false"),
            (Kind::User, json!({ "userName": "a", "name": "b" }), "`name` is an object"),
            (Kind::User, json!({ "userName": "a", "name": { "givenName": 1 } }), "`name.givenName` is a text"),
            (Kind::User, json!({ "userName": "a", "password": 1 }), "`password` is a text"),
            (Kind::User, json!({ "userName": "a", "urn:x:1.0:Y": 1 }), "`urn:x:1.0:Y` is an object"),
            (Kind::User, json!({ "userName": "a", "roles": long }), "`roles` has more than 1000 values"),
            (
                Kind::User,
                json!({ "userName": "a", "urn:x:1.0:Y": { "z": { "deep": long } } }),
                "`z` has more than 1000 values",
            ),
            (
                Kind::User,
                json!({ "userName": "a", "emails": [{ "value": "b", "primary": true }, { "value": "c", "primary": true }] }),
                "only one value of `emails` can be primary",
            ),
            (Kind::Group, json!({ "displayName": "a", "members": [{ "id": "b" }] }), "each of `members` is an object"),
            (
                Kind::User,
                json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"] }),
                "`schemas` of a User holds",
            ),
            (Kind::User, json!({ "schemas": "x" }), "`schemas` is a list"),
            (
                Kind::User,
                json!({ "userName": "a", crate::USER_SCHEMA: 1 }),
                "`urn:ietf:params:scim:schemas:core:2.0:User` is",
            ),
            (
                Kind::User,
                json!({ "userName": "a", crate::USER_SCHEMA: { "USERNAME": "b" } }),
                "`USERNAME` is there twice",
            ),
            (
                Kind::User,
                json!({ "userName": "a", format!("{}:userName", crate::USER_SCHEMA): "b" }),
                "`userName` is there twice",
            ),
        ];
        for (kind, body, expected) in cases {
            let error = resource(kind, body).unwrap_err();
            assert!(error.detail().starts_with(expected), "{error}");
        }
    }
}
