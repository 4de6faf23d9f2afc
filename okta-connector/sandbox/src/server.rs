//! One request from arrival to answer: principal, rate limit, fault, rights, endpoint, headers, journal.
//! Okta: every API answer carries the `x-rate-limit-*` of its bucket; `date` is the server's clock;
//! `/.well-known/okta-organization` needs no token. What was done is in the journal before anything can go wrong.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, IF_MATCH, USER_AGENT};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response};

use crate::answer::{self, Ready};
use crate::clock::Clock;
use crate::effect;
use crate::error::ApiError;
use crate::faults::{FaultAction, Faults};
use crate::journal::{Exchange, Journal};
use crate::limits::{Buckets, Standing, bucket};
use crate::oauth::{Credentials, signin};
use crate::org::Org;
use crate::payload::Payload;
use crate::principal::{Principal, View};
use crate::routes::{self, users};
use crate::wire::{Answer, Call, Outcome};

/// The largest request body read.
const LARGEST_BODY: usize = 4 << 20;

/// Below this, requests bring their own proof of who sends them.
const OPEN: [&str; 2] = ["oauth2", "v1"];

#[derive(Debug)]
pub(crate) struct Shared {
    pub base: String,
    pub clock: Clock,
    pub skew: i64,
    pub latency: Duration,
    pub gzip: bool,
    /// The share of a principal that is not known yet.
    pub share: u32,
    pub concurrent: Option<usize>,
    pub org: RwLock<Org>,
    pub buckets: Mutex<Buckets>,
    pub faults: Mutex<Faults>,
    pub journal: Journal,
    pub in_flight: AtomicUsize,
    pub most_in_flight: AtomicUsize,
    pub requests: AtomicU64,
}

