//! Filters over one user and one group, and the plans made of them.

use serde_json::json;

use super::*;
use crate::{
    parser,
    resource::{Link, Resource},
    store::{Field, Lookup},
};

fn user() -> Resource {
    let attributes = json!({
        "userName": "Björn@Example.com", "externalId": "Ext1", "active": true, "title": "",
        "name": { "familyName": "Jensen", "givenName": "Barbara" },
        "emails": [
            { "value": "b@work.example", "type": "work", "primary": true }, { "value": "b@home.example", "type": "home" }
        ],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "Sales", "manager": { "value": "m1" } },
        "urn:acme:1.0:Badge": { "Level": 3, "tags": ["a", "b"], "valid": true }
    });
    Resource {
        id: "u1".to_owned(),
        version: 2,
        created_ms: 1_700_000_000_000,
        modified_ms: 1_700_000_000_500,
        attributes: attributes.as_object().unwrap().clone(),
        links: Some(vec![Link { id: "g1".to_owned(), display: Some("Staff".to_owned()), kind: Some(Kind::Group) }]),
        ..Resource::default()
    }
}

fn check(filter: &str, expected: bool) {
    let test =
        Test::of(Kind::User, &[], &parser::filter(filter).unwrap()).unwrap_or_else(|error| panic!("{filter}: {error}"));
    let user = user();
    let view = View { kind: Kind::User, resource: &user, base_url: "https://x", shows_names: true };
    assert_eq!(test.holds(&view), expected, "{filter}");
}

#[test]
fn filters_hold_or_not() {
    let cases = [
        ("userName eq \"BJÖRN@example.com\"", true),
        ("USERNAME eq \"bjo\u{308}rn@example.com\"", true),
        ("userName sw \"BJ\" and userName ew \".COM\" and userName co \"Ö\"", true),
        ("userName ne \"björn@example.com\"", false),
        ("externalId eq \"Ext1\"", true),
        ("externalId eq \"ext1\"", false),
        ("id eq \"U1\"", false),
        ("active eq true", true),
        ("active eq \"True\"", true),
        ("active ne false", true),
        ("title pr", false),
        ("title eq \"\"", true),
        ("nickName pr", false),
        ("nickName eq null", true),
        ("nickName ne \"x\"", true),
        ("nickName eq \"x\"", false),
        ("not (nickName pr)", true),
        ("userName eq null", false),
        ("userName ne null", true),
        ("name pr", true),
        ("name.familyName eq \"JENSEN\"", true),
        ("emails pr", true),
        ("emails co \"home.example\"", true),
        ("emails.type eq \"home\" and emails.value co \"work\"", true),
        ("emails[type eq \"home\" and value co \"work\"]", false),
        ("emails[type eq \"work\" and value co \"work\"]", true),
        ("emails[type eq \"work\"].value sw \"b@\"", true),
        ("emails[primary eq \"True\"]", true),
        ("emails[not (type eq \"work\")]", true),
        ("phoneNumbers[type eq \"work\"]", false),
        ("phoneNumbers.value co \"1\"", false),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq \"sales\"", true),
        ("URN:IETF:params:scim:schemas:core:2.0:User:USERNAME pr", true),
        ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User pr", true),
        ("manager eq \"m1\"", true),
        ("urn:acme:1.0:Badge:level eq 3", true),
        ("urn:acme:1.0:Badge:level gt 2.5 and urn:acme:1.0:Badge:level le 3", true),
        ("urn:acme:1.0:Badge:level lt -1e3", false),
        ("urn:acme:1.0:badge:TAGS eq \"B\"", true),
        ("urn:acme:1.0:Badge:valid eq true", true),
        ("urn:acme:1.0:Badge:other eq true", false),
        ("urn:acme:1.0:Other pr", false),
        ("meta.created eq \"2023-11-14T22:13:20Z\"", true),
        ("meta.created eq \"2023-11-14T23:13:20+01:00\"", true),
        ("meta.lastModified gt \"2023-11-14T22:13:20\"", true),
        ("meta.lastModified gt \"2023-11-14T22:13:21Z\"", false),
        ("meta.resourceType eq \"User\"", true),
        ("schemas eq \"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\"", true),
        ("groups eq \"g1\" and groups.display eq \"staff\"", true),
        ("userName gt \"a\" and userName lt \"c\"", true),
    ];
    for (filter, expected) in cases {
        check(filter, expected);
    }
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let cases = [
        ("userNmae eq \"x\"", "a User has no attribute `userNmae`"),
        ("name.nick eq \"x\"", "a User has no attribute `name.nick`"),
        ("urn:ietf:params:scim:schemas:core:2.0:Group:displayNam pr", ""),
        ("urn:ietf:params:scim:schemas:core:2.0:User:nope pr", "no attribute"),
        ("password eq \"x\"", "`password` is never given out"),
        ("PASSWORD pr", "is never given out"),
        ("not (urn:ietf:params:scim:schemas:core:2.0:User:password sw \"a\")", "is never given out"),
        ("name eq \"x\"", "`name` compares with a sub-attribute"),
        ("active co \"true\"", "`co` compares texts"),
        ("active gt true", "needs an order"),
        ("active eq \"yes\"", "`active` compares with true or false"),
        ("userName eq 1", "`userName` compares with a text in double quotes"),
        ("userName gt null", "needs an order"),
        ("meta.created gt \"yesterday\"", "`meta.created` compares with a time"),
        ("emails[kind eq \"x\"]", "no sub-attribute `kind`"),
        ("emails[type[value pr]]", "lies in another pair of brackets"),
    ];
    for (filter, expected) in cases {
        let result = Test::of(Kind::User, &[], &parser::filter(filter).unwrap());
        if expected.is_empty() {
            assert!(result.is_ok(), "{filter}");
            continue;
        }
        let error = result.expect_err(filter);
        assert_eq!(error.kind(), Some(ErrorKind::InvalidFilter), "{filter}");
        assert!(error.detail().contains(expected), "{filter}: {error}");
    }
}

