//! Sign-in by OpenID Connect from outside: a web app that follows the redirect and checks what it gets.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use okta_sandbox::{Sandbox, Seed, Status, WebApp};
use serde_json::{Value, json};

use crate::client::{Reply, send, started};

const BACK: &str = "http://127.0.0.1:9/back";
const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-0123";

async fn prepared() -> Sandbox {
    let sandbox = started(Seed::exact(3, 2, 0, 1)).await;
    sandbox.with_org(|org| {
        org.add_web_app(WebApp {
            client_id: "0oaweb".to_owned(),
            client_secret: Some("secret".to_owned()),
            redirect_uris: vec![BACK.to_owned()],
            user: "admin@example.com".to_owned(),
        });
    });
    sandbox
}

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, VERIFIER.as_bytes()))
}

fn authorize(sandbox: &Sandbox, change: (&str, &str)) -> Reply {
    let query = format!(
        "client_id=0oaweb&response_type=code&scope=openid+email+groups&redirect_uri={}&state=st&nonce=nn&code_challenge={}&code_challenge_method=S256",
        BACK.replace(':', "%3A").replace('/', "%2F"),
        challenge()
    );
    let query = query.replacen(change.0, change.1, 1);
    send(sandbox, "GET", &format!("/oauth2/v1/authorize?{query}"), "", "").unwrap()
}

fn parameter(reply: &Reply, name: &str) -> Option<String> {
    let (_, query) = reply.one("location")?.split_once('?')?;
    query.split('&').find_map(|pair| Some(pair.strip_prefix(name)?.strip_prefix('=')?.to_owned()))
}

fn redeem(sandbox: &Sandbox, code: &str, verifier: &str, secret: &str) -> Reply {
    let basic = STANDARD.encode(format!("0oaweb:{secret}"));
    let form = format!("grant_type=authorization_code&code={code}&redirect_uri={BACK}&code_verifier={verifier}");
    send(sandbox, "POST", "/oauth2/v1/token", &format!("Authorization: Basic {basic}\r\n"), &form).unwrap()
}

fn claims(token: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_signs_in_to_a_web_app() {
    let sandbox = prepared().await;
    let discovery = send(&sandbox, "GET", "/.well-known/openid-configuration", "", "").unwrap().json();
    assert_eq!((&discovery["issuer"], &discovery["jwks_uri"]), (&json!("http://o"), &json!("http://o/oauth2/v1/keys")));
    let redirected = authorize(&sandbox, ("", ""));
    assert_eq!((redirected.status, parameter(&redirected, "state").as_deref()), (302, Some("st")));
    let code = parameter(&redirected, "code").unwrap();
    let answer = redeem(&sandbox, &code, VERIFIER, "secret").json();
    let token = answer["id_token"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let claims = claims(token);
    for (name, expected) in [
        ("iss", json!("http://o")),
        ("aud", json!("0oaweb")),
        ("nonce", json!("nn")),
        ("preferred_username", json!("admin@example.com")),
    ] {
        assert_eq!(claims[name], expected, "{name}");
    }
    assert!(claims["groups"].as_array().unwrap().contains(&json!("Everyone")));
    let key = send(&sandbox, "GET", "/oauth2/v1/keys", "", "").unwrap().json()["keys"][0].clone();
    assert!(is_signed(token, &key));
    let bearer = format!("Authorization: Bearer {}\r\n", answer["access_token"].as_str().unwrap());
    let info = send(&sandbox, "GET", "/oauth2/v1/userinfo", &bearer, "").unwrap().json();
    assert_eq!(info["sub"], claims["sub"]);
    assert_eq!(redeem(&sandbox, &code, VERIFIER, "secret").json()["error"], "invalid_grant", "a code is good once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_is_not_right_is_refused() {
    let sandbox = prepared().await;
    for (change, status, error) in [
        (("client_id=0oaweb", "client_id=0oaother"), 400, None),
        (("back", "elsewhere"), 400, None),
        (("response_type=code", "response_type=token"), 302, Some("unsupported_response_type")),
        (("openid", "profile"), 302, Some("invalid_scope")),
        (("S256", "plain"), 302, Some("invalid_request")),
    ] {
        let refused = authorize(&sandbox, change);
        assert_eq!((refused.status, parameter(&refused, "error").as_deref()), (status, error), "{change:?}");
        assert_eq!(parameter(&refused, "code"), None);
    }
    for (verifier, secret, error) in [("another", "secret", "invalid_grant"), (VERIFIER, "guess", "invalid_client")] {
        let code = parameter(&authorize(&sandbox, ("", "")), "code").unwrap();
        assert_eq!(redeem(&sandbox, &code, verifier, secret).json()["error"], error);
    }
    sandbox.with_org(|org| org.set_user_status("admin@example.com", Status::Suspended));
    assert_eq!(parameter(&authorize(&sandbox, ("", "")), "error").as_deref(), Some("access_denied"));
}

fn is_signed(token: &str, jwk: &Value) -> bool {
    let (message, signature) = token.rsplit_once('.').unwrap();
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let key = aws_lc_rs::signature::RsaPublicKeyComponents { n: bytes("n"), e: bytes("e") };
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    key.verify(&aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature).is_ok()
}
