//! Every fault of the sandbox on every list: the export ends in a complete set or a clear failure, never in between.

use std::time::Duration;

use connector_api::{Connector, ErrorKind, Table};
use okta_sandbox::{FaultAction, SandboxConfig, Seed};

use crate::{Set, World, assert_same, export_all, table_of, tables};

/// What an export comes to when a fault strikes once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Once {
    Complete,
    Fails,
}

/// A fault, what it does when it strikes once, and the kind of failure where it strikes for good.
type Case = (FaultAction, Once, ErrorKind);

fn cases() -> Vec<Case> {
    use ErrorKind::{Credentials, NotFound, Protocol, Rejected, Settings, Unavailable};
    use FaultAction as F;
    use Once::{Complete, Fails};
    let error = |status, code: &str| F::Error { status, code: code.to_owned() };
    let lost = |name: &str| F::NextLosesParameter(name.to_owned());
    let text = |text: &str| F::NotJson(text.to_owned());
    vec![
        (F::Status { status: 503, body: String::new(), headers: Vec::new() }, Complete, Unavailable),
        (F::Html(502), Complete, Unavailable),
        (F::Html(503), Complete, Unavailable),
        (F::Html(200), Complete, Unavailable),
        (error(500, "E0000009"), Complete, Unavailable),
        (error(503, "E0000010"), Complete, Unavailable),
        (error(504, "E0000009"), Complete, Unavailable),
        (F::RateLimit429, Complete, Unavailable),
        (F::Concurrency429, Complete, Unavailable),
        (F::ResetConnection, Complete, Unavailable),
        (F::LoseAnswer, Complete, Unavailable),
        (F::CutBody { after_bytes: 0 }, Complete, Unavailable),
        (F::CutBody { after_bytes: 300 }, Complete, Unavailable),
        (F::TruncatedChunked, Complete, Unavailable),
        (F::TruncatedGzip, Complete, Unavailable),
        (text("[{\"id\":\"00u1\"},"), Complete, Unavailable),
        (text("{\"id\":\"00u1\"}"), Complete, Unavailable),
        (text("[null]"), Complete, Unavailable),
        (text(""), Complete, Unavailable),
        (F::StuckCursor, Complete, Protocol),
        (F::RepeatPage, Complete, Protocol),
        (F::ShiftPage, Complete, Protocol),
        (F::NextHost("elsewhere.example".to_owned()), Complete, Protocol),
        (lost("limit"), Complete, Protocol),
        (lost("search"), Complete, Protocol),
        (lost("fields"), Complete, Protocol),
        (lost("expand"), Complete, Protocol),
        (lost("after"), Complete, Protocol),
        (F::SetCookie, Complete, Protocol),
        (error(401, "E0000011"), Fails, Credentials),
        (error(403, "E0000006"), Fails, Credentials),
        (error(404, "E0000007"), Fails, NotFound),
        (error(404, "E0000008"), Fails, Settings),
        (error(405, "E0000022"), Fails, Rejected),
        (F::Redirect("http://elsewhere.example/api/v1/users".to_owned()), Fails, Settings),
    ]
}

/// Strikes the list below `path` with every fault: on its first page and in the middle, once and for good.
async fn check(path: &str, wanted: &str) {
    // Everyone needs more than a thousand users for a second page of members.
    let users = if wanted == "groupsusers" { 1001 } else { 401 };
    let seed = Seed::exact(users, 405, 405, 0);
    let world = World::with(SandboxConfig { seed, ..Default::default() }).await;
    let everyone = world.sandbox.with_org(|org| org.group_id("Everyone")).expect("everyone is in a group");
    let path = path.replace("{everyone}", &everyone);
    let tables = tables(&[wanted]);
    let expected = world.expected(&tables).await;
    for (fault, once, kind) in cases() {
        for (nth, times) in [(1, 1), (2, 1), (1, u32::MAX), (2, u32::MAX)] {
            let when = format!("{fault:?} strikes {path} from page {nth}, {times} times");
            world.sandbox.clear_faults();
            world.strike(&path, nth, times, fault.clone());
            let hit = world.sandbox.faults_hit();
            let started = world.clock.now_millis();
            let found = export_all(&world.connector(&[("RetryBudgetSeconds", "60")]), &tables).await;
            assert!(world.sandbox.faults_hit() > hit, "{when}: it struck");
            assert!(world.clock.now_millis() - started < 300_000, "{when}: it ends soon");
            assert_end(found, &expected, if times == 1 { Some(once) } else { None }, kind, &when);
        }
    }
}

