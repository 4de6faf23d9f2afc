//! The JSON API through the running agent: what programs see and start, and who may.

mod access;
mod client;
mod guards;
mod orders;
mod suite;

use std::collections::BTreeSet;

use acceptance::{CONNECTION, TestAgent, watch};
use okta_sandbox::{Fault, FaultAction, Seed, Status};
use serde_json::{Value, json};

use crate::password::{ADA, daemon::until};
use client::Client;

/// Makes a token with these arguments.
fn token(agent: &TestAgent, name: &str, further: &[&str]) -> String {
    let report = agent.run(&[&["--format", "json", "token", "create", name], further].concat()).must_exit(0).json();
    assert_eq!(report["name"], name);
    let token = report["token"].as_str().expect("a token is printed").to_owned();
    watch(&token);
    token
}

pub(crate) fn administrator(agent: &TestAgent) -> String {
    token(agent, "root", &["--role", "administrator"])
}

/// The path of something of the connection.
fn of(rest: &str) -> String {
    format!("/api/v1/connections/{CONNECTION}{rest}")
}

/// Waits until a run has ended; the run.
fn ended(client: &Client, run: &Value) -> Value {
    let path = format!("/api/v1/runs/{run}");
    until(|| client.get(&path).must(200)["is_over"] == true);
    client.get(&path).must(200)
}

#[test]
fn an_export_is_started_followed_and_downloaded() {
    let agent = TestAgent::seeded(Seed::exact(12, 3, 2, 4));
    let client = Client::start(&agent, &administrator(&agent));
    let before = client.get(&of("/exports")).must(200);
    assert_eq!((&before["set"], &before["difference"]), (&Value::Null, &Value::Null));
    for _ in 0..2 {
        let run = client.post(&of("/exports"), None).must(202);
        assert_eq!((&run["job"], &run["cause"]), (&json!(format!("export:{CONNECTION}")), &json!("person")));
        let run = ended(&client, &run["run"]);
        assert_eq!(run["state"], "success", "{run}");
        assert!(run["steps"][0]["message"].as_str().unwrap().starts_with("exported users 1"), "{run}");
        let log = client.get(&format!("/api/v1/runs/{}/log", run["run"])).must(200);
        assert!(log["is_whole"] == true && log["text"].as_str().unwrap().contains("the run begins"), "{log}");
        let rest = client.get(&format!("/api/v1/runs/{}/log?from={}", run["run"], log["next"])).must(200);
        assert_eq!((&rest["text"], &rest["next"]), (&json!(""), &log["next"]));
    }
    let set = client.get(&of("/exports")).must(200);
    let users = set["set"]["tables"]["users"]["records"].as_i64().expect("a count");
    let none = json!({ "added": 0, "removed": 0, "changed": 0 });
    let difference = json!({ "before": users, "now": users, "is_changed": false, "records": none });
    assert_eq!((&set["difference"]["users"], users), (&difference, agent.csv("users").lines().count() as i64 - 1));
    let name = set["set"]["tables"]["users"]["file"].as_str().expect("a file").to_owned();
    let file = client.get(&of(&format!("/exports/files/{name}")));
    assert_eq!((file.status, &file.text), (200, &agent.csv("users")));
    assert!(file.head.contains("content-type: text/csv"), "{}", file.head);
    for other in ["agent.db", "..%2F..%2Fappsettings.agent.json", ".OktaExportFulfillment", "%2Fetc%2Fpasswd"] {
        client.get(&of(&format!("/exports/files/{other}"))).must(404);
    }
    let history = client.get(&of("/exports/history?limit=1")).must(200);
    assert_eq!(history["sets"][0]["records"]["users"], users);
    let older = client.get(&of(&format!("/exports/history?cursor={}", history["next"]))).must(200);
    assert_eq!((older["sets"].as_array().unwrap().len(), &older["next"]), (1, &Value::Null));
    assert_eq!(client.get("/api/v1/exports").must(200)["exports"][0]["set"], set["set"]);
    client.end();
}

