//! Look-ups by e-mail address: exact where the rows are whole, of everything where they are not.

use std::sync::atomic::{AtomicUsize, Ordering};

use scim_server::{Change, Deletion, Draft, Field, From, Keys, Links, Lookup, Order, Query, ResourceStore};
use serde_json::{Map, json};
use sqlx::{Row, any::AnyRow, migrate::Migrator};

use super::{super::tests, *};
use crate::store::{
    MIGRATIONS, Resources, SERVER_MIGRATIONS, migration,
    place::{Care, Place},
    tests::both,
};

fn attributes(name: &str, email: &str) -> Map<String, Value> {
    let emails = json!([{ "value": email, "type": "work" }]);
    json!({ "userName": name, "emails": emails }).as_object().unwrap().clone()
}

fn keys(name: &str, email: &str) -> Keys {
    Keys { user_name: Some(name.to_owned()), emails: vec![email.to_owned()], ..Keys::default() }
}

async fn create(resources: &Resources, name: &str, email: &str) -> String {
    let draft = Draft { attributes: attributes(name, email), keys: keys(name, email), ..Draft::default() };
    resources.create(Kind::User, draft, Links::None).await.unwrap().id
}

async fn update(resources: &Resources, id: &str, name: &str, email: &str, further: Value) {
    let mut attributes = attributes(name, email);
    attributes.insert("title".to_owned(), further);
    let change = Change { attributes: Some((attributes, keys(name, email))), ..Change::default() };
    resources.update(Kind::User, id, change, Links::None).await.unwrap();
}

/// The ids that a look-up gives.
async fn found(resources: &Resources, email: &str) -> Vec<String> {
    let lookup = Some(Lookup { field: Field::Email, values: vec![email.to_owned()] });
    let query =
        Query { lookup, order: Order::Taken, from: From::After(0), limit: 10_000, links: Links::None, count: false };
    let page = resources.page(Kind::User, &query).await.unwrap();
    page.resources.into_iter().map(|user| user.id).collect()
}

async fn rows(store: &Store) -> i64 {
    sqlx::query_scalar("SELECT COUNT(*) FROM resource_emails").fetch_one(&store.pool).await.unwrap()
}

/// What an agent does that knows nothing of rows: a user, and its event.
async fn write_as_before(pool: &sqlx::AnyPool, sequences: &[i64], email: impl Fn(i64) -> String) {
    for sequences in sequences.chunks(500) {
        let text = format!(
            "INSERT INTO resources (id, directory, kind, sequence, version, created_ms, modified_ms, user_name, attributes) \
             VALUES {}",
            places(sequences.len(), 9)
        );
        let mut query = sqlx::query(AssertSqlSafe(text));
        for sequence in sequences {
            let name = format!("u{sequence}");
            let attributes = Value::Object(attributes(&name, &email(*sequence))).to_string();
            query = query.bind(name.clone()).bind(1_i64).bind(0_i64).bind(*sequence).bind(1_i64).bind(1_i64);
            query = query.bind(1_i64).bind(name).bind(attributes);
        }
        query.execute(pool).await.unwrap();
    }
    let statement = "UPDATE directories SET last_sequence = $1, last_event = last_event + 1 WHERE id = 1";
    sqlx::query(statement).bind(*sequences.last().unwrap()).execute(pool).await.unwrap();
}

/// A store of before with so many users of `directories` 1, opened by an agent of today.
async fn opened_anew(place: &Place, users: i64) -> (Store, Resources) {
    let pool = place.connect(Care::Full).await.unwrap();
    let own = SERVER_MIGRATIONS.into_iter().filter(|_| place.is_shared());
    let mut earlier: Vec<_> = MIGRATIONS.into_iter().chain(own).filter(|(version, ..)| *version < 23).collect();
    earlier.sort_unstable();
    Migrator::with_migrations(earlier.into_iter().map(migration).collect()).run(&pool).await.unwrap();
    let made = "INSERT INTO directories (id, name, folded, options, salt, created_ms, last_sequence, last_event) \
         VALUES (1, 'acme', 'acme', '{}', 'salt', 1, 0, 0)";
    sqlx::query(made).execute(&pool).await.unwrap();
    write_as_before(&pool, &(1..=users).collect::<Vec<_>>(), |number| format!("U{number}@X")).await;
    pool.close().await;
    let store = Store::open(place).await.unwrap();
    let resources = tests::resources(&store, 1);
    (store, resources)
}

#[tokio::test]
async fn users_are_found_by_the_addresses_that_they_have_and_by_no_others() {
    for (_folder, store, resources) in tests::directories().await {
        let ann = create(&resources, "ann", "a@x").await;
        let bo = create(&resources, "bo", "a@x").await;
        assert_eq!(found(&resources, "a@x").await, [ann.clone(), bo.clone()]);
        update(&resources, &ann, "ann", "b@x", Value::Null).await;
        assert_eq!(found(&resources, "a@x").await, [bo.as_str()]);
        assert_eq!(found(&resources, "b@x").await, [ann.as_str()]);
        assert!(found(&resources, "\0").await.is_empty());
        resources.delete(Kind::User, &bo, Deletion { soft: true, ..Deletion::default() }).await.unwrap();
        assert!(found(&resources, "a@x").await.is_empty());
        assert_eq!(rows(&store).await, 1);
        // All of these share a transaction with others, and the last word is kept.
        let turn = AtomicUsize::new(0);
        let changes = (0..20).map(|_| {
            let nth = turn.fetch_add(1, Ordering::Relaxed);
            let (resources, ann) = (&resources, &ann);
            async move { update(resources, ann, "ann", ["c@x", "d@x"][nth % 2], nth.into()).await }
        });
        futures::future::join_all(changes).await;
        let last = resources.get(Kind::User, &ann, Links::None).await.unwrap().unwrap();
        let last = email_keys(&last.attributes["emails"]);
        let other = if last == ["c@x"] { "d@x" } else { "c@x" };
        assert_eq!(found(&resources, &last[0]).await, [ann]);
        assert!(found(&resources, other).await.is_empty());
        store.remove_directory(1).await.unwrap();
        assert_eq!(rows(&store).await, 0);
    }
}

