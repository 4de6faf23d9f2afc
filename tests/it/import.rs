//! Accounts that follow a personnel file: joiners, movers, leavers, those who come back, and what stops an import.

use std::time::Duration;

use acceptance::{CONNECTION, Chance, Run, TestAgent};
use agent_host::store::{Fence, Place, Store};
use okta_sandbox::{Fault, FaultAction, Seed, Status};
use serde_json::{Value, json};

const SEED: u64 = 20_260_401;
const HEADER: &str = "id,first,last,mail,dept,state,manager";
const PEOPLE: &str = r#"
  <Connection Identifier="People" DisplayName_L1="People" Connector="Okta" Package="Usercube.CSV.Complete@0000001" />
"#;
/// Accounts that follow persons, whose managers are told the first password.
pub(crate) const ACCOUNTS: &str = r#"
  <Connection Identifier="OktaExportFulfillment" DisplayName_L1="Okta" Connector="Okta" Package="Usercube.Okta@0000001" />
  <EntityTypeMapping Identifier="User" Connector="Okta" ConnectionTable="OktaExportFulfillment_users">
    <Property Identifier="OktaExportFulfillment_users_id" ConnectionColumn="id" IsPrimaryKey="true" />
    <Property Identifier="status" ConnectionColumn="status" />
    <Property Identifier="profile_login" ConnectionColumn="profile.login" IsUniqueKey="true" />
    <Property Identifier="profile_email" ConnectionColumn="profile.email" />
    <Property Identifier="profile_firstName" ConnectionColumn="profile.firstName" />
    <Property Identifier="profile_lastName" ConnectionColumn="profile.lastName" />
    <Property Identifier="profile_department" ConnectionColumn="profile.department" />
    <Property Identifier="profile_title" ConnectionColumn="profile.title" />
    <Property Identifier="profile_employeeNumber" ConnectionColumn="profile.employeeNumber" />
    <Property Identifier="profile_userType" ConnectionColumn="profile.userType" />
  </EntityTypeMapping>
  <OktaResourceTypeMapping Identifier="Okta_User" Connection="OktaExportFulfillment" DefaultObjectClass="users" PasswordResetSetting="First" />
  <PasswordResetSettings Identifier="First" Mode="1" AutoGenerate="true" MustChange="true"
    NotifiedEmailBinding="AssignedResourceType:Owner.Directory_User:ManagerMail" />
"#;

pub(crate) fn agent() -> TestAgent {
    let agent = TestAgent::seeded(Seed::exact(4, 2, 1, 1));
    agent.map(&format!("{PEOPLE}{ACCOUNTS}"));
    configure(&agent, json!({}));
    agent
}

/// Gives the import these settings beside the usual ones.
fn configure(agent: &TestAgent, more: impl Into<Value>) {
    let mut import = json!({
        "From": "People_records", "To": "OktaExportFulfillment_users", "ResourceType": "Okta_User",
        "Match": { "profile_employeeNumber": "id" },
        "Where": { "state": "active|on leave" },
        "Map": {
            "profile_login": "{mail:lower}", "profile.email": "{mail:lower}", "profile_firstName": "{first}",
            "profile_lastName": "{last}", "profile_department": "{dept}",
        },
        "Scope": { "profile_userType": "Employee" },
        "Owner": { "ManagerMail": "{manager}" },
        "Leavers": "Deactivate",
    });
    let more: Value = more.into();
    import.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    import.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    let settings = json!({
        "Connections": { "People": { "Path": "../people.csv" } },
        "Imports": { "Staff": import },
        "PasswordResetSettings": { "MailSettings": { "PickupDirectory": "../Mails" } },
    });
    agent.write("appsettings.agent.Production.json", &settings.to_string());
}

/// A line of the file.
pub(crate) fn line(number: usize, dept: &str, state: &str) -> String {
    format!("E{number},First{number},Last{number},Person{number}@corp.example,{dept},{state},boss{number}@corp.example")
}

pub(crate) fn people(agent: &TestAgent, lines: &[String]) {
    agent.write_beside("people.csv", &format!("{HEADER}\n{}\n", lines.join("\n")));
}

fn import(agent: &TestAgent, further: &[&str], code: i32) -> Value {
    agent.run(&[&["--format", "json", "import", "staff"], further].concat()).must_exit(code).json()
}

/// What the report says of joiners, movers, those who come back, and leavers.
fn tally(report: &Value) -> [u64; 4] {
    ["joiners", "movers", "returners", "leavers"].map(|word| report[word].as_u64().expect("a number"))
}

fn login(number: usize) -> String {
    format!("person{number}@corp.example")
}

fn status(agent: &TestAgent, number: usize) -> Option<Status> {
    agent.org(|org| org.user_status(&login(number)))
}

