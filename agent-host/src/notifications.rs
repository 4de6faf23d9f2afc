//! People are told when a run of a job fails, and when the job is well again: by mail, and by a signed web request.
//!
//! What is told is settled in the store together with the run that it is about, and stays there until it is delivered: a
//! crash loses none. A job that goes on failing is told of once an hour, with how often it failed in between.

mod settings;
mod text;
mod webhook;

use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, SecondsFormat};
use connector_api::Result;
use serde::{Deserialize, Serialize};

use crate::{
    agent::Agent,
    jobs::Clock,
    mail::{Language, Mailer, parse_mailbox},
    password_reset::random_text,
    redaction::redact,
    store::{EndedRun, FailingJob, RunState, Store, WaitingNotification},
};
use settings::NotificationSettings;
use webhook::Webhook;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A job that goes on failing is told of no more often.
const AGAIN_AFTER_MS: i64 = 3_600_000;
/// What is dealt with at one look.
const MOST_AT_ONCE: i64 = 50;
/// Before an attempt is repeated; twice as long each time, …
const FIRST_WAIT_MS: i64 = 30_000;
/// … no longer than this, …
const LONGEST_WAIT_MS: i64 = 3_600_000;
/// … and no more once it is so old.
const GIVE_UP_AFTER_MS: i64 = 3 * 24 * 3_600_000;
/// Characters of a run's message that are told.
const MOST_CHARACTERS: usize = 2_000;
const WEBHOOK: &str = "webhook";
const MAIL: &str = "mail:";

/// Tells people about runs of one agent.
pub struct Notifications {
    on: Vec<RunState>,
    mails: Option<Mails>,
    webhook: Option<Webhook>,
    store: Store,
    clock: Clock,
}

struct Mails {
    mailer: Mailer,
    to: Vec<String>,
    language: Language,
    texts: text::Texts,
}

/// What is told, as a webhook gets it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Notification {
    /// `run.failed` or `run.recovered`.
    pub event: String,
    /// Unique, and the same when it is sent again.
    pub id: String,
    /// The job.
    pub job: String,
    /// The run's number.
    pub run: i64,
    /// How it ended: `error`, `blocked`, `warning`, `cancelled`, `success`.
    pub state: String,
    /// What came of it.
    pub message: String,
    /// When it ended, such as `2026-01-31T14:05:00Z`.
    pub ended: String,
    /// Since when the job fails.
    pub failing_since: String,
    /// Failures since people were last told, of which nothing was said.
    pub failures_untold: i64,
}

impl Notifications {
    /// Reads the section `Notifications`; sends nothing.
    ///
    /// # Errors
    /// Of kind `Settings`.
    pub fn open(agent: &Agent, store: Store, clock: Clock) -> Result<Self> {
        let NotificationSettings { on, mail, webhook } = NotificationSettings::read(&agent.settings)?;
        let mails = mail.map(|(settings, to, language)| {
            let mailer = Mailer::open(settings, &agent.settings.conf_folder.join("Mail"))?;
            Result::Ok(Mails { mailer, to, language, texts: text::Texts::new() })
        });
        Ok(Self { on, mails: mails.transpose()?, webhook, store, clock })
    }

