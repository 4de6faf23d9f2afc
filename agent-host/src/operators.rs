//! Operators of the dashboard: how they prove who they are, how long that holds, and how those who guess are slowed down.
//!
//! Passwords are hashed by Argon2id, a few at a time and off the threads that serve. An unknown name costs the same work
//! and gets the same answer as a wrong password, and both count before they are checked. A session is 256 bits of chance,
//! of which the store has the SHA-256 alone; it ends when it was idle too long, is too old, or its operator is gone.

mod openid;
mod password;

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use connector_api::{Error, ErrorKind, Result};
use secrecy::SecretString;
use tokio::sync::Semaphore;

use crate::{
    access::{Caller, Role, Scope},
    password_reset::random_text,
    settings::Settings,
    store::{AuditRecord, Lock, OperatorRecord, SessionRecord, Store},
};
pub(crate) use openid::state;
pub use openid::{OpenId, Person, SignInFailed};
pub use password::{MIN_PASSWORD, PasswordHash};

/// Minutes that a session may be idle and may last at all, when nothing is said.
const IDLE_MINUTES: i64 = 30;
const SESSION_MINUTES: i64 = 8 * 60;
const MINUTE_MS: i64 = 60_000;
/// Wrong passwords in a row for one name, and from one address, after which there is a wait …
const NAME_ATTEMPTS: i64 = 5;
const ADDRESS_ATTEMPTS: i64 = 20;
/// … of this length first, twice as long each further time, …
const FIRST_WAIT_MS: i64 = 30_000;
/// … and no longer than this.
const LONGEST_WAIT_MS: i64 = 15 * MINUTE_MS;
/// Attempts are remembered for so long.
const ATTEMPTS_KEPT_MS: i64 = 24 * 60 * MINUTE_MS;
/// Passwords that are checked at once: each takes 19 MiB and a core.
const HASHES_AT_ONCE: usize = 2;
/// How long somebody may wait for their turn.
const LONGEST_TURN: Duration = Duration::from_secs(10);
/// The longest name.
const MAX_NAME: usize = 64;

/// The time, in milliseconds since 1970.
type Now = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Who may use the dashboard of one agent.
pub struct Operators {
    store: Store,
    now: Now,
    idle_ms: i64,
    session_ms: i64,
    turns: Semaphore,
    openid: Option<OpenId>,
}

/// What came of a sign-in.
#[derive(Debug)]
pub enum SignIn {
    /// It is one of us: what their browser is to hold.
    Welcome(SecretString),
    /// The name or the password is wrong.
    Wrong,
    /// There were too many wrong ones: for so many seconds nobody may try.
    Locked(i64),
    /// So many try at once that this one had no turn.
    Busy,
}

/// Somebody who is signed in.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who they are, and what they may do.
    pub caller: Caller,
    /// Their name, as it is shown to them.
    pub name: String,
    /// The hash of what their browser holds.
    pub hash: String,
}

impl Operators {
    /// Reads the settings; asks nobody.
    ///
    /// # Errors
    /// Of kind `Settings`.
    pub fn open(settings: &Settings, store: Store, now: Now) -> Result<Self> {
        let web = settings.section(&["Web"]);
        let idle = web.number("SessionIdleMinutes", IDLE_MINUTES, 1..=24 * 60)?;
        let session = web.number("SessionMinutes", SESSION_MINUTES, 1..=7 * 24 * 60)?;
        Ok(Self {
            store,
            now,
            idle_ms: idle * MINUTE_MS,
            session_ms: session * MINUTE_MS,
            turns: Semaphore::new(HASHES_AT_ONCE),
            openid: OpenId::open(settings)?,
        })
    }

    /// The provider that people may sign in with, where the settings name one.
    pub fn openid(&self) -> Option<&OpenId> {
        self.openid.as_ref()
    }

    /// How long a session lasts at most, in seconds.
    pub fn session_seconds(&self) -> i64 {
        self.session_ms / 1000
    }

    /// The time, in milliseconds since 1970.
    pub fn now(&self) -> i64 {
        (self.now)()
    }

