//! What an export brings and what it costs: every table equals the organisation's state, with the fewest requests.

use std::collections::BTreeMap;

use connector_api::{Connector, ErrorKind};
use futures::StreamExt;
use okta_sandbox::{Members, Seed, Status};
use serde_json::json;

use crate::{Set, TABLES, World, assert_same, call, export_all, table, table_of, tables};

/// Users of all kinds on several pages, groups with and without members, inactive apps with assignments.
fn varied() -> Seed {
    Seed { users: 430, groups: 40, apps: 12, members_per_group: Members::About(9), ..Seed::default() }
}

#[tokio::test]
async fn every_table_equals_the_state_of_the_organisation() {
    let world = World::new(varied()).await;
    let text = "a \"b\",\r\n'c';\\ \u{1}\u{7f} Ünïcødé 明\u{fffd}";
    world.sandbox.with_org(|org| {
        org.set_attribute("user0000007@example.com", "remark", json!(text));
        org.set_attribute("user0000008@example.com", "skills", json!(["b", "a\nc", "Ä", ""]));
        org.set_attribute("user0000009@example.com", "costCodes", json!([10, 9, -1]));
        org.set_attribute("user0000010@example.com", "remark", json!(""));
        org.set_app_active("Application 0000", false);
    });
    let users = table_of(
        "users",
        &[
            "id",
            "status",
            "created",
            "activated",
            "statusChanged",
            "lastLogin",
            "lastUpdated",
            "passwordChanged",
            "type.id",
            "type",
            "profile.login",
            "profile.firstName",
            "profile.secondEmail",
            "profile.badgeNumber",
            "profile.seniority",
            "profile.allowance",
            "profile.contractor",
            "profile.remark",
            "profile.skills",
            "profile.costCodes",
            "credentials.provider.type",
            "credentials.emails",
        ],
    );
    let groups = ["id", "type", "lastMembershipUpdated", "objectClass", "source.id", "profile.name", "profile"];
    let apps = ["id", "status", "name", "label", "signOnMode", "settings.app.url", "visibility", "features"];
    let mut tables = tables(&["groupsusers", "groupsapps"]);
    tables.extend([users, table_of("groups", &groups), table_of("apps", &apps)]);

    let expected = world.expected(&tables).await;
    let found = export_all(&world.connector(&[]), &tables).await.unwrap();
    assert_same(&found, &expected, "all tables");

    let column = |table: &str, column: usize| found[table].values().map(move |record| record[column].as_str());
    assert!(column("users", 17).any(|remark| remark == text), "text comes as it is");
    assert!(column("users", 15).any(|number| number.contains('.') && number.ends_with('0')), "numbers keep their text");
    assert!(column("users", 18).any(|skills| skills == "\na\nc\nb\nÄ"), "arrays are sorted and joined");
    let gone: Vec<&[String]> =
        found["users"].values().filter(|user| user[1] == "DEPROVISIONED").map(|user| &user[..1]).collect();
    let is_member = |user: &&[String]| found["groupsusers"].keys().any(|link| link[1..] == **user);
    assert!(!gone.is_empty() && gone.iter().all(is_member), "the deprovisioned stay members");
    let inactive: Vec<&String> = found["apps"].values().filter(|app| app[1] == "INACTIVE").map(|app| &app[0]).collect();
    assert!(inactive.len() > 1 && found["groupsapps"].keys().any(|link| inactive.contains(&&link[1])));
}

#[tokio::test]
async fn an_export_makes_exactly_the_requests_of_the_formula() {
    // Everyone has 1,010 members and the other 29 have 3; of the 211 apps each has two groups.
    let world = World::new(Seed::exact(1010, 30, 211, 3)).await;
    let (groups, apps) = world.sandbox.with_org(|org| {
        org.add_group("Empty");
        org.add_group("Empty too");
        (org.group_ids(), org.app_ids())
    });
    let connector = world.connector(&[]);
    export_all(&connector, &tables(&TABLES)).await.unwrap();

    let users = 1010_u64.div_ceil(200);
    let expected = BTreeMap::from([
        ("/api/v1/users", users),
        ("/api/v1/groups", 1 + 1010_u64.div_ceil(1000) + 29),
        ("/api/v1/apps", 211_u64.div_ceil(200) + 211),
    ]);
    assert_eq!(world.by_bucket(), expected);
    let told = connector.traffic();
    assert_eq!(told.total(), expected.values().sum::<u64>(), "traffic is counted as it was");
    assert!(told.max_in_flight >= 3, "three lists side by side");

    let asked = world.asked();
    let times = |target: &str| asked.iter().filter(|asked| *asked == target).count();
    for group in &groups[..30] {
        assert_eq!(times(&format!("/api/v1/groups/{group}/users?limit=1000")), 1);
    }
    for app in &apps {
        assert_eq!(times(&format!("/api/v1/apps/{app}/groups?limit=200")), 1);
    }
    assert_eq!(times("/api/v1/groups?limit=200&expand=stats"), 1);
    assert_eq!(times("/api/v1/apps?limit=200"), 1);
    let pages = |text: &str| asked.iter().filter(|asked| asked.contains(text)).count() as u64;
    assert_eq!(pages("search=status pr"), users);
}

