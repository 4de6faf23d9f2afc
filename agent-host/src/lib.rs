#![doc = include_str!("../README.md")]

pub mod redaction;
pub mod access;
mod disk;
pub mod settings;
pub mod init;
pub mod store;
pub mod inbox;
pub mod connections;
pub mod agent;
pub mod schema_xml;
pub mod orders;
pub mod export;
pub mod mail;
pub mod password_reset;
pub mod fulfill;
pub mod complaint;
pub mod check;
pub mod jobs;
pub mod credential;
pub mod directories;
pub mod operators;
pub mod tokens;
pub mod web;
pub mod demo;
pub mod cli;
