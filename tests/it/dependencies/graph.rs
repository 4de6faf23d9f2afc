//! Who depends on whom, on every platform, as `cargo metadata` tells it.
//!
//! Cargo's own graph holds optional dependencies that no enabled feature asks for (`ring?/alloc` counts there as if it
//! asked for `ring`). Those are never built, so they are left out here, as `cargo deny` does.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Command,
    sync::LazyLock,
};

use serde::Deserialize;

use crate::tidy::root;

/// The graph of this workspace.
pub(super) static GRAPH: LazyLock<Graph> = LazyLock::new(|| {
    let mut cargo = Command::new(env!("CARGO"));
    let metadata = cargo.args(["metadata", "--format-version", "1", "--all-features", "--locked"]);
    let output = metadata.current_dir(root()).output().expect("cargo starts");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    Graph::new(serde_json::from_slice(&output.stdout).expect("cargo writes its documented format"))
});

/// Which dependencies to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edges {
    /// Those of the product and of its build, not those of tests.
    Product,
    All,
}

#[derive(Debug)]
pub(super) struct Graph {
    packages: BTreeMap<String, Package>,
    /// Per package, what it depends on and whether that is for its tests alone.
    edges: BTreeMap<String, Vec<(String, bool)>>,
    members: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Package {
    id: String,
    pub(super) name: String,
    #[serde(rename = "license")]
    pub(super) licence: Option<String>,
    /// None for our own.
    pub(super) source: Option<String>,
    pub(super) manifest_path: PathBuf,
    dependencies: Vec<Dependency>,
    features: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Dependency {
    name: String,
    rename: Option<String>,
    optional: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
    workspace_members: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
    features: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<EdgeKind>,
}

#[derive(Debug, Deserialize)]
struct EdgeKind {
    kind: Option<String>,
}

impl Graph {
    pub(super) fn new(metadata: Metadata) -> Self {
        let packages: BTreeMap<String, Package> =
            metadata.packages.into_iter().map(|package| (package.id.clone(), package)).collect();
        let mut edges = BTreeMap::new();
        for node in metadata.resolve.nodes {
            let from = &packages[&node.id];
            let built = node.deps.into_iter().filter(|edge| from.asks_for(&packages[&edge.pkg].name, &node.features));
            let to = built.map(|edge| {
                let for_tests = edge.dep_kinds.iter().all(|kind| kind.kind.as_deref() == Some("dev"));
                (edge.pkg, for_tests)
            });
            edges.insert(node.id, to.collect());
        }
        Self { packages, edges, members: metadata.workspace_members }
    }

    /// Our own packages.
    pub(super) fn ours(&self) -> impl Iterator<Item = &Package> {
        self.members.iter().map(|id| &self.packages[id])
    }

    /// Everything that goes into the product, its build and our commands, ours included.
    pub(super) fn built(&self) -> Vec<&Package> {
        self.reachable(Edges::Product)
    }

    /// Everything that our packages need, themselves included.
    pub(super) fn reachable(&self, edges: Edges) -> Vec<&Package> {
        self.reachable_from(self.members.clone(), edges)
    }

    /// What the package called `name` needs, not itself; only direct dependencies may be for tests.
    pub(super) fn needs(&self, name: &str, edges: Edges) -> BTreeSet<&str> {
        let start = self.ours().find(|package| package.name == name).unwrap_or_else(|| panic!("no package `{name}`"));
        let direct = self.direct(&start.id, edges).cloned().collect();
        self.reachable_from(direct, Edges::Product).into_iter().map(|package| package.name.as_str()).collect()
    }

    /// What our packages name in their manifests.
    pub(super) fn used_by_us(&self) -> BTreeSet<String> {
        self.ours().flat_map(|package| &package.dependencies).map(|dependency| dependency.name.clone()).collect()
    }

    fn reachable_from(&self, mut open: Vec<String>, edges: Edges) -> Vec<&Package> {
        let mut seen = BTreeSet::new();
        while let Some(id) = open.pop() {
            if !seen.contains(&id) {
                open.extend(self.direct(&id, edges).cloned());
                seen.insert(id);
            }
        }
        seen.iter().map(|id| &self.packages[id]).collect()
    }

    fn direct(&self, id: &str, edges: Edges) -> impl Iterator<Item = &String> {
        let wanted = move |(_, for_tests): &&(String, bool)| edges == Edges::All || !for_tests;
        self.edges[id].iter().filter(wanted).map(|(id, _)| id)
    }
}

impl Package {
    /// Whether it needs the dependency with these features: always, or because one of them asks for it.
    fn asks_for(&self, name: &str, enabled: &[String]) -> bool {
        let mut declared = self.dependencies.iter().filter(|dependency| dependency.name == name);
        declared.any(|dependency| {
            let known_as = dependency.rename.as_deref().unwrap_or(name);
            let asks = |entry: &String| {
                entry.strip_prefix("dep:") == Some(known_as)
                    || entry.split_once('/').is_some_and(|(dependency, _)| dependency == known_as)
            };
            !dependency.optional || enabled.iter().any(|feature| self.features[feature].iter().any(asks))
        })
    }
}

/// The graph of a made-up workspace, for tests: `a -> b c(dev) d?` per line, where `d?` is optional and asked for by nobody.
pub(super) fn graph_of(lines: &[&str]) -> Graph {
    let mut packages = Vec::new();
    let mut nodes = Vec::new();
    for line in lines {
        let (name, needs) = line.split_once(" ->").expect("a line is `name -> needs`");
        let needs = needs.split_whitespace().map(|need| {
            let name = need.trim_end_matches("(dev)").trim_end_matches('?');
            (name, need.ends_with("(dev)"), need.ends_with('?'))
        });
        let (dependencies, deps): (Vec<_>, Vec<_>) = needs
            .map(|(name, dev, optional)| {
                let kind = dev.then_some("dev");
                (
                    serde_json::json!({ "name": name, "optional": optional }),
                    serde_json::json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] }),
                )
            })
            .unzip();
        let features = serde_json::json!({ "default": ["weak?/default"] });
        packages.push(serde_json::json!({
            "id": name, "name": name, "manifest_path": "", "dependencies": dependencies, "features": features,
        }));
        nodes.push(serde_json::json!({ "id": name, "deps": deps, "features": ["default"] }));
    }
    let members: Vec<_> = lines.iter().filter_map(|line| line.split(" ->").next()).collect();
    let metadata =
        serde_json::json!({ "packages": packages, "resolve": { "nodes": nodes }, "workspace_members": members });
    Graph::new(serde_json::from_value(metadata).expect("it is as cargo writes it"))
}

