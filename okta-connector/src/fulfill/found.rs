//! Reading what orders speak of: one user, group or app by its id or by a column that identifies it.
//!
//! Single reads are exact; searches lag a few seconds behind. Source: Okta's API reference.

use connector_api::{Error, ErrorKind, RecordKey, Result};
use serde_json::Value;

use super::values::{refused, same, text_at};
use crate::{
    client::{Client, Request},
    error::Failure,
    governor::Lane,
    lists::encoded,
    tables::{APPS, GROUPS, USERS, bucket},
};

/// What kind of record: how it is spoken of and where it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noun {
    User,
    Group,
    App,
}

impl Noun {
    pub(super) fn of_table(table: &str) -> Option<Self> {
        let nouns = [(USERS, Self::User), (GROUPS, Self::Group), (APPS, Self::App)];
        nouns.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(table)).map(|(_, noun)| noun)
    }

    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::User => "account",
            Self::Group => "group",
            Self::App => "app",
        }
    }

    /// The path of the list, which creates and searches.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::User => "/api/v1/users",
            Self::Group => "/api/v1/groups",
            Self::App => "/api/v1/apps",
        }
    }

    /// What lists, creations and everything below a record are charged to.
    pub(super) fn bucket(self) -> &'static str {
        match self {
            Self::User => bucket::USERS,
            Self::Group => bucket::GROUPS,
            Self::App => bucket::APPS,
        }
    }

    /// What changing and deleting one record is charged to.
    pub(super) fn single_bucket(self) -> &'static str {
        match self {
            Self::User => bucket::USER,
            Self::Group => bucket::GROUP,
            Self::App => bucket::APP,
        }
    }

    /// The column by which a person tells the records apart.
    pub(super) fn name_column(self) -> &'static str {
        match self {
            Self::User => "profile.login",
            Self::Group => "profile.name",
            Self::App => "label",
        }
    }

    /// What the record is called, beside its id.
    pub(super) fn name_in(self, object: &Value) -> String {
        format!("`{}` ({})", text_at(object, self.name_column()), text_at(object, "id"))
    }
}

/// The id, if it can be one: letters and digits, so that it cannot lead elsewhere, and not the word for ourselves.
///
/// # Errors
/// Kind `Rejected`, naming it.
pub(super) fn checked_id(noun: Noun, id: &str) -> Result<&str> {
    let is_id = |id: &str| {
        !id.is_empty() && id.len() <= 100 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    if is_id(id) && !id.eq_ignore_ascii_case("me") {
        return Ok(id);
    }
    let shown: String = id.chars().take(80).collect();
    Err(refused(
        format!("`{shown}` is no id of an Okta {}", noun.in_words()),
        "map the primary key of the entity type to the column `id`, and synchronise before the next orders",
    ))
}

/// The record with this id; none where Okta says that there is none.
pub(super) async fn read(client: &Client, noun: Noun, id: &str) -> Result<Option<Value>> {
    let id = checked_id(noun, id)?;
    let found = get(client, read_bucket(noun), format!("{}/{id}", noun.path()), noun, id).await?;
    // Okta finds users by short names too: that is not the record meant.
    Ok(found.filter(|object| text_at(object, "id") == id))
}

/// The record that a key names; none where there is none.
///
/// # Errors
/// Kind `Rejected` where the key names several, or by a column that finds nothing.
pub(super) async fn find(client: &Client, noun: Noun, key: &RecordKey) -> Result<Option<Value>> {
    if key.column.eq_ignore_ascii_case("id") {
        return read(client, noun, &key.value).await;
    }
    let is_name = key.column.eq_ignore_ascii_case(noun.name_column());
    if noun == Noun::User && is_name && !key.value.contains(['/', '?', '#', '%', '\\']) && !key.value.starts_with('.') {
        let target = format!("{}/{}", noun.path(), encoded(&key.value));
        let found = get(client, read_bucket(noun), target, noun, &key.value).await?;
        return Ok(found.filter(|user| text_at(user, "profile.login").to_lowercase() == key.value.to_lowercase()));
    }
    let mut found = search(client, noun, &key.column, &key.value).await?;
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(refused(
            format!("{} {}s have `{}` = `{}`", found.len(), noun.in_words(), key.column, key.value),
            "only a column that tells records apart can be the key; map the primary key to `id`",
        )),
    }
}

/// All records of which a column has this value, up to a page of them.
pub(super) async fn search(client: &Client, noun: Noun, column: &str, value: &str) -> Result<Vec<Value>> {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    let query = match noun {
        Noun::App if column.eq_ignore_ascii_case("label") => format!("q={}", encoded(value)),
        Noun::App if column.eq_ignore_ascii_case("name") => {
            format!("filter={}", encoded(&format!("name eq \"{escaped}\"")))
        }
        Noun::App => {
            let hint = "map the primary key of the entity type to the column `id`";
            return Err(refused(format!("an app cannot be found by `{column}`"), hint));
        }
        _ => format!("search={}", encoded(&format!("{column} eq \"{escaped}\""))),
    };
    let target = format!("{}?limit=200&{query}", noun.path());
    let found = get(client, noun.bucket(), target, noun, value).await?;
    let Some(Value::Array(mut found)) = found else { return Ok(Vec::new()) };
    let wanted = Value::from(value);
    found.retain(|object| {
        let there = super::values::at(object, column);
        same(there, &wanted) || noun != Noun::App && there.as_str().is_some_and(|text| text.eq_ignore_ascii_case(value))
    });
    Ok(found)
}

/// A page of JSON from a target that is no list to be followed; none where Okta says that there is no such object.
pub(super) async fn get(
    client: &Client,
    bucket: &'static str,
    target: String,
    noun: Noun,
    name: &str,
) -> Result<Option<Value>> {
    let what = format!("reading {} `{}`", noun.in_words(), name.chars().take(100).collect::<String>());
    let mut request = Request { bucket, lane: Lane::Fan, target, what, light: false, smallest_limit: 1 };
    match client.get(&mut request, |text| serde_json::from_str(text)).await {
        Ok(answer) => Ok(Some(answer.value)),
        Err(Failure::Refused(refusal)) if refusal.is_missing_object() => Ok(None),
        Err(failure) => Err(failure.into_error(&request.what)),
    }
}

/// The error for a record that an order wants to modify and that is not there.
pub(super) fn missing(noun: Noun, key: &RecordKey) -> Error {
    let shown: String = key.value.chars().take(80).collect();
    let message = format!("there is no {} with `{}` = `{shown}`", noun.in_words(), key.column);
    Error::new(ErrorKind::NotFound, message)
        .with_hint("it was deleted in Okta; synchronise, so that the next policy evaluation sees that")
}

fn read_bucket(noun: Noun) -> &'static str {
    match noun {
        Noun::User => bucket::READ_USER,
        other => other.single_bucket(),
    }
}
