#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

mod error;
mod letters;
mod json;
mod schema;
mod syntax;
mod parser;
mod resource;
mod view;
mod store;
mod place;
mod directory;
mod filter;
mod values;
mod patch;
mod projection;
mod parameters;
mod cursor;
mod links;
mod search;
mod pieces;
mod preconditions;
mod call;
mod bulk;
mod discovery;
mod routes;
#[cfg(feature = "conformance")]
pub mod conformance;

pub use async_trait::async_trait;
pub use bulk::MAX_BULK_OPERATIONS;
pub use call::MEMBERS_IN_ANSWER;
pub use directory::{Authentication, Directory};
pub use error::{Body, ERROR_SCHEMA, Error, ErrorKind, Result, SCIM_JSON};
pub use filter::email_keys;
pub use json::{MAX_BODY_BYTES, MAX_DEPTH};
pub use letters::fold;
pub use parser::{MAX_FILTER_BYTES, MAX_FILTER_DEPTH, MAX_FILTER_TERMS, filter as parse_filter, path as parse_path};
pub use patch::{MAX_PATCH_OPERATIONS, MAX_PATCH_TERMS, MAX_PATCHED_VALUES};
pub use resource::{Kind, Link, Resource};
pub use routes::answer;
pub use schema::{
    Attribute, ENTERPRISE_SCHEMA, GROUP_SCHEMA, Mutability, Returned, SCHEMAS, Schema, Type, USER_SCHEMA,
};
pub use search::MAX_SORTED;
pub use store::{
    Change, Deletion, Draft, Field, From, Keys, Links, Lookup, MemberChange, Order, Page, Query, ResourceStore,
    StoreError, UnknownMember,
};
pub use syntax::{AttributePath, Filter, Operator, Path};
pub use values::{MAX_KEY_BYTES, MAX_VALUES};
