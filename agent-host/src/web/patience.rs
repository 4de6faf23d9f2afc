//! How many wrong links or tokens one address may try: twenty a minute, then it is slowed down. Directories count for
//! themselves.
//!
//! A link cannot be guessed; this keeps whoever tries from costing us anything. Right links are never slowed down, so that
//! nobody behind the same proxy can keep others out. Of an IPv6 address the network counts.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use crate::access::network_of;

/// Wrong links that one address may try in a window.
pub(super) const MAX_WRONG: u32 = 20;
/// The window.
const WINDOW_MS: i64 = 60_000;
/// Addresses that are remembered.
const MAX_ADDRESSES: usize = 10_000;

/// Who has tried wrong links lately.
#[derive(Debug, Default)]
pub(super) struct Patience {
    wrong: Mutex<HashMap<IpAddr, (i64, u32)>>,
}

impl Patience {
    /// Counts a wrong link; where there were too many, for how many seconds the address is slowed down.
    pub(super) fn count_wrong(&self, address: IpAddr, now_ms: i64) -> Option<i64> {
        self.count(address, now_ms).1
    }

    /// The same, after how many there were in the window, this one among them.
    pub(super) fn count(&self, address: IpAddr, now_ms: i64) -> (u32, Option<i64>) {
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
            assert_eq!(patience.count_wrong(one, second * 1000), None);
        }
        assert_eq!(patience.count_wrong(one, 20_000), Some(41));
        assert_eq!(patience.count_wrong(two, 20_000), None, "others are not slowed down");
        assert_eq!(patience.count_wrong(one, 60_000), None, "a minute later all is forgotten");
    }

    #[test]
    fn a_network_is_one_address_and_memory_is_bounded() {
        let patience = Patience::default();
        for host in 0..=20_u128 {
            let address = IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | host));
            assert_eq!(patience.count_wrong(address, 0).is_some(), host == 20, "{host}");
        }
        for host in 0..20_000_u32 {
            patience.count_wrong(IpAddr::V4(host.into()), 0);
        }
        assert!(patience.wrong.lock().unwrap().len() <= MAX_ADDRESSES);
    }
}
