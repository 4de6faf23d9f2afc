//! OAuth 2.0 from outside: a service app that signs for real, and everything the sandbox refuses.

use std::cell::Cell;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use okta_sandbox::{Clock, KeyPair, Sandbox, SandboxConfig, Seed, ServiceApp};
use serde_json::{Value, json};

use crate::client::{Reply, get, send};

const START: i64 = 1_760_000_000_000;
const CLIENT: &str = "0oaservice";
const EXPORT: &str = "okta.users.read okta.groups.read okta.apps.read";

thread_local! {
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

/// A value never used before.
fn fresh() -> String {
    NUMBER.with(|number| {
        number.set(number.get() + 1);
        format!("jti-{}", number.get())
    })
}

/// A service app on a sandbox of its own.
struct App {
    sandbox: Sandbox,
    clock: Clock,
    key: KeyPair,
    dpop: KeyPair,
}

impl App {
    async fn start(change: impl FnOnce(ServiceApp) -> ServiceApp) -> Self {
        let (clock, key) = (Clock::manual(START), KeyPair::rsa("k1"));
        let config = SandboxConfig { seed: Seed::exact(5, 3, 2, 1), clock: clock.clone(), ..SandboxConfig::default() };
        let sandbox = Sandbox::start(config).await.unwrap();
        let app = change(ServiceApp::new(CLIENT, json!({"keys": [key.jwk()]})));
        sandbox.with_org(|org| org.add_service_app(app)).unwrap();
        Self { sandbox, clock, key, dpop: KeyPair::ec("") }
    }

    fn now(&self) -> i64 {
        self.clock.now_millis() / 1000
    }

    fn endpoint(&self) -> String {
        format!("{}/oauth2/v1/token", self.sandbox.url().replace("127.0.0.1", "o").replace(&self.port(), ""))
    }

    /// The client of these tests calls the host `o`.
    fn port(&self) -> String {
        format!(":{}", self.sandbox.url().rsplit(':').next().unwrap())
    }

    fn claims(&self) -> Value {
        json!({"iss": CLIENT, "sub": CLIENT, "aud": self.endpoint(), "iat": self.now(), "exp": self.now() + 300, "jti": fresh()})
    }

    fn form(&self, claims: &Value, scope: &str) -> String {
        let assertion = self.key.sign(&json!({"kid": self.key.kid()}), claims);
        format!(
            "grant_type=client_credentials&scope={}&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}",
            scope.replace(' ', "+")
        )
    }

    fn proof(&self, claims: &Value) -> String {
        let proof = self.dpop.sign(&json!({"typ": "dpop+jwt", "jwk": self.dpop.jwk()}), claims);
        format!("DPoP: {proof}\r\n")
    }

    fn post(&self, headers: &str, form: &str) -> Reply {
        let headers = format!("Content-Type: application/x-www-form-urlencoded\r\n{headers}");
        send(&self.sandbox, "POST", "/oauth2/v1/token", &headers, form).unwrap()
    }

    fn token_proof(&self, nonce: Option<&str>) -> String {
        let mut claims = json!({"htm": "POST", "htu": self.endpoint(), "iat": self.now(), "jti": fresh()});
        if let Some(nonce) = nonce {
            claims["nonce"] = nonce.into();
        }
        self.proof(&claims)
    }

    /// A token by the whole exchange.
    fn token(&self, scope: &str) -> String {
        let first = self.post(&self.token_proof(None), &self.form(&self.claims(), scope));
        assert_eq!((first.status, first.json()["error"].as_str()), (400, Some("use_dpop_nonce")));
        let proof = self.token_proof(first.one("dpop-nonce"));
        let second = self.post(&proof, &self.form(&self.claims(), scope));
        let answer = second.json();
        assert_eq!((second.status, answer["token_type"].as_str()), (200, Some("DPoP")), "{answer}");
        assert_eq!((&answer["expires_in"], &answer["scope"]), (&json!(3600), &json!(scope)));
        answer["access_token"].as_str().unwrap().to_owned()
    }

    fn call_claims(&self, token: &str, method: &str, path: &str) -> Value {
        let address = self.endpoint().replace("/oauth2/v1/token", path);
        json!({"htm": method, "htu": address, "iat": self.now(), "jti": fresh(), "ath": sha256(token)})
    }

    /// A call as it should be, with whatever is laid over the claims of its proof.
    fn call(&self, token: &str, method: &str, target: &str, over: &Value) -> Reply {
        let mut claims = self.call_claims(token, method, target.split('?').next().unwrap());
        over.as_object().into_iter().flatten().for_each(|(name, value)| claims[name] = value.clone());
        let headers = format!("Authorization: DPoP {token}\r\n{}", self.proof(&claims));
        send(&self.sandbox, method, target, &headers, "").unwrap()
    }
}

fn sha256(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()))
}

