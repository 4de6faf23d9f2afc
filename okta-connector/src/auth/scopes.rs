//! Which scope a request needs: a function of its method and path, as Okta's published description lists them.
//!
//! `okta.users.manage` does all that `okta.users.read` does. Source: Okta's "OAuth 2.0 scopes".

use std::fmt;

use connector_api::Table;
use reqwest::Method;

use crate::tables::{APPS, GROUPS, GROUPS_APPS, GROUPS_USERS, USERS};

/// The resource that a path belongs to; the first that fits. What is not listed belongs to the users.
const RESOURCES: [(&str, &str); 9] = [
    ("/api/v1/groups", "groups"),
    ("/api/v1/apps", "apps"),
    ("/api/v1/meta/schemas/user/linkedObjects", "linkedObjects"),
    ("/api/v1/meta/schemas", "schemas"),
    ("/api/v1/meta/types", "userTypes"),
    ("/api/v1/logs", "logs"),
    ("/api/v1/api-tokens", "apiTokens"),
    ("/api/v1/principal-rate-limits", "principalRateLimits"),
    ("/api/v1/identity-sources", "identitySources"),
];

/// A right to a kind of resource, such as `okta.users.read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Scope {
    resource: &'static str,
    manages: bool,
}

impl Scope {
    /// The scope that a request needs; `target` is its path, with or without a query.
    pub(crate) fn of(method: &Method, target: &str) -> Self {
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        let within =
            |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let resource = RESOURCES.iter().find(|(prefix, _)| within(prefix)).map_or("users", |(_, resource)| resource);
        Self { resource, manages: *method != Method::GET }
    }

    /// The scopes without which the tables cannot be read.
    pub(crate) fn to_read(tables: &[Table]) -> Vec<Self> {
        let resources = tables.iter().flat_map(|table| match table.name.as_str() {
            USERS => &["users"][..],
            GROUPS | GROUPS_USERS => &["groups"],
            APPS => &["apps"],
            GROUPS_APPS => &["apps", "groups"],
            _ => &[],
        });
        resources.map(|resource| Self { resource, manages: false }).collect()
    }

    /// Whether who has this scope may do all that `other` allows.
    pub(crate) fn includes(self, other: Self) -> bool {
        self.resource == other.resource && (self.manages || !other.manages)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "okta.{}.{}", self.resource, if self.manages { "manage" } else { "read" })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn method_and_path_tell_the_scope() {
        for (method, target, scope) in [
            (Method::GET, "/api/v1/users?limit=200", "okta.users.read"),
            (Method::GET, "/api/v1/groups/00g1/users", "okta.groups.read"),
            (Method::PUT, "/api/v1/groups/00g1/users/00u1", "okta.groups.manage"),
            (Method::GET, "/api/v1/apps", "okta.apps.read"),
            (Method::GET, "/api/v1/meta/schemas/group/default", "okta.schemas.read"),
            (Method::GET, "/api/v1/appsandmore", "okta.users.read"),
        ] {
            assert_eq!(Scope::of(&method, target).to_string(), scope, "{method} {target}");
        }
    }

    #[test]
    fn who_manages_may_read() {
        let (read, manage) = (Scope::of(&Method::GET, "/api/v1/users"), Scope::of(&Method::POST, "/api/v1/users"));
        assert!(manage.includes(read) && !read.includes(manage) && read.includes(read));
        assert!(!manage.includes(Scope::of(&Method::GET, "/api/v1/apps")));
    }

    /// Okta's description lies beside the product, not in it; without it there is nothing to compare.
    #[test]
    fn scopes_are_those_of_oktas_description() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/okta/openapi.yaml");
        let Ok(text) = std::fs::read_to_string(&file) else {
            println!("Okta's description is not there: nothing compared");
            return;
        };
        let api: serde_json::Value = serde_yaml_ng::from_str(&text).unwrap();
        let mut compared = 0;
        for (path, operations) in api["paths"].as_object().unwrap() {
            // Resources the connector has no use for.
            if path.contains("interclient") || path.contains("logStream") {
                continue;
            }
            for (method, operation) in operations.as_object().unwrap() {
                let Some(security) = operation["security"].as_array() else { continue };
                for scope in security.iter().filter_map(|way| way["oauth2"][0].as_str()) {
                    let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                    assert_eq!(Scope::of(&method, path).to_string(), scope, "{method} {path}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 50, "{compared} operations were compared");
    }
}