#[test]
fn accounts_follow_the_file_from_joining_to_coming_back() {
    let agent = agent();
    let all: Vec<String> = (0..4).map(|number| line(number, "Sales", "active")).collect();
    people(&agent, &all);
    let before = agent.org(|org| org.user_ids()).len();
    let report = import(&agent, &[], 0);
    assert_eq!(tally(&report), [4, 0, 0, 0], "{report}");
    let ada = agent.org(|org| org.user(&login(1))).expect("the account is made");
    for (name, value) in
        [("employeeNumber", "E1"), ("userType", "Employee"), ("firstName", "First1"), ("department", "Sales")]
    {
        assert_eq!(ada["profile"][name], value);
    }
    let mails = acceptance::files(&agent.beside("Mails"));
    let told = |number: usize| {
        let to = format!("To: boss{number}@corp.example").into_bytes();
        mails.values().filter(|mail| mail.windows(to.len()).any(|window| window == to)).count()
    };
    assert_eq!((mails.len(), [0, 1, 2, 3].map(told)), (4, [1; 4]), "each first password is told to the manager");

    // The same file again changes nothing, however its keys are written.
    agent.sandbox.clear_journal();
    people(&agent, &all.iter().map(|line| line.replace("E1,", " e1 ,")).collect::<Vec<_>>());
    let report = import(&agent, &[], 0);
    assert_eq!((tally(&report), &report["unchanged"]), ([0; 4], &json!(4)), "{report}");
    assert_eq!((agent.sandbox.effects().len(), &report["fulfilled"]), (0, &Value::Null));

    // One moves, one is gone, one is still there and no longer counts.
    people(&agent, &[line(0, "Research", "On Leave"), all[1].clone(), line(3, "Sales", "left")]);
    let report = import(&agent, &[], 0);
    assert_eq!(tally(&report), [0, 1, 0, 2], "{report}");
    assert_eq!(agent.org(|org| org.user(&login(0))).unwrap()["profile"]["department"], "Research");
    assert_eq!([2, 3].map(|number| status(&agent, number)), [Some(Status::Deprovisioned); 2]);
    assert_eq!(tally(&import(&agent, &[], 0)), [0; 4], "who has left has left");

    // And one comes back, with another name.
    people(&agent, &[line(0, "Research", "active"), all[1].clone(), all[2].replace("First2", "Grace")]);
    let report = import(&agent, &[], 0);
    assert_eq!(tally(&report), [0, 0, 1, 0], "{report}");
    assert_ne!(status(&agent, 2), Some(Status::Deprovisioned));
    assert_eq!(agent.org(|org| org.user(&login(2))).unwrap()["profile"]["firstName"], "Grace");
    assert_eq!(agent.org(|org| org.user_ids()).len(), before + 4, "nobody else was touched");
    assert!(agent.org(|org| org.user_status("admin@example.com")) == Some(Status::Active));
}

#[test]
fn a_plan_tells_all_and_does_nothing() {
    let agent = agent();
    people(&agent, &[line(0, "Sales", "active")]);
    agent.sandbox.clear_journal();
    let report = import(&agent, &["--plan"], 0);
    assert_eq!((tally(&report), &report["plan"]["orders"][0]["effect"]), ([1, 0, 0, 0], &json!("create")), "{report}");
    assert_eq!(report["plan"]["orders"][0]["id"], "E0");
    assert_eq!(agent.sandbox.effects().len(), 0);
    assert!(!agent.directory().join("Work/Imports").exists());
    let text = agent.run(&["import", "Staff", "--plan"]).must_exit(0).stdout;
    assert!(text.contains("1 join, 0 change, 0 come back, 0 leave"), "{text}");
    assert_eq!(tally(&import(&agent, &[], 0)), [1, 0, 0, 0], "it is still to be done");
}

#[test]
fn a_file_that_is_not_whole_changes_nothing() {
    let agent = agent();
    people(&agent, &[line(0, "Sales", "active"), line(1, "Sales", "active")]);
    import(&agent, &[], 0);
    agent.sandbox.clear_journal();
    for (lines, code, why) in [
        (vec![line(0, "Sales", "active"), "E1,Ada".to_owned()], 5, "line 3: it has 2 values and the header 7"),
        (vec![line(0, "Sales", "active"), line(0, "Research", "active")], 5, "line 3: its key `id` is that of line 2"),
        (vec![line(0, "Sales", "active"), line(0, "Sales", "active").replace("E0", "e0")], 5, "have the key e0"),
        (vec![line(0, "Sales", "active").replace("E0", "")], 5, "line 2: its key `id` is empty"),
        (vec![line(0, "\"Sales", "active")], 5, "line 2: a quote is opened and never closed"),
        (vec![line(0, "Sales", "left")], 7, "the source holds no record that counts"),
    ] {
        people(&agent, &lines);
        let run = agent.run(&["import", "Staff"]).must_exit(code);
        assert!(run.failure().contains(why), "{why}: {}", run.failure());
    }
    std::fs::remove_file(agent.beside("people.csv")).unwrap();
    assert!(agent.run(&["import", "Staff"]).must_exit(5).failure().contains("cannot read"));
    assert_eq!(agent.sandbox.effects().len(), 0);
    assert_eq!([0, 1].map(|number| status(&agent, number) == Some(Status::Deprovisioned)), [false; 2]);
}

