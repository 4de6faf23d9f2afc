//! The directories that SCIM clients provision into: who may come in, and how each wants to be served.
//!
//! A credential is a public half, by which it is found, and 256 bits of chance, of which the store has the SHA-256
//! alone. What was found is remembered for a second, so that a directory that another process removes or whose secret it
//! rotates is closed a second later at most.

mod options;
mod oauth;
mod asked;
mod calls;
mod attempts;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use connector_api::{Error, ErrorKind, Result};
use scim_server::Authentication;
use url::Url;

use crate::{
    credential::{Credentials, Minted, Scheme},
    password_reset::random_text,
    settings::Settings,
    store::{DirectoryRecord, OauthClient, ResourceReader, ResourceWriter, Resources, SecretRecord, Store},
};
use attempts::Attempts;
pub use attempts::{Attempt, Way};
pub use calls::Call;
use calls::Calls;
pub use oauth::{ACCESS_SECONDS, ClientSetup, Tokens, WantedClient, set_up_client};
pub use options::DirectoryOptions;
pub(crate) use options::MAX_PAGE_SIZE;

/// How long the store is not asked again for a secret.
const REMEMBERED_MS: i64 = 1_000;
/// Secrets that are remembered.
const MOST_REMEMBERED: usize = 1_000;
/// The use of a secret is noted no more often.
const NOTED_EVERY_MS: i64 = 60_000;
/// The longest name of a directory.
const MAX_NAME: usize = 64;
/// For how many days events are kept when nothing is said.
const KEEP_EVENTS_DAYS: i64 = 90;
const DAY_MS: i64 = 24 * 3600 * 1000;
/// Between two looks for events that are old.
const LOOK_FOR_OLD: Duration = Duration::from_secs(3600);

/// The time, in milliseconds since 1970.
type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The directories of one agent, as they are served.
#[derive(Clone)]
pub struct Directories {
    store: Store,
    /// Those that read and change resources.
    queues: (ResourceReader, ResourceWriter),
    now: Now,
    public_url: Option<String>,
    keep_events_ms: i64,
    /// What the settings say, by directory in lower case.
    options: Arc<HashMap<String, DirectoryOptions>>,
    remembered: Arc<Mutex<HashMap<String, Remembered>>>,
    calls: Arc<Calls>,
    attempts: Arc<Attempts>,
}

/// Somebody who may come in.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The directory's number in the store.
    pub directory: i64,
    /// Its name, as it was spelt.
    pub name: String,
    /// Which secret it was, by its public half.
    pub prefix: String,
    /// Who it was, as the log of changes says: that public half, or the client of OAuth and what was consented to, which
    /// stay when its tokens change.
    pub actor: String,
    /// How the directory wants to be served.
    pub options: DirectoryOptions,
    /// How its clients show who they are.
    pub authentication: &'static [Authentication],
}

#[derive(Debug, Clone)]
struct Remembered {
    at_ms: i64,
    secret: SecretRecord,
    name: String,
    actor: String,
    options: DirectoryOptions,
    authentication: &'static [Authentication],
}

impl Directories {
    /// Reads the settings, and starts to take changes.
    ///
    /// # Errors
    /// Of kind `Settings`.
    pub fn open(settings: &Settings, store: Store, now: Now) -> Result<Self> {
        let days = settings.section(&["Directories"]).number("KeepEventsDays", KEEP_EVENTS_DAYS, 1..=3_650)?;
        let options = options::in_settings(settings)?;
        Ok(Self {
            queues: (store.resource_reader(), store.resource_writer(now.clone())),
            store,
            now,
            public_url: public_url(settings)?,
            keep_events_ms: days * DAY_MS,
            options: Arc::new(options),
            remembered: Arc::default(),
            calls: Arc::new(Calls::new()),
            attempts: Arc::default(),
        })
    }

    /// The time, in milliseconds since 1970.
    pub fn now(&self) -> i64 {
        (self.now)()
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Where clients reach the agent, without `/` at the end, if the settings say so.
    pub fn public_url(&self) -> Option<&str> {
        self.public_url.as_deref()
    }

    /// Who comes with these credentials to the directory of this name; none where they do not open it.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn admit(&self, name: &str, credentials: &Credentials) -> anyhow::Result<Option<Admitted>> {
        let now_ms = self.now();
        let Some(known) = self.look_up(credentials.prefix(), now_ms).await? else { return Ok(None) };
        let is_open = known.secret.ends_ms.is_none_or(|ends_ms| now_ms < ends_ms);
        if !is_open || !known.name.eq_ignore_ascii_case(name) || !known.is_opened_by(credentials) {
            return Ok(None);
        }
        if known.secret.last_used_ms.is_none_or(|used_ms| now_ms - used_ms >= NOTED_EVERY_MS) {
            self.note_use(&known, now_ms).await?;
        }
        let Remembered { secret, name, actor, options, authentication, .. } = known;
        let (directory, prefix) = (secret.directory, secret.prefix);
        Ok(Some(Admitted { directory, name, prefix, actor, options, authentication }))
    }

