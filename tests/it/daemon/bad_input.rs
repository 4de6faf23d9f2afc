//! What strangers, operators and machines can do wrong to a daemon.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use acceptance::TestAgent;
use serde_json::json;

use super::{Daemon, agent, free_port, job, run, slow_users, start, until};
use crate::password::say;

/// What comes back for this, until the other end closes.
pub(super) fn answer(stream: &mut TcpStream, request: &[u8]) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out can be set");
    // The other end may have closed before all of it is written.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_port_in_use_and_addresses_that_are_none_are_refused_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("http://{}", taken.local_addr().unwrap());
    for (urls, code, told) in [
        (&*taken, 1, "another program listens there"),
        ("http://192.0.2.1:6001", 1, "this machine has no such address"),
        ("ftp://127.0.0.1:21", 3, "has a scheme other than http and https; write http://127.0.0.1:6001"),
        ("http://127.0.0.1:99999", 3, "holds something that is no address"),
        ("http://agent.example.com:6001", 3, "names a host instead of one of this machine's addresses"),
        ("http://127.0.0.1:6001/agent", 3, "has a path"),
        ("http://127.0.0.1:6001;http://127.0.0.1:6001", 3, "names an address twice"),
        (" ; ", 3, "names no address"),
        ("https://127.0.0.1:0", 3, "`Web:Certificate:File` is missing, and `Web:Urls` asks for https; name a PFX"),
    ] {
        let agent = agent(&json!({ "Web": { "Urls": urls } }));
        let run = agent.run(&["run"]).must_exit(code);
        assert!(run.failure().contains(told), "{told} in {}", run.stderr);
    }
}

