//! The connector against an Okta organisation on loopback, over HTTP.
//!
//! Connector and sandbox share one clock that moves only when the connector waits for it, so no test sleeps. What an
//! export must give is read from the organisation object by object, another way than the connector's lists.

mod check;
mod conformance;
mod export;
mod faults;
mod filters;
mod fulfill;
mod governor;
mod oauth;
mod outlook;
mod password;
mod recordings;
mod refusals;
mod scripted;
mod secrets;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use connector_api::{Column, ConnectionSettings, Connector, RecordBatch, Result, Table, async_trait};
use futures::TryStreamExt;
use okta_connector::{Clock, OktaConnector};
use okta_sandbox::{Fault, FaultAction, Sandbox, SandboxConfig, Seed};
use serde_json::value::RawValue;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// When the shared clock starts, in milliseconds since 1970.
const START: i64 = 1_750_000_000_000;
/// The connector's number of the tables: users and groups are objects, the last two are links.
const TABLES: [&str; 5] = ["users", "groups", "apps", "groupsusers", "groupsapps"];

/// The records of a table by key.
type Rows = BTreeMap<Vec<String>, Vec<String>>;
/// The tables of an export by name.
type Set = BTreeMap<String, Rows>;

/// The sandbox's time as the connector's: whoever waits moves it.
struct SharedClock {
    clock: okta_sandbox::Clock,
    /// What looking at the clock takes, so that time passes while requests are under way.
    tick: Duration,
}

#[async_trait]
impl Clock for SharedClock {
    fn now(&self) -> Duration {
        self.clock.advance(self.tick);
        since_start(&self.clock)
    }

    fn since_1970(&self) -> Duration {
        Duration::from_millis(self.clock.now_millis().unsigned_abs())
    }

    async fn sleep_until(&self, deadline: Duration) {
        // What is under way on loopback ends before time moves.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        let behind = deadline.saturating_sub(since_start(&self.clock));
        self.clock.advance(Duration::from_nanos(behind.as_nanos().next_multiple_of(1_000_000) as u64));
    }
}

fn since_start(clock: &okta_sandbox::Clock) -> Duration {
    Duration::from_millis((clock.now_millis() - START).unsigned_abs())
}

/// A sandbox, and the clock it shares with its connectors.
struct World {
    sandbox: Sandbox,
    clock: okta_sandbox::Clock,
    tick: Duration,
}

impl World {
    async fn new(seed: Seed) -> Self {
        Self::with(SandboxConfig { seed, gzip: true, ..Default::default() }).await
    }

    async fn with(config: SandboxConfig) -> Self {
        let clock = okta_sandbox::Clock::manual(START);
        let config = SandboxConfig { clock: clock.clone(), ..config };
        let sandbox = Sandbox::start(config).await.expect("a sandbox starts on a free port");
        Self { sandbox, clock, tick: Duration::ZERO }
    }

    fn connector(&self, more: &[(&str, &str)]) -> OktaConnector {
        let settings = settings(&self.sandbox.url(), self.sandbox.token(), more);
        OktaConnector::open_with_clock(&settings, self.shared_clock()).expect("the settings are good")
    }

    fn shared_clock(&self) -> Arc<SharedClock> {
        Arc::new(SharedClock { clock: self.clock.clone(), tick: self.tick })
    }

    /// Makes the requests below the path go wrong: the `nth` and so many after it.
    fn strike(&self, path: &str, nth: u32, times: u32, action: FaultAction) {
        self.sandbox.add_fault(Fault::new(action).on("GET", path).nth(nth).times(times));
    }

    /// Path and query of each request so far, decoded.
    fn asked(&self) -> Vec<String> {
        let journal = self.sandbox.journal();
        journal.iter().map(|exchange| decoded(&format!("{}?{}", exchange.path, exchange.query))).collect()
    }

    /// Requests so far by bucket; those that are not charged are left out.
    fn by_bucket(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for exchange in self.sandbox.journal().iter().filter(|exchange| exchange.path.starts_with("/api/")) {
            *counts.entry(exchange.bucket).or_default() += 1;
        }
        counts
    }

    /// The tables as the organisation's own state gives them. Forgets the requests made so far.
    async fn expected(&self, tables: &[Table]) -> Set {
        let mut set = Set::new();
        for table in tables {
            let rows = match table.name.as_str() {
                "groupsusers" | "groupsapps" => self.links(&table.name),
                _ => self.objects(table).await,
            };
            set.insert(table.name.clone(), rows);
        }
        self.sandbox.clear_journal();
        set
    }

    async fn objects(&self, table: &Table) -> Rows {
        let ids = self.sandbox.with_org(|org| match table.name.as_str() {
            "users" => org.user_ids(),
            "groups" => org.group_ids(),
            _ => org.app_ids(),
        });
        let mut rows = Rows::new();
        for id in ids {
            let object = call(&self.sandbox, "GET", &format!("/api/v1/{}/{id}", table.name)).await;
            let object: &RawValue = serde_json::from_str(&object).expect("an object is JSON");
            rows.insert(vec![id], table.columns.iter().map(|column| cell(object, &column.path)).collect());
        }
        rows
    }

