//! The body of a list whose resources have more links than memory shall hold: it is written piece by piece, each when the
//! one before is sent.
//!
//! What fails behind the first piece breaks the body off, which no client takes for the whole.

use std::pin::Pin;

use bytes::Bytes;
use futures::{
    Stream,
    stream::{self, StreamExt},
};
use serde::Serialize;

use crate::{
    error::{Error, Result},
    links::Completing,
    projection::Projection,
    search::refusal,
};

/// About so many bytes make a piece; a resource is never split.
const PIECE_BYTES: usize = 64 * 1024;

/// JSON on its way.
pub(crate) type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

struct Writing {
    resources: Completing,
    projection: Projection,
    base_url: String,
    /// What is not sent yet.
    text: String,
    written: usize,
    is_done: bool,
}

/// A list; `head` is an object of everything that stands before its resources. Fails as long as nothing is sent.
pub(crate) async fn list(
    head: &impl Serialize,
    resources: Completing,
    projection: Projection,
    base_url: &str,
) -> Result<Pieces> {
    let mut text = serde_json::to_string(head).expect("every name is a text");
    // The head is left open, and it is not empty.
    text.pop();
    text.push_str(",\"Resources\":[");
    let base_url = base_url.to_owned();
    let mut writing = Writing { resources, projection, base_url, text, written: 0, is_done: false };
    let first = writing.next().await?;
    let rest = stream::try_unfold(writing, |mut writing| async move {
        let piece = writing.next().await?;
        Ok::<_, Error>(piece.map(|piece| (piece, writing)))
    });
    Ok(stream::iter(first.map(Ok)).chain(rest).boxed())
}

impl Writing {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.is_done {
            return Ok(None);
        }
        while self.text.len() < PIECE_BYTES {
            let next = self.resources.next().await.map_err(|(kind, error)| refusal(error, kind, ""))?;
            let Some((kind, resource)) = next else {
                self.is_done = true;
                self.text.push_str(&format!("],\"itemsPerPage\":{}}}", self.written));
                break;
            };
            if self.written > 0 {
                self.text.push(',');
            }
            let shown = self.projection.show(kind, &resource, &self.base_url);
            self.text.push_str(&serde_json::to_string(&shown).expect("every name is a text"));
            self.written += 1;
        }
        Ok(Some(std::mem::take(&mut self.text).into()))
    }
}
