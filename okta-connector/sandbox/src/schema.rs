//! User types, user and group schemas, linked-object definitions.
//! Okta: 31 base attributes of a user; custom ones are added and removed through `definitions.custom.properties`
//! (null removes); a type's schema has the type's id behind `osc`.

use serde_json::{Map, Value, json};

use crate::clock::seconds;

#[derive(Debug)]
pub(crate) struct Schemas {
    pub types: Vec<UserType>,
    pub group_custom: Map<String, Value>,
    pub group_updated: i64,
    pub linked: Vec<Value>,
    base: String,
    created: i64,
}

#[derive(Debug)]
pub(crate) struct UserType {
    pub id: String,
    pub name: String,
    pub display_name: Value,
    pub description: Value,
    pub default: bool,
    pub by: String,
    pub created: i64,
    pub last_updated: i64,
    pub custom: Map<String, Value>,
    pub schema_updated: i64,
}

/// Name, title, who sees it, format, lengths.
type Attribute = (&'static str, &'static str, &'static str, Option<&'static str>, Option<(u32, u32)>);

const BASE: [Attribute; 31] = [
    ("login", "Username", "READ_ONLY", None, Some((5, 100))),
    ("firstName", "First name", "READ_WRITE", None, Some((1, 50))),
    ("lastName", "Last name", "READ_WRITE", None, Some((1, 50))),
    ("middleName", "Middle name", "READ_ONLY", None, None),
    ("honorificPrefix", "Honorific prefix", "READ_ONLY", None, None),
    ("honorificSuffix", "Honorific suffix", "READ_ONLY", None, None),
    ("email", "Primary email", "READ_WRITE", Some("email"), Some((5, 100))),
    ("title", "Title", "READ_ONLY", None, None),
    ("displayName", "Display name", "READ_ONLY", None, None),
    ("nickName", "Nickname", "READ_ONLY", None, None),
    ("profileUrl", "Profile Url", "READ_ONLY", Some("uri"), None),
    ("secondEmail", "Secondary email", "READ_WRITE", Some("email"), None),
    ("mobilePhone", "Mobile phone", "READ_WRITE", None, Some((0, 100))),
    ("primaryPhone", "Primary phone", "HIDE", None, Some((0, 100))),
    ("streetAddress", "Street address", "HIDE", None, None),
    ("city", "City", "HIDE", None, None),
    ("state", "State", "HIDE", None, None),
    ("zipCode", "Zip code", "HIDE", None, None),
    ("countryCode", "Country code", "HIDE", Some("country-code"), None),
    ("postalAddress", "Postal Address", "HIDE", None, None),
    ("preferredLanguage", "Preferred language", "READ_ONLY", Some("language-code"), None),
    ("locale", "Locale", "READ_ONLY", Some("locale"), None),
    ("timezone", "Time zone", "READ_ONLY", Some("timezone"), None),
    ("userType", "User type", "READ_ONLY", None, None),
    ("employeeNumber", "Employee number", "READ_ONLY", None, None),
    ("costCenter", "Cost center", "READ_ONLY", None, None),
    ("organization", "Organization", "READ_ONLY", None, None),
    ("division", "Division", "READ_ONLY", None, None),
    ("department", "Department", "READ_ONLY", None, None),
    ("managerId", "ManagerId", "READ_ONLY", None, None),
    ("manager", "Manager", "READ_ONLY", None, None),
];

pub(crate) const REQUIRED: [&str; 4] = ["login", "firstName", "lastName", "email"];

impl Schemas {
    pub(crate) fn new(base: &str, user_type: &str, now: i64) -> Self {
        let default = UserType {
            id: user_type.to_owned(),
            name: "user".to_owned(),
            display_name: "User".into(),
            description: "Okta user profile template with default permission settings".into(),
            default: true,
            by: user_type.replace("oty", "spr"),
            created: now,
            last_updated: now,
            custom: Map::new(),
            schema_updated: now,
        };
        Self {
            types: vec![default],
            group_custom: Map::new(),
            group_updated: now,
            linked: Vec::new(),
            base: base.to_owned(),
            created: now,
        }
    }

    /// The type of an `oty…` id.
    pub(crate) fn of_type(&self, type_id: &str) -> Option<&UserType> {
        self.types.iter().find(|known| known.id == type_id)
    }

    /// The type behind a schema address: `default` or an `osc…` id.
    pub(crate) fn of_schema(&mut self, schema: &str) -> Option<&mut UserType> {
        self.types.iter_mut().find(|known| (known.default && schema == "default") || known.schema_id() == schema)
    }

    pub(crate) fn user_schema(&self, user_type: &UserType) -> Value {
        let base: Map<String, Value> =
            BASE.iter().map(|attribute| (attribute.0.to_owned(), base_attribute(*attribute))).collect();
        let meta = format!("{}/api/v1/meta", self.base);
        json!({
            "id": format!("{}/meta/schemas/user/{}", self.base, if user_type.default { "default" } else { &user_type.id }),
            "$schema": "http://json-schema.org/draft-04/schema#",
            "name": user_type.name,
            "title": user_type.display_name,
            "description": user_type.description,
            "lastUpdated": seconds(user_type.schema_updated),
            "created": seconds(user_type.created),
            "definitions": {
                "custom": {"id": "#custom", "type": "object", "properties": user_type.custom, "required": []},
                "base": {"id": "#base", "type": "object", "properties": base, "required": REQUIRED},
            },
            "type": "object",
            "properties": {"profile": {"allOf": [{"$ref": "#/definitions/custom"}, {"$ref": "#/definitions/base"}]}},
            "_links": {
                "self": {"rel": "self", "href": format!("{meta}/schemas/user/{}", user_type.schema_id()), "method": "GET"},
                "type": {"rel": "type", "href": format!("{meta}/types/user/{}", user_type.id), "method": "GET"},
            },
        })
    }

