//! Following a list from page to page.
//!
//! The end is where no `next` link comes; an empty page is not the end. A list whose cursor is refused, or leads back,
//! starts again. Source: Okta's "Pagination".

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use connector_api::{Error, ErrorKind};

use crate::{
    client::{Client, Request},
    cursor::{limit_of, merge_lost_parameters, path_of, with_limit},
    error::Failure,
};

/// How often a list may start again because its cursor was refused or led in a circle.
const MAX_RESTARTS: u32 = 3;

/// Pages of one list: fifty million users have no more.
const MAX_PAGES: usize = 250_000;

/// A list that is being read.
#[derive(Debug)]
pub(crate) struct List {
    request: Request,
    first_target: String,
    /// Hashes of the pages seen since the start, to notice a circle.
    seen: HashSet<u64>,
    restarts: u32,
    /// Pages that had to be made smaller.
    smaller_pages: u32,
    done: bool,
}

impl List {
    pub(crate) fn new(request: Request) -> Self {
        Self {
            first_target: request.target.clone(),
            request,
            seen: HashSet::new(),
            restarts: 0,
            smaller_pages: 0,
            done: false,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// Nothing more comes: what was listed is gone.
    pub(crate) fn finish(&mut self) {
        self.done = true;
    }

    /// What is being tried, for messages.
    pub(crate) fn what(&self) -> &str {
        &self.request.what
    }

    /// Reads the next page. After a restart pages come again that came before.
    pub(crate) async fn next_page<T>(
        &mut self,
        client: &Client,
        read: impl Fn(&str) -> serde_json::Result<T>,
    ) -> Result<T, Failure> {
        loop {
            let answer = match client.get(&mut self.request, &read).await {
                Err(Failure::Refused(refusal)) if refusal.is_cursor_rejected() && self.has_started() => {
                    self.restart(&refusal.to_string())?;
                    continue;
                }
                other => other?,
            };
            match answer.next {
                None => self.done = true,
                Some(next) => {
                    let target = merge_lost_parameters(&self.request.target, &next);
                    if path_of(&target) != path_of(&self.first_target) || !self.seen.insert(hash_of(&target)) {
                        self.restart("its next link leads somewhere else or back")?;
                        continue;
                    }
                    if self.seen.len() > MAX_PAGES {
                        return Err(self.endless("it has no end").into());
                    }
                    self.request.target = self.at_full_size(target);
                }
            }
            return Ok(answer.value);
        }
    }

    /// How often the list has started again.
    pub(crate) fn restarts(&self) -> u32 {
        self.restarts
    }

    /// The next page with as many records as the first: one page that was too much for Okta may have been chance.
    /// After the second the list goes on with what works.
    fn at_full_size(&mut self, next: String) -> String {
        let (first, present) = (limit_of(&self.first_target), limit_of(&self.request.target));
        match first {
            Some(limit) if first > present => {
                self.smaller_pages += 1;
                if self.smaller_pages < 2 { with_limit(&next, limit) } else { next }
            }
            _ => next,
        }
    }

    fn has_started(&self) -> bool {
        self.request.target != self.first_target
    }

    fn endless(&self, why: &str) -> Error {
        let message = format!("{}: Okta did not let the list be read to its end: {why}", self.what());
        Error::new(ErrorKind::Protocol, message).with_hint("run again later")
    }

    fn restart(&mut self, why: &str) -> Result<(), Failure> {
        if self.restarts == MAX_RESTARTS {
            return Err(self.endless(why).into());
        }
        tracing::info!(list = self.what(), why, "starting the list again");
        self.restarts += 1;
        self.seen.clear();
        self.request.target.clone_from(&self.first_target);
        Ok(())
    }
}

fn hash_of(target: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    target.hash(&mut hasher);
    hasher.finish()
}
