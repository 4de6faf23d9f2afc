//! Paging by index (RFC 7644 §3.4.2.4), by cursor (RFC 9865) and sorting (RFC 7644 §3.4.2.3).

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::inbox::Inbox;

async fn filled(count: usize) -> Inbox {
    let inbox = Inbox::open_with(|directory| {
        directory.page_size = 4;
        directory.max_page_size = 6;
    })
    .await;
    for n in 0..count {
        let title = if n % 2 == 0 { "even" } else { "odd" };
        inbox.user(json!({ "userName": format!("user{n:02}"), "title": title })).await;
    }
    inbox
}

#[tokio::test]
async fn pages_are_counted_from_one_and_clamped() {
    let inbox = filled(10).await;
    let cases = [
        ("", 1, 4, "user00"),
        ("startIndex=3&count=2", 3, 2, "user02"),
        ("startIndex=0&count=2", 1, 2, "user00"),
        ("startIndex=-7&count=2", 1, 2, "user00"),
        ("count=0", 1, 0, ""),
        ("count=-1", 1, 0, ""),
        ("count=1000", 1, 6, "user00"),
        ("startIndex=9&count=6", 9, 2, "user08"),
        ("startIndex=11", 11, 0, ""),
        ("startIndex=1&count=1&filter=title%20pr", 1, 1, "user00"),
    ];
    for (query, start, items, first) in cases {
        let body = inbox.get(&format!("/Users?{query}")).await.expect(200).body;
        assert_eq!(body["totalResults"], 10, "{query}");
        assert_eq!(body["startIndex"], start, "{query}");
        assert_eq!(body["itemsPerPage"], items, "{query}");
        assert_eq!(body["Resources"].as_array().unwrap().len(), items, "{query}");
        assert_eq!(body["Resources"][0]["userName"].as_str().unwrap_or_default(), first, "{query}");
    }
    inbox.get("/Users?startIndex=x").await.expect_error(400, "invalidValue", "`startIndex`");
}

#[tokio::test]
async fn filtered_pages_count_what_the_filter_leaves() {
    let inbox = filled(10).await;
    let body = inbox.get("/Users?filter=title+eq+%22odd%22&startIndex=2&count=3").await.expect(200).body;
    assert_eq!(body["totalResults"], 5);
    let names: Vec<&Value> = body["Resources"].as_array().unwrap().iter().map(|user| &user["userName"]).collect();
    assert_eq!(names, ["user03", "user05", "user07"]);
}

