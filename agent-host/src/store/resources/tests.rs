//! The store of a directory on a real file and on a real server: what the protocol asks for, races, pages, and the log.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use scim_server::{
    Change, Deletion, Draft, Field, From, Keys, Kind, Link, Links, Lookup, MemberChange, Order, Query, Resource,
    ResourceStore, StoreError, conformance,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use sqlx::{Row, any::AnyRow};

use super::{BLOCK, DeletedResource, Resources, Statement, Store};
use crate::store::tests::stores;

/// A directory in a store of each kind.
pub(super) async fn directories() -> Vec<(TempDir, Store, Resources)> {
    let mut made = Vec::new();
    for (folder, store) in stores().await {
        made.push(directory(folder, store).await);
    }
    made
}

async fn directory(folder: TempDir, store: Store) -> (TempDir, Store, Resources) {
    let directory = store.add_directory("Acme", "{}", "salt", 1).await.unwrap().unwrap();
    let resources = resources(&store, directory.id);
    (folder, store, resources)
}

pub(super) fn resources(store: &Store, directory: i64) -> Resources {
    let time = AtomicI64::new(1_000);
    let writer = store.resource_writer(Arc::new(move || time.fetch_add(1, Ordering::Relaxed)));
    Resources::new(store.clone(), (store.resource_reader(), writer), directory, "prefix")
}

fn user(name: &str) -> Draft {
    Draft {
        attributes: json!({ "userName": name }).as_object().unwrap().clone(),
        keys: Keys { user_name: Some(name.to_lowercase()), ..Keys::default() },
        unique: vec![Field::UserName],
        ..Draft::default()
    }
}

fn sha256(n: u32) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &n.to_be_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn list(from: From, limit: usize) -> Query {
    Query { lookup: None, order: Order::Taken, from, limit, links: Links::All, count: true }
}

#[tokio::test]
async fn the_store_keeps_what_the_protocol_asks_for() {
    for (_folder, _store, resources) in directories().await {
        conformance::check(&resources).await;
    }
}

#[tokio::test]
async fn of_racing_creations_of_one_name_one_wins() {
    for (_folder, _store, resources) in directories().await {
        let racing = (0..12).map(|_| resources.create(Kind::User, user("ada"), Links::None));
        let outcomes = futures::future::join_all(racing).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        let refused = |outcome: &&Result<_, _>| matches!(outcome, Err(StoreError::NotUnique(Field::UserName)));
        assert_eq!(outcomes.iter().filter(refused).count(), 11);
    }
}

