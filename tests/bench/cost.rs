//! What running a program costs: wall time, processor time and peak memory, as the system reports them at its end.
//!
//! Until a new process has become its program, its peak counts as that of the bench, which therefore stays small itself.

use std::{
    io::{Read, Seek},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde_json::Value;
use wait4::Wait4;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    pub wall: Duration,
    pub processor: Duration,
    pub peak_bytes: u64,
}

/// Runs the program to its end. What it prints on stdout is dropped; the last line on stderr is shown if it fails.
pub(crate) fn cost_of(command: &mut Command) -> anyhow::Result<Cost> {
    measured(command, Stdio::null())
}

/// The same, with what it prints on stdout.
pub(crate) fn cost_and_report_of(command: &mut Command) -> anyhow::Result<(Cost, Value)> {
    let mut report = tempfile::tempfile().context("making a file for the program's report")?;
    let cost = measured(command, report.try_clone()?.into())?;
    report.rewind()?;
    Ok((cost, serde_json::from_reader(report).context("reading the program's report")?))
}

fn measured(command: &mut Command, stdout: Stdio) -> anyhow::Result<Cost> {
    let program = command.get_program().display().to_string();
    let mut log = tempfile::tempfile().context("making a file for the program's log")?;
    command.stdin(Stdio::null()).stdout(stdout).stderr(log.try_clone()?);
    let began = Instant::now();
    let child = command.spawn().with_context(|| format!("starting `{program}`"))?;
    let ended = child.wait4().with_context(|| format!("waiting for `{program}`"))?;
    let wall = began.elapsed();
    if !ended.status.success() {
        let mut said = String::new();
        log.rewind()?;
        log.read_to_string(&mut said)?;
        bail!("`{program}` failed with {}: {}", ended.status, said.lines().last().unwrap_or("it says nothing"));
    }
    Ok(Cost { wall, processor: ended.rusage.utime + ended.rusage.stime, peak_bytes: ended.rusage.maxrss })
}
