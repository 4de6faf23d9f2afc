//! The product tested as a whole, and the habits of its repository.

mod api;
mod agents;
mod audit;
mod buckets;
mod certificates;
mod check;
mod daemon;
mod dashboard;
mod demo;
mod dependencies;
mod export;
mod faults;
mod fulfill;
mod guard;
mod import;
mod jobs;
mod killed;
mod mapping;
mod packaging;
mod moto;
mod password;
mod progress;
mod protection;
mod readme;
mod refusals;
mod scim;
mod secrecy;
mod settings;
#[cfg(feature = "otel")]
mod telemetry;
mod tidy;
mod transport;
mod vaults;
