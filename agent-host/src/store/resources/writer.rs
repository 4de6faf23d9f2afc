//! The one who changes directories: changes that come at the same time share a commit, and each is answered when it is
//! safe.
//!
//! A batch that the database refuses as a whole is repeated one by one, so that a change that cannot be kept harms no
//! other. Whether a change is allowed is looked at within the transaction that makes it.

use std::sync::Arc;

use scim_server::{Change, Deletion, Draft, Kind, Links, Resource, StoreError};
use sqlx::{AnyConnection, AnyPool, Connection};
use tokio::sync::{mpsc, oneshot};

use super::{super::Store, COME_BACK, PATIENCE, batch::Batch, batch::Failure};

/// Changes that wait, and that share a commit.
const MOST: usize = 256;

/// Takes changes for all directories of a store.
#[derive(Debug, Clone)]
pub struct ResourceWriter {
    sender: mpsc::Sender<Job>,
}

/// What is asked for.
#[derive(Debug)]
pub(super) enum Wish {
    Create { kind: Kind, draft: Draft },
    Update { kind: Kind, id: String, change: Change },
    Delete { kind: Kind, id: String, deletion: Deletion },
}

#[derive(Debug)]
pub(super) struct Job {
    pub(super) directory: i64,
    pub(super) actor: String,
    pub(super) wish: Wish,
    pub(super) links: Links,
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<Option<Resource>, StoreError>;

impl Store {
    /// Starts to take changes of directories; `now` is the time in milliseconds since 1970.
    pub fn resource_writer(&self, now: Arc<dyn Fn() -> i64 + Send + Sync>) -> ResourceWriter {
        let (sender, receiver) = mpsc::channel(MOST);
        tokio::spawn(keep(self.pool.clone(), receiver, now));
        ResourceWriter { sender }
    }
}

impl ResourceWriter {
    /// Makes a change, and returns when it is safe.
    pub(super) async fn change(&self, directory: i64, actor: &str, wish: Wish, links: Links) -> Answer {
        let (answer, answered) = oneshot::channel();
        let job = Job { directory, actor: actor.to_owned(), wish, links, answer };
        self.sender.send_timeout(job, PATIENCE).await.map_err(|_| StoreError::Busy(COME_BACK))?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Failed("the store takes no changes any more".into())))
    }
}

async fn keep(pool: AnyPool, mut receiver: mpsc::Receiver<Job>, now: Arc<dyn Fn() -> i64 + Send + Sync>) {
    let mut jobs = Vec::with_capacity(MOST);
    while receiver.recv_many(&mut jobs, MOST).await > 0 {
        // Whoever is about to ask for a change may do so now.
        tokio::task::yield_now().await;
        while jobs.len() < MOST
            && let Ok(job) = receiver.try_recv()
        {
            jobs.push(job);
        }
        let answers = match pool.acquire().await {
            Ok(mut connection) => carry_out(&mut connection, &jobs, &now).await,
            Err(error) => jobs.iter().map(|_| Err(StoreError::Failed(error.to_string().into()))).collect(),
        };
        for (job, answer) in jobs.drain(..).zip(answers) {
            // Whoever asked may be gone.
            let _ = job.answer.send(answer);
        }
    }
}

async fn carry_out(
    connection: &mut AnyConnection,
    jobs: &[Job],
    now: &Arc<dyn Fn() -> i64 + Send + Sync>,
) -> Vec<Answer> {
    match commit(connection, jobs, now()).await {
        Ok(answers) => answers,
        Err(error) if jobs.len() == 1 => vec![Err(StoreError::Failed(Box::new(error)))],
        Err(error) => {
            tracing::warn!("changes of directories are made one by one: {error}");
            let mut answers = Vec::with_capacity(jobs.len());
            for job in jobs {
                let alone = commit(connection, std::slice::from_ref(job), now()).await;
                let alone = alone.map_err(|error| StoreError::Failed(Box::new(error)));
                answers.push(alone.and_then(|mut answers| answers.pop().expect("one job has one answer")));
            }
            answers
        }
    }
}

/// All of them in one transaction. An error means that nothing is changed.
async fn commit(connection: &mut AnyConnection, jobs: &[Job], now_ms: i64) -> Result<Vec<Answer>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let mut batch = Batch::begin(&mut transaction, jobs, now_ms).await?;
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        match batch.make(job).await {
            Ok(resource) => answers.push(Ok(resource)),
            Err(Failure::Refused(refusal)) => answers.push(Err(refusal)),
            Err(Failure::Broken(error)) => return Err(error),
        }
    }
    batch.finish().await?;
    match transaction.commit().await {
        Ok(()) => Ok(answers),
        // Whether it is kept is not known: it must not be made a second time.
        Err(error) => {
            let told = error.to_string();
            Ok(jobs.iter().map(|_| Err(StoreError::Failed(told.clone().into()))).collect())
        }
    }
}
