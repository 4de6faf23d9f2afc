//! Searches: what the store can look up it looks up, everything else is asked of each resource, page by page.
//!
//! The order is that in which resources were taken in, so that pages neither overlap nor leave out when something is
//! added. A cursor names the last resource that was given, so it never expires. Memory holds one page of the answer and
//! one of the store, both with few links (`links`); sorting by what the store does not index holds a key a resource, up to
//! [`MAX_SORTED`].

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

use serde_json::Value;

use crate::{
    cursor,
    directory::Directory,
    error::{Error, ErrorKind, Result},
    filter::{Constant, Plan, Test, comparable, field_of, sort_value},
    links::{self, Completing},
    parameters::{Search, Sort, Start},
    place::Place,
    resource::{Kind, Resource},
    store::{Field, From, Links, Lookup, Order, Query, ResourceStore, StoreError},
    view::View,
};

/// How many resources a sorted search may find where the store does not sort.
pub const MAX_SORTED: usize = 200_000;

/// How many resources are read at once to ask a filter of them.
const SCANNED_AT_ONCE: usize = 500;

/// The answer to a search.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Without links where there are many.
    pub(crate) resources: Vec<(Kind, Resource)>,
    /// None where paging by cursor would have to read everything to know it.
    pub(crate) total: Option<u64>,
    pub(crate) next_cursor: Option<String>,
}

/// A search on its way.
pub(crate) struct Searcher<'s> {
    pub(crate) store: &'s Arc<dyn ResourceStore>,
    pub(crate) directory: &'s Directory,
    /// In the order of the answer.
    pub(crate) kinds: &'s [Kind],
    pub(crate) search: &'s Search,
}

/// Resources found by scanning, up to a limit.
struct Scanned {
    resources: Vec<Resource>,
    /// How many there are, if the scan went to the end.
    total: u64,
}

struct SortEntry {
    key: Option<Constant>,
    kind: Kind,
    id: String,
}

