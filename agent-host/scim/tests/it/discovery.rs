//! What the server says of itself (RFC 7644 §4, RFC 7643 §§5 to 7, RFC 9865 §4).

use scim_server::Authentication;
use serde_json::{Value, json};

use crate::inbox::{ENTERPRISE, Inbox};

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";

#[tokio::test]
async fn the_configuration_says_what_is_supported() {
    let inbox = Inbox::open_with(|directory| directory.max_page_size = 500).await;
    let config = inbox.get("/ServiceProviderConfig").await.expect(200).body;
    for feature in ["patch", "bulk", "filter", "changePassword", "sort", "etag"] {
        assert_eq!(config[feature]["supported"], true, "{feature}");
    }
    assert_eq!(config["filter"]["maxResults"], 500);
    assert_eq!(config["bulk"], json!({ "supported": true, "maxOperations": 1_000, "maxPayloadSize": 10_485_760 }));
    assert_eq!(config["pagination"]["cursor"], true);
    assert_eq!(config["pagination"]["maxPageSize"], 500);
    assert_eq!(config["authenticationSchemes"].as_array().unwrap().len(), 1);
    assert_eq!(config["authenticationSchemes"][0]["type"], "oauthbearertoken");
    let other = Inbox::open_with(|directory| {
        directory.authentication = &[Authentication::OAuth, Authentication::Basic];
        directory.change_password = false;
    });
    let config = other.await.get("/ServiceProviderConfig").await.expect(200).body;
    let schemes = config["authenticationSchemes"].as_array().unwrap();
    let told: Vec<_> = schemes.iter().map(|scheme| (scheme["type"].as_str().unwrap(), &scheme["primary"])).collect();
    assert_eq!(told, [("oauth2", &json!(true)), ("httpbasic", &json!(false))]);
    assert_eq!(config["changePassword"]["supported"], false);
}

#[tokio::test]
async fn types_and_schemas_are_listed_and_found_by_name() {
    let inbox = Inbox::open().await;
    let ids = |body: &Value| {
        body["Resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let types = inbox.get("/ResourceTypes").await.expect(200).body;
    assert_eq!((ids(&types), &types["totalResults"]), (vec!["User".to_owned(), "Group".to_owned()], &json!(2)));
    let user = inbox.get("/ResourceTypes/User").await.expect(200).body;
    assert_eq!((&user["endpoint"], &user["schema"]), (&json!("/Users"), &json!(USER)));
    assert_eq!(user["schemaExtensions"], json!([{ "schema": ENTERPRISE, "required": false }]));
    let schemas = inbox.get("/Schemas").await.expect(200).body;
    assert_eq!(ids(&schemas), [USER, "urn:ietf:params:scim:schemas:core:2.0:Group", ENTERPRISE]);
    for id in ids(&schemas) {
        assert_eq!(inbox.get(&format!("/Schemas/{id}")).await.expect(200).body["id"], *id);
    }
    assert!(!schemas.to_string().contains("null"));
    inbox.get("/Schemas/urn:nope").await.expect_error(404, "", "`urn:nope`");
    inbox.get("/ResourceTypes/Role").await.expect_error(404, "", "`Role`");
}

#[tokio::test]
async fn a_schema_describes_its_attributes() {
    let inbox = Inbox::open().await;
    let schema = inbox.get(&format!("/Schemas/{USER}")).await.expect(200).body;
    let attribute = |name: &str| {
        schema["attributes"].as_array().unwrap().iter().find(|attribute| attribute["name"] == name).unwrap().clone()
    };
    let name = attribute("userName");
    for (key, value) in [("required", json!(true)), ("uniqueness", json!("server")), ("caseExact", json!(false))] {
        assert_eq!(name[key], value);
    }
    let password = attribute("password");
    assert_eq!((&password["mutability"], &password["returned"]), (&json!("writeOnly"), &json!("never")));
    assert_eq!(attribute("groups")["mutability"], "readOnly");
    assert_eq!(attribute("emails")["subAttributes"].as_array().unwrap().len(), 4);
    assert_eq!(schema["attributes"].as_array().unwrap().len(), 21);
}

#[tokio::test]
async fn what_says_what_there_is_takes_neither_filters_nor_changes() {
    let inbox = Inbox::open().await;
    for path in ["/ServiceProviderConfig", "/ResourceTypes", "/Schemas"] {
        inbox.get(&format!("{path}?filter=id+pr")).await.expect_error(403, "", "filter");
        let refused = inbox.post(path, json!({})).await.expect_error(405, "", "GET");
        assert_eq!(refused.header("allow"), "GET");
        inbox.put(path, json!({})).await.expect_error(405, "", "GET");
        inbox.patch(path, json!([])).await.expect_error(405, "", "GET");
        inbox.delete(path).await.expect_error(405, "", "GET");
    }
}

#[tokio::test]
async fn there_is_no_me() {
    let inbox = Inbox::open().await;
    inbox.get("/Me").await.expect_error(501, "", "/Me");
    inbox.post("/Me", json!({})).await.expect_error(501, "", "/Me");
}
