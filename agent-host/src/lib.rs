#![doc = include_str!("../README.md")]

pub mod redaction;
pub mod settings;
mod disk;
pub mod init;
pub mod connections;
pub mod agent;
pub mod store;
pub mod orders;
pub mod export;
pub mod fulfill;
pub mod demo;
pub mod cli;
