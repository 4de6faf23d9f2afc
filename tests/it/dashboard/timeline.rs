//! The page of a run: when its steps were at work, while they are and afterwards.

use std::time::Duration;

use acceptance::{CONNECTION, TestAgent};
use okta_sandbox::{Fault, FaultAction};
use serde_json::{Value, json};

use super::{
    PASSWORD, agent, assert_fits, assert_quiet, browser,
    doors::{Visitor, started},
};
use crate::password::daemon::{Page, until};

/// How long the reading of users takes.
const SLOW: Duration = Duration::from_secs(3);

/// An agent with a job of three steps, the second of which takes its time.
fn slow_agent() -> TestAgent {
    let agent = agent(&json!({}));
    agent.set("RetryBudgetSeconds", json!(1));
    let step = |kind: &str| json!({ "Name": format!("the {kind}"), "Kind": kind, "Connection": CONNECTION });
    let steps: Vec<Value> = ["refresh-schema", "export", "fulfill"].into_iter().map(step).collect();
    agent
        .write("appsettings.agent.Production.json", &json!({ "Jobs": { "Thorough": { "Steps": steps } } }).to_string());
    users(&agent, FaultAction::SlowFirstByte(SLOW));
    agent
}

fn users(agent: &TestAgent, fault: FaultAction) {
    agent.sandbox.clear_faults();
    agent.sandbox.add_fault(Fault::new(fault).on("GET", "/api/v1/users").always());
}

/// How a run stands: its times, and those of its steps.
fn run(agent: &TestAgent, number: u32) -> Value {
    agent.run(&["--format", "json", "job", "history", "--run", &number.to_string()]).must_exit(0).json()
}

/// The bars of a page, from top to bottom: whose they are, where they begin and how wide they are, in per cent.
fn bars(page: &Page) -> Vec<(String, f64, f64)> {
    let part = |text: &str, from: &str, to: &str| {
        text.split_once(from).and_then(|(_, rest)| Some(rest.split_once(to)?.0.to_owned())).unwrap_or_default()
    };
    let number = |text: &str, from: &str| part(text, from, "%\"").parse().expect("a share");
    let pictures = page.body.split("<svg class=\"span\" role=\"img\"").skip(1);
    let bar = |picture: &str| {
        let bar = part(picture, "<rect class=\"bar", "/>");
        (part(picture, "aria-label=\"", ":"), number(&bar, " x=\""), number(&bar, " width=\""))
    };
    pictures.map(bar).collect()
}

