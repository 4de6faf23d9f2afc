//! Safety limits: what takes too much away is not sent, none of it, until somebody approves exactly that.

use std::fs;

use acceptance::{
    CONNECTION, Run, TestAgent,
    orders::{added_user, list, order},
};
use okta_sandbox::Seed;
use serde_json::{Value, json};

fn deletions(users: &[String]) -> Vec<Value> {
    let order = |(id, user): (usize, &String)| order(&id.to_string(), "Deleted", "User", user, json!({}));
    users.iter().enumerate().map(order).collect()
}

pub(crate) fn code(run: &Run) -> String {
    run.failure().rsplit("--approve ").next().unwrap_or_default().trim_end_matches('`').to_owned()
}

#[test]
fn over_a_limit_nothing_is_sent_until_exactly_these_orders_are_approved() {
    let agent = TestAgent::seeded(Seed::exact(40, 3, 2, 1));
    agent.set("MaxDeletes", json!("10%"));
    let users: Vec<String> = agent.org(|org| org.user_ids().into_iter().skip(1).collect());
    let mut orders = deletions(&users[..11]);
    orders.push(added_user("100", "new@example.com"));
    agent.order_file("a.json", &list(&orders));
    agent.sandbox.clear_journal();
    let refused = agent.fulfill(&["--format", "json"]).must_exit(7);
    assert!(refused.failure().contains("11 deletions in `users`, and `MaxDeletes` allows 10"), "{}", refused.stderr);
    assert_eq!(refused.json()["error"]["kind"], "refused");
    assert!(agent.sandbox.journal().is_empty() && agent.orders_folder().join("a.json").is_file());
    let given = code(&refused);
    assert_eq!(code(&agent.fulfill(&[]).must_exit(7)), given, "the same orders have the same code");
    let plan = agent.fulfill(&["--plan", "--format", "json"]).must_exit(0).json();
    assert!(plan["over_limit"][0].as_str().unwrap().contains("MaxDeletes"), "{plan}");

    agent.fulfill(&["--approve", "0000000000"]).must_exit(7);
    agent.order_file("b.json", &list(&deletions(&users[11..12])));
    let other = agent.fulfill(&["--approve", &given]).must_exit(7);
    assert!(other.failure().contains("other orders"), "{}", other.stderr);
    fs::remove_file(agent.orders_folder().join("b.json")).unwrap();
    // What takes nothing away may come along.
    agent.order_file("c.json", &list(&[added_user("101", "late@example.com")]));
    let report = agent.fulfill(&["--approve", &given, "--format", "json"]).must_exit(0).json();
    assert_eq!(report["executed"], 13, "{report}");
    assert_eq!(agent.org(|org| org.counts().users), 40 - 11 + 2);
    let again = agent.fulfill(&["--approve", &given]).must_exit(7);
    assert!(again.failure().contains(&given), "{}", again.stderr);
}

#[test]
fn limits_are_numbers_or_percent_of_the_last_export() {
    let agent = TestAgent::seeded(Seed::exact(60, 3, 2, 20));
    let users: Vec<String> = agent.org(|org| org.user_ids().into_iter().skip(1).collect());
    let plan = |orders: &[Value]| {
        agent.order_file("a.json", &list(orders));
        let plan = agent.fulfill(&["--plan", "--format", "json"]).must_exit(0).json();
        plan["over_limit"].as_array().unwrap().iter().map(Value::to_string).collect::<String>()
    };
    agent.set("MaxDeletes", json!("25%"));
    assert!(plan(&deletions(&users[..15])).contains("no export says"), "without an export only the floor is allowed");
    agent.export(&[]).must_exit(0);
    assert_eq!(plan(&deletions(&users[..15])), "");
    assert!(plan(&deletions(&users[..16])).contains("25 % of 60"));
    agent.set("MaxDeletes", json!(3));
    assert!(plan(&deletions(&users[..4])).contains("allows 3"));
    agent.set("OnDelete", json!("Deactivate"));
    agent.set("MaxDeactivations", json!("2"));
    assert!(plan(&deletions(&users[..4])).contains("4 deactivations"));
    let off = |user: &String| order(user, "Modified", "User", user, json!({"status": "DEPROVISIONED"}));
    assert!(plan(&users[..3].iter().map(off).collect::<Vec<_>>()).contains("3 deactivations"));
    agent.set("MaxLinkRemovals", json!(1));
    let group = agent.org(|org| org.add_group("Some"));
    let leave = [order("1", "Modified", "Group", &group, json!({"Users_remove": users[..2]}))];
    assert!(plan(&leave).contains("2 removed links, and"));
    // Taken back in the same run, it is no loss.
    let back = order("2", "Modified", "User", &users[0], json!({"Groups_add": [group]}));
    assert_eq!(plan(&[leave[0].clone(), back]), "");
    agent.set("MaxDeletes", json!("some"));
    let run = agent.fulfill(&[]).must_exit(3);
    assert!(run.failure().contains("`MaxDeletes`"), "{}", run.stderr);
}

