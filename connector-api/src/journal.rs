//! The journal of an order: what is about to be written, and what came of it.
//!
//! A managed system knows no transactions and may be written to by a process that dies in between. So a connector
//! tells the journal before each write and after it, and the host keeps that where it survives. The rule: after a write
//! whose outcome is unknown, read first and write only the difference.

use async_trait::async_trait;

use crate::error::Result;

/// Where a connector notes the steps of one order.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Notes that the write named `step` is about to be sent, and says what earlier attempts at it came to.
    ///
    /// `step` is unique in the order and the same at every attempt, such as `create` or `add groupsusers 00g1`.
    /// Returns when the note is safe from a crash.
    ///
    /// # Errors
    /// Where the note cannot be kept, or this process may no longer write: then nothing is sent, and the connector
    /// hands the error on.
    async fn begin(&self, step: &str) -> Result<Earlier>;

    /// Notes that the write named `step` was carried out. `result` is what later steps need of it, such as the
    /// identity of a record that was made; never a secret. Not called for a write that the system refused, unless the
    /// refusal says that what the step wants is so already, such as that the record exists: it is not sent again either.
    ///
    /// # Errors
    /// Where the note cannot be kept; the connector hands the error on and sends nothing more.
    async fn done(&self, step: &str, result: &str) -> Result<()>;
}

/// What is known of earlier attempts at a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Earlier {
    /// There were none.
    None,
    /// One began, and it is not known what came of it.
    Unknown,
    /// It was carried out, with this result: it is not to be sent again.
    Done(String),
}