#[tokio::test]
async fn only_the_tables_asked_for_cost_requests() {
    let world = World::new(Seed::exact(20, 5, 3, 2)).await;
    let expected = world.expected(&tables(&TABLES)).await;
    for (wanted, requests) in [
        (&["users"][..], [1, 0, 0]),
        (&["groups"], [0, 1, 0]),
        (&["apps"], [0, 0, 1]),
        (&["groupsusers"], [0, 1 + 5, 0]),
        (&["groupsapps"], [0, 0, 1 + 3]),
        (&["users", "groups"], [1, 1, 0]),
        (&["groupsusers", "groups", "apps"], [0, 1 + 5, 1]),
    ] {
        world.sandbox.clear_journal();
        let found = export_all(&world.connector(&[]), &tables(wanted)).await.unwrap();
        let expected: Set = wanted.iter().map(|&name| (name.to_owned(), expected[name].clone())).collect();
        assert_same(&found, &expected, &format!("{wanted:?}"));
        let made = world.by_bucket();
        let made = ["users", "groups", "apps"].map(|list| *made.get(&*format!("/api/v1/{list}")).unwrap_or(&0));
        assert_eq!(made, requests, "{wanted:?}");
    }
}

#[tokio::test]
async fn nothing_is_asked_before_somebody_reads() {
    let world = World::new(Seed::default()).await;
    let (connector, tables) = (world.connector(&[]), tables(&TABLES));
    drop(connector.export(&tables));
    assert!(world.asked().is_empty());
}

#[tokio::test]
async fn the_largest_group_is_read_first() {
    let world = World::new(varied()).await;
    export_all(&world.connector(&[("MaxConcurrency", "1")]), &tables(&["groupsusers"])).await.unwrap();
    let asked = world.asked();
    let members = asked.iter().filter_map(|asked| asked.strip_prefix("/api/v1/groups/")?.split_once("/users"));
    let sizes: Vec<usize> =
        world.sandbox.with_org(|org| members.map(|(group, _)| org.member_ids(group).len()).collect());
    assert!(sizes.len() > 30 && sizes.is_sorted_by(|one, next| one >= next), "{sizes:?}");
}

#[tokio::test]
async fn users_are_asked_for_by_exactly_the_columns_wanted() {
    let world = World::new(Seed::default()).await;
    for (columns, fields) in [
        (&["id"][..], "fields=id"),
        (&["id", "type.id", "profile.city", "type", "profile.skills"], "fields=id,type,profile:(city,skills)"),
        (&["profile.login", "id", "lastLogin"], "fields=id,lastLogin,profile:(login)"),
    ] {
        world.sandbox.clear_journal();
        let found = export_all(&world.connector(&[]), &[table_of("users", columns)]).await.unwrap();
        assert_eq!(found["users"].len(), 25);
        let asked = world.asked();
        let users = asked.iter().find(|asked| asked.starts_with("/api/v1/users")).unwrap();
        assert!(users.split('&').any(|parameter| parameter == fields), "{users}");
    }
    world.sandbox.clear_journal();
    let whole = [table_of("users", &["id", "profile"])];
    let expected = world.expected(&whole).await;
    assert_same(&export_all(&world.connector(&[]), &whole).await.unwrap(), &expected, "the profile as a whole");
    assert!(!world.asked()[0].contains("fields="));
}

#[tokio::test]
async fn columns_are_found_as_okta_spells_them() {
    let world = World::new(Seed::default()).await;
    let right = [
        table_of("users", &["id", "profile.login", "profile.badgeNumber", "type.id"]),
        table_of("groups", &["id", "lastMembershipUpdated", "profile.name"]),
    ];
    let other = [
        table_of("users", &["ID", "Profile.LOGIN", "profile.BADGEnumber", "TYPE.Id"]),
        table_of("groups", &["id", "lastMemberShipUpdated", "PROFILE.NAME"]),
    ];
    let expected = world.expected(&right).await;
    let found = export_all(&world.connector(&[]), &other).await.unwrap();
    assert_same(&found, &expected, "another case");
    let asked = world.asked();
    let schemas: Vec<&String> = asked.iter().filter(|asked| asked.starts_with("/api/v1/meta")).collect();
    assert_eq!(schemas.len(), 2, "the types and the one schema, none for groups: {schemas:?}");
    assert!(asked.iter().any(|asked| asked.contains("profile:(login,badgeNumber)")), "{asked:?}");
}

