//! What Okta refuses: for frequency, for rights, for the object being gone. How long is waited, and what the error says.

use std::time::Duration;

use connector_api::{Connector, ErrorKind};
use okta_sandbox::{Fault, FaultAction, Seed};

use crate::{
    TABLES, World, assert_same, export_all,
    scripted::{Answer, Scripted},
    table_of, tables,
};

fn elapsed(world: &World) -> Duration {
    crate::since_start(&world.clock)
}

fn refusal(status: u16, code: &str) -> FaultAction {
    FaultAction::Error { status, code: code.to_owned() }
}

#[tokio::test]
async fn a_used_up_window_is_waited_for_by_the_servers_clock() {
    let body = r#"{"errorCode":"E0000047","errorSummary":"s","errorLink":"E0000047","errorId":"o","errorCauses":[]}"#;
    let refused = |headers: &[(&str, &str)]| {
        headers.iter().fold(Answer::json(429, body), |answer, (name, value)| answer.with(name, value))
    };
    let date = ("date", "Thu, 11 Sep 2025 16:21:50 GMT");
    let limits = [("x-rate-limit-limit", "10"), ("x-rate-limit-remaining", "0"), date];
    for (more, seconds) in [
        (&[("x-rate-limit-reset", "1757607758")][..], 49),
        (&[("x-rate-limit-reset", "1757607710")], 1),
        (&[("x-rate-limit-reset", "1757607758"), ("retry-after", "90")], 90),
        (&[("retry-after", "7")], 7),
        // A window that has ended by the server's own clock, or none at all, tells nothing.
        (&[("x-rate-limit-reset", "1757607700")], 5),
        (&[], 5),
    ] {
        let answer = refused(&[&limits[..], more].concat());
        let server =
            Scripted::start(move |_, before| if before == 0 { answer.clone() } else { Answer::json(200, "[]") }).await;
        let connector = server.connector("token", &[]);
        export_all(&connector, &tables(&["users"])).await.unwrap();
        assert_eq!(crate::since_start(&server.clock), Duration::from_secs(seconds), "{more:?}");
        assert_eq!((connector.traffic().throttled, connector.traffic().total()), (1, 2), "{more:?}");
    }
}

#[tokio::test]
async fn too_many_at_once_costs_a_moment_and_lowers_parallelism() {
    let world = World::new(Seed::exact(20, 30, 3, 2)).await;
    let expected = world.expected(&tables(&TABLES)).await;
    world.strike("/api/v1/groups/", 5, 3, FaultAction::Concurrency429);
    let connector = world.connector(&[]);
    assert_same(&export_all(&connector, &tables(&TABLES)).await.unwrap(), &expected, "after refusals");
    assert_eq!(connector.traffic().throttled, 3);
    assert!(elapsed(&world) < Duration::from_secs(10), "no window is waited for: {:?}", elapsed(&world));
}

#[tokio::test]
async fn patience_ends_within_the_budget() {
    for (fault, budget, most) in [
        (FaultAction::RateLimit429, 900, 900 + 62),
        (FaultAction::RateLimit429, 30, 30 + 62),
        (FaultAction::Concurrency429, 100, 102),
        (refusal(500, "E0000009"), 900, 900),
        (FaultAction::Html(502), 900, 900),
        (FaultAction::ResetConnection, 3, 4),
    ] {
        for (path, nth, table) in [("/api/v1/users", 1, "users"), ("/api/v1/groups/", 2, "groupsusers")] {
            let world = World::new(Seed::exact(10, 12, 1, 2)).await;
            world.strike(path, nth, u32::MAX, fault.clone());
            let connector = world.connector(&[("RetryBudgetSeconds", &budget.to_string())]);
            let error = export_all(&connector, &tables(&[table])).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{fault:?}: {error}");
            assert!(error.to_string().contains("gave up after"), "{error}");
            assert!(elapsed(&world) <= Duration::from_secs(most), "{fault:?} on {path}: {:?}", elapsed(&world));
        }
    }
}

#[tokio::test]
async fn refused_credentials_and_missing_rights_end_the_export_at_once() {
    let world = World::new(Seed::exact(10, 4, 3, 2)).await;
    for (path, right) in [
        ("/api/v1/users", "okta.users.read"),
        ("/api/v1/groups?", "okta.groups.read"),
        ("/api/v1/apps?", "okta.apps.read"),
        ("/api/v1/groups/", "okta.groups.read, okta.users.read"),
        ("/api/v1/apps/", "okta.groups.read, okta.apps.read"),
    ] {
        world.sandbox.clear_faults();
        world.strike(path, 1, u32::MAX, refusal(403, "E0000006"));
        let error = export_all(&world.connector(&[]), &tables(&TABLES)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials, "{path}: {error}");
        assert!(error.hint().unwrap().contains(&format!("({right})")), "{path}: {:?}", error.hint());

        world.sandbox.clear_faults();
        world.strike(path, 1, u32::MAX, refusal(401, "E0000011"));
        let error = export_all(&world.connector(&[]), &tables(&TABLES)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Credentials, "{path}: {error}");
        assert!(error.hint().unwrap().contains("`ApiKey`"), "{path}: {:?}", error.hint());
    }
    assert_eq!(elapsed(&world), Duration::ZERO, "nothing is tried again");
    world.sandbox.clear_faults();
    world.sandbox.with_org(|org| org.revoke_token("sandbox-token"));
    let error = export_all(&world.connector(&[]), &tables(&["users"])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials, "{error}");
}