    /// Whether nobody can sign in yet.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn are_none(&self) -> anyhow::Result<bool> {
        Ok(self.openid.is_none() && self.store.operators().await?.is_empty())
    }

    /// Signs in by name and password.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn sign_in(&self, name: &str, password: &SecretString, peer: IpAddr) -> anyhow::Result<SignIn> {
        let now_ms = self.now();
        let peer = crate::access::network_of(peer);
        let shown: String = name.trim().chars().filter(|letter| !letter.is_control()).take(MAX_NAME).collect();
        let subjects = [format!("address {peer}"), format!("name {}", shown.to_lowercase())];
        for (subject, free) in subjects.iter().zip([ADDRESS_ATTEMPTS, NAME_ATTEMPTS]) {
            let forget_ms = now_ms - ATTEMPTS_KEPT_MS;
            let counted = self.store.count_attempt(subject, now_ms, forget_ms, |failed| wait_ms(failed, free)).await?;
            if let Err(Lock { until_ms, is_told }) = counted {
                // Once while it lasts: whoever goes on trying does not fill the audit.
                if !is_told {
                    self.note(&shown, peer, "locked").await?;
                }
                return Ok(SignIn::Locked((until_ms - now_ms + 999) / 1000));
            }
        }
        let Ok(Ok(_turn)) = tokio::time::timeout(LONGEST_TURN, self.turns.acquire()).await else {
            return Ok(SignIn::Busy);
        };
        let operator = self.store.operator(&shown).await?;
        let hash = operator.as_ref().map_or_else(|| nobodys_hash().clone(), |it| PasswordHash::stored(&it.password));
        let is_right = hash.matches(password.clone()).await;
        let (true, Some(operator)) = (is_right, operator) else {
            self.note(&shown, peer, "refused").await?;
            return Ok(SignIn::Wrong);
        };
        self.store.forgive_attempts(&subjects[1], &subjects[0]).await?;
        self.note(&operator.name, peer, "done").await?;
        self.begin(Some(operator.name.clone()), operator.name, &operator.role).await.map(SignIn::Welcome)
    }

    /// Begins a session of somebody whom the provider knows.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn welcome(&self, name: &str, role: Role, peer: IpAddr) -> anyhow::Result<SecretString> {
        let name: String = name.chars().filter(|letter| !letter.is_control()).take(2 * MAX_NAME).collect();
        self.note(&name, peer, "done").await?;
        self.begin(None, name, role.name()).await
    }

    /// Notes that the provider's word was not enough.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn refuse(&self, name: &str, peer: IpAddr) -> anyhow::Result<()> {
        let name: String = name.chars().filter(|letter| !letter.is_control()).take(2 * MAX_NAME).collect();
        self.note(&name, peer, "refused").await
    }

    /// Whose session this is; none where it has ended.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn session(&self, held: &str) -> anyhow::Result<Option<Session>> {
        let hash = password::sha256(held);
        let Some(record) = self.store.session(&hash).await? else { return Ok(None) };
        let now_ms = self.now();
        let is_over = now_ms - record.used_ms > self.idle_ms || now_ms - record.created_ms > self.session_ms;
        let (false, Ok(role)) = (is_over, record.role.parse::<Role>()) else {
            self.store.end_session(&hash).await?;
            return Ok(None);
        };
        if now_ms - record.used_ms >= MINUTE_MS {
            self.store.note_session(&hash, now_ms).await?;
        }
        // Who signs in elsewhere may be called as an operator is.
        let kind = if record.operator.is_some() { "operator" } else { "openid" };
        let scope = scope(record.connections.as_deref());
        let caller = Caller { name: format!("{kind} {}", record.name), role, scope };
        Ok(Some(Session { caller, name: record.name, hash }))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn sign_out(&self, session: &Session, peer: IpAddr) -> anyhow::Result<()> {
        self.store.end_session(&session.hash).await?;
        self.audit("operator_sign_out", &session.name, peer, "done").await
    }

    async fn begin(&self, operator: Option<String>, name: String, role: &str) -> anyhow::Result<SecretString> {
        let held = random_text(32)?;
        let now_ms = self.now();
        let hash = password::sha256(&held);
        let role = role.to_owned();
        let record =
            SessionRecord { hash, operator, name, role, connections: None, created_ms: now_ms, used_ms: now_ms };
        self.store.add_session(&record, now_ms - self.session_ms).await?;
        Ok(held.into())
    }

    async fn note(&self, name: &str, peer: IpAddr, outcome: &str) -> anyhow::Result<()> {
        self.audit("operator_sign_in", name, peer, outcome).await
    }

    async fn audit(&self, action: &str, name: &str, peer: IpAddr, outcome: &str) -> anyhow::Result<()> {
        if outcome != "done" {
            tracing::warn!(operator = name, peer = %peer, outcome, "sign-in to the dashboard");
        }
        let line = AuditRecord::of(random_text(16)?, self.now(), &peer.to_string(), action, outcome);
        let (login, mode) = (name.to_owned(), "dashboard".to_owned());
        self.store.add_to_audit(&AuditRecord { login, mode, ..line }).await
    }
}

