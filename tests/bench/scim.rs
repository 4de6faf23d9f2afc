//! What the SCIM inbox bears: a daemon with its durable store, its log of events and its checks, asked by 16 connections.
//!
//! 10,000 users for single resources and groups of all of them; 100,000 for pages, memory and the start. The same on
//! PostgreSQL, where it is installed, for comparison: nothing is promised of it.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::{
    load::{Ask, CONNECTIONS, Connection, Load, load, swallow},
    report::{Bound, Report},
    sandbox::program,
};

const CASE: &str = "scim";
/// The same on PostgreSQL.
const ON_SERVER: &str = "scim pg";
/// Where the agent's store is.
const STORE: &str = "Store__Url";
const USERS: usize = 10_000;
const MANY_USERS: usize = 100_000;
/// How long each kind of request is sent.
const LONG: Duration = Duration::from_secs(4);
const DIRECTORY: &str = "/scim/v2/bench";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// Changes of one member, of which the median counts.
const SINGLE_CHANGES: usize = 200;
/// Members of the large change, and how often it is made.
const MANY_MEMBERS: usize = 1_000;
const LARGE_CHANGES: usize = 6;
/// Groups in the page that holds a million members.
const LARGE_GROUPS: usize = 100;

/// What the agent's process uses up meanwhile. It is steadier than its rate where a machine does other things too.
struct Meter<'d> {
    daemon: &'d Daemon,
    before: f64,
}

/// The agent as a process of its own; dropping it ends it.
struct Daemon {
    process: Child,
    address: String,
}

pub(crate) fn measure(report: &mut Report) -> anyhow::Result<()> {
    measure_on(report, None)?;
    if let Some(url) = passing_postgres::database() {
        let mut beside = Report::default();
        measure_on(&mut beside, Some(&url))?;
        report.beside(ON_SERVER, beside);
    }
    Ok(())
}

/// On a new SQLite file, or in the database at this address.
fn measure_on(report: &mut Report, store: Option<&str>) -> anyhow::Result<()> {
    let folder = tempfile::tempdir().context("making a folder for the bench")?;
    let directory = folder.path().join("agent");
    agent_host::init::init(&directory)?;
    let made = Command::new(program("agent-host")?)
        .arg("--directory")
        .arg(&directory)
        .args(["--format", "json", "directory", "create", "bench"])
        .envs(store.map(|url| (STORE, url)))
        .output()?;
    ensure!(made.status.success(), "`directory create` fails: {}", String::from_utf8_lossy(&made.stderr));
    let made: Value = serde_json::from_slice(&made.stdout)?;
    let token = made["token"].as_str().context("a token is printed")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let daemon = Daemon::start(&directory, store)?;
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::open(&daemon.address, token).await?);
        }
        let ids = singles(report, &daemon, &mut connections).await?;
        groups(report, &mut connections[0], &ids).await?;
        pages(report, &daemon, &mut connections).await?;
        let peak = daemon.peak_megabytes()?;
        report.figure(CASE, "peak memory with 100,000 users, MB", peak, Bound::Under(150.0));
        drop(daemon);
        let began = Instant::now();
        let daemon = Daemon::start(&directory, store)?;
        let mut connection = Connection::open(&daemon.address, token).await?;
        connection.ask(&get("/Users?startIndex=1&count=2")).await?;
        let seconds = began.elapsed().as_secs_f64();
        report.figure(CASE, "start with 100,000 users to the first answer, s", seconds, Bound::Under(1.0));
        large_page(report, &daemon, &mut connection, token, &ids).await
    })
}

