//! An order taken up when its turn has come: read again from its file, and left without what other orders overrule.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    sync::{Mutex, PoisonError},
};

use connector_api::{Error, ErrorKind, LinkAction, ProvisioningOrder, Result};
use secrecy::zeroize::Zeroizing;

use super::index::{Entry, Index, Verdict, hash};
use crate::orders::{Head, MAX_ORDER_BYTES, Vocabulary, WantedPassword};

/// Takes orders up.
#[derive(Debug)]
pub(super) struct OrderReader<'a> {
    pub(super) index: &'a Index,
    vocabulary: &'a Vocabulary<'a>,
    open: Mutex<Option<(u32, File)>>,
}

/// An order whose turn has come.
#[derive(Debug)]
pub(super) struct TakenUp {
    pub(super) head: Head,
    pub(super) task: Task,
    /// What the results say beside the outcome.
    pub(super) notes: Vec<String>,
    /// The first password that the order's account gets from us.
    pub(super) first_password: Option<WantedPassword>,
}

/// What is to be done about an order.
#[derive(Debug)]
pub(super) enum Task {
    /// A connector carries it out.
    CarryOut(Box<ProvisioningOrder>),
    /// Nothing: others of the run overrule all it wants.
    Nothing,
    /// What came of the order of this index came of it too.
    Follow(u32),
    /// Nothing: it cannot be carried out, for this reason.
    Refuse(String),
}

impl<'a> OrderReader<'a> {
    pub(super) fn new(index: &'a Index, vocabulary: &'a Vocabulary<'a>) -> Self {
        Self { index, vocabulary, open: Mutex::new(None) }
    }

    /// Takes the order of this index up.
    ///
    /// # Errors
    /// Of kind `Unavailable`: the file is not as it was when the run began.
    pub(super) fn take_up(&self, at: u32) -> Result<TakenUp> {
        let entry = &self.index.entries[at as usize];
        let file = &self.index.files[entry.file as usize];
        let changed = || {
            let what = format!("`{}` has changed since the run began", file.path.display());
            Error::new(ErrorKind::Unavailable, what).with_hint("run again")
        };
        let text = self.text(entry).map_err(|error| changed().with_source(error))?;
        if hash([text.as_slice()]) != entry.hash {
            return Err(changed());
        }
        let read = self.vocabulary.read(&entry.found(), &text).map_err(|_| changed())?;
        let mut first_password = None;
        let (task, notes) = match (entry.verdict, read.resolved) {
            (Verdict::AfterDeletion(by), _) => {
                let why = format!("{} deletes the record before", self.named(by));
                (Task::Refuse(why), Vec::new())
            }
            (Verdict::Ambiguous(other), _) => {
                let why =
                    format!("{} has the same id and says something else; neither is carried out", self.named(other));
                (Task::Refuse(why), Vec::new())
            }
            (Verdict::Repeats(other), _) => {
                (Task::Follow(other), vec![format!("{} is the same, and was carried out once", self.named(other))])
            }
            (Verdict::Due, Err(why)) => (Task::Refuse(why), Vec::new()),
            (Verdict::Due, Ok(resolved)) => {
                let mut order = resolved.order;
                first_password = resolved.first_password;
                let overruled = self.leave_out_links(at, &mut order);
                let is_empty = order.values.is_empty() && order.links.is_empty() && order.password.is_none();
                let task = if is_empty && !overruled.is_empty() && order.key.is_some() {
                    Task::Nothing
                } else {
                    Task::CarryOut(Box::new(order))
                };
                (task, resolved.note.into_iter().chain(overruled).collect())
            }
        };
        Ok(TakenUp { head: read.head, task, notes, first_password })
    }

    /// Removes links from the order that a later one wants otherwise; says which.
    fn leave_out_links(&self, at: u32, order: &mut ProvisioningOrder) -> Vec<String> {
        let mut notes = Vec::new();
        let mut nth = 0;
        order.links.retain(|link| {
            let cancelled = self.index.link_cancelled(at, nth);
            nth += 1;
            if let Some(by) = cancelled {
                let (done, undone) = match link.action {
                    LinkAction::Add => ("added", "removes"),
                    LinkAction::Remove => ("removed", "adds"),
                };
                let later = self.named(by);
                notes.push(format!("the link to `{}` is not {done}: {later} {undone} it", link.other.value));
            }
            cancelled.is_none()
        });
        notes
    }

    fn named(&self, at: u32) -> String {
        let file = &self.index.files[self.index.entries[at as usize].file as usize];
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        format!("order {} of `{name}`", at as usize - file.first + 1)
    }

    fn text(&self, entry: &Entry) -> io::Result<Zeroizing<Vec<u8>>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_none_or(|(file, _)| *file != entry.file) {
            *open = Some((entry.file, File::open(&self.index.files[entry.file as usize].path)?));
        }
        let (_, file) = open.as_mut().expect("it was opened just now");
        let length = usize::try_from(entry.length).unwrap_or(usize::MAX).min(MAX_ORDER_BYTES);
        let mut text = Zeroizing::new(vec![0; length]);
        file.seek(SeekFrom::Start(entry.offset))?;
        file.read_exact(&mut text)?;
        Ok(text)
    }
}
