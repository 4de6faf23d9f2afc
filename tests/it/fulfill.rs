//! Orders carried out by the program: what they come to, what is reported, where their files go.

mod deliveries;
mod files;
mod killed;
pub(crate) mod limits;
mod outage;
mod plan;
mod samples;

use acceptance::{
    CONNECTION, TestAgent,
    orders::{added_user, list, order, results},
};
use okta_sandbox::{Seed, Status};
use serde_json::{Value, json};

fn agent() -> TestAgent {
    TestAgent::seeded(Seed::exact(30, 6, 4, 5))
}

/// A user, a group and an app that are there, by id.
fn some(agent: &TestAgent) -> (String, String, String) {
    agent.org(|org| {
        let user = org.add_user(
            json!({"login": "some@example.com", "email": "some@example.com", "firstName": "So", "lastName": "Me"}),
            Status::Active,
        );
        (user, org.add_group("Some"), org.add_app("Some"))
    })
}

#[test]
fn every_kind_of_order_is_carried_out_and_reported_in_order() {
    let agent = agent();
    let (user, group, app) = some(&agent);
    let gone = agent.org(|org| org.add_group("Gone"));
    let orders = [
        added_user("1", "new@example.com"),
        order(
            "2",
            "Modified",
            "User",
            &user,
            json!({"profile_department": "Ops", "Groups_add": [{acceptance::orders::GROUP_ID: group}]}),
        ),
        order("3", "Added", "Group", "", json!({"profile_name": "Made", "Users_add": [user]})),
        order("4", "Modified", "Application", &app, json!({"Groups_add": [{acceptance::orders::GROUP_ID: group}]})),
        order("5", "Deleted", "Group", &gone, json!({})),
        order("6", "Modified", "User", &user, json!({"profile_lastName": "B", "status": "SUSPENDED"})),
    ];
    agent.order_file("20260101000000_a.json", &list(&orders));
    let run = agent.fulfill(&["--format", "json"]).must_exit(0);
    let report = run.json();
    for (name, count) in [("orders", 6), ("executed", 6), ("errored", 0), ("unchanged", 0), ("throttled", 0)] {
        assert_eq!(report[name], count, "{name} in {report}");
    }
    let text = std::fs::read_to_string(report["results"].as_str().unwrap()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "AssignmentId,ProvisioningState,Message,ChangeType,OwnerId,OwnerType");
    assert_eq!(lines[1], "1,Executed,,Added,91,51");
    let ids: Vec<&str> = lines[1..].iter().map(|line| line.split(',').next().unwrap()).collect();
    assert_eq!(ids, ["1", "2", "3", "4", "5", "6"], "{text}");
    agent.org(|org| {
        let made = org.group_id("Made").expect("the group is there");
        assert!(org.user_id("new@example.com").is_some());
        assert!(org.has_member(&group, &user) && org.has_member(&made, &user) && org.has_assignment(&app, &group));
        let profile = &org.user(&user).unwrap()["profile"];
        assert_eq!((&profile["department"], &profile["lastName"]), (&json!("Ops"), &json!("B")));
        assert_eq!(org.user_status(&user), Some(Status::Suspended));
        assert!(!org.group_ids().contains(&gone));
    });
    assert!(agent.orders_folder().join("Completed/20260101000000_a.json").is_file());

    // The same file once more: nothing is sent, and all is reported again.
    agent.sandbox.clear_journal();
    agent.order_file("again.json", &list(&orders));
    let report = agent.fulfill(&["--format", "json"]).must_exit(0).json();
    // Whether a link was there Okta does not say: it counts as executed, whatever it found.
    assert_eq!((&report["executed"], &report["unchanged"]), (&json!(6), &json!(3)), "{report}");
    assert_eq!(agent.sandbox.effects().len(), 0);
}

