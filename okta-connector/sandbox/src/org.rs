//! The organisation: everything the endpoints read and change, and the few steps all changes go through
//! (the index that lags behind, Everyone that holds every user, the log). It knows nothing of HTTP or limits.
//! Okta: Everyone is kept by the system and holds deactivated users too; deleted users leave everything at once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use serde_json::Value;

use crate::app::App;
use crate::clock::Clock;
use crate::group::{Group, Kind};
use crate::ids::Ids;
use crate::log::{Log, Target};
use crate::roles::Role;
use crate::rules::Rule;
use crate::schema::Schemas;
use crate::table::Table;
use crate::tokens::Tokens;
use crate::user::{Earlier, Status, User};

/// An Okta organisation in memory.
#[derive(Debug)]
pub struct Org {
    /// Whether `/groups/{id}/apps` lists applications that are not active, and `appsCount` counts them.
    pub inactive_apps_listed: bool,
    /// The most applications the plan allows, as integrator plans have it.
    pub max_apps: Option<usize>,
    /// How long an activation takes, in milliseconds; 0 is at once.
    pub activation_millis: i64,
    pub(crate) base: String,
    pub(crate) clock: Clock,
    pub(crate) id: String,
    pub(crate) lag: i64,
    pub(crate) users: Table<User>,
    pub(crate) groups: Table<Group>,
    pub(crate) apps: Table<App>,
    pub(crate) everyone: u32,
    pub(crate) rules: Vec<Rule>,
    pub(crate) schemas: Schemas,
    pub(crate) roles: BTreeMap<String, Vec<Role>>,
    /// Owners of groups as they are shown, by the id of the group.
    pub(crate) owners: BTreeMap<String, Vec<Value>>,
    pub(crate) tokens: Tokens,
    /// (user, relationship) to the ids it points at.
    pub(crate) links: BTreeMap<(String, String), BTreeSet<String>>,
    pub(crate) log: Log,
    pub(crate) ids: Ids,
    pub(crate) default_type: Arc<str>,
    logins: HashMap<Box<str>, u32>,
    activating: Vec<(i64, u32, Status)>,
    hasher: RandomState,
}

/// How many of each there are. `memberships` counts Everyone's too, `assignments` the groups assigned to applications.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub users: usize,
    pub groups: usize,
    pub apps: usize,
    pub memberships: usize,
    pub assignments: usize,
}

impl Org {
    pub(crate) fn new(base: &str, lag: i64, random: u64, clock: Clock) -> Self {
        let now = clock.now_millis();
        let mut ids = Ids::new(random);
        let (id, user_type) = (ids.next("00o"), ids.next("oty"));
        let mut groups = Table::default();
        let profile = r#"{"name":"Everyone","description":"All users in your organization"}"#;
        let everyone = ids.next("00g");
        let everyone = groups.insert(&everyone, Group::new(&everyone, Kind::BuiltIn, profile.into(), now));
        Self {
            inactive_apps_listed: false,
            max_apps: None,
            activation_millis: 0,
            base: base.to_owned(),
            clock,
            schemas: Schemas::new(base, &user_type, now),
            default_type: user_type.as_str().into(),
            tokens: Tokens::new(&id),
            id,
            lag,
            users: Table::default(),
            groups,
            apps: Table::default(),
            everyone,
            rules: Vec::new(),
            roles: BTreeMap::new(),
            owners: BTreeMap::new(),
            links: BTreeMap::new(),
            log: Log::default(),
            ids,
            logins: HashMap::new(),
            activating: Vec::new(),
            hasher: RandomState::new(),
        }
    }

    /// How many of each there are now.
    pub fn counts(&self) -> Counts {
        Counts {
            users: self.users.len(),
            groups: self.groups.len(),
            apps: self.apps.len(),
            memberships: self.users.len() + self.groups.iter().map(|group| group.members.len()).sum::<usize>(),
            assignments: self.apps.iter().map(|app| app.groups.len()).sum(),
        }
    }

