//! Exports that go to storage that speaks S3's language, played by moto. Where that is missing, these tests say so.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::TcpStream,
};

use acceptance::{CONNECTION, Run, TestAgent};
use okta_sandbox::{Fault, FaultAction, Seed};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    api::administrator,
    moto::{ACCESS_KEY, Moto},
    password::daemon::Daemon,
};

const BUCKET: &str = "exports";

/// What moto is asked, and its answer's body.
fn ask(moto: &Moto, method: &str, target: &str) -> String {
    let address = moto.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).expect("moto listens");
    write!(
        stream,
        "{method} {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request\r\n\r\n"
    )
    .expect("moto reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("moto answers");
    let answer = String::from_utf8(answer).expect("it is text");
    answer.split_once("\r\n\r\n").expect("an answer has a head").1.to_owned()
}

/// Everything in the bucket, by its key.
fn objects(moto: &Moto) -> BTreeMap<String, String> {
    let list = ask(moto, "GET", &format!("/{BUCKET}?list-type=2"));
    let keys = list.split("<Key>").skip(1).filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned()));
    keys.map(|key| (key.clone(), ask(moto, "GET", &format!("/{BUCKET}/{key}")))).collect()
}

/// The manifest, whose files are as it says.
fn whole_set(objects: &BTreeMap<String, String>) -> Value {
    let manifest: Value =
        serde_json::from_str(&objects[&format!("okta/{CONNECTION}_export.json")]).expect("it is JSON");
    let set = manifest["set"].as_str().expect("it names the folder of its set");
    for (_, table) in manifest["tables"].as_object().expect("there are tables") {
        let file = table["file"].as_str().expect("a table has a file");
        let text = &objects[&format!("okta/{set}/{file}")];
        let sum: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(table["sha256"], sum, "{file}");
    }
    manifest
}

/// The set and its files come from the bucket: what is in the agent's own folder is from another export, or from none.
fn an_agent_that_did_not_export_shows_it(agent: &TestAgent, objects: &BTreeMap<String, String>, manifest: &Value) {
    let token = administrator(agent);
    let mut command = agent.command(&["run"]);
    command.env("TempFolderPath", agent.beside("temp-of-another"));
    let daemon = Daemon::start(command);
    let ask = |path: &str| {
        let target = format!("/api/v1/connections/{CONNECTION}/exports{path}");
        let page = daemon.ask_with("GET", &target, &format!("authorization: Bearer {token}\r\n"), "");
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        page
    };
    let shown: Value = serde_json::from_str(&ask("").body).expect("JSON");
    assert_eq!(shown["output"], format!("s3://{BUCKET}/okta"));
    assert_eq!(shown["set"]["finished"], manifest["finished"]);
    let list = daemon.ask_with("GET", "/api/v1/exports", &format!("authorization: Bearer {token}\r\n"), "");
    assert!(list.body.contains(manifest["finished"].as_str().expect("a time")), "{}", list.body);
    for (table, entry) in shown["set"]["tables"].as_object().expect("there are tables") {
        assert_eq!(entry["sha256"], manifest["tables"][table]["sha256"]);
        let file = entry["file"].as_str().expect("a file");
        let page = ask(&format!("/files/{file}"));
        assert_eq!(page.body, objects[&format!("okta/{file}")], "{file}");
        assert!(page.head.to_lowercase().contains(&format!("content-length: {}", entry["bytes"])), "{}", page.head);
    }
    let file = format!("{CONNECTION}_export.json");
    assert_eq!(ask(&format!("/files/{file}")).body, objects[&format!("okta/{file}")]);
    daemon.end();
}

/// The former set is in the bucket alone.
fn an_agent_that_did_not_export_compares_with_it(agent: &TestAgent) {
    agent.org(|org| org.add_group("Newer"));
    let mut command = agent.command(&["export", CONNECTION, "--format", "json"]);
    command.env("TempFolderPath", agent.beside("temp-of-another"));
    let tables = Run::of(command).must_exit(0).json()["tables"].clone();
    assert_eq!(tables["groups"]["difference"]["added"], 1, "{tables}");
    assert_eq!(tables["users"]["difference"], json!({ "added": 0, "removed": 0, "changed": 0 }));
}

#[test]
fn sets_in_a_bucket_are_whole_and_a_failed_export_leaves_the_former_one() {
    let Some(moto) = Moto::start(false) else { return };
    ask(&moto, "PUT", &format!("/{BUCKET}"));
    let agent = TestAgent::seeded(Seed::exact(12, 3, 2, 4));
    agent.set("RetryBudgetSeconds", json!(1));
    acceptance::watch(ACCESS_KEY);
    let storage = json!({ "Endpoint": moto.url, "Region": "us-east-1", "AllowHttp": true, "AccessKeyId": "AKIA",
        "SecretAccessKey": ACCESS_KEY });
    let settings = json!({ "ExportOutput": format!("s3://{BUCKET}/okta"), "ExportOutputStorage": storage });
    agent.write("appsettings.json", &settings.to_string());

    assert_eq!(agent.exported(&[])["output"], format!("s3://{BUCKET}/okta"));
    let first = objects(&moto);
    let former = whole_set(&first);
    assert_eq!(former["tables"].as_object().map(serde_json::Map::len), Some(5));
    let users = |objects: &BTreeMap<String, String>| objects[&format!("okta/{CONNECTION}_users.csv")].clone();
    assert!(users(&first).lines().count() > 12);

    agent.sandbox.add_fault(Fault::new(FaultAction::Html(503)).on("GET", "/api/v1/apps").always());
    agent.export(&[]).must_exit(5);
    assert_eq!(objects(&moto), first, "nothing is changed by an export that fails");
    agent.sandbox.clear_faults();

    let made = agent.org(|org| org.add_group("New"));
    agent.exported(&["--table", "groups"]);
    let second = objects(&moto);
    let manifest = whole_set(&second);
    assert_ne!(manifest["set"], former["set"]);
    assert!(second[&format!("okta/{CONNECTION}_groups.csv")].contains(&made));
    assert_eq!(users(&second), users(&first), "what was not exported stays");
    agent.exported(&[]);
    let third = objects(&moto);
    let manifest = whole_set(&third);
    an_agent_that_did_not_export_shows_it(&agent, &third, &manifest);
    an_agent_that_did_not_export_compares_with_it(&agent);
    assert!(!third.keys().any(|key| key.contains(former["set"].as_str().unwrap())), "old sets are removed: {third:?}");

    agent.write("appsettings.json", &settings.to_string().replace("s3://exports", "s3://nowhere"));
    let failed = agent.export(&[]).must_exit(5);
    assert!(failed.failure().contains("`s3://nowhere/okta` failed"), "{}", failed.stderr);
}
