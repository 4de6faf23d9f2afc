//! Agents that share a store: their schedules, and the jobs that only some of them have.

use acceptance::TestAgent;
use agent_host::{
    jobs::{OrdersWatch, Worker},
    store::{Place, RunState, StepRun, Store, WantedRun},
};
use serde_json::{Value, json};

use super::{
    agent, export_job,
    schedule::{HOUR, MINUTE, Opened, START, at, clock, within},
};
use crate::password::daemon::{Daemon, until};

const DAY: i64 = 24 * HOUR;

/// A file and, where one is installed, a PostgreSQL.
fn places(directory: &TestAgent) -> Vec<Place> {
    let file = Place::File(directory.beside("shared.db"));
    [file].into_iter().chain(passing_postgres::database().map(|url| Place::Server(url.into()))).collect()
}

/// An agent with a job at two by its own clock, which is in this zone.
fn in_zone(zone: &str) -> TestAgent {
    let mut nightly = export_job("0 2 * * *");
    nightly["TimeZone"] = json!("ServerTime");
    agent(&json!({ "TimeZone": zone, "Nightly": nightly }))
}

fn wanted(name: &str) -> WantedRun<'_> {
    WantedRun { name, cause: "person", due_ms: None, repairs: None, place: None }
}

/// Queues what is due for each of the workers, every half minute until then; for which due times.
async fn all_due(workers: &[Worker], store: &Store, from: i64, until: i64) -> Vec<i64> {
    let mut due = Vec::new();
    for now in (from..=until).step_by(30_000) {
        at(now);
        for worker in workers {
            worker.queue.add_due().await.expect("the store works");
            if let Some(run) = worker.queue.claim(None).await.expect("the store works") {
                due.extend(run.due_ms);
                for name in ["one", "two"] {
                    store.end_job_run(run.id, name, RunState::Success, "", now).await.expect("the store works");
                }
            }
        }
    }
    due
}

#[test]
fn agents_with_different_schedules_for_a_job_run_it_by_both() {
    let (paris, utc) = (in_zone("Europe/Paris"), in_zone("UTC"));
    within(async {
        for place in places(&paris) {
            let [one, two] = [&paris, &utc].map(|directory| Opened::at(directory, place.clone()));
            let (one, two) = (one.await, two.await);
            let workers = [one.worker("one"), two.worker("two")];
            let due = all_due(&workers, &one.store, START, START + 3 * HOUR).await;
            assert_eq!(due, [START + HOUR, START + 2 * HOUR], "two in Paris is an hour earlier");
        }
    });
}

#[test]
fn another_schedule_for_a_job_is_told_once() {
    let Some(url) = passing_postgres::database() else { return };
    let agents = ["* * * * * *", "*/1 * * * * *"].map(|schedule| {
        let mut job = export_job(schedule);
        job["Steps"][0]["Kind"] = json!("fulfill");
        let directory = agent(&json!({ "Often": job }));
        let mut command = directory.command(&["run"]);
        command.env("Store__Url", &url);
        (Daemon::start(command), directory)
    });
    let told = |daemon: &Daemon| daemon.log().matches("the job runs by both").count();
    until(|| agents.iter().all(|(daemon, _)| told(daemon) > 0));
    let ended = |daemon: &Daemon| daemon.log().matches("the run has ended").count();
    let before = ended(&agents[0].0) + ended(&agents[1].0);
    until(|| ended(&agents[0].0) + ended(&agents[1].0) > before + 1);
    for (daemon, _directory) in agents {
        assert_eq!(told(&daemon), 1, "{}", daemon.log());
        daemon.end();
    }
}

#[test]
fn a_schedule_that_comes_back_counts_from_then() {
    let (first, second) =
        (agent(&json!({ "A": export_job("0 * * * *") })), agent(&json!({ "A": export_job("30 * * * *") })));
    within(async {
        for place in places(&first) {
            let [one, two] = [&first, &second].map(|directory| Opened::at(directory, place.clone()));
            let (one, two) = (one.await, two.await);
            let due = all_due(&[one.worker("one")], &one.store, START, START + HOUR).await;
            assert_eq!(due, [START + HOUR]);
            // The settings change, and change back after the next full hour.
            let due =
                all_due(&[two.worker("two")], &two.store, START + HOUR + MINUTE, START + 2 * HOUR + 10 * MINUTE).await;
            assert_eq!(due, [START + HOUR + 30 * MINUTE]);
            let due = all_due(&[one.worker("one")], &one.store, START + 2 * HOUR + 11 * MINUTE, START + 3 * HOUR).await;
            assert_eq!(due, [START + 3 * HOUR], "what was not in force was not missed");
        }
    });
}

