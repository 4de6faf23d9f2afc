//! The wish that a run end soon: orders under way are finished, the others are kept for the next run.

use std::{
    error::Error as StdError,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Shared by who asks and the run that is asked.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Wish>);

#[derive(Debug, Default)]
struct Wish {
    is_heeded: AtomicBool,
    is_asked: AtomicBool,
}

impl Stop {
    /// Asks to end. Says whether a run heeds that: if not, nothing was sent that must be finished.
    pub fn ask(&self) -> bool {
        self.0.is_asked.store(true, Ordering::Relaxed);
        self.0.is_heeded.load(Ordering::Relaxed)
    }

    pub(super) fn heed(&self) {
        self.0.is_heeded.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_asked(&self) -> bool {
        self.0.is_asked.load(Ordering::Relaxed)
    }
}

/// A run ended before its time because it was asked to.
#[derive(Debug)]
pub struct Stopped(pub(super) String);

impl Stopped {
    /// What to do about it, as a sentence without its full stop.
    pub fn hint(&self) -> &'static str {
        "they are kept: run again when you like"
    }
}

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Stopped {}
