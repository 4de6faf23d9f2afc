//! Real traffic: answers recorded at Okta organisations, served again and read by the connector.
//!
//! The recordings lie beside the repository; where they do not, the tests say so and pass.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::Path,
    sync::LazyLock,
    time::{Duration, UNIX_EPOCH},
};

use connector_api::{ErrorKind, Table};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    Rows, cell, export_all,
    scripted::{Answer, Scripted},
    since_start, table, table_of, tables,
};

/// Where the recordings lie, seen from the workspace.
const PLACE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/okta/recordings");

#[derive(Deserialize)]
struct Cassette {
    interactions: Vec<Interaction>,
}

#[derive(Deserialize)]
struct Interaction {
    request: Request,
    response: Response,
}

#[derive(Deserialize)]
struct Request {
    method: String,
    uri: String,
}

#[derive(Deserialize)]
struct Response {
    status: Status,
    headers: BTreeMap<String, Lines>,
    body: Body,
}

#[derive(Deserialize)]
struct Status {
    code: u16,
}

#[derive(Deserialize)]
struct Body {
    string: String,
}

/// The lines of one header.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lines {
    One(String),
    Several(Vec<String>),
}

/// A recorded answer and the request it answers.
#[derive(Clone)]
struct Recorded {
    method: String,
    path: String,
    query: String,
    answer: Answer,
}

static RECORDINGS: LazyLock<Vec<Recorded>> = LazyLock::new(|| {
    let Ok(folders) = std::fs::read_dir(PLACE) else {
        // Not captured as printed text is: whoever runs the tests is to see it.
        let _ = writeln!(std::io::stderr(), "no recorded traffic at {PLACE}: it is not read by the connector");
        return Vec::new();
    };
    let folders = folders.map(|folder| folder.expect("the folder can be read").path()).filter(|path| path.is_dir());
    let files = folders.flat_map(|folder| std::fs::read_dir(folder).expect("the folder can be read"));
    files.flat_map(|file| cassette(&file.expect("the folder can be read").path())).collect()
});

fn cassette(file: &Path) -> Vec<Recorded> {
    // Edited by hand, as the recordings' own description says.
    let name = file.to_string_lossy();
    if name.contains("forgot_password") {
        return Vec::new();
    }
    let text = std::fs::read_to_string(file).expect("a recording can be read");
    let cassette: Cassette = serde_yaml_ng::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let recorded = cassette.interactions.into_iter().map(Recorded::from);
    recorded.filter(|recorded| !name.contains("application_features") || recorded.answer.status == 429).collect()
}

impl From<Interaction> for Recorded {
    fn from(Interaction { request, response }: Interaction) -> Self {
        let target = request.uri.split_once("://").map_or(&*request.uri, |(_, rest)| rest);
        let target = target.find('/').map_or("/", |start| &target[start..]);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = response.headers.into_iter().flat_map(|(name, lines)| {
            let lines = match lines {
                Lines::One(line) => vec![line],
                Lines::Several(lines) => lines,
            };
            lines.into_iter().map(move |line| (name.clone(), line))
        });
        // The bodies were recorded as text, so what is said about their transport no longer holds.
        let of_transport = ["content-encoding", "content-length", "transfer-encoding", "connection"];
        let headers = headers.filter(|(name, _)| !of_transport.contains(&name.to_lowercase().as_str())).collect();
        let answer = Answer { status: response.status.code, headers, body: response.body.string };
        Self { method: request.method, path: path.to_owned(), query: query.to_owned(), answer }
    }
}

impl Recorded {
    fn after(&self) -> Option<&str> {
        after(&self.query)
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.answer.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, line)| line.as_str())
    }

    /// The first page of a list, and what was asked for in its path.
    fn list(&self) -> Option<Vec<&str>> {
        let is_list = self.method == "GET" && self.answer.status == 200 && self.answer.body.starts_with('[');
        let path = self.path.strip_prefix("/api/v1/").filter(|_| is_list && self.after().is_none())?;
        Some(path.split('/').collect())
    }
}

fn after(query: &str) -> Option<&str> {
    query.split('&').find_map(|pair| pair.strip_prefix("after="))
}

fn objects(body: &str) -> Vec<&RawValue> {
    serde_json::from_str(body).expect("a recorded list is JSON")
}

