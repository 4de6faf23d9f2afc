//! Whether a licence expression (SPDX, and the older `MIT/Apache-2.0`) can be satisfied with the licences we allow.
//!
//! `AND` binds tighter than `OR`; `WITH` makes one licence of its two sides. What is no expression is not allowed.
//! Source: SPDX specification 2.3, annex D.

/// Whether the allowed licences satisfy the expression.
pub(super) fn is_allowed(expression: &str, allowed: &[String]) -> bool {
    let tokens = tokens(expression);
    let mut rest = tokens.as_slice();
    any_of(&mut rest, allowed) == Some(true) && rest.is_empty()
}

/// Names, operators and parentheses; `Apache-2.0 WITH LLVM-exception` is one name.
fn tokens(expression: &str) -> Vec<String> {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let mut tokens: Vec<String> = Vec::new();
    let mut words = spaced.split_whitespace();
    while let Some(word) = words.next() {
        match (word, tokens.last_mut()) {
            ("WITH", Some(licence)) => *licence = format!("{licence} WITH {}", words.next().unwrap_or_default()),
            _ => tokens.push(word.to_owned()),
        }
    }
    tokens
}

fn any_of(tokens: &mut &[String], allowed: &[String]) -> Option<bool> {
    let mut value = all_of(tokens, allowed)?;
    while next_is(tokens, "OR") {
        value |= all_of(tokens, allowed)?;
    }
    Some(value)
}

fn all_of(tokens: &mut &[String], allowed: &[String]) -> Option<bool> {
    let mut value = one(tokens, allowed)?;
    while next_is(tokens, "AND") {
        value &= one(tokens, allowed)?;
    }
    Some(value)
}

fn one(tokens: &mut &[String], allowed: &[String]) -> Option<bool> {
    if next_is(tokens, "(") {
        let value = any_of(tokens, allowed)?;
        return next_is(tokens, ")").then_some(value);
    }
    let (licence, rest) = tokens.split_first()?;
    *tokens = rest;
    Some(allowed.contains(licence))
}

/// Takes the next token if it is this one.
fn next_is(tokens: &mut &[String], token: &str) -> bool {
    match tokens.split_first() {
        Some((next, rest)) if next == token => {
            *tokens = rest;
            true
        }
        _ => false,
    }
}

#[test]
fn expressions_are_weighed() {
    let allowed = ["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
    let cases = [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 / MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("MIT AND ISC", true),
        ("MIT OR ISC AND GPL-3.0", true),
        ("GPL-3.0 AND MIT OR ISC", true),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("GPL-3.0 AND (MIT OR ISC)", false),
        ("ISC AND (Apache-2.0 OR ISC) AND ((MIT))", true),
        ("Apache-2.0 WITH LLVM-exception OR GPL-3.0", true),
        ("Apache-2.0", false),
        ("MIT WITH LLVM-exception", false),
        ("mit", false),
        ("", false),
        ("MIT ISC", false),
        ("(MIT", false),
        ("MIT AND", false),
    ];
    for (expression, expected) in cases {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}
