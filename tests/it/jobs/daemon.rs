//! Jobs of a running agent: killed and started again, followed, cancelled, asked to end.

use std::time::Duration;

use acceptance::{CONNECTION, TestAgent, orders};
use okta_sandbox::{Fault, FaultAction};
use serde_json::{Value, json};

use super::{agent, export_job, job};
use crate::password::daemon::{Daemon, until};

/// A request that takes so long that the run is at work until something else happens to it.
fn hang(agent: &TestAgent) {
    let slow = FaultAction::SlowFirstByte(Duration::from_secs(50));
    agent.sandbox.add_fault(Fault::new(slow).on("GET", "/api/v1/users").always());
}

fn run(agent: &TestAgent, number: i64) -> Value {
    job(agent, &["history", "--run", &number.to_string()], 0)
}

#[test]
fn a_killed_agents_run_is_finished_by_the_next_one() {
    let agent = agent(&json!({ "Nightly": export_job("0 3 * * *") }));
    hang(&agent);
    let daemon = Daemon::start(agent.command(&["run"]));
    job(&agent, &["start", "Nightly", "--no-wait"], 0);
    until(|| agent.sandbox.faults_hit() > 0);
    let refused = agent.run(&["job", "start", "Nightly"]).must_exit(1);
    assert!(
        refused.failure().starts_with("the job `Nightly` does not overlap itself: its run 1 is started"),
        "{}",
        refused.stderr
    );
    let second = agent.run(&["run"]).must_exit(1);
    assert!(second.failure().starts_with("another agent runs on the work folder"), "{}", second.stderr);
    // It is killed.
    drop(daemon);
    assert_eq!(run(&agent, 1)["state"], "started");
    agent.sandbox.clear_faults();
    let daemon = Daemon::start(agent.command(&["run"]));
    until(|| run(&agent, 1)["state"] == "success");
    daemon.end();
    assert_eq!(
        (&run(&agent, 1)["attempts"], job(&agent, &["history"], 0)["runs"].as_array().map(Vec::len)),
        (&json!(2), Some(1))
    );
    assert!(agent.csv("users").lines().count() > 12);
}

#[test]
fn a_run_is_cancelled_while_it_is_at_work_and_publishes_nothing() {
    let agent = agent(&json!({ "Nightly": export_job("0 3 * * *") }));
    hang(&agent);
    let daemon = Daemon::start(agent.command(&["run"]));
    job(&agent, &["start", "Nightly", "--no-wait"], 0);
    until(|| agent.sandbox.faults_hit() > 0);
    job(&agent, &["cancel", "1"], 0);
    until(|| run(&agent, 1)["state"] == "cancelled");
    agent.run(&["job", "cancel", "1"]).must_exit(1);
    daemon.end();
    assert!(agent.published().is_empty(), "{:?}", agent.published().keys());
}

#[test]
fn an_agent_that_is_asked_to_end_leaves_its_run_to_the_next_one() {
    let agent = agent(&json!({ "StopTimeoutSeconds": 0, "Nightly": export_job("0 3 * * *") }));
    hang(&agent);
    let daemon = Daemon::start(agent.command(&["run"]));
    job(&agent, &["start", "Nightly", "--no-wait"], 0);
    until(|| agent.sandbox.faults_hit() > 0);
    daemon.end();
    agent.sandbox.clear_faults();
    let daemon = Daemon::start(agent.command(&["run"]));
    until(|| run(&agent, 1)["state"] == "success");
    daemon.end();
}

#[test]
fn a_running_agent_keeps_schedules_carries_out_orders_and_is_followed() {
    let agent = agent(&json!({ "Often": export_job("* * * * * *") }));
    let daemon = Daemon::start(agent.command(&["run"]));
    until(|| job(&agent, &["history", "Often"], 0)["runs"][0]["state"] == "success");
    agent.order_file("1.json", &orders::list(&[orders::added_user("1", "new@example.com")]));
    until(|| agent.orders_folder().join("Completed/1.json").exists());
    let followed = job(&agent, &["start", &format!("export:{CONNECTION}")], 0);
    assert_eq!((&followed["state"], &followed["attempts"]), (&json!("success"), &json!(1)));
    assert!(agent.csv("users").contains("new@example.com"));
    daemon.end();
    let sound = agent.run(&["--format", "json", "store", "check"]).must_exit(0).json();
    assert_eq!(sound["problems"], json!([]));
    let copy = agent.beside("copy.db");
    let copy = copy.to_str().unwrap();
    agent.run(&["store", "backup", copy]).must_exit(0);
    assert!(agent.run(&["store", "backup", copy]).must_exit(1).failure().contains("is there already"));
}
