//! How the agent is, what it has done, and its signs of life.

use std::path::Path;

use acceptance::{CONNECTION, orders};
use serde_json::{Value, json};

use crate::vaults::authority::Authority;

use super::{Daemon, Notices, agent, job, run, start, until};

/// The names that a dashboard's queries speak of.
fn names(dashboard: &Value, found: &mut Vec<String>) {
    match dashboard {
        Value::Object(fields) => {
            if let Some(query) = fields.get("expr").and_then(Value::as_str) {
                let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                found.extend(
                    words.filter(|word| word.starts_with("agent_") || word.starts_with("process_")).map(str::to_owned),
                );
            }
            fields.values().for_each(|value| names(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| names(value, found)),
        _ => {}
    }
}

#[test]
fn figures_tell_what_was_done_and_the_dashboard_asks_for_none_that_are_not_there() {
    let urls = "http://127.0.0.1:0;https://127.0.0.1:0";
    let web = json!({ "Urls": urls, "Certificate": { "File": "tls.pem" } });
    let agent = agent(&json!({ "Jobs": { "Nightly": job("export") }, "Web": web }));
    let issued = Authority::new("The test's authority").issue("localhost");
    std::fs::write(agent.directory().join("tls.pem"), &issued.pem).unwrap();
    let daemon = Daemon::start_as_told(agent.command(&["run"]));
    let wrong = daemon.ask("GET", "/scim/v2/nobody/Users", "authorization: Bearer nonsense\r\n", "");
    assert_eq!(wrong.status, 401);
    start(&agent, "Nightly");
    agent.order_file("1.json", &orders::list(&[orders::added_user("1", "new@example.com")]));
    until(|| agent.orders_folder().join("Completed/1.json").exists());
    until(|| run(&agent, 1)["state"] == "success" && run(&agent, 2)["state"] == "success");
    let figures = || daemon.ask("GET", "/metrics", "", "").body;
    until(|| figures().contains("agent_job_runs_total{job=\"Nightly\",state=\"success\"} 1\n"));
    let figures = figures();
    for line in [
        &*format!("agent_job_runs_total{{job=\"fulfill:{CONNECTION}\",state=\"success\"}} 1"),
        &*format!("agent_exported_records_total{{connection=\"{CONNECTION}\",table=\"groups\"}} 3"),
        &*format!("agent_orders_total{{connection=\"{CONNECTION}\",outcome=\"executed\"}} 1"),
        "agent_job_runs_queued 0",
        "agent_part_up{part=\"store\"} 1",
        "agent_http_requests_total{area=\"scim\",status=\"401\"} 1",
    ] {
        assert!(figures.lines().any(|known| known == line), "{line} in\n{figures}");
    }
    let ok = format!("agent_requests_total{{connection=\"{CONNECTION}\",bucket=\"");
    assert!(figures.lines().any(|line| line.starts_with(&ok) && line.contains("status=\"200\"")), "{figures}");
    let memory =
        figures.lines().find_map(|line| line.strip_prefix("process_resident_memory_bytes ")).expect("it is told");
    assert!(memory.parse::<f64>().unwrap() > 1e6, "{memory}");

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config-samples/monitoring/grafana-dashboard.json");
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut wanted = Vec::new();
    names(&dashboard, &mut wanted);
    assert!(wanted.len() > 12, "{wanted:?}");
    for name in wanted {
        assert!(
            figures.contains(&format!("# TYPE {name} ")),
            "the dashboard asks for `{name}`, which is not in\n{figures}"
        );
    }
    // What a proxy on this machine hands on comes from elsewhere.
    let stranger = daemon.ask("GET", "/metrics", "x-forwarded-for: 198.51.100.7\r\n", "");
    assert!(stranger.status == 401 && !stranger.body.contains("agent_job"), "{}", stranger.body);
    let made =
        agent.run(&["--format", "json", "token", "create", "prometheus", "--role", "viewer"]).must_exit(0).json();
    let token = made["token"].as_str().expect("it is told once");
    acceptance::watch(token);
    let headers = format!("x-forwarded-for: 198.51.100.7\r\nauthorization: Bearer {token}\r\n");
    assert_eq!(daemon.ask("GET", "/metrics", &headers, "").status, 200);
    assert_eq!(daemon.ask("GET", "/healthz", "", "").body, "ok\n");
    daemon.end();
}

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
