//! The calls of SCIM clients, as they are remembered for whoever looks why Okta is not content.
//!
//! A call is noted after it was answered, in memory and bounded; once a second what came together goes to the store in one
//! transaction. No answer waits for that, and a crash takes the last second.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::http::{Method, StatusCode, Uri};
use scim_server::Error;

use super::{Directories, asked, check_name};
use crate::{
    password_reset::random_text,
    store::{CallKind, DirectoryCall, NewCalls},
};

/// Between two batches.
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// Names of directories in one batch: of those who came in …
const MOST_DIRECTORIES: usize = 1_000;
/// … and of whoever tries names.
const MOST_TRIED: usize = 100;
/// The longest address that is remembered with its query.
const LONGEST_ADDRESS: usize = 2_000;

/// A call that was answered.
#[derive(Debug)]
pub struct Call {
    /// When it came, in milliseconds since 1970.
    pub at_ms: i64,
    /// What it wanted to do.
    pub method: Method,
    /// Where; none where that is too long to be remembered.
    pub address: Option<Uri>,
    /// What it was answered.
    pub status: StatusCode,
    /// Why it was refused.
    pub refusal: Option<Error>,
    /// The public half of the secret, where it opened the directory.
    pub secret: Option<String>,
    /// How long the answer took, in milliseconds.
    pub took_ms: i64,
}

/// Calls that wait for the store.
#[derive(Debug)]
pub(super) struct Calls {
    /// By the directory's name in lower case.
    waiting: Mutex<HashMap<String, Waiting>>,
    next: AtomicU32,
    /// Tells these calls from those of another agent or time.
    mark: String,
}

#[derive(Debug, Default)]
struct Waiting {
    answered: VecDeque<Call>,
    refused: VecDeque<Call>,
    sign_ins: VecDeque<Call>,
    counts: NewCalls,
}

impl Call {
    /// The address as far as it is remembered.
    pub fn address(uri: &Uri) -> Option<Uri> {
        let query = uri.query().map_or(0, str::len);
        let path = uri.path().len();
        if path + query <= LONGEST_ADDRESS {
            return Some(uri.clone());
        }
        (path <= LONGEST_ADDRESS).then(|| uri.path().parse().ok()).flatten()
    }

    fn kind(&self) -> CallKind {
        let is_good = self.status.is_success() || self.status.is_redirection();
        match (&self.secret, self.status) {
            _ if is_good => CallKind::Answered,
            (None, StatusCode::UNAUTHORIZED | StatusCode::TOO_MANY_REQUESTS) => CallKind::SignIn,
            _ => CallKind::Refused,
        }
    }
}

impl Calls {
    pub(super) fn new() -> Self {
        // Without randomness there are no secrets either, and nobody calls.
        Self { waiting: Mutex::default(), next: AtomicU32::new(0), mark: random_text(9).unwrap_or_default() }
    }

    fn note(&self, directory: &str, call: Call) {
        if check_name(directory).is_err() {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let name = directory.to_lowercase();
        let most = if call.secret.is_some() { MOST_DIRECTORIES } else { MOST_TRIED };
        if waiting.len() >= most && !waiting.contains_key(&name) {
            return;
        }
        let of_name = waiting.entry(name).or_default();
        of_name.counts.count(call.at_ms, call.status.as_u16());
        let kind = call.kind();
        let calls = of_name.of(kind);
        if calls.len() >= kind.most_kept() {
            calls.pop_front();
        }
        calls.push_back(call);
    }

    /// What came since it was last asked.
    fn take(&self) -> HashMap<String, NewCalls> {
        let taken = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let batch = taken.into_iter().map(|(name, mut waiting)| {
            for kind in CallKind::ALL {
                let calls = std::mem::take(waiting.of(kind));
                waiting.counts.calls.extend(calls.into_iter().map(|call| self.record(call, kind)));
            }
            (name, waiting.counts)
        });
        batch.collect()
    }

    fn record(&self, call: Call, kind: CallKind) -> DirectoryCall {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        DirectoryCall {
            id: format!("{:015}-{next:010}-{}", call.at_ms, self.mark),
            at_ms: call.at_ms,
            kind,
            method: call.method.as_str().chars().take(16).collect(),
            path: call.address.as_ref().map_or_else(|| "…".to_owned(), asked::shown),
            status: call.status.as_u16(),
            scim_type: call.refusal.as_ref().and_then(|refusal| Some(refusal.kind()?.name().to_owned())),
            detail: call.refusal.zip(call.address).map(|(refusal, address)| asked::told(refusal.detail(), &address)),
            secret: call.secret,
            client: None,
            took_ms: call.took_ms,
        }
    }
}

impl Waiting {
    fn of(&mut self, kind: CallKind) -> &mut VecDeque<Call> {
        match kind {
            CallKind::Answered => &mut self.answered,
            CallKind::Refused => &mut self.refused,
            CallKind::SignIn => &mut self.sign_ins,
        }
    }
}

impl Directories {
    /// Remembers a call at the directory of this name, if there is one.
    pub fn note_call(&self, directory: &str, call: Call) {
        self.calls.note(directory, call);
    }

    /// Gives the store what was remembered. What it does not take is lost, and said.
    pub async fn keep_calls(&self) {
        for (name, new) in self.calls.take() {
            if let Err(error) = self.store.add_calls(&name, &new).await {
                tracing::error!(directory = name, error = format!("{error:#}"), "calls of clients cannot be kept");
            }
        }
    }

    /// Does so once a second, and writes down who tried in vain; never ends.
    pub async fn go_on_keeping_calls(&self) {
        loop {
            tokio::time::sleep(KEEP_EVERY).await;
            self.keep_calls().await;
            self.keep_attempts(false).await;
        }
    }

    /// Gives the store whatever is left, at the end.
    pub async fn finish(&self) {
        self.keep_calls().await;
        self.keep_attempts(true).await;
    }
}
