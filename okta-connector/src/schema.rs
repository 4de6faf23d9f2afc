//! Which columns Okta has: the fixed fields, the base profiles, and what the organisation added to its schemas.
//!
//! The schemas are asked for only where a column is wanted that is not known without them.
//! Source: Okta's "Schemas" and "User types" APIs.

use std::collections::BTreeMap;

use connector_api::{ColumnKind, ColumnSchema, Error, ErrorKind, Result, Table, TableSchema};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    client::{Client, Request},
    cursor::path_and_query,
    error::Failure,
    governor::Lane,
    tables::{self, APP_FIELDS, APPS, GROUP_FIELDS, GROUP_PROFILE, GROUPS, USER_FIELDS, USER_PROFILE, USERS, bucket},
};

const PROFILE: &str = "profile";

#[derive(Deserialize)]
struct UserType {
    #[serde(rename = "_links")]
    links: TypeLinks,
}

#[derive(Deserialize)]
struct TypeLinks {
    schema: Href,
}

#[derive(Deserialize)]
struct Href {
    href: String,
}

#[derive(Deserialize)]
struct Schema {
    definitions: Definitions,
}

#[derive(Deserialize)]
struct Definitions {
    base: Option<Definition>,
    custom: Option<Definition>,
}

#[derive(Deserialize)]
struct Definition {
    #[serde(default)]
    properties: BTreeMap<String, Property>,
}

#[derive(Deserialize)]
struct Property {
    #[serde(default)]
    title: String,
    #[serde(rename = "type", default)]
    kind: String,
}

/// The attributes of a profile by name.
type Attributes = BTreeMap<String, Property>;

/// The tables and columns of the organisation.
pub(crate) async fn read(client: &Client) -> Result<Vec<TableSchema>> {
    let mut users = known_columns(USERS);
    add_attributes(&mut users, user_attributes(client).await?);
    let mut groups = known_columns(GROUPS);
    add_attributes(&mut groups, group_attributes(client).await?);
    let schema_of = |name: &str, columns| TableSchema { name: name.to_owned(), columns };
    let mut schemas = vec![schema_of(USERS, users), schema_of(GROUPS, groups)];
    schemas.extend(tables::TABLES[2..].iter().map(|table| schema_of(table.name, known_columns(table.name))));
    Ok(schemas)
}

/// The columns of `tables` as Okta spells them, in the same order.
///
/// # Errors
/// Kind `Settings` for a column Okta does not know, with the nearest one it knows.
pub(crate) async fn resolve(client: &Client, tables: &[Table]) -> Result<Vec<Vec<String>>> {
    let mut resolved = Vec::new();
    for table in tables {
        let mut known = known_columns(&table.name);
        let is_missing =
            |known: &[ColumnSchema]| table.columns.iter().any(|c| spelling(&table.name, known, &c.path).is_none());
        let mut checked = true;
        if is_missing(&known) {
            match attributes_of(client, &table.name).await {
                Ok(attributes) => add_attributes(&mut known, attributes),
                Err(error) if error.kind() == ErrorKind::Credentials => {
                    tracing::warn!(table.name, %error, "profile columns cannot be checked without the right to read schemas");
                    checked = false;
                }
                Err(error) => return Err(error),
            }
        }
        let spelt = table.columns.iter().map(|column| match spelling(&table.name, &known, &column.path) {
            Some(path) => Ok(path),
            None if !checked && column.path.starts_with("profile.") => Ok(column.path.clone()),
            None => Err(unknown_column(&table.name, &known, &column.name)),
        });
        resolved.push(spelt.collect::<Result<_>>()?);
    }
    Ok(resolved)
}

/// The columns that are known without asking.
fn known_columns(table: &str) -> Vec<ColumnSchema> {
    let Some(capability) = tables::table(table) else { return Vec::new() };
    let fixed = capability.default_columns.iter().filter(|path| !path.starts_with("profile."));
    let profile = match table {
        USERS => USER_PROFILE,
        GROUPS => GROUP_PROFILE,
        _ => &[],
    };
    let fields = open_fields(table).iter().map(|field| column(field, ColumnKind::Object));
    let profile = profile.iter().map(|name| column(&format!("{PROFILE}.{name}"), ColumnKind::Text));
    let mut columns: Vec<ColumnSchema> =
        fixed.map(|path| column(path, kind_of_field(path))).chain(profile).chain(fields).collect();
    for column in &mut columns {
        column.key = capability.identity.contains(&column.path.as_str());
        column.multivalued = column.path == "objectClass" || column.path == "features";
    }
    columns
}

fn column(path: &str, kind: ColumnKind) -> ColumnSchema {
    ColumnSchema { path: path.to_owned(), display_name: path.to_owned(), kind, multivalued: false, key: false }
}

fn kind_of_field(path: &str) -> ColumnKind {
    match path {
        "created"
        | "activated"
        | "statusChanged"
        | "lastLogin"
        | "lastUpdated"
        | "passwordChanged"
        | "lastMembershipUpdated" => ColumnKind::DateTime,
        _ => ColumnKind::Text,
    }
}

/// Fields whose inner values may be named too, whatever they are.
fn open_fields(table: &str) -> &'static [&'static str] {
    match table {
        USERS => USER_FIELDS,
        GROUPS => GROUP_FIELDS,
        APPS => APP_FIELDS,
        _ => &[],
    }
}

