//! Directories: addresses that SCIM clients provision into, who may come in, and what they sent.

mod received;

use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Refusal, Result, everywhere, note, page, shown, shown_once::ShownOnce};
use crate::{
    access::{Caller, Role},
    credential::Minted,
    directories::{self, DirectoryOptions},
    store::{CallCount, CallKind, DirectoryCall, DirectoryEvent, DirectoryRecord, OauthClient, SecretRecord},
    web::Web,
};
pub use received::{DeletedPage, ResourcePage, deleted, resources};

const DAY_MS: i64 = 24 * 3_600_000;

/// All directories.
#[derive(Debug, Serialize, ToSchema)]
pub struct DirectoryList {
    /// By name.
    pub directories: Vec<DirectoryView>,
}

/// A directory.
#[derive(Debug, Serialize, ToSchema)]
pub struct DirectoryView {
    /// Its name.
    pub directory: String,
    /// Where clients find it.
    pub endpoint: String,
    /// Users in it.
    pub users: i64,
    /// Groups in it.
    pub groups: i64,
    /// The number of its last event.
    pub last_event: i64,
    /// When it was made, in milliseconds since 1970.
    pub created_ms: i64,
    /// When it last changed.
    pub changed_ms: Option<i64>,
    /// When a client last came, with a secret or by OAuth, to the minute.
    pub last_used_ms: Option<i64>,
    /// The switches that are in force: what the settings say, and else what it was made with; what is not said is as usual.
    pub features: DirectoryOptions,
    /// What opens it, the newest first.
    pub secrets: Vec<DirectorySecretView>,
    /// The client that gets its tokens by OAuth 2.0, where there is one.
    pub oauth: Option<DirectoryClientView>,
}

/// A client that gets tokens of a directory by OAuth 2.0.
#[derive(Debug, Serialize, ToSchema)]
pub struct DirectoryClientView {
    /// By which it names itself.
    pub client_id: String,
    /// Whom it acts as.
    pub service_user: String,
    /// Whether it keeps no secret.
    pub public: bool,
    /// Where it may be sent back to.
    pub redirects: Vec<String>,
    /// When it last came with an access token, to the minute.
    pub last_used_ms: Option<i64>,
}

/// What opens a directory, as far as it is told.
#[derive(Debug, Serialize, ToSchema)]
pub struct DirectorySecretView {
    /// Its public half.
    pub prefix: String,
    /// `bearer` or `basic`.
    pub kind: &'static str,
    /// When it was made.
    pub created_ms: i64,
    /// When it ends; none where it does not.
    pub ends_ms: Option<i64>,
    /// When it was last used, to the minute.
    pub last_used_ms: Option<i64>,
}

/// A new secret, told this once.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewSecretView {
    /// The directory.
    pub directory: String,
    /// Where clients find it.
    pub endpoint: String,
    /// The bearer token, where it is one.
    pub token: Option<ShownOnce>,
    /// The key of Basic, where it is that.
    pub key: Option<String>,
    /// The secret of Basic.
    pub secret: Option<ShownOnce>,
}

/// Events of a directory in order.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventPage {
    /// The directory.
    pub directory: String,
    /// What changed.
    pub events: Vec<EventView>,
    /// What to ask for next.
    pub after: i64,
    /// The oldest event that is kept, or the next there will be where none is: whoever asks for what came behind an event
    /// before the one before it has missed something, and reads users and groups anew.
    pub oldest: i64,
}

/// A change of a resource.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventView {
    /// Its place in the directory's log, from 1.
    pub number: i64,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Who asked for it: the public half of a secret, or a client of OAuth with what was consented to.
    pub actor: String,
    /// `created`, `adopted` (managed by a client from now on), `updated` or `deleted`.
    pub action: String,
    /// `User` or `Group`.
    pub kind: &'static str,
    /// Its id.
    pub resource: String,
    /// The attributes before, where they changed.
    pub before: Option<Value>,
    /// The attributes now, where they changed.
    pub after: Option<Value>,
    /// Ids of members that came.
    pub added: Vec<String>,
    /// Ids of members that went.
    pub removed: Vec<String>,
}

