//! Due times, with a clock that the test moves: each runs once, late where it was missed, never beside itself.

use std::{
    cell::Cell,
    sync::Arc,
    time::{Duration, Instant},
};

use acceptance::CONNECTION;
use agent_host::{
    agent::Agent,
    jobs::{Course, Jobs, OrdersWatch, Worker},
    monitoring::Part,
    store::{self, RunState, Store, WantedRun},
};
use serde_json::json;
use tokio::sync::watch;

use super::{agent, export_job};

/// 2026-03-01, midnight.
pub(super) const START: i64 = 1_772_323_200_000;
pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;

thread_local! {
    // A test is one thread, and others run beside it.
    static NOW: Cell<i64> = const { Cell::new(START) };
}

pub(super) fn clock() -> i64 {
    NOW.get()
}

pub(super) fn at(time: i64) {
    NOW.set(time);
}

/// The test's own runtime: the sandbox has another, which must not end inside of it.
pub(super) fn within(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts").block_on(test);
}

pub(super) struct Opened {
    pub(super) agent: Arc<Agent>,
    pub(super) jobs: Jobs,
    pub(super) store: Store,
}

impl Opened {
    pub(super) async fn of(directory: &acceptance::TestAgent) -> Self {
        let agent = Agent::open(&directory.directory()).await.expect("the agent opens");
        let place = store::Place::of(&agent.settings);
        Self::at(directory, place).await
    }

    /// With a store that others may have too.
    pub(super) async fn at(directory: &acceptance::TestAgent, place: store::Place) -> Self {
        let agent = Agent::open(&directory.directory()).await.expect("the agent opens");
        let store = Store::open(place).await.expect("the store opens");
        Self { jobs: Jobs::read(&agent).expect("the jobs are sound"), agent: Arc::new(agent), store }
    }

    pub(super) fn worker(&self, name: &str) -> Worker {
        Worker::new(self.agent.clone(), self.jobs.clone(), self.store.clone(), name.to_owned(), clock)
    }
}

#[test]
fn a_due_time_runs_once_and_missed_ones_once_and_late() {
    let directory = agent(&json!({ "Hourly": export_job("0 * * * *") }));
    within(async {
        let opened = Opened::of(&directory).await;
        let worker = opened.worker("one");
        at(START + 10 * MINUTE);
        assert_eq!(worker.queue.add_due().await.unwrap(), 0, "what was due before it was declared is not made up for");
        at(START + HOUR);
        assert_eq!(worker.queue.add_due().await.unwrap(), 1);
        assert_eq!(worker.queue.add_due().await.unwrap(), 0, "the same time is not due twice");
        assert_eq!(opened.worker("two").queue.add_due().await.unwrap(), 0, "whoever asks");
        let run = worker.queue.claim(None).await.unwrap().expect("it waits");
        assert_eq!((run.due_ms, run.cause.as_str()), (Some(START + HOUR), "schedule"));
        assert_eq!(worker.carry_out(&run).await.unwrap(), Some(RunState::Success));
        assert!(directory.csv("users").lines().count() > 12);

        // The agent is off for three hours and comes back.
        at(START + 4 * HOUR + 20 * MINUTE);
        assert_eq!(worker.queue.add_due().await.unwrap(), 1);
        let late = worker.queue.claim(None).await.unwrap().expect("it waits");
        assert_eq!(late.due_ms, Some(START + 4 * HOUR), "the last of the missed times");
        assert!(worker.queue.claim(None).await.unwrap().is_none(), "once");
        worker.carry_out(&late).await.unwrap();

        // A clock that goes back makes nothing due again.
        at(START + 4 * HOUR - MINUTE);
        assert_eq!(worker.queue.add_due().await.unwrap(), 0);
        at(START + 4 * HOUR + MINUTE);
        assert_eq!(worker.queue.add_due().await.unwrap(), 0);

        // One that was hours ahead and is set right again leaves the times in between due, and that once.
        at(START + 9 * HOUR);
        assert_eq!(worker.queue.add_due().await.unwrap(), 1);
        worker.carry_out(&worker.queue.claim(None).await.unwrap().expect("it waits")).await.unwrap();
        at(START + 4 * HOUR + 2 * MINUTE);
        assert_eq!(worker.queue.add_due().await.unwrap(), 0);
        at(START + 5 * HOUR);
        assert_eq!(worker.queue.add_due().await.unwrap(), 1);
        worker.carry_out(&worker.queue.claim(None).await.unwrap().expect("it waits")).await.unwrap();
        at(START + 9 * HOUR);
        assert_eq!(worker.queue.add_due().await.unwrap(), 0, "it had its run");
    });
}

