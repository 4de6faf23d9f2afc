//! Private keys: PEM (PKCS#1, PKCS#8, SEC 1) and JWK into something that signs.
//!
//! Says what is wrong with a key and what to do, and never shows any of it. Buffers that held a key are overwritten.
//! Sources: RFC 7468 (PEM), RFC 7517 and 7518 (JWK, algorithms), Okta's "Client authentication methods".

use std::fmt;

use aws_lc_rs::{
    rand::SystemRandom,
    rsa::{KeyPairComponents, KeySize, PublicKeyComponents},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING,
        EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RsaEncoding, RsaKeyPair,
    },
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD_PAD_INDIFFERENT, URL_SAFE_NO_PAD},
};
use connector_api::{Error, Result};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use zeroize::Zeroizing;

/// Name in a JWK, name in a signature, length of a coordinate in bytes, algorithm.
type Curve = (&'static str, &'static str, usize, &'static EcdsaSigningAlgorithm);

/// The curves that Okta takes.
const CURVES: [Curve; 3] = [
    ("P-256", "ES256", 32, &ECDSA_P256_SHA256_FIXED_SIGNING),
    ("P-384", "ES384", 48, &ECDSA_P384_SHA384_FIXED_SIGNING),
    ("P-521", "ES512", 66, &ECDSA_P521_SHA512_FIXED_SIGNING),
];
/// Texts of a key shorter than this are no secret by themselves.
const MIN_FRAGMENT: usize = 20;

/// A private key that signs.
pub(crate) struct SigningKey {
    pair: Pair,
    algorithm: &'static str,
    /// The name a JWK gives itself.
    pub id: Option<String>,
}

enum Pair {
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Ec(EcdsaKeyPair),
}

/// A private JWK. It borrows, so that no copy of a key is made.
#[derive(Deserialize)]
struct Jwk<'a> {
    kty: &'a str,
    kid: Option<&'a str>,
    alg: Option<&'a str>,
    crv: Option<&'a str>,
    n: Option<&'a str>,
    e: Option<&'a str>,
    d: Option<&'a str>,
    p: Option<&'a str>,
    q: Option<&'a str>,
    dp: Option<&'a str>,
    dq: Option<&'a str>,
    qi: Option<&'a str>,
    x: Option<&'a str>,
    y: Option<&'a str>,
}

impl SigningKey {
    /// Reads the setting `PrivateKey`.
    ///
    /// # Errors
    /// Of kind `Settings`, naming `PrivateKey`.
    pub(crate) fn read(text: &SecretString) -> Result<Self> {
        let text = text.expose_secret().trim();
        if text.starts_with('{') {
            return read_jwk(text);
        }
        if !text.contains("-----BEGIN ") {
            return Err(refused("is neither PEM nor a JWK", "paste the whole key, with its first and its last line"));
        }
        read_pem(text)
    }

    /// A new RSA key of 2048 bits.
    pub(crate) fn generate() -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("the system can generate a key");
        Self::rsa(pair, None)
    }

    fn rsa(pair: RsaKeyPair, algorithm: Option<&str>) -> Self {
        let (algorithm, encoding): (_, &'static dyn RsaEncoding) = match algorithm {
            Some("RS384") => ("RS384", &RSA_PKCS1_SHA384),
            Some("RS512") => ("RS512", &RSA_PKCS1_SHA512),
            _ => ("RS256", &RSA_PKCS1_SHA256),
        };
        Self { pair: Pair::Rsa(Box::new(pair), encoding), algorithm, id: None }
    }

    /// The name of the signature algorithm, such as `RS256`.
    pub(crate) fn algorithm(&self) -> &'static str {
        self.algorithm
    }

    /// The signature in the form a JWS wants.
    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).expect("a key that was accepted signs");
                signature
            }
            Pair::Ec(pair) => pair.sign(&random, message).expect("a key that was accepted signs").as_ref().to_vec(),
        }
    }

    /// The public half of an RSA key: modulus and exponent, base64url.
    pub(crate) fn rsa_public(&self) -> Option<(String, String)> {
        let Pair::Rsa(pair, _) = &self.pair else { return None };
        let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let public = pair.public_key();
        let (modulus, exponent) = (public.modulus(), public.exponent());
        Some((encoded(modulus.big_endian_without_leading_zero()), encoded(exponent.big_endian_without_leading_zero())))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// The parts of a key by which it would be recognised in a text: its lines, or the values of a JWK.
pub(crate) fn fragments(key: &SecretString) -> Vec<SecretString> {
    let text = key.expose_secret().replace("\\n", "\n");
    let text = Zeroizing::new(text);
    let parts = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | ','));
    parts.filter(|part| part.len() >= MIN_FRAGMENT && !part.contains("-----")).map(SecretString::from).collect()
}

