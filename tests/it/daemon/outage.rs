//! A PostgreSQL that is away when the agent starts, goes away while it runs, and comes back.

use acceptance::TestAgent;
use passing_postgres::Cluster;
use serde_json::json;

use super::{Daemon, Notices, agent, free_port, job, run, slow_users, start, until};

/// The program, telling somebody of its life.
fn watched(agent: &TestAgent, notices: &Notices) -> std::process::Command {
    let mut command = agent.command(&["run"]);
    command.env("NOTIFY_SOCKET", &notices.path).env("WATCHDOG_USEC", "2000000");
    command
}

#[test]
fn a_store_that_is_away_at_the_start_is_waited_for_by_an_agent_that_says_so() {
    let Some(mut cluster) = Cluster::start() else { return };
    let agent = agent(&json!({ "Store": { "Url": cluster.database() } }));
    cluster.go_down();
    let notices = Notices::listen(&agent);
    let daemon = Daemon::start_at(format!("127.0.0.1:{}", free_port()), watched(&agent, &notices));
    until(|| daemon.status("/readyz") == Some(503));
    let ready = daemon.ask("GET", "/readyz", "", "").body;
    assert!(ready.contains(r#"{"part":"store","ok":false,"since":""#), "{ready}");
    assert_eq!(daemon.ask("GET", "/healthz", "", "").body, "ok\n", "it lives");
    let page = daemon.ask("GET", "/", "", "");
    assert!(page.status == 503 && page.head.contains("retry-after: "), "{}", page.head);
    let heard = notices.until("STATUS=waiting: cannot open the store");
    assert!(heard.iter().any(|told| told.starts_with("EXTEND_TIMEOUT_USEC=")), "systemd waits too: {heard:?}");
    assert!(!heard.iter().any(|told| told.contains("READY=1")), "it is not ready: {heard:?}");
    cluster.come_back();
    until(|| daemon.status("/readyz") == Some(200));
    notices.until("READY=1");
    until(|| daemon.log().contains("Now listening on: "));
    daemon.end();
}

#[test]
fn a_store_that_goes_and_comes_back_costs_no_run_and_systemd_hears_of_life_meanwhile() {
    let Some(mut cluster) = Cluster::start() else { return };
    let jobs = json!({ "MaxRuns": 1, "LeaseSeconds": 6, "Slow": job("export"), "Next": job("refresh-schema") });
    let agent = agent(&json!({ "Store": { "Url": cluster.database() }, "Jobs": jobs }));
    slow_users(&agent, 8);
    let notices = Notices::listen(&agent);
    let daemon = Daemon::start(watched(&agent, &notices));
    start(&agent, "Slow");
    until(|| agent.sandbox.faults_hit() > 0);
    start(&agent, "Next");
    cluster.go_down();
    until(|| daemon.status("/readyz") == Some(503));
    assert_eq!(daemon.status("/healthz"), Some(200), "it lives");
    notices.forget();
    notices.until("WATCHDOG=1");
    notices.until("WATCHDOG=1");
    assert_eq!(daemon.status("/readyz"), Some(503), "and is not ready all the while");
    agent.sandbox.clear_faults();
    cluster.come_back();
    until(|| daemon.status("/readyz") == Some(200));
    until(|| [1, 2].iter().all(|number| run(&agent, *number)["state"] == "success"));
    assert!(agent.csv("users").lines().count() > 12);
    daemon.end();
}
