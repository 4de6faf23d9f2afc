//! Settings of a connection that are typed in the dashboard: tried out before they are kept, secrets never told again.

use connector_api::ConnectionSettings;
use secrecy::SecretString;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Refusal, Result, connection, note};
use crate::{
    access::{Caller, Role},
    settings,
    web::Web,
};

/// The longest key, and the longest value in bytes.
const MAX_KEY: usize = 64;

/// What was typed for a connection.
#[derive(Debug, Serialize, ToSchema)]
pub struct TypedSettings {
    /// The keys.
    pub keys: Vec<String>,
    /// Whether secrets that are typed are kept protected; else in the clear, for the eyes of the agent's account alone.
    pub is_protected: bool,
}

/// The keys that were typed for a connection; none where the file cannot be read, which the agent says when it starts.
pub fn typed(web: &Web, name: &str) -> TypedSettings {
    let settings = &web.agent.settings;
    let keys = settings.connection(name).and_then(|it| settings::typed::keys(&settings.work_folder, it.id()));
    let is_protected = settings::typed::protects(&settings.directory, settings::environment());
    TypedSettings { keys: keys.unwrap_or_default(), is_protected }
}

/// Keeps settings of a connection; those without a value are taken back. Whether secrets are protected.
///
/// # Errors
/// Where the caller may not, a setting cannot be obeyed, or the file cannot be written.
pub async fn change(
    web: &Web,
    caller: &Caller,
    name: &str,
    changes: Vec<(String, Option<SecretString>)>,
) -> Result<bool> {
    let present = connection(web, caller, Role::Administrator, name)?;
    if changes.is_empty() {
        return Err(Refusal::unfit("nothing was typed", "type a value, or tick what is to be taken back"));
    }
    let id = present.id();
    let known = present.keys().filter_map(|key| Some((key, present.secret(key)?.clone())));
    let mut tried = known.fold(ConnectionSettings::new(id.clone()), |tried, (key, value)| tried.with(key, value));
    for (key, value) in &changes {
        let is_fit = !key.is_empty() && key.len() <= MAX_KEY && key.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_fit {
            let message = format!("`{}` is no key of a setting", super::shown(key));
            return Err(Refusal::unfit(message, "a key has letters and digits alone, such as RateLimitShare"));
        }
        let place = web.agent.settings.locate(id, key).unwrap_or_default();
        if let Some(variable) = place.strip_prefix("environment variable ") {
            let message = format!("the environment variable {variable} sets `{key}` and would win over what is typed");
            return Err(Refusal::unfit(message, "change the variable"));
        }
        if let Some(value) = value {
            tried = tried.with(key.as_str(), value.clone());
        }
    }
    secrets_stay(web, present, &changes)?;
    web.agent.try_settings(&tried)?;
    let agent = web.agent.clone();
    let (keys, id) = (changes.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>().join(", "), id.clone());
    let written = tokio::task::spawn_blocking(move || {
        let settings = &agent.settings;
        settings::typed::write(&settings.directory, settings::environment(), &settings.work_folder, &id, &changes)
    });
    let is_protected = written.await.map_err(anyhow::Error::from)??;
    note(web, caller, "change_settings", name, &keys, "done").await?;
    Ok(is_protected)
}

/// A secret goes only where whoever wrote it meant it to go: with another address it must be typed again.
fn secrets_stay(web: &Web, present: &ConnectionSettings, changes: &[(String, Option<SecretString>)]) -> Result<()> {
    let is_typed = |key: &str| changes.iter().any(|(typed, value)| typed.eq_ignore_ascii_case(key) && value.is_some());
    if !is_typed("Server") {
        return Ok(());
    }
    let settings = &web.agent.settings;
    let is_secret = |key: &&str| settings.is_secret(&format!("Connections:{}:{key}", present.id()));
    match present.keys().filter(is_secret).find(|key| !is_typed(key)) {
        Some(key) => {
            let message = format!("with another `Server`, `{key}` would be sent to where it was not meant to go");
            Err(Refusal::unfit(message, format!("type `{key}` again beside the new address")))
        }
        None => Ok(()),
    }
}
