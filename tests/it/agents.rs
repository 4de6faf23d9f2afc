//! Several agents on one PostgreSQL.

use std::{
    io::{BufRead, BufReader},
    time::Duration,
};

use acceptance::{
    CONNECTION, Run, TestAgent,
    agents::{Trial, disturb},
    orders,
};
use agent_host::store::{Place, Store};
use okta_sandbox::{SandboxConfig, Seed};
use serde_json::{Value, json};

use crate::password::daemon::{Daemon, until};

#[test]
fn agents_that_are_killed_and_stopped_do_everything_once() {
    let Some(verdict) = disturb(Trial { seed: 7, length: Duration::from_secs(25), agents: 3 }) else { return };
    assert!(verdict.kills > 1 && verdict.stops > 1, "{verdict:?}");
    assert!(verdict.orders > 60 && verdict.due_times > 5 && verdict.sets > 2, "{verdict:?}");
}

/// A daemon on this PostgreSQL with a work folder of its own, and at most one run at a time.
fn daemon(agent: &TestAgent, url: &str, number: usize) -> Daemon {
    let mut command = agent.command(&["run"]);
    command.env("Store__Url", url).env("Jobs__MaxRuns", "1");
    command.env("WorkFolderPath", agent.beside(&format!("work-{number}")));
    command.env("TempFolderPath", agent.beside(&format!("temp-{number}")));
    Daemon::start(command)
}

fn job(agent: &TestAgent, url: &str, arguments: &[&str]) -> Value {
    let mut command = agent.command(&[&["--format", "json", "job"], arguments].concat());
    command.env("Store__Url", url).env("WorkFolderPath", agent.beside("work-command"));
    Run::of(command).must_exit(0).json()
}

#[test]
fn agents_together_stay_within_the_share_of_the_limits() {
    let Some(url) = passing_postgres::database() else { return };
    let window = Duration::from_secs(1);
    // What the sandbox allows in a window, and half of it, which the agents may use.
    let (limit, share) = (24_u32, 50);
    let bucket_limits = ["/api/v1/groups", "/api/v1/groups/{id}"].map(|bucket| (bucket.to_owned(), limit)).into();
    let seed = Seed::exact(40, 40, 1, 2);
    let agent = TestAgent::with(SandboxConfig { seed, window, bucket_limits, ..SandboxConfig::default() });
    agent.set("RateLimitShare", json!(share));
    let export = json!({ "Steps": [{ "Kind": "export", "Connection": CONNECTION }] });
    agent.write("appsettings.json", &json!({ "Jobs": { "One": export, "Two": export } }).to_string());
    let agents = [1, 2].map(|number| daemon(&agent, &url, number));
    until(|| have_met(&url));
    agent.sandbox.clear_journal();
    for name in ["One", "Two"] {
        job(&agent, &url, &["start", name, "--no-wait"]);
    }
    until(|| ["One", "Two"].iter().all(|name| job(&agent, &url, &["history", name])["runs"][0]["state"] == "success"));
    agents.into_iter().for_each(Daemon::end);
    let journal = agent.sandbox.journal();
    assert!(journal.iter().all(|exchange| exchange.status != 429), "nothing is refused");
    let mut times: Vec<i64> = journal
        .iter()
        .filter(|exchange| exchange.path.ends_with("/users"))
        .map(|exchange| exchange.at_millis)
        .collect();
    times.sort_unstable();
    assert!(times.len() >= 80, "both read the members of every group: {}", times.len());
    let most =
        times.iter().map(|start| times.iter().filter(|time| (*start..start + 900).contains(*time)).count()).max();
    // A window of the sandbox and the beginning of the next may fall into this time.
    let allowed = usize::try_from(limit * share / 100).unwrap();
    assert!(most <= Some(2 * allowed), "at most {allowed} a window, {most:?} were seen");
    let both = both_at_work(&agent, &url);
    assert!(both, "the runs were at work at the same time, each on an agent");
}

/// Whether both agents have looked who is there since both are there.
fn have_met(url: &str) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let agents = runtime.block_on(async {
        let store = Store::open(Place::Server(url.into())).await.expect("the store opens");
        store.agents(1).await.expect("the store is well")
    });
    let last = agents.iter().map(|agent| agent.started_ms).max();
    // A look begins with a sign of life.
    agents.len() == 2 && agents.iter().all(|agent| Some(agent.seen_ms) > last.map(|last| last + 200))
}

