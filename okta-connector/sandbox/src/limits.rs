//! Rate limits: which bucket a call falls into, what a plan grants, fixed windows opened by the first call.
//! Okta: windows are 60 s, a token gets a share (50 % by default) of each bucket, a refused call costs nothing,
//! and a 429 carries no Retry-After. Concurrency is counted for the whole organisation, with the same share.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use hyper::Method;

/// Whose published numbers apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Limits {
    Integrator,
    Workforce,
    #[default]
    Unlimited,
}

/// The state of one bucket as the `x-rate-limit-*` headers tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub limit: u32,
    pub remaining: u32,
    /// When the window ends, in milliseconds of the server's clock.
    pub reset: i64,
    pub refused: bool,
}

/// All windows of one organisation.
#[derive(Debug)]
pub(crate) struct Buckets {
    plan: Limits,
    exact: BTreeMap<String, u32>,
    window: i64,
    open: HashMap<(Box<str>, &'static str), Window>,
}

#[derive(Debug)]
struct Window {
    ends: i64,
    used: u32,
}

/// What an unlimited plan shows: high enough that no caller slows down.
const NO_LIMIT: u32 = 1_000_000;

impl FromStr for Limits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "integrator" => Ok(Self::Integrator),
            "workforce" => Ok(Self::Workforce),
            "unlimited" => Ok(Self::Unlimited),
            other => Err(format!("`{other}` is none of integrator, workforce, unlimited")),
        }
    }
}

impl Limits {
    /// Requests per minute for the whole organisation, as last published.
    fn per_minute(self, bucket: &str) -> u32 {
        let (integrator, workforce) = match bucket {
            "/api/v1/apps" => (20, 100),
            "/api/v1/apps/{id}" => (100, 500),
            "/api/v1/groups" => (100, 500),
            "/api/v1/groups/{id}" => (100, 1000),
            "/api/v1/users" | "/api/v1/users/{id}" => (100, 600),
            "/api/v1/users/{id:.+}" | "/api/v1/users/me" => (100, 2000),
            "/api/v1/logs" => (20, 120),
            "/oauth2/v1/token" | "/oauth2/v1" => (300, 1200),
            _ => (100, 1200),
        };
        match self {
            Self::Integrator => integrator,
            Self::Workforce => workforce,
            Self::Unlimited => NO_LIMIT,
        }
    }

    /// Simultaneous requests one token may have in flight; none when unlimited.
    pub(crate) fn concurrent(self, share_percent: u8) -> Option<usize> {
        let whole = match self {
            Self::Integrator => 35,
            Self::Workforce => 75,
            Self::Unlimited => return None,
        };
        Some((whole * usize::from(share_percent) / 100).max(1))
    }
}

impl Buckets {
    pub(crate) fn new(plan: Limits, exact: BTreeMap<String, u32>, window: i64) -> Self {
        Self { plan, exact, window: window.max(1), open: HashMap::new() }
    }

    /// Counts one call of a principal that has `share` percent, or says why not. All principals together have the
    /// whole of the bucket.
    pub(crate) fn take(&mut self, bucket: &'static str, principal: &str, share: u32, now: i64) -> Standing {
        let whole = self.limit(bucket, 100);
        let limit = self.limit(bucket, share);
        let all_used = limit < whole && self.window("", bucket, now).used >= whole;
        let own = self.window(principal, bucket, now);
        let refused = all_used || own.used >= limit;
        own.used += u32::from(!refused);
        let (used, reset) = (own.used, own.ends);
        if limit < whole && !refused {
            self.window("", bucket, now).used += 1;
        }
        let remaining = if all_used { 0 } else { limit.saturating_sub(used) };
        Standing { limit, remaining, reset, refused }
    }

    /// The standing of a call that is not counted.
    pub(crate) fn peek(&self, bucket: &'static str, principal: &str, share: u32, now: i64) -> Standing {
        let limit = self.limit(bucket, share);
        let open = self.open.get(&(principal.into(), bucket)).filter(|window| now < window.ends);
        let (used, reset) = open.map_or((0, now + self.window), |window| (window.used, window.ends));
        Standing { limit, remaining: limit.saturating_sub(used), reset, refused: false }
    }

    fn window(&mut self, principal: &str, bucket: &'static str, now: i64) -> &mut Window {
        let ends = now + self.window;
        let window = self.open.entry((principal.into(), bucket)).or_insert(Window { ends, used: 0 });
        if now >= window.ends {
            *window = Window { ends, used: 0 };
        }
        window
    }

