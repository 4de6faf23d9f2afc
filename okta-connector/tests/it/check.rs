//! Trying out a connection, the schema, and the plan of an export.

use std::collections::BTreeMap;

use connector_api::{ColumnKind, Connector, ErrorKind};
use okta_connector::OktaConnector;
use okta_sandbox::{Fault, FaultAction, Seed};

use crate::{
    TABLES, World, export_all,
    scripted::{Answer, Scripted},
    settings, table_of, tables,
};

#[tokio::test]
async fn a_sound_connection_reads_every_table_with_few_requests() {
    let world = World::new(Seed::default()).await;
    let report = world.connector(&[]).test_connection(&tables(&TABLES)).await.unwrap();
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    assert_eq!(report.tables.iter().filter(|(_, readable)| *readable).count(), TABLES.len());
    assert!(report.notes.iter().any(|note| note.contains(&world.sandbox.url())), "{:?}", report.notes);
    let asked = world.asked();
    assert!(asked[0].starts_with("/.well-known/okta-organization"), "{asked:?}");
    // The last two ask what may go wrong soon.
    assert!(asked.len() <= 10, "{asked:?}");
}

#[tokio::test]
async fn the_right_that_is_missing_is_named_table_by_table() {
    let world = World::new(Seed::default()).await;
    for (denied, by, unreadable) in [
        ("/api/v1/users", "app", &[("users", "okta.users.read")][..]),
        (
            "/api/v1/groups",
            "app",
            &[("groups", "okta.groups.read"), ("groupsusers", "okta.groups.read, okta.users.read")],
        ),
        ("/api/v1/groups/", "app", &[("groupsusers", "okta.groups.read, okta.users.read")]),
        ("/api/v1/apps", "app", &[("apps", "okta.apps.read"), ("groupsapps", "okta.groups.read, okta.apps.read")]),
        ("/api/v1/apps/", "app", &[("groupsapps", "okta.groups.read, okta.apps.read")]),
        (
            "/api/v1/groups/",
            "group",
            &[("groupsapps", "okta.groups.read, okta.apps.read"), ("groupsusers", "okta.users.read")],
        ),
    ] {
        world.sandbox.with_org(|org| {
            org.allow_all();
            org.deny(denied);
        });
        let report = world.connector(&[("GroupsAppsBy", by)]).test_connection(&tables(&TABLES)).await.unwrap();
        let readable: Vec<(String, bool)> = TABLES
            .iter()
            .map(|table| ((*table).to_owned(), !unreadable.iter().any(|(unreadable, _)| unreadable == table)))
            .collect();
        assert_eq!(report.tables, readable, "{denied} denied, assignments by {by}");
        assert_eq!(report.problems.len(), unreadable.len(), "{:?}", report.problems);
        for (table, right) in unreadable {
            let named = report.problems.iter().find(|problem| problem.message.contains(&format!("`{table}`"))).unwrap();
            assert!(named.hint.contains(right), "{}", named.hint);
        }
    }
}

#[tokio::test]
async fn an_administrator_who_sees_no_user_is_told() {
    let world = World::new(Seed::default()).await;
    world.sandbox.add_fault(Fault::new(FaultAction::EmptyList).on("GET", "/api/v1/users").always());
    let report = world.connector(&[]).test_connection(&tables(&["users"])).await.unwrap();
    assert_eq!(report.tables, [("users".to_owned(), false)]);
    let [problem] = &report.problems[..] else { panic!("one problem: {:?}", report.problems) };
    assert!(problem.message.contains("sees no user") && problem.hint.contains("okta.users.read"), "{problem:?}");
}

#[tokio::test]
async fn a_column_unknown_to_okta_is_found_by_the_test() {
    let world = World::new(Seed::default()).await;
    let users = [table_of("users", &["id", "profile.badgeNum"])];
    let error = world.connector(&[]).test_connection(&users).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
    assert!(error.hint().unwrap().contains("`profile.badgeNumber`"), "{:?}", error.hint());
}

#[tokio::test]
async fn a_wrong_token_and_an_unreachable_server_are_told_apart() {
    let world = World::new(Seed::default()).await;
    let wrong = OktaConnector::open(&settings(&world.sandbox.url(), "00wrong", &[])).unwrap();
    let error = wrong.test_connection(&tables(&TABLES)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials, "{error}");
    assert_eq!(world.asked().len(), 2, "no table but the first is tried: {:?}", world.asked());

    let connector = world.connector(&[]);
    let World { sandbox, clock, .. } = world;
    sandbox.stop().await;
    let error = connector.test_connection(&tables(&TABLES)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(crate::since_start(&clock).as_secs() < 20, "after {:?}", crate::since_start(&clock));
}

#[tokio::test]
async fn a_server_that_is_no_okta_is_a_wrong_setting() {
    let page = Answer { status: 404, headers: Vec::new(), body: "<html>nothing here</html>".to_owned() };
    let server = Scripted::start(move |_, _| page.clone()).await;
    let error = server.connector("token", &[]).test_connection(&tables(&TABLES)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
    assert!(error.hint().unwrap().contains("`Server`"), "{:?}", error.hint());
}

#[tokio::test]
async fn the_schema_knows_custom_attributes_and_their_kinds() {
    let world = World::new(Seed::default()).await;
    let schema = world.connector(&[]).schema().await.unwrap();
    let find = |table: &str, path: &str| {
        let columns = &schema.iter().find(|known| known.name == table).unwrap().columns;
        columns.iter().find(|column| column.path == path).cloned().unwrap_or_else(|| panic!("{table} has {path}"))
    };
    for (path, kind, multivalued) in [
        ("profile.badgeNumber", ColumnKind::Text, false),
        ("profile.seniority", ColumnKind::Integer, false),
        ("profile.allowance", ColumnKind::Number, false),
        ("profile.contractor", ColumnKind::Boolean, false),
        ("profile.skills", ColumnKind::Text, true),
        ("lastLogin", ColumnKind::DateTime, false),
    ] {
        let column = find("users", path);
        assert_eq!((column.kind, column.multivalued, column.key), (kind, multivalued, false), "{path}");
    }
    assert!(find("users", "id").key && find("groupsapps", "appId").key);
    assert_eq!(find("groups", "profile.customGroupAttribute").display_name, "Custom Group Attribute");
}

#[tokio::test]
async fn a_plan_foretells_the_requests_and_never_lists_users_or_members() {
    let world = World::new(Seed::exact(1210, 230, 30, 2)).await;
    world.sandbox.with_org(|org| org.add_group("Empty"));
    let sets = [&TABLES[..], &["users"], &["groups"], &["apps"], &["groupsusers"], &["groupsapps"], &["users", "apps"]];
    for by in ["app", "group", "auto"] {
        for names in sets {
            world.sandbox.clear_journal();
            let connector = world.connector(&[("GroupsAppsBy", by)]);
            let plan = connector.plan(&tables(names)).await.unwrap();
            let listed = world.asked();
            let is_count = |asked: &String| asked.starts_with("/api/v1/groups?") || asked.starts_with("/api/v1/apps?");
            assert!(listed.iter().all(is_count), "{names:?} by {by}: {listed:?}");

            world.sandbox.clear_journal();
            export_all(&connector, &tables(names)).await.unwrap();
            let foretold: BTreeMap<&str, u64> =
                plan.by_bucket.iter().map(|(bucket, plan)| (bucket.as_str(), plan.requests)).collect();
            assert_eq!(foretold, world.by_bucket(), "{names:?} by {by}");
        }
    }
}
