//! A notice: what is told to whom about one reset. It waits sealed in the store, because it may hold a password.
//!
//! It is kept before the password is set, held, and let go only when that is done; so a crash in between sends nothing
//! untrue, and a mail server that is down loses nothing. Whoever gets a copy is told that it happened, not the password.

use anyhow::Context;
use lettre::message::Mailbox;
use secrecy::{
    ExposeSecret, SecretString,
    zeroize::{Zeroize, Zeroizing},
};
use serde::{Deserialize, Serialize};

use super::key::ResetKey;
use crate::{
    mail::{Language, Mail, MailKind, MailWords, Mailer, parse_mailbox},
    store::WaitingNotice,
};

/// The longest sealed text: names and addresses are bounded by the systems they come from.
const MAX_BYTES: usize = 64 << 10;

/// What is told, to whom.
#[derive(Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) kind: MailKind,
    pub(crate) language: Language,
    /// The mailbox; none where copies alone are sent and the password is only kept for a second attempt.
    pub(crate) to: Option<String>,
    pub(crate) recipient: String,
    pub(crate) beneficiary: String,
    pub(crate) is_own: bool,
    pub(crate) login: String,
    pub(crate) connection: String,
    pub(crate) application: String,
    /// The password or the link; empty in a copy.
    pub(crate) secret: String,
    pub(crate) must_change: bool,
    /// In milliseconds since 1970; for links alone.
    pub(crate) valid_until_ms: Option<i64>,
}

impl Notice {
    /// The notice as the store keeps it.
    ///
    /// # Errors
    /// Where it is too long.
    pub(crate) fn sealed(&self, id: &str, key: &ResetKey) -> anyhow::Result<String> {
        // Wide enough for every character escaped, so that no half-filled buffer is left behind unwiped.
        let texts =
            [&self.recipient, &self.beneficiary, &self.login, &self.connection, &self.application, &self.secret];
        let room =
            512 + 6 * (texts.iter().map(|text| text.len()).sum::<usize>() + self.to.as_ref().map_or(0, String::len));
        anyhow::ensure!(room <= MAX_BYTES, "a notice about `{}` is too long", self.login);
        let mut bytes = Zeroizing::new(Vec::with_capacity(room));
        serde_json::to_writer(&mut *bytes, self).context("a notice cannot be written")?;
        key.seal(id, &bytes)
    }

    /// The notice that was sealed; none where this agent's key does not open it.
    pub(crate) fn open(waiting: &WaitingNotice, key: &ResetKey) -> Option<Self> {
        let bytes = key.open_sealed(&waiting.id, &waiting.sealed)?;
        serde_json::from_slice(&bytes).ok()
    }

    /// What it tells of which account, so that a later one can overtake it; none for a copy, which stays true.
    pub(crate) fn about(&self) -> Option<String> {
        about(self.kind, &self.connection, &self.login)
    }

    /// A notice with this password or link in it.
    pub(crate) fn with_secret(mut self, secret: &SecretString) -> Self {
        self.secret = String::with_capacity(secret.expose_secret().len());
        self.secret.push_str(secret.expose_secret());
        self
    }

    /// The password, for a second attempt at the same order.
    pub(crate) fn password(&self) -> SecretString {
        SecretString::from(self.secret.as_str())
    }

    /// The same event told to somebody who does not get the password.
    pub(crate) fn copy_for(&self, mailbox: &Mailbox) -> Self {
        Self {
            kind: MailKind::Copy,
            language: self.language,
            to: Some(mailbox.to_string()),
            recipient: String::new(),
            beneficiary: self.beneficiary.clone(),
            is_own: false,
            login: self.login.clone(),
            connection: self.connection.clone(),
            application: self.application.clone(),
            secret: String::new(),
            must_change: self.must_change,
            valid_until_ms: None,
        }
    }

    /// Sends it. A notice for nobody is sent by being forgotten.
    pub(crate) async fn send(&self, id: &str, mailer: &Mailer) -> anyhow::Result<()> {
        let Some(to) = &self.to else { return Ok(()) };
        let to = parse_mailbox(to).context("the notice has no address")?;
        let (recipient, beneficiary) = (one_line(&self.recipient), one_line(&self.beneficiary));
        let (login, connection) = (one_line(&self.login), one_line(&self.connection));
        let valid_until = self.valid_until_ms.map(time_in_words).unwrap_or_default();
        let (password, link) = match self.kind {
            MailKind::Password => (self.secret.as_str(), ""),
            MailKind::Link => ("", self.secret.as_str()),
            MailKind::Copy => ("", ""),
        };
        let words = MailWords {
            recipient: &recipient,
            beneficiary: &beneficiary,
            is_own: self.is_own,
            login: &login,
            connection: &connection,
            application: &self.application,
            password,
            must_change: self.must_change,
            link,
            valid_until: &valid_until,
        };
        mailer.send(&Mail { id, kind: self.kind, language: self.language, to: &to, words }).await
    }
}

/// What notices of this kind tell of the account.
pub(crate) fn about(kind: MailKind, connection: &str, login: &str) -> Option<String> {
    let what = match kind {
        MailKind::Password => "password",
        MailKind::Link => "link",
        MailKind::Copy => return None,
    };
    Some(format!("{what} {} {}", connection.to_lowercase(), login.to_lowercase()))
}

impl Drop for Notice {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn time_in_words(ms: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default();
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}