impl Searcher<'_> {
    /// Finds a page of at most `limit` resources.
    pub(crate) async fn find(&self, limit: usize) -> Result<Found> {
        let mut plans = Vec::with_capacity(self.kinds.len());
        for kind in self.kinds {
            let test = self.search.filter.as_ref().map(|filter| Test::of(*kind, self.kinds, filter)).transpose()?;
            let plan = Plan::of(*kind, test);
            // A directory that does not offer its list finds one at a time, by what identifies it.
            let is_open = plan.lookup.as_ref().is_some_and(|lookup| lookup.field != Field::Link);
            if self.directory.import || is_open {
                plans.push((*kind, plan));
            }
        }
        match (&self.search.sort, &self.search.start) {
            (Some(sort), start) => self.sorted(&plans, sort, start, limit).await,
            (None, Start::Index(start)) => self.by_index(&plans, start - 1, limit).await,
            (None, Start::Cursor(cursor)) => self.by_cursor(&plans, cursor, limit).await,
        }
    }

    async fn by_index(&self, plans: &[(Kind, Plan)], mut skip: u64, limit: usize) -> Result<Found> {
        let mut found = Found::default();
        let mut total = 0;
        for (kind, plan) in plans {
            let left = limit - found.resources.len();
            let (resources, of_kind) = match &plan.test {
                None => self.page(*kind, plan, Order::Taken, skip, left).await?,
                Some(test) => {
                    let scanned = self.scan(*kind, plan, test, 0, skip, left, true).await?;
                    (scanned.resources, scanned.total)
                }
            };
            found.resources.extend(resources.into_iter().map(|resource| (*kind, resource)));
            total += of_kind;
            skip = skip.saturating_sub(of_kind);
        }
        found.total = Some(total);
        Ok(found)
    }

    async fn by_cursor(&self, plans: &[(Kind, Plan)], cursor: &str, limit: usize) -> Result<Found> {
        let (first, after) = cursor::read(cursor, self.kinds)?;
        let mut found = Found::default();
        let mut total = Some(0);
        for (kind, plan) in plans {
            total = match (total, &plan.test) {
                (Some(total), None) => Some(total + self.page(*kind, plan, Order::Taken, 0, 0).await?.1),
                _ => None,
            };
            if limit == 0 || *kind < first || found.next_cursor.is_some() {
                continue;
            }
            let begin = if *kind == first { after } else { 0 };
            // One more tells whether there is a next page.
            let left = limit - found.resources.len() + 1;
            let mut resources = match &plan.test {
                None => self.behind(*kind, plan, begin, left).await?,
                Some(test) => self.scan(*kind, plan, test, begin, 0, left, false).await?.resources,
            };
            if resources.len() == left {
                resources.pop();
                let last = resources.last().map(|last| (*kind, last.sequence));
                let (kind, sequence) = last
                    .or(found.resources.last().map(|(kind, last)| (*kind, last.sequence)))
                    .unwrap_or((*kind, begin));
                found.next_cursor = Some(cursor::behind(kind, sequence));
            }
            found.resources.extend(resources.into_iter().map(|resource| (*kind, resource)));
        }
        found.total = total;
        Ok(found)
    }

    /// A page in another order; its cursors count.
    async fn sorted(&self, plans: &[(Kind, Plan)], sort: &Sort, start: &Start, limit: usize) -> Result<Found> {
        let offset = match start {
            Start::Index(index) => index - 1,
            Start::Cursor(cursor) => cursor::read_sorted(cursor)?,
        };
        let mut found = match plans {
            [(kind, plan)] if plan.test.is_none() && self.indexed(*kind, sort)?.is_some() => {
                let field = self.indexed(*kind, sort)?.expect("it was there a moment ago");
                let order = Order::By { field, descending: sort.descending };
                let (resources, total) = self.page(*kind, plan, order, offset, limit).await?;
                let resources = resources.into_iter().map(|resource| (*kind, resource)).collect();
                Found { resources, total: Some(total), next_cursor: None }
            }
            _ => {
                let entries = self.entries(plans, sort).await?;
                let skip = usize::try_from(offset).unwrap_or(usize::MAX);
                let page: Vec<&SortEntry> = entries.iter().skip(skip).take(limit).collect();
                let total = u64::try_from(entries.len()).ok();
                Found { resources: self.fetch(&page).await?, total, next_cursor: None }
            }
        };
        let end = offset.saturating_add(found.resources.len() as u64);
        if matches!(start, Start::Cursor(_)) && found.total.is_some_and(|total| end < total) && limit > 0 {
            found.next_cursor = Some(cursor::behind_sorted(end));
        }
        Ok(found)
    }

    /// The index by which the store sorts.
    fn indexed(&self, kind: Kind, sort: &Sort) -> Result<Option<Field>> {
        let place = sort_place(kind, sort)?;
        let field = place.and_then(|place| field_of(kind, &place));
        Ok(field.filter(|field| !matches!(field, Field::Id | Field::Link)))
    }

    /// Everything that is found, by its sort key.
    async fn entries(&self, plans: &[(Kind, Plan)], sort: &Sort) -> Result<Vec<SortEntry>> {
        let mut entries = Vec::new();
        for (kind, plan) in plans {
            let place = sort_place(*kind, sort)?;
            let by_links = place.as_ref().is_some_and(|place| place.is_core(kind.links()));
            let needs_links = by_links || plan.needs_links(*kind);
            let mut next = Some(0);
            while let Some(after) = next {
                let (mut page, behind) = self.scanned(*kind, plan, after, needs_links).await?;
                next = behind;
                while let Some((_, resource)) = page.next().await.map_err(of_kind)? {
                    let resource = &resource;
                    let view = View { kind: *kind, resource, base_url: &self.directory.base_url, shows_names: true };
                    if plan.test.as_ref().is_none_or(|test| test.holds(&view)) {
                        let key = place.as_ref().and_then(|place| sort_key(&view, place));
                        entries.push(SortEntry { key, kind: *kind, id: resource.id.clone() });
                    }
                }
                if entries.len() > MAX_SORTED {
                    let detail = format!("more than {MAX_SORTED} resources to sort; filter them, or do not sort");
                    return Err(Error::of(ErrorKind::TooMany, detail));
                }
            }
        }
        entries.sort_by(|left, right| {
            let ascending = in_order(left.key.as_ref(), right.key.as_ref());
            if sort.descending { ascending.reverse() } else { ascending }
        });
        Ok(entries)
    }

    /// The resources of a sorted page, with their links.
    async fn fetch(&self, page: &[&SortEntry]) -> Result<Vec<(Kind, Resource)>> {
        let mut by_id = HashMap::new();
        for kind in self.kinds {
            let ids = page.iter().filter(|entry| entry.kind == *kind).map(|entry| entry.id.clone());
            by_id.extend(self.with_ids(*kind, ids.collect()).await?.into_iter().map(|it| (it.id.clone(), (*kind, it))));
        }
        Ok(page.iter().filter_map(|entry| by_id.remove(&entry.id)).collect())
    }

    /// Asks the test of each resource that the look-up leaves, in order. With `count` it goes to the end.
    #[expect(clippy::too_many_arguments, reason = "they are one loop's beginning and end")]
    async fn scan(
        &self,
        kind: Kind,
        plan: &Plan,
        test: &Test,
        after: u64,
        mut skip: u64,
        limit: usize,
        count: bool,
    ) -> Result<Scanned> {
        let needs_links = plan.needs_links(kind);
        let mut scanned = Scanned { resources: Vec::new(), total: 0 };
        let mut next = Some(after);
        'pages: while let Some(after) = next {
            let (mut page, behind) = self.scanned(kind, plan, after, needs_links).await?;
            next = behind;
            while let Some((_, mut resource)) = page.next().await.map_err(of_kind)? {
                let view = View { kind, resource: &resource, base_url: &self.directory.base_url, shows_names: true };
                if !test.holds(&view) {
                    continue;
                }
                scanned.total += 1;
                if skip > 0 {
                    skip -= 1;
                } else if scanned.resources.len() < limit {
                    links::keep(&mut resource, self.links(kind, limit));
                    scanned.resources.push(resource);
                }
                if !count && scanned.resources.len() == limit {
                    break 'pages;
                }
            }
        }
        if !needs_links && self.shows_links(kind) {
            let ids: Vec<String> = scanned.resources.iter().map(|resource| resource.id.clone()).collect();
            scanned.resources = self.with_ids(kind, ids).await?;
        }
        Ok(scanned)
    }

    async fn with_ids(&self, kind: Kind, ids: Vec<String>) -> Result<Vec<Resource>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let limit = ids.len();
        let lookup = Some(Lookup { field: Field::Id, values: ids });
        let links = self.links(kind, limit);
        let query = Query { lookup, order: Order::Taken, from: From::Offset(0), limit, links, count: false };
        Ok(self.store.page(kind, &query).await.map_err(|error| refusal(error, kind, ""))?.resources)
    }

    /// A page of what the look-up finds, and how many there are.
    async fn page(
        &self,
        kind: Kind,
        plan: &Plan,
        order: Order,
        skip: u64,
        limit: usize,
    ) -> Result<(Vec<Resource>, u64)> {
        let lookup = plan.lookup.clone();
        let links = self.links(kind, limit);
        let query = Query { lookup, order, from: From::Offset(skip), limit, links, count: true };
        let page = self.store.page(kind, &query).await.map_err(|error| refusal(error, kind, ""))?;
        Ok((page.resources, page.total.unwrap_or_default()))
    }

    async fn behind(&self, kind: Kind, plan: &Plan, after: u64, limit: usize) -> Result<Vec<Resource>> {
        self.chunk(kind, plan, after, limit, self.links(kind, limit)).await
    }

    /// The next resources to ask something of, with or without their links, and behind which sequence there may be more.
    async fn scanned(
        &self,
        kind: Kind,
        plan: &Plan,
        after: u64,
        needs_links: bool,
    ) -> Result<(Completing, Option<u64>)> {
        let links = if needs_links { links::of_page(SCANNED_AT_ONCE) } else { Links::None };
        let page = self.chunk(kind, plan, after, SCANNED_AT_ONCE, links).await?;
        let next = page.last().filter(|_| page.len() == SCANNED_AT_ONCE).map(|last| last.sequence);
        let page = page.into_iter().map(|resource| (kind, resource)).collect();
        let wanted = if needs_links { vec![kind] } else { Vec::new() };
        Ok((Completing::new(self.store, page, wanted), next))
    }

    async fn chunk(&self, kind: Kind, plan: &Plan, after: u64, limit: usize, links: Links) -> Result<Vec<Resource>> {
        let lookup = plan.lookup.clone();
        let query = Query { lookup, order: Order::Taken, from: From::After(after), limit, links, count: false };
        Ok(self.store.page(kind, &query).await.map_err(|error| refusal(error, kind, ""))?.resources)
    }

    fn shows_links(&self, kind: Kind) -> bool {
        self.search.projection.shows_links(kind)
    }

    /// The links that come with a page of an answer.
    fn links(&self, kind: Kind, limit: usize) -> Links {
        if self.shows_links(kind) { links::of_page(limit) } else { Links::None }
    }
}

