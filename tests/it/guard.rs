//! Empty is suspicious: a set from which records vanished is refused, and a record without a usable key left out.

use acceptance::{CONNECTION, Files, TestAgent};
use okta_sandbox::{Fault, FaultAction, Seed};
use serde_json::{Value, json};

/// The export is refused as suspicious: the table is named, and the way on; the former set stays.
#[track_caller]
fn refused(agent: &TestAgent, former: &Files, table: &str) {
    let run = agent.export(&["--format", "json"]).must_exit(7);
    assert!(run.failure().contains(&format!("`{table}`")), "{}", run.stderr);
    assert!(run.failure().contains("--accept-shrink"), "{}", run.stderr);
    assert_eq!(run.json()["error"]["kind"], "refused");
    assert_eq!(agent.published(), *former);
}

fn remove_users(agent: &TestAgent, count: usize) {
    agent.org(|org| org.user_ids().iter().skip(1).take(count).for_each(|user| assert!(org.remove_user(user))));
}

#[test]
fn a_table_may_lose_a_fifth_and_no_more() {
    let agent = TestAgent::seeded(Seed::exact(600, 3, 2, 1));
    agent.export(&[]).must_exit(0);
    remove_users(&agent, 120);
    agent.export(&[]).must_exit(0);
    remove_users(&agent, 110);
    refused(&agent, &agent.published(), "users");
    assert_eq!(agent.exported(&["--accept-shrink"])["tables"]["users"]["records"], 370);
    agent.export(&[]).must_exit(0);
}

#[test]
fn a_small_table_may_lose_most_but_not_all() {
    let agent = TestAgent::seeded(Seed::exact(90, 3, 4, 1));
    agent.export(&[]).must_exit(0);
    remove_users(&agent, 80);
    agent.export(&[]).must_exit(0);
    agent.sandbox.add_fault(Fault::new(FaultAction::EmptyList).on("GET", "/api/v1/apps").always());
    refused(&agent, &agent.published(), "apps");
    agent.exported(&["--accept-shrink"]);
    assert_eq!(agent.csv("apps").lines().count(), 1);
}

#[test]
fn an_organisation_without_users_is_never_believed() {
    let agent = TestAgent::new();
    agent.sandbox.add_fault(Fault::new(FaultAction::EmptyList).on("GET", "/api/v1/users").always());
    refused(&agent, &Files::new(), "users");
    agent.export(&["--table", "groups"]).must_exit(0);
    let former = agent.published();
    agent.export(&["--table", "users"]).must_exit(7);
    assert_eq!(agent.published(), former);
    assert_eq!(agent.exported(&["--accept-shrink"])["tables"]["users"]["records"], 0);
}

#[test]
fn a_table_that_was_not_read_is_not_compared() {
    let agent = TestAgent::seeded(Seed::exact(30, 3, 4, 1));
    agent.export(&[]).must_exit(0);
    agent.sandbox.add_fault(Fault::new(FaultAction::EmptyList).on("GET", "/api/v1/apps").always());
    agent.export(&["--table", "users"]).must_exit(0);
    refused(&agent, &agent.published(), "apps");
}

#[test]
fn a_list_that_ends_early_is_suspicious() {
    let agent = TestAgent::seeded(Seed::exact(430, 3, 2, 1));
    agent.export(&[]).must_exit(0);
    agent.sandbox.add_fault(Fault::new(FaultAction::EmptyList).on("GET", "/api/v1/users").nth(2).always());
    refused(&agent, &agent.published(), "users");
}

#[test]
fn a_record_with_an_empty_or_repeated_key_is_left_out_counted_and_named() {
    let agent = TestAgent::seeded(Seed::exact(20, 2, 0, 3));
    agent.map(&format!(
        r#"<EntityTypeMapping Identifier="User" Connector="Okta" ConnectionTable="{CONNECTION}_users">
        <Property Identifier="id" ConnectionColumn="id" />
        <Property Identifier="number" ConnectionColumn="profile.employeeNumber" IsPrimaryKey="true" />
        </EntityTypeMapping>"#
    ));
    let nameless = agent.org(|org| {
        let users = org.user_ids();
        assert!(org.set_attribute(&users[3], "employeeNumber", Value::Null));
        assert!(org.set_attribute(&users[4], "employeeNumber", json!("0000007")));
        assert!(org.set_attribute(&users[5], "employeeNumber", json!("0000007")));
        users[3].clone()
    });
    let run = agent.export(&["--format", "json"]).must_exit(0);
    let users = &run.json()["tables"]["users"];
    assert_eq!(users["file"], "OktaExportFulfillment_users.csv");
    assert_eq!((&users["records"], &users["rejected"]), (&json!(17), &json!(3)));
    assert!(run.stderr.contains("empty or repeated key"), "{}", run.stderr);
    let rejected = &agent.manifest()["tables"]["users"]["rejected"];
    assert_eq!(rejected["count"], 3);
    assert_eq!(rejected["reasons"], json!({ "empty key": 1, "repeated key": 2 }));
    assert_eq!(rejected["examples"][0], json!({ "reason": "empty key", "record": nameless }));
    assert_eq!(rejected["examples"][1], json!({ "reason": "repeated key", "record": "0000007" }));
    assert_eq!(agent.csv("users").matches("0000007").count(), 1);
    let keys: Vec<String> =
        agent.csv("users").lines().skip(1).map(|line| line.split(',').nth(1).unwrap().to_owned()).collect();
    assert!(keys.is_sorted(), "sorted by the mapping's key");
    assert!(agent.export(&[]).must_exit(0).stdout.contains("3 not published"));
}