#[test]
fn a_job_that_is_due_while_it_runs_runs_after_itself() {
    let directory = agent(&json!({ "Hourly": export_job("0 * * * *") }));
    within(async {
        let opened = Opened::of(&directory).await;
        let worker = opened.worker("one");
        at(START);
        worker.queue.add_due().await.unwrap();
        at(START + HOUR);
        worker.queue.add_due().await.unwrap();
        let first = worker.queue.claim(None).await.unwrap().expect("it waits");
        // The lease is kept while the next hours come.
        at(START + 2 * HOUR);
        opened.store.renew_run(first.id, "one", START + 9 * HOUR, "").await.unwrap();
        assert_eq!(worker.queue.add_due().await.unwrap(), 1);
        at(START + 3 * HOUR);
        assert_eq!(worker.queue.add_due().await.unwrap(), 0, "one waits already");
        assert!(worker.queue.claim(None).await.unwrap().is_none(), "it does not overlap itself");
        worker.carry_out(&first).await.unwrap();
        let second = worker.queue.claim(None).await.unwrap().expect("its turn has come");
        assert_eq!(second.due_ms, Some(START + 2 * HOUR));
    });
}

#[test]
fn what_a_silent_worker_had_another_takes_up_and_the_former_cannot_end() {
    let directory = agent(&json!({ "Hourly": export_job("0 * * * *") }));
    within(async {
        let opened = Opened::of(&directory).await;
        let (silent, other) = (opened.worker("silent"), opened.worker("other"));
        at(START);
        silent.queue.add_due().await.unwrap();
        at(START + HOUR);
        silent.queue.add_due().await.unwrap();
        let run = silent.queue.claim(None).await.unwrap().expect("it waits");
        assert!(other.queue.claim(None).await.unwrap().is_none());
        at(START + HOUR + MINUTE);
        let taken = other.queue.claim(None).await.unwrap().expect("its lease is over");
        assert_eq!((taken.id, taken.attempts), (run.id, 2));
        assert_eq!(silent.carry_out(&run).await.unwrap(), None, "it drops what is another's");
        assert!(!directory.output().join(acceptance::csv_name("users")).exists(), "and publishes nothing");
        assert_eq!(other.carry_out(&taken).await.unwrap(), Some(RunState::Success));
    });
}

#[test]
fn old_runs_are_forgotten_and_no_number_comes_twice() {
    let directory = agent(&json!({}));
    within(async {
        let opened = Opened::of(&directory).await;
        let worker = opened.worker("one");
        let wanted = WantedRun {
            name: "fulfill:OktaExportFulfillment",
            cause: "person",
            due_ms: None,
            repairs: None,
            place: None,
        };
        for round in 0..5 {
            at(START + round * HOUR);
            opened.store.queue_run(&wanted, clock()).await.unwrap().expect("nothing waits");
            let run = worker.queue.claim(None).await.unwrap().expect("it waits");
            assert_eq!(worker.carry_out(&run).await.unwrap(), Some(RunState::Success));
        }
        assert_eq!(opened.store.forget_runs(START + HOUR, 9, 100).await.unwrap(), 1);
        let ahead = opened.store.forget_runs(START + 9000 * HOUR, 1, 100).await.unwrap();
        assert_eq!(ahead, 1, "a clock that is wrong for a while costs so many and no more");
        assert_eq!(opened.store.forget_runs(START, 9, 2).await.unwrap(), 1);
        assert_eq!(opened.store.forget_runs(START + 9 * HOUR, 9, 1).await.unwrap(), 1);
        let kept: Vec<i64> = opened.store.job_runs(None, 10).await.unwrap().iter().map(|run| run.id).collect();
        assert_eq!(kept, [5]);
        assert!(opened.store.steps_of(1).await.unwrap().is_empty() && opened.store.log_of(1).await.unwrap().is_empty());
        assert_eq!(opened.store.queue_run(&wanted, clock()).await.unwrap(), Some(6));
        assert!(opened.store.problems().await.unwrap().is_empty());
    });
}

