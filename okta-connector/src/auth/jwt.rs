//! Signed tokens in their compact form. Sources: RFC 7515 (JWS), RFC 7519 (JWT).

use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use super::key::SigningKey;

/// Header, claims and signature, ready to be sent.
pub(super) fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let mut token = format!("{}.{}", encoded(header), encoded(claims));
    let signature = key.sign(token.as_bytes());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    token
}

/// An identifier that nobody has used: `jti`.
pub(super) fn fresh_id() -> String {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).expect("the system gives random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}
