//! Tools whose files the tests read: openssl and keytool; and PostgreSQL, which they start.
//!
//! What is missing is installed by apt, where that can be done without asking. Whatever cannot be had is named, and the
//! tests that want it say so and leave it out.

use std::process::{Command, Stdio};

/// A program, how to ask whether it works, and Debian's package with it.
const TOOLS: [(&str, &str, &str); 3] = [
    ("openssl", "version", "openssl"),
    ("keytool", "-help", "default-jre-headless"),
    ("psql", "--version", "postgresql"),
];

/// Installs what is missing, and says so.
pub(crate) fn install() {
    for (program, question, package) in TOOLS {
        if works(program, &[question]) {
            continue;
        }
        println!("{program} is missing: installing it with `apt-get install {package}`.");
        let install = ["install", "-y", "--no-install-recommends", package];
        if !(works("apt-get", &["update"]) && works("apt-get", &install)) {
            println!("It cannot be installed here; tests that need {program} fail or are left out.");
        }
    }
}

fn works(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    let status = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