    /// How a directory is served: as the settings say, and where they say nothing as it was made.
    ///
    /// # Errors
    /// Where what is kept cannot be read.
    pub fn options_of(&self, directory: &DirectoryRecord) -> anyhow::Result<DirectoryOptions> {
        let made: DirectoryOptions = serde_json::from_str(&directory.options)?;
        let said = self.options.get(&directory.name.to_lowercase()).copied().unwrap_or_default();
        Ok(said.or(made))
    }

    /// The resources of the directory, for whoever was admitted.
    pub fn resources(&self, admitted: &Admitted) -> Resources {
        Resources::new(self.store.clone(), self.queues.clone(), admitted.directory, admitted.actor.as_str())
    }

    /// Now and then forgets old events, traces and calls, and sees to it that users can be looked up by their e-mail
    /// addresses; never ends.
    pub async fn look_after(&self) {
        loop {
            match self.store.index_emails().await {
                Ok(directories) if directories.is_empty() => {}
                Ok(directories) => {
                    let directories = directories.len();
                    tracing::info!(directories, "users of directories were gone through for their e-mail addresses");
                }
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "e-mail addresses in directories cannot be indexed");
                }
            }
            if let Err(error) = self.store.forget_calls(self.now()).await {
                tracing::error!(error = format!("{error:#}"), "old calls of directories cannot be forgotten");
            }
            let before_ms = self.now() - self.keep_events_ms;
            for (what, forgotten) in [
                ("events", self.store.forget_directory_events(before_ms).await),
                ("traces of what was deleted", self.store.forget_deleted_resources(before_ms).await),
            ] {
                match forgotten {
                    Ok(0) => {}
                    Ok(forgotten) => tracing::info!(forgotten, "old {what} of directories are forgotten"),
                    Err(error) => {
                        tracing::error!(error = format!("{error:#}"), "old {what} of directories cannot be forgotten");
                    }
                }
            }
            tokio::time::sleep(LOOK_FOR_OLD).await;
        }
    }

    async fn look_up(&self, prefix: &str, now_ms: i64) -> anyhow::Result<Option<Remembered>> {
        let known = self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(prefix).cloned();
        if let Some(known) = known.filter(|known| (0..REMEMBERED_MS).contains(&(now_ms - known.at_ms))) {
            return Ok(Some(known));
        }
        let Some(known) = self.read(prefix, now_ms).await? else {
            self.remembered.lock().unwrap_or_else(PoisonError::into_inner).remove(prefix);
            return Ok(None);
        };
        self.remember(known.clone());
        Ok(Some(known))
    }

    async fn read(&self, prefix: &str, at_ms: i64) -> anyhow::Result<Option<Remembered>> {
        let Some(secret) = self.store.secret(prefix).await? else { return Ok(None) };
        let directories = self.store.directories().await?;
        let found = directories.into_iter().find(|directory| directory.id == secret.directory);
        let Some(directory) = found else { return Ok(None) };
        let options = self.options_of(&directory)?;
        let client = self.store.oauth_client(directory.id).await?;
        let is_basic = self.store.secrets(directory.id).await?.first().is_some_and(|newest| newest.basic);
        let authentication = match (is_basic, client.is_some()) {
            (false, false) => &[Authentication::BearerToken][..],
            (true, false) => &[Authentication::Basic],
            (false, true) => &[Authentication::OAuth, Authentication::BearerToken],
            (true, true) => &[Authentication::OAuth, Authentication::Basic],
        };
        let actor = match (&secret.grant, client) {
            (Some(grant), Some(OauthClient { client_id, service_user, .. })) => {
                format!("{service_user} (OAuth client {client_id}, grant {grant})")
            }
            _ => secret.prefix.clone(),
        };
        Ok(Some(Remembered { at_ms, secret, name: directory.name, actor, options, authentication }))
    }

    fn remember(&self, known: Remembered) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() >= MOST_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(known.secret.prefix.clone(), known);
    }

    async fn note_use(&self, known: &Remembered, now_ms: i64) -> anyhow::Result<()> {
        let mut noted = known.clone();
        noted.secret.last_used_ms = Some(now_ms);
        self.remember(noted);
        self.store.note_use(&known.secret.prefix, now_ms).await
    }
}

