//! The schemas that orders are checked against, read once an open connector, and once more when an attribute is unknown.
//!
//! Costs a request for the types of users and one for each type that orders speak of, and one for groups.
//! Source: Okta's "Schemas" and "User types" APIs.

use std::{collections::BTreeMap, sync::Arc};

use connector_api::{ErrorKind, Result};
use serde_json::Value;
use tokio::sync::Mutex;

use super::{
    attributes::Attributes,
    values::{at, refused, text_at},
};
use crate::{
    client::{Client, Request},
    cursor::path_and_query,
    governor::Lane,
    tables::bucket,
};

/// Where the groups' attributes are found.
const GROUP_SCHEMA: &str = "/api/v1/meta/schemas/group/default";
const USER_TYPES: &str = "/api/v1/meta/types/user";

/// What is known of the organisation's schemas.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    /// The path of the schema of each type of users; the default type's also under the empty name.
    types: Mutex<Option<BTreeMap<String, String>>>,
    by_path: Mutex<BTreeMap<String, Read>>,
}

#[derive(Debug)]
struct Read {
    attributes: Arc<Attributes>,
    is_refreshed: bool,
}

impl Schemas {
    /// The attributes of users of a type; none is the default type. `columns` are those an order speaks of.
    ///
    /// # Errors
    /// Kind `Rejected` for a type that the organisation does not have.
    pub(super) async fn of_users(
        &self,
        client: &Client,
        user_type: Option<&str>,
        columns: &BTreeMap<String, Value>,
    ) -> Result<Arc<Attributes>> {
        let path = self.path_of_type(client, user_type.unwrap_or_default()).await?;
        match path {
            Some(path) => self.read(client, &path, columns).await,
            None => Ok(Arc::default()),
        }
    }

    /// The attributes of groups.
    pub(super) async fn of_groups(
        &self,
        client: &Client,
        columns: &BTreeMap<String, Value>,
    ) -> Result<Arc<Attributes>> {
        self.read(client, GROUP_SCHEMA, columns).await
    }

    async fn path_of_type(&self, client: &Client, user_type: &str) -> Result<Option<String>> {
        let mut types = self.types.lock().await;
        let known = match &mut *types {
            Some(known) => known,
            unknown => unknown.insert(match get(client, USER_TYPES, "listing the user types").await? {
                Some(list) => paths(&list),
                None => BTreeMap::new(),
            }),
        };
        match known.get(user_type) {
            Some(path) => Ok(Some(path.clone())),
            None if known.is_empty() => Ok(None),
            None => {
                let all: Vec<&str> = known.keys().map(String::as_str).filter(|id| !id.is_empty()).collect();
                let message = format!("there is no user type `{user_type}`");
                Err(refused(message, format!("`type.id` is one of {}", all.join(", "))))
            }
        }
    }

    async fn read(&self, client: &Client, path: &str, columns: &BTreeMap<String, Value>) -> Result<Arc<Attributes>> {
        // Held while reading, so that orders which start together read the schema once.
        let mut by_path = self.by_path.lock().await;
        if let Some(read) = by_path.get_mut(path) {
            if read.is_refreshed || read.attributes.unknown(columns.keys()).is_none() {
                return Ok(Arc::clone(&read.attributes));
            }
            tracing::info!(schema = path, "an attribute is unknown: reading the schema once more");
        }
        let is_refreshed = by_path.contains_key(path);
        let schema = get(client, path, "reading the schema").await?;
        let attributes = Arc::new(schema.map(|schema| Attributes::read(&schema)).unwrap_or_default());
        by_path.insert(path.to_owned(), Read { attributes: Arc::clone(&attributes), is_refreshed });
        Ok(attributes)
    }
}

fn paths(list: &Value) -> BTreeMap<String, String> {
    let mut paths = BTreeMap::new();
    for user_type in list.as_array().into_iter().flatten() {
        let path = path_and_query(text_at(user_type, "_links.schema.href")).to_owned();
        if at(user_type, "default") == &Value::Bool(true) {
            paths.insert(String::new(), path.clone());
        }
        paths.insert(text_at(user_type, "id").to_owned(), path);
    }
    paths
}

/// Reads a description; none, with a warning, where the right to read it is missing.
async fn get(client: &Client, target: &str, what: &str) -> Result<Option<Value>> {
    let (bucket, lane) = (bucket::REST, Lane::Fan);
    let (target, what) = (target.to_owned(), what.to_owned());
    let mut request = Request { bucket, lane, target, what, light: false, smallest_limit: 1 };
    match client.get(&mut request, |text| serde_json::from_str(text)).await {
        Ok(answer) => Ok(Some(answer.value)),
        Err(failure) => match failure.into_error(&request.what) {
            error if error.kind() == ErrorKind::Credentials => {
                tracing::warn!(%error, "values cannot be checked without the right to read schemas (okta.schemas.read)");
                Ok(None)
            }
            error => Err(error),
        },
    }
}