/// Counts a request as in flight while it lives.
struct Flight<'a>(&'a AtomicUsize);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Answers one request; an error closes the connection without a byte.
pub(crate) async fn serve(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Payload>> {
    // Half of the way there and half of it back: a caller that leaves may have had its effect or not.
    let (there, back) = (shared.delay(shared.latency / 2), shared.delay(shared.latency));
    let in_flight = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
    let _flight = Flight(&shared.in_flight);
    shared.most_in_flight.fetch_max(in_flight, Ordering::SeqCst);
    let (head, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_BODY).collect().await.map_err(io::Error::other)?.to_bytes();
    there.await;
    let call = call(&head, body, shared.clock.now_millis());
    let bucket = bucket(&call.method, &call.segments);
    let mut exchange = Exchange {
        at_millis: call.now,
        method: call.method.to_string(),
        path: call.path.clone(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        bucket,
        principal: String::new(),
        status: 0,
        in_flight,
        user_agent: text(&head.headers, USER_AGENT.as_str()).unwrap_or_default(),
        bytes: 0,
        faulted: false,
        changed: false,
        created: None,
    };
    let gzip = shared.gzip && text(&head.headers, "accept-encoding").is_some_and(|accepted| accepted.contains("gzip"));
    let credentials = Credentials {
        authorization: text(&head.headers, AUTHORIZATION.as_str()),
        proofs: head.headers.get_all("dpop").iter().filter_map(|proof| Some(proof.to_str().ok()?.to_owned())).collect(),
        host: text(&head.headers, HOST.as_str()).unwrap_or_else(|| shared.base.replace("http://", "")),
        at: call.now + shared.skew,
    };
    let slow = lock(&shared.faults).delay(call.method.as_str(), &call.target());
    if let Some(wait) = slow {
        tokio::time::sleep(wait).await;
    }
    let (ready, fault) = shared.answer(call, &credentials, in_flight, &mut exchange);
    exchange.faulted = fault.is_some() || slow.is_some();
    let lost = matches!(fault, Some(FaultAction::ResetConnection | FaultAction::LoseAnswer));
    let response = (!lost).then(|| answer::respond(ready, fault.as_ref(), gzip));
    if let Some(response) = &response {
        exchange.status = response.status().as_u16();
        let size = response.body().size_hint().exact();
        exchange.bytes = size.and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
    }
    // Before any waiting: the caller may be gone by then, its effect is not.
    shared.journal.add(exchange);
    if let Some(FaultAction::SlowFirstByte(wait)) = fault {
        tokio::time::sleep(wait).await;
    }
    back.await;
    response.ok_or_else(|| io::ErrorKind::ConnectionReset.into())
}

impl Shared {
    /// Ends so long after this call, not after the first await.
    fn delay(&self, long: Duration) -> impl Future<Output = ()> + use<> {
        let sleep = (!long.is_zero()).then(|| tokio::time::sleep(long));
        async move {
            if let Some(sleep) = sleep {
                sleep.await;
            }
        }
    }

    /// The answer and the fault that still has to shape it.
    fn answer(
        &self,
        mut call: Call,
        credentials: &Credentials,
        in_flight: usize,
        exchange: &mut Exchange,
    ) -> (Ready, Option<FaultAction>) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let (now, bucket) = (call.now, exchange.bucket);
        let ready = |call: Call, standing: Option<Standing>, outcome: Outcome| {
            let outcome = outcome.unwrap_or_else(|error| answer::error(&error, number));
            Ready {
                call,
                answer: outcome,
                standing,
                base: self.base.clone(),
                at: now + self.skew,
                skew: self.skew,
                number,
            }
        };
        if call.segments.first().is_some_and(|first| first == ".well-known") {
            let outcome = match call.segments.get(1).map(String::as_str) {
                Some("openid-configuration") => Ok(signin::discovery(&credentials.host)),
                _ => self.route(&call, exchange),
            };
            return (ready(call, None, outcome), None);
        }
        let principal = if matches!(call.segments.as_slice(), [first, second, ..] if first == OPEN[0] && second == OPEN[1])
        {
            None
        } else {
            let found = Principal::of(&call, credentials, &self.org.read().unwrap_or_else(PoisonError::into_inner));
            match found {
                Ok(principal) => Some(principal),
                Err(refusal) => {
                    let peeked = lock(&self.buckets).peek(bucket, "", self.share, now);
                    return (ready(call, Some(peeked), Err(refusal)), None);
                }
            }
        };
        let (id, share) = principal.as_ref().map_or(("", self.share), |known| (known.id.as_str(), known.share));
        id.clone_into(&mut exchange.principal);
        if self.concurrent.is_some_and(|most| in_flight > most) {
            let peeked = lock(&self.buckets).peek(bucket, id, share, now);
            let none = Standing { limit: 0, remaining: 0, ..peeked };
            return (ready(call, Some(none), Err(ApiError::coded("E0000047"))), None);
        }
        let standing = lock(&self.buckets).take(bucket, id, share, now);
        if standing.refused {
            return (ready(call, Some(standing), Err(ApiError::coded("E0000047"))), None);
        }
        let fault = lock(&self.faults).due(call.method.as_str(), &call.target());
        if let Some((outcome, standing)) = fault.as_ref().and_then(|fault| answer::instead(fault, standing)) {
            return (ready(call, Some(standing), outcome), fault);
        }
        let mut outcome = self.carry_out(&mut call, credentials, principal.as_ref(), exchange);
        if let Some(FaultAction::ErrorAfter { status, code }) = &fault {
            outcome = Err(ApiError::coded(code).with_status(*status));
        }
        (ready(call, Some(standing), outcome), fault)
    }

    /// The endpoint's answer, once the caller may have it.
    fn carry_out(
        &self,
        call: &mut Call,
        credentials: &Credentials,
        principal: Option<&Principal>,
        exchange: &mut Exchange,
    ) -> Outcome {
        let org = || self.org.read().unwrap_or_else(PoisonError::into_inner);
        let Some(principal) = principal else {
            if call.method == Method::GET {
                let org = org();
                return org.oauth.open(call, credentials, &org);
            }
            let oauth = Arc::clone(&org().oauth);
            let (outcome, client_id) = oauth.token(call, credentials);
            exchange.principal = client_id;
            return outcome;
        };
        principal.caller.clone_into(&mut call.caller);
        let view = principal.may(call, exchange.bucket, &org())?;
        match view {
            View::Whole => self.route(call, exchange),
            View::Nothing => Ok(Answer::list("[]".to_owned(), call.page(users::LIMIT)?)),
        }
    }

    fn route(&self, call: &Call, exchange: &mut Exchange) -> Outcome {
        if self.org.read().unwrap_or_else(PoisonError::into_inner).unsettled(call.now) {
            let mut org = self.org.write().unwrap_or_else(PoisonError::into_inner);
            let read = routes::single_user(call, &org);
            org.settle(read, call.now);
        }
        if call.method == Method::GET {
            routes::read(call, &self.org.read().unwrap_or_else(PoisonError::into_inner))
        } else if [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(&call.method) {
            let mut org = self.org.write().unwrap_or_else(PoisonError::into_inner);
            let before = effect::state(&org, call);
            let outcome = routes::write(call, &mut org);
            exchange.changed = effect::state(&org, call) != before;
            if exchange.changed && call.method == Method::POST {
                exchange.created = outcome.as_ref().ok().and_then(|answer| created(call, answer));
            }
            outcome
        } else {
            Err(ApiError::coded("E0000022"))
        }
    }
}

/// The request, decoded.
fn call(head: &Parts, body: Bytes, now: i64) -> Call {
    let path = head.uri.path();
    let prefer = text(&head.headers, "prefer");
    Call {
        method: head.method.clone(),
        path: path.to_owned(),
        segments: Call::segments(path),
        query: Call::query(head.uri.query().unwrap_or_default()),
        body,
        now,
        caller: String::new(),
        if_match: text(&head.headers, IF_MATCH.as_str()),
        respond_async: prefer.is_some_and(|prefer| prefer.contains("respond-async")),
        omit_credentials: omits_credentials(&head.headers),
    }
}

/// The id of what a POST to a collection made.
fn created(call: &Call, answer: &Answer) -> Option<String> {
    let collection = matches!(call.segments.last()?.as_str(), "users" | "groups" | "apps" | "rules" | "user");
    let made: serde_json::Value = serde_json::from_slice(&answer.body).ok().filter(|_| collection)?;
    made["id"].as_str().map(str::to_owned)
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// `Content-Type: application/json; okta-response="omitCredentials,…"`, on a GET too.
fn omits_credentials(headers: &HeaderMap) -> bool {
    let Some(kind) = text(headers, CONTENT_TYPE.as_str()) else { return false };
    let Some((_, parameter)) = kind.split_once("okta-response=") else { return false };
    let list = parameter.trim_matches(|c| c == '"' || c == ' ').split(';').next().unwrap_or_default();
    list.trim_matches('"').split(',').any(|part| part.trim() == "omitCredentials")
}
