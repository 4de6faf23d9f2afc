//! The audit: what is done by command stands in it as what is done by page or by API does.

use acceptance::{
    CONNECTION, TestAgent,
    orders::{list, order},
};
use agent_host::store::{AuditRecord, Store};
use okta_sandbox::Seed;
use serde_json::json;

/// The lines of an agent's audit, the oldest first.
fn lines(agent: &TestAgent) -> Vec<AuditRecord> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let path = agent.directory().join("Work/agent.db");
    let mut lines = runtime.block_on(async {
        let store = Store::open(&path).await.expect("the store opens");
        store.audit(100).await.expect("the store is well")
    });
    lines.reverse();
    lines
}

#[test]
fn what_is_done_by_command_is_written_down_with_who_did_it() {
    let agent = TestAgent::seeded(Seed::exact(5, 1, 1, 1));
    agent.set("MaxDeletes", json!(0));
    acceptance::watch("long-enough-as-it-is");
    let password = "long-enough-as-it-is\n";
    agent.run_with_input(&["operator", "create", "ada", "--role", "operator"], password).must_exit(0);
    agent.run_with_input(&["operator", "create", "ADA"], password).must_exit(3);
    agent.run_with_input(&["operator", "password", "ada"], password).must_exit(0);
    agent.run(&["operator", "remove", "ada"]).must_exit(0);
    agent.run(&["operator", "remove", "ada"]).must_exit(3);
    let job = format!("export:{CONNECTION}");
    let started = agent.run(&["--format", "json", "job", "start", &job, "--no-wait"]).must_exit(0).json();
    agent.run(&["job", "start", &job, "--no-wait"]).must_exit(1);
    let run = started["run"].to_string();
    agent.run(&["job", "cancel", &run]).must_exit(0);
    let user = agent.org(|org| org.user_ids()[2].clone());
    agent.order_file("a.json", &list(&[order("1", "Deleted", "User", &user, json!({}))]));
    let refused = agent.fulfill(&[]).must_exit(7);
    let code = crate::fulfill::limits::code(&refused);
    agent.fulfill(&["--approve", "0000000000"]).must_exit(7);
    agent.fulfill(&["--approve", &code]).must_exit(0);

    let lines = lines(&agent);
    let told: Vec<_> =
        lines.iter().map(|line| (line.action.as_str(), line.account.as_str(), line.outcome.as_str())).collect();
    let cancelled = format!("{job} {run}");
    assert_eq!(
        told,
        [
            ("create_operator", "ada", "done"),
            ("set_operator_password", "ada", "done"),
            ("remove_operator", "ada", "done"),
            ("start_job", job.as_str(), "queued"),
            ("cancel_run", cancelled.as_str(), "asked"),
            ("approve_orders", code.as_str(), "approved"),
        ]
    );
    assert_eq!(lines[0].mode, "operator");
    assert_eq!(lines[5].connection, CONNECTION.to_lowercase());
    let who = &lines[0].actor;
    assert!(!who.is_empty() && lines.iter().all(|line| line.actor == *who), "{lines:?}");
}
