//! Tables of operations on one user and one group, and properties over made-up ones.

#![expect(clippy::needless_pass_by_value, reason = "tables of JSON read better without borrows")]

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::resource::{Link, Resource};

fn view(kind: Kind, resource: &Resource) -> View<'_> {
    View { kind, resource, base_url: "https://x", shows_names: true }
}

fn user() -> Resource {
    let attributes = json!({
        "userName": "ann", "active": true, "name": { "givenName": "Ann", "familyName": "Lee" },
        "emails": [{ "value": "a@work", "type": "work", "primary": true }, { "value": "a@home", "type": "home" }],
        "urn:acme:1.0:Badge": { "level": 1, "tags": ["a"] }
    });
    Resource { id: "u1".to_owned(), attributes: attributes.as_object().unwrap().clone(), ..Resource::default() }
}

fn patch(operations: Value) -> Result<Patched> {
    Patch::read(json!({ "schemas": [PATCH_SCHEMA], "Operations": operations }))?.apply(&view(Kind::User, &user()))
}

fn group(operations: Value) -> Result<Patched> {
    let link = |id: &str, kind| Link { id: id.to_owned(), display: Some(format!("Name of {id}")), kind: Some(kind) };
    let links = vec![link("u1", Kind::User), link("u2", Kind::User), link("g1", Kind::Group)];
    let attributes = json!({ "displayName": "Staff" }).as_object().unwrap().clone();
    let group = Resource { id: "g0".to_owned(), attributes, links: Some(links), ..Resource::default() };
    Patch::read(json!({ "Operations": operations }))?.apply(&view(Kind::Group, &group))
}

/// The operations change the user in exactly these attributes; null for one that goes.
fn check(operations: Value, expected: Value) {
    let mut wanted = user().attributes;
    for (name, value) in expected.as_object().unwrap() {
        wanted.remove(name);
        if !value.is_null() {
            wanted.insert(name.clone(), value.clone());
        }
    }
    let patched = patch(operations.clone()).unwrap_or_else(|error| panic!("{operations}: {error}"));
    assert_eq!(Value::from(patched.attributes), Value::from(wanted), "{operations}");
}

const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

#[test]
fn whole_attributes_are_set_and_removed() {
    check(json!([{ "op": "add", "path": "title", "value": "Boss" }]), json!({ "title": "Boss" }));
    check(json!([{ "op": "Replace", "path": "ACTIVE", "value": "False" }]), json!({ "active": false }));
    check(json!([{ "OP": "REMOVE", "Path": "active" }]), json!({ "active": null }));
    check(json!([{ "op": "replace", "path": "active", "value": null }]), json!({ "active": null }));
    check(json!([{ "op": "add", "path": "active", "value": null }]), json!({}));
    check(json!([{ "op": "remove", "path": "nickName" }]), json!({}));
    check(json!([{ "op": "remove", "path": "emails" }]), json!({ "emails": null }));
    check(json!([{ "op": "replace", "path": "emails", "value": [] }]), json!({ "emails": null }));
    check(
        json!([{ "op": "replace", "path": "emails", "value": [{ "value": "b" }] }]),
        json!({ "emails": [{ "value": "b" }] }),
    );
    check(
        json!([{ "op": "add", "path": "urn:ietf:params:scim:schemas:core:2.0:User:title", "value": "Boss" }]),
        json!({ "title": "Boss" }),
    );
}

#[test]
fn parts_that_are_not_named_stay() {
    let renamed = json!({ "name": { "givenName": "Bo", "familyName": "Lee" } });
    check(json!([{ "op": "replace", "path": "name.givenName", "value": "Bo" }]), renamed.clone());
    check(json!([{ "op": "replace", "path": "name", "value": { "GIVENNAME": "Bo" } }]), renamed.clone());
    check(json!([{ "op": "replace", "value": { "name.givenName": "Bo" } }]), renamed.clone());
    check(json!([{ "op": "add", "value": { "name": { "givenName": "Bo" } } }]), renamed);
    check(json!([{ "op": "remove", "path": "name.givenName" }]), json!({ "name": { "familyName": "Lee" } }));
    check(
        json!([{ "op": "remove", "path": "name.givenName" }, { "op": "remove", "path": "name.familyName" }]),
        json!({ "name": null }),
    );
}

