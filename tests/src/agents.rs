//! Several agents on one PostgreSQL that are killed and stopped at random moments, and what must hold all the same.
//!
//! Chance is seeded, and the seed is in every message. The judges are the sandbox's journal for orders, a reader of the
//! output folder for exports, and the store's own runs for due times.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use agent_host::store::{JobRun, Place, RunState, Store};
use okta_sandbox::{SandboxConfig, Seed};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    CONNECTION, TestAgent,
    orders::{GROUP_ID, added_user, list, order},
};

/// The job that is due every other second.
const OFTEN: &str = "Often";
const EVERY_MS: i64 = 2_000;
/// How long a lease lasts that nobody renews.
const LEASE_SECONDS: &str = "4";
/// Accounts for orders that change one, and groups for memberships.
const USERS: u32 = 400;
const GROUPS: usize = 8;
/// Between two files of orders.
const BETWEEN_FILES: Duration = Duration::from_millis(700);
/// How long the agents have to come to an end with everything when nobody disturbs them any more.
const CALM: Duration = Duration::from_secs(60);

/// What is tried.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    /// For everything that is left to chance.
    pub seed: u64,
    /// How long the agents are disturbed.
    pub length: Duration,
    /// How many there are.
    pub agents: usize,
}

/// What came of it; only good ones are returned.
#[derive(Debug)]
pub struct Verdict {
    /// How often an agent was killed.
    pub kills: u32,
    /// How often one was stopped for a while.
    pub stops: u32,
    /// Runs of the job that is due every other second.
    pub due_times: usize,
    /// Runs that more than one worker had.
    pub taken_over: usize,
    /// Orders carried out.
    pub orders: usize,
    /// Different sets that readers saw.
    pub sets: usize,
}

/// Numbers that look like chance and are the same in every run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        // Steele and others, SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    fn between(&mut self, from_ms: u64, to_ms: u64) -> Duration {
        Duration::from_millis(from_ms + self.below(to_ms - from_ms))
    }
}

/// One agent: its process, and until when it is left as it is.
struct Process {
    number: usize,
    child: Child,
    state: State,
    until: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    Stopped,
    Dead,
}

/// Everything of a trial.
struct House {
    trial: Trial,
    agent: TestAgent,
    url: String,
    groups: Vec<String>,
    users: Vec<String>,
}

/// Lets the agents work while they are disturbed, and judges what came of it; none where there is no PostgreSQL.
///
/// # Panics
/// Where something does not hold; the message has the seed.
pub fn disturb(trial: Trial) -> Option<Verdict> {
    let url = passing_postgres::database()?;
    let seed = Seed::exact(USERS + 1, 3, 2, 4);
    let latency = Duration::from_millis(15);
    let agent = TestAgent::with(SandboxConfig { seed, latency, ..SandboxConfig::default() });
    let groups = agent.org(|org| {
        (0..GROUPS).for_each(|number| drop(org.add_group(&format!("Target {number}"))));
        (0..GROUPS).filter_map(|number| org.group_id(&format!("Target {number}"))).collect()
    });
    let users = agent.org(|org| org.user_ids().into_iter().skip(1).collect());
    agent.set("MaxConcurrency", json!(3));
    agent.set("RetryBudgetSeconds", json!(20));
    let steps = json!([{ "Kind": "export", "Connection": CONNECTION }]);
    let often = json!({ "Schedule": "*/2 * * * * *", "Steps": steps });
    agent.write("appsettings.json", &json!({ "Jobs": { OFTEN: often } }).to_string());
    Some(House { trial, agent, url, groups, users }.live())
}

impl House {
    fn live(self) -> Verdict {
        let mut chance = Chance(self.trial.seed);
        let mut processes: Vec<Process> = (0..self.trial.agents).map(|number| self.start(number)).collect();
        let is_over = AtomicBool::new(false);
        let (mut kills, mut stops, mut orders) = (0, 0, 0);
        let sets = std::thread::scope(|scope| {
            let (output, seed) = (self.output(), self.trial.seed);
            let reader = scope.spawn({
                let is_over = &is_over;
                move || read_sets(&output, is_over, seed)
            });
            // However this ends, the reader does.
            let over = Over(&is_over);
            let (began, mut next_file) = (Instant::now(), Instant::now());
            while began.elapsed() < self.trial.length {
                if next_file <= Instant::now() {
                    orders += self.deliver(orders);
                    next_file += BETWEEN_FILES;
                }
                self.disturb(&mut processes, &mut chance, &mut kills, &mut stops);
                std::thread::sleep(Duration::from_millis(20));
            }
            self.calm(&mut processes);
            drop(over);
            reader.join().expect("the reader comes to its end")
        });
        self.end(processes);
        self.judge_orders(orders);
        let (due_times, taken_over) = self.judge_due_times();
        Verdict { kills, stops, due_times, taken_over, orders, sets }
    }

