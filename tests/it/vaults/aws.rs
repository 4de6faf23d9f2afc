//! AWS Secrets Manager, played by moto, the server that its users test against. `cargo xtask test` installs it; where it
//! is missing, these tests say so and pass.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use acceptance::{CONNECTION, python};
use serde_json::{Value, json};

use super::{API_KEY, agent, assert_refused, assert_works};

const ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// What a role's or profile's variables would hold.
const VARIABLES: [(&str, &str); 3] = [
    ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
    ("AWS_SECRET_ACCESS_KEY", ACCESS_KEY),
    ("AWS_EC2_METADATA_DISABLED", "true"),
];

struct Moto {
    url: String,
    server: Child,
}

impl Drop for Moto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Moto {
    /// A server that lets anybody in, or, `strict`, nobody; none where it is not installed.
    #[expect(clippy::print_stderr, reason = "who runs the tests learns what was left out")]
    fn start(strict: bool) -> Option<Self> {
        let Some(program) = python().map(|python| python.with_file_name("moto_server")).filter(|it| it.exists()) else {
            eprintln!("not tested: moto is not installed; `cargo xtask test` does that");
            return None;
        };
        let mut command = Command::new(program);
        command.args(["-p", "0"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        if strict {
            command.env("INITIAL_NO_AUTH_ACTION_COUNT", "0");
        }
        let mut server = command.spawn().expect("moto starts");
        let mut lines = BufReader::new(server.stderr.take().expect("it is piped")).lines().map_while(Result::ok);
        let url = lines.find_map(|line| Some(line.split_once("Running on ")?.1.trim().to_owned()));
        let url = url.expect("moto says where it listens");
        // Its log must be read, or it stops when the pipe is full.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { url, server })
    }

    fn keep(&self, name: &str, value: &str) {
        let body = json!({ "Name": name, "SecretString": value }).to_string();
        let address = self.url.trim_start_matches("http://");
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

    fn settings(&self) -> Value {
        json!({ "Endpoint": self.url, "Region": "eu-central-1", "TimeoutSeconds": 20 })
    }
}

#[test]
fn secrets_hold_settings_of_all_of_one_connection_or_one_setting() {
    let Some(moto) = Moto::start(false) else { return };
    let values = json!({ CONNECTION: { "ApiKey": API_KEY } });
    moto.keep("agent/settings", &json!({ "Connections": values }).to_string());
    moto.keep("okta/export", &json!({ "ApiKey": API_KEY }).to_string());
    moto.keep("okta-token", API_KEY);
    for (key, value) in [
        ("Secrets", json!(["agent/settings"])),
        ("Connections", json!({ CONNECTION: "okta/export" })),
        ("Keys", json!({ "Connections": { CONNECTION: { "ApiKey": "okta-token" } } })),
    ] {
        let mut settings = moto.settings();
        settings[key] = value;
        assert_works(&agent("AwsSecretsManager", &settings), &VARIABLES, &[ACCESS_KEY]);
    }
    let mut settings = moto.settings();
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
    let mut settings = moto.settings();
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