#[test]
fn the_page_of_a_run_shows_its_steps_along_its_time() {
    let agent = slow_agent();
    let daemon = started(&agent);
    let grace = Visitor::sign_in(&daemon, "grace");
    agent.run(&["job", "start", "Thorough", "--no-wait"]).must_exit(0);
    until(|| agent.sandbox.faults_hit() > 0);
    let page = grace.get("/runs/1");
    let names: Vec<String> = bars(&page).into_iter().map(|bar| bar.0).collect();
    assert_eq!(names, ["the refresh-schema", "the export"], "{}", page.body);
    assert!(page.body.contains("the export: from ") && page.body.contains(" to now of "), "{}", page.body);
    assert!(page.body.contains("the fulfill <span class=\"quiet small\">to come</span>"), "{}", page.body);
    let events = grace.get("/runs/1/events?from=0").body;
    for told in ["event: timeline\n", "to come", "event: log\n", "event: over\n"] {
        assert!(events.contains(told), "{told:?}: {events}");
    }

    let page = grace.get("/runs/1");
    let run = run(&agent, 1);
    let at = |of: &Value, name: &str| of[name].as_f64().unwrap_or_else(|| panic!("`{name}` in {run}"));
    let (began, length) = (at(&run, "began_ms"), at(&run, "ended_ms") - at(&run, "began_ms"));
    let drawn = bars(&page);
    assert_eq!(drawn.len(), 3, "{}", page.body);
    for (step, (name, x, width)) in run["steps"].as_array().expect("steps").iter().zip(&drawn) {
        assert_eq!(step["step"], name.as_str());
        let share = |ms: f64| ms / length * 100.0;
        let expected = share(at(step, "ended_ms") - at(step, "began_ms")).max(0.8);
        assert!((width - expected).abs() < 0.02, "{name}: {width} for {expected} in {run}");
        let expected = share(at(step, "began_ms") - began).min(100.0 - expected);
        assert!((x - expected).abs() < 0.02, "{name}: {x} for {expected} in {run}");
    }
    assert!(drawn[1].2 > drawn[0].2 && drawn[1].2 > drawn[2].2, "the slow one is the longest: {drawn:?}");
    assert!(!page.body.contains(" style="), "the policy forbids it");

    users(&agent, FaultAction::ResetConnection);
    agent.run(&["job", "start", "Thorough", "--no-wait"]).must_exit(0);
    until(|| grace.get("/runs/2").body.contains("Retry what is not done"));
    agent.sandbox.clear_faults();
    let repair = grace.post("/runs/2/retry", "", &format!("code={}", grace.code()));
    assert_eq!(repair.status, 303, "{}", repair.body);
    until(|| grace.get("/runs/3").body.contains("Start again"));
    let page = grace.get("/runs/3");
    let names: Vec<String> = bars(&page).into_iter().map(|bar| bar.0).collect();
    assert_eq!(names, ["the export", "the fulfill"], "what lies before the run has no bar: {}", page.body);
    assert_eq!(page.body.matches("done before this run").count(), 1, "{}", page.body);
    let jobs = grace.get("/runs").body;
    assert!(jobs.contains("aria-label=\"The last 3 runs: success, error, success\""), "{jobs}");
    assert_eq!(jobs.matches("<rect class=\"bad\"").count(), 1, "{jobs}");
    daemon.end();
}

#[test]
fn a_timeline_grows_as_it_is_watched_and_fits_a_phone() {
    let Some(browser) = browser() else { return };
    let agent = slow_agent();
    let daemon = started(&agent);
    let base = format!("http://{}", daemon.address);
    browser.look(1280, false);
    browser.go(&format!("{base}/runs"));
    browser.fill("#name", "grace");
    browser.fill("#password", PASSWORD);
    browser.press("Sign in");
    agent.run(&["job", "start", "Thorough", "--no-wait"]).must_exit(0);
    until(|| agent.sandbox.faults_hit() > 0);
    browser.go(&format!("{base}/runs/1"));
    browser.reads("to come");
    browser.picture("dashboard-timeline-live");
    let first = browser.run("return document.querySelector('.span .busy')?.parentNode.ariaLabel");
    // Nobody loads the page anew: its script draws what it is told.
    browser.run("window.__first = true");
    browser.until(|| {
        let script = "return document.querySelector('.span .busy')?.parentNode.ariaLabel ?? 'over'";
        browser.run(script) != first
    });
    assert_eq!(browser.run("return window.__first"), true);
    browser.until(|| browser.text().contains("Start again"));
    let bars = "return [...document.querySelectorAll('.span .bar')].map(it => it.getBoundingClientRect().left)";
    for (width, is_dark, name) in
        [(1280, false, ""), (1280, true, "-dark"), (375, false, "-phone"), (375, true, "-phone-dark")]
    {
        browser.look(width, is_dark);
        browser.go(&format!("{base}/runs/1"));
        let lefts: Vec<f64> = serde_json::from_value(browser.run(bars)).expect("numbers");
        assert!(lefts.len() == 3 && lefts.is_sorted(), "{lefts:?}");
        assert_fits(&browser);
        browser.picture(&format!("dashboard-timeline{name}"));
    }
    users(&agent, FaultAction::ResetConnection);
    agent.run(&["job", "start", "Thorough"]).must_exit(1);
    for (width, name) in [(1280, ""), (375, "-phone")] {
        browser.look(width, false);
        browser.go(&format!("{base}/runs"));
        assert_fits(&browser);
        browser.picture(&format!("dashboard-marks{name}"));
    }
    assert_quiet(&browser, &[&daemon.address]);
    daemon.end();
}
