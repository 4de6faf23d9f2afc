//! Which scope a call needs. Source: the security of each operation in Okta's published description;
//! a `.manage` scope holds the `.read` one of the same resource.

use hyper::Method;

/// What follows `okta.` in the scopes of the resources this organisation has.
const RESOURCES: [&str; 12] = [
    "users",
    "groups",
    "apps",
    "schemas",
    "userTypes",
    "linkedObjects",
    "logs",
    "roles",
    "apiTokens",
    "principalRateLimits",
    "orgs",
    "identitySources",
];

/// Whether Okta knows a scope at all.
pub(crate) fn is_known(scope: &str) -> bool {
    let resource = scope.strip_prefix("okta.").and_then(|rest| {
        rest.strip_suffix(".read").or_else(|| rest.strip_suffix(".manage").filter(|rest| *rest != "logs"))
    });
    resource.is_some_and(|resource| RESOURCES.contains(&resource))
}

/// The resource a path belongs to; none for what every good token may do.
fn resource(segments: &[&str]) -> Option<&'static str> {
    Some(match segments {
        ["users" | "groups", _, "roles", ..] | ["iam", ..] => "roles",
        ["users", ..] => "users",
        ["groups", ..] => "groups",
        ["apps", ..] => "apps",
        ["meta", "schemas", "user", "linkedObjects", ..] => "linkedObjects",
        ["meta", "schemas", ..] => "schemas",
        ["meta", "types", ..] => "userTypes",
        ["logs", ..] => "logs",
        ["api-tokens", ..] => "apiTokens",
        ["principal-rate-limits", ..] => "principalRateLimits",
        ["org", ..] => "orgs",
        ["identity-sources", ..] => "identitySources",
        _ => return None,
    })
}

/// The scope a call needs.
pub(crate) fn needed(method: &Method, segments: &[String]) -> Option<String> {
    let segments: Vec<&str> = segments.iter().skip(2).map(String::as_str).collect();
    let right = if *method == Method::GET { "read" } else { "manage" };
    resource(&segments).map(|resource| format!("okta.{resource}.{right}"))
}

/// Whether granted scopes hold the needed one.
pub(crate) fn holds(granted: &[String], needed: &str) -> bool {
    granted.iter().any(|scope| {
        scope == needed || needed.strip_suffix(".read").is_some_and(|of| scope.strip_suffix(".manage") == Some(of))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Call;

    #[test]
    fn calls_need_the_published_scopes() {
        for (method, path, scope) in [
            ("GET", "/api/v1/users/00u1/groups", "okta.users.read"),
            ("POST", "/api/v1/users/00u1/lifecycle/suspend", "okta.users.manage"),
            ("GET", "/api/v1/users/00u1/roles", "okta.roles.read"),
            ("PUT", "/api/v1/groups/00g1/users/00u1", "okta.groups.manage"),
            ("GET", "/api/v1/groups/rules", "okta.groups.read"),
            ("DELETE", "/api/v1/apps/0oa1/users/00u1", "okta.apps.manage"),
            ("GET", "/api/v1/meta/schemas/user/default", "okta.schemas.read"),
            ("GET", "/api/v1/meta/types/user", "okta.userTypes.read"),
            ("GET", "/api/v1/api-tokens", "okta.apiTokens.read"),
        ] {
            let found = needed(&method.parse().unwrap(), &Call::segments(path));
            assert_eq!(found.as_deref(), Some(scope), "{method} {path}");
        }
        let granted = ["okta.users.manage".to_owned()];
        assert!(holds(&granted, "okta.users.read") && !holds(&granted, "okta.groups.read"));
        assert!(!holds(&["okta.users.read".to_owned()], "okta.users.manage"));
        assert!(is_known("okta.logs.read") && !is_known("okta.logs.manage") && !is_known("okta.users.write"));
    }
}
