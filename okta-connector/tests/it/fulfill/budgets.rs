//! Many orders at once: each budget for itself, none refused for its frequency, no password in a log.

use std::{collections::BTreeMap, time::Duration};

use connector_api::{Connector, LinkAction, NewPassword};
use futures::{StreamExt, stream::FuturesUnordered};
use okta_connector::OktaConnector;
use okta_sandbox::{SandboxConfig, Seed};
use serde_json::json;

use super::*;

/// Carries out the orders of one lane, as many at once as the host would; returns how many.
async fn pool(connector: &OktaConnector, orders: &[ProvisioningOrder], lane: &str) -> usize {
    let of_lane: Vec<&ProvisioningOrder> =
        orders.iter().filter(|order| connector.outlook(order).lane == lane).collect();
    let (mut waiting, mut running, mut done) = (of_lane.iter(), FuturesUnordered::new(), 0);
    loop {
        while running.len() < 12
            && let Some(order) = waiting.next()
        {
            running.push(async move { connector.fulfill(order, &Memory::default()).await.expect("carried out") });
        }
        match running.next().await {
            Some(_) => done += 1,
            None => return done,
        }
    }
}

#[tokio::test]
async fn a_used_up_budget_holds_up_no_other() {
    let bucket_limits = BTreeMap::from([("/api/v1/apps".to_owned(), 10)]);
    let seed = Seed::exact(30, 1, 1, 0);
    let world = World::with(SandboxConfig { seed, bucket_limits, ..Default::default() }).await;
    let (app, group) = (world.nth("apps", 0), world.group("All"));
    let own = world.own_account().await;
    let users = world.sandbox.with_org(|org| org.user_ids());
    let users: Vec<String> = users.into_iter().filter(|user| *user != own).collect();
    let orders: Vec<ProvisioningOrder> = users
        .iter()
        .flat_map(|user| {
            [("appsusers", &app), ("groupsusers", &group)].map(|(table, other)| {
                let mut order = modified("users", user, json!({}));
                order.links = vec![link(table, 1, other, LinkAction::Add)];
                order
            })
        })
        .collect();
    let connector = world.connector(&[("RateLimitShare", "100")]);
    let (connector, orders) = (&connector, &orders);
    let (assigned, joined) =
        futures::join!(pool(connector, orders, "/api/v1/apps"), pool(connector, orders, "/api/v1/groups"));
    assert_eq!((assigned, joined), (users.len(), users.len()));
    let sent = world.sandbox.journal();
    assert!(sent.iter().all(|exchange| exchange.status != 429), "no budget is overdrawn");
    let last = |bucket: &str| sent.iter().filter(|e| e.bucket == bucket).map(|e| e.at_millis).max().expect("some");
    let minutes = Duration::from_millis((last("/api/v1/apps") - last("/api/v1/groups")).unsigned_abs()).as_secs() / 60;
    assert!(minutes >= 2, "memberships did not wait for the windows of the apps: {minutes} min apart");
}

#[tokio::test]
async fn a_password_is_in_no_error_and_no_log() {
    let world = world().await;
    const PASSWORD: &str = "Corr3ct-Horse-Battery";
    for fault in [
        FaultAction::Status {
            status: 400,
            body: format!(
                r#"{{"errorCode":"E0000001","errorSummary":"{PASSWORD}","errorCauses":[{{"errorSummary":"password: {PASSWORD} is weak"}}]}}"#
            ),
            headers: Vec::new(),
        },
        FaultAction::NotJson(PASSWORD.to_owned()),
        FaultAction::ResetConnection,
    ] {
        world.sandbox.clear_faults();
        world.strike_writes("POST", "/api/v1/users", fault, u32::MAX);
        let mut created = added("users", person("ada@example.com"));
        created.password = Some(NewPassword { value: PASSWORD.into(), must_change: false });
        let mut changed = modified("users", &world.nth("users", 1), json!({}));
        changed.password.clone_from(&created.password);
        for order in [created, changed] {
            let error = world.fulfill(&order, &[]).await.expect_err("it is refused");
            assert!(!format!("{error} {error:?} {order:?}").contains(PASSWORD), "{error:?}");
        }
    }
}
