//! The token is in the settings and in requests to the organisation: nowhere else, however much is logged.

use std::{
    fs,
    path::{Path, PathBuf},
};

use acceptance::{CONNECTION, Run, TestAgent};
use okta_sandbox::{Fault, FaultAction, SandboxConfig};
use serde_json::json;

const TOKEN: &str = "00SecretOfTheTest-abcdefghijklmnopqrstuvwx";

fn agent() -> TestAgent {
    let agent = TestAgent::with(SandboxConfig { token: TOKEN.to_owned(), ..SandboxConfig::default() });
    agent.set("RetryBudgetSeconds", json!(1));
    agent
}

fn assert_silent(what: &str, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    for secret in [TOKEN, &TOKEN[..20], "SSWS", "Authorization", "authorization"] {
        assert!(!text.contains(secret), "{what} shows {secret}:\n{text}");
    }
}

/// Every file below, except that in which the token is written.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("it is a folder").map(|entry| entry.expect("it can be read").path());
    let files = entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] });
    files.filter(|path| path.file_name().is_some_and(|name| name != "appsettings.agent.json")).collect()
}

#[test]
fn no_output_and_no_file_shows_the_token() {
    let echo = format!(r#"{{"errorCode":"E0000001","errorSummary":"bad header Authorization: SSWS {TOKEN}"}}"#);
    let scripts: [Option<FaultAction>; 4] = [
        None,
        Some(FaultAction::ResetConnection),
        Some(FaultAction::Error { status: 401, code: "E0000011".to_owned() }),
        Some(FaultAction::Redirect(format!("http://127.0.0.1:9/{TOKEN}"))),
    ];
    let agent = agent();
    for script in scripts {
        agent.sandbox.clear_faults();
        agent.sandbox.clear_journal();
        if let Some(script) = script {
            agent.sandbox.add_fault(Fault::new(script).always());
        }
        for log_format in ["text", "json"] {
            for command in [&["check"][..], &["export", CONNECTION], &["refresh-schema", CONNECTION]] {
                let run = agent.run(&[&["-vv", "--log-format", log_format, "--format", "json"], command].concat());
                assert_silent("stdout", run.stdout.as_bytes());
                assert_silent("stderr", run.stderr.as_bytes());
            }
        }
    }
    agent.sandbox.clear_faults();
    let status = FaultAction::Status { status: 400, body: echo, headers: Vec::new() };
    agent.sandbox.add_fault(Fault::new(status).always());
    let run = agent.export(&["-vv"]).must_exit(5);
    assert!(!run.stderr.contains(TOKEN), "not even where Okta repeats it: {}", run.stderr);
    for path in files_below(&agent.directory()) {
        assert_silent(&path.display().to_string(), &fs::read(&path).unwrap());
    }
}

#[test]
fn the_most_detailed_log_still_says_something() {
    let run = agent().export(&["-vv", "--log-format", "json"]).must_exit(0);
    assert!(run.stderr.lines().count() > 5, "{}", run.stderr);
    for line in run.stderr.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    }
}

#[test]
fn a_token_that_cannot_be_sent_is_refused_unseen() {
    let agent = agent();
    let unusable = format!("{TOKEN}\u{7}\n{TOKEN}");
    agent.set("ApiKey", json!(unusable));
    let run = agent.export(&["-vv"]).must_exit(3);
    assert!(run.failure().contains("`ApiKey`"), "{}", run.stderr);
    assert_silent("stderr", run.stderr.as_bytes());
}

#[cfg(target_os = "linux")]
#[test]
fn the_list_of_processes_shows_no_secret() {
    let agent = TestAgent::with(SandboxConfig {
        token: TOKEN.to_owned(),
        latency: std::time::Duration::from_millis(50),
        ..SandboxConfig::default()
    });
    let export = agent.command(&["export", CONNECTION]).spawn().unwrap();
    while agent.sandbox.journal().is_empty() {
        std::thread::yield_now();
    }
    for file in ["cmdline", "comm"] {
        assert_silent(file, &fs::read(format!("/proc/{}/{file}", export.id())).unwrap());
    }
    Run::from(export.wait_with_output().unwrap()).must_exit(0);
}