#[test]
fn a_set_tells_which_records_came_went_and_changed_since_the_one_before() {
    let agent = TestAgent::seeded(Seed::exact(30, 4, 2, 8));
    let first = agent.exported(&[]);
    assert_eq!(first["tables"]["users"].get("difference"), None, "there was nothing to compare with");
    let links = |agent: &TestAgent| -> BTreeSet<String> {
        agent.csv("groupsusers").lines().skip(1).map(str::to_owned).collect()
    };
    let before = links(&agent);
    agent.org(|org| {
        let users = org.user_ids();
        users[5..10].iter().for_each(|user| assert!(org.remove_user(user)));
        for number in 0..5 {
            let login = format!("new{number}@corp.example");
            let profile = json!({ "login": login, "email": login, "firstName": "N, \"quoted\"", "lastName": "E" });
            org.add_user(profile, Status::Active);
        }
        users[20..22].iter().for_each(|user| assert!(org.set_attribute(user, "lastName", json!("Other\nname"))));
        org.add_group("Another");
    });
    let second = agent.exported(&[]);
    let changes = json!({ "added": 5, "removed": 5, "changed": 2 });
    assert_eq!(second["tables"]["users"]["difference"], changes);
    assert_eq!(second["tables"]["groups"]["difference"]["added"], 1);
    let now = links(&agent);
    let (added, removed) = (now.difference(&before).count(), before.difference(&now).count());
    assert!(removed > 0, "who is gone is in no group");
    let of_links = json!({ "added": added, "removed": removed, "changed": 0 });
    assert_eq!(second["tables"]["groupsusers"]["difference"], of_links);

    let client = Client::start(&agent, &administrator(&agent));
    let shown = client.get(&of("/exports")).must(200)["difference"].clone();
    let users = second["tables"]["users"]["records"].clone();
    let expected = json!({ "before": users, "now": users, "is_changed": true, "records": changes });
    assert_eq!((&shown["users"], &shown["groupsusers"]["records"]), (&expected, &of_links));
    // Another table alone, from a file that somebody altered: it is published all the same.
    std::fs::write(agent.output().join(format!("{CONNECTION}_groups.csv")), "id\n2\n1\n").expect("it can be written");
    agent.exported(&["--table", "groups"]);
    let sets = client.get(&of("/exports/history")).must(200)["sets"].clone();
    assert_eq!((&sets[0]["changes"], &sets[1]["changes"]["users"]), (&json!({}), &changes));
    assert_eq!(sets[2]["changes"], json!({}));
    client.end();
}

#[test]
fn a_connection_shows_how_it_is_and_no_secret() {
    let agent = TestAgent::seeded(Seed::exact(3, 1, 1, 1));
    let client = Client::start(&agent, &administrator(&agent));
    let listed = client.get("/api/v1/connections").must(200);
    assert_eq!(
        (&listed["connections"][0]["connection"], &listed["connections"][0]["health"]),
        (&json!(CONNECTION), &json!("unknown"))
    );
    let checked = client.post(&of("/check"), None).must(200);
    assert_eq!((&checked["ok"], &checked["tables"]["users"]), (&json!(true), &json!(true)));
    let shown = client.get(&of("")).must(200);
    assert_eq!((&shown["health"], &shown["last_check"]["ok"]), (&json!("ok"), &json!(true)));
    let key = shown["settings"].as_array().unwrap().iter().find(|it| it["key"] == "ApiKey").expect("it is set");
    assert_eq!((&key["value"], &key["is_secret"]), (&Value::Null, &json!(true)));
    assert!(key["place"].as_str().unwrap().starts_with("appsettings.agent.json:1:"), "{key}");

    let body = r#"{"errorCode":"E0000011","errorSummary":"Invalid token provided"}"#.to_owned();
    let refusal = FaultAction::Status { status: 401, body, headers: Vec::new() };
    agent.sandbox.add_fault(Fault::new(refusal).on("GET", "/api/v1/users").always());
    assert_eq!(client.post(&of("/check"), None).must(200)["ok"], false);
    assert_eq!(client.get(&of("")).must(200)["health"], "problem");
    client.get("/api/v1/connections/Nobody").must(404);
    client.end();
}