#[test]
fn nobody_is_taken_away_by_a_first_run_nor_beyond_a_limit() {
    let agent = agent();
    let staff = |count: usize| (0..count).map(|number| line(number, "Sales", "active")).collect::<Vec<_>>();
    // Accounts that were there before the import.
    agent.org(|org| {
        for number in 0..8 {
            let login = login(number);
            let profile = json!({
                "login": login, "email": login, "firstName": "A", "lastName": "B", "employeeNumber": format!("E{number}"),
                "userType": if number == 7 { "Guest" } else { "Employee" },
            });
            org.add_user(profile, Status::Active);
        }
    });
    people(&agent, &staff(1));
    let report = import(&agent, &[], 0);
    assert_eq!((tally(&report), &report["leavers_kept"]), ([0, 1, 0, 0], &json!(6)), "{report}");
    let run = agent.run(&["import", "Staff"]).must_exit(7);
    assert!(run.failure().contains("6 accounts would leave, and `MaxLeavers` allows 5"), "{}", run.failure());
    assert_eq!(status(&agent, 3), Some(Status::Active));
    // The connection's own limit holds as well.
    configure(&agent, json!({ "MaxLeavers": "50" }));
    agent.set("MaxDeactivations", json!("2"));
    let run = agent.run(&["import", "Staff"]).must_exit(7);
    assert!(run.failure().contains("6 deactivations, and `MaxDeactivations` allows 2"), "{}", run.failure());
    assert!(run.failure().contains("--force"), "{}", run.failure());
    assert_eq!(status(&agent, 3), Some(Status::Active));
    let report = import(&agent, &["--force"], 0);
    assert_eq!(tally(&report), [0, 0, 0, 6], "{report}");
    assert_eq!(status(&agent, 3), Some(Status::Deprovisioned));
    assert_eq!(status(&agent, 7), Some(Status::Active), "a guest follows nobody");
}

#[test]
fn accounts_that_cannot_be_told_apart_are_left_alone() {
    let agent = agent();
    agent.org(|org| {
        for login in ["one@corp.example", "two@corp.example"] {
            let profile =
                json!({ "login": login, "email": login, "firstName": "A", "lastName": "B", "employeeNumber": "E0" });
            org.add_user(profile, Status::Active);
        }
    });
    people(&agent, &[line(0, "Sales", "active"), line(1, "Sales", "active")]);
    let report = import(&agent, &[], 6);
    assert_eq!(
        (&report["ambiguous"], &report["ambiguous_keys"], &report["joiners"]),
        (&json!(1), &json!(["E0"]), &json!(1))
    );
}

#[test]
fn settings_of_an_import_are_checked_by_name() {
    let agent = agent();
    people(&agent, &[line(0, "Sales", "active")]);
    for (more, why) in [
        (json!({ "From": "Nobody_records" }), "`Imports:Staff:From` names no connection of the settings"),
        (json!({ "To": "OktaExportFulfillment_groups" }), "to which no entity type is mapped"),
        (json!({ "Match": null }), "`Imports:Staff:Match` does not name one property"),
        (json!({ "Map": { "profile_city": "{dept}" } }), "needs the property `profile_city` of `User`"),
        (json!({ "Map": { "profile_department": "{dept" } }), "a `{` is not closed"),
        (json!({ "Map": { "profile_department": "{division}" } }), "has no column `division`"),
        (json!({ "Map": { "status": "ACTIVE" } }), "cannot be given here"),
        (json!({ "Scope": null }), "`Scope` does not say which follow this source"),
        (json!({ "Leavers": "Fire" }), "`Imports:Staff:Leavers` is not known"),
        (json!({ "MaxLeavers": "many" }), "is neither a number nor percent"),
    ] {
        configure(&agent, more);
        let run = agent.run(&["import", "Staff"]).must_exit(3);
        assert!(run.failure().contains(why), "{why}: {}", run.failure());
    }
    let run = agent.run(&["import", "Stuff"]).must_exit(3);
    assert!(run.failure().contains("there is no import `Stuff`"), "{}", run.failure());
}

