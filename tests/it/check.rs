//! `check`: every connection is tried out, and what is wrong with one does not hide the others.

use acceptance::{CONNECTION, TABLES, TestAgent};
use okta_sandbox::{Fault, FaultAction};
use serde_json::json;

#[test]
fn the_report_has_the_shape_that_scripts_rely_on() {
    let agent = TestAgent::new();
    let report = agent.run(&["check", "--format", "json"]).must_exit(0).json();
    let connection = &report["connections"][0];
    assert_eq!((connection["connection"].as_str(), connection["ok"].as_bool()), (Some(CONNECTION), Some(true)));
    assert!(TABLES.iter().all(|table| connection["tables"][table] == true), "{report}");
    assert_eq!(connection["problems"], json!([]));
    let text = agent.run(&["check"]).must_exit(0).stdout;
    assert!(text.starts_with(&format!("{CONNECTION}: ok\n")) && text.contains("can be read"), "{text}");
    assert!(!agent.output().exists(), "nothing is written");
}

#[test]
fn every_connection_is_tried_and_the_gravest_problem_is_the_exit_code() {
    let agent = TestAgent::new();
    let good = json!({ "Server": agent.sandbox.url(), "ApiKey": agent.sandbox.token() });
    let refused = json!({ "Server": agent.sandbox.url(), "ApiKey": "wrong" });
    let unusable = json!({ "Server": "example.okta.com", "ApiKey": "any" });
    let connections = json!({ "Good": good, "Refused": refused, "Unusable": unusable });
    agent.write("appsettings.agent.json", &json!({ "Connections": connections }).to_string());
    let report = agent.run(&["check", "--format", "json"]).must_exit(4).json();
    let found: Vec<_> =
        report["connections"].as_array().unwrap().iter().map(|c| (&c["connection"], &c["ok"])).collect();
    assert_eq!(json!(found), json!([["Good", true], ["Refused", false], ["Unusable", false]]));
    for problem in [&report["connections"][1]["problems"][0], &report["connections"][2]["problems"][0]] {
        assert!(
            problem["message"].is_string() && problem["hint"].as_str().is_some_and(|hint| !hint.is_empty()),
            "{problem}"
        );
    }
    agent.run(&["check", "Good"]).must_exit(0);
    agent.run(&["check", "Good", "Unusable"]).must_exit(3);
}

#[test]
fn credentials_that_see_nobody_are_a_problem() {
    let agent = TestAgent::new();
    agent.sandbox.add_fault(Fault::new(FaultAction::EmptyList).on("GET", "/api/v1/users").always());
    let text = agent.run(&["check"]).must_exit(4).stdout;
    assert!(text.contains("the token sees no user") && text.contains("okta.users.read"), "{text}");
}

#[test]
fn without_a_connection_it_says_where_one_belongs() {
    let agent = TestAgent::new();
    agent.write("appsettings.agent.json", "{}");
    let text = agent.run(&["check"]).must_exit(0).stdout;
    assert!(text.contains("`Connections` in appsettings.agent.json"), "{text}");
}
