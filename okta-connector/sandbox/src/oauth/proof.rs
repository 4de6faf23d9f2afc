//! One DPoP proof: what it must say about the request it came with. RFC 9449 section 4.3, as Okta narrows it:
//! `htu` is the address without query and fragment, a private member in the key is refused.
//! Whether `jti` and `nonce` are good is for the organisation to say, which remembers them.

use serde_json::Value;

use crate::oauth::jose::{Jwt, Key, sha256};

/// How old a proof may be, and how far ahead of the server's clock, in milliseconds.
pub(crate) const AGE: i64 = 300_000;
const AHEAD: i64 = 60_000;

/// The request a proof has to fit.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub method: &'a str,
    /// The `Host` header.
    pub host: &'a str,
    pub path: &'a str,
    /// The server's clock.
    pub now: i64,
    /// The access token that came along.
    pub token: Option<&'a str>,
}

/// What a good proof shows.
#[derive(Debug)]
pub(crate) struct Proof {
    pub thumbprint: String,
    pub jti: String,
    pub nonce: Option<String>,
}

/// Reads the proof of a request; the error is Okta's description.
pub(crate) fn read(headers: &[String], request: &Request<'_>) -> Result<Proof, &'static str> {
    let text = match headers {
        [] => return Err("The DPoP proof JWT header is missing."),
        [one] => one,
        _ => return Err("The request has more than one DPoP proof JWT header."),
    };
    let jwt = Jwt::parse(text).ok_or("The DPoP proof JWT is not well-formed.")?;
    if jwt.head("typ") != Some("dpop+jwt") {
        return Err("The 'typ' header of the DPoP proof JWT must be 'dpop+jwt'.");
    }
    let key = Key::from_jwk(jwt.header.get("jwk").unwrap_or(&Value::Null))
        .map_err(|_| "The 'jwk' header of the DPoP proof JWT is not a public key.")?;
    if !jwt.is_signed_by(&key) {
        return Err("The DPoP proof JWT signature is invalid.");
    }
    if jwt.claim("htm") != Some(request.method) {
        return Err("The 'htm' claim of the DPoP proof JWT is not the method of the request.");
    }
    let address = jwt.claim("htu").unwrap_or_default();
    if !is_address(address, request.host, request.path) {
        return Err("The 'htu' claim of the DPoP proof JWT is not the URL of the request.");
    }
    let at = jwt.time("iat").ok_or("The DPoP proof JWT has no 'iat' claim.")?;
    if at < request.now - AGE || at > request.now + AHEAD {
        return Err("The 'iat' claim of the DPoP proof JWT is too far from the current time.");
    }
    if let Some(token) = request.token
        && jwt.claim("ath") != Some(sha256(token).as_str())
    {
        return Err("The 'ath' claim of the DPoP proof JWT does not match the access token.");
    }
    let jti = jwt.claim("jti").filter(|jti| !jti.is_empty()).ok_or("The DPoP proof JWT has no 'jti' claim.")?;
    let nonce = jwt.claim("nonce").map(str::to_owned);
    Ok(Proof { thumbprint: key.thumbprint, jti: jti.to_owned(), nonce })
}

/// Whether an address names this host and path, whatever the scheme: something in front may have ended TLS.
pub(crate) fn is_address(address: &str, host: &str, path: &str) -> bool {
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    let rest = rest.and_then(|rest| rest.split_at_checked(host.len()));
    rest.is_some_and(|(named, rest)| named.eq_ignore_ascii_case(host) && rest == path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::KeyPair;
    use serde_json::json;

    const NOW: i64 = 1_760_000_000_000;

    fn request() -> Request<'static> {
        Request { method: "GET", host: "127.0.0.1:80", path: "/api/v1/users", now: NOW, token: Some("t") }
    }

    fn claims() -> Value {
        json!({"htm": "GET", "htu": "http://127.0.0.1:80/api/v1/users", "iat": NOW / 1000, "jti": "1", "ath": sha256("t")})
    }

    #[test]
    fn every_claim_is_looked_at() {
        let pair = KeyPair::ec("");
        let signed = |header: &Value, claims: &Value| read(&[pair.sign(header, claims)], &request());
        let header = json!({"typ": "dpop+jwt", "jwk": pair.jwk()});
        assert_eq!(signed(&header, &claims()).unwrap().jti, "1");
        for (name, bad) in [
            ("htm", json!("POST")),
            ("htu", json!("http://127.0.0.1:80/api/v1/users?limit=1")),
            ("htu", json!("http://localhost/api/v1/users")),
            ("iat", json!(NOW / 1000 - 301)),
            ("iat", json!(NOW / 1000 + 61)),
            ("jti", json!("")),
            ("ath", json!(sha256("other"))),
        ] {
            let mut claims = claims();
            claims[name] = bad.clone();
            assert!(signed(&header, &claims).unwrap_err().contains(&format!("'{name}'")), "{name} {bad}");
        }
        let mut private = header;
        private["jwk"]["d"] = "AA".into();
        assert!(signed(&private, &claims()).unwrap_err().contains("'jwk'"));
        let foreign = json!({"typ": "dpop+jwt", "jwk": KeyPair::ec("").jwk()});
        assert!(signed(&foreign, &claims()).unwrap_err().contains("signature"));
        assert!(signed(&json!({"typ": "JWT", "jwk": pair.jwk()}), &claims()).unwrap_err().contains("'typ'"));
        assert!(read(&[], &request()).unwrap_err().contains("missing"));
    }
}
