#![doc = include_str!("../README.md")]

pub mod error;
pub mod problems;
pub mod settings;
pub mod table;
pub mod capabilities;
pub mod traffic;
pub mod password;
pub mod order;
pub mod journal;
pub mod connector;
pub mod mapping;
#[cfg(feature = "conformance")]
pub mod conformance;

pub use async_trait::async_trait;
pub use capabilities::{Capabilities, ConnectionReport, Problem, Side, TableCapability};
pub use connector::{Connector, ExportStream};
pub use error::{Error, ErrorKind, Result};
pub use journal::{Earlier, Journal};
pub use mapping::Mapping;
pub use order::{
    AttributeChange, ChangeType, Effect, ForeseenEffect, Fulfillment, LinkAction, LinkChange, Outlook, Preview,
    ProvisioningOrder, RecordKey,
};
pub use password::{Account, NewPassword, PasswordAction, PasswordEffect, PasswordOutcome, PasswordReset};
pub use problems::{ProblemList, Problems};
pub use settings::{ConnectionId, ConnectionSettings};
pub use table::{Column, ColumnKind, ColumnSchema, RecordBatch, Records, Table, TableSchema};
pub use traffic::{BucketPlan, BucketTraffic, ExportPlan, LimitUse, SPANS, TableProgress, Traffic};
