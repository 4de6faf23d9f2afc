//! What whoever has little leave tries: every route, what belongs to other connections, and work without end.

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use acceptance::{CONNECTION, TestAgent, orders};
use okta_sandbox::{Fault, FaultAction, Seed};
use serde_json::json;

use super::{Client, access::routes, administrator, ended, of, token};
use crate::password::daemon::until;

/// Something that each route takes for a body.
fn body(path: &str) -> serde_json::Value {
    match path.rsplit('/').next().expect("a split yields a part") {
        "approvals" => json!({ "code": "0123456789" }),
        "password-resets" => json!({ "login": "ada" }),
        "directories" => json!({ "directory": "acme" }),
        "rotate" => json!({ "former_days": 0 }),
        _ => json!({ "ProvisioningOrdersList": [] }),
    }
}

#[test]
fn no_route_forgets_the_role_or_the_connections_that_it_holds_for() {
    let agent = TestAgent::seeded(Seed::exact(1, 1, 1, 1));
    let other = json!({ "Server": agent.sandbox.url(), "ApiKey": agent.sandbox.token() });
    let import = json!({ "From": format!("{CONNECTION}_users"), "To": "Other_users" });
    let steps = json!([{ "Kind": "export", "Connection": CONNECTION }, { "Kind": "export", "Connection": "Other" }]);
    let settings = json!({ "Connections": { "Other": other }, "Imports": { "Hired": import },
        "Jobs": { "Nightly": { "Schedule": "15 2 * * *", "Steps": steps } } });
    agent.write("appsettings.agent.Production.json", &settings.to_string());
    let viewer = token(&agent, "looks", &[]);
    let scoped = token(&agent, "elsewhere", &["--role", "administrator", "--connection", "Other"]);
    let client = Client::start(&agent, &administrator(&agent));
    let (viewer, scoped) = (client.with(&viewer), client.with(&scoped));
    for (method, path) in routes(&client) {
        let body = (method != "GET").then(|| body(&path));
        if method != "GET" {
            let status = viewer.send(&method, &path, body.as_ref()).status;
            assert!(matches!(status, 403 | 404), "a viewer: {method} {path}: {status}");
        }
        let reply = scoped.send(&method, &path, body.as_ref());
        let is_of_all = path.contains(CONNECTION) || path.contains("/directories");
        let is_list = matches!(path.as_str(), "/api/openapi.json" | "/api/v1/me") || method == "GET";
        match reply.status {
            200 => assert!(is_list && !is_of_all, "somebody elsewhere: {method} {path}"),
            status => assert!(matches!(status, 403 | 404), "somebody elsewhere: {method} {path}: {status}"),
        }
        if !path.contains(CONNECTION) {
            for told in [CONNECTION, "Nightly", "Hired"] {
                assert!(!reply.text.contains(told), "{method} {path} tells of {told}: {}", reply.text);
            }
        }
    }
    scoped.post("/api/v1/jobs/import:Hired/runs", None).must(404);
    let shown = client.get("/api/v1/connections/Other").must(200);
    assert_eq!(shown["next_job"], "Nightly");
    client.end();
}

#[test]
fn one_plan_is_made_at_a_time_though_nobody_waits_for_it_any_more() {
    let agent = TestAgent::seeded(Seed::exact(5, 1, 1, 1));
    agent.set("MaxDeletes", json!(1));
    let users = agent.org(|org| org.user_ids().to_vec());
    let delete = |at: usize| orders::order(&at.to_string(), "Deleted", "User", &users[at], json!({}));
    let root = administrator(&agent);
    let client = Client::start(&agent, &root);
    let body = orders::list(&[delete(2), delete(3)]);
    let sent = client.ask("POST", &of("/orders"), "content-type: application/json\r\n", body.as_bytes()).must(202);
    assert_eq!(ended(&client, &sent["run"])["state"], "blocked");
    let slow = Duration::from_secs(4);
    agent.sandbox.add_fault(Fault::new(FaultAction::SlowFirstByte(slow)).on("GET", "/api/v1/users").times(1));
    let address = client.url().trim_start_matches("http://").to_owned();
    let mut gone = TcpStream::connect(address).expect("the daemon listens");
    let path = of("/orders/plan");
    write!(gone, "GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {root}\r\n\r\n").expect("it reads");
    until(|| agent.sandbox.faults_hit() > 0);
    let began = Instant::now();
    drop(gone);
    client.get(&path).must(200);
    assert!(began.elapsed() > slow / 2, "it waited for its turn, {:?}", began.elapsed());
    client.end();
}

#[test]
fn a_directory_is_told_by_an_address_that_leads_there() {
    let agent = TestAgent::seeded(Seed::exact(1, 1, 1, 1));
    let client = Client::start(&agent, &administrator(&agent));
    let made = client.post("/api/v1/directories", Some(&json!({ "directory": "acme" }))).must(201);
    acceptance::watch(made["token"].as_str().expect("it is shown once"));
    let shown = client.get("/api/v1/directories/acme").must(200);
    for endpoint in [&made["endpoint"], &shown["endpoint"]] {
        let endpoint = endpoint.as_str().expect("an address");
        assert!(endpoint.starts_with("http://127.0.0.1:") && endpoint.ends_with("/scim/v2/acme"), "{endpoint}");
    }
    client.end();
}
