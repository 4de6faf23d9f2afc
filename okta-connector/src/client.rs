//! Requests to one Okta organisation: admitted by the governor, bounded in size and time, repeated where that may help.
//!
//! What is repeated: refusals for frequency (after the wait they ask for), failures of the gateway and of the network,
//! answers that are cut or no JSON. What is not: everything Okta refuses for its content. One line is logged for each
//! repetition; a failure is the caller's to report. The token is sent to the configured origin alone.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, UNIX_EPOCH},
};

use connector_api::{BucketTraffic, Error, ErrorKind, TableProgress, Traffic};
use reqwest::{
    Response,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER},
    redirect::Policy,
};
use tokio::sync::Notify;

use crate::{
    clock::Clock,
    cursor::{next_link, with_half_limit},
    error::{Failure, Refusal},
    governor::{Admission, Ending, Governor, Lane, LimitHeaders},
    patience::Patience,
    settings::{OktaSettings, is_loopback},
};

/// The largest answer that is read, after decompression.
const MAX_BODY_BYTES: usize = 64 << 20;
/// The largest refusal that is read.
const MAX_REFUSAL_BYTES: usize = 64 << 10;
/// Asks for users without what no column needs; Okta's gain is real only when all three are given.
const LIGHT: &str =
    r#"application/json; okta-response="omitCredentials,omitCredentialsLinks,omitTransitioningToStatus""#;
/// Page buffers kept for the next page.
const MAX_IDLE_BUFFERS: usize = 16;
/// A buffer that has grown beyond this is not kept.
const MAX_IDLE_BYTES: usize = 4 << 20;

/// One thing to read.
#[derive(Debug)]
pub(crate) struct Request {
    pub bucket: &'static str,
    pub lane: Lane,
    /// Path and query.
    pub target: String,
    /// What is being tried, such as "listing `users`".
    pub what: String,
    /// Whether Okta may leave out users' credentials.
    pub light: bool,
    /// Pages may be halved down to this many records.
    pub smallest_limit: u32,
}

/// A successful answer.
#[derive(Debug)]
pub(crate) struct Answer<T> {
    pub value: T,
    /// Path and query of the next page.
    pub next: Option<String>,
}

pub(crate) struct Client {
    http: reqwest::Client,
    settings: OktaSettings,
    authorization: HeaderValue,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Signalled whenever a request has ended.
    ended: Notify,
    idle_buffers: Mutex<Vec<Vec<u8>>>,
}

struct State {
    governor: Governor,
    traffic: BTreeMap<&'static str, BucketTraffic>,
    /// Since when the bucket is used up and something waits for it, and until when.
    waits: BTreeMap<&'static str, (Duration, Duration)>,
    tables: BTreeMap<String, TableProgress>,
    throttled: u64,
    has_succeeded: bool,
}

/// What came of one try.
enum Outcome<T> {
    Success(Answer<T>),
    Throttled(LimitHeaders),
    Refused(Refusal),
    /// Something between us and Okta failed: in words.
    Fault(String),
    Final(Error),
}

impl<T> Outcome<T> {
    fn in_a_word(&self) -> &'static str {
        match self {
            Self::Success(_) => "answered",
            Self::Throttled(_) => "asked too often",
            Self::Refused(_) => "refused",
            Self::Fault(_) => "failed",
            Self::Final(_) => "sent elsewhere",
        }
    }
}

