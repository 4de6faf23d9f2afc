//! What may go wrong soon, where the credentials may read it: an API token about to end, a small share of the limits.
//!
//! Says nothing where the right to know is missing: it is not needed for anything else.
//! Sources: Okta's "API token management" (30 days without use end a token) and "Principal rate limits".

use chrono::DateTime;
use connector_api::Problem;
use serde::{Deserialize, de::DeserializeOwned};

use super::request;
use crate::{client::Client, tables::bucket};

/// A token that ends sooner is worth a warning.
const WARN_SECONDS: i64 = 7 * 86_400;
/// What a new token or app gets of each limit; less was somebody's choice.
const USUAL_SHARE: u32 = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiToken {
    id: String,
    #[serde(default)]
    name: String,
    user_id: Option<String>,
    expires_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PrincipalLimits {
    principal_id: String,
    default_percentage: Option<u32>,
}

#[derive(Deserialize)]
struct User {
    id: String,
}

/// Warnings about what the organisation tells of these credentials.
pub(super) async fn warnings(client: &Client) -> Vec<Problem> {
    let app = client.settings().auth.app();
    let (kind, principals) = match app {
        Some(app) => ("OAUTH_CLIENT", vec![(app.client_id().to_owned(), format!("the app `{}`", app.client_id()))]),
        None => {
            let tokens = own_tokens(client).await.unwrap_or_default();
            let mut warnings: Vec<Problem> = tokens.iter().filter_map(|token| ends_soon(client, token)).collect();
            let named = |token: ApiToken| (token.id, format!("the API token `{}`", token.name));
            let principals = tokens.into_iter().map(named).collect();
            warnings.extend(small_shares(client, "SSWS_TOKEN", principals).await);
            return warnings;
        }
    };
    small_shares(client, kind, principals).await
}

/// The API tokens of the administrator whose token this is; Okta does not say which of them it is.
async fn own_tokens(client: &Client) -> Option<Vec<ApiToken>> {
    let mut tokens: Vec<ApiToken> = get(client, bucket::REST, "/api/v1/api-tokens", "listing the API tokens").await?;
    if tokens.iter().any(|token| token.user_id != tokens[0].user_id) {
        let me: User = get(client, bucket::ME, "/api/v1/users/me", "asking whose token this is").await?;
        tokens.retain(|token| token.user_id.as_deref() == Some(&me.id));
    }
    Some(tokens)
}

fn ends_soon(client: &Client, token: &ApiToken) -> Option<Problem> {
    let text = token.expires_at.as_deref()?;
    let left = DateTime::parse_from_rfc3339(text).ok()?.timestamp() - client.server_now();
    (left < WARN_SECONDS).then(|| Problem {
        message: client.settings().auth.redact(&format!(
            "the API token `{}` ends on {} unless it is used",
            token.name,
            text.get(..10).unwrap_or(text)
        )),
        hint: "use it at least every 30 days, or create another and set it as `ApiKey`".to_owned(),
    })
}

/// Warnings about those of our principals (id, name) whose share was lowered.
async fn small_shares(client: &Client, kind: &str, principals: Vec<(String, String)>) -> Vec<Problem> {
    if principals.is_empty() {
        return Vec::new();
    }
    let filter: String =
        url::form_urlencoded::byte_serialize(format!("principalType eq \"{kind}\"").as_bytes()).collect();
    let target = format!("/api/v1/principal-rate-limits?filter={filter}");
    let limits: Option<Vec<PrincipalLimits>> =
        get(client, bucket::PRINCIPAL_LIMITS, &target, "asking for the share of the limits").await;
    let mut warnings = Vec::new();
    for limits in limits.unwrap_or_default() {
        let Some((_, name)) = principals.iter().find(|(id, _)| *id == limits.principal_id) else { continue };
        let Some(share) = limits.default_percentage.filter(|share| *share < USUAL_SHARE) else { continue };
        warnings.push(Problem {
            message: client.settings().auth.redact(&format!("{name} may use {share} % of each rate limit alone")),
            hint: "raise its share in Okta's admin console: the token's or the app's page, Application rate limits"
                .to_owned(),
        });
    }
    warnings
}

/// What the organisation tells, if it does.
async fn get<T: DeserializeOwned>(client: &Client, bucket: &'static str, target: &str, what: &str) -> Option<T> {
    let mut request = request(bucket, target, what);
    match client.get(&mut request, |body| serde_json::from_str(body)).await {
        Ok(answer) => Some(answer.value),
        Err(failure) => {
            tracing::debug!(reason = %failure.into_error(what), "this stays unknown");
            None
        }
    }
}