#[tokio::test]
async fn a_whole_import_meets_everyone_once() {
    let inbox = filled(11).await;
    let mut seen = Vec::new();
    let mut start = 1;
    loop {
        seen.extend(inbox.names(&format!("/Users?startIndex={start}&count=3")).await);
        start += 3;
        if start > 11 {
            break;
        }
    }
    assert_eq!(seen, (0..11).map(|n| format!("user{n:02}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn cursors_lead_to_the_end() {
    for query in
        ["count=3", "count=3&filter=title+pr", "count=3&sortBy=title", "count=3&filter=title+pr&sortBy=userName"]
    {
        let inbox = filled(10).await;
        let mut seen = BTreeSet::new();
        let mut cursor = String::new();
        let mut pages = 0;
        loop {
            let body = inbox.get(&format!("/Users?{query}&cursor={cursor}")).await.expect(200).body;
            assert!(body.get("startIndex").is_none());
            let resources = body["Resources"].as_array().unwrap();
            seen.extend(resources.iter().map(|user| user["userName"].as_str().unwrap().to_owned()));
            pages += 1;
            match body["nextCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
            assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)));
        }
        assert_eq!((seen.len(), pages), (10, 4), "{query}");
    }
}

#[tokio::test]
async fn a_page_of_nothing_leads_nowhere() {
    let inbox = filled(3).await;
    for query in ["cursor=&count=0", "cursor=&count=0&sortBy=title"] {
        let body = inbox.get(&format!("/Users?{query}")).await.expect(200).body;
        assert_eq!((&body["totalResults"], &body["itemsPerPage"]), (&json!(3), &json!(0)), "{query}");
        assert!(body.get("nextCursor").is_none(), "{query}");
    }
    inbox.group(json!({ "displayName": "Staff" })).await;
    let all = inbox.post("/.search", json!({ "cursor": "", "count": 0 })).await.expect(200).body;
    assert_eq!((&all["totalResults"], &all["itemsPerPage"]), (&json!(4), &json!(0)), "groups count, too");
}

#[tokio::test]
async fn a_cursor_stays_where_it_is_when_others_go() {
    let inbox = filled(6).await;
    let first = inbox.get("/Users?cursor=&count=3").await.expect(200).body;
    let gone = first["Resources"][1]["id"].as_str().unwrap();
    inbox.delete(&format!("/Users/{gone}")).await.expect(204);
    let next = first["nextCursor"].as_str().unwrap();
    assert_eq!(inbox.names(&format!("/Users?cursor={next}&count=3")).await, ["user03", "user04", "user05"]);
}

#[tokio::test]
async fn a_cursor_crosses_from_users_to_groups() {
    let inbox = filled(3).await;
    for name in ["g0", "g1", "g2"] {
        inbox.group(json!({ "displayName": name })).await;
    }
    let mut seen = Vec::new();
    let mut cursor = Value::from("");
    while let Some(text) = cursor.as_str() {
        let body = inbox.post("/.search", json!({ "cursor": text, "count": 2 })).await.expect(200).body;
        assert_eq!(body["totalResults"], 6);
        let resources = body["Resources"].as_array().unwrap().clone();
        seen.extend(resources.into_iter().map(|one| one.get("userName").or(one.get("displayName")).unwrap().clone()));
        cursor = body["nextCursor"].clone();
    }
    assert_eq!(seen, ["user00", "user01", "user02", "g0", "g1", "g2"]);
}

#[tokio::test]
async fn wrong_cursors_and_counts_are_told_apart() {
    let inbox = filled(1).await;
    for cursor in ["x", "u", "ux", "%C3%A9", "u-1"] {
        inbox.get(&format!("/Users?cursor={cursor}")).await.expect_error(400, "invalidCursor", "`cursor`");
    }
    // Those of other searches would lead to an end that is none.
    inbox.get("/Users?cursor=g5").await.expect_error(400, "invalidCursor", "`cursor`");
    inbox.get("/Groups?cursor=u5").await.expect_error(400, "invalidCursor", "`cursor`");
    inbox.get("/Users?cursor=s1").await.expect_error(400, "invalidCursor", "`cursor`");
    inbox.get("/Users?cursor=%2Bu1").await.expect_error(400, "invalidCursor", "`cursor`");
    inbox.get("/Users?cursor=u%2B1").await.expect_error(400, "invalidCursor", "`cursor`");
    inbox.get("/Users?cursor=u1&sortBy=title").await.expect_error(400, "invalidCursor", "`cursor`");
    inbox.get("/Users?cursor=&count=x").await.expect_error(400, "invalidCount", "`count`");
    inbox.get("/Users?cursor=&startIndex=1").await.expect_error(400, "invalidValue", "`cursor`");
}

#[tokio::test]
async fn lists_are_sorted() {
    let inbox = Inbox::open().await;
    for (name, given, mail) in [("b", "Zoe", "2@x"), ("C", "ann", "1@x"), ("a", "", "3@x")] {
        let name_part = if given.is_empty() { json!({}) } else { json!({ "givenName": given }) };
        let emails = json!([{ "value": "0@x" }, { "value": mail, "primary": true }]);
        inbox.user(json!({ "userName": name, "name": name_part, "emails": emails })).await;
    }
    let cases = [
        ("sortBy=userName", ["a", "b", "C"]),
        ("sortBy=USERNAME&sortOrder=descending", ["C", "b", "a"]),
        ("sortBy=name.givenName", ["C", "b", "a"]),
        ("sortBy=name.givenName&sortOrder=descending", ["a", "b", "C"]),
        ("sortBy=emails", ["C", "b", "a"]),
        ("sortBy=emails.value&filter=userName+pr", ["C", "b", "a"]),
        ("sortBy=meta.created&sortOrder=descending", ["a", "C", "b"]),
        ("sortBy=id", ["b", "C", "a"]),
        ("sortBy=urn:acme:1.0:Badge:level", ["b", "C", "a"]),
    ];
    for (query, expected) in cases {
        assert_eq!(inbox.names(&format!("/Users?{query}")).await, expected, "{query}");
    }
    assert_eq!(inbox.names("/Users?sortBy=userName&startIndex=2&count=1").await, ["b"]);
    inbox.get("/Users?sortBy=nope").await.expect_error(400, "invalidValue", "`nope`");
    inbox.get("/Users?sortBy=userName&sortOrder=up").await.expect_error(400, "invalidValue", "`sortOrder`");
}

#[tokio::test]
async fn groups_of_any_size_lie_in_one_page_in_their_order() {
    let inbox = Inbox::open().await;
    // Those with a page, those that follow by tens, and those alone; the last is of the first sort again.
    let sizes = [0, 100, 101, 1_000, 1_001, 3, 700, 0, 120, 150, 101, 102, 103, 104, 105, 2];
    for (n, size) in sizes.iter().enumerate() {
        let members: Vec<Value> = (0..*size).map(|member| json!({ "value": format!("m{member:05}") })).collect();
        inbox.group(json!({ "displayName": format!("g{n:02}"), "externalId": format!("{}", n % 2), "members": members })).await;
    }
    let shown = async |query: &str| -> Vec<usize> {
        let body = inbox.get(&format!("/Groups?{query}")).await.expect(200).body;
        let groups = body["Resources"].as_array().unwrap();
        assert_eq!((&body["itemsPerPage"], &body["totalResults"]), (&json!(groups.len()), &json!(sizes.len())));
        let members = |group: &Value| group["members"].as_array().map_or(0, Vec::len);
        groups.iter().map(members).collect()
    };
    assert_eq!(shown("").await, sizes);
    assert_eq!(shown("startIndex=3&count=9").await, sizes[2..11]);
    let mut turned = sizes;
    turned.reverse();
    assert_eq!(shown("sortBy=displayName&sortOrder=descending").await, turned);
    assert_eq!(shown("filter=members.value%20co%20%22%22%20or%20displayName%20pr").await, sizes);
    assert_eq!(shown("attributes=displayName").await, [0; 16]);
    let found = inbox.get("/Groups?filter=members.value+ew+%2200999%22").await.expect(200).body;
    let names: Vec<&Value> = found["Resources"].as_array().unwrap().iter().map(|group| &group["displayName"]).collect();
    assert_eq!(names, ["g03", "g04"]);
    let user = inbox.user(json!({ "userName": "m" })).await;
    let all = inbox.post("/.search", json!({ "cursor": "", "count": 3 })).await.expect(200).body;
    assert_eq!((&all["Resources"][0]["id"], &all["itemsPerPage"]), (&json!(user), &json!(3)));
    assert_eq!(all["Resources"][2]["members"].as_array().unwrap().len(), 100);
}