#[test]
fn runs_are_listed_page_by_page_cancelled_and_retried() {
    let agent = TestAgent::seeded(Seed::exact(3, 1, 1, 1));
    agent.set("RetryBudgetSeconds", json!(1));
    let client = Client::start(&agent, &administrator(&agent));
    let job = format!("/api/v1/jobs/export:{CONNECTION}/runs");
    assert_eq!(client.post(&format!("{job}?repair=true"), None).must(409)["error"]["kind"], "conflict");
    let hang = FaultAction::SlowFirstByte(std::time::Duration::from_secs(50));
    agent.sandbox.add_fault(Fault::new(hang).on("GET", "/api/v1/users").always());
    let run = client.post(&job, None).must(202)["run"].clone();
    until(|| agent.sandbox.faults_hit() > 0);
    let overlap = client.post(&job, None).must(409);
    assert!(overlap["error"]["message"].as_str().unwrap().contains("does not overlap itself"), "{overlap}");
    client.post(&format!("/api/v1/runs/{run}/cancel"), None).must(202);
    assert_eq!(ended(&client, &run)["state"], "cancelled");
    client.post(&format!("/api/v1/runs/{run}/cancel"), None).must(409);
    agent.sandbox.clear_faults();
    let retried = client.post(&format!("/api/v1/runs/{run}/retry"), None).must(202);
    assert_eq!(retried["repairs"], run);
    assert_eq!(ended(&client, &retried["run"])["state"], "success");
    client.post(&format!("/api/v1/runs/{run}/retry"), None).must(409);

    let page = client.get("/api/v1/runs?limit=1").must(200);
    assert_eq!(page["runs"][0]["run"], retried["run"]);
    let rest = client.get(&format!("/api/v1/runs?cursor={}&state=cancelled", page["next"])).must(200);
    assert_eq!((&rest["runs"][0]["run"], &rest["next"]), (&run, &Value::Null));
    let jobs = client.get("/api/v1/jobs").must(200);
    let export = jobs["jobs"].as_array().unwrap().iter().find(|it| it["job"] == format!("export:{CONNECTION}"));
    assert_eq!(export.expect("it is there")["last"]["run"], retried["run"]);
    for path in ["/api/v1/runs/9999", "/api/v1/runs/9999/log"] {
        client.get(path).must(404);
    }
    client.end();
}

#[test]
fn a_run_that_is_asked_for_begins_at_once() {
    let agent = TestAgent::seeded(Seed::exact(3, 1, 1, 1));
    let client = Client::start(&agent, &administrator(&agent));
    // Each is asked for when the agent has just looked for others, as it does at the end of a run.
    let waited = (0..5).map(|_| {
        let run = client.post(&format!("/api/v1/jobs/fulfill:{CONNECTION}/runs"), None).must(202);
        let ended = ended(&client, &run["run"]);
        ended["began_ms"].as_i64().unwrap() - ended["queued_ms"].as_i64().unwrap()
    });
    let waited: Vec<i64> = waited.collect();
    assert!(waited.iter().skip(1).any(|waited| *waited < 300), "by itself it looks once a second: {waited:?} ms");
    client.end();
}

