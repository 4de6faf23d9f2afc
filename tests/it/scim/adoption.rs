//! Accounts that were there before the client: told apart, and managed once the client has found and written them.

use acceptance::{TestAgent, watch};
use serde_json::{Value, json};

use super::{USER, client::Client, create, okta_user, patch, stores::on_each};

/// Who is managed, as the API shows the users of the directory, by name.
fn managed(client: &Client, viewer: &str) -> Vec<(String, bool)> {
    let page = client.ask("GET", "/api/v1/directories/acme/users", viewer, None).must(200);
    let told = |user: &Value| Some((user["attributes"]["userName"].as_str()?.to_owned(), user["managed"].as_bool()?));
    page["resources"].as_array().expect("a list").iter().filter_map(told).collect()
}

/// Looks for an account by its name and finds it; its address and how it is now, as Okta links it.
fn found(client: &Client, name: &str) -> (String, Value) {
    let list = client.get(&format!("/Users?filter=userName%20eq%20%22{name}%22&startIndex=1&count=100")).must(200);
    let at = format!("/Users/{}", list["Resources"][0]["id"].as_str().expect("it is found"));
    let whole = client.get(&at).must(200);
    (at, whole)
}

#[test]
fn an_account_that_was_there_is_managed_from_the_first_write_of_the_client() {
    let agent = TestAgent::new();
    let client = Client::start(&agent, &create(&agent, &[]));
    let viewer = agent.run(&["--format", "json", "token", "create", "viewer"]).must_exit(0).json();
    watch(viewer["token"].as_str().expect("a token"));
    let viewer = format!("Bearer {}", viewer["token"].as_str().expect("a token"));
    // Four that an administrator brought along without ids of Okta, and one that Okta creates.
    for name in ["ada", "bob", "eve", "joe"] {
        client.post("/Users", &json!({ "schemas": [USER], "userName": name, "title": "Engineer" })).must(201);
    }
    client.post("/Users", &okta_user("sue", "00u9")).must(201);
    let is = |wanted: [bool; 5]| {
        let names = ["ada", "bob", "eve", "joe", "sue"].map(str::to_owned);
        assert_eq!(managed(&client, &viewer), names.into_iter().zip(wanted).collect::<Vec<_>>());
    };
    is([false, false, false, false, true]);

    // Filter, GET, PUT of what was got, as it was: Okta has linked the account, and names no id of its own.
    let (at, whole) = found(&client, "ADA");
    let linked = client.put(&at, &whole).must(200);
    assert_eq!((&linked["meta"]["version"], &linked["title"]), (&whole["meta"]["version"], &json!("Engineer")));
    is([true, false, false, false, true]);
    // A change by PATCH, and one that changes nothing.
    let (at, _) = found(&client, "bob");
    let off = patch(&json!([{ "op": "replace", "value": { "active": false } }]));
    client.patch(&at, &off).must(200);
    let (at, _) = found(&client, "eve");
    client.patch(&at, &patch(&json!([{ "op": "replace", "value": { "title": "Engineer" } }]))).must(200);
    is([true, true, true, false, true]);
    // Being looked at, or a member, is nothing.
    let (at, joe) = found(&client, "joe");
    client.post("/Groups", &json!({ "displayName": "Staff", "members": [{ "value": joe["id"] }] })).must(201);
    client.get(&at).must(200);
    is([true, true, true, false, true]);

    let log = client.ask("GET", "/api/v1/directories/acme/events", &viewer, None).must(200);
    let adopted: Vec<&Value> =
        log["events"].as_array().expect("a list").iter().filter(|event| event["action"] == "adopted").collect();
    assert_eq!(adopted.len(), 3, "each once");
    assert_eq!(log["oldest"], 1);
    let settings = json!({ "Connections": { "Scim": { "Directory": "acme" } } });
    agent.write("appsettings.agent.json", &settings.to_string());
    agent.run(&["export", "Scim"]).must_exit(0);
    let users = String::from_utf8(agent.published()["Scim_users.csv"].clone()).expect("it is UTF-8");
    let rows: Vec<Vec<&str>> = users.lines().skip(1).map(|line| line.split(',').collect()).collect();
    let exported: Vec<(&str, &str)> = rows.iter().map(|row| (row[1], row[4])).collect();
    assert_eq!(exported, [("ada", "true"), ("bob", "true"), ("eve", "true"), ("joe", "false"), ("sue", "true")]);
    client.end();
}

#[test]
fn accounts_are_adopted_on_every_store() {
    on_each(&["--without", "create"], |client| {
        // Nobody is there and nobody may be created: what cannot be found cannot be adopted.
        client.post("/Users", &okta_user("ada", "00u1")).must(403);
        client.put("/Users/nobody", &okta_user("ada", "00u1")).must(404);
    });
    on_each(&[], |client| {
        client.post("/Users", &json!({ "schemas": [USER], "userName": "ada" })).must(201);
        let (at, whole) = found(client, "ada");
        for _ in 0..2 {
            let linked = client.put(&at, &whole).must(200);
            assert_eq!(linked["meta"]["version"], whole["meta"]["version"], "nothing of it changed");
        }
    });
}
