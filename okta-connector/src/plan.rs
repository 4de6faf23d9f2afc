//! What an export would cost, from lists of groups and apps alone; users and members are never listed.

use std::{collections::BTreeMap, time::Duration};

use connector_api::{BucketPlan, Error, ExportPlan, Result, Table};

use crate::{
    client::{Client, Request},
    lists,
    pages::{Found, ObjectReader},
    paging::List,
    settings::GroupsAppsBy,
    tables::{APPS, GROUPS, GROUPS_APPS, GROUPS_USERS, USERS, bucket},
};

/// What counting found, and what it took.
#[derive(Debug, Default)]
struct Count {
    found: Vec<Found>,
    pages: u64,
    took: Duration,
}

/// Foretells the requests and the time that exporting `tables` takes.
pub(crate) async fn plan(client: &Client, tables: &[Table]) -> Result<ExportPlan> {
    let wants = |name: &str| tables.iter().any(|table| table.name == name);
    let settings = client.settings();
    let lists_users = wants(USERS) || (wants(GROUPS_USERS) && settings.user_filter.is_some());
    let side_needs_groups = settings.groups_apps_by != GroupsAppsBy::App || settings.group_filter.is_some();
    let lists_groups = wants(GROUPS) || wants(GROUPS_USERS) || (wants(GROUPS_APPS) && side_needs_groups);
    let mut groups = Count::default();
    if lists_users || lists_groups {
        groups = count(client, lists::groups(settings, true), &ObjectReader::new(&[], "type", "BUILT_IN")).await?;
    }
    let mut apps = Count::default();
    if wants(APPS) || wants(GROUPS_APPS) {
        apps = count(client, lists::apps(settings), &ObjectReader::new(&[], "status", "ACTIVE")).await?;
    }
    let mut requests: BTreeMap<&str, u64> = BTreeMap::new();
    let everyone = groups.found.iter().filter(|group| group.is_special).filter_map(|group| group.users).max();
    let users = everyone.unwrap_or_else(|| groups.found.iter().filter_map(|group| group.users).max().unwrap_or(0));
    if lists_users {
        *requests.entry(bucket::USERS).or_default() += lists::user_pages(users);
    }
    if lists_groups {
        *requests.entry(bucket::GROUPS).or_default() += groups.pages;
    }
    if wants(GROUPS_USERS) {
        let members = groups.found.iter().filter(|group| group.users != Some(0));
        let pages: u64 = members.map(|group| lists::member_pages(group.users.unwrap_or(1))).sum();
        *requests.entry(bucket::GROUPS).or_default() += pages;
    }
    *requests.entry(bucket::APPS).or_default() += apps.pages;
    if wants(GROUPS_APPS) {
        let (by_group, by_app) = assignment_requests(settings.groups_apps_by, &groups.found, &apps.found);
        *requests.entry(bucket::GROUPS).or_default() += by_group;
        *requests.entry(bucket::APPS).or_default() += by_app;
    }
    requests.retain(|_, requests| *requests > 0);
    let page_time = (groups.took + apps.took) / u32::try_from((groups.pages + apps.pages).max(1)).unwrap_or(u32::MAX);
    let parallel = u64::from(settings.max_concurrency);
    let by_bucket = requests.into_iter().map(|(bucket, requests)| {
        let per_minute = client.allowance(bucket);
        // A list goes page by page; the fan of smaller lists goes side by side.
        let in_a_row = if bucket == bucket::USERS { requests } else { requests.div_ceil(parallel) };
        let answers = page_time.saturating_mul(u32::try_from(in_a_row).unwrap_or(u32::MAX));
        let windows = per_minute.map_or(0, |limit| (requests - 1) / u64::from(limit.max(1)));
        (
            bucket.to_owned(),
            BucketPlan { requests, per_minute, duration: answers.max(Duration::from_secs(windows * 60)) },
        )
    });
    Ok(ExportPlan { by_bucket: by_bucket.collect() })
}

/// Requests for assignments by group and by app.
fn assignment_requests(by: GroupsAppsBy, groups: &[Found], apps: &[Found]) -> (u64, u64) {
    let pages = |apps: Option<u64>| apps.unwrap_or(1).div_ceil(lists::ASSIGNMENT_PAGE.into());
    let by_group: u64 = groups.iter().map(|group| pages(group.apps)).sum();
    let count = |apps: usize| u64::try_from(apps).unwrap_or(u64::MAX);
    let active = count(apps.iter().filter(|app| app.is_special).count());
    let all = count(apps.len());
    let counted = groups.iter().all(|group| group.apps.is_some());
    match by {
        GroupsAppsBy::Group => (by_group, all - active),
        GroupsAppsBy::Auto if counted && by_group < active => (by_group, all - active),
        GroupsAppsBy::App | GroupsAppsBy::Auto => (0, all),
    }
}

async fn count(client: &Client, request: Request, reader: &ObjectReader) -> Result<Count, Error> {
    let started = client.now();
    let mut count = Count::default();
    let mut list = List::new(request);
    while !list.is_done() {
        let page = list.next_page(client, |page| reader.read(page)).await;
        count.found.extend(page.map_err(|failure| failure.into_error(list.what()))?.found);
        count.pages += 1;
    }
    count.took = client.now() - started;
    Ok(count)
}
