//! Placeholder.
/// Placeholder.
#[derive(Debug)]
pub struct Mapping;
