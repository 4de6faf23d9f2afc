//! Records of an organisation given one by one in a JSON file; the README shows the form.
//! Users are named by login or id, groups by name or id, applications by label or id.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::clock;
use crate::group::{Group, Kind};
use crate::oauth::ServiceApp;
use crate::org::{Org, complete};
use crate::template;
use crate::user::{Status, User};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct SeedFile {
    /// Custom attributes by name, each as a schema property or just its type.
    user_attributes: Map<String, Value>,
    group_attributes: Map<String, Value>,
    users: Vec<UserSeed>,
    groups: Vec<GroupSeed>,
    apps: Vec<AppSeed>,
    service_apps: Vec<ServiceApp>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct UserSeed {
    id: Option<String>,
    status: Option<String>,
    password: Option<String>,
    created: Option<String>,
    last_updated: Option<String>,
    last_login: Option<String>,
    profile: Map<String, Value>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupSeed {
    id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    profile: Map<String, Value>,
    #[serde(default)]
    members: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct AppSeed {
    id: Option<String>,
    status: Option<String>,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    users: Vec<String>,
    #[serde(flatten)]
    request: Map<String, Value>,
}

impl SeedFile {
    pub(crate) fn plant(&self, org: &mut Org) -> Result<(), String> {
        let now = org.groups.get(org.everyone).map_or(0, |everyone| everyone.created);
        for (name, attribute) in &self.user_attributes {
            org.schemas.types[0].custom.insert(name.clone(), property(name, attribute));
        }
        for (name, attribute) in &self.group_attributes {
            org.schemas.group_custom.insert(name.clone(), property(name, attribute));
        }
        self.users.iter().try_for_each(|user| user.plant(org, now))?;
        self.groups.iter().try_for_each(|group| group.plant(org, now))?;
        self.apps.iter().try_for_each(|app| app.plant(org, now))?;
        self.service_apps.iter().try_for_each(|app| org.add_service_app(app.clone()))
    }
}

impl UserSeed {
    fn plant(&self, org: &mut Org, now: i64) -> Result<(), String> {
        let id = self.id.clone().unwrap_or_else(|| org.ids.next("00u"));
        let status: Status = self.status.as_deref().unwrap_or("ACTIVE").parse()?;
        let at = |text: &Option<String>| match text {
            Some(text) => clock::parse(text).map(Some).ok_or_else(|| format!("user {id}: `{text}` is no time")),
            None => Ok(None),
        };
        let created = at(&self.created)?.unwrap_or(now);
        let mut user = User::new(&id, status, org.default_type.clone(), created);
        user.last_updated = at(&self.last_updated)?.unwrap_or(created);
        user.last_login = at(&self.last_login)?;
        user.activated = (status != Status::Staged).then_some(created);
        user.password = self.password.as_ref().map(|password| org.hash(password));
        user.password_changed = user.password.map(|_| created);
        let mut profile = self.profile.clone();
        if let Some(login) = profile.get("login").cloned() {
            profile.entry("email").or_insert(login);
        }
        complete(&mut profile);
        crate::profile::check(&profile, &org.schemas.types[0])
            .map_err(|error| format!("user {id}: {}", error.text()))?;
        user.write(&org.base, &Value::from(profile).to_string());
        org.insert_user(user, created);
        Ok(())
    }
}

impl GroupSeed {
    fn plant(&self, org: &mut Org, now: i64) -> Result<(), String> {
        let id = self.id.clone().unwrap_or_else(|| org.ids.next("00g"));
        let kind = match self.kind.as_deref() {
            None | Some("OKTA_GROUP") => Kind::Okta,
            Some("APP_GROUP") => Kind::App,
            Some("BUILT_IN") => Kind::BuiltIn,
            Some(other) => return Err(format!("group {id}: `{other}` is no type of group")),
        };
        let mut profile = self.profile.clone();
        profile.entry("description").or_insert(Value::Null);
        let mut group = Group::new(&id, kind, Value::from(profile).to_string(), now);
        for member in &self.members {
            group.members.push(org.user_row(member).ok_or_else(|| format!("group {id}: no user `{member}`"))?);
        }
        group.members.sort_unstable();
        group.members.dedup();
        org.groups.insert(&id, group);
        Ok(())
    }
}

impl AppSeed {
    fn plant(&self, org: &mut Org, now: i64) -> Result<(), String> {
        let id = self.id.clone().unwrap_or_else(|| org.ids.next("0oa"));
        let body =
            template::body(&self.request, None, &mut org.ids).map_err(|error| format!("app {id}: {}", error.text()))?;
        let active = self.status.as_deref() != Some("INACTIVE");
        let mut app = App::new(&id, body, active, now);
        app.hide_secret();
        app.write(&org.base, &org.id);
        org.apps.insert(&id, app);
        for (priority, group) in self.groups.iter().enumerate() {
            if !org.assign_at(&id, group, Some(priority as i64)) {
                return Err(format!("app {id}: no group `{group}`"));
            }
        }
        for user in &self.users {
            if !org.assign_user(&id, user) {
                return Err(format!("app {id}: no user `{user}`"));
            }
        }
        Ok(())
    }
}

fn property(name: &str, given: &Value) -> Value {
    match given {
        Value::String(kind) => json!({"title": name, "type": kind, "mutability": "READ_WRITE", "scope": "NONE",
            "permissions": [{"principal": "SELF", "action": "READ_ONLY"}]}),
        whole => whole.clone(),
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::Clock;
    use crate::org::Org;
    use crate::seed::Seed;

    const FILE: &str = r#"{
        "userAttributes": {"shoeSize": "integer"},
        "users": [
            {"id": "00u1", "profile": {"login": "ada@example.com", "firstName": "Ada", "lastName": "L", "shoeSize": 38}},
            {"status": "DEPROVISIONED", "profile": {"login": "bob@example.com", "firstName": "Bob", "lastName": "B"}}
        ],
        "groups": [{"profile": {"name": "Readers"}, "members": ["ada@example.com", "BOB@example.com"]}],
        "apps": [{"name": "bookmark", "label": "Wiki", "groups": ["Readers", "Everyone"], "users": ["00u1"]}]
    }"#;

    #[test]
    fn plants_what_the_file_names() {
        let mut org = Org::new("http://o", 0, 1, Clock::manual(0));
        Seed::from_json(FILE).unwrap().plant(&mut org).unwrap();
        let counts = org.counts();
        assert_eq!((counts.users, counts.groups, counts.apps), (2, 2, 1));
        assert_eq!((counts.memberships, counts.assignments), (4, 2));
    }

    #[test]
    fn says_what_is_wrong() {
        let bad = FILE.replace("BOB@", "nobody@");
        let mut org = Org::new("http://o", 0, 1, Clock::manual(0));
        assert!(Seed::from_json(&bad).unwrap().plant(&mut org).unwrap_err().contains("nobody@"));
        assert!(Seed::from_json(r#"{"user": []}"#).is_err());
    }
}