#[test]
fn values_are_added_once() {
    check(json!([{ "op": "add", "path": "emails", "value": [{ "value": "a@work", "type": "work" }] }]), json!({}));
    check(
        json!([{ "op": "add", "path": "emails", "value": { "value": "b@x", "type": "other", "primary": true } }]),
        json!({ "emails": [
            { "value": "a@work", "type": "work", "primary": false }, { "value": "a@home", "type": "home" },
            { "value": "b@x", "type": "other", "primary": true }
        ] }),
    );
    check(json!([{ "op": "add", "path": "urn:acme:1.0:badge:TAGS", "value": ["a"] }]), json!({}));
    check(
        json!([{ "op": "add", "path": "urn:acme:1.0:Badge:tags", "value": ["a", "b"] }]),
        json!({ "urn:acme:1.0:Badge": { "level": 1, "tags": ["a", "b"] } }),
    );
}

#[test]
fn elements_are_chosen_by_filter() {
    let home_changed = json!({ "emails": [
        { "value": "a@work", "type": "work", "primary": true }, { "value": "b@home", "type": "home" }
    ] });
    let path = "emails[type eq \"home\"].value";
    check(json!([{ "op": "replace", "path": path, "value": "b@home" }]), home_changed.clone());
    check(json!([{ "op": "Add", "path": path, "value": "b@home" }]), home_changed.clone());
    check(json!([{ "op": "replace", "value": { "EMAILS[TYPE EQ \"Home\"].value": "b@home" } }]), home_changed);
    check(
        json!([{ "op": "replace", "path": "emails[value ew \"home\"]", "value": { "value": "c" } }]),
        json!({ "emails": [{ "value": "a@work", "type": "work", "primary": true }, { "value": "c" }] }),
    );
    check(
        json!([{ "op": "add", "path": "emails[type eq \"home\"]", "value": { "primary": true } }]),
        json!({ "emails": [
            { "value": "a@work", "type": "work", "primary": false },
            { "value": "a@home", "type": "home", "primary": true }
        ] }),
    );
    check(
        json!([{ "op": "remove", "path": "emails[type eq \"work\" and primary eq \"True\"]" }]),
        json!({ "emails": [{ "value": "a@home", "type": "home" }] }),
    );
    check(
        json!([{ "op": "remove", "path": "emails", "value": [{ "value": "a@work" }] }]),
        json!({ "emails": [{ "value": "a@home", "type": "home" }] }),
    );
    check(json!([{ "op": "remove", "path": "emails", "value": [] }]), json!({}));
    check(json!([{ "op": "remove", "path": "emails[type eq \"none\"]" }]), json!({}));
    check(
        json!([{ "op": "remove", "path": "emails[type eq \"home\"].type" }]),
        json!({ "emails": [{ "value": "a@work", "type": "work", "primary": true }, { "value": "a@home" }] }),
    );
}

#[test]
fn a_missing_element_is_made_from_the_equalities() {
    check(
        json!([{ "op": "Add", "path": "phoneNumbers[type eq \"Mobile\"].value", "value": "+1" }]),
        json!({ "phoneNumbers": [{ "type": "Mobile", "value": "+1" }] }),
    );
    check(
        json!([{ "op": "Replace", "path": "addresses[type eq \"work\"].locality", "value": "Paris" }]),
        json!({ "addresses": [{ "type": "work", "locality": "Paris" }] }),
    );
    check(
        json!([{ "op": "Add", "path": "roles[primary eq \"True\"].value", "value": "Admin" }]),
        json!({ "roles": [{ "primary": true, "value": "Admin" }] }),
    );
}

#[test]
fn extensions_are_reached_by_urn() {
    let path = |attribute: &str| format!("{ENTERPRISE}:{attribute}");
    check(
        json!([{ "op": "add", "path": path("department"), "value": "Sales" }]),
        json!({ ENTERPRISE: { "department": "Sales" } }),
    );
    check(
        json!([{ "op": "Add", "path": path("manager"), "value": "m1" }]),
        json!({ ENTERPRISE: { "manager": { "value": "m1" } } }),
    );
    check(
        json!([{ "op": "replace", "value": { path("employeeNumber"): "7", "active": false } }]),
        json!({
            ENTERPRISE: { "employeeNumber": "7" }, "active": false
        }),
    );
    check(
        json!([{ "op": "replace", "path": ENTERPRISE, "value": { "costCenter": "9", "schemas": [ENTERPRISE] } }]),
        json!({ ENTERPRISE: { "costCenter": "9" } }),
    );
    check(
        json!([{ "op": "add", "value": { ENTERPRISE: { "costCenter": "9" } } }]),
        json!({ ENTERPRISE: { "costCenter": "9" } }),
    );
    check(json!([{ "op": "remove", "path": "urn:acme:1.0:BADGE" }]), json!({ "urn:acme:1.0:Badge": null }));
    check(
        json!([
            { "op": "replace", "path": "urn:acme:1.0:badge:Level", "value": 2 },
            { "op": "remove", "path": "urn:acme:1.0:Badge:tags" }
        ]),
        json!({ "urn:acme:1.0:Badge": { "level": 2 } }),
    );
    check(
        json!([{ "op": "add", "path": "urn:new:1.0:Thing:a.b", "value": "c" }]),
        json!({ "urn:new:1.0:Thing": { "a": { "b": "c" } } }),
    );
}

