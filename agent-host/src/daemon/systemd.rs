//! What the agent tells systemd, or whoever else listens at `$NOTIFY_SOCKET`: that it is ready, that it is alive.
//!
//! Nobody need listen; who does has a path, as systemd has. The library waits until what it sent is taken, and nothing else
//! may: a thread of its own speaks, and what is said while it does not come through is dropped. Source: sd_notify(3).

#[cfg(unix)]
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// What waits to be heard, at the most.
#[cfg(unix)]
const WAITING: usize = 16;

/// What is told.
#[derive(Debug)]
pub(super) enum Word {
    /// The start or the reload is over.
    Ready,
    /// The settings are read anew.
    Reloading,
    /// The agent comes to its end.
    Stopping,
    /// It is alive.
    Alive,
    /// How it is, in one line.
    Status(String),
    /// A start or an end that takes so long from now on is to be waited for.
    Extend(Duration),
}

/// The way to whoever listens.
#[derive(Debug)]
pub(super) struct Systemd {
    #[cfg(unix)]
    words: SyncSender<Vec<Word>>,
}

impl Systemd {
    /// Begins to speak, where somebody listens.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(super) fn begin() -> std::io::Result<Self> {
        #[cfg(unix)]
        {
            let (words, said) = sync_channel(WAITING);
            std::thread::Builder::new().name("systemd".to_owned()).spawn(move || speak(&said))?;
            Ok(Self { words })
        }
        #[cfg(not(unix))]
        Ok(Self {})
    }

    /// Says this, in one message.
    pub(super) fn say(&self, words: impl Into<Vec<Word>>) {
        #[cfg(unix)]
        if let Err(TrySendError::Full(words)) = self.words.try_send(words.into()) {
            tracing::debug!("nobody hears {words:?}: what was said before is not read");
        }
        #[cfg(not(unix))]
        let _ = words;
    }
}

/// How often systemd wants to hear that this process is alive, where it does.
pub(super) fn watchdog() -> Option<Duration> {
    #[cfg(unix)]
    let time = sd_notify::watchdog_enabled();
    #[cfg(not(unix))]
    let time = None;
    time
}

#[cfg(unix)]
fn speak(said: &Receiver<Vec<Word>>) {
    let mut has_failed = false;
    for words in said {
        let Err(error) = tell(&words) else { continue };
        if has_failed {
            tracing::debug!("nobody hears {words:?}: {error}");
        } else {
            tracing::warn!("`$NOTIFY_SOCKET` cannot be spoken to: {error}");
        }
        has_failed = true;
    }
}

#[cfg(unix)]
fn tell(words: &[Word]) -> std::io::Result<()> {
    use sd_notify::NotifyState;

    // The library's own counts in 32 bits, which end after 71 minutes.
    let extended = words.iter().find_map(|word| match word {
        Word::Extend(time) => Some(format!("EXTEND_TIMEOUT_USEC={}", time.as_micros())),
        _ => None,
    });
    let mut states = Vec::with_capacity(words.len() + 1);
    for word in words {
        match word {
            Word::Ready => states.push(NotifyState::Ready),
            // With the time, by which systemd knows which reload is answered.
            Word::Reloading => states.extend([NotifyState::Reloading, NotifyState::monotonic_usec_now()?]),
            Word::Stopping => states.push(NotifyState::Stopping),
            Word::Alive => states.push(NotifyState::Watchdog),
            Word::Status(text) => states.push(NotifyState::Status(text)),
            Word::Extend(_) => states.extend(extended.as_deref().map(NotifyState::Custom)),
        }
    }
    sd_notify::notify(&states)
}
