//! The call sequences of Okta's other client, that of the wizard's apps, which changes everything by GET and PUT; and how
//! both import.

use acceptance::TestAgent;
use serde_json::{Value, json};

use super::{GROUP, client::Client, create, okta_user};

/// The group of this name as the client looks for it.
fn looked_up(client: &Client, name: &str) -> Value {
    let name = name.replace(' ', "%20");
    client.get(&format!("/Groups?filter=displayName%20eq%20%22{name}%22&startIndex=1&count=100")).must(200)
}

#[test]
fn the_wizards_client_pushes_renames_empties_and_unlinks_a_group_by_get_and_put() {
    let agent = TestAgent::new();
    let client = Client::start(&agent, &create(&agent, &[]));
    let ids: Vec<String> = (0..3)
        .map(|n| client.post("/Users", &okta_user(&format!("u{n}@example.com"), &format!("00u{n}"))).must(201))
        .map(|user| user["id"].as_str().expect("an id").to_owned())
        .collect();
    client.get("/Groups?startIndex=1&count=100").must(200);
    assert_eq!(looked_up(&client, "Staff")["totalResults"], 0);
    let staff = client.post("/Groups", &json!({ "schemas": [GROUP], "displayName": "Staff", "members": [] })).must(201);
    let at = format!("/Groups/{}", staff["id"].as_str().expect("an id"));
    let put = |name: &str, members: &[String]| {
        let mut whole = client.get(&at).must(200);
        whole["displayName"] = name.into();
        whole["members"] = members.iter().map(|id| json!({ "value": id, "display": "somebody" })).collect();
        client.put(&at, &whole).must(200);
        let now = client.get(&at).must(200);
        let now = now["members"].as_array().map_or(0, Vec::len);
        (now, looked_up(&client, name)["totalResults"].clone())
    };
    assert_eq!(put("Staff", &ids), (3, json!(1)));
    assert_eq!(put("All staff", &ids[..2]), (2, json!(1)));
    assert_eq!(looked_up(&client, "Staff")["totalResults"], 0, "nobody finds it by its old name");
    assert_eq!(put("All staff", &[]), (0, json!(1)));
    assert_eq!(put("All staff", &ids[1..]), (2, json!(1)));

    // Deactivated, found again inactive, assigned again: the same account.
    let user = format!("/Users/{}", ids[1]);
    for active in [false, true] {
        let found = client.get("/Users?filter=userName%20eq%20%22U1@EXAMPLE.com%22&startIndex=1&count=100").must(200);
        assert_eq!(found["Resources"][0]["id"], ids[1].as_str());
        let mut whole = client.get(&user).must(200);
        whole["active"] = active.into();
        assert_eq!(client.put(&user, &whole).must(200)["active"], active);
    }
    assert_eq!(client.get(&user).must(200)["groups"][0]["display"], "All staff", "what was put back changed no group");
    client.delete(&at).must(204);
    assert_eq!(
        client.get(&user).must(200)["groups"].as_array().map_or(0, Vec::len),
        0,
        "people stay, their group goes"
    );
    client.end();
}

#[test]
fn an_import_goes_through_all_pages_in_one_order_and_shows_who_is_inactive() {
    let agent = TestAgent::new();
    let client = Client::start(&agent, &create(&agent, &[]));
    for n in 0..205 {
        let mut user = okta_user(&format!("u{n:03}@example.com"), &format!("00u{n}"));
        user["active"] = json!(n % 2 == 0);
        client.post("/Users", &user).must(201);
    }
    let mut seen = Vec::new();
    let mut start = 1;
    loop {
        let page = client.get(&format!("/Users?startIndex={start}&count=100")).must(200);
        assert_eq!((&page["totalResults"], &page["startIndex"]), (&json!(205), &json!(start)));
        let users = page["Resources"].as_array().expect("a list").clone();
        assert_eq!(page["itemsPerPage"], users.len());
        seen.extend(
            users.iter().filter_map(|user| Some((user["userName"].as_str()?.to_owned(), user["active"].as_bool()?))),
        );
        start += 100;
        if start > 205 {
            break;
        }
    }
    let all: Vec<_> = (0..205).map(|n| (format!("u{n:03}@example.com"), n % 2 == 0)).collect();
    assert_eq!(seen, all);
    client.end();
}