fn both_at_work(agent: &TestAgent, url: &str) -> bool {
    let times = ["One", "Two"].map(|name| {
        let run = &job(agent, url, &["history", name])["runs"][0];
        (run["began_ms"].as_i64().unwrap_or(0), run["ended_ms"].as_i64().unwrap_or(0))
    });
    times[0].0 < times[1].1 && times[1].0 < times[0].1
}

#[test]
fn a_store_that_is_down_is_waited_for_by_the_daemon_and_told_by_commands() {
    let agent = TestAgent::new();
    let url = "postgres://ada:p4ss-of-the-store@127.0.0.1:9/agents";
    acceptance::watch("p4ss-of-the-store");
    let mut command = agent.command(&["job", "list"]);
    let run = Run::of({
        command.env("Store__Url", url);
        command
    });
    let run = run.must_exit(5);
    assert!(run.failure().starts_with("cannot open the store `postgres://127.0.0.1:9/agents`"), "{}", run.stderr);
    assert!(run.failure().contains("see that the server runs"), "{}", run.stderr);

    let mut command = agent.command(&["run"]);
    command.env("Store__Url", url);
    let mut daemon = command.spawn().expect("the daemon starts");
    let stderr = daemon.stderr.take().expect("it is piped");
    let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
    let told = lines.find(|line| line.contains("the agent cannot begin, and will be tried again"));
    assert!(told.is_some_and(|line| !line.contains("p4ss")), "it says so");
    assert!(daemon.try_wait().expect("it is ours").is_none(), "and waits");
    daemon.kill().expect("it is ours");
    daemon.wait().expect("it is ours");
}

/// A token for all agents on this PostgreSQL.
fn token(agent: &TestAgent, url: &str) -> String {
    let mut command = agent.command(&["--format", "json", "token", "create", "policy", "--role", "operator"]);
    command.env("Store__Url", url).env("WorkFolderPath", agent.beside("work-command"));
    let token = Run::of(command).must_exit(0).json()["token"].as_str().expect("a token is printed").to_owned();
    acceptance::watch(&token);
    token
}

/// Sends one order under a key of its own; the answer.
fn send(daemon: &Daemon, token: &str, id: usize) -> Value {
    let order = orders::added_user(&id.to_string(), &format!("user{id}@example.com"));
    let kind = "content-type: application/json\r\n";
    let headers = format!("authorization: Bearer {token}\r\n{kind}idempotency-key: evaluation-{id}\r\n");
    let target = format!("/api/v1/connections/{CONNECTION}/orders");
    let page = daemon.ask_with("POST", &target, &headers, &orders::list(&[order]));
    assert_eq!(page.status, 202, "{}", page.body);
    serde_json::from_str(&page.body).expect("JSON")
}

fn state(daemon: &Daemon, token: &str, delivered: &Value) -> Value {
    let path = format!("/api/v1/runs/{}", delivered["run"]);
    let page = daemon.ask_with("GET", &path, &format!("authorization: Bearer {token}\r\n"), "");
    serde_json::from_str(&page.body).expect("JSON")
}

fn accounts_made(agent: &TestAgent) -> usize {
    let effects = agent.sandbox.effects().into_iter();
    effects.filter(|effect| effect.method == "POST" && effect.created.is_some()).count()
}

#[test]
fn orders_sent_to_an_agent_with_a_folder_of_its_own_are_carried_out_there_and_once() {
    let Some(url) = passing_postgres::database() else { return };
    let agent = TestAgent::seeded(Seed::exact(3, 1, 1, 1));
    let token = token(&agent, &url);
    let agents = [1, 2].map(|number| daemon(&agent, &url, number));
    // So fast one after the other that runs for one folder wait while those for the other come.
    let sent: Vec<(usize, Value)> = (0..8).map(|id| (id % 2, send(&agents[id % 2], &token, id))).collect();
    for (at, delivered) in &sent {
        // From any of them a run can be looked at.
        until(|| state(&agents[1 - at], &token, delivered)["is_over"] == true);
        assert_eq!(state(&agents[*at], &token, delivered)["state"], "success");
        let home = agent.beside(&format!("work-{}", at + 1)).join("ProvisioningOrders").join(CONNECTION);
        let file = home.join("Completed").join(delivered["file"].as_str().expect("a name"));
        assert!(file.exists(), "its run carried it out: {delivered}");
    }
    // What is sent again, to the other agent, is known there.
    for (id, (at, delivered)) in sent.iter().enumerate() {
        assert_eq!(&send(&agents[1 - at], &token, id), delivered);
    }
    assert_eq!(accounts_made(&agent), 8);
    agents.into_iter().for_each(Daemon::end);
}

