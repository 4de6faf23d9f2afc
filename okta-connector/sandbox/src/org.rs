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
use crate::login::fold;
use crate::oauth::OAuth;
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
    /// How long a deactivation or deletion takes, in milliseconds; 0 is at once.
    pub deactivation_millis: i64,
    /// How many single reads of a user still find its deactivation or deletion under way, besides the time it takes.
    /// `Prefer: respond-async` makes it one at least.
    pub deactivation_reads: u32,
    /// Whether deactivated users can be updated, as an organisation may allow.
    pub deactivated_updatable: bool,
    /// Whether a second application of the same label is refused (400 `E0000040`).
    pub unique_app_labels: bool,
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
    pub(crate) oauth: Arc<OAuth>,
    /// (user, relationship) to the ids it points at.
    pub(crate) links: BTreeMap<(String, String), BTreeSet<String>>,
    pub(crate) log: Log,
    pub(crate) ids: Ids,
    pub(crate) default_type: Arc<str>,
    logins: HashMap<Box<str>, u32>,
    under_way: Vec<Transition>,
    hasher: RandomState,
}

/// A step of a user that takes its time.
#[derive(Debug)]
struct Transition {
    row: u32,
    to: Goal,
    due: i64,
    /// How many single reads it outlives.
    reads: u32,
}

/// Where such a step leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    Status(Status),
    /// Deleted.
    Gone,
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
            deactivation_millis: 0,
            deactivation_reads: 0,
            deactivated_updatable: false,
            unique_app_labels: false,
            oauth: Arc::new(OAuth::new(random)),
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
            under_way: Vec::new(),
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

    /// How many records of every kind there are: what is created or deleted shows here.
    pub(crate) fn counts_of_all(&self) -> [usize; 8] {
        let (users, groups, apps) = (self.users.len(), self.groups.len(), self.apps.len());
        let schemas = (self.schemas.types.len(), self.schemas.linked.len());
        [users, groups, apps, self.rules.len(), self.tokens.all.len(), self.links.len(), schemas.0, schemas.1]
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

    /// Okta: logins are looked up, and unique, whatever their case and accents.
    pub(crate) fn login_row(&self, login: &str) -> Option<u32> {
        self.logins.get(fold(login).as_str()).copied()
    }

    pub(crate) fn insert_user(&mut self, mut user: User, now: i64) -> u32 {
        if self.lag > 0 {
            user.earlier = Some(Box::new(Earlier { until: now + self.lag, user: None }));
        }
        let (id, login) = (user.id.clone(), fold(&user.attribute("login")));
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
        let old_login = fold(&user.attribute("login"));
        user.last_updated = now;
        edit(user);
        match profile {
            Some(profile) => user.write(&self.base, profile),
            None => user.rewrite(&self.base),
        }
        let login = fold(&user.attribute("login"));
        if login != old_login {
            self.logins.remove(old_login.as_str());
            self.logins.insert(login.into(), row);
        }
    }

    pub(crate) fn set_status(&mut self, row: u32, status: Status, now: i64) {
        self.under_way.retain(|step| step.row != row);
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
            self.under_way.push(Transition {
                row,
                to: Goal::Status(status),
                due: now + self.activation_millis,
                reads: 0,
            });
            return;
        }
        self.set_status(row, status, now);
        self.change_user(row, now, None, |user| user.activated = Some(now));
    }

    /// Deactivation, or the deletion of a deactivated user: at once, or under way.
    pub(crate) fn end_user(&mut self, row: u32, to: Goal, in_background: bool, now: i64) {
        let reads = self.deactivation_reads.max(u32::from(in_background));
        let step = Transition { row, to, due: now + self.deactivation_millis, reads };
        if reads == 0 && self.deactivation_millis <= 0 {
            self.arrive(&step, now);
            return;
        }
        if to != Goal::Gone {
            self.change_user(row, now, None, |user| user.becoming = Some(Status::Deprovisioned));
        }
        self.under_way.push(step);
    }

    pub(crate) fn is_under_way(&self, row: u32) -> bool {
        self.under_way.iter().any(|step| step.row == row)
    }

    /// Whether [`Org::settle`] has something to do.
    pub(crate) fn unsettled(&self, now: i64) -> bool {
        self.under_way.iter().any(|step| step.due <= now || step.reads > 0)
    }

    /// Ends what is due; `read` is the user a single read is about, which brings its step nearer to the end.
    pub(crate) fn settle(&mut self, read: Option<u32>, now: i64) {
        let under_way = std::mem::take(&mut self.under_way);
        let (due, rest) = under_way.into_iter().partition(|step| step.due <= now && step.reads == 0);
        self.under_way = rest;
        let due: Vec<Transition> = due;
        due.iter().for_each(|step| self.arrive(step, step.due));
        for step in self.under_way.iter_mut().filter(|step| Some(step.row) == read) {
            step.reads = step.reads.saturating_sub(1);
        }
    }

    fn arrive(&mut self, step: &Transition, at: i64) {
        match step.to {
            Goal::Gone => {
                if let Some(id) = self.users.get(step.row).map(|user| user.id.clone()) {
                    self.delete_user(&id, at);
                }
            }
            Goal::Status(Status::Deprovisioned) => {
                self.set_status(step.row, Status::Deprovisioned, at);
                for app in self.apps.iter_mut() {
                    app.users.remove(&step.row);
                }
            }
            Goal::Status(status) => {
                self.set_status(step.row, status, at);
                self.change_user(step.row, at, None, |user| user.activated = Some(at));
            }
        }
    }

    pub(crate) fn delete_user(&mut self, id: &str, now: i64) {
        let Some((row, user)) = self.users.remove(id) else { return };
        self.logins.remove(fold(&user.attribute("login")).as_str());
        self.under_way.retain(|step| step.row != row);
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
            None => match self.oauth.state().client(actor) {
                Some(client) => Target::new("PublicClientApp", actor, actor, &client.app.name),
                None => Target::new("SystemPrincipal", actor, "system@okta.com", "Okta System"),
            },
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
