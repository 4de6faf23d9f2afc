//! How jobs are read: which connections a task leads to, in which order steps run, and what is refused or told.

use acceptance::{CONNECTION, TestAgent};
use agent_host::{
    agent::Agent,
    jobs::{Job, Jobs},
};
use okta_sandbox::{Fault, FaultAction};
use serde_json::{Value, json};

use super::{agent, job, schedule::within};

const SECOND: &str = "SecondOkta";

/// An agent of two connections of one connector, with these elements of XML beside.
fn two_connections(elements: &str) -> TestAgent {
    let agent = agent(&json!({}));
    let connection = json!({ "Server": agent.sandbox.url(), "ApiKey": agent.sandbox.token() });
    agent.write("appsettings.agent.Production.json", &json!({ "Connections": { SECOND: connection } }).to_string());
    let connection = |name| {
        format!(
            r#"<Connection Identifier="{name}" DisplayName_L1="x" Connector="Okta" Package="Usercube.Okta@0000001" />"#
        )
    };
    agent.map(&format!(
        r#"{}{}
<OktaResourceTypeMapping Identifier="Second_User" Connection="{SECOND}" DefaultObjectClass="users" />
{elements}"#,
        connection(CONNECTION),
        connection(SECOND)
    ));
    agent
}

/// The job of this name as the agent reads it.
fn read(directory: &TestAgent, name: &str) -> Job {
    let mut found = None;
    within(async {
        let agent = Agent::open(&directory.directory()).await.expect("the agent opens");
        found = Some(Jobs::read(&agent).expect("the jobs are sound").job(name).expect("it is there").clone());
    });
    found.expect("it was read")
}

fn named(job: &Job) -> Vec<(&str, &str, u32)> {
    job.steps.iter().map(|step| (step.name.as_str(), step.connection.as_str(), step.level)).collect()
}

#[test]
fn a_task_waits_for_every_step_of_its_parent_whatever_the_case() {
    let agent = two_connections(
        r#"<Job Identifier="Sync" DisplayName_L1="x">
<ExportTask Identifier="Read" Connector="okta" DisplayName_L1="x" />
<FulfillTask Identifier="Write" Connection="OktaExportFulfillment" DisplayName_L1="x">
<TaskDependsOnTask ParentTask="READ" /><TaskDependsOnTask ParentTask="Okta_Generate" /></FulfillTask></Job>"#,
    );
    let sync = read(&agent, "sync");
    let expected =
        [("Read (OktaExportFulfillment)", CONNECTION, 0), ("Read (SecondOkta)", SECOND, 0), ("Write", CONNECTION, 1)];
    assert_eq!(named(&sync), expected);
    assert_eq!(sync.steps[2].after, [0, 1]);
    let listed = agent.run(&["job", "list"]).must_exit(0);
    let warning = "no step of the job `Sync` here is the task `Okta_Generate`: `Write` does not wait for it";
    assert!(listed.stderr.contains("Conf/Okta.xml:7:1: ") && listed.stderr.contains(warning), "{}", listed.stderr);

    agent.sandbox.add_fault(Fault::new(FaultAction::Html(503)).on("GET", "/api/v1/users").always());
    let run = job(&agent, &["start", "Sync"], 1);
    assert_eq!(run["steps"].as_array().map(Vec::len), Some(2), "the second export has failed too: {run}");
}

#[test]
fn tasks_lead_to_connections_by_connector_and_resource_type_and_stand_at_their_levels() {
    let agent = two_connections(
        r#"<FulfillTask Identifier="Late" DisplayName_L1="x"><TaskResourceType ResourceType="second_user" /></FulfillTask>
<ExportTask Identifier="Early" Connector="Okta" DisplayName_L1="x" />
<ExportTask Identifier="Middle" Connection="OktaExportFulfillment" DisplayName_L1="x" />
<Job Identifier="Sync" DisplayName_L1="x">
<Step Task="late" Level="9" /><Step Task="Middle" Level="4" /><Step Task="Early" Level="2" /></Job>"#,
    );
    let expected = [
        ("Early (OktaExportFulfillment)", CONNECTION, 2),
        ("Early (SecondOkta)", SECOND, 2),
        ("Middle", CONNECTION, 4),
        ("Late", SECOND, 9),
    ];
    assert_eq!(named(&read(&agent, "Sync")), expected);
}