/// What clients asked a directory lately, and how they were answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallLog {
    /// The directory.
    pub directory: String,
    /// Since when `counts` count, in milliseconds since 1970; the last day, by the full hour.
    pub since_ms: i64,
    /// How many calls were answered how since then.
    pub counts: Vec<CallCountView>,
    /// The last calls, the newest first: two hundred that were refused are kept, and fifty of each other kind.
    pub calls: Vec<CallView>,
}

/// How many calls were answered with a status.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallCountView {
    /// The status of HTTP.
    pub status: u16,
    /// How many.
    pub calls: i64,
}

/// A call of a client.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallView {
    /// When it came, in milliseconds since 1970.
    pub at_ms: i64,
    /// `answered`, `refused`, or `sign-in` where it was refused for its credentials.
    pub kind: &'static str,
    /// The method of HTTP.
    pub method: String,
    /// Below the directory's address; what may be of people or secret is left out, as `…`.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// The `scimType` of a refusal.
    pub scim_type: Option<String>,
    /// What the client was told to fix.
    pub detail: Option<String>,
    /// The public half of the secret or access token that opened the directory.
    pub secret: Option<String>,
    /// The client of OAuth, where it was its access token.
    pub client: Option<String>,
    /// How long the answer took.
    pub took_ms: i64,
}

/// All directories.
///
/// # Errors
/// Where the caller may not.
pub async fn directories(web: &Web, caller: &Caller) -> Result<DirectoryList> {
    everywhere(caller, Role::Viewer)?;
    let mut listed = Vec::new();
    for found in web.store().directories().await? {
        listed.push(view(web, found).await?);
    }
    Ok(DirectoryList { directories: listed })
}

/// One directory.
///
/// # Errors
/// Where there is none, or the caller may not.
pub async fn one(web: &Web, caller: &Caller, name: &str) -> Result<DirectoryView> {
    let found = find(web, caller, Role::Viewer, name).await?;
    view(web, found).await
}

/// Makes a directory and its first secret.
///
/// # Errors
/// Where the caller may not; a name that cannot be one or is taken.
pub async fn create(
    web: &Web,
    caller: &Caller,
    name: &str,
    options: &DirectoryOptions,
    basic: bool,
) -> Result<NewSecretView> {
    everywhere(caller, Role::Administrator)?;
    directories::check_new_name(name)
        .map_err(|error| Refusal::unfit(error.to_string(), error.hint().unwrap_or_default()))?;
    if let Some(known) = web.store().directory(name).await? {
        let message = format!("there is a directory `{}` already", known.name);
        return Err(Refusal::conflict(message, "choose another name, or rotate its secret"));
    }
    let made = directories::create(web.store(), name, options, basic, web.now_ms()).await?;
    note(web, caller, "create_directory", name, &made.prefix, "done").await?;
    Ok(secret(name.to_owned(), endpoint(web, name), made))
}

/// Gives a directory a new secret; the one before stays good for so many days.
///
/// # Errors
/// Where there is none, or the caller may not.
pub async fn rotate(web: &Web, caller: &Caller, name: &str, former_days: u16) -> Result<NewSecretView> {
    let found = find(web, caller, Role::Administrator, name).await?;
    let now_ms = web.now_ms();
    let made = directories::rotate(web.store(), &found.name, now_ms, now_ms + i64::from(former_days) * DAY_MS).await?;
    note(web, caller, "rotate_directory", &found.name, &made.prefix, "done").await?;
    let endpoint = endpoint(web, &found.name);
    Ok(secret(found.name, endpoint, made))
}

/// Removes a directory with everything in it.
///
/// # Errors
/// Where there is none, or the caller may not.
pub async fn remove(web: &Web, caller: &Caller, name: &str) -> Result<()> {
    let found = find(web, caller, Role::Administrator, name).await?;
    web.store().remove_directory(found.id).await?;
    note(web, caller, "remove_directory", &found.name, "", "done").await
}

/// The events behind this number.
///
/// # Errors
/// Where there is no such directory, or the caller may not.
pub async fn events(web: &Web, caller: &Caller, name: &str, after: i64, limit: Option<u32>) -> Result<EventPage> {
    let found = find(web, caller, Role::Viewer, name).await?;
    let most = u32::try_from(page(limit)).unwrap_or(1);
    let events = web.store().directory_events(found.id, after, most).await?;
    let after = events.last().map_or(after, |event| event.number);
    let oldest = match web.store().oldest_directory_event(found.id).await? {
        Some(oldest) => oldest,
        None => web.store().directory_counts(found.id).await?.last_event + 1,
    };
    Ok(EventPage { directory: found.name, events: events.into_iter().map(Into::into).collect(), after, oldest })
}

