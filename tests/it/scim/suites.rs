//! The public conformance suites, scim2-tester and scim-sanity, against the daemon and its durable store.
//!
//! scim2-tester must make all of its checks, not only pass those it makes: fewer attributes are fewer checks.

use std::{io::Write, path::PathBuf, process::Command};

use acceptance::{Run, TestAgent};
use serde_json::json;

use super::{client::Client, create};

/// The checks that scim2-tester makes of a server with all attributes of RFC 7643.
const SCIM2_TESTER_CHECKS: usize = 135;

#[test]
fn scim2_tester_passes_every_check() {
    let agent = TestAgent::new();
    let token = create(&agent, &[]);
    let client = Client::start(&agent, &token);
    run_tester(&client.base_url(), &token);
    client.end();
}

#[test]
fn scim_sanity_finds_nothing() {
    let agent = TestAgent::new();
    let token = create(&agent, &[]);
    let client = Client::start(&agent, &token);
    run_sanity(&client.base_url(), &token);
    client.end();
}

#[test]
fn the_suites_pass_on_postgresql() {
    for run in [run_tester, run_sanity] {
        let agent = TestAgent::new();
        let Some(url) = passing_postgres::database() else { return };
        agent.write("appsettings.agent.json", &json!({ "Store": { "Url": url } }).to_string());
        let token = create(&agent, &[]);
        let client = Client::start(&agent, &token);
        run(&client.base_url(), &token);
        client.end();
    }
}

pub(super) fn run_tester(base_url: &str, token: &str) {
    let Some(program) = installed("scim2") else { return };
    let mut command = Command::new(program);
    command.env("SCIM_CLI_HEADERS", format!("Authorization: Bearer {token}"));
    command.args(["--url", base_url, "test"]);
    let run = Run::of(command).must_exit(0);
    let passed = run.stdout.lines().filter(|line| line.starts_with("SUCCESS ")).count();
    assert!(passed >= SCIM2_TESTER_CHECKS, "only {passed} checks:\n{}", run.stdout);
}

pub(super) fn run_sanity(base_url: &str, token: &str) {
    sanity(base_url, &["--token", token]);
}

/// With these credentials.
pub(super) fn sanity(base_url: &str, credentials: &[&str]) {
    let Some(program) = installed("scim-sanity") else { return };
    let mut command = Command::new(program);
    command.args(["probe", base_url, "--i-accept-side-effects"]).args(credentials);
    let run = Run::of(command).must_exit(0);
    assert!(!run.stdout.contains("[FAIL]") && !run.stdout.contains("[WARN]"), "{}", run.stdout);
    assert!(run.stdout.matches("[PASS]").count() >= 28, "{}", run.stdout);
}

/// The program beside Python, as `cargo xtask test` installs it.
fn installed(program: &str) -> Option<PathBuf> {
    let found = acceptance::python().map(|python| python.with_file_name(program)).filter(|path| path.exists());
    if found.is_none() {
        let line =
            format!("left out: `{program}` is not there; `cargo xtask test` installs it where there is Python\n");
        // A test that cannot say so passes all the same.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
    found
}
