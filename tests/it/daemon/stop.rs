//! An agent that is asked to end, and a run that is cancelled, while orders are under way: what was sent is reported.

use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};

use acceptance::{TestAgent, orders};
use okta_sandbox::{Fault, FaultAction};
use serde_json::{Value, json};

use super::{Daemon, agent, run, until};

/// Many orders whose first request is under way.
fn at_orders(agent: &TestAgent) -> Daemon {
    let slow = FaultAction::SlowFirstByte(Duration::from_secs(2));
    agent.sandbox.add_fault(Fault::new(slow).on("POST", "/api/v1/users").always());
    let daemon = Daemon::start(agent.command(&["run"]));
    let orders: Vec<Value> =
        (0..400).map(|n| orders::added_user(&n.to_string(), &format!("u{n}@example.com"))).collect();
    agent.order_file("many.json", &orders::list(&orders));
    until(|| agent.sandbox.faults_hit() > 0);
    daemon
}

fn results(agent: &TestAgent) -> Vec<String> {
    let files = acceptance::files(&agent.directory().join("Work/FulfillResults"));
    let lines = files
        .values()
        .flat_map(|file| String::from_utf8_lossy(file).lines().skip(1).map(str::to_owned).collect::<Vec<_>>());
    lines.collect()
}

#[test]
fn an_agent_that_is_asked_to_end_finishes_what_is_under_way_and_the_next_one_the_rest() {
    let agent = agent(&json!({}));
    let daemon = at_orders(&agent);
    daemon.end();
    let reported = results(&agent);
    assert!(!reported.is_empty() && reported.len() < 400, "{}", reported.len());
    assert_eq!(run(&agent, 1)["state"], "started", "the next agent takes it up");
    agent.sandbox.clear_faults();
    let daemon = Daemon::start(agent.command(&["run"]));
    until(|| agent.orders_folder().join("Completed/many.json").exists());
    until(|| run(&agent, 1)["state"] == "success");
    daemon.end();
    let all = results(&agent);
    assert!(all.len() == 400 && all.iter().all(|line| line.contains(",Executed,")), "{}", all.len());
}

#[test]
fn a_cancelled_run_of_orders_finishes_what_is_under_way_and_nobody_takes_it_up() {
    let agent = agent(&json!({}));
    let daemon = at_orders(&agent);
    agent.run(&["job", "cancel", "1"]).must_exit(0);
    until(|| run(&agent, 1)["state"] == "cancelled");
    let cancelled = run(&agent, 1);
    assert!(cancelled["message"].as_str().unwrap().contains("cancelled while it was at work"), "{cancelled}");
    let reported = results(&agent);
    assert!(!reported.is_empty() && reported.len() < 400, "{}", reported.len());
    daemon.end();
}

/// A request whose body does not come; it is under way as soon as this is back.
fn begun(daemon: &Daemon) -> TcpStream {
    let mut stream = TcpStream::connect(&daemon.address).expect("it listens");
    let head = "POST /PasswordReset/Activate/?activationCode=x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n\
                content-type: application/x-www-form-urlencoded\r\ncontent-length: 6\r\n\r\n";
    stream.write_all(head.as_bytes()).expect("it is read");
    let mut goes_on = [0; 25];
    stream.read_exact(&mut goes_on).expect("the body is asked for");
    assert_eq!(&goes_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

#[test]
fn a_slow_request_is_answered_at_the_end_within_the_time_that_the_settings_give() {
    let given = |seconds: u32| agent(&json!({ "Jobs": { "StopTimeoutSeconds": seconds } }));
    let patient = given(600);
    let daemon = Daemon::start(patient.command(&["run"]));
    let mut slow = begun(&daemon);
    daemon.signal("TERM");
    until(|| daemon.log().contains("asked to end"));
    slow.write_all(b"code=x").unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    until(|| daemon.log().contains("INFO ended"));

    let hasty = given(1);
    let daemon = Daemon::start(hasty.command(&["run"]));
    let mut slow = begun(&daemon);
    let began = Instant::now();
    daemon.end();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    assert_eq!(slow.read_to_string(&mut String::new()).unwrap_or(0), 0, "nobody answers it any more");
}