impl Remembered {
    /// A secret opens by its own scheme alone; a bare token only where the directory wants that.
    fn is_opened_by(&self, credentials: &Credentials) -> bool {
        let is_its_own = match credentials.scheme() {
            Scheme::Basic => self.secret.basic,
            Scheme::Bearer => !self.secret.basic,
            Scheme::Bare => !self.secret.basic && self.options.bare_token == Some(true),
        };
        credentials.match_hash(&self.secret.hash) && is_its_own
    }
}

/// Makes a directory with a first secret.
///
/// # Errors
/// Of kind `Settings` where the name cannot be one or is taken; or the store fails.
pub async fn create(
    store: &Store,
    name: &str,
    options: &DirectoryOptions,
    basic: bool,
    now_ms: i64,
) -> anyhow::Result<Minted> {
    check_new_name(name)?;
    let options = serde_json::to_string(options)?;
    let Some(directory) = store.add_directory(name, &options, &random_text(16)?, now_ms).await? else {
        let error = Error::new(ErrorKind::Settings, format!("there is a directory `{name}` already"));
        return Err(error.with_hint("choose another name, or `agent-host directory rotate` for a new secret").into());
    };
    let minted = Minted::new(basic)?;
    store.add_secret(&record(&minted, directory.id, now_ms), now_ms).await?;
    Ok(minted)
}

/// Gives a directory a new secret of the kind it has; the one before stays good until then, older ones end now, and so does
/// what clients got by OAuth.
///
/// # Errors
/// Of kind `Settings` where there is no such directory; or the store fails.
pub async fn rotate(store: &Store, name: &str, now_ms: i64, former_end_ms: i64) -> anyhow::Result<Minted> {
    let directory = store.existing_directory(name).await?;
    let newest = store.secrets(directory.id).await?.into_iter().next();
    let minted = Minted::new(newest.is_some_and(|secret| secret.basic))?;
    store.add_secret(&record(&minted, directory.id, now_ms), former_end_ms).await?;
    let revoked = store.revoke_oauth_grants(directory.id).await?;
    if revoked > 0 {
        tracing::warn!(revoked, "what was got by OAuth is taken back: the client must be authorized anew");
    }
    Ok(minted)
}

fn record(minted: &Minted, directory: i64, now_ms: i64) -> SecretRecord {
    SecretRecord {
        prefix: minted.prefix.clone(),
        directory,
        hash: minted.hash(),
        basic: minted.basic,
        created_ms: now_ms,
        ends_ms: None,
        last_used_ms: None,
        grant: None,
    }
}

/// `Web:PublicUrl` without `/` at the end.
///
/// # Errors
/// Of kind `Settings` where it is no address of the web.
pub fn public_url(settings: &Settings) -> Result<Option<String>> {
    let section = settings.section(&["Web"]);
    let Some(text) = section.text("PublicUrl") else { return Ok(None) };
    let is_web = Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none());
    if !is_web {
        let error = section.error("PublicUrl", "is no address of the web");
        return Err(error.with_hint("write the address by which clients reach the agent: https://agent.example.com"));
    }
    Ok(Some(text.trim_end_matches('/').to_owned()))
}

/// The name of a directory that is to be made: Okta takes no base URL with `_` in it.
///
/// # Errors
/// Of kind `Settings` where it cannot be one.
pub(crate) fn check_new_name(name: &str) -> Result<()> {
    check_name(name)?;
    if !name.contains('_') {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Settings, format!("`{name}` cannot name a new directory: it has a `_`"));
    Err(error.with_hint("Okta takes no base URL with `_`; write `-` or `.` instead"))
}

/// A name is a part of an address.
///
/// # Errors
/// Of kind `Settings` where it cannot be one.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let begins_well = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    if begins_well && name.len() <= MAX_NAME && name.bytes().all(is_fit) {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Settings, format!("`{}` cannot name a directory", name.escape_debug()));
    Err(error.with_hint(format!("use letters, digits, `.` and `-`, a letter or digit first, at most {MAX_NAME}")))
}
