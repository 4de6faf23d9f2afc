//! What a reader of the API waits for while an export is at work in the same agent.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::{
    organisation::Organisation,
    report::{Bound, Report},
    rig::{CONNECTION, Rig},
};

const CASE: &str = "api";
const ORGANISATION: Organisation = Organisation { users: 100_000, groups: 1_000, apps: 20, memberships: 1_000_000 };
/// Reads at the least: one export follows the other until there were so many.
const LEAST: usize = 2_000;
/// Between two reads of the one reader.
const PAUSE: Duration = Duration::from_millis(5);

/// A running agent; dropping it ends it.
struct Daemon {
    process: Child,
    address: String,
    token: String,
}

pub(crate) fn measure(report: &mut Report) -> anyhow::Result<()> {
    let rig = Rig::new(&ORGANISATION, &[])?;
    let made = rig.command(&["--format", "json", "token", "create", "bench", "--role", "operator"])?.output()?;
    let made: Value = serde_json::from_slice(&made.stdout).context("making a token")?;
    let daemon = Daemon::start(&rig, made["token"].as_str().context("a token is printed")?)?;
    let reads = [
        "/api/v1/me".to_owned(),
        "/api/v1/connections".to_owned(),
        "/api/v1/jobs".to_owned(),
        "/api/v1/runs".to_owned(),
        format!("/api/v1/connections/{CONNECTION}/orders"),
        format!("/api/v1/connections/{CONNECTION}/exports"),
        "/api/v1/audit".to_owned(),
    ];
    let mut times = Vec::new();
    while times.len() < LEAST {
        read_during_an_export(&daemon, &reads, &mut times)?;
    }
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    report.figure(CASE, "median of a read while an export runs, ms", at(0.5), Bound::Under(20.0));
    report.figure(CASE, "p99 of a read while an export runs, ms", at(0.99), Bound::Under(20.0));
    Ok(())
}

/// Reads one after the other until an export that begins now is over, and notes what each takes.
fn read_during_an_export(daemon: &Daemon, reads: &[String], times: &mut Vec<Duration>) -> anyhow::Result<()> {
    let started = daemon.ask("POST", &format!("/api/v1/connections/{CONNECTION}/exports"))?;
    let run = format!("/api/v1/runs/{}", started["run"]);
    loop {
        let state = daemon.ask("GET", &run)?;
        if state["is_over"] == true {
            ensure!(state["state"] == "success", "the export fails: {state}");
            return Ok(());
        }
        if state["state"] != "started" {
            std::thread::sleep(PAUSE);
            continue;
        }
        for path in reads {
            let began = Instant::now();
            daemon.ask("GET", path)?;
            times.push(began.elapsed());
            std::thread::sleep(PAUSE);
        }
    }
}

impl Daemon {
    fn start(rig: &Rig, token: &str) -> anyhow::Result<Self> {
        let mut command = rig.command(&["run"])?;
        command.env("Web__Urls", "http://127.0.0.1:0").stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().context("starting the agent")?;
        let mut lines = BufReader::new(process.stderr.take().expect("stderr is piped")).lines();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            line.split_once("Now listening on: http://").map(|(_, address)| address.trim().to_owned())
        });
        // What it says further is read, so that it can go on saying it.
        std::thread::spawn(move || lines.for_each(drop));
        let Some(address) = address else {
            let status = process.wait()?;
            anyhow::bail!("the agent did not start ({status})");
        };
        Ok(Self { process, address, token: token.to_owned() })
    }

    /// One request on a connection of its own.
    fn ask(&self, method: &str, path: &str) -> anyhow::Result<Value> {
        let mut stream = TcpStream::connect(&self.address)?;
        let Self { address, token, .. } = self;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\
             content-length: 0\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer has a head")?;
        ensure!(head.starts_with("HTTP/1.1 2"), "{method} {path}: {head}\n{body}");
        Ok(serde_json::from_str(body)?)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // An agent that has ended already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
