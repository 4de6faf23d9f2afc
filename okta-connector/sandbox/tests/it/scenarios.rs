//! The sandbox from outside: real connections, whole exchanges.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use okta_sandbox::{Clock, Fault, FaultAction, Limits, Members, Sandbox, SandboxConfig, Seed, Status};

use crate::client::{ask, get, person, post, send, started, walk};

#[tokio::test(flavor = "multi_thread")]
async fn lists_page_to_the_end_and_plain_ones_hide_the_deactivated() {
    let sandbox = started(Seed { users: 450, groups: 30, ..Seed::default() }).await;
    let all = walk(&sandbox, "/api/v1/users?search=status+pr&limit=200");
    assert_eq!(all.len(), 450);
    let plain = walk(&sandbox, "/api/v1/users");
    let gone = walk(&sandbox, "/api/v1/users?filter=status+eq+%22DEPROVISIONED%22&limit=7");
    assert!(!gone.is_empty());
    assert_eq!(plain.len() + gone.len(), 450);
    let reply = get(&sandbox, "/api/v1/users?limit=5&fields=status,profile:(city)&search=status+pr");
    assert_eq!(reply.all("link").len(), 2);
    assert_eq!(reply.json()[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "status", "profile"]);
    let groups = get(&sandbox, "/api/v1/groups?expand=stats&limit=200").json();
    for group in groups.as_array().unwrap() {
        let members = walk(&sandbox, &format!("/api/v1/groups/{}/users?limit=50", group["id"].as_str().unwrap()));
        assert_eq!(group["_embedded"]["stats"]["usersCount"], members.len());
    }
    assert_eq!(get(&sandbox, "/api/v1/users?after=00u1testcursorvalue").json()["errorCode"], "E0000029");
    assert_eq!(get(&sandbox, "/api/v1/users?search=lastLogin+pr").json()["errorCode"], "E0000031");
    assert!(get(&sandbox, "/api/v1/groups?q=Team").all("link").is_empty());
    let omit = "Authorization: SSWS sandbox-token\r\nContent-Type: application/json; okta-response=\"omitCredentials,omitCredentialsLinks,omitTransitioningToStatus\"\r\n";
    let short = send(&sandbox, "GET", "/api/v1/users?limit=1", omit, "").unwrap();
    assert!(short.json()[0].get("credentials").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_lives_and_is_deleted_in_two_steps() {
    let sandbox = started(Seed::exact(3, 3, 1, 1)).await;
    let made = ask(&sandbox, "POST", "/api/v1/users?activate=true", &person("ada@example.com"));
    assert_eq!((made.status, made.json()["status"].as_str()), (200, Some("ACTIVE")));
    let me = format!("/api/v1/users/{}", made.json()["id"].as_str().unwrap());
    let again = ask(&sandbox, "POST", "/api/v1/users", &person("ADA@example.com"));
    assert_eq!((again.status, again.json()["errorCode"].as_str()), (400, Some("E0000001")));
    let change = json!({"profile": {"city": "Oslo", "title": null, "nickName": ""}});
    let changed = ask(&sandbox, "POST", &me, &change).json();
    assert_eq!((&changed["profile"]["city"], &changed["profile"]["nickName"]), (&json!("Oslo"), &json!("")));
    assert_eq!(ask(&sandbox, "POST", &me, &json!({"profile": {"notValid": 1}})).status, 400);
    assert_eq!(post(&sandbox, &format!("{me}/lifecycle/suspend")).json(), json!({}));
    assert_eq!(post(&sandbox, &format!("{me}/lifecycle/unlock")).json()["errorCode"], "E0000032");
    post(&sandbox, &format!("{me}/lifecycle/unsuspend"));
    let temporary = post(&sandbox, &format!("{me}/lifecycle/expire_password_with_temp_password")).json();
    let password = temporary["tempPassword"].as_str().unwrap();
    assert_eq!(password.len(), 12);
    assert!(sandbox.with_org(|org| org.password_is("ada@example.com", password)));
    assert_eq!(get(&sandbox, "/api/v1/users/ada%40example.com").json()["status"], "PASSWORD_EXPIRED");
    for expected in [204, 204, 404] {
        assert_eq!(ask(&sandbox, "DELETE", &me, &Value::Null).status, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_lag_behind_while_single_reads_do_not() {
    let clock = Clock::manual(1_760_000_000_000);
    let (seed, consistency_lag) = (Seed::exact(3, 2, 0, 0), Duration::from_secs(3));
    let config = SandboxConfig { seed, consistency_lag, clock: clock.clone(), ..SandboxConfig::default() };
    let sandbox = Sandbox::start(config).await.unwrap();
    let (group, user) = sandbox.with_org(|org| (org.group_ids()[1].clone(), org.user_ids()[1].clone()));
    let members = format!("/api/v1/groups/{group}/users");
    assert_eq!(ask(&sandbox, "PUT", &format!("{members}/{user}"), &Value::Null).status, 204);
    assert!(get(&sandbox, &members).ids().is_empty());
    ask(&sandbox, "POST", "/api/v1/users", &person("new@example.com"));
    let search = "/api/v1/users?search=profile.login+eq+%22new@example.com%22";
    assert!(get(&sandbox, search).ids().is_empty());
    assert_eq!(get(&sandbox, "/api/v1/users/new@example.com").status, 200);
    assert_eq!(get(&sandbox, "/api/v1/users").ids().len(), 4);
    clock.advance(consistency_lag);
    assert_eq!((get(&sandbox, &members).ids(), get(&sandbox, search).ids().len()), (vec![user], 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_bucket_says_when_to_come_back() {
    let clock = Clock::manual(1_760_000_000_000);
    let (limits, skew_seconds) = (Limits::Integrator, 3600);
    let config = SandboxConfig { limits, skew_seconds, clock: clock.clone(), ..SandboxConfig::default() };
    let sandbox = Sandbox::start(config).await.unwrap();
    for left in (0..10).rev() {
        let reply = get(&sandbox, "/api/v1/apps");
        assert_eq!(reply.one("x-rate-limit-remaining"), Some(left.to_string().as_str()));
    }
    let refused = get(&sandbox, "/api/v1/apps");
    assert_eq!((refused.status, refused.json()["errorCode"].as_str()), (429, Some("E0000047")));
    assert_eq!((refused.one("x-rate-limit-limit"), refused.one("retry-after")), (Some("10"), None));
    assert_eq!(refused.one("x-rate-limit-reset"), Some("1760003660"), "on the skewed clock of the server");
    assert_eq!(refused.one("date"), Some("Thu, 09 Oct 2025 09:53:20 GMT"));
    clock.advance(Duration::from_secs(60));
    assert_eq!(get(&sandbox, "/api/v1/apps").status, 200);
    assert_eq!(sandbox.journal().iter().filter(|exchange| exchange.status == 429).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_at_once_is_another_429() {
    let config = SandboxConfig { concurrent: Some(1), latency: Duration::from_millis(300), ..SandboxConfig::default() };
    let sandbox = Sandbox::start(config).await.unwrap();
    let replies: Vec<_> = std::thread::scope(|scope| {
        let both: Vec<_> = (0..2).map(|_| scope.spawn(|| get(&sandbox, "/api/v1/users?limit=1"))).collect();
        both.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let refused = replies.iter().find(|reply| reply.status == 429).unwrap();
    assert_eq!(refused.one("x-rate-limit-limit"), Some("0"));
    assert_eq!(sandbox.max_in_flight(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_break_what_they_say() {
    let sandbox = started(Seed::exact(20, 1, 0, 0)).await;
    let strike = |action: FaultAction| sandbox.add_fault(Fault::new(action).on("GET", "/api/v1/users"));
    let url = "/api/v1/users?limit=10&expand=classification";
    let authorization = "Authorization: SSWS sandbox-token\r\n";
    strike(FaultAction::ResetConnection);
    assert!(send(&sandbox, "GET", url, authorization, "").is_none());
    strike(FaultAction::CutBody { after_bytes: 100 });
    let cut = get(&sandbox, url);
    assert!(cut.body.len() == 100 && cut.one("content-length").unwrap().parse::<usize>().unwrap() > 100);
    strike(FaultAction::TruncatedChunked);
    let chunked = get(&sandbox, url);
    assert_eq!(chunked.one("transfer-encoding"), Some("chunked"));
    assert!(!chunked.body.is_empty() && !chunked.body.ends_with(b"0\r\n\r\n"));
    strike(FaultAction::TruncatedGzip);
    assert_eq!(get(&sandbox, url).one("content-encoding"), Some("gzip"));
    strike(FaultAction::Html(502));
    let gateway = get(&sandbox, url);
    assert_eq!((gateway.status, gateway.one("content-type")), (502, Some("text/html")));
    strike(FaultAction::Error { status: 503, code: "E0000100".into() });
    assert_eq!(get(&sandbox, url).json()["errorCode"], "E0000100");
    strike(FaultAction::SlowFirstByte(Duration::from_millis(200)));
    let before = Instant::now();
    get(&sandbox, url);
    assert!(before.elapsed() >= Duration::from_millis(200));
    strike(FaultAction::Concurrency429);
    assert_eq!(get(&sandbox, url).one("x-rate-limit-limit"), Some("0"));
    assert_eq!(sandbox.faults_hit(), 8);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_bend_links_as_they_say() {
    let sandbox = started(Seed::exact(20, 1, 0, 0)).await;
    let strike = |action: FaultAction| sandbox.add_fault(Fault::new(action).on("GET", "/api/v1/users"));
    let url = "/api/v1/users?limit=10&expand=classification";
    strike(FaultAction::NextHost("evil.example".into()));
    assert!(get(&sandbox, url).all("link")[1].starts_with("<https://evil.example/api/v1/users?after="));
    strike(FaultAction::NextLosesParameter("expand".into()));
    assert!(!get(&sandbox, url).next().unwrap().contains("expand"));
    strike(FaultAction::StuckCursor);
    assert_eq!(get(&sandbox, url).next().as_deref(), Some(url));
    strike(FaultAction::EmptyPageWithNext);
    let ids = walk(&sandbox, url);
    assert_eq!(ids.len(), 20, "an empty page loses nothing");
    strike(FaultAction::ShiftPage);
    assert_eq!(walk(&sandbox, url).len(), 21, "one record comes twice");
    strike(FaultAction::EmptyList);
    assert_eq!(get(&sandbox, url).json(), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_rights_and_tokens_are_told_apart() {
    let sandbox = started(Seed::default()).await;
    sandbox.with_org(|org| org.deny("/api/v1/apps"));
    assert_eq!(get(&sandbox, "/api/v1/apps?limit=1").json()["errorCode"], "E0000006");
    assert_eq!(get(&sandbox, "/api/v1/users/me").status, 200);
    let without = send(&sandbox, "GET", "/api/v1/users", "", "").unwrap();
    assert_eq!((without.status, without.json()["errorCode"].as_str()), (401, Some("E0000011")));
    sandbox.with_org(|org| org.revoke_token("sandbox-token"));
    assert_eq!(get(&sandbox, "/api/v1/users").status, 401);
    assert_eq!(send(&sandbox, "GET", "/.well-known/okta-organization", "", "").unwrap().status, 200);
    sandbox.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn applications_guard_deletion_and_freeze_assignments() {
    let sandbox = started(Seed::exact(3, 3, 0, 1)).await;
    let request = json!({"name": "bookmark", "label": "Wiki", "settings": {"app": {"url": "https://e.x"}}});
    let made = ask(&sandbox, "POST", "/api/v1/apps", &request).json();
    let app = format!("/api/v1/apps/{}", made["id"].as_str().unwrap());
    let groups = sandbox.with_org(|org| org.group_ids());
    for group in &groups[1..] {
        let assigned = ask(&sandbox, "PUT", &format!("{app}/groups/{group}"), &Value::Null);
        assert_eq!((assigned.status, &assigned.json()["priority"]), (200, &json!(0)));
    }
    assert_eq!(get(&sandbox, &format!("{app}/groups")).ids(), [groups[2].clone(), groups[1].clone()]);
    assert_eq!(get(&sandbox, &format!("/api/v1/groups/{}/apps", groups[1])).ids().len(), 1);
    assert_eq!(get(&sandbox, &format!("{app}/users")).json()[0]["scope"], "GROUP");
    assert_eq!(ask(&sandbox, "DELETE", &app, &Value::Null).json()["errorCode"], "E0000056");
    post(&sandbox, &format!("{app}/lifecycle/deactivate"));
    let frozen = ask(&sandbox, "DELETE", &format!("{app}/groups/{}", groups[1]), &Value::Null);
    assert_eq!((frozen.status, frozen.json()["errorCode"].as_str()), (404, Some("E0000007")));
    assert!(get(&sandbox, &format!("/api/v1/groups/{}/apps", groups[1])).ids().is_empty());
    assert_eq!(ask(&sandbox, "DELETE", &app, &Value::Null).status, 204);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_can_be_polled_without_losing_events() {
    let sandbox = started(Seed::exact(3, 2, 0, 0)).await;
    let since = "/api/v1/logs?since=2020-01-01T00:00:00Z";
    assert_eq!(get(&sandbox, since).json()["errorCode"], "E0000053");
    let empty = get(&sandbox, "/api/v1/logs?sortOrder=ASCENDING&limit=1");
    let cursor = empty.next().unwrap();
    let user = sandbox.with_org(|org| org.user_ids()[1].clone());
    post(&sandbox, &format!("/api/v1/users/{user}/lifecycle/suspend"));
    post(&sandbox, &format!("/api/v1/users/{user}/lifecycle/unsuspend"));
    let first = get(&sandbox, &cursor);
    assert_eq!(first.json()[0]["eventType"], "user.lifecycle.suspend");
    let second = get(&sandbox, &first.next().unwrap());
    assert_eq!(second.json()[0]["target"][0]["id"], user.as_str());
    assert_eq!(get(&sandbox, &second.next().unwrap()).json(), json!([]));
    let filtered = get(&sandbox, "/api/v1/logs?filter=eventType+sw+%22user.lifecycle.uns%22");
    assert_eq!(filtered.json().as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_activation_can_take_its_time() {
    let clock = Clock::manual(1_760_000_000_000);
    let sandbox = Sandbox::start(SandboxConfig { clock: clock.clone(), ..SandboxConfig::default() }).await.unwrap();
    sandbox.with_org(|org| org.activation_millis = 5000);
    let made = ask(&sandbox, "POST", "/api/v1/users", &person("slow@example.com")).json();
    assert_eq!((&made["status"], &made["transitioningToStatus"]), (&json!("STAGED"), &json!("ACTIVE")));
    let early = post(&sandbox, "/api/v1/users/slow@example.com/lifecycle/suspend");
    assert_eq!(early.json()["errorCode"], "E0000112");
    clock.advance(Duration::from_secs(5));
    let later = get(&sandbox, "/api/v1/users/slow@example.com").json();
    assert_eq!((&later["status"], later.get("transitioningToStatus")), (&json!("ACTIVE"), None));
    assert_eq!(sandbox.with_org(|org| org.user_status("slow@example.com")), Some(Status::Active));
}

/// Run with `cargo test --release -p okta-sandbox -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures: only meaningful in a release build on a quiet machine"]
async fn pages_cost_well_under_a_millisecond() {
    let members_per_group = Members::Total(1_000_000);
    let sandbox = started(Seed { users: 100_000, groups: 1000, apps: 100, members_per_group, ..Seed::default() }).await;
    let group = sandbox.with_org(|org| org.group_ids()[0].clone());
    for (target, most) in [
        ("/api/v1/users?search=status+pr&limit=200".to_owned(), 2.0),
        ("/api/v1/users?search=status+pr&limit=200&fields=id,status,profile:(login,city)".to_owned(), 2.0),
        ("/api/v1/groups?limit=200&expand=stats".to_owned(), 3.0),
        (format!("/api/v1/groups/{group}/users?limit=1000"), 5.0),
    ] {
        let mut times: Vec<_> = (0..50)
            .map(|_| {
                let before = Instant::now();
                assert_eq!(get(&sandbox, &target).status, 200);
                before.elapsed().as_secs_f64() * 1000.0
            })
            .collect();
        times.sort_by(f64::total_cmp);
        println!("{:.3} ms median, connection included: {target}", times[25]);
        assert!(times[25] < most, "{target}");
    }
}
