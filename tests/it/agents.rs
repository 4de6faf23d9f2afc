//! Several agents on one PostgreSQL.

use std::{
    io::{BufRead, BufReader},
    time::Duration,
};

use acceptance::{
    CONNECTION, Run, TestAgent,
    agents::{Trial, disturb},
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
