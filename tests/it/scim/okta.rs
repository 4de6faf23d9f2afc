//! The call sequences of Okta's two clients on every store: apps of the catalogue PATCH, apps of the wizard GET and PUT.
//!
//! Source: developer.okta.com, "Understand SCIM" and the SCIM 2.0 reference; recorded traffic of "Okta SCIM Client
//! 1.0.0".

use serde_json::{Value, json};

use super::{GROUP, client::Client, okta_user, patch, stores::on_each};

/// The most changes of members that Okta sends at once.
const CHUNK: usize = 1_000;

/// What the client finds by a name in any case, as it looks before it creates.
fn looked_up(client: &Client, endpoint: &str, attribute: &str, name: &str) -> Value {
    let name = name.replace(' ', "%20").replace('@', "%40");
    client.get(&format!("/{endpoint}?filter={attribute}%20eq%20%22{name}%22&startIndex=1&count=100")).must(200)
}

fn user_named(client: &Client, name: &str) -> Value {
    looked_up(client, "Users", "userName", name)
}

fn group_named(client: &Client, name: &str) -> Value {
    looked_up(client, "Groups", "displayName", name)
}

/// Looks for a user, finds nobody, and creates it; its address.
fn assign(client: &Client, name: &str, external_id: &str) -> String {
    assert_eq!(user_named(client, name)["totalResults"], 0);
    let made = client.post("/Users", &okta_user(name, external_id)).must(201);
    assert!(made.get("password").is_none());
    format!("/Users/{}", id(&made))
}

/// Looks for a group, finds none, and creates it; its address.
fn push(client: &Client, name: &str) -> String {
    assert_eq!(group_named(client, name)["totalResults"], 0);
    let made = client.post("/Groups", &json!({ "schemas": [GROUP], "displayName": name, "members": [] })).must(201);
    format!("/Groups/{}", id(&made))
}

fn id(resource: &Value) -> &str {
    resource["id"].as_str().expect("an id")
}

fn id_of(at: &str) -> &str {
    at.rsplit('/').next().expect("a split yields a part")
}

fn members(client: &Client, group: &str) -> Vec<String> {
    let group = client.get(group).must(200);
    let members = group["members"].as_array().map_or(&[][..], Vec::as_slice);
    let mut ids: Vec<String> =
        members.iter().filter_map(|member| member["value"].as_str()).map(str::to_owned).collect();
    ids.sort();
    ids
}

#[test]
fn credentials_are_tested_by_lists() {
    on_each(&[], |client| {
        let users = client.get("/Users?startIndex=1&count=2").must(200);
        assert_eq!(
            (&users["totalResults"], &users["itemsPerPage"], &users["startIndex"]),
            (&json!(0), &json!(0), &json!(1))
        );
        client.get("/Groups?startIndex=1&count=100").must(200);
    });
}

#[test]
fn the_catalogues_client_changes_profile_and_password_deactivates_and_reactivates() {
    on_each(&[], |client| {
        let at = assign(client, "ada@example.com", "00u1");
        // The profile goes by PUT, with what this server said merged in.
        let mut whole = client.get(&at).must(200);
        whole["name"]["familyName"] = "Changed".into();
        whole["nickName"] = "Countess".into();
        let changed = client.put(&at, &whole).must(200);
        assert_eq!((&changed["name"]["familyName"], &changed["nickName"]), (&json!("Changed"), &json!("Countess")));
        let password = json!([{ "op": "replace", "value": { "password": "t1meMa$heen-of-okta" } }]);
        acceptance::watch("t1meMa$heen-of-okta");
        assert!(client.patch(&at, &patch(&password)).must(200).get("password").is_none());

        let active = |active: bool| {
            let operations = patch(&json!([{ "op": "replace", "value": { "active": active } }]));
            client.patch(&at, &operations).must(200)["active"].clone()
        };
        assert_eq!(active(false), false);
        // Assigned again: found though it is inactive, and the same account comes back as it was.
        let found = user_named(client, "ADA@EXAMPLE.COM");
        assert_eq!((id(&found["Resources"][0]), &found["Resources"][0]["active"]), (id_of(&at), &json!(false)));
        assert_eq!(active(true), true);
        let now = client.get(&at).must(200);
        assert_eq!((&now["nickName"], &now["externalId"]), (&json!("Countess"), &json!("00u1")));
        let twin = client.post("/Users", &okta_user("Ada@Example.com", "00u2")).must(409);
        assert_eq!(twin["scimType"], "uniqueness");
    });
}

