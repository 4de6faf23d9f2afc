//! Who is told of failed runs, how often, and that nothing of it is lost.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
};

use acceptance::{TestAgent, watch};
use agent_host::{
    agent::Agent,
    notifications::Notifications,
    store::{Claim, Place, RunState, Store, WantedRun},
};
use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::agent;

const SECRET: &str = "a long secret for webhooks";
/// 2026-03-01, midnight.
const START: i64 = 1_772_323_200_000;
const MINUTE: i64 = 60_000;

/// What a webhook got: its headers, in lower case, and the body.
type Got = (BTreeMap<String, String>, String);

/// Receives notifications, and answers each with this status.
struct Receiver {
    url: String,
    status: Arc<AtomicI64>,
    got: Arc<Mutex<Vec<Got>>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the receiver works");
        let url = format!("http://{}/hooks", listener.local_addr().expect("the receiver works"));
        let (status, got) = (Arc::new(AtomicI64::new(204)), Arc::new(Mutex::new(Vec::new())));
        let (answers, kept) = (status.clone(), got.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream);
                let mut headers = BTreeMap::new();
                loop {
                    let mut line = String::new();
                    reader.read_line(&mut line).expect("the receiver works");
                    match line.trim().split_once(": ") {
                        Some((name, value)) => headers.insert(name.to_lowercase(), value.to_owned()),
                        None if line.trim().is_empty() => break,
                        None => None,
                    };
                }
                let mut body = vec![0; headers["content-length"].parse().expect("the receiver works")];
                reader.read_exact(&mut body).expect("the receiver works");
                kept.lock()
                    .expect("the receiver works")
                    .push((headers, String::from_utf8(body).expect("the receiver works")));
                let status = answers.load(Ordering::Relaxed);
                let answer = format!(
                    "HTTP/1.1 {status} x\r\nlocation: /elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                );
                reader.into_inner().write_all(answer.as_bytes()).expect("the receiver works");
            }
        });
        Self { url, status, got }
    }

    fn take(&self) -> Vec<Got> {
        std::mem::take(&mut self.got.lock().expect("the receiver works"))
    }
}

fn set_up(receiver: &Receiver, on: &[&str]) -> TestAgent {
    watch(SECRET);
    agent(&json!({
        "MailSettings": { "PickupDirectory": "../Mails", "FromAddress": "agent@example.com" },
        "Notifications": {
            "On": on,
            "Mail": { "To": ["ops@example.com", "Duty <duty@example.com>"], "Culture": "fr" },
            "Webhook": { "Url": receiver.url, "Secret": SECRET },
        },
    }))
}

/// Runs a test with a clock that it moves.
struct Told {
    store: Store,
    agent: Agent,
}

thread_local! {
    // A test is one thread, and others run beside it.
    static NOW: Cell<i64> = const { Cell::new(START) };
}

fn clock() -> i64 {
    NOW.get()
}

impl Told {
    async fn of(directory: &TestAgent) -> Self {
        let agent = Agent::open(&directory.directory()).await.expect("the store works");
        let store = Store::open(Place::of(&agent.settings)).await.expect("the store works");
        Self { store, agent }
    }

    fn notifications(&self) -> Notifications {
        Notifications::open(&self.agent, self.store.clone(), clock).expect("the store works")
    }

    /// A run that ends like this, and what is told of it. How many were told, and how many arrived.
    async fn run(&self, state: RunState, at: i64) -> (usize, usize) {
        NOW.set(at);
        let wanted = WantedRun { name: "Nightly", cause: "person", due_ms: None, repairs: None, place: None };
        let run = self.store.queue_run(&wanted, at).await.expect("the store works").expect("the store works");
        let claim = Claim { worker: "test", place: None, jobs: None, at_work: &[], now_ms: at, until_ms: at + MINUTE };
        let claimed = self.store.claim_run(Some(run), &claim).await.expect("the store works").expect("the store works");
        assert!(self.store.end_job_run(claimed.id, "test", state, "it says why", at).await.expect("the store works"));
        let notifications = self.notifications();
        (notifications.note().await.expect("the store works"), notifications.deliver().await.expect("the store works"))
    }
}

fn within(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("the store works").block_on(test);
}

