//! Settings that leave something out, and the sides from which assignments can be read: no link ever dangles.

use std::collections::BTreeSet;

use connector_api::{Connector, ErrorKind};
use okta_sandbox::{Fault, FaultAction, Seed};

use crate::{Rows, Set, TABLES, World, assert_same, call, export_all, tables};

fn varied() -> Seed {
    Seed { users: 250, groups: 25, apps: 14, groups_per_app: 4, ..Seed::default() }
}

/// The keys of the records for which the cell of the column `keep`s.
fn ids(rows: &Rows, column: usize, keep: impl Fn(&str) -> bool) -> BTreeSet<String> {
    rows.values().filter(|record| keep(&record[column])).map(|record| record[0].clone()).collect()
}

/// What is left of an export when only these objects are: links lose those whose one side is left out.
fn reduced(mut set: Set, table: &str, kept: &BTreeSet<String>) -> Set {
    set.get_mut(table).expect("the table is there").retain(|key, _| kept.contains(&key[0]));
    for (links, sides) in [("groupsusers", ["groups", "users"]), ("groupsapps", ["groups", "apps"])] {
        if let Some(side) = sides.iter().position(|side| *side == table) {
            set.get_mut(links).expect("all tables are there").retain(|link, _| kept.contains(&link[side]));
        }
    }
    set
}

