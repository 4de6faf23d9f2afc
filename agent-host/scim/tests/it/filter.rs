//! Filters through the wire (RFC 7644 §3.4.2.2). What each means is tabled in `src/filter/tests.rs`.

use serde_json::json;

use crate::inbox::{ENTERPRISE, Inbox};

async fn filled() -> Inbox {
    let inbox = Inbox::open().await;
    for (name, title, active) in
        [("Ann\"Q\"", "Boss", true), ("bo", "", false), ("Cy\\D", "Boss", true), ("dee", "Aide", true)]
    {
        inbox
            .user(json!({
                "userName": name, "title": title, "active": active, "externalId": format!("Ext-{name}"),
                "emails": [{ "value": format!("{}@x.example", title), "type": "work" }],
                ENTERPRISE: { "department": if active { "Sales" } else { "Lab" } }
            }))
            .await;
    }
    inbox
}

async fn check(inbox: &Inbox, filter: &str, expected: &[&str]) {
    let encoded = filter.replace('%', "%25").replace(' ', "+").replace('"', "%22").replace('\\', "%5C");
    assert_eq!(inbox.names(&format!("/Users?filter={encoded}")).await, expected, "{filter}");
    let body = json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "filter": filter });
    let found = inbox.post("/Users/.search", body).await.expect(200).body;
    assert_eq!(found["totalResults"], expected.len(), "{filter}");
}

#[tokio::test]
async fn filters_find_what_they_mean() {
    let inbox = filled().await;
    check(&inbox, "userName eq \"ANN\\\"q\\\"\"", &["Ann\"Q\""]).await;
    check(&inbox, "userName eq \"cy\\\\d\"", &["Cy\\D"]).await;
    check(&inbox, "userName eq \"none\"", &[]).await;
    check(&inbox, "externalId eq \"Ext-bo\"", &["bo"]).await;
    check(&inbox, "externalId eq \"ext-bo\"", &[]).await;
    check(&inbox, "active eq false", &["bo"]).await;
    check(&inbox, "title pr and not(title eq \"boss\")", &["dee"]).await;
    check(&inbox, "emails[type eq \"work\" and value sw \"boss\"]", &["Ann\"Q\"", "Cy\\D"]).await;
    check(&inbox, "emails[type eq \"work\"].value eq \"aide@x.example\"", &["dee"]).await;
    check(&inbox, &format!("{ENTERPRISE}:department eq \"lab\" or userName eq \"DEE\""), &["bo", "dee"]).await;
    check(&inbox, "userName eq \"bo\" or userName eq \"dee\" or userName eq \"BO\"", &["bo", "dee"]).await;
    check(&inbox, "userName eq \"bo\" and active eq true", &[]).await;
    check(&inbox, "meta.created gt \"2020-01-01T00:00:00Z\" and userName ge \"c\"", &["Cy\\D", "dee"]).await;
    check(&inbox, "urn:ietf:params:scim:schemas:core:2.0:User:userName co \"E\"", &["dee"]).await;
    check(&inbox, "phoneNumbers.value co \"1\"", &[]).await;
}

#[tokio::test]
async fn users_are_found_by_an_address_that_is_looked_up_and_asked_of_its_element() {
    let inbox = Inbox::open().await;
    for (name, emails, active) in [
        (
            "ann",
            json!([{ "type": "work", "value": "Ann@x.example" }, { "type": "home", "value": "shared@x.example" }]),
            true,
        ),
        ("bo", json!([{ "type": "work", "value": "shared@x.example" }]), true),
        ("cy", json!([{ "type": "home", "value": format!("{}1@x.example", "long".repeat(100)) }]), false),
        ("dee", json!([{ "type": "home", "value": format!("{}2@x.example", "long".repeat(100)) }]), true),
        ("eve", json!([]), true),
    ] {
        inbox.user(json!({ "userName": name, "emails": emails, "active": active })).await;
    }
    let shared = "\"SHARED@x.example\"";
    check(&inbox, &format!("emails[type eq \"work\"].value eq {shared}"), &["bo"]).await;
    check(&inbox, &format!("emails[value eq {shared} and type eq \"home\"]"), &["ann"]).await;
    check(&inbox, &format!("emails.type eq \"work\" and emails.value eq {shared}"), &["ann", "bo"]).await;
    check(&inbox, &format!("Emails EQ {shared}"), &["ann", "bo"]).await;
    check(&inbox, &format!("emails[VALUE eq {shared}] and active eq true and userName ne \"bo\""), &["ann"]).await;
    let urn = "urn:ietf:params:scim:schemas:core:2.0:User";
    check(&inbox, &format!("{urn}:emails[Type eq \"Work\"].Value eq \"ann@x.example\""), &["ann"]).await;
    check(&inbox, &format!("{urn}:emails.value eq \"ann@X.EXAMPLE\""), &["ann"]).await;
    check(&inbox, &format!("emails eq \"{}2@x.example\"", "LONG".repeat(100)), &["dee"]).await;
    check(&inbox, "emails eq \"none@x.example\"", &[]).await;
    check(&inbox, &format!("not (emails eq {shared})"), &["cy", "dee", "eve"]).await;
    check(&inbox, "emails eq null", &["eve"]).await;
    assert_eq!(
        inbox.names("/Users?filter=emails+pr&sortBy=emails.value&sortOrder=descending&count=2").await,
        ["bo", "dee"]
    );
}

