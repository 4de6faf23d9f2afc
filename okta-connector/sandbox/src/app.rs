//! One application: its settings as text written once, and who is assigned to it.
//! Okta: a group assignment without a priority goes in at 0 and pushes the others down (recorded); given priorities
//! stay as they are, holes included. Users of assigned groups appear in the user list with scope `GROUP`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::clock::{push_seconds, seconds};
use crate::raw;

#[derive(Debug)]
pub(crate) struct App {
    pub id: Box<str>,
    pub active: bool,
    pub created: i64,
    pub last_updated: i64,
    /// Everything but id, dates, status and links, in Okta's order.
    pub body: Map<String, Value>,
    /// In the order of their priority.
    pub groups: Vec<Assignment>,
    /// Direct assignments by row number of the user.
    pub users: BTreeMap<u32, AppUser>,
    pub keys: Vec<Value>,
    text: Box<str>,
}

/// A group assigned to an application.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    pub group: u32,
    pub priority: i64,
    pub profile: String,
    pub last_updated: i64,
}

/// A user assigned to an application.
#[derive(Clone, Debug)]
pub(crate) struct AppUser {
    pub created: i64,
    pub last_updated: i64,
    pub user_name: String,
    pub profile: String,
}

impl App {
    pub(crate) fn new(id: &str, body: Map<String, Value>, active: bool, now: i64) -> Self {
        Self {
            id: id.into(),
            active,
            created: now,
            last_updated: now,
            body,
            groups: Vec::new(),
            users: BTreeMap::new(),
            keys: Vec::new(),
            text: "".into(),
        }
    }

