//! Figures for Prometheus: that they tell the truth, and that dashboard and alerts ask for what there is.

use std::{collections::BTreeMap, fs, path::Path};

use acceptance::{CONNECTION, TestAgent, orders};
use okta_sandbox::{Fault, FaultAction};
use serde_json::{Value, json};

use crate::{import, vaults::authority::Authority};

use super::{Daemon, agent, job, run, slow_users, start, until};

/// Figures as they are told: each by its name with its labels in the order of their names.
pub(crate) struct Figures(BTreeMap<(String, BTreeMap<String, String>), f64>);

impl Figures {
    pub(crate) fn of(daemon: &Daemon) -> Self {
        let text = daemon.ask("GET", "/metrics", "", "").body;
        let told = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let (figure, value) = line.rsplit_once(' ').expect("a value follows");
            let (name, labels) = figure.trim_end_matches('}').split_once('{').unwrap_or((figure, ""));
            let labels = labels.split_terminator("\",").map(|label| label.trim_end_matches('"').split_once("=\""));
            let labels =
                labels.map(|label| label.expect("a value in quotes")).map(|(a, b)| (a.to_owned(), b.to_owned()));
            ((name.to_owned(), labels.collect()), value.parse().expect("a number"))
        });
        Self(told.collect())
    }

    /// The sum of those of a name that have these labels; none where there is none.
    pub(crate) fn sum(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let is_it = |(key, known): &(String, BTreeMap<String, String>)| {
            key == name && labels.iter().all(|(label, value)| known.get(*label).is_some_and(|known| known == value))
        };
        self.0.iter().filter(|(key, _)| is_it(key)).map(|(_, value)| *value).reduce(|sum, value| sum + value)
    }

    /// The labels of a name's figures.
    fn labels(&self, name: &str) -> Option<Vec<&str>> {
        let (_, labels) = self.0.keys().find(|(known, _)| known == name)?;
        Some(labels.keys().map(String::as_str).collect())
    }
}

/// The queries of dashboard and alerts, each with the texts that speak of its labels.
fn queries() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../config-samples/monitoring");
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("it is there");
    let dashboard: Value = serde_json::from_str(&read("grafana-dashboard.json")).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("a list").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("a list"));
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let mut found: Vec<(String, String)> =
        targets.map(|target| (text(&target["expr"]), text(&target["legendFormat"]))).collect();
    let alerts = read("alerts.yml");
    let after = |line: &str, word: &str| Some(line.trim().strip_prefix(word)?.trim().to_owned());
    let exprs = alerts.lines().filter_map(|line| after(line, "expr:"));
    let told = alerts.lines().filter_map(|line| after(line, "annotations:")).map(|text| text.replace("$labels.", ""));
    found.extend(exprs.zip(told));
    found
}

/// The words between these, such as labels in a text or after `by`.
fn between<'a>(text: &'a str, open: &str, close: &str) -> Vec<&'a str> {
    let parts = text.split(open).skip(1).filter_map(|part| part.split_once(close));
    parts.flat_map(|(inside, _)| inside.split(',')).map(str::trim).collect()
}

/// A figure that Prometheus reads once with its scrape is known by these too.
const OF_THE_SCRAPE: [&str; 1] = ["instance"];

/// Nothing is asked for that is not told: no name, and no label of it.
fn assert_told(figures: &Figures, queries: &[(String, String)]) {
    assert!(queries.len() > 20, "{queries:?}");
    for (query, told) in queries {
        let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names: Vec<&str> =
            words.filter(|it| it.starts_with("agent_") && *it != "agent_job" || it.starts_with("process_")).collect();
        assert!(!names.is_empty(), "{query}");
        for name in names {
            let known = figures.labels(name).unwrap_or_else(|| panic!("`{query}` asks for {name}, which is not told"));
            for label in between(query, "by (", ")").into_iter().chain(between(told, "{{", "}}")) {
                assert!(
                    known.contains(&label) || OF_THE_SCRAPE.contains(&label),
                    "{name} has no label {label}: {query}"
                );
            }
        }
    }
}

/// Each request that the organisation had is counted, once.
#[expect(clippy::cast_precision_loss, reason = "a handful")]
fn assert_requests_counted(figures: &Figures, agent: &TestAgent) {
    let journal = agent.sandbox.journal();
    for status in [200, 429, 404] {
        let answered = journal.iter().filter(|exchange| exchange.status == status).count();
        let told = figures.sum("agent_requests_total", &[("status", &status.to_string())]);
        assert_eq!(told, Some(answered as f64), "{status}");
    }
    assert_eq!(figures.sum("agent_requests_total", &[]), Some(journal.len() as f64));
}

