//! What every connector promises, checked by the tests that come with the contract.

use connector_api::{ChangeType, ProvisioningOrder, conformance};
use okta_sandbox::Seed;
use serde_json::{Value, json};

use crate::World;

#[tokio::test]
async fn the_connector_keeps_the_contract() {
    let world = World::new(Seed::default()).await;
    conformance::check(&world.connector(&[])).await;
}

#[tokio::test]
async fn orders_keep_the_contract_in_every_table() {
    let world = World::new(Seed::default()).await;
    let before = world.sandbox.with_org(|org| org.counts());
    let person = json!({"profile.login": "ada@example.com", "profile.email": "ada@example.com",
        "profile.firstName": "Ada", "profile.lastName": "Lovelace"});
    for (table, values, change) in [
        ("users", person, ("profile.city", json!("Oslo"))),
        ("groups", json!({"profile.name": "Readers"}), ("profile.description", json!("They read."))),
        ("apps", json!({"label": "Wiki", "name": "bookmark"}), ("settings.app.url", json!("https://wiki.example.com"))),
    ] {
        let mut added = ProvisioningOrder::new("1", ChangeType::Added, table);
        let Value::Object(values) = values else { panic!("values are an object") };
        added.values = values.into_iter().collect();
        added.unique = vec!["profile.login".to_owned(), "label".to_owned()];
        conformance::check_orders(&world.connector(&[]), &added, change).await;
    }
    assert_eq!(world.sandbox.with_org(|org| org.counts()).users, before.users);
    assert_eq!(world.sandbox.with_org(|org| org.counts()).groups, before.groups);
    assert_eq!(world.sandbox.with_org(|org| org.counts()).apps, before.apps);
}