#[test]
fn a_file_that_is_being_written_is_left_until_it_is_complete() {
    let directory = agent(&json!({}));
    within(async {
        let opened = Opened::of(&directory).await;
        let mut watch = OrdersWatch::new(&opened.agent, &opened.jobs);
        let orders = acceptance::orders::list(&[acceptance::orders::added_user("1", "new@example.com")]);
        let (half, _) = orders.split_at(orders.len() - 5);
        // Files carry the time of the machine.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
        directory.order_file("1.json", half);
        assert_eq!(watch.look(&opened.store, now).await.unwrap(), 0);
        directory.order_file("2.json", &orders);
        assert_eq!(watch.look(&opened.store, now + 3_000).await.unwrap(), 1);
        assert_eq!(watch.look(&opened.store, now + 6_000).await.unwrap(), 0, "it is asked for once");
        at(now + 6_000);
        let worker = opened.worker("one");
        let run = worker.queue.claim(None).await.unwrap().expect("it waits");
        assert_eq!((run.cause.as_str(), worker.carry_out(&run).await.unwrap()), ("orders", Some(RunState::Success)));
        let folder = directory.orders_folder();
        assert!(folder.join("1.json").exists() && folder.join("Completed/2.json").exists());
        directory.order_file("1.json", &orders.replace("\"1\"", "\"2\"").replace("new@", "other@"));
        assert_eq!(watch.look(&opened.store, now + 9_000).await.unwrap(), 1);
    });
}

#[test]
fn a_clock_that_jumps_far_ahead_and_back_makes_a_due_time_run_once_and_then_goes_on() {
    let directory = agent(&json!({ "Hourly": export_job("0 * * * *") }));
    within(async {
        let opened = Opened::of(&directory).await;
        let worker = opened.worker("one");
        at(START);
        worker.queue.add_due().await.unwrap();
        // A month ahead: of all the times in between one is run.
        at(START + 720 * HOUR + MINUTE);
        assert_eq!(worker.queue.add_due().await.unwrap(), 1);
        let run = worker.queue.claim(None).await.unwrap().expect("it waits");
        assert_eq!(run.due_ms, Some(START + 720 * HOUR));
        assert_eq!(worker.carry_out(&run).await.unwrap(), Some(RunState::Success));
        // And back: what was settled ahead does not silence the job for a month.
        at(START + 2 * MINUTE);
        assert_eq!(worker.queue.add_due().await.unwrap(), 0);
        at(START + HOUR);
        assert_eq!(worker.queue.add_due().await.unwrap(), 1);
        assert_eq!(worker.queue.claim(None).await.unwrap().expect("it waits").due_ms, Some(START + HOUR));
    });
}

#[test]
fn a_run_that_was_cancelled_while_nobody_had_it_does_not_begin_again() {
    let directory = agent(&json!({ "Hourly": export_job("0 * * * *") }));
    within(async {
        let opened = Opened::of(&directory).await;
        let wanted = WantedRun { name: "Hourly", cause: "person", due_ms: None, repairs: None, place: None };
        at(START);
        opened.store.queue_run(&wanted, START).await.unwrap();
        let silent = opened.worker("silent").queue.claim(None).await.unwrap().expect("it waits");
        opened.store.cancel_run(silent.id, START).await.unwrap();
        at(START + HOUR);
        let worker = opened.worker("other");
        directory.sandbox.clear_journal();
        let run = worker.queue.claim(None).await.unwrap().expect("its worker is silent");
        assert_eq!(worker.carry_out(&run).await.unwrap(), Some(RunState::Cancelled));
        assert!(directory.sandbox.journal().is_empty(), "nothing was sent");
    });
}