#[tokio::test]
async fn groups_are_found_by_name_and_member() {
    let inbox = filled().await;
    let ann = inbox.get("/Users?count=1").await.body["Resources"][0]["id"].as_str().unwrap().to_owned();
    let group = inbox.group(json!({ "displayName": "Staff", "members": [{ "value": ann }] })).await;
    inbox.group(json!({ "displayName": "Others" })).await;
    assert_eq!(inbox.names("/Groups?filter=displayName+eq+%22STAFF%22").await, ["Staff"]);
    assert_eq!(inbox.names(&format!("/Groups?filter=members.value+eq+%22{ann}%22")).await, ["Staff"]);
    assert_eq!(inbox.names(&format!("/Groups?filter=members%5Bvalue+eq+%22{ann}%22%5D")).await, ["Staff"]);
    assert_eq!(inbox.names("/Groups?filter=members+pr").await, ["Staff"]);
    assert_eq!(inbox.names("/Groups?filter=members.type+eq+%22User%22&excludedAttributes=members").await, ["Staff"]);
    assert_eq!(inbox.names("/Groups?filter=not+(members+pr)").await, ["Others"]);
    assert_eq!(inbox.names(&format!("/Users?filter=groups.value+eq+%22{group}%22")).await, ["Ann\"Q\""]);
    assert_eq!(inbox.names("/Users?filter=groups.display+sw+%22staff%22").await, ["Ann\"Q\""]);
}

#[tokio::test]
async fn the_whole_directory_is_searched_at_once() {
    let inbox = filled().await;
    inbox.group(json!({ "displayName": "dees" })).await;
    let search = |filter: &str| json!({ "filter": filter, "attributes": ["userName", "displayName"] });
    let found =
        inbox.post("/.search", search("meta.resourceType eq \"Group\" or userName eq \"dee\"")).await.expect(200).body;
    assert_eq!(found["totalResults"], 2);
    assert_eq!(
        (&found["Resources"][0]["userName"], &found["Resources"][1]["displayName"]),
        (&json!("dee"), &json!("dees"))
    );
    let page = inbox.post("/.search", json!({ "startIndex": 4, "count": 2 })).await.expect(200).body;
    assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(5), &json!(2)));
    assert_eq!(page["Resources"][1]["displayName"], "dees");
    inbox.post("/.search", search("nope pr")).await.expect_error(400, "invalidFilter", "`nope`");
    assert_eq!(inbox.names("?filter=displayName+eq+%22dees%22").await, ["dees"]);
}

#[tokio::test]
async fn a_filter_that_is_none_finds_nobody() {
    let inbox = filled().await;
    for filter in
        ["emails[]", "()", "userName%20pr%20%22x%22", "userName", "userName%20eq%20%22a", "", "userName%20eq%20bo"]
    {
        inbox.get(&format!("/Users?filter={filter}")).await.expect_error(400, "invalidFilter", "at character");
    }
    inbox.get("/Users?filter=userNam+eq+%22x%22").await.expect_error(400, "invalidFilter", "`userNam`");
    inbox.get("/Users?filter=active+gt+true").await.expect_error(400, "invalidFilter", "`gt`");
    inbox.get("/Users?filter=active+co+%22t%22").await.expect_error(400, "invalidFilter", "`active`");
}

#[tokio::test]
async fn long_filters_are_answered_or_refused_by_name() {
    let inbox = filled().await;
    let chain = |count: usize| json!({ "filter": vec!["userName eq \"bo\""; count].join(" or ") });
    let found = inbox.post("/Users/.search", chain(512)).await.expect(200).body;
    assert_eq!(found["totalResults"], 1);
    inbox.post("/Users/.search", chain(1_000)).await.expect_error(400, "invalidFilter", "more than 512 terms");
    let deep = json!({ "filter": "(".repeat(60_000) });
    inbox.post("/Users/.search", deep).await.expect_error(400, "invalidFilter", "nested deeper than 32");
    let long = vec!["userName+eq+%22bo%22"; 300].join("+or+");
    assert_eq!(inbox.names(&format!("/Users?filter={long}")).await, ["bo"]);
}

#[tokio::test]
async fn extensions_are_found_whatever_their_urn_looks_like() {
    let inbox = Inbox::open().await;
    inbox.user(json!({ "userName": "ann", "urn:acme:badge": { "level": 2 }, "urn:acme:2.0": { "level": 3 } })).await;
    inbox.user(json!({ "userName": "bo", "urn:acme": { "badge": "x" } })).await;
    let cases = [
        ("urn:acme:badge:level+eq+2", vec!["ann"]),
        ("urn:acme:badge+pr", vec!["ann", "bo"]),
        ("urn:acme:badge+eq+%22x%22", vec!["bo"]),
        ("urn:acme:2.0:level+gt+2", vec!["ann"]),
        ("urn:acme:2.0+pr", vec!["ann"]),
    ];
    for (filter, expected) in cases {
        assert_eq!(inbox.names(&format!("/Users?filter={filter}")).await, expected, "{filter}");
    }
}