fn assert_end(found: connector_api::Result<Set>, expected: &Set, once: Option<Once>, kind: ErrorKind, when: &str) {
    match found {
        Ok(found) => {
            assert_ne!(once, Some(Once::Fails), "{when}: it fails");
            assert_same(&found, expected, when);
        }
        Err(error) => {
            assert_ne!(once, Some(Once::Complete), "{when}: it survives, but {error}");
            assert_eq!(error.kind(), kind, "{when}: {error}");
            assert!(error.hint().is_some() && !error.to_string().contains('\n'), "{when}: {error:?}");
        }
    }
}

#[tokio::test]
async fn users_survive_every_fault_or_fail_clearly() {
    check("/api/v1/users?", "users").await;
}

#[tokio::test]
async fn groups_survive_every_fault_or_fail_clearly() {
    check("/api/v1/groups?", "groups").await;
}

#[tokio::test]
async fn members_survive_every_fault_or_fail_clearly() {
    check("/api/v1/groups/{everyone}/users", "groupsusers").await;
}

#[tokio::test]
async fn apps_survive_every_fault_or_fail_clearly() {
    check("/api/v1/apps?", "apps").await;
}

#[tokio::test]
async fn empty_pages_are_passed_over_but_not_for_ever() {
    let world = World::new(Seed::exact(12, 5, 4, 1)).await;
    for (path, wanted) in [
        ("/api/v1/users?", "users"),
        ("/api/v1/groups?", "groups"),
        ("/api/v1/groups/", "groupsusers"),
        ("/api/v1/apps?", "apps"),
        ("/api/v1/apps/", "groupsapps"),
    ] {
        let tables = tables(&[wanted]);
        let expected = world.expected(&tables).await;
        for times in [1, 7, u32::MAX] {
            world.sandbox.clear_faults();
            world.strike(path, 1, times, FaultAction::EmptyPageWithNext);
            let found = export_all(&world.connector(&[]), &tables).await;
            let once = if times == u32::MAX { Once::Fails } else { Once::Complete };
            assert_end(found, &expected, Some(once), ErrorKind::Protocol, &format!("{times} empty pages of {path}"));
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_too_slow_is_asked_for_again() {
    let world = World::new(Seed::exact(10, 2, 1, 1)).await;
    let users = tables(&["users"]);
    let expected = world.expected(&users).await;
    world.strike("/api/v1/users", 1, 1, FaultAction::SlowFirstByte(Duration::from_secs(5)));
    let found = export_all(&world.connector(&[("RequestTimeoutSeconds", "1")]), &users).await.unwrap();
    assert_same(&found, &expected, "after a slow answer");
}

#[tokio::test]
async fn an_answer_without_end_is_given_up() {
    let world = World::new(Seed::exact(3, 1, 0, 0)).await;
    world.strike("/api/v1/users", 1, u32::MAX, FaultAction::NotJson(format!("[{}]", " ".repeat(65 << 20))));
    let error = export_all(&world.connector(&[("RetryBudgetSeconds", "1")]), &tables(&["users"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("larger than"), "{error}");
}

/// The limits asked for on the list, in the order in which they were first asked for.
fn limits(world: &World, path: &str) -> Vec<u32> {
    let asked = world.asked();
    let limit = |asked: &String| asked.split(['?', '&']).find_map(|pair| pair.strip_prefix("limit=")?.parse().ok());
    let mut limits: Vec<u32> = asked.iter().filter(|asked| asked.starts_with(path)).filter_map(limit).collect();
    limits.dedup();
    limits
}

#[tokio::test]
/// The next page is asked for at full size once more: one failure may have been chance.
async fn a_page_too_large_is_halved_on_the_same_cursor() {
    let world = World::new(Seed::exact(1450, 3, 2, 0)).await;
    let everyone = world.sandbox.with_org(|org| org.group_id("Everyone")).unwrap();
    for (table, path, most, halves) in [
        (
            "groupsusers",
            format!("/api/v1/groups/{everyone}/users"),
            200,
            &[1000, 500, 250, 200, 1000, 500, 250, 200][..],
        ),
        ("users", "/api/v1/users".to_owned(), 60, &[200, 100, 50, 200, 100, 50]),
        ("groups", "/api/v1/groups".to_owned(), 25, &[200, 100, 50, 25]),
    ] {
        // The first page is let through where there are more, so that a cursor is under way.
        let second = u32::from(table != "groups") + 1;
        let tables = tables(&[table]);
        let expected = world.expected(&tables).await;
        world.sandbox.clear_faults();
        world.strike(&path, second, u32::MAX, FaultAction::OnlyWhenLimitOver(most));
        let found = export_all(&world.connector(&[]), &tables).await.unwrap();
        assert_same(&found, &expected, table);
        assert_eq!(limits(&world, &path), halves, "{table}");
        let asked = world.asked();
        let firsts = asked.iter().filter(|asked| asked.starts_with(&path) && !asked.contains("after=")).count();
        assert_eq!(firsts, if second == 2 { 1 } else { halves.len() }, "{table}: the list did not start again");
    }
}

#[tokio::test]
async fn pages_are_not_halved_for_ever() {
    let world = World::new(Seed::exact(450, 1, 0, 0)).await;
    world.strike("/api/v1/users", 1, u32::MAX, FaultAction::OnlyWhenLimitOver(10));
    let error = export_all(&world.connector(&[]), &tables(&["users"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(limits(&world, "/api/v1/users"), [200, 100, 50, 25]);
}

#[tokio::test]
async fn a_refused_cursor_starts_the_list_again() {
    let world = World::new(Seed::exact(1001, 405, 405, 0)).await;
    for (wanted, path) in [
        ("users", "/api/v1/users?"),
        ("groups", "/api/v1/groups?"),
        ("groupsusers", "/api/v1/groups/"),
        ("apps", "/api/v1/apps?"),
    ] {
        let tables: Vec<Table> = tables(&[wanted]);
        let expected = world.expected(&tables).await;
        for code in ["E0000029", "E0000031"] {
            let refusal = FaultAction::Error { status: 400, code: code.to_owned() };
            world.sandbox.clear_faults();
            world.strike(path, 2, 1, refusal.clone());
            let found = export_all(&world.connector(&[]), &tables).await.unwrap();
            assert_same(&found, &expected, &format!("{code} on {path}"));

            world.sandbox.clear_faults();
            world.sandbox.add_fault(okta_sandbox::Fault::new(refusal).on("GET", path).containing("after=").always());
            let error = export_all(&world.connector(&[]), &tables).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{code} on {path}: {error}");
        }
    }
}

#[tokio::test]
async fn users_are_listed_otherwise_where_search_or_fields_are_refused() {
    let world = World::new(Seed { users: 430, ..Seed::default() }).await;
    let users = [table_of("users", &["id", "status", "profile.login", "profile.department"])];
    let expected = world.expected(&users).await;
    let refusal = |status, code: &str| FaultAction::Error { status, code: code.to_owned() };
    for (fault, text, nth, plain, projected) in [
        (refusal(409, "E0000145"), "search=", 1, true, true),
        (refusal(409, "E0000145"), "search=", 2, true, true),
        (refusal(503, "E0000100"), "search=", 1, true, true),
        (refusal(503, "E0000100"), "search=", 3, true, true),
        (FaultAction::FieldsRefused, "fields=", 1, false, false),
        (FaultAction::FieldsRefused, "fields=", 2, false, false),
    ] {
        let when = format!("{fault:?} from page {nth}");
        world.sandbox.clear_faults();
        world.sandbox.clear_journal();
        world
            .sandbox
            .add_fault(okta_sandbox::Fault::new(fault).on("GET", "/api/v1/users").containing(text).nth(nth).always());
        let connector = world.connector(&[]);
        assert_same(&export_all(&connector, &users).await.unwrap(), &expected, &when);
        let asked = world.asked();
        let after_refusal = &asked[nth as usize..];
        let any = |text: &str| after_refusal.iter().any(|asked| asked.contains(text));
        assert_eq!(any("filter=status eq \"DEPROVISIONED\""), plain, "{when}: {asked:?}");
        assert_eq!((any("search="), any("fields=")), (!plain, projected), "{when}: {asked:?}");
        assert_eq!(connector.traffic().throttled, 0);
    }
    world.sandbox.clear_faults();
    world.strike("/api/v1/users", 1, u32::MAX, FaultAction::FieldsRefused);
    world.sandbox.add_fault(okta_sandbox::Fault::new(refusal(409, "E0000145")).containing("search=").always());
    assert_same(&export_all(&world.connector(&[]), &users).await.unwrap(), &expected, "both are refused");
}
