//! Wrong credentials, secrets, codes and tokens at directories: counted, slowed down and written down.
//!
//! Each way into each directory counts for itself, by the network of whoever tries: twenty a minute, then they wait. Of each
//! such minute one line goes to the audit, with the number, once it is over or the agent ends. Whatever is right is never
//! slowed down, so that nobody behind the same proxy can keep others out.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};

use super::{Directories, check_name};
use crate::{access::network_of, password_reset::random_text, store::AuditRecord};

/// Wrong attempts that one address may make in a window.
const MAX_WRONG: u32 = 20;
/// The window.
const WINDOW_MS: i64 = 60_000;
/// Windows that are open at once.
const MOST_WINDOWS: usize = 10_000;
/// Letters of what was tried that are written down, as far as it may be a public half.
const LONGEST_TRIED: usize = 12;

/// What somebody tried that was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// A secret or an access token at the directory itself.
    Credentials,
    /// The secret of its client of OAuth.
    ClientSecret,
    /// An authorization code or a refresh token.
    Token,
    /// The code by which somebody consents.
    Approval,
}

/// A wrong attempt.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// What was tried.
    pub way: Way,
    /// At which directory; none where there is none of this name.
    pub directory: Option<i64>,
    /// The name under which it was asked for.
    pub name: &'a str,
    /// The public half of what was tried.
    pub tried: &'a str,
    /// From where.
    pub from: IpAddr,
}

/// Who has tried lately.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<Windows>);

#[derive(Debug, Default)]
struct Windows {
    open: HashMap<(Way, Option<i64>, IpAddr), Window>,
    over: Vec<Window>,
}

/// The attempts of one network in one way, since the first.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    way: Way,
    from: IpAddr,
    since_ms: i64,
    count: u32,
    /// Of the first.
    name: String,
    tried: String,
}

impl Way {
    /// As the audit has it.
    fn mode(self) -> &'static str {
        match self {
            Self::Credentials => "scim",
            Self::ClientSecret => "oauth_client",
            Self::Token => "oauth_token",
            Self::Approval => "oauth_approval",
        }
    }
}

impl Attempts {
    /// How many there were in the window, this one among them, and how many seconds are left of it.
    fn count(&self, attempt: &Attempt<'_>, now_ms: i64) -> (u32, i64) {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = network_of(attempt.from);
        let key = (attempt.way, attempt.directory, from);
        if !windows.open.contains_key(&key) && windows.open.len() >= MOST_WINDOWS {
            // So many at once are one attacker: everybody's wrong attempts wait.
            return (u32::MAX, WINDOW_MS / 1000);
        }
        let fresh = || Window {
            way: attempt.way,
            from,
            since_ms: now_ms,
            count: 0,
            name: if check_name(attempt.name).is_ok() { attempt.name.to_owned() } else { String::new() },
            tried: public(attempt.tried),
        };
        let window = windows.open.entry(key).or_insert_with(fresh);
        let over = window.is_over(now_ms).then(|| std::mem::replace(window, fresh()));
        window.count = window.count.saturating_add(1);
        let counted = (window.count, (window.since_ms + WINDOW_MS - now_ms).div_euclid(1000) + 1);
        if windows.over.len() < MOST_WINDOWS {
            windows.over.extend(over);
        }
        counted
    }

    /// The windows that are over, or all.
    fn take(&self, now_ms: i64, all: bool) -> Vec<Window> {
        let mut windows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = std::mem::take(&mut windows.over);
        taken.extend(windows.open.extract_if(|_, window| all || window.is_over(now_ms)).map(|(_, window)| window));
        taken
    }
}

impl Window {
    fn is_over(&self, now_ms: i64) -> bool {
        now_ms - self.since_ms >= WINDOW_MS
    }
}

