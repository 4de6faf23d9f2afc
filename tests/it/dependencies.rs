//! What the product is built on: licences, one crypto provider, one registry, and a reason for each dependency.
//!
//! The rules are those of deny.toml, read from there, so that they hold where `cargo deny` is not installed. Not
//! covered here: security advisories.

mod directions;
mod graph;
mod licence;

use std::{collections::BTreeSet, fs};

use graph::{Edges, GRAPH, Package};

use crate::tidy::root;

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Deny.toml may ban more, never less.
const BANNED: [&str; 5] = ["native-tls", "openssl", "openssl-sys", "ring", "rsa"];

#[test]
fn every_dependency_has_an_allowed_licence() {
    let allowed = strings(&section(&read("deny.toml"), "licenses"), "allow = [");
    let refused = refused(&GRAPH.built(), &allowed);
    assert!(refused.is_empty(), "deny.toml does not allow the licences of these:\n{}", refused.join("\n"));
}

#[test]
fn no_licence_is_allowed_without_need() {
    let allowed = strings(&section(&read("deny.toml"), "licenses"), "allow = [");
    let without = |id: &String| allowed.iter().filter(|other| *other != id).cloned().collect::<Vec<_>>();
    let unneeded: Vec<&String> = allowed.iter().filter(|id| refused(&GRAPH.built(), &without(id)).is_empty()).collect();
    assert!(
        unneeded.is_empty(),
        "every crate is allowed without these licences, remove them from deny.toml: {unneeded:?}"
    );
}

#[test]
fn aws_lc_is_the_only_crypto_provider() {
    let banned = strings(&section(&read("deny.toml"), "bans"), "crate = ");
    for name in BANNED {
        assert!(banned.iter().any(|ban| ban == name), "deny.toml no longer bans `{name}`");
    }
    // Those of tests too: where rustls is built with two providers it cannot choose.
    let everything: BTreeSet<&str> = GRAPH.reachable(Edges::All).iter().map(|package| package.name.as_str()).collect();
    let present: Vec<&String> = banned.iter().filter(|name| everything.contains(name.as_str())).collect();
    assert!(present.is_empty(), "banned, yet in the tree (`cargo tree --target all -i NAME`): {present:?}");
    assert!(everything.contains("aws-lc-rs"), "the provider this test is about is not in the tree");
}

#[test]
fn crates_come_from_one_registry() {
    let foreign = |package: &&Package| package.source.as_ref().is_some_and(|source| source != CRATES_IO);
    let foreign: Vec<&Package> = GRAPH.reachable(Edges::All).into_iter().filter(foreign).collect();
    assert!(foreign.is_empty(), "crates come from crates.io alone: {foreign:#?}");
}

#[test]
fn every_dependency_has_its_reason_and_is_used() {
    let declared = declared(&read("Cargo.toml"));
    let reasons = reasons(&read("CONTRIBUTING.md"));
    let used = GRAPH.used_by_us();
    let ours: BTreeSet<String> = GRAPH.ours().map(|package| package.name.clone()).collect();

    let theirs: BTreeSet<String> = declared.difference(&ours).cloned().collect();
    let unused: Vec<&String> = theirs.difference(&used).collect();
    assert!(unused.is_empty(), "no crate uses these, remove them from Cargo.toml and CONTRIBUTING.md: {unused:?}");
    let missing: Vec<&String> = theirs.difference(&reasons).collect();
    assert!(missing.is_empty(), "no line of reason in CONTRIBUTING.md, under Dependencies: {missing:?}");
    let unknown: Vec<&String> = reasons.difference(&theirs).collect();
    assert!(unknown.is_empty(), "CONTRIBUTING.md gives a reason for what Cargo.toml does not have: {unknown:?}");
}

/// Versions, lints and licence are said once, in the root Cargo.toml.
#[test]
fn crates_take_versions_and_lints_from_the_workspace() {
    for package in GRAPH.ours() {
        let manifest = fs::read_to_string(&package.manifest_path).unwrap();
        let own = own_versions(&manifest);
        assert!(own.is_empty(), "{}: write `NAME.workspace = true`: {own:?}", package.name);
        assert!(section(&manifest, "lints").contains("workspace = true"), "{}: takes no lints", package.name);
        assert_eq!(package.licence.as_deref(), Some("MIT OR Apache-2.0"), "{}", package.name);
    }
}