impl Client {
    pub(crate) fn new(settings: OktaSettings, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let origin = settings.server.origin();
        let same_origin = Policy::custom(move |attempt| {
            if attempt.url().origin() == origin && attempt.previous().len() < 5 {
                attempt.follow()
            } else {
                attempt.stop()
            }
        });
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("agent-host/", env!("CARGO_PKG_VERSION")))
            .redirect(same_origin)
            .connect_timeout(Duration::from_secs(20))
            .timeout(settings.request_timeout)
            .referer(false)
            .tcp_nodelay(true);
        if settings.server.host().is_some_and(|host| is_loopback(&host)) {
            builder = builder.no_proxy();
        }
        if let Some(pem) = &settings.ca_certificates {
            let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(|_| {
                Error::setting("CaFile", "`CaFile` names a file that holds a damaged certificate")
                    .with_hint("name the file of your authority's certificates, in PEM")
            })?;
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(|error| {
            Error::new(ErrorKind::Settings, "the HTTP client cannot be set up").with_source(error.without_url())
        })?;
        let state = State {
            governor: Governor::new(settings.rate_limit_share, settings.max_concurrency),
            traffic: BTreeMap::new(),
            waits: BTreeMap::new(),
            tables: BTreeMap::new(),
            throttled: 0,
            has_succeeded: false,
        };
        Ok(Self {
            authorization: settings.auth.header_value()?,
            http,
            settings,
            clock,
            state: Mutex::new(state),
            ended: Notify::new(),
            idle_buffers: Mutex::default(),
        })
    }

    pub(crate) fn settings(&self) -> &OktaSettings {
        &self.settings
    }

    /// Gets one answer and reads it. A page that is too big for Okta is halved, which changes the request's target.
    pub(crate) async fn get<T>(
        &self,
        request: &mut Request,
        read: impl Fn(&str) -> serde_json::Result<T>,
    ) -> Result<Answer<T>, Failure> {
        let mut patience = Patience::new(self.settings.retry_budget);
        loop {
            let flight = self.admitted(request).await;
            let started = self.clock.now();
            let (outcome, asked_wait) = self.attempt(request, &read, flight).await;
            let took = self.clock.now() - started;
            let has_answered = self.state().has_succeeded;
            let (wait, why) = match outcome {
                Outcome::Success(answer) => {
                    self.state().has_succeeded = true;
                    return Ok(answer);
                }
                Outcome::Final(error) => return Err(error.into()),
                // Where Okta has answered before, a page that is not found by others is nonsense in between.
                Outcome::Refused(refusal) if !(refusal.is_transient() || has_answered && refusal.is_foreign_404()) => {
                    return Err(Failure::Refused(refusal));
                }
                Outcome::Refused(refusal) => match smaller_page(request, &refusal) {
                    Some(target) => {
                        tracing::info!(okta.request = request.what, reason = %refusal, "asking Okta for a smaller page");
                        request.target = target;
                        continue;
                    }
                    None => (patience.after_fault(took, has_answered), refusal.to_string()),
                },
                Outcome::Throttled(_) => {
                    let wait = asked_wait.unwrap_or(Duration::ZERO);
                    (patience.after_throttling(took, wait), "it is asked too often".to_owned())
                }
                Outcome::Fault(why) => (patience.after_fault(took, has_answered), why),
            };
            let Some(wait) = wait else {
                let message = format!("{}: gave up after {}: {why}", request.what, patience);
                let hint = "see whether the organisation is reachable from here and run again later";
                return Err(Error::new(ErrorKind::Unavailable, message).with_hint(hint).into());
            };
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(okta.request = request.what, why, wait_ms, "asking Okta again");
            self.clock.sleep_until(self.clock.now() + wait).await;
        }
    }

    pub(crate) fn open_list(&self) {
        self.state().governor.open_list();
    }

    pub(crate) fn close_list(&self) {
        self.state().governor.close_list();
        self.ended.notify_waiters();
    }

