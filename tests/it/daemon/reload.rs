//! Settings read anew: for what begins from then on, without dropping what has begun.

use std::net::TcpStream;

use serde_json::json;

use super::{Daemon, agent, free_port, job, run, slow_users, start, until};

const ANEW: &str = "the settings were read anew";
const REFUSED: &str = "the settings cannot be used, the former ones go on";

#[test]
fn a_signal_brings_new_jobs_and_the_run_at_work_ends_as_it_began() {
    let agent = agent(&json!({ "Jobs": { "Old": job("export") } }));
    slow_users(&agent, 8);
    let daemon = Daemon::start(agent.command(&["run"]));
    start(&agent, "Old");
    until(|| agent.sandbox.faults_hit() > 0);
    agent.write("appsettings.json", &json!({ "Jobs": { "New": job("refresh-schema") } }).to_string());
    daemon.reload(ANEW);
    assert!(!daemon.log().contains("DEBUG"), "{}", daemon.log());
    start(&agent, "New");
    until(|| run(&agent, 2)["state"] == "success");
    assert_eq!(run(&agent, 1)["state"], "started", "it goes on meanwhile");
    let louder = json!({ "Serilog": { "MinimumLevel": "Debug" } });
    agent.write("appsettings.Production.json", &louder.to_string());
    daemon.reload(ANEW);
    start(&agent, "New");
    until(|| daemon.log().contains("DEBUG"));
    agent.sandbox.clear_faults();
    until(|| run(&agent, 1)["state"] == "success");
    assert_eq!(run(&agent, 1)["attempts"], 1, "it was never dropped");
    assert!(agent.csv("users").lines().count() > 12);
    daemon.end();
}

#[test]
fn settings_that_cannot_be_used_change_nothing_and_say_why() {
    let agent = agent(&json!({ "Jobs": { "Old": job("refresh-schema") } }));
    let daemon = Daemon::start(agent.command(&["run"]));
    let mut bad = job("export");
    bad["Schedule"] = json!("61 * * * *");
    let broken = [
        (r#"{ "Jobs": "#.to_owned(), "appsettings.json:1:"),
        (json!({ "Jobs": { "Bad": bad } }).to_string(), "`Jobs:Bad:Schedule` is no cron expression"),
        (json!({ "WorkFolderPath": "Other" }).to_string(), "`WorkFolderPath` cannot change"),
    ];
    for (settings, why) in broken {
        agent.write("appsettings.json", &settings);
        daemon.reload(REFUSED);
        assert!(daemon.log().lines().last().is_some_and(|line| line.contains(why)), "{why} in {}", daemon.log());
        let ready = daemon.ask("GET", "/readyz", "", "");
        assert!(
            ready.status == 200 && ready.body.contains(r#"{"part":"settings","ok":false,"since":""#),
            "{}",
            ready.body
        );
    }
    agent.write("appsettings.json", &json!({ "Jobs": { "Old": job("refresh-schema") } }).to_string());
    daemon.reload(ANEW);
    assert!(daemon.ask("GET", "/readyz", "", "").body.contains(r#"{"part":"settings","ok":true}"#));
    start(&agent, "Old");
    until(|| run(&agent, 1)["state"] == "success");
    daemon.end();
}

#[test]
fn addresses_change_and_those_that_stay_keep_their_connections() {
    let [stays, goes, comes] = [free_port(), free_port(), free_port()];
    let urls = |ports: &[u16]| {
        let urls: Vec<String> = ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
        json!({ "Web": { "Urls": urls.join(";") } }).to_string()
    };
    let agent = agent(&json!({}));
    agent.write("appsettings.json", &urls(&[stays, goes]));
    let daemon = Daemon::start_as_told(agent.command(&["run"]));
    let open = |port: u16| TcpStream::connect(("127.0.0.1", port));
    until(|| open(goes).is_ok());
    let mut kept = open(stays).expect("it listens");
    agent.write("appsettings.json", &urls(&[stays, comes]));
    daemon.reload(ANEW);
    until(|| open(comes).is_ok() && open(goes).is_err());
    let status = super::bad_input::answer(&mut kept, b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert!(status.starts_with("HTTP/1.1 200"), "{status}");

    // Somebody else has the port: nothing changes.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    agent.write("appsettings.json", &urls(&[taken.local_addr().unwrap().port()]));
    daemon.reload(REFUSED);
    assert!(daemon.log().contains("another program listens there"), "{}", daemon.log());
    assert!(open(stays).is_ok() && open(comes).is_ok());
    daemon.end();
}
