//! An organisation that misbehaves: each fault ends in a complete set or in a clear failure, never in between.
//!
//! What the connector makes of each fault is tested with it; here the program's exit code and files are.

use std::time::Duration;

use acceptance::{Files, TestAgent};
use okta_sandbox::{Fault, FaultAction, SandboxConfig, Seed};
use serde_json::json;

/// An agent with a published set, and an organisation that has changed since.
fn agent() -> TestAgent {
    let seed = Seed { users: 430, groups: 10, apps: 5, ..Seed::default() };
    let config = SandboxConfig { seed, window: Duration::from_secs(2), ..SandboxConfig::default() };
    let agent = TestAgent::with(config);
    agent.set("RetryBudgetSeconds", json!(2));
    agent.set("RequestTimeoutSeconds", json!(1));
    agent.export(&[]).must_exit(0);
    agent.org(|org| {
        org.set_attribute("admin@example.com", "lastName", json!("Changed"));
        org.add_group("Changed")
    });
    agent
}

/// The files of the tables.
fn tables(files: &Files) -> Files {
    files.iter().filter(|(name, _)| name.ends_with(".csv")).map(|(name, text)| (name.clone(), text.clone())).collect()
}

/// What the organisation's files are while nothing goes wrong.
fn complete(agent: &TestAgent) -> Files {
    let output = agent.beside("complete");
    agent.export(&["--output", output.to_str().expect("the path is text")]).must_exit(0);
    tables(&acceptance::files(&output))
}

#[track_caller]
fn recovers(agent: &TestAgent, complete: &Files, fault: Fault) {
    let shown = format!("{fault:?}");
    let before = agent.sandbox.faults_hit();
    agent.sandbox.add_fault(fault);
    let run = agent.export(&[]);
    assert_eq!(run.code, Some(0), "{shown}: {}", run.stderr);
    assert!(agent.sandbox.faults_hit() > before, "{shown} struck nothing");
    assert_eq!(tables(&agent.published()), *complete, "{shown}");
    agent.sandbox.clear_faults();
}

#[test]
fn what_passes_ends_in_a_complete_set() {
    use FaultAction::{
        Concurrency429, CutBody, EmptyPageWithNext, Error, FieldsRefused, Html, LoseAnswer, NextHost,
        NextLosesParameter, NotJson, OnlyWhenLimitOver, RateLimit429, RepeatPage, ResetConnection, SetCookie,
        ShiftPage, SlowFirstByte, StuckCursor, TruncatedChunked, TruncatedGzip,
    };
    let agent = agent();
    let complete = complete(&agent);
    let error = |status, code: &str| Error { status, code: code.to_owned() };
    let on = |path: &str, then| Fault::new(then).on("GET", path);
    for fault in [
        on("/api/v1/users", ResetConnection).nth(2),
        on("/api/v1/apps", LoseAnswer),
        on("/api/v1/groups", CutBody { after_bytes: 100 }),
        on("/api/v1/apps", TruncatedChunked),
        on("/api/v1/users", TruncatedGzip),
        on("/api/v1/groups/", Html(502)).nth(3),
        on("/api/v1/users", NotJson("not yet".to_owned())),
        on("/api/v1/apps/", error(500, "E0000009")),
        on("/api/v1/users", error(503, "E0000010")),
        on("/api/v1/users", error(503, "E0000100")).containing("search="),
        on("/api/v1/users", error(409, "E0000145")).containing("search="),
        on("/api/v1/groups", OnlyWhenLimitOver(500)).always(),
        on("/api/v1/users", FieldsRefused).always(),
        on("/api/v1/users", SlowFirstByte(Duration::from_secs(3))),
        on("/api/v1/groups", RateLimit429),
        on("/api/v1/groups/", Concurrency429),
        on("/api/v1/users", EmptyPageWithNext),
        on("/api/v1/users", RepeatPage),
        on("/api/v1/users", ShiftPage),
        on("/api/v1/users", StuckCursor),
        on("/api/v1/users", NextLosesParameter("search".to_owned())),
        on("/api/v1/users", SetCookie).always(),
        // Only the path of a link is followed, to the address that is configured.
        on("/api/v1/users", NextHost("evil.example.com".to_owned())),
    ] {
        recovers(&agent, &complete, fault);
    }
}

#[test]
fn what_does_not_pass_ends_in_a_clear_failure() {
    use FaultAction::{Error, Html, NotJson, Redirect, ResetConnection, SlowFirstByte, StuckCursor, TruncatedGzip};
    let agent = agent();
    let former = agent.published();
    let error = |status, code: &str| Error { status, code: code.to_owned() };
    for (path, action, code, name) in [
        ("/api/v1/users", ResetConnection, 5, "`users`"),
        ("/api/v1/apps", Html(503), 5, "`apps`"),
        ("/api/v1/groups", NotJson("[{".to_owned()), 5, "`groups`"),
        ("/api/v1/groups/", error(500, "E0000009"), 5, "group `00g"),
        ("/api/v1/users", TruncatedGzip, 5, "`users`"),
        ("/api/v1/users", SlowFirstByte(Duration::from_secs(30)), 5, "`users`"),
        ("/api/v1/users", StuckCursor, 5, "`users`"),
        ("/api/v1/apps/", error(400, "E0000001"), 5, "app `0oa"),
        ("/api/v1/users", Redirect("http://elsewhere.example.com/".to_owned()), 3, "`elsewhere.example.com`"),
    ] {
        let shown = format!("{path}: {action:?}");
        agent.sandbox.add_fault(Fault::new(action).on("GET", path).always());
        let run = agent.export(&["--format", "json"]);
        assert_eq!(run.code, Some(code), "{shown}: {}", run.stderr);
        assert!(run.failure().contains(name), "{shown}: {}", run.failure());
        assert!(run.json()["error"]["hint"].is_string(), "{shown}: {}", run.stdout);
        assert_eq!(agent.published(), former, "{shown}");
        agent.sandbox.clear_faults();
    }
}

#[test]
fn a_limit_that_is_used_up_is_waited_for_and_the_wait_is_told() {
    let seed = Seed { users: 250, groups: 12, apps: 3, ..Seed::default() };
    let bucket_limits = [("/api/v1/groups".to_owned(), 8)].into();
    let agent = TestAgent::with(SandboxConfig {
        seed,
        bucket_limits,
        window: Duration::from_secs(2),
        ..SandboxConfig::default()
    });
    let report = agent.exported(&[]);
    assert!(report["waited_ms"]["/api/v1/groups"].as_u64().is_some_and(|waited| waited > 0), "{report}");
    assert_eq!(report["throttled"], 0, "it stops before Okta has to refuse");
    assert_eq!(agent.manifest()["waited_ms"], report["waited_ms"]);
}