    /// Makes room before a large seed.
    pub(crate) fn reserve(&mut self, users: usize) {
        self.users = Table::with_capacity(users);
        self.logins = HashMap::with_capacity(users);
    }

    /// A secret as it is kept: a keyed hash, good only in this process.
    pub(crate) fn hash(&self, secret: &str) -> u64 {
        self.hasher.hash_one(secret)
    }

    /// The row of a user by id or by login (any case).
    pub(crate) fn user_row(&self, id_or_login: &str) -> Option<u32> {
        self.users.row(id_or_login).or_else(|| self.login_row(id_or_login))
    }

    pub(crate) fn login_row(&self, login: &str) -> Option<u32> {
        self.logins.get(login.to_lowercase().as_str()).copied()
    }

    pub(crate) fn insert_user(&mut self, mut user: User, now: i64) -> u32 {
        if self.lag > 0 {
            user.earlier = Some(Box::new(Earlier { until: now + self.lag, user: None }));
        }
        let (id, login) = (user.id.clone(), user.attribute("login").to_lowercase());
        let row = self.users.insert(&id, user);
        self.logins.insert(login.into(), row);
        if let Some(everyone) = self.groups.get_mut(self.everyone) {
            everyone.touch_membership(now);
        }
        row
    }

    /// Changes a user: the index keeps the old one for a while, the text is written anew.
    pub(crate) fn change_user(&mut self, row: u32, now: i64, profile: Option<&str>, edit: impl FnOnce(&mut User)) {
        let Some(user) = self.users.get_mut(row) else { return };
        if self.lag > 0 {
            let before = match user.earlier.take() {
                Some(earlier) if now < earlier.until => earlier.user,
                _ => Some(user.clone()),
            };
            user.earlier = Some(Box::new(Earlier { until: now + self.lag, user: before }));
        }
        let old_login = user.attribute("login").to_lowercase();
        user.last_updated = now;
        edit(user);
        match profile {
            Some(profile) => user.write(&self.base, profile),
            None => user.rewrite(&self.base),
        }
        let login = user.attribute("login").to_lowercase();
        if login != old_login {
            self.logins.remove(old_login.as_str());
            self.logins.insert(login.into(), row);
        }
    }

    pub(crate) fn set_status(&mut self, row: u32, status: Status, now: i64) {
        self.activating.retain(|(_, activating, _)| *activating != row);
        self.change_user(row, now, None, |user| {
            user.status = status;
            user.becoming = None;
            user.status_changed = Some(now);
        });
    }

    /// Activation: at once, or under way until [`Org::settle`] finds it due.
    pub(crate) fn activate(&mut self, row: u32, status: Status, now: i64) {
        if self.activation_millis > 0 {
            self.change_user(row, now, None, |user| user.becoming = Some(status));
            self.activating.push((now + self.activation_millis, row, status));
            return;
        }
        self.set_status(row, status, now);
        self.change_user(row, now, None, |user| user.activated = Some(now));
    }

    /// Whether [`Org::settle`] has something to do.
    pub(crate) fn unsettled(&self, now: i64) -> bool {
        self.activating.iter().any(|(due, ..)| *due <= now)
    }

    /// Ends activations that are due.
    pub(crate) fn settle(&mut self, now: i64) {
        let (due, rest) = std::mem::take(&mut self.activating).into_iter().partition(|(due, ..)| *due <= now);
        self.activating = rest;
        let due: Vec<(i64, u32, Status)> = due;
        for (at, row, status) in due {
            self.set_status(row, status, at);
            self.change_user(row, at, None, |user| user.activated = Some(at));
        }
    }