impl Directories {
    /// Counts a wrong attempt; where there were too many, for how many seconds its like are slowed down.
    pub fn count_wrong(&self, attempt: &Attempt<'_>) -> Option<i64> {
        let (count, left) = self.attempts.count(attempt, self.now());
        let wait = (count > MAX_WRONG).then_some(left);
        if count == 1 || count == MAX_WRONG + 1 {
            let (way, is_slowed) = (attempt.way.mode(), wait.is_some());
            let name = if check_name(attempt.name).is_ok() { attempt.name } else { "" };
            tracing::warn!(peer = %attempt.from, directory = name, way, is_slowed, "a wrong attempt at a directory");
        }
        wait
    }

    /// Writes into the audit what was tried in windows that are over, or in all.
    pub(super) async fn keep_attempts(&self, all: bool) {
        for window in self.attempts.take(self.now(), all) {
            let record = AuditRecord {
                id: random_text(16).unwrap_or_default(),
                at_ms: window.since_ms,
                action_id: String::new(),
                action: "directory_sign_in".to_owned(),
                actor: window.from.to_string(),
                connection: window.name,
                account: window.tried,
                login: String::new(),
                mode: window.way.mode().to_owned(),
                outcome: if window.count > MAX_WRONG { "slowed" } else { "refused" }.to_owned(),
                request_id: None,
                note: Some(format!("{} within a minute", window.count)),
            };
            if let Err(error) = self.store.add_to_audit(&record).await {
                tracing::error!(error = format!("{error:#}"), "the audit cannot be written");
            }
        }
    }
}

/// As much as may be the public half of something.
fn public(tried: &str) -> String {
    let is_fit = |letter: &char| letter.is_ascii_alphanumeric() || "-_".contains(*letter);
    tried.chars().take_while(is_fit).take(LONGEST_TRIED).collect()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn attempt(way: Way, directory: i64, from: IpAddr) -> Attempt<'static> {
        Attempt { way, directory: Some(directory), name: "acme", tried: "abc.secret-half", from }
    }

    #[test]
    fn each_way_into_each_directory_has_its_window_and_its_line() {
        let attempts = Attempts::default();
        let (one, two) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        for nth in 1..=21 {
            assert_eq!(attempts.count(&attempt(Way::Credentials, 1, one), nth * 1000).0, u32::try_from(nth).unwrap());
        }
        for other in [attempt(Way::Token, 1, one), attempt(Way::Credentials, 2, one), attempt(Way::Credentials, 1, two)]
        {
            assert_eq!(attempts.count(&other, 30_000).0, 1);
        }
        assert_eq!(attempts.take(60_999, false), []);
        // The next window begins with the next attempt.
        assert_eq!(attempts.count(&attempt(Way::Credentials, 1, one), 61_000), (1, 61));
        let over = attempts.take(61_000, false);
        let told: Vec<_> = over.iter().map(|it| (it.way, it.count, it.since_ms, it.tried.as_str())).collect();
        assert_eq!(told, [(Way::Credentials, 21, 1_000, "abc")]);
        assert_eq!(attempts.take(61_000, true).len(), 4);
        assert_eq!(attempts.take(i64::MAX, true), []);
    }

    #[test]
    fn a_network_is_one_address_and_memory_is_bounded() {
        let attempts = Attempts::default();
        for host in 0..=20_u32 {
            let from = IpAddr::V6(Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(host)));
            assert_eq!(attempts.count(&attempt(Way::Credentials, 1, from), 0).0, host + 1);
        }
        for host in 0..20_000_u32 {
            attempts.count(&attempt(Way::Credentials, 1, IpAddr::V4(host.into())), 0);
        }
        assert_eq!(attempts.take(0, true).len(), MOST_WINDOWS);
    }

    #[test]
    fn of_what_was_tried_the_public_half_alone_is_written_down() {
        assert_eq!(public("abcDEF-_1234.secret"), "abcDEF-_1234");
        assert_eq!(public("ab\ncd"), "ab");
        assert_eq!(public("a-secret-that-was-pasted-whole"), "a-secret-tha");
    }
}
