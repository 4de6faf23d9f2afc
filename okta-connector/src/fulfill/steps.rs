//! What was decided, and how it is carried out: step by step, each in the journal before it is sent and after.
//!
//! A step that failed ends the order with what was done before in the message; links alone go on, one failing does
//! not stop the others. What Okta does in the background is proved by reading, within bounds.

use std::time::Duration;

use connector_api::{AttributeChange, Earlier, Error, ErrorKind, ForeseenEffect, Journal, Result};
use futures::{FutureExt, StreamExt, stream::FuturesOrdered};
use reqwest::Method;

use super::{
    found::{Noun, read},
    links::{self, Link},
    refusals::explained,
    values::text_at,
};
use crate::client::{Body, Client, Write, WriteFailure};

/// Links of one order under way at once.
const LINKS_AT_ONCE: usize = 12;
/// Failed links told one by one.
const MAX_FAILURES_TOLD: usize = 10;
/// How long to wait before each look at what Okta does in the background: two minutes in all.
const LOOKS_S: [u64; 12] = [0, 1, 1, 2, 4, 8, 15, 15, 15, 20, 20, 20];

/// What an order comes to.
#[derive(Debug)]
pub(super) struct Decision {
    pub effect: ForeseenEffect,
    pub changes: Vec<AttributeChange>,
    pub steps: Vec<Step>,
    pub notes: Vec<String>,
}

impl Decision {
    /// Nothing to do.
    pub(super) fn nothing() -> Self {
        Self { effect: ForeseenEffect::None, changes: Vec::new(), steps: Vec::new(), notes: Vec::new() }
    }

    pub(super) fn note(&self) -> Option<String> {
        Some(self.notes.join("; ")).filter(|note| !note.is_empty())
    }
}

/// One part of what is done.
#[derive(Debug)]
pub(super) enum Step {
    Send(Sent),
    /// Waits until Okta has finished what it does to the account in the background.
    Settle,
    /// Links in any order.
    Links(Vec<Link>),
}

/// A write to the record.
#[derive(Debug)]
pub(super) struct Sent {
    /// Its name in the journal.
    pub name: &'static str,
    /// What it comes to, such as "activated".
    pub done: &'static str,
    pub method: Method,
    pub bucket: &'static str,
    /// Path below the record, and query.
    pub suffix: String,
    pub body: Body,
    /// States in which a record is as wanted that Okta refuses to bring there, as after an answer that was lost;
    /// [`GONE`] where it is to be gone.
    pub leads_to: &'static [&'static str],
    pub proof: Proof,
}

/// The state of a record that is not there.
pub(super) const GONE: &str = "";

/// What shows that it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// Okta's answer.
    Answer,
    /// The account is deactivated, or gone.
    Deactivated,
    /// The record is gone.
    Gone,
}

/// Carries steps out on one record.
pub(super) struct Carrier<'a> {
    pub client: &'a Client,
    pub journal: &'a dyn Journal,
    pub noun: Noun,
    pub id: String,
    /// What was done so far, for messages.
    pub done: Vec<String>,
    pub has_changed: bool,
}

