//! The five tables as one stream of records: three lists side by side, and a fan of smaller lists that follow from them.
//!
//! Groups are queued for their members as soon as their page is there, the largest first; a group without members or
//! apps costs nothing. Rules: complete or an error; no dangling links; as few requests as that allows.
//! A page is read, handed on and only then followed by its next: only ids of groups and apps stay, and of users where a
//! filter leaves some out.

use std::{
    collections::{BinaryHeap, HashSet},
    sync::Arc,
};

use connector_api::{Error, ExportStream, RecordBatch, Result, Table};
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, FuturesUnordered},
};

use crate::{
    client::{Client, Request},
    error::{Failure, Refusal},
    lists::{self, APP_COLUMN, GROUP_COLUMN, UserList},
    pages::{Found, LinkReader, Listed, ObjectReader, Page, Readers, Reading},
    paging::List,
    schema,
    settings::GroupsAppsBy,
    tables::{APPS, GROUPS, GROUPS_APPS, GROUPS_USERS, USERS, right_to_read},
};

/// Lists of the fan that are read at once in one bucket; the governor admits fewer.
const FAN_WIDTH: usize = 8;

/// Reads all records of `tables`.
pub(crate) fn stream<'a>(client: &'a Client, tables: &'a [Table]) -> ExportStream<'a> {
    let step = move |export: Option<Box<Export<'a>>>| async move {
        let mut export = match export {
            Some(export) => export,
            None => Box::new(Export::start(client, tables).await?),
        };
        Ok(export.next_batch().await?.map(|batch| (batch, Some(export))))
    };
    stream::try_unfold(None, step).boxed()
}

/// A list still to be read; the larger one first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    size: u64,
    id: String,
}

/// Where the records of a table go, by its index among the tables asked for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    users: Option<usize>,
    groups: Option<usize>,
    apps: Option<usize>,
    members: Option<usize>,
    assignments: Option<usize>,
}

type Running<'a> = BoxFuture<'a, (Reading, Result<Page, Failure>)>;

struct Export<'a> {
    client: &'a Client,
    wanted: Wanted,
    user_columns: Vec<String>,
    readers: Arc<Readers>,
    running: FuturesUnordered<Running<'a>>,
    groups_running: usize,
    apps_running: usize,
    open_lists: u32,
    /// Whether any user was listed.
    sees_users: bool,
    users_done: bool,
    groups_done: bool,
    apps_done: bool,
    /// Groups whose members are still to be read.
    member_lists: BinaryHeap<Waiting>,
    /// Apps whose groups are still to be read.
    app_lists: Vec<String>,
    /// Groups whose apps are still to be read.
    group_app_lists: BinaryHeap<Waiting>,
    by: GroupsAppsBy,
    active_apps: Vec<String>,
    user_ids: HashSet<String>,
    group_ids: HashSet<String>,
    app_ids: HashSet<String>,
    /// The sets above once their list is complete, as far as links are checked against them.
    known_users: Option<Arc<HashSet<String>>>,
    known_groups: Option<Arc<HashSet<String>>>,
    known_apps: Option<Arc<HashSet<String>>>,
}

impl<'a> Export<'a> {
    async fn start(client: &'a Client, tables: &'a [Table]) -> Result<Self> {
        let columns = schema::resolve(client, tables).await?;
        let index = |name| tables.iter().position(|table: &Table| table.name == name);
        let wanted = Wanted {
            users: index(USERS),
            groups: index(GROUPS),
            apps: index(APPS),
            members: index(GROUPS_USERS),
            assignments: index(GROUPS_APPS),
        };
        let columns_of = |table: Option<usize>| table.map_or_else(Vec::new, |index| columns[index].clone());
        let links = |table: Option<usize>, owner| table.map(|index| LinkReader::new(&columns[index], owner));
        let settings = client.settings();
        let user_columns = columns_of(wanted.users);
        let readers = Readers {
            users: ObjectReader::new(&user_columns, "status", ""),
            groups: ObjectReader::new(&columns_of(wanted.groups), "type", "BUILT_IN"),
            apps: ObjectReader::new(&columns_of(wanted.apps), "status", "ACTIVE"),
            members: links(wanted.members, GROUP_COLUMN),
            groups_of_app: links(wanted.assignments, APP_COLUMN),
            apps_of_group: links(wanted.assignments, GROUP_COLUMN),
            include_deprovisioned: settings.include_deprovisioned,
        };
        let mut export = Self {
            client,
            wanted,
            user_columns,
            readers: Arc::new(readers),
            running: FuturesUnordered::new(),
            groups_running: 0,
            apps_running: 0,
            open_lists: 0,
            sees_users: false,
            users_done: true,
            groups_done: true,
            apps_done: true,
            member_lists: BinaryHeap::new(),
            app_lists: Vec::new(),
            group_app_lists: BinaryHeap::new(),
            by: settings.groups_apps_by,
            active_apps: Vec::new(),
            user_ids: HashSet::new(),
            group_ids: HashSet::new(),
            app_ids: HashSet::new(),
            known_users: None,
            known_groups: None,
            known_apps: None,
        };
        export.open_lists();
        Ok(export)
    }

