//! Jobs through the program: what is declared, what is run, when, and what is told of it.

mod daemon;
mod definition;
mod limits;
mod schedule;
mod shared;

use acceptance::{CONNECTION, TestAgent};
use okta_sandbox::{Fault, FaultAction, Seed};
use serde_json::{Value, json};

/// An agent whose section `Jobs` this is.
fn agent(jobs: &Value) -> TestAgent {
    let agent = TestAgent::seeded(Seed::exact(12, 3, 2, 4));
    agent.set("RetryBudgetSeconds", json!(1));
    agent.write("appsettings.json", &json!({ "Jobs": jobs }).to_string());
    agent
}

/// A job that exports the connection.
fn export_job(schedule: &str) -> Value {
    json!({ "Schedule": schedule, "Steps": [{ "Kind": "export", "Connection": CONNECTION }] })
}

fn job(agent: &TestAgent, arguments: &[&str], code: i32) -> Value {
    agent.run(&[&["--format", "json", "job"], arguments].concat()).must_exit(code).json()
}

#[test]
fn a_job_that_is_started_without_an_agent_runs_at_once_and_is_kept() {
    let agent = agent(&json!({ "Nightly": export_job("0 3 * * *") }));
    let run = job(&agent, &["start", "nightly"], 0);
    assert_eq!((&run["state"], &run["cause"], &run["job"]), (&json!("success"), &json!("person"), &json!("Nightly")));
    assert_eq!(run["steps"][0]["state"], "success");
    assert!(run["steps"][0]["message"].as_str().unwrap().starts_with("exported users 1"), "{run}");
    assert!(run["log"].as_str().unwrap().contains("INFO the run begins job.name="), "{run}");
    assert!(agent.csv("users").lines().count() > 12);

    let history = job(&agent, &["history", "Nightly"], 0);
    assert_eq!(history["runs"][0]["run"], run["run"]);
    let listed = job(&agent, &["list"], 0);
    let nightly = &listed["jobs"][0];
    assert_eq!((&nightly["job"], &nightly["schedule"]), (&json!("Nightly"), &json!("0 3 * * * UTC")));
    assert_eq!(nightly["last"]["state"], "success");
    assert!(nightly["next"].as_str().unwrap().ends_with(" 03:00:00 UTC"), "{listed}");
    let text = agent.run(&["job", "history", "--run", &run["run"].to_string()]).must_exit(0).stdout;
    assert!(text.starts_with("run 1 of Nightly: success (by person, "), "{text}");
    assert!(text.contains("\n    export:OktaExportFulfillment: success ("), "{text}");
}

#[test]
fn a_failed_run_is_repaired_from_the_step_that_failed() {
    let steps = json!([
        { "Kind": "refresh-schema", "Connection": CONNECTION, "Name": "Schema" },
        { "Kind": "export", "Connection": CONNECTION, "Name": "Export" },
        { "Kind": "fulfill", "Connection": CONNECTION, "Name": "Orders" },
    ]);
    let agent = agent(&json!({ "All": { "Steps": steps } }));
    agent.sandbox.add_fault(Fault::new(FaultAction::Html(503)).on("GET", "/api/v1/users").always());
    let run = job(&agent, &["start", "All"], 1);
    assert_eq!(run["state"], "error");
    let states: Vec<&Value> = run["steps"].as_array().unwrap().iter().map(|step| &step["state"]).collect();
    assert_eq!(states, ["success", "error"], "what comes after a failure does not begin: {run}");
    assert!(run["log"].as_str().unwrap().contains(" ERROR "), "{run}");
    assert!(agent.directory().join(format!("Work/Schemas/{CONNECTION}.xml")).exists());

    agent.sandbox.clear_faults();
    let repaired = job(&agent, &["start", "All", "--repair"], 0);
    assert_eq!((&repaired["state"], &repaired["repairs"]), (&json!("success"), &json!(1)));
    let names: Vec<&Value> = repaired["steps"].as_array().unwrap().iter().map(|step| &step["step"]).collect();
    assert_eq!(names, ["Schema", "Export", "Orders"]);
    assert!(repaired["steps"][0]["message"].as_str().unwrap().starts_with("done by run 1: "), "{repaired}");
    let refused = agent.run(&["job", "start", "All", "--repair"]).must_exit(1);
    assert!(refused.failure().starts_with("there is nothing to repair"), "{}", refused.stderr);
}

