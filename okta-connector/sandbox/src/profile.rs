//! What may stand in a user's profile and what a password must be.
//! Okta: one unknown attribute refuses the whole call (400 `E0000001`); null removes, an empty string stays;
//! only characters of up to three UTF-8 bytes are stored; a password holds no part of the login.

use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::schema::{REQUIRED, UserType};

/// Checks the attributes of a request against the schema of the user's type.
pub(crate) fn check(profile: &Map<String, Value>, user_type: &UserType) -> Result<(), ApiError> {
    for (name, value) in profile {
        let Some(attribute) = user_type.attribute(name) else { return Err(undefined(name)) };
        check_value(name, value, &attribute)?;
    }
    Ok(())
}

/// Checks one value against its schema property; null passes.
pub(crate) fn check_value(name: &str, value: &Value, attribute: &Value) -> Result<(), ApiError> {
    if value.is_null() {
        return Ok(());
    }
    let kind = attribute["type"].as_str().unwrap_or("string");
    let fits = match kind {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        _ => true,
    };
    if !fits {
        return Err(ApiError::validation(name, format!("{name}: The value does not match the type '{kind}'")));
    }
    if let Some(items) = attribute.get("items") {
        value.as_array().into_iter().flatten().try_for_each(|element| check_value(name, element, items))?;
    }
    let listed = attribute.get("enum").and_then(Value::as_array).map(|listed| listed.contains(value));
    let titled = attribute.get("oneOf").and_then(Value::as_array);
    let titled = titled.map(|titled| titled.iter().any(|one| one["const"] == *value));
    if listed == Some(false) || titled == Some(false) {
        return Err(ApiError::validation(name, format!("{name}: The value is not one of the allowed ones")));
    }
    check_text(name, value, attribute)
}

/// Checks that what changes may change: attributes that are read-only, immutable, or another system's.
pub(crate) fn check_change(
    old: &Map<String, Value>,
    new: &Map<String, Value>,
    user_type: &UserType,
    provider: &str,
) -> Result<(), ApiError> {
    let null = Value::Null;
    for name in old.keys().chain(new.keys().filter(|name| !old.contains_key(*name))) {
        let (before, after) = (old.get(name).unwrap_or(&null), new.get(name).unwrap_or(&null));
        if before == after {
            continue;
        }
        let attribute = user_type.attribute(name).unwrap_or_default();
        match attribute["mutability"].as_str() {
            Some("READ_ONLY") => return Err(ApiError::about("E0000077", name)),
            Some("IMMUTABLE") if !before.is_null() => return Err(ApiError::about("E0000078", name)),
            _ => {}
        }
        let is_ours = attribute["master"]["type"] == "OKTA";
        if matches!(provider, "ACTIVE_DIRECTORY" | "LDAP") && !is_ours {
            return Err(ApiError::coded("E0000023").cause(format!("{name}: The attribute is mastered by {provider}")));
        }
    }
    Ok(())
}

/// Checks that a whole profile has what every user of this type needs.
pub(crate) fn check_required(profile: &Map<String, Value>, user_type: &UserType) -> Result<(), ApiError> {
    let custom = user_type.custom.iter().filter(|(_, attribute)| attribute["required"] == true);
    for name in REQUIRED.into_iter().chain(custom.map(|(name, _)| name.as_str())) {
        let value = profile.get(name).unwrap_or(&Value::Null);
        if value.is_null() || value == "" {
            return Err(ApiError::validation(name, format!("{name}: The field cannot be left blank")));
        }
    }
    Ok(())
}

pub(crate) fn undefined(name: &str) -> ApiError {
    ApiError::validation(name, format!("Property name '{name}' is not defined in profile"))
}

/// Why a password does not do, in Okta's words.
pub(crate) fn password_fault(password: &str, login: &str) -> Option<String> {
    let lower = password.to_lowercase();
    let mut parts = login.split(['.', ',', '-', '_', '#', '@']).filter(|part| part.len() > 3);
    let good = password.chars().count() >= 8
        && password.chars().any(char::is_lowercase)
        && password.chars().any(char::is_uppercase)
        && password.chars().any(|c| c.is_ascii_digit())
        && !parts.any(|part| lower.contains(&part.to_lowercase()));
    let wants = "at least 8 characters, a lowercase letter, an uppercase letter, a number, no parts of your username.";
    (!good).then(|| format!("Password requirements were not met. Password requirements: {wants}"))
}