    /// Tells what there is to tell, for ever.
    pub async fn keep(&self) {
        let mut is_failing = false;
        loop {
            let told = async {
                self.note().await?;
                self.deliver().await
            };
            match told.await {
                Ok(_) => is_failing = false,
                Err(error) if !is_failing => {
                    is_failing = true;
                    tracing::error!("notifications cannot be looked for: {error:#}");
                }
                Err(_) => {}
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Considers the runs that have ended. How many are told.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn note(&self) -> anyhow::Result<usize> {
        let mut told = 0;
        for run in self.store.unnoticed_runs(MOST_AT_ONCE).await? {
            let before = self.store.failing_job(&run.name).await?;
            let (failing, event) = self.judge(&run, before);
            let untold = before.map_or(0, |job| job.untold);
            let since_ms = before.map_or(run.ended_ms, |job| job.since_ms);
            let waiting = event.map_or(Ok(Vec::new()), |event| self.notifications(&run, event, since_ms, untold))?;
            if self.store.notice_run(&run, failing, &waiting).await? {
                told += usize::from(!waiting.is_empty());
            }
        }
        Ok(told)
    }

    /// Delivers what waits and whose turn it is. How many arrived.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn deliver(&self) -> anyhow::Result<usize> {
        let now = (self.clock)();
        let mut arrived = 0;
        for waiting in self.store.waiting_notifications(now, MOST_AT_ONCE).await? {
            let pause = FIRST_WAIT_MS.saturating_mul(1 << waiting.attempts.clamp(0, 16)).min(LONGEST_WAIT_MS);
            if !self.store.attempt_notification(&waiting, now + pause).await? {
                continue;
            }
            match self.send(&waiting).await {
                Ok(()) => {
                    self.store.drop_notification(&waiting.id).await?;
                    arrived += 1;
                }
                Err(error) if now - waiting.at_ms >= GIVE_UP_AFTER_MS => {
                    tracing::error!(channel = waiting.channel, "a notification is given up after days: {error:#}");
                    self.store.drop_notification(&waiting.id).await?;
                }
                Err(error) => {
                    let wait_s = pause / 1000;
                    tracing::warn!(channel = waiting.channel, wait_s, "a notification waits: {error:#}");
                }
            }
        }
        Ok(arrived)
    }

    /// Whether the job fails now, and what is told.
    fn judge(&self, run: &EndedRun, before: Option<FailingJob>) -> (Option<FailingJob>, Option<&'static str>) {
        let told = FailingJob { since_ms: run.ended_ms, told_ms: run.ended_ms, untold: 0 };
        match (before, self.on.contains(&run.state)) {
            (None, true) => (Some(told), Some("run.failed")),
            (Some(job), true) if run.ended_ms - job.told_ms >= AGAIN_AFTER_MS => {
                (Some(FailingJob { since_ms: job.since_ms, ..told }), Some("run.failed"))
            }
            (Some(job), true) => (Some(FailingJob { untold: job.untold + 1, ..job }), None),
            // What somebody cancelled says nothing about the job.
            (before, false) if !run.state.is_done() => (before, None),
            (Some(_), false) => (None, Some("run.recovered")),
            (None, false) => (None, None),
        }
    }

    /// One notification for each who is told.
    fn notifications(
        &self,
        run: &EndedRun,
        event: &str,
        since_ms: i64,
        failures_untold: i64,
    ) -> anyhow::Result<Vec<WaitingNotification>> {
        let mails = self.mails.iter().flat_map(|mails| mails.to.iter().map(|to| format!("{MAIL}{to}")));
        let channels = mails.chain(self.webhook.iter().map(|_| WEBHOOK.to_owned()));
        let now = (self.clock)();
        let waiting = |channel: String| {
            let notification = Notification {
                event: event.to_owned(),
                id: random_text(16)?,
                job: run.name.clone(),
                run: run.id,
                state: run.state.name().to_owned(),
                message: redact(&run.message).chars().take(MOST_CHARACTERS).collect(),
                ended: shown(run.ended_ms),
                failing_since: shown(since_ms),
                failures_untold,
            };
            let body = serde_json::to_string(&notification)?;
            Ok(WaitingNotification { id: notification.id, at_ms: now, channel, body, attempts: 0, next_ms: now })
        };
        channels.map(waiting).collect()
    }

    async fn send(&self, waiting: &WaitingNotification) -> anyhow::Result<()> {
        match (waiting.channel.strip_prefix(MAIL), &self.mails, &self.webhook) {
            (Some(to), Some(mails), _) => {
                let notification: Notification = serde_json::from_str(&waiting.body)?;
                let to = parse_mailbox(to).context("the address is none")?;
                let rendered = mails.texts.render(&notification, mails.language)?;
                mails.mailer.deliver(&waiting.id, mails.language, &to, &rendered).await
            }
            (None, _, Some(webhook)) => {
                let seconds = (self.clock)().div_euclid(1000);
                webhook.send(&waiting.id, seconds, &waiting.body).await
            }
            _ => anyhow::bail!("the settings no longer say how: it waits, and is given up after some days"),
        }
    }
}

fn shown(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}
