//! The inbox: the users and groups that a SCIM client provisioned into a directory, as a connection to export from.
//!
//! Columns are SCIM's attributes, `name.givenName` or `urn:…:User:department`, found as they are spelt, else ignoring case.
//! A user is managed once a client has said that it is its own: it created it with an `externalId`, or found it by its
//! `userName` and has written it since. `groups` are the user's, as RFC 7643 §4.1.2 has them. Links lead to users of the same export alone. Nothing is written.

use std::collections::{BTreeSet, HashSet};

use connector_api::{
    Capabilities, ColumnKind, ColumnSchema, ConnectionReport, ConnectionSettings, Connector, Error, ErrorKind,
    ExportStream, RecordBatch, Records, Result, Side, Table, TableCapability, TableSchema, async_trait,
};
use futures::stream::{self, StreamExt, TryStreamExt};
use scim_server::{Attribute, From, Kind, Links, Order, Query, Resource, ResourceStore, Type};
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::store::{Place, Resources, Store};

/// The setting that names the directory.
pub(crate) const DIRECTORY: &str = "Directory";
/// Users or groups read at once …
const PAGE: usize = 500;
/// … and groups whose members are wanted.
const PAGE_WITH_MEMBERS: usize = 10;

const USERS: &str = "users";
const GROUPS: &str = "groups";
const GROUPS_USERS: &str = "groupsusers";

const TABLES: [TableCapability; 3] = [
    TableCapability {
        name: USERS,
        fields: &["id", "userName", "externalId", "active", "managed", "created", "lastModified"],
        default_attributes: &["name.givenName", "name.familyName", "displayName", "emails.value"],
        identity: &["id"],
        sides: &[],
        never_empty: false,
        exported: true,
    },
    TableCapability {
        name: GROUPS,
        fields: &["id", "displayName", "externalId", "created", "lastModified"],
        default_attributes: &[],
        identity: &["id"],
        sides: &[],
        never_empty: false,
        exported: true,
    },
    TableCapability {
        name: GROUPS_USERS,
        fields: &["groupId", "userId"],
        default_attributes: &[],
        identity: &["groupId", "userId"],
        sides: &[
            Side { table: GROUPS, column: "groupId", aliases: &["value", "group"] },
            Side { table: USERS, column: "userId", aliases: &["MemberId", "user"] },
        ],
        never_empty: false,
        exported: true,
    },
];

/// What the server itself knows of a resource.
const OWN: [(&str, ColumnKind); 4] = [
    ("id", ColumnKind::Text),
    ("created", ColumnKind::DateTime),
    ("lastModified", ColumnKind::DateTime),
    ("managed", ColumnKind::Boolean),
];

/// A connection to one directory of this agent.
pub struct Inbox {
    store: Place,
    directory: String,
    resources: OnceCell<Resources>,
}

/// Where an export is: the kind that is read, and behind which sequence.
struct Course<'a> {
    inbox: &'a Inbox,
    tables: &'a [Table],
    kinds: Vec<Kind>,
    after: u64,
    /// The users of this export.
    users: HashSet<String>,
}

impl Inbox {
    /// Checks the settings; opens nothing.
    ///
    /// # Errors
    /// Of kind `Settings` where no directory is named.
    pub fn open(settings: &ConnectionSettings, store: Place) -> Result<Self> {
        let directory = settings.text(DIRECTORY).ok_or_else(|| {
            Error::setting(DIRECTORY, format!("`{DIRECTORY}` is missing"))
                .with_hint("name the directory, as `agent-host directory list` shows it")
        })?;
        Ok(Self { store, directory: directory.to_owned(), resources: OnceCell::new() })
    }

    async fn resources(&self) -> Result<&Resources> {
        let open = async {
            // Whoever only looks makes no store.
            if matches!(&self.store, Place::File(path) if !path.exists()) {
                let error =
                    Error::new(ErrorKind::Settings, format!("no directory `{}`: there are none", self.directory));
                return Err(error.with_hint("make it by `agent-host directory create`"));
            }
            let store = Store::open(&self.store).await.map_err(unavailable)?;
            let found = store.existing_directory(&self.directory).await;
            let directory = found.map_err(|error| match error.downcast::<Error>() {
                Ok(error) => error,
                Err(error) => unavailable(error),
            })?;
            Ok(Resources::to_read(store, directory.id))
        };
        self.resources.get_or_try_init(|| open).await
    }
}

#[async_trait]
impl Connector for Inbox {
    fn capabilities(&self) -> Capabilities {
        Capabilities { tables: TABLES.to_vec() }
    }

    async fn test_connection(&self, tables: &[Table]) -> Result<ConnectionReport> {
        check_columns(tables)?;
        self.resources().await?;
        let tables = tables.iter().map(|table| (table.name.clone(), true)).collect();
        Ok(ConnectionReport { tables, ..ConnectionReport::default() })
    }

