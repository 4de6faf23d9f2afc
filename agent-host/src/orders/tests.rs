//! Orders put into columns: the words of one mapping, and what each order comes to.

use connector_api::{Capabilities, ConnectionId, LinkAction, Mapping, Side, TableCapability};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{Found, Place, Resolved, Vocabulary};

const XML: &str = r#"<ConfigurationFile xmlns="urn:schemas-usercube-com:configuration">
<Connector Identifier="Okta" /><Connection Identifier="Okta" Connector="Okta" /><Connection Identifier="AD" Connector="Okta" />
<EntityTypeMapping Identifier="User" Connector="Okta" ConnectionTable="Okta_users">
  <Property Identifier="key" ConnectionColumn="id" IsPrimaryKey="true" />
  <Property Identifier="login" ConnectionColumn="profile.login" IsUniqueKey="true" />
  <Property Identifier="city" ConnectionColumn="profile.city" />
  <Property Identifier="secret" ConnectionColumn="credentials.password.value" />
  <Property Identifier="nothing" />
</EntityTypeMapping>
<EntityTypeMapping Identifier="UserType" Connector="Okta" ConnectionTable="Okta_types">
  <Property Identifier="type_key" ConnectionColumn="id" IsPrimaryKey="true" />
</EntityTypeMapping>
<EntityTypeMapping Identifier="Group" Connector="Okta" ConnectionTable="Okta_groups">
  <Property Identifier="group_key" ConnectionColumn="id" IsPrimaryKey="true" />
  <Property Identifier="name" ConnectionColumn="profile.name" IsUniqueKey="true" />
</EntityTypeMapping>
<EntityTypeMapping Identifier="Person" Connector="Okta" ConnectionTable="AD_entries">
  <Property Identifier="dn" ConnectionColumn="dn" IsPrimaryKey="true" />
</EntityTypeMapping>
<EntityAssociation Identifier="Members" Property1="Group:Users" IsProperty1Collection="true" Property2="User:Groups" IsProperty2Collection="true" />
<EntityAssociationMapping Identifier="Members" Connector="Okta" ConnectionTable="Okta_groupsusers" Column1="groupId" EntityPropertyMapping1="Group:group_key" Column2="userId" EntityPropertyMapping2="User:key" />
<EntityAssociation Identifier="Home" Property1="User:Home" Property2="Group:Residents" IsProperty2Collection="true" />
<EntityAssociationMapping Identifier="Home" Connector="Okta" ConnectionTable="Okta_groupsusers" Column1="userId" EntityPropertyMapping1="User:key" Column2="groupId" EntityPropertyMapping2="Group:group_key" />
<EntityAssociation Identifier="Types" Property1="UserType:Users" IsProperty1Collection="true" Property2="User:Type" />
<EntityAssociationMapping Identifier="Types" Connector="Okta" ConnectionTable="Okta_users" Column1="type.id" EntityPropertyMapping1="UserType:type_key" Column2="id" EntityPropertyMapping2="User:key" />
<OktaResourceTypeMapping Identifier="Nominative" Connection="Okta" DefaultObjectClass="users" PasswordResetSetting="First" />
<OktaResourceTypeMapping Identifier="Generated" Connection="Okta" DefaultObjectClass="users" PasswordResetSetting="Auto" />
<OktaResourceTypeMapping Identifier="Elsewhere" Connection="AD" />
<PasswordResetSettings Identifier="First" Mode="1" DefaultPassword="first-one" MustChange="true" />
<PasswordResetSettings Identifier="Auto" Mode="1" AutoGenerate="true" />
</ConfigurationFile>"#;

fn read(order: &Value) -> Result<Resolved, String> {
    const ENTITY: TableCapability = TableCapability {
        name: "users",
        fields: &["id"],
        default_attributes: &[],
        identity: &["id"],
        sides: &[],
        never_empty: false,
        exported: true,
    };
    const SIDES: &[Side] = &[
        Side { table: "groups", column: "groupId", aliases: &[] },
        Side { table: "users", column: "userId", aliases: &[] },
    ];
    let links = TableCapability {
        name: "groupsusers",
        fields: &["groupId", "userId"],
        identity: &["groupId", "userId"],
        sides: SIDES,
        ..ENTITY
    };
    let named = |name| TableCapability { name, ..ENTITY };
    let capabilities = Capabilities { tables: vec![ENTITY, named("groups"), named("types"), links] };
    let mut reader = Mapping::reader();
    reader.read("a.xml", XML.as_bytes()).unwrap();
    let (mapping, _) = reader.finish().unwrap();
    let id: ConnectionId = "Okta".parse().unwrap();
    let vocabulary = Vocabulary::new(&mapping, &id, &capabilities).unwrap();
    let text = order.to_string();
    let place = Place { line: 1, column: 1, offset: 0 };
    let found = Found { place, length: text.len() as u64, too_large: false };
    vocabulary.read(&found, text.as_bytes()).unwrap().resolved
}

