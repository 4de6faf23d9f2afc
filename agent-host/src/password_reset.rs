//! Resets the password of one account: by which rules, who is told, what is written down.
//!
//! In this order, so that nobody is left with a password that nobody knows, and none is told twice: who will be told is
//! settled first; then the account is held, the beginning noted, and the notice kept sealed; then the managed system is
//! asked; then the outcome is noted and the notice let go. What a password is, is noted nowhere in clear.

mod binding;
mod chosen;
mod delivery;
mod first;
mod generate;
mod key;
mod lease;
mod notice;
mod people;
mod settings;
mod strength;

use std::sync::Arc;

use connector_api::{
    Account, Connector, Error, ErrorKind, NewPassword, PasswordAction, PasswordEffect, PasswordOutcome, PasswordReset,
    Result,
};
use secrecy::SecretString;

use self::people::Recipient;
pub use self::{
    chosen::{Choice, ChosenLink},
    first::{FirstPassword, Promise},
    key::ResetKey,
    settings::{Mode, ResetSettings, ResetWay},
};
pub(crate) use self::{
    chosen::{MAX_CHOSEN, MIN_CHOSEN},
    key::random_text,
    strength::Demand,
};
use crate::{
    agent::Agent,
    mail::{MailKind, Mailer},
    store::{AuditRecord, PasswordLink, Store},
};

/// Links that are no good are remembered for so long after their time, so that a reused one is known.
const LINKS_KEPT_MS: i64 = 30 * 24 * 3600 * 1000;

/// The time, in milliseconds since 1970.
pub type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Resets passwords in one agent.
pub struct PasswordResets {
    settings: ResetSettings,
    store: Store,
    key: ResetKey,
    mailer: Option<Mailer>,
    now: Now,
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct ResetWish {
    /// The account's login or id.
    pub login: String,
    /// The `PasswordResetSettings` to go by, where it is not the usual.
    pub setting: Option<String>,
    /// Only unlock.
    pub unlocks: bool,
    /// End open sessions too.
    pub revokes_sessions: bool,
    /// Whoever asks sees the password.
    pub shows: bool,
    /// Who is told in place of the account's owner: a mail address.
    pub notified: Option<String>,
    /// Who asks.
    pub actor: String,
}

/// What came of it.
#[derive(Debug)]
pub struct ResetReport {
    /// The connection, as it is spelt in the settings.
    pub connection: String,
    /// The account's login.
    pub user: String,
    /// `one_way`, `temporary_password`, `two_way`, `mailed_link` or `unlock`.
    pub mode: &'static str,
    /// What was done, in a word.
    pub effect: &'static str,
    /// Who was written to.
    pub notified: Option<String>,
    /// `sent`, `queued` or `none`.
    pub notice: &'static str,
    /// Whether open sessions were ended.
    pub sessions_revoked: bool,
    /// The managed system's name for the request.
    pub request_id: Option<String>,
    /// What a reader should know.
    pub note: Option<String>,
    /// The password that was set or made up.
    pub password: Option<SecretString>,
}

/// One reset on its way.
struct Course<'a> {
    /// Names it in the audit and in the store.
    id: String,
    connection: String,
    account: &'a Account,
    mode: &'static str,
    actor: &'a str,
}

impl PasswordResets {
    /// Reads the settings and the key; sends nothing.
    ///
    /// # Errors
    /// Of kind `Settings`, with everything that is wrong; or the disk refuses.
    pub fn open(agent: &Agent, store: Store, now: Now) -> anyhow::Result<Self> {
        let settings = ResetSettings::read(&agent.settings, &agent.mapping)?;
        let texts = agent.settings.conf_folder.join("Mail");
        let mailer = settings.mail.clone().map(|mail| Mailer::open(mail, &texts)).transpose()?;
        let key = ResetKey::open(&agent.settings.work_folder)?;
        Ok(Self { settings, store, key, mailer, now })
    }

    /// The settings.
    pub fn settings(&self) -> &ResetSettings {
        &self.settings
    }