#[test]
fn identifying_attributes_are_looked_up() {
    let plan = |kind, filter: &str| {
        let plan = Plan::of(kind, Some(Test::of(kind, &[], &parser::filter(filter).unwrap()).unwrap()));
        (plan.lookup.map(|Lookup { field, values }| (field, values.join(","))), plan.test.is_none())
    };
    let found = |field, values: &str, is_all| (Some((field, values.to_owned())), is_all);
    let cases = [
        (Kind::User, "userName eq \"Ann\"", found(Field::UserName, "ann", true)),
        (Kind::User, "externalId eq \"Ann\"", found(Field::ExternalId, "Ann", true)),
        (Kind::Group, "displayName eq \"Staff\"", found(Field::DisplayName, "staff", true)),
        (Kind::Group, "members.value eq \"u1\"", found(Field::Link, "u1", true)),
        (Kind::Group, "members eq \"u1\"", found(Field::Link, "u1", true)),
        (Kind::Group, "members[value eq \"u1\"]", found(Field::Link, "u1", true)),
        (Kind::User, "groups.value eq \"g1\"", found(Field::Link, "g1", true)),
        (Kind::User, "id eq \"b\" or id eq \"a\" or id eq \"b\"", found(Field::Id, "a,b", true)),
        (Kind::Group, "id eq \"g\" and members eq \"u\"", found(Field::Id, "g", false)),
        (Kind::User, "active eq true and userName eq \"a\"", found(Field::UserName, "a", false)),
        (Kind::User, "emails.value eq \"A@x\"", found(Field::Email, "a@x", false)),
        (Kind::User, "emails eq \"A@x\"", found(Field::Email, "a@x", false)),
        (Kind::User, "EMAILS[Value eq \"A@x\"]", found(Field::Email, "a@x", false)),
        (Kind::User, "emails[type eq \"work\"].value eq \"A@x\"", found(Field::Email, "a@x", false)),
        (Kind::User, "emails[value eq \"a@x\" and type eq \"work\"]", found(Field::Email, "a@x", false)),
        (Kind::User, "emails[value eq \"b\" or value eq \"a\"]", found(Field::Email, "a,b", false)),
        (Kind::User, "emails eq \"b\" or emails.value eq \"a\"", found(Field::Email, "a,b", false)),
        (
            Kind::User,
            "(emails eq \"b\" and active eq true) or emails.value eq \"a\"",
            found(Field::Email, "a,b", false),
        ),
        (Kind::User, "active eq true and emails eq \"a\"", found(Field::Email, "a", false)),
        (Kind::User, "emails eq \"a\" and userName eq \"b\"", found(Field::UserName, "b", false)),
        (Kind::User, "groups eq \"g\" and emails eq \"a\"", found(Field::Email, "a", false)),
        (
            Kind::User,
            "urn:ietf:params:scim:schemas:core:2.0:User:emails.VALUE eq \"A@x\"",
            found(Field::Email, "a@x", false),
        ),
        (
            Kind::User,
            "urn:ietf:params:scim:schemas:core:2.0:User:emails[type eq \"work\"].value eq \"A@x\"",
            found(Field::Email, "a@x", false),
        ),
        (Kind::User, "emails.type eq \"work\"", (None, false)),
        (Kind::User, "emails.display eq \"a\"", (None, false)),
        (Kind::User, "emails[type eq \"a\"]", (None, false)),
        (Kind::User, "emails[not (value eq \"a\")]", (None, false)),
        (Kind::User, "emails[value eq \"a\" or type eq \"work\"]", (None, false)),
        (Kind::User, "emails.value ne \"a\"", (None, false)),
        (Kind::User, "emails.value eq null", (None, false)),
        (Kind::User, "phoneNumbers.value eq \"a\"", (None, false)),
        (Kind::User, "emails eq \"a\" or userName eq \"a\"", (None, false)),
        (Kind::User, "id eq \"a\" or userName eq \"b\"", (None, false)),
        (Kind::User, "not (id eq \"a\")", (None, false)),
        (Kind::User, "userName sw \"a\"", (None, false)),
        (Kind::User, "name.familyName eq \"a\"", (None, false)),
    ];
    for (kind, filter, expected) in cases {
        assert_eq!(plan(kind, filter), expected, "{filter}");
    }
}