#[test]
fn a_step_that_may_fail_does_not_stop_the_job() {
    let steps = json!([
        { "Kind": "export", "Connection": CONNECTION, "Name": "Export", "ContinueOnError": true },
        { "Kind": "fulfill", "Connection": CONNECTION, "Name": "Orders", "After": "Export" },
        { "Kind": "fulfill", "Connection": CONNECTION, "Name": "Other", "Level": 7 },
    ]);
    let agent = agent(&json!({ "All": { "Steps": steps } }));
    agent.sandbox.add_fault(Fault::new(FaultAction::Html(503)).on("GET", "/api/v1/users").always());
    let run = job(&agent, &["start", "All"], 6);
    let states: Vec<&Value> = run["steps"].as_array().unwrap().iter().map(|step| &step["state"]).collect();
    assert_eq!(states, ["error", "cancelled", "success"], "{run}");
    assert_eq!(run["steps"][1]["message"], "not begun, because `Export` has no output");
    assert_eq!(run["state"], "warning");
}

#[test]
fn what_a_safety_limit_stops_is_blocked() {
    let agent = TestAgent::seeded(Seed::exact(150, 3, 2, 4));
    agent.run(&["job", "start", &format!("export:{CONNECTION}")]).must_exit(0);
    agent.org(|org| org.user_ids().iter().skip(1).take(140).for_each(|user| assert!(org.remove_user(user))));
    let run = job(&agent, &["start", &format!("export:{CONNECTION}")], 7);
    assert_eq!(run["state"], "blocked", "{run}");
}

#[test]
fn jobs_of_the_vendors_xml_are_read_and_what_is_not_run_is_named() {
    let agent = agent(&json!({}));
    let job_xml = format!(
        r#"<ConfigurationFile xmlns="urn:schemas-usercube-com:configuration">
<Job Identifier="Okta_Sync" DisplayName_L1="Okta" Agent="Local" CronTabExpression="*/15 * * * *" CronTimeZone="0" IsIncremental="true">
<ExportTask Identifier="Okta_Export" Agent="Local" Connection="{CONNECTION}" OpenIdClient="Job" DisplayName_L1="Export" ContinueOnError="true"/>
<SynchronizeTask Identifier="Okta_Sync" Connector="Okta" DisplayName_L1="Synchronize"/>
<FulfillTask Identifier="Okta_Fulfill" Agent="Local" Connector="Okta" OpenIdClient="Job" DisplayName_L1="Fulfill">
<TaskDependsOnTask ParentTask="Okta_Export"/></FulfillTask>
</Job>
<Job Identifier="AD_Sync" DisplayName_L1="AD"><ExportTask Identifier="AD" Connection="ADExport" DisplayName_L1="x"/></Job>
</ConfigurationFile>"#
    );
    agent.write("Conf/Jobs.xml", &job_xml);
    let run = agent.run(&["--format", "json", "job", "list"]).must_exit(0);
    let listed = run.json();
    let sync = listed["jobs"].as_array().unwrap().iter().find(|job| job["job"] == "Okta_Sync").expect("it is there");
    let steps: Vec<_> =
        sync["steps"].as_array().unwrap().iter().map(|step| (&step["step"], &step["kind"], &step["level"])).collect();
    assert_eq!(
        steps,
        [(&json!("Okta_Export"), &json!("export"), &json!(0)), (&json!("Okta_Fulfill"), &json!("fulfill"), &json!(1))]
    );
    for warning in [
        "Conf/Jobs.xml:4:1: `SynchronizeTask` is no task that an agent runs: the job `Okta_Sync` leaves it out",
        "the connection `ADExport` is not in the settings: the job `AD_Sync` leaves it out",
        "no task of the job `AD_Sync` is for this agent: it is left out",
    ] {
        assert!(run.stderr.contains(warning), "{warning} in {}", run.stderr);
    }
}