    /// Carries out a reset in the agent's connection of this name.
    ///
    /// # Errors
    /// Where the settings do not allow it, nobody could be told, or the managed system refuses.
    pub async fn reset(&self, agent: &Agent, connection: &str, wish: &ResetWish) -> anyhow::Result<ResetReport> {
        let opened = agent.connection(connection)?;
        let connection = opened.settings.id().to_string();
        let connector = &*opened.connector;
        if wish.unlocks {
            let account = connector.find_account(&wish.login).await?;
            let course = self.course(&connection, &account, "unlock", &wish.actor)?;
            return self
                .holding(&connection, &account.key, self.plain(&course, connector, wish, PasswordAction::Unlock))
                .await;
        }
        let way = self.settings.choose(&agent.mapping, &connection, wish.setting.as_deref())?;
        if matches!(way.mode, Mode::Disabled) {
            let message = format!("the password reset settings `{}` switch resets off", way.identifier);
            let hint = "set their Mode to 1 or 2, or name others with --setting";
            return Err(Error::new(ErrorKind::Settings, message).with_hint(hint).into());
        }
        let account = connector.find_account(&wish.login).await?;
        let course = self.course(&connection, &account, way.mode.word(), &wish.actor)?;
        let work = async {
            match &way.mode {
                Mode::Generated(_) | Mode::Default(_) => self.one_way(&course, connector, wish, way).await,
                Mode::Temporary => self.temporary(&course, connector, wish, way).await,
                Mode::OwnLink => self.own_link(&course, wish, way).await,
                Mode::MailedLink => self.plain(&course, connector, wish, PasswordAction::MailedLink).await,
                Mode::Disabled => Err(anyhow::anyhow!("resets are switched off")),
            }
        };
        self.holding(&connection, &account.key, work).await
    }

    /// We know the password: its notice is kept before it is set.
    async fn one_way(
        &self,
        course: &Course<'_>,
        connector: &dyn Connector,
        wish: &ResetWish,
        way: &ResetWay,
    ) -> anyhow::Result<ResetReport> {
        let recipient = self.who_is_told(course.account, way, wish)?;
        let password = self.new_password(way, course.account)?;
        self.begin(course, recipient.as_ref()).await?;
        let main = self.keep_notices(course, way, recipient.as_ref(), MailKind::Password, &password, None).await?;
        let action = PasswordAction::Set(NewPassword { value: password.clone(), must_change: way.must_change });
        let outcome = self.ask(course, connector, wish, action).await?;
        let mut report = self.finished(course, outcome).await?;
        report.password = wish.shows.then_some(password);
        self.tell(course, recipient.as_ref(), main, &mut report).await?;
        Ok(report)
    }

    /// The managed system makes the password up: its notice can only be kept afterwards.
    async fn temporary(
        &self,
        course: &Course<'_>,
        connector: &dyn Connector,
        wish: &ResetWish,
        way: &ResetWay,
    ) -> anyhow::Result<ResetReport> {
        let recipient = self.who_is_told(course.account, way, wish)?;
        self.begin(course, recipient.as_ref()).await?;
        let mut outcome = self.ask(course, connector, wish, PasswordAction::Temporary).await?;
        let password =
            outcome.temporary.take().ok_or_else(|| anyhow::anyhow!("the managed system told no password"))?;
        let main = self.keep_notices(course, way, recipient.as_ref(), MailKind::Password, &password, None).await?;
        let mut report = self.finished(course, outcome).await?;
        report.password = wish.shows.then_some(password);
        self.tell(course, recipient.as_ref(), main, &mut report).await?;
        Ok(report)
    }