    pub(crate) fn delete_user(&mut self, id: &str, now: i64) {
        let Some((row, user)) = self.users.remove(id) else { return };
        self.logins.remove(user.attribute("login").to_lowercase().as_str());
        self.groups.iter_mut().for_each(|group| group.forget(row, now));
        for app in self.apps.iter_mut() {
            app.users.remove(&row);
        }
        self.roles.remove(id);
        self.links.retain(|(from, _), to| {
            to.remove(id);
            from != id && !to.is_empty()
        });
        self.rules.iter_mut().for_each(|rule| rule.forget_user(row));
    }

    pub(crate) fn delete_group(&mut self, id: &str) {
        let Some((row, _)) = self.groups.remove(id) else { return };
        for app in self.apps.iter_mut() {
            app.unassign(row);
        }
        self.rules.iter_mut().for_each(|rule| rule.lose_group(id));
        self.roles.remove(id);
        self.owners.remove(id);
    }

    pub(crate) fn delete_app(&mut self, id: &str) {
        let Some((row, _)) = self.apps.remove(id) else { return };
        for group in self.groups.iter_mut() {
            group.apps.retain(|app| *app != row);
        }
    }

    /// Adds or removes a member; false when nothing changes. Everyone never changes this way.
    pub(crate) fn change_member(&mut self, group: u32, user: u32, added: bool, now: i64) -> bool {
        let lag = self.lag;
        self.groups.get_mut(group).is_some_and(|group| group.change(user, added, now, lag))
    }

    pub(crate) fn is_member(&self, group: u32, user: u32) -> bool {
        group == self.everyone || self.groups.get(group).is_some_and(|group| group.members.binary_search(&user).is_ok())
    }

    /// Members as lists show them at `now`, from row `start` on.
    pub(crate) fn members(&self, group: u32, start: u64, now: i64) -> Box<dyn Iterator<Item = (u64, &User)> + '_> {
        if group == self.everyone {
            return Box::new(self.users.from(start).filter(move |(_, user)| user.indexed(now).is_some()));
        }
        let Some(record) = self.groups.get(group) else { return Box::new(std::iter::empty()) };
        let found = move |row: u32| Some((u64::from(row), self.users.get(row)?));
        match record.lagging(now) {
            Some(shown) => {
                let at = shown.partition_point(|row| u64::from(*row) < start);
                Box::new(shown.into_iter().skip(at).filter_map(found))
            }
            None => {
                let at = record.members.partition_point(|row| u64::from(*row) < start);
                Box::new(record.members[at..].iter().copied().filter_map(found))
            }
        }
    }

    /// What `_embedded.stats` counts.
    pub(crate) fn member_count(&self, group: u32, now: i64) -> usize {
        match self.groups.get(group) {
            Some(_) if group == self.everyone => self.users.len(),
            Some(record) => record.lagging(now).map_or(record.members.len(), |shown| shown.len()),
            None => 0,
        }
    }

    pub(crate) fn note(&mut self, now: i64, actor: &str, event_type: &str, targets: &[Target]) {
        let actor = match self.user_row(actor).and_then(|row| self.users.get(row)) {
            Some(user) => user_target(user),
            None => Target::new("SystemPrincipal", actor, "system@okta.com", "Okta System"),
        };
        self.log.note(&mut self.ids, now, event_type, &actor, targets);
    }
}

pub(crate) fn user_target(user: &User) -> Target {
    Target::new("User", &user.id, &user.attribute("login"), &user.name())
}

pub(crate) fn group_target(group: &Group) -> Target {
    Target::new("UserGroup", &group.id, "unknown", &group.name())
}

pub(crate) fn app_target(app: &App) -> Target {
    Target::new("AppInstance", &app.id, app.label(), app.label())
}

/// A profile as it is stored: what must be explicit is there, in Okta's order.
pub(crate) fn complete(profile: &mut serde_json::Map<String, Value>) {
    for name in ["mobilePhone", "secondEmail"] {
        profile.entry(name).or_insert(Value::Null);
    }
    profile.retain(|name, value| !value.is_null() || matches!(name.as_str(), "mobilePhone" | "secondEmail"));
}