fn of_kind((kind, error): (Kind, StoreError)) -> Error {
    refusal(error, kind, "")
}

/// What a client is told when the store does not do what it is asked; `id` names the resource, if it is about one.
pub(crate) fn refusal(error: StoreError, kind: Kind, id: &str) -> Error {
    match error {
        StoreError::NotFound => Error::not_found(format!("there is no {kind} `{id}`")),
        StoreError::NotUnique(field) => {
            let detail = format!("another {kind} has this `{}`; change that one, or choose another", field.name());
            Error::of(ErrorKind::Uniqueness, detail)
        }
        StoreError::UnknownMember(id) => {
            let detail = format!("the directory has no member `{id}`; push it before the group");
            Error::of(ErrorKind::InvalidValue, detail)
        }
        StoreError::Conflict => Error::too_many_requests(1, format!("the {kind} `{id}` keeps changing; try again")),
        StoreError::Busy(seconds) => Error::too_many_requests(seconds, "too much is going on; try again later"),
        StoreError::Failed(cause) => {
            tracing::error!(error = &*cause, resource.kind = kind.name(), resource.id = id, "the store failed");
            Error::internal()
        }
    }
}

/// None where this kind has no such attribute and another one that is searched has.
fn sort_place(kind: Kind, sort: &Sort) -> Result<Option<Place>> {
    let of = |kind| Place::of(kind, &sort.by, ErrorKind::InvalidValue);
    match of(kind) {
        Ok(place) if place.is_secret() => {
            Err(Error::of(ErrorKind::InvalidValue, format!("`{}` is never given out; sort by another", sort.by)))
        }
        Ok(place) => Ok(Some(place)),
        Err(_) if Kind::ALL.into_iter().any(|kind| of(kind).is_ok()) => Ok(None),
        Err(error) => Err(error),
    }
}

