//! The tests that every store passes: what [`ResourceStore`] asks for.
//!
//! A host's own tests open a directory that is empty and call [`check`]. Not checked: races, and what survives a crash.

use serde_json::{Map, Value, json};

use crate::{
    resource::{Kind, Link, Resource},
    store::{
        Change, Deletion, Draft, Field, From, Links, Lookup, MemberChange, Order, Query, ResourceStore, StoreError,
        UnknownMember,
    },
    values::keys,
};

/// Checks everything that a store of one empty directory promises.
///
/// # Panics
/// With the promise that was broken.
pub async fn check(store: &dyn ResourceStore) {
    let users = check_created(store).await;
    check_lookups(store, &users).await;
    check_pages(store, &users).await;
    check_changes(store, &users[0]).await;
    check_members(store, &users).await;
    check_deleted(store, &users).await;
    check_emails(store).await;
}

/// Three users, in the order in which they were created.
async fn check_created(store: &dyn ResourceStore) -> Vec<Resource> {
    let mut users = Vec::new();
    for (name, external) in [("Straße", "E1"), ("bo", "e1"), ("Ann", "E2")] {
        let draft = draft(Kind::User, json!({ "userName": name, "externalId": external, "active": true }));
        let wanted = draft.attributes.clone();
        let user = store.create(Kind::User, draft, Links::All).await.expect("a user can be created");
        assert_eq!(user.version, 1, "the first version is 1");
        assert_eq!(user.created_ms, user.modified_ms, "a new resource has not changed");
        assert_eq!(user.attributes, wanted, "attributes are kept as they are");
        assert_eq!(user.links, Some(Vec::new()), "a new user is in no group");
        assert!(users.last().map_or(0, |last: &Resource| last.sequence) < user.sequence, "sequences grow from 1");
        let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        assert!(!user.id.is_empty() && user.id.bytes().all(is_unreserved), "an id fits into an address");
        let read = store.get(Kind::User, &user.id, Links::All).await.expect("a user can be read");
        assert_eq!(read.as_ref(), Some(&user), "what is read is what was answered");
        users.push(user);
    }
    let twin = store.create(Kind::User, draft(Kind::User, json!({ "userName": "STRASSE" })), Links::None).await;
    assert!(matches!(twin, Err(StoreError::NotUnique(Field::UserName))), "a name is taken in any case");
    let wrong_kind = store.get(Kind::Group, &users[0].id, Links::None).await.expect("a group can be asked for");
    assert_eq!(wrong_kind, None, "a user is no group");
    users
}

async fn check_lookups(store: &dyn ResourceStore, users: &[Resource]) {
    let id = |index: usize| users[index].id.clone();
    let cases = [
        (Field::Id, vec![id(2), id(0), "none".to_owned()], vec![0, 2]),
        (Field::UserName, vec!["strasse".to_owned()], vec![0]),
        (Field::UserName, vec!["bo".to_owned(), "ann".to_owned()], vec![1, 2]),
        (Field::ExternalId, vec!["E1".to_owned()], vec![0]),
        (Field::DisplayName, vec!["bo".to_owned()], vec![]),
        (Field::Link, vec!["none".to_owned()], vec![]),
        (Field::Id, vec!["\0".to_owned()], vec![]),
        (Field::UserName, vec!["\0".to_owned()], vec![]),
        (Field::ExternalId, vec!["E\0".to_owned(), "E1".to_owned()], vec![0]),
        (Field::Link, vec!["\0".to_owned()], vec![]),
    ];
    for (field, values, expected) in cases {
        let lookup = Some(Lookup { field, values });
        let page = page(store, Query { lookup: lookup.clone(), ..all() }).await;
        let wanted: Vec<&str> = expected.iter().map(|index: &usize| users[*index].id.as_str()).collect();
        assert_eq!(page.0, wanted, "{lookup:?} finds these, in order");
        assert_eq!(page.1, Some(wanted.len() as u64), "{lookup:?} counts them");
    }
}