#[tokio::test]
async fn filters_leave_links_out_too() {
    let world = World::new(varied()).await;
    let all = world.expected(&tables(&TABLES)).await;
    let cases = [
        (
            "UserFilter",
            r#"profile.login sw "user00001""#,
            "users",
            ids(&all["users"], 9, |login| login.starts_with("user00001")),
        ),
        (
            "UserFilter",
            r#"status eq "DEPROVISIONED""#,
            "users",
            ids(&all["users"], 1, |status| status == "DEPROVISIONED"),
        ),
        ("GroupFilter", r#"type eq "OKTA_GROUP""#, "groups", ids(&all["groups"], 4, |kind| kind == "OKTA_GROUP")),
        ("AppFilter", r#"name eq "bookmark""#, "apps", ids(&all["apps"], 4, |name| name == "bookmark")),
        ("AppFilter", r#"status eq "INACTIVE""#, "apps", ids(&all["apps"], 3, |status| status == "INACTIVE")),
    ];
    for (key, filter, table, kept) in cases {
        assert!(!kept.is_empty() && kept.len() < all[table].len(), "{filter} divides the {table}");
        let expected = reduced(all.clone(), table, &kept);
        for by in ["app", "group", "auto"] {
            let connector = world.connector(&[(key, filter), ("GroupsAppsBy", by)]);
            let found = export_all(&connector, &tables(&TABLES)).await.unwrap();
            assert_same(&found, &expected, &format!("{key} {filter}, by {by}"));
            // The links alone are the same as beside the tables they point at.
            for links in ["groupsusers", "groupsapps"] {
                let found = export_all(&connector, &tables(&[links])).await.unwrap();
                let expected = Set::from([(links.to_owned(), expected[links].clone())]);
                assert_same(&found, &expected, &format!("{key} {filter}, by {by}, {links} alone"));
            }
        }
    }
}

#[tokio::test]
async fn a_filter_on_users_alone_asks_for_nothing_but_their_ids() {
    let world = World::new(varied()).await;
    let connector = world.connector(&[("UserFilter", "profile.login pr")]);
    export_all(&connector, &tables(&["groupsusers"])).await.unwrap();
    let asked = world.asked();
    let users = asked.iter().find(|asked| asked.starts_with("/api/v1/users")).unwrap();
    assert!(users.ends_with("search=profile.login pr&fields=id"), "{users}");
}

#[tokio::test]
async fn deprovisioned_users_can_be_left_out_with_their_memberships() {
    let world = World::new(varied()).await;
    let all = world.expected(&tables(&TABLES)).await;
    let kept = ids(&all["users"], 1, |status| status != "DEPROVISIONED");
    assert!(kept.len() < all["users"].len());
    let expected = reduced(all.clone(), "users", &kept);
    let found = export_all(&world.connector(&[("IncludeDeprovisioned", "false")]), &tables(&TABLES)).await.unwrap();
    assert_same(&found, &expected, "without the deprovisioned");

    let filter = r#"profile.login sw "user00001" or profile.login sw "user00000""#;
    let of_filter = ids(&all["users"], 9, |login| login.starts_with("user00001") || login.starts_with("user00000"));
    let both = kept.intersection(&of_filter).cloned().collect();
    assert!(
        of_filter.len() > kept.intersection(&of_filter).count(),
        "the filter alone would bring deprovisioned users"
    );
    let connector = world.connector(&[("IncludeDeprovisioned", "false"), ("UserFilter", filter)]);
    let found = export_all(&connector, &tables(&TABLES)).await.unwrap();
    assert_same(&found, &reduced(all, "users", &both), "without the deprovisioned, filtered");
}

#[tokio::test]
async fn an_expression_that_okta_refuses_names_the_setting() {
    let world = World::new(varied()).await;
    for key in ["UserFilter", "GroupFilter", "AppFilter"] {
        let error = export_all(&world.connector(&[(key, "shoes gt 44")]), &tables(&TABLES)).await.unwrap_err();
        assert_eq!((error.kind(), error.setting_key()), (ErrorKind::Settings, Some(key)), "{error}");
    }
}

#[tokio::test]
async fn assignments_are_the_same_from_every_side() {
    for inactive_listed in [false, true] {
        let world = World::new(varied()).await;
        world.sandbox.with_org(|org| org.inactive_apps_listed = inactive_listed);
        let links = tables(&["groupsapps"]);
        let expected = world.expected(&links).await;
        for by in ["app", "group", "auto"] {
            let found = export_all(&world.connector(&[("GroupsAppsBy", by)]), &links).await.unwrap();
            assert_same(&found, &expected, &format!("by {by}, inactive apps listed: {inactive_listed}"));
        }
    }
}

#[tokio::test]
async fn auto_takes_the_side_that_costs_less() {
    // Two groups have all 30 apps; then groups on several pages share one app, which lists them on three.
    for (seed, of_group, of_app) in [(Seed::exact(3, 2, 30, 1), 2, 0), (Seed::exact(3, 450, 1, 1), 0, 3)] {
        let world = World::new(Seed { groups_per_app: 450, ..seed }).await;
        let links = tables(&["groupsapps"]);
        let expected = world.expected(&links).await;
        let found = export_all(&world.connector(&[("GroupsAppsBy", "auto")]), &links).await.unwrap();
        assert_same(&found, &expected, "auto");
        let asked = world.asked();
        let lists = |begin: &str, end: &str| {
            asked.iter().filter(|asked| asked.starts_with(begin) && asked.contains(end)).count()
        };
        assert_eq!(
            (lists("/api/v1/groups/", "/apps"), lists("/api/v1/apps/", "/groups")),
            (of_group, of_app),
            "{asked:?}"
        );
    }
}

#[tokio::test]
async fn auto_reads_app_by_app_where_counts_are_wrong_or_missing() {
    let world = World::new(Seed { groups_per_app: 2, ..Seed::exact(3, 2, 9, 1) }).await;
    let links = tables(&["groupsapps"]);
    let expected = world.expected(&links).await;
    let page = call(&world.sandbox, "GET", "/api/v1/groups?limit=200&expand=stats").await;
    for (what, other) in [("\"appsCount\":8", "wrong"), ("\"other\":9", "missing")] {
        world.sandbox.clear_journal();
        world.sandbox.clear_faults();
        let body = page.replace("\"appsCount\":9", what);
        assert_ne!(body, page);
        let answer = FaultAction::Status { status: 200, body, headers: Vec::new() };
        world.sandbox.add_fault(Fault::new(answer).on("GET", "/api/v1/groups?"));
        let connector = world.connector(&[("GroupsAppsBy", "auto")]);
        let found = export_all(&connector, &links).await.unwrap();
        assert_same(&found, &expected, other);
        assert_eq!(world.by_bucket()["/api/v1/apps"], 1 + 9, "{other}: every app was asked");
        assert_eq!(connector.traffic().throttled, 0);
    }
}