#[test]
fn a_clock_that_jumps_makes_no_worker_take_up_its_own_run() {
    let directory = agent(&json!({ "Hourly": export_job("0 * * * *") }));
    within(async {
        let opened = Opened::of(&directory).await;
        let wanted = WantedRun { name: "Hourly", cause: "person", due_ms: None, repairs: None, place: None };
        at(START);
        opened.store.queue_run(&wanted, START).await.unwrap();
        let worker = opened.worker("one");
        let run = worker.queue.claim(None).await.unwrap().expect("it waits");
        for jumped in [START + 9 * HOUR, START - 9 * HOUR] {
            at(jumped);
            assert!(worker.queue.claim(None).await.unwrap().is_none(), "it is at it");
        }
        assert_eq!(worker.carry_out(&run).await.unwrap(), Some(RunState::Success));
        assert_eq!(opened.store.job_run(run.id).await.unwrap().unwrap().attempts, 1);
    });
}

#[test]
fn an_agent_whose_clock_is_wrong_begins_nothing_on_a_shared_store_until_it_is_right() {
    let Some(url) = passing_postgres::database() else { return };
    let directory = agent(&json!({}));
    let steps = json!({ "Steps": [{ "Kind": "refresh-schema", "Connection": CONNECTION }] });
    let settings = json!({ "Store": { "Url": url }, "Jobs": { "Often": steps } });
    directory.write("appsettings.json", &settings.to_string());
    within(async {
        at(START);
        let opened = Opened::of(&directory).await;
        let wanted = WantedRun { name: "Often", cause: "person", due_ms: None, repairs: None, place: None };
        let number = opened.store.queue_run(&wanted, clock()).await.unwrap().expect("nothing waits");
        let monitoring = opened.agent.monitoring.clone();
        let (course, asked) = watch::channel(Course::GoOn);
        let worker = opened.worker("one").asked_by(asked);
        let orders = OrdersWatch::new(&opened.agent, &opened.jobs);
        let judged = async {
            until(async || !monitoring.health.is_ready()).await;
            assert_eq!(monitoring.health.ailments()[0].part, Part::Clock);
            let waiting = opened.store.job_run(number).await.unwrap().unwrap();
            assert_eq!((waiting.state, waiting.attempts), (RunState::Queued, 0));
            at(opened.store.server_clock_ms().await.unwrap().unwrap());
            let is_done = async || opened.store.job_run(number).await.unwrap().unwrap().state == RunState::Success;
            until(is_done).await;
            assert!(monitoring.health.is_ready());
            course.send_replace(Course::HandOver);
        };
        futures::future::join(worker.work(orders), judged).await;
    });
}

/// Waits for what others on this thread do.
pub(super) async fn until(is_so: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not come");
        tokio::task::yield_now().await;
    }
}

#[test]
fn server_time_is_the_clock_of_the_machine_in_settings_and_in_xml() {
    let mut by_settings = export_job("0 2 * * *");
    by_settings["TimeZone"] = json!("ServerTime");
    let jobs = json!({ "TimeZone": "Europe/Paris", "Settings": by_settings, "Universal": export_job("0 2 * * *") });
    let directory = agent(&jobs);
    let task = format!(r#"<ExportTask Connection="{CONNECTION}" DisplayName_L1="x" />"#);
    let job = |name: &str, zone: u8| {
        format!(r#"<Job Identifier="{name}" CronTabExpression="0 2 * * *" CronTimeZone="{zone}">{task}</Job>"#)
    };
    let xml = format!("<ConfigurationFile>{}{}</ConfigurationFile>", job("Local", 1), job("Utc", 0));
    directory.write("Conf/Jobs.xml", &xml);
    within(async {
        let opened = Opened::of(&directory).await;
        let worker = opened.worker("one");
        let due = async |time: i64| {
            at(time);
            worker.queue.add_due().await.unwrap();
            let runs = opened.store.job_runs(None, 9).await.unwrap();
            let mut due: Vec<String> =
                runs.into_iter().filter(|run| run.due_ms == Some(time)).map(|run| run.name).collect();
            due.sort();
            due
        };
        assert!(due(START).await.is_empty());
        assert_eq!(due(START + HOUR).await, ["Local", "Settings"], "two in Paris");
        assert_eq!(due(START + 2 * HOUR).await, ["Universal", "Utc"]);
    });
}
