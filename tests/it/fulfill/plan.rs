//! The plan: what orders would do, attribute by attribute, with nothing sent, moved or kept.

use std::fs;

use acceptance::{
    listing,
    orders::{added_user, list, order},
};
use serde_json::json;

use super::{agent, some};

#[test]
fn the_plan_tells_every_change_and_sends_nothing() {
    let agent = agent();
    let (user, group, _) = some(&agent);
    agent.fulfill(&[]).must_exit(0);
    let orders = [
        added_user("1", "new@example.com"),
        order(
            "2",
            "Modified",
            "User",
            &user,
            json!({"profile_lastName": "Else", "profile_firstName": "So", "Groups_add": [group]}),
        ),
        order("3", "Modified", "User", &user, json!({"profile_lastName": "Me"})),
        order("4", "Deleted", "Group", &group, json!({})),
        order("5", "Modified", "User", "00unone", json!({"profile_lastName": "x"})),
        order("6", "Added", "User", "", json!({"shoe": 1})),
        added_user("7", "some@example.com"),
    ];
    agent.order_file("a.json", &list(&orders));
    agent.order_file("b.json", "{");
    let before = (listing(&agent.directory()), fs::read(agent.directory().join("Work/agent.db")).unwrap());
    agent.sandbox.clear_journal();
    let plan = agent.fulfill(&["--plan", "--format", "json"]).must_exit(0).json();
    let writes: Vec<_> = agent.sandbox.journal().into_iter().filter(|it| it.method != "GET").collect();
    assert!(writes.is_empty(), "{writes:?}");
    assert_eq!(before, (listing(&agent.directory()), fs::read(agent.directory().join("Work/agent.db")).unwrap()));

    let effects: Vec<_> = plan["orders"].as_array().unwrap().iter().map(|it| it["effect"].as_str().unwrap()).collect();
    assert_eq!(effects, ["create", "update", "none", "delete", "refused", "refused", "adopt"], "{plan}");
    let changes = plan["orders"][1]["changes"].as_array().unwrap();
    assert!(changes.contains(&json!({"attribute": "profile.lastName", "old": "Me", "new": "Else"})), "{plan}");
    assert!(changes.iter().any(|it| it["attribute"].as_str().unwrap().contains(&group)), "{plan}");
    assert!(!changes.iter().any(|it| it["attribute"] == "profile.firstName"), "{plan}");
    assert!(plan["orders"][5]["reason"].as_str().unwrap().contains("`shoe`"), "{plan}");
    assert_eq!(plan["rejected"].as_array().map(Vec::len), Some(1));

    let text = agent.fulfill(&["--plan"]).must_exit(0).stdout;
    assert!(text.contains("profile.lastName: Me → Else") && text.contains("Nothing was sent"), "{text}");
    assert!(text.contains("2 would be refused"), "{text}");
}

#[test]
fn the_plan_masks_passwords() {
    let agent = agent();
    let xml = fs::read_to_string(agent.directory().join("Conf/Okta/Okta Connector.xml")).unwrap();
    let mapped = r#"<Property Identifier="password" ConnectionColumn="credentials.password.value" />
    <Property Identifier="status" ConnectionColumn="status" />"#;
    let xml = xml.replacen(r#"<Property Identifier="status" ConnectionColumn="status" />"#, mapped, 1);
    agent.write("Conf/Okta/Okta Connector.xml", &xml);
    let mut order = added_user("1", "new@example.com");
    order["Changes"]["password"] = json!("Correct-horse-7");
    agent.order_file("a.json", &list(&[order]));
    for format in ["text", "json"] {
        let run = agent.fulfill(&["--plan", "-vv", "--format", format]).must_exit(0);
        assert!(!run.stdout.contains("horse") && !run.stderr.contains("horse"), "{}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains("create"), "{}", run.stdout);
    }
}
