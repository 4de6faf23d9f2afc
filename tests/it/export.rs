//! What an export leaves: five files, a manifest beside them, a report.
//!
//! The cells are compared with the organisation itself, which is asked without the API in between.

use std::collections::BTreeSet;

use acceptance::{CONNECTION, TABLES, TestAgent, csv_name, files};
use okta_sandbox::Seed;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A file's rows, the header first.
fn rows(text: &str) -> Vec<Vec<String>> {
    let reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let rows = reader.into_records().map(|row| row.expect("every row is CSV"));
    rows.map(|row| row.iter().map(str::to_owned).collect()).collect()
}

/// Writes rows as RFC 4180 says, quoting nothing that need not be.
fn written(rows: &[Vec<String>]) -> String {
    let cell = |cell: &String| {
        let needs_quotes = cell.contains([',', '"', '\n', '\r']);
        if needs_quotes { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() }
    };
    rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(",") + "\n").collect()
}

/// A value of Okta's as a cell shows it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(elements) => {
            let mut elements: Vec<String> = elements.iter().map(shown).collect();
            elements.sort();
            elements.join("\n")
        }
        other => other.to_string(),
    }
}

/// The part of a record that a dotted path leads to.
fn at<'a>(record: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(record, |value, name| &value[name])
}

#[test]
fn every_table_is_a_plain_csv_file_with_a_header_sorted_by_key() {
    let agent = TestAgent::seeded(Seed { users: 450, groups: 40, apps: 12, ..Seed::default() });
    agent.export(&[]).must_exit(0);
    let headers = [
        "id,status,created,activated,statusChanged,lastLogin,lastUpdated,passwordChanged,\
         profile.login,profile.email,profile.firstName,profile.lastName,profile.displayName,profile.department",
        "id,created,lastUpdated,lastMembershipUpdated,type,profile.name,profile.description",
        "id,created,lastUpdated,status,name,label",
        "groupId,userId",
        "groupId,appId",
    ];
    for (table, header) in TABLES.iter().zip(headers) {
        let text = agent.csv(table);
        assert_eq!(agent.header(table), header);
        assert!(!text.starts_with('\u{feff}') && !text.contains("\r\n,") && text.ends_with('\n'), "{table}");
        let rows = rows(&text);
        assert_eq!(written(&rows), text, "{table}: quotes only where needed, LF line ends");
        let width = if table.starts_with("groups") && *table != "groups" { 2 } else { 1 };
        let keys: Vec<&[String]> = rows[1..].iter().map(|row| &row[..width]).collect();
        assert!(keys.is_sorted_by(|one, next| one < next), "{table}: sorted bytewise, each key once");
    }
    let counts = agent.org(|org| org.counts());
    let lengths = TABLES.map(|table| rows(&agent.csv(table)).len() - 1);
    assert_eq!(lengths, [counts.users, counts.groups, counts.apps, counts.memberships, counts.assignments]);
}

