//! The inbox on a store in a real file.

use std::{collections::BTreeMap, sync::Arc};

use connector_api::{Column, conformance};
use scim_server::{Deletion, Draft, Field, Keys, Link};
use serde_json::json;
use tempfile::TempDir;

use super::*;

/// A directory with two users, of whom one is managed, and a group with one of them and a stranger.
async fn inbox() -> (TempDir, Inbox, Resources, Vec<Resource>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.db");
    let store = Store::open(&path).await.unwrap();
    let made = store.add_directory("Acme", "{}", "salt", 1).await.unwrap().unwrap();
    let writer = store.resource_writer(Arc::new(|| 1_700_000_000_000));
    let resources = Resources::new(store.clone(), (store.resource_reader(), writer), made.id, "prefix");
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let mut users = Vec::new();
    for attributes in [
        json!({ "userName": "ada", "externalId": "00u1", "active": true, "name": { "givenName": "Ada" },
            "emails": [{ "value": "b@x", "type": "work" }, { "value": "a@x" }], enterprise: { "department": "R&D" },
            "urn:acme:1.0:Badge": { "Level": 3 } }),
        json!({ "userName": "bob" }),
    ] {
        let text = |name: &str| attributes[name].as_str().map(str::to_owned);
        let (user_name, external_id) = (text("userName"), text("externalId"));
        let keys = Keys { user_name, external_id, ..Keys::default() };
        let attributes = attributes.as_object().unwrap().clone();
        let draft = Draft { attributes, keys, unique: vec![Field::UserName], ..Draft::default() };
        users.push(resources.create(Kind::User, draft, Links::None).await.unwrap());
    }
    let link = |id: &str| Link { id: id.to_owned(), ..Link::default() };
    let attributes = json!({ "displayName": "Staff" }).as_object().unwrap().clone();
    let members = users.iter().map(|user| link(&user.id)).chain([link("stranger")]).collect();
    let staff = Draft { attributes, members, ..Draft::default() };
    users.push(resources.create(Kind::Group, staff, Links::None).await.unwrap());
    let settings = ConnectionSettings::new("Scim".parse().unwrap()).with(DIRECTORY, "acme".to_owned());
    (folder, Inbox::open(&settings, Place::File(path)).unwrap(), resources, users)
}

async fn exported(inbox: &Inbox, tables: &[(&str, &[&str])]) -> BTreeMap<String, Vec<Vec<String>>> {
    let table = |(name, columns): &(&str, &[&str])| Table {
        name: (*name).to_owned(),
        columns: columns.iter().map(|path| Column::at(*path)).collect(),
        key: vec![0],
    };
    let tables: Vec<Table> = tables.iter().map(table).collect();
    let batches: Vec<RecordBatch> = inbox.export(&tables).try_collect().await.unwrap();
    let mut found: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for batch in batches {
        let rows = batch.records.iter().map(|record| record.map(str::to_owned).collect());
        found.entry(tables[batch.table].name.clone()).or_default().extend(rows);
    }
    found
}

#[tokio::test]
async fn the_inbox_is_a_connector_like_any_other() {
    let (_folder, inbox, _resources, _users) = inbox().await;
    conformance::check(&inbox).await;
}

#[tokio::test]
async fn columns_are_attributes_of_scim_in_any_case() {
    let (_folder, inbox, _resources, made) = inbox().await;
    let columns = [
        "username",
        "managed",
        "name.givenName",
        "emails.value",
        "groups",
        "groups.value",
        "Groups.Display",
        "groups.type",
        "groups.$ref",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        "urn:acme:1.0:Badge:level",
        "created",
    ];
    let found = exported(&inbox, &[(USERS, &columns)]).await;
    let at = "2023-11-14T22:13:20.000Z";
    let staff = made[2].id.as_str();
    let reference = format!("../Groups/{staff}");
    let groups = [staff, staff, "Staff", "direct", &reference];
    let expected = [
        [&["ada", "true", "Ada", "a@x\nb@x"][..], &groups, &["R&D", "3", at]].concat(),
        [&["bob", "false", "", ""][..], &groups, &["", "", at]].concat(),
    ];
    assert_eq!(found[USERS], expected);
    let one_each = ["groups.value", "groups.display", "groups.type", "groups.$ref"].map(|path| [path]);
    for columns in &one_each {
        let alone = exported(&inbox, &[(USERS, columns)]).await;
        assert!(!alone[USERS][1][0].is_empty(), "{columns:?} is asked for alone");
    }
}

#[tokio::test]
async fn an_account_that_was_there_is_managed_once_a_client_writes_it() {
    let (folder, inbox, resources, made) = inbox().await;
    let managed = async || exported(&inbox, &[(USERS, &["managed"])]).await[USERS].concat();
    assert_eq!(managed().await, ["true", "false"]);
    // What is found and written back as it was changes nothing but that.
    for _ in 0..2 {
        resources.confirm(Kind::User, &made[1].id).await.unwrap();
    }
    assert_eq!(managed().await, ["true", "true"]);
    let now = resources.get(Kind::User, &made[1].id, Links::None).await.unwrap().unwrap();
    assert_eq!((now.version, now.modified_ms), (1, made[1].modified_ms));
    resources.confirm(Kind::Group, &made[2].id).await.unwrap();
    let store = Store::open(&folder.path().join("agent.db")).await.unwrap();
    let events = store.directory_events(1, 0, 100).await.unwrap();
    let told: Vec<_> = events.iter().map(|event| (event.action.as_str(), event.resource.as_str())).collect();
    let [ada, bob, staff] = [0, 1, 2].map(|nth| made[nth].id.as_str());
    assert_eq!(told, [("created", ada), ("created", bob), ("created", staff), ("adopted", bob)]);
}

#[tokio::test]
async fn links_lead_to_users_that_are_there() {
    let (_folder, inbox, resources, made) = inbox().await;
    resources.delete(Kind::User, &made[1].id, Deletion::default()).await.unwrap();
    let found = exported(&inbox, &[(GROUPS, &["displayName"]), (GROUPS_USERS, &["groupId", "userId"])]).await;
    assert_eq!(found[GROUPS], [["Staff"]]);
    assert_eq!(found[GROUPS_USERS], [[made[2].id.as_str(), made[0].id.as_str()]]);
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let settings = ConnectionSettings::new("Scim".parse().unwrap());
    let path = folder.path().join("agent.db");
    let missing = Inbox::open(&settings, Place::File(path.clone())).err().unwrap();
    assert_eq!(missing.setting_key(), Some(DIRECTORY));
    let inbox = Inbox::open(&settings.with(DIRECTORY, "acme".to_owned()), Place::File(path.clone())).unwrap();
    let error = inbox.test_connection(&[]).await.unwrap_err();
    assert_eq!(error.to_string(), "no directory `acme`: there are none");
    assert!(!path.exists(), "looking makes no store");
}