#[test]
fn an_import_that_is_killed_again_and_again_makes_each_account_once_and_tells_each_password_once() {
    const PEOPLE: usize = 40;
    let agent = agent();
    agent.set("MaxConcurrency", json!(2));
    people(&agent, &(0..PEOPLE).map(|number| line(number, "Sales", "active")).collect::<Vec<_>>());
    let before = agent.org(|org| org.user_ids()).len();
    let mut chance = Chance::of(SEED);
    let mut killed = 0;
    for _ in 0..15 {
        let hold = Duration::from_secs(60);
        let action =
            if chance.below(2) == 0 { FaultAction::SlowRequest(hold) } else { FaultAction::SlowFirstByte(hold) };
        let nth = 1 + u32::try_from(chance.below(15)).expect("it is small");
        agent.sandbox.add_fault(Fault::new(action).nth(nth));
        let hits = agent.sandbox.faults_hit();
        let mut process = agent.command(&["import", "Staff"]).spawn().expect("the program starts");
        while process.try_wait().expect("it is ours").is_none() && agent.sandbox.faults_hit() == hits {
            std::thread::sleep(Duration::from_millis(1));
        }
        killed += usize::from(process.try_wait().expect("it is ours").is_none());
        process.kill().expect("it is ours");
        let _ = Run::from(process.wait_with_output().expect("it is ours"));
        agent.sandbox.clear_faults();
    }
    assert!(killed >= 10, "seed {SEED}: only {killed} were killed before they were done");
    import(&agent, &[], 0);
    assert_eq!(agent.org(|org| org.user_ids()).len(), before + PEOPLE, "seed {SEED}");
    let told = acceptance::files(&agent.beside("Mails"));
    assert_eq!(told.len(), PEOPLE, "seed {SEED}: each password is told once");
    assert_eq!(tally(&import(&agent, &[], 0)), [0; 4], "seed {SEED}");
}

#[test]
fn the_sample_runs_as_it_stands() {
    let agent = TestAgent::seeded(Seed::exact(4, 2, 1, 1));
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config-samples/csv-import");
    for file in ["appsettings.json", "appsettings.agent.json", "Conf/Import.xml", "Sources/people.csv"] {
        let text = std::fs::read_to_string(sample.join(file)).expect("the sample is there");
        let text = text.replace("http://127.0.0.1:8080", &agent.sandbox.url());
        agent.write(file, &text.replace("<GeneratedUserToken>", agent.sandbox.token()));
    }
    std::fs::remove_dir_all(agent.directory().join("Conf/Okta")).expect("the sample has a mapping of its own");
    agent.run(&["check"]).must_exit(0);
    assert_eq!(tally(&import(&agent, &["--plan"], 0)), [3, 0, 0, 0]);
    assert_eq!(tally(&import(&agent, &[], 0)), [3, 0, 0, 0]);
    assert_eq!(acceptance::files(&agent.directory().join("Temp/Mails")).len(), 3);
    assert_eq!(tally(&import(&agent, &[], 0)), [0; 4]);
}

#[test]
fn a_job_runs_imports_and_every_import_has_a_job_of_its_own() {
    let agent = agent();
    let steps = json!([
        { "Kind": "import", "Import": "Staff" },
        { "Kind": "export", "Connection": CONNECTION, "After": "import:Staff" },
    ]);
    agent.write("appsettings.json", &json!({ "Jobs": { "Nightly": { "Steps": steps } } }).to_string());
    people(&agent, &[line(0, "Sales", "active")]);
    let job = |name: &str, code| agent.run(&["--format", "json", "job", "start", name]).must_exit(code).json();
    let run = job("Nightly", 0);
    assert_eq!(run["state"], "success", "{run}");
    assert!(run["steps"][0]["message"].as_str().unwrap().starts_with("1 joined, 0 changed"), "{run}");
    assert!(agent.csv("users").contains("person0@corp.example"));
    people(&agent, &[]);
    let run = job("import:Staff", 7);
    assert_eq!(run["state"], "blocked", "{run}");
}

#[test]
fn of_agents_that_share_a_store_one_runs_an_import() {
    let Some(url) = passing_postgres::database() else { return };
    let agent = agent();
    people(&agent, &[line(1, "Tests", "active")]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let lease = Fence { name: "import:staff".to_owned(), holder: "another".to_owned() };
    runtime.block_on(async {
        let store = Store::open(Place::Server(url.clone().into())).await.unwrap();
        assert!(store.take_lease(&lease, 0, i64::MAX).await.unwrap());
        store.close().await;
    });
    let run = |code| {
        let mut command = agent.command(&["import", "staff"]);
        command.env("Store__Url", &url);
        Run::of(command).must_exit(code)
    };
    assert!(run(1).failure().contains("another agent is running the import `Staff`"));
    runtime.block_on(async {
        let store = Store::open(Place::Server(url.clone().into())).await.unwrap();
        store.drop_lease(&lease).await.unwrap();
        store.close().await;
    });
    run(0);
}