#[test]
fn of_an_email_address_the_index_has_what_is_asked_of_it() {
    let keys = |emails: Value| email_keys(&emails);
    let emails =
        json!([{ "value": "B@x", "type": "work" }, { "value": "a@x" }, { "value": "b@X" }, { "type": "home" }, "c@x"]);
    assert_eq!(keys(emails), ["a@x", "b@x", "c@x"]);
    assert!(keys(Value::Null).is_empty());
    // What is too long, and what a database could not hold.
    for address in ["ß".repeat(400), format!("{}é@x", "a".repeat(319)), "a\0b".to_owned(), String::new()] {
        let filter = format!("emails eq {}", json!(address.to_uppercase()));
        let test = Test::of(Kind::User, &[], &parser::filter(&filter).unwrap()).unwrap();
        let asked = Plan::of(Kind::User, Some(test)).lookup.unwrap().values;
        assert_eq!(keys(json!([{ "value": address }])), asked, "{address}");
        assert!(asked[0].len() <= 320 && !asked[0].contains('\0'), "{asked:?}");
    }
}

#[test]
fn groups_have_no_emails_to_look_up() {
    let filter = parser::filter("emails eq \"a\"").unwrap();
    let test = Test::of(Kind::Group, &[Kind::User, Kind::Group], &filter).unwrap();
    assert_eq!(Plan::of(Kind::Group, Some(test)).lookup, None);
}
