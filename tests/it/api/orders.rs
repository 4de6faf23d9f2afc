//! Orders by HTTP: taken once, carried out at once, refused as a whole where they are no JSON.

use std::{fs, path::Path, process::Command};

use acceptance::{CONNECTION, Run, TestAgent, orders, program};
use okta_sandbox::Seed;
use serde_json::{Value, json};

use super::{Client, administrator, ended, of, token};

const JSON: &str = "content-type: application/json\r\n";

fn list(id: &str) -> String {
    orders::list(&[orders::added_user(id, &format!("user{id}@example.com"))])
}

/// The files in the connection's orders folder, hidden ones too.
fn waiting(agent: &TestAgent) -> Vec<String> {
    let Ok(entries) = fs::read_dir(agent.orders_folder()) else { return Vec::new() };
    let entries = entries.map(|entry| entry.expect("the folder can be read"));
    let files = entries.filter(|entry| entry.path().is_file());
    files.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn orders_are_carried_out_once_under_one_key_whatever_happens_in_between() {
    let agent = TestAgent::seeded(Seed::exact(3, 1, 1, 1));
    let root = administrator(&agent);
    let client = Client::start(&agent, &root);
    let keyed = format!("{JSON}idempotency-key: evaluation-1\r\n");
    let reply = client.ask("POST", &of("/orders"), &keyed, list("1").as_bytes());
    assert!(reply.head.contains("location: /api/v1/runs/"), "{}", reply.head);
    let first = reply.must(202);
    assert_eq!((&first["orders"], &first["job"]), (&json!(1), &json!(format!("fulfill:{CONNECTION}"))));
    let run = ended(&client, &first["run"]);
    assert_eq!((&run["state"], &run["message"]), (&json!("success"), &json!("1 orders: 1 executed, 0 errored")));
    assert!(agent.orders_folder().join("Completed").join(first["file"].as_str().unwrap()).exists());
    assert_eq!(client.ask("POST", &of("/orders"), &keyed, list("1").as_bytes()).must(202), first);
    let other = client.ask("POST", &of("/orders"), &keyed, list("2").as_bytes()).must(422);
    assert!(other["error"]["message"].as_str().unwrap().contains("`evaluation-1`"), "{other}");
    client.end();

    let client = Client::start(&agent, &root);
    assert_eq!(client.ask("POST", &of("/orders"), &keyed, list("1").as_bytes()).must(202), first);
    // A key is its sender's own.
    let second = client.with(&token(&agent, "other", &["--role", "operator"]));
    let again = second.ask("POST", &of("/orders"), &keyed, list("2").as_bytes()).must(202);
    assert_ne!(again["run"], first["run"]);
    ended(&client, &again["run"]);
    assert!(waiting(&agent).is_empty(), "{:?}", waiting(&agent));
    assert_eq!(client.get("/api/v1/audit?action=send_orders").must(200)["lines"].as_array().unwrap().len(), 2);
    let runs = client.get(&of("/orders/runs")).must(200);
    assert_eq!(runs["runs"].as_array().unwrap().len(), 2, "{runs}");
    let results = client.get(&of(&format!("/orders/runs/{}", runs["runs"][1]["order_run"]))).must(200);
    assert_eq!((&results["results"][0]["order"], &results["results"][0]["state"]), (&json!("1"), &json!("Executed")));
    client.get(&of("/orders/runs/999")).must(404);
    client.end();
}

#[test]
fn what_comes_many_times_at_once_under_one_key_is_taken_once() {
    let agent = TestAgent::seeded(Seed::exact(3, 1, 1, 1));
    let client = Client::start(&agent, &administrator(&agent));
    let keyed = format!("{JSON}idempotency-key: evaluation-1\r\n");
    let send = || client.ask("POST", &of("/orders"), &keyed, list("1").as_bytes()).must(202);
    let answers: Vec<Value> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..8).map(|_| scope.spawn(send)).collect();
        senders.into_iter().map(|sender| sender.join().expect("it is answered")).collect()
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let run = ended(&client, &answers[0]["run"]);
    assert_eq!(run["message"], "1 orders: 1 executed, 0 errored");
    assert_eq!(client.get("/api/v1/runs").must(200)["runs"].as_array().unwrap().len(), 1);
    assert!(waiting(&agent).is_empty(), "{:?}", waiting(&agent));
    client.end();
}

