//! The bench: what exports, orders and SCIM requests cost, measured on release programs against a sandbox in a process of its own.
//!
//! Each case compares within one run: with curl on the same pages, with the time a chain of cursors cannot be faster
//! than, with what the rate limits allow. It prints one table and the figures that are promised, and fails when one is
//! missed. Processor time is steadier than wall time on a machine that does other things too.

mod organisation;
mod agents;
mod cost;
mod daemon;
mod journal;
mod sandbox;
mod rig;
mod report;
mod small;
mod large;
mod limits;
mod orders;
mod protected;
mod runs;
mod api;
mod load;
mod scim;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, ValueEnum};

use report::Report;

/// Measures what exports and orders cost
///
/// Example: cargo xtask bench small large
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    /// What to measure
    #[arg(value_enum, default_values_t = [Case::Small, Case::Large, Case::Limits, Case::Orders, Case::OrdersLimits, Case::Protected, Case::Runs, Case::Daemon, Case::Api, Case::Scim])]
    cases: Vec<Case>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Case {
    /// 10,000 users at 30 ms a response: requests, memory, and how near to the longest chain of cursors
    Small,
    /// 100,000 users and a million memberships without latency: processor time against curl's
    Large,
    /// The same with ten times as many users and memberships: memory, and whether time grows with it
    Million,
    /// An organisation that fills the windows of three buckets; takes some minutes
    Limits,
    /// 10,000 memberships and 10,000 accounts at 30 ms a response: how near to 12 at a time; memory for 100,000 orders
    Orders,
    /// Memberships and accounts enough to fill the windows of two buckets; takes some minutes
    OrdersLimits,
    /// Opening a thousand protected settings
    Protected,
    /// Empty runs of jobs, queued and ended
    Runs,
    /// A minute of a daemon that has nothing to do
    Daemon,
    /// Reads of the API while an export is at work
    Api,
    /// Three agents on one PostgreSQL, killed and stopped at random for two minutes
    Agents,
    /// A SCIM directory asked by 16 connections: 10,000 users, then 100,000
    Scim,
    /// All of them
    All,
}

fn main() -> ExitCode {
    let cases = Arguments::parse().cases;
    match measure(&cases) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Nothing is left to do when even the error cannot be printed.
            let _ = writeln!(io::stderr(), "bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the cases and prints the report; whether all figures were reached.
fn measure(cases: &[Case]) -> anyhow::Result<bool> {
    let mut report = Report::default();
    for case in cases {
        case.measure(&mut report)?;
    }
    write!(io::stdout(), "{report}")?;
    Ok(report.is_good())
}

impl Case {
    fn measure(self, report: &mut Report) -> anyhow::Result<()> {
        writeln!(io::stderr(), "Measuring: {self:?} …")?;
        match self {
            Self::Small => small::measure(report),
            Self::Large => large::measure(report),
            Self::Million => large::measure_million(report),
            Self::Limits => limits::measure(report),
            Self::Orders => orders::measure(report),
            Self::OrdersLimits => orders::measure_limits(report),
            Self::Protected => protected::measure(report),
            Self::Runs => runs::measure(report),
            Self::Daemon => daemon::measure(report),
            Self::Api => api::measure(report),
            Self::Agents => agents::measure(report),
            Self::Scim => scim::measure(report),
            Self::All => {
                let cases = [
                    Self::Small,
                    Self::Large,
                    Self::Million,
                    Self::Limits,
                    Self::Orders,
                    Self::OrdersLimits,
                    Self::Protected,
                    Self::Runs,
                    Self::Daemon,
                    Self::Api,
                    Self::Agents,
                    Self::Scim,
                ];
                let mut cases = cases.into_iter();
                cases.try_for_each(|case| case.measure(report))
            }
        }
    }
}
