//! The public conformance suites, against a directory of their own: scim2-tester and scim-sanity, both from PyPI.
//!
//! They are looked for in the Python environment that `cargo xtask test` makes; without it these tests say so and pass.
//! scim2-tester must make all of its checks, not only pass those it makes: fewer attributes are fewer checks.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::{inbox::Inbox, serve::TOKEN};

/// The checks that scim2-tester makes of a server with all attributes of RFC 7643.
const SCIM2_TESTER_CHECKS: usize = 135;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scim2_tester_passes_every_check() {
    let Some(program) = installed("scim2") else { return };
    let inbox = Inbox::open().await;
    let mut command = Command::new(program);
    command.env("SCIM_CLI_HEADERS", format!("Authorization: Bearer {TOKEN}"));
    command.args(["--url", &inbox.base_url, "test"]);
    let output = run(command).await;
    let text = String::from_utf8_lossy(&output.stdout);
    let passed = text.lines().filter(|line| line.starts_with("SUCCESS ")).count();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(passed >= SCIM2_TESTER_CHECKS, "only {passed} checks:\n{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scim_sanity_finds_nothing() {
    let Some(program) = installed("scim-sanity") else { return };
    let inbox = Inbox::open().await;
    let mut command = Command::new(program);
    command.args(["probe", &inbox.base_url, "--token", TOKEN, "--i-accept-side-effects"]);
    let output = run(command).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(!text.contains("[FAIL]") && !text.contains("[WARN]"), "{text}");
    assert!(text.matches("[PASS]").count() >= 28, "{text}");
}

async fn run(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

/// The program in the environment, None where nobody made it.
fn installed(program: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let program = target.join("tools").join("python").join("bin").join(program);
    if program.exists() {
        return Some(program);
    }
    println!("left out: there is no {}; `cargo xtask test` installs it where there is Python", program.display());
    None
}
