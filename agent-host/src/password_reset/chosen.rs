//! The other end of a link: its holder chooses the password.
//!
//! A link that we did not sign, that has run out, that was used, or whose account is gone is the same to whoever holds it:
//! no good. A link is used up by a password that was set, not by one that was refused. Showing the page uses nothing up,
//! because programs that look through mails open links too.

use connector_api::{ErrorKind, NewPassword, PasswordAction, PasswordReset};
use secrecy::{ExposeSecret, SecretString};

use super::{
    Course, Demand, PasswordResets, ResetWay, effect_word, generate::names_account, notice::Notice, random_text,
};
use crate::{agent::Agent, mail::MailKind, store::PasswordLink};

/// A chosen password has at least so many characters, whatever the settings say.
pub(crate) const MIN_CHOSEN: usize = 8;
/// And at most so many: Okta takes no more.
pub(crate) const MAX_CHOSEN: usize = 72;
/// Who chose, in the audit.
const ACTOR: &str = "the holder of the link";

/// A link that is good now.
#[derive(Debug)]
pub struct ChosenLink {
    /// Its name.
    pub id: String,
    /// What the account's owner signs in with.
    pub login: String,
    /// What the settings ask of a password.
    pub(crate) demands: Vec<Demand>,
}

/// What came of a choice.
#[derive(Debug, PartialEq, Eq)]
pub enum Choice {
    /// The password is set.
    Done,
    /// The link is no good.
    BadLink,
    /// It is shorter or longer than a password may be.
    Length,
    /// It holds a part of the login or of the name.
    NamesAccount,
    /// It does not match what the settings ask for.
    TooWeak,
    /// The managed system refuses it, in its words.
    Refused(String),
    /// It could not be set now; the link is still good.
    Later,
}

impl PasswordResets {
    /// The link that a token is for, if it is good now.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn link(&self, token: &str) -> anyhow::Result<Option<ChosenLink>> {
        let Some((link, way)) = self.good_link(token).await? else { return Ok(None) };
        Ok(Some(ChosenLink { id: link.id, login: link.login, demands: way.strength.demands() }))
    }

    /// What a form for this link carries when it was shown to the browser that holds `cookie`.
    pub(crate) fn form_code(&self, link: &str, cookie: &str) -> String {
        self.key.form_code(link, cookie)
    }

    /// Whether the form was shown to that browser.
    pub(crate) fn is_form_code(&self, link: &str, cookie: &str, code: &str) -> bool {
        self.key.is_form_code(link, cookie, code)
    }

    /// Sets the password that the holder of the link chose.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn choose(&self, agent: &Agent, token: &str, password: &SecretString) -> anyhow::Result<Choice> {
        let Some((link, way)) = self.good_link(token).await? else { return Ok(Choice::BadLink) };
        let text = password.expose_secret();
        if !(MIN_CHOSEN..=MAX_CHOSEN).contains(&text.chars().count()) || text.chars().any(char::is_control) {
            return Ok(Choice::Length);
        }
        if way.strength.broken_by(text).is_some() {
            return Ok(Choice::TooWeak);
        }
        self.holding(&link.connection, &link.account, self.set_chosen(agent, &link, way, password)).await
    }

    async fn set_chosen(
        &self,
        agent: &Agent,
        link: &PasswordLink,
        way: &ResetWay,
        password: &SecretString,
    ) -> anyhow::Result<Choice> {
        let opened = agent.connection(&link.connection)?;
        let connector = &*opened.connector;
        let account = match connector.find_account(&link.account).await {
            Ok(account) => account,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Choice::BadLink),
            Err(error) => {
                tracing::warn!(account.id = link.account, %error, "a chosen password cannot be set now");
                return Ok(Choice::Later);
            }
        };
        if names_account(password.expose_secret(), &account) {
            return Ok(Choice::NamesAccount);
        }
        if !self.store.use_link(&link.id, self.now()).await? {
            return Ok(Choice::BadLink);
        }
        let connection = opened.settings.id().to_string();
        let course = Course { id: random_text(16)?, connection, account: &account, mode: "two_way", actor: ACTOR };
        self.note(&course, "begun", None, None).await?;
        // Its owner has just chosen it: there is nothing to change at the next login.
        let action = PasswordAction::Set(NewPassword { value: password.clone(), must_change: false });
        let outcome = match connector.reset_password(&PasswordReset::new(&account.key, action)).await {
            Ok(outcome) => outcome,
            Err(error) => {
                self.store.restore_link(&link.id).await?;
                let refused = error.kind() == ErrorKind::Rejected;
                self.note(&course, if refused { "refused" } else { "unknown" }, None, Some(&error.to_string())).await?;
                tracing::warn!(account.id = account.key, %error, "a chosen password was not set");
                return Ok(if refused { Choice::Refused(in_oktas_words(&error.to_string())) } else { Choice::Later });
            }
        };
        self.note(&course, effect_word(outcome.effect), outcome.request_id, outcome.note.as_deref()).await?;
        self.overtake(&course, MailKind::Password).await?;
        let notice = Notice {
            kind: MailKind::Copy,
            language: self.settings.language(account.language.as_deref()),
            to: None,
            recipient: String::new(),
            beneficiary: account.full_name(),
            is_own: false,
            login: account.login.clone(),
            connection: course.connection.clone(),
            application: self.settings.application_uri.clone().unwrap_or_default(),
            secret: String::new(),
            must_change: false,
            valid_until_ms: None,
        };
        self.keep_copies(&course.id, way, &notice).await?;
        self.store.release_notices(&course.id, self.now()).await?;
        Ok(Choice::Done)
    }

    async fn good_link(&self, token: &str) -> anyhow::Result<Option<(PasswordLink, &ResetWay)>> {
        let Some(id) = self.key.read_link(token) else { return Ok(None) };
        let Some(link) = self.store.good_link(&id, self.now()).await? else { return Ok(None) };
        let way = self.settings.way_named(&link.setting);
        Ok(way.map(|way| (link, way)))
    }
}

/// A refusal without what only the operator needs: what was being tried, codes and request ids.
fn in_oktas_words(message: &str) -> String {
    let words = message.split_once("`: ").map_or(message, |(_, words)| words);
    let words = words.rsplit_once(" (").map_or(words, |(words, _)| words);
    words.rsplit_once("; ").map_or(words, |(_, cause)| cause).trim_start_matches("password: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_link_reads_what_is_wrong_and_no_codes() {
        let message = "setting the password of `ada@example.com`: Api validation failed: password; password: Password \
                       requirements were not met. Password requirements: at least 8 characters. (E0000001, request x)";
        assert_eq!(
            in_oktas_words(message),
            "Password requirements were not met. Password requirements: at least 8 characters."
        );
    }
}