    /// Nothing changes yet: a link is mailed behind which the owner chooses.
    async fn own_link(&self, course: &Course<'_>, wish: &ResetWish, way: &ResetWay) -> anyhow::Result<ResetReport> {
        if let Some(obstacle) = &course.account.obstacle {
            self.note(course, "refused", None, Some(obstacle)).await?;
            let message = format!("the password of `{}` cannot be reset: {obstacle}", course.account.login);
            return Err(Error::new(ErrorKind::Rejected, message).with_hint("no link was mailed").into());
        }
        let Some(recipient) = self.who_is_told(course.account, way, &ResetWish { shows: false, ..wish.clone() })?
        else {
            anyhow::bail!("there is nobody to mail a link to");
        };
        let base = self.settings.confirmation_uri.as_deref().unwrap_or_default();
        let expires_ms = self.now() + delivery::ms(self.settings.valid_for);
        let link = PasswordLink {
            id: random_text(16)?,
            connection: course.connection.clone(),
            account: course.account.key.clone(),
            login: course.account.login.clone(),
            setting: way.identifier.clone(),
            expires_ms,
        };
        self.begin(course, Some(&recipient)).await?;
        self.store.add_link(&link, self.now(), self.now() - LINKS_KEPT_MS).await?;
        let address = SecretString::from(format!("{base}{}", self.key.sign_link(&link.id, expires_ms)?));
        let main = self.keep_notices(course, way, Some(&recipient), MailKind::Link, &address, Some(expires_ms)).await?;
        let mut report = self.finished(course, PasswordOutcome::new(PasswordEffect::LinkMailed)).await?;
        self.tell(course, Some(&recipient), main, &mut report).await?;
        Ok(report)
    }

    /// What needs no notice of ours.
    async fn plain(
        &self,
        course: &Course<'_>,
        connector: &dyn Connector,
        wish: &ResetWish,
        action: PasswordAction,
    ) -> anyhow::Result<ResetReport> {
        self.note(course, "begun", None, None).await?;
        let outcome = self.ask(course, connector, wish, action).await?;
        self.finished(course, outcome).await
    }

