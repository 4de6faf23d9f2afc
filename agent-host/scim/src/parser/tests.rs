//! A corpus of valid and invalid filters and paths, and properties over made-up ones.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// The text and, where it differs, how it is written back.
const VALID: [(&str, &str); 45] = [
    ("userName eq \"bjensen\"", ""),
    ("USERNAME EQ \"x\"", "USERNAME eq \"x\""),
    ("name.familyName co \"O'Malley\"", ""),
    ("userName sw \"J\"", ""),
    ("urn:ietf:params:scim:schemas:core:2.0:User:userName sw \"J\"", ""),
    ("urn:ietf:params:scim:schemas:core:2.0:User:name.familyName eq \"x\"", ""),
    ("title pr", ""),
    ("meta.lastModified gt \"2011-05-13T04:42:34Z\"", ""),
    ("meta.lastModified ge \"2011-05-13T04:42:34Z\"", ""),
    ("meta.lastModified lt \"2011-05-13T04:42:34Z\"", ""),
    ("meta.lastModified le \"2011-05-13T04:42:34Z\"", ""),
    ("title pr and userType eq \"Employee\"", ""),
    ("title pr or userType eq \"Intern\"", ""),
    ("schemas eq \"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User\"", ""),
    ("userType eq \"Employee\" and (emails co \"example.com\" or emails.value co \"example.org\")", ""),
    ("userType ne \"Employee\" and not (emails co \"example.com\" or emails.value co \"example.org\")", ""),
    ("userType eq \"Employee\" and (emails.type eq \"work\")", "userType eq \"Employee\" and emails.type eq \"work\""),
    ("userType eq \"Employee\" and emails[type eq \"work\" and value co \"@example.com\"]", ""),
    ("emails[type eq \"work\"] or ims[type eq \"xmpp\" and value co \"@foo.com\"]", ""),
    ("not(title pr)", "not (title pr)"),
    ("NOT (title pr)", "not (title pr)"),
    ("not  (not (title pr))", "not (not (title pr))"),
    ("not eq \"x\"", ""),
    ("a pr and b pr and c pr", ""),
    ("a pr or b pr and c pr or d pr", ""),
    ("(a pr or b pr) and c pr", ""),
    ("((a pr))", "a pr"),
    ("a pr and (b pr and c pr)", "a pr and b pr and c pr"),
    ("(a pr)and(b pr)", "a pr and b pr"),
    ("userName eq \"a\\\"b\\\\c\"", ""),
    ("userName eq \"\\u00fc\\n\"", "userName eq \"ü\\n\""),
    ("userName eq \"\"", ""),
    ("userName eq \") or (\"", ""),
    ("a eq true", ""),
    ("a eq False", "a eq false"),
    ("a eq null", ""),
    ("a eq -1", ""),
    ("a gt 1.5", ""),
    ("a gt 1e3", "a gt 1000.0"),
    ("a gt 7.7777777777e+36", ""),
    ("  a   eq\t1  ", "a eq 1"),
    ("members.$ref eq \"x\"", ""),
    ("emails[type eq \"work\"].value eq \"x\"", "emails[type eq \"work\" and value eq \"x\"]"),
    ("emails[not (type eq \"work\")]", ""),
    ("urn:acme:1.0:badge.level ge 3", ""),
];

const INVALID: [&str; 38] = [
    "",
    "   ",
    "userName",
    "userName eq",
    "userName eq bjensen",
    "userName eq 'bjensen'",
    "userName eq \"bjensen",
    "userName xx \"bjensen\"",
    "userName pr \"x\"",
    "userName eq \"a\" \"b\"",
    "eq \"a\"",
    "\"a\" eq \"a\"",
    "1a eq \"a\"",
    "a..b pr",
    "a.b.c pr",
    ".a pr",
    "a. pr",
    ":a pr",
    "a:b pr",
    "()",
    "(a pr",
    "a pr)",
    "a pr and",
    "and a pr",
    "a pr or or b pr",
    "a pr b pr",
    "not a pr",
    "not",
    "emails[]",
    "emails[type eq \"work\"",
    "emails[type eq \"work\"].",
    "emails[type eq \"work\"].value",
    "emails.type[value pr]",
    "a eq [1]",
    "a eq {}",
    "a eq 01",
    "a eq \"\\x\"",
    "a eq \"line\nbreak\"",
];

