//! Order files: which are taken, what becomes of those that cannot be read, and where all of them go.

use std::{fs, io::Write, process::Stdio};

use acceptance::{
    CONNECTION, Run,
    orders::{added_user, list, results},
};
use serde_json::{Value, json};

use super::agent;

#[test]
fn a_file_that_cannot_be_read_is_put_aside_with_the_reason_and_the_others_go_on() {
    let agent = agent();
    agent.order_file("1.json", "{\"ProvisioningOrdersList\":[\n {\"ChangeType\": Added}]}");
    agent.order_file("2.json", &list(&[added_user("1", "a@example.com")]));
    agent.order_file("3.json", "{\"ProvisioningOrdersList\":[{\"ChangeType\":");
    agent.order_file("sub/4.json", "");
    agent.order_file("5.json", "{\"something\":\"else\"}");
    let run = agent.fulfill(&["--format", "json"]).must_exit(6);
    let report = run.json();
    assert_eq!((&report["executed"], &report["errored"]), (&json!(1), &json!(0)));
    assert_eq!(report["rejected"].as_array().map(Vec::len), Some(4), "{report}");
    let reason =
        |name: &str| fs::read_to_string(agent.orders_folder().join(format!("Rejected/{name}.error.txt"))).unwrap();
    assert!(reason("1.json").starts_with("line 2, column 1"), "{}", reason("1.json"));
    assert!(reason("3.json").contains("ends before"), "{}", reason("3.json"));
    assert!(reason("sub/4.json").contains("ends before"), "{}", reason("sub/4.json"));
    assert!(reason("5.json").contains("`ProvisioningOrdersList`"), "{}", reason("5.json"));
    assert!(agent.orders_folder().join("Completed/2.json").is_file());
    assert!(run.stderr.contains("1.json") && run.stderr.contains("line 2"), "{}", run.stderr);
    agent.fulfill(&[]).must_exit(0);
}

#[test]
fn a_named_file_stays_and_a_named_folder_is_emptied() {
    let agent = agent();
    let file = agent.beside("orders.json");
    fs::write(&file, list(&[added_user("1", "a@example.com")])).unwrap();
    for unchanged in [0, 1] {
        let report = agent.fulfill(&["--orders", file.to_str().unwrap(), "--format", "json"]).must_exit(0).json();
        assert_eq!(report["unchanged"], unchanged, "{report}");
        assert!(file.is_file());
    }
    let folder = agent.beside("folder");
    fs::create_dir(&folder).unwrap();
    fs::copy(&file, folder.join("orders.json")).unwrap();
    agent.fulfill(&["--orders", folder.to_str().unwrap()]).must_exit(0);
    assert!(folder.join("Completed/orders.json").is_file() && !folder.join("orders.json").exists());
    let run = agent.fulfill(&["--orders", "nowhere.json"]).must_exit(3);
    assert!(run.failure().contains("`nowhere.json`"), "{}", run.stderr);
    fs::write(&file, "{").unwrap();
    let run = agent.fulfill(&["--orders", file.to_str().unwrap()]).must_exit(6);
    assert!(file.is_file() && run.stderr.contains("line 1, column 2"), "{}", run.stderr);
}

#[test]
fn standard_input_is_kept_as_a_file_until_its_orders_are_reported() {
    let agent = agent();
    let give = |arguments: &[&str], text: &str| {
        let mut command =
            agent.command(&[&["fulfill", CONNECTION, "--format", "json", "--orders", "-"], arguments].concat());
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        Run::from(child.wait_with_output().unwrap())
    };
    let orders = list(&[added_user("1", "a@example.com")]);
    let plan = give(&["--plan"], &orders).must_exit(0).json();
    assert_eq!(plan["orders"][0]["effect"], "create", "{plan}");
    assert!(!agent.orders_folder().exists());
    let report = give(&[], &orders).must_exit(0).json();
    let text = fs::read_to_string(report["results"].as_str().unwrap()).unwrap();
    assert_eq!(results(&text)["1"].0, "Executed");
    let kept: Vec<_> =
        fs::read_dir(agent.orders_folder().join("Completed")).unwrap().map(|it| it.unwrap().path()).collect();
    assert!(kept.len() == 1 && kept[0].to_string_lossy().ends_with("_stdin.json"), "{kept:?}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        for path in [&kept[0], &agent.directory().join("Work/agent.db")] {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        }
    }
}

#[test]
fn orders_come_as_a_list_alone_with_numbers_for_ids_and_with_a_byte_order_mark() {
    let agent = agent();
    let mut order = added_user("1", "a@example.com");
    order["AssignedResourceTypeId"] = json!(-41);
    agent.order_file("1.json", &format!("\u{feff}{order}\n"));
    agent.order_file("2.json", &Value::from(vec![added_user("2", "b@example.com")]).to_string());
    agent.order_file("3.json", &list(&[added_user("2", "b@example.com")]));
    agent.order_file("4.json", &list(&[added_user("2", "b@example.com")]));
    let report = agent.fulfill(&["--format", "json"]).must_exit(0).json();
    assert_eq!((&report["executed"], &report["unchanged"]), (&json!(3), &json!(1)), "{report}");
    let text = fs::read_to_string(report["results"].as_str().unwrap()).unwrap();
    assert!(text.lines().nth(1).unwrap().starts_with("-41,Executed"), "{text}");
    assert!(["1", "2", "3", "4"].iter().all(|it| agent.orders_folder().join(format!("Completed/{it}.json")).is_file()));
}

#[test]
fn an_order_that_is_too_large_errs_with_its_name_and_the_next_one_goes_on() {
    let agent = agent();
    let mut large = added_user("1", "a@example.com");
    large["Changes"]["profile_department"] = json!("x".repeat(1 << 20));
    let done = agent.fulfilled(&[large, added_user("2", "b@example.com")], 6);
    assert!(done["1"].0 == "Errored" && done["1"].1.contains("bytes"), "{}", done["1"].1);
    assert_eq!(done["2"].0, "Executed");
}

#[test]
fn one_run_of_a_connection_at_a_time() {
    let agent = agent();
    agent.sandbox.add_fault(
        okta_sandbox::Fault::new(okta_sandbox::FaultAction::SlowRequest(std::time::Duration::from_secs(60)))
            .on("POST", "/api/v1/users"),
    );
    agent.order_file("1.json", &list(&[added_user("1", "a@example.com")]));
    let mut first = agent.command(&["fulfill", CONNECTION]).spawn().unwrap();
    while agent.sandbox.faults_hit() == 0 {
        std::thread::yield_now();
    }
    let run = agent.fulfill(&[]).must_exit(1);
    assert!(run.failure().contains("another process") && run.failure().contains("wait"), "{}", run.stderr);
    first.kill().unwrap();
    first.wait().unwrap();
    let report = agent.fulfill(&["--format", "json"]).must_exit(0).json();
    assert_eq!(report["executed"], 1, "{report}");
}
