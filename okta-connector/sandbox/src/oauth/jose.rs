//! Signed JSON web tokens and public keys: reading them and verifying signatures.
//! Knows RS256/384/512 and ES256/384/512, keys as JWK or PEM; what the claims must say is for others to check.
//! RFC 7515 (compact form), RFC 7517 and 7518 (keys), RFC 7638 (thumbprint).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// The algorithms Okta takes, as its metadata names them.
pub(crate) const ALGORITHMS: &str = "RS256 RS384 RS512 ES256 ES384 ES512";

/// A signed token, taken apart but not verified.
#[derive(Debug)]
pub(crate) struct Jwt<'a> {
    pub header: Map<String, Value>,
    pub claims: Map<String, Value>,
    signed: &'a str,
    signature: Vec<u8>,
}

/// A public key.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub kid: Option<String>,
    pub active: bool,
    /// RFC 7638, of a key given as JWK.
    pub thumbprint: String,
    family: Family,
    material: Material,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Rsa,
    P256,
    P384,
    P521,
}

#[derive(Clone, Debug)]
enum Material {
    Components {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// A point, or DER.
    Encoded(Vec<u8>),
}

impl<'a> Jwt<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let object = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        Some(Self { header: object(header)?, claims: object(claims)?, signed, signature })
    }

    pub(crate) fn claim(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    /// A NumericDate in milliseconds.
    pub(crate) fn time(&self, name: &str) -> Option<i64> {
        let value = self.claims.get(name)?;
        let seconds = value.as_i64().or_else(|| value.as_f64().map(|seconds| seconds as i64))?;
        seconds.checked_mul(1000)
    }

    pub(crate) fn head(&self, name: &str) -> Option<&str> {
        self.header.get(name)?.as_str()
    }

    /// Whether `key` signed this, with the algorithm the header names.
    pub(crate) fn is_signed_by(&self, key: &Key) -> bool {
        let (message, signature) = (self.signed.as_bytes(), self.signature.as_slice());
        let algorithm = self.head("alg").unwrap_or_default();
        if let (Some(rsa), Material::Components { n, e }) = (key.rsa(algorithm), &key.material) {
            return RsaPublicKeyComponents { n, e }.verify(rsa, message, signature).is_ok();
        }
        match (key.algorithm(algorithm), &key.material) {
            (Some(known), Material::Encoded(bytes)) => {
                UnparsedPublicKey::new(known, bytes).verify(message, signature).is_ok()
            }
            _ => false,
        }
    }
}

impl Key {
    /// All keys of a JWK set, a single JWK, or a PEM text.
    pub(crate) fn all(given: &Value) -> Result<Vec<Self>, String> {
        match given {
            Value::String(pem) => Ok(vec![Self::from_pem(pem)?]),
            Value::Object(set) if set.contains_key("keys") => {
                set["keys"].as_array().into_iter().flatten().map(Self::from_jwk).collect()
            }
            jwk => Ok(vec![Self::from_jwk(jwk)?]),
        }
    }

    /// A public key; one with private members is refused.
    pub(crate) fn from_jwk(jwk: &Value) -> Result<Self, String> {
        const PRIVATE: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];
        if let Some(member) = PRIVATE.into_iter().find(|member| jwk.get(member).is_some()) {
            return Err(format!("the key has the private member `{member}`"));
        }
        let text = |name: &str| jwk[name].as_str().ok_or_else(|| format!("the key has no `{name}`"));
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).map_err(|_| format!("`{name}` is not base64url"));
        let (family, material, canonical) = match text("kty")? {
            "RSA" => {
                let canonical = format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, text("e")?, text("n")?);
                (Family::Rsa, Material::Components { n: bytes("n")?, e: bytes("e")? }, canonical)
            }
            "EC" => {
                let (crv, x, y) = (text("crv")?, text("x")?, text("y")?);
                let family = match crv {
                    "P-256" => Family::P256,
                    "P-384" => Family::P384,
                    "P-521" => Family::P521,
                    other => return Err(format!("`{other}` is no known curve")),
                };
                let point = [vec![4], bytes("x")?, bytes("y")?].concat();
                let canonical = format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#);
                (family, Material::Encoded(point), canonical)
            }
            other => return Err(format!("`{other}` is no known kind of key")),
        };
        Ok(Self {
            kid: jwk["kid"].as_str().map(str::to_owned),
            active: jwk["status"].as_str().is_none_or(|status| status == "ACTIVE"),
            thumbprint: sha256(&canonical),
            family,
            material,
        })
    }

    /// `PUBLIC KEY` or `RSA PUBLIC KEY`.
    fn from_pem(pem: &str) -> Result<Self, String> {
        if !pem.contains("PUBLIC KEY-----") {
            return Err("the PEM text holds no public key".to_owned());
        }
        let body: String = pem.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect();
        let der = STANDARD.decode(body).map_err(|_| "the PEM text is not base64".to_owned())?;
        let holds = |oid: &[u8]| der.windows(oid.len()).take(64).any(|window| window == oid);
        let curves: [(&[u8], Family); 3] = [
            (&[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07], Family::P256),
            (&[0x2b, 0x81, 0x04, 0x00, 0x22], Family::P384),
            (&[0x2b, 0x81, 0x04, 0x00, 0x23], Family::P521),
        ];
        let curve = curves.into_iter().find(|(oid, _)| holds(oid)).map(|(_, family)| family);
        let family = curve.unwrap_or(Family::Rsa);
        Ok(Self { kid: None, active: true, thumbprint: String::new(), family, material: Material::Encoded(der) })
    }

    fn rsa(&self, algorithm: &str) -> Option<&'static RsaParameters> {
        match algorithm {
            _ if self.family != Family::Rsa => None,
            "RS256" => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            "RS384" => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
            "RS512" => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
            _ => None,
        }
    }

    fn algorithm(&self, algorithm: &str) -> Option<&'static dyn VerificationAlgorithm> {
        match (algorithm, self.family) {
            ("ES256", Family::P256) => Some(&signature::ECDSA_P256_SHA256_FIXED),
            ("ES384", Family::P384) => Some(&signature::ECDSA_P384_SHA384_FIXED),
            ("ES512", Family::P521) => Some(&signature::ECDSA_P521_SHA512_FIXED),
            _ => self.rsa(algorithm).map(|rsa| rsa as &dyn VerificationAlgorithm),
        }
    }
}

/// The SHA-256 of a text as base64url, as `ath` and thumbprints have it.
pub(crate) fn sha256(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// RFC 7515 appendix A.3 and RFC 7638 section 3.1.
    #[test]
    fn reads_what_the_standards_show() {
        let ec = json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"});
        let text = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        let (jwt, key) = (Jwt::parse(text).unwrap(), Key::from_jwk(&ec).unwrap());
        assert!(jwt.is_signed_by(&key));
        assert_eq!((jwt.claim("iss"), jwt.time("exp")), (Some("joe"), Some(1_300_819_380_000)));
        assert!(!Jwt::parse(&text.replace("eyJpc3", "eyJpc4")).is_some_and(|jwt| jwt.is_signed_by(&key)));
        let rsa = json!({"kty": "RSA", "alg": "RS256", "kid": "2011-04-29", "e": "AQAB", "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"});
        assert_eq!(Key::from_jwk(&rsa).unwrap().thumbprint, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn refuses_private_and_unknown_keys() {
        assert!(Key::from_jwk(&json!({"kty": "oct", "k": "AAAA"})).is_err());
        assert!(Key::from_jwk(&json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"})).is_err());
        assert!(Key::all(&"-----BEGIN PRIVATE KEY-----\nAAAA\n".into()).is_err());
    }
}
