//! The server that AWS Secrets Manager is tested against: `moto`, a Python package, in a folder of its own.
//!
//! Installed once, at a fixed version; where there is no Python, those tests say that they are left out.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// The server itself needs `flask` and `flask-cors`; the package's own list for servers is three times as large.
const PACKAGES: [&str; 3] = ["moto==5.2.5", "flask", "flask-cors"];

/// Whether this machine can have it.
pub(crate) fn has_python() -> bool {
    let mut python = Command::new("python3");
    let status = python.args(["-m", "venv", "--help"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Installs it into `folder`, unless it is there. An error is a text for the reader.
pub(crate) fn install(folder: &Path) -> Result<(), String> {
    let done = folder.join("installed");
    if fs::read_to_string(&done).is_ok_and(|packages| packages == PACKAGES.join(" ")) {
        return Ok(());
    }
    println!("Installing {} into {}", PACKAGES.join(", "), folder.display());
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    run(Command::new(folder.join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check"])
        .args(PACKAGES))?;
    fs::write(done, PACKAGES.join(" ")).map_err(|error| format!("Cannot write into {}: {error}", folder.display()))
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("Cannot start {command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed ({status})")) }
}
