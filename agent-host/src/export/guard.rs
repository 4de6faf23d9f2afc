//! Empty is suspicious: a table that came back empty or much smaller than before is not published.
//!
//! Credentials without the right role get empty answers, not refusals, and an empty file reads as mass deletion. Only
//! tables that this export has read are compared; whoever knows better says `--accept-shrink`.

use std::{error::Error, fmt};

/// A table may always lose this many records …
const SMALL_LOSS: u64 = 100;
/// … and this share of them.
const SMALL_LOSS_PERCENT: u128 = 20;

/// A table's records, before and now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compared<'a> {
    /// Name of the table.
    pub table: &'a str,
    /// Records in the published set; none where no set is known or the table was not in it.
    pub before: Option<u64>,
    /// Records in the set to be published.
    pub now: u64,
    /// Whether a system without any such record cannot be.
    pub never_empty: bool,
}

/// The set must not be published.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    reasons: Vec<String>,
}

/// Refuses a set in which a table is suspiciously small, naming every such table.
pub(super) fn check<'a>(tables: impl IntoIterator<Item = Compared<'a>>, accept_shrink: bool) -> Result<(), Refused> {
    let reasons: Vec<_> = if accept_shrink { Vec::new() } else { tables.into_iter().filter_map(suspicion).collect() };
    if reasons.is_empty() { Ok(()) } else { Err(Refused { reasons }) }
}

impl Refused {
    /// What to do about it, as a sentence without its full stop.
    pub fn hint(&self) -> &'static str {
        "see that the credentials still have their admin role and the filters are right; if the records are truly gone, \
         export once with `--accept-shrink`"
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nothing was published: {}", self.reasons.join("; "))
    }
}

impl Error for Refused {}

fn suspicion(Compared { table, before, now, never_empty }: Compared<'_>) -> Option<String> {
    let before = before.unwrap_or(0);
    let lost = before.saturating_sub(now);
    if now == 0 && before > 0 {
        Some(format!("table `{table}` is empty and had {before} records"))
    } else if now == 0 && never_empty {
        Some(format!("table `{table}` is empty"))
    } else if lost > SMALL_LOSS && u128::from(lost) * 100 > u128::from(before) * SMALL_LOSS_PERCENT {
        Some(format!("table `{table}` fell from {before} to {now} records"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_may_not_vanish_or_shrink_much() {
        let cases = [
            // before, now, never_empty, refused
            (None, 0, false, false),
            (None, 0, true, true),
            (Some(0), 0, false, false),
            (Some(0), 0, true, true),
            (Some(1), 0, false, true),
            (Some(50), 1, true, false),
            (Some(100), 1, false, false),
            (Some(101), 1, false, false),
            (Some(102), 1, false, true),
            (Some(505), 404, false, false),
            (Some(504), 403, false, true),
            (Some(1000), 800, false, false),
            (Some(1000), 799, false, true),
            (Some(1000), 5000, true, false),
            (Some(u64::MAX), 1, false, true),
            (None, 5, true, false),
        ];
        for (before, now, never_empty, refused) in cases {
            let compared = Compared { table: "users", before, now, never_empty };
            assert_eq!(check([compared], false).is_err(), refused, "{compared:?}");
            assert_eq!(check([compared], true), Ok(()), "{compared:?}");
        }
    }

    #[test]
    fn every_suspicious_table_is_named_in_one_line() {
        let compared = |table, before, now| Compared { table, before: Some(before), now, never_empty: false };
        let refused = check([compared("users", 1000, 10), compared("apps", 5, 5), compared("groups", 7, 0)], false);
        assert_eq!(
            refused.unwrap_err().to_string(),
            "nothing was published: table `users` fell from 1000 to 10 records; \
             table `groups` is empty and had 7 records"
        );
    }
}
