//! The users and groups of one directory, as `scim_server` asks for them.
//!
//! Each read is one statement: the resources that were found, and their links; single ones go to the [`ResourceReader`],
//! changes to the [`ResourceWriter`]. A page far behind is found by counting whole blocks of sequences first, so that it
//! costs what the first page does.

mod events;
mod deleted;
mod rows;
mod emails;
mod reader;
mod present;
mod batch;
mod writer;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use async_trait::async_trait;
use futures::TryStreamExt;
use scim_server::{
    Change, Deletion, Draft, Field, From, Kind, Links, Lookup, Order, Page, Query, Resource, ResourceStore, StoreError,
};
use sqlx::{Any, AssertSqlSafe, any::AnyArguments, any::AnyRow};

use super::Store;
pub use deleted::DeletedResource;
pub use events::DirectoryEvent;
pub use reader::ResourceReader;
use reader::Shape;
use rows::{kind_number, padded, read_link, read_resource};
pub use writer::ResourceWriter;
use writer::Wish;

/// So many sequences make a block.
const BLOCK: i64 = 1_000;
/// So many links of each of several resources may be read at once.
const FEW_LINKS: usize = 100;
/// How long a read or a change waits for a place in its queue.
const PATIENCE: Duration = Duration::from_secs(5);
/// When to come back who found none, in seconds.
const COME_BACK: u32 = 5;

/// One directory, and who asks.
pub struct Resources {
    store: Store,
    /// None for somebody who changes nothing and asks for lists alone.
    queues: Option<(ResourceReader, ResourceWriter)>,
    directory: i64,
    actor: String,
}

/// A statement with places for its values, which are given in order.
struct Statement {
    text: String,
    values: Vec<Bound>,
}

enum Bound {
    Number(i64),
    Text(String),
}

impl Resources {
    /// The resources of the directory with this id. `actor` names who asks: the prefix of a secret.
    pub fn new(
        store: Store,
        queues: (ResourceReader, ResourceWriter),
        directory: i64,
        actor: impl Into<String>,
    ) -> Self {
        Self { store, queues: Some(queues), directory, actor: actor.into() }
    }

    /// The same, for somebody who changes nothing.
    pub fn to_read(store: Store, directory: i64) -> Self {
        Self { store, queues: None, directory, actor: String::new() }
    }

