//! From an integrator's XML to the columns of the files, and what is refused on the way.

use acceptance::{CONNECTION, TestAgent, program};

/// The three mappings as the vendor prints them on its page on Okta.
const PRINTED: &str = r#"
  <EntityTypeMapping Identifier="User" ConnectionTable="OktaExportFulfillment_users" Connector="Okta">
    <Property Identifier="OktaExportFulfillment_users_id" ConnectionColumn="id" IsPrimaryKey="true" IsUniqueKey="true" />
    <Property Identifier="activated" ConnectionColumn="activated" />
    <Property Identifier="created" ConnectionColumn="created" />
    <Property Identifier="lastLogin" ConnectionColumn="lastLogin" />
    <Property Identifier="lastUpdated" ConnectionColumn="lastUpdated" />
    <Property Identifier="passwordChanged" ConnectionColumn="passwordChanged" />
    <Property Identifier="profile_city" ConnectionColumn="profile.city" />
    <Property Identifier="profile_costCenter" ConnectionColumn="profile.costCenter" />
    <Property Identifier="profile_countryCode" ConnectionColumn="profile.countryCode" />
    <Property Identifier="profile_department" ConnectionColumn="profile.department" />
    <Property Identifier="profile_displayName" ConnectionColumn="profile.displayName" />
  </EntityTypeMapping>
  <EntityTypeMapping Identifier="Group" ConnectionTable="OktaExportFulfillment_groups" Connector="Okta">
    <Property Identifier="OktaExportFulfillment_groups_id" ConnectionColumn="id" IsPrimaryKey="true" IsUniqueKey="true" />
    <Property Identifier="created" ConnectionColumn="created" />
    <Property Identifier="lastMemberShipUpdated" ConnectionColumn="lastMemberShipUpdated" />
    <Property Identifier="lastUpdated" ConnectionColumn="lastUpdated" />
    <Property Identifier="profile_description" ConnectionColumn="profile.description" />
    <Property Identifier="profile_name" ConnectionColumn="profile.name" />
    <Property Identifier="type" ConnectionColumn="type" />
  </EntityTypeMapping>
  <EntityTypeMapping Identifier="Application" ConnectionTable="OktaExportFulfillment_apps" Connector="Okta">
    <Property Identifier="OktaExportFulfillment_apps_id" ConnectionColumn="id" IsPrimaryKey="true" IsUniqueKey="true" />
    <Property Identifier="created" ConnectionColumn="created" />
    <Property Identifier="label" ConnectionColumn="label" />
    <Property Identifier="lastUpdated" ConnectionColumn="lastUpdated" />
    <Property Identifier="name" ConnectionColumn="name" />
    <Property Identifier="status" ConnectionColumn="status" />
  </EntityTypeMapping>"#;

/// What the page leaves out at `….` and yet shows in its header.
const ELIDED: &str = r#"
    <Property Identifier="status" ConnectionColumn="status" />
    <Property Identifier="statusChanged" ConnectionColumn="statusChanged" />
  </EntityTypeMapping>"#;

const USERS: &str = "id, status, created, activated, statusChanged, lastLogin, lastUpdated, passwordChanged, type.id, \
    profile.city, profile.costCenter, profile.countryCode, profile.department, profile.displayName";
const GROUPS: &str = "id, created, lastUpdated, lastMemberShipUpdated, type, profile.description, profile.name";
const APPS: &str = "id, created, lastUpdated, status, name, label";

/// A header as the page prints it, without the spaces of print.
fn printed(header: &str) -> String {
    header.replace(", ", ",")
}

/// A mapping of users by `id` with one more column.
fn users_with(column: &str) -> String {
    format!(
        r#"<EntityTypeMapping Identifier="User" Connector="Okta" ConnectionTable="{CONNECTION}_users">
<Property Identifier="id" ConnectionColumn="id" IsPrimaryKey="true" IsUniqueKey="true" />
<Property Identifier="other" ConnectionColumn="{column}" IsUniqueKey="true" /></EntityTypeMapping>"#
    )
}