#[test]
fn links_are_made_and_removed_from_every_side() {
    let agent = agent();
    let (user, group, app) = some(&agent);
    let reference = |property: &str, id: &str| json!([{ property: id, "Id": "12", "DisplayName": "x" }]);
    let sides = [
        ("User", &user, "Groups", reference(acceptance::orders::GROUP_ID, &group)),
        ("Group", &group, "Users", reference(acceptance::orders::USER_ID, &user)),
        ("Group", &group, "Applications", reference(acceptance::orders::APP_ID, &app)),
        ("Application", &app, "Groups", reference(acceptance::orders::GROUP_ID, &group)),
    ];
    for (entity, key, property, reference) in sides {
        for (suffix, is_there) in [("_add", true), ("_remove", false)] {
            let changes = json!({ format!("{property}{suffix}"): reference });
            let done = agent.fulfilled(&[order("1", "Modified", entity, key, changes)], 0);
            assert_eq!(done["1"], ("Executed".to_owned(), String::new()), "{entity} {property}");
            let found = agent.org(|org| match property {
                "Applications" => org.has_assignment(&app, &group),
                _ if entity == "Application" => org.has_assignment(&app, &group),
                _ => org.has_member(&group, &user),
            });
            assert_eq!(found, is_there, "{entity} {property}{suffix}");
        }
    }
}

#[test]
fn an_order_that_cannot_be_understood_errs_alone_with_the_reason() {
    let agent = agent();
    let (user, group, _) = some(&agent);
    let mut foreign = order("7", "Modified", "User", &user, json!({}));
    foreign["ResourceType"]["TargetEntityType"]["Identifier"] = json!("AD_User");
    let mut nameless = order("8", "Modified", "User", &user, json!({}));
    nameless["Resource"] = json!({"Id": "5"});
    let mut untyped = order("9", "Added", "User", "", json!({}));
    untyped["ResourceType"] = Value::Null;
    let mut undecided = order("12", "Modified", "User", &user, json!({}));
    undecided["ChangeType"] = Value::Null;
    let orders = [
        order("1", "Removed", "User", &user, json!({})),
        order("2", "Modified", "User", &user, json!({"profile_shoeSize": 45})),
        order("3", "Modified", "User", "", json!({"profile_department": "x"})),
        order("4", "Deleted", "Group", &group, json!({})),
        order("5", "Modified", "Group", &group, json!({"profile_description": "late"})),
        order("6", "Modified", "User", &user, json!({"Groups_add": [{"Identifier": "x"}]})),
        foreign,
        nameless,
        untyped,
        order("10", "Modified", "User", &user, json!({"Groups": null})),
        json!(7),
        undecided,
        order("13", "Modified", "User", &user, json!({"profile_department": "Good"})),
    ];
    let done = agent.fulfilled(&orders, 6);
    let reasons = [
        ("1", "`Removed`: write Added, Modified or Deleted"),
        ("2", "`profile_shoeSize`"),
        ("3", "`OktaExportFulfillment_users_id` is missing"),
        ("5", "order 4 of `orders.json` deletes the record before"),
        ("6", "`OktaExportFulfillment_groups_id` is missing"),
        ("7", "`AD_User`"),
        ("8", "`OktaExportFulfillment_users_id` is missing"),
        ("9", "`ResourceType` is missing"),
        ("10", "`Groups_add`"),
        ("", "is no object"),
        ("12", "`ChangeType` is missing"),
    ];
    for (id, reason) in reasons {
        let (state, message) = &done[id];
        assert!(state == "Errored" && message.contains(reason), "{id}: {state} {message}");
    }
    for id in ["4", "13"] {
        assert_eq!(done[id].0, "Executed", "{id}: {}", done[id].1);
    }
    agent.org(|org| assert_eq!(org.user(&user).unwrap()["profile"]["department"], "Good"));
}

#[test]
fn contradictions_are_told_and_repetitions_are_carried_out_once() {
    let agent = agent();
    let (user, group, _) = some(&agent);
    let named = order("1", "Added", "Group", "", json!({"profile_name": "Once"}));
    let orders = [
        named.clone(),
        named,
        order("2", "Modified", "User", &user, json!({"profile_department": "x"})),
        order("2", "Modified", "User", &user, json!({"profile_department": "y"})),
        order("3", "Modified", "User", &user, json!({"Groups_add": [group]})),
        order("4", "Modified", "Group", &group, json!({"Users_remove": [user]})),
        order("5", "Modified", "Group", &group, json!({"Users_add": [user], "Users_remove": [user]})),
    ];
    agent.order_file("a.json", &list(&orders));
    let report = agent.fulfill(&["--format", "json"]).must_exit(6).json();
    let text = std::fs::read_to_string(report["results"].as_str().unwrap()).unwrap();
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert!(lines[0].starts_with("1,Executed,,") && lines[1].contains("order 1 of `a.json` is the same"), "{text}");
    assert!(lines[2].starts_with("2,Errored") && lines[3].starts_with("2,Errored"), "{text}");
    assert!(lines[4].contains("order 6 of `a.json` removes it") && lines[4].starts_with("3,Executed"), "{text}");
    assert!(lines[5].starts_with("4,Executed") && lines[6].starts_with("5,Errored"), "{text}");
    agent.org(|org| {
        assert!(!org.has_member(&group, &user) && org.group_id("Once").is_some());
    });
}

