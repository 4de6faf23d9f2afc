//! Changing and asking the organisation directly, as an administrator at the console would between two runs.
//! Users are named by id or login, groups by id or name, applications by id or label. Nothing here costs a request.

use serde_json::{Map, Value};

use crate::app::App;
use crate::group::{Group, Kind};
use crate::org::{Org, complete};
use crate::template;
use crate::user::{Status, User};

impl Org {
    pub fn user_ids(&self) -> Vec<String> {
        self.users.iter().map(|user| user.id.to_string()).collect()
    }

    pub fn group_ids(&self) -> Vec<String> {
        self.groups.iter().map(|group| group.id.to_string()).collect()
    }

    pub fn app_ids(&self) -> Vec<String> {
        self.apps.iter().map(|app| app.id.to_string()).collect()
    }

    /// The user as a list shows it.
    pub fn user(&self, user: &str) -> Option<Value> {
        serde_json::from_str(self.users.get(self.user_row(user)?)?.item()).ok()
    }

    pub fn user_id(&self, login: &str) -> Option<String> {
        Some(self.users.get(self.user_row(login)?)?.id.to_string())
    }

    pub fn user_status(&self, user: &str) -> Option<Status> {
        Some(self.users.get(self.user_row(user)?)?.status)
    }

    /// Whether this is the user's password.
    pub fn password_is(&self, user: &str, password: &str) -> bool {
        let known = self.user_row(user).and_then(|row| self.users.get(row)?.password);
        known.is_some_and(|known| known == self.hash(password))
    }

    /// Adds a user with this profile (an object, not asked of the schema); the answer is its id.
    pub fn add_user(&mut self, profile: Value, status: Status) -> String {
        let Value::Object(mut profile) = profile else { return String::new() };
        let id = self.ids.next("00u");
        let now = self.now();
        let mut user = User::new(&id, status, self.default_type.clone(), now);
        user.activated = (status != Status::Staged).then_some(now);
        complete(&mut profile);
        user.write(&self.base, &Value::from(profile).to_string());
        self.insert_user(user, now);
        id
    }

    /// Sets the status without any rule of the lifecycle; false when there is no such user.
    pub fn set_user_status(&mut self, user: &str, status: Status) -> bool {
        let (row, now) = (self.user_row(user), self.now());
        row.map(|row| self.set_status(row, status, now)).is_some()
    }

    /// Sets an attribute (null removes it) without asking the schema.
    pub fn set_attribute(&mut self, user: &str, name: &str, value: Value) -> bool {
        let now = self.now();
        let Some(row) = self.user_row(user) else { return false };
        let mut profile = self.users.get(row).map(User::profile).unwrap_or_default();
        profile.insert(name.to_owned(), value);
        complete(&mut profile);
        self.change_user(row, now, Some(&Value::from(profile).to_string()), |_| {});
        true
    }

    /// Makes another system the master of a user's profile: `ACTIVE_DIRECTORY`, `LDAP`, …; an unknown one is Okta.
    pub fn set_provider(&mut self, user: &str, provider: &str) -> bool {
        let (row, now) = (self.user_row(user), self.now());
        let provider = crate::user::provider(provider);
        row.map(|row| self.change_user(row, now, None, |user| user.provider = provider)).is_some()
    }

    /// Adds a custom attribute of users; `property` is a schema property, such as `{"type": "string", "required": true}`.
    pub fn add_user_attribute(&mut self, name: &str, property: Value) {
        self.schemas.types[0].custom.insert(name.to_owned(), property);
    }

    /// Sets the password whatever the policy says.
    pub fn set_password(&mut self, user: &str, password: &str) -> bool {
        let (hash, now) = (self.hash(password), self.now());
        let row = self.user_row(user);
        row.map(|row| self.change_user(row, now, None, |user| user.password = Some(hash))).is_some()
    }

    /// Signs the user in: `lastLogin` moves, `lastUpdated` does not.
    pub fn sign_in(&mut self, user: &str) -> bool {
        let now = self.now();
        let Some(row) = self.user_row(user) else { return false };
        let base = self.base.clone();
        self.users.get_mut(row).is_some_and(|user| {
            user.last_login = Some(now);
            user.rewrite(&base);
            true
        })
    }

    /// Removes a user for good.
    pub fn remove_user(&mut self, user: &str) -> bool {
        let now = self.now();
        let Some(id) = self.user_row(user).and_then(|row| Some(self.users.get(row)?.id.clone())) else { return false };
        self.delete_user(&id, now);
        true
    }

    /// Adds a group of this name; the answer is its id.
    pub fn add_group(&mut self, name: &str) -> String {
        let id = self.ids.next("00g");
        let profile = serde_json::json!({"name": name, "description": null}).to_string();
        let group = Group::new(&id, Kind::Okta, profile, self.now());
        self.groups.insert(&id, group);
        id
    }