    /// Those of these users whom clients manage: created with an id of theirs, or wrote since.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn managed(&self, users: &[Resource]) -> anyhow::Result<HashSet<String>> {
        let sequences = users.iter().map(|user| user.sequence);
        let (Some(first), Some(last)) = (sequences.clone().min(), sequences.max()) else { return Ok(HashSet::new()) };
        let statement = "SELECT id FROM resources WHERE directory = $1 AND kind = 0 AND sequence BETWEEN $2 AND $3 \
             AND managed = 1";
        let query = sqlx::query_scalar(statement).bind(self.directory).bind(saturated(first)).bind(saturated(last));
        let ids: Vec<String> = query.fetch_all(&self.store.pool).await?;
        Ok(ids.into_iter().collect())
    }

    /// The only resource that the look-up can find; None where it can find several, or the links may be many.
    fn single(
        &self,
        kind: Kind,
        lookup: Option<&Lookup>,
        links: Links,
    ) -> Option<impl Future<Output = Result<Option<Resource>, StoreError>>> {
        let (reader, _) = self.queues.as_ref()?;
        let lookup = lookup.filter(|lookup| matches!(lookup.field, Field::Id | Field::UserName))?;
        let [value] = lookup.values.as_slice() else { return None };
        let are_few = match links {
            Links::None => true,
            Links::UpTo(most) => most <= FEW_LINKS,
            Links::All => kind == Kind::User,
        };
        let shape = Shape { directory: self.directory, kind, field: lookup.field, links };
        are_few.then(|| reader.read(shape, value.clone()))
    }

    async fn change(&self, wish: Wish, links: Links) -> Result<Option<Resource>, StoreError> {
        match &self.queues {
            Some((_, writer)) => writer.change(self.directory, &self.actor, wish, links).await,
            None => Err(StoreError::Failed("the directory was opened to be read".into())),
        }
    }

    /// In which block the resource behind so many others is, and how many are in those before it; how many there are.
    async fn place(&self, kind: Kind, skip: i64) -> Result<(Option<(i64, i64)>, i64), sqlx::Error> {
        let statement = "SELECT MIN(CASE WHEN upto > $3 THEN block END), \
             CAST(MIN(CASE WHEN upto > $3 THEN upto - resources END) AS BIGINT), CAST(COALESCE(MAX(upto), 0) AS BIGINT) \
             FROM (SELECT block, resources, SUM(resources) OVER (ORDER BY block) AS upto FROM resource_blocks \
             WHERE directory = $1 AND kind = $2) AS sums";
        let query = sqlx::query_as(statement).bind(self.directory).bind(kind_number(kind)).bind(skip);
        let (block, before, total): (Option<i64>, Option<i64>, i64) = query.fetch_one(&self.store.pool).await?;
        Ok((block.zip(before), total))
    }

    /// Every resource in the order of creation.
    async fn listed(&self, kind: Kind, query: &Query) -> Result<Page, sqlx::Error> {
        let offset = match query.from {
            From::Offset(offset) => saturated(offset),
            From::After(_) => 0,
        };
        let needs_place = query.count || offset > 0;
        let (place, all) = if needs_place { self.place(kind, offset).await? } else { (Some((0, 0)), 0) };
        let total = query.count.then_some(all.cast_unsigned());
        let (first, skip) = match (query.from, place) {
            (From::After(sequence), _) => (saturated(sequence).saturating_add(1), 0),
            (From::Offset(_), Some((block, before))) => (block * BLOCK, offset - before),
            (From::Offset(_), None) => return Ok(Page { resources: Vec::new(), total }),
        };
        if query.limit == 0 {
            return Ok(Page { resources: Vec::new(), total });
        }
        let mut statement = Statement::found(self.directory, kind, None);
        let first = statement.bind(Bound::Number(first));
        statement.push(&format!(" AND sequence >= {first}"));
        self.finish(statement, kind, query, skip).await.map(|resources| Page { resources, total })
    }

    /// What a look-up finds, or everything by a key.
    async fn looked_up(&self, kind: Kind, query: &Query) -> Result<Page, sqlx::Error> {
        if query.limit == 0 && !query.count {
            return Ok(Page::default());
        }
        let sorted_by = match query.order {
            Order::By { field, .. } if !self.store.is_shared => Some(field),
            // PostgreSQL chooses the index to sort by once it knows how many there are, of which this tells it nothing.
            _ => None,
        };
        let field = query.lookup.as_ref().map(|lookup| lookup.field).or(sorted_by);
        let mut statement = Statement::found(self.directory, kind, field);
        if let Some(lookup) = &query.lookup {
            statement.push_lookup(kind, lookup);
        }
        let skip = match query.from {
            From::Offset(offset) => saturated(offset),
            From::After(sequence) => {
                let sequence = statement.bind(Bound::Number(saturated(sequence)));
                statement.push(&format!(" AND sequence > {sequence}"));
                0
            }
        };
        let resources = self.finish(statement, kind, query, skip).await?;
        let is_whole = skip == 0 && matches!(query.from, From::Offset(_)) && resources.len() < query.limit;
        let total = match query.count {
            false => None,
            true if is_whole => Some(resources.len() as u64),
            true => Some(self.count(kind, query.lookup.as_ref()).await?),
        };
        Ok(Page { resources, total })
    }

    async fn count(&self, kind: Kind, lookup: Option<&Lookup>) -> Result<u64, sqlx::Error> {
        let within = within(lookup.map(|lookup| lookup.field));
        let mut statement = Statement::new(&format!("SELECT COUNT(*) FROM resources WHERE {within}"));
        statement.values = vec![Bound::Number(self.directory), Bound::Number(kind_number(kind))];
        if let Some(lookup) = lookup {
            statement.push_lookup(kind, lookup);
        }
        let (count,): (i64,) = statement.bound_as().fetch_one(&self.store.pool).await?;
        Ok(count.cast_unsigned())
    }

    /// Adds order, limit and links, and reads.
    async fn finish(
        &self,
        mut statement: Statement,
        kind: Kind,
        query: &Query,
        skip: i64,
    ) -> Result<Vec<Resource>, sqlx::Error> {
        let (order, key) = match query.order {
            Order::Taken => ("sequence".to_owned(), "NULL"),
            Order::By { field, descending } => {
                let column = column(field);
                let direction = if descending { "DESC NULLS FIRST" } else { "ASC NULLS LAST" };
                (format!("{column} {direction}, sequence"), column)
            }
        };
        let limit = statement.bind(Bound::Number(saturated(query.limit as u64)));
        let skip = statement.bind(Bound::Number(skip));
        statement.push(&format!(" ORDER BY {order} LIMIT {limit} OFFSET {skip}) "));
        statement.push(&rows::selection(kind, query.links, key));
        let mut rows = statement.bound().fetch(&self.store.pool);
        let mut resources = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut links = Vec::new();
        while let Some(row) = rows.try_next().await? {
            match read_link(&row)? {
                Some(link) => links.push(link),
                None => resources.push(read_resource(&row, query.links)?),
            }
        }
        if let Order::By { descending, .. } = query.order {
            resources.sort_by(|(left_key, left), (right_key, right)| {
                let keys = left_key.is_none().cmp(&right_key.is_none()).then_with(|| left_key.cmp(right_key));
                let keys = if descending { keys.reverse() } else { keys };
                keys.then(left.sequence.cmp(&right.sequence))
            });
        } else {
            resources.sort_by_key(|(_, resource)| resource.sequence);
        }
        let mut resources: Vec<Resource> = resources.into_iter().map(|(_, resource)| resource).collect();
        if !links.is_empty() {
            places.extend(resources.iter().enumerate().map(|(place, resource)| (resource.id.clone(), place)));
        }
        for (owner, link) in links {
            if let Some(links) = places.get(&owner).and_then(|place| resources[*place].links.as_mut()) {
                links.push(link);
            }
        }
        Ok(resources)
    }
}