    fn limit(&self, bucket: &str, share: u32) -> u32 {
        if let Some(exact) = self.exact.get(bucket) {
            return *exact;
        }
        match self.plan {
            Limits::Unlimited => NO_LIMIT,
            plan => (plan.per_minute(bucket) * share / 100).max(1),
        }
    }
}

/// The bucket of a call, by Okta's own table.
pub(crate) fn bucket(method: &Method, segments: &[String]) -> &'static str {
    let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["api", "v1", "apps", _] => "/api/v1/apps/{id}",
        ["api", "v1", "apps", ..] => "/api/v1/apps",
        ["api", "v1", "groups", "rules"] => "/api/v1/groups",
        ["api", "v1", "groups", _] => "/api/v1/groups/{id}",
        ["api", "v1", "groups", ..] => "/api/v1/groups",
        ["api", "v1", "users", "me"] if *method == Method::GET => "/api/v1/users/me",
        ["api", "v1", "users", _] if *method == Method::GET => "/api/v1/users/{id:.+}",
        ["api", "v1", "users", _] => "/api/v1/users/{id}",
        ["api", "v1", "users", ..] => "/api/v1/users",
        ["api", "v1", "logs", ..] => "/api/v1/logs",
        ["oauth2", "v1", "token"] => "/oauth2/v1/token",
        ["oauth2", "v1", ..] => "/oauth2/v1",
        ["api", "v1", "principal-rate-limits", ..] => "/api/v1/principal-rate-limits",
        _ => "/api/v1",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Call;

    #[test]
    fn knows_the_bucket_of_each_call() {
        let cases = [
            ("GET", "/api/v1/users", "/api/v1/users"),
            ("GET", "/api/v1/users/00u1", "/api/v1/users/{id:.+}"),
            ("POST", "/api/v1/users/00u1", "/api/v1/users/{id}"),
            ("GET", "/api/v1/users/me", "/api/v1/users/me"),
            ("POST", "/api/v1/users/00u1/lifecycle/suspend", "/api/v1/users"),
            ("PUT", "/api/v1/groups/00g1", "/api/v1/groups/{id}"),
            ("PUT", "/api/v1/groups/00g1/users/00u1", "/api/v1/groups"),
            ("GET", "/api/v1/groups/rules", "/api/v1/groups"),
            ("PUT", "/api/v1/apps/0oa1/groups/00g1", "/api/v1/apps"),
            ("DELETE", "/api/v1/apps/0oa1", "/api/v1/apps/{id}"),
            ("GET", "/api/v1/logs", "/api/v1/logs"),
            ("GET", "/api/v1/meta/types/user", "/api/v1"),
        ];
        for (method, path, expected) in cases {
            assert_eq!(bucket(&method.parse().unwrap(), &Call::segments(path)), expected, "{method} {path}");
        }
    }

    #[test]
    fn the_first_call_opens_a_fixed_window() {
        let mut buckets = Buckets::new(Limits::Integrator, BTreeMap::new(), 60_000);
        for used in 1..=10 {
            let standing = buckets.take("/api/v1/apps", "t", 50, 5_000 + used);
            assert_eq!((standing.limit, standing.remaining, standing.refused), (10, 10 - used as u32, false));
            assert_eq!(standing.reset, 65_001);
        }
        assert!(buckets.take("/api/v1/apps", "t", 50, 65_000).refused);
        assert!(!buckets.take("/api/v1/users", "t", 50, 65_000).refused, "buckets do not share");
        assert!(!buckets.take("/api/v1/apps", "other", 50, 65_000).refused, "each principal has its share");
        let fresh = buckets.take("/api/v1/apps", "t", 50, 65_001);
        assert_eq!((fresh.remaining, fresh.reset, fresh.refused), (9, 125_001, false));
    }

    #[test]
    fn all_principals_together_have_no_more_than_the_whole() {
        let mut buckets = Buckets::new(Limits::Integrator, BTreeMap::new(), 60_000);
        let mut taken = |who: &str| (0..20).filter(|_| !buckets.take("/api/v1/apps", who, 60, 0).refused).count();
        assert_eq!((taken("a"), taken("b"), taken("c")), (12, 8, 0));
    }

    #[test]
    fn a_limit_can_be_set_exactly() {
        let mut buckets = Buckets::new(Limits::Workforce, BTreeMap::from([("/api/v1/users".into(), 1)]), 60_000);
        assert!(!buckets.take("/api/v1/users", "t", 50, 0).refused);
        assert!(buckets.take("/api/v1/users", "t", 50, 1).refused);
        assert_eq!(buckets.peek("/api/v1/groups", "t", 50, 0).limit, 250);
        assert_eq!(Limits::Workforce.concurrent(50), Some(37));
    }
}
