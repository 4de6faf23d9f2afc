//! What comes twice, in between or in the wrong order: the last word counts, and nothing is lost or taken away by it.

use std::{fs, time::Duration};

use acceptance::{
    CONNECTION, Run, TestAgent,
    orders::{GROUP_ID, added_user, list, order, results},
};
use okta_sandbox::{Fault, FaultAction};
use serde_json::{Value, json};

use super::{agent, some};

fn status_of(agent: &TestAgent, user: &str) -> Value {
    agent.org(|org| org.user(user).map_or(Value::Null, |user| user["status"].clone()))
}

fn asked(status: &str, user: &str) -> String {
    list(&[order("1", "Modified", "User", user, json!({ "status": status }))])
}

#[test]
fn the_same_text_after_its_opposite_is_the_last_word() {
    let agent = agent();
    let (user, ..) = some(&agent);
    for (name, status) in [("1", "SUSPENDED"), ("2", "ACTIVE"), ("3", "SUSPENDED")] {
        agent.order_file(&format!("{name}.json"), &asked(status, &user));
    }
    agent.fulfill(&[]).must_exit(0);
    assert_eq!(status_of(&agent, &user), "SUSPENDED");
    // And once more in later runs.
    for status in ["ACTIVE", "SUSPENDED", "ACTIVE"] {
        agent.order_file("1.json", &asked(status, &user));
        agent.fulfill(&[]).must_exit(0);
        assert_eq!(status_of(&agent, &user), status);
    }
}

#[test]
fn a_copy_of_a_file_counts_for_no_limit() {
    let agent = agent();
    let (user, group, _) = some(&agent);
    agent.set("MaxLinkRemovals", json!(1));
    let text = list(&[order("1", "Modified", "User", &user, json!({"Groups_remove": [group]}))]);
    agent.order_file("1.json", &text);
    agent.order_file("2.json", &text);
    agent.order_file("3.json", &list(&[added_user("2", "a@example.com")]));
    agent.fulfill(&[]).must_exit(0);
}

#[test]
fn who_is_hired_again_in_the_same_run_keeps_the_account() {
    let agent = agent();
    let (user, ..) = some(&agent);
    let orders = [order("1", "Deleted", "User", &user, json!({})), added_user("2", "some@example.com")];
    agent.order_file("orders.json", &list(&orders));
    let plan = agent.fulfill(&["--plan", "--format", "json"]).must_exit(0).json();
    assert_eq!((&plan["orders"][0]["effect"], &plan["orders"][1]["effect"]), (&json!("refused"), &json!("adopt")));
    let done = agent.fulfilled(&orders, 6);
    assert!(done["1"].0 == "Errored" && done["1"].1.contains("not deleted"), "{done:?}");
    assert_eq!((done["2"].0.as_str(), status_of(&agent, &user)), ("Executed", json!("ACTIVE")));
}

#[test]
fn orders_on_one_record_keep_their_order_over_an_outage() {
    let agent = agent();
    let (user, group, _) = some(&agent);
    agent.set("RetryBudgetSeconds", json!(1));
    let down = FaultAction::Error { status: 503, code: "E0000010".to_owned() };
    agent.sandbox.add_fault(Fault::new(down).on("POST", "/api/v1/users").containing("suspend").always());
    let orders = [
        order("1", "Modified", "User", &user, json!({"status": "SUSPENDED"})),
        order("2", "Modified", "User", &user, json!({"status": "ACTIVE", "Groups_add": [{GROUP_ID: group}]})),
    ];
    agent.order_file("a.json", &list(&orders));
    agent.fulfill(&[]).must_exit(5);
    agent.sandbox.clear_faults();
    agent.fulfill(&[]).must_exit(0);
    assert_eq!(status_of(&agent, &user), "ACTIVE");
}

/// Starts a run whose first write is answered after so long, and returns once it has been sent.
fn slow_run(agent: &TestAgent, answer_after: Duration) -> std::process::Child {
    let before = agent.sandbox.faults_hit();
    agent.sandbox.add_fault(Fault::new(FaultAction::SlowFirstByte(answer_after)).on("POST", "/api/v1/users").times(1));
    let run = agent.command(&["fulfill", CONNECTION, "--format", "json"]).spawn().expect("the program starts");
    while agent.sandbox.faults_hit() == before {
        std::thread::yield_now();
    }
    run
}

