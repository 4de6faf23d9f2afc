//! What opening a thousand protected settings costs: of one file, which share a wrapped key, and each with its own.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};

use crate::{
    cost::cost_of,
    report::{Bound, Report},
    sandbox::program,
};

const CASE: &str = "protected";
const VALUES: usize = 1000;
const ENCRYPTED: &str = "appsettings.encrypted.json";
const SETTINGS: &str = r#"{ "EncryptionCertificate": { "File": "agent.pfx", "UseEncryptedAppsettings": true } }"#;

pub(crate) fn measure(report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("making a folder for the bench")?;
    let folder = folder.path();
    agent(folder, &["protect", "new-certificate"], "")?;
    fs::write(folder.join("appsettings.json"), SETTINGS)?;
    let lines: String = (0..VALUES).map(|number| format!("value {number}\n")).collect();

    let leaves = lines.lines().map(|line| format!("\"{line}\"")).collect::<Vec<_>>().join(",\n");
    fs::write(folder.join("plain.json"), format!("{{ \"Values\": [\n{leaves}\n] }}"))?;
    let file = folder.join(ENCRYPTED);
    let (plain, encrypted) = (folder.join("plain.json").display().to_string(), file.display().to_string());
    agent(folder, &["protect", "file", "--in", &plain, "--out", &encrypted], "")?;
    let seconds = processor(folder)?;
    report.figure(CASE, "processor time for 1,000 values of one file, s", seconds, Bound::Under(2.0));

    let values = agent(folder, &["protect", "value", "--any-path"], &lines)?;
    let mut text = String::from("{");
    for (number, value) in values.lines().enumerate() {
        writeln!(text, "\"Value{number}\": \"{value}\",")?;
    }
    fs::write(file, text + "}")?;
    let seconds = processor(folder)?;
    report.figure(CASE, "processor time for 1,000 values with a key each, s", seconds, Bound::Under(2.0));
    Ok(())
}

/// Seconds of processor time for a command that reads the settings and has nothing else to do.
fn processor(folder: &Path) -> anyhow::Result<f64> {
    let mut costs = Vec::new();
    for _ in 0..5 {
        let mut command = Command::new(program("agent-host")?);
        costs.push(cost_of(command.arg("--directory").arg(folder).arg("check").env_clear())?.processor);
    }
    costs.sort_unstable();
    Ok(costs[costs.len() / 2].as_secs_f64())
}

/// Runs the program with this on its stdin; what it prints.
fn agent(folder: &Path, arguments: &[&str], input: &str) -> anyhow::Result<String> {
    let mut command = Command::new(program("agent-host")?);
    command.arg("--directory").arg(folder).args(arguments).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = command.spawn().context("starting the agent")?;
    running.stdin.take().context("stdin is a pipe")?.write_all(input.as_bytes())?;
    let output = running.wait_with_output()?;
    ensure!(output.status.success(), "agent-host {arguments:?} failed");
    Ok(String::from_utf8(output.stdout)?)
}
