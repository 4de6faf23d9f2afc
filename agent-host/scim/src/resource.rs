//! A user or a group as the store keeps it.
//!
//! What a client may write lies in `attributes`, in the spelling of the schemas; extensions lie under their URN. What
//! the server knows itself (id, version, times) and links (the members of a group, the groups of a user) lie beside it.

use std::fmt;

use serde_json::{Map, Value};

use crate::schema::{ENTERPRISE_SCHEMA, GROUP_SCHEMA, Schema, USER_SCHEMA, schema};

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "they are the RFC's own words")]
pub enum Kind {
    User,
    Group,
}

/// A user or a group of a directory.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resource {
    /// Given by the store: letters, digits, `-`, `.`, `_` and `~` alone, never used again.
    pub id: String,
    /// Its place, from 1, in the order in which the store took resources in; unique in the directory, never changed.
    pub sequence: u64,
    /// One more with each change.
    pub version: u64,
    /// When it was taken in, in milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// When it last changed, in milliseconds since 1970 UTC.
    pub modified_ms: i64,
    /// What clients wrote, without `members`, `password` and what the server knows itself.
    pub attributes: Map<String, Value>,
    /// The members of a group or the groups of a user, as far as they were asked for ([`Links`](crate::Links)).
    pub links: Option<Vec<Link>>,
}

/// One end of a group membership.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Link {
    /// Of the member, or of the group.
    pub id: String,
    /// Its name for people; a store answers with the present one, where it has the resource.
    pub display: Option<String>,
    /// What it is; None where the store does not have it.
    pub kind: Option<Kind>,
}

impl Kind {
    /// Every kind, in the order in which searches of the whole directory answer.
    pub const ALL: [Self; 2] = [Self::User, Self::Group];

    /// The name of the resource type.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// Its path below the base address.
    pub fn endpoint(self) -> &'static str {
        match self {
            Self::User => "Users",
            Self::Group => "Groups",
        }
    }

    /// Its own schema.
    pub fn schema(self) -> &'static Schema {
        let urn = match self {
            Self::User => USER_SCHEMA,
            Self::Group => GROUP_SCHEMA,
        };
        schema(urn).expect("the table has it")
    }

    /// The declared extensions.
    pub fn extensions(self) -> Vec<&'static Schema> {
        match self {
            Self::User => schema(ENTERPRISE_SCHEMA).into_iter().collect(),
            Self::Group => Vec::new(),
        }
    }

    /// The attribute that holds the links.
    pub fn links(self) -> &'static str {
        match self {
            Self::User => "groups",
            Self::Group => "members",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
