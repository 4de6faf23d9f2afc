//! The governor against real windows: the share is kept in every one of them, and nothing is ever refused.

use std::{collections::BTreeMap, time::Duration};

use connector_api::Connector;
use okta_sandbox::{Exchange, Limits, SandboxConfig, Seed};

use crate::{TABLES, World, assert_same, export_all, tables};

/// The requests in each window of each bucket; a window is opened by its first request and lasts a minute.
fn windows(journal: &[Exchange]) -> BTreeMap<&'static str, Vec<u32>> {
    let mut windows: BTreeMap<&'static str, (i64, Vec<u32>)> = BTreeMap::new();
    for exchange in journal {
        let (opened, counts) = windows.entry(exchange.bucket).or_insert((i64::MIN / 2, Vec::new()));
        if exchange.at_millis - *opened >= 60_000 {
            *opened = exchange.at_millis;
            counts.push(0);
        }
        *counts.last_mut().expect("a window has been opened") += 1;
    }
    windows.into_iter().map(|(bucket, (_, counts))| (bucket, counts)).collect()
}

#[tokio::test]
async fn each_window_is_used_up_to_the_share_and_nothing_is_refused() {
    for (share, skew_seconds, tick) in [(50, 0, 0), (90, 3_725, 3), (50, -86_400, 7), (100, 1, 5)] {
        let mut world = World::with(SandboxConfig {
            seed: Seed { groups_per_app: 1, ..Seed::exact(1300, 270, 65, 1) },
            limits: Limits::Workforce,
            bucket_limits: BTreeMap::from([("/api/v1/users".to_owned(), 4)]),
            skew_seconds,
            ..Default::default()
        })
        .await;
        world.tick = Duration::from_millis(tick);
        let connector = world.connector(&[("RateLimitShare", &share.to_string())]);
        let found = export_all(&connector, &tables(&TABLES)).await.unwrap();
        assert_eq!(TABLES.map(|table| found[table].len()), [1300, 270, 65, 1300 + 269, 65]);

        let journal = world.sandbox.journal();
        assert!(journal.iter().all(|exchange| exchange.status == 200), "share {share}: nothing is refused");
        assert_eq!(connector.traffic().throttled, 0);
        let windows = windows(&journal);
        for (bucket, limit) in [("/api/v1/users", 4), ("/api/v1/groups", 250), ("/api/v1/apps", 50)] {
            let ours = limit * share / 100;
            let counts = &windows[bucket];
            let (last, full) = counts.split_last().unwrap();
            assert!(counts.len() > 1 && *last <= ours, "share {share} of {bucket}: {counts:?}");
            assert!(full.iter().all(|count| *count == ours), "share {share} of {bucket}: {counts:?}");
            assert!(!connector.traffic().by_bucket[bucket].waited.is_zero(), "the wait is told");
        }
    }
}

#[tokio::test]
async fn what_others_use_of_a_window_is_left_alone() {
    let world = World::with(SandboxConfig {
        seed: Seed::exact(10, 30, 2, 1),
        bucket_limits: BTreeMap::from([("/api/v1/groups".to_owned(), 20)]),
        ..Default::default()
    })
    .await;
    let expected = world.expected(&tables(&["groupsusers"])).await;
    for _ in 0..13 {
        crate::call(&world.sandbox, "GET", "/api/v1/groups?limit=1").await;
    }
    let found = export_all(&world.connector(&[("RateLimitShare", "90")]), &tables(&["groupsusers"])).await.unwrap();
    assert_same(&found, &expected, "beside another caller");
    let counts = &windows(&world.sandbox.journal())["/api/v1/groups"];
    assert_eq!(counts, &[18, 18, 8], "13 of theirs and 31 of ours, at most 18 in a window");
}

#[tokio::test]
async fn parallelism_is_found_where_the_organisation_allows_little() {
    let world = World::with(SandboxConfig {
        seed: Seed::exact(30, 40, 20, 2),
        concurrent: Some(2),
        latency: Duration::from_millis(1),
        ..Default::default()
    })
    .await;
    let connector = world.connector(&[]);
    let found = export_all(&connector, &tables(&TABLES)).await.unwrap();
    assert_eq!(TABLES.map(|table| found[table].len()), [30, 40, 20, 30 + 39 * 2, 40]);
    let (refused, requests) = (connector.traffic().throttled, connector.traffic().total());
    assert!(refused > 0 && refused * 4 < requests, "{refused} of {requests} were refused");
}