/// Makes an operator. `actor` is who asked for it.
///
/// # Errors
/// Of kind `Settings` where the name cannot be one or is taken, or the password is too short; or the store fails.
pub async fn create(
    store: &Store,
    name: &str,
    role: Role,
    connections: &[String],
    password: &SecretString,
    actor: &str,
    now_ms: i64,
) -> anyhow::Result<()> {
    check_name(name)?;
    let record = OperatorRecord {
        name: name.to_owned(),
        role: role.name().to_owned(),
        connections: (!connections.is_empty()).then(|| serde_json::to_string(connections)).transpose()?,
        password: PasswordHash::new(password).await?.into_text(),
        created_ms: now_ms,
        signed_in_ms: None,
    };
    if store.add_operator(&record).await? {
        return audit(store, "create_operator", actor, name, role.name(), now_ms).await;
    }
    let error = Error::new(ErrorKind::Settings, format!("there is an operator `{name}` already"));
    Err(error.with_hint("choose another name, or set a new password by `agent-host operator password`").into())
}

/// Gives an operator another password; their sessions end. `actor` is who asked for it.
///
/// # Errors
/// Of kind `Settings` where there is none of this name, or the password is too short; or the store fails.
pub async fn set_password(
    store: &Store,
    name: &str,
    password: &SecretString,
    actor: &str,
    now_ms: i64,
) -> anyhow::Result<()> {
    let hash = PasswordHash::new(password).await?.into_text();
    if !store.set_operator_password(name, &hash).await? {
        return Err(unknown(name).into());
    }
    audit(store, "set_operator_password", actor, name, "", now_ms).await
}

/// Removes an operator, whose sessions end. `actor` is who asked for it.
///
/// # Errors
/// Of kind `Settings` where there is none of this name; or the store fails.
pub async fn remove(store: &Store, name: &str, actor: &str, now_ms: i64) -> anyhow::Result<()> {
    if !store.remove_operator(name).await? {
        return Err(unknown(name).into());
    }
    audit(store, "remove_operator", actor, name, "", now_ms).await
}

/// The connections that an operator's role holds for, as the store has them.
pub fn scope(connections: Option<&str>) -> Scope {
    match connections {
        None => Scope::All,
        // What cannot be read opens nothing.
        Some(text) => Scope::Connections(serde_json::from_str(text).unwrap_or_default()),
    }
}

/// A line of the audit about an operator.
async fn audit(
    store: &Store,
    action: &str,
    actor: &str,
    operator: &str,
    mode: &str,
    now_ms: i64,
) -> anyhow::Result<()> {
    let line = AuditRecord::of(random_text(16)?, now_ms, actor, action, "done");
    let (account, mode) = (operator.to_owned(), mode.to_owned());
    store.add_to_audit(&AuditRecord { account, mode, ..line }).await
}

fn unknown(name: &str) -> Error {
    let error = Error::new(ErrorKind::Settings, format!("there is no operator `{}`", name.escape_debug()));
    error.with_hint("see `agent-host operator list`")
}

fn check_name(name: &str) -> Result<()> {
    let is_fit = |letter: char| letter.is_alphanumeric() || ".-_@+".contains(letter);
    if !name.is_empty() && name.chars().count() <= MAX_NAME && name.chars().all(is_fit) {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Settings, format!("`{}` cannot name an operator", name.escape_debug()));
    Err(error.with_hint(format!("use letters, digits, `.`, `-`, `_`, `@` and `+`, at most {MAX_NAME}")))
}

/// How long so many wrong passwords in a row lock, where so many are free.
fn wait_ms(failed: i64, free: i64) -> i64 {
    if failed < free {
        return 0;
    }
    let doublings = u32::try_from(failed - free).unwrap_or(u32::MAX).min(16);
    (FIRST_WAIT_MS << doublings).min(LONGEST_WAIT_MS)
}

/// A hash that no password has, for names that nobody has: as much work as any other.
fn nobodys_hash() -> &'static PasswordHash {
    static HASH: OnceLock<PasswordHash> = OnceLock::new();
    HASH.get_or_init(PasswordHash::of_nobody)
}

#[cfg(test)]
mod tests;