#[async_trait]
impl ResourceStore for Resources {
    async fn get(&self, kind: Kind, id: &str, links: Links) -> Result<Option<Resource>, StoreError> {
        let lookup = Some(Lookup { field: Field::Id, values: vec![id.to_owned()] });
        if let Some(single) = self.single(kind, lookup.as_ref(), links) {
            return single.await;
        }
        let query = Query { lookup, order: Order::Taken, from: From::Offset(0), limit: 1, links, count: false };
        let page = self.looked_up(kind, &query).await.map_err(failed)?;
        Ok(page.resources.into_iter().next())
    }

    async fn page(&self, kind: Kind, query: &Query) -> Result<Page, StoreError> {
        let narrowed;
        let query = match &query.lookup {
            Some(lookup) if lookup.field == Field::Email => {
                let lookup = emails::narrow(&self.store, self.directory, lookup).await.map_err(failed)?;
                narrowed = Query { lookup, ..query.clone() };
                &narrowed
            }
            _ => query,
        };
        if query.lookup.as_ref().is_some_and(|lookup| lookup.values.is_empty()) {
            return Ok(Page { resources: Vec::new(), total: query.count.then_some(0) });
        }
        if matches!(query.from, From::Offset(0) | From::After(0))
            && query.limit > 0
            && let Some(single) = self.single(kind, query.lookup.as_ref(), query.links)
        {
            let resources = Vec::from_iter(single.await?);
            let total = query.count.then_some(resources.len() as u64);
            return Ok(Page { resources, total });
        }
        let page = match (&query.lookup, query.order) {
            (None, Order::Taken) => self.listed(kind, query).await,
            _ => self.looked_up(kind, query).await,
        };
        page.map_err(failed)
    }

    async fn create(&self, kind: Kind, draft: Draft, links: Links) -> Result<Resource, StoreError> {
        let created = self.change(Wish::Create { kind, draft }, links).await?;
        Ok(created.expect("what is created is answered with"))
    }

    async fn update(&self, kind: Kind, id: &str, change: Change, links: Links) -> Result<Resource, StoreError> {
        if !can_be_kept(id) {
            return Err(StoreError::NotFound);
        }
        let updated = self.change(Wish::Update { kind, id: id.to_owned(), change }, links).await?;
        Ok(updated.expect("what is updated is answered with"))
    }

    /// Who writes an account manages it, even where it was as wanted already.
    async fn confirm(&self, kind: Kind, id: &str) -> Result<(), StoreError> {
        if kind != Kind::User {
            return Ok(());
        }
        let statement = "SELECT COUNT(*) FROM resources WHERE directory = $1 AND id = $2 AND kind = 0 AND managed = 0";
        let query = sqlx::query_scalar(statement).bind(self.directory).bind(id);
        let unmanaged: i64 = query.fetch_one(&self.store.pool).await.map_err(failed)?;
        if unmanaged > 0 {
            let wish = Wish::Update { kind, id: id.to_owned(), change: Change::default() };
            self.change(wish, Links::None).await?;
        }
        Ok(())
    }