#[test]
fn figures_tell_what_was_done_and_dashboard_and_alerts_ask_for_what_there_is() {
    let agent = import::agent();
    import::people(&agent, &[import::line(0, "Sales", "active"), import::line(1, "Sales", "active")]);
    let web = json!({ "Urls": "http://127.0.0.1:0;https://127.0.0.1:0", "Certificate": { "File": "tls.pem" } });
    agent.write("appsettings.json", &json!({ "Jobs": { "Nightly": job("export") }, "Web": web }).to_string());
    let issued = Authority::new("The test's authority").issue("localhost");
    fs::write(agent.directory().join("tls.pem"), &issued.pem).unwrap();
    let refused = Fault::new(FaultAction::Concurrency429).on("GET", "/api/v1/groups").times(1);
    agent.sandbox.add_fault(refused);
    let daemon = Daemon::start_as_told(agent.command(&["run"]));
    let of_nightly =
        |state| Figures::of(&daemon).sum("agent_job_runs_total", &[("agent_job", "Nightly"), ("state", state)]);
    assert_eq!(["success", "error", "blocked"].map(of_nightly), [Some(0.0); 3], "else the first one is no increase");
    assert_eq!(daemon.ask("GET", "/scim/v2/nobody/Users", "authorization: Bearer nonsense\r\n", "").status, 401);
    agent.sandbox.clear_journal();
    start(&agent, "Nightly");
    until(|| run(&agent, 1)["state"] == "success");
    let ended = run(&agent, 1)["steps"][0]["ended_ms"].clone();
    let wrong = orders::order("2", "Modified", "User", "00unobody", json!({ "profile_login": "x" }));
    agent.order_file("1.json", &orders::list(&[orders::added_user("1", "new@example.com"), wrong]));
    until(|| agent.orders_folder().join("Completed/1.json").exists());
    until(|| run(&agent, 2)["state"] == "warning");
    let fulfill = format!("fulfill:{CONNECTION}");
    start(&agent, "import:Staff");
    until(|| run(&agent, 3)["state"] == "success");
    let told_of = |job: &str| Figures::of(&daemon).sum("agent_job_runs_total", &[("agent_job", job)]);
    until(|| [&fulfill, "import:Staff"].map(told_of) == [Some(1.0); 2]);

    let figures = Figures::of(&daemon);
    assert_requests_counted(&figures, &agent);
    for (name, labels, value) in [
        ("agent_job_runs_total", [("agent_job", "Nightly"), ("state", "success")], 1.0),
        ("agent_job_runs_total", [("agent_job", "Nightly"), ("state", "error")], 0.0),
        ("agent_job_steps_total", [("kind", "export"), ("state", "success")], 1.0),
        ("agent_job_steps_total", [("kind", "fulfill"), ("state", "warning")], 1.0),
        ("agent_exported_records_total", [("connection", CONNECTION), ("table", "groups")], 2.0),
        ("agent_export_records", [("connection", CONNECTION), ("table", "users")], 4.0),
        ("agent_orders_total", [("connection", CONNECTION), ("outcome", "executed")], 3.0),
        ("agent_orders_total", [("connection", CONNECTION), ("outcome", "errored")], 1.0),
        ("agent_imported_records_total", [("import", "Staff"), ("connection", "People")], 2.0),
        ("agent_rate_limit_requests", [("connection", CONNECTION), ("bucket", "/api/v1/users")], 1e6),
        ("agent_http_requests_total", [("area", "scim"), ("status", "401")], 1.0),
    ] {
        assert_eq!(figures.sum(name, &labels), Some(value), "{name} {labels:?}");
    }
    assert_eq!(figures.sum("agent_throttled_requests_total", &[("connection", CONNECTION)]), Some(1.0));
    assert!(figures.sum("agent_rate_limit_most_used_requests", &[("bucket", "/api/v1/groups")]) >= Some(2.0));
    assert_eq!(
        (figures.sum("agent_job_runs_queued", &[]), figures.sum("agent_part_up", &[("part", "store")])),
        (Some(0.0), Some(1.0))
    );
    assert!(figures.sum("process_resident_memory_bytes", &[]) > Some(1e6));
    let export = [("kind", "export"), ("connection", CONNECTION)];
    let last_done = figures.sum("agent_job_step_last_done_timestamp_seconds", &export).expect("it is told");
    assert_eq!(json!((1000.0 * last_done).round() as i64), ended);

    assert_told(&figures, &queries());
    daemon.end();

    // What the process counts begins again; what the store knows does not.
    let daemon = Daemon::start_as_told(agent.command(&["run"]));
    let figures = Figures::of(&daemon);
    assert_eq!(figures.sum("agent_job_runs_total", &[("agent_job", "Nightly")]), Some(0.0));
    assert_eq!(figures.sum("agent_job_step_last_done_timestamp_seconds", &export), Some(last_done));
    daemon.end();
}

#[test]
fn requests_are_counted_while_an_export_is_at_work() {
    let agent = agent(&json!({ "Jobs": { "Nightly": job("export") } }));
    slow_users(&agent, 300);
    let daemon = Daemon::start(agent.command(&["run"]));
    start(&agent, "Nightly");
    let groups = [("bucket", "/api/v1/groups"), ("status", "200")];
    until(|| Figures::of(&daemon).sum("agent_requests_total", &groups) >= Some(1.0));
    assert_eq!(run(&agent, 1)["state"], "started", "it waits for its users");
    let unanswered = [("status", "none")];
    assert_eq!(Figures::of(&daemon).sum("agent_requests_total", &unanswered), None, "their request is under way");
    agent.run(&["job", "cancel", "1"]).must_exit(0);
    until(|| run(&agent, 1)["state"] == "cancelled");
    assert_eq!(Figures::of(&daemon).sum("agent_requests_total", &unanswered), Some(1.0), "now nobody will answer");
    daemon.end();
}

#[test]
fn figures_are_for_this_machine_and_for_who_may_see_all() {
    let agent = TestAgent::new();
    let daemon = Daemon::start(agent.command(&["run"]));
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
