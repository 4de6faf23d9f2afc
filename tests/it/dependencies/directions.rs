//! Which of our crates may need what.
//!
//! `needs` lists all of our crates that a crate may need, `never` what of others must not come in, not even through
//! someone else. A new crate of ours needs its line here. The commands of the repository and these tests may need all.

use std::collections::BTreeSet;

use super::graph::{Edges, GRAPH, Graph, graph_of};

#[derive(Debug)]
struct Direction {
    name: &'static str,
    needs: &'static [&'static str],
    /// Further ones for its tests.
    tests_need: &'static [&'static str],
    never: &'static [&'static str],
    because: &'static str,
}

const DIRECTIONS: [Direction; 8] = [
    Direction {
        name: "connector-api",
        needs: &[],
        tests_need: &[],
        never: &["tokio", "reqwest", "hyper", "axum", "sqlx"],
        because: "it must stay stable and small",
    },
    Direction {
        name: "okta-connector",
        needs: &["connector-api"],
        tests_need: &["okta-sandbox"],
        never: &["sqlx", "axum", "csv"],
        because: "it gets settings and gives records; it has no place to put them",
    },
    Direction {
        name: "okta-sandbox",
        needs: &[],
        tests_need: &[],
        never: &["reqwest", "sqlx"],
        because: "two separate readings of Okta's documentation check each other",
    },
    Direction {
        name: "scim-server",
        needs: &[],
        tests_need: &[],
        never: &["sqlx", "axum", "hyper", "tokio", "reqwest"],
        because: "the protocol knows neither what is behind it nor who serves it",
    },
    Direction {
        name: "agent-host",
        needs: &["connector-api", "okta-connector", "okta-sandbox", "scim-server"],
        tests_need: &["passing-postgres"],
        never: &[],
        because: "it brings the others together",
    },
    Direction {
        name: "passing-postgres",
        needs: &[],
        tests_need: &[],
        never: &["tokio", "sqlx"],
        because: "it starts a server for tests and asks it nothing",
    },
    Direction {
        name: "xtask",
        needs: &[],
        tests_need: &[],
        never: &["tokio", "serde"],
        because: "it is built before everything else",
    },
    Direction {
        name: "acceptance",
        needs: &["agent-host", "connector-api", "okta-connector", "okta-sandbox", "passing-postgres", "scim-server"],
        tests_need: &[],
        never: &[],
        because: "it tests the product as a whole",
    },
];

#[test]
fn crates_need_only_what_they_may() {
    let problems: Vec<String> = DIRECTIONS.iter().flat_map(|direction| direction.broken_in(&GRAPH)).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    let ours: BTreeSet<&str> = GRAPH.ours().map(|package| package.name.as_str()).collect();
    assert_eq!(
        ours,
        DIRECTIONS.iter().map(|direction| direction.name).collect(),
        "each crate of ours has its line here"
    );
}

impl Direction {
    fn broken_in(&self, graph: &Graph) -> Vec<String> {
        let ours: BTreeSet<&str> = graph.ours().map(|package| package.name.as_str()).collect();
        let product = graph.needs(self.name, Edges::Product);
        let tests = graph.needs(self.name, Edges::All);
        let wrong = |need: &&&str| {
            self.never.contains(*need) || ours.contains(*need) && !self.needs.contains(*need) && **need != self.name
        };
        let in_product = product.iter().filter(wrong);
        let in_tests = tests
            .difference(&product)
            .filter(wrong)
            .filter(|need| ours.contains(*need) && !self.tests_need.contains(*need));
        in_product
            .chain(in_tests)
            .map(|need| format!("`{}` must not need `{need}`: {}", self.name, self.because))
            .collect()
    }
}

#[test]
fn a_wrong_direction_is_found() {
    let direction = Direction { name: "a", needs: &["b"], tests_need: &["c"], never: &["d"], because: "so" };
    let cases: [(&[&str], &[&str]); 5] = [
        (&["a -> b c(dev)", "b ->", "c ->", "d ->"], &[]),
        (&["a -> c", "b ->", "c ->", "d ->"], &["`a` must not need `c`: so"]),
        (&["a -> b", "b -> d", "c ->", "d ->"], &["`a` must not need `d`: so"]),
        (&["a -> e(dev)", "b ->", "c ->", "d ->", "e ->"], &["`a` must not need `e`: so"]),
        (&["a -> d?", "b ->", "c ->", "d ->"], &[]),
    ];
    for (lines, expected) in cases {
        assert_eq!(direction.broken_in(&graph_of(lines)), expected, "{lines:?}");
    }
}
