//! A small organisation at a distance: few requests, little memory, and hardly longer than the longest list alone.

use crate::{
    journal::Journal,
    organisation::Organisation,
    report::{Bound, Report},
    rig::Rig,
};

const CASE: &str = "small";
const ORGANISATION: Organisation = Organisation { users: 10_000, groups: 200, apps: 20, memberships: 199 * 200 };
const PAIRS: usize = 5;

pub(crate) fn measure(report: &mut Report) -> anyhow::Result<()> {
    let mut rig = Rig::new(&ORGANISATION, &["--latency-ms=30"])?;
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let export = rig.export()?;
        let chain = rig.fetch(&export.journal.longest_chain())?;
        pairs.push((export.cost.wall.as_secs_f64() / chain.cost.wall.as_secs_f64(), export, chain));
    }
    pairs.sort_by(|(one, ..), (other, ..)| one.total_cmp(other));
    let (ratio, export, chain) = &pairs[PAIRS / 2];
    report.row(CASE, "agent-host", export, Some(ORGANISATION.minimum_requests()));
    report.row(CASE, "curl, the longest list", chain, None);
    let most = |count: fn(&Journal) -> u64| {
        pairs.iter().map(|(_, export, _)| count(&export.journal)).max().unwrap_or(0) as f64
    };
    report.figure(CASE, "requests", most(Journal::requests), Bound::AtMost(301.0));
    report.figure(CASE, "requests in flight", most(Journal::in_flight), Bound::AtMost(15.0));
    report.memory(CASE, pairs.iter().map(|(_, export, _)| export), 40.0);
    report.figure(CASE, "wall time ÷ that of the longest chain of cursors", *ratio, Bound::AtMost(1.5));
    Ok(())
}
