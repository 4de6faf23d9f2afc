//! What may stand in a user's profile and what a password must be.
//! Okta: one unknown attribute refuses the whole call (400 `E0000001`); null removes, an empty string stays;
//! only characters of up to three UTF-8 bytes are stored; a password holds no part of the login.

use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::schema::{REQUIRED, UserType};

/// Checks the attributes of a request against the schema of the user's type.
pub(crate) fn check(profile: &Map<String, Value>, user_type: &UserType) -> Result<(), ApiError> {
    for (name, value) in profile {
        let Some(attribute) = user_type.attribute(name) else {
            return Err(ApiError::validation(name, format!("Property name '{name}' is not defined in profile")));
        };
        if value.is_null() {
            continue;
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
        check_text(name, value, &attribute)?;
    }
    Ok(())
}

/// Checks that a whole profile has what every user needs.
pub(crate) fn check_required(profile: &Map<String, Value>) -> Result<(), ApiError> {
    for name in REQUIRED {
        if profile.get(name).and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(ApiError::validation(name, format!("{name}: The field cannot be left blank")));
        }
    }
    Ok(())
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
    if let Some(least) = bound("minLength").filter(|least| length < *least) {
        return Err(ApiError::validation(name, format!("{name}: The field must be at least {least} characters")));
    }
    if let Some(most) = bound("maxLength").filter(|most| length > *most) {
        return Err(ApiError::validation(name, format!("{name}: The field must be at most {most} characters")));
    }
    if text.chars().any(|c| c.len_utf8() > 3) {
        return Err(ApiError::validation(name, format!("{name}: The field contains characters that cannot be stored")));
    }
    let is_email = attribute["format"] == "email";
    if is_email && !text.is_empty() && !text.contains('@') {
        return Err(ApiError::validation(name, format!("{name}: Does not match required pattern")));
    }
    let allowed = attribute.get("enum").and_then(Value::as_array);
    if allowed.is_some_and(|allowed| !allowed.contains(value)) {
        return Err(ApiError::validation(name, format!("{name}: The value is not one of the allowed ones")));
    }
    Ok(())
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
        assert!(check_required(json!({"login": "a@b.c"}).as_object().unwrap()).is_err());
    }

    #[test]
    fn passwords_follow_the_policy() {
        assert_eq!(password_fault("Password150kta", "John.Doe@example.com"), None);
        for bad in ["short1A", "nouppercase1", "NOLOWERCASE1", "NoNumberHere", "xJohn1234X"] {
            assert!(password_fault(bad, "John.Doe@example.com").is_some(), "{bad}");
        }
    }
}