async fn check_pages(store: &dyn ResourceStore, users: &[Resource]) {
    let by_name = |descending| Order::By { field: Field::UserName, descending };
    let cases = [
        (Order::Taken, From::Offset(0), 9, vec![0, 1, 2]),
        (Order::Taken, From::Offset(1), 1, vec![1]),
        (Order::Taken, From::Offset(3), 9, vec![]),
        (Order::Taken, From::Offset(0), 0, vec![]),
        (Order::Taken, From::After(0), 2, vec![0, 1]),
        (Order::Taken, From::After(users[1].sequence), 2, vec![2]),
        (by_name(false), From::Offset(0), 9, vec![2, 1, 0]),
        (by_name(true), From::Offset(1), 1, vec![1]),
        (Order::By { field: Field::DisplayName, descending: false }, From::Offset(0), 9, vec![0, 1, 2]),
    ];
    for (order, from, limit, expected) in cases {
        let found = page(store, Query { order, from, limit, ..all() }).await;
        let wanted: Vec<&str> = expected.iter().map(|index: &usize| users[*index].id.as_str()).collect();
        assert_eq!(found, (wanted.iter().map(ToString::to_string).collect(), Some(3)), "{order:?} {from:?} {limit}");
    }
}

async fn check_changes(store: &dyn ResourceStore, user: &Resource) {
    let change = |body: Value, if_version| {
        let Draft { attributes, keys, unique, .. } = draft(Kind::User, body);
        Change { if_version, attributes: Some((attributes, keys)), unique, ..Change::default() }
    };
    let renamed = change(json!({ "userName": "STRASSE", "title": "x" }), Some(1));
    let changed = store.update(Kind::User, &user.id, renamed, Links::None).await.expect("a user may change its case");
    assert_eq!((changed.version, changed.sequence), (2, user.sequence), "a change is a version, at the same place");
    assert_eq!(changed.links, None, "links that were not asked for are left out");
    assert_eq!(changed.attributes.get("externalId"), None, "what is no longer there is gone");
    let stale = store.update(Kind::User, &user.id, change(json!({ "userName": "x" }), Some(1)), Links::None).await;
    assert!(matches!(stale, Err(StoreError::Conflict)), "a change for another version is refused");
    let taken = store.update(Kind::User, &user.id, change(json!({ "userName": "BO" }), None), Links::None).await;
    assert!(matches!(taken, Err(StoreError::NotUnique(Field::UserName))), "a name of another is refused");
    let none = store.update(Kind::User, "none", change(json!({ "userName": "x" }), None), Links::None).await;
    assert!(matches!(none, Err(StoreError::NotFound)), "what is not there cannot change");
    let gone = Lookup { field: Field::ExternalId, values: vec!["E1".to_owned()] };
    let found = page(store, Query { lookup: Some(gone), ..all() }).await;
    assert!(found.0.is_empty(), "an old key finds nothing");
}

