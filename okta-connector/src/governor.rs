//! When may the next request go? One budget ("bucket") for each group of endpoints, learned from response headers.
//!
//! Pure: the caller passes the time in and waits itself. The rules it keeps:
//! a window is 60 s, fixed, and opened by the first request in it, so nothing but its `reset` tells when it ends;
//! of each window at most the share is used, by whomever; where several agents share it, each uses its part and counts
//! what it sends itself; before a bucket's limit is known one request goes alone.
//! Source: Okta's "Rate limits" and "Best practices"; all times are milliseconds on the caller's clock.

use std::{collections::BTreeMap, time::Duration};

use connector_api::LimitUse;

/// Added to the end of a window, because `Date` and `reset` are whole seconds.
const MARGIN_MS: u64 = 1_000;
/// The wait after a refusal that does not say for how long.
const UNTOLD_WAIT_MS: u64 = 5_000;
/// No window is longer, whatever a header says; Okta's last a minute.
const MAX_WINDOW_S: i64 = 3_600;
/// After a refusal for too many requests at once, parallelism recovers by one in this time.
const RECOVERY_MS: u64 = 60_000;

/// The rate-limit headers of one answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LimitHeaders {
    /// `x-rate-limit-limit`: requests a window, for this caller.
    pub limit: Option<u32>,
    /// `x-rate-limit-remaining`: requests left in this window.
    pub remaining: Option<u32>,
    /// `x-rate-limit-reset`: epoch second, on the server's clock, at which the window ends.
    pub reset: Option<i64>,
    /// `Date` as an epoch second: the server's clock.
    pub date: Option<i64>,
    /// `Retry-After` in seconds.
    pub retry_after: Option<u64>,
}

impl LimitHeaders {
    /// The headers without times that cannot be: nobody waits for years.
    fn plausible(self) -> Self {
        let date = self.date.filter(|date| (0..i64::from(u32::MAX)).contains(date));
        let reset = self.reset.filter(|reset| (0..i64::from(u32::MAX)).contains(reset));
        let reset = reset.map(|reset| date.map_or(reset, |date| reset.min(date + MAX_WINDOW_S)));
        let retry_after = self.retry_after.map(|seconds| seconds.min(MAX_WINDOW_S.unsigned_abs()));
        Self { date, reset, retry_after, ..self }
    }
}

/// What kind of request asks to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The next page of a list on which everything waits; it always finds a place.
    List,
    /// One of many requests that could go in any order.
    Fan,
}

/// The answer to "may it go?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Now; it is counted as sent.
    Go,
    /// Ask again at this time: the bucket's share of the window is used up.
    At(u64),
    /// Ask again when some request has ended.
    AfterAnswer,
}

/// How a request ended, as far as budgets are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It was answered, and not refused for its frequency.
    Answered(LimitHeaders),
    /// Refused with 429.
    Refused(LimitHeaders),
    /// No answer came; the server may have counted it.
    Lost,
}

#[derive(Debug, Default)]
struct Bucket {
    /// None until an answer told; then the limit, or none where the system states no limit.
    limit: Option<Option<u32>>,
    window: Option<Window>,
    /// The `reset` of the last window that ended: later news about it are stale.
    ended_reset: i64,
    in_flight: u32,
    blocked_until: u64,
    /// Requests of our own since the window began, as far as that is known; those under way are among them.
    used: u32,
    /// The most of a window that was used by anyone, of all windows with the limit that holds.
    most_used: u32,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    reset: i64,
    remaining: u32,
    /// The greatest `Date − time of receipt` seen in this window: the server's clock is at least that far ahead.
    offset_ms: i64,
}

impl Window {
    fn end_ms(&self) -> u64 {
        u64::try_from(self.reset * 1_000 - self.offset_ms).unwrap_or(0) + MARGIN_MS
    }
}

/// All budgets of one organisation, and how many requests may be under way at once.
#[derive(Debug)]
pub(crate) struct Governor {
    share_percent: u32,
    /// The agents that have the share together.
    agents: u32,
    buckets: BTreeMap<&'static str, Bucket>,
    max_parallel: u32,
    parallel: u32,
    /// When `parallel` was last changed: it is lowered once for a burst of refusals.
    parallel_since: u64,
    open_lists: u32,
    lists_in_flight: u32,
    in_flight: u32,
    max_in_flight: u32,
}

