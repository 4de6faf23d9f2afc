//! What every connector promises, checked by the tests that come with the contract.

use okta_sandbox::Seed;

use crate::World;

#[tokio::test]
async fn the_connector_keeps_the_contract() {
    let world = World::new(Seed::default()).await;
    connector_api::conformance::check(&world.connector(&[])).await;
}