#[test]
fn cells_are_the_organisations_own_values() {
    let agent = TestAgent::seeded(Seed { users: 60, ..Seed::default() });
    let columns = ["status", "created", "lastLogin", "type.id", "profile.lastName", "profile.secondEmail"];
    let odd =
        ["badgeNumber", "seniority", "contractor", "skills", "costCodes", "remark"].map(|n| format!("profile.{n}"));
    let columns: Vec<&str> = columns.into_iter().chain(odd.iter().map(String::as_str)).collect();
    let property = |column: &&str| format!(r#"<Property Identifier="p" ConnectionColumn="{column}" />"#);
    agent.map(&format!(
        r#"<EntityTypeMapping Identifier="User" Connector="Okta" ConnectionTable="{CONNECTION}_users">
        <Property Identifier="id" ConnectionColumn="id" IsPrimaryKey="true" />{}
        <Property Identifier="p" ConnectionColumn="profile.allowance" /></EntityTypeMapping>"#,
        columns.iter().map(property).collect::<String>()
    ));
    agent.export(&[]).must_exit(0);
    let users = rows(&agent.csv("users"));
    assert_eq!(users.len(), 61);
    for row in &users[1..] {
        let user = agent.org(|org| org.user(&row[0])).expect("the user is there");
        for (name, cell) in users[0].iter().zip(row).filter(|(name, _)| *name != "profile.allowance") {
            assert_eq!(*cell, shown(at(&user, name)), "`{name}` of {}", row[0]);
        }
    }
    // A number keeps the zeros that Okta wrote.
    let allowances: Vec<&String> =
        users[1..].iter().filter_map(|row| row.last()).filter(|cell| !cell.is_empty()).collect();
    assert!(
        !allowances.is_empty() && allowances.iter().all(|cell| cell.split('.').nth(1).is_some_and(|c| c.len() == 2))
    );

    let expected: BTreeSet<(String, String)> = agent.org(|org| {
        let groups = org.group_ids();
        groups
            .into_iter()
            .flat_map(|group| org.member_ids(&group).into_iter().map(move |user| (group.clone(), user)))
            .collect()
    });
    let members = rows(&agent.csv("groupsusers"));
    let found: BTreeSet<(String, String)> = members[1..].iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    assert_eq!(found, expected);
    for row in &rows(&agent.csv("groupsapps"))[1..] {
        assert!(agent.org(|org| org.has_assignment(&row[1], &row[0])), "{row:?}");
    }
}

#[test]
fn a_second_export_of_the_same_organisation_is_byte_for_byte_the_same() {
    let agent = TestAgent::new();
    agent.export(&[]).must_exit(0);
    let tables = || agent.published().into_iter().filter(|(name, _)| name.ends_with(".csv")).collect::<Vec<_>>();
    let first = tables();
    agent.export(&[]).must_exit(0);
    assert_eq!(tables(), first);
    assert_eq!(first.len(), 5);
}

#[test]
fn one_table_is_published_alone_and_the_others_stay() {
    let agent = TestAgent::new();
    agent.export(&[]).must_exit(0);
    let (before, manifest) = (agent.published(), agent.manifest());
    agent.org(|org| {
        org.set_attribute("admin@example.com", "lastName", json!("Renamed"));
        org.add_group("New")
    });
    let report = agent.exported(&["--table", "users"]);
    let after = agent.published();
    assert_eq!(report["tables"].as_object().unwrap().keys().collect::<Vec<_>>(), ["users"]);
    let changed: Vec<&String> = after.keys().filter(|name| after.get(*name) != before.get(*name)).collect();
    assert_eq!(changed, [&format!("{CONNECTION}_export.json"), &csv_name("users")]);
    assert_eq!(agent.manifest()["tables"]["groups"], manifest["tables"]["groups"], "its entry stays too");
    assert_eq!(before.len(), after.len());
}

#[test]
fn several_tables_and_another_folder_may_be_named() {
    let agent = TestAgent::new();
    let output = agent.beside("elsewhere/deep");
    let report =
        agent.exported(&["--full", "--table", "Groups", "--table", "apps", "--output", output.to_str().unwrap()]);
    assert_eq!(report["output"].as_str(), output.to_str());
    let names: Vec<String> = files(&output).into_keys().collect();
    assert_eq!(names, [csv_name("apps"), format!("{CONNECTION}_export.json"), csv_name("groups")]);
    assert!(!agent.output().exists());
}

#[test]
fn the_setting_tables_names_fewer_and_the_command_line_wins() {
    let agent = TestAgent::new();
    for tables in [json!(["users", "groupsusers"]), json!("users, GroupsUsers")] {
        agent.set("Tables", tables);
        let report = agent.exported(&[]);
        assert_eq!(report["tables"].as_object().unwrap().keys().collect::<Vec<_>>(), ["users", "groupsusers"]);
    }
    assert_eq!(agent.exported(&["--table", "apps"])["tables"].as_object().unwrap().len(), 1);
}

#[test]
fn an_organisation_without_groups_and_apps_gives_headers() {
    let agent = TestAgent::seeded(Seed::exact(1, 1, 0, 0));
    agent.export(&[]).must_exit(0);
    assert_eq!(agent.csv("apps"), "id,created,lastUpdated,status,name,label\n");
    assert_eq!(agent.csv("groupsapps"), "groupId,appId\n");
}

#[test]
fn the_manifest_tells_what_is_in_the_files_and_what_it_took() {
    let agent = TestAgent::seeded(Seed { users: 230, ..Seed::default() });
    let report = agent.exported(&[]);
    let manifest = agent.manifest();
    assert_eq!(manifest["connection"], CONNECTION);
    for table in TABLES {
        let entry = &manifest["tables"][table];
        let text = agent.csv(table);
        let sha256: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(entry["sha256"], sha256, "{table}");
        assert_eq!(entry["bytes"], text.len());
        assert_eq!(entry["file"], csv_name(table));
        assert_eq!(entry["records"], rows(&text).len() - 1);
        assert_eq!(entry["rejected"]["count"], 0);
        assert_eq!(report["tables"][table]["records"], entry["records"]);
        assert_eq!(report["tables"][table]["rejected"], 0);
    }
    for time in ["started", "finished"] {
        assert!(manifest[time].as_str().is_some_and(|time| time.len() == 24 && time.ends_with('Z')), "{manifest}");
    }
    assert!(manifest["waited_ms"].is_object() && manifest["duration_ms"].is_u64());
}

#[test]
fn requests_are_counted_by_bucket_as_the_organisation_counts_them() {
    let agent = TestAgent::seeded(Seed { users: 230, groups: 20, ..Seed::default() });
    let report = agent.exported(&[]);
    let journal = agent.sandbox.journal();
    assert_eq!(report["requests"]["total"], journal.len());
    let mut counted = serde_json::Map::new();
    for exchange in &journal {
        let count = counted.get(exchange.bucket).and_then(Value::as_u64).unwrap_or(0);
        counted.insert(exchange.bucket.to_owned(), json!(count + 1));
    }
    assert_eq!(report["requests"]["by_bucket"], Value::from(counted));
    assert_eq!(agent.manifest()["requests"], report["requests"]);
    let limits = report["limits"].as_object().expect("they are told");
    assert_eq!(agent.manifest()["limits"], report["limits"]);
    assert!(limits.keys().eq(report["requests"]["by_bucket"].as_object().unwrap().keys()), "{report}");
    for (bucket, told) in limits {
        let used = &report["requests"]["by_bucket"][bucket];
        assert_eq!(*told, json!({ "limit": 1_000_000, "most_used": used }), "one window held all of {bucket}");
    }
    let most = report["max_in_flight"].as_u64().and_then(|most| usize::try_from(most).ok()).unwrap();
    assert!((agent.sandbox.max_in_flight()..=12).contains(&most), "{report}");
}

#[test]
fn the_report_has_the_shape_that_scripts_rely_on() {
    let agent = TestAgent::new();
    let run = agent.export(&["--format", "json"]).must_exit(0);
    assert_eq!(run.stdout.lines().count(), 1, "one object on one line");
    let report = run.json();
    assert_eq!(report["connection"], CONNECTION);
    assert_eq!(report["output"].as_str(), agent.output().to_str());
    assert_eq!(report["published"], true);
    for table in TABLES {
        assert!(report["tables"][table]["records"].is_u64() && report["tables"][table]["rejected"].is_u64());
    }
    assert!(report["requests"]["total"].is_u64() && report["requests"]["by_bucket"].is_object());
    for number in ["throttled", "max_in_flight", "duration_ms"] {
        assert!(report[number].is_u64(), "{number} in {report}");
    }
    let text = agent.export(&[]).must_exit(0).stdout;
    assert!(text.contains("25 records") && text.contains(&csv_name("users")), "{text}");
    assert!(text.contains("requests") && text.contains(CONNECTION), "{text}");
}

#[test]
fn a_plan_tells_requests_and_time_by_bucket_and_publishes_nothing() {
    let agent = TestAgent::seeded(Seed { users: 450, groups: 12, apps: 6, ..Seed::default() });
    let plan = agent.export(&["--plan", "--format", "json"]).must_exit(0).json();
    assert!(!agent.output().exists());
    let listed = agent.sandbox.journal();
    let reads_people = |path: &str| path.starts_with("/api/v1/users") || path.ends_with("/users");
    assert!(listed.iter().all(|exchange| !reads_people(&exchange.path)), "groups and apps alone are counted");
    let report = agent.exported(&[]);
    for (bucket, planned) in plan["by_bucket"].as_object().unwrap() {
        assert_eq!(planned["requests"], report["requests"]["by_bucket"][bucket], "{bucket} in {plan} and {report}");
        assert!(planned["seconds"].is_u64(), "{plan}");
    }
    let text = agent.export(&["--plan"]).must_exit(0).stdout;
    assert!(text.contains("/api/v1/groups") && text.contains(" s."), "{text}");
}
