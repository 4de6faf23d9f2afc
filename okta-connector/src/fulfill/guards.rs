//! What no order and no password reset may touch: the accounts and groups that a setting protects, and the account we sign in as.
//!
//! Each is read once an open connector, by the first order or reset that it could concern.

use std::collections::HashSet;

use connector_api::{Error, Result};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::{
    found::{Noun, get},
    values::{refused, text_at},
};
use crate::{
    client::{Client, Request},
    error::{Failure, Refusal},
    governor::Lane,
    lists::encoded,
    paging::List,
    tables::bucket,
};

/// Protected records of one kind; a filter that matches more protects by mistake.
const MAX_PROTECTED: usize = 100_000;

/// What is known of them.
#[derive(Debug, Default)]
pub(crate) struct Guards {
    users: OnceCell<HashSet<String>>,
    groups: OnceCell<HashSet<String>>,
    own_account: OnceCell<Option<String>>,
}

#[derive(Deserialize)]
struct WithId {
    id: String,
}

impl Guards {
    /// Refuses what would touch a protected account or group.
    ///
    /// # Errors
    /// Kind `Rejected`, naming the setting; kind `Settings` where the filter is unusable.
    pub(super) async fn check(&self, client: &Client, noun: Noun, id: &str) -> Result<()> {
        let settings = client.settings();
        let (cell, key, filter) = match noun {
            Noun::User => (&self.users, "ProtectedUserFilter", &settings.protected_user_filter),
            Noun::Group => (&self.groups, "ProtectedGroupFilter", &settings.protected_group_filter),
            Noun::App => return Ok(()),
        };
        let Some(filter) = filter else { return Ok(()) };
        let protected = cell.get_or_try_init(|| list(client, noun, key, filter)).await?;
        if !protected.contains(id) {
            return Ok(());
        }
        Err(refused(
            format!("the {} `{id}` is protected by the setting `{key}`", noun.in_words()),
            "nothing was changed; change it in Okta by hand, or narrow the setting",
        ))
    }

    /// Refuses what would lock us out.
    ///
    /// # Errors
    /// Kind `Rejected` where the account is the one that the API token belongs to.
    pub(super) async fn check_own(&self, client: &Client, id: &str) -> Result<()> {
        let own = self.own_account.get_or_try_init(|| own_account(client)).await?;
        if own.as_deref() != Some(id) {
            return Ok(());
        }
        Err(refused(
            format!("the account `{id}` is the one this connection signs in as: nothing changes it from here"),
            "change it in Okta's admin console, or give the connection another administrator's token first",
        ))
    }
}

/// The account behind the API token; none for an OAuth app, which is no user.
async fn own_account(client: &Client) -> Result<Option<String>> {
    if client.settings().auth.app().is_some() {
        return Ok(None);
    }
    let me = get(client, bucket::ME, "/api/v1/users/me".to_owned(), Noun::User, "me").await?;
    Ok(me.map(|me| text_at(&me, "id").to_owned()))
}

/// The ids of all records that the filter finds.
async fn list(client: &Client, noun: Noun, key: &str, filter: &str) -> Result<HashSet<String>> {
    let fields = if noun == Noun::User { "&fields=id" } else { "" };
    let target = format!("{}?limit=200&search={}{fields}", noun.path(), encoded(filter));
    let what = format!("listing the {}s that `{key}` protects", noun.in_words());
    let (bucket, lane) = (noun.bucket(), Lane::Fan);
    let mut list = List::new(Request { bucket, lane, target, what: what.clone(), light: false, smallest_limit: 25 });
    let mut ids = HashSet::new();
    while !list.is_done() {
        let page = list.next_page(client, |text| serde_json::from_str::<Vec<WithId>>(text)).await;
        let page = page.map_err(|failure| match &failure {
            Failure::Refused(refusal @ Refusal { status: 400, .. }) => {
                Error::setting(key, format!("Okta refuses the expression in `{key}`: {refusal}"))
                    .with_hint("see Okta's documentation on search expressions")
            }
            _ => failure.into_error(&what),
        })?;
        ids.extend(page.into_iter().map(|object| object.id));
        if ids.len() > MAX_PROTECTED {
            let message = format!("`{key}` protects more than {MAX_PROTECTED} {}s", noun.in_words());
            return Err(Error::setting(key, message).with_hint("narrow the expression"));
        }
    }
    tracing::info!(setting = key, protected = ids.len(), "these are never touched");
    Ok(ids)
}

/// Whether the app is one of Okta's own, without which nobody can sign in or administer.
pub(super) fn is_oktas_own(app: &Value) -> bool {
    matches!(text_at(app, "name"), "saasure" | "okta_enduser" | "okta_browser_plugin" | "flow")
}