/// Creation, and what is done to single users; their ids.
async fn singles(report: &mut Report, daemon: &Daemon, connections: &mut [Connection]) -> anyhow::Result<Vec<String>> {
    let mut ids = Vec::with_capacity(USERS);
    let meter = Meter::start(daemon)?;
    let created = load(connections, USERS, Duration::MAX, |number| post("/Users", &user(number))).await?;
    meter.rate(report, "POST of a user", &created, Bound::AtLeast(2_000.0))?;
    for start in (1..=USERS).step_by(1_000) {
        let path = format!("/Users?startIndex={start}&count=1000&attributes=id");
        let page: Value = serde_json::from_slice(connections[0].ask(&get(&path)).await?)?;
        let page = page["Resources"].as_array().context("a list")?;
        ids.extend(page.iter().filter_map(|user| user["id"].as_str().map(str::to_owned)));
    }
    ensure!(ids.len() == USERS, "{} of {USERS} users are listed", ids.len());
    let meter = Meter::start(daemon)?;
    let found = load(connections, usize::MAX, LONG, |number| get(&user_at(&ids[scattered(number)]))).await?;
    meter.rate(report, "GET by id", &found, Bound::AtLeast(8_000.0))?;
    let meter = Meter::start(daemon)?;
    let found = load(connections, usize::MAX, LONG, |number| {
        get(&format!("/Users?filter=userName%20eq%20%22{}%22&startIndex=1&count=100", name(scattered(number))))
    })
    .await?;
    meter.rate(report, "filter userName eq", &found, Bound::AtLeast(8_000.0))?;
    let meter = Meter::start(daemon)?;
    let found = load(connections, usize::MAX, LONG, |number| {
        let filter = format!("emails%5Btype%20eq%20%22work%22%5D.value%20eq%20%22{}%22", name(scattered(number)));
        get(&format!("/Users?filter={filter}&startIndex=1&count=100"))
    })
    .await?;
    meter.rate(report, "filter emails[type eq \"work\"].value eq", &found, Bound::None)?;
    let meter = Meter::start(daemon)?;
    let changed = load(connections, usize::MAX, LONG, |number| {
        // All of them off, then all on.
        let body = json!({ "schemas": [PATCH], "Operations": [{ "op": "replace", "value": { "active": number / USERS % 2 == 1 } }] });
        Ask { method: "PATCH", path: format!("{DIRECTORY}{}", user_at(&ids[scattered(number)])), body: Some(body.to_string()), status: 200 }
    })
    .await?;
    meter.rate(report, "PATCH active", &changed, Bound::AtLeast(2_000.0))?;
    Ok(ids)
}

/// A group of all users.
async fn groups(report: &mut Report, connection: &mut Connection, ids: &[String]) -> anyhow::Result<()> {
    let members = |ids: &[String]| Value::from(ids.iter().map(|id| json!({ "value": id })).collect::<Vec<_>>());
    let body = json!({ "displayName": "Everybody", "members": members(ids) });
    let group: Value = serde_json::from_slice(connection.ask(&post("/Groups", &body.to_string())).await?)?;
    let path = format!("{DIRECTORY}/Groups/{}", group["id"].as_str().context("an id")?);
    let change = |operation: Value| {
        let body = json!({ "schemas": [PATCH], "Operations": [operation] }).to_string();
        Ask { method: "PATCH", path: path.clone(), body: Some(body), status: 200 }
    };
    let mut latencies = Vec::new();
    for id in (0..SINGLE_CHANGES).map(|number| &ids[scattered(number / 2)]) {
        let operation = if latencies.len() % 2 == 0 {
            json!({ "op": "remove", "path": format!("members[value eq \"{id}\"]") })
        } else {
            json!({ "op": "add", "path": "members", "value": [{ "value": id }] })
        };
        latencies.push(latency(connection, &change(operation)).await?);
    }
    report.figure(CASE, "one member of 10,000, median ms", median(latencies), Bound::Under(5.0));
    let mut latencies = Vec::new();
    for number in 0..LARGE_CHANGES {
        let some = members(&ids[number / 2 * MANY_MEMBERS..][..MANY_MEMBERS]);
        let operation = if number % 2 == 0 { "remove" } else { "add" };
        latencies
            .push(latency(connection, &change(json!({ "op": operation, "path": "members", "value": some }))).await?);
    }
    report.figure(CASE, "1,000 members of 10,000, median ms", median(latencies), Bound::Under(150.0));
    Ok(())
}

async fn pages(report: &mut Report, daemon: &Daemon, connections: &mut [Connection]) -> anyhow::Result<()> {
    load(connections, MANY_USERS - USERS, Duration::MAX, |number| post("/Users", &user(USERS + number))).await?;
    let meter = Meter::start(daemon)?;
    let listed = load(connections, usize::MAX, LONG, |number| {
        let start = number.wrapping_mul(7_919_993) % (MANY_USERS - 100) + 1;
        get(&format!("/Users?startIndex={start}&count=100"))
    })
    .await?;
    meter.rate(report, "pages of 100 among 100,000", &listed, Bound::AtLeast(400.0))?;
    Ok(())
}