async fn check_members(store: &dyn ResourceStore, users: &[Resource]) {
    let link = |id: &str| Link { id: id.to_owned(), ..Link::default() };
    let mut staff = draft(Kind::Group, json!({ "displayName": "Staff" }));
    staff.members = vec![link(&users[0].id), link("unknown")];
    let group = store.create(Kind::Group, staff, Links::UpTo(1)).await.expect("a group can be created");
    assert_eq!(group.links, None, "more links than were asked for are left out");
    let change = async |version: u64, members: MemberChange| {
        let change = Change { members, ..Change::default() };
        let group = store.update(Kind::Group, &group.id, change, Links::All).await.expect("members can change");
        assert_eq!(group.version, version, "a change is a version, and nothing else is");
        let mut ids: Vec<String> = group.links.expect("all were asked for").into_iter().map(|link| link.id).collect();
        ids.sort();
        ids
    };
    let sorted = |ids: &[&str]| {
        let mut ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        ids.sort();
        ids
    };
    let (first, second) = (users[0].id.as_str(), users[1].id.as_str());
    let add = MemberChange { add: vec![link(first), link(second)], ..MemberChange::default() };
    assert_eq!(change(2, add.clone()).await, sorted(&[first, second, "unknown"]), "who is there is not added again");
    assert_eq!(change(2, add).await, sorted(&[first, second, "unknown"]), "nothing changed");
    let gone = ["unknown", "none", "\0"].map(str::to_owned);
    let remove = MemberChange { remove: gone.to_vec(), ..MemberChange::default() };
    assert_eq!(change(3, remove).await, sorted(&[first, second]), "one goes");
    let same = MemberChange::replace(vec![link(second), link(first)]);
    assert_eq!(change(3, same).await, sorted(&[first, second]), "the same members are no change");
    assert_eq!(change(4, MemberChange::replace(vec![link(second)])).await, [second], "the others go");

    let reject = Change {
        members: MemberChange { add: vec![link("unknown")], ..MemberChange::default() },
        unknown_member: UnknownMember::Reject,
        ..Change::default()
    };
    let refused = store.update(Kind::Group, &group.id, reject, Links::None).await;
    assert!(matches!(refused, Err(StoreError::UnknownMember(id)) if id == "unknown"), "an unknown member is named");
    let by_member = Lookup { field: Field::Link, values: vec![second.to_owned()] };
    let query = Query { lookup: Some(by_member), ..all() };
    let found = store.page(Kind::Group, &query).await.expect("groups can be looked up").resources;
    let member = &found[0].links.as_ref().expect("all were asked for")[0];
    assert_eq!((member.kind, member.display.as_deref()), (Some(Kind::User), Some("bo")), "a member has its name");
    check_few_links(store, second).await;
    let by_group = Lookup { field: Field::Link, values: vec![group.id.clone()] };
    assert_eq!(page(store, Query { lookup: Some(by_group), ..all() }).await.0, [second], "users are found by group");
    let user = store.get(Kind::User, second, Links::All).await.expect("a user can be read").expect("it is there");
    let groups = user.links.expect("all were asked for");
    assert_eq!((groups[0].id.as_str(), groups[0].display.as_deref()), (group.id.as_str(), Some("Staff")));
}

/// Of several groups those with more members than are wanted come without any.
async fn check_few_links(store: &dyn ResourceStore, member: &str) {
    let link = |id: &str| Link { id: id.to_owned(), ..Link::default() };
    let mut made = Vec::new();
    for members in [vec![], vec![link(member), link("x")], vec![link("x"), link("y"), link(member)]] {
        let mut group = draft(Kind::Group, json!({ "displayName": "Few or many" }));
        group.members = members;
        made.push(store.create(Kind::Group, group, Links::None).await.expect("a group can be created").id);
    }
    let named = Lookup { field: Field::DisplayName, values: vec!["few or many".to_owned()] };
    let by_id = Lookup { field: Field::Id, values: made.clone() };
    let cases = [(Links::UpTo(2), [Some(0), Some(2), None]), (Links::UpTo(0), [Some(0), None, None])];
    for ((links, expected), lookup) in cases.into_iter().zip([named, by_id]) {
        let query = Query { lookup: Some(lookup), links, ..all() };
        let found = store.page(Kind::Group, &query).await.expect("groups can be looked up").resources;
        let counts: Vec<Option<usize>> = found.iter().map(|group| group.links.as_ref().map(Vec::len)).collect();
        assert_eq!(counts, expected, "{links:?} is meant of each");
    }
    for id in made {
        store.delete(Kind::Group, &id, Deletion::default()).await.expect("a group can be deleted");
    }
}

async fn check_deleted(store: &dyn ResourceStore, users: &[Resource]) {
    let stale = Deletion { if_version: Some(9), ..Deletion::default() };
    let refused = store.delete(Kind::User, &users[1].id, stale).await;
    assert!(matches!(refused, Err(StoreError::Conflict)), "a deletion of another version is refused");
    for (user, soft) in [(&users[1], false), (&users[2], true)] {
        let deletion = Deletion { if_version: None, soft };
        store.delete(Kind::User, &user.id, deletion).await.expect("a user can be deleted");
        let read = store.get(Kind::User, &user.id, Links::None).await.expect("a user can be asked for");
        assert_eq!(read, None, "what is deleted is gone");
        let again = store.delete(Kind::User, &user.id, deletion).await;
        assert!(matches!(again, Err(StoreError::NotFound)), "what is gone cannot be deleted");
    }
    assert_eq!(page(store, all()).await, (vec![users[0].id.clone()], Some(1)), "one user is left");
    let query = Query { lookup: None, ..all() };
    let groups = store.page(Kind::Group, &query).await.expect("groups can be listed").resources;
    assert_eq!(groups[0].links, Some(Vec::new()), "who is deleted is in no group");
    let again = draft(Kind::User, json!({ "userName": "BO" }));
    let again = store.create(Kind::User, again, Links::None).await.expect("a name is free again");
    assert!(users.iter().all(|user| user.id != again.id && user.sequence < again.sequence), "nothing is used again");
}

