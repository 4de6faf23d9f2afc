//! Tools whose files the tests read: openssl and keytool.
//!
//! openssl is installed where that can be done without asking. Whatever cannot be had is named, and the tests that want
//! it say so and leave it out.

use std::process::{Command, Stdio};

/// Installs what is missing, and says so.
pub(crate) fn install() {
    if !works("openssl", &["version"]) {
        println!("openssl is missing: installing it with `apt-get install openssl`.");
        if !(works("apt-get", &["update"]) && works("apt-get", &["install", "-y", "openssl"])) {
            println!("It cannot be installed here; the tests of certificates will fail. Install openssl, then repeat.");
        }
    }
    if !works("keytool", &["-help"]) {
        println!(
            "keytool is not installed; tests of its files are left out (Debian: apt-get install default-jre-headless)."
        );
    }
}

fn works(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    let status = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
