//! Orders: as many at a time as may be, nothing lost to the journal, little memory however many there are.
//!
//! The ideal is that of requests: one an order, twelve at a time, each as long as the sandbox takes to answer.

use std::fmt::Write as _;

use anyhow::{Context, ensure};

use crate::{
    limits::share_used,
    organisation::Organisation,
    report::{Bound, Report},
    rig::Rig,
};

const CASE: &str = "orders";
const ORGANISATION: Organisation = Organisation { users: 10_000, groups: 200, apps: 5, memberships: 0 };
/// Few users, so that the export before leaves the first window to the orders.
const LIMITED_ORGANISATION: Organisation = Organisation { users: 800, ..ORGANISATION };
const ORDERS: usize = 10_000;
const MANY: usize = 100_000;
const LATENCY_S: f64 = 0.030;
const AT_ONCE: f64 = 12.0;
/// What a token with half of a Workforce organisation's limits may use of a bucket in a minute, of which we take 90 %.
const LIMITED: [(&str, u64); 2] = [("/api/v1/users", 600 / 2 * 90 / 100), ("/api/v1/groups", 500 / 2 * 90 / 100)];
/// Accounts with a first password are active with one request.
const PASSWORDS: &str = r#"<ConfigurationFile xmlns="urn:schemas-usercube-com:configuration">
<PasswordResetSettings Identifier="First" Mode="1" DefaultPassword="Correct-horse-7" />
<OktaResourceTypeMapping Identifier="Bench" Connection="OktaExportFulfillment" PasswordResetSetting="First" />
</ConfigurationFile>"#;
/// Fills two windows of each bucket and reaches into a third.
const LIMITED_ORDERS: usize = 700;

pub(crate) fn measure(report: &mut Report) -> anyhow::Result<()> {
    let mut rig = Rig::new(&ORGANISATION, &["--latency-ms=30"])?;
    rig.map(PASSWORDS)?;
    rig.export()?;
    let ideal = ORDERS as f64 * LATENCY_S / AT_ONCE;
    for (program, what, orders) in [
        ("memberships", "memberships: wall time ÷ ideal", list(membership_orders(&rig, ORDERS)?)),
        ("accounts", "accounts: wall time ÷ ideal", list(account_orders("a").take(ORDERS))),
    ] {
        let (run, fulfilled) = rig.fulfill(&orders)?;
        ensure!(fulfilled["executed"] == ORDERS, "not all orders were executed: {fulfilled}");
        report.row(CASE, program, &run, Some(ORDERS as u64));
        report.figure(CASE, what, run.cost.wall.as_secs_f64() / ideal, Bound::AtMost(1.15));
        report.figure(
            CASE,
            format!("{program}: requests in flight"),
            run.journal.in_flight() as f64,
            Bound::AtMost(AT_ONCE),
        );
        let waited = fulfilled["journal_percent"].as_f64().context("the report says what the journal cost")?;
        report.figure(
            CASE,
            format!("{program}: percent of their time orders wait for the journal"),
            waited,
            Bound::Under(10.0),
        );
    }
    let mut rig = Rig::new(&ORGANISATION, &[])?;
    rig.export()?;
    let many = list(membership_orders(&rig, MANY)?);
    let (run, fulfilled) = rig.fulfill(&many)?;
    ensure!(fulfilled["executed"] == MANY, "not all orders were executed: {fulfilled}");
    report.row(CASE, "memberships, no latency", &run, Some(MANY as u64));
    report.memory(CASE, std::iter::once(&run), 64.0);
    Ok(())
}

/// An organisation whose limits bind: no request may be refused, and the share of the limits must be used up.
pub(crate) fn measure_limits(report: &mut Report) -> anyhow::Result<()> {
    let mut rig = Rig::new(&LIMITED_ORGANISATION, &["--limits=workforce", "--share=50", "--latency-ms=30"])?;
    rig.map(PASSWORDS)?;
    rig.export()?;
    // Memberships come second, so that the second window of one bucket opens while the other's is used.
    let both = list(account_orders("b").take(LIMITED_ORDERS).chain(membership_orders(&rig, LIMITED_ORDERS)?));
    let (run, _) = rig.fulfill(&both)?;
    report.row(CASE, "with limits", &run, Some(2 * LIMITED_ORDERS as u64));
    report.figure(CASE, "429s", run.journal.throttled() as f64, Bound::AtMost(0.0));
    let buckets = run.journal.by_bucket();
    for (bucket, allowed) in LIMITED {
        let used = buckets.get(bucket).and_then(|times| share_used(times, allowed)).unwrap_or(0.0);
        report.figure(CASE, format!("percent of the share used, {bucket}"), used * 100.0, Bound::AtLeast(95.0));
    }
    Ok(())
}

/// Users who join groups, each another one.
fn membership_orders(rig: &Rig, count: usize) -> anyhow::Result<impl Iterator<Item = String> + use<>> {
    let (users, groups) = (rig.ids("users", "@")?, rig.ids("groups", "OKTA_GROUP")?);
    ensure!(users.len() * groups.len() >= count, "there are too few users and groups");
    Ok((0..count).map(move |number| {
        let (user, group) = (&users[number % users.len()], &groups[(number + number / users.len()) % groups.len()]);
        format!(
            r#""ChangeType":"Modified","Resource":{{"OktaExportFulfillment_users_id":"{user}"}},"Changes":{{"Groups_add":[{{"OktaExportFulfillment_groups_id":"{group}"}}]}}"#
        )
    }))
}

fn account_orders(prefix: &'static str) -> impl Iterator<Item = String> {
    (0..).map(move |number| {
        let login = format!("{prefix}{number}@example.com");
        format!(
            r#""ChangeType":"Added","Changes":{{"profile_login":"{login}","profile_email":"{login}","profile_firstName":"A","profile_lastName":"B"}}"#
        )
    })
}

fn list(orders: impl Iterator<Item = String>) -> String {
    let mut text = String::from("[");
    for (number, order) in orders.enumerate() {
        let comma = if number > 0 { "," } else { "" };
        let of = r#""ResourceType":{"Identifier":"Bench","TargetEntityType":{"Identifier":"User"}}"#;
        write!(text, r#"{comma}{{"AssignedResourceTypeId":"{number}",{of},{order}}}"#).expect("a text takes all");
    }
    text.push(']');
    text
}