impl Governor {
    pub(crate) fn new(share_percent: u32, max_parallel: u32) -> Self {
        Self {
            share_percent,
            agents: 1,
            buckets: BTreeMap::new(),
            max_parallel,
            parallel: max_parallel,
            parallel_since: 0,
            open_lists: 0,
            lists_in_flight: 0,
            in_flight: 0,
            max_in_flight: 0,
        }
    }

    /// So many agents have the share together from now on.
    pub(crate) fn share_among(&mut self, agents: u32) {
        self.agents = agents.max(1);
    }

    /// May a request in `bucket` go at `now`?
    pub(crate) fn admit(&mut self, bucket: &'static str, lane: Lane, now: u64) -> Admission {
        self.recover(now);
        if self.is_full(lane) {
            return Admission::AfterAnswer;
        }
        let (share_percent, agents) = (self.share_percent, self.agents);
        let admission = self.buckets.entry(bucket).or_default().admit(share_percent, agents, now);
        if admission == Admission::Go {
            self.in_flight += 1;
            self.lists_in_flight += u32::from(lane == Lane::List);
            self.max_in_flight = self.max_in_flight.max(self.in_flight);
        }
        admission
    }

    /// A request that was let go has ended. Returns how long to wait before it may be repeated, if it was refused.
    pub(crate) fn end(
        &mut self,
        bucket: &'static str,
        lane: Lane,
        sent: u64,
        now: u64,
        ending: Ending,
    ) -> Option<Duration> {
        self.in_flight -= 1;
        self.lists_in_flight -= u32::from(lane == Lane::List);
        let state = self.buckets.entry(bucket).or_default();
        state.in_flight -= 1;
        match ending {
            Ending::Answered(headers) => {
                state.learn(headers, now);
                None
            }
            Ending::Lost => {
                if let Some(window) = &mut state.window {
                    window.remaining = window.remaining.saturating_sub(1);
                }
                None
            }
            Ending::Refused(headers) if headers.limit == Some(0) => {
                self.lower(sent, now);
                Some(Duration::from_millis(MARGIN_MS))
            }
            Ending::Refused(headers) => {
                let wait = state.refuse(headers, now);
                Some(Duration::from_millis(wait))
            }
        }
    }

    /// A list starts whose pages other requests wait for: a place is kept for it until it ends.
    pub(crate) fn open_list(&mut self) {
        self.open_lists += 1;
    }

    pub(crate) fn close_list(&mut self) {
        self.open_lists -= 1;
    }

    /// The requests a window of `bucket` allows us, once that is known.
    pub(crate) fn allowance(&self, bucket: &str) -> Option<u32> {
        let limit = self.buckets.get(bucket)?.limit??;
        Some(part(limit, self.share_percent, self.agents))
    }

    /// The limit of `bucket` and the most that was used of it, once the system has told.
    pub(crate) fn limit_use(&self, bucket: &str) -> Option<LimitUse> {
        let bucket = self.buckets.get(bucket)?;
        Some(LimitUse { limit: bucket.limit??, most_used: bucket.most_used })
    }

    pub(crate) fn max_in_flight(&self) -> u32 {
        self.max_in_flight
    }

    fn is_full(&self, lane: Lane) -> bool {
        let parallel = self.parallel.min((self.max_parallel / self.agents).max(1));
        match lane {
            Lane::List => self.in_flight >= parallel,
            Lane::Fan => {
                let kept = self.open_lists.saturating_sub(self.lists_in_flight);
                self.in_flight + kept >= parallel.max(kept + 1)
            }
        }
    }

    /// Too many at once: half as many, once for all refusals of requests that were already under way.
    fn lower(&mut self, sent: u64, now: u64) {
        if sent >= self.parallel_since {
            self.parallel = (self.parallel / 2).max(1);
            self.parallel_since = now;
        }
    }