/// The pages of a list: the recorded one, and those its next links lead to as far as they were recorded.
fn pages(first: &Recorded) -> BTreeMap<Option<String>, Answer> {
    let mut pages = BTreeMap::from([(None, first.answer.clone())]);
    for other in RECORDINGS.iter().filter(|other| other.path == first.path && other.answer.status == 200) {
        if let Some(cursor) = other.after() {
            pages.insert(Some(cursor.to_owned()), other.answer.clone());
        }
    }
    pages
}

/// Exports the table from a server that answers the list with its pages, `owners` with objects of these ids, and
/// nothing about schemas. Gives the objects of the pages that were read, and the records that came of them.
async fn served(first: &Recorded, table: Table, by: &str, owners: BTreeMap<String, String>) -> (Vec<String>, Rows) {
    let (pages, path) = (pages(first), first.path.clone());
    let bodies: BTreeMap<_, _> = pages.iter().map(|(cursor, answer)| (cursor.clone(), answer.body.clone())).collect();
    let server = Scripted::start(move |target, _| {
        let (asked, query) = target.split_once('?').unwrap_or((target, ""));
        if let Some(owners) = owners.get(asked).filter(|_| asked != path) {
            return Answer::json(200, owners.as_str());
        }
        match pages.get(&after(query).map(str::to_owned)) {
            Some(page) if asked == path => page.clone(),
            _ if asked == path => Answer::json(200, "[]"),
            _ => Answer::json(403, r#"{"errorCode":"E0000006","errorSummary":"no"}"#),
        }
    })
    .await;
    let name = table.name.clone();
    let tables = [table];
    let found = export_all(&server.connector("token", &[("GroupsAppsBy", by)]), &tables).await;
    let mut found = found.unwrap_or_else(|error| panic!("{} as {name}: {error}", first.path));
    let heads = server.heads();
    let asked = heads.iter().filter_map(|head| head.split(' ').nth(1)?.split_once('?'));
    let read = asked.filter(|(asked, _)| *asked == first.path).map(|(_, query)| after(query).map(str::to_owned));
    let read: BTreeSet<Option<String>> = read.collect();
    let bodies = read.iter().filter_map(|cursor| bodies.get(cursor));
    let read = bodies.flat_map(|body| objects(body)).map(|object| object.get().to_owned()).collect();
    (read, found.remove(&name).expect("the table was exported"))
}

/// The default columns, these, and every attribute that the profiles have.
fn columns(table_name: &str, more: &[&str], body: &str) -> Table {
    let default = table(table_name);
    let mut columns: Vec<String> = default.columns.into_iter().map(|column| column.path).collect();
    columns.extend(more.iter().map(|path| (*path).to_owned()));
    for object in objects(body) {
        let profile = cell(object, "profile");
        let profile: BTreeMap<String, &RawValue> = serde_json::from_str(&profile).unwrap_or_default();
        columns.extend(profile.into_keys().filter(|name| !name.contains('.')).map(|name| format!("profile.{name}")));
    }
    let mut seen = BTreeSet::new();
    columns.retain(|path| seen.insert(path.clone()));
    table_of(table_name, &columns.iter().map(String::as_str).collect::<Vec<_>>())
}

fn raw(object: &str) -> &RawValue {
    serde_json::from_str(object).expect("an object is JSON")
}

#[tokio::test]
async fn recorded_objects_become_the_cells_they_hold() {
    let mut read = BTreeMap::new();
    for recorded in RECORDINGS.iter() {
        let (name, more) = match recorded.list().as_deref() {
            Some(["users"]) => ("users", &["credentials.provider.type", "credentials.emails", "_links.self.href"][..]),
            Some(["groups"]) => ("groups", &["objectClass", "source.id", "_links.users.href", "profile"][..]),
            Some(["apps"]) => ("apps", &["visibility", "features", "settings.app", "credentials.signing.kid"][..]),
            _ => continue,
        };
        let table = columns(name, more, &recorded.answer.body);
        let paths: Vec<String> = table.columns.iter().map(|column| column.path.clone()).collect();
        let (objects, found) = served(recorded, table, "app", BTreeMap::new()).await;
        let cells = |object: &String| paths.iter().map(|path| cell(raw(object), path)).collect::<Vec<_>>();
        let expected: Rows = objects.iter().map(|object| (vec![cell(raw(object), "id")], cells(object))).collect();
        assert_eq!(found, expected, "{}?{}", recorded.path, recorded.query);
        *read.entry(name).or_insert(0) += objects.len();
    }
    assert!(RECORDINGS.is_empty() || ["users", "groups", "apps"].iter().all(|name| read[name] > 3), "{read:?}");
}

#[tokio::test]
async fn recorded_links_become_records() {
    let mut lists = BTreeSet::new();
    for recorded in RECORDINGS.iter() {
        let body = &recorded.answer.body;
        let one = |id: &str| format!(r#"[{{"id":"{id}"}}]"#);
        let (owner, other, name, by, owners) = match recorded.list().as_deref() {
            Some(["groups", id, "users"]) => (0, 1, "groupsusers", "app", vec![("/api/v1/groups", one(id))]),
            Some(["apps", id, "groups"]) => (1, 0, "groupsapps", "app", vec![("/api/v1/apps", one(id))]),
            Some(["groups", id, "apps"]) => {
                (0, 1, "groupsapps", "group", vec![("/api/v1/groups", one(id)), ("/api/v1/apps", body.clone())])
            }
            _ => continue,
        };
        let id = recorded.path.split('/').nth(4).unwrap().to_owned();
        let owners = owners.into_iter().map(|(path, body)| (path.to_owned(), body)).collect();
        let (objects, found) = served(recorded, table(name), by, owners).await;
        let expected: BTreeSet<Vec<String>> = objects
            .iter()
            .map(|object| {
                let mut link = vec![String::new(), String::new()];
                link[owner] = id.clone();
                link[other] = cell(raw(object), "id");
                link
            })
            .collect();
        assert_eq!(found.into_keys().collect::<BTreeSet<_>>(), expected, "{}", recorded.path);
        lists.insert((name, by));
    }
    assert!(RECORDINGS.is_empty() || lists.len() == 3, "{lists:?}");
}

#[tokio::test]
async fn recorded_refusals_for_frequency_are_waited_for() {
    for recorded in RECORDINGS.iter().filter(|recorded| recorded.answer.status == 429) {
        let date = httpdate::parse_http_date(recorded.header("date").unwrap()).unwrap();
        let reset: u64 = recorded.header("x-rate-limit-reset").unwrap().parse().unwrap();
        let wait = Duration::from_secs(reset + 1) - date.duration_since(UNIX_EPOCH).unwrap();
        let refusal = recorded.answer.clone();
        let server =
            Scripted::start(move |_, before| if before == 0 { refusal.clone() } else { Answer::json(200, "[]") }).await;
        export_all(&server.connector("token", &[]), &tables(&["users"])).await.unwrap();
        assert_eq!(since_start(&server.clock), wait, "{}", recorded.path);
        assert!(wait > Duration::from_secs(1), "{}", recorded.path);
    }
}

#[tokio::test]
async fn recorded_errors_are_of_the_right_kind() {
    let mut seen = BTreeSet::new();
    for recorded in RECORDINGS.iter().filter(|recorded| recorded.answer.status >= 400 && recorded.answer.status != 429)
    {
        let code = serde_json::from_str::<&RawValue>(&recorded.answer.body)
            .map_or_else(|_| String::new(), |body| cell(body, "errorCode"));
        let status = recorded.answer.status;
        if !seen.insert((status, code.clone())) {
            continue;
        }
        let kind = match (status, code.as_str()) {
            (401, "E0000015") => ErrorKind::Rejected,
            (401 | 403, _) => ErrorKind::Credentials,
            (404, "E0000007") => ErrorKind::NotFound,
            (404, _) => ErrorKind::Settings,
            (423 | 500.., _) => ErrorKind::Unavailable,
            _ => ErrorKind::Rejected,
        };
        let answer = recorded.answer.clone();
        let server = Scripted::start(move |_, _| answer.clone()).await;
        let error = export_all(&server.connector("token", &[]), &tables(&["users"])).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status} {code}: {error}");
        assert!(error.to_string().contains(&code) && error.hint().is_some(), "{status} {code}: {error:?}");
    }
    assert!(RECORDINGS.is_empty() || seen.len() > 7, "{seen:?}");
}
