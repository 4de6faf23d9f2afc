//! Requests to one Okta organisation: admitted by the governor, bounded in size and time, repeated where that may help.
//!
//! What is repeated: refusals for frequency (after the wait they ask for), failures of the gateway and of the network,
//! answers that are cut or no JSON. What is not: everything Okta refuses for its content. One line is logged for each
//! repetition; a failure is the caller's to report. What writes need beyond that is in `write`. Each attempt is signed for itself, and credentials are sent to the
//! configured origin alone.

mod wire;
mod answer;
mod flight;
mod sign_in;
mod write;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use connector_api::{BucketTraffic, Error, ErrorKind, SPANS, TableProgress, Traffic};
use reqwest::{
    Method, Response,
    header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, LOCATION},
};
use secrecy::SecretString;
use tokio::sync::Notify;
use tracing::{Instrument, field::Empty};
use zeroize::Zeroize;

pub(crate) use self::write::{Body, Write, WriteFailure};
use self::{
    answer::{in_words, limit_headers, read_body, text_of},
    flight::{Flight, State},
    write::without,
};
use crate::{
    auth::{Pass, Tried},
    clock::{Clock, ServerTime},
    cursor::{next_link, with_half_limit},
    error::{Failure, Refusal},
    governor::{Admission, Ending, Governor, Lane, LimitHeaders},
    patience::Patience,
    settings::OktaSettings,
    tables::bucket,
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
    /// Okta's id of the request, which its support asks for; may be empty.
    pub request_id: String,
}

pub(crate) struct Client {
    http: reqwest::Client,
    settings: OktaSettings,
    clock: Arc<dyn Clock>,
    server_time: ServerTime,
    state: Mutex<State>,
    /// Signalled whenever a request has ended.
    ended: Notify,
    idle_buffers: Mutex<Vec<Vec<u8>>>,
}

/// What one try sends, whether it reads or writes.
struct Sending<'a> {
    method: Method,
    bucket: &'static str,
    lane: Lane,
    target: &'a str,
    what: &'a str,
    light: bool,
    body: Option<Bytes>,
    /// What must not be shown should Okta repeat it.
    secret: Option<&'a SecretString>,
}

/// What came of one try.
enum Outcome<T> {
    Success(Answer<T>),
    Throttled(LimitHeaders),
    Refused(Refusal),
    /// Something between us and Okta failed.
    Fault(Fault),
    Final(Error),
}

