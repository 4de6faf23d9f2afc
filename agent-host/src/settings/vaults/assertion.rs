//! A signed statement of who asks, instead of a client secret: a JWT that names and is signed with a certificate.
//!
//! Source: RFC 7523 and Microsoft's page on certificate credentials (PS256, `x5t#S256`, a few minutes of life).

use std::time::Duration;

use aws_lc_rs::{rand, signature};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use connector_api::Result;
use reqwest::Url;
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::{certificate::ClientCertificate, section::Section};

/// How long it may be used.
const LIFE: Duration = Duration::from_secs(600);

/// An assertion by `client_id` for the token endpoint `url`, valid from `now`, the time since 1970.
pub(super) fn assertion(
    section: &Section<'_>,
    certificate: &ClientCertificate,
    client_id: &str,
    url: &Url,
    now: Duration,
) -> Result<SecretString> {
    let refuse = || {
        let hint = "name a certificate with an RSA key of 2048 bits or more";
        section.error(certificate.named_by(), "names a certificate whose key cannot sign").with_hint(hint)
    };
    let pair = signature::RsaKeyPair::from_pkcs8(certificate.private()).map_err(|_| refuse())?;
    let random = rand::SystemRandom::new();
    let mut id = [0; 16];
    rand::SecureRandom::fill(&random, &mut id).map_err(|_| refuse())?;
    let header = serde_json::json!({
        "alg": "PS256", "typ": "JWT", "x5t#S256": URL_SAFE_NO_PAD.encode(Sha256::digest(certificate.der())),
    });
    let claims = serde_json::json!({
        "aud": url.as_str(), "iss": client_id, "sub": client_id, "jti": URL_SAFE_NO_PAD.encode(id),
        "nbf": now.as_secs(), "exp": (now + LIFE).as_secs(),
    });
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let signed = format!("{header}.{claims}");
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&signature::RSA_PSS_SHA256, &random, signed.as_bytes(), &mut signature).map_err(|_| refuse())?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
}