#[test]
fn orders_that_wait_in_the_folder_of_one_agent_are_approved_on_another_and_carried_out_there() {
    let Some(url) = passing_postgres::database() else { return };
    let agent = TestAgent::seeded(Seed::exact(6, 1, 1, 1));
    agent.set("MaxDeletes", json!(0));
    let token = token(&agent, &url);
    let agents = [1, 2].map(|number| daemon(&agent, &url, number));
    let ask = |daemon: &Daemon, method: &str, path: &str, body: &Value| -> Value {
        let headers = format!("authorization: Bearer {token}\r\ncontent-type: application/json\r\n");
        let page = daemon.ask_with(method, &format!("/api/v1/{path}"), &headers, &body.to_string());
        assert!(page.status < 300, "{path}: {}", page.body);
        serde_json::from_str(&page.body).expect("JSON")
    };
    let ended = |run: &Value| -> Value {
        until(|| state(&agents[1], &token, run)["is_over"] == true);
        state(&agents[1], &token, run)
    };
    let leaver = agent.org(|org| org.user_ids()[2].clone());
    let home = agent.beside("work-1/ProvisioningOrders").join(CONNECTION);
    let order = orders::order("1", "Deleted", "User", &leaver, json!({}));
    std::fs::write(home.join("leaver.json"), orders::list(&[order])).expect("the file can be written");
    let of = format!("connections/{CONNECTION}/orders");
    let offered = |daemon| ask(daemon, "GET", &of, &json!(null))["approvals"][0].clone();
    until(|| offered(&agents[1])["code"].is_string());
    let [here, there] = [&agents[0], &agents[1]].map(offered);
    assert_eq!((&here["is_here"], &there["is_here"]), (&json!(true), &json!(false)));
    assert!(there["machine"].as_str().is_some_and(|machine| !machine.is_empty()), "{there}");

    // Tried again from elsewhere, it is the same orders that are tried.
    let blocked = || ask(&agents[1], "GET", "runs?state=blocked", &json!(null))["runs"][0].clone();
    until(|| blocked()["run"].is_i64());
    let again = ask(&agents[1], "POST", &format!("runs/{}/retry", blocked()["run"]), &json!(null));
    assert_eq!(ended(&again)["state"], "blocked");

    let run = ask(&agents[1], "POST", &format!("{of}/approvals"), &json!({ "code": there["code"] }));
    let run = ended(&run);
    assert_eq!((&run["state"], &run["message"]), (&json!("success"), &json!("1 orders: 1 executed, 0 errored")));
    assert!(home.join("Completed/leaver.json").exists(), "the agent whose folder it is carried it out");
    assert_eq!(agent.org(|org| org.counts().users), 5);
    agents.into_iter().for_each(Daemon::end);
}

#[test]
fn orders_sent_to_two_agents_at_once_under_one_key_are_taken_once() {
    let Some(url) = passing_postgres::database() else { return };
    let agent = TestAgent::seeded(Seed::exact(3, 1, 1, 1));
    let token = token(&agent, &url);
    let agents = [1, 2].map(|number| {
        let mut command = agent.command(&["run"]);
        command.env("Store__Url", &url).env("OrdersFolderPath", agent.beside("orders"));
        command.env("WorkFolderPath", agent.beside(&format!("work-{number}")));
        command.env("TempFolderPath", agent.beside(&format!("temp-{number}")));
        Daemon::start(command)
    });
    for id in 0..4 {
        let both: Vec<Value> = std::thread::scope(|scope| {
            let senders: Vec<_> = agents.iter().map(|daemon| scope.spawn(|| send(daemon, &token, id))).collect();
            senders.into_iter().map(|sender| sender.join().expect("it is answered")).collect()
        });
        assert_eq!(both[0]["file"], both[1]["file"]);
        until(|| both.iter().all(|delivered| state(&agents[0], &token, delivered)["is_over"] == true));
    }
    assert_eq!(accounts_made(&agent), 4);
    agents.into_iter().for_each(Daemon::end);
}
