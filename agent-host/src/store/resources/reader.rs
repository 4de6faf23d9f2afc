//! Reads of single resources: those that wait at the same time share a statement.
//!
//! A statement begins after each of its questions was asked, so an answer is never older than the question, whoever
//! wrote, in this process or another: nothing is remembered, nothing can be stale. What costs is the way to the database
//! and back, and that is gone once for many. What the database refuses is asked again one by one, so that a question that
//! it cannot answer harms no other.

use std::{collections::HashMap, sync::Arc};

use futures::TryStreamExt;
use scim_server::{Field, Kind, Links, Resource, StoreError};
use tokio::sync::{Mutex, mpsc, oneshot};

use super::{
    super::Store,
    Bound, COME_BACK, PATIENCE, Statement, can_be_kept, column,
    rows::{self, padded, read_link, read_resource},
};

/// Questions that wait, and that share a statement.
const MOST: usize = 64;
/// Statements on their way at once: while one is carried out, questions for the next one gather.
const READERS: usize = 2;

/// Answers questions for single resources of all directories of a store.
#[derive(Debug, Clone)]
pub struct ResourceReader {
    sender: mpsc::Sender<Question>,
}

/// Questions of one shape can share a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Shape {
    pub(super) directory: i64,
    pub(super) kind: Kind,
    /// By a value of which there is one at most.
    pub(super) field: Field,
    /// None, or few.
    pub(super) links: Links,
}

#[derive(Debug)]
struct Question {
    shape: Shape,
    value: String,
    answer: oneshot::Sender<Answer>,
}

type Answer = Result<Option<Resource>, StoreError>;

impl Store {
    /// Starts to answer questions for single resources.
    pub fn resource_reader(&self) -> ResourceReader {
        let (sender, receiver) = mpsc::channel(MOST);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..READERS {
            tokio::spawn(keep(self.clone(), receiver.clone()));
        }
        ResourceReader { sender }
    }
}

impl ResourceReader {
    /// The resource in which the field has this value.
    pub(super) async fn read(&self, shape: Shape, value: String) -> Answer {
        if !can_be_kept(&value) {
            return Ok(None);
        }
        let (answer, answered) = oneshot::channel();
        let question = Question { shape, value, answer };
        self.sender.send_timeout(question, PATIENCE).await.map_err(|_| StoreError::Busy(COME_BACK))?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Failed("the store is not read any more".into())))
    }
}

async fn keep(store: Store, receiver: Arc<Mutex<mpsc::Receiver<Question>>>) {
    let mut waiting = Vec::with_capacity(MOST);
    loop {
        let mut receiver = receiver.lock().await;
        if receiver.recv_many(&mut waiting, MOST).await == 0 {
            return;
        }
        // Whoever is about to ask may do so now.
        tokio::task::yield_now().await;
        while waiting.len() < MOST
            && let Ok(question) = receiver.try_recv()
        {
            waiting.push(question);
        }
        drop(receiver);
        let mut shapes: HashMap<Shape, Vec<Question>> = HashMap::new();
        for question in waiting.drain(..) {
            shapes.entry(question.shape).or_default().push(question);
        }
        for (shape, questions) in shapes {
            answer(&store, shape, questions).await;
        }
    }
}

async fn answer(store: &Store, shape: Shape, questions: Vec<Question>) {
    let mut values: Vec<&str> = questions.iter().map(|question| question.value.as_str()).collect();
    values.sort_unstable();
    values.dedup();
    match read(store, shape, &values).await {
        Ok(found) => {
            for question in questions {
                // Whoever asked may be gone. Another may ask for the same.
                let _ = question.answer.send(Ok(found.get(&question.value).cloned()));
            }
        }
        // Where it cannot be reached at all, asking again would keep everybody waiting.
        Err(error) if values.len() == 1 || error.as_database_error().is_none() => {
            let told = error.to_string();
            for question in questions {
                let _ = question.answer.send(Err(StoreError::Failed(told.clone().into())));
            }
        }
        Err(error) => {
            tracing::warn!("questions to directories are asked one by one: {error}");
            for question in questions {
                let found = read(store, shape, &[&question.value]).await;
                let found = found.map(|mut found| found.remove(&question.value));
                let _ = question.answer.send(found.map_err(|error| StoreError::Failed(Box::new(error))));
            }
        }
    }
}

/// The resources with these values, by value.
async fn read(store: &Store, shape: Shape, values: &[&str]) -> Result<HashMap<String, Resource>, sqlx::Error> {
    let Shape { directory, kind, field, links } = shape;
    let mut statement = Statement::found(directory, kind, Some(field));
    let places: Vec<String> = padded(values.iter().map(|value| (*value).to_owned()))
        .into_iter()
        .map(|value| statement.bind(Bound::Text(value)))
        .collect();
    let column = column(field);
    statement.push(&format!(
        " AND {column} IN ({})) {}",
        places.join(", "),
        rows::selection(kind, links, column)
    ));
    let mut rows = statement.bound().fetch(&store.pool);
    let mut found: HashMap<String, Resource> = HashMap::new();
    let mut of_id: HashMap<String, String> = HashMap::new();
    let mut held = Vec::new();
    while let Some(row) = rows.try_next().await? {
        if let Some(link) = read_link(&row)? {
            held.push(link);
            continue;
        }
        let (value, resource) = read_resource(&row, links)?;
        let value = value.unwrap_or_default();
        of_id.insert(resource.id.clone(), value.clone());
        found.insert(value, resource);
    }
    for (owner, link) in held {
        let owner = of_id.get(&owner).and_then(|value| found.get_mut(value));
        if let Some(links) = owner.and_then(|owner| owner.links.as_mut()) {
            links.push(link);
        }
    }
    Ok(found)
}
