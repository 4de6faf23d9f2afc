//! OAuth 2.0 as Okta's "OAuth 2" mode speaks it: somebody consents, a code becomes tokens, tokens become newer ones; and
//! whatever is stolen, guessed or used twice.

use acceptance::{TestAgent, watch};
use aws_lc_rs::digest::{SHA256, digest};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::Value;
use url::{Url, form_urlencoded::Serializer};

use super::{client::Client, client::Reply, create, okta_user};

const REDIRECT: &str = "https://system-admin.okta.com/admin/app/cpc/acme_1/oauth/callback";
const VERIFIER: &str = "a-verifier-of-more-than-forty-three-letters-0123456789";
const FORM: &str = "application/x-www-form-urlencoded";

/// What `directory oauth` printed.
struct Setup {
    client_id: String,
    secret: Option<String>,
    code: String,
}

fn set_up(agent: &TestAgent, further: &[&str]) -> Setup {
    let report =
        agent.run(&[&["--format", "json", "directory", "oauth", "acme"], further].concat()).must_exit(0).json();
    let text = |name: &str| report[name].as_str().map(str::to_owned);
    let setup = Setup {
        client_id: text("client_id").expect("an id"),
        secret: text("client_secret"),
        code: text("approval_code").expect("a code"),
    };
    watch(&setup.code);
    setup.secret.iter().for_each(|secret| watch(secret));
    setup
}

fn form(pairs: &[(&str, &str)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn challenge() -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes()))
}

/// The address of the page for what Okta asks.
fn page(client_id: &str, further: &[(&str, &str)]) -> String {
    let asked = [("response_type", "code"), ("client_id", client_id), ("redirect_uri", REDIRECT), ("state", "s&1")];
    format!("/oauth/ACME/authorize?{}", form(&[&asked, further].concat()))
}

fn allow(client: &Client, page: &str, code: &str) -> Reply {
    client.ask_with("POST", page, "", FORM, &form(&[("decision", "allow"), ("approval", code)]))
}

/// What the browser is sent back with.
fn sent_back(reply: &Reply) -> Vec<(String, String)> {
    assert_eq!(reply.status, 303, "{}", reply.body);
    let location = reply.header("location").expect("a location");
    assert!(location.starts_with(&format!("{REDIRECT}?")), "{location}");
    Url::parse(location).expect("an address").query_pairs().into_owned().collect()
}

fn of(pairs: &[(String, String)], name: &str) -> String {
    pairs.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("{name} is in {pairs:?}")).1.clone()
}

/// Consents and takes the code out of the address.
fn code(client: &Client, agent: &TestAgent) -> (Setup, String) {
    let setup = set_up(agent, &[]);
    let page = page(&setup.client_id, &[("code_challenge", &challenge()), ("code_challenge_method", "S256")]);
    let code = of(&sent_back(&allow(client, &page, &setup.code)), "code");
    watch(code.split('.').next_back().expect("a half"));
    (setup, code)
}

fn basic(setup: &Setup, secret: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{}:{secret}", setup.client_id)))
}

fn token(client: &Client, authorization: &str, pairs: &[(&str, &str)]) -> Reply {
    client.ask_with("POST", "/oauth/acme/token", authorization, FORM, &form(pairs))
}