impl Carrier<'_> {
    pub(super) async fn carry_out(&mut self, steps: Vec<Step>) -> Result<()> {
        for step in steps {
            let outcome = match step {
                Step::Send(sent) => self.send(sent).await,
                Step::Settle => self.settled(|account| text_at(account, "transitioningToStatus").is_empty()).await,
                Step::Links(links) => self.link(&links).await,
            };
            outcome.map_err(|error| self.with_what_was_done(error))?;
        }
        Ok(())
    }

    async fn send(&mut self, sent: Sent) -> Result<()> {
        if let Earlier::Done(_) = self.journal.begin(sent.name).await? {
            return Ok(());
        }
        let what = format!("{}: {} `{}`", sent.name, self.noun.in_words(), self.id);
        let write = Write {
            method: sent.method,
            bucket: sent.bucket,
            target: format!("{}/{}{}", self.noun.path(), self.id, sent.suffix),
            body: sent.body,
            what,
            repeatable: true,
        };
        match self.client.write(&write).await {
            Ok(_) => {}
            Err(WriteFailure::Refused(_)) if self.is_in(sent.leads_to).await? => {}
            Err(failure) => return Err(explained(failure, &write.what, self.noun)),
        }
        self.has_changed = true;
        match sent.proof {
            Proof::Answer => {}
            Proof::Deactivated => {
                let is_done = |account: &serde_json::Value| {
                    text_at(account, "status") == "DEPROVISIONED"
                        && text_at(account, "transitioningToStatus").is_empty()
                };
                self.settled(is_done).await?;
            }
            Proof::Gone => self.settled(|_| false).await?,
        }
        self.journal.done(sent.name, &self.id).await?;
        self.done.push(sent.done.to_owned());
        Ok(())
    }

    /// Whether the record is in one of these states now.
    async fn is_in(&self, states: &[&str]) -> Result<bool> {
        if states.is_empty() {
            return Ok(false);
        }
        let record = read(self.client, self.noun, &self.id).await?;
        Ok(states.contains(&record.as_ref().map_or(GONE, |record| text_at(record, "status"))))
    }

    /// Returns when the record is as it should be, or gone.
    async fn settled(&self, is_done: impl Fn(&serde_json::Value) -> bool) -> Result<()> {
        for wait in LOOKS_S {
            if wait > 0 {
                self.client.pause(Duration::from_secs(wait)).await;
            }
            match read(self.client, self.noun, &self.id).await? {
                None => return Ok(()),
                Some(record) if is_done(&record) => return Ok(()),
                Some(_) => {}
            }
        }
        let message = format!("Okta is still busy with the {} `{}`", self.noun.in_words(), self.id);
        Err(Error::new(ErrorKind::Unavailable, message).with_hint("run again in some minutes; nothing is lost"))
    }

    async fn link(&mut self, links: &[Link]) -> Result<()> {
        let (mut done, mut failures) = (Vec::new(), Vec::new());
        let (mut waiting, mut running) = (links.iter(), FuturesOrdered::new());
        loop {
            while running.len() < LINKS_AT_ONCE
                && let Some(link) = waiting.next()
            {
                running.push_back(links::make(self.client, self.journal, &self.id, link).boxed());
            }
            let Some(outcome) = running.next().await else { break };
            match outcome {
                Ok((link, is_written)) => {
                    self.has_changed |= is_written;
                    done.push(link);
                }
                Err(error) => failures.push(error),
            }
        }
        match done.as_slice() {
            [] => {}
            [link] => self.done.push(link.in_the_past()),
            several => self.done.push(format!("{} links changed", several.len())),
        }
        // What says nothing about the order comes first: it may be tried again.
        let is_the_orders = |error: &Error| matches!(error.kind(), ErrorKind::Rejected | ErrorKind::NotFound);
        match failures.iter().position(|error| !is_the_orders(error)) {
            Some(place) => Err(failures.swap_remove(place)),
            None => failures_in_one(failures),
        }
    }

    pub(super) fn with_what_was_done(&self, error: Error) -> Error {
        if self.done.is_empty() {
            return error;
        }
        let (kind, hint) = (error.kind(), error.hint().unwrap_or_default().to_owned());
        Error::new(kind, format!("{error}; done before: {}", self.done.join(", "))).with_hint(hint)
    }
}

fn failures_in_one(mut failures: Vec<Error>) -> Result<()> {
    let others = failures.len().saturating_sub(MAX_FAILURES_TOLD);
    let Some(first) = failures.first() else { return Ok(()) };
    let hint = first.hint().unwrap_or_default().to_owned();
    if failures.len() == 1 {
        return Err(failures.remove(0));
    }
    let told: Vec<String> = failures.iter().take(MAX_FAILURES_TOLD).map(ToString::to_string).collect();
    let more = if others > 0 { format!("; and {others} more") } else { String::new() };
    Err(Error::new(ErrorKind::Rejected, format!("{}{more}", told.join("; "))).with_hint(hint))
}
