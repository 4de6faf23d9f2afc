//! What was seen once and may not come again (`jti`), and the nonces the server gave out.
//! Okta: a nonce rotates every 24 hours and is good for three days. Both are bounded in number, and forget with time.

use std::collections::{HashSet, VecDeque};

use crate::ids::Dice;

/// How many `jti` are remembered; a clock that stands still would keep them for ever.
const MOST_SEEN: usize = 200_000;
const DAY: i64 = 86_400_000;

/// One-time values, as hashes, until the token that carried them would be too old anyway.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    order: VecDeque<(i64, u64)>,
    known: HashSet<u64>,
}

#[derive(Debug)]
pub(crate) struct Nonces {
    /// Each with the time it was made, the newest last.
    made: VecDeque<(i64, String)>,
    dice: Dice,
}

impl Seen {
    /// True the first time.
    pub(crate) fn first(&mut self, value: u64, until: i64, now: i64) -> bool {
        while self.order.len() >= MOST_SEEN || self.order.front().is_some_and(|(until, _)| *until < now) {
            let Some((_, old)) = self.order.pop_front() else { break };
            self.known.remove(&old);
        }
        let first = self.known.insert(value);
        if first {
            self.order.push_back((until, value));
        }
        first
    }
}

impl Nonces {
    pub(crate) fn new(random: u64) -> Self {
        Self { made: VecDeque::new(), dice: Dice::new(random ^ 0xd909) }
    }

    /// The nonce to give out now.
    pub(crate) fn current(&mut self, now: i64) -> String {
        if self.made.back().is_none_or(|(at, _)| now - at >= DAY) {
            self.rotate(now);
        }
        self.made.back().map(|(_, nonce)| nonce.clone()).unwrap_or_default()
    }

    pub(crate) fn rotate(&mut self, now: i64) {
        self.made.push_back((now, self.dice.word(32)));
        while self.made.len() > 8 || self.made.front().is_some_and(|(at, _)| now - at >= 3 * DAY) {
            self.made.pop_front();
        }
    }

    /// Forgets all: whatever a client holds is refused from now on.
    pub(crate) fn forget(&mut self) {
        self.made.clear();
    }

    pub(crate) fn is_good(&self, nonce: &str, now: i64) -> bool {
        self.made.iter().any(|(at, known)| known == nonce && now - at < 3 * DAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_first_once_and_again_when_forgotten() {
        let mut seen = Seen::default();
        assert!(seen.first(1, 100, 0) && !seen.first(1, 100, 100));
        assert!(seen.first(1, 300, 101), "too old to matter");
        assert!((0..MOST_SEEN as u64 + 10).all(|n| seen.first(n + 2, i64::MAX, 0)));
        assert!(seen.known.len() <= MOST_SEEN && seen.known.len() == seen.order.len());
    }

    #[test]
    fn nonces_rotate_daily_and_live_three_days() {
        let mut nonces = Nonces::new(1);
        let first = nonces.current(0);
        assert_eq!(nonces.current(DAY - 1), first);
        let second = nonces.current(DAY);
        assert_ne!(second, first);
        assert!(nonces.is_good(&first, 3 * DAY - 1) && !nonces.is_good(&first, 3 * DAY));
        nonces.rotate(DAY + 1);
        assert!(nonces.is_good(&second, DAY + 1));
        nonces.forget();
        assert!(!nonces.is_good(&second, DAY + 1));
    }
}