#[test]
fn a_password_is_reset_and_shown_to_an_administrator_alone() {
    let agent = crate::password::agent("en");
    crate::password::configure(&agent, json!({ "PickupDirectory": "../Mails" }), json!({}));
    let operator = token(&agent, "help desk", &["--role", "operator"]);
    let client = Client::start(&agent, &administrator(&agent));
    let body = json!({ "login": ADA, "setting": "Silent", "show": true });
    let shown = client.post(&of("/password-resets"), Some(&body)).must(200);
    assert_eq!((&shown["user"], &shown["mode"]), (&json!(ADA), &json!("one_way")));
    watch(shown["temporary_password"].as_str().expect("it is shown"));
    let refused = client.with(&operator).post(&of("/password-resets"), Some(&body)).must(403);
    assert_eq!(refused["error"]["message"], "only an administrator is shown a password, and you are `operator`");
    let quiet = json!({ "login": ADA, "unlock": true });
    let done = client.with(&operator).post(&of("/password-resets"), Some(&quiet)).must(200);
    assert!(done.get("temporary_password").is_none(), "{done}");
    // Whoever has a password sent elsewhere than to its owner is seen to have done so.
    let elsewhere = json!({ "login": ADA, "setting": "Temporary", "notify": "boss@corp.example" });
    client.with(&operator).post(&of("/password-resets"), Some(&elsewhere)).must(200);
    let told = client.get(&of("/password-resets?limit=2")).must(200)["lines"].to_string();
    assert!(told.contains("`boss@corp.example` is told in place of the owner"), "{told}");
    client.with(&operator).post(&of("/password-resets"), Some(&quiet)).must(200);
    let nobody = json!({ "login": "nobody@corp.example", "setting": "Silent" });
    client.post(&of("/password-resets"), Some(&nobody)).must(404);
    client.post(&of("/password-resets"), Some(&json!({ "login": ADA, "setting": "Off" }))).must(409);
    let listed = client.get(&of("/password-resets")).must(200);
    assert_eq!((&listed["lines"][0]["actor"], &listed["lines"][0]["login"]), (&json!("token help desk"), &json!(ADA)));
    let ways = client.get(&of("/password-resets/settings")).must(200);
    assert!(ways["settings"].as_array().unwrap().iter().any(|way| way["setting"] == "Silent"), "{ways}");
    client.end();
}

#[test]
fn a_directory_is_made_filled_and_removed() {
    let agent = TestAgent::seeded(Seed::exact(1, 1, 1, 1));
    let client = Client::start(&agent, &administrator(&agent));
    let made = client.post("/api/v1/directories", Some(&json!({ "directory": "acme" }))).must(201);
    let scim = made["token"].as_str().expect("it is shown once").to_owned();
    watch(&scim);
    client.post("/api/v1/directories", Some(&json!({ "directory": "ACME" }))).must(409);
    let user = json!({ "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ada", "password": "Rather-Bad-Idea8" });
    watch("Rather-Bad-Idea8");
    client.with(&scim).post("/scim/v2/acme/Users", Some(&user)).must(201);
    let shown = client.get("/api/v1/directories/acme").must(200);
    assert_eq!((&shown["users"], &shown["secrets"][0]["kind"]), (&json!(1), &json!("bearer")));
    assert!(shown["last_used_ms"].as_i64().is_some(), "{shown}");
    let users = client.get("/api/v1/directories/acme/users?limit=1").must(200);
    assert_eq!((&users["resources"][0]["attributes"]["userName"], &users["total"]), (&json!("ada"), &json!(1)));
    assert_eq!(client.get("/api/v1/directories/acme/groups").must(200)["total"], 0);
    let events = client.get("/api/v1/directories/acme/events").must(200);
    assert_eq!((&events["events"][0]["action"], &events["after"]), (&json!("created"), &json!(1)));
    assert_eq!(client.get("/api/v1/directories/acme/events?after=1").must(200)["events"], json!([]));
    let rotated = client.post("/api/v1/directories/acme/rotate", Some(&json!({ "former_days": 0 }))).must(200);
    watch(rotated["token"].as_str().expect("it is shown once"));
    assert_eq!(client.send("DELETE", "/api/v1/directories/acme", None).status, 204);
    client.get("/api/v1/directories/acme").must(404);
    let audit = client.get("/api/v1/audit?action=create_directory").must(200);
    assert_eq!((&audit["lines"][0]["actor"], &audit["lines"][0]["connection"]), (&json!("token root"), &json!("acme")));
    client.end();
}
