//! One request from arrival to answer: token, rate limit, fault, endpoint, headers, journal.
//! Okta: every API answer carries the `x-rate-limit-*` of its bucket; `date` is the server's clock;
//! `/.well-known/okta-organization` needs no token.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, IF_MATCH, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Response};

use crate::answer::{self, Ready};
use crate::clock::Clock;
use crate::error::ApiError;
use crate::faults::{FaultAction, Faults};
use crate::journal::{Exchange, Journal};
use crate::limits::{Buckets, Standing, bucket};
use crate::org::Org;
use crate::payload::Payload;
use crate::routes;
use crate::user::Status;
use crate::wire::{Call, Outcome};

/// The largest request body read.
const LARGEST_BODY: usize = 4 << 20;

#[derive(Debug)]
pub(crate) struct Shared {
    pub base: String,
    pub clock: Clock,
    pub skew: i64,
    pub latency: Duration,
    pub gzip: bool,
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
    let in_flight = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
    let _flight = Flight(&shared.in_flight);
    shared.most_in_flight.fetch_max(in_flight, Ordering::SeqCst);
    let (head, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_BODY).collect().await.map_err(io::Error::other)?.to_bytes();
    if !shared.latency.is_zero() {
        tokio::time::sleep(shared.latency).await;
    }
    let path = head.uri.path();
    let call = Call {
        method: head.method,
        path: path.to_owned(),
        segments: Call::segments(path),
        query: Call::query(head.uri.query().unwrap_or_default()),
        body,
        now: shared.clock.now_millis(),
        caller: String::new(),
        if_match: text(&head.headers, IF_MATCH.as_str()),
        omit_credentials: omits_credentials(&head.headers),
    };
    let bucket = bucket(&call.method, &call.segments);
    let mut exchange = Exchange {
        at_millis: call.now,
        method: call.method.to_string(),
        path: call.path.clone(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        bucket,
        status: 0,
        in_flight,
        user_agent: text(&head.headers, USER_AGENT.as_str()).unwrap_or_default(),
        bytes: 0,
        faulted: false,
    };
    let gzip = shared.gzip && text(&head.headers, "accept-encoding").is_some_and(|accepted| accepted.contains("gzip"));
    let token = text(&head.headers, AUTHORIZATION.as_str());
    let (ready, fault) = shared.answer(call, token.as_deref(), bucket, in_flight);
    exchange.faulted = fault.is_some();
    if let Some(FaultAction::SlowFirstByte(wait)) = fault {
        tokio::time::sleep(wait).await;
    }
    if matches!(fault, Some(FaultAction::ResetConnection | FaultAction::LoseAnswer)) {
        shared.journal.add(exchange);
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    let response = answer::respond(ready, fault.as_ref(), gzip);
    exchange.status = response.status().as_u16();
    exchange.bytes = response.body().size_hint().exact().and_then(|size| usize::try_from(size).ok()).unwrap_or(0);
    shared.journal.add(exchange);
    Ok(response)
}

impl Shared {
    /// The answer and the fault that still has to shape it.
    fn answer(
        &self,
        mut call: Call,
        token: Option<&str>,
        bucket: &'static str,
        in_flight: usize,
    ) -> (Ready, Option<FaultAction>) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let now = call.now;
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
            let outcome = self.route(&call);
            return (ready(call, None, outcome), None);
        }
        let peeked = lock(&self.buckets).peek(bucket, now);
        match self.admit(token, now) {
            Some(user) => call.caller = user,
            None => return (ready(call, Some(peeked), Err(ApiError::coded("E0000011"))), None),
        }
        if self.concurrent.is_some_and(|most| in_flight > most) {
            let none = Standing { limit: 0, remaining: 0, ..peeked };
            return (ready(call, Some(none), Err(ApiError::coded("E0000047"))), None);
        }
        let standing = lock(&self.buckets).take(bucket, now);
        if standing.refused {
            return (ready(call, Some(standing), Err(ApiError::coded("E0000047"))), None);
        }
        let target = call.target();
        let fault = lock(&self.faults).due(call.method.as_str(), &target);
        if let Some((outcome, standing)) = fault.as_ref().and_then(|fault| answer::instead(fault, standing)) {
            return (ready(call, Some(standing), outcome), fault);
        }
        let outcome = match self.denied(token, &call.path, bucket, now) {
            true => Err(ApiError::coded("E0000006")),
            false => self.route(&call),
        };
        (ready(call, Some(standing), outcome), fault)
    }

    fn route(&self, call: &Call) -> Outcome {
        if self.org.read().unwrap_or_else(PoisonError::into_inner).unsettled(call.now) {
            self.org.write().unwrap_or_else(PoisonError::into_inner).settle(call.now);
        }
        if call.method == Method::GET {
            routes::read(call, &self.org.read().unwrap_or_else(PoisonError::into_inner))
        } else if [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(&call.method) {
            routes::write(call, &mut self.org.write().unwrap_or_else(PoisonError::into_inner))
        } else {
            Err(ApiError::coded("E0000022"))
        }
    }

    /// The user of a good token; a token dies with the user it acts as.
    fn admit(&self, header: Option<&str>, now: i64) -> Option<String> {
        let secret = header?.strip_prefix("SSWS ")?;
        let org = self.org.read().unwrap_or_else(PoisonError::into_inner);
        let token = org.tokens.by_secret(org.hash(secret), now)?;
        let dead = match org.users.row(&token.user).and_then(|row| org.users.get(row)) {
            Some(user) => matches!(user.status, Status::Deprovisioned | Status::Suspended),
            None => !token.user.is_empty(),
        };
        (!dead).then(|| token.user.clone())
    }

    fn denied(&self, header: Option<&str>, path: &str, bucket: &str, now: i64) -> bool {
        let org = self.org.read().unwrap_or_else(PoisonError::into_inner);
        let secret = header.and_then(|header| header.strip_prefix("SSWS ")).unwrap_or_default();
        org.tokens.by_secret(org.hash(secret), now).is_some_and(|token| token.is_denied(path, bucket))
    }
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