#[test]
fn an_extension_needs_no_version_in_its_name() {
    // Of an object under a new URN, and of all that follows, wherever the version is missing.
    let urn = "urn:acme:badge";
    let made = json!({ "op": "add", "value": { urn: { "level": 1, "tag": "a" } } });
    check(json!([made]), json!({ urn: { "level": 1, "tag": "a" } }));
    check(json!([{ "op": "add", "path": urn, "value": { "level": 1 } }]), json!({ urn: { "level": 1 } }));
    check(
        json!([made, { "op": "replace", "value": { "URN:acme:badge": { "Level": 2 }, "urn:acme:badge:tag": "b" } }]),
        json!({ urn: { "level": 2, "tag": "b" } }),
    );
    check(
        json!([made, { "op": "add", "value": { "urn:acme:badge:at": { "door": 1 } } }]),
        json!({ urn: { "level": 1, "tag": "a", "at": { "door": 1 } } }),
    );
    check(json!([made, { "op": "remove", "path": "urn:acme:BADGE" }]), json!({}));
    check(json!([made, { "op": "remove", "path": "urn:acme:badge:level" }]), json!({ urn: { "tag": "a" } }));
    check(
        json!([{ "op": "add", "value": { "urn:x:y.z": { "a": 1 } } }, { "op": "add", "path": "urn:x:y.z:b", "value": 2 }]),
        json!({ "urn:x:y.z": { "a": 1, "b": 2 } }),
    );
    // One that ends in a version, and an attribute of it.
    check(
        json!([
            { "op": "add", "value": { "urn:acme:2.0": { "a": 1 } } },
            { "op": "replace", "path": "urn:acme:2.0:a", "value": 2 }
        ]),
        json!({ "urn:acme:2.0": { "a": 2 } }),
    );
    // What its form makes an attribute stays one.
    check(
        json!([{ "op": "add", "value": { "urn:new:1.0:Thing:at": { "door": 1 } } }]),
        json!({ "urn:new:1.0:Thing": { "at": { "door": 1 } } }),
    );
}

#[test]
fn the_core_may_stand_under_its_urn() {
    const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
    check(json!([{ "op": "replace", "value": { CORE: { "active": false } } }]), json!({ "active": false }));
    check(json!([{ "op": "replace", "path": CORE, "value": { "active": false } }]), json!({ "active": false }));
    check(
        json!([{ "op": "replace", "value": { format!("{CORE}:name.givenName"): "Bo", "title": "x" } }]),
        json!({ "name": { "givenName": "Bo", "familyName": "Lee" }, "title": "x" }),
    );
    let twice = patch(json!([{ "op": "replace", "value": { "Active": true, CORE: { "active": false } } }])).unwrap_err();
    assert_eq!(twice.kind(), Some(ErrorKind::InvalidSyntax));
}

#[test]
fn without_a_path_what_cannot_be_written_is_passed_over() {
    check(
        json!([{ "op": "replace", "value": {
            "id": "other", "meta": {}, "groups": [], "schemas": ["x"], "unknown": 1, "active": false
        } }]),
        json!({ "active": false }),
    );
    check(json!([{ "op": "add", "path": "schemas", "value": ["urn:x"] }]), json!({}));
}

#[test]
fn a_password_is_taken_aside() {
    use secrecy::ExposeSecret;
    for operation in [
        json!({ "op": "replace", "value": { "password": "s" } }),
        json!({ "op": "add", "path": "password", "value": "s" }),
    ] {
        let patched = patch(json!([operation])).unwrap();
        assert_eq!(patched.password.unwrap().expose_secret(), "s");
        assert_eq!(patched.attributes, user().attributes);
    }
}

