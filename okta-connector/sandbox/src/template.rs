//! The application bodies Okta makes of a create or replace request: what the caller gave over what the template has.
//! Shapes as recorded for bookmark, basic auth, SWA, three-field SWA, password store, OIDC and SAML applications.

use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::ids::Ids;
use crate::profile;

/// The stored body of a request; `old` is the application being replaced.
pub(crate) fn body(
    request: &Map<String, Value>,
    old: Option<&Map<String, Value>>,
    ids: &mut Ids,
) -> Result<Map<String, Value>, ApiError> {
    let text = |name: &str| request.get(name).and_then(Value::as_str).map(str::to_owned);
    let kept = |name: &str| old.and_then(|old| old.get(name)).and_then(Value::as_str).map(str::to_owned);
    let label = text("label").filter(|label| !label.is_empty());
    let label = label.ok_or_else(|| ApiError::validation("label", "label: The field cannot be left blank"))?;
    let name = kept("name").or_else(|| text("name"));
    let mode = text("signOnMode").or_else(|| name.as_deref().and_then(mode_of).map(str::to_owned));
    let mode = mode.ok_or_else(|| ApiError::validation("signOnMode", "signOnMode: The field cannot be left blank"))?;
    let required = name.as_deref().and_then(mode_of);
    if !MODES.contains(&mode.as_str()) || required.is_some_and(|required| required != mode) {
        return Err(ApiError::validation("signOnMode", "signOnMode: The value is not one of the allowed ones"));
    }
    profile::check_value("label", &label.as_str().into(), &json!({"type": "string", "maxLength": 100}))?;
    let name = name.unwrap_or_else(|| {
        format!("sandbox_{}_1", label.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), ""))
    });
    let mut body = defaults(&name, &mode, ids);
    if let Some(client) = old.and_then(|old| old.get("credentials")?.get("oauthClient")) {
        body["credentials"]["oauthClient"] = client.clone();
    }
    for key in ["accessibility", "visibility", "credentials", "settings", "profile"] {
        if let Some(given) = request.get(key) {
            lay_over(&mut body[key], given);
        }
    }
    if let Some(links) = request.get("visibility").and_then(|visibility| visibility.get("appLinks")) {
        body["visibility"]["appLinks"] = links.clone();
    }
    let mut ordered = Map::new();
    ordered.insert("name".into(), name.into());
    ordered.insert("label".into(), label.into());
    let Value::Object(rest) = body else { return Ok(ordered) };
    ordered.extend(rest.into_iter().filter(|(key, value)| key != "profile" || !value.is_null()));
    Ok(ordered)
}

const MODES: [&str; 9] = [
    "AUTO_LOGIN",
    "BASIC_AUTH",
    "BOOKMARK",
    "BROWSER_PLUGIN",
    "OPENID_CONNECT",
    "SAML_1_1",
    "SAML_2_0",
    "SECURE_PASSWORD_STORE",
    "WS_FEDERATION",
];

fn mode_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "bookmark" => "BOOKMARK",
        "template_basic_auth" => "BASIC_AUTH",
        "template_swa" | "template_swa3field" => "BROWSER_PLUGIN",
        "template_sps" => "SECURE_PASSWORD_STORE",
        "oidc_client" => "OPENID_CONNECT",
        "template_wsfed" => "WS_FEDERATION",
        _ => return None,
    })
}

