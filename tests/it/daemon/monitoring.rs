//! The daemon's signs of life.

use serde_json::json;

use super::{Daemon, Notices, agent, until};

#[test]
fn systemd_is_told_of_readiness_of_life_of_reloads_and_of_the_end() {
    let agent = agent(&json!({}));
    let notices = Notices::listen(&agent);
    let mut command = agent.command(&["run"]);
    command.env("NOTIFY_SOCKET", &notices.path).env("WATCHDOG_USEC", "2000000");
    let daemon = Daemon::start(command);
    notices.until("READY=1");
    notices.until("WATCHDOG=1");
    notices.until("WATCHDOG=1");
    daemon.signal("HUP");
    let reloading = notices.until("RELOADING=1").pop().expect("it is told");
    let at: u64 = reloading.split_once("MONOTONIC_USEC=").expect("systemd asks for it").1.trim().parse().unwrap();
    assert!(at > 0);
    notices.until("READY=1");
    daemon.signal("TERM");
    notices.until("STOPPING=1");
    // `Jobs:StopTimeoutSeconds`, and what an end takes beside it.
    notices.until("EXTEND_TIMEOUT_USEC=60000000");
    until(|| daemon.log().contains("INFO ended"));
}

#[test]
fn a_listener_that_does_not_read_holds_nobody_up() {
    let agent = agent(&json!({}));
    let notices = Notices::listen(&agent);
    let mut command = agent.command(&["run"]);
    command.env("NOTIFY_SOCKET", &notices.path).env("WATCHDOG_USEC", "2000000");
    let daemon = Daemon::start(command);
    // Two messages each: more than a socket and the agent keep together.
    for _ in 0..20 {
        daemon.reload("the settings were read anew");
    }
    assert_eq!(daemon.status("/healthz"), Some(200));
    daemon.end();
}