    fn shared(&self, name: &str) -> PathBuf {
        self.agent.beside("shared").join(name)
    }

    fn output(&self) -> PathBuf {
        self.shared("exports")
    }

    fn orders_folder(&self) -> PathBuf {
        self.shared("orders").join(CONNECTION)
    }

    fn start(&self, number: usize) -> Process {
        let own = |name: &str| self.agent.beside(&format!("{name}-{number}"));
        let log = File::options().create(true).append(true).open(own("log")).expect("the log can be written");
        let mut command = self.agent.command(&["run"]);
        command.env("Store__Url", &self.url).env("Jobs__LeaseSeconds", LEASE_SECONDS);
        command.env("WorkFolderPath", own("work")).env("TempFolderPath", own("temp"));
        command.env("OrdersFolderPath", self.shared("orders")).env("ExportOutput", self.output());
        command.env("Web__Urls", "http://127.0.0.1:0").stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("the agent starts");
        Process { number, child, state: State::Running, until: Instant::now() + Duration::from_secs(2) }
    }

    /// Puts a file of orders into the shared folder, no two about the same thing; how many.
    fn deliver(&self, before: usize) -> usize {
        let number = before / 4;
        let Some([one, other]) = self.users.get(2 * number..2 * number + 2).and_then(|pair| pair.first_chunk::<2>())
        else {
            return 0;
        };
        let group = &self.groups[number % GROUPS];
        let id = |nth: usize| format!("{}", before + nth);
        let mut member = added_user(&id(1), &format!("member{number}@example.com"));
        member["Changes"]["Groups_add"] = json!([{ GROUP_ID: group }]);
        let orders = [
            added_user(&id(0), &format!("new{number}@example.com")),
            member,
            order(&id(2), "Modified", "User", one, json!({ "profile_department": id(2) })),
            order(&id(3), "Modified", "Group", group, json!({ "Users_add": [other] })),
        ];
        let folder = self.orders_folder();
        fs::create_dir_all(&folder).expect("the folder can be made");
        fs::write(folder.join(format!("{number:05}.json")), list(&orders)).expect("the file can be written");
        orders.len()
    }

    /// Kills an agent, stops it, lets it go on or starts it again, as chance wants it. One always works.
    fn disturb(&self, processes: &mut [Process], chance: &mut Chance, kills: &mut u32, stops: &mut u32) {
        let now = Instant::now();
        let mut working = processes.iter().filter(|process| process.state == State::Running).count();
        for process in processes.iter_mut().filter(|process| process.until <= now) {
            match process.state {
                State::Running if working == 1 => {}
                State::Running => {
                    working -= 1;
                    if chance.below(2) == 0 {
                        *kills += 1;
                        process.end_at_once();
                        process.until = now + chance.between(200, 3_000);
                    } else {
                        *stops += 1;
                        process.signal("STOP");
                        process.state = State::Stopped;
                        // Shorter than a lease, and longer.
                        process.until = now + chance.between(300, 9_000);
                    }
                }
                State::Stopped => {
                    process.signal("CONT");
                    process.state = State::Running;
                    process.until = now + chance.between(1_000, 7_000);
                }
                State::Dead => {
                    *process = self.start(process.number);
                    process.until = now + chance.between(1_000, 8_000);
                }
            }
        }
    }

