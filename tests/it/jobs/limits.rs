//! Limits of one run: its time, its log, and what is done again of it.

use std::{fs, time::Duration};

use acceptance::{CONNECTION, orders};
use agent_host::{
    jobs::{Course, OrdersWatch},
    store::{RunState, StepRun, WantedRun},
};
use okta_sandbox::{Fault, FaultAction};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::password::daemon::{self, Daemon};

use super::{
    agent, export_job, job,
    schedule::{HOUR, Opened, START, at, until, within},
};

/// Runs the job, which may take so long; how it ended, what is told of it, and its steps.
async fn timed(opened: &mut Opened, name: &str, timeout: Duration) -> (RunState, String, Vec<StepRun>) {
    opened.jobs.jobs.iter_mut().filter(|job| job.is(name)).for_each(|job| job.timeout = timeout);
    at(START);
    let wanted = WantedRun { name, cause: "person", due_ms: None, repairs: None, place: None };
    opened.store.queue_run(&wanted, START).await.expect("the store works").expect("nothing waits");
    let worker = opened.worker("one");
    let run = worker.queue.claim(None).await.expect("the store works").expect("it waits");
    let state = worker.carry_out(&run).await.expect("the store works").expect("it is its own");
    let told = opened.store.job_run(run.id).await.expect("the store works").expect("it is kept").message;
    (state, told, opened.store.steps_of(run.id).await.expect("the store works"))
}

#[test]
fn a_run_that_takes_too_long_is_an_error_and_so_is_its_step() {
    let directory = agent(&json!({ "Nightly": export_job("0 3 * * *") }));
    let slow = FaultAction::SlowFirstByte(Duration::from_secs(50));
    directory.sandbox.add_fault(Fault::new(slow).on("GET", "/api/v1/users").always());
    within(async {
        let mut opened = Opened::of(&directory).await;
        let (state, told, steps) = timed(&mut opened, "Nightly", Duration::from_millis(50)).await;
        assert_eq!(
            (state, told.as_str()),
            (RunState::Error, "not done after 0 minutes: stopped · dropped before it was done")
        );
        assert_eq!(steps[0].state, RunState::Error, "{steps:?}");
        assert!(steps[0].ended_ms.is_some() && directory.published().is_empty());
    });
}

#[test]
fn what_is_due_while_every_place_is_taken_waits_for_one_and_runs() {
    let steps = json!([{ "Kind": "refresh-schema", "Connection": CONNECTION }]);
    let directory = agent(&json!({
        "Slow": export_job("0 3 * * *"),
        "Hourly": { "Schedule": "0 * * * *", "Steps": steps },
    }));
    let slow = FaultAction::SlowFirstByte(Duration::from_secs(50));
    directory.sandbox.add_fault(Fault::new(slow).on("GET", "/api/v1/users").always());
    within(async {
        at(START);
        let mut opened = Opened::of(&directory).await;
        opened.jobs.limits.runs_at_once = 1;
        let wanted = WantedRun { name: "Slow", cause: "person", due_ms: None, repairs: None, place: None };
        let first = opened.store.queue_run(&wanted, START).await.unwrap().expect("nothing waits");
        let (course, asked) = watch::channel(Course::GoOn);
        let worker = opened.worker("one").asked_by(asked);
        worker.queue.add_due().await.unwrap();
        let judged = async {
            until(async || directory.sandbox.faults_hit() > 0).await;
            at(START + HOUR);
            until(async || opened.store.job_runs(Some("Hourly"), 1).await.unwrap().len() == 1).await;
            let due = opened.store.job_runs(Some("Hourly"), 1).await.unwrap().remove(0);
            assert_eq!((due.state, due.due_ms), (RunState::Queued, Some(START + HOUR)));
            opened.store.cancel_run(first, START + HOUR).await.unwrap();
            until(async || opened.store.job_run(due.id).await.unwrap().unwrap().state == RunState::Success).await;
            assert_eq!(opened.store.job_run(first).await.unwrap().unwrap().state, RunState::Cancelled);
            course.send_replace(Course::Retire);
        };
        futures::future::join(worker.work(OrdersWatch::default()), judged).await;
    });
}

#[test]
fn orders_under_way_when_the_time_is_over_come_to_their_end_and_are_reported() {
    // The machine may be so slow that nothing is under way when the time is over: then there is more of it.
    let is_told = [1, 4, 16].into_iter().any(|seconds| {
        let directory = agent(&json!({}));
        directory.set("MaxConcurrency", json!(1));
        let slow = FaultAction::SlowFirstByte(Duration::from_millis(1000 * seconds + 500));
        directory.sandbox.add_fault(Fault::new(slow).on("POST", "/api/v1/users").always());
        let many: Vec<Value> =
            (0..9).map(|id| orders::added_user(&id.to_string(), &format!("u{id}@example.com"))).collect();
        directory.order_file("a.json", &orders::list(&many));
        within(async {
            let mut opened = Opened::of(&directory).await;
            let name = format!("fulfill:{CONNECTION}");
            let (state, told, steps) = timed(&mut opened, &name, Duration::from_secs(seconds)).await;
            assert_eq!(state, RunState::Error, "{told}");
            assert!(told.starts_with("not done after 0 minutes: stopped"), "{told}");
            assert!(steps[0].ended_ms.is_some(), "{steps:?}");
        });
        let results = acceptance::files(&directory.directory().join("Work/FulfillResults"));
        let told: usize = results.values().map(|text| orders::results(&String::from_utf8_lossy(text)).len()).sum();
        let made =
            directory.sandbox.effects().iter().filter(|it| it.path == "/api/v1/users" && it.created.is_some()).count();
        assert_eq!(told, made, "what was done is reported");
        assert!(made < 9, "{made}");
        made > 0
    });
    assert!(is_told, "an order was under way");
}