/// The last calls, of one kind or of all.
///
/// # Errors
/// Where there is no such directory, or the caller may not.
pub async fn calls(
    web: &Web,
    caller: &Caller,
    name: &str,
    kind: Option<CallKind>,
    limit: Option<u32>,
) -> Result<CallLog> {
    let found = find(web, caller, Role::Viewer, name).await?;
    let since_ms = web.now_ms() - DAY_MS;
    let counts = web.store().call_counts(found.id, since_ms).await?;
    let calls = web.store().calls(found.id, kind, page(limit)).await?;
    Ok(CallLog {
        directory: found.name,
        since_ms,
        counts: counts.into_iter().map(|CallCount { status, calls }| CallCountView { status, calls }).collect(),
        calls: calls.into_iter().map(Into::into).collect(),
    })
}

async fn find(web: &Web, caller: &Caller, role: Role, name: &str) -> Result<DirectoryRecord> {
    everywhere(caller, role)?;
    let found = web.store().directory(name).await?;
    found.ok_or_else(|| {
        Refusal::not_found(format!("no directory `{}`", shown(name)), "list those there are, or make it")
    })
}

async fn view(web: &Web, found: DirectoryRecord) -> Result<DirectoryView> {
    let counts = web.store().directory_counts(found.id).await?;
    let secrets = web.store().secrets(found.id).await?;
    let oauth = web.store().oauth_client(found.id).await?;
    let used = secrets.iter().map(|secret| secret.last_used_ms).chain(oauth.iter().map(|client| client.last_used_ms));
    Ok(DirectoryView {
        features: web.directories.options_of(&found)?,
        last_used_ms: used.flatten().max(),
        endpoint: endpoint(web, &found.name),
        directory: found.name,
        users: counts.users,
        groups: counts.groups,
        last_event: counts.last_event,
        created_ms: found.created_ms,
        changed_ms: found.changed_ms,
        secrets: secrets.into_iter().map(Into::into).collect(),
        oauth: oauth.map(Into::into),
    })
}

fn secret(directory: String, endpoint: String, made: Minted) -> NewSecretView {
    let hidden = |secret: SecretString| Some(ShownOnce(secret));
    match made.basic {
        false => NewSecretView { directory, endpoint, token: hidden(made.token()), key: None, secret: None },
        true => NewSecretView { directory, endpoint, token: None, key: Some(made.prefix), secret: hidden(made.secret) },
    }
}

/// Where clients find the directory.
fn endpoint(web: &Web, name: &str) -> String {
    format!("{}/scim/v2/{name}", web.own_url())
}

impl From<SecretRecord> for DirectorySecretView {
    fn from(secret: SecretRecord) -> Self {
        Self {
            prefix: secret.prefix,
            kind: if secret.basic { "basic" } else { "bearer" },
            created_ms: secret.created_ms,
            ends_ms: secret.ends_ms,
            last_used_ms: secret.last_used_ms,
        }
    }
}

impl From<OauthClient> for DirectoryClientView {
    fn from(client: OauthClient) -> Self {
        Self {
            client_id: client.client_id,
            service_user: client.service_user,
            public: client.secret_hash.is_none(),
            redirects: client.redirects,
            last_used_ms: client.last_used_ms,
        }
    }
}

impl From<DirectoryEvent> for EventView {
    fn from(event: DirectoryEvent) -> Self {
        let DirectoryEvent { number, at_ms, actor, action, kind, resource, before, after, added, removed } = event;
        Self { number, at_ms, actor, action, kind, resource, before, after, added, removed }
    }
}

impl From<DirectoryCall> for CallView {
    fn from(call: DirectoryCall) -> Self {
        Self {
            at_ms: call.at_ms,
            kind: call.kind.name(),
            method: call.method,
            path: call.path,
            status: call.status,
            scim_type: call.scim_type,
            detail: call.detail,
            secret: call.secret,
            client: call.client,
            took_ms: call.took_ms,
        }
    }
}