#[test]
fn malformed_slow_and_oversized_requests_are_ended_and_others_are_served_meanwhile() {
    let agent = agent(&json!({}));
    let daemon = Daemon::start(agent.command(&["run"]));
    let open = || TcpStream::connect(&daemon.address).unwrap();
    for nonsense in [
        &b"\x16\x03\x01\x02\x00\x01"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\na b: c\r\n\r\n",
    ] {
        let answer = answer(&mut open(), &[nonsense, b"\r\n\r\n"].concat());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    let long = format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "a".repeat(1 << 20));
    assert!(answer(&mut open(), long.as_bytes()).starts_with("HTTP/1.1 431"));

    // Slow ones: each sends a part of its head and no more.
    let began = Instant::now();
    let mut slow: Vec<TcpStream> = (0..50).map(|_| open()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: ").unwrap();
    }
    assert_eq!(daemon.ask("GET", "/healthz", "", "").status, 200);
    for mut stream in slow {
        let answer = answer(&mut stream, b"");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
    assert!(began.elapsed() > Duration::from_secs(5), "a client has some time");
    let page = daemon.ask("POST", "/PasswordReset/Activate/?activationCode=x", "", &"a".repeat(1 << 20));
    assert_eq!(page.status, 413);
    daemon.end();
}

#[test]
fn connections_that_the_system_refuses_are_told_and_taken_later() {
    let agent = agent(&json!({}));
    if Command::new("prlimit").arg("--version").output().is_err() {
        say("left out: there is no prlimit on this machine");
        return;
    }
    let daemon = Daemon::start(agent.command(&["run"]));
    limit_it(&daemon, "--nofile=1:");
    let mut refused = TcpStream::connect(&daemon.address).unwrap();
    until(|| daemon.log().contains("a connection cannot be taken"));
    limit_it(&daemon, "--nofile=1024:");
    let answer = answer(&mut refused, b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(daemon.log().matches("a connection cannot be taken").count() < 10, "it waits between: {}", daemon.log());
    daemon.end();
}

/// The program where a write beyond the limit is an error, as it is on a full disk, and not the process's end; with this
/// done before. None where there is no prlimit.
fn on_a_small_disk(agent: &TestAgent, before: &str) -> Option<Command> {
    if Command::new("prlimit").arg("--version").output().is_err() {
        say("left out: there is no prlimit on this machine");
        return None;
    }
    let plain = agent.command(&["run"]);
    let mut command = Command::new("bash");
    let script = format!("trap '' XFSZ; {before} exec \"$0\" \"$@\"");
    command.args(["-c", &script]).arg(plain.get_program()).args(plain.get_args());
    command.env_clear().stdin(Stdio::null()).stderr(Stdio::piped());
    Some(command)
}

/// From now on it can write files up to so many bytes.
fn limit(daemon: &Daemon, bytes: &str) {
    limit_it(daemon, &format!("--fsize={bytes}:unlimited"));
}

fn limit_it(daemon: &Daemon, limit: &str) {
    let status = Command::new("prlimit").args(["--pid", &daemon.id().to_string(), limit]).status();
    assert!(status.expect("prlimit is there").success());
}

fn assert_store_is_unwell(daemon: &Daemon) {
    let ready = daemon.ask("GET", "/readyz", "", "");
    assert!(ready.status == 503 && ready.body.contains(r#"{"part":"store","ok":false,"since":""#), "{}", ready.body);
    assert_eq!(daemon.status("/healthz"), Some(200), "it lives");
}

#[test]
fn a_disk_that_is_full_is_told_by_an_agent_without_work_and_stops_what_begins() {
    let agent = agent(&json!({ "Jobs": { "Often": job("refresh-schema") } }));
    let Some(command) = on_a_small_disk(&agent, "") else { return };
    let daemon = Daemon::start(command);
    assert_eq!(daemon.status("/readyz"), Some(200));
    limit(&daemon, "1");
    until(|| daemon.status("/readyz") == Some(503));
    assert_store_is_unwell(&daemon);
    start(&agent, "Often");
    until(|| daemon.log().contains("the store fails"));
    assert_store_is_unwell(&daemon);
    limit(&daemon, "unlimited");
    until(|| run(&agent, 1)["state"] == "success");
    until(|| daemon.status("/readyz") == Some(200));
    daemon.end();
}

#[test]
fn a_disk_that_is_full_while_a_run_is_at_work_is_told_and_costs_nothing() {
    let agent = agent(&json!({ "Jobs": { "Slow": job("export") } }));
    let Some(command) = on_a_small_disk(&agent, "") else { return };
    slow_users(&agent, 15);
    let daemon = Daemon::start(command);
    start(&agent, "Slow");
    until(|| agent.sandbox.faults_hit() > 0);
    limit(&daemon, "1");
    until(|| daemon.status("/readyz") == Some(503));
    assert_store_is_unwell(&daemon);
    limit(&daemon, "unlimited");
    until(|| daemon.status("/readyz") == Some(200));
    until(|| run(&agent, 1)["state"] == "success");
    assert_eq!(run(&agent, 1)["attempts"], 1, "it was at work all the time");
    daemon.end();
}

#[test]
fn a_disk_that_is_full_at_the_start_is_waited_for() {
    let agent = agent(&json!({ "Jobs": { "Often": job("refresh-schema") } }));
    let Some(command) = on_a_small_disk(&agent, "ulimit -S -f 0;") else { return };
    let daemon = Daemon::start_at(format!("127.0.0.1:{}", free_port()), command);
    until(|| daemon.status("/readyz") == Some(503));
    until(|| daemon.log().contains("the agent cannot begin, and will be tried again"));
    assert_store_is_unwell(&daemon);
    limit(&daemon, "unlimited");
    until(|| daemon.status("/readyz") == Some(200));
    start(&agent, "Often");
    until(|| run(&agent, 1)["state"] == "success");
    daemon.end();
}

#[test]
fn a_store_that_somebody_holds_is_waited_for() {
    let agent = agent(&json!({ "Jobs": { "Often": job("refresh-schema") } }));
    let daemon = Daemon::start(agent.command(&["run"]));
    let hold = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); \
                c.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()";
    let mut python = Command::new("python3");
    python.args(["-c", hold]).arg(agent.directory().join("Work/agent.db")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut holder) = python.spawn() else {
        eprintln!("left out: there is no python3 on this machine");
        return;
    };
    let mut held = [0; 5];
    holder.stdout.take().unwrap().read_exact(&mut held).unwrap();
    let mut starting = agent.command(&["job", "start", "Often", "--no-wait"]).spawn().unwrap();
    let ready = daemon.ask("GET", "/readyz", "", "");
    assert_eq!(ready.status, 200, "reading goes on: {}", ready.body);
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert!(starting.wait().unwrap().success());
    // Looking into the store again and again would hold it too.
    until(|| daemon.log().contains("the run has ended"));
    let ended = run(&agent, 1);
    assert_eq!(ended["state"], "success", "{ended}\n{}", daemon.log());
    daemon.end();
}

#[test]
fn a_program_that_looks_into_the_store_of_a_running_agent_takes_nothing_away() {
    let agent = agent(&json!({ "Jobs": { "Often": job("refresh-schema") } }));
    let daemon = Daemon::start(agent.command(&["run"]));
    let look = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(c.execute('SELECT COUNT(*) FROM job_runs').fetchone()); c.close()";
    let mut python = Command::new("python3");
    python.args(["-c", look]).arg(agent.directory().join("Work/agent.db")).stdout(Stdio::null());
    let Ok(status) = python.status() else {
        eprintln!("left out: there is no python3 on this machine");
        return;
    };
    assert!(status.success());
    for entry in std::fs::read_dir(format!("/proc/{}/fd", daemon.id())).unwrap() {
        let open = std::fs::read_link(entry.unwrap().path()).unwrap_or_default();
        assert!(!open.to_string_lossy().contains("(deleted)"), "{}", open.display());
    }
    start(&agent, "Often");
    until(|| daemon.log().contains("the run has ended"));
    assert_eq!(run(&agent, 1)["state"], "success");
    daemon.end();
}