#[test]
fn a_failing_job_is_told_once_an_hour_and_its_recovery_once() {
    let receiver = Receiver::start();
    let directory = set_up(&receiver, &[]);
    within(async {
        let told = Told::of(&directory).await;
        assert_eq!(told.run(RunState::Warning, START).await, (0, 0), "nobody asked to be told of warnings");
        assert_eq!(told.run(RunState::Error, START + MINUTE).await, (1, 3));
        assert_eq!(told.run(RunState::Error, START + 2 * MINUTE).await, (0, 0), "not each time");
        assert_eq!(told.run(RunState::Cancelled, START + 3 * MINUTE).await, (0, 0));
        assert_eq!(told.run(RunState::Blocked, START + 62 * MINUTE).await, (1, 3), "once an hour");
        assert_eq!(told.run(RunState::Success, START + 63 * MINUTE).await, (1, 3));
        assert_eq!(told.run(RunState::Success, START + 64 * MINUTE).await, (0, 0));
    });
    let got = receiver.take();
    let events: Vec<Value> = got.iter().map(|(_, body)| serde_json::from_str(body).unwrap()).collect();
    let seen: Vec<_> =
        events.iter().map(|event| (event["event"].as_str().unwrap(), event["state"].as_str().unwrap())).collect();
    assert_eq!(seen, [("run.failed", "error"), ("run.failed", "blocked"), ("run.recovered", "success")]);
    assert_eq!(events[1]["failures_untold"], 1);
    assert_eq!((&events[2]["failing_since"], &events[2]["job"]), (&json!("2026-03-01T00:01:00Z"), &json!("Nightly")));

    // The signature is over the time and the body.
    let (headers, body) = &got[0];
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let hex = headers["x-agent-signature"].strip_prefix("sha256=").unwrap();
    let tag: Vec<u8> = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let signed = format!("{}.{body}", headers["x-agent-timestamp"]);
    hmac::verify(&key, signed.as_bytes(), &tag).expect("it is signed");
    assert_eq!(headers["x-agent-timestamp"], ((START + MINUTE) / 1000).to_string());
    assert_eq!(headers["x-agent-delivery"], events[0]["id"].as_str().unwrap());

    let mails: Vec<String> = fs::read_dir(directory.beside("Mails"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert_eq!(mails.len(), 6, "two people, three times");
    assert!(mails.iter().any(|mail| mail.contains("To: duty@example.com") || mail.contains("<duty@example.com>")));
    assert!(mails.iter().all(|mail| mail.contains("Content-Language: fr")), "{}", mails[0]);
}

#[test]
fn what_cannot_be_delivered_waits_in_the_store_for_the_next_process() {
    let receiver = Receiver::start();
    let directory = set_up(&receiver, &["Warning", "error"]);
    within(async {
        let told = Told::of(&directory).await;
        receiver.status.store(302, Ordering::Relaxed);
        assert_eq!(told.run(RunState::Warning, START).await, (1, 2), "the mails arrive, the webhook does not");
        assert_eq!(receiver.take().len(), 1, "no redirect is followed");
        told.store.clone().close().await;

        // Another process.
        let told = Told::of(&directory).await;
        let notifications = told.notifications();
        assert_eq!(notifications.deliver().await.unwrap(), 0);
        assert_eq!(receiver.take().len(), 0, "its turn has not come");
        receiver.status.store(500, Ordering::Relaxed);
        for minute in [1, 3, 6] {
            NOW.set(START + minute * MINUTE);
            assert_eq!(notifications.deliver().await.unwrap(), 0);
            assert_eq!(receiver.take().len(), 1, "{minute}");
        }
        receiver.status.store(200, Ordering::Relaxed);
        NOW.set(START + 20 * MINUTE);
        assert_eq!(notifications.deliver().await.unwrap(), 1);
        assert_eq!(told.store.notifications_waiting().await.unwrap(), 0);
        receiver.take();

        // One that never arrives is given up after days.
        receiver.status.store(500, Ordering::Relaxed);
        told.run(RunState::Error, START + 120 * MINUTE).await;
        NOW.set(START + 5 * 24 * 60 * MINUTE);
        notifications.deliver().await.unwrap();
        assert_eq!(told.store.notifications_waiting().await.unwrap(), 0);
    });
}

#[test]
fn settings_of_notifications_that_cannot_be_used_are_named() {
    for (section, told) in [
        (json!({ "On": ["never"] }), "`Notifications:On` names `never`, which is no end of a run"),
        (json!({ "Webhook": { "Url": "http://hooks.example.com" } }), "`Notifications:Webhook:Url` is not https"),
        (json!({ "Webhook": { "Url": "https://hooks.example.com" } }), "`Notifications:Webhook:Secret` is missing"),
        (json!({ "Mail": { "To": "nobody" } }), "`Notifications:Mail:To` names `nobody`, which is no mail address"),
        (json!({ "Mail": { "To": "a@example.com" } }), "nothing says how mails leave"),
    ] {
        let run = agent(&json!({ "Notifications": section })).run(&["run"]).must_exit(3);
        assert!(run.failure().contains(told), "{told} in {}", run.stderr);
    }
}