    fn course<'a>(
        &self,
        connection: &str,
        account: &'a Account,
        mode: &'static str,
        actor: &'a str,
    ) -> anyhow::Result<Course<'a>> {
        Ok(Course { id: random_text(16)?, connection: connection.to_owned(), account, mode, actor })
    }

    /// Asks the managed system. What it refuses is noted, and the notice that would tell of it is dropped.
    async fn ask(
        &self,
        course: &Course<'_>,
        connector: &dyn Connector,
        wish: &ResetWish,
        action: PasswordAction,
    ) -> anyhow::Result<PasswordOutcome> {
        let mut reset = PasswordReset::new(&course.account.key, action);
        reset.revoke_sessions = wish.revokes_sessions;
        match connector.reset_password(&reset).await {
            Ok(outcome) => Ok(outcome),
            Err(error) => {
                // After a lost answer the password may be set, and nobody knows it: the next reset sets another.
                self.store.drop_held_notices(&course.id).await?;
                let word = if error.kind() == ErrorKind::Unavailable { "unknown" } else { "refused" };
                self.note(course, word, None, Some(&error.to_string())).await?;
                Err(error.into())
            }
        }
    }

    /// Notes what came of it.
    async fn finished(&self, course: &Course<'_>, outcome: PasswordOutcome) -> anyhow::Result<ResetReport> {
        let effect = effect_word(outcome.effect);
        self.note(course, effect, outcome.request_id.clone(), outcome.note.as_deref()).await?;
        match outcome.effect {
            PasswordEffect::Unlocked | PasswordEffect::NotLocked => {}
            _ if course.mode == Mode::OwnLink.word() => self.overtake(course, MailKind::Link).await?,
            _ => self.overtake(course, MailKind::Password).await?,
        }
        Ok(ResetReport {
            connection: course.connection.clone(),
            user: course.account.login.clone(),
            mode: course.mode,
            effect,
            notified: None,
            notice: "none",
            sessions_revoked: outcome.sessions_revoked,
            request_id: outcome.request_id,
            note: outcome.note,
            password: None,
        })
    }

    /// Forgets what earlier resets of the account would still tell: passwords and links that are good no more.
    async fn overtake(&self, course: &Course<'_>, kind: MailKind) -> anyhow::Result<()> {
        let Some(about) = notice::about(kind, &course.connection, &course.account.login) else { return Ok(()) };
        let overtaken = self.store.drop_overtaken_notices(&about, &course.id).await?;
        if overtaken > 0 {
            tracing::info!(
                account.id = course.account.key,
                count = overtaken,
                "notices of earlier resets are not sent"
            );
        }
        Ok(())
    }

    /// Lets the notices go, and says in the report whether the person has been told.
    async fn tell(
        &self,
        course: &Course<'_>,
        recipient: Option<&Recipient>,
        main: Option<String>,
        report: &mut ResetReport,
    ) -> anyhow::Result<()> {
        self.store.release_notices(&course.id, self.now()).await?;
        let attempts = self.attempt_waiting().await?;
        let (Some(recipient), Some(main), Some(mailer)) = (recipient, main, &self.mailer) else { return Ok(()) };
        match attempts.get(&main) {
            Some(None) => {
                report.notice = "sent";
                report.notified = Some(mailer.recipient(&recipient.mailbox).email.to_string());
            }
            failed => {
                report.notice = "queued";
                let why = failed.and_then(|why| why.as_deref()).unwrap_or("others are sent before it");
                let waits = format!(
                    "the mail is not sent yet ({why}); it waits and is tried again by the daemon and by each further reset"
                );
                report.note = Some(report.note.take().map_or(waits.clone(), |note| format!("{note}; {waits}")));
            }
        }
        Ok(())
    }

    /// Notes that it begins, and who learns of it where that is not the owner.
    async fn begin(&self, course: &Course<'_>, recipient: Option<&Recipient>) -> anyhow::Result<()> {
        let another = recipient.filter(|recipient| !recipient.is_owner);
        let told = another.map(|recipient| format!("`{}` is told in place of the owner", recipient.mailbox.email));
        self.note(course, "begun", None, told.as_deref()).await
    }

    /// A line of the audit.
    async fn note(
        &self,
        course: &Course<'_>,
        outcome: &str,
        request_id: Option<String>,
        note: Option<&str>,
    ) -> anyhow::Result<()> {
        let record = AuditRecord {
            id: random_text(16)?,
            at_ms: self.now(),
            action_id: course.id.clone(),
            action: "password_reset".to_owned(),
            actor: course.actor.to_owned(),
            connection: course.connection.clone(),
            account: course.account.key.clone(),
            login: course.account.login.clone(),
            mode: course.mode.to_owned(),
            outcome: outcome.to_owned(),
            request_id,
            note: note.map(str::to_owned),
        };
        tracing::info!(
            connection.id = course.connection,
            account.id = course.account.key,
            actor = course.actor,
            mode = course.mode,
            outcome,
            "password reset"
        );
        self.store.add_to_audit(&record).await
    }

    /// The password that a one-way reset sets.
    fn new_password(&self, way: &ResetWay, account: &Account) -> Result<SecretString> {
        match &way.mode {
            Mode::Generated(rule) => rule.generate(account, &way.strength, &mut key::system_random()).map_err(|why| {
                let message = format!("no password can be made by the settings `{}`: {}", way.identifier, why.0);
                Error::new(ErrorKind::Settings, message).with_hint("change the counts or `StrengthCheck`")
            }),
            Mode::Default(password) => Ok(password.clone()),
            _ => Err(Error::new(ErrorKind::Settings, format!("the settings `{}` set no password", way.identifier))),
        }
    }

    pub(crate) fn now(&self) -> i64 {
        (self.now)()
    }
}

impl std::fmt::Debug for PasswordResets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordResets").field("settings", &self.settings).finish_non_exhaustive()
    }
}

fn effect_word(effect: PasswordEffect) -> &'static str {
    match effect {
        PasswordEffect::Set => "password_set",
        PasswordEffect::SetToChange => "password_set_must_change",
        PasswordEffect::Temporary => "temporary_password_set",
        PasswordEffect::LinkMailed => "link_mailed",
        PasswordEffect::Unlocked => "unlocked",
        PasswordEffect::NotLocked => "not_locked",
        _ => "done",
    }
}