    /// The requests a window of the bucket allows, once that is known.
    pub(crate) fn allowance(&self, bucket: &str) -> Option<u32> {
        self.state().governor.allowance(bucket)
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// Notes how far the export of a table is.
    pub(crate) fn progress(&self, table: &str, change: impl FnOnce(&mut TableProgress)) {
        let mut state = self.state();
        match state.tables.get_mut(table) {
            Some(progress) => change(progress),
            None => change(state.tables.entry(table.to_owned()).or_default()),
        }
    }

    pub(crate) fn traffic(&self) -> Traffic {
        let (now, state) = (self.clock.now(), self.state());
        let mut by_bucket: BTreeMap<String, BucketTraffic> =
            state.traffic.iter().map(|(bucket, traffic)| ((*bucket).to_owned(), traffic.clone())).collect();
        for (bucket, (_, until)) in &state.waits {
            by_bucket.entry((*bucket).to_owned()).or_default().waiting = until.checked_sub(now);
        }
        Traffic {
            by_bucket,
            throttled: state.throttled,
            max_in_flight: state.governor.max_in_flight(),
            tables: state.tables.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that holds the lock leaves it half changed, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the request may go, and counts it as sent.
    async fn admitted(&self, request: &Request) -> Flight<'_> {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            let now = self.clock.now();
            let admission = self.state().admit(request, now);
            match admission {
                Admission::Go => {
                    return Flight {
                        client: self,
                        bucket: request.bucket,
                        lane: request.lane,
                        sent: millis(now),
                        ended: false,
                    };
                }
                Admission::AfterAnswer => ended.await,
                Admission::At(time) => tokio::select! {
                    () = ended => {}
                    () = self.clock.sleep_until(Duration::from_millis(time)) => {}
                },
            }
        }
    }

    async fn attempt<T>(
        &self,
        request: &Request,
        read: impl Fn(&str) -> serde_json::Result<T>,
        flight: Flight<'_>,
    ) -> (Outcome<T>, Option<Duration>) {
        let (outcome, headers) = match self.send(request).await {
            Err(error) => (Outcome::Fault(in_words(&error)), None),
            Ok(response) => {
                let headers = limit_headers(response.headers());
                (self.receive(response, headers, request, read).await, Some(headers))
            }
        };
        tracing::trace!(okta.request = request.what, okta.bucket = request.bucket, "{}", outcome.in_a_word());
        let ending = match (&outcome, headers) {
            (Outcome::Throttled(headers), _) => Ending::Refused(*headers),
            // A gateway's answer has no such headers: it tells nothing about limits.
            (Outcome::Success(_), Some(headers)) => Ending::Answered(headers),
            (_, Some(headers)) if headers.limit.is_some() => Ending::Answered(headers),
            _ => Ending::Lost,
        };
        let wait = flight.end(ending);
        (outcome, wait)
    }

    async fn send(&self, request: &Request) -> reqwest::Result<Response> {
        // Set apart, path and query cannot change where the request goes, whatever a link holds.
        let mut url = self.settings.server.clone();
        let (path, query) = request.target.split_once('?').map_or((&*request.target, None), |(p, q)| (p, Some(q)));
        url.set_path(path);
        url.set_query(query);
        let mut builder =
            self.http.get(url).header(AUTHORIZATION, self.authorization.clone()).header(ACCEPT, "application/json");
        if request.light {
            builder = builder.header(CONTENT_TYPE, LIGHT);
        }
        builder.send().await
    }

    async fn receive<T>(
        &self,
        response: Response,
        headers: LimitHeaders,
        request: &Request,
        read: impl Fn(&str) -> serde_json::Result<T>,
    ) -> Outcome<T> {
        let status = response.status();
        if status.as_u16() == 429 {
            return Outcome::Throttled(headers);
        }
        if status.is_redirection() {
            return Outcome::Final(self.redirected(&response, request));
        }
        if !status.is_success() {
            let request_id = text_of(response.headers(), "x-okta-request-id");
            let mut body = Vec::new();
            // What can be read of the body is enough: the status tells what to do.
            let _ = read_body(response, &mut body, MAX_REFUSAL_BYTES).await;
            let redact = |text: &str| self.settings.auth.redact(text);
            return Outcome::Refused(Refusal::read(status.as_u16(), &body, &request_id, redact));
        }
        let next = match next_link(response.headers()) {
            Ok(next) => next,
            Err(why) => return Outcome::Fault(why.to_owned()),
        };
        let mut body = self.buffers().pop().unwrap_or_default();
        let outcome = match read_body(response, &mut body, MAX_BODY_BYTES).await {
            Err(why) => Outcome::Fault(why),
            Ok(()) => match simdutf8::basic::from_utf8(&body).map(read) {
                Err(_) => Outcome::Fault("the answer is not UTF-8".to_owned()),
                Ok(Err(error)) => Outcome::Fault(format!(
                    "the answer is no JSON of the kind expected (line {}, column {})",
                    error.line(),
                    error.column()
                )),
                Ok(Ok(value)) => Outcome::Success(Answer { value, next }),
            },
        };
        body.clear();
        let mut idle = self.buffers();
        if idle.len() < MAX_IDLE_BUFFERS && body.capacity() <= MAX_IDLE_BYTES {
            idle.push(body);
        }
        outcome
    }

    fn redirected(&self, response: &Response, request: &Request) -> Error {
        let location = text_of(response.headers(), LOCATION.as_str());
        let host = url::Url::parse(&location).ok().and_then(|url| url.host_str().map(str::to_owned));
        let to = host.map_or_else(|| "elsewhere".to_owned(), |host| format!("`{}`", self.settings.auth.redact(&host)));
        Error::setting("Server", format!("{}: the server redirects to {to}, where the token is not sent", request.what))
            .with_hint("set `Server` to the organisation's own address")
    }

    fn buffers(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.idle_buffers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn admit(&mut self, request: &Request, now: Duration) -> Admission {
        let admission = self.governor.admit(request.bucket, request.lane, millis(now));
        match admission {
            Admission::Go => {
                let traffic = self.traffic.entry(request.bucket).or_default();
                traffic.requests += 1;
                if let Some((since, _)) = self.waits.remove(request.bucket) {
                    traffic.waited += now.saturating_sub(since);
                }
            }
            Admission::At(time) => {
                let until = Duration::from_millis(time);
                self.waits.entry(request.bucket).or_insert((now, until)).1 = until;
            }
            Admission::AfterAnswer => {}
        }
        admission
    }
}

/// A request under way; dropped without an end, it counts as lost.
struct Flight<'a> {
    client: &'a Client,
    bucket: &'static str,
    lane: Lane,
    sent: u64,
    ended: bool,
}

impl Flight<'_> {
    fn end(mut self, ending: Ending) -> Option<Duration> {
        self.ended = true;
        self.tell(ending)
    }

