//! Resources as they are before they change, read for all changes of a batch at once.
//!
//! What was read first holds until the batch itself changes it: whoever begins a batch has the turn in its directories.

use std::collections::{BTreeMap, HashMap};

use scim_server::{Kind, Link};
use sqlx::{AnyConnection, AssertSqlSafe, Row, any::AnyRow};

use super::{
    rows::{kind_number, links_of_found, list, padded, read_link},
    writer::{Job, Wish},
};

/// A resource as it is before a change.
pub(super) struct Present {
    pub(super) sequence: i64,
    pub(super) version: i64,
    pub(super) created_ms: i64,
    pub(super) modified_ms: i64,
    pub(super) attributes: String,
    pub(super) user_name: Option<String>,
    pub(super) display_name: Option<String>,
    /// Whether a client has said that the account is its own.
    pub(super) managed: bool,
    /// The groups of a user, where they were read with it.
    pub(super) groups: Option<Vec<Link>>,
    kind: i64,
}

/// What was read ahead, by id.
#[derive(Default)]
pub(super) struct Ahead(HashMap<(i64, String), Present>);

impl Ahead {
    /// Reads the users that several changes of a batch are about.
    pub(super) async fn read(connection: &mut AnyConnection, jobs: &[Job]) -> Result<Self, sqlx::Error> {
        let mut wanted: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for job in jobs {
            if let Wish::Update { kind: Kind::User, id, .. } = &job.wish {
                wanted.entry(job.directory).or_default().push(id.clone());
            }
        }
        let mut ahead = HashMap::new();
        for (directory, mut ids) in wanted {
            ids.sort_unstable();
            ids.dedup();
            if ids.len() > 1 {
                ahead.extend(many(connection, directory, ids).await?);
            }
        }
        Ok(Self(ahead))
    }

    /// The resource, if it was read and nothing in the batch has changed it since.
    pub(super) fn take(&mut self, directory: i64, kind: Kind, id: &str) -> Option<Present> {
        let taken = self.0.remove(&(directory, id.to_owned()));
        taken.filter(|present| present.kind == kind_number(kind))
    }

    /// A group has changed, and so may have anybody's groups.
    pub(super) fn forget_groups(&mut self) {
        self.0.values_mut().for_each(|present| present.groups = None);
    }
}

/// The resource with this id.
pub(super) async fn one(
    connection: &mut AnyConnection,
    directory: i64,
    kind: Kind,
    id: &str,
) -> Result<Option<Present>, sqlx::Error> {
    let statement = "SELECT id, kind, sequence, version, created_ms, modified_ms, attributes, user_name, display_name, managed \
         FROM resources WHERE directory + 0 = $1 AND id = $2 AND kind + 0 = $3";
    let query = sqlx::query(statement).bind(directory).bind(id).bind(kind_number(kind));
    let row = query.fetch_optional(connection).await?;
    row.map(|row| read_present(&row)).transpose()
}

/// Users with their groups.
async fn many(
    connection: &mut AnyConnection,
    directory: i64,
    ids: Vec<String>,
) -> Result<HashMap<(i64, String), Present>, sqlx::Error> {
    let ids = padded(ids.into_iter());
    let places = list(ids.len(), 2);
    let text = format!(
        "SELECT id, kind, sequence, version, created_ms, modified_ms, attributes, user_name, display_name, managed \
         FROM resources WHERE directory + 0 = $1 AND kind + 0 = 0 AND id IN ({places})"
    );
    let query = ids.iter().fold(sqlx::query(AssertSqlSafe(text)).bind(directory), |query, id| query.bind(id.as_str()));
    let mut found = HashMap::new();
    for row in query.fetch_all(&mut *connection).await? {
        let present = Present { groups: Some(Vec::new()), ..read_present(&row)? };
        found.insert((directory, row.try_get(0)?), present);
    }
    let text = format!(
        "WITH found AS (SELECT id FROM resources WHERE directory + 0 = $1 AND kind + 0 = 0 AND id IN ({places})) {}",
        links_of_found(Kind::User)
    );
    let query = ids.iter().fold(sqlx::query(AssertSqlSafe(text)).bind(directory), |query, id| query.bind(id.as_str()));
    for row in query.fetch_all(&mut *connection).await? {
        if let Some((user, group)) = read_link(&row)?
            && let Some(groups) = found.get_mut(&(directory, user)).and_then(|present| present.groups.as_mut())
        {
            groups.push(group);
        }
    }
    Ok(found)
}

fn read_present(row: &AnyRow) -> Result<Present, sqlx::Error> {
    Ok(Present {
        kind: row.try_get(1)?,
        sequence: row.try_get(2)?,
        version: row.try_get(3)?,
        created_ms: row.try_get(4)?,
        modified_ms: row.try_get(5)?,
        attributes: row.try_get(6)?,
        user_name: row.try_get(7)?,
        display_name: row.try_get(8)?,
        managed: row.try_get::<i64, _>(9)? != 0,
        groups: None,
    })
}
