//! The tables as data: names, columns, budgets. Source: Okta's API reference and the vendor's page on Okta.

use connector_api::{Side, TableCapability};

pub(crate) const USERS: &str = "users";
pub(crate) const GROUPS: &str = "groups";
pub(crate) const APPS: &str = "apps";
pub(crate) const GROUPS_USERS: &str = "groupsusers";
pub(crate) const GROUPS_APPS: &str = "groupsapps";
/// Apps assigned to users one by one: written by orders, never exported.
pub(crate) const APPS_USERS: &str = "appsusers";

/// The budgets that requests draw on, by Okta's own names; each is counted for itself.
pub(crate) mod bucket {
    /// Lists and creations of users, and everything below a user.
    pub(crate) const USERS: &str = "/api/v1/users";
    /// Changes and deletions of one user.
    pub(crate) const USER: &str = "/api/v1/users/{id}";
    /// Reading one user.
    pub(crate) const READ_USER: &str = "/api/v1/users/{id:.+}";
    pub(crate) const GROUPS: &str = "/api/v1/groups";
    pub(crate) const GROUP: &str = "/api/v1/groups/{id}";
    pub(crate) const APPS: &str = "/api/v1/apps";
    pub(crate) const APP: &str = "/api/v1/apps/{id}";
    pub(crate) const ME: &str = "/api/v1/users/me";
    pub(crate) const PRINCIPAL_LIMITS: &str = "/api/v1/principal-rate-limits";
    pub(crate) const REST: &str = "/api/v1";
    /// Access tokens of service apps.
    pub(crate) const TOKEN: &str = "/oauth2/v1/token";
    /// `/.well-known` is not charged.
    pub(crate) const FREE: &str = "/.well-known";
}

const GROUP: Side = Side { table: GROUPS, column: "groupId", aliases: &["group.id", "group"] };
const USER: Side = Side { table: USERS, column: "userId", aliases: &["user.id", "user"] };
const APP: Side = Side { table: APPS, column: "appId", aliases: &["app.id", "app"] };

/// The tables in the order in which people list them.
pub(crate) const TABLES: [TableCapability; 6] = [
    TableCapability {
        name: USERS,
        fields: &[
            "id",
            "status",
            "created",
            "activated",
            "statusChanged",
            "lastLogin",
            "lastUpdated",
            "passwordChanged",
            "type.id",
        ],
        default_attributes: &["profile.login", "profile.email", "profile.firstName", "profile.lastName"],
        identity: &["id"],
        sides: &[],
        never_empty: true,
        exported: true,
    },
    TableCapability {
        name: GROUPS,
        fields: &["id", "created", "lastUpdated", "lastMembershipUpdated", "type"],
        default_attributes: &["profile.name", "profile.description"],
        identity: &["id"],
        sides: &[],
        never_empty: false,
        exported: true,
    },
    TableCapability {
        name: APPS,
        fields: &["id", "created", "lastUpdated", "status", "name", "label"],
        default_attributes: &[],
        identity: &["id"],
        sides: &[],
        never_empty: false,
        exported: true,
    },
    TableCapability {
        name: GROUPS_USERS,
        fields: &["groupId", "userId"],
        default_attributes: &[],
        identity: &["groupId", "userId"],
        sides: &[GROUP, USER],
        never_empty: false,
        exported: true,
    },
    TableCapability {
        name: GROUPS_APPS,
        fields: &["groupId", "appId"],
        default_attributes: &[],
        identity: &["groupId", "appId"],
        sides: &[GROUP, APP],
        never_empty: false,
        exported: true,
    },
    TableCapability {
        name: APPS_USERS,
        fields: &["appId", "userId"],
        default_attributes: &[],
        identity: &["appId", "userId"],
        sides: &[APP, USER],
        never_empty: false,
        exported: false,
    },
];

/// The capability of the table of this name.
pub(crate) fn table(name: &str) -> Option<&'static TableCapability> {
    TABLES.iter().find(|table| table.name == name)
}

/// What to do when the right to read the table is missing to a token's administrator, or to a service app.
pub(crate) fn right_to_read(table: &str, of_app: bool) -> String {
    let (what, rights) = match table {
        USERS => ("all users", "okta.users.read"),
        GROUPS => ("all groups", "okta.groups.read"),
        APPS => ("all apps", "okta.apps.read"),
        GROUPS_USERS => ("groups and users", "okta.groups.read, okta.users.read"),
        _ => ("groups and apps", "okta.groups.read, okta.apps.read"),
    };
    if of_app {
        format!(
            "grant the app an admin role that sees {what} ({rights}), such as Read-only Administrator: Admin roles, on \
             the app's page in Okta's admin console"
        )
    } else {
        format!("give the token's administrator a role that sees {what} ({rights}), such as Read-only Administrator")
    }
}

/// Top-level fields that a user has beside the columns of the table and `profile`.
pub(crate) const USER_FIELDS: &[&str] =
    &["transitioningToStatus", "realmId", "type", "credentials", "_links", "_embedded", "orn"];

/// The attributes of the base user profile; an organisation adds its own.
pub(crate) const USER_PROFILE: &[&str] = &[
    "login",
    "email",
    "secondEmail",
    "firstName",
    "lastName",
    "middleName",
    "honorificPrefix",
    "honorificSuffix",
    "title",
    "displayName",
    "nickName",
    "profileUrl",
    "mobilePhone",
    "primaryPhone",
    "streetAddress",
    "city",
    "state",
    "zipCode",
    "countryCode",
    "postalAddress",
    "preferredLanguage",
    "locale",
    "timezone",
    "userType",
    "employeeNumber",
    "costCenter",
    "organization",
    "division",
    "department",
    "managerId",
    "manager",
];

/// Top-level fields that a group has beside the columns of the table and `profile`.
pub(crate) const GROUP_FIELDS: &[&str] = &["objectClass", "source", "_links", "_embedded"];

/// The attributes of a group's profile: its own, and those of groups imported from a directory.
pub(crate) const GROUP_PROFILE: &[&str] = &[
    "name",
    "description",
    "dn",
    "externalId",
    "samAccountName",
    "windowsDomainQualifiedName",
    "groupType",
    "groupScope",
    "objectSid",
];

/// Top-level fields that an application has beside the columns of the table. What is in them depends on its kind.
pub(crate) const APP_FIELDS: &[&str] = &[
    "orn",
    "accessibility",
    "visibility",
    "features",
    "signOnMode",
    "credentials",
    "settings",
    "universalLogout",
    "licensing",
    "profile",
    "expressConfiguration",
    "_links",
    "_embedded",
];
