//! Administrator roles of users and groups, with the groups they are limited to.
//! Okta: assigning the same role twice is 409 `E0000090`; role lists have no Link.

use serde_json::{Value, json};

use crate::clock::seconds;

#[derive(Debug)]
pub(crate) struct Role {
    pub id: String,
    pub kind: String,
    /// `USER` or `GROUP`.
    pub assignment: &'static str,
    pub created: i64,
    /// Ids of the groups this role is limited to.
    pub targets: Vec<String>,
}

/// The names Okta shows for the standard roles; others are unknown.
const LABELS: [(&str, &str); 9] = [
    ("SUPER_ADMIN", "Super Administrator"),
    ("ORG_ADMIN", "Organizational Administrator"),
    ("APP_ADMIN", "Application Administrator"),
    ("USER_ADMIN", "User Administrator"),
    ("HELP_DESK_ADMIN", "Help Desk Administrator"),
    ("READ_ONLY_ADMIN", "Read-Only Administrator"),
    ("REPORT_ADMIN", "Report Administrator"),
    ("API_ACCESS_MANAGEMENT_ADMIN", "API Access Management Administrator"),
    ("GROUP_MEMBERSHIP_ADMIN", "Group Membership Administrator"),
];

pub(crate) fn label(kind: &str) -> Option<&'static str> {
    LABELS.iter().find(|(known, _)| *known == kind).map(|(_, label)| *label)
}

impl Role {
    /// `assignee` is the address of the user or group that has the role.
    pub(crate) fn value(&self, assignee: &str) -> Value {
        let created = seconds(self.created);
        json!({
            "id": self.id,
            "label": label(&self.kind),
            "type": self.kind,
            "status": "ACTIVE",
            "created": created,
            "lastUpdated": created,
            "assignmentType": self.assignment,
            "_links": {"assignee": {"href": assignee}},
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_recorded_shape() {
        let role = Role {
            id: "KVJUKUS7IFCE2SKO".into(),
            kind: "USER_ADMIN".into(),
            assignment: "USER",
            created: 0,
            targets: vec![],
        };
        assert_eq!(
            role.value("http://o/api/v1/users/00u1")["_links"]["assignee"]["href"],
            "http://o/api/v1/users/00u1"
        );
        assert_eq!(label("NO_SUCH"), None);
    }
}
