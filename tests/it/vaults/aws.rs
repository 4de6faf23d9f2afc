//! AWS Secrets Manager, played by moto, the server that its users test against. `cargo xtask test` installs it; where it
//! is missing, these tests say so and pass.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use acceptance::CONNECTION;
use serde_json::{Value, json};

use super::{API_KEY, agent, assert_refused, assert_works};
use crate::moto::{ACCESS_KEY, Moto};

/// What a role's or profile's variables would hold.
const VARIABLES: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", ACCESS_KEY),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

fn keep(moto: &Moto, name: &str, value: &str) {
    let body = json!({ "Name": name, "SecretString": value }).to_string();
    let address = moto.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("moto listens");
    write!(
            stream,
            "POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\
             Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: secretsmanager.CreateSecret\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=x/20260101/eu-central-1/secretsmanager/aws4_request\r\n\r\n{body}",
            body.len()
        )
        .expect("moto reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("moto answers");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn settings_of(moto: &Moto) -> Value {
    json!({ "Endpoint": moto.url, "Region": "eu-central-1", "TimeoutSeconds": 20 })
}

#[test]
fn secrets_hold_settings_of_all_of_one_connection_or_one_setting() {
    let Some(moto) = Moto::start(false) else { return };
    let values = json!({ CONNECTION: { "ApiKey": API_KEY } });
    keep(&moto, "agent/settings", &json!({ "Connections": values }).to_string());
    keep(&moto, "okta/export", &json!({ "ApiKey": API_KEY }).to_string());
    keep(&moto, "okta-token", API_KEY);
    for (key, value) in [
        ("Secrets", json!(["agent/settings"])),
        ("Connections", json!({ CONNECTION: "okta/export" })),
        ("Keys", json!({ "Connections": { CONNECTION: { "ApiKey": "okta-token" } } })),
    ] {
        let mut settings = settings_of(&moto);
        settings[key] = value;
        assert_works(&agent("AwsSecretsManager", &settings), &VARIABLES, &[ACCESS_KEY]);
    }
    let mut settings = settings_of(&moto);
    settings["Secrets"] = json!("agent/settings");
    settings["AccessKeyId"] = json!("AKIAIOSFODNN7EXAMPLE");
    settings["SecretAccessKey"] = json!(ACCESS_KEY);
    assert_works(&agent("AwsSecretsManager", &settings), &[], &[ACCESS_KEY]);

    settings["Secrets"] = json!(["missing", "okta-token"]);
    let texts = [
        "AWS Secrets Manager `eu-central-1`: reading `missing`: there is no such thing in the vault",
        "`okta-token` holds no JSON object",
    ];
    assert_refused(&agent("AwsSecretsManager", &settings), &[], &[ACCESS_KEY], 3, &texts);
    settings["SecretAccessKey"] = Value::Null;
    let texts = ["`AwsSecretsManager:SecretAccessKey` is missing"];
    assert_refused(&agent("AwsSecretsManager", &settings), &[], &[ACCESS_KEY], 3, &texts);
}

#[test]
fn credentials_that_are_refused_or_missing_are_told() {
    let Some(moto) = Moto::start(true) else { return };
    let mut settings = settings_of(&moto);
    settings["Secrets"] = json!("agent/settings");
    let agent = agent("AwsSecretsManager", &settings);
    assert_refused(&agent, &VARIABLES, &[ACCESS_KEY], 4, &["reading `agent/settings`: the vault refuses it"]);
    assert_refused(&agent, &VARIABLES[2..], &[], 4, &["reading `agent/settings`: there are no credentials"]);
}

#[test]
fn a_manager_that_is_down_is_unavailable() {
    let settings = json!({ "Endpoint": "http://127.0.0.1:9", "Region": "eu-central-1", "Secrets": "a" });
    let agent = agent("AwsSecretsManager", &settings);
    assert_refused(
        &agent,
        &VARIABLES,
        &[ACCESS_KEY],
        3,
        &["AWS Secrets Manager `eu-central-1`: reading `a`", "unavailable"],
    );
    let remote = [("AwsSecretsManager__Endpoint", "http://aws.example.com")];
    assert_refused(
        &agent,
        &remote,
        &[],
        3,
        &["variable AwsSecretsManager__Endpoint: `AwsSecretsManager:Endpoint` is no `https`"],
    );
}