fn order(change: &str, entity: &str, changes: impl Into<Value>) -> Value {
    json!({
        "AssignedResourceTypeId": "1", "ChangeType": change, "Changes": changes.into(),
        "ResourceType": { "TargetEntityType": { "Identifier": entity } },
        "Resource": { "key": "00u1", "group_key": "00g1", "Home": { "group_key": "00g0" } },
    })
}

#[test]
fn properties_become_columns_whatever_their_case() {
    let resolved = read(&order("modified", "user", json!({"CITY": "Oslo", "login": ""}))).unwrap();
    let order = resolved.order;
    assert_eq!((order.table.as_str(), order.key.unwrap().value.as_str()), ("users", "00u1"));
    assert_eq!(order.values["profile.city"], "Oslo");
    assert_eq!(order.values["profile.login"], Value::Null);
    assert_eq!(order.unique, ["profile.login"]);
}

#[test]
fn navigations_become_links_of_the_right_side() {
    let shown = |changes: &Value, entity: &str| -> Result<Vec<String>, String> {
        let links = read(&order("Modified", entity, changes.clone()))?.order.links;
        let sign = |action| if action == LinkAction::Add { '+' } else { '-' };
        let link = |it: &connector_api::LinkChange| format!("{}{} {}", sign(it.action), it.side, it.other.value);
        Ok(links.iter().map(link).collect())
    };
    let cases = [
        ("User", json!({"Groups_add": [{"group_key": "00g1", "Id": "7"}, "00g2"]}), vec!["+1 00g1", "+1 00g2"]),
        ("User", json!({"groups_REMOVE": {"name": "Staff"}}), vec!["-1 Staff"]),
        ("Group", json!({"Users_add": ["00u1"], "Users_remove": ["00u2"]}), vec!["+0 00u1", "-0 00u2"]),
        ("User", json!({"Home": {"group_key": "00g9"}}), vec!["-1 00g0", "+1 00g9"]),
        ("User", json!({"Home": null}), vec!["-1 00g0"]),
        ("User", json!({"Home": "00g0"}), vec![]),
    ];
    for (entity, changes, links) in cases {
        assert_eq!(shown(&changes, entity).unwrap(), links, "{changes}");
    }
    let wrong = [
        (json!({"Groups": ["00g1"]}), "`Groups_add`"),
        (json!({"Groups_add": [{}]}), "`group_key` is missing"),
        (json!({"Groups_add": ["00g1"], "Groups_remove": ["00g1"]}), "both added and removed"),
        (json!({"Type_add": ["oty1"]}), "holds one link"),
    ];
    for (changes, reason) in wrong {
        let error = shown(&changes, "User").unwrap_err();
        assert!(error.contains(reason), "{changes}: {error}");
    }
}

#[test]
fn a_link_kept_in_a_column_becomes_its_value() {
    let set = read(&order("Modified", "User", json!({"Type": {"type_key": "oty1"}}))).unwrap().order;
    assert_eq!(set.values["type.id"], "oty1");
    let cleared = read(&order("Modified", "User", json!({"Type": null}))).unwrap().order;
    assert_eq!(cleared.values["type.id"], Value::Null);
}

#[test]
fn passwords_are_secrets_from_then_on() {
    let given = read(&order("Modified", "User", json!({"secret": "hush"}))).unwrap();
    assert!(given.order.values.is_empty() && !format!("{given:?}").contains("hush"));
    assert_eq!(given.order.password.unwrap().value.expose_secret(), "hush");
    let added = |resource_type: &str| {
        let mut order = order("Added", "User", json!({"login": "a"}));
        order["ResourceType"]["Identifier"] = json!(resource_type);
        read(&order).unwrap()
    };
    let written = added("Nominative");
    assert_eq!(written.first_password.unwrap().setting, "First");
    let first = written.order.password.unwrap();
    assert!(first.must_change && first.value.expose_secret() == "first-one");
    let generated = added("generated");
    assert!(generated.order.password.is_none() && generated.note.is_none());
    assert_eq!(generated.first_password.unwrap().setting, "Auto");
}

#[test]
fn what_cannot_be_obeyed_is_named() {
    let elsewhere = json!({"ChangeType": "Added", "ResourceType": {"Identifier": "Elsewhere"}});
    let keyless =
        json!({"ChangeType": "Deleted", "Resource": {}, "ResourceType": {"TargetEntityType": {"Identifier": "User"}}});
    let cases = [
        (order("Modified", "User", json!({"nothing": 1})), "`nothing` of `User` is mapped to no column"),
        (order("Modified", "User", json!({"size": 1})), "`size` of `User` is not in the mapping of `Okta`"),
        (order("Modified", "Person", json!({})), "for the connection `AD`"),
        (order("Modified", "Robot", json!({})), "`Robot` is not known"),
        (order("None", "User", json!({})), "`None`"),
        (order("Modified", "User", json!([1])), "`Changes` is no object"),
        (elsewhere, "for the connection `AD`"),
        (keyless, "`key` is missing"),
    ];
    for (order, reason) in cases {
        let error = read(&order).unwrap_err();
        assert!(error.contains(reason), "{order}: {error}");
    }
}
