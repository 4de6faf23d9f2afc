//! What a service app sends: assertions and proofs signed anew, since those in the recordings were scrubbed.
//!
//! The recorded app had scopes and no administrator's role: every list of users it got was empty.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use okta_sandbox::{Clock, KeyPair, Sandbox, ServiceApp};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::recordings::Exchange;

const CLIENT: &str = "0oareplayedclient";

pub(crate) struct Signer {
    origin: String,
    key: KeyPair,
    dpop: KeyPair,
    nonce: Option<String>,
    token: Option<String>,
    number: u64,
}

impl Signer {
    /// Registers the app; none for recordings that hold no OAuth.
    pub(crate) fn register(sandbox: &Sandbox, exchanges: &[Exchange]) -> Option<Self> {
        exchanges.iter().find(|exchange| exchange.is_token_request())?;
        // Elliptic keys: making RSA ones takes its time in a debug build.
        let (key, dpop) = (KeyPair::ec("replay"), KeyPair::ec(""));
        let app = ServiceApp::new(CLIENT, key.jwk()).without_admin_role();
        sandbox.with_org(|org| org.add_service_app(app)).unwrap();
        Some(Self { origin: sandbox.url(), key, dpop, nonce: None, token: None, number: 0 })
    }

    /// The body and the DPoP header of a token request.
    pub(crate) fn token_request(&mut self, exchange: &Exchange) -> (String, Vec<(&'static str, String)>) {
        let address = format!("{}{}", self.origin, exchange.target);
        let now = seconds();
        let claims =
            json!({"iss": CLIENT, "sub": CLIENT, "aud": address, "iat": now, "exp": now + 300, "jti": self.next()});
        let assertion = self.key.sign(&json!({"kid": "replay"}), &claims);
        let field = |name: &str| {
            exchange.body.as_ref().and_then(|body| body[name].as_str()).unwrap_or_default().replace(' ', "+")
        };
        let body = format!(
            "grant_type={}&scope={}&client_assertion_type={}&client_assertion={assertion}",
            field("grant_type"),
            field("scope"),
            // Scrubbing wrote `jwt` with capitals.
            field("client_assertion_type").to_lowercase(),
        );
        let mut headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
        if exchange.has_proof {
            // Who was told to use a nonce had sent none.
            let nonce = if exchange.answer.status == 400 { None } else { self.nonce.clone() };
            headers.push(("dpop", self.proof("POST", &exchange.target, &json!({"nonce": nonce}))));
        }
        (body, headers)
    }

    /// The headers of a call with the token.
    pub(crate) fn call(&mut self, exchange: &Exchange, target: &str) -> Vec<(&'static str, String)> {
        let token = self.token.clone().unwrap_or_default();
        let ath = URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes()));
        let path = target.split('?').next().unwrap_or_default();
        let proof = self.proof(&exchange.method, path, &json!({"ath": ath}));
        vec![("authorization", format!("DPoP {token}")), ("dpop", proof)]
    }

    pub(crate) fn learn(&mut self, answer: &Answer) {
        let token = answer.body.as_ref().and_then(|body| body["access_token"].as_str());
        self.token = token.map(str::to_owned).or_else(|| self.token.take());
        self.nonce = answer.nonce.clone().or_else(|| self.nonce.take());
    }

    fn proof(&mut self, method: &str, path: &str, more: &Value) -> String {
        let mut claims =
            json!({"htm": method, "htu": format!("{}{path}", self.origin), "iat": seconds(), "jti": self.next()});
        for (name, value) in more.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
            claims[name] = value.clone();
        }
        self.dpop.sign(&json!({"typ": "dpop+jwt", "jwk": self.dpop.jwk()}), &claims)
    }

    fn next(&mut self) -> String {
        self.number += 1;
        self.number.to_string()
    }
}

fn seconds() -> i64 {
    Clock::real().now_millis() / 1000
}