fn refused(why: &str, hint: &str) -> Error {
    Error::setting("PrivateKey", format!("`PrivateKey` {why}")).with_hint(hint)
}

fn too_small() -> Error {
    refused("is an RSA key of fewer than 2048 bits", "create one of 2048 bits or more, and register its public half")
}

fn read_pem(text: &str) -> Result<SigningKey> {
    let (label, body) = private_block(text)?;
    match label {
        "ENCRYPTED PRIVATE KEY" => return Err(encrypted()),
        "OPENSSH PRIVATE KEY" => {
            return Err(refused("is in the format of OpenSSH", "convert a copy: ssh-keygen -p -m PKCS8 -N '' -f COPY"));
        }
        "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => {}
        _ => {
            let hint = "give the private half, whose first line is -----BEGIN PRIVATE KEY-----";
            return Err(refused("is PEM of something other than a private key", hint));
        }
    }
    if body.contains("ENCRYPTED") {
        return Err(encrypted());
    }
    let der = pem_bytes(&body)?;
    let unreadable = || refused("cannot be read: its PEM holds no key", "paste the whole key again, or create another");
    if label == "RSA PRIVATE KEY" {
        let pair = RsaKeyPair::from_der(&der);
        return pair.map(|pair| SigningKey::rsa(pair, None)).map_err(|error| rsa_refused(&error, unreadable));
    }
    if label == "PRIVATE KEY" {
        match RsaKeyPair::from_pkcs8(&der) {
            Ok(pair) => return Ok(SigningKey::rsa(pair, None)),
            Err(error) if error.to_string() == "TooSmall" => return Err(too_small()),
            Err(_) => {}
        }
    }
    for (_, algorithm, _, curve) in CURVES {
        if let Ok(pair) = EcdsaKeyPair::from_private_key_der(curve, &der) {
            return Ok(SigningKey { pair: Pair::Ec(pair), algorithm, id: None });
        }
    }
    // An object identifier within tells a sound key of another kind from a damaged one; both need another key.
    Err(refused(
        "is damaged, or of a kind that Okta does not take",
        "create an RSA key of 2048 bits or more, or an EC key on P-256, P-384 or P-521",
    ))
}

/// The label and the text of the block that holds a private key; of the first block where none does.
fn private_block(text: &str) -> Result<(&str, Zeroizing<String>)> {
    let mut first = None;
    for block in text.split("-----BEGIN ").skip(1) {
        let Some((label, rest)) = block.split_once("-----") else { continue };
        let Some((body, _)) = rest.split_once(&format!("-----END {label}-----")) else { continue };
        if label.ends_with("PRIVATE KEY") {
            return Ok((label, Zeroizing::new(body.replace("\\n", "\n").replace("\\r", ""))));
        }
        first.get_or_insert(label);
    }
    let cut =
        || refused("is cut off: its last line is missing", "paste the whole key, with its first and its last line");
    first.map(|label| (label, Zeroizing::default())).ok_or_else(cut)
}

fn pem_bytes(body: &str) -> Result<Zeroizing<Vec<u8>>> {
    let compact: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
    let bytes = STANDARD_PAD_INDIFFERENT.decode(compact.as_bytes()).map(Zeroizing::new);
    bytes.map_err(|_| refused("is no base64 between its first and its last line", "paste the whole key again"))
}