#[test]
fn a_run_waits_for_an_agent_that_has_its_job_and_is_ended_where_none_comes_for_a_day() {
    let Some(url) = passing_postgres::database() else { return };
    let (with, without) = (agent(&json!({ "Special": export_job("0 3 * * *") })), agent(&json!({})));
    within(async {
        let place = Place::Server(url.into());
        let (with, without) = (Opened::at(&with, place.clone()).await, Opened::at(&without, place).await);
        let (has, lacks) = (with.worker("has"), without.worker("lacks"));
        at(START);
        let run = with.store.queue_run(&wanted("Special"), START).await.unwrap().unwrap();
        assert!(lacks.queue.claim(None).await.unwrap().is_none(), "it is not its own");
        let taken = has.queue.claim(None).await.unwrap().expect("it waits");
        assert_eq!((taken.id, has.carry_out(&taken).await.unwrap()), (run, Some(RunState::Success)));

        let lost = with.store.queue_run(&wanted("Special"), START).await.unwrap().unwrap();
        at(START + DAY - MINUTE);
        assert_eq!(lacks.queue.tidy_up().await.unwrap(), 0);
        at(START + DAY + MINUTE);
        assert_eq!(has.queue.tidy_up().await.unwrap(), 0, "it may take it up still");
        assert_eq!(lacks.queue.tidy_up().await.unwrap(), 1);
        let lost = with.store.job_run(lost).await.unwrap().unwrap();
        assert_eq!(lost.state, RunState::Error);
        assert!(lost.message.starts_with("nobody took it up for a day: no agent has the job"), "{}", lost.message);

        // One that was begun, and whose agent is gone.
        let begun = with.store.queue_run(&wanted("Special"), clock()).await.unwrap().unwrap();
        assert!(has.queue.claim(None).await.unwrap().is_some());
        let (name, message) = ("export".to_owned(), String::new());
        let step = StepRun { position: 0, name, state: RunState::Started, began_ms: clock(), ended_ms: None, message };
        with.store.note_step(begun, &step).await.unwrap();
        at(START + 3 * DAY);
        with.store.hand_over_runs("has", clock()).await.unwrap();
        assert_eq!(lacks.queue.tidy_up().await.unwrap(), 0, "it is left since just now");
        at(START + 5 * DAY);
        assert_eq!(lacks.queue.tidy_up().await.unwrap(), 1);
        assert_eq!(with.store.job_run(begun).await.unwrap().unwrap().state, RunState::Error);
        let step = with.store.steps_of(begun).await.unwrap().remove(0);
        assert_eq!((step.state, step.ended_ms), (RunState::Error, Some(clock())));
    });
}

#[test]
fn switches_keep_schedules_and_orders_folders_alone() {
    let off = json!({ "Jobs": { "WatchOrders": false, "Often": export_job("* * * * *") }, "Scheduler": { "Enabled": false } });
    for (settings, expected) in
        [(off, vec![]), (json!({ "Jobs": { "Often": export_job("* * * * *") } }), vec!["orders", "schedule"])]
    {
        let directory = agent(&Value::Null);
        directory.write("appsettings.json", &settings.to_string());
        directory.order_file("1.json", &acceptance::orders::list(&[]));
        within(async {
            at(START);
            let opened = Opened::of(&directory).await;
            // A schedule that is known, and due.
            let text = opened.jobs.job("Often").unwrap().schedule.as_ref().unwrap().text();
            opened.store.settle_until("Often", &text, START - HOUR, START).await.unwrap();
            opened.store.queue_run(&wanted(&format!("export:{}", acceptance::CONNECTION)), START).await.unwrap();
            let orders = OrdersWatch::new(&opened.agent, &opened.jobs);
            let worker = opened.worker("one");
            let done = async {
                // The worker has looked when what waited has ended.
                while !opened.store.job_run(1).await.unwrap().unwrap().state.is_over() {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                () = worker.work(orders) => unreachable!("nobody asks it to end"),
                () = done => {}
            }
            let runs = opened.store.job_runs(None, 9).await.unwrap();
            let mut causes: Vec<&str> =
                runs.iter().map(|run| run.cause.as_str()).filter(|cause| *cause != "person").collect();
            causes.sort_unstable();
            assert_eq!(causes, expected);
        });
    }
}
