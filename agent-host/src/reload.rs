//! The wish that the settings be read anew: whoever has changed them asks, the daemon reads, and says what came of it.

use tokio::sync::{mpsc, oneshot};

/// Wishes that wait to be heard; more of them wait to be uttered.
const MOST_WAITING: usize = 16;

/// By which to ask.
#[derive(Debug, Clone)]
pub struct Reload(mpsc::Sender<Wish>);

/// Where the wishes arrive.
#[derive(Debug)]
pub struct Reloads(mpsc::Receiver<Wish>);

/// One wish, to be answered.
#[derive(Debug)]
pub struct Wish(oneshot::Sender<Result<(), String>>);

/// Both ends.
pub fn reload() -> (Reload, Reloads) {
    let (wishes, heard) = mpsc::channel(MOST_WAITING);
    (Reload(wishes), Reloads(heard))
}

impl Reload {
    /// Asks that the settings be read anew, and waits until they hold for whatever begins from now on.
    ///
    /// # Errors
    /// Why they cannot be used, in words; the former ones go on.
    pub async fn ask(&self) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        let gone = || "nobody is there to read the settings: they hold from the agent's next start on".to_owned();
        self.0.send(Wish(answer)).await.map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Reloads {
    /// The next wish, with all that wait beside it; never where nobody can ask any more.
    pub async fn next(&mut self) -> Vec<Wish> {
        let mut wishes = Vec::new();
        if self.0.recv_many(&mut wishes, MOST_WAITING).await == 0 {
            std::future::pending::<()>().await;
        }
        wishes
    }
}

impl Wish {
    /// Says what came of it.
    pub fn answer(self, outcome: Result<(), String>) {
        // Who does not wait for it need not know.
        let _ = self.0.send(outcome);
    }
}
