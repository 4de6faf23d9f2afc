//! ID tokens: signed by one of the provider's keys, for us, for this sign-in, and still good. OpenID Connect Core 3.1.3.7.
//!
//! RS256 and ES256 alone: a token that says `none`, or names a shared secret, is refused before its key is looked at.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::Jwk};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::SignInFailed;

/// How far the provider's clock may be from ours, in seconds.
const LEEWAY_S: i64 = 60;
const ALGORITHMS: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];

/// What a token must say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now_s: i64,
}

/// What a token that was verified says.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: i64,
    iat: Option<i64>,
    nonce: Option<String>,
    azp: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// The name of the key that a token says it is signed with.
pub(super) fn kid(token: &str) -> Result<Option<String>, SignInFailed> {
    let header = jsonwebtoken::decode_header(token).map_err(|_| SignInFailed::refused("the ID token is none"))?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(SignInFailed::refused(format!("the ID token is signed by {:?}, not RS256 or ES256", header.alg)));
    }
    Ok(header.kid)
}

pub(super) fn verify(token: &str, key: &Jwk, expected: &Expected<'_>) -> Result<Claims, SignInFailed> {
    let refused = |why: &str| SignInFailed::refused(format!("the ID token {why}"));
    let header = jsonwebtoken::decode_header(token).map_err(|_| refused("is none"))?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(refused("is not signed by RS256 or ES256"));
    }
    let key = DecodingKey::from_jwk(key).map_err(|_| refused("is signed with a key of another kind"))?;
    let mut validation = Validation::new(header.alg);
    // By our clock and in our words, below.
    validation.validate_exp = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    let claims =
        jsonwebtoken::decode::<Claims>(token, &key, &validation).map_err(|error| refused(&error.to_string()))?;
    let claims = claims.claims;
    if claims.iss.trim_end_matches('/') != expected.issuer {
        return Err(refused("is another provider's"));
    }
    let (is_for_us, is_for_others) = match &claims.aud {
        Audience::One(only) => (only == expected.client_id, false),
        Audience::Several(all) => (all.iter().any(|name| name == expected.client_id), all.len() > 1),
    };
    if !is_for_us || claims.azp.as_deref().map_or(is_for_others, |party| party != expected.client_id) {
        return Err(refused("is for another client"));
    }
    if claims.exp.saturating_add(LEEWAY_S) <= expected.now_s {
        return Err(refused("has expired; see whether this machine's clock is right"));
    }
    if claims.iat.is_some_and(|issued_s| issued_s.saturating_sub(LEEWAY_S) > expected.now_s) {
        return Err(refused("is from the future; see whether this machine's clock is right"));
    }
    if claims.nonce.as_deref() != Some(expected.nonce) {
        return Err(refused("is for another sign-in"));
    }
    Ok(claims)
}

impl Claims {
    /// A name that people know, as far as the provider tells one.
    pub(super) fn name(&self) -> &str {
        let text = |name: &str| self.rest.get(name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
        text("preferred_username").or_else(|| text("email")).unwrap_or(&self.sub)
    }

    /// A claim that is a text or a list of them.
    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        match self.rest.get(name) {
            Some(Value::String(text)) => vec![text.as_str()],
            Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::json;

    use super::*;

    const NOW_S: i64 = 1_800_000_000;

    fn claims() -> Value {
        json!({ "iss": "https://a.okta.com", "sub": "00u1", "aud": "client", "exp": NOW_S + 3600, "iat": NOW_S,
            "nonce": "n", "email": "ada@example.com", "groups": ["Readers", 7] })
    }

    fn outcome(claims: &Value, signed_with: &EncodingKey, alg: Algorithm, key: &Jwk) -> Result<Claims, String> {
        let token = jsonwebtoken::encode(&Header::new(alg), claims, signed_with).unwrap();
        let expected = Expected { issuer: "https://a.okta.com", client_id: "client", nonce: "n", now_s: NOW_S };
        kid(&token).and_then(|_| verify(&token, key, &expected)).map_err(|failed| match failed {
            SignInFailed::Refused(why) | SignInFailed::Unavailable(why) => why,
        })
    }

    fn keys() -> (EncodingKey, Jwk) {
        let pair = rcgen::KeyPair::generate().unwrap();
        let private = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).unwrap();
        let public = Jwk::from_encoding_key(&private, Algorithm::ES256).unwrap();
        (private, public)
    }

    #[test]
    fn a_token_for_this_sign_in_is_believed_and_no_other() {
        let (private, public) = keys();
        let good = outcome(&claims(), &private, Algorithm::ES256, &public).unwrap();
        assert_eq!((good.name(), good.texts("groups")), ("ada@example.com", vec!["Readers"]));
        let cases = [
            ("iss", json!("https://b.okta.com"), "another provider's"),
            ("aud", json!("other"), "another client"),
            ("aud", json!(["client", "other"]), "another client"),
            ("azp", json!("other"), "another client"),
            ("exp", json!(NOW_S - 60), "has expired"),
            ("iat", json!(NOW_S + 61), "from the future"),
            ("nonce", json!("m"), "another sign-in"),
            ("nonce", Value::Null, "another sign-in"),
            ("sub", Value::Null, ""),
        ];
        for (name, value, why) in cases {
            let mut changed = claims();
            changed[name] = value;
            let refusal = outcome(&changed, &private, Algorithm::ES256, &public).unwrap_err();
            assert!(refusal.contains(why), "{name}: {refusal}");
        }
        let mut both = claims();
        (both["aud"], both["azp"]) = (json!(["client", "other"]), json!("client"));
        outcome(&both, &private, Algorithm::ES256, &public).unwrap();
    }

    #[test]
    fn other_keys_and_other_algorithms_are_refused() {
        let ((private, public), (other, _)) = (keys(), keys());
        outcome(&claims(), &other, Algorithm::ES256, &public).unwrap_err();
        let shared = EncodingKey::from_secret(b"what everybody knows");
        let refusal = outcome(&claims(), &shared, Algorithm::HS256, &public).unwrap_err();
        assert!(refusal.contains("HS256"), "{refusal}");
        let good = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims(), &private).unwrap();
        let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", good.split('.').nth(1).unwrap());
        kid(&unsigned).unwrap_err();
    }
}