#[test]
fn what_cannot_be_obeyed_is_refused_where_it_is_written() {
    let step = json!({ "Kind": "export", "Connection": CONNECTION });
    for (jobs, expected) in [
        (
            json!({ "A": export_job("61 * * * *") }),
            "appsettings.json:1:26: `Jobs:A:Schedule` is no cron expression: Component error: Number out of bounds; write five",
        ),
        (
            json!({ "A": { "Steps": [{ "Kind": "sync", "Connection": "x" }] } }),
            "`Jobs:A:Steps:0:Kind` is not known; write one of export, fulfill, import, refresh-schema",
        ),
        (
            json!({ "A": { "Steps": [{ "Kind": "export", "Connection": "Nobody" }] } }),
            "`Jobs:A:Steps:0:Connection` names no connection",
        ),
        (json!({ "A": { "Schedule": "@daily" } }), "`Jobs:A:Steps` is missing, or holds no step"),
        (json!({ "A": { "TimeZone": "Mars/Olympus", "Steps": [step] } }), "`Jobs:A:TimeZone` is no time zone"),
        (json!({ "MaxTaskBatchSize": "many" }), "`Jobs:MaxTaskBatchSize` is no whole number from 1 to 1000"),
    ] {
        let run = agent(&jobs).run(&["job", "list"]).must_exit(3);
        assert!(run.failure().contains(expected), "{expected} in {}", run.stderr);
    }
    let agent = agent(&json!({}));
    agent.write("Conf/Jobs.xml", "<ConfigurationFile>\n<Job Identifier='A' CronTabExpression='every day'><ExportTask/></Job>\n</ConfigurationFile>");
    let run = agent.run(&["job", "list"]).must_exit(3);
    assert!(
        run.failure().starts_with("Conf/Jobs.xml:2:21: `every day` of the job `A` is no cron expression"),
        "{}",
        run.stderr
    );
}

#[test]
fn an_unknown_job_or_run_is_refused() {
    let agent = agent(&json!({}));
    let refused = agent.run(&["job", "start", "Nobody"]).must_exit(3);
    assert!(
        refused.failure().starts_with("job `Nobody` is not found; `agent-host job list` names"),
        "{}",
        refused.stderr
    );
    assert!(agent.run(&["job", "cancel", "7"]).must_exit(3).failure().starts_with("there is no run 7"));
    let denied =
        json!({ "Denied": { "UserStartDenied": true, "Steps": [{ "Kind": "export", "Connection": CONNECTION }] } });
    agent.write("appsettings.json", &json!({ "Jobs": denied }).to_string());
    let refused = agent.run(&["job", "start", "denied"]).must_exit(3);
    assert!(refused.failure().contains("people may not start the job `Denied`"), "{}", refused.stderr);
}

#[test]
fn a_store_is_brought_up_to_date_before_the_agent_runs() {
    let agent = agent(&json!({}));
    let file = agent.directory().join("Work/agent.db");
    assert!(!file.exists());
    let migrate = || agent.run(&["--format", "json", "store", "migrate"]).must_exit(0).json();
    let first = migrate();
    assert!(file.exists() && first["version"].as_i64().is_some_and(|version| version >= 17), "{first}");
    assert_eq!((migrate(), &first["problems"]), (first.clone(), &json!([])), "done twice it changes nothing");
    let told = agent.run(&["store", "migrate"]).must_exit(0).stdout;
    assert!(told.ends_with(&format!("has version {}.\n", first["version"])), "{told}");
    job(&agent, &["history"], 0);
}
