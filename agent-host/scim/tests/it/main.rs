//! The protocol over real HTTP, a file per section of the RFCs and per client; reads as a compliance list.
//!
//! Behind it lies the example's store in memory. The suites of others are in `conformance.rs`.

#![cfg(test)]

#[path = "../example/memory.rs"]
mod memory;
#[path = "../example/serve.rs"]
mod serve;

mod inbox;

mod bulk;
mod conformance;
mod directory;
mod discovery;
mod entra;
mod errors;
mod etag;
mod filter;
mod okta;
mod paging;
mod patch;
mod resources;
mod store;