#[test]
fn a_connection_that_is_switched_off_or_unknown_is_refused() {
    let agent = agent();
    let run = agent.run(&["fulfill", "Nowhere"]).must_exit(3);
    assert!(run.failure().contains("`Nowhere`"), "{}", run.stderr);
    agent.map(&format!(
        r#"<Connection Identifier="{CONNECTION}" Connector="Okta" Package="Usercube.Okta@0000001" DeactivationExportFulfill="2" />"#
    ));
    let run = agent.fulfill(&[]).must_exit(3);
    assert!(run.failure().contains("DeactivationExportFulfill"), "{}", run.stderr);
}

#[test]
fn first_passwords_come_from_the_settings_and_are_nowhere_else() {
    const PASSWORD: &str = "Correct-horse-7";
    acceptance::watch(PASSWORD);
    let agent = agent();
    let xml = std::fs::read_to_string(agent.directory().join("Conf/Okta/Okta Connector.xml")).unwrap();
    let more = format!(
        r#"<PasswordResetSettings Identifier="First" Mode="1" DefaultPassword="{PASSWORD}" />
        <OktaResourceTypeMapping Identifier="Okta_User" Connection="{CONNECTION}" DefaultObjectClass="users" PasswordResetSetting="First" />
        </ConfigurationFile>"#
    );
    agent.write("Conf/Okta/Okta Connector.xml", &xml.replace("</ConfigurationFile>", &more));
    agent.order_file("a.json", &list(&[added_user("1", "first@example.com")]));
    let run = agent.fulfill(&["-vv"]).must_exit(0);
    let user = agent.org(|org| org.user_id("first@example.com")).expect("the user is there");
    assert!(agent.org(|org| org.password_is(&user, PASSWORD)));
    assert!(!run.stdout.contains(PASSWORD) && !run.stderr.contains(PASSWORD));
    for path in acceptance::listing(&agent.directory().join("Work")) {
        assert!(!path.contains(PASSWORD));
    }
    let mut folders = vec![agent.directory().join("Work")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else {
                let bytes = std::fs::read(&entry).unwrap();
                assert!(!String::from_utf8_lossy(&bytes).contains(PASSWORD), "{}", entry.display());
            }
        }
    }
    // Told by their order, passwords are taken from there.
    let xml = std::fs::read_to_string(agent.directory().join("Conf/Okta/Okta Connector.xml")).unwrap();
    let mapped = r#"<Property Identifier="password" ConnectionColumn="credentials.password.value" />
    <Property Identifier="status" ConnectionColumn="status" />"#;
    let xml = xml.replacen(r#"<Property Identifier="status" ConnectionColumn="status" />"#, mapped, 1);
    agent.write("Conf/Okta/Okta Connector.xml", &xml);
    let mut order = added_user("2", "second@example.com");
    order["Changes"]["password"] = json!("Another-horse-8");
    agent.order_file("b.json", &list(&[order]));
    agent.fulfill(&[]).must_exit(0);
    let user = agent.org(|org| org.user_id("second@example.com")).expect("the user is there");
    assert!(agent.org(|org| org.password_is(&user, "Another-horse-8")));
}

#[test]
fn results_go_where_they_are_wanted() {
    let agent = agent();
    let path = agent.beside("out/results.csv");
    let named = path.to_str().unwrap();
    agent.order_file("a.json", &list(&[added_user("1", "a@example.com")]));
    agent.fulfill(&["--results", named]).must_exit(0);
    assert_eq!(results(&std::fs::read_to_string(&path).unwrap())["1"].0, "Executed");
    let report = agent.fulfill(&["--format", "json"]).must_exit(0).json();
    assert_eq!((&report["orders"], &report["results"]), (&json!(0), &Value::Null));
}