    pub fn remove_group(&mut self, group: &str) -> bool {
        let Some(id) = self.group_row(group).and_then(|row| Some(self.groups.get(row)?.id.clone())) else {
            return false;
        };
        self.delete_group(&id);
        true
    }

    pub fn group_id(&self, name: &str) -> Option<String> {
        Some(self.groups.get(self.group_row(name)?)?.id.to_string())
    }

    /// Puts a user into a group at once.
    pub fn add_member(&mut self, group: &str, user: &str) -> bool {
        self.set_member(group, user, true)
    }

    pub fn remove_member(&mut self, group: &str, user: &str) -> bool {
        self.set_member(group, user, false)
    }

    /// Whether a user really is in a group, whatever lists show yet.
    pub fn has_member(&self, group: &str, user: &str) -> bool {
        self.group_row(group).zip(self.user_row(user)).is_some_and(|(group, user)| self.is_member(group, user))
    }

    /// Ids of all members.
    pub fn member_ids(&self, group: &str) -> Vec<String> {
        let Some(row) = self.group_row(group) else { return Vec::new() };
        self.members(row, 0, i64::MAX).map(|(_, user)| user.id.to_string()).collect()
    }

    /// Adds a bookmark of this label; the answer is its id.
    pub fn add_app(&mut self, label: &str) -> String {
        let id = self.ids.next("0oa");
        let request = serde_json::json!({"name": "bookmark", "label": label});
        let body = template::body(request.as_object().unwrap_or(&Map::new()), None, &mut self.ids);
        let mut app = App::new(&id, body.unwrap_or_default(), true, self.now());
        app.write(&self.base, &self.id);
        self.apps.insert(&id, app);
        id
    }

    /// Activates or deactivates an application.
    pub fn set_app_active(&mut self, app: &str, active: bool) -> bool {
        let (base, id) = (self.base.clone(), self.id.clone());
        let row = self.app_row(app);
        row.and_then(|row| self.apps.get_mut(row)).is_some_and(|app| {
            app.active = active;
            app.write(&base, &id);
            true
        })
    }

    /// Assigns a group to an application.
    pub fn assign_group(&mut self, app: &str, group: &str) -> bool {
        self.assign_at(app, group, None)
    }

    pub fn unassign_group(&mut self, app: &str, group: &str) -> bool {
        let (Some(app), Some(group)) = (self.app_row(app), self.group_row(group)) else { return false };
        if let Some(record) = self.groups.get_mut(group) {
            record.apps.retain(|known| *known != app);
        }
        self.apps.get_mut(app).is_some_and(|app| app.unassign(group))
    }

    pub fn has_assignment(&self, app: &str, group: &str) -> bool {
        let found = self.app_row(app).zip(self.group_row(group));
        found.is_some_and(|(app, group)| self.apps.get(app).is_some_and(|app| app.assignment(group).is_some()))
    }

    /// Assigns a user to an application directly.
    pub fn assign_user(&mut self, app: &str, user: &str) -> bool {
        let (Some(app), Some(row)) = (self.app_row(app), self.user_row(user)) else { return false };
        let now = self.now();
        let user_name = self.users.get(row).map(|user| user.attribute("login").into_owned()).unwrap_or_default();
        let known = crate::app::AppUser { created: now, last_updated: now, user_name, profile: "{}".to_owned() };
        self.apps.get_mut(app).map(|app| app.users.insert(row, known)).is_some()
    }

    pub(crate) fn assign_at(&mut self, app: &str, group: &str, priority: Option<i64>) -> bool {
        let (Some(app_row), Some(group_row)) = (self.app_row(app), self.group_row(group)) else { return false };
        let now = self.now();
        if let Some(record) = self.groups.get_mut(group_row).filter(|record| !record.apps.contains(&app_row)) {
            record.apps.push(app_row);
        }
        self.apps.get_mut(app_row).map(|app| app.assign(group_row, priority, None, now)).is_some()
    }

    fn set_member(&mut self, group: &str, user: &str, added: bool) -> bool {
        let now = self.now();
        let found = self.group_row(group).zip(self.user_row(user));
        found.is_some_and(|(group, user)| self.change_member(group, user, added, now))
    }

    fn group_row(&self, group: &str) -> Option<u32> {
        let named = || self.groups.from(0).find(|(_, known)| known.name() == group).map(|(row, _)| row);
        self.groups.row(group).or_else(|| u32::try_from(named()?).ok())
    }

    fn app_row(&self, app: &str) -> Option<u32> {
        let named = || self.apps.from(0).find(|(_, known)| known.label() == app).map(|(row, _)| row);
        self.apps.row(app).or_else(|| u32::try_from(named()?).ok())
    }

    fn now(&self) -> i64 {
        self.clock.now_millis()
    }
}
