//! Resources with their links, however many those are: memory holds a bounded number at once.
//!
//! A page is read with the links of those that have few. The links of the others follow when their turn comes: of ten
//! resources at a time, and of one that has very many alone.

use std::{collections::VecDeque, sync::Arc};

use crate::{
    resource::{Kind, Resource},
    store::{Field, From, Links, Lookup, Order, Query, ResourceStore, StoreError},
};

/// About how many links are held at once, unless a single resource has more.
const AT_ONCE: usize = 10_000;
/// How many links of a resource come with its page at most.
const WITH_A_PAGE: usize = 100;
/// Up to how many resources each may bring so many: a usual page, and the one behind it that tells of a next page.
const USUAL_PAGE: usize = 101;
/// How many links of a resource come with a longer page.
const WITH_A_LONG_PAGE: usize = 10;
/// How many resources are read at once that have more.
const AHEAD: usize = 10;

/// Which links to ask for with a page of so many resources.
pub(crate) fn of_page(resources: usize) -> Links {
    // Few steps, since each is another statement for a store to prepare.
    Links::UpTo(if resources <= USUAL_PAGE { WITH_A_PAGE } else { WITH_A_LONG_PAGE })
}

/// Leaves the links of a resource to later, where it has more than these.
pub(crate) fn keep(resource: &mut Resource, links: Links) {
    let most = match links {
        Links::None => 0,
        Links::UpTo(most) => most,
        Links::All => return,
    };
    resource.links.take_if(|links| links.len() > most);
}

/// Resources in their order, completed one by one.
pub(crate) struct Completing {
    store: Arc<dyn ResourceStore>,
    waiting: VecDeque<(Kind, Resource)>,
    /// The kinds whose links are wanted.
    wanted: Vec<Kind>,
    /// How many of those in front were read ahead already.
    ahead: usize,
}

impl Completing {
    pub(crate) fn new(store: &Arc<dyn ResourceStore>, resources: Vec<(Kind, Resource)>, wanted: Vec<Kind>) -> Self {
        Self { store: Arc::clone(store), waiting: resources.into(), wanted, ahead: 0 }
    }

    /// All of them, where nothing more has to be read.
    pub(crate) fn whole(self) -> Result<Vec<(Kind, Resource)>, Self> {
        if self.waiting.iter().any(|(kind, resource)| self.lacks(*kind, resource)) {
            return Err(self);
        }
        Ok(self.waiting.into())
    }

    /// The next one, as it is now where it had to be read again. What is gone meanwhile is passed over.
    pub(crate) async fn next(&mut self) -> Result<Option<(Kind, Resource)>, (Kind, StoreError)> {
        loop {
            if let Some((kind, first)) = self.waiting.front()
                && self.ahead == 0
                && self.lacks(*kind, first)
            {
                let kind = *kind;
                self.read_ahead(kind).await.map_err(|error| (kind, error))?;
            }
            let Some((kind, next)) = self.waiting.pop_front() else { return Ok(None) };
            self.ahead = self.ahead.saturating_sub(1);
            if !self.lacks(kind, &next) {
                return Ok(Some((kind, next)));
            }
            let alone = self.store.get(kind, &next.id, Links::All).await.map_err(|error| (kind, error))?;
            if let Some(alone) = alone {
                return Ok(Some((kind, alone)));
            }
        }
    }

    fn lacks(&self, kind: Kind, resource: &Resource) -> bool {
        resource.links.is_none() && self.wanted.contains(&kind)
    }

    /// Reads those of the next few that have not too many links for that.
    async fn read_ahead(&mut self, kind: Kind) -> Result<(), StoreError> {
        let next = self.waiting.iter().take(AHEAD).take_while(|(other, _)| *other == kind);
        self.ahead = next.clone().count();
        let lacking = next.filter(|(kind, resource)| self.lacks(*kind, resource));
        let values: Vec<String> = lacking.map(|(_, resource)| resource.id.clone()).collect();
        if values.len() < 2 {
            return Ok(());
        }
        let query = Query {
            limit: values.len(),
            lookup: Some(Lookup { field: Field::Id, values }),
            order: Order::Taken,
            from: From::Offset(0),
            links: Links::UpTo(AT_ONCE / AHEAD),
            count: false,
        };
        for found in self.store.page(kind, &query).await?.resources {
            let place = self.waiting.iter_mut().take(self.ahead).find(|(_, waiting)| waiting.id == found.id);
            if let Some((_, waiting)) = place
                && found.links.is_some()
            {
                *waiting = found;
            }
        }
        Ok(())
    }
}