fn add_attributes(columns: &mut Vec<ColumnSchema>, attributes: Attributes) {
    for (name, property) in attributes {
        let path = format!("{PROFILE}.{name}");
        let kind = match property.kind.as_str() {
            "integer" => ColumnKind::Integer,
            "number" => ColumnKind::Number,
            "boolean" => ColumnKind::Boolean,
            "object" => ColumnKind::Object,
            _ => ColumnKind::Text,
        };
        let display_name = if property.title.is_empty() { path.clone() } else { property.title };
        let described = ColumnSchema { path, display_name, kind, multivalued: property.kind == "array", key: false };
        match columns.iter_mut().find(|column| column.path == described.path) {
            Some(column) => *column = described,
            None => columns.push(described),
        }
    }
}

/// How Okta spells the column, if it has it: exactly so, else ignoring case.
fn spelling(table: &str, known: &[ColumnSchema], path: &str) -> Option<String> {
    let exact = known.iter().find(|column| column.path == path);
    let found = exact.or_else(|| known.iter().find(|column| column.path.eq_ignore_ascii_case(path)));
    if let Some(column) = found {
        return Some(column.path.clone());
    }
    if path.eq_ignore_ascii_case(PROFILE) && known.iter().any(|column| column.path.starts_with("profile.")) {
        return Some(PROFILE.to_owned());
    }
    let within = |outer: &str| {
        let (head, rest) = path.split_at_checked(outer.len())?;
        (head.eq_ignore_ascii_case(outer) && rest.starts_with('.')).then(|| format!("{outer}{rest}"))
    };
    let objects = known.iter().filter(|column| column.kind == ColumnKind::Object).map(|column| column.path.as_str());
    objects.chain(open_fields(table).iter().copied()).find_map(within)
}

fn unknown_column(table: &str, known: &[ColumnSchema], name: &str) -> Error {
    let distance = |path: &str| strsim::osa_distance(&path.to_lowercase(), &name.to_lowercase());
    let nearest = known.iter().min_by_key(|column| distance(&column.path));
    let message = format!("Okta's `{table}` have no column `{name}`");
    let hint = nearest.map_or_else(String::new, |column| format!("the nearest known one is `{}`; ", column.path));
    Error::new(ErrorKind::Settings, message)
        .with_hint(format!("{hint}correct the ConnectionColumn in the mapping, or see `agent-host refresh-schema`"))
}

async fn attributes_of(client: &Client, table: &str) -> Result<Attributes> {
    match table {
        USERS => user_attributes(client).await,
        GROUPS => group_attributes(client).await,
        _ => Ok(Attributes::new()),
    }
}

/// The attributes of all user types together.
async fn user_attributes(client: &Client) -> Result<Attributes> {
    let types: Vec<UserType> = get(client, "/api/v1/meta/types/user", "listing the user types").await?;
    let mut attributes = Attributes::new();
    for user_type in types {
        let target = path_and_query(&user_type.links.schema.href).to_owned();
        let schema: Schema = get(client, &target, "reading the user schema").await?;
        attributes.extend(schema.attributes());
    }
    Ok(attributes)
}

async fn group_attributes(client: &Client) -> Result<Attributes> {
    let schema: Schema = get(client, "/api/v1/meta/schemas/group/default", "reading the group schema").await?;
    Ok(schema.attributes().collect())
}

impl Schema {
    fn attributes(self) -> impl Iterator<Item = (String, Property)> {
        [self.definitions.base, self.definitions.custom]
            .into_iter()
            .flatten()
            .flat_map(|definition| definition.properties)
    }
}

/// Gets a small answer of a known shape that is charged to the general bucket.
async fn get<T: DeserializeOwned>(client: &Client, target: &str, what: &str) -> Result<T> {
    let mut request = Request {
        bucket: bucket::REST,
        lane: Lane::Fan,
        target: target.to_owned(),
        what: what.to_owned(),
        light: false,
        smallest_limit: 1,
    };
    let answer = client.get(&mut request, |body| serde_json::from_str(body)).await;
    answer.map(|answer| answer.value).map_err(|failure: Failure| failure.into_error(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(table: &str, path: &str, expected: Option<&str>) {
        assert_eq!(spelling(table, &known_columns(table), path).as_deref(), expected, "{table}: {path}");
    }

    #[test]
    fn columns_are_found_exactly_then_ignoring_case() {
        check(USERS, "id", Some("id"));
        check(USERS, "Profile.City", Some("profile.city"));
        check(GROUPS, "lastMemberShipUpdated", Some("lastMembershipUpdated"));
        check(APPS, "settings.app.url", Some("settings.app.url"));
        check(USERS, "Credentials.provider.type", Some("credentials.provider.type"));
        check(USERS, "type.id", Some("type.id"));
        check(USERS, "profile", Some("profile"));
        check(USERS, "profile.badgeNumber", None);
        check(USERS, "lastLogon", None);
        check(tables::GROUPS_USERS, "groupId", Some("groupId"));
        check(tables::GROUPS_USERS, "status", None);
    }

    #[test]
    fn an_unknown_column_is_answered_with_the_nearest_one() {
        let error = unknown_column(USERS, &known_columns(USERS), "profile.ctiy");
        assert_eq!(error.kind(), ErrorKind::Settings);
        assert!(error.to_string().contains("`profile.ctiy`"));
        assert!(error.hint().unwrap().contains("`profile.city`"), "{:?}", error.hint());
    }
}
