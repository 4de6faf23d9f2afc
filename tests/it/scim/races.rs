//! Many clients at once, and a daemon that dies: nothing acknowledged is lost, nothing is there twice.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use acceptance::TestAgent;
use serde_json::json;

use super::{client::Client, client::until, create, okta_user, patch};

const CLIENTS: usize = 8;

#[test]
fn parallel_pushes_into_one_group_lose_nobody_and_one_of_racing_creations_wins() {
    let agent = TestAgent::new();
    let token = create(&agent, &[]);
    let client = Client::start(&agent, &token);
    let statuses = at_once(12, |_| client.post("/Users", &okta_user("ada@example.com", "00u1")).status);
    let count = |status| statuses.iter().filter(|known| **known == status).count();
    assert_eq!((count(201), count(409)), (1, 11), "{statuses:?}");

    let staff = client.post("/Groups", &json!({ "displayName": "Staff" })).must(201);
    let at = format!("/Groups/{}", staff["id"].as_str().expect("an id"));
    let statuses = at_once(64, |n| {
        // Each adds one of its own and one that all add.
        let members = json!([{ "value": format!("m{n}") }, { "value": "everybody" }]);
        client.patch(&at, &patch(&json!([{ "op": "add", "path": "members", "value": members }]))).status
    });
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let group = client.get(&at).must(200);
    let members: Vec<&str> =
        group["members"].as_array().expect("members").iter().filter_map(|m| m["value"].as_str()).collect();
    assert_eq!(members.len(), 65);
    assert_eq!(members.iter().collect::<BTreeSet<_>>().len(), 65);
    client.end();
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    let agent = TestAgent::new();
    let token = create(&agent, &[]);
    let client = Client::start(&agent, &token);
    let acknowledged = Mutex::new(Vec::new());
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                loop {
                    let name = format!("u{}@example.com", next.fetch_add(1, Ordering::Relaxed));
                    let Some(reply) = client.try_post("/Users", &okta_user(&name, "00u")) else { return };
                    assert_eq!(reply.status, 201, "{}", reply.body);
                    let id = reply.body["id"].as_str().expect("an id").to_owned();
                    acknowledged.lock().expect("no thread died").push(id);
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        until(|| done.load(Ordering::Relaxed) >= 100);
        client.kill();
    });
    drop(client);
    let client = Client::start(&agent, &token);
    let acknowledged = acknowledged.into_inner().expect("no thread died");
    let mut found = BTreeSet::new();
    loop {
        let page = client.get(&format!("/Users?startIndex={}&count=500", found.len() + 1)).must(200);
        let users = page["Resources"].as_array().expect("a list");
        found.extend(users.iter().filter_map(|user| user["id"].as_str().map(str::to_owned)));
        if users.is_empty() {
            break;
        }
    }
    let lost: Vec<&String> = acknowledged.iter().filter(|id| !found.contains(*id)).collect();
    assert!(lost.is_empty(), "of {} these are lost: {lost:?}", acknowledged.len());
    client.end();
}

/// What so many threads get that begin together.
fn at_once(count: usize, act: impl Fn(usize) -> u16 + Sync) -> Vec<u16> {
    let barrier = std::sync::Barrier::new(count);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|n| {
                let (barrier, act) = (&barrier, &act);
                scope.spawn(move || {
                    barrier.wait();
                    act(n)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no thread died")).collect()
    })
}
