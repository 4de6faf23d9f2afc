//! Where settings come from, as one sees it from outside.

use std::fs;

use acceptance::{CONNECTION, Run, TestAgent, program};
use okta_sandbox::{KeyPair, ServiceApp};
use serde_json::{Value, json};

#[test]
fn the_token_may_come_from_the_environment() {
    let agent = TestAgent::new();
    agent.set("ApiKey", json!("wrong"));
    agent.run(&["check"]).must_exit(4);
    let mut command = agent.command(&["check"]);
    command.env("Connections__OktaExportFulfillment__ApiKey", agent.sandbox.token());
    let run = Run::of(command).must_exit(0);
    assert!(run.stdout.contains(&format!("{CONNECTION}: ok")), "{}", run.stdout);
}

#[test]
fn the_directory_may_come_from_the_environment_or_be_the_current_one() {
    let agent = TestAgent::new();
    let mut command = std::process::Command::new(program());
    command.arg("check").env_clear().env("AGENT_DIRECTORY", agent.directory());
    Run::of(command).must_exit(0);
    let mut command = std::process::Command::new(program());
    command.arg("check").env_clear().current_dir(agent.directory());
    Run::of(command).must_exit(0);
}

#[test]
fn later_files_win_and_the_overlay_is_that_of_the_environment() {
    let agent = TestAgent::new();
    let tables = |tables: &str| json!({ "Connections": { CONNECTION: { "Tables": tables } } }).to_string();
    let exported = |environment: &str| {
        let mut command = agent.command(&["export", CONNECTION, "--format", "json"]);
        command.env("ASPNETCORE_ENVIRONMENT", environment);
        let report = Run::of(command).must_exit(0).json();
        report["tables"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    agent.set("Tables", json!("users"));
    agent.write("appsettings.agent.Staging.json", &tables("groups"));
    assert_eq!(exported("Production"), ["users"]);
    assert_eq!(exported("Staging"), ["groups"]);
    agent.write("Work/appsettings.connection.json", &tables("apps"));
    assert_eq!(exported("Staging"), ["apps"]);
}

#[test]
fn keys_ignore_case_and_comments_are_allowed() {
    let agent = TestAgent::new();
    let text = format!(
        "{{ // the connections\n \"connections\": {{ \"oktaexportfulfillment\": {{ \"SERVER\": \" {} \", \"apikey\": \"{}\", \"MaxConcurrency\": \"3\", }} }}, \"Unknown\": [] }}",
        agent.sandbox.url(),
        agent.sandbox.token()
    );
    agent.write("appsettings.agent.json", &text);
    agent.run(&["check", "OKTAEXPORTFULFILLMENT"]).must_exit(0);
    let report = agent.run(&["export", "oktaExportFulfillment", "--format", "json"]).must_exit(0).json();
    assert!(report["max_in_flight"].as_u64().is_some_and(|most| most <= 3), "{report}");
}

#[test]
fn a_setting_that_means_nothing_is_named_in_the_log() {
    let agent = TestAgent::new();
    agent.set("MaxConcurency", json!(3));
    let run = agent.run(&["check"]).must_exit(0);
    assert!(run.stderr.contains("MaxConcurency"), "{}", run.stderr);
}

#[test]
fn every_unusable_setting_is_told_at_once() {
    let told = |agent: &TestAgent, command: &[&str]| -> Vec<String> {
        let run = agent.run(command).must_exit(3);
        let problems: Vec<String> =
            run.stderr.lines().filter_map(|line| line.strip_prefix("problem: ")).map(str::to_owned).collect();
        assert!(run.failure().starts_with(&format!("{} settings are unusable", problems.len())), "{}", run.stderr);
        problems
    };
    let all_named = |problems: &[String], names: &[&str]| {
        assert_eq!(problems.len(), names.len(), "{problems:#?}");
        for (problem, name) in problems.iter().zip(names) {
            assert!(problem.contains(name) && problem.contains("appsettings"), "{name} in {problem}");
        }
    };
    let agent = TestAgent::new();
    agent.write(
        "appsettings.json",
        r#"{ "Serilog": { "MinimumLevel": "Loud" }, "ProtectionKey": { "File": "none.key" },
            "EncryptionCertificate": { "UseEncryptedAppsettings": "yes", "File": "none.pfx" } }"#,
    );
    agent.write(
        "appsettings.encrypted.agent.json",
        r#"{ "A": "prot1:AAAA", "B": "00plain-secret", "Connections": { "Okta": { "CaFile": "prot1:AAAA" } } }"#,
    );
    agent.write("appsettings.agent.json", r#"{ "Connections": { "A": 5, "B": { "CaFile": "none.pem" } } }"#);
    let problems = told(&agent, &["check"]);
    let names = [
        "`EncryptionCertificate:UseEncryptedAppsettings` is neither",
        "`ProtectionKey:File` names a file that is not there",
        "`EncryptionCertificate:File` names a file that is not there",
        "`A` is a protected value that was altered",
        "`B` is not protected",
        "`Connections:Okta:CaFile` is a protected value that was altered",
        "`Connections:A` holds a value",
        "`Connections:B:CaFile` names a file that is not there",
        "`Serilog:MinimumLevel` is no log level",
    ];
    all_named(&problems, &names);

    agent.write("appsettings.json", "{");
    agent.write("appsettings.agent.json", "[]");
    all_named(&told(&agent, &["check"]), &["appsettings.json:1:1", "appsettings.agent.json:1:1"]);

    agent.write("appsettings.json", "{}");
    let connection = json!({
        "Server": "example.org", "ClientId": "<ClientId>", "PrivateKey": "no key", "DPoP": "maybe", "MaxConcurrency": 900,
        "SendEmail": "perhaps",
    });
    connect(&agent, &connection);
    let names = ["`Server`", "`ClientId`", "`DPoP`", "`PrivateKey` is neither", "`MaxConcurrency`", "`SendEmail`"];
    all_named(&told(&agent, &["export", CONNECTION]), &names);
    let report = agent.run(&["check", "--format", "json"]).must_exit(3).json();
    assert_eq!(report["connections"][0]["problems"].as_array().map(Vec::len), Some(names.len()), "{report}");
}

#[test]
fn init_writes_once_and_never_over_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let init = || {
        let mut command = std::process::Command::new(program());
        command.args(["init", "agent", "--format", "json"]).current_dir(folder.path()).env_clear();
        Run::of(command)
    };
    let report = init().must_exit(0).json();
    assert!(report["written"].as_array().is_some_and(|written| written.len() >= 5), "{report}");
    let settings = folder.path().join("agent/appsettings.agent.json");
    fs::write(&settings, "mine").unwrap();
    let run = init().must_exit(3);
    assert!(run.failure().contains("`appsettings.agent.json`") && run.failure().contains("nothing was written"));
    assert_eq!(fs::read_to_string(settings).unwrap(), "mine");
}

/// An agent whose connection is one of a service app, and that connection.
fn agent_of_an_app() -> (TestAgent, Value) {
    let agent = TestAgent::new();
    let key = KeyPair::rsa("key-1");
    agent.org(|org| org.add_service_app(ServiceApp::new("0oa1agent", key.jwk())).expect("the app is good"));
    agent.write("Keys/okta.pem", &key.private_pem());
    acceptance::watch(&key.private_pem());
    let server = agent.sandbox.url();
    let connection = json!({ "Server": server, "ClientId": "0oa1agent", "PrivateKeyFile": "Keys/okta.pem" });
    connect(&agent, &connection);
    (agent, connection)
}

fn connect(agent: &TestAgent, connection: &Value) {
    agent.write("appsettings.agent.json", &json!({ "Connections": { CONNECTION: connection } }).to_string());
}

#[test]
fn a_service_app_signs_in_with_a_key_from_a_file() {
    let (agent, connection) = agent_of_an_app();
    agent.run(&["check"]).must_exit(0);
    let report = agent.run(&["export", CONNECTION, "--format", "json"]).must_exit(0).json();
    assert_eq!(report["requests"]["by_bucket"]["/oauth2/v1/token"], 2, "{report}");

    let mut both = connection.clone();
    both["PrivateKey"] = "x".into();
    let mut lost = connection.clone();
    lost["PrivateKeyFile"] = "Keys/none.pem".into();
    agent.write("Keys/public.pem", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
    let mut public = connection;
    public["PrivateKeyFile"] = "Keys/public.pem".into();
    for (wrong, named) in
        [(lost, "`Keys/none.pem`"), (both, "`PrivateKey` and `PrivateKeyFile`"), (public, "other than a private key")]
    {
        connect(&agent, &wrong);
        let run = agent.run(&["check"]).must_exit(3);
        assert!(run.stdout.contains("appsettings.agent.json:1:") && run.stdout.contains(named), "{}", run.stdout);
    }
}

#[test]
fn what_a_service_app_lacks_is_named() {
    let (agent, _) = agent_of_an_app();
    agent.org(|org| assert!(org.set_admin_role("0oa1agent", false)));
    for command in [&["check"][..], &["export", CONNECTION]] {
        let run = agent.run(command).must_exit(4);
        let told = format!("{}{}", run.stdout, run.stderr);
        assert!(told.contains("grant the app an admin role"), "{told}");
    }
    agent.org(|org| {
        assert!(org.set_admin_role("0oa1agent", true) && org.set_share("0oa1agent", 10));
        assert!(org.grant_scopes("0oa1agent", &["okta.users.read", "okta.groups.read", "okta.apps.read"]));
    });
    let run = agent.run(&["check"]).must_exit(0);
    assert!(!run.stdout.contains("warning"), "the app may not know its share: {}", run.stdout);
    agent.org(|org| assert!(org.grant_scopes("0oa1agent", &["okta.apps.read"])));
    for command in [&["check"][..], &["export", CONNECTION]] {
        let run = agent.run(command).must_exit(4);
        let told = format!("{}{}", run.stdout, run.stderr);
        assert!(told.contains("asked for okta.") && told.contains("Okta API Scopes"), "{told}");
    }
}

#[test]
fn a_small_share_of_the_limits_is_a_warning_and_no_problem() {
    let agent = TestAgent::new();
    agent.org(|org| assert!(org.set_share("sandbox-token", 10)));
    let report = agent.run(&["check", "--format", "json"]).must_exit(0).json();
    let connection = &report["connections"][0];
    assert_eq!(connection["ok"], true, "{report}");
    let message = connection["warnings"][0]["message"].as_str().unwrap_or_default();
    assert!(message.contains("10 %"), "{report}");
    let run = agent.run(&["check"]).must_exit(0);
    assert!(run.stdout.contains("  warning: "), "{}", run.stdout);
}
