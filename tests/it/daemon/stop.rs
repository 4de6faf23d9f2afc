//! An agent that is asked to end, and a run that is cancelled, while orders are under way: what was sent is reported.

use std::time::Duration;

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