#[tokio::test]
async fn links_that_are_not_found_though_their_owner_is_there_are_a_failure() {
    for (table, path, end) in [("groupsusers", "/api/v1/groups/", "/users"), ("groupsapps", "/api/v1/apps/", "/groups")]
    {
        let world = World::new(Seed::exact(10, 4, 3, 2)).await;
        world.sandbox.add_fault(Fault::new(refusal(404, "E0000007")).on("GET", path).containing(end));
        let error = export_all(&world.connector(&[]), &tables(&[table])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}

#[tokio::test]
async fn a_redirect_is_followed_within_the_origin_alone() {
    let world = World::new(Seed::exact(250, 2, 1, 0)).await;
    let users = tables(&["users"]);
    let expected = world.expected(&users).await;
    let inside = format!("{}/api/v1/users?limit=200&search=status%20pr", world.sandbox.url());
    world.strike("/api/v1/users", 1, 1, FaultAction::Redirect(inside));
    assert_same(&export_all(&world.connector(&[]), &users).await.unwrap(), &expected, "redirected within");

    let elsewhere = Scripted::start(|_, _| Answer::json(200, "[]")).await;
    let port = elsewhere.url.rsplit(':').next().unwrap();
    for to in [elsewhere.url.clone(), format!("http://localhost:{port}/api/v1/users"), format!("//127.0.0.1:{port}/")] {
        world.sandbox.clear_faults();
        world.strike("/api/v1/users", 1, u32::MAX, FaultAction::Redirect(to.clone()));
        let error = export_all(&world.connector(&[]), &users).await.unwrap_err();
        assert_eq!((error.kind(), error.setting_key()), (ErrorKind::Settings, Some("Server")), "{to}: {error}");
    }
    assert!(elsewhere.heads().is_empty(), "{:?}", elsewhere.heads());
}

#[tokio::test]
async fn a_next_link_to_another_host_is_followed_here() {
    let world = World::new(Seed::exact(450, 2, 1, 0)).await;
    let users = tables(&["users"]);
    let expected = world.expected(&users).await;
    let elsewhere = Scripted::start(|_, _| Answer::json(200, "[]")).await;
    for host in [elsewhere.url.clone(), "admin:secret@elsewhere.example".to_owned()] {
        world.sandbox.clear_faults();
        world.strike("/api/v1/users", 1, u32::MAX, FaultAction::NextHost(host.clone()));
        assert_same(&export_all(&world.connector(&[]), &users).await.unwrap(), &expected, &host);
    }
    assert!(elsewhere.heads().is_empty(), "{:?}", elsewhere.heads());
}

#[tokio::test]
async fn a_next_link_to_another_list_is_not_followed() {
    for next in [
        "/api/v1/groups?after=1",
        "/api/v1/users/../groups?after=1",
        "//elsewhere.example/api/v1/users",
        "@elsewhere.example/",
    ] {
        let link = format!("<{next}>; rel=\"next\"");
        let server = Scripted::start(move |_, _| Answer::json(200, r#"[{"id":"00u1"}]"#).with("link", &link)).await;
        let error = export_all(&server.connector("token", &[]), &tables(&["users"])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{next}: {error}");
        let heads = server.heads();
        assert!(heads.iter().all(|head| head.starts_with("GET /api/v1/users?limit=200&")), "{next}: {heads:?}");
    }
}

#[tokio::test]
async fn requests_carry_the_token_and_no_cookie() {
    let server = Scripted::start(|target, _| {
        let next = format!("<{target}&after=1>; rel=\"next\"");
        let answer = Answer::json(200, r#"[{"id":"00u1"}]"#).with("set-cookie", "JSESSIONID=5A4DB0X; Path=/");
        if target.contains("after=") { answer } else { answer.with("link", &next) }
    })
    .await;
    export_all(&server.connector("token", &[]), &tables(&["users"])).await.unwrap();
    let heads = server.heads();
    assert_eq!(heads.len(), 2);
    for head in heads.iter().map(|head| head.to_lowercase()) {
        assert!(head.contains("\r\nauthorization: ssws token\r\n") && !head.contains("\r\ncookie:"), "{head}");
        assert!(head.contains("\r\nuser-agent: agent-host/"), "{head}");
        assert!(
            head.contains("okta-response=\"omitcredentials,omitcredentialslinks,omittransitioningtostatus\""),
            "{head}"
        );
    }
}

#[tokio::test]
async fn a_schema_is_read_here_wherever_its_link_leads() {
    let elsewhere = Scripted::start(|_, _| Answer::json(200, "[]")).await;
    let address = elsewhere.url.trim_start_matches("http://").to_owned();
    for href in [format!("@{address}/schema"), format!("http://{address}/schema"), format!("//{address}/schema")] {
        let types = format!(r#"[{{"_links":{{"schema":{{"href":"{href}"}}}}}}]"#);
        let server = Scripted::start(move |target, _| match target {
            "/api/v1/meta/types/user" => Answer::json(200, types.clone()),
            _ => Answer::json(404, r#"{"errorCode":"E0000007","errorSummary":"Not found"}"#),
        })
        .await;
        let users = [table_of("users", &["id", "profile.shoeSize"])];
        let error = export_all(&server.connector("token", &[]), &users).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{href}: {error}");
        assert_eq!((server.heads().len(), elsewhere.heads().len()), (2, 0), "{href}");
    }
}