    pub(crate) fn group_schema(&self) -> Value {
        let attribute = |title: &str, required: bool, max: u32| {
            let mut value = json!({"title": title, "description": title, "type": "string"});
            if required {
                value["required"] = true.into();
            }
            lay(
                &mut value,
                &json!({"mutability": "READ_WRITE", "scope": "NONE", "maxLength": max,
                "permissions": [{"principal": "SELF", "action": "READ_WRITE"}], "master": {"type": "PROFILE_MASTER"}}),
            );
            value
        };
        json!({
            "id": format!("{}/meta/schemas/group/default", self.base),
            "$schema": "http://json-schema.org/draft-04/schema#",
            "name": "group",
            "title": "Okta group",
            "description": "Okta group profile template",
            "lastUpdated": seconds(self.group_updated),
            "created": seconds(self.created),
            "definitions": {
                "custom": {"id": "#custom", "type": "object", "properties": self.group_custom, "required": []},
                "base": {"id": "#base", "type": "object", "required": ["name"], "properties": {
                    "name": attribute("Name", true, 255), "description": attribute("Description", false, 1024)}},
            },
            "type": "object",
            "properties": {"profile": {"allOf": [{"$ref": "#/definitions/custom"}, {"$ref": "#/definitions/base"}]}},
            "_links": {"self": {"rel": "self", "href": format!("{}/api/v1/meta/schemas/group/default", self.base), "method": "GET"}},
        })
    }
}

impl UserType {
    pub(crate) fn schema_id(&self) -> String {
        self.id.replacen("oty", "osc", 1)
    }

    pub(crate) fn value(&self, base: &str) -> Value {
        let meta = format!("{base}/api/v1/meta");
        json!({
            "id": self.id,
            "displayName": self.display_name,
            "name": self.name,
            "description": self.description,
            "createdBy": self.by,
            "lastUpdatedBy": self.by,
            "created": seconds(self.created),
            "lastUpdated": seconds(self.last_updated),
            "default": self.default,
            "_links": {
                "schema": {"rel": "schema", "href": format!("{meta}/schemas/user/{}", self.schema_id()), "method": "GET"},
                "self": {"rel": "self", "href": format!("{meta}/types/user/{}", self.id), "method": "GET"},
            },
        })
    }

    /// The definition of an attribute, base or custom.
    pub(crate) fn attribute(&self, name: &str) -> Option<Value> {
        let base = BASE.iter().find(|attribute| attribute.0 == name).map(|attribute| base_attribute(*attribute));
        base.or_else(|| self.custom.get(name).cloned())
    }
}

/// Takes `definitions.custom.properties` of a request into the known ones.
pub(crate) fn take_custom(known: &mut Map<String, Value>, request: &Map<String, Value>, master: bool) {
    let asked = request.get("definitions").and_then(|definitions| definitions["custom"]["properties"].as_object());
    for (name, given) in asked.into_iter().flatten() {
        if given.is_null() {
            known.remove(name);
            continue;
        }
        let mut value = json!({});
        for key in ["title", "description", "type"] {
            if let Some(text) = given.get(key) {
                value[key] = text.clone();
            }
        }
        lay(&mut value, &json!({"mutability": "READ_WRITE", "scope": "NONE"}));
        let rest = given.as_object().into_iter().flatten();
        for (key, setting) in rest.filter(|(key, setting)| *key != "required" || **setting == Value::Bool(true)) {
            value[key] = setting.clone();
        }
        if value.get("permissions").is_none() {
            value["permissions"] = json!([{"principal": "SELF", "action": "READ_ONLY"}]);
        }
        if master && value.get("master").is_none() {
            value["master"] = json!({"type": "PROFILE_MASTER"});
        }
        known.insert(name.clone(), value);
    }
}

fn base_attribute((name, title, seen, format, lengths): Attribute) -> Value {
    let mut value = json!({"title": title, "type": "string"});
    if REQUIRED.contains(&name) {
        value["required"] = true.into();
    }
    if let Some(format) = format {
        value["format"] = format.into();
    }
    lay(&mut value, &json!({"mutability": "READ_WRITE", "scope": "NONE"}));
    if let Some((min, max)) = lengths.filter(|_| name != "email") {
        if min > 0 {
            value["minLength"] = min.into();
        }
        value["maxLength"] = max.into();
    }
    value["permissions"] = json!([{"principal": "SELF", "action": seen}]);
    value
}

fn lay(under: &mut Value, over: &Value) {
    for (key, value) in over.as_object().into_iter().flatten() {
        under[key] = value.clone();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn custom_attributes_come_and_go() {
        let mut known = Map::new();
        let add = json!({"definitions": {"custom": {"properties": {"x": {"title": "X", "type": "string", "required": false}}}}});
        take_custom(&mut known, add.as_object().unwrap(), true);
        assert_eq!(known["x"]["mutability"], "READ_WRITE");
        assert!(known["x"].get("required").is_none() && known["x"].get("master").is_some());
        let gone = json!({"definitions": {"custom": {"properties": {"x": null}}}});
        take_custom(&mut known, gone.as_object().unwrap(), true);
        assert!(known.is_empty());
    }

    #[test]
    fn the_default_schema_has_all_base_attributes() {
        let schemas = Schemas::new("http://o", "oty1", 0);
        let schema = schemas.user_schema(&schemas.types[0]);
        assert_eq!(schema["definitions"]["base"]["properties"].as_object().map(Map::len), Some(31));
        assert_eq!(schema["_links"]["self"]["href"], "http://o/api/v1/meta/schemas/user/osc1");
    }
}