#[test]
fn steps_of_a_level_run_so_many_at_once_and_those_that_wait_behind_the_others() {
    let step = |name: &str, after: &str| json!({ "Kind": "fulfill", "Connection": CONNECTION, "Name": name, "Level": 1, "After": after });
    let steps = [step("a", "D"), step("b", ""), step("c", ""), step("d", ""), step("e", "")];
    let agent = agent(&json!({ "Many": { "Steps": steps } }));
    let many = read(&agent, "many");
    let names: Vec<&str> = many.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, ["b", "c", "d", "e", "a"]);
    assert_eq!(many.batches(3), [vec![0, 1, 2], vec![3, 4]]);
    assert_eq!(many.batches(5), [vec![0, 1, 2, 3], vec![4]], "none beside the one it waits for");
    let run = job(&agent, &["start", "Many"], 0);
    let states: Vec<&Value> = run["steps"].as_array().unwrap().iter().map(|step| &step["state"]).collect();
    assert_eq!(states, ["success"; 5], "{run}");
}

#[test]
fn a_step_that_waits_for_one_of_a_later_level_runs_in_that_level() {
    let steps = json!([
        { "Kind": "fulfill", "Connection": CONNECTION, "Name": "Orders", "After": "export" },
        { "Kind": "export", "Connection": CONNECTION, "Name": "Export" },
    ]);
    let agent = agent(&json!({ "Both": { "Steps": steps } }));
    let both = read(&agent, "Both");
    assert_eq!(named(&both), [("Export", CONNECTION, 1), ("Orders", CONNECTION, 1)]);
    assert_eq!((&both.steps[1].after[..], both.batches(5)), (&[0][..], vec![vec![0], vec![1]]));
}

#[test]
fn what_no_step_can_obey_is_refused_with_its_key() {
    let step = |more: Value| {
        let mut step = json!({ "Kind": "export", "Connection": CONNECTION });
        step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        step
    };
    for (steps, expected) in [
        (json!([step(json!({})), { "Knd": "export" }, step(json!({}))]), "`Jobs:A:Steps:1:Kind` is missing"),
        (json!([step(json!({ "Name": "a" })), { "After": "a" }]), "`Jobs:A:Steps:1:Kind` is missing"),
        (json!([step(json!({})), "export"]), "`Jobs:A:Steps:1:Kind` is missing"),
        (json!({ "First": step(json!({})) }), "`Jobs:A:Steps:First` is no step of a list"),
        (json!([step(json!({ "After": "b" }))]), "`Jobs:A:Steps:0:After` names `b`, which no step is"),
        (
            json!([step(json!({ "Name": "a", "After": "b" })), step(json!({ "Name": "b", "After": "A" }))]),
            "`Jobs:A:Steps` has steps that wait for each other: `a`, `b`; take an `After` out",
        ),
        (json!([step(json!({ "Name": "a", "After": "a" }))]), "steps that wait for each other: `a`"),
    ] {
        let run = agent(&json!({ "A": { "Steps": steps } })).run(&["job", "list"]).must_exit(3);
        assert!(run.failure().contains(expected), "{expected} in {}", run.stderr);
    }
    let circle = two_connections(
        r#"<Job Identifier="Sync" DisplayName_L1="x">
<ExportTask Identifier="A" Connection="SecondOkta" DisplayName_L1="x"><TaskDependsOnTask ParentTask="B" /></ExportTask>
<FulfillTask Identifier="B" Connection="SecondOkta" DisplayName_L1="x"><TaskDependsOnTask ParentTask="A" /></FulfillTask></Job>"#,
    );
    let run = circle.run(&["job", "list"]).must_exit(3);
    let expected = "Conf/Okta.xml:5:1: tasks of the job `Sync` wait for each other: `A`, `B`";
    assert!(run.failure().starts_with(expected), "{}", run.stderr);
}

#[test]
fn a_second_job_of_one_name_is_left_out_with_a_warning() {
    let export = |name| {
        format!(
            r#"<Job Identifier="{name}" DisplayName_L1="x"><ExportTask Connection="SecondOkta" DisplayName_L1="x" /></Job>"#
        )
    };
    let agent = two_connections(&format!("{}\n{}", export("Sync"), export("SYNC")));
    let listed = agent.run(&["job", "list"]).must_exit(0);
    let warning = "Conf/Okta.xml:6:1: the job `SYNC` is declared at Conf/Okta.xml:5:1 already: this one is left out";
    assert!(listed.stderr.contains(warning), "{}", listed.stderr);
}
