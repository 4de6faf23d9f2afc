#![doc = include_str!("../README.md")]

pub mod capabilities;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod connector;
pub mod error;
pub mod mapping;
pub mod settings;
pub mod table;
pub mod traffic;

pub use async_trait::async_trait;
pub use capabilities::{Capabilities, ConnectionReport, Problem, Side, TableCapability};
pub use connector::{Connector, ExportStream};
pub use error::{Error, ErrorKind, Result};
pub use mapping::Mapping;
pub use settings::{ConnectionId, ConnectionSettings};
pub use table::{Column, ColumnKind, ColumnSchema, RecordBatch, Records, Table, TableSchema};
pub use traffic::{BucketPlan, BucketTraffic, ExportPlan, TableProgress, Traffic};
