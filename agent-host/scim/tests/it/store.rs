//! The store in memory keeps what a store promises, so that these tests are about the protocol.

use crate::memory::Memory;

#[tokio::test]
async fn the_store_in_memory_keeps_its_promises() {
    scim_server::conformance::check(&Memory::new(|| 0)).await;
}
