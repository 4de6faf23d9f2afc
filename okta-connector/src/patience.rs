//! How long one request is tried again. Pure: the caller waits.
//!
//! Waiting for a rate limit's window is not counted the first time; being refused again and again is.

use std::{fmt, time::Duration};

/// Tries for one request while nothing has succeeded yet: something is probably wrong for good.
const MAX_TRIES_AT_FIRST: u32 = 5;
/// Tries for one request once the organisation has answered: an outage should not end a long export.
const MAX_TRIES: u32 = 8;
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
const MAX_BACKOFF: Duration = Duration::from_secs(30);

/// What is left of the patience with one request.
#[derive(Debug)]
pub(crate) struct Patience {
    budget: Duration,
    spent: Duration,
    faults: u32,
    throttled: u32,
}

impl Patience {
    pub(crate) fn new(budget: Duration) -> Self {
        Self { budget, spent: Duration::ZERO, faults: 0, throttled: 0 }
    }

    /// How long to wait after a try that took so long and failed; none when patience is over. It lasts longer once
    /// the organisation has answered anything.
    pub(crate) fn after_fault(&mut self, took: Duration, has_answered: bool) -> Option<Duration> {
        let max_tries = if has_answered { MAX_TRIES } else { MAX_TRIES_AT_FIRST };
        let doubled = FIRST_BACKOFF.saturating_mul(1 << self.faults.min(16)).min(MAX_BACKOFF);
        self.faults += 1;
        // Spread, so that requests which failed together do not come back together.
        let spread = f64::from(self.faults.wrapping_mul(31).wrapping_add(took.subsec_nanos()) % 97) / 97.0;
        let wait = doubled.mul_f64(0.75 + spread / 4.0);
        self.spent += took;
        let goes_on = self.faults < max_tries && self.spent + wait <= self.budget;
        goes_on.then(|| self.spend(wait))
    }

    /// How long to wait after a try that took so long and was refused for its frequency, which asks for `wait`; none
    /// when patience is over.
    pub(crate) fn after_throttling(&mut self, took: Duration, wait: Duration) -> Option<Duration> {
        self.throttled += 1;
        if self.throttled == 1 {
            return Some(wait);
        }
        self.spent += took;
        (self.spent + wait <= self.budget).then(|| self.spend(wait))
    }

    fn spend(&mut self, wait: Duration) -> Duration {
        self.spent += wait;
        wait
    }
}

impl fmt::Display for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tries in {} s", self.faults + self.throttled, self.spent.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The waits until patience is over, with tries that take no time.
    fn waits(budget: u64, has_answered: bool) -> Vec<f64> {
        let mut patience = Patience::new(Duration::from_secs(budget));
        std::iter::from_fn(|| patience.after_fault(Duration::ZERO, has_answered))
            .map(|wait| wait.as_secs_f64())
            .collect()
    }

    #[test]
    fn waits_double_up_to_a_bound_and_end() {
        let waits_of_seven = waits(900, true);
        assert_eq!((waits(900, false).len(), waits_of_seven.len()), (4, 7));
        for (wait, doubled) in waits_of_seven.iter().zip([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0]) {
            assert!((doubled * 0.75..=doubled).contains(wait), "{wait} for {doubled}");
        }
        assert_eq!(waits(2, true).len(), 2, "the budget ends it sooner");
    }

    #[test]
    fn the_first_wait_for_a_window_is_free() {
        let (mut patience, minute) = (Patience::new(Duration::from_secs(90)), Duration::from_secs(60));
        let waits: Vec<_> = std::iter::from_fn(|| patience.after_throttling(Duration::ZERO, minute)).collect();
        assert_eq!(waits, [minute, minute]);
        assert_eq!(patience.to_string(), "3 tries in 60 s");
    }
}
