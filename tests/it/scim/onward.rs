//! What Okta provisioned goes onward: accounts of another system follow the users of the directory.

use acceptance::{CONNECTION, TestAgent};
use okta_sandbox::{Seed, Status};
use serde_json::{Value, json};

use super::{client::Client, create, okta_user, patch};
use crate::import::ACCOUNTS;

const INBOX: &str = r#"
  <Connection Identifier="Inbox" DisplayName_L1="Inbox" Connector="Okta" Package="Usercube.SCIM@0000001" />
  <EntityTypeMapping Identifier="InboxUser" Connector="Okta" ConnectionTable="Inbox_users">
    <Property Identifier="Inbox_users_id" ConnectionColumn="id" IsPrimaryKey="true" />
    <Property Identifier="userName" ConnectionColumn="userName" IsUniqueKey="true" />
    <Property Identifier="externalId" ConnectionColumn="externalId" />
    <Property Identifier="active" ConnectionColumn="active" />
    <Property Identifier="managed" ConnectionColumn="managed" />
    <Property Identifier="given" ConnectionColumn="name.givenName" />
    <Property Identifier="family" ConnectionColumn="name.familyName" />
    <Property Identifier="title" ConnectionColumn="title" />
    <Property Identifier="teams" ConnectionColumn="groups.display" />
  </EntityTypeMapping>
"#;

fn agent() -> TestAgent {
    let agent = TestAgent::seeded(Seed::exact(4, 2, 1, 1));
    agent.map(&format!("{INBOX}{ACCOUNTS}"));
    let import = json!({
        "From": "Inbox_users", "To": format!("{CONNECTION}_users"), "ResourceType": "Okta_User",
        "Match": { "profile_employeeNumber": "externalId" },
        "Where": { "active": "true", "managed": "true" },
        "Map": {
            "profile_login": "{userName:lower}", "profile_email": "{userName:lower}", "profile_firstName": "{name.givenName}",
            "profile_lastName": "{name.familyName}", "profile_title": "{title}",
        },
        "Scope": { "profile_userType": "Provisioned" },
        "Owner": { "ManagerMail": "boss@example.com" },
        "Leavers": "Deactivate",
    });
    let settings = json!({
        "Connections": { "Inbox": { "Directory": "acme" } },
        "Imports": { "Onward": import },
        "PasswordResetSettings": { "MailSettings": { "PickupDirectory": "../Mails" } },
    });
    agent.write("appsettings.agent.Production.json", &settings.to_string());
    agent
}

/// What differs and is carried out: joiners, movers, returners, leavers.
fn import(agent: &TestAgent) -> [u64; 4] {
    let report: Value = agent.run(&["--format", "json", "import", "Onward"]).must_exit(0).json();
    ["joiners", "movers", "returners", "leavers"].map(|word| report[word].as_u64().expect("a number"))
}

#[test]
fn accounts_follow_those_whom_okta_provisioned() {
    let agent = agent();
    let client = Client::start(&agent, &create(&agent, &[]));
    let at: Vec<String> = ["ada", "bob"]
        .iter()
        .map(|name| client.post("/Users", &okta_user(&format!("{name}@example.com"), &format!("00u-{name}"))).must(201))
        .map(|made| format!("/Users/{}", made["id"].as_str().expect("an id")))
        .collect();
    let status = |name: &str| agent.org(|org| org.user_status(&format!("{name}@example.com")));
    assert_eq!(import(&agent), [2, 0, 0, 0]);
    assert_eq!(import(&agent), [0; 4], "what follows already is left alone");

    client.patch(&at[0], &patch(&json!([{ "op": "replace", "path": "title", "value": "Countess" }]))).must(200);
    let active = |active: bool| patch(&json!([{ "op": "replace", "value": { "active": active } }]));
    client.patch(&at[1], &active(false)).must(200);
    assert_eq!(import(&agent), [0, 1, 0, 1]);
    let ada = agent.org(|org| org.user("ada@example.com")).expect("she has an account");
    assert_eq!((&ada["profile"]["title"], &ada["profile"]["employeeNumber"]), (&json!("Countess"), &json!("00u-ada")));
    assert_eq!(status("bob"), Some(Status::Deprovisioned));
    client.patch(&at[1], &active(true)).must(200);
    assert_eq!(import(&agent), [0, 0, 1, 0]);
    assert_ne!(status("bob"), Some(Status::Deprovisioned));

    let staff = json!({ "displayName": "Staff", "members": [{ "value": at[0].rsplit('/').next() }] });
    client.post("/Groups", &staff).must(201);
    agent.run(&["export", "Inbox"]).must_exit(0);
    let users = String::from_utf8(agent.published()["Inbox_users.csv"].clone()).expect("it is UTF-8");
    let ada = users.lines().find(|line| line.contains("ada@example.com")).expect("she is exported");
    assert!(ada.ends_with(",Countess,Staff"), "{users}");
    client.end();
}
