//! Why a file, a key or a value is of no use: said by who reads it, who does not know where it is named.

use std::fmt;

/// Why something is of no use, and what to do about it; both go on a sentence that begins with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unusable {
    pub(crate) what: String,
    pub(crate) hint: String,
}

impl Unusable {
    pub(crate) fn new(what: impl fmt::Display, hint: impl fmt::Display) -> Self {
        Self { what: what.to_string(), hint: hint.to_string() }
    }
}