fn by_code(code: &str) -> [(&str, &str); 4] {
    [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", REDIRECT), ("code_verifier", VERIFIER)]
}

fn tokens(reply: Reply) -> (String, String) {
    let body = reply.must(200);
    assert_eq!((&body["token_type"], &body["expires_in"]), (&Value::from("Bearer"), &Value::from(3600)));
    let text = |name: &str| body[name].as_str().expect("a token").to_owned();
    for token in [text("access_token"), text("refresh_token")] {
        watch(token.split('.').next_back().expect("a half"));
    }
    (text("access_token"), text("refresh_token"))
}

fn opens(client: &Client, access: &str) -> bool {
    client.ask("GET", "/scim/v2/acme/Users", &format!("Bearer {access}"), None).status == 200
}

#[test]
fn okta_is_allowed_in_gets_tokens_and_renews_them_until_they_are_taken_back() {
    let agent = TestAgent::new();
    let client = Client::start(&agent, &create(&agent, &[]));
    let first = set_up(&agent, &["--redirect", REDIRECT, "--service-user", "okta-sync"]);
    let secret = first.secret.clone().expect("a secret is printed");
    let address = page(&first.client_id, &[]);
    let shown = client.ask("GET", &address, "", None);
    let text = shown.body.as_str().expect("a page");
    for told in ["okta-sync", "acme", "system-admin.okta.com", "deactivate users"] {
        assert!(shown.status == 200 && text.contains(told), "{told} in {text}");
    }
    let policy = shown.header("content-security-policy").expect("a policy");
    assert!(policy.contains("form-action 'self' https://system-admin.okta.com;"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !text.contains("<script"), "{policy}");

    // Not allowed; then by a wrong code; then by the right one, which is good once.
    let denied = client.ask_with("POST", &address, "", FORM, "decision=deny");
    let denied = sent_back(&denied);
    assert_eq!((of(&denied, "error").as_str(), of(&denied, "state").as_str()), ("access_denied", "s&1"));
    assert_eq!(allow(&client, &address, "wrong").status, 422);
    let allowed = sent_back(&allow(&client, &address, &first.code));
    assert_eq!(of(&allowed, "state"), "s&1");
    assert_eq!(allow(&client, &address, &first.code).status, 422, "a code of approval is good once");

    // Without PKCE, since a client with a secret may; its secret in the form.
    let code = of(&allowed, "code");
    let proof = [("client_id", first.client_id.as_str()), ("client_secret", &secret)];
    let plain = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", REDIRECT)];
    let (access, refresh) = tokens(token(&client, "", &[&plain[..], &proof].concat()));
    let user = client.ask("POST", "/scim/v2/acme/Users", &format!("Bearer {access}"), Some(&okta_user("ada", "00u")));
    user.must(201);
    // Who it was stays the same when the tokens change.
    let log = agent.run(&["--format", "json", "directory", "events", "acme"]).must_exit(0).json();
    let actor = log["events"][0]["actor"].as_str().expect("somebody").to_owned();
    assert!(actor.starts_with(&format!("okta-sync (OAuth client {}, grant ", first.client_id)), "{actor}");
    let renew = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
    let (lost, lost_too) = tokens(token(&client, &basic(&first, &secret), &renew));
    // The answer is lost on its way: the client asks again, and what was lost is good no more.
    let (renewed, newer) = tokens(token(&client, &basic(&first, &secret), &renew));
    assert!(!opens(&client, &lost) && lost_too != newer);
    assert!(opens(&client, &renewed) && opens(&client, &access));
    assert!(!opens(&client, &newer), "a refresh token opens nothing");
    let again = client.ask("POST", "/scim/v2/acme/Users", &format!("Bearer {renewed}"), Some(&okta_user("bob", "00v")));
    again.must(201);
    let log = agent.run(&["--format", "json", "directory", "events", "acme"]).must_exit(0).json();
    assert_eq!(log["events"][1]["actor"], actor.as_str());
    let listed = agent.run(&["--format", "json", "directory", "list"]).must_exit(0).json();
    let used = |it: &Value| it["last_used_ms"].as_i64();
    let listed = &listed["directories"][0];
    assert!(used(&listed["oauth"]).is_some() && used(&listed["secrets"][0]).is_none(), "{listed}");
    let shown = client.ask("GET", "/api/v1/directories/acme", &super::portal::caller(&agent, "viewer"), None).must(200);
    assert_eq!((used(&shown), &shown["oauth"]["service_user"]), (used(&listed["oauth"]), &Value::from("okta-sync")));
    let config = client.ask("GET", "/scim/v2/acme/ServiceProviderConfig", &format!("Bearer {renewed}"), None).must(200);
    let schemes = config["authenticationSchemes"].as_array().expect("a list");
    let schemes: Vec<&str> = schemes.iter().filter_map(|it| it["type"].as_str()).collect();
    assert_eq!(
        (schemes, &config["changePassword"]["supported"]),
        (vec!["oauth2", "oauthbearertoken"], &Value::from(false))
    );

    // The former refresh token comes again: somebody has stolen it, and nothing of this consent is good any more.
    let stolen = token(&client, &basic(&first, &secret), &renew).must(400);
    assert_eq!(stolen["error"], "invalid_grant");
    super::client::until(|| !opens(&client, &renewed) && !opens(&client, &access));
    let late = [("grant_type", "refresh_token"), ("refresh_token", newer.as_str())];
    assert_eq!(token(&client, &basic(&first, &secret), &late).must(400)["error"], "invalid_grant");

    // Rotating and removing take back what is out.
    let (again, code) = self::code(&client, &agent);
    assert!(again.secret.is_none() && again.client_id == first.client_id, "they stay until others are asked for");
    let (access, _) = tokens(token(&client, &basic(&first, &secret), &by_code(&code)));
    assert!(opens(&client, &access));
    let rotated = agent.run(&["--format", "json", "directory", "rotate", "acme"]).must_exit(0).json();
    watch(rotated["token"].as_str().expect("a token"));
    super::client::until(|| !opens(&client, &access));
    agent.run(&["directory", "oauth", "acme", "--off"]).must_exit(0);
    assert_eq!(client.ask("GET", &address, "", None).status, 400);
    client.end();
}

#[test]
fn codes_are_good_once_for_one_client_one_address_and_one_verifier() {
    let agent = TestAgent::new();
    let client = Client::start(&agent, &create(&agent, &[]));
    let secret = set_up(&agent, &["--redirect", REDIRECT]).secret.expect("a secret");
    let with = |setup: &Setup| basic(setup, &secret);
    let wrong_verifier = "another-verifier-of-more-than-forty-three-letters";
    for (name, value) in [
        ("code_verifier", wrong_verifier),
        ("code_verifier", ""),
        ("redirect_uri", "https://system-admin.okta.com/admin/app/cpc/acme_2/oauth/callback"),
        ("redirect_uri", ""),
    ] {
        let (setup, code) = code(&client, &agent);
        let pairs = by_code(&code).map(|(known, right)| (known, if known == name { value } else { right }));
        assert_eq!(token(&client, &with(&setup), &pairs).must(400)["error"], "invalid_grant", "{name}={value}");
        // It was in the wrong hands.
        assert_eq!(token(&client, &with(&setup), &by_code(&code)).must(400)["error"], "invalid_grant");
    }
    let (setup, code) = code(&client, &agent);
    let (access, _) = tokens(token(&client, &with(&setup), &by_code(&code)));
    assert!(opens(&client, &access));
    assert_eq!(token(&client, &with(&setup), &by_code(&code)).must(400)["error"], "invalid_grant");
    super::client::until(|| !opens(&client, &access));

    // Who the client is.
    for (authorization, error, status) in [
        (basic(&setup, "wrong"), "invalid_client", 401),
        (basic(&setup, ""), "invalid_client", 401),
        ("Bearer x".to_owned(), "invalid_request", 400),
        (String::new(), "invalid_request", 400),
    ] {
        assert_eq!(token(&client, &authorization, &by_code("a.b")).must(status)["error"], error, "{authorization}");
    }
    for (pairs, error) in [
        (vec![("grant_type", "password")], "unsupported_grant_type"),
        (vec![("code", "a.b")], "invalid_request"),
        (vec![("grant_type", "refresh_token")], "invalid_request"),
        (vec![("grant_type", "refresh_token"), ("refresh_token", "a.b")], "invalid_grant"),
        (vec![("grant_type", "refresh_token"), ("grant_type", "refresh_token")], "invalid_request"),
        (vec![("client_secret", secret.as_str())], "invalid_request"),
    ] {
        let reply = token(&client, &with(&setup), &pairs);
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        assert_eq!(reply.must(400)["error"], error, "{pairs:?}");
    }
    let elsewhere = client.ask_with("POST", "/oauth/nowhere/token", &with(&setup), FORM, &form(&by_code("a.b")));
    assert_eq!(elsewhere.must(401)["error"], "invalid_client");
    client.end();
}

#[test]
fn nobody_is_sent_where_the_client_was_not_set_up_to_be_sent() {
    let agent = TestAgent::new();
    let client = Client::start(&agent, &create(&agent, &[]));
    agent.run(&["directory", "oauth", "acme"]).must_exit(3);
    for bad in ["http://example.com/back", "https://*.okta.com/back", "https://x/#part", "nowhere"] {
        agent.run(&["directory", "oauth", "acme", "--redirect", bad]).must_exit(3);
    }
    let setup = set_up(&agent, &["--redirect", REDIRECT, "--public"]);
    assert!(setup.secret.is_none());
    for (client_id, redirect) in [
        ("unknown", REDIRECT),
        (&*setup.client_id, "https://system-admin.okta.com/admin/app/cpc/acme_1/oauth/callback/"),
        (&*setup.client_id, "https://system-admin.okta.com.example.com/"),
        (&*setup.client_id, ""),
    ] {
        let asked = [("response_type", "code"), ("client_id", client_id), ("redirect_uri", redirect)];
        let page = client.ask("GET", &format!("/oauth/acme/authorize?{}", form(&asked)), "", None);
        assert!(page.status == 400 && page.header("location").is_none(), "{redirect}");
    }
    let pkce = challenge();
    for (further, error) in [
        (vec![], "invalid_request"),
        (vec![("code_challenge", &*pkce)], "invalid_request"),
        (vec![("code_challenge", &*pkce), ("code_challenge_method", "plain")], "invalid_request"),
        (vec![("code_challenge", "short"), ("code_challenge_method", "S256")], "invalid_request"),
        (vec![("response_type", "token")], "invalid_request"),
    ] {
        let refused = sent_back(&client.ask("GET", &page(&setup.client_id, &further), "", None));
        assert_eq!(of(&refused, "error"), error, "{further:?}");
    }
    let implicit = [("response_type", "token"), ("client_id", &*setup.client_id), ("redirect_uri", REDIRECT)];
    let refused = client.ask("GET", &format!("/oauth/acme/authorize?{}", form(&implicit)), "", None);
    assert_eq!(of(&sent_back(&refused), "error"), "unsupported_response_type");

    // A public client proves itself by its verifier alone.
    let page = page(&setup.client_id, &[("code_challenge", &pkce), ("code_challenge_method", "S256")]);
    let code = of(&sent_back(&allow(&client, &page, &setup.code)), "code");
    let own = [("client_id", setup.client_id.as_str())];
    let (access, _) = tokens(token(&client, "", &[&by_code(&code)[..], &own].concat()));
    assert!(opens(&client, &access));
    client.end();
}
