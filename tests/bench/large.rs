//! Large organisations without latency or limits: what reading a page costs beyond getting it, and whether memory and
//! time stay in proportion.

use crate::{
    organisation::Organisation,
    report::{Bound, Report},
    rig::{Rig, Run},
};

const LARGE: Organisation = Organisation { users: 100_000, groups: 5_000, apps: 500, memberships: 1_000_000 };
const MILLION: Organisation = Organisation { users: 1_000_000, memberships: 10_000_000, ..LARGE };
const PAIRS: usize = 5;
/// How much more a record may cost where there are ten times as many, before growth is no longer in proportion: sorting
/// takes one more pass over each record.
const LINEAR: f64 = 1.25;

/// Compares with curl getting the same pages.
pub(crate) fn measure(report: &mut Report) -> anyhow::Result<()> {
    const CASE: &str = "large";
    let mut rig = Rig::new(&LARGE, &[])?;
    let mut pairs = Vec::new();
    for _ in 0..PAIRS {
        let export = rig.export()?;
        let curl = rig.fetch(&export.journal)?;
        pairs.push((export.cost.processor.as_secs_f64() / curl.cost.processor.as_secs_f64(), export, curl));
    }
    pairs.sort_by(|(one, ..), (other, ..)| one.total_cmp(other));
    let (ratio, export, curl) = &pairs[PAIRS / 2];
    report.row(CASE, "agent-host", export, Some(LARGE.minimum_requests()));
    report.row(CASE, "curl, the same pages", curl, None);
    report.figure(CASE, "processor time ÷ curl's", *ratio, Bound::AtMost(4.0));
    report.memory(CASE, pairs.iter().map(|(_, export, _)| export), 64.0);
    Ok(())
}

/// Compares with a tenth of the records.
pub(crate) fn measure_million(report: &mut Report) -> anyhow::Result<()> {
    const CASE: &str = "million";
    let tenth = Rig::new(&LARGE, &[])?.export()?;
    let whole = Rig::new(&MILLION, &[])?.export()?;
    report.row(CASE, "agent-host, a tenth", &tenth, Some(LARGE.minimum_requests()));
    report.row(CASE, "agent-host", &whole, Some(MILLION.minimum_requests()));
    report.memory(CASE, [&whole].into_iter(), 100.0);
    let of_record = |run: &Run, of: &Organisation| run.cost.processor.as_secs_f64() / of.records() as f64;
    let growth = of_record(&whole, &MILLION) / of_record(&tenth, &LARGE);
    report.figure(CASE, "processor time of a record ÷ that with a tenth of them", growth, Bound::AtMost(LINEAR));
    Ok(())
}
