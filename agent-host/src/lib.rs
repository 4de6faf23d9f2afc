//! Placeholder.

pub mod init;
pub mod settings;
