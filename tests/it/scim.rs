//! The SCIM inbox as Okta meets it: a daemon, an address, a token; and what the next export holds.

mod adoption;
mod attempts;
mod basic;
mod calls;
mod client;
mod entra;
mod input;
mod oauth;
mod okta;
mod onward;
mod portal;
mod races;
mod readme;
mod replicas;
mod stores;
mod suites;

use acceptance::{TestAgent, watch};
use serde_json::{Value, json};

use client::Client;

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

/// Makes a directory; its token.
fn create(agent: &TestAgent, further: &[&str]) -> String {
    let report = agent.run(&[&["--format", "json", "directory", "create", "acme"], further].concat());
    let report = report.must_exit(0).json();
    let token = report["token"].as_str().expect("a token is printed").to_owned();
    watch(&token);
    token
}

fn patch(operations: &Value) -> Value {
    json!({ "schemas": [PATCH], "Operations": operations })
}

fn okta_user(name: &str, id: &str) -> Value {
    json!({ "schemas": [USER], "userName": name, "name": { "givenName": "Ada", "familyName": "L" }, "locale": "en-US",
        "emails": [{ "primary": true, "value": name, "type": "work" }], "displayName": "Ada L", "externalId": id,
        "groups": [], "password": "1mz050nq-of-okta", "active": true })
}

#[test]
fn okta_assigns_deactivates_and_pushes_and_the_export_shows_it() {
    let agent = TestAgent::new();
    watch("1mz050nq-of-okta");
    let token = create(&agent, &[]);
    let client = Client::start(&agent, &token);

    // "Test API Credentials", then an assignment.
    let tested = client.get("/Users?startIndex=1&count=2").must(200);
    assert_eq!((&tested["totalResults"], &tested["Resources"]), (&json!(0), &json!([])));
    let filter = "/Users?filter=userName%20eq%20%22ada%40example.com%22&startIndex=1&count=100";
    assert_eq!(client.get(filter).must(200)["totalResults"], 0);
    let ada = client.post("/Users", &okta_user("ada@example.com", "00u1")).must(201);
    assert!(ada.get("password").is_none());
    let ada = ada["id"].as_str().expect("an id").to_owned();
    let twin = client.post("/Users", &okta_user("ADA@example.com", "00u2")).must(409);
    assert_eq!(twin["scimType"], "uniqueness");

    // A client of the catalogue deactivates by PATCH, one of the wizard by GET and PUT; the id stays.
    let off = patch(&json!([{ "op": "replace", "value": { "active": false } }]));
    assert_eq!(client.patch(&format!("/Users/{ada}"), &off).must(200)["active"], false);
    assert_eq!(client.get(filter).must(200)["totalResults"], 1, "who is inactive is found");
    let mut whole = client.get(&format!("/Users/{ada}")).must(200);
    whole["active"] = true.into();
    assert_eq!(client.put(&format!("/Users/{ada}"), &whole).must(200)["active"], true);

    // A group is pushed, renamed, pushed empty and filled again, and one member goes.
    let bob = client.post("/Users", &okta_user("bob@example.com", "00u3")).must(201);
    let bob = bob["id"].as_str().expect("an id").to_owned();
    let staff = client.post("/Groups", &json!({ "schemas": [GROUP], "displayName": "Staff", "members": [] })).must(201);
    let staff = staff["id"].as_str().expect("an id").to_owned();
    let at = format!("/Groups/{staff}");
    let rename = patch(&json!([{ "op": "replace", "value": { "id": staff, "displayName": "All staff" } }]));
    assert_eq!(client.patch(&at, &rename).must(200)["displayName"], "All staff");
    client.patch(&at, &patch(&json!([{ "op": "replace", "path": "members", "value": [] }]))).must(200);
    let both = json!([{ "value": ada, "display": "ada" }, { "value": bob, "display": "bob" }]);
    client.patch(&at, &patch(&json!([{ "op": "add", "path": "members", "value": both }]))).must(200);
    let one = patch(&json!([{ "op": "remove", "path": format!("members[value eq \"{bob}\"]") }]));
    client.patch(&at, &one).must(200);
    let user = client.get(&format!("/Users/{ada}")).must(200);
    assert_eq!(user["groups"][0]["display"], "All staff");
    client.delete(&format!("/Users/{bob}")).must(204);

    // What Okta's pages of an import look like.
    let page = client.get("/Users?startIndex=2&count=100").must(200);
    assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(1), &json!(0)));

    let settings = json!({ "Connections": { "Scim": { "Directory": "acme" } } });
    agent.write("appsettings.agent.json", &settings.to_string());
    agent.run(&["check", "Scim"]).must_exit(0);
    agent.run(&["export", "Scim"]).must_exit(0);
    let file = |table: &str| {
        let files = agent.published();
        String::from_utf8(files[&format!("Scim_{table}.csv")].clone()).expect("it is UTF-8")
    };
    let users = file("users");
    assert!(users.starts_with("id,userName,externalId,active,managed,"), "{users}");
    assert!(users.contains(&format!("{ada},ada@example.com,00u1,true,true,")) && !users.contains(&bob), "{users}");
    assert_eq!(file("groupsusers"), format!("groupId,userId\n{staff},{ada}\n"));
    assert!(file("groups").contains(&format!("{staff},All staff,")));

    let log = agent.run(&["--format", "json", "directory", "events", "acme", "--after", "2"]).must_exit(0).json();
    let actions: Vec<&str> =
        log["events"].as_array().expect("a list").iter().filter_map(|e| e["action"].as_str()).collect();
    let updates = ["updated"; 3];
    assert_eq!(actions[..2], ["updated", "created"]);
    assert!(actions.ends_with(&["deleted"]) && actions.windows(3).any(|three| three == updates), "{actions:?}");
    client.end();
}

