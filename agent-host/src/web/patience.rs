//! How many wrong links or tokens one address may try: twenty a minute, then it is slowed down. Directories count for
//! themselves.
//!
//! Neither can be guessed; this keeps whoever tries from costing us anything. Right ones are never slowed down, so that
//! nobody behind the same proxy can keep others out. Of an IPv6 address the network counts. Of each minute the first wrong
//! one goes to the audit, and the one from which the address is slowed down.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use super::Web;
use crate::{access::network_of, password_reset::random_text, store::AuditRecord};

/// Wrong links that one address may try in a window.
const MAX_WRONG: u32 = 20;
/// The window.
const WINDOW_MS: i64 = 60_000;
/// Addresses that are remembered.
const MAX_ADDRESSES: usize = 10_000;

/// Letters of what was tried that are written down.
const LONGEST_TRIED: usize = 12;

/// What somebody tries; each has its own patience.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tried {
    /// A password link.
    Link,
    /// A token of the API.
    Token,
}

/// Who has tried wrong links lately.
#[derive(Debug, Default)]
pub(super) struct Patience {
    wrong: Mutex<HashMap<IpAddr, (i64, u32)>>,
}

impl Web {
    /// Counts a wrong link or token, and writes it down where it is the first of its minute or the first too many. `public`
    /// is what of it may be a public half. Where there were too many, for how many seconds the address is slowed down.
    pub(super) async fn count_wrong(&self, tried: Tried, address: IpAddr, public: &str) -> Option<i64> {
        let (patience, action, mode) = match tried {
            Tried::Link => (&self.patience, "password_link", "link"),
            Tried::Token => (&self.patience_with_tokens, "api_sign_in", "api"),
        };
        let now_ms = self.now_ms();
        let (count, wait) = patience.count(address, now_ms);
        if count != 1 && count != MAX_WRONG + 1 {
            return wait;
        }
        let is_fit = |letter: &char| letter.is_ascii_alphanumeric() || "-_.".contains(*letter);
        let account: String = public.chars().filter(is_fit).take(LONGEST_TRIED).collect();
        let is_slowed = wait.is_some();
        tracing::warn!(peer = %address, prefix = account, way = mode, is_slowed, "a wrong link or token");
        let outcome = if is_slowed { "slowed" } else { "refused" };
        let id = random_text(16).unwrap_or_default();
        let line = AuditRecord::of(id, now_ms, &address.to_string(), action, outcome);
        let line = AuditRecord { account, mode: mode.to_owned(), ..line };
        if let Err(error) = self.store().add_to_audit(&line).await {
            tracing::error!(error = format!("{error:#}"), "the audit cannot be written");
        }
        wait
    }
}

impl Patience {
    /// How many wrong ones there were in the window, this one among them; where they were too many, for how many seconds
    /// the address is slowed down.
    fn count(&self, address: IpAddr, now_ms: i64) -> (u32, Option<i64>) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let address = network_of(address);
        if !wrong.contains_key(&address) && wrong.len() >= MAX_ADDRESSES {
            wrong.retain(|_, (since, _)| now_ms - *since < WINDOW_MS);
            if wrong.len() >= MAX_ADDRESSES {
                // So many at once are one attacker: everybody's wrong links wait.
                return (u32::MAX, Some(WINDOW_MS / 1000));
            }
        }
        let (since, count) = wrong.entry(address).or_insert((now_ms, 0));
        if now_ms - *since >= WINDOW_MS {
            (*since, *count) = (now_ms, 0);
        }
        *count = count.saturating_add(1);
        (*count, (*count > MAX_WRONG).then(|| (*since + WINDOW_MS - now_ms).div_euclid(1000) + 1))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn the_twenty_first_wrong_link_of_a_minute_waits() {
        let patience = Patience::default();
        let (one, two) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        for second in 0..20 {
            assert_eq!(patience.count(one, second * 1000).1, None);
        }
        assert_eq!(patience.count(one, 20_000), (21, Some(41)));
        assert_eq!(patience.count(two, 20_000), (1, None), "others are not slowed down");
        assert_eq!(patience.count(one, 60_000), (1, None), "a minute later all is forgotten");
    }

    #[test]
    fn a_network_is_one_address_and_memory_is_bounded() {
        let patience = Patience::default();
        for host in 0..=20_u128 {
            let address = IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | host));
            assert_eq!(patience.count(address, 0).1.is_some(), host == 20, "{host}");
        }
        for host in 0..20_000_u32 {
            patience.count(IpAddr::V4(host.into()), 0);
        }
        assert!(patience.wrong.lock().unwrap().len() <= MAX_ADDRESSES);
    }
}