/// A run of another agent, which has folders of its own and whatever store the first has.
fn of_another(agent: &TestAgent, url: Option<&str>, arguments: &[&str]) -> Run {
    let mut command = agent.command(&[&["fulfill", CONNECTION, "--format", "json"], arguments].concat());
    command.env("TempFolderPath", agent.beside("another-temp"));
    if let Some(url) = url {
        command.env("Store__Url", url).env("WorkFolderPath", agent.beside("another-work"));
    }
    Run::of(command)
}

fn an_agent_that_never_exported_goes_by_the_store(url: Option<&str>) {
    let agent = TestAgent::seeded(Seed::exact(60, 3, 2, 20));
    agent.set("MaxDeletes", json!("25%"));
    let users: Vec<String> = agent.org(|org| org.user_ids().into_iter().skip(1).collect());
    let file = agent.beside("orders.json");
    let path = file.to_str().expect("a path of the tests is text");
    let orders = |count: usize| fs::write(&file, list(&deletions(&users[..count]))).expect("the file can be written");
    let plan = |count: usize| {
        orders(count);
        of_another(&agent, url, &["--plan", "--orders", path]).must_exit(0).json()["over_limit"].to_string()
    };
    assert!(plan(15).contains("no export says"), "nothing is known: only the floor is allowed");
    let mut export = agent.command(&["export", CONNECTION]);
    export.envs(url.map(|url| ("Store__Url", url)));
    Run::of(export).must_exit(0);
    assert_eq!(plan(15), "[]");
    assert!(plan(16).contains("25 % of 60"));
    // What the agent itself exported holds where that was later.
    let manifest = agent.beside("another-temp/ExportOutput").join(format!("{CONNECTION}_export.json"));
    fs::create_dir_all(manifest.parent().expect("it is in a folder")).expect("the folder can be made");
    for (finished, records) in [("2001-01-01T00:00:00Z", 60), ("2999-01-01T00:00:00Z", 44)] {
        let tables = json!({ "users": { "records": 44, "finished": finished } });
        fs::write(&manifest, json!({ "tables": tables }).to_string()).expect("the file can be written");
        assert!(plan(16).contains(&format!("25 % of {records}")), "{finished}");
    }
    fs::remove_file(&manifest).expect("it can be removed");

    agent.sandbox.clear_journal();
    let refused = of_another(&agent, url, &["--orders", path]).must_exit(7);
    assert!(refused.failure().contains("allows 15 (25 % of 60"), "{}", refused.stderr);
    assert!(agent.sandbox.journal().is_empty());
    orders(15);
    assert_eq!(of_another(&agent, url, &["--orders", path]).must_exit(0).json()["executed"], 15);
}

#[test]
fn an_agent_that_never_exported_knows_the_counts_of_those_that_share_its_store() {
    an_agent_that_never_exported_goes_by_the_store(None);
    if let Some(url) = passing_postgres::database() {
        an_agent_that_never_exported_goes_by_the_store(Some(&url));
    }
}