#[test]
fn wrong_operations_are_refused_with_the_right_type() {
    let cases = [
        (json!([]), ErrorKind::InvalidSyntax, "`Operations` is empty"),
        (json!([{ "op": "move", "path": "a" }]), ErrorKind::InvalidSyntax, "operation 1: `op` is add"),
        (json!([{ "op": "remove" }]), ErrorKind::NoTarget, "operation 1: a remove needs a `path`"),
        (json!([{ "op": "add", "path": "title" }]), ErrorKind::InvalidValue, "`value` is missing"),
        (json!([{ "op": "add", "value": "x" }]), ErrorKind::InvalidValue, "`value` is an object"),
        (json!([{ "op": "add", "path": "emails[", "value": 1 }]), ErrorKind::InvalidPath, "operation 1: at character"),
        (json!([{ "op": "add", "path": "nope", "value": 1 }]), ErrorKind::InvalidPath, "no attribute `nope`"),
        (json!([{ "op": "add", "path": "name.nope", "value": 1 }]), ErrorKind::InvalidPath, "no attribute `name.nope`"),
        (json!([{ "op": "add", "path": "emails[nope eq 1].value", "value": "x" }]), ErrorKind::InvalidPath, "`nope`"),
        (json!([{ "op": "add", "path": "title[value eq 1]", "value": "x" }]), ErrorKind::InvalidPath, "no elements"),
        (json!([{ "op": "replace", "path": "id", "value": "x" }]), ErrorKind::Mutability, "`id` is read-only"),
        (json!([{ "op": "remove", "path": "groups[value eq \"g\"]" }]), ErrorKind::Mutability, "is read-only"),
        (json!([{ "op": "add", "path": "meta.version", "value": "x" }]), ErrorKind::Mutability, "is read-only"),
        (json!([{ "op": "remove", "path": "userName" }]), ErrorKind::Mutability, "a User needs `userName`"),
        (json!([{ "op": "replace", "path": "active", "value": "maybe" }]), ErrorKind::InvalidValue, "true or false"),
        (
            json!([{ "op": "replace", "path": "emails[type eq \"none\"]", "value": { "value": "x" } }]),
            ErrorKind::NoTarget,
            "chooses nothing",
        ),
        (
            json!([{ "op": "replace", "path": "emails[value eq \"none\"].type", "value": "x" }]),
            ErrorKind::NoTarget,
            "chooses nothing",
        ),
        (
            json!([{ "op": "replace", "path": "emails.primary", "value": true }]),
            ErrorKind::InvalidValue,
            "only one value",
        ),
    ];
    for (operations, kind, expected) in cases {
        let error = patch(operations.clone()).map(|patched| patched.attributes).expect_err(&operations.to_string());
        assert_eq!(error.kind(), Some(kind), "{operations}: {error}");
        assert!(error.detail().contains(expected), "{operations}: {error}");
    }
    let tags: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    let too_many = json!([{ "op": "add", "path": "urn:acme:1.0:Badge:tags", "value": tags }]);
    assert!(patch(too_many).unwrap_err().detail().contains("more than 1000 values"));
    let terms = |attribute: &str, term: &str, count: usize| {
        let path = format!("{attribute}[{}]", vec![term; 50].join(" or "));
        Value::from(vec![json!({ "op": "remove", "path": path }); count / 50])
    };
    assert!(patch(terms("emails", "value eq \"a\"", 5_000)).is_ok());
    assert_eq!(patch(terms("emails", "value eq \"a\"", 5_050)).unwrap_err().kind(), Some(ErrorKind::TooMany));
    assert!(group(terms("members", "value eq \"a\"", 50_000)).is_ok());
    assert!(group(terms("members", "display eq \"a\"", 50)).is_ok());
    assert_eq!(group(terms("members", "display eq \"a\"", 100)).unwrap_err().kind(), Some(ErrorKind::TooMany));
    let many = vec![json!({ "op": "remove", "path": "title" }); MAX_PATCH_OPERATIONS + 1];
    assert_eq!(patch(many.into()).unwrap_err().kind(), Some(ErrorKind::TooMany));
}

