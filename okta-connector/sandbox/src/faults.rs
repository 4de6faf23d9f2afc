//! Scripted faults: which requests go wrong, how, and how often.
//! A fault counts the requests it matches, starts with the `nth` and strikes `times`; the first one due wins.
//! Faults come after the token and the rate limit were checked, so a faulted request has its bucket's headers.

use std::time::Duration;

/// A fault: when it strikes and what it does.
#[derive(Clone, Debug)]
pub struct Fault {
    pub when: FaultMatch,
    pub then: FaultAction,
}

/// Which requests a fault strikes. All conditions given must hold.
#[derive(Clone, Debug)]
pub struct FaultMatch {
    pub method: Option<String>,
    pub path_prefix: Option<String>,
    /// Looked for in the path (as sent) and the query (decoded).
    pub contains: Option<String>,
    /// The first matching request struck, counted from 1.
    pub nth: u32,
    /// How many matching requests are struck from there on.
    pub times: u32,
}

/// What happens to a struck request.
#[derive(Clone, Debug)]
pub enum FaultAction {
    /// This answer, JSON or HTML by its first character.
    Status { status: u16, body: String, headers: Vec<(String, String)> },
    /// The recorded 429 of an exhausted bucket.
    RateLimit429,
    /// The 429 of too many simultaneous requests: `x-rate-limit-limit: 0`.
    Concurrency429,
    /// The connection closes before any byte of an answer; nothing was done.
    ResetConnection,
    /// The request is carried out, then the connection closes: the caller cannot know.
    LoseAnswer,
    /// The request is carried out, then this Okta error is the answer: 500 `E0000009`, 503 `E0000010`, …
    ErrorAfter { status: u16, code: String },
    /// The request waits this long before anything is done; a caller that leaves meanwhile leaves no trace.
    SlowRequest(Duration),
    /// The full length is promised, the connection closes after so many bytes.
    CutBody { after_bytes: usize },
    /// A chunked body whose last chunk never comes.
    TruncatedChunked,
    /// A whole HTTP answer around half a gzip stream.
    TruncatedGzip,
    /// A gateway's page.
    Html(u16),
    /// The request is carried out at once, the answer waits this long.
    SlowFirstByte(Duration),
    /// An Okta error by code: 500 `E0000009`, 503 `E0000010`, `E0000100`, 409 `E0000145`, 401 `E0000011`, …
    Error { status: u16, code: String },
    /// `[]` with a next link to the same rows: a page of a filtered list.
    EmptyPageWithNext,
    /// The next link leads to this page once more.
    RepeatPage,
    /// The next page starts one row early: its first record comes twice.
    ShiftPage,
    /// The next link names another host.
    NextHost(String),
    /// The next link has lost a parameter.
    NextLosesParameter(String),
    /// The next link equals the self link.
    StuckCursor,
    /// 200 with this text under a JSON content type.
    NotJson(String),
    /// 302 to this address.
    Redirect(String),
    /// A session cookie comes with the answer.
    SetCookie,
    /// 500 `E0000009` for pages larger than this, or without a limit.
    OnlyWhenLimitOver(u32),
    /// 200 `[]`: what an OAuth app without a role gets.
    EmptyList,
    /// 400 for requests that use `fields=`.
    FieldsRefused,
}

#[derive(Debug, Default)]
pub(crate) struct Faults {
    scripted: Vec<(Fault, u32)>,
    pub hit: usize,
}

impl Default for FaultMatch {
    fn default() -> Self {
        Self { method: None, path_prefix: None, contains: None, nth: 1, times: 1 }
    }
}

impl Fault {
    /// Strikes the next request, whatever it is.
    pub fn new(then: FaultAction) -> Self {
        Self { when: FaultMatch::default(), then }
    }

    /// Only requests of this method below this path.
    pub fn on(mut self, method: &str, path_prefix: &str) -> Self {
        self.when.method = Some(method.to_owned());
        self.when.path_prefix = Some(path_prefix.to_owned());
        self
    }

    /// Only requests whose path and query hold this text.
    pub fn containing(mut self, text: &str) -> Self {
        self.when.contains = Some(text.to_owned());
        self
    }

    /// Starts with the nth matching request, counted from 1.
    pub fn nth(mut self, nth: u32) -> Self {
        self.when.nth = nth;
        self
    }

    pub fn times(mut self, times: u32) -> Self {
        self.when.times = times;
        self
    }

    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }
}

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.scripted.push((fault, 0));
    }

    pub(crate) fn clear(&mut self) {
        self.scripted.clear();
    }

    /// How long this request has to wait before anything is done.
    pub(crate) fn delay(&mut self, method: &str, target: &str) -> Option<Duration> {
        match self.strike(method, target, true) {
            Some(FaultAction::SlowRequest(wait)) => Some(wait),
            _ => None,
        }
    }

    /// The action for this request, if one is due.
    pub(crate) fn due(&mut self, method: &str, target: &str) -> Option<FaultAction> {
        self.strike(method, target, false)
    }

    fn strike(&mut self, method: &str, target: &str, delays: bool) -> Option<FaultAction> {
        let mut due = None;
        for (fault, seen) in &mut self.scripted {
            let is_delay = matches!(fault.then, FaultAction::SlowRequest(_));
            if is_delay != delays || !fault.strikes(method, target) {
                continue;
            }
            *seen = seen.saturating_add(1);
            let past = seen.saturating_sub(fault.when.nth);
            if due.is_none() && *seen >= fault.when.nth && past < fault.when.times {
                due = Some(fault.then.clone());
            }
        }
        self.hit += usize::from(due.is_some());
        due
    }
}

impl Fault {
    fn strikes(&self, method: &str, target: &str) -> bool {
        let parameter = |name: &str| {
            let query = target.split_once('?').map_or("", |(_, query)| query);
            query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let fits = match &self.then {
            FaultAction::OnlyWhenLimitOver(most) => {
                parameter("limit").and_then(|limit| limit.parse::<u32>().ok()).is_none_or(|limit| limit > *most)
            }
            FaultAction::FieldsRefused => parameter("fields").is_some(),
            _ => true,
        };
        let when = &self.when;
        fits && when.method.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(method))
            && when.path_prefix.as_ref().is_none_or(|prefix| target.starts_with(prefix.as_str()))
            && when.contains.as_ref().is_none_or(|text| target.contains(text.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strikes_the_nth_matching_request_so_many_times() {
        let mut faults = Faults::default();
        faults.add(Fault::new(FaultAction::Html(502)).on("GET", "/api/v1/users").nth(2).times(2));
        let mut struck = |method: &str, path: &str| faults.due(method, path).is_some();
        assert!(!struck("POST", "/api/v1/users"));
        let pattern: Vec<_> = (0..5).map(|_| struck("GET", "/api/v1/users?limit=1")).collect();
        assert_eq!(pattern, [false, true, true, false, false]);
        assert_eq!(faults.hit, 2);
    }

    #[test]
    fn conditions_on_parameters_hold() {
        let mut faults = Faults::default();
        faults.add(Fault::new(FaultAction::OnlyWhenLimitOver(200)).always());
        faults.add(Fault::new(FaultAction::FieldsRefused).always());
        assert!(faults.due("GET", "/g?limit=200").is_none());
        assert!(matches!(faults.due("GET", "/g?limit=1000"), Some(FaultAction::OnlyWhenLimitOver(_))));
        assert!(matches!(faults.due("GET", "/g?limit=5&fields=id"), Some(FaultAction::FieldsRefused)));
    }
}