fn sort_key(view: &View<'_>, place: &Place) -> Option<Constant> {
    match sort_value(view, place)? {
        Value::Bool(value) => Some(Constant::Boolean(value)),
        Value::Number(number) => number.as_f64().map(Constant::Number),
        Value::String(text) => Some(comparable(place.attribute(), &text)),
        _ => None,
    }
}

/// Ascending; what has no key comes last.
fn in_order(left: Option<&Constant>, right: Option<&Constant>) -> Ordering {
    match (left, right) {
        (None, None) => Ordering::Equal,
        (None, _) => Ordering::Greater,
        (_, None) => Ordering::Less,
        (Some(left), Some(right)) => match (left, right) {
            (Constant::Boolean(left), Constant::Boolean(right)) => left.cmp(right),
            (Constant::Number(left), Constant::Number(right)) => left.total_cmp(right),
            (Constant::Instant(left), Constant::Instant(right)) => left.cmp(right),
            (Constant::Exact(left) | Constant::Folded(left), Constant::Exact(right) | Constant::Folded(right)) => {
                left.cmp(right)
            }
            _ => rank(left).cmp(&rank(right)),
        },
    }
}

/// Where an undeclared attribute has values of several types, they lie apart.
fn rank(constant: &Constant) -> u8 {
    match constant {
        Constant::Null => 0,
        Constant::Boolean(_) => 1,
        Constant::Number(_) => 2,
        Constant::Instant(_) => 3,
        Constant::Exact(_) | Constant::Folded(_) => 4,
    }
}