/// An association of groups and users by these properties.
fn members(group: &str, user: &str) -> String {
    format!(
        r#"<EntityTypeMapping Identifier="Group" Connector="Okta" ConnectionTable="{CONNECTION}_groups">
<Property Identifier="id" ConnectionColumn="id" IsPrimaryKey="true" IsUniqueKey="true" /></EntityTypeMapping>
<EntityAssociationMapping Identifier="Members" Connector="Okta" ConnectionTable="{CONNECTION}_groupsusers"
 Column1="member" EntityPropertyMapping1="{user}" Column2="team" EntityPropertyMapping2="{group}" />"#
    )
}

/// The export is refused for the mapping: the line names all of `parts`, and nothing is written or asked.
#[track_caller]
fn refused(agent: &TestAgent, parts: &[&str]) {
    let run = agent.export(&["--format", "json"]).must_exit(3);
    for part in parts {
        assert!(run.failure().contains(part), "{part} in {}", run.stderr);
    }
    assert_eq!(run.json()["error"]["kind"], "settings");
    assert!(agent.published().is_empty());
}

#[test]
fn the_vendors_mappings_give_the_vendors_headers() {
    let agent = TestAgent::new();
    agent.map(PRINTED);
    agent.export(&[]).must_exit(0);
    let elided = ["status,", "statusChanged,", "type.id,"];
    let users = elided.iter().fold(printed(USERS), |header, column| header.replacen(&format!(",{column}"), ",", 1));
    assert_eq!(agent.header("users"), users);
    assert_eq!(agent.header("groups"), printed(GROUPS));
    assert_eq!(agent.header("apps"), printed(APPS));
    let group = agent.csv("groups").lines().nth(1).unwrap().to_owned();
    assert!(group.split(',').nth(3).is_some_and(|time| time.ends_with('Z')), "found in another spelling: {group}");
}

#[test]
fn with_what_the_page_leaves_out_the_header_is_exactly_the_printed_one() {
    let agent = TestAgent::new();
    let user_type = r#"
  <EntityAssociationMapping Identifier="User_UserType" Connector="Okta" ConnectionTable="OktaExportFulfillment_users"
    Column1="id" EntityPropertyMapping1="User:OktaExportFulfillment_users_id"
    Column2="type.id" EntityPropertyMapping2="UserType:Identifier" />"#;
    agent.map(&(PRINTED.replacen("</EntityTypeMapping>", ELIDED, 1) + user_type));
    agent.export(&[]).must_exit(0);
    assert_eq!(agent.header("users"), printed(USERS));
}

#[test]
fn an_association_renames_the_columns_of_its_file() {
    let agent = TestAgent::new();
    agent.map(&(users_with("status") + &members("Group:id", "User:id")));
    agent.export(&[]).must_exit(0);
    let text = agent.csv("groupsusers");
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("team,member"), "the group's column first");
    assert!(lines.all(|line| line.starts_with("00g") && line.contains(",00u")), "{text}");
    assert_eq!(agent.header("groupsapps"), "groupId,appId", "the other keeps its names");
}

#[test]
fn an_association_that_does_not_lead_to_identities_is_refused_with_the_reason() {
    let agent = TestAgent::new();
    agent.map(&(users_with("profile.login") + &members("Group:id", "User:other")));
    refused(&agent, &["Conf/Okta.xml:7", "`member`", "`profile.login` of `users`", "links hold `id`"]);
}

#[test]
fn a_mapping_without_a_primary_key_is_refused() {
    let agent = TestAgent::new();
    agent.map(&users_with("status").replace(" IsPrimaryKey=\"true\"", ""));
    refused(&agent, &["Conf/Okta.xml:3:1", "`User`", "no primary key", "IsPrimaryKey=\"true\""]);
}