    fn recover(&mut self, now: u64) {
        while self.parallel < self.max_parallel && now >= self.parallel_since + RECOVERY_MS {
            self.parallel += 1;
            self.parallel_since += RECOVERY_MS;
        }
    }
}

impl Bucket {
    fn admit(&mut self, share_percent: u32, agents: u32, now: u64) -> Admission {
        if now < self.blocked_until {
            return Admission::At(self.blocked_until);
        }
        let Some(limit) = self.limit else {
            return if self.in_flight == 0 { self.go() } else { Admission::AfterAnswer };
        };
        let Some(limit) = limit else { return self.go() };
        if let Some(window) = self.window.filter(|window| now >= window.end_ms()) {
            self.ended_reset = window.reset;
            self.window = None;
            self.used = self.in_flight;
        }
        if agents > 1 && self.used >= part(limit, share_percent, agents) {
            return self.window.map_or(Admission::AfterAnswer, |window| Admission::At(window.end_ms()));
        }
        let remaining = self.window.map_or(limit, |window| window.remaining);
        if remaining.saturating_sub(self.in_flight) > reserve(limit, share_percent) {
            return self.go();
        }
        match self.window {
            Some(window) if self.in_flight == 0 || remaining <= reserve(limit, share_percent) => {
                Admission::At(window.end_ms())
            }
            _ => Admission::AfterAnswer,
        }
    }

    fn go(&mut self) -> Admission {
        self.in_flight += 1;
        self.used += 1;
        Admission::Go
    }

    fn learn(&mut self, headers: LimitHeaders, now: u64) {
        let headers = headers.plausible();
        // A limit of 0 is a refusal for parallelism and says nothing about the window.
        let limit = headers.limit.filter(|limit| *limit > 0);
        let (Some(limit), Some(remaining), Some(reset)) = (limit, headers.remaining, headers.reset) else {
            self.limit.get_or_insert(None);
            return;
        };
        if self.limit != Some(Some(limit)) {
            self.most_used = 0;
        }
        self.limit = Some(Some(limit));
        self.most_used = self.most_used.max(limit.saturating_sub(remaining));
        if reset <= self.ended_reset {
            return;
        }
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let offset_ms = headers.date.map_or(reset * 1_000 - now - 60_000, |date| date * 1_000 - now);
        match &mut self.window {
            // News of the window before, overtaken on their way.
            Some(window) if reset + 1 < window.reset => {}
            // A second more or less is the same window.
            Some(window) if reset <= window.reset + 1 => {
                window.reset = window.reset.max(reset);
                window.remaining = window.remaining.min(remaining);
                window.offset_ms = window.offset_ms.max(offset_ms);
            }
            window => {
                // What is answered by a window was sent in it.
                if window.is_some() {
                    self.used = self.in_flight + 1;
                }
                *window = Some(Window { reset, remaining, offset_ms });
            }
        }
    }

    /// Blocks the bucket until the refusal is over; returns how long that is.
    fn refuse(&mut self, headers: LimitHeaders, now: u64) -> u64 {
        let headers = headers.plausible();
        self.learn(LimitHeaders { remaining: headers.remaining.map(|_| 0), ..headers }, now);
        let until_reset = match (headers.reset, headers.date) {
            (Some(reset), Some(date)) if reset >= date => {
                u64::try_from(reset - date).ok().map(|s| s * 1_000 + MARGIN_MS)
            }
            _ => None,
        };
        let told = headers.retry_after.map(|seconds| seconds.saturating_mul(1_000)).max(until_reset);
        let wait = told.unwrap_or(UNTOLD_WAIT_MS).max(MARGIN_MS);
        self.blocked_until = self.blocked_until.max(now.saturating_add(wait));
        wait
    }
}

/// What one of so many agents may use of a window.
fn part(limit: u32, share_percent: u32, agents: u32) -> u32 {
    ((limit - reserve(limit, share_percent)) / agents).max(1)
}

/// What a window must keep for others.
fn reserve(limit: u32, share_percent: u32) -> u32 {
    let ours = u64::from(limit) * u64::from(share_percent) / 100;
    limit - u32::try_from(ours).unwrap_or(limit).max(1).min(limit)
}

#[cfg(test)]
mod tests;