    fn tell(&self, ending: Ending) -> Option<Duration> {
        let now = millis(self.client.clock.now());
        let mut state = self.client.state();
        state.throttled += u64::from(matches!(ending, Ending::Refused(_)));
        let wait = state.governor.end(self.bucket, self.lane, self.sent, now, ending);
        drop(state);
        self.client.ended.notify_waiters();
        wait
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.tell(Ending::Lost);
        }
    }
}

/// Reads a body into `body`, up to `max_bytes`.
async fn read_body(mut response: Response, body: &mut Vec<u8>, max_bytes: usize) -> Result<(), String> {
    let announced = response.content_length().and_then(|bytes| usize::try_from(bytes).ok());
    body.reserve(announced.unwrap_or(0).min(max_bytes));
    while let Some(chunk) = response.chunk().await.map_err(|error| in_words(&error))? {
        if body.len() + chunk.len() > max_bytes {
            return Err(format!("the answer is larger than {max_bytes} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(())
}

/// A transport error in one line, from the outermost to the innermost cause, without the address.
fn in_words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    let what = if error.is_connect() { "no connection" } else { "the answer was cut off" };
    causes.last().map_or_else(|| what.to_owned(), |last| format!("{what}: {last}"))
}

/// Path and query of a smaller page, if that is what Okta's refusal asks for.
fn smaller_page(request: &Request, refusal: &Refusal) -> Option<String> {
    refusal.asks_for_smaller_page().then(|| with_half_limit(&request.target, request.smallest_limit)).flatten()
}

fn limit_headers(headers: &HeaderMap) -> LimitHeaders {
    fn number<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
        headers.get(name)?.to_str().ok()?.trim().parse().ok()
    }
    let date = headers.get(DATE).and_then(|value| httpdate::parse_http_date(value.to_str().ok()?).ok());
    LimitHeaders {
        limit: number(headers, "x-rate-limit-limit"),
        remaining: number(headers, "x-rate-limit-remaining"),
        reset: number(headers, "x-rate-limit-reset"),
        date: date.and_then(|date| i64::try_from(date.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()),
        retry_after: number(headers, RETRY_AFTER.as_str()),
    }
}

fn text_of(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
