//! Three agents on one PostgreSQL, killed and stopped for two minutes: what must hold is judged by the trial itself.

use std::time::Duration;

use acceptance::agents::{Trial, disturb};
use anyhow::Context;

use crate::report::{Bound, Report};

const CASE: &str = "agents";
const LENGTH: Duration = Duration::from_secs(120);
const AGENTS: usize = 3;
const SEED: u64 = 20_260_701;

pub(crate) fn measure(report: &mut Report) -> anyhow::Result<()> {
    let verdict =
        disturb(Trial { seed: SEED, length: LENGTH, agents: AGENTS }).context("PostgreSQL is not installed")?;
    let mut figure = |what: &str, count: f64, bound| report.figure(CASE, what, count, bound);
    figure("agents killed", f64::from(verdict.kills), Bound::AtLeast(10.0));
    figure("agents stopped for a while", f64::from(verdict.stops), Bound::AtLeast(10.0));
    figure("due times, each run once", verdict.due_times as f64, Bound::AtLeast(40.0));
    figure("runs taken over", verdict.taken_over as f64, Bound::AtLeast(1.0));
    figure("orders, each with its effect once", verdict.orders as f64, Bound::AtLeast(400.0));
    figure("sets seen by readers, each whole", verdict.sets as f64, Bound::AtLeast(20.0));
    Ok(())
}
