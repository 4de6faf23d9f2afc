//! The table of all runs, and the figures that are promised.

use std::fmt;

use crate::rig::Run;

const MEGABYTE: f64 = 1e6;

#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<Row>,
    figures: Vec<Figure>,
}

#[derive(Debug)]
struct Row {
    case: &'static str,
    program: &'static str,
    run: Run,
    minimum: Option<u64>,
}

/// What was measured and what is promised.
#[derive(Debug)]
struct Figure {
    case: &'static str,
    what: String,
    measured: f64,
    promised: Bound,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtMost(f64),
    Under(f64),
    AtLeast(f64),
    /// Nothing is promised: it stands beside another figure.
    None,
}

impl Report {
    /// A row of the table; `minimum` is the fewest requests that would do.
    pub(crate) fn row(&mut self, case: &'static str, program: &'static str, run: &Run, minimum: Option<u64>) {
        self.rows.push(Row { case, program, run: run.clone(), minimum });
    }

    pub(crate) fn figure(&mut self, case: &'static str, what: impl Into<String>, measured: f64, promised: Bound) {
        self.figures.push(Figure { case, what: what.into(), measured, promised });
    }

    /// The figures of another report, without what they promise.
    pub(crate) fn beside(&mut self, case: &'static str, other: Self) {
        self.figures.extend(other.figures.into_iter().map(|figure| Figure { case, promised: Bound::None, ..figure }));
    }

    /// The peak memory of all runs must be under so many megabytes.
    pub(crate) fn memory<'a>(&mut self, case: &'static str, runs: impl Iterator<Item = &'a Run>, megabytes: f64) {
        let peak = runs.map(|run| run.cost.peak_bytes).max().unwrap_or(0);
        self.figure(case, "peak memory, MB", peak as f64 / MEGABYTE, Bound::Under(megabytes));
    }

    /// Whether everything promised was reached.
    pub(crate) fn is_good(&self) -> bool {
        self.figures.iter().all(Figure::is_reached)
    }
}

impl Figure {
    fn is_reached(&self) -> bool {
        match self.promised {
            Bound::AtMost(bound) => self.measured <= bound,
            Bound::Under(bound) => self.measured < bound,
            Bound::AtLeast(bound) => self.measured >= bound,
            Bound::None => true,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n{:<8} {:<22} {:>9} {:>11} {:>9} {:>9} {:>10} {:>5} {:>10}",
            "case", "program", "wall", "processor", "peak", "requests", "÷ minimum", "429s", "in flight"
        )?;
        self.rows.iter().try_for_each(|row| row.fmt(f))?;
        writeln!(f)?;
        self.figures.iter().try_for_each(|figure| figure.fmt(f))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Run { cost, journal } = &self.run;
        let requests = journal.requests();
        let of_minimum =
            self.minimum.map_or_else(String::new, |minimum| format!("{:.3}", requests as f64 / minimum as f64));
        writeln!(
            f,
            "{:<8} {:<22} {:>7.2} s {:>9.2} s {:>6.1} MB {requests:>9} {of_minimum:>10} {:>5} {:>10}",
            self.case,
            self.program,
            cost.wall.as_secs_f64(),
            cost.processor.as_secs_f64(),
            cost.peak_bytes as f64 / MEGABYTE,
            journal.throttled(),
            journal.in_flight(),
        )
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (promise, bound) = match self.promised {
            Bound::AtMost(bound) => ("at most", bound),
            Bound::Under(bound) => ("under", bound),
            Bound::AtLeast(bound) => ("at least", bound),
            Bound::None => return writeln!(f, "{:<8} {:<58} {:>9.2}", self.case, self.what, self.measured),
        };
        let verdict = if self.is_reached() { "reached" } else { "MISSED" };
        writeln!(f, "{:<8} {:<58} {:>9.2}  {promise:>8} {bound:<6} {verdict}", self.case, self.what, self.measured)
    }
}
