//! What an import did or would do, as JSON for machines and as text for people; and why it may refuse to.

use std::{error::Error as StdError, fmt};

use serde::Serialize;

use crate::{
    export::grouped,
    fulfill::{FulfillReport, PlanReport},
};

/// What an import did, or would do.
#[derive(Debug, Serialize)]
pub struct ImportReport {
    /// Its name.
    pub import: String,
    /// The connection that is exported from.
    pub source: String,
    /// The connection whose accounts follow.
    pub target: String,
    /// How records and accounts compare.
    #[serde(flatten)]
    pub tally: Tally,
    /// What came of the orders; none where there was none, or of a plan.
    pub fulfilled: Option<FulfillReport>,
    /// What the orders would do, for a plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanReport>,
}

/// How records and accounts compare.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Tally {
    /// Records of the source that count.
    pub records: u64,
    /// Accounts of the target.
    pub accounts: u64,
    /// Records without an account.
    pub joiners: u64,
    /// Accounts that differ from their record.
    pub movers: u64,
    /// Accounts that are used again.
    pub returners: u64,
    /// Accounts whose record is gone.
    pub leavers: u64,
    /// Leavers that are left alone, because the import never went through before.
    pub leavers_kept: u64,
    /// Accounts that are as they should be.
    pub unchanged: u64,
    /// Accounts that are out of use and stay so.
    pub inactive: u64,
    /// Records with several accounts, of which none is touched: how many there are, and the first of their keys.
    pub ambiguous: u64,
    /// The first of their keys.
    pub ambiguous_keys: Vec<String>,
}

impl Tally {
    /// Accounts that follow the source.
    pub(super) fn followed(&self) -> u64 {
        self.movers + self.returners + self.unchanged + self.leavers
    }
}

impl ImportReport {
    /// Whether all there was to do is done.
    pub fn is_clean(&self) -> bool {
        self.tally.ambiguous == 0 && self.fulfilled.as_ref().is_none_or(FulfillReport::is_clean)
    }
}

/// The report as people read it.
impl fmt::Display for ImportReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        let [records, accounts, joiners, movers, returners, leavers, unchanged] = [
            tally.records,
            tally.accounts,
            tally.joiners,
            tally.movers,
            tally.returners,
            tally.leavers,
            tally.unchanged,
        ]
        .map(grouped);
        writeln!(f, "{records} records of `{}`, {accounts} accounts of `{}`:", self.source, self.target)?;
        writeln!(
            f,
            "{joiners} join, {movers} change, {returners} come back, {leavers} leave, {unchanged} are unchanged."
        )?;
        if tally.inactive > 0 {
            writeln!(f, "{} are out of use and stay so.", grouped(tally.inactive))?;
        }
        if tally.leavers_kept > 0 {
            let kept = grouped(tally.leavers_kept);
            writeln!(f, "{kept} more would leave: the first run takes nobody away (`--force` does).")?;
        }
        if tally.ambiguous > 0 {
            let keys = tally.ambiguous_keys.join(", ");
            writeln!(f, "{} have several accounts, none of which is touched: {keys}", grouped(tally.ambiguous))?;
        }
        if let Some(plan) = &self.plan {
            write!(f, "{plan}")?;
        }
        match &self.fulfilled {
            Some(fulfilled) => write!(f, "{fulfilled}"),
            None => Ok(()),
        }
    }
}

/// The import would do too much.
#[derive(Debug)]
pub struct ImportRefused(pub(super) String);

impl ImportRefused {
    /// What to do about it, as a sentence without its full stop.
    pub fn hint(&self) -> &'static str {
        "see whether the source is whole and look with `--plan`; if it is right, run once with `--force`"
    }
}

impl fmt::Display for ImportRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing was sent: {}", self.0)
    }
}

impl StdError for ImportRefused {}