#[test]
fn what_is_built_is_followed() {
    let graph = graph_of(&["a -> b c(dev) weak?", "b -> d", "c -> e", "d -> f(dev)", "e ->", "f ->", "weak ->"]);
    assert_eq!(graph.needs("a", Edges::Product), BTreeSet::from(["b", "d"]));
    assert_eq!(graph.needs("a", Edges::All), BTreeSet::from(["b", "c", "d", "e"]));
    assert!(graph.needs("e", Edges::All).is_empty());
}

#[test]
fn an_optional_dependency_is_built_where_a_feature_asks_for_it() {
    let package = |features: &[(&str, &[&str])]| Package {
        id: "a".to_owned(),
        name: "a".to_owned(),
        licence: None,
        source: None,
        manifest_path: PathBuf::new(),
        dependencies: vec![Dependency { name: "ring".to_owned(), rename: None, optional: true }],
        features: features
            .iter()
            .map(|(name, asks)| ((*name).to_owned(), asks.iter().map(ToString::to_string).collect()))
            .collect(),
    };
    let cases: [(&[&str], bool); 5] =
        [(&["dep:ring"], true), (&["ring/std"], true), (&["ring?/std"], false), (&["ringer/std"], false), (&[], false)];
    for (asks, expected) in cases {
        assert_eq!(package(&[("std", asks)]).asks_for("ring", &["std".to_owned()]), expected, "{asks:?}");
    }
    assert!(!package(&[("std", &["dep:ring"])]).asks_for("ring", &[]));
}