#[tokio::test]
async fn a_column_that_okta_does_not_know_is_refused_before_any_list() {
    let world = World::new(Seed::default()).await;
    for (name, columns, wrong, nearest) in [
        ("users", &["id", "profile.badgeNummer"], "profile.badgeNummer", "profile.badgeNumber"),
        ("users", &["id", "lastLogon"], "lastLogon", "lastLogin"),
        ("groups", &["id", "profile.customAttribute"], "profile.customAttribute", "profile.customGroupAttribute"),
        ("apps", &["id", "lable"], "lable", "label"),
    ] {
        world.sandbox.clear_journal();
        let error =
            export_all(&world.connector(&[]), &[table("groupsusers"), table_of(name, columns)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
        assert!(error.to_string().contains(&format!("`{wrong}`")), "{error}");
        assert!(error.hint().unwrap().contains(&format!("`{nearest}`")), "{:?}", error.hint());
        assert!(world.asked().iter().all(|asked| asked.starts_with("/api/v1/meta")), "{:?}", world.asked());
    }
}

#[tokio::test]
async fn a_known_attribute_that_no_record_has_is_empty() {
    let world = World::new(Seed::exact(5, 2, 1, 1)).await;
    let base = [table_of("users", &["id", "profile.nickName"]), table_of("groups", &["id", "profile.dn"])];
    let expected = world.expected(&base).await;
    assert_same(&export_all(&world.connector(&[]), &base).await.unwrap(), &expected, "of the base schema");
    assert!(!world.asked().iter().any(|asked| asked.contains("/meta/")), "the base schema is known without asking");
    let custom = [table_of("users", &["id", "profile.remark"])];
    let expected = world.expected(&custom).await;
    assert_same(&export_all(&world.connector(&[]), &custom).await.unwrap(), &expected, "of the custom schema");
}

#[tokio::test]
async fn without_the_right_to_read_schemas_columns_are_taken_as_given() {
    let world = World::new(Seed::default()).await;
    let tables = [
        table_of("users", &["id", "profile.badgeNumber"]),
        table_of("groups", &["id", "profile.customGroupAttribute"]),
    ];
    let expected = world.expected(&tables).await;
    world.sandbox.with_org(|org| org.deny("/api/v1/meta"));
    assert_same(&export_all(&world.connector(&[]), &tables).await.unwrap(), &expected, "schemas denied");
}

#[tokio::test]
async fn what_is_deleted_meanwhile_has_no_links() {
    let world = World::new(Seed::exact(30, 6, 4, 5)).await;
    let tables = tables(&TABLES);
    let mut expected = world.expected(&tables).await;
    let (group, app) = world.sandbox.with_org(|org| (org.group_ids()[3].clone(), org.app_ids()[2].clone()));
    let connector = world.connector(&[]);
    let (mut found, mut batches) = (Set::new(), connector.export(&tables));
    while let Some(batch) = batches.next().await {
        let batch = batch.unwrap();
        // Nothing that follows from a page has been asked for when the page is handed on.
        match batch.table {
            1 => assert!(world.sandbox.with_org(|org| org.remove_group(&group))),
            2 => {
                call(&world.sandbox, "POST", &format!("/api/v1/apps/{app}/lifecycle/deactivate")).await;
                call(&world.sandbox, "DELETE", &format!("/api/v1/apps/{app}")).await;
            }
            _ => {}
        }
        let rows = found.entry(tables[batch.table].name.clone()).or_insert_with(BTreeMap::new);
        for record in batch.records.iter() {
            let record: Vec<String> = record.map(str::to_owned).collect();
            rows.insert(tables[batch.table].key.iter().map(|&column| record[column].clone()).collect(), record);
        }
    }
    expected.get_mut("groupsusers").unwrap().retain(|link, _| link[0] != group);
    expected.get_mut("groupsapps").unwrap().retain(|link, _| link[0] != group && link[1] != app);
    assert_same(&found, &expected, "after a group and an app were deleted");
}

#[tokio::test]
async fn users_of_all_statuses_come_in_one_list() {
    let world = World::new(Seed::exact(3, 1, 0, 0)).await;
    let statuses =
        ["STAGED", "PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT", "SUSPENDED", "DEPROVISIONED"];
    world.sandbox.with_org(|org| {
        for status in statuses {
            let login = format!("{status}@example.com");
            let profile = json!({"login": login, "email": login, "firstName": "A", "lastName": "B"});
            org.add_user(profile, status.parse::<Status>().unwrap());
        }
    });
    let users = tables(&["users"]);
    let expected = world.expected(&users).await;
    assert_same(&export_all(&world.connector(&[]), &users).await.unwrap(), &expected, "all statuses");
    assert_eq!(world.asked().len(), 1);
}
