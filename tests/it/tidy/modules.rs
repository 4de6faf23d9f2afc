//! Which module of a crate uses which: no circle, so a reader can start at one end.
//!
//! Modules are those that lib.rs names. The order of its lines is rustfmt's and says nothing, so this looks for
//! circles alone. A name that lib.rs hands on (`pub use error::Error`) counts as a use of the module it comes from.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{SOURCES, Source};

/// Per module, the modules it uses.
type Uses = BTreeMap<String, BTreeSet<String>>;

#[test]
fn modules_of_a_crate_form_no_circle() {
    let mut circles = Vec::new();
    for lib in SOURCES.iter().filter(|source| source.path.ends_with("/src/lib.rs")) {
        let folder = lib.path.trim_end_matches("lib.rs");
        let files: Vec<&Source> = SOURCES.iter().filter(|source| source.path.starts_with(folder)).collect();
        circles.extend(circle(&uses(lib, &files)).map(|circle| format!("{folder}: {}", circle.join(" -> "))));
    }
    assert!(circles.is_empty(), "modules use each other in a circle; move what both need:\n{}", circles.join("\n"));
}

/// What the modules named by `lib` use of each other.
fn uses(lib: &Source, files: &[&Source]) -> Uses {
    let code = &lib.product_code;
    let modules: Vec<&str> =
        code.split(['{', '}', ';']).filter_map(|item| item.split("mod ").nth(1)).map(name).collect();
    let handed_on = handed_on(code, &modules);
    let folder = lib.path.trim_end_matches("lib.rs");
    let mut uses = Uses::new();
    for file in files {
        let place = file.path[folder.len()..].trim_end_matches(".rs");
        let module = place.split('/').next().unwrap_or_default();
        if !modules.contains(&module) {
            continue;
        }
        let mut names = named_after("crate::", &file.product_code);
        // In `x.rs` the parent is the crate's root; deeper, it is the module itself.
        if place == module {
            names.extend(named_after("super::", &file.product_code));
        }
        let used = names.into_iter().filter_map(|name| {
            let of = handed_on.get(name).copied().unwrap_or(name);
            (modules.contains(&of) && of != module).then(|| of.to_owned())
        });
        uses.entry(module.to_owned()).or_default().extend(used);
    }
    uses
}

/// Names that lib.rs hands on, and the module each comes from.
fn handed_on<'a>(code: &'a str, modules: &[&'a str]) -> BTreeMap<&'a str, &'a str> {
    let mut found = BTreeMap::new();
    for statement in code.split(';').filter_map(|item| item.split("pub use ").nth(1)) {
        let statement = statement.trim_start_matches("crate::");
        let module = name(statement);
        if modules.contains(&module) {
            found.extend(statement[module.len()..].split(|c| !is_in_name(c)).map(|name| (name, module)));
        }
    }
    found
}

/// The names that follow `prefix`, alone or as a list in braces.
fn named_after<'a>(prefix: &str, code: &'a str) -> Vec<&'a str> {
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
    names
}

fn name(text: &str) -> &str {
    text.split(|c| !is_in_name(c)).next().unwrap_or_default()
}

fn is_in_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// A way from a module back to itself.
fn circle(uses: &Uses) -> Option<Vec<String>> {
    fn walk(uses: &Uses, way: &mut Vec<String>, done: &mut BTreeSet<String>) -> Option<Vec<String>> {
        let here = way.last()?.clone();
        for next in uses.get(&here).into_iter().flatten() {
            if let Some(at) = way.iter().position(|module| module == next) {
                return Some(way[at..].iter().chain([next]).cloned().collect());
            }
            if !done.contains(next) {
                way.push(next.clone());
                if let Some(circle) = walk(uses, way, done) {
                    return Some(circle);
                }
                way.pop();
            }
        }
        done.insert(here);
        None
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|module| walk(uses, &mut vec![module.clone()], &mut done))
}

#[test]
fn a_circle_is_found() {
    let lib = "pub mod a;\nmod b;\nmod c;\npub use a::{Thing, Other};\nuse crate::c::x;";
    let cases = [
        (vec![("a.rs", "use crate::b;"), ("b.rs", "crate::c::x()"), ("c.rs", "")], None),
        (vec![("a.rs", "use crate::b::B;"), ("b.rs", "fn f() { crate::a::x() }")], Some("a -> b -> a")),
        (vec![("a.rs", "use crate::{\n  c::{x, b},\n  b,\n};"), ("b/d.rs", "use crate::a;")], Some("a -> b -> a")),
        (vec![("a.rs", "use super::c;"), ("c.rs", "use crate::Thing;")], Some("a -> c -> a")),
        (vec![("a/d.rs", "use super::b;"), ("b.rs", "use crate::a;")], None),
        (vec![("a.rs", "use crate::{c::{x, b}, c};"), ("b.rs", "use crate::a;")], None),
        (vec![("a.rs", "use crate::b; // b uses no crate::a"), ("b.rs", "\"crate::a\"")], None),
        (vec![("a.rs", "use crate::b;"), ("b.rs", "#[cfg(test)]\nmod tests { use crate::a; }")], None),
    ];
    for (files, expected) in cases {
        let lib = Source::new("x/src/lib.rs", lib);
        let files: Vec<Source> = files.iter().map(|(name, text)| Source::new(&format!("x/src/{name}"), text)).collect();
        let found = circle(&uses(&lib, &files.iter().collect::<Vec<_>>()));
        assert_eq!(found.map(|circle| circle.join(" -> ")).as_deref(), expected, "{files:?}");
    }
}
