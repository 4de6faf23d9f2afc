//! The files of an export: sorted, complete, and in place all at once.

pub mod csv_file;
pub mod file_error;
pub mod guard;
pub mod manifest;
pub mod publish;
mod sort;
mod step;
