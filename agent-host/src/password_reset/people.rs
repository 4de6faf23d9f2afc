//! Who is told of a reset, and the notices for them.
//!
//! A new password sent to the mailbox that it opens helps nobody: so the account's second address comes before its first.
//! Whoever asks may name somebody else. Whoever is told must be one that `AllowedDomains` lets us write to, and that is
//! settled before anything is changed.

use connector_api::{Account, Error, ErrorKind, Result};
use lettre::message::Mailbox;
use secrecy::SecretString;

use super::{Course, PasswordResets, ResetWay, ResetWish, notice::Notice, random_text};
use crate::mail::{MailKind, MailSettings, parse_mailbox};

/// Who is told.
#[derive(Debug, Clone)]
pub(super) struct Recipient {
    pub(super) mailbox: Mailbox,
    /// By name; empty where it is not known.
    pub(super) name: String,
    /// Whether it is the account's owner.
    pub(super) is_owner: bool,
}

impl PasswordResets {
    /// Who is told of a reset that somebody asked for; none where the asker alone sees the password.
    ///
    /// # Errors
    /// Where nobody would ever learn the password.
    pub(super) fn who_is_told(&self, account: &Account, way: &ResetWay, wish: &ResetWish) -> Result<Option<Recipient>> {
        let nobody = |why: &str| {
            let message =
                format!("nobody would learn the new password of `{}`: {why}; nothing was changed", account.login);
            let hint = "add --show to see it yourself, or have it mailed";
            if wish.shows { Ok(None) } else { Err(Error::new(ErrorKind::Settings, message).with_hint(hint)) }
        };
        let Some(mail) = &self.settings.mail else { return nobody("no mail is sent without `MailSettings`") };
        if !way.notifies {
            return nobody("`DisableNotifications` is set");
        }
        if let Some(asked) = &wish.notified {
            let mailbox = parse_mailbox(asked).ok_or_else(|| {
                Error::new(ErrorKind::Settings, format!("`{asked}` is no mail address"))
                    .with_hint("write one, such as boss@example.com")
            })?;
            mail.check_allowed(&mailbox.email)?;
            return Ok(Some(recipient(mailbox, account)));
        }
        match owners_address(account, mail) {
            Ok(Some(mailbox)) => Ok(Some(recipient(mailbox, account))),
            Ok(None) => nobody("the account has no mail address"),
            Err(error) if wish.shows => {
                tracing::warn!(account.id = account.key, "{error}; nobody is written to");
                Ok(None)
            }
            Err(error) => Err(error.within(&format!("`{}` cannot be told", account.login))),
        }
    }

    /// Keeps the notices of a reset, held; the name of the one for the recipient.
    pub(super) async fn keep_notices(
        &self,
        course: &Course<'_>,
        way: &ResetWay,
        recipient: Option<&Recipient>,
        kind: MailKind,
        secret: &SecretString,
        valid_until_ms: Option<i64>,
    ) -> anyhow::Result<Option<String>> {
        let account = course.account;
        let notice = Notice {
            kind,
            language: self.settings.language(account.language.as_deref()),
            to: recipient.map(|recipient| recipient.mailbox.to_string()),
            recipient: recipient.map(|recipient| recipient.name.clone()).unwrap_or_default(),
            beneficiary: account.full_name(),
            is_own: recipient.is_some_and(|recipient| recipient.is_owner),
            login: account.login.clone(),
            connection: course.connection.clone(),
            application: self.settings.application_uri.clone().unwrap_or_default(),
            secret: String::new(),
            must_change: way.must_change || matches!(way.mode, super::Mode::Temporary),
            valid_until_ms,
        }
        .with_secret(secret);
        if kind == MailKind::Password {
            // Behind a link nothing has happened yet; copies go when the password is chosen.
            self.keep_copies(&course.id, way, &notice).await?;
        }
        if recipient.is_none() {
            return Ok(None);
        }
        self.keep(&course.id, &notice).await.map(Some)
    }

    /// Keeps the copies of a notice, without what is secret in it; whether there are any.
    pub(super) async fn keep_copies(&self, subject: &str, way: &ResetWay, notice: &Notice) -> anyhow::Result<bool> {
        let Some(mail) = self.settings.mail.as_ref().filter(|_| way.notifies) else { return Ok(false) };
        let mut has_copies = false;
        for mailbox in [&way.copy_to, &mail.catch_all_cc].into_iter().flatten() {
            self.keep(subject, &notice.copy_for(mailbox)).await?;
            has_copies = true;
        }
        Ok(has_copies)
    }

    /// Keeps one notice, held; its name.
    pub(super) async fn keep(&self, subject: &str, notice: &Notice) -> anyhow::Result<String> {
        let id = random_text(16)?;
        let about = notice.about();
        let sealed = notice.sealed(&id, &self.key)?;
        self.store.hold_notice(&id, subject, about.as_deref(), &sealed, self.now()).await?;
        Ok(id)
    }
}

/// The owner's address that mails may go to; none where there is no address at all.
pub(super) fn owners_address(account: &Account, mail: &MailSettings) -> Result<Option<Mailbox>> {
    let addresses = [&account.second_email, &account.email].into_iter().flatten();
    let mut refusal = None;
    for mailbox in addresses.filter_map(|address| parse_mailbox(address)) {
        match mail.check_allowed(&mailbox.email) {
            Ok(()) => return Ok(Some(mailbox)),
            Err(error) => refusal = Some(error),
        }
    }
    refusal.map_or(Ok(None), Err)
}

fn recipient(mailbox: Mailbox, account: &Account) -> Recipient {
    let address = mailbox.email.to_string();
    let own = [&account.second_email, &account.email].into_iter().flatten();
    let is_owner = own.into_iter().any(|own| own.eq_ignore_ascii_case(&address));
    let name = match (&mailbox.name, is_owner) {
        (_, true) => account.full_name(),
        (Some(name), false) => name.clone(),
        (None, false) => String::new(),
    };
    Recipient { mailbox, name, is_owner }
}
