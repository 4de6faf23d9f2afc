//! The token comes from a vault, and the program works as with a token in its file; every way a vault can fail is told.
//!
//! The vaults are stand-ins on loopback written from their makers' pages, and for AWS the server that its users test
//! against. What is said and written is searched for every secret that a vault holds or is asked with.

pub(crate) mod authority;
#[cfg(feature = "aws")]
mod aws;
mod azure;
mod cyberark;
mod hashicorp;
mod server;

use std::fs;

use acceptance::{CONNECTION, Run, TestAgent};
use okta_sandbox::SandboxConfig;
use serde_json::{Value, json};

/// The organisation's token, which the vaults hold.
const API_KEY: &str = "00ApiKeyOfTheOrganisation-abcdefghijklmnop";

/// An agent whose token is in no file, with this section in appsettings.json.
fn agent(section: &str, settings: &Value) -> TestAgent {
    let agent = TestAgent::with(SandboxConfig { token: API_KEY.to_owned(), ..SandboxConfig::default() });
    agent.set("ApiKey", Value::Null);
    agent.write("appsettings.json", &json!({ section: settings }).to_string());
    agent
}

/// Runs the program and searches all it says, and all it leaves, for the organisation's token and these secrets.
#[track_caller]
fn run(agent: &TestAgent, variables: &[(&str, &str)], arguments: &[&str], secrets: &[&str]) -> Run {
    secrets.iter().for_each(|secret| acceptance::watch(secret));
    let mut command = agent.command(&[&["-vv"], arguments].concat());
    command.envs(variables.iter().copied());
    let run = Run::of(command);
    for secret in [&[API_KEY], secrets].concat() {
        assert!(!run.stdout.contains(secret), "stdout shows {secret}:\n{}", run.stdout);
        assert!(!run.stderr.contains(secret), "stderr shows {secret}:\n{}", run.stderr);
    }
    let mut folders = vec![agent.directory()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder)
            .expect("the agent directory can be read")
            .map(|entry| entry.expect("the agent directory can be read").path())
        {
            if path.is_dir() {
                folders.push(path);
            } else {
                let text =
                    String::from_utf8_lossy(&fs::read(&path).expect("the agent directory can be read")).into_owned();
                assert!(!text.contains(API_KEY), "{} holds the token", path.display());
            }
        }
    }
    run
}

/// The program checks the connection and exports it, with the token from the vault.
#[track_caller]
fn assert_works(agent: &TestAgent, variables: &[(&str, &str)], secrets: &[&str]) {
    run(agent, variables, &["check"], secrets).must_exit(0);
    run(agent, variables, &["export", CONNECTION], secrets).must_exit(0);
    assert!(agent.published().len() >= 5);
}

/// The program refuses to work, with this exit code, and says these texts; how it failed is one line.
#[track_caller]
fn assert_refused(agent: &TestAgent, variables: &[(&str, &str)], secrets: &[&str], code: i32, texts: &[&str]) {
    let run = run(agent, variables, &["check", "--format", "json"], secrets).must_exit(code);
    for text in texts {
        assert!(run.stderr.contains(text), "`{text}` is missing in: {}", run.stderr);
    }
    assert!(!run.failure().is_empty());
    let hint = &run.json()["error"]["hint"];
    assert!(hint.as_str().is_some_and(|hint| !hint.is_empty()), "{hint}");
}

#[test]
fn a_value_says_which_vault_it_is_from() {
    let vault = hashicorp::Vault::start();
    let values = json!({ "ApiKey": API_KEY, "MaxConcurrency": "many" });
    let wrong = json!({ "Connections": { CONNECTION: values } });
    vault.keep("secret", 2, "agent", wrong);
    let agent = agent("HashiCorpVault", &vault.settings());
    let run = run(&agent, &[], &["check"], &[]).must_exit(3);
    let place = format!("HashiCorp vault `{}`, `secret/agent`: connection", vault.url());
    assert!(run.stdout.contains(&place) && run.stdout.contains("`MaxConcurrency`"), "{}", run.stdout);
}

