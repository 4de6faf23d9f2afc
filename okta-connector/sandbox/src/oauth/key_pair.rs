//! Key pairs for tests and demonstrations: made anew, shown as PEM and JWK, able to sign.
//! Nobody's secret: a pair made here opens a sandbox and nothing else.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// A key pair for `private_key_jwt` or DPoP: RSA 2048 (RS256) or P-256 (ES256).
#[derive(Debug)]
pub struct KeyPair {
    kid: String,
    secret: Secret,
}

#[derive(Debug)]
enum Secret {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
}

impl KeyPair {
    /// A new RSA key of 2048 bits.
    pub fn rsa(kid: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).expect("the provider makes RSA keys");
        Self { kid: kid.to_owned(), secret: Secret::Rsa(pair) }
    }

    /// A new key on P-256.
    pub fn ec(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("the provider makes P-256 keys");
        Self { kid: kid.to_owned(), secret: Secret::Ec(pair) }
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// `RS256` or `ES256`.
    pub fn algorithm(&self) -> &'static str {
        match self.secret {
            Secret::Rsa(_) => "RS256",
            Secret::Ec(_) => "ES256",
        }
    }

    /// The public key as JWK, with its `kid`.
    pub fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.secret {
            Secret::Rsa(pair) => {
                let public = pair.public_key();
                let (n, e) = (public.modulus(), public.exponent());
                json!({"kty": "RSA", "kid": self.kid, "use": "sig", "alg": "RS256", "e": text(e.big_endian_without_leading_zero()), "n": text(n.big_endian_without_leading_zero())})
            }
            Secret::Ec(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (&point[1..33], &point[33..65]);
                json!({"kty": "EC", "kid": self.kid, "use": "sig", "alg": "ES256", "crv": "P-256", "x": text(x), "y": text(y)})
            }
        }
    }

    /// The private key as PKCS#8 PEM, as a settings file names it.
    pub fn private_pem(&self) -> String {
        let der = match &self.secret {
            Secret::Rsa(pair) => pair.as_der().map(|der| der.as_ref().to_vec()),
            Secret::Ec(pair) => pair.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
        };
        pem("PRIVATE KEY", &der.expect("a generated key has a PKCS#8 form"))
    }

    /// The public key as PEM.
    pub fn public_pem(&self) -> String {
        let der = match &self.secret {
            Secret::Rsa(pair) => pair.public_key().as_der(),
            Secret::Ec(pair) => pair.public_key().as_der(),
        };
        pem("PUBLIC KEY", der.expect("a generated key has a public form").as_ref())
    }

    /// A compact JWT of this header (`alg` is set here) and these claims.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let mut header = header.clone();
        header["alg"] = self.algorithm().into();
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self.signature(signed.as_bytes()).expect("a generated key signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        match &self.secret {
            Secret::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let encoding: &'static dyn signature::RsaEncoding = &RSA_PKCS1_SHA256;
                pair.sign(encoding, &random, message, &mut signature)?;
                Ok(signature)
            }
            Secret::Ec(pair) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
        }
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::jose::{Jwt, Key};

    #[test]
    fn what_a_pair_signs_its_public_forms_verify() {
        for pair in [KeyPair::rsa("a"), KeyPair::ec("b")] {
            let text = pair.sign(&json!({"kid": pair.kid()}), &json!({"iss": "me"}));
            let jwt = Jwt::parse(&text).unwrap();
            assert!(jwt.is_signed_by(&Key::from_jwk(&pair.jwk()).unwrap()), "{}", pair.algorithm());
            assert!(jwt.is_signed_by(&Key::all(&pair.public_pem().into()).unwrap()[0]), "{}", pair.algorithm());
            assert!(!jwt.is_signed_by(&Key::from_jwk(&KeyPair::ec("c").jwk()).unwrap()));
        }
    }
}
