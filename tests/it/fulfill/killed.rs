//! Orders whose process is killed again and again, with answers lost on the way: each has its effect exactly once.
//!
//! What is to be there at the end is worked out here, order by order, from what the organisation was before. Chance is
//! seeded, and the seed is in every message.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use acceptance::{
    CONNECTION, Chance, TestAgent,
    orders::{APP_ID, GROUP_ID, added_user, list, order, results},
};
use okta_sandbox::{Fault, FaultAction, Seed};
use serde_json::{Value, json};

const SEED: u64 = 20_260_101;
const ORDERS: usize = 200;
const KILLS: u32 = 50;
const TARGETS: usize = 12;

/// What an organisation holds, as far as the orders change it.
#[derive(Debug, Default)]
struct State {
    /// By login: department and status.
    users: BTreeMap<String, (Value, String)>,
    /// By name: description.
    groups: BTreeMap<String, Value>,
    /// Group and login.
    members: BTreeSet<(String, String)>,
    /// App label and group.
    assignments: BTreeSet<(String, String)>,
}

impl State {
    fn of(agent: &TestAgent) -> Self {
        let mut state = Self::default();
        let exported = |table: &str| -> Vec<BTreeMap<String, String>> {
            let text = agent.csv(table);
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            let header = reader.headers().expect("there is a header").clone();
            let line = |line: csv::StringRecord| {
                header.iter().map(str::to_owned).zip(line.iter().map(str::to_owned)).collect()
            };
            reader.records().map(|record| line(record.expect("it is CSV"))).collect()
        };
        agent.export(&["--accept-shrink"]).must_exit(0);
        let (mut logins, mut names, mut labels) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for user in exported("users") {
            logins.insert(user["id"].clone(), user["profile.login"].clone());
            let department = json!(user["profile.department"]);
            state.users.insert(user["profile.login"].clone(), (department, user["status"].clone()));
        }
        for group in exported("groups") {
            names.insert(group["id"].clone(), group["profile.name"].clone());
            state.groups.insert(group["profile.name"].clone(), json!(group["profile.description"]));
        }
        for app in exported("apps") {
            labels.insert(app["id"].clone(), app["label"].clone());
        }
        // Everyone is Okta's own affair.
        let members = exported("groupsusers").into_iter().filter(|it| names[&it["groupId"]] != "Everyone");
        state.members = members.map(|it| (names[&it["groupId"]].clone(), logins[&it["userId"]].clone())).collect();
        let assignments = exported("groupsapps").into_iter();
        state.assignments =
            assignments.map(|it| (labels[&it["appId"]].clone(), names[&it["groupId"]].clone())).collect();
        state
    }
}

/// A record: its name, and its id.
type Named = (String, String);

/// Two hundred orders of all kinds, no two about the same thing, and what they come to.
fn orders(agent: &TestAgent, chance: &mut Chance, state: &mut State) -> Vec<Value> {
    let mut users: Vec<Named> = agent.org(|org| {
        let login = |id: String| Some((org.user(&id)?["profile"]["login"].as_str()?.to_owned(), id));
        org.user_ids().into_iter().skip(1).filter_map(login).collect()
    });
    let target = |number: usize| format!("Target {number}");
    let groups: Vec<Named> =
        agent.org(|org| (0..TARGETS).filter_map(|it| Some((target(it), org.group_id(&target(it))?))).collect());
    let apps = agent.org(|org| org.app_ids());
    let labels = agent.csv("apps");
    let label = |app: &str| labels.lines().find(|it| it.starts_with(app)).and_then(|it| it.rsplit(',').next());
    let mut made = Vec::new();
    for number in 0..ORDERS {
        let id = number.to_string();
        let mut some_user = || users.swap_remove(chance.below(users.len()));
        let (name, group) = &groups[number * 7 % TARGETS];
        made.push(match number % 10 {
            0 | 1 => {
                let login = format!("made{number}@example.com");
                state.users.insert(login.clone(), (json!(""), "PROVISIONED".to_owned()));
                let mut order = added_user(&id, &login);
                if number % 10 == 1 {
                    order["Changes"]["Groups_add"] = json!([{ GROUP_ID: group }]);
                    state.members.insert((name.clone(), login));
                }
                order
            }
            2 => {
                let name = format!("Made {number}");
                state.groups.insert(name.clone(), json!("by order"));
                order(&id, "Added", "Group", "", json!({"profile_name": name, "profile_description": "by order"}))
            }
            3 | 4 => {
                let (login, user) = some_user();
                state.users.entry(login).and_modify(|(department, _)| *department = json!(id));
                order(&id, "Modified", "User", &user, json!({"profile_department": id}))
            }
            5 | 6 => {
                let (login, user) = some_user();
                state.members.insert((name.clone(), login));
                order(&id, "Modified", "Group", group, json!({"Users_add": [user]}))
            }
            7 => {
                let app = &apps[number / 10 % apps.len()];
                let (name, group) = &groups[number / 10 / apps.len() % TARGETS];
                state.assignments.insert((label(app).expect("the app was exported").to_owned(), name.clone()));
                order(&id, "Modified", "Group", group, json!({"Applications_add": [{ APP_ID: app }]}))
            }
            8 => {
                let (login, user) = some_user();
                state.users.entry(login).and_modify(|(_, status)| *status = "SUSPENDED".to_owned());
                order(&id, "Modified", "User", &user, json!({"status": "SUSPENDED"}))
            }
            _ => {
                let (login, user) = some_user();
                state.users.remove(&login);
                state.members.retain(|(_, member)| *member != login);
                order(&id, "Deleted", "User", &user, json!({}))
            }
        });
    }
    made
}

