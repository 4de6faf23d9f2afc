//! A system that fails while orders run: what was done is reported, what was not is kept, and nothing is done twice.

use acceptance::orders::{added_user, list, order};
use okta_sandbox::{Fault, FaultAction};
use serde_json::{Value, json};

use super::{agent, some};

#[test]
fn orders_that_an_outage_left_over_are_carried_out_by_the_next_run() {
    let agent = agent();
    let (user, ..) = some(&agent);
    agent.set("RetryBudgetSeconds", json!(1));
    let down = FaultAction::Error { status: 503, code: "E0000010".to_owned() };
    agent.sandbox.add_fault(Fault::new(down).on("POST", "/api/v1/users").containing("activate").always());
    let orders = [
        added_user("1", "new@example.com"),
        order("2", "Modified", "User", &user, json!({"profile_department": "Ops"})),
        order("3", "Modified", "User", "00unone", json!({"profile_department": "Ops"})),
    ];
    agent.order_file("a.json", &list(&orders));
    let path = agent.beside("first.csv");
    let run = agent.fulfill(&["--results", path.to_str().unwrap()]).must_exit(5);
    assert!(run.failure().contains("1 of 3 orders are not carried out"), "{}", run.stderr);
    assert!(run.failure().contains("run again") && run.failure().contains("first.csv"), "{}", run.stderr);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("2,Executed") && text.contains("3,Errored") && !text.contains("\n1,"), "{text}");
    assert!(agent.orders_folder().join("a.json").is_file());
    agent.sandbox.clear_faults();
    let report = agent.fulfill(&["--format", "json"]).must_exit(0).json();
    assert_eq!((&report["orders"], &report["executed"]), (&json!(1), &json!(1)), "each is reported once: {report}");
    assert!(agent.orders_folder().join("Completed/a.json").is_file());
}

#[test]
fn refused_credentials_stop_the_run_and_keep_the_orders() {
    let agent = agent();
    agent.set("ApiKey", json!("wrong"));
    agent.order_file("a.json", &list(&[added_user("1", "new@example.com")]));
    let run = agent.fulfill(&["--format", "json"]).must_exit(4);
    assert_eq!(run.json()["error"]["kind"], "credentials");
    assert!(agent.orders_folder().join("a.json").is_file());
    agent.set("ApiKey", json!(agent.sandbox.token()));
    agent.fulfill(&[]).must_exit(0);
}

#[test]
fn an_answer_that_was_lost_is_looked_for_and_nothing_is_made_twice() {
    let agent = agent();
    let before = agent.org(|org| org.counts().users);
    agent.sandbox.add_fault(Fault::new(FaultAction::LoseAnswer).on("POST", "/api/v1/users").times(3));
    let orders: Vec<Value> = (0..6).map(|id| added_user(&id.to_string(), &format!("u{id}@example.com"))).collect();
    let done = agent.fulfilled(&orders, 0);
    assert!(done.values().all(|(state, _)| state == "Executed"), "{done:?}");
    assert_eq!(agent.org(|org| org.counts().users), before + 6);
    let made = agent.sandbox.effects().iter().filter(|it| it.path == "/api/v1/users" && it.created.is_some()).count();
    assert_eq!(made, 6);
}
