//! The house rules that a machine can check, over the text of the workspace.
//!
//! Most rules are data: where they look, what must not be there, and the few places where it may be, each with its
//! reason. An exception that is no longer needed fails as well. Every rule is tried on a text that breaks it.

mod modules;
mod rules;
mod source;

use std::fs;

pub(crate) use source::root;

use rules::Rule;
use source::{SOURCES, Source};

/// Non-test lines after which a file surely hides two ideas; the aim is 400.
const MAX_LINES: usize = 500;

/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 6] = ["common", "utils", "core", "types", "models", "helpers"];

/// Fails with every place that breaks the rule, and every exception that nothing needs.
fn assert_kept(rule: &Rule) {
    let mut problems: Vec<String> = SOURCES.iter().flat_map(|source| rule.broken_in(source)).collect();
    problems.extend(rule.unneeded_exceptions(&SOURCES));
    assert!(problems.is_empty(), "{}:\n{}", rule.says, problems.join("\n"));
}

/// Fails with every Rust file for which `problem` has something to say.
fn assert_none(rule: &str, problem: impl Fn(&Source) -> Option<String>) {
    let rust = SOURCES.iter().filter(|source| source.path.ends_with(".rs"));
    let problems: Vec<String> = rust.filter_map(problem).collect();
    assert!(problems.is_empty(), "{rule}:\n{}", problems.join("\n"));
}

#[test]
fn no_unwrap_outside_tests() {
    assert_kept(&rules::UNWRAP);
}

#[test]
fn lints_are_expected_with_a_reason_never_allowed() {
    assert_kept(&rules::ALLOW);
}

#[test]
fn nothing_is_left_for_later() {
    assert_kept(&rules::LATER_IN_CODE);
    assert_kept(&rules::LATER_IN_COMMENTS);
}

#[test]
fn no_path_of_one_machine() {
    assert_kept(&rules::MACHINE_PATHS);
}

#[test]
fn the_text_speaks_of_the_product_alone() {
    assert_kept(&rules::ABOUT_THE_MAKING);
}

#[test]
fn sql_lies_in_the_store() {
    assert_kept(&rules::SQL_TEXT);
    assert_kept(&rules::SQL_CRATE);
}

#[test]
fn the_environment_is_read_at_the_edge() {
    assert_kept(&rules::ENVIRONMENT);
}

#[test]
fn settings_files_are_named_where_they_are_read_or_written() {
    assert_kept(&rules::SETTINGS_FILES);
}

#[test]
fn connectors_touch_neither_files_nor_processes() {
    assert_kept(&rules::FILES_IN_CONNECTORS);
}

#[test]
fn a_concrete_connector_is_named_in_one_file() {
    assert_kept(&rules::CONCRETE_CONNECTOR);
    assert_kept(&rules::SANDBOX);
}

#[test]
fn secrets_are_opened_in_listed_files() {
    assert_kept(&rules::OPENED_SECRETS);
}

#[test]
fn clock_and_chance_enter_at_the_edge() {
    assert_kept(&rules::WALL_CLOCK);
    assert_kept(&rules::CHANCE);
}

#[test]
fn names_say_what_is_inside() {
    assert_none("a name that fits everything says nothing; name it after its main type or verb", empty_name);
}

#[test]
fn every_file_begins_with_what_it_does() {
    assert_none("the first line of a file is its `//!` head: what it does, and the rule it keeps", missing_head);
}

#[test]
fn files_hold_one_idea() {
    assert_none("a file this long hides two ideas", too_long);
}

/// The one script of the repository must not become a second place where checks are listed.
#[test]
fn ci_runs_the_readmes_test_command_and_nothing_else() {
    let script = fs::read_to_string(root().join(".ci/run")).unwrap();
    let commands: Vec<&str> = script.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    assert_eq!(commands, ["exec cargo xtask test"]);
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains("\ncargo xtask test "), "README.md no longer gives the test command");
    assert!(readme.contains("\ncargo run --release -- demo "), "README.md no longer gives the demo");
}

fn empty_name(source: &Source) -> Option<String> {
    let parts = source.path.trim_end_matches(".rs").split('/');
    let empty = parts.into_iter().find(|part| EMPTY_NAMES.contains(part))?;
    Some(format!("{}: `{empty}`", source.path))
}

fn missing_head(source: &Source) -> Option<String> {
    let first = source.text.lines().next().unwrap_or_default();
    let has_head = first.strip_prefix("//! ").is_some_and(|words| !words.trim().is_empty())
        || first.starts_with("#![doc = include_str!");
    (!has_head).then(|| format!("{}:1", source.path))
}

fn too_long(source: &Source) -> Option<String> {
    let lines = source.product_lines;
    (lines > MAX_LINES).then(|| format!("{}: {lines} lines without tests, more than {MAX_LINES}", source.path))
}

#[test]
fn the_checks_of_whole_files_find_what_they_look_for() {
    let cases = [
        ("a/src/utils.rs", "//! A.\n", "a/src/utils.rs: `utils`"),
        ("a/src/core/b.rs", "//! A.\n", "a/src/core/b.rs: `core`"),
        ("a/src/score.rs", "//! A.\n", ""),
        ("a/src/b.rs", "use c;\n", "a/src/b.rs:1"),
        ("a/src/b.rs", "\n//! A.\n", "a/src/b.rs:1"),
        ("a/tests/it/main.rs", "mod b;\n", "a/tests/it/main.rs:1"),
        ("a/src/b.rs", "#![doc = include_str!(\"../README.md\")]\n", ""),
    ];
    for (path, text, expected) in cases {
        let source = Source::new(path, text);
        let found = empty_name(&source).or_else(|| missing_head(&source));
        assert_eq!(found.as_deref().unwrap_or_default(), expected, "{path}: {text}");
    }
    let long = "a();\n".repeat(MAX_LINES + 1);
    assert_eq!(too_long(&Source::new("a.rs", &long[5..])), None);
    assert_eq!(too_long(&Source::new("a.rs", &long)).as_deref(), Some("a.rs: 501 lines without tests, more than 500"));
    assert_eq!(too_long(&Source::new("a.rs", &format!("#[cfg(test)]\nmod tests {{\n{long}}}\n"))), None);
}
