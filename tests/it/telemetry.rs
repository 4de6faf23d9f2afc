//! Traces as a collector of OpenTelemetry gets them, from a command and from the daemon.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use acceptance::{CONNECTION, Run, TestAgent, assert_folder_unseen};
use serde_json::{Value, json};

use crate::password::daemon::Daemon;

/// What a collector is sent.
struct Taken {
    path: String,
    /// In lower case.
    head: String,
    body: Value,
}

/// A collector that keeps what it is sent.
struct Collector {
    address: String,
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the collector works");
        let address = format!("http://{}", listener.local_addr().expect("the collector works"));
        let taken = Arc::new(Mutex::new(Vec::new()));
        let kept = taken.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                if let Some(request) = take(stream.expect("the collector works")) {
                    kept.lock().expect("the collector works").push(request);
                }
            }
        });
        Self { address, taken }
    }

    /// All spans so far; each was sent where the protocol says, by a service of this name.
    fn spans(&self, service: &str) -> Vec<Value> {
        let mut spans = Vec::new();
        for Taken { path, body, .. } in self.taken.lock().expect("the collector works").iter() {
            assert_eq!(path, "/v1/traces");
            let of = &body["resourceSpans"][0];
            let named = json!({ "key": "service.name", "value": { "stringValue": service } });
            assert!(of["resource"]["attributes"].as_array().expect("the collector works").contains(&named), "{of}");
            spans.extend(of["scopeSpans"][0]["spans"].as_array().expect("the collector works").iter().cloned());
        }
        spans
    }
}

/// One request of a connection, which is closed after it.
fn take(stream: TcpStream) -> Option<Taken> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut head) = (0, String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if header.trim().is_empty() {
            break;
        }
        let header = header.to_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head.push_str(&header);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}").ok()?;
    Some(Taken { path, head, body: serde_json::from_slice(&body).ok()? })
}

fn named<'a>(spans: &'a [Value], name: &str) -> &'a Value {
    let names: Vec<&Value> = spans.iter().map(|span| &span["name"]).collect();
    spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("no {name}: {names:?}"))
}

/// The span that this one is within.
fn within<'a>(spans: &'a [Value], span: &Value) -> &'a Value {
    let parent = spans.iter().find(|other| other["spanId"] == span["parentSpanId"]).expect("its parent was sent");
    assert_eq!(parent["traceId"], span["traceId"]);
    parent
}

#[test]
fn a_command_sends_its_spans_before_it_ends_and_nothing_of_whom_it_reads() {
    let agent = TestAgent::new();
    let collector = Collector::start();
    let mut command = agent.command(&["export", CONNECTION]);
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.address).env("Telemetry__ServiceName", "the agent");
    let run = Run::of(command).must_exit(0);
    assert!(!run.stderr.contains("otel.") && !run.stderr.contains("GET /api"), "{}", run.stderr);
    let spans = collector.spans("the agent");
    let export = named(&spans, "export");
    assert_eq!((&export["parentSpanId"], &export["status"]["code"]), (&json!(""), &json!(0)));
    let requests: Vec<&Value> = spans.iter().filter(|span| span["kind"] == 3).collect();
    assert!(requests.len() > 5, "{spans:?}");
    let asked = json!({ "key": "http.request.method", "value": { "stringValue": "GET" } });
    let answered = json!({ "key": "http.response.status_code", "value": { "intValue": "200" } });
    for request in requests {
        assert_eq!(within(&spans, request), export);
        let attributes = request["attributes"].as_array().expect("the collector works");
        assert!(attributes.contains(&asked) && attributes.contains(&answered), "{request}");
    }
    let (text, users) = (serde_json::to_string(&spans).expect("the collector works"), agent.csv("users"));
    let folder = tempfile::tempdir().expect("the collector works");
    fs::write(folder.path().join("spans.json"), &text).expect("the collector works");
    assert_folder_unseen(folder.path(), &BTreeMap::new());
    let ids: Vec<&str> = users.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert!(ids.len() > 3 && ids.iter().all(|id| !text.contains(id.trim_matches('"'))), "{text}");
}

