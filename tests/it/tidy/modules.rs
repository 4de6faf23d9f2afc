//! Which module of a crate uses which: lib.rs lists them so that each uses only those above it.
//!
//! So a crate can be read from top to bottom, and no circle is possible. A name that lib.rs hands on
//! (`pub use error::Error`) counts as a use of the module it comes from. The sandbox is one organisation whose parts know
//! each other; its modules are not ordered.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{SOURCES, Source};

const ORDERED: [&str; 4] =
    ["connector-api/src/lib.rs", "okta-connector/src/lib.rs", "agent-host/scim/src/lib.rs", "agent-host/src/lib.rs"];

#[test]
fn modules_use_only_those_listed_above_them() {
    let lib = |path| SOURCES.iter().find(|source| source.path == path).expect("the crate has a lib.rs");
    let problems: Vec<String> = ORDERED.into_iter().flat_map(|path| downward_uses(lib(path), &SOURCES)).collect();
    assert!(
        problems.is_empty(),
        "lib.rs lists modules so that each uses only those above it:\n{}",
        problems.join("\n")
    );
}

/// Uses of a module by one that `lib` lists above it.
fn downward_uses(lib: &Source, sources: &[Source]) -> Vec<String> {
    let code = &lib.product_code;
    let items = code.split(['{', '}', ';']);
    let modules: Vec<&str> = items.filter_map(|item| item.split("mod ").nth(1)).map(name).collect();
    let handed_on = handed_on(code, &modules);
    let mut problems = Vec::new();
    for source in sources {
        let Some(place) = source.path.strip_prefix(lib.path.trim_end_matches("lib.rs")) else { continue };
        let place = place.trim_end_matches(".rs");
        let module = place.split('/').next().unwrap_or_default();
        let Some(position) = modules.iter().position(|listed| *listed == module) else { continue };
        let mut names: BTreeSet<&str> = named_after("crate::", &source.product_code).collect();
        // In `x.rs` the parent is the crate's root; deeper, it is the module itself.
        if place == module {
            names.extend(named_after("super::", &source.product_code));
        }
        let used: BTreeSet<&str> = names.into_iter().map(|name| handed_on.get(name).copied().unwrap_or(name)).collect();
        let below = modules[position + 1..].iter().filter(|below| used.contains(**below));
        problems.extend(below.map(|below| format!("{}: uses `{below}`, which is below `{module}`", source.path)));
    }
    problems
}

/// Names that lib.rs hands on, and the module each comes from.
fn handed_on<'a>(code: &'a str, modules: &[&'a str]) -> BTreeMap<&'a str, &'a str> {
    let mut found = BTreeMap::new();
    for statement in code.split(';').filter_map(|item| item.split("pub use ").nth(1)) {
        let statement = statement.trim_start_matches("crate::");
        let module = name(statement);
        if modules.contains(&module) {
            let names = statement[module.len()..].split(|c| !is_in_name(c)).filter(|name| !name.is_empty());
            found.extend(names.map(|name| (name, module)));
        }
    }
    found
}

/// The names that follow `prefix`, alone or as a list in braces.
fn named_after<'a>(prefix: &str, code: &'a str) -> impl Iterator<Item = &'a str> {
    let mut names = Vec::new();
    for (start, _) in code.match_indices(prefix) {
        let rest = &code[start + prefix.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            names.push(name(rest));
            continue;
        };
        let mut depth = 0;
        for part in list.split_inclusive(['{', '}', ',']) {
            if depth == 0 {
                names.push(name(part.trim_start()));
            }
            match part.chars().next_back() {
                Some('{') => depth += 1,
                Some('}') => depth -= 1,
                _ => {}
            }
            if depth < 0 {
                break;
            }
        }
    }
    names.into_iter()
}

fn name(text: &str) -> &str {
    text.split(|c| !is_in_name(c)).next().unwrap_or_default()
}

fn is_in_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[test]
fn a_use_of_a_module_below_is_found() {
    let lib = "pub mod a;\nmod b;\n#[cfg(feature = \"f\")]\npub mod c;\npub use b::{Thing, Other};\nuse crate::c::x;";
    let cases = [
        ("b.rs", "use crate::a;", ""),
        ("a.rs", "use crate::b::B;", "b"),
        ("a.rs", "fn f() { crate::c::x() }", "c"),
        ("a/d/e.rs", "use crate::{\n  x::{y, b},\n  c,\n};", "c"),
        ("a.rs", "use crate::{x::{y, b}, z};", ""),
        ("a.rs", "use super::c;", "c"),
        ("a/d.rs", "use super::c;", ""),
        ("a.rs", "use crate::Thing;", "b"),
        ("c.rs", "use crate::{Other, a};", ""),
        ("a.rs", "// crate::b\nf(\"crate::b\");", ""),
        ("a.rs", "#[cfg(test)]\nmod tests { use crate::b; }", ""),
        ("a/tests.rs", "use crate::b;", ""),
    ];
    for (file, text, below) in cases {
        let file = Source::new(&format!("x/src/{file}"), text);
        let expected: Vec<String> = (!below.is_empty())
            .then(|| format!("{}: uses `{below}`, which is below `a`", file.path))
            .into_iter()
            .collect();
        assert_eq!(downward_uses(&Source::new("x/src/lib.rs", lib), &[file]), expected, "{text}");
    }
}