    /// Leaves the agents alone until they have done everything.
    fn calm(&self, processes: &mut [Process]) {
        for process in processes.iter_mut() {
            match process.state {
                State::Running => {}
                State::Stopped => process.signal("CONT"),
                State::Dead => *process = self.start(process.number),
            }
        }
        let began = Instant::now();
        let left = || fs::read_dir(self.orders_folder()).into_iter().flatten().flatten();
        while left().any(|entry| entry.path().extension().is_some_and(|extension| extension == "json")) {
            assert!(began.elapsed() < CALM, "seed {}: orders are left {}", self.trial.seed, self.logs());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn end(&self, processes: Vec<Process>) {
        for mut process in processes {
            process.signal("TERM");
            let status = process.child.wait().expect("it is ours");
            assert!(status.success(), "seed {}: agent {}: {status}{}", self.trial.seed, process.number, self.logs());
        }
    }

    /// Each order's effect is there, and was had once.
    fn judge_orders(&self, orders: usize) {
        let seed = self.trial.seed;
        let mut effects: BTreeMap<(String, String), u32> = BTreeMap::new();
        let mut created = 0;
        for effect in self.agent.sandbox.effects() {
            match effect.created.is_some() && effect.method == "POST" {
                true => created += 1,
                false => *effects.entry((effect.method, effect.path)).or_default() += 1,
            }
        }
        let twice: Vec<_> = effects.iter().filter(|(_, count)| **count > 1).collect();
        assert!(twice.is_empty(), "seed {seed}: had their effect twice: {twice:?}{}", self.logs());
        assert_eq!(created, orders / 2, "seed {seed}: each account was made once{}", self.logs());
        // Of each file two activations, a department and a membership; the other is part of a creation.
        assert_eq!(effects.len(), orders, "seed {seed}: {effects:?}{}", self.logs());
        assert_eq!(self.agent.sandbox.journal().iter().filter(|it| it.status == 429).count(), 0, "seed {seed}");
    }

    /// Each due time had one run, whoever was there, but where a run of the job waited then, and two thirds of them had one
    /// for sure; how many, and how many were taken over.
    fn judge_due_times(&self) -> (usize, usize) {
        let seed = self.trial.seed;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
        let runs: Vec<JobRun> = runtime.block_on(async {
            let store = Store::open(Place::Server(self.url.clone().into())).await.expect("the store opens");
            store.job_runs(Some(OFTEN), 100_000).await.expect("the store is well")
        });
        let due: BTreeSet<i64> = runs.iter().filter_map(|run| run.due_ms).collect();
        assert_eq!(due.len(), runs.len(), "seed {seed}: a due time ran twice");
        for run in &runs {
            // What waited when the agents were asked to end is for the next ones.
            let is_well = matches!(run.state, RunState::Success | RunState::Queued | RunState::Started);
            assert!(is_well, "seed {seed}: {run:?}{}", self.logs());
        }
        let (Some(first), Some(last)) = (due.first(), due.last()) else { panic!("seed {seed}: nothing ran") };
        let waited_at = |time: i64| {
            let until = |run: &JobRun| run.began_ms.unwrap_or(i64::MAX);
            runs.iter().any(|run| run.queued_ms <= time + EVERY_MS && time <= until(run) && run.due_ms < Some(time))
        };
        // A due time that finds a run waiting is passed over: were that all, a queue that stands still would pass for a
        // good one. What the agents' start took is missing at the end.
        let end = first + i64::try_from(self.trial.length.as_millis()).expect("a trial is short");
        let (ran, all) = (due.range(..end).count(), usize::try_from((end - first) / EVERY_MS).expect("it is short"));
        assert!(3 * ran >= 2 * all, "seed {seed}: only {ran} of {all} due times ran{}", self.logs());
        let mut time = *first;
        while time < *last {
            assert!(due.contains(&time) || waited_at(time), "seed {seed}: nothing ran at {time}{}", self.logs());
            time += EVERY_MS;
        }
        (runs.len(), runs.iter().filter(|run| run.attempts > 1).count())
    }

    /// The ends of the agents' logs.
    fn logs(&self) -> String {
        let mut text = String::new();
        for number in 0..self.trial.agents {
            let log = fs::read_to_string(self.agent.beside(&format!("log-{number}"))).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let end = lines[lines.len().saturating_sub(60)..].join("\n");
            text.push_str(&format!("\n--- agent {number}\n{end}"));
        }
        text
    }
}

/// Says that it is over when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Process {
    fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &process]).status().expect("kill is there");
        assert!(status.success());
    }

    fn end_at_once(&mut self) {
        self.child.kill().expect("it is ours");
        self.child.wait().expect("it is ours");
        self.state = State::Dead;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A stopped one too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads the published set again and again: what is there is whole. How many different sets it saw.
fn read_sets(output: &Path, is_over: &AtomicBool, seed: u64) -> usize {
    let home = output.join(format!(".{CONNECTION}"));
    let mut seen = BTreeSet::new();
    while !is_over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(5));
        // One rename switches this link: whoever follows it first reads one set.
        let Ok(set) = fs::canonicalize(home.join("current")) else { continue };
        match read_set(&set) {
            Ok((manifest, whole)) => {
                assert!(whole, "seed {seed}: a set that is not whole: {manifest}");
                seen.insert(manifest["finished"].to_string());
            }
            // It was replaced meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    seen.len()
}

fn read_set(set: &Path) -> std::io::Result<(Value, bool)> {
    let manifest: Value = serde_json::from_slice(&fs::read(set.join(format!("{CONNECTION}_export.json")))?)?;
    let tables = manifest["tables"].as_object().into_iter().flatten();
    let mut count = 0;
    let mut whole = true;
    for (_, table) in tables {
        let text = fs::read(set.join(table["file"].as_str().unwrap_or_default()))?;
        let sum: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        whole &= table["sha256"] == sum.as_str();
        count += 1;
    }
    Ok((manifest, whole && count == crate::TABLES.len()))
}
