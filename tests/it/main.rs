//! The product tested as a whole, and the habits of its repository.

mod api;
mod certificates;
mod check;
mod demo;
mod dependencies;
mod export;
mod faults;
mod fulfill;
mod guard;
mod jobs;
mod killed;
mod mapping;
mod password;
mod progress;
mod protection;
mod refusals;
mod scim;
mod secrecy;
mod settings;
mod tidy;
mod transport;
mod vaults;