#[tokio::test]
async fn an_address_that_many_share_leads_to_all_of_them() {
    for (_folder, _store, resources) in tests::directories().await {
        let names: Vec<String> = (0..FEW_ROWS + 20).map(|number| format!("u{number}")).collect();
        let mut made = futures::future::join_all(names.iter().map(|name| create(&resources, name, "shared@x"))).await;
        create(&resources, "other", "other@x").await;
        made.sort();
        assert_eq!(found(&resources, "shared@x").await, made);
        for gone in &made[..20] {
            resources.delete(Kind::User, gone, Deletion::default()).await.unwrap();
        }
        assert_eq!(found(&resources, "shared@x").await, made[20..]);
    }
}

#[tokio::test]
async fn addresses_are_looked_up_by_their_index_before_there_are_statistics() {
    for (_folder, store, resources) in tests::directories().await {
        let names: Vec<String> = (0..300).map(|number| format!("u{number}@x")).collect();
        futures::future::join_all(names.iter().map(|name| create(&resources, name, name))).await;
        for count in [1, 64] {
            let mut statement = candidates(1, &names[..count]);
            statement.text.insert_str(0, if store.is_shared() { "EXPLAIN " } else { "EXPLAIN QUERY PLAN " });
            let rows: Vec<AnyRow> = statement.bound().fetch_all(&store.pool).await.unwrap();
            let column = if store.is_shared() { 0 } else { 3 };
            let plan: Vec<String> = rows.iter().map(|row| row.get(column)).collect();
            let is_by_index = plan.iter().any(|line| line.contains("resource_emails_by_value"));
            // For many of a small table PostgreSQL reads that.
            assert!(is_by_index || (count > 1 && store.is_shared()), "{plan:#?}");
            assert!(!plan.iter().any(|line| line.contains("on resources")), "{plan:#?}");
        }
    }
}

#[tokio::test]
async fn a_change_of_something_else_leaves_the_rows_alone() {
    for (_folder, store, resources) in tests::directories().await {
        let ann = create(&resources, "ann", "a@x").await;
        sqlx::query("DELETE FROM resource_emails").execute(&store.pool).await.unwrap();
        update(&resources, &ann, "ann", "a@x", json!("Boss")).await;
        assert_eq!(rows(&store).await, 0);
        update(&resources, &ann, "ann", "b@x", json!("Boss")).await;
        assert_eq!(rows(&store).await, 1);
    }
}

#[tokio::test]
async fn users_of_an_earlier_version_are_found_before_and_after_they_are_gone_through() {
    for (_folder, place) in both() {
        let (store, resources) = opened_anew(&place, 2_500).await;
        assert!(found(&resources, "u7@x").await.contains(&"u7".to_owned()), "everybody is read");
        assert!(index_some(&store, 1, true).await.unwrap(), "there are more");
        assert!(found(&resources, "u7@x").await.contains(&"u7".to_owned()), "still everybody");
        // Some are gone through, some are not; they change, and there are new ones.
        for id in ["u2400", "u8"] {
            update(&resources, id, id, &format!("new-{id}@x"), Value::Null).await;
        }
        resources.delete(Kind::User, "u9", Deletion::default()).await.unwrap();
        let new = create(&resources, "new", "u7@x").await;
        assert_eq!(store.index_emails().await.unwrap(), [1]);
        assert_eq!(found(&resources, "u7@x").await, ["u7".to_owned(), new]);
        assert_eq!(found(&resources, "new-u2400@x").await, ["u2400"]);
        assert_eq!(found(&resources, "new-u8@x").await, ["u8"]);
        for gone in ["u2400@x", "u8@x", "u9@x"] {
            assert!(found(&resources, gone).await.is_empty(), "{gone}");
        }
        assert_eq!(rows(&store).await, 2_500);
        assert!(store.index_emails().await.unwrap().is_empty(), "it is done");
    }
}

#[tokio::test]
async fn whom_an_agent_of_an_earlier_version_writes_meanwhile_is_found() {
    for (_folder, place) in both() {
        let (store, resources) = opened_anew(&place, 3).await;
        store.index_emails().await.unwrap();
        assert_eq!(found(&resources, "u2@x").await, ["u2"]);
        write_as_before(&store.pool, &[4], |_| "u2@x".to_owned()).await;
        assert!(found(&resources, "u2@x").await.contains(&"u4".to_owned()));
        let new = create(&resources, "new", "new@x").await;
        assert!(found(&resources, "u2@x").await.contains(&"u4".to_owned()), "a change of ours does not hide it");
        assert!(!index_some(&store, 1, false).await.unwrap(), "who is at it does not begin anew");
        assert!(found(&resources, "u2@x").await.contains(&"u4".to_owned()));
        store.index_emails().await.unwrap();
        assert_eq!(found(&resources, "u2@x").await, ["u2", "u4"]);
        assert_eq!(found(&resources, "new@x").await, [new]);
        create(&resources, "newer", "newer@x").await;
        assert!(store.index_emails().await.unwrap().is_empty(), "it stays whole");
    }
}
