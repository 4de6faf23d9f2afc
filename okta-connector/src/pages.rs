//! From pages to records: what is taken from a page of each list, and what else follows from it.
//!
//! A link is left out when a filter leaves out what it points at, so no link dangles.

use std::{borrow::Cow, collections::HashSet, sync::Arc};

use connector_api::Records;

use crate::{
    cells::Paths,
    client::Client,
    error::Failure,
    lists::{self, UserList},
    paging::List,
};

/// What a list holds.
#[derive(Debug)]
pub(crate) enum Listed {
    Users(UserList),
    Groups,
    Apps,
    MembersOf(String),
    GroupsOf(String),
    /// With the number of apps that Okta counts.
    AppsOf(String, Option<u64>),
}

/// A list and where it stands.
#[derive(Debug)]
pub(crate) struct Reading {
    pub listed: Listed,
    pub list: List,
    /// Links to other objects than these are left out.
    pub only: Option<Arc<HashSet<String>>>,
    /// Links listed so far, and how many of them were kept.
    pub links: (u64, u64),
}

/// How pages become records; shared by all lists.
pub(crate) struct Readers {
    pub users: ObjectReader,
    pub groups: ObjectReader,
    pub apps: ObjectReader,
    pub members: Option<LinkReader>,
    pub groups_of_app: Option<LinkReader>,
    pub apps_of_group: Option<LinkReader>,
    pub include_deprovisioned: bool,
}

/// One object of a page beyond its cells: what other requests follow from.
#[derive(Debug)]
pub(crate) struct Found {
    pub id: String,
    /// Members of a group; none where Okta did not say.
    pub users: Option<u64>,
    /// Apps of a group; none where Okta did not say.
    pub apps: Option<u64>,
    /// Whether this is the group of everyone, or an app that is active.
    pub is_special: bool,
}

/// What a page brought.
#[derive(Debug)]
pub(crate) struct Page {
    pub records: Records,
    pub found: Vec<Found>,
}

/// Reads pages of users, groups or apps: the columns of the table, and what follows from each object.
#[derive(Debug)]
pub(crate) struct ObjectReader {
    paths: Paths,
    width: usize,
    special: &'static str,
}

impl ObjectReader {
    /// `columns` are those of the table, none where it is not exported; `special` is a `type` or `status` to notice.
    pub(crate) fn new(columns: &[String], special_path: &str, special: &'static str) -> Self {
        let extra = ["id", "_embedded.stats.usersCount", "_embedded.stats.appsCount", special_path];
        let paths = Paths::new(columns.iter().map(String::as_str).chain(extra));
        Self { paths, width: columns.len(), special }
    }

    pub(crate) fn read(&self, page: &str) -> serde_json::Result<Page> {
        let mut records = Records::new(self.width);
        let mut found = Vec::new();
        self.paths.read(page, |cells| {
            let (columns, extra) = cells.split_at(self.width);
            records.push(columns.iter().map(Cow::as_ref));
            let id = extra[0].to_string();
            found.push(Found {
                id,
                users: count(&extra[1]),
                apps: count(&extra[2]),
                is_special: extra[3] == self.special,
            });
        })?;
        Ok(Page { records, found })
    }
}

/// A count that can be; sums of what cannot would overflow.
fn count(text: &str) -> Option<u64> {
    text.parse::<u32>().ok().map(u64::from)
}

/// Reads pages of members or assignments: links between the object the list belongs to and those listed.
#[derive(Debug)]
pub(crate) struct LinkReader {
    paths: Paths,
    /// For each column, whether it holds the object the list belongs to.
    of_owner: Vec<bool>,
}

impl LinkReader {
    /// For a list that belongs to the object whose identity `owner_column` holds.
    pub(crate) fn new(columns: &[String], owner_column: &str) -> Self {
        let of_owner = columns.iter().map(|column| column == owner_column).collect();
        Self { paths: Paths::new(["id", "status"]), of_owner }
    }

    /// The links to the objects for which `keep` (identity and status) holds, and how many were listed in all.
    pub(crate) fn read(
        &self,
        page: &str,
        owner: &str,
        keep: impl Fn(&str, &str) -> bool,
    ) -> serde_json::Result<(Records, u64)> {
        let mut records = Records::new(self.of_owner.len());
        let mut listed = 0;
        self.paths.read(page, |cells| {
            listed += 1;
            let (id, status) = (cells[0].as_ref(), cells[1].as_ref());
            if keep(id, status) {
                records.push(self.of_owner.iter().map(|&of_owner| if of_owner { owner } else { id }));
            }
        })?;
        Ok((records, listed))
    }
}

impl Readers {
    pub(crate) async fn next_page(&self, client: &Client, reading: &mut Reading) -> Result<Page, Failure> {
        let Reading { listed, list, only, links } = reading;
        let keep = |id: &str, status: &str| {
            (self.include_deprovisioned || !lists::is_deprovisioned(status))
                && only.as_ref().is_none_or(|known| known.contains(id))
        };
        let (reader, owner) = match &*listed {
            Listed::Users(_) => return list.next_page(client, |page| self.users.read(page)).await,
            Listed::Groups => return list.next_page(client, |page| self.groups.read(page)).await,
            Listed::Apps => return list.next_page(client, |page| self.apps.read(page)).await,
            Listed::MembersOf(group) => (&self.members, group),
            Listed::GroupsOf(app) => (&self.groups_of_app, app),
            Listed::AppsOf(group, _) => (&self.apps_of_group, group),
        };
        let reader = reader.as_ref().expect("a list of links is read only for a table that wants them");
        let restarts = list.restarts();
        let page = match list.next_page(client, |page| reader.read(page, owner, keep)).await {
            Ok((records, count)) => {
                if list.restarts() > restarts {
                    *links = (0, 0);
                }
                links.0 += count;
                links.1 += u64::try_from(records.len()).unwrap_or(0);
                records
            }
            Err(Failure::Refused(refusal)) if refusal.is_missing_object() && is_gone(client, listed).await? => {
                tracing::warn!(list = list.what(), "it was deleted while the export ran: it has no links");
                list.finish();
                Records::default()
            }
            Err(failure) => return Err(failure),
        };
        Ok(Page { records: page, found: Vec::new() })
    }
}

/// Whether the object a list belongs to has been deleted meanwhile: then it has no links.
async fn is_gone(client: &Client, listed: &Listed) -> Result<bool, Failure> {
    let mut request = match listed {
        Listed::MembersOf(group) | Listed::AppsOf(group, _) => lists::group(group),
        Listed::GroupsOf(app) => lists::app(app),
        Listed::Users(_) | Listed::Groups | Listed::Apps => return Ok(false),
    };
    match client.get(&mut request, |_| Ok(())).await {
        Ok(_) => Ok(false),
        Err(Failure::Refused(refusal)) if refusal.is_missing_object() => Ok(true),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_put_owner_and_listed_where_the_columns_are() {
        let reader = LinkReader::new(&["userId".to_owned(), "groupId".to_owned()], lists::GROUP_COLUMN);
        let page = r#"[{"id":"00u1","status":"ACTIVE"},{"id":"00u2","status":"DEPROVISIONED"}]"#;
        let (records, listed) = reader.read(page, "00g1", |_, status| !lists::is_deprovisioned(status)).unwrap();
        let records: Vec<Vec<&str>> = records.iter().map(Iterator::collect).collect();
        assert_eq!((records, listed), (vec![vec!["00u1", "00g1"]], 2));
    }
}