/// All users with an address are found by it, whatever becomes of them; others may be found, too.
async fn check_emails(store: &dyn ResourceStore) {
    let body = |name: &str, emails: &[&str]| {
        let emails: Vec<Value> = emails.iter().map(|email| json!({ "value": email, "type": "work" })).collect();
        draft(Kind::User, json!({ "userName": name, "active": true, "emails": emails }))
    };
    let long = |end: &str| format!("{}{end}", "long".repeat(500));
    let mut ids = Vec::new();
    for (name, emails) in
        [("mail1", ["A@x", "b@x"]), ("mail2", ["b@X", "STRASSE@x"]), ("mail3", [&long("1"), ""]), ("mail4", ["c@x"; 2])]
    {
        let created = store.create(Kind::User, body(name, &emails), Links::None).await.expect("a user can be created");
        ids.push(created.id);
    }
    let has = async |emails: &[&str], expected: &[usize]| {
        let emails: Vec<Value> = emails.iter().map(|email| json!({ "value": email })).collect();
        let lookup = Some(Lookup { field: Field::Email, values: crate::email_keys(&emails.into()) });
        for from in [From::Offset(0), From::After(0)] {
            let (found, _) = page(store, Query { lookup: lookup.clone(), from, count: false, ..all() }).await;
            for nth in expected {
                assert!(found.contains(&ids[*nth]), "{lookup:?} finds all that have it");
            }
        }
    };
    has(&["a@X"], &[0]).await;
    has(&["B@x"], &[0, 1]).await;
    has(&["straße@x", "c@x", "none"], &[1, 3]).await;
    has(&[&long("1")], &[2]).await;
    has(&[""], &[2]).await;
    let change = async |nth: usize, body: Draft| {
        let attributes = Some((body.attributes, body.keys));
        let change = Change { attributes, unique: body.unique, ..Change::default() };
        store.update(Kind::User, &ids[nth], change, Links::None).await.expect("a user can change");
    };
    let mut retired = body("mail1", &["A@x", "b@x"]);
    retired.attributes.insert("active".to_owned(), false.into());
    change(0, retired).await;
    has(&["a@x"], &[0]).await;
    change(0, body("mail1", &["new@x", "b@x"])).await;
    has(&["new@x"], &[0]).await;
    has(&["b@x"], &[0, 1]).await;
    change(0, body("mail1", &[])).await;
    change(0, body("mail1", &["a@x"])).await;
    has(&["a@x"], &[0]).await;
    for id in &ids {
        store.delete(Kind::User, id, Deletion::default()).await.expect("a user can be deleted");
    }
    let lookup = Some(Lookup { field: Field::Email, values: vec!["a@x".to_owned(), "b@x".to_owned()] });
    let (found, _) = page(store, Query { lookup, ..all() }).await;
    assert!(found.iter().all(|id| !ids.contains(id)), "who is deleted is not found");
}

fn draft(kind: Kind, body: Value) -> Draft {
    let attributes: Map<String, Value> = match body {
        Value::Object(attributes) => attributes,
        _ => Map::new(),
    };
    let unique = if kind == Kind::User { vec![Field::UserName] } else { Vec::new() };
    Draft { keys: keys(kind, &attributes).expect("they are short"), attributes, unique, ..Draft::default() }
}

fn all() -> Query {
    Query { lookup: None, order: Order::Taken, from: From::Offset(0), limit: 100, links: Links::All, count: true }
}

/// Ids of users, and how many there are.
async fn page(store: &dyn ResourceStore, query: Query) -> (Vec<String>, Option<u64>) {
    let page = store.page(Kind::User, &query).await.expect("users can be listed");
    (page.resources.into_iter().map(|user| user.id).collect(), page.total)
}
