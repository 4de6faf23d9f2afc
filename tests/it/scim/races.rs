//! Many clients at once, and daemons that die, on every store: nothing acknowledged is lost, nothing is there twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use acceptance::TestAgent;
use serde_json::json;

use super::{
    client::{Client, until},
    create, okta_user, patch,
    stores::{Store, on_each},
};

const CLIENTS: usize = 8;
/// How often the daemons die, after a number of changes that comes of the seed.
const KILLS: usize = 4;
const SEED: u64 = 7;

#[test]
fn parallel_pushes_into_one_group_lose_nobody_and_one_of_racing_creations_wins() {
    on_each(&[], |client| {
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
        for _ in 0..2 {
            let group = client.get(&at).must(200);
            let members: Vec<&str> =
                group["members"].as_array().expect("members").iter().filter_map(|m| m["value"].as_str()).collect();
            assert_eq!((members.len(), members.iter().collect::<BTreeSet<_>>().len()), (65, 65));
        }
    });
}

#[test]
fn of_groups_with_one_name_there_is_one_where_the_directory_wants_that() {
    on_each(&["--group-name-unique"], |client| {
        let group = |name: &str| json!({ "displayName": name });
        let statuses = at_once(12, |_| client.post("/Groups", &group("Staff")).status);
        let count = |status| statuses.iter().filter(|known| **known == status).count();
        assert_eq!((count(201), count(409)), (1, 11), "{statuses:?}");
        assert_eq!(client.post("/Groups", &group("STAFF")).must(409)["scimType"], "uniqueness");

        let ids: Vec<String> = (0..8)
            .map(|n| client.post("/Groups", &group(&format!("Team {n}"))).must(201))
            .map(|made| made["id"].as_str().expect("an id").to_owned())
            .collect();
        let renamed = |id: &str, name: &str| {
            let rename = json!([{ "op": "replace", "value": { "id": id, "displayName": name } }]);
            client.patch(&format!("/Groups/{id}"), &patch(&rename)).status
        };
        assert_eq!(renamed(&ids[0], "staff"), 409);
        assert_eq!(renamed(&ids[0], "TEAM 0"), 200, "its own name is free to it");
        assert_eq!(client.put(&format!("/Groups/{}", ids[0]), &group("Staff")).must(409)["scimType"], "uniqueness");
        let statuses = at_once(8, |n| renamed(&ids[n], "Crew"));
        let count = |status| statuses.iter().filter(|known| **known == status).count();
        assert_eq!((count(200), count(409)), (1, 7), "{statuses:?}");
        let found = client.get("/Groups?filter=displayName%20eq%20%22crew%22&startIndex=1&count=100").must(200);
        assert_eq!(found["totalResults"], 1);
    });
}

#[test]
fn what_was_acknowledged_is_there_after_every_kill() {
    for store in Store::ALL {
        die_often(store);
    }
}

fn die_often(store: Store) {
    let agent = TestAgent::new();
    if !store.prepare(&agent) {
        return;
    }
    let token = create(&agent, &[]);
    // Users by the last name that was acknowledged, and the one that was sent behind it.
    let acknowledged: Mutex<BTreeMap<String, (u64, u64)>> = Mutex::default();
    let group = Mutex::new(None);
    let number = AtomicU64::new(1);
    let mut moment = SEED;
    for _ in 0..KILLS {
        moment = moment.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let changes = 20 + moment % 180;
        let client = store.start(&agent, &token);
        check(&client, &acknowledged.lock().expect("no thread died"), group.lock().expect("no thread died").as_deref());
        let staff = group.lock().expect("no thread died").get_or_insert_with(|| new_group(&client)).clone();
        let done = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..CLIENTS {
                scope.spawn(|| {
                    while change(&client, &staff, &acknowledged, &number).is_some() {
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            until(|| done.load(Ordering::Relaxed) >= changes);
            client.kill();
        });
    }
    let client = store.start(&agent, &token);
    check(&client, &acknowledged.lock().expect("no thread died"), group.lock().expect("no thread died").as_deref());
    client.end();
}

fn new_group(client: &Client) -> String {
    let group = client.post("/Groups", &json!({ "displayName": "Staff" })).must(201);
    group["id"].as_str().expect("an id").to_owned()
}

/// A user is created, made a member and renamed; None once the daemon is dead.
fn change(
    client: &Client,
    group: &str,
    acknowledged: &Mutex<BTreeMap<String, (u64, u64)>>,
    number: &AtomicU64,
) -> Option<()> {
    let name = number.fetch_add(2, Ordering::Relaxed);
    let mut user = okta_user(&format!("u{name}@example.com"), "00u");
    user["displayName"] = name.to_string().into();
    let reply = client.try_send("POST", "/Users", Some(&user))?;
    let id = reply.must(201)["id"].as_str().expect("an id").to_owned();
    let member = patch(&json!([{ "op": "add", "path": "members", "value": [{ "value": id }] }]));
    client.try_send("PATCH", &format!("/Groups/{group}"), Some(&member))?.must(200);
    let note = |last, sent| acknowledged.lock().expect("no thread died").insert(id.clone(), (last, sent));
    note(name, name + 1);
    let renamed = patch(&json!([{ "op": "replace", "path": "displayName", "value": (name + 1).to_string() }]));
    client.try_send("PATCH", &format!("/Users/{id}"), Some(&renamed))?.must(200);
    note(name + 1, name + 1);
    Some(())
}

/// Everybody is there, a member, and called as was acknowledged or as was sent last.
fn check(client: &Client, acknowledged: &BTreeMap<String, (u64, u64)>, group: Option<&str>) {
    let Some(group) = group else { return };
    let group = client.get(&format!("/Groups/{group}")).must(200);
    let members = group["members"].as_array().map_or(&[][..], Vec::as_slice);
    let members: BTreeSet<&str> = members.iter().filter_map(|member| member["value"].as_str()).collect();
    for (id, (last, sent)) in acknowledged {
        let user = client.get(&format!("/Users/{id}")).must(200);
        let name: u64 = user["displayName"].as_str().and_then(|name| name.parse().ok()).expect("a number");
        assert!((*last..=*sent).contains(&name), "`{id}` is called {name}, acknowledged was {last}");
        assert!(members.contains(id.as_str()), "`{id}` is no member any more");
    }
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