#[test]
fn a_dtd_is_refused() {
    let agent = TestAgent::new();
    agent.write("Conf/Okta.xml", "<?xml version=\"1.0\"?>\n<!DOCTYPE x [<!ENTITY y \"z\">]>\n<ConfigurationFile/>");
    refused(&agent, &["Conf/Okta.xml:2:1", "document type definitions", "<!DOCTYPE"]);
}

#[test]
fn a_mapping_that_is_no_xml_is_refused_at_its_place() {
    let agent = TestAgent::new();
    agent.write("Conf/Broken.xml", "<ConfigurationFile>\n  <Connector Identifier=\"Okta\"");
    refused(&agent, &["Conf/Broken.xml:2"]);
}

#[test]
fn a_column_that_okta_does_not_know_is_refused_with_the_nearest_one() {
    let agent = TestAgent::new();
    agent.map(&users_with("profile.badgeNumbre"));
    refused(&agent, &["`profile.badgeNumbre`", "`profile.badgeNumber`", "refresh-schema"]);
    agent.map(&users_with("lastLogon"));
    refused(&agent, &["`lastLogon`", "`lastLogin`"]);
    let check = agent.run(&["check"]).must_exit(3);
    assert!(check.stdout.contains("`lastLogon`"), "`check` finds it too: {}", check.stdout);
}

#[test]
fn an_attribute_of_the_organisations_own_is_a_column() {
    let agent = TestAgent::new();
    agent.map(&users_with("Profile.BadgeNumber"));
    agent.export(&[]).must_exit(0);
    assert_eq!(agent.header("users"), "id,Profile.BadgeNumber", "spelt as the mapping spells it");
    assert!(agent.csv("users").lines().nth(2).unwrap().contains(",B0"), "{}", agent.csv("users"));
}

#[test]
fn without_a_mapping_the_tables_have_default_columns() {
    let agent = TestAgent::new();
    std::fs::remove_dir_all(agent.directory().join("Conf")).unwrap();
    agent.export(&[]).must_exit(0);
    let users = "id,status,created,activated,statusChanged,lastLogin,lastUpdated,passwordChanged,type.id,\
                 profile.login,profile.email,profile.firstName,profile.lastName";
    assert_eq!(agent.header("users"), users);
    assert_eq!(
        agent.header("groups"),
        "id,created,lastUpdated,lastMembershipUpdated,type,profile.name,profile.description"
    );
    assert_eq!(agent.header("apps"), "id,created,lastUpdated,status,name,label");
    assert_eq!(agent.header("groupsusers"), "groupId,userId");
    assert_eq!(agent.header("groupsapps"), "groupId,appId");
}

#[test]
fn the_schema_that_is_printed_can_be_read_and_names_every_attribute() {
    let agent = TestAgent::new();
    let xml = agent.run(&["refresh-schema", CONNECTION]).must_exit(0).stdout;
    assert!(xml.contains(r#"Identifier="OktaExportFulfillment_users""#) && xml.contains(r#""profile.badgeNumber""#));
    agent.write("Conf/Okta/Okta Schema.xml", &xml);
    agent.export(&[]).must_exit(0);
    let report = agent.run(&["refresh-schema", CONNECTION, "--format", "json"]).must_exit(0).json();
    let users = report["tables"]["users"].as_array().unwrap();
    assert!(users.iter().any(|column| column["column"] == "profile.skills" && column["multivalued"] == true));
}

#[test]
fn every_sample_is_an_agent_directory_that_waits_for_its_address() {
    let samples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config-samples");
    for entry in std::fs::read_dir(samples).unwrap() {
        let folder = entry.unwrap().path();
        // What is for other programs, such as Grafana's dashboard, is no agent directory.
        if folder.join("appsettings.agent.json").is_file() {
            let mut command = std::process::Command::new(program());
            command.arg("--directory").arg(&folder).arg("check").env_clear();
            let run = acceptance::Run::of(command).must_exit(3);
            assert!(run.stdout.contains("placeholder"), "{}: {}{}", folder.display(), run.stdout, run.stderr);
        }
    }
}
