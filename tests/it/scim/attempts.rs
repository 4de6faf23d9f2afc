//! Whoever tries credentials, secrets, codes and tokens: slowed down way by way, and told in the audit.

use acceptance::TestAgent;
use serde_json::Value;

use super::{client::Client, create, portal::caller};

const FORM: &str = "application/x-www-form-urlencoded";
const REDIRECT: &str = "https://system-admin.okta.com/admin/app/cpc/acme/oauth/callback";

/// The attempts in the audit: in which way, where, by what, with what outcome, and how many.
fn audited(client: &Client, viewer: &str) -> Vec<[String; 5]> {
    let page = client.ask("GET", "/api/v1/audit?action=directory_sign_in", viewer, None).must(200);
    let row = |line: &Value| {
        ["mode", "connection", "account", "outcome", "note"]
            .map(|name| line[name].as_str().unwrap_or_default().to_owned())
    };
    let mut lines: Vec<_> = page["lines"].as_array().expect("a list").iter().map(row).collect();
    lines.sort();
    lines
}

fn tries(client: &Client, target: &str, authorization: &str, form: &str, times: usize) -> Vec<u16> {
    (0..times).map(|_| client.ask_with("POST", target, authorization, FORM, form).status).collect()
}

#[test]
fn each_way_into_each_directory_is_counted_slowed_and_audited_for_itself() {
    let agent = TestAgent::new();
    let token = create(&agent, &[]);
    agent.run(&["directory", "create", "other"]).must_exit(0);
    let oauth = ["--format", "json", "directory", "oauth", "acme", "--redirect", REDIRECT, "--public"];
    let oauth = agent.run(&oauth).must_exit(0).json();
    let client_id = oauth["client_id"].as_str().expect("an id").to_owned();
    let viewer = caller(&agent, "viewer");
    let client = Client::start(&agent, &token);
    let scim = |at: &str, credentials: &str| client.ask("GET", &format!("/scim/v2/{at}/Users"), credentials, None);

    let statuses: Vec<u16> = (0..23).map(|_| scim("ACME", "Bearer nobody.knows-this").status).collect();
    assert_eq!((statuses[19], statuses[20], statuses[22]), (401, 429, 429), "{statuses:?}");
    let slowed = scim("acme", "Bearer nobody.knows-this");
    let wait: u32 = slowed.header("retry-after").and_then(|wait| wait.parse().ok()).expect("whole seconds");
    assert!((1..=61).contains(&wait));
    // Another directory, none at all, the API, OAuth: each has its own patience.
    assert_eq!(scim("other", "Bearer other.half").status, 401);
    assert_eq!(scim("nowhere", "Bearer third.half").status, 401);
    assert_eq!(scim("elsewhere", "Bearer fourth.half").status, 401);
    assert_eq!(client.ask("GET", "/api/v1/directories", "Bearer a.b", None).status, 401);
    scim("acme", &format!("Bearer {token}")).must(200);

    let (endpoint, own) = ("/oauth/acme/token", format!("client_id={client_id}"));
    let wrong_client = tries(&client, endpoint, "", "client_id=stranger&client_secret=wrong", 22);
    assert_eq!((wrong_client[0], wrong_client[19], wrong_client[20]), (401, 401, 429));
    let wrong_token =
        tries(&client, endpoint, "", &format!("{own}&grant_type=refresh_token&refresh_token=abc.def"), 21);
    assert_eq!((wrong_token[0], wrong_token[19], wrong_token[20]), (400, 400, 429));
    let wrong_code = tries(&client, endpoint, "", &format!("{own}&grant_type=authorization_code&code=ghi.jkl"), 1);
    assert_eq!(wrong_code, [429], "codes and refresh tokens are one way");
    let nonsense = tries(&client, endpoint, "", &format!("{own}&grant_type=password"), 1);
    assert_eq!(nonsense, [400], "what is no attempt is not counted");
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let page = format!(
        "/oauth/acme/authorize?response_type=code&{own}&redirect_uri={REDIRECT}&code_challenge={challenge}&code_challenge_method=S256"
    );
    assert_eq!(tries(&client, &page, "", "decision=allow&approval=guessed-wrong", 2), [422, 422]);

    // An agent that ends writes down what is not over yet.
    client.end();
    let client = Client::start(&agent, &token);
    let line = |mode: &str, at: &str, tried: &str, outcome: &str, count: u32| {
        [mode.to_owned(), at.to_owned(), tried.to_owned(), outcome.to_owned(), format!("{count} within a minute")]
    };
    let expected = [
        line("oauth_approval", "acme", "", "refused", 2),
        line("oauth_client", "acme", "stranger", "slowed", 22),
        line("oauth_token", "acme", "abc", "slowed", 22),
        line("scim", "acme", "nobody", "slowed", 24),
        line("scim", "nowhere", "third", "refused", 2),
        line("scim", "other", "other", "refused", 1),
    ];
    assert_eq!(audited(&client, &viewer), expected);
    client.end();
}