#[test]
fn what_the_grammar_allows_is_read() {
    for (text, printed) in VALID {
        let filter = filter(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(filter.to_string(), if printed.is_empty() { text } else { printed });
    }
}

#[test]
fn what_it_does_not_is_refused_with_the_place() {
    for text in INVALID {
        let error = filter(text).map(|filter| filter.to_string()).expect_err(text);
        assert_eq!(error.kind(), Some(ErrorKind::InvalidFilter), "{text}");
        assert!(error.detail().contains("at character"), "{text}: {error}");
    }
    let error = filter("userName eq \"a\" xor active eq true").unwrap_err();
    assert_eq!(error.detail(), "at character 17: found `xor active eq true` instead of the end");
    let error = filter("userName \"hunter2\"").unwrap_err();
    assert!(!error.detail().contains("hunter2"), "{error}");
}

#[test]
fn and_binds_tighter_than_or() {
    let parsed = filter("a pr or b pr and c pr").unwrap();
    assert!(matches!(&parsed, Filter::Any(parts) if parts.len() == 2 && matches!(parts[1], Filter::All(_))));
}

#[test]
fn the_urn_ends_at_the_last_colon() {
    let path = attribute("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value").unwrap();
    assert_eq!(path.urn.as_deref(), Some("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"));
    assert_eq!((path.name.as_str(), path.sub.as_deref()), ("manager", Some("value")));
}

#[test]
fn paths_are_attributes_with_an_optional_filter() {
    let valid = [
        "members",
        "name.familyName",
        "addresses[type eq \"work\"]",
        "members[value eq \"2819c223\"].displayName",
        "emails[type eq \"work\" and value ew \"example.com\"]",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        "urn:acme:2.0",
    ];
    for text in valid {
        assert_eq!(path(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string(), text);
    }
    let invalid = [
        "",
        " ",
        "members[",
        "members[]",
        "members[value eq 1",
        "emails[type pr].",
        "a b",
        "a.b.c",
        "[a pr]",
        "a[b pr].c.d",
        "é",
    ];
    for text in invalid {
        assert_eq!(path(text).expect_err(text).kind(), Some(ErrorKind::InvalidPath), "{text}");
    }
}

#[test]
fn limits_are_named() {
    let terms = |count: usize| vec!["a eq 1"; count].join(" or ");
    assert!(filter(&terms(MAX_FILTER_TERMS)).is_ok());
    assert!(filter(&terms(1000)).unwrap_err().detail().contains("more than 512 terms"));
    let deep = |depth: usize| format!("{}a pr{}", "(".repeat(depth), ")".repeat(depth));
    assert!(filter(&deep(MAX_FILTER_DEPTH)).is_ok());
    for depth in [MAX_FILTER_DEPTH + 1, 30_000] {
        assert!(filter(&deep(depth)).unwrap_err().detail().contains("nested deeper than 32"));
    }
    assert!(filter(&"not (".repeat(10_000)).unwrap_err().detail().contains("nested deeper than 32"));
    assert!(filter(&"a[".repeat(10_000)).unwrap_err().detail().contains("nested deeper than 32"));
    assert!(filter(&"a".repeat(MAX_FILTER_BYTES + 1)).unwrap_err().detail().contains("longer than 65536 bytes"));
}

fn names() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9_-]{0,8}".prop_filter("`not` in front of a parenthesis is no name", |name| name != "not")
}

fn attributes() -> impl Strategy<Value = AttributePath> {
    let urn = proptest::option::of("urn:[a-z]{1,6}:[0-9]\\.[0-9]:User");
    (urn, names(), proptest::option::of(names())).prop_map(|(urn, name, sub)| AttributePath { urn, name, sub })
}

fn filters() -> impl Strategy<Value = Filter> {
    let operator = prop_oneof![Just(Operator::Equal), Just(Operator::Contains), Just(Operator::LessOrEqual)];
    let value = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        Just(json!(null))
    ];
    let term = prop_oneof![
        attributes().prop_map(Filter::Present),
        (attributes(), operator, value).prop_map(|(path, operator, value)| Filter::Compare(path, operator, value)),
    ];
    term.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Filter::all),
            proptest::collection::vec(inner.clone(), 1..4).prop_map(Filter::any),
            inner.clone().prop_map(|filter| Filter::Not(Box::new(filter))),
            (names(), inner).prop_map(|(name, filter)| {
                Filter::Within(AttributePath { urn: None, name, sub: None }, Box::new(filter))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_back_reads_as_the_same(written in filters()) {
        prop_assert_eq!(filter(&written.to_string()).unwrap(), written);
    }

    #[test]
    fn paths_written_back_read_as_the_same(name in names(), filter in proptest::option::of(filters()), sub in names()) {
        let attribute = AttributePath { urn: None, name, sub: None };
        let sub = filter.is_some().then_some(sub);
        let written = Path { attribute, filter, sub };
        prop_assert_eq!(path(&written.to_string()).unwrap(), written);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        let _ = filter(&text);
        let _ = path(&text);
    }

    #[test]
    fn any_text_of_words_is_read_or_refused(words in proptest::collection::vec(
        prop_oneof!["a", "eq", "pr", "and", "or", "not", "\\(", "\\)", "\\[", "\\]", "\"x\"", "1", "\\."], 0..30,
    )) {
        if let Ok(read) = filter(&words.join(" ")) {
            prop_assert_eq!(filter(&read.to_string()).unwrap(), read);
        }
    }
}