#[tokio::test]
async fn keys_as_long_as_the_protocol_lets_through_are_kept_and_what_no_database_can_hold_harms_no_other() {
    for (_folder, _store, resources) in directories().await {
        // Digests, since PostgreSQL makes room by compressing what repeats itself.
        let digests = (0_u32..).flat_map(|n| sha256(n).chars().collect::<Vec<_>>());
        let long: String = digests.take(scim_server::MAX_KEY_BYTES).collect();
        let mut wanted = user(&long);
        wanted.keys.external_id = Some(long.clone());
        wanted.keys.display_name = Some(long.clone());
        let kept = resources.create(Kind::User, wanted, Links::None).await.unwrap();
        let staff = Draft { members: vec![Link { id: long.clone(), ..Link::default() }], ..Draft::default() };
        resources.create(Kind::Group, staff, Links::None).await.unwrap();
        let lookup = |value: &str| Some(Lookup { field: Field::UserName, values: vec![value.to_owned()] });
        let query = |value: &str| Query { lookup: lookup(value), ..list(From::Offset(0), 1) };
        let queries = [query("a\0b"), query(&long), query("\0")];
        let pages = queries.iter().map(|query| resources.page(Kind::User, query));
        let found = futures::future::join_all(pages).await.into_iter().map(|page| page.unwrap().resources.len());
        assert_eq!(found.collect::<Vec<_>>(), [0, 1, 0]);
        assert!(resources.get(Kind::User, "\0", Links::None).await.unwrap().is_none());
        let change = resources.update(Kind::User, "\0", Change::default(), Links::None).await;
        assert!(matches!(change, Err(StoreError::NotFound)));
        let gone = resources.delete(Kind::User, "\0", Deletion::default()).await;
        assert!(matches!(gone, Err(StoreError::NotFound)));
        // What the protocol does not let through fails alone.
        let both = [
            resources.create(Kind::User, user("\0"), Links::None),
            resources.create(Kind::User, user("bo"), Links::None),
        ];
        let [_, other] = <[_; 2]>::try_from(futures::future::join_all(both).await).unwrap();
        assert!(other.is_ok() && resources.get(Kind::User, &kept.id, Links::None).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_page_far_behind_is_found_when_some_before_it_are_gone() {
    for (_folder, _store, resources) in directories().await {
        let count = usize::try_from(BLOCK).unwrap() + 50;
        let names: Vec<String> = (0..count).map(|n| format!("u{n:05}")).collect();
        let creations = names.iter().map(|name| resources.create(Kind::User, user(name), Links::None));
        let mut made: Vec<_> = futures::future::join_all(creations).await.into_iter().map(Result::unwrap).collect();
        made.sort_by_key(|user| user.sequence);
        for gone in &made[..3] {
            resources.delete(Kind::User, &gone.id, Deletion::default()).await.unwrap();
        }
        let page = resources.page(Kind::User, &list(From::Offset(count as u64 - 5), 9)).await.unwrap();
        let ids: Vec<&str> = page.resources.iter().map(|user| user.id.as_str()).collect();
        assert_eq!(ids, [made[count - 2].id.as_str(), made[count - 1].id.as_str()]);
        assert_eq!(page.total, Some(count as u64 - 3));
        let beyond = resources.page(Kind::User, &list(From::Offset(count as u64), 9)).await.unwrap();
        assert!(beyond.resources.is_empty() && beyond.total == page.total);
    }
}

#[tokio::test]
async fn pages_by_name_follow_each_other_bytewise_whatever_the_order_of_the_database() {
    let mut stores = stores().await;
    if let Some(url) = passing_postgres::database() {
        sqlx::any::install_default_drivers();
        let pool = sqlx::AnyPool::connect(&url).await.unwrap();
        let made = "CREATE DATABASE other_order TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'und' LOCALE 'C'";
        sqlx::query(made).execute(&pool).await.unwrap();
        let url = format!("{}/other_order", url.rsplit_once('/').unwrap().0);
        let place = crate::store::Place::Server(url.into());
        stores.push((tempfile::tempdir().unwrap(), Store::open(place).await.unwrap()));
    }
    for (folder, store) in stores {
        let (_folder, _store, resources) = directory(folder, store).await;
        for name in ["é", "z", "a_b", "e", "ab", "f", "a-b"] {
            let staff = Draft {
                keys: Keys { display_name: Some(name.to_owned()), ..Keys::default() },
                attributes: json!({ "displayName": name }).as_object().unwrap().clone(),
                ..Draft::default()
            };
            resources.create(Kind::Group, staff, Links::None).await.unwrap();
        }
        resources.create(Kind::Group, Draft::default(), Links::None).await.unwrap();
        let mut expected = vec!["a-b", "a_b", "ab", "e", "f", "z", "é", ""];
        for descending in [false, true] {
            let mut seen = Vec::new();
            for start in (0..8).step_by(2) {
                let order = Order::By { field: Field::DisplayName, descending };
                let query = Query { order, ..list(From::Offset(start), 2) };
                let page = resources.page(Kind::Group, &query).await.unwrap().resources;
                let name =
                    |group: &Resource| group.attributes.get("displayName").and_then(Value::as_str).map(str::to_owned);
                seen.extend(page.iter().map(|group| name(group).unwrap_or_default()));
            }
            assert_eq!(seen, expected, "descending: {descending}");
            expected.reverse();
        }
    }
}

#[tokio::test]
async fn names_are_looked_up_by_their_own_index_before_there_are_statistics() {
    for (_folder, store, resources) in directories().await {
        let names: Vec<String> = (0..300).map(|n| format!("u{n:05}")).collect();
        let creations = names.iter().map(|name| resources.create(Kind::User, user(name), Links::None));
        assert!(futures::future::join_all(creations).await.iter().all(Result::is_ok));
        let explain = if store.is_shared() { "EXPLAIN" } else { "EXPLAIN QUERY PLAN" };
        for (field, index) in [
            (Field::UserName, "resources_by_user_name"),
            (Field::ExternalId, "resources_by_external_id"),
            (Field::DisplayName, "resources_by_display_name"),
        ] {
            for count in [1, 64] {
                let mut statement = Statement::found(1, Kind::User, Some(field));
                statement.text.insert_str(0, &format!("{explain} "));
                statement.push_lookup(Kind::User, &Lookup { field, values: names[..count].to_vec() });
                statement.push(") SELECT * FROM found");
                let rows: Vec<AnyRow> = statement.bound().fetch_all(&store.pool).await.unwrap();
                let column = if store.is_shared() { 0 } else { 3 };
                let plan: Vec<String> = rows.iter().map(|row| row.get(column)).collect();
                let goes_by = |index: &str| plan.iter().any(|line| line.contains(index));
                assert!(!goes_by("resources_in_order"), "{field:?} {plan:#?}");
                // For many of a small table PostgreSQL reads that.
                assert!(goes_by(index) || (count > 1 && store.is_shared()), "{field:?} {plan:#?}");
            }
        }
    }
}

#[tokio::test]
async fn the_log_tells_every_change_in_order_and_no_password() {
    for (_folder, store, resources) in directories().await {
        let mut ada = user("ada");
        ada.password = Some("s3cret-of-ada".into());
        let ada = resources.create(Kind::User, ada, Links::None).await.unwrap();
        let staff =
            Draft { attributes: json!({ "displayName": "Staff" }).as_object().unwrap().clone(), ..Draft::default() };
        let staff = resources.create(Kind::Group, staff, Links::None).await.unwrap();
        let add = MemberChange { add: vec![Link { id: ada.id.clone(), ..Link::default() }], ..MemberChange::default() };
        for _ in 0..2 {
            let change = Change { members: add.clone(), ..Change::default() };
            resources.update(Kind::Group, &staff.id, change, Links::None).await.unwrap();
        }
        resources.delete(Kind::User, &ada.id, Deletion { soft: true, ..Deletion::default() }).await.unwrap();
        let events = store.directory_events(1, 0, 100).await.unwrap();
        let told: Vec<(i64, &str, &str)> =
            events.iter().map(|event| (event.number, event.action.as_str(), event.resource.as_str())).collect();
        let (ada, staff) = (ada.id.as_str(), staff.id.as_str());
        let expected = [
            (1, "created", ada),
            (2, "created", staff),
            (3, "updated", staff),
            (4, "updated", staff),
            (5, "deleted", ada),
        ];
        assert_eq!(store.oldest_directory_event(1).await.unwrap(), Some(1));
        assert_eq!(told, expected);
        assert_eq!(
            (events[2].added.as_slice(), events[3].removed.as_slice()),
            (&[ada.to_owned()][..], &[ada.to_owned()][..])
        );
        assert_eq!(events[4].before, Some(json!({ "userName": "ada" })));
        assert!(events.iter().all(|event| event.actor == "prefix"));
        assert!(!serde_json::to_string(&events).unwrap().contains("s3cret"));
        let rest: Vec<Value> =
            store.directory_events(1, 4, 1).await.unwrap().iter().map(|event| event.number.into()).collect();
        assert_eq!(rest, [json!(5)]);
        assert_eq!(store.forget_directory_events(i64::MAX).await.unwrap(), 5);
        assert_eq!(store.oldest_directory_event(1).await.unwrap(), None);
    }
}

#[tokio::test]
async fn what_is_deleted_leaves_a_trace_where_that_is_wanted_until_it_is_old() {
    for (_folder, store, resources) in directories().await {
        let mut times = Vec::new();
        for (name, soft) in [("ada", true), ("bob", false), ("eve", true)] {
            let mut draft = user(name);
            draft.password = Some("s3cret-of-all".into());
            let made = resources.create(Kind::User, draft, Links::None).await.unwrap();
            resources.delete(Kind::User, &made.id, Deletion { soft, ..Deletion::default() }).await.unwrap();
            times.push(store.directory("acme").await.unwrap().unwrap().changed_ms.unwrap());
        }
        let told = async |most| {
            let found = store.deleted_resources(1, most).await.unwrap();
            let row = |it: &DeletedResource| (it.attributes.clone(), it.deleted_ms, it.kind, it.actor.clone());
            found.iter().map(row).collect::<Vec<_>>()
        };
        let row = |name: &str, nth: usize| (user(name).attributes, times[nth], "User", "prefix".to_owned());
        assert_eq!(told(10).await, [row("eve", 2), row("ada", 0)]);
        assert_eq!(told(1).await, [row("eve", 2)]);
        assert_eq!(store.forget_deleted_resources(times[2]).await.unwrap(), 1);
        assert_eq!(told(10).await, [row("eve", 2)]);
        let again = resources.create(Kind::User, user("eve"), Links::None).await;
        assert!(again.is_ok(), "the name is free");
    }
}

#[tokio::test]
async fn a_group_takes_no_name_that_another_has_where_names_are_unique() {
    for (_folder, _store, resources) in directories().await {
        let group = |name: &str| Draft {
            attributes: json!({ "displayName": name }).as_object().unwrap().clone(),
            keys: Keys { display_name: Some(name.to_lowercase()), ..Keys::default() },
            unique: vec![Field::DisplayName],
            ..Draft::default()
        };
        let is_taken =
            |outcome: &Result<_, StoreError>| matches!(outcome, Err(StoreError::NotUnique(Field::DisplayName)));
        let racing = (0..12).map(|_| resources.create(Kind::Group, group("Staff"), Links::None));
        let outcomes = futures::future::join_all(racing).await;
        assert_eq!(outcomes.iter().filter(|outcome| is_taken(outcome)).count(), 11);
        assert!(is_taken(&resources.create(Kind::Group, group("STAFF"), Links::None).await));
        let others = ["one", "two"].map(|name| resources.create(Kind::Group, group(name), Links::None));
        let others: Vec<_> = futures::future::join_all(others).await.into_iter().map(Result::unwrap).collect();
        let rename = async |id: &str, name: &str| {
            let Draft { attributes, keys, unique, .. } = group(name);
            let change = Change { attributes: Some((attributes, keys)), unique, ..Change::default() };
            resources.update(Kind::Group, id, change, Links::None).await
        };
        assert!(is_taken(&rename(&others[0].id, "staff").await));
        assert!(rename(&others[0].id, "ONE").await.is_ok());
        let outcomes = futures::future::join_all(others.iter().map(|other| rename(&other.id, "crew"))).await;
        assert_eq!(outcomes.iter().filter(|outcome| is_taken(outcome)).count(), 1);
    }
}

#[tokio::test]
async fn a_removed_directory_takes_everything_along() {
    for (_folder, store, resources) in directories().await {
        resources.create(Kind::User, user("ada"), Links::None).await.unwrap();
        assert_eq!(store.directory_counts(1).await.unwrap().users, 1);
        assert!(store.add_directory("ACME", "{}", "salt", 1).await.unwrap().is_none(), "a name is taken in any case");
        store.remove_directory(1).await.unwrap();
        assert!(store.directories().await.unwrap().is_empty());
        let late = resources.create(Kind::User, user("bob"), Links::None).await;
        assert!(matches!(late, Err(StoreError::Failed(_))));
    }
}

#[tokio::test]
async fn who_has_an_id_of_the_client_or_was_written_by_it_is_managed() {
    for (_folder, store, resources) in directories().await {
        let mut own = user("own");
        own.keys.external_id = Some("00u1".to_owned());
        let mut made = vec![resources.create(Kind::User, own, Links::None).await.unwrap()];
        for name in ["confirmed", "changed", "there"] {
            made.push(resources.create(Kind::User, user(name), Links::None).await.unwrap());
        }
        for _ in 0..2 {
            resources.confirm(Kind::User, &made[1].id).await.unwrap();
        }
        let change = Change { password: Some("s3cret-of-bob".into()), ..Change::default() };
        resources.update(Kind::User, &made[2].id, change, Links::None).await.unwrap();
        let managed = resources.managed(&made).await.unwrap();
        let told: Vec<bool> = made.iter().map(|user| managed.contains(&user.id)).collect();
        assert_eq!(told, [true, true, true, false]);
        assert_eq!(resources.managed(&made[3..]).await.unwrap().len(), 0);
        let events = store.directory_events(1, 4, 100).await.unwrap();
        let told: Vec<(&str, &str)> =
            events.iter().map(|event| (event.action.as_str(), event.resource.as_str())).collect();
        let [confirmed, changed] = [1, 2].map(|nth| made[nth].id.as_str());
        assert_eq!(told, [("adopted", confirmed), ("adopted", changed), ("updated", changed)]);
    }
}