#[test]
fn the_daemon_traces_a_run_down_to_its_requests_and_answers_too() {
    let agent = TestAgent::new();
    let collector = Collector::start();
    let steps = json!([{ "Kind": "export", "Connection": CONNECTION }]);
    let settings = json!({ "Jobs": { "Nightly": { "Steps": steps } }, "Telemetry": { "Endpoint": collector.address } });
    agent.write("appsettings.json", &settings.to_string());
    let daemon = Daemon::start(agent.command(&["run"]));
    agent.run(&["job", "start", "Nightly"]).must_exit(0);
    daemon.end();
    let spans = collector.spans("agent-host");
    let export = named(&spans, "export");
    let step = within(&spans, export);
    let run = within(&spans, step);
    assert_eq!((&step["name"], &run["name"]), (&json!("step"), &json!("run")));
    let state = json!({ "key": "run.state", "value": { "stringValue": "success" } });
    assert!(run["attributes"].as_array().expect("the collector works").contains(&state), "{run}");
}

#[test]
fn the_collector_is_shown_the_headers_of_the_settings_and_of_the_standard_variable() {
    let agent = TestAgent::new();
    let collector = Collector::start();
    let mut command = agent.command(&["export", CONNECTION]);
    command.env("Telemetry__Endpoint", &collector.address).env("OTEL_EXPORTER_OTLP_HEADERS", "x-of=the variable");
    acceptance::watch("collectors-own-token");
    command.env("Telemetry__Headers", "Authorization=Bearer collectors-own-token, x-tenant=a");
    Run::of(command).must_exit(0);
    assert!(!collector.spans("agent-host").is_empty());
    for Taken { head, .. } in collector.taken.lock().expect("the collector works").iter() {
        for header in ["authorization: bearer collectors-own-token\r\n", "x-tenant: a\r\n", "x-of: the variable\r\n"] {
            assert!(head.contains(header), "{header:?} in {head}");
        }
    }
    let mut command = agent.command(&["export", CONNECTION]);
    command.env("Telemetry__Endpoint", &collector.address).env("Telemetry__Headers", "Bearer collectors-own-token");
    let run = Run::of(command).must_exit(3);
    assert!(run.failure().contains("`Telemetry:Headers` holds something that is no header"), "{}", run.stderr);
}

#[test]
fn as_many_traces_are_sent_as_are_wanted() {
    let agent = TestAgent::new();
    let collector = Collector::start();
    for (key, value) in [("Telemetry__SampleRatio", "0"), ("OTEL_TRACES_SAMPLER", "always_off")] {
        let mut command = agent.command(&["export", CONNECTION]);
        command.env("Telemetry__Endpoint", &collector.address).env(key, value);
        Run::of(command).must_exit(0);
        assert!(collector.taken.lock().expect("the collector works").is_empty(), "{key}");
    }
    let mut command = agent.command(&["export", CONNECTION]);
    command.env("Telemetry__Endpoint", &collector.address).env("Telemetry__SampleRatio", "2");
    assert!(Run::of(command).must_exit(3).failure().contains("`Telemetry:SampleRatio` is no number from 0 to 1"));
}

#[test]
fn a_collector_that_is_down_costs_a_warning_and_one_that_is_none_is_refused() {
    let agent = TestAgent::new();
    let mut command = agent.command(&["export", CONNECTION]);
    command.env("Telemetry__Endpoint", "http://127.0.0.1:9");
    let run = Run::of(command).must_exit(0);
    assert!(run.stderr.contains("spans are lost until the collector is well again"), "{}", run.stderr);
    let mut command = agent.command(&["export", CONNECTION]);
    command.env("Telemetry__Endpoint", "collector:4318");
    assert!(Run::of(command).must_exit(3).failure().contains("`Telemetry:Endpoint` is no address of a collector"));
}
