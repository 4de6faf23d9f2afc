//! Tools whose files the tests read: openssl, and Python's package `cryptography`.
//!
//! What is missing is installed where that can be done without asking: openssl by apt, the package into the target
//! folder. Whatever cannot be had is named, and the tests that want it say so and leave it out; keytool is one of these.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Installs what is missing, and says so.
pub(crate) fn install() {
    if !works("openssl", &["version"]) {
        println!("openssl is missing: installing it with `apt-get install openssl`.");
        if !(works("apt-get", &["update"]) && works("apt-get", &["install", "-y", "openssl"])) {
            println!("It cannot be installed here; the tests of certificates will fail. Install openssl, then repeat.");
        }
    }
    let Some(folder) = folder() else { return };
    let python = folder.join("bin").join("python");
    if !works(&python, &["-c", "import cryptography"]) {
        println!("Installing Python's cryptography into {}, for tests that read its files.", folder.display());
        let place = folder.display().to_string();
        let done = works("python3", &["-m", "venv", &place])
            && works(&python, &["-m", "pip", "install", "--quiet", "cryptography"]);
        if !done {
            println!(
                "It cannot be installed here; tests of its files are left out (Debian: apt-get install python3-venv)."
            );
        }
    }
    if !works("keytool", &["-help"]) {
        println!(
            "keytool is not installed; tests of its files are left out (Debian: apt-get install default-jre-headless)."
        );
    }
}

/// `tools/python` in the target folder, where the tests look for it.
fn folder() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    Some(program.ancestors().nth(2)?.join("tools").join("python"))
}

fn works(program: impl AsRef<Path>, arguments: &[&str]) -> bool {
    let mut command = Command::new(program.as_ref());
    let status = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