fn defaults(name: &str, mode: &str, ids: &mut Ids) -> Value {
    let link = if name == "oidc_client" { "oidc_client_link" } else { "login" };
    let hidden = name == "oidc_client";
    let mut credentials = json!({});
    if matches!(mode, "BROWSER_PLUGIN" | "BASIC_AUTH" | "SECURE_PASSWORD_STORE" | "AUTO_LOGIN") {
        credentials["scheme"] = "EDIT_USERNAME_AND_PASSWORD".into();
    }
    credentials["userNameTemplate"] = json!({"template": "${source.login}", "type": "BUILT_IN"});
    if credentials.get("scheme").is_some() {
        credentials["revealPassword"] = false.into();
    }
    credentials["signing"] = match mode {
        "SAML_2_0" | "SAML_1_1" | "OPENID_CONNECT" => json!({"kid": ids.word(43)}),
        _ => json!({}),
    };
    if mode == "OPENID_CONNECT" {
        credentials["oauthClient"] = json!({
            "autoKeyRotation": true,
            "client_id": ids.next("0oa"),
            "client_secret": ids.word(40),
            "token_endpoint_auth_method": "client_secret_basic",
        });
    }
    let mut settings = json!({
        "app": app_settings(name),
        "notifications": {"vpn": {"network": {"connection": "DISABLED"}, "message": null, "helpUrl": null}},
        "manualProvisioning": false,
        "implicitAssignment": false,
        "emOptInStatus": "NONE",
        "notes": {"admin": null, "enduser": null},
    });
    match mode {
        "SAML_2_0" | "SAML_1_1" => {
            settings["signOn"] = json!({"defaultRelayState": null, "ssoAcsUrlOverride": null, "audienceOverride": null,
                "recipientOverride": null, "destinationOverride": null, "attributeStatements": []});
        }
        "OPENID_CONNECT" => {
            settings["oauthClient"] = json!({"redirect_uris": [], "response_types": ["code"],
                "grant_types": ["authorization_code"], "application_type": "web", "issuer_mode": "ORG_URL"});
        }
        _ => {}
    }
    json!({
        "accessibility": {"selfService": false, "errorRedirectUrl": null, "loginRedirectUrl": null},
        "visibility": {"autoLaunch": false, "autoSubmitToolbar": false, "hide": {"iOS": hidden, "web": hidden}, "appLinks": {link: true}},
        "features": [],
        "signOnMode": mode,
        "credentials": credentials,
        "universalLogout": {"status": "UNSUPPORTED"},
        "settings": settings,
        "profile": null,
    })
}

fn app_settings(name: &str) -> Value {
    match name {
        "bookmark" => json!({"requestIntegration": false, "url": null}),
        "template_basic_auth" => json!({"loginUrlRegex": null, "authURL": null, "url": null}),
        "template_swa" => {
            json!({"loginUrlRegex": null, "usernameField": null, "redirectUrl": null, "buttonField": null,
            "checkbox": null, "passwordField": null, "url": null})
        }
        "template_swa3field" => json!({"loginUrlRegex": null, "extraFieldSelector": null, "extraFieldValue": null,
            "redirectUrl": null, "userNameSelector": null, "passwordSelector": null, "buttonSelector": null, "targetURL": null}),
        "template_sps" => json!({"usernameField": null, "optionalField1": null, "optionalField2Value": null,
            "optionalField3Value": null, "passwordField": null, "url": null, "optionalField1Value": null,
            "optionalField2": null, "optionalField3": null}),
        _ => json!({}),
    }
}

fn lay_over(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(under.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(request: &Value) -> Result<Map<String, Value>, ApiError> {
        body(request.as_object().unwrap(), None, &mut Ids::new(1))
    }

    #[test]
    fn a_bookmark_needs_no_sign_on_mode() {
        let body =
            made(&json!({"name": "bookmark", "label": "X", "settings": {"app": {"url": "https://e.x"}}})).unwrap();
        assert_eq!(body["signOnMode"], "BOOKMARK");
        assert_eq!(body["settings"]["app"], json!({"requestIntegration": false, "url": "https://e.x"}));
        assert_eq!(body.keys().take(3).collect::<Vec<_>>(), ["name", "label", "accessibility"]);
    }

    #[test]
    fn label_and_mode_are_required() {
        assert!(made(&json!({"name": "bookmark"})).is_err());
        assert!(made(&json!({"name": "zoomus", "label": "Zoom"})).is_err());
        assert_eq!(made(&json!({"label": "My App", "signOnMode": "AUTO_LOGIN"})).unwrap()["name"], "sandbox_myapp_1");
    }
}