fn encrypted() -> Error {
    refused(
        "is encrypted with a passphrase",
        "take the passphrase off (openssl pkey -in key.pem -out plain.pem) and keep the key as a protected setting",
    )
}

fn rsa_refused(error: &aws_lc_rs::error::KeyRejected, otherwise: impl Fn() -> Error) -> Error {
    if error.to_string() == "TooSmall" { too_small() } else { otherwise() }
}

fn read_jwk(text: &str) -> Result<SigningKey> {
    let no_jwk = |_| refused("is no JWK that can be read", "paste the whole private key as Okta showed it, in JSON");
    let jwk: Jwk<'_> = serde_json::from_str(text).map_err(no_jwk)?;
    if jwk.d.is_none() && matches!(jwk.kty, "RSA" | "EC") {
        return Err(refused("is the public half of a key", "give the private half, the JWK that has `d`"));
    }
    let mut key = match jwk.kty {
        "RSA" => read_rsa_jwk(&jwk)?,
        "EC" => read_ec_jwk(&jwk)?,
        _ => {
            let hint = "create an RSA key or an EC key (`kty`), and register its public half";
            return Err(refused("is a JWK of a kind that Okta does not take", hint));
        }
    };
    key.id = jwk.kid.map(str::to_owned);
    Ok(key)
}

fn read_rsa_jwk(jwk: &Jwk<'_>) -> Result<SigningKey> {
    let part = |name, value| jwk_bytes(name, value);
    let (n, e) = (part("n", jwk.n)?, part("e", jwk.e)?);
    let components = KeyPairComponents {
        public_key: PublicKeyComponents { n: without_zeros(&n), e: without_zeros(&e) },
        d: part("d", jwk.d)?,
        p: part("p", jwk.p)?,
        q: part("q", jwk.q)?,
        dP: part("dp", jwk.dp)?,
        dQ: part("dq", jwk.dq)?,
        qInv: part("qi", jwk.qi)?,
    };
    let unreadable = || refused("is a JWK whose parts do not fit together", "paste the whole JWK again");
    let pair = RsaKeyPair::from_components(&components);
    pair.map(|pair| SigningKey::rsa(pair, jwk.alg)).map_err(|error| rsa_refused(&error, unreadable))
}

fn read_ec_jwk(jwk: &Jwk<'_>) -> Result<SigningKey> {
    let curve = CURVES.into_iter().find(|(name, ..)| Some(*name) == jwk.crv);
    let (_, algorithm, length, curve) = curve.ok_or_else(|| {
        refused("is a JWK on a curve that Okta does not take", "create a key on P-256, P-384 or P-521")
    })?;
    let (x, y, d) = (jwk_bytes("x", jwk.x)?, jwk_bytes("y", jwk.y)?, jwk_bytes("d", jwk.d)?);
    let mut point = vec![4];
    for coordinate in [&x, &y] {
        point.resize(point.len() + length.saturating_sub(coordinate.len()), 0);
        point.extend_from_slice(coordinate);
    }
    let mut secret = Zeroizing::new(vec![0; length.saturating_sub(d.len())]);
    secret.reserve_exact(d.len());
    secret.extend_from_slice(&d);
    let pair = EcdsaKeyPair::from_private_key_and_public_key(curve, &secret, &point);
    let unreadable = |_| refused("is a JWK whose parts do not fit together", "paste the whole JWK again");
    pair.map(|pair| SigningKey { pair: Pair::Ec(pair), algorithm, id: None }).map_err(unreadable)
}

fn jwk_bytes(name: &str, value: Option<&str>) -> Result<Zeroizing<Vec<u8>>> {
    let missing = || refused(&format!("is a JWK without `{name}`"), "paste the whole private key as Okta showed it");
    let value = value.ok_or_else(missing)?;
    let bytes = URL_SAFE_NO_PAD.decode(value.trim_end_matches('='));
    bytes
        .map(Zeroizing::new)
        .map_err(|_| refused(&format!("is a JWK whose `{name}` is no base64url"), "paste it again"))
}

fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    &bytes[zeros..]
}

#[cfg(test)]
mod tests;
