//! What the daemon costs while it has nothing to do: memory, and its share of a core.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};

use crate::{
    report::{Bound, Report},
    sandbox::program,
};

const CASE: &str = "daemon";
/// Until what the start costs is over.
const SETTLE: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(60);
/// Of processor time in /proc; the same on every machine since Linux 2.6.
const TICKS_PER_SECOND: f64 = 100.0;
const MEGABYTE: f64 = 1e6;

/// Ends with the measurement.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // One that has ended needs no end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn measure(report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("making a folder for the bench")?;
    let directory = folder.path().join("agent");
    agent_host::init::init(&directory)?;
    let mut command = Command::new(program("agent-host")?);
    command.arg("--directory").arg(&directory).arg("run").env("Web__Urls", "http://127.0.0.1:0");
    let mut daemon = Daemon(command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn()?);
    let log = BufReader::new(daemon.0.stderr.take().context("it is piped")?);
    let mut lines = log.lines().map_while(Result::ok);
    ensure!(lines.any(|line| line.contains("Now listening on")), "the daemon does not begin to listen");
    std::thread::spawn(move || lines.for_each(drop));
    std::thread::sleep(SETTLE);
    let (before, began) = (seconds(&daemon)?, Instant::now());
    std::thread::sleep(IDLE);
    let percent = 100.0 * (seconds(&daemon)? - before) / began.elapsed().as_secs_f64();
    report.figure(CASE, "idle, percent of a core", percent, Bound::Under(0.5));
    report.figure(CASE, "idle memory, MB", bytes(&daemon)? / MEGABYTE, Bound::Under(40.0));
    Ok(())
}

/// Processor time used. Source: proc(5).
fn seconds(daemon: &Daemon) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.0.id())).context("the daemon runs, on Linux")?;
    let (_, fields) = stat.rsplit_once(')').context("a name is in parentheses")?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS_PER_SECOND)
}

fn bytes(daemon: &Daemon) -> anyhow::Result<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.0.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("it tells its memory")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<f64>()? * 1024.0)
}
