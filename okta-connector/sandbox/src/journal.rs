//! What was asked and answered: a bounded list in memory and, if wished, JSON lines in a file.
//! Never a token, a cookie, a body or a password: only what is named in [`Exchange`].

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, LineWriter, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// How many exchanges stay in memory.
const BOUND: usize = 1_000_000;

/// One request and how it was answered.
#[derive(Clone, Debug, Serialize)]
pub struct Exchange {
    /// When it was worked on, in milliseconds of the sandbox's clock.
    pub at_millis: i64,
    pub method: String,
    pub path: String,
    /// As sent, without the question mark.
    pub query: String,
    pub bucket: &'static str,
    /// The id of the API token or of the OAuth client; empty when there was none.
    pub principal: String,
    /// 0 when the connection was closed instead.
    pub status: u16,
    /// Requests in flight when this one arrived, itself included.
    pub in_flight: usize,
    pub user_agent: String,
    /// Length of the answer's body.
    pub bytes: usize,
    /// Whether a scripted fault struck.
    pub faulted: bool,
    /// Whether a write changed anything but dates; a membership that was there already does not.
    pub changed: bool,
    /// The id of what a POST created.
    pub created: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Journal {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    exchanges: VecDeque<Exchange>,
    file: Option<LineWriter<File>>,
}

impl Journal {
    pub(crate) fn new(file: Option<&Path>) -> io::Result<Self> {
        let file = file.map(File::create).transpose()?.map(LineWriter::new);
        Ok(Self { inner: Mutex::new(Inner { exchanges: VecDeque::new(), file }) })
    }

    pub(crate) fn add(&self, exchange: Exchange) {
        let mut inner = self.lock();
        if let Some(file) = &mut inner.file {
            let written =
                serde_json::to_string(&exchange).map_err(io::Error::other).and_then(|line| writeln!(file, "{line}"));
            if written.is_err() {
                inner.file = None;
            }
        }
        if inner.exchanges.len() == BOUND {
            inner.exchanges.pop_front();
        }
        inner.exchanges.push_back(exchange);
    }

    pub(crate) fn all(&self) -> Vec<Exchange> {
        self.lock().exchanges.iter().cloned().collect()
    }

    pub(crate) fn clear(&self) {
        self.lock().exchanges.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
