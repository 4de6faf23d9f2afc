//! What tests need of Python, in an environment of its own below the target folder: `moto`, the server that AWS Secrets
//! Manager is tested against, `aiosmtpd`, the mail server, `schemathesis`, which tries the API, and `cryptography`, which writes certificates and keys that others than us write.
//!
//! Installed once for a list of packages; where there is no Python, those tests say that they are left out.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// Each with its version, so that it is a change of ours alone that fails a test. Moto as a server needs `flask` and
/// `flask-cors`; its own list for servers is three times as large.
const PACKAGES: [&str; 11] = [
    "cryptography==50.0.2",
    "moto==5.2.5",
    "flask==3.1.3",
    "flask-cors==6.0.5",
    "aiosmtpd==1.4.6",
    // The public suites of SCIM; what they are made of decides which checks they make.
    "scim2-cli==0.6.0",
    "scim2-client==0.13.2",
    "scim2-models==0.12.3",
    "scim2-tester==0.5.2",
    "scim-sanity==0.7.4",
    // Tries the API against its description.
    "schemathesis==4.32.5",
];

/// Whether this machine can have it.
pub(crate) fn is_here() -> bool {
    let mut python = Command::new("python3");
    let status = python.args(["-m", "venv", "--help"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Installs the packages below the target folder, unless they are there. An error is a text for the reader.
pub(crate) fn install(target: &Path) -> Result<(), String> {
    let folder = target.join("tools").join("python");
    let done = folder.join("installed");
    if fs::read_to_string(&done).is_ok_and(|packages| packages == PACKAGES.join(" ")) {
        return Ok(());
    }
    println!("Installing {} into {}", PACKAGES.join(", "), folder.display());
    fs::create_dir_all(&folder).map_err(|error| format!("Cannot make {}: {error}", folder.display()))?;
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(Command::new(folder.join("bin").join("python")).args(pip).args(PACKAGES))?;
    fs::write(done, PACKAGES.join(" ")).map_err(|error| format!("Cannot write into {}: {error}", folder.display()))
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("Cannot start {command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} failed ({status})")) }
}
