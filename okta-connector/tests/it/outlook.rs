//! What a test of a connection tells of the near future: tokens that end, small shares of the limits.

use connector_api::{Connector, Problem};
use okta_sandbox::{SandboxConfig, Seed};

use crate::{World, tables};

const DAY: i64 = 86_400_000;

async fn warnings(world: &World) -> Vec<Problem> {
    world.connector(&[]).test_connection(&tables(&["apps"])).await.expect("the connection works").warnings
}

#[tokio::test]
async fn a_sound_token_is_worth_no_word() {
    let world = World::new(Seed::default()).await;
    assert!(warnings(&world).await.is_empty(), "{:?}", warnings(&world).await);
}

#[tokio::test]
async fn a_small_share_of_the_limits_is_told_with_where_to_raise_it() {
    let world = World::with(SandboxConfig { share_percent: 20, ..Default::default() }).await;
    let [warning] = &warnings(&world).await[..] else { panic!("one warning") };
    assert!(warning.message.contains("20 %") && warning.hint.contains("raise"), "{warning:?}");
}

#[tokio::test]
async fn a_token_of_ours_that_nobody_uses_is_told_before_it_ends() {
    let world = World::new(Seed::default()).await;
    let now = world.clock.now_millis();
    world.sandbox.with_org(|org| {
        let me = org.user_ids()[0].clone();
        let other = org.user_ids()[1].clone();
        for (secret, user, days) in [("spare", &me, 3), ("fresh", &me, 20), ("foreign", &other, 3)] {
            org.add_token(secret, &format!("{secret} token"), user);
            org.set_token_expires(secret, now + days * DAY);
        }
    });
    let warnings = warnings(&world).await;
    let [warning] = &warnings[..] else { panic!("one warning: {warnings:?}") };
    assert!(warning.message.contains("`spare token`") && warning.message.contains("2025-06-18"), "{warning:?}");
}

#[tokio::test]
async fn who_may_not_know_is_told_nothing() {
    let world = World::with(SandboxConfig { share_percent: 20, ..Default::default() }).await;
    for denied in ["/api/v1/api-tokens", "/api/v1/principal-rate-limits"] {
        world.sandbox.with_org(|org| {
            org.allow_all();
            org.deny(denied);
        });
        let report = world.connector(&[]).test_connection(&tables(&["apps"])).await.unwrap();
        assert!(report.warnings.is_empty() && report.problems.is_empty(), "{denied}: {report:?}");
    }
}