    async fn delete(&self, kind: Kind, id: &str, deletion: Deletion) -> Result<(), StoreError> {
        if !can_be_kept(id) {
            return Err(StoreError::NotFound);
        }
        self.change(Wish::Delete { kind, id: id.to_owned(), deletion }, Links::None).await.map(drop)
    }
}

impl Statement {
    fn new(text: &str) -> Self {
        Self { text: text.to_owned(), values: Vec::new() }
    }

    /// The beginning of a read: `$1` is the directory, `$2` the kind.
    fn found(directory: i64, kind: Kind, field: Option<Field>) -> Self {
        let mut statement = Self::new(&format!(
            "WITH found AS (SELECT id, sequence, version, created_ms, modified_ms, attributes, user_name, external_id, \
             display_name FROM resources WHERE {}",
            within(field)
        ));
        statement.values = vec![Bound::Number(directory), Bound::Number(kind_number(kind))];
        statement
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The place of one more value.
    fn bind(&mut self, value: Bound) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    /// Only the resources that the look-up finds. `$1` is the directory.
    fn push_lookup(&mut self, kind: Kind, lookup: &Lookup) {
        let condition = match (lookup.field, kind) {
            (Field::Link, Kind::Group) => {
                let is_member = self.is_one_of("member_id", &lookup.values);
                format!("id IN (SELECT group_id FROM members WHERE directory = $1 AND {is_member})")
            }
            (Field::Link, Kind::User) => {
                let is_group = self.is_one_of("group_id", &lookup.values);
                format!("id IN (SELECT member_id FROM members WHERE directory = $1 AND {is_group})")
            }
            (Field::Email, _) => {
                let has_email = self.is_one_of("value", &lookup.values);
                format!("id IN (SELECT id FROM resource_emails WHERE directory = $1 AND {has_email})")
            }
            (field, _) => self.is_one_of(column(field), &lookup.values),
        };
        self.push(&format!(" AND {condition}"));
    }

    /// The condition that the column has one of these values.
    fn is_one_of(&mut self, column: &str, values: &[String]) -> String {
        let values: Vec<String> = values.iter().filter(|value| can_be_kept(value)).cloned().collect();
        // Nothing is in an empty list, which PostgreSQL would not read.
        if values.is_empty() {
            return "1 = 0".to_owned();
        }
        let places = padded(values.into_iter()).into_iter().map(|value| self.bind(Bound::Text(value)));
        format!("{column} IN ({})", places.collect::<Vec<_>>().join(", "))
    }

    fn bound(&self) -> sqlx::query::Query<'_, Any, AnyArguments> {
        self.values.iter().fold(sqlx::query(AssertSqlSafe(self.text.as_str())), |query, value| match value {
            Bound::Number(number) => query.bind(*number),
            Bound::Text(text) => query.bind(text.as_str()),
        })
    }

    fn bound_as<'q, T: for<'r> sqlx::FromRow<'r, AnyRow>>(&'q self) -> sqlx::query::QueryAs<'q, Any, T, AnyArguments> {
        self.values.iter().fold(sqlx::query_as(AssertSqlSafe(self.text.as_str())), |query, value| match value {
            Bound::Number(number) => query.bind(*number),
            Bound::Text(text) => query.bind(text.as_str()),
        })
    }
}

/// Within the directory `$1`, of the kind `$2`. Whoever looks for a field goes by its own index, of SQLite whoever sorts by
/// it, too: without statistics both databases would rather read the whole directory, which they take for few rows. What
/// is added to is not looked up by an index.
fn within(field: Option<Field>) -> &'static str {
    match field {
        Some(_) => "directory + 0 = $1 AND kind + 0 = $2",
        None => "directory = $1 AND kind = $2",
    }
}

/// PostgreSQL has no text with U+0000, and cannot even be asked for one.
fn can_be_kept(value: &str) -> bool {
    !value.contains('\0')
}

fn column(field: Field) -> &'static str {
    match field {
        Field::Id => "id",
        Field::UserName => "user_name",
        Field::ExternalId => "external_id",
        Field::DisplayName => "display_name",
        Field::Email | Field::Link => "NULL",
    }
}

fn saturated(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn failed(error: sqlx::Error) -> StoreError {
    StoreError::Failed(Box::new(error))
}

#[cfg(test)]
mod tests;
