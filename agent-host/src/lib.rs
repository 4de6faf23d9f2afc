#![doc = include_str!("../README.md")]

pub mod redaction;
pub mod access;
pub mod reload;
pub mod settings;
mod disk;
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
pub mod jobs;
pub mod directories;
pub mod web;
pub mod daemon;
pub mod demo;
pub mod cli;
