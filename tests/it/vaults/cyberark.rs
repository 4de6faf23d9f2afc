//! CyberArk's Central Credential Provider, played by a stand-in behind mutual TLS that follows its page on GetPassword.

use acceptance::TestAgent;
use serde_json::{Value, json};

use super::{
    API_KEY, agent, assert_refused, assert_works,
    authority::{Authority, Issued},
    run,
    server::{Asked, Server, Told},
};

const FILE: &str = "appsettings.cyberArk.agent.json";

/// A provider, who knows its clients by `clients`.
fn provider(authority: &Authority, clients: &Authority, organisation: &str) -> Server {
    let organisation = organisation.to_owned();
    Server::tls(authority, Some(clients), move |asked| answer(asked, &organisation))
}

fn answer(asked: &Asked, organisation: &str) -> Told {
    let asks = |name: &str| asked.query.get(name).map_or("", String::as_str);
    let error = |status, code: &str| {
        Told::json(
            status,
            &json!({ "ErrorCode": code, "ErrorMsg": format!("{code}: Safe={};Object={API_KEY}", asks("Safe")) }),
        )
    };
    match (asked.path.as_str(), asks("AppID"), asks("Safe"), asks("Object")) {
        ("/AIMWebService/api/Accounts", "the-agent", "Okta & more", object) => match object {
            "okta token" => Told::json(
                200,
                &json!({ "Content": API_KEY, "UserName": "agent", "Address": organisation, "PasswordChangeInProcess": "False" }),
            ),
            "no address" => Told::json(200, &json!({ "Content": API_KEY, "UserName": "agent" })),
            "nonsense" => Told::Text(200, format!("<html>{API_KEY}")),
            "failing" => error(500, "AIMWS030E"),
            _ => error(404, "APPAP004E"),
        },
        ("/AIMWebService/api/Accounts", "the-agent", ..) => error(403, "APPAP306E"),
        _ => error(404, "none"),
    }
}

struct Rig {
    provider: Server,
    agent: TestAgent,
    client: Issued,
}

/// An agent that reads these settings of its connection from accounts.
fn rig(accounts: &Value) -> Rig {
    let (authority, clients) = (Authority::new("authority of the provider"), Authority::new("authority of clients"));
    let agent = agent("None", &Value::Null);
    let provider = provider(&authority, &clients, &agent.sandbox.url());
    let section = json!({
        "UseCyberArkSetting": "True", "SafeName": "Okta & more", "ApplicationId": "the-agent",
        "Server": provider.url.trim_start_matches("https://"), "File": "client.pem", "CaFile": "ca.pem", "TimeoutSeconds": 5,
    });
    agent.write("appsettings.json", &json!({ "CyberArk": section }).to_string());
    agent.write(FILE, &json!({ "Connections": { "OktaExportFulfillment": accounts } }).to_string());
    agent.write("ca.pem", &authority.pem());
    let client = clients.issue("the-agent");
    agent.write("client.pem", &client.pem);
    Rig { provider, agent, client }
}

#[test]
fn an_account_gives_address_and_token_and_is_asked_once() {
    let Rig { provider, agent, .. } = rig(&json!({ "Server": "okta token", "ApiKey": "okta token" }));
    agent.set("Server", Value::Null);
    run(&agent, &[], &["check"], &[]).must_exit(0);
    assert_eq!(provider.asked().len(), 1);
    assert_works(&agent, &[], &[]);
}

#[test]
fn the_certificate_may_be_a_pfx_file() {
    let rig = rig(&json!({ "ApiKey": "okta token" }));
    rig.client.write_pfx(&rig.agent.directory().join("client.pem"), "the-password");
    assert_works(&rig.agent, &[("CyberArk__Password", "the-password")], &["the-password"]);
}

#[test]
fn accounts_that_cannot_be_used_are_told_all_at_once() {
    let rig = rig(&json!({
        "ApiKey": "missing", "Server": "no address", "Password": "nonsense", "Tables": "okta token",
    }));
    let agent = &rig.agent;
    let texts = [
        "appsettings.cyberArk.agent.json:1:",
        "`Connections:OktaExportFulfillment:Tables` gets nothing of an account",
        "`Connections:OktaExportFulfillment:Server` wants `Address` of the account `no address`, which has none",
        "reading the account `missing` of the safe `Okta & more` for `Connections:OktaExportFulfillment:ApiKey`",
        "there is no such thing in the vault (404)",
        "reading the account `nonsense`",
    ];
    assert_refused(agent, &[], &[], 3, &texts);
}

#[test]
fn a_right_that_is_missing_and_a_provider_that_is_down_have_their_exit_codes() {
    let rig = rig(&json!({ "ApiKey": "okta token" }));
    let agent = &rig.agent;
    assert_refused(agent, &[("CyberArk__SafeName", "Other")], &[], 4, &["the vault refuses it (403)"]);
    rig.agent.write(FILE, &json!({ "Okta": { "ApiKey": "failing" } }).to_string());
    assert_refused(agent, &[], &[], 3, &["reading the account `failing`", "is unavailable: it answers 500"]);
    let down = [("CyberArk__Server", "http://127.0.0.1:9")];
    assert_refused(agent, &down, &[], 3, &["CyberArk `http://127.0.0.1:9`", "unavailable"]);
}

#[test]
fn certificates_are_checked_on_both_sides() {
    let rig = rig(&json!({ "ApiKey": "okta token" }));
    let agent = &rig.agent;
    let refused = ["the server refuses the connection, most likely our certificate"];
    agent.write("client.pem", &Authority::new("another").issue("the-agent").pem);
    assert_refused(agent, &[], &[], 4, &refused);
    assert_refused(agent, &[("CyberArk__File", "")], &[], 4, &refused);
    agent.write("ca.pem", &Authority::new("another").pem());
    assert_refused(agent, &[], &[], 3, &["the server's certificate is not trusted", "`CyberArk:CaFile`"]);
}

#[test]
fn what_is_not_supported_is_told_with_what_to_do() {
    let rig = rig(&json!({ "ApiKey": "okta token" }));
    let agent = &rig.agent;
    let texts = ["`CyberArk:Server` is missing", "native library", "Central Credential Provider"];
    assert_refused(agent, &[("CyberArk__Server", "")], &[], 3, &texts);
    let store = [("CyberArk__File", ""), ("CyberArk__Thumbprint", "6B")];
    assert_refused(agent, &store, &[], 3, &["`CyberArk:Thumbprint` asks for a certificate store"]);
    agent.write("client.pem", "0\u{1}\u{2}");
    assert_refused(agent, &[], &[], 3, &["`CyberArk:File` names a file that is neither a PFX nor a PEM file"]);
    agent.write("client.pem", &Authority::new("authority").issue("the-agent").pem);
    agent.write(FILE, "{}");
    assert_refused(
        agent,
        &[],
        &[],
        3,
        &["`CyberArk:UseCyberArkSetting` asks for the accounts in appsettings.cyberark.agent.json"],
    );
}
