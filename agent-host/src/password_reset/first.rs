//! The first password of an account that an order makes.
//!
//! Where somebody is to be told, it is made up once an order, whatever happens: it lies sealed in the store, in the notice
//! that will tell it, before the account is made. A second attempt at the order takes it from there, so that whichever
//! attempt made the account, the notice is true. Where nobody is, nothing is kept. Before the order's outcome is noted, the notice is confirmed, where the order made the account, or
//! forgotten; after it, it is let go. A crash in between is made up for when the next run begins: a confirmed notice
//! whose order has an outcome is let go then.

use connector_api::{Account, NewPassword};
use serde_json::Value;

use super::{Mode, PasswordResets, ResetWay, binding::follow, notice::Notice, people};
use crate::{
    mail::{MailKind, parse_mailbox},
    store::OrderPlace,
};

/// An order that makes an account.
#[derive(Debug)]
pub struct FirstPassword<'a> {
    /// The order: the same at every attempt.
    pub order: OrderPlace,
    /// The connection.
    pub connection: &'a str,
    /// The account as the order wants it; it has no key yet.
    pub account: &'a Account,
    /// The person that the order is for, as it carries them.
    pub owner: &'a Value,
    /// The `PasswordResetSettings` of its resource type.
    pub setting: &'a str,
}

/// What an order sets first.
#[derive(Debug)]
pub struct Given {
    /// The password.
    pub password: NewPassword,
    /// Who learns it.
    pub promise: Promise,
}

/// What is to be done about a first password when it is set.
#[derive(Debug, Default)]
pub struct Promise {
    /// A notice of it is held, to be confirmed or forgotten.
    pub is_held: bool,
    /// Nobody learns it, which the results say: it is made up, and nobody is told.
    pub is_lost: bool,
}

impl PasswordResets {
    /// What the order sets; none where the settings set none. What an earlier attempt has kept stays as it was, whatever
    /// the settings say by now. `was_begun` says that an earlier attempt may have made the account: if it kept nothing,
    /// the account may have another password than this one, and nobody is told.
    ///
    /// # Errors
    /// Where the settings cannot make one, nobody may be written to, or the store fails: then nothing is to be made.
    pub async fn first_password(&self, first: &FirstPassword<'_>, was_begun: bool) -> anyhow::Result<Option<Given>> {
        let subject = subject(first.connection, first.order);
        let way = self.settings.way_named(first.setting);
        let way = way.filter(|way| matches!(way.mode, Mode::Generated(_) | Mode::Default(_)));
        let is_unknown = way.is_none_or(|way| matches!(way.mode, Mode::Generated(_)));
        let held = self.store.held_notices(&subject).await?;
        for waiting in &held {
            if let Some(notice) = Notice::open(waiting, &self.key).filter(|notice| notice.kind == MailKind::Password) {
                let password = NewPassword { value: notice.password(), must_change: notice.must_change };
                let promise = Promise { is_held: true, is_lost: is_unknown && notice.to.is_none() };
                return Ok(Some(Given { password, promise }));
            }
        }
        let Some(way) = way else { return Ok(None) };
        let value = self.new_password(way, first.account)?;
        if was_begun {
            let password = NewPassword { value, must_change: way.must_change };
            return Ok(Some(Given { password, promise: Promise { is_held: false, is_lost: is_unknown } }));
        }
        let notice = self.first_notice(first, way)?.with_secret(&value);
        if !held.is_empty() {
            // Copies alone: the process ended between them and the notice.
            self.store.drop_held_notices(&subject).await?;
        }
        // Copies too are of what the first attempt has set.
        let is_held = self.keep_copies(&subject, way, &notice).await? || notice.to.is_some();
        if is_held {
            self.keep(&subject, &notice).await?;
        }
        let password = NewPassword { value, must_change: way.must_change };
        Ok(Some(Given { password, promise: Promise { is_held, is_lost: is_unknown && notice.to.is_none() } }))
    }

    /// Confirms the notice of an order that made its account, before its outcome is noted; else forgets it.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn settle_first_password(
        &self,
        connection: &str,
        order: OrderPlace,
        was_made: bool,
    ) -> anyhow::Result<()> {
        let subject = subject(connection, order);
        if was_made { self.store.confirm_notices(&subject).await } else { self.store.drop_held_notices(&subject).await }
    }

    /// Lets go every confirmed notice of the connection whose order has an outcome, and sends what waits.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn tell_first_passwords(&self, connection: &str) -> anyhow::Result<()> {
        let beginning = beginning(connection);
        for subject in self.store.confirmed_notices(&beginning).await? {
            let place = subject.strip_prefix(&beginning).and_then(|place| place.split_once('/'));
            let Some((file, position)) =
                place.and_then(|(file, position)| Some((file.parse().ok()?, position.parse().ok()?)))
            else {
                continue;
            };
            if self.store.has_outcome(OrderPlace { order_file: file, position }).await? {
                self.store.release_notices(&subject, self.now()).await?;
            }
        }
        self.send_waiting().await?;
        Ok(())
    }

    fn first_notice(&self, first: &FirstPassword<'_>, way: &ResetWay) -> anyhow::Result<Notice> {
        let account = first.account;
        let bound = |binding: &Option<String>| binding.as_ref().and_then(|binding| follow(binding, first.owner));
        let bound_to = bound(&way.notified_email).or_else(|| bound(&way.beneficiary_email));
        let to = match self.settings.mail.as_ref().filter(|_| way.notifies) {
            None => None,
            Some(mail) => match bound_to.as_deref().and_then(parse_mailbox) {
                Some(mailbox) => {
                    mail.check_allowed(&mailbox.email)?;
                    Some(mailbox)
                }
                None => people::owners_address(account, mail)?,
            },
        };
        let beneficiary = bound(&way.beneficiary_name).unwrap_or_else(|| account.full_name());
        let is_own = bound(&way.notified_email).is_none();
        Ok(Notice {
            kind: MailKind::Password,
            language: self.settings.language(account.language.as_deref()),
            to: to.map(|mailbox| mailbox.to_string()),
            recipient: bound(&way.notified_name)
                .unwrap_or_else(|| if is_own { beneficiary.clone() } else { String::new() }),
            beneficiary,
            is_own,
            login: account.login.clone(),
            connection: first.connection.to_owned(),
            application: self.settings.application_uri.clone().unwrap_or_default(),
            secret: String::new(),
            must_change: way.must_change,
            valid_until_ms: None,
        })
    }
}

fn subject(connection: &str, order: OrderPlace) -> String {
    format!("{}{}/{}", beginning(connection), order.order_file, order.position)
}

fn beginning(connection: &str) -> String {
    format!("first password {} ", connection.to_lowercase())
}