/// A failure between us and Okta.
struct Fault {
    /// In words.
    why: String,
    /// Whether Okta may have got the request.
    sent: bool,
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
        let http = wire::http_client(&settings)?;
        let state = State {
            governor: Governor::new(settings.rate_limit_share, settings.max_concurrency),
            traffic: BTreeMap::new(),
            waits: BTreeMap::new(),
            tables: BTreeMap::new(),
            throttled: 0,
            has_succeeded: false,
        };
        Ok(Self {
            http,
            settings,
            clock,
            server_time: ServerTime::unknown(),
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
        self.exchange(request, None, read).await
    }

    /// The same with a pass that is given; otherwise each attempt has the one it needs.
    async fn exchange<T>(
        &self,
        request: &mut Request,
        given: Option<Pass>,
        read: impl Fn(&str) -> serde_json::Result<T>,
    ) -> Result<Answer<T>, Failure> {
        let (mut patience, mut tried) = (Patience::new(self.settings.retry_budget), Tried::default());
        loop {
            let pass = match &given {
                Some(pass) => pass.clone(),
                None => self.pass_for(request.bucket, &Method::GET, &request.target).await?,
            };
            let sending = request.sending(if let Pass::Key(_) = pass { Method::POST } else { Method::GET });
            let flight = self.admitted(&sending).await;
            let started = self.clock.now();
            let (outcome, asked_wait) = self.attempt(&sending, &pass, &read, flight).await;
            let took = self.clock.now() - started;
            let has_answered = self.state().has_succeeded;
            let (wait, why) = match outcome {
                Outcome::Success(answer) => {
                    self.state().has_succeeded = true;
                    return Ok(answer);
                }
                Outcome::Final(error) => return Err(error.into()),
                Outcome::Refused(refusal) if self.signs_anew(&pass, &refusal, &mut tried) => continue,
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
                Outcome::Fault(fault) => (patience.after_fault(took, has_answered), fault.why),
            };
            let Some(wait) = wait else { return Err(given_up(&request.what, &patience, &why).into()) };
            tracing::info!(okta.request = request.what, why, wait_ms = millis(wait), "asking Okta again");
            self.pause(wait).await;
        }
    }

    /// Returns when so much time has passed.
    pub(crate) async fn pause(&self, wait: Duration) {
        self.clock.sleep_until(self.clock.now() + wait).await;
    }

    pub(crate) fn open_list(&self) {
        self.state().governor.open_list();
    }

    pub(crate) fn close_list(&self) {
        self.state().governor.close_list();
        self.ended.notify_waiters();
    }

    /// So many agents have the limits together from now on.
    pub(crate) fn share_among(&self, agents: u32) {
        self.state().governor.share_among(agents);
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
        for (bucket, traffic) in &mut by_bucket {
            traffic.limit = state.governor.limit_use(bucket);
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
    async fn admitted(&self, request: &Sending<'_>) -> Flight<'_> {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            let now = self.clock.now();
            let admission = self.state().admit(request, now);
            match admission {
                Admission::Go => {
                    return Flight::begun(self, request, now);
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
        request: &Sending<'_>,
        pass: &Pass,
        read: impl Fn(&str) -> serde_json::Result<T>,
        flight: Flight<'_>,
    ) -> (Outcome<T>, Option<Duration>) {
        let span = span_of(request);
        let exchanged = async {
            match self.send(request, pass).await {
                Err(error) => (Outcome::Fault(Fault { why: in_words(&error), sent: !error.is_connect() }), None),
                Ok(response) => {
                    let headers = limit_headers(response.headers());
                    span.record("http.response.status_code", i64::from(response.status().as_u16()));
                    flight.answered(response.status().as_u16());
                    (self.receive(response, headers, request, read).await, Some(headers))
                }
            }
        };
        let (outcome, headers) = exchanged.instrument(span.clone()).await;
        if !matches!(outcome, Outcome::Success(_)) {
            span.record("otel.status_code", "ERROR");
        }
        drop(span);
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

    async fn send(&self, request: &Sending<'_>, pass: &Pass) -> reqwest::Result<Response> {
        // Set apart, path and query cannot change where the request goes, whatever a link holds.
        let mut url = self.settings.server.clone();
        let (path, query) = request.target.split_once('?').map_or((request.target, None), |(p, q)| (p, Some(q)));
        url.set_path(path);
        url.set_query(query);
        let mut builder = self.signed(pass, request.method.clone(), url).header(ACCEPT, "application/json");
        if request.light {
            builder = builder.header(CONTENT_TYPE, LIGHT);
        }
        match &request.body {
            Some(body) => builder = builder.header(CONTENT_TYPE, "application/json").body(body.clone()),
            // Okta's gateway refuses a write whose length is not told.
            None if request.method != Method::GET && !matches!(pass, Pass::Key(_)) => {
                builder = builder.header(CONTENT_LENGTH, 0);
            }
            None => {}
        }
        builder.send().await
    }

    async fn receive<T>(
        &self,
        response: Response,
        headers: LimitHeaders,
        request: &Sending<'_>,
        read: impl Fn(&str) -> serde_json::Result<T>,
    ) -> Outcome<T> {
        let status = response.status();
        let challenge = self.learn(response.headers(), headers);
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
            let redact = |text: &str| without(request.secret, &self.settings.auth.redact(text));
            let refusal = Refusal::read(status.as_u16(), &body, &request_id, redact);
            return Outcome::Refused(Refusal { challenge, of_app: self.settings.auth.app().is_some(), ..refusal });
        }
        let request_id = text_of(response.headers(), "x-okta-request-id");
        let next = match next_link(response.headers()) {
            Ok(next) => next,
            Err(why) => return Outcome::Fault(Fault::answered(why)),
        };
        let mut body = self.buffers().pop().unwrap_or_default();
        let outcome = match read_body(response, &mut body, MAX_BODY_BYTES).await {
            Err(why) => Outcome::Fault(Fault::answered(why)),
            Ok(()) => match simdutf8::basic::from_utf8(&body).map(read) {
                Err(_) => Outcome::Fault(Fault::answered("the answer is not UTF-8")),
                Ok(Err(error)) => Outcome::Fault(Fault::answered(format!(
                    "the answer is no JSON of the kind expected (line {}, column {})",
                    error.line(),
                    error.column()
                ))),
                Ok(Ok(value)) => Outcome::Success(Answer { value, next, request_id }),
            },
        };
        // Answers to writes may hold links and tokens that let people in.
        if request.bucket == bucket::TOKEN || request.method != Method::GET {
            body.zeroize();
        }
        body.clear();
        let mut idle = self.buffers();
        if idle.len() < MAX_IDLE_BUFFERS && body.capacity() <= MAX_IDLE_BYTES {
            idle.push(body);
        }
        outcome
    }

    fn redirected(&self, response: &Response, request: &Sending<'_>) -> Error {
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

/// The span of one attempt, by the request's bucket: its own path may name somebody.
fn span_of(request: &Sending<'_>) -> tracing::Span {
    tracing::info_span!(
        target: SPANS,
        "request",
        otel.name = format_args!("{} {}", request.method, request.bucket),
        otel.kind = "client",
        otel.status_code = Empty,
        http.request.method = request.method.as_str(),
        okta.bucket = request.bucket,
        http.response.status_code = Empty,
    )
}

impl Request {
    fn sending(&self, method: Method) -> Sending<'_> {
        Sending {
            method,
            bucket: self.bucket,
            lane: self.lane,
            target: &self.target,
            what: &self.what,
            light: self.light,
            body: None,
            secret: None,
        }
    }
}

impl Fault {
    /// Okta got the request, or what stands before it: the answer is of no use.
    fn answered(why: impl Into<String>) -> Self {
        Self { why: why.into(), sent: true }
    }
}

/// Path and query of a smaller page, if that is what Okta's refusal asks for.
fn smaller_page(request: &Request, refusal: &Refusal) -> Option<String> {
    refusal.asks_for_smaller_page().then(|| with_half_limit(&request.target, request.smallest_limit)).flatten()
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn given_up(what: &str, patience: &Patience, why: &str) -> Error {
    let message = format!("{what}: gave up after {patience}: {why}");
    let hint = "see whether the organisation is reachable from here and run again later";
    Error::new(ErrorKind::Unavailable, message).with_hint(hint)
}