    async fn schema(&self) -> Result<Vec<TableSchema>> {
        let links = ["groupId", "userId"].map(|name| column(name, ColumnKind::Text, false, true));
        Ok(vec![
            TableSchema { name: USERS.to_owned(), columns: columns(Kind::User) },
            TableSchema { name: GROUPS.to_owned(), columns: columns(Kind::Group) },
            TableSchema { name: GROUPS_USERS.to_owned(), columns: links.to_vec() },
        ])
    }

    fn export<'a>(&'a self, tables: &'a [Table]) -> ExportStream<'a> {
        if let Err(error) = check_columns(tables) {
            return stream::once(async { Err(error) }).boxed();
        }
        let asks = |names: &[&str]| tables.iter().any(|table| names.contains(&table.name.as_str()));
        // The last is read first: users, so that links are known to lead somewhere.
        let mut kinds = Vec::new();
        if asks(&[GROUPS, GROUPS_USERS]) {
            kinds.push(Kind::Group);
        }
        if asks(&[USERS, GROUPS_USERS]) {
            kinds.push(Kind::User);
        }
        let course = Course { inbox: self, tables, kinds, after: 0, users: HashSet::new() };
        let pages = stream::try_unfold(course, |mut course| async {
            let batches = course.page().await?;
            Ok::<_, Error>(batches.map(|batches| (stream::iter(batches.into_iter().map(Ok)), course)))
        });
        pages.try_flatten().boxed()
    }
}

impl Course<'_> {
    /// The records of the next page; none when all is read.
    async fn page(&mut self) -> Result<Option<Vec<RecordBatch>>> {
        let Some(&kind) = self.kinds.last() else { return Ok(None) };
        let of_users = |wanted: &dyn Fn(&str) -> bool| {
            let mut tables = self.tables.iter().filter(|table| table.name == USERS);
            tables.any(|table| table.columns.iter().any(|column| wanted(&column.path)))
        };
        let wants_links = match kind {
            Kind::Group => self.tables.iter().any(|table| table.name == GROUPS_USERS),
            Kind::User => of_users(&|path| group_part(path).is_some()),
        };
        let query = Query {
            lookup: None,
            order: Order::Taken,
            from: From::After(self.after),
            limit: if kind == Kind::Group && wants_links { PAGE_WITH_MEMBERS } else { PAGE },
            links: if wants_links { Links::All } else { Links::None },
            count: false,
        };
        let directory = self.inbox.resources().await?;
        let read = directory.page(kind, &query).await;
        let resources = read.map_err(|error| unavailable(anyhow::anyhow!("{error:?}")))?.resources;
        let wants_managed = kind == Kind::User && of_users(&|path| path.eq_ignore_ascii_case("managed"));
        let managed = if wants_managed { &resources[..] } else { &[] };
        let managed = directory.managed(managed).await.map_err(unavailable)?;
        match resources.last() {
            Some(last) if resources.len() == query.limit => self.after = last.sequence,
            _ => {
                self.kinds.pop();
                self.after = 0;
            }
        }
        if kind == Kind::User {
            self.users.extend(resources.iter().map(|user| user.id.clone()));
        }
        let tables = self.tables.iter().enumerate();
        Ok(Some(tables.filter_map(|(index, table)| self.batch(index, table, kind, &resources, &managed)).collect()))
    }

    fn batch(
        &self,
        index: usize,
        table: &Table,
        kind: Kind,
        resources: &[Resource],
        managed: &HashSet<String>,
    ) -> Option<RecordBatch> {
        let mut records = Records::new(table.columns.len());
        match (table.name.as_str(), kind) {
            (USERS, Kind::User) | (GROUPS, Kind::Group) => {
                for resource in resources {
                    let is_managed = managed.contains(&resource.id);
                    let columns = table.columns.iter();
                    let cells: Vec<String> =
                        columns.map(|column| cell(kind, resource, is_managed, &column.path)).collect();
                    records.push(cells.iter().map(String::as_str));
                }
            }
            (GROUPS_USERS, Kind::Group) => {
                for group in resources {
                    let members = group.links.iter().flatten().filter(|member| self.users.contains(&member.id));
                    for member in members {
                        let side = |path: &str| if path == "groupId" { group.id.as_str() } else { member.id.as_str() };
                        records.push(table.columns.iter().map(|column| side(&column.path)));
                    }
                }
            }
            _ => return None,
        }
        Some(RecordBatch { table: index, records })
    }
}