/// A moment at which a process is killed: before the sandbox does what is asked, or after it did.
fn moment(chance: &mut Chance) -> Fault {
    let hold = Duration::from_secs(60);
    let action = match chance.below(3) {
        0 => FaultAction::SlowRequest(hold),
        _ => FaultAction::SlowFirstByte(hold),
    };
    let nth = u32::try_from(1 + chance.below(4)).expect("it is small");
    Fault::new(action).nth(nth)
}

fn assert_reported_once(agent: &TestAgent) {
    let mut reported: Vec<String> = Vec::new();
    let folder = agent.directory().join("Work/FulfillResults");
    for (name, text) in acceptance::files(&folder) {
        let text = String::from_utf8(text).expect("results are text");
        for (id, (state, message)) in results(&text) {
            assert_eq!(state, "Executed", "seed {SEED}: order {id} in {name}: {message}");
            reported.push(id);
        }
    }
    let once: BTreeSet<&String> = reported.iter().collect();
    assert_eq!((once.len(), reported.len()), (ORDERS, ORDERS), "seed {SEED}: each order is reported once");
}

/// Nothing was made, removed or changed more often than it was asked for.
fn assert_no_effect_twice(agent: &TestAgent) {
    let mut effects: BTreeMap<(String, String), u32> = BTreeMap::new();
    let mut created = 0;
    for effect in agent.sandbox.effects() {
        if effect.created.is_some() && effect.method == "POST" {
            created += 1;
        } else {
            *effects.entry((effect.method, effect.path)).or_default() += 1;
        }
    }
    assert_eq!(created, ORDERS * 3 / 10, "seed {SEED}: each account and group was made once");
    // A deletion takes two requests: the first deactivates.
    let most = |method: &str, path: &str| if method == "DELETE" && path.starts_with("/api/v1/users/") { 2 } else { 1 };
    let twice: Vec<_> = effects.iter().filter(|((method, path), count)| **count > most(method, path)).collect();
    assert!(twice.is_empty(), "seed {SEED}: {twice:?}");
}

/// Runs the orders until the moment has come, and kills the process; whether it was still at work.
fn run_and_kill(agent: &TestAgent, chance: &mut Chance) -> bool {
    agent.sandbox.clear_faults();
    let lost = chance.below(3) == 0;
    if lost {
        agent.sandbox.add_fault(Fault::new(FaultAction::LoseAnswer).on(["POST", "PUT"][chance.below(2)], "/api/v1/"));
    }
    let wanted = agent.sandbox.faults_hit() + 1;
    agent.sandbox.add_fault(moment(chance));
    let mut process = agent.command(&["fulfill", CONNECTION]).spawn().expect("the program starts");
    let mut struck: Option<Instant> = None;
    while process.try_wait().expect("it is ours").is_none() {
        let hits = agent.sandbox.faults_hit();
        if hits >= wanted && struck.is_none() {
            struck = Some(Instant::now());
        }
        // Whether an answer was lost before, chance decides: it is not waited for long.
        if hits > wanted || struck.is_some_and(|since| !lost || since.elapsed() > Duration::from_millis(100)) {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let is_killed = process.try_wait().expect("it is ours").is_none();
    process.kill().expect("it is ours");
    let _ = acceptance::Run::from(process.wait_with_output().expect("it is ours"));
    is_killed
}

#[test]
fn orders_have_their_effect_once_however_often_the_process_is_killed() {
    let agent = TestAgent::seeded(Seed::exact(160, 6, 4, 5));
    agent.org(|org| (0..TARGETS).for_each(|number| drop(org.add_group(&format!("Target {number}")))));
    let mut expected = State::of(&agent);
    let mut chance = Chance::of(SEED);
    let orders = orders(&agent, &mut chance, &mut expected);
    // Fewer at a time, so that there is something left to kill.
    agent.set("MaxConcurrency", json!(2));
    agent.sandbox.clear_journal();
    for (number, part) in orders.chunks(50).enumerate() {
        agent.order_file(&format!("{number}.json"), &list(part));
    }

    let killed = (0..KILLS).filter(|_| run_and_kill(&agent, &mut chance)).count();
    agent.sandbox.clear_faults();
    agent.fulfill(&[]).must_exit(0);
    assert_eq!(killed, KILLS as usize, "seed {SEED}: every one was killed before it was done");

    assert_reported_once(&agent);
    assert_no_effect_twice(&agent);
    let found = State::of(&agent);
    assert_eq!(found.users, expected.users, "seed {SEED}");
    assert_eq!(found.groups, expected.groups, "seed {SEED}");
    assert_eq!(found.members, expected.members, "seed {SEED}");
    assert_eq!(found.assignments, expected.assignments, "seed {SEED}");

    // Once more, all of them: nothing changes.
    agent.sandbox.clear_journal();
    let kept = orders.iter().filter(|it| it["ChangeType"] != "Deleted").cloned().collect::<Vec<_>>();
    agent.order_file("again.json", &list(&kept));
    let report = agent.fulfill(&["--format", "json"]).must_exit(0).json();
    assert_eq!(report["executed"], kept.len(), "{report}");
    assert_eq!(agent.sandbox.effects().len(), 0, "seed {SEED}: {:?}", agent.sandbox.effects());
}
