//! Orders as the engine writes them, for tests: short to say, in the words of the samples' mapping.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// The property that holds the key of each entity type of the samples.
pub const USER_ID: &str = "OktaExportFulfillment_users_id";
/// Of groups.
pub const GROUP_ID: &str = "OktaExportFulfillment_groups_id";
/// Of apps.
pub const APP_ID: &str = "OktaExportFulfillment_apps_id";

/// An order; `key` names the record, but for one that is added.
pub fn order(id: &str, change: &str, entity: &str, key: &str, changes: impl Into<Value>) -> Value {
    let property = match entity {
        "User" => USER_ID,
        "Group" => GROUP_ID,
        _ => APP_ID,
    };
    let mut order = json!({
        "AssignedResourceTypeId": id,
        "ChangeType": change,
        "Owner": { "Id": format!("9{id}") },
        "ResourceType": {
            "Identifier": format!("Okta_{entity}"),
            "SourceEntityType": { "Id": "51", "Identifier": "Directory_User" },
            "TargetEntityType": { "Id": "70", "Identifier": entity },
        },
        "Changes": changes.into(),
    });
    if !key.is_empty() {
        order["Resource"] = json!({ property: key });
    }
    order
}

/// A new user.
pub fn added_user(id: &str, login: &str) -> Value {
    let names =
        json!({ "profile_login": login, "profile_email": login, "profile_firstName": "A", "profile_lastName": id });
    order(id, "Added", "User", "", names)
}

/// A file of orders.
pub fn list(orders: &[Value]) -> String {
    json!({ "ProvisioningOrdersList": orders }).to_string()
}

/// The results by the orders' names: state and message.
pub fn results(text: &str) -> BTreeMap<String, (String, String)> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let lines = reader.records().map(|line| line.expect("the results are CSV"));
    lines.map(|line| (line[0].to_owned(), (line[1].to_owned(), line[2].to_owned()))).collect()
}
