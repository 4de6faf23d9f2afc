//! Bad input: one line that names the thing and what to do, the exit code that scripts rely on, nothing lost.

use std::fs;

use acceptance::{CONNECTION, Run, TestAgent};
use serde_json::json;

/// The failure's line holds all of `parts`; the JSON on stdout says the same.
#[track_caller]
fn explained(run: &Run, kind: &str, parts: &[&str]) {
    let line = run.failure();
    for part in parts {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert_eq!(run.stderr.lines().count(), 1, "nothing but the line:\n{}", run.stderr);
    let error = &run.json()["error"];
    assert_eq!(error["kind"], kind, "{error}");
    let message = error["message"].as_str().expect("there is a message");
    // Where the message itself says what to write there is no hint.
    let hint = error["hint"].as_str().map_or_else(String::new, |hint| format!("; {hint}"));
    assert_eq!(line, format!("{message}{hint}"));
}

/// An export after a good one: fails as explained, and the set of the good one is still there.
#[track_caller]
fn refuses(agent: &TestAgent, further: &[&str], code: i32, kind: &str, parts: &[&str]) {
    let former = agent.published();
    let run = agent.export(&[&["--format", "json"], further].concat()).must_exit(code);
    explained(&run, kind, parts);
    assert_eq!(agent.published(), former);
}

fn exported() -> TestAgent {
    let agent = TestAgent::new();
    agent.export(&[]).must_exit(0);
    assert_eq!(agent.published().len(), 6);
    agent
}

#[test]
fn a_wrong_server_is_refused_with_the_right_way_to_write_it() {
    let agent = exported();
    for (server, parts) in [
        (json!("example.okta.com"), ["no scheme", "https://"]),
        (json!("http://example.okta.com"), ["unencrypted to `example.okta.com`", "https://"]),
        (json!("https://example.okta.com/api/v1"), ["more than scheme and host", "https://example.okta.com"]),
        (json!("https://example-admin.okta.com"), ["admin console", "https://example.okta.com"]),
        (json!("https://user:hunter2@example.okta.com"), ["user name or password", "`ApiKey`"]),
        (json!("ftp://example.okta.com"), ["`ftp`", "https://"]),
        (json!(" "), ["is missing", "https://example.okta.com"]),
    ] {
        agent.set("Server", server);
        refuses(&agent, &[], 3, "settings", &["appsettings.agent.json:1:", CONNECTION, "`Server`", parts[0], parts[1]]);
        assert!(!agent.export(&[]).stderr.contains("hunter2"));
    }
}

#[test]
fn a_missing_or_unusable_setting_is_refused_where_it_is_written() {
    let agent = exported();
    for (key, value, part) in [
        ("MaxConcurrency", json!("many"), "`MaxConcurrency`"),
        ("RateLimitShare", json!(101), "from 1 to 100"),
        ("GroupsAppsBy", json!("user"), "app, group, auto"),
        ("IncludeDeprovisioned", json!("perhaps"), "true nor false"),
        ("ClientId", json!("0oa1"), "`ClientId`"),
    ] {
        agent.set(key, value);
        refuses(&agent, &[], 3, "settings", &["appsettings.agent.json:1:", part]);
        agent.set(key, json!(null));
    }
    agent.set("ApiKey", json!(null));
    refuses(&agent, &[], 3, "settings", &[CONNECTION, "`ApiKey` is missing", "Security > API > Tokens"]);
}

#[test]
fn an_unknown_connection_or_table_is_refused_with_those_there_are() {
    let agent = exported();
    refuses(&agent, &["--table", "people"], 3, "settings", &["`people`", "users, groups, apps"]);
    let run = agent.run(&["export", "OktaExportFulfilment", "--format", "json"]).must_exit(3);
    explained(&run, "settings", &["`OktaExportFulfilment`", "did you mean `OktaExportFulfillment`?"]);
    let run = agent.run(&["refresh-schema", "Salesforce", "--format", "json"]).must_exit(3);
    explained(&run, "settings", &["`Salesforce`", "`OktaExportFulfillment`"]);
    let run = agent.run(&["check", "Salesforce"]).must_exit(3);
    assert!(
        run.stdout.contains("Salesforce: not ok") && run.stdout.contains("`OktaExportFulfillment`"),
        "{}",
        run.stdout
    );
    agent.set("Tables", json!(["users", "people"]));
    refuses(&agent, &[], 3, "settings", &["`people`", "users, groups, apps"]);
}

#[test]
fn a_bad_identifier_of_a_connection_is_refused() {
    let agent = exported();
    let former = agent.published();
    for (identifier, part) in [("Okta_Export", "`_`"), ("1Okta", "letter"), ("Okta Export", "letters, digits")] {
        let settings = json!({ "Connections": { identifier: { "Server": "https://example.okta.com" } } });
        agent.write("appsettings.agent.json", &settings.to_string());
        let run = agent.run(&["export", identifier, "--format", "json"]).must_exit(3);
        explained(&run, "settings", &["appsettings.agent.json:1:", &format!("`{identifier}`"), part]);
    }
    assert_eq!(agent.published(), former);
}

#[test]
fn settings_that_are_no_json_are_refused_at_their_place() {
    let agent = exported();
    agent.write("appsettings.agent.json", "{\n  \"Connections\": {\n    \"Okta\" {}\n");
    refuses(&agent, &[], 3, "settings", &["appsettings.agent.json:3:"]);
}

#[test]
fn a_refused_token_ends_the_export() {
    let agent = exported();
    agent.org(|org| org.revoke_token("sandbox-token"));
    refuses(&agent, &[], 4, "credentials", &["401", "E0000011"]);
    let check = agent.run(&["check"]).must_exit(4);
    for part in ["not ok", "401", "`ApiKey`"] {
        assert!(check.stdout.contains(part), "{part} in {}", check.stdout);
    }
}

#[test]
fn a_missing_right_is_named_for_the_table_that_needs_it() {
    for (prefix, tables, right) in [
        ("/api/v1/users", &["users"][..], "okta.users.read"),
        ("/api/v1/groups", &["groups", "groupsusers"], "okta.groups.read"),
        ("/api/v1/apps", &["apps", "groupsapps"], "okta.apps.read"),
    ] {
        let agent = exported();
        agent.org(|org| org.deny(prefix));
        refuses(&agent, &[], 4, "credentials", &["403", "E0000006", right]);
        let check = agent.run(&["check", "--format", "json"]).must_exit(4).json();
        let connection = &check["connections"][0];
        assert_eq!(connection["ok"], false);
        for table in tables {
            assert_eq!(connection["tables"][table], false, "{check}");
        }
        assert!(connection["problems"][0]["hint"].as_str().unwrap().contains(right), "{check}");
        agent.org(|org| org.allow_all());
        assert_eq!(agent.run(&["check", "--format", "json"]).must_exit(0).json()["connections"][0]["ok"], true);
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let agent = exported();
    let file = agent.beside("file");
    fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    refuses(&agent, &["--output", file], 1, "failed", &[file, "--output"]);
    if cfg!(target_os = "linux") {
        refuses(&agent, &["--output", "/proc/agent"], 1, "failed", &["`/proc/agent", "--output"]);
    }
    agent.write("appsettings.json", &json!({ "TempFolderPath": "appsettings.agent.json" }).to_string());
    refuses(&agent, &[], 1, "failed", &["appsettings.agent.json", "`TempFolderPath`"]);
}

/// A limit on the size of files stands for the full disk: what the program writes is refused in the same place.
#[cfg(unix)]
#[test]
fn a_full_disk_ends_the_export_and_nothing_is_lost() {
    let agent = exported();
    let (former, listing) = (agent.published(), acceptance::listing(&agent.output()));
    let mut command = std::process::Command::new("sh");
    let limited = r#"trap "" XFSZ; ulimit -f 1; exec "$@""#;
    command.args(["-c", limited, "sh"]).arg(acceptance::program()).arg("--directory").arg(agent.directory());
    command.args(["export", CONNECTION, "--format", "json"]);
    let run = Run::of(command).must_exit(1);
    explained(&run, "failed", &["cannot write `", "_users.csv`", "free space", "`TempFolderPath`"]);
    assert_eq!(agent.published(), former);
    assert_eq!(acceptance::listing(&agent.output()), listing, "what was begun is gone");
}

#[test]
fn an_organisation_that_is_not_there_is_unavailable() {
    let agent = exported();
    let former = agent.published();
    agent.set("RetryBudgetSeconds", json!(1));
    agent.set("Server", json!("http://127.0.0.1:9"));
    let run = agent.export(&["--format", "json"]).must_exit(5);
    assert!(run.failure().contains("no connection") && run.failure().contains("run again later"), "{}", run.stderr);
    assert_eq!(run.json()["error"]["kind"], "unavailable");
    assert_eq!(agent.published(), former);
}

#[test]
fn two_exports_at_once_into_one_folder_do_not_meet() {
    let agent = TestAgent::with(okta_sandbox::SandboxConfig {
        latency: std::time::Duration::from_millis(100),
        ..okta_sandbox::SandboxConfig::default()
    });
    let first = agent.command(&["export", CONNECTION]).spawn().unwrap();
    while agent.sandbox.journal().is_empty() {
        std::thread::yield_now();
    }
    let run = agent.export(&["--format", "json"]).must_exit(1);
    explained(&run, "failed", &["another export", CONNECTION, "--output"]);
    Run::from(first.wait_with_output().unwrap()).must_exit(0);
    assert_eq!(agent.published().len(), 6);
}

#[test]
fn an_export_that_the_mapping_switches_off_says_where() {
    let agent = exported();
    agent.map(&format!(
        r#"<Connection Identifier="{CONNECTION}" Connector="Okta" Package="Usercube.Okta@0000001" DeactivationExportFulfill="Export" />"#
    ));
    refuses(&agent, &[], 3, "settings", &["Conf/Okta.xml:3:1", "DeactivationExportFulfill", "switched off"]);
}

#[test]
fn a_package_that_nobody_serves_is_named() {
    let agent = exported();
    agent.map(&format!(r#"<Connection Identifier="{CONNECTION}" Connector="Okta" Package="Usercube.LDAP@0000001" />"#));
    refuses(&agent, &[], 3, "settings", &["`Usercube.LDAP@0000001`", "Usercube.Okta@0000001"]);
}