#[test]
fn only_a_live_secret_of_the_directory_comes_in_and_guessing_is_slowed_down() {
    let agent = TestAgent::new();
    let token = create(&agent, &[]);
    let basic = agent.run(&["--format", "json", "directory", "create", "other", "--basic"]).must_exit(0).json();
    watch(basic["secret"].as_str().expect("a secret"));
    let client = Client::start(&agent, &token);
    client.get("/Users").must(200);
    for (authorization, at) in [
        (String::new(), "/scim/v2/acme/Users"),
        (format!("Bearer {token}x"), "/scim/v2/acme/Users"),
        (format!("Bearer {token}"), "/scim/v2/other/Users"),
        (format!("Bearer {token}"), "/scim/v2/nowhere/Users"),
    ] {
        let refused = client.ask("GET", at, &authorization, None).must(401);
        assert_eq!(refused["status"], "401");
        assert!(!refused["detail"].as_str().expect("a detail").is_empty());
    }
    // Two secrets live at once; the third ends the first.
    let rotate = || {
        let report = agent.run(&["--format", "json", "directory", "rotate", "acme"]).must_exit(0).json();
        let token = report["token"].as_str().expect("a token").to_owned();
        watch(&token);
        format!("Bearer {token}")
    };
    let second = rotate();
    client.ask("GET", "/scim/v2/acme/Users", &second, None).must(200);
    client.get("/Users").must(200);
    let third = rotate();
    client.ask("GET", "/scim/v2/acme/Users", &third, None).must(200);
    client::until(|| client.get("/Users").status == 401);
    // Somebody guesses: after a while nobody answers him, and who has the right one is not kept waiting.
    client::until(|| client.ask("GET", "/scim/v2/acme/Users", "Bearer a.b", None).status == 429);
    client.ask("GET", "/scim/v2/acme/Users", &third, None).must(200);

    let listed = agent.run(&["--format", "json", "directory", "list"]).must_exit(0).json();
    assert_eq!(listed["directories"][0]["secrets"].as_array().map(Vec::len), Some(2));
    agent.run(&["directory", "remove", "acme"]).must_exit(0);
    client::until(|| client.ask("GET", "/scim/v2/acme/Users", &third, None).status != 200);
    agent.run(&["directory", "create", "a/b"]).must_exit(3);
    agent.run(&["directory", "create", "Other"]).must_exit(3);
    client.end();
}

#[test]
fn switches_of_creation_and_of_the_settings_are_obeyed() {
    let agent = TestAgent::new();
    agent.write("appsettings.agent.json", &json!({ "Directories": { "ACME": { "Groups": "false" } } }).to_string());
    let token = create(&agent, &["--without", "create"]);
    let client = Client::start(&agent, &token);
    client.post("/Users", &okta_user("ada@example.com", "00u1")).must(403);
    client.post("/Groups", &json!({ "displayName": "Staff" })).must(403);
    client.end();
}

#[test]
fn the_sample_exports_what_was_pushed() {
    let agent = TestAgent::new();
    for file in ["appsettings.json", "appsettings.agent.json", "Conf/Inbox.xml"] {
        let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../config-samples/scim").join(file);
        agent.write(file, &std::fs::read_to_string(sample).expect("the sample is there"));
    }
    let client = Client::start(&agent, &create(&agent, &[]));
    let mut ada = okta_user("ada@example.com", "00u1");
    ada["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"] = json!({ "department": "R&D" });
    let ada = client.post("/Users", &ada).must(201)["id"].as_str().expect("an id").to_owned();
    let staff = client.post("/Groups", &json!({ "displayName": "Staff", "members": [{ "value": ada }] })).must(201);
    let staff = staff["id"].as_str().expect("an id");
    agent.run(&["export", "OktaInbox"]).must_exit(0);
    let files = agent.published();
    let file = |table: &str| {
        let file = files.get(&format!("OktaInbox_{table}.csv")).unwrap_or_else(|| panic!("{table} in {files:?}"));
        String::from_utf8(file.clone()).expect("it is UTF-8")
    };
    let columns = "id,userName,externalId,active,managed,name.givenName,name.familyName,emails.value,\
                   urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
    let row = format!("{ada},ada@example.com,00u1,true,true,Ada,L,ada@example.com,R&D");
    assert_eq!(file("users"), format!("{columns}\n{row}\n"));
    assert_eq!(file("groups"), format!("id,displayName\n{staff},Staff\n"));
    assert_eq!(file("groupsusers"), format!("groupId,userId\n{staff},{ada}\n"));
    client.end();
}