/// Of everything protected: neither the values nor what opens them, wherever an answer of Okta's repeats them.
#[test]
fn no_output_and_no_file_shows_what_is_protected() {
    const PASSWORD: &str = "00PasswordOfTheCertificate";
    let agent = agent();
    agent.run(&["protect", "new-key"]).must_exit(0);
    let key = fs::read_to_string(agent.directory().join("protection.key")).unwrap();
    agent.run_with_input(&["protect", "new-certificate"], &format!("{PASSWORD}\n")).must_exit(0);
    let settings = |password: &str| {
        let certificate = json!({ "File": "agent.pfx", "Password": password, "UseEncryptedAppsettings": true });
        json!({ "EncryptionCertificate": certificate, "ProtectionKey": { "File": "protection.key" } }).to_string()
    };
    agent.write("appsettings.json", &json!({ "ProtectionKey": { "File": "protection.key" } }).to_string());
    let path = ["protect", "value", "--path", "EncryptionCertificate:Password"];
    let password = agent.run_with_input(&path, PASSWORD).must_exit(0).stdout;
    agent.write("appsettings.json", &settings(password.trim()));
    agent.set("UserFilter", json!("profile.city eq \"00FilterOfTheTest\""));
    agent
        .run(&["protect", "file", "--in", "appsettings.agent.json", "--out", "appsettings.encrypted.agent.json"])
        .must_exit(0);
    agent.write("appsettings.agent.json", "{}");

    let echo = format!(r#"{{"errorCode":"E0000001","errorSummary":"{TOKEN} {PASSWORD} 00FilterOfTheTest"}}"#);
    let status = FaultAction::Status { status: 400, body: echo, headers: Vec::new() };
    for fault in [None, Some(Fault::new(status).always())] {
        fault.into_iter().for_each(|fault| agent.sandbox.add_fault(fault));
        for log_format in ["text", "json"] {
            for command in [&["check"][..], &["export", CONNECTION], &["refresh-schema", CONNECTION]] {
                let run = agent.run(&[&["-vv", "--log-format", log_format, "--format", "json"], command].concat());
                for text in [&run.stdout, &run.stderr] {
                    assert_silent("output", text.as_bytes());
                    assert!(!text.contains(PASSWORD) && !text.contains(key.trim()), "{text}");
                }
            }
        }
    }
    for path in files_below(&agent.directory()) {
        assert_silent(&path.display().to_string(), &fs::read(&path).unwrap());
    }
}

/// Of a service app: neither the key nor what is signed with it nor the access token, wherever an answer repeats them.
#[test]
fn no_output_and_no_file_shows_what_a_service_app_signs_in_with() {
    let agent = agent();
    let key = okta_sandbox::KeyPair::rsa("key-1");
    agent.org(|org| org.add_service_app(okta_sandbox::ServiceApp::new("0oa1agent", key.jwk())).expect("it is good"));
    agent.write("okta.pem", &key.private_pem());
    acceptance::watch(&key.private_pem());
    agent.set("ApiKey", serde_json::Value::Null);
    agent.set("ClientId", json!("0oa1agent"));
    agent.set("PrivateKeyFile", json!("okta.pem"));
    let line = key.private_pem().lines().nth(3).expect("a key has lines").to_owned();
    let echo = format!(
        r#"{{"errorCode":"E0000001","errorSummary":"{line}","error":"invalid_client","error_description":"{line}"}}"#
    );
    let status = || FaultAction::Status { status: 400, body: echo.clone(), headers: Vec::new() };
    let refuse = FaultAction::Error { status: 401, code: "E0000011".to_owned() };
    let api = Fault::new(status()).on("GET", "/api/v1/users").always();
    let sign_in = Fault::new(status()).on("POST", "/oauth2/v1/token").always();
    let refused = Fault::new(refuse).on("GET", "/api/v1/groups").always();
    for fault in [None, Some(api), Some(sign_in), Some(refused)] {
        agent.sandbox.clear_faults();
        fault.into_iter().for_each(|fault| agent.sandbox.add_fault(fault));
        for log_format in ["text", "json"] {
            for command in [&["check"][..], &["export", CONNECTION]] {
                // Every run's output is searched.
                agent.run(&[&["-vv", "--log-format", log_format, "--format", "json"], command].concat());
            }
        }
    }
}