#[test]
fn what_is_no_json_or_too_large_leaves_nothing() {
    let agent = TestAgent::seeded(Seed::exact(1, 1, 1, 1));
    let client = Client::start(&agent, &administrator(&agent));
    let torn =
        client.ask("POST", &of("/orders"), JSON, b"{\"ProvisioningOrdersList\":[\n {\"AssignedResourceTypeId\": ?}]}");
    let torn = torn.must(400);
    assert!(torn["error"]["message"].as_str().unwrap().contains("line 2, column"), "{torn}");
    for (body, status) in [("", 400), ("{}", 400), ("{\"ProvisioningOrdersList\":7}", 400), ("\"text\"", 400)] {
        client.ask("POST", &of("/orders"), JSON, body.as_bytes()).must(status);
    }
    client.ask("POST", &of("/orders"), "", list("1").as_bytes()).must(415);
    client.ask("POST", &of("/orders"), &format!("{JSON}idempotency-key: a b\r\n"), list("1").as_bytes()).must(400);
    let large = vec![b' '; (64 << 20) + 1];
    let refused = client.ask("POST", &of("/orders"), JSON, &large);
    assert!(refused.text.contains("larger than the 67108864 bytes"), "{}", refused.text);
    client.ask("POST", "/api/v1/connections/Nobody/orders", JSON, list("1").as_bytes()).must(404);
    assert!(waiting(&agent).is_empty(), "{:?}", waiting(&agent));
    assert_eq!(client.get("/api/v1/runs").must(200)["runs"], json!([]));
    client.end();
}

#[test]
fn orders_over_a_safety_limit_are_planned_approved_and_carried_out() {
    let agent = TestAgent::seeded(Seed::exact(5, 1, 1, 1));
    agent.set("MaxDeletes", json!(1));
    let users = agent.org(|org| org.user_ids().to_vec());
    let delete = |at: usize| orders::order(&at.to_string(), "Deleted", "User", &users[at], json!({}));
    let client = Client::start(&agent, &administrator(&agent));
    let body = orders::list(&[delete(2), delete(3)]);
    let sent = client.ask("POST", &of("/orders"), JSON, body.as_bytes()).must(202);
    let blocked = ended(&client, &sent["run"]);
    assert_eq!(blocked["state"], "blocked", "{blocked}");
    let waits = client.get(&of("/orders")).must(200);
    assert_eq!((&waits["file_count"], &waits["files"][0]["is_complete"]), (&json!(1), &json!(true)));
    let code = waits["approvals"][0]["code"].as_str().expect("a code is offered").to_owned();
    let plan = client.get(&of("/orders/plan")).must(200);
    assert_eq!((&plan["orders"][0]["effect"], &plan["total"]), (&json!("delete"), &json!(2)), "{plan}");
    assert!(plan["over_limit"][0].as_str().unwrap().contains("2"), "{plan}");
    client.post(&of("/orders/approvals"), Some(&json!({ "code": "0000000000" }))).must(404);
    let run = client.post(&of("/orders/approvals"), Some(&json!({ "code": code }))).must(202);
    let run = ended(&client, &run["run"]);
    assert_eq!((&run["state"], &run["message"]), (&json!("success"), &json!("2 orders: 2 executed, 0 errored")));
    client.post(&of("/orders/approvals"), Some(&json!({ "code": code }))).must(409);
    let audit = client.get("/api/v1/audit?action=approve_orders").must(200);
    assert_eq!(
        (&audit["lines"][0]["account"], &audit["lines"][0]["outcome"]),
        (&Value::from(code), &json!("approved"))
    );
    client.end();
}

#[test]
fn what_the_readme_shows_works_as_it_is_printed() {
    let agent = TestAgent::seeded(Seed::exact(1, 1, 1, 1));
    let client = Client::start(&agent, &administrator(&agent));
    agent.write("Orders/orders.json", &list("1"));
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).expect("the README");
    let section = readme.split("\n## ").find(|section| section.starts_with("The API\n")).expect("its section");
    let script = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).expect("its commands");
    // The agent runs already, elsewhere.
    let script = script.replace("; agent-host run &", "").replace("http://127.0.0.1:6001", &client.url());
    let folder = program().parent().expect("a program is in a folder").display();
    let mut bash = Command::new("bash");
    bash.args(["-euc", &format!("PATH=\"{folder}:$PATH\"\n{script}")]);
    let run = Run::of({
        bash.env("AGENT_DIRECTORY", agent.directory()).current_dir(agent.directory());
        bash
    });
    let run = run.must_exit(0);
    let answers: Vec<Value> = serde_json::Deserializer::from_str(&run.stdout)
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error} in {}", run.stdout));
    assert_eq!(
        (answers.len(), &answers[0]["orders"], &answers[1]["runs"][0]["run"]),
        (3, &json!(1), &answers[0]["run"])
    );
    assert!(answers[2]["runs"].is_array(), "{}", answers[2]);
    client.end();
}
