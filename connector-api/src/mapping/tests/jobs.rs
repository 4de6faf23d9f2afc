//! Jobs and their tasks, as the vendor's reference writes them.

use super::read;
use crate::mapping::{CronTimeZone, TaskKind};

fn warnings(xml: &str) -> Vec<String> {
    read(&[("a.xml", xml)]).unwrap().1.iter().map(ToString::to_string).collect()
}

#[test]
fn a_job_is_read_with_its_schedule_and_the_tasks_inside() {
    let xml = r#"<Job Identifier="Sync" DisplayName_L1="Sync" Agent="Local" CrontabExpression=" */15 * * * * " CronTimeZone="1"
            IsIncremental="true" UserStartDenied="true" LogLevel="Debug">
        <ExportTask Identifier="E" Agent="Local" Connection="Okta" OpenIdClient="Job" DisplayName_L1="x" ContinueOnError="1"/>
        <FulfillTask Agent="Local" Connector="C" Level="2">
            <TaskResourceType ResourceType="R"/><TaskDependsOnTask ParentTask="E"/>
        </FulfillTask>
        <Step Task="Other" Level="-1"/>
    </Job>
    <ExportTask Identifier="Other" Connection="Okta" IgnoreCookieFile="true"/>"#;
    let (mapping, odd) = read(&[("a.xml", xml)]).unwrap();
    assert!(odd.is_empty(), "{odd:?}");
    let [job] = &mapping.jobs[..] else { panic!("{:?}", mapping.jobs) };
    let (cron, position) = job.cron.as_ref().unwrap();
    assert_eq!((cron.as_str(), position.to_string().as_str()), ("*/15 * * * *", "a.xml:1:60"));
    assert_eq!((job.time_zone, job.user_start_denied, job.log_level), (CronTimeZone::ServerTime, true, Some(1)));
    let [export, fulfill] = &job.tasks[..] else { panic!("{:?}", job.tasks) };
    assert_eq!((export.kind, export.continue_on_error, export.level), (TaskKind::Export, true, None));
    assert_eq!((fulfill.kind, fulfill.connector.as_deref(), fulfill.level), (TaskKind::Fulfill, Some("C"), Some(2)));
    assert_eq!((&fulfill.resource_types[..], &fulfill.depends_on[..]), (&["R".to_owned()][..], &["E".to_owned()][..]));
    assert_eq!((job.steps[0].task.as_str(), job.steps[0].level), ("Other", None));
    assert_eq!(mapping.tasks[0].identifier.as_deref(), Some("Other"));
}

#[test]
fn tasks_of_the_server_are_named_in_a_warning() {
    let xml = "<Job Identifier='Sync'>\n<SynchronizeTask Connector='a'><X/></SynchronizeTask>\
               <ExportTask Connection='b' Foo='1'/></Job>";
    assert_eq!(
        warnings(xml),
        [
            "a.xml:2:1: `SynchronizeTask` is no task that an agent runs: the job `Sync` leaves it out",
            "a.xml:2:81: the attribute `Foo` of `ExportTask` has no effect here",
        ]
    );
}

#[test]
fn what_a_job_cannot_do_without_is_refused_where_it_is_missing() {
    for (xml, expected) in [
        ("<Job/>", "a.xml:1:1: `Job` has no `Identifier`"),
        ("<Job Identifier='a' CronTimeZone='2'/>", "a.xml:1:21: `CronTimeZone` of `Job` cannot be `2`"),
        ("<Job Identifier='a'><Step/></Job>", "a.xml:1:21: `Step` has no `Task`"),
        ("<FulfillTask><TaskResourceType/></FulfillTask>", "a.xml:1:14: `TaskResourceType` has no `ResourceType`"),
    ] {
        assert_eq!(read(&[("a.xml", xml)]).unwrap_err().to_string(), expected, "{xml}");
    }
}