    fn links(&self, table: &str) -> Rows {
        let links: BTreeSet<Vec<String>> = self.sandbox.with_org(|org| {
            let (groups, apps) = (org.group_ids(), org.app_ids());
            let links = groups.into_iter().flat_map(|group| {
                let others = match table {
                    "groupsusers" => org.member_ids(&group),
                    _ => apps.iter().filter(|app| org.has_assignment(app, &group)).cloned().collect(),
                };
                others.into_iter().map(move |other| vec![group.clone(), other])
            });
            links.collect()
        });
        links.into_iter().map(|link| (link.clone(), link)).collect()
    }
}

/// The settings of a connection; the token is the default of the sandbox.
fn settings(server: &str, token: &str, more: &[(&str, &str)]) -> ConnectionSettings {
    let id = "OktaExport".parse().expect("the identifier is good");
    let settings = ConnectionSettings::new(id).with("Server", server).with("ApiKey", token);
    more.iter().fold(settings, |settings, (key, value)| settings.with(*key, *value))
}

/// The table with its default columns.
fn table(name: &str) -> Table {
    let capabilities = OktaConnector::capabilities();
    let columns: Vec<&str> = capabilities.table(name).expect("the table is known").default_columns().collect();
    table_of(name, &columns)
}

/// The table with these columns; those of its identity are the key.
fn table_of(name: &str, columns: &[&str]) -> Table {
    let capabilities = OktaConnector::capabilities();
    let identity = capabilities.table(name).expect("the table is known").identity;
    let place = |path: &&str| columns.iter().position(|column| column.eq_ignore_ascii_case(path));
    Table {
        name: name.to_owned(),
        key: identity.iter().map(|path| place(path).expect("the key is a column")).collect(),
        columns: columns.iter().map(|path| Column::at(*path)).collect(),
    }
}

fn tables(names: &[&str]) -> Vec<Table> {
    names.iter().map(|name| table(name)).collect()
}

/// All records of the tables; a record that comes twice is one.
async fn export_all(connector: &OktaConnector, tables: &[Table]) -> Result<Set> {
    let batches: Vec<RecordBatch> = connector.export(tables).try_collect().await?;
    let mut set: Set = tables.iter().map(|table| (table.name.clone(), Rows::new())).collect();
    for batch in &batches {
        let Table { name, key, .. } = &tables[batch.table];
        let rows = set.get_mut(name).expect("every table has its place");
        for record in batch.records.iter() {
            let cells: Vec<String> = record.map(str::to_owned).collect();
            rows.insert(key.iter().map(|&column| cells[column].clone()).collect(), cells);
        }
    }
    Ok(set)
}

/// Compares table by table, and says little where there is much that differs.
#[track_caller]
fn assert_same(found: &Set, expected: &Set, when: &str) {
    assert!(found.keys().eq(expected.keys()), "{when}: the tables are {:?}", found.keys());
    for (table, rows) in expected {
        let (found, rows): (BTreeSet<_>, BTreeSet<_>) = (found[table].iter().collect(), rows.iter().collect());
        let missing: Vec<_> = rows.difference(&found).take(2).collect();
        let surplus: Vec<_> = found.difference(&rows).take(2).collect();
        assert!(
            missing.is_empty() && surplus.is_empty(),
            "{when}: `{table}` has {} records of {}; missing {missing:?}, surplus {surplus:?}",
            found.len(),
            rows.len()
        );
    }
}

/// The text of a cell as the contract wants it, by another way than the connector's: object by object, by exact path.
fn cell(object: &RawValue, path: &str) -> String {
    let mut value = object;
    for segment in path.split('.') {
        let Ok(members) = serde_json::from_str::<BTreeMap<String, &RawValue>>(value.get()) else {
            return String::new();
        };
        match members.get(segment) {
            Some(member) => value = member,
            None => return String::new(),
        }
    }
    cell_text(value.get())
}

fn cell_text(json: &str) -> String {
    if let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(json) {
        let mut elements: Vec<String> = elements.into_iter().map(|element| cell_text(element.get())).collect();
        elements.sort();
        return elements.join("\n");
    }
    match serde_json::from_str::<Option<String>>(json) {
        Ok(text) => text.unwrap_or_default(),
        // A number or a truth value, or an object, which comes without white space.
        Err(_) => json.to_owned(),
    }
}

/// The body of the sandbox's answer to a request without a body, which must succeed.
async fn call(sandbox: &Sandbox, method: &str, target: &str) -> String {
    let (url, token) = (sandbox.url(), sandbox.token());
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.expect("the sandbox listens");
    let request = format!(
        "{method} {target} HTTP/1.1\r\nhost: {address}\r\nauthorization: SSWS {token}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.expect("the sandbox reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("the sandbox answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    assert!(head.starts_with("HTTP/1.1 20"), "{method} {target}: {head}");
    body.to_owned()
}

/// Without percent encoding.
fn decoded(target: &str) -> String {
    let pairs = url::form_urlencoded::parse(target.as_bytes());
    pairs
        .map(|(name, value)| if value.is_empty() { name.into_owned() } else { format!("{name}={value}") })
        .collect::<Vec<_>>()
        .join("&")
}
