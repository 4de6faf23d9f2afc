#![doc = include_str!("../README.md")]

pub mod redaction;
pub mod settings;
pub mod init;
pub mod connections;
pub mod agent;
pub mod export;
pub mod demo;
pub mod cli;