#[test]
fn what_is_put_in_the_place_of_a_file_meanwhile_is_for_the_next_run() {
    let agent = agent();
    agent.order_file("a.json", &list(&[added_user("1", "a@example.com")]));
    let run = slow_run(&agent, Duration::from_secs(2));
    agent.order_file("a.json", &list(&[added_user("2", "b@example.com")]));
    Run::from(run.wait_with_output().unwrap()).must_exit(0);
    let report = agent.fulfill(&["--format", "json"]).must_exit(0).json();
    assert_eq!(report["executed"], 1, "{report}");
    assert_eq!(status_of(&agent, "b@example.com"), "PROVISIONED");
}

#[cfg(unix)]
#[test]
fn who_asks_to_end_gets_what_is_under_way_finished_and_reported() {
    let agent = agent();
    agent.set("MaxConcurrency", json!(1));
    let orders: Vec<Value> = (0..20).map(|id| added_user(&id.to_string(), &format!("u{id}@example.com"))).collect();
    agent.order_file("a.json", &list(&orders));
    for signal in ["-INT", "-TERM"] {
        let run = slow_run(&agent, Duration::from_secs(2));
        assert!(std::process::Command::new("kill").args([signal, &run.id().to_string()]).status().unwrap().success());
        let run = Run::from(run.wait_with_output().unwrap()).must_exit(1);
        assert_eq!(run.json()["error"]["kind"], "interrupted", "{}", run.stdout);
        assert!(run.failure().contains("not carried out") && run.failure().contains(".csv"), "{}", run.stderr);
    }
    let told = || {
        let files = acceptance::files(&agent.directory().join("Work/FulfillResults"));
        files.into_values().map(|text| results(&String::from_utf8(text).unwrap()).len()).sum::<usize>()
    };
    let before = told();
    assert!((2..20).contains(&before), "{before} orders are reported");
    let made = agent.sandbox.effects().iter().filter(|it| it.path == "/api/v1/users" && it.created.is_some()).count();
    assert_eq!(made, before);
    agent.fulfill(&[]).must_exit(0);
    assert_eq!(told(), 20);
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_that_the_disk_does_not_give_stays_and_the_others_go_on() {
    let agent = agent();
    agent.order_file("2.json", &list(&[added_user("1", "a@example.com")]));
    // Reading from its beginning is an error of the system.
    std::os::unix::fs::symlink("/proc/self/mem", agent.orders_folder().join("1.json")).unwrap();
    let report = agent.fulfill(&["--format", "json"]).must_exit(6).json();
    assert_eq!((&report["executed"], &report["rejected"].as_array().map(Vec::len)), (&json!(1), &Some(1)), "{report}");
    assert!(agent.orders_folder().join("1.json").is_symlink());
}

#[test]
fn orders_of_standard_input_are_approved_by_giving_them_again() {
    let agent = agent();
    let (user, ..) = some(&agent);
    agent.set("MaxDeletes", json!(0));
    let text = list(&[order("1", "Deleted", "User", &user, json!({}))]);
    let run = agent.run_with_input(&["fulfill", CONNECTION, "--orders", "-"], &text).must_exit(7);
    let code = super::limits::code(&run);
    agent.run_with_input(&["fulfill", CONNECTION, "--orders", "-", "--approve", &code], &text).must_exit(0);
    assert_eq!(status_of(&agent, &user), Value::Null);
    let report = agent.fulfill(&["--format", "json"]).must_exit(0).json();
    assert_eq!(report["orders"], 0, "nothing is left behind: {report}");
}

#[test]
fn results_that_can_go_nowhere_stop_the_run_before_anything_is_sent() {
    let agent = agent();
    agent.order_file("a.json", &list(&[added_user("1", "a@example.com")]));
    let folder = agent.beside("folder");
    fs::create_dir(&folder).unwrap();
    let run = agent.fulfill(&["--results", folder.to_str().unwrap()]).must_exit(3);
    assert!(run.failure().contains("folder") && run.failure().contains("name a file"), "{}", run.stderr);
    assert!(agent.sandbox.effects().is_empty());
}