    /// Starts the lists on which everything rests.
    fn open_lists(&mut self) {
        let settings = self.client.settings();
        let Wanted { users, groups, apps, members, assignments } = self.wanted;
        let by_group = assignments.is_some() && self.by != GroupsAppsBy::App;
        if users.is_some() || self.checks_users() {
            self.users_done = false;
            let list = UserList::first(settings);
            self.open(Listed::Users(list), list.request(settings, &self.user_columns));
        }
        if groups.is_some() || members.is_some() || by_group || self.checks_groups() {
            self.groups_done = false;
            self.open(Listed::Groups, lists::groups(settings, members.is_some() || by_group));
        }
        if apps.is_some() || assignments.is_some() {
            self.apps_done = false;
            self.open(Listed::Apps, lists::apps(settings));
        }
    }

    fn open(&mut self, listed: Listed, request: Request) {
        self.open_lists += 1;
        self.client.open_list();
        self.read_on(Reading { listed, list: List::new(request), only: None, links: (0, 0) });
    }

    fn close(&mut self) {
        self.open_lists -= 1;
        self.client.close_list();
    }

    /// Whether memberships are checked against the users listed, because a filter leaves some out.
    fn checks_users(&self) -> bool {
        self.wanted.members.is_some() && self.client.settings().user_filter.is_some()
    }

    /// Whether assignments are checked against the groups listed, because a filter leaves some out.
    fn checks_groups(&self) -> bool {
        self.wanted.assignments.is_some() && self.client.settings().group_filter.is_some()
    }

