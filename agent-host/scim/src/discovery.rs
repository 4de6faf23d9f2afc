//! What a server can do: `/ServiceProviderConfig`, `/ResourceTypes`, `/Schemas`, written from the tables and limits.
//!
//! Source: RFC 7643 §§5 to 7; RFC 9865 §4.

use serde_json::{Value, json};

use crate::{
    bulk::MAX_BULK_OPERATIONS,
    directory::{Authentication, Directory},
    json::MAX_BODY_BYTES,
    resource::Kind,
    schema::{Attribute, Mutability, Returned, SCHEMAS, Schema, Type},
};

const CONFIG_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
const TYPE_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
const SCHEMA_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";

/// `/ServiceProviderConfig`.
pub(crate) fn service_provider_config(directory: &Directory) -> Value {
    let schemes = directory.authentication.iter().enumerate();
    let schemes: Value = schemes.map(|(nth, authentication)| scheme(*authentication, nth == 0)).collect();
    json!({
        "schemas": [CONFIG_SCHEMA],
        "patch": { "supported": true },
        "bulk": { "supported": true, "maxOperations": MAX_BULK_OPERATIONS, "maxPayloadSize": MAX_BODY_BYTES },
        "filter": { "supported": true, "maxResults": directory.max_page_size },
        "changePassword": { "supported": directory.change_password },
        "sort": { "supported": true },
        "etag": { "supported": true },
        "pagination": {
            "cursor": true, "index": true, "defaultPaginationMethod": "index",
            "defaultPageSize": directory.page_size, "maxPageSize": directory.max_page_size,
        },
        "authenticationSchemes": schemes,
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": format!("{}/ServiceProviderConfig", directory.base_url),
        },
    })
}

/// `/ResourceTypes`.
pub(crate) fn resource_types(directory: &Directory) -> Vec<Value> {
    let offered = Kind::ALL.into_iter().filter(|kind| *kind == Kind::User || directory.groups);
    offered.map(|kind| resource_type(directory, kind)).collect()
}

/// `/Schemas`.
pub(crate) fn schemas(directory: &Directory) -> Vec<Value> {
    let group = Kind::Group.schema().id;
    let offered = SCHEMAS.into_iter().filter(|schema| directory.groups || schema.id != group);
    offered.map(|schema| schema_body(directory, schema)).collect()
}

fn scheme(authentication: Authentication, is_preferred: bool) -> Value {
    let (kind, name, description, rfc) = match authentication {
        Authentication::BearerToken => {
            ("oauthbearertoken", "Bearer token", "The directory's token in the header Authorization", 6750)
        }
        Authentication::Basic => ("httpbasic", "HTTP Basic", "The directory's key and secret", 7617),
        Authentication::OAuth => ("oauth2", "OAuth 2.0", "A token for an authorization code", 6749),
    };
    json!({
        "type": kind, "name": name, "primary": is_preferred, "description": description,
        "specUri": format!("https://www.rfc-editor.org/info/rfc{rfc}"),
    })
}

fn resource_type(directory: &Directory, kind: Kind) -> Value {
    let mut body = json!({
        "schemas": [TYPE_SCHEMA],
        "id": kind.name(),
        "name": kind.name(),
        "endpoint": format!("/{}", kind.endpoint()),
        "description": kind.schema().description,
        "schema": kind.schema().id,
        "meta": {
            "resourceType": "ResourceType",
            "location": format!("{}/ResourceTypes/{}", directory.base_url, kind.name()),
        },
    });
    let extensions = kind.extensions();
    if !extensions.is_empty() {
        let extensions = extensions.iter().map(|schema| json!({ "schema": schema.id, "required": false }));
        body["schemaExtensions"] = extensions.collect();
    }
    body
}

fn schema_body(directory: &Directory, schema: &Schema) -> Value {
    json!({
        "schemas": [SCHEMA_SCHEMA],
        "id": schema.id,
        "name": schema.name,
        "description": schema.description,
        "attributes": schema.attributes.iter().map(attribute).collect::<Value>(),
        "meta": { "resourceType": "Schema", "location": format!("{}/Schemas/{}", directory.base_url, schema.id) },
    })
}

fn attribute(attribute: &Attribute) -> Value {
    let mut body = json!({
        "name": attribute.name,
        "type": match attribute.kind {
            Type::String => "string",
            Type::Boolean => "boolean",
            Type::DateTime => "dateTime",
            Type::Binary => "binary",
            Type::Reference => "reference",
            Type::Complex => "complex",
        },
        "multiValued": attribute.multi_valued,
        "description": attribute.description,
        "required": attribute.required,
        "caseExact": attribute.case_exact,
        "mutability": match attribute.mutability {
            Mutability::ReadOnly => "readOnly",
            Mutability::ReadWrite => "readWrite",
            Mutability::Immutable => "immutable",
            Mutability::WriteOnly => "writeOnly",
        },
        "returned": match attribute.returned {
            Returned::Always => "always",
            Returned::Never => "never",
            Returned::Default => "default",
            Returned::Request => "request",
        },
        "uniqueness": if attribute.unique { "server" } else { "none" },
    });
    if !attribute.canonical_values.is_empty() {
        body["canonicalValues"] = attribute.canonical_values.into();
    }
    if !attribute.reference_types.is_empty() {
        body["referenceTypes"] = attribute.reference_types.into();
    }
    if !attribute.sub_attributes.is_empty() {
        body["subAttributes"] = attribute.sub_attributes.iter().map(self::attribute).collect();
    }
    body
}