#[test]
fn the_catalogues_client_pushes_renames_empties_links_and_unlinks_a_group_by_patch() {
    on_each(&[], |client| {
        let [ann, bo] = ["ann", "bo"].map(|name| assign(client, &format!("{name}@example.com"), name));
        let (ann, bo) = (id_of(&ann), id_of(&bo));
        let at = push(client, "Staff");
        let rename = |name: &str| json!({ "op": "replace", "value": { "id": id_of(&at), "displayName": name } });
        let send = |operations: Value| client.patch(&at, &patch(&operations)).must(200);
        let add = json!({ "op": "add", "path": "members", "value": [
            { "value": ann, "display": "ann@example.com" }, { "value": bo, "display": "bo@example.com" }
        ] });
        let remove = json!({ "op": "remove", "path": format!("members[value eq \"{ann}\"]") });
        let now_all = |members: Value| json!([{ "op": "replace", "path": "members", "value": members }]);

        // Each change of members comes with the name.
        send(json!([rename("Staff"), add]));
        send(json!([add, rename("Staff")]));
        assert_eq!(members(client, &at), [ann, bo], "who is there is not added again");
        send(json!([remove, rename("Staff")]));
        assert_eq!(members(client, &at), [bo]);
        assert_eq!(send(json!([rename("All staff")]))["displayName"], "All staff");
        assert_eq!(group_named(client, "Staff")["totalResults"], 0);
        send(now_all(json!([{ "value": ann, "display": "ann" }])));
        assert_eq!(members(client, &at), [ann]);
        send(now_all(json!([])));
        assert!(members(client, &at).is_empty(), "\"Push now\" of an empty group");

        // Unlinked and left there, then linked again by its name.
        let found = group_named(client, "all STAFF");
        assert_eq!(id(&found["Resources"][0]), id_of(&at));
        send(json!([add]));
        assert_eq!(client.get(&format!("/Users/{ann}")).must(200)["groups"][0]["display"], "All staff");
        client.delete(&at).must(204);
        client.get(&at).must(404);
        assert!(client.get(&format!("/Users/{ann}")).must(200)["groups"].as_array().is_none_or(Vec::is_empty));
    });
}

#[test]
fn the_catalogues_client_pushes_members_by_the_thousand() {
    on_each(&[], |client| {
        let at = push(client, "Everyone");
        for chunk in 0..3 {
            let add = |n| json!({ "op": "add", "path": "members", "value": [{ "value": format!("m{n}") }] });
            let operations: Vec<Value> = (chunk * CHUNK..(chunk + 1) * CHUNK).map(add).collect();
            client.patch(&at, &patch(&operations.into())).must(200);
        }
        let remove = |n| json!({ "op": "remove", "path": format!("members[value eq \"m{n}\"]") });
        client.patch(&at, &patch(&(0..CHUNK).map(remove).collect())).must(200);
        let left = members(client, &at);
        assert_eq!(
            (left.len(), left.contains(&"m999".to_owned()), left.contains(&"m1000".to_owned())),
            (2_000, false, true)
        );
    });
}

#[test]
fn the_wizards_client_pushes_renames_empties_and_unlinks_a_group_by_get_and_put() {
    on_each(&[], |client| {
        let ids: Vec<String> = (0..3)
            .map(|n| assign(client, &format!("u{n}@example.com"), &format!("00u{n}")))
            .map(|at| id_of(&at).to_owned())
            .collect();
        client.get("/Groups?startIndex=1&count=100").must(200);
        let at = push(client, "Staff");
        let put = |name: &str, wanted: &[String]| {
            let mut whole = client.get(&at).must(200);
            whole["displayName"] = name.into();
            whole["members"] = wanted.iter().map(|id| json!({ "value": id, "display": "somebody" })).collect();
            client.put(&at, &whole).must(200);
            (members(client, &at).len(), group_named(client, name)["totalResults"].clone())
        };
        assert_eq!(put("Staff", &ids), (3, json!(1)));
        assert_eq!(put("All staff", &ids[..2]), (2, json!(1)));
        assert_eq!(group_named(client, "Staff")["totalResults"], 0, "nobody finds it by its old name");
        assert_eq!(put("All staff", &[]), (0, json!(1)));
        assert_eq!(put("All staff", &ids[1..]), (2, json!(1)));

        // Deactivated, found again inactive, assigned again: the same account.
        let user = format!("/Users/{}", ids[1]);
        for active in [false, true] {
            assert_eq!(id(&user_named(client, "U1@EXAMPLE.com")["Resources"][0]), ids[1]);
            let mut whole = client.get(&user).must(200);
            whole["active"] = active.into();
            whole["password"] = "1mz050nq-of-okta".into();
            assert_eq!(client.put(&user, &whole).must(200)["active"], active);
        }
        let groups = client.get(&user).must(200)["groups"].clone();
        assert_eq!(groups[0]["display"], "All staff", "what was put back changed no group");
        client.delete(&at).must(204);
        let groups = client.get(&user).must(200)["groups"].clone();
        assert!(groups.as_array().is_none_or(Vec::is_empty), "people stay, their group goes");
    });
}

#[test]
fn an_import_goes_through_all_pages_in_one_order_and_shows_who_is_inactive() {
    on_each(&[], |client| {
        for n in 0..205 {
            let mut user = okta_user(&format!("u{n:03}@example.com"), &format!("00u{n}"));
            user["active"] = json!(n % 2 == 0);
            client.post("/Users", &user).must(201);
        }
        let mut seen = Vec::new();
        for start in [1, 101, 201] {
            let page = client.get(&format!("/Users?startIndex={start}&count=100")).must(200);
            assert_eq!((&page["totalResults"], &page["startIndex"]), (&json!(205), &json!(start)));
            let users = page["Resources"].as_array().expect("a list").clone();
            assert_eq!(page["itemsPerPage"], users.len());
            let told = |user: &Value| Some((user["userName"].as_str()?.to_owned(), user["active"].as_bool()?));
            seen.extend(users.iter().filter_map(told));
        }
        let all: Vec<_> = (0..205).map(|n| (format!("u{n:03}@example.com"), n % 2 == 0)).collect();
        assert_eq!(seen, all);
        let at = push(client, "Everyone");
        let beyond = client.get("/Users?startIndex=301&count=100").must(200);
        assert_eq!((&beyond["totalResults"], &beyond["itemsPerPage"]), (&json!(205), &json!(0)));
        let groups = client.get("/Groups?startIndex=1&count=100").must(200);
        assert_eq!((id(&groups["Resources"][0]), &groups["totalResults"]), (id_of(&at), &json!(1)));
    });
}