    async fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            self.read_more_lists();
            let Some((reading, result)) = self.running.next().await else { return Ok(None) };
            if let Some(running) = self.fan_of(&reading.listed) {
                *running -= 1;
            }
            let batch = match result {
                Ok(page) => self.take(reading, page)?,
                Err(failure) => {
                    self.list_users_otherwise(&reading, failure)?;
                    None
                }
            };
            if batch.is_some() {
                return Ok(batch);
            }
        }
    }

    /// Reads the next page of a list in the background.
    fn read_on(&mut self, mut reading: Reading) {
        if let Some(running) = self.fan_of(&reading.listed) {
            *running += 1;
        }
        let (client, readers) = (self.client, Arc::clone(&self.readers));
        let page = async move {
            let result = readers.next_page(client, &mut reading).await;
            (reading, result)
        };
        self.running.push(page.boxed());
    }

    /// How many lists of the fan are under way in the bucket of this one; none for the lists on which all rests.
    fn fan_of(&mut self, listed: &Listed) -> Option<&mut usize> {
        match listed {
            Listed::MembersOf(_) | Listed::AppsOf(..) => Some(&mut self.groups_running),
            Listed::GroupsOf(_) => Some(&mut self.apps_running),
            Listed::Users(_) | Listed::Groups | Listed::Apps => None,
        }
    }

    /// Fills the fan from what waits.
    fn read_more_lists(&mut self) {
        let may_read_members = self.users_done || !self.checks_users();
        while may_read_members && self.groups_running < FAN_WIDTH {
            let Some(Waiting { id, .. }) = self.member_lists.pop() else { break };
            let request = lists::members(&id);
            self.read_links(Listed::MembersOf(id), request, self.known_users.clone());
        }
        let may_read_groups = self.groups_done || !self.checks_groups();
        while may_read_groups && self.apps_running < FAN_WIDTH {
            let Some(id) = self.app_lists.pop() else { break };
            let request = lists::groups_of_app(&id);
            self.read_links(Listed::GroupsOf(id), request, self.known_groups.clone());
        }
        let side_is_chosen = self.groups_done || self.by != GroupsAppsBy::Auto;
        while side_is_chosen && self.apps_done && self.groups_running < FAN_WIDTH {
            let Some(Waiting { id, size }) = self.group_app_lists.pop() else { break };
            let request = lists::apps_of_group(&id);
            self.read_links(Listed::AppsOf(id, Some(size)), request, self.known_apps.clone());
        }
    }

    fn read_links(&mut self, listed: Listed, request: Request, only: Option<Arc<HashSet<String>>>) {
        self.read_on(Reading { listed, list: List::new(request), only, links: (0, 0) });
    }

    /// Takes in a page; its records go to the table they belong to.
    fn take(&mut self, reading: Reading, page: Page) -> Result<Option<RecordBatch>> {
        let Page { records, found } = page;
        let done = reading.list.is_done();
        let (name, table) = match &reading.listed {
            Listed::Users(list) => {
                self.take_users(found, *list, done)?;
                (USERS, self.wanted.users)
            }
            Listed::Groups => {
                self.take_groups(found, done);
                (GROUPS, self.wanted.groups)
            }
            Listed::Apps => {
                self.take_apps(found, done);
                (APPS, self.wanted.apps)
            }
            Listed::MembersOf(_) => (GROUPS_USERS, self.wanted.members),
            Listed::GroupsOf(_) => (GROUPS_APPS, self.wanted.assignments),
            Listed::AppsOf(_, counted) => {
                self.prove(*counted, &reading, done);
                (GROUPS_APPS, self.wanted.assignments)
            }
        };
        let is_whole = done && matches!(reading.listed, Listed::Users(_) | Listed::Groups | Listed::Apps);
        self.client.progress(name, |progress| {
            progress.pages += 1;
            if is_whole {
                progress.expected_pages = Some(progress.pages);
            }
        });
        if !done {
            self.read_on(reading);
        }
        Ok(table.filter(|_| !records.is_empty()).map(|table| RecordBatch { table, records }))
    }

    fn take_users(&mut self, found: Vec<Found>, list: UserList, done: bool) -> Result<()> {
        self.sees_users |= !found.is_empty();
        if self.checks_users() {
            self.user_ids.extend(found.into_iter().map(|user| user.id));
        }
        if !done {
            return Ok(());
        }
        self.close();
        if let Some(next) = list.then(self.client.settings()) {
            self.open(Listed::Users(next), next.request(self.client.settings(), &self.user_columns));
            return Ok(());
        }
        self.users_done = true;
        let settings = self.client.settings();
        // A token that sees nobody is for the host's guard, whom one can overrule; an app without a role is no such case.
        if !self.sees_users && settings.user_filter.is_none() && settings.auth.app().is_some() {
            return Err(self.client.sees_nobody().within("listing `users`"));
        }
        if self.checks_users() {
            self.known_users = Some(Arc::new(std::mem::take(&mut self.user_ids)));
        }
        Ok(())
    }

    fn take_groups(&mut self, found: Vec<Found>, done: bool) {
        let by_group = self.wanted.assignments.is_some() && self.by != GroupsAppsBy::App;
        for group in found {
            if !self.group_ids.insert(group.id.clone()) {
                continue;
            }
            if let (true, Some(users)) = (group.is_special, group.users) {
                self.client.progress(USERS, |progress| progress.expected_pages = Some(lists::user_pages(users)));
            }
            if by_group && group.apps != Some(0) {
                if group.apps.is_none() && self.by == GroupsAppsBy::Auto {
                    self.read_by_app();
                } else {
                    self.group_app_lists.push(Waiting { size: group.apps.unwrap_or(0), id: group.id.clone() });
                }
            }
            if self.wanted.members.is_some() && group.users != Some(0) {
                self.member_lists.push(Waiting { size: group.users.unwrap_or(0), id: group.id });
            }
        }
        if done {
            self.close();
            self.groups_done = true;
            let started = self.client.traffic().tables.get(GROUPS_USERS).map_or(0, |progress| progress.pages);
            let waiting: u64 = self.member_lists.iter().map(|group| lists::member_pages(group.size).max(1)).sum();
            let running = u64::try_from(self.groups_running).unwrap_or(0);
            self.client.progress(GROUPS_USERS, |progress| progress.expected_pages = Some(started + running + waiting));
            if self.checks_groups() {
                self.known_groups = Some(Arc::new(self.group_ids.clone()));
            }
            self.choose_side();
        }
    }

    fn take_apps(&mut self, found: Vec<Found>, done: bool) {
        for app in found {
            if !self.app_ids.insert(app.id.clone()) || self.wanted.assignments.is_none() {
                continue;
            }
            // An inactive app may be missing from the apps of a group, never from the list of apps.
            if self.by == GroupsAppsBy::App || !app.is_special {
                self.app_lists.push(app.id);
            } else {
                self.active_apps.push(app.id);
            }
        }
        if done {
            self.close();
            self.apps_done = true;
            self.known_apps = Some(Arc::new(std::mem::take(&mut self.app_ids)));
            self.choose_side();
        }
    }

    /// With both lists complete, decides from which side assignments cost less.
    fn choose_side(&mut self) {
        if self.by == GroupsAppsBy::Auto && self.groups_done && self.apps_done {
            let pages = |group: &Waiting| group.size.div_ceil(lists::ASSIGNMENT_PAGE.into()).max(1);
            let by_group: u64 = self.group_app_lists.iter().map(pages).sum();
            if by_group >= u64::try_from(self.active_apps.len()).unwrap_or(u64::MAX) {
                self.read_by_app();
            }
        }
        if self.groups_done && self.apps_done {
            let expected = self.app_lists.len() + self.apps_running + self.group_app_lists.len();
            self.client.progress(GROUPS_APPS, |progress| {
                progress.expected_pages = Some(progress.pages + u64::try_from(expected).unwrap_or(0));
            });
        }
    }

    /// Reads assignments from the side of the apps, which is exact.
    fn read_by_app(&mut self) {
        self.by = GroupsAppsBy::App;
        self.group_app_lists.clear();
        self.app_lists.append(&mut self.active_apps);
    }

    /// Checks that a group listed as many apps as Okta counts; else what was read by group is not proved complete.
    fn prove(&mut self, counted: Option<u64>, reading: &Reading, done: bool) {
        let (listed, kept) = reading.links;
        if done && self.by == GroupsAppsBy::Auto && counted != Some(listed) && counted != Some(kept) {
            tracing::info!(list = reading.list.what(), "Okta counts another number of apps: reading app by app");
            self.read_by_app();
        }
    }

    /// A failed list ends the export, unless it is that of the users and there is another way to list them.
    fn list_users_otherwise(&mut self, reading: &Reading, failure: Failure) -> Result<()> {
        let settings = self.client.settings();
        let (list, refusal) = match (&reading.listed, &failure) {
            (Listed::Users(list), Failure::Refused(refusal)) => (*list, refusal),
            _ => return Err(self.as_error(reading, failure)),
        };
        let Some(other) = list.otherwise(refusal, settings) else { return Err(self.as_error(reading, failure)) };
        tracing::warn!(reason = %refusal, "Okta refuses this way of listing users: trying another");
        self.close();
        self.open(Listed::Users(other), other.request(settings, &self.user_columns));
        Ok(())
    }

    /// The failure with the setting or the right that is at fault.
    fn as_error(&self, reading: &Reading, failure: Failure) -> Error {
        let settings = self.client.settings();
        let (filter, table) = match reading.listed {
            Listed::Users(_) => (settings.user_filter.as_ref().map(|_| "UserFilter"), USERS),
            Listed::Groups => (settings.group_filter.as_ref().map(|_| "GroupFilter"), GROUPS),
            Listed::Apps => (settings.app_filter.as_ref().map(|_| "AppFilter"), APPS),
            Listed::MembersOf(_) => (None, GROUPS_USERS),
            Listed::GroupsOf(_) | Listed::AppsOf(..) => (None, GROUPS_APPS),
        };
        match (&failure, filter) {
            (Failure::Refused(refusal @ Refusal { status: 400, .. }), Some(key)) => {
                Error::setting(key, format!("Okta refuses the expression in `{key}`: {refusal}"))
                    .with_hint("see Okta's documentation on search and filter expressions")
            }
            (Failure::Refused(refusal), Some("UserFilter")) if refusal.rules_out_search() => failure
                .into_error(reading.list.what())
                .with_hint("remove `UserFilter`, so that users can be listed without `search`, or run again later"),
            (Failure::Refused(Refusal { status: 403, of_app, .. }), _) => {
                let hint = right_to_read(table, *of_app);
                failure.into_error(reading.list.what()).with_hint(hint)
            }
            _ => failure.into_error(reading.list.what()),
        }
    }
}

impl Drop for Export<'_> {
    fn drop(&mut self) {
        for _ in 0..self.open_lists {
            self.client.close_list();
        }
    }
}
