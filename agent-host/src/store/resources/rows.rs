//! The shape of what is read: rows of resources and rows of links in one answer, told apart by their first column.

use scim_server::{Kind, Link, Links, Resource};
use serde_json::{Map, Value};
use sqlx::{Row, any::AnyRow};

/// Row of a link, and not of a resource …
const LINK: i64 = 1;
/// … or of a resource that has more links than are wanted.
const RESOURCE_OF_MANY: i64 = 2;

pub(super) fn kind_number(kind: Kind) -> i64 {
    match kind {
        Kind::User => 0,
        Kind::Group => 1,
    }
}

pub(super) fn kind_of(number: i64) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind_number(*kind) == number)
}

/// Selects what `found` holds, and the links of each. `$1` is the directory; `key` is what it was ordered by. Of what has
/// more links than are wanted no more than that number is looked at, in the index.
pub(super) fn selection(kind: Kind, links: Links, key: &str) -> String {
    let columns = format!("id, sequence, version, created_ms, modified_ms, attributes, {key}");
    let of_found = links_of_found(kind);
    let most = match links {
        Links::None => return format!("SELECT 0, {columns} FROM found"),
        Links::All => return format!("SELECT 0, {columns} FROM found UNION ALL SELECT * FROM ({of_found}) AS links"),
        Links::UpTo(most) => most,
    };
    let (own, other) = match kind {
        Kind::User => ("member_id", "group_id"),
        Kind::Group => ("group_id", "member_id"),
    };
    format!(
        ", counted AS (SELECT found.*, (SELECT m.{other} FROM members m WHERE m.directory = $1 AND m.{own} = found.id \
         ORDER BY m.{other} LIMIT 1 OFFSET {most}) AS beyond FROM found) \
         SELECT CASE WHEN beyond IS NULL THEN 0 ELSE {RESOURCE_OF_MANY} END, {columns} FROM counted \
         UNION ALL SELECT * FROM ({} AND found.beyond IS NULL) AS links",
        of_found.replace("FROM found", "FROM counted AS found")
    )
}

/// Selects the links of the resource `$2`, at most so many.
pub(super) fn links_of_one(kind: Kind, most: Option<usize>) -> String {
    let most = most.map(|most| format!(" LIMIT {most}")).unwrap_or_default();
    format!("WITH found AS (SELECT CAST($2 AS TEXT) AS id) {}{most}", links_of_found(kind))
}

/// Selects the links of what `found` holds. That is gone through first, which of SQLite must be demanded (`CROSS JOIN`):
/// it would rather read all memberships of the directory.
pub(super) fn links_of_found(kind: Kind) -> &'static str {
    match kind {
        Kind::User => {
            "SELECT 1, m.member_id, g.kind, 0, 0, 0, g.label, m.group_id FROM found CROSS JOIN members m \
             CROSS JOIN resources g WHERE m.directory = $1 AND m.member_id = found.id AND g.id = m.group_id"
        }
        Kind::Group => {
            "SELECT 1, m.group_id, COALESCE(r.kind, -1), 0, 0, 0, COALESCE(r.label, m.display), m.member_id FROM found \
             CROSS JOIN members m LEFT JOIN resources r ON r.id = m.member_id AND r.directory = $1 \
             WHERE m.directory = $1 AND m.group_id = found.id"
        }
    }
}

/// The link in a row, and whose it is; none where the row is a resource.
pub(super) fn read_link(row: &AnyRow) -> Result<Option<(String, Link)>, sqlx::Error> {
    if row.try_get::<i64, _>(0)? != LINK {
        return Ok(None);
    }
    let link = Link { id: row.try_get(7)?, display: row.try_get(6)?, kind: kind_of(row.try_get(2)?) };
    Ok(Some((row.try_get(1)?, link)))
}

/// The resource in a row, with room for links where they are wanted, and the key it was ordered by.
pub(super) fn read_resource(row: &AnyRow, links: Links) -> Result<(Option<String>, Resource), sqlx::Error> {
    let number = |index: usize| row.try_get::<i64, _>(index).map(i64::cast_unsigned);
    let resource = Resource {
        id: row.try_get(1)?,
        sequence: number(2)?,
        version: number(3)?,
        created_ms: row.try_get(4)?,
        modified_ms: row.try_get(5)?,
        attributes: attributes(row.try_get(6)?)?,
        links: (links != Links::None && row.try_get::<i64, _>(0)? != RESOURCE_OF_MANY).then(Vec::new),
    };
    Ok((row.try_get(7)?, resource))
}

/// Attributes as they were written.
pub(super) fn attributes(text: &str) -> Result<Map<String, Value>, sqlx::Error> {
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// The values, the last repeated until their number is a power of two: so there are few different statements.
pub(super) fn padded(values: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let wanted = if values.len() == 0 { 0 } else { values.len().next_power_of_two() };
    let mut values: Vec<String> = values.collect();
    if let Some(last) = values.last().cloned() {
        values.resize(wanted, last);
    }
    values
}

/// `$3, $4`: so many places from there on.
pub(super) fn list(count: usize, from: usize) -> String {
    (from..from + count).map(|place| format!("${place}")).collect::<Vec<_>>().join(", ")
}