#[test]
fn a_repair_of_a_repair_does_only_what_neither_has_done() {
    let steps = json!([
        { "Kind": "refresh-schema", "Connection": CONNECTION, "Name": "Schema" },
        { "Kind": "export", "Connection": CONNECTION, "Name": "Export" },
        { "Kind": "fulfill", "Connection": CONNECTION, "Name": "Orders" },
    ]);
    let agent = agent(&json!({ "All": { "Steps": steps } }));
    agent.sandbox.add_fault(Fault::new(FaultAction::Html(503)).on("GET", "/api/v1/users").always());
    let first = job(&agent, &["start", "All"], 1);
    let schema = agent.directory().join(format!("Work/Schemas/{CONNECTION}.xml"));
    fs::remove_file(&schema).expect("the first step has written it");
    let second = job(&agent, &["start", "All", "--repair"], 1);
    agent.sandbox.clear_faults();
    let third = job(&agent, &["start", "All", "--repair"], 0);
    for (run, states) in [(&second, &["success", "error"][..]), (&third, &["success", "success", "success"])] {
        let steps = run["steps"].as_array().unwrap();
        assert_eq!(steps.iter().map(|step| &step["state"]).collect::<Vec<_>>(), states, "{run}");
        assert_eq!(steps[0]["began_ms"], first["steps"][0]["began_ms"], "it is the first run's");
        assert!(steps[0]["message"].as_str().unwrap().starts_with("done by run 1: "), "{run}");
    }
    assert!(!schema.exists(), "what was done is not done again");
}

#[test]
fn the_log_of_a_run_is_kept_up_to_its_size() {
    let step = json!({ "Kind": "refresh-schema", "Connection": CONNECTION });
    let agent = agent(&json!({ "LogKilobytes": 1, "Many": { "Steps": vec![step; 20] } }));
    let log = job(&agent, &["start", "Many"], 0)["log"].as_str().unwrap().to_owned();
    let (kept, lost) = log.trim_end().rsplit_once('\n').expect("several lines");
    assert!(kept.len() < 1024 && kept.len() > 512, "{} bytes", kept.len());
    assert!(kept.contains("INFO the run begins"), "{log}");
    assert!(lost.starts_with("… and ") && lost.ends_with(" more lines"), "{log}");
}

#[test]
fn the_attempts_at_a_run_share_the_size_of_its_log() {
    let steps = json!([{ "Kind": "refresh-schema", "Connection": CONNECTION }]);
    let agent = agent(&json!({ "LogKilobytes": 1, "Again": { "Steps": steps } }));
    let first = "x".repeat(1000) + "\n";
    within(async {
        let opened = Opened::of(&agent).await;
        // Long ago: whoever had it is silent since then.
        at(START);
        let wanted = WantedRun { name: "Again", cause: "person", due_ms: None, repairs: None, place: None };
        opened.store.queue_run(&wanted, START).await.unwrap();
        let run = opened.worker("silent").queue.claim(None).await.unwrap().expect("it waits");
        opened.store.add_to_log(run.id, &first).await.unwrap();
    });
    let told = || agent.run(&["--format", "json", "job", "history", "--run", "1"]).must_exit(0).json();
    let daemon = Daemon::start(agent.command(&["run"]));
    daemon::until(|| told()["state"] == "success");
    daemon.end();
    let log = told()["log"].as_str().unwrap().to_owned();
    let rest = log.strip_prefix(&first).expect("what the first attempt said is kept");
    assert!(rest.starts_with("… and ") && rest.ends_with(" more lines\n"), "{rest}");
}

#[test]
fn a_jobs_log_level_says_what_is_kept_of_its_log() {
    let agent = agent(&json!({}));
    let job_xml = |level| {
        let task = format!(r#"<ExportTask Connection="{CONNECTION}" DisplayName_L1="x" />"#);
        format!(r#"<Job Identifier="Level{level}" DisplayName_L1="x" LogLevel="{level}">{task}</Job>"#)
    };
    let xml = format!("<ConfigurationFile>{}{}</ConfigurationFile>", job_xml(2), job_xml(4));
    agent.write("Conf/Jobs.xml", &xml);
    agent.sandbox.add_fault(Fault::new(FaultAction::Html(503)).on("GET", "/api/v1/users").always());
    let log = |name: &str| job(&agent, &["start", name], 1)["log"].as_str().unwrap().to_owned();
    let all = log("Level2");
    assert!(all.contains(" INFO ") && all.contains(" ERROR "), "{all}");
    let errors = log("Level4");
    assert!(errors.contains(" ERROR ") && !errors.contains(" INFO ") && !errors.contains(" WARN "), "{errors}");
}