/// What Okta asks first of a directory with groups, where those have a million members together.
async fn large_page(
    report: &mut Report,
    daemon: &Daemon,
    connection: &mut Connection,
    token: &str,
    ids: &[String],
) -> anyhow::Result<()> {
    let members: Vec<Value> = ids.iter().map(|id| json!({ "value": id })).collect();
    for number in 0..LARGE_GROUPS {
        let body = json!({ "displayName": format!("Everybody {number}"), "members": members });
        connection.ask(&post("/Groups", &body.to_string())).await?;
    }
    let began = Instant::now();
    // The first group is that of the changes.
    let path = format!("{DIRECTORY}/Groups?startIndex=2&count={LARGE_GROUPS}");
    let megabytes = swallow(&daemon.address, token, &path).await? as f64 / 1e6;
    let seconds = began.elapsed().as_secs_f64();
    let what = format!("a page of 100 groups of 10,000 members, peak MB ({megabytes:.0} MB sent in {seconds:.1} s)");
    report.figure(CASE, what, daemon.peak_megabytes()?, Bound::Under(150.0));
    Ok(())
}

async fn latency(connection: &mut Connection, ask: &Ask) -> anyhow::Result<f64> {
    let began = Instant::now();
    connection.ask(ask).await?;
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

fn median(mut latencies: Vec<f64>) -> f64 {
    latencies.sort_by(f64::total_cmp);
    latencies[latencies.len() / 2]
}

fn get(path: &str) -> Ask {
    Ask { method: "GET", path: format!("{DIRECTORY}{path}"), body: None, status: 200 }
}

fn post(path: &str, body: &str) -> Ask {
    Ask { method: "POST", path: format!("{DIRECTORY}{path}"), body: Some(body.to_owned()), status: 201 }
}

fn user_at(id: &str) -> String {
    format!("/Users/{id}")
}

/// All users in an order that no cache likes, again and again.
fn scattered(number: usize) -> usize {
    number.wrapping_mul(7_919) % USERS
}

fn name(number: usize) -> String {
    format!("user{number}@example.com")
}

/// As Okta creates one.
fn user(number: usize) -> String {
    let name = name(number);
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name,
        "name": { "givenName": format!("Given{number}"), "familyName": format!("Family{number}") },
        "emails": [{ "primary": true, "value": name, "type": "work" }], "displayName": format!("Given{number} Family{number}"),
        "locale": "en-US", "externalId": format!("00u{number:017}"), "groups": [], "password": "1mz050nq", "active": true,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "Sales", "employeeNumber": number.to_string() }
    })
    .to_string()
}

impl<'d> Meter<'d> {
    fn start(daemon: &'d Daemon) -> anyhow::Result<Self> {
        Ok(Self { daemon, before: daemon.processor_seconds()? })
    }

    fn rate(self, report: &mut Report, what: &str, load: &Load, promised: Bound) -> anyhow::Result<()> {
        let (half, most) = (load.latency_ms(0.5), load.latency_ms(0.99));
        let each = (self.daemon.processor_seconds()? - self.before) * 1e6 / (load.per_second() * load.seconds);
        let what = format!("{what} (p50 {half:.1}, p99 {most:.1} ms, {each:.0} µs of processor)");
        report.figure(CASE, what, load.per_second(), promised);
        Ok(())
    }
}

impl Daemon {
    fn start(directory: &Path, store: Option<&str>) -> anyhow::Result<Self> {
        let mut command = Command::new(program("agent-host")?);
        command.arg("--directory").arg(directory).arg("run").env("Web__Urls", "http://127.0.0.1:0");
        command.envs(store.map(|url| (STORE, url)));
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().context("starting the agent")?;
        let stderr = process.stderr.take().context("stderr is piped")?;
        let mut lines = BufReader::new(stderr).lines();
        let said = lines.by_ref().map_while(Result::ok).find_map(|line| {
            line.split_once("Now listening on: http://").map(|(_, address)| address.trim().to_owned())
        });
        // What it says further is read, so that it can go on saying it.
        std::thread::spawn(move || lines.for_each(drop));
        let mut daemon = Self { process, address: String::new() };
        daemon.address = said.context("the agent does not say where it listens")?;
        daemon.process.try_wait()?.map_or(Ok(daemon), |status| anyhow::bail!("the agent ended: {status}"))
    }

    /// The processor time it has used.
    fn processor_seconds(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // Behind the name, which is in brackets, the 12th and 13th fields are user and system time in hundredths.
        let (_, fields) = stat.rsplit_once(')').context("the system says it")?;
        let ticks: f64 = fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        Ok(ticks / 100.0)
    }

    /// The most memory it has had, as the system says.
    fn peak_megabytes(&self) -> anyhow::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the system says it")?;
        let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1024.0 / 1e6)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