fn refusal(reply: &Reply) -> (u16, String) {
    (reply.status, reply.json()["error"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_app_gets_a_token_and_reads_with_it() {
    let app = App::start(|app| app).await;
    let token = app.token(EXPORT);
    let users = app.call(&token, "GET", "/api/v1/users?limit=2", &Value::Null);
    assert_eq!((users.status, users.ids().len()), (200, 2));
    let me = app.call(&token, "GET", "/api/v1/users/me", &Value::Null);
    assert_eq!(me.status, 404, "an app is no user");
    let journal = app.sandbox.journal();
    assert_eq!(journal.last().unwrap().principal, CLIENT);
    assert!(journal.iter().all(|exchange| !format!("{exchange:?}").contains(&token)));
    app.clock.advance(Duration::from_secs(3600));
    let late = app.call(&token, "GET", "/api/v1/users", &Value::Null);
    assert_eq!((late.status, late.json()["errorCode"].as_str()), (401, Some("E0000011")));
    assert!(late.one("www-authenticate").unwrap().contains("invalid_token"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_must_be_right_in_every_claim_and_new() {
    let app = App::start(ServiceApp::bearer).await;
    let good = app.form(&app.claims(), EXPORT);
    let first = app.post("", &good);
    assert_eq!((first.status, first.json()["token_type"].as_str()), (200, Some("Bearer")));
    assert_eq!(refusal(&app.post("", &good)), (401, "invalid_client".to_owned()), "replayed");
    for (name, bad) in [
        ("iss", json!("0oaother")),
        ("sub", json!("0oaother")),
        ("aud", json!("https://elsewhere.example/oauth2/v1/token")),
        ("aud", json!("http://o")),
        ("exp", json!(app.now())),
        ("exp", json!(app.now() + 3601)),
        ("exp", Value::Null),
        ("iat", json!(app.now() + 900)),
        ("jti", Value::Null),
    ] {
        let mut claims = app.claims();
        claims[name] = bad.clone();
        let refused = app.post("", &app.form(&claims, EXPORT));
        assert_eq!(refusal(&refused), (401, "invalid_client".to_owned()), "{name} {bad}");
    }
    let mut forged = app.form(&app.claims(), EXPORT);
    forged.replace_range(forged.len() - 8..forged.len() - 4, "AAAA");
    assert_eq!(refusal(&app.post("", &forged)).1, "invalid_client");
    let other = App { key: KeyPair::ec("k1"), ..app };
    assert_eq!(refusal(&other.post("", &other.form(&other.claims(), EXPORT))).1, "invalid_client");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_rotate_and_inactive_ones_verify_nothing() {
    let app = App::start(ServiceApp::bearer).await;
    let status = |app: &App| app.post("", &app.form(&app.claims(), EXPORT)).status;
    let keys = |keys: Value| app.sandbox.with_org(|org| org.set_service_app_keys(CLIENT, keys)).unwrap();
    keys(json!(app.key.public_pem()));
    assert_eq!(status(&app), 200, "PEM has no key id: the only key is meant");
    let mut retired = app.key.jwk();
    retired["status"] = "INACTIVE".into();
    keys(json!({"keys": [retired, KeyPair::ec("k2").jwk()]}));
    assert_eq!(status(&app), 401);
    assert!(app.sandbox.with_org(|org| org.set_service_app_keys(CLIENT, json!({"kty": "oct", "k": "AA"}))).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_and_grants_are_refused_as_okta_does() {
    let app = App::start(|app| app.bearer().scopes(&["okta.users.read"])).await;
    for scope in ["", "okta.users.manage", "okta.nonsense.read", "okta.users.read okta.groups.read"] {
        let refused = app.post("", &app.form(&app.claims(), scope));
        assert_eq!(refusal(&refused), (400, "invalid_scope".to_owned()), "{scope}");
    }
    let other = app.form(&app.claims(), "okta.users.read").replace("client_credentials", "password");
    assert_eq!(refusal(&app.post("", &other)), (400, "unsupported_grant_type".to_owned()));
    assert_eq!(send(&app.sandbox, "GET", "/oauth2/v1/token", "", "").unwrap().status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proof_of_possession_is_required_and_used_once() {
    let app = App::start(|app| app).await;
    let without = app.post("", &app.form(&app.claims(), EXPORT));
    assert_eq!(refusal(&without), (400, "invalid_dpop_proof".to_owned()));
    assert_eq!(without.json()["error_description"], "The DPoP proof JWT header is missing.");
    let nonce = app.post(&app.token_proof(None), &app.form(&app.claims(), EXPORT));
    let proof = app.token_proof(nonce.one("dpop-nonce"));
    assert_eq!(app.post(&proof, &app.form(&app.claims(), EXPORT)).status, 200);
    let again = app.post(&proof, &app.form(&app.claims(), EXPORT));
    assert_eq!(refusal(&again), (400, "invalid_dpop_proof".to_owned()), "replayed");
    let rotated = app.token_proof(nonce.one("dpop-nonce"));
    app.sandbox.with_org(|org| org.rotate_dpop_nonce());
    assert_eq!(app.post(&rotated, &app.form(&app.claims(), EXPORT)).status, 200, "the former is still good");
    app.clock.advance(Duration::from_secs(3 * 86_400));
    let old = app.post(&app.token_proof(nonce.one("dpop-nonce")), &app.form(&app.claims(), EXPORT));
    assert_eq!(refusal(&old), (400, "use_dpop_nonce".to_owned()));
    assert_ne!(old.one("dpop-nonce"), nonce.one("dpop-nonce"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_token_is_worth_nothing_without_its_proof() {
    let app = App::start(|app| app).await;
    let token = app.token(EXPORT);
    let path = "/api/v1/users";
    let challenged = |reply: &Reply, error: &str| {
        let challenge = reply.one("www-authenticate").unwrap_or_default();
        assert!(reply.status == 401 && challenge.contains(error), "{} {challenge}", reply.status);
    };
    for over in [
        json!({"htm": "POST"}),
        json!({"htu": "http://o/api/v1/groups"}),
        json!({"htu": "http://elsewhere/api/v1/users"}),
        json!({"ath": sha256("another token")}),
        json!({"iat": app.now() - 301}),
    ] {
        challenged(&app.call(&token, "GET", path, &over), "invalid_dpop_proof");
    }
    let once = json!({"jti": "once"});
    assert_eq!(app.call(&token, "GET", path, &once).status, 200);
    challenged(&app.call(&token, "GET", path, &once), "invalid_dpop_proof");
    let bearer = format!("Authorization: Bearer {token}\r\n");
    challenged(&send(&app.sandbox, "GET", path, &bearer, "").unwrap(), "invalid_token");
    let bare = format!("Authorization: DPoP {token}\r\n");
    challenged(&send(&app.sandbox, "GET", path, &bare, "").unwrap(), "invalid_dpop_proof");
    let thief = App { dpop: KeyPair::ec(""), ..app };
    challenged(&thief.call(&token, "GET", path, &Value::Null), "invalid_dpop_proof");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_can_ask_for_a_nonce_too() {
    let app = App::start(|app| app).await;
    let token = app.token(EXPORT);
    app.sandbox.with_org(|org| org.require_api_nonce(true));
    let asked = app.call(&token, "GET", "/api/v1/groups", &Value::Null);
    assert!(asked.status == 401 && asked.one("www-authenticate").unwrap().contains("use_dpop_nonce"));
    let nonce = asked.one("dpop-nonce").unwrap();
    assert_eq!(app.call(&token, "GET", "/api/v1/groups", &json!({"nonce": nonce})).status, 200);
    app.sandbox.with_org(|org| org.forget_dpop_nonces());
    assert_eq!(app.call(&token, "GET", "/api/v1/groups", &json!({"nonce": nonce})).status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_need_their_scope_and_the_app_a_role() {
    let app = App::start(|app| app).await;
    let token = app.token("okta.users.read okta.groups.manage");
    let call = |method: &str, path: &str| app.call(&token, method, path, &Value::Null);
    assert_eq!(call("GET", "/api/v1/groups").status, 200, "manage holds read");
    for (method, path) in [("POST", "/api/v1/users"), ("GET", "/api/v1/apps"), ("GET", "/api/v1/logs")] {
        let refused = call(method, path);
        assert_eq!((refused.status, refused.json()["errorCode"].as_str()), (403, Some("E0000006")), "{path}");
        assert!(refused.one("www-authenticate").unwrap().contains("insufficient_scope"));
    }
    app.sandbox.with_org(|org| org.set_admin_role(CLIENT, false));
    let users = call("GET", "/api/v1/users?limit=1");
    assert_eq!((users.status, users.json(), users.all("link").len()), (200, json!([]), 1));
    assert_eq!(call("GET", "/api/v1/groups").json()["errorCode"], "E0000006");
    app.sandbox.with_org(|org| org.remove_service_app(CLIENT));
    assert_eq!(call("GET", "/api/v1/users").status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn principals_show_their_share_and_tokens_their_idle_days() {
    let clock = Clock::manual(START);
    let config = SandboxConfig {
        limits: okta_sandbox::Limits::Workforce,
        clock: clock.clone(),
        seed: Seed::exact(2, 1, 0, 0),
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config).await.unwrap();
    sandbox.with_org(|org| org.add_service_app(ServiceApp::new(CLIENT, KeyPair::ec("k").jwk()))).unwrap();
    let filter = |kind: &str| format!("/api/v1/principal-rate-limits?filter=principalType+eq+%22{kind}%22");
    assert_eq!(get(&sandbox, "/api/v1/users").one("x-rate-limit-limit"), Some("300"));
    sandbox.with_org(|org| org.set_share(sandbox.token(), 20) && org.set_share(CLIENT, 70));
    assert_eq!(get(&sandbox, "/api/v1/users").one("x-rate-limit-limit"), Some("120"));
    assert_eq!(get(&sandbox, &filter("SSWS_TOKEN")).json()[0]["defaultPercentage"], 20);
    let app = &get(&sandbox, &filter("OAUTH_CLIENT")).json()[0];
    assert_eq!((&app["principalId"], &app["defaultPercentage"]), (&json!(CLIENT), &json!(70)));
    let tokens = get(&sandbox, "/api/v1/api-tokens").json();
    assert_eq!(tokens[0]["expiresAt"], "2025-11-08T08:53:20.000Z");
    clock.advance(Duration::from_secs(29 * 86_400));
    assert_eq!(get(&sandbox, "/api/v1/users").status, 200, "use keeps a token alive");
    sandbox.with_org(|org| org.set_token_expires(sandbox.token(), clock.now_millis() + 1000));
    clock.advance(Duration::from_secs(1));
    assert_eq!(get(&sandbox, "/api/v1/users").status, 401);
}