    pub(crate) fn field(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn label(&self) -> &str {
        self.field("label")
    }

    pub(crate) fn status(&self) -> &'static str {
        if self.active { "ACTIVE" } else { "INACTIVE" }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Writes the text every endpoint shows.
    pub(crate) fn write(&mut self, base: &str, org_id: &str) {
        let mut out = String::with_capacity(2600);
        let name = self.field("name");
        let _ = write!(out, "{{\"id\":\"{0}\",\"orn\":\"orn:okta:idp:{org_id}:apps:{name}:{0}\",\"name\":", self.id);
        raw::push_string(&mut out, name);
        out.push_str(",\"label\":");
        raw::push_string(&mut out, self.label());
        let _ = write!(out, ",\"status\":\"{}\",\"lastUpdated\":\"", self.status());
        push_seconds(&mut out, self.last_updated);
        out.push_str("\",\"created\":\"");
        push_seconds(&mut out, self.created);
        out.push('"');
        for (key, value) in self.body.iter().filter(|(key, _)| *key != "name" && *key != "label") {
            let _ = write!(out, ",\"{key}\":{value}");
        }
        let _ = write!(out, ",\"_links\":{}}}", self.links(base, org_id));
        self.text = out.into_boxed_str();
    }

    /// The client secret shows once, in the answer that made it (recorded).
    pub(crate) fn hide_secret(&mut self) {
        let client = self.body.get_mut("credentials").and_then(|credentials| credentials.get_mut("oauthClient"));
        if let Some(client) = client.and_then(Value::as_object_mut) {
            client.remove("client_secret");
        }
    }

    /// Assigns or re-assigns a group; the answer is where the assignment stands.
    pub(crate) fn assign(&mut self, group: u32, priority: Option<i64>, profile: Option<String>, now: i64) {
        let known = self.groups.iter().position(|assignment| assignment.group == group);
        let old = known.map(|at| self.groups.remove(at));
        let profile = profile.or_else(|| old.as_ref().map(|old| old.profile.clone())).unwrap_or_else(|| "{}".into());
        let priority = priority.or(old.map(|old| old.priority)).unwrap_or_else(|| {
            self.groups.iter_mut().for_each(|assignment| assignment.priority += 1);
            0
        });
        let at = self.groups.partition_point(|assignment| assignment.priority < priority);
        self.groups.insert(at, Assignment { group, priority, profile, last_updated: now });
    }

    /// True when the group was assigned.
    pub(crate) fn unassign(&mut self, group: u32) -> bool {
        let before = self.groups.len();
        self.groups.retain(|assignment| assignment.group != group);
        self.groups.len() < before
    }

    pub(crate) fn assignment(&self, group: u32) -> Option<&Assignment> {
        self.groups.iter().find(|assignment| assignment.group == group)
    }

    fn links(&self, base: &str, org_id: &str) -> Value {
        let me = format!("{base}/api/v1/apps/{}", self.id);
        let name = self.field("name");
        let visible = self.body.get("visibility").and_then(|visibility| visibility["appLinks"].as_object());
        let shown: Vec<_> = visible
            .into_iter()
            .flat_map(Map::keys)
            .map(|link| json!({"name": link, "href": format!("{base}/home/{name}/{}/2557", self.id), "type": "text/html"}))
            .collect();
        let mut links = json!({
            "uploadLogo": {"href": format!("{me}/logo"), "hints": {"allow": ["POST"]}},
            "appLinks": shown,
            "profileEnrollment": {"href": format!("{base}/api/v1/policies/rst{}", org_id.trim_start_matches("00o"))},
            "policies": {"href": format!("{me}/policies"), "hints": {"allow": ["PUT"]}},
            "groups": {"href": format!("{me}/groups")},
            "logo": [{"name": "medium", "href": "https://ok12static.oktacdn.com/assets/img/logos/default.6770228fb0dab49a1695ef440a5279bb.png", "type": "image/png"}],
            "accessPolicy": {"href": format!("{base}/api/v1/policies/rst{}", org_id.trim_start_matches("00o"))},
            "users": {"href": format!("{me}/users")},
        });
        if self.field("signOnMode").starts_with("SAML") {
            links["metadata"] = json!({"href": format!("{me}/sso/saml/metadata"), "type": "application/xml"});
        }
        let next = if self.active { "deactivate" } else { "activate" };
        links[next] = json!({"href": format!("{me}/lifecycle/{next}")});
        links
    }
}

impl Assignment {
    pub(crate) fn push(&self, base: &str, app: &str, group: &str, out: &mut String) {
        let _ = write!(out, "{{\"id\":\"{group}\",\"lastUpdated\":\"");
        push_seconds(out, self.last_updated);
        let _ = write!(
            out,
            "\",\"priority\":{},\"profile\":{},\"_links\":{{\"app\":{{\"href\":\"{base}/api/v1/apps/{app}\"}},\"self\":{{\"href\":\"{base}/api/v1/apps/{app}/groups/{group}\"}},\"group\":{{\"href\":\"{base}/api/v1/groups/{group}\"}}}}}}",
            self.priority, self.profile
        );
    }
}

impl AppUser {
    /// `through` is the group that brought the user, if it was not assigned directly.
    pub(crate) fn push(&self, base: &str, app: &str, user: &str, through: Option<&str>, out: &mut String) {
        let (created, updated) = (seconds(self.created), seconds(self.last_updated));
        let scope = if through.is_some() { "GROUP" } else { "USER" };
        let _ = write!(
            out,
            "{{\"id\":\"{user}\",\"externalId\":null,\"created\":\"{created}\",\"lastUpdated\":\"{updated}\",\"scope\":\"{scope}\",\"status\":\"ACTIVE\",\"statusChanged\":\"{created}\",\"passwordChanged\":null,\"syncState\":\"DISABLED\",\"credentials\":{{\"userName\":"
        );
        raw::push_string(out, &self.user_name);
        let _ = write!(
            out,
            "}},\"profile\":{},\"_links\":{{\"app\":{{\"href\":\"{base}/api/v1/apps/{app}\"}},",
            self.profile
        );
        if let Some(group) = through {
            let _ = write!(out, "\"group\":{{\"href\":\"{base}/api/v1/groups/{group}\"}},");
        }
        let _ = write!(out, "\"user\":{{\"href\":\"{base}/api/v1/users/{user}\"}}}}}}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assignment_without_priority_pushes_the_others_down() {
        let mut app = App::new("0oa1", Map::new(), true, 0);
        app.assign(1, None, None, 0);
        app.assign(2, None, None, 0);
        app.assign(3, Some(4), None, 0);
        let order: Vec<_> = app.groups.iter().map(|a| (a.group, a.priority)).collect();
        assert_eq!(order, [(2, 0), (1, 1), (3, 4)]);
        app.assign(1, None, Some(r#"{"a":1}"#.into()), 0);
        assert_eq!(app.assignment(1).map(|a| a.priority), Some(1), "assigning again keeps the priority");
        assert!(app.unassign(1) && !app.unassign(1));
    }

    #[test]
    fn the_texts_are_json() {
        let body = json!({"name": "bookmark", "label": "A \"b\"", "visibility": {"appLinks": {"login": true}}});
        let mut app = App::new("0oa1", body.as_object().unwrap().clone(), true, 0);
        app.write("http://o", "00o1");
        let value: Value = serde_json::from_str(app.text()).unwrap();
        assert_eq!((&value["label"], &value["_links"]["appLinks"][0]["name"]), (&json!("A \"b\""), &json!("login")));
        app.assign(1, None, None, 0);
        let mut out = String::new();
        app.groups[0].push("http://o", "0oa1", "00g1", &mut out);
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["id"], "00g1");
    }
}