/// The packages whose licence does not follow from the allowed ones.
fn refused(packages: &[&Package], allowed: &[String]) -> Vec<String> {
    let is_allowed = |package: &Package| package.licence.as_ref().is_some_and(|it| licence::is_allowed(it, allowed));
    let refused = packages.iter().filter(|package| !is_allowed(package));
    refused.map(|package| format!("{}: {}", package.name, package.licence.as_deref().unwrap_or("none"))).collect()
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).expect("the file is in the root")
}

/// The lines of a section of a TOML file, without comments.
fn section(toml: &str, name: &str) -> String {
    let header = format!("[{name}]");
    let lines = toml.lines().skip_while(|line| *line != header).skip(1);
    let lines = lines.take_while(|line| !line.starts_with('[')).map(|line| line.split('#').next().unwrap_or_default());
    lines.fold(String::new(), |text, line| text + line + "\n")
}

/// The strings of a list, or the first one after each mark where the mark opens none.
fn strings(section: &str, mark: &str) -> Vec<String> {
    let quoted = |text: &str| text.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    if mark.ends_with('[') {
        let list = section.split(mark).nth(1).and_then(|rest| rest.split(']').next());
        return quoted(list.unwrap_or_default());
    }
    section.split(mark).skip(1).filter_map(|rest| quoted(rest).into_iter().next()).collect()
}

/// What `[workspace.dependencies]` names.
fn declared(manifest: &str) -> BTreeSet<String> {
    let section = section(manifest, "workspace.dependencies");
    section.lines().filter_map(|line| Some(line.split_once('=')?.0.trim().to_owned())).collect()
}

/// The crates in the table under the heading Dependencies; each line has a reason behind the name.
fn reasons(markdown: &str) -> BTreeSet<String> {
    let table = markdown.split("\n## Dependencies").nth(1).and_then(|rest| rest.split("\n## ").next());
    let reason = |line: &str| {
        let (name, reason) = line.strip_prefix("| `")?.split_once("` |")?;
        (reason.trim_matches([' ', '|']).len() > 10).then(|| name.to_owned())
    };
    table.unwrap_or_default().lines().filter_map(reason).collect()
}

/// Dependencies with a version or a path of their own.
fn own_versions(manifest: &str) -> Vec<String> {
    let mut in_dependencies = false;
    let mut own = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            in_dependencies = line.trim_end_matches(']').ends_with("dependencies");
        } else if in_dependencies && line.contains('=') && !line.contains("workspace = true") {
            own.push(line.to_owned());
        }
    }
    own
}

#[test]
fn files_are_read_as_they_are_meant() {
    let toml =
        "[a]\nallow = [\"X\", # \"W\"\n  \"Y\",\n]\nb = \"Z\"\n[b.c]\ndeny = [{ crate = \"d\", reason = \"e\" }]\n";
    assert_eq!(strings(&section(toml, "a"), "allow = ["), ["X", "Y"]);
    assert_eq!(strings(&section(toml, "b.c"), "crate = "), ["d"]);
    assert!(strings(&section(toml, "c"), "allow = [").is_empty());

    let manifest =
        "[package]\nname = \"x\"\n[workspace.dependencies]\n# One.\na = \"1\"\nb-c = { version = \"2\" }\n[x]\nd = 1\n";
    assert_eq!(declared(manifest), BTreeSet::from(["a".to_owned(), "b-c".to_owned()]));

    let markdown = "# X\n| `z` | is not in the table at all |\n## Dependencies\n| crate | why |\n| --- | --- |\n\
                    | `a` | does this and that |\n| `b` | |\n## Next\n| `c` | something else entirely |\n";
    assert_eq!(reasons(markdown), BTreeSet::from(["a".to_owned()]));

    let manifest = "[package]\nversion = \"1\"\n[dependencies]\na.workspace = true\nb = \"1\"\n[dev-dependencies]\n\
                    c = { path = \"c\" }\nd = { workspace = true, features = [\"e\"] }\n[features]\nf = []\n";
    assert_eq!(own_versions(manifest), ["b = \"1\"", "c = { path = \"c\" }"]);
}
