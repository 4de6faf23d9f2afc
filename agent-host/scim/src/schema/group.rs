//! The attributes of a group. Source: RFC 7643 §4.2 and §8.7.1.

use super::{Attribute, GROUP_SCHEMA, Schema};

pub(super) static GROUP: Schema =
    Schema { id: GROUP_SCHEMA, name: "Group", description: "A set of users and groups", attributes: &ATTRIBUTES };

static ATTRIBUTES: [Attribute; 2] = [
    Attribute::text("displayName", "The name that people see").required(),
    Attribute::complex("members", "Who belongs to the group", &MEMBERS).many(),
];

static MEMBERS: [Attribute; 4] = [
    Attribute::text("value", "The member's id").exact().immutable(),
    Attribute::reference("$ref", &["User", "Group"], "The member's address").immutable(),
    Attribute::text("type", "User or Group").suggesting(&["User", "Group"]).immutable(),
    // Names of 10,000 members are more than most who read a group want.
    Attribute::text("display", "The member's name for people").read_only().on_request(),
];
