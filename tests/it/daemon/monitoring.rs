//! The daemon's signs of life.

use std::{os::unix::net::UnixDatagram, time::Duration};

use serde_json::json;

use super::{Daemon, agent, until};

#[test]
fn systemd_is_told_of_readiness_of_life_of_reloads_and_of_the_end() {
    let agent = agent(&json!({}));
    let path = agent.beside("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let next = |wanted: &str| {
        let mut buffer = [0; 512];
        loop {
            let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("`{wanted}` is told: {error}"));
            let told = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if told.contains(wanted) {
                return told;
            }
        }
    };
    let mut command = agent.command(&["run"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "2000000");
    let daemon = Daemon::start(command);
    next("READY=1");
    next("WATCHDOG=1");
    next("WATCHDOG=1");
    daemon.signal("HUP");
    let reloading = next("RELOADING=1");
    let at: u64 = reloading.split_once("MONOTONIC_USEC=").expect("systemd asks for it").1.trim().parse().unwrap();
    assert!(at > 0);
    next("READY=1");
    daemon.signal("TERM");
    next("STOPPING=1");
    until(|| daemon.log().contains("INFO ended"));
}
