//! Ctrl-C, and the signal that asks a program to end: the command is dropped where it waits, so that it tidies up.
//!
//! What must not be cut in two, such as a publication, does not wait and is not interrupted. A run of orders finishes
//! those under way and reports them, unless it is asked twice.

use std::{error::Error, fmt, future::Future, pin::pin};

use crate::fulfill::Stop;

/// Somebody asked the program to end before it was done.
#[derive(Debug)]
pub(super) struct Interrupted;

impl Interrupted {
    /// What to do about it, as a sentence without its full stop.
    pub(super) fn hint(&self) -> &'static str {
        "files that were published before are as they were; start again when you like"
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted before it was done")
    }
}

impl Error for Interrupted {}

/// What the command comes to, unless somebody asks the program to end before. A run that heeds `stop` finishes what is
/// under way; who asks twice does not wait for it.
pub(super) async fn unless_interrupted<T>(
    stop: &Stop,
    command: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let mut command = pin!(command);
    tokio::select! {
        // In this order: from the first step of the command on, somebody listens.
        biased;
        () = asked_to_end() => {}
        outcome = &mut command => return outcome,
    }
    if !stop.ask() {
        return Err(Interrupted.into());
    }
    tracing::warn!("asked to end: what is under way is finished first; ask again to end at once");
    tokio::select! {
        biased;
        () = asked_to_end() => Err(Interrupted.into()),
        outcome = command => outcome,
    }
}

/// Comes when somebody asks the program to end.
#[cfg(unix)]
pub(super) async fn asked_to_end() {
    use tokio::signal::unix::{SignalKind, signal};

    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        // Without handlers the signals end the program as they always do.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Comes when somebody asks the program to end.
#[cfg(not(unix))]
pub(super) async fn asked_to_end() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}

/// SIGHUP, from now on.
#[derive(Debug)]
pub(super) struct HangUps(#[cfg(unix)] Option<tokio::signal::unix::Signal>);

/// Listens for SIGHUP, which no longer ends the program then.
pub(super) fn hang_ups() -> HangUps {
    #[cfg(unix)]
    let heard = HangUps(tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok());
    #[cfg(not(unix))]
    let heard = HangUps();
    heard
}

impl HangUps {
    /// Whether one has come; false where none can come any more.
    pub(super) async fn come(&mut self) -> bool {
        #[cfg(unix)]
        if let Some(signal) = &mut self.0 {
            return signal.recv().await.is_some();
        }
        false
    }
}
