//! Accounts that Entra ID matches by e-mail address: they are found whatever became of them, and by their own address alone.

use serde_json::{Value, json};

use super::{USER, client::Client, patch, stores::on_each};

/// The names of those whom a filter finds, in their order.
fn found(client: &Client, filter: &str) -> Vec<String> {
    let encoded = filter.replace(' ', "%20").replace('"', "%22").replace('[', "%5B").replace(']', "%5D");
    let page = client.get(&format!("/Users?aadOptscim062020&filter={encoded}")).must(200);
    let users = page["Resources"].as_array().expect("a list").clone();
    assert_eq!(page["totalResults"], users.len());
    users.iter().map(|user| user["userName"].as_str().expect("a name").to_owned()).collect()
}

fn entra_user(name: &str, emails: &Value) -> Value {
    json!({ "schemas": [USER], "userName": name, "externalId": name, "active": true, "emails": emails })
}

#[test]
fn entra_finds_its_accounts_by_their_work_address() {
    on_each(&[], |client| {
        let made = [
            ("ann", json!([{ "primary": true, "type": "work", "value": "Ann@x.example" }])),
            ("bo", json!([{ "type": "work", "value": "bo@x.example" }, { "type": "home", "value": "ann@x.example" }])),
            ("cy", json!([])),
        ];
        let [ann, bo, cy] = made.map(|(name, emails)| {
            let user = client.post("/Users", &entra_user(name, &emails)).must(201);
            format!("/Users/{}", user["id"].as_str().expect("an id"))
        });
        let work = |address: &str| found(client, &format!("emails[type eq \"work\"].value eq \"{address}\""));
        assert_eq!(work("ANN@x.example"), ["ann"], "it is not the work address of the other");
        assert!(work("nobody@x.example").is_empty());
        for filter in [
            "emails.value eq \"ann@x.example\"",
            "Emails eq \"ann@x.example\"",
            "emails[Value eq \"ann@X.example\"]",
            "urn:ietf:params:scim:schemas:core:2.0:User:emails.value eq \"ann@x.example\"",
            "active eq true and emails.value eq \"ann@x.example\"",
        ] {
            assert_eq!(found(client, filter), ["ann", "bo"], "{filter}");
        }
        assert_eq!(found(client, "emails eq \"ann@x.example\" and externalId eq \"bo\""), ["bo"]);

        client.patch(&ann, &patch(&json!([{ "op": "Replace", "path": "active", "value": "False" }]))).must(200);
        assert_eq!(work("ann@x.example"), ["ann"], "who is not active is found too");
        let path = "emails[type eq \"work\"].value";
        client.patch(&ann, &patch(&json!([{ "op": "Replace", "path": path, "value": "a@x.example" }]))).must(200);
        assert_eq!(work("a@x.example"), ["ann"]);
        assert!(work("ann@x.example").is_empty());
        client.patch(&cy, &patch(&json!([{ "op": "Add", "path": path, "value": "Ann@x.example" }]))).must(200);
        assert_eq!(work("ann@x.example"), ["cy"]);
        client.put(&bo, &entra_user("bo", &json!([{ "type": "work", "value": "ann@x.example" }]))).must(200);
        assert!(work("bo@x.example").is_empty());
        assert_eq!(work("ann@x.example"), ["bo", "cy"], "in the order of creation");
        client.delete(&bo).must(204);
        assert_eq!(work("ann@x.example"), ["cy"]);
    });
}

#[test]
fn a_directory_without_import_is_asked_for_an_address() {
    on_each(&["--without", "import"], |client| {
        let emails = json!([{ "type": "work", "value": "ann@x.example" }]);
        client.post("/Users", &entra_user("ann", &emails)).must(201);
        assert!(found(client, "active eq true").is_empty());
        assert_eq!(found(client, "emails[type eq \"work\"].value eq \"ann@x.example\""), ["ann"]);
    });
}