#[test]
fn members_change_by_differences() {
    let cases = [
        (
            json!([{ "op": "add", "path": "members", "value": [{ "value": "a" }, { "value": "b" }] }]),
            (false, "", "a,b"),
        ),
        (json!([{ "op": "remove", "path": "members[value eq \"u1\"]" }]), (false, "u1", "")),
        (json!([{ "op": "remove", "path": "members[value eq \"u1\" or value eq \"u2\"]" }]), (false, "u1,u2", "")),
        (json!([{ "op": "Remove", "path": "members", "value": [{ "$ref": null, "value": "u1" }] }]), (false, "u1", "")),
        (json!([{ "op": "remove", "path": "members" }]), (true, "", "")),
        (json!([{ "op": "remove", "path": "members", "value": null }]), (true, "", "")),
        (json!([{ "op": "remove", "path": "members", "value": [] }]), (false, "", "")),
        (json!([{ "op": "replace", "path": "members", "value": [] }]), (true, "", "")),
        (json!([{ "op": "replace", "path": "members", "value": [{ "value": "a" }] }]), (true, "", "a")),
        (json!([{ "op": "replace", "value": { "members": [{ "value": "a" }] } }]), (true, "", "a")),
        (json!([{ "op": "remove", "path": "members[type eq \"User\"]" }]), (false, "u1,u2", "")),
        (json!([{ "op": "remove", "path": "members[display co \"G1\"]" }]), (false, "g1", "")),
        (
            json!([
                { "op": "add", "path": "members", "value": [{ "value": "a" }, { "value": "b" }] },
                { "op": "remove", "path": "members[value eq \"a\"]" },
                { "op": "remove", "path": "members[value eq \"u1\"]" },
                { "op": "add", "path": "members", "value": [{ "value": "u1" }] }
            ]),
            (false, "a", "b,u1"),
        ),
        (
            json!([
                { "op": "remove", "path": "members" },
                { "op": "add", "path": "members", "value": [{ "value": "a" }, { "value": "b" }] },
                { "op": "remove", "path": "members[value eq \"b\"]" }
            ]),
            (true, "", "a"),
        ),
        (json!([{ "op": "replace", "value": { "id": "g0", "displayName": "Staff" } }]), (false, "", "")),
    ];
    for (operations, (clear, remove, add)) in cases {
        let members = group(operations.clone()).unwrap_or_else(|error| panic!("{operations}: {error}")).members;
        let added: Vec<&str> = members.add.iter().map(|link| link.id.as_str()).collect();
        assert_eq!(
            (members.clear, members.remove.join(","), added.join(",")),
            (clear, remove.to_owned(), add.to_owned()),
            "{operations}"
        );
    }
    for (operation, kind) in [
        (json!({ "op": "replace", "path": "members[value eq \"u1\"].display", "value": "x" }), ErrorKind::Mutability),
        (json!({ "op": "replace", "path": "members[value eq \"u1\"]", "value": {} }), ErrorKind::InvalidPath),
        (json!({ "op": "add", "path": "members", "value": [{ "display": "x" }] }), ErrorKind::InvalidValue),
        (json!({ "op": "remove", "path": "displayName" }), ErrorKind::Mutability),
    ] {
        assert_eq!(group(json!([operation])).unwrap_err().kind(), Some(kind), "{operation}");
    }
}

fn elements() -> impl Strategy<Value = Value> {
    let element = ("[abc]", "[wh]", any::<bool>())
        .prop_map(|(value, kind, primary)| json!({ "value": value, "type": kind, "primary": primary }));
    proptest::collection::vec(element, 0..4).prop_map(Value::from)
}

fn operations() -> impl Strategy<Value = Value> {
    let verb = prop_oneof![Just("add"), Just("remove"), Just("replace")];
    let path =
        prop_oneof![Just("emails"), Just("emails[type eq \"w\"]"), Just("emails[value eq \"a\" or type eq \"h\"]")];
    let operation = (verb, path, elements()).prop_map(|(verb, path, value)| {
        let value = if path == "emails" { value } else { value[0].clone() };
        json!({ "op": verb, "path": path, "value": value })
    });
    proptest::collection::vec(operation, 1..6).prop_map(Value::from)
}

proptest! {
    #[test]
    fn no_twins_and_one_primary_at_most(operations in operations()) {
        if let Ok(patched) = patch(operations) {
            let none = Vec::new();
            let emails = patched.attributes.get("emails").map_or(&none, |emails| emails.as_array().unwrap());
            prop_assert!(emails.iter().filter(|email| email["primary"] == true).count() <= 1);
            prop_assert!(patched.attributes.get("emails").is_none_or(|emails| emails != &json!([])));
        }
    }

    #[test]
    fn adding_twice_is_adding_once(value in elements()) {
        let add = json!({ "op": "add", "path": "emails", "value": value });
        if let Ok(once) = patch(json!([add.clone()])) {
            let twice = patch(json!([add.clone(), add])).unwrap();
            prop_assert_eq!(once.attributes, twice.attributes);
        }
    }

    #[test]
    fn any_path_and_value_is_applied_or_refused(path in "\\PC{0,20}", value in elements()) {
        let _ = patch(json!([{ "op": "add", "path": path, "value": value }]));
    }
}