fn check_text(name: &str, value: &Value, attribute: &Value) -> Result<(), ApiError> {
    let Some(text) = value.as_str() else { return Ok(()) };
    let length = text.chars().count() as u64;
    let bound = |key: &str| attribute.get(key).and_then(Value::as_u64);
    let refuse = |cause: String| Err(ApiError::validation(name, format!("{name}: {cause}")));
    if let Some(least) = bound("minLength").filter(|least| length < *least) {
        return refuse(format!("The field must be at least {least} characters"));
    }
    if let Some(most) = bound("maxLength").filter(|most| length > *most) {
        return refuse(format!("The field must be at most {most} characters"));
    }
    if text.chars().any(|c| c.len_utf8() > 3) {
        return refuse("The field contains characters that cannot be stored".to_owned());
    }
    let fits = match attribute["format"].as_str() {
        _ if text.is_empty() => true,
        Some("email") => text.contains('@'),
        Some("country-code") => text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()),
        _ => true,
    };
    if fits { Ok(()) } else { refuse("Does not match required pattern".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Schemas;
    use serde_json::json;

    #[test]
    fn refuses_unknown_attributes_wrong_types_and_wide_characters() {
        let schemas = Schemas::new("", "oty1", 0);
        let fails = |profile: Value| check(profile.as_object().unwrap(), &schemas.types[0]).is_err();
        assert!(!fails(json!({"city": "Zürich", "title": "", "manager": null})));
        assert!(fails(json!({"notValid": "x"})));
        assert!(fails(json!({"city": 7})));
        assert!(fails(json!({"city": "\u{1F600}"})));
        assert!(fails(json!({"email": "nobody"})));
        assert!(fails(json!({"countryCode": "CHE"})));
        assert!(check_required(json!({"login": "a@b.c"}).as_object().unwrap(), &schemas.types[0]).is_err());
    }

    #[test]
    fn custom_attributes_follow_their_property() {
        let array = json!({"type": "array", "items": {"type": "integer", "enum": [1, 2]}});
        assert!(check_value("a", &json!([1, 2]), &array).is_ok());
        assert!(check_value("a", &json!([3]), &array).is_err() && check_value("a", &json!(["1"]), &array).is_err());
        let titled = json!({"type": "string", "oneOf": [{"const": "S", "title": "Small"}]});
        assert!(check_value("t", &json!("S"), &titled).is_ok() && check_value("t", &json!("M"), &titled).is_err());
        let wide = json!({"type": "array", "items": {"type": "string"}});
        assert!(check_value("w", &json!(["\u{1F600}"]), &wide).is_err());
    }

    #[test]
    fn only_what_is_ours_to_change_changes() {
        let mut schemas = Schemas::new("", "oty1", 0);
        let custom = &mut schemas.types[0].custom;
        custom.insert("fixed".into(), json!({"type": "string", "mutability": "IMMUTABLE"}));
        custom.insert("shown".into(), json!({"type": "string", "mutability": "READ_ONLY"}));
        custom.insert("local".into(), json!({"type": "string", "master": {"type": "OKTA"}}));
        let code = |old: Value, new: Value, provider: &str| {
            let (old, new) = (old.as_object().unwrap().clone(), new.as_object().unwrap().clone());
            check_change(&old, &new, &schemas.types[0], provider).err().map(|error| error.code)
        };
        assert_eq!(code(json!({}), json!({"fixed": "a"}), "OKTA"), None);
        assert_eq!(code(json!({"fixed": "a"}), json!({"fixed": "b"}), "OKTA").as_deref(), Some("E0000078"));
        assert_eq!(code(json!({"shown": "a"}), json!({}), "OKTA").as_deref(), Some("E0000077"));
        assert_eq!(code(json!({"city": "A"}), json!({"city": "B"}), "LDAP").as_deref(), Some("E0000023"));
        assert_eq!(code(json!({"city": "A"}), json!({"city": "A", "local": "x"}), "LDAP"), None);
    }

    #[test]
    fn passwords_follow_the_policy() {
        assert_eq!(password_fault("Password150kta", "John.Doe@example.com"), None);
        for bad in ["short1A", "nouppercase1", "NOLOWERCASE1", "NoNumberHere", "xJohn1234X"] {
            assert!(password_fault(bad, "John.Doe@example.com").is_some(), "{bad}");
        }
    }
}