#[test]
fn later_sources_win_over_a_vault() {
    let vault = hashicorp::Vault::start();
    let values = json!({ CONNECTION: { "ApiKey": API_KEY, "Tables": "users" } });
    vault.keep("secret", 2, "agent", json!({ "Connections": values }));
    let agent = agent("HashiCorpVault", &vault.settings());
    agent.set("Tables", json!("apps"));
    let tables = |variables: &[(&str, &str)]| {
        let report = run(&agent, variables, &["export", CONNECTION, "--format", "json"], &[]).must_exit(0).json();
        report["tables"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    assert_eq!(tables(&[]), ["users"]);
    let connection = json!({ "Connections": { CONNECTION: { "Tables": "groups" } } });
    agent.write("Work/appsettings.connection.json", &connection.to_string());
    assert_eq!(tables(&[]), ["groups"]);
    assert_eq!(tables(&[("Connections__OktaExportFulfillment__Tables", "apps")]), ["apps"]);
}

#[test]
fn every_problem_of_every_vault_is_told_at_once() {
    let vault = hashicorp::Vault::start();
    let mut settings = vault.settings();
    settings["Path"] = json!(["agent", "other"]);
    let agent = agent("HashiCorpVault", &settings);
    let all = json!({
        "HashiCorpVault": settings,
        "AzureKeyVault": { "Vault": "http://vault.example.com" },
        "CyberArk": { "UseCyberArkSetting": true },
    });
    agent.write("appsettings.json", &all.to_string());
    let texts =
        ["`secret/agent`", "`secret/other`", "`AzureKeyVault:Vault` is no `https`", "`CyberArk:Server` is missing"];
    assert_refused(&agent, &[], &[hashicorp::TOKEN], 3, &texts);
}

#[test]
fn without_a_vault_in_the_settings_nothing_is_asked() {
    let agent = TestAgent::new();
    agent.write("appsettings.json", r#"{ "CyberArk": { "UseCyberArkSetting": "False", "SafeName": "x" } }"#);
    agent.run(&["check"]).must_exit(0);
    assert!(agent.sandbox.journal().len() < 20);
}

#[test]
fn every_sample_names_its_vault_as_the_program_knows_it() {
    let samples = concat!(env!("CARGO_MANIFEST_DIR"), "/../config-samples/vaults");
    let agent = TestAgent::new();
    for file in fs::read_dir(samples).unwrap().map(|entry| entry.unwrap().path()) {
        agent.write(file.file_name().unwrap().to_str().unwrap(), &fs::read_to_string(&file).unwrap());
    }
    agent.write("vault-token", "00token");
    agent.write("azure-client-secret", "00secret");
    let gone = "http://127.0.0.1:9";
    let cases = [
        ("HashiCorp", "HashiCorpVault__Address", "HashiCorp vault `http://127.0.0.1:9`: renewing the token"),
        (
            "Azure",
            "AzureKeyVault__AuthorityHost",
            "Azure key vault `https://your-vault.vault.azure.net`: asking for a token",
        ),
        ("CyberArk", "CyberArk__Server", "CyberArk `http://127.0.0.1:9`: reading the account `okta-agent`"),
    ];
    for (environment, address, text) in cases {
        let variables = [("ASPNETCORE_ENVIRONMENT", environment), (address, gone), ("CyberArk__File", "")];
        assert_refused(&agent, &variables, &["00token", "00secret"], 3, &[text, "unavailable"]);
    }
    let aws = run(&agent, &[("ASPNETCORE_ENVIRONMENT", "Aws"), ("AwsSecretsManager__Endpoint", gone)], &["check"], &[]);
    assert!(aws.stderr.contains("AWS Secrets Manager"), "{}", aws.stderr);
}