/// The text of a cell: many values are sorted and joined by LF, objects are compact JSON, what is absent is empty.
fn cell(kind: Kind, resource: &Resource, is_managed: bool, path: &str) -> String {
    let is = |name: &str| path.eq_ignore_ascii_case(name);
    if is("id") {
        return resource.id.clone();
    }
    if is("created") || is("lastModified") {
        return moment(if is("created") { resource.created_ms } else { resource.modified_ms });
    }
    if is("managed") {
        return is_managed.to_string();
    }
    if let (Kind::User, Some(part)) = (kind, group_part(path)) {
        let groups = resource.links.iter().flatten().map(|group| match part {
            "display" => group.display.clone().unwrap_or_default(),
            // Groups in groups lead to nobody: every link is one of its own.
            "type" => "direct".to_owned(),
            // As RFC 7643 §8.3 writes a reference within a service.
            "$ref" => format!("../Groups/{}", group.id),
            _ => group.id.clone(),
        });
        return groups.collect::<BTreeSet<String>>().into_iter().collect::<Vec<_>>().join("\n");
    }
    let (first, rest) = parts(path);
    let found = member(&resource.attributes, first);
    let mut values: Vec<&Value> = found.into_iter().flat_map(elements).collect();
    for name in rest.split('.').filter(|name| !name.is_empty()) {
        let objects = values.into_iter().filter_map(Value::as_object);
        values = objects.filter_map(|object| member(object, name)).flat_map(elements).collect();
    }
    let mut texts: Vec<String> = values.into_iter().map(text).collect();
    texts.sort();
    texts.join("\n")
}

/// What of a user's groups the path names, `value` where it names them whole; none where it names something else.
fn group_part(path: &str) -> Option<&'static str> {
    let (first, rest) = parts(path);
    let known = ["value", "display", "type", "$ref"].into_iter().find(|part| rest.eq_ignore_ascii_case(part));
    known.or(rest.is_empty().then_some("value")).filter(|_| first.eq_ignore_ascii_case("groups"))
}

/// The attribute or extension, and what is wanted of it.
fn parts(path: &str) -> (&str, &str) {
    let is_extension = path.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"));
    let split = if is_extension { path.rsplit_once(':') } else { path.split_once('.') };
    split.unwrap_or((path, ""))
}

fn member<'v>(object: &'v serde_json::Map<String, Value>, name: &str) -> Option<&'v Value> {
    let alike = || object.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    object.get(name).or_else(alike)
}

fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        single => std::slice::from_ref(single),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn moment(at_ms: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// Refuses a column that no resource can have. Extensions that no schema declares may have any.
fn check_columns(tables: &[Table]) -> Result<()> {
    for table in tables {
        let kind = match table.name.as_str() {
            USERS => Kind::User,
            GROUPS => Kind::Group,
            _ => continue,
        };
        let known = columns(kind);
        let declared: Vec<&str> = kind.extensions().iter().map(|extension| extension.id).collect();
        for column in &table.columns {
            let (first, rest) = parts(&column.path);
            let is_open = column.path.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"))
                && !declared.iter().any(|urn| urn.eq_ignore_ascii_case(first))
                && !rest.is_empty();
            if !is_open && !known.iter().any(|known| known.path.eq_ignore_ascii_case(&column.path)) {
                let message = format!("the directory's {} have no column `{}`", table.name, column.path);
                let hint =
                    "name an attribute of SCIM, such as `name.givenName`; `agent-host refresh-schema` lists them";
                return Err(Error::new(ErrorKind::Settings, message).with_hint(hint));
            }
        }
    }
    Ok(())
}

fn columns(kind: Kind) -> Vec<ColumnSchema> {
    let mut columns: Vec<ColumnSchema> = OWN
        .iter()
        .filter(|(name, _)| kind == Kind::User || *name != "managed")
        .map(|(name, of)| column(name, *of, false, *name == "id"))
        .collect();
    columns.push(column("externalId", ColumnKind::Text, false, false));
    let own = kind.schema().attributes.iter().map(|attribute| (String::new(), attribute));
    let extensions = kind.extensions();
    let further = extensions
        .iter()
        .flat_map(|extension| extension.attributes.iter().map(|attribute| (format!("{}:", extension.id), attribute)));
    for (prefix, attribute) in own.chain(further) {
        let hidden = ["id", "externalId", "meta", "schemas", "password", "members"];
        if hidden.contains(&attribute.name) {
            continue;
        }
        let path = format!("{prefix}{}", attribute.name);
        for sub in attribute.sub_attributes {
            let is_many = attribute.multi_valued || sub.multi_valued;
            columns.push(column(&format!("{path}.{}", sub.name), kind_of(sub), is_many, false));
        }
        columns.push(column(&path, kind_of(attribute), attribute.multi_valued, false));
    }
    columns
}

fn column(path: &str, kind: ColumnKind, multivalued: bool, key: bool) -> ColumnSchema {
    ColumnSchema { path: path.to_owned(), display_name: path.to_owned(), kind, multivalued, key }
}

fn kind_of(attribute: &Attribute) -> ColumnKind {
    match attribute.kind {
        Type::Boolean => ColumnKind::Boolean,
        Type::Complex => ColumnKind::Object,
        Type::DateTime => ColumnKind::DateTime,
        _ => ColumnKind::Text,
    }
}

fn unavailable(error: anyhow::Error) -> Error {
    Error::new(ErrorKind::Unavailable, "the directory cannot be read").with_source(error)
}

#[cfg(test)]
mod tests;
