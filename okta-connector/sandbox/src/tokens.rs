//! API tokens: who may call, what each may not, and the rate-limit share each principal has.
//! Okta: a token dies with 30 days of disuse or its administrator; its list entry never shows the secret.

use serde_json::{Value, json};

use crate::clock::seconds;
use crate::log::short_time;

#[derive(Debug)]
pub(crate) struct Tokens {
    pub all: Vec<Token>,
    org_id: String,
}

#[derive(Debug)]
pub(crate) struct Token {
    pub id: String,
    pub name: String,
    /// Id of the user the token acts as.
    pub user: String,
    /// A keyed hash.
    pub secret: u64,
    pub created: i64,
    pub expires: Option<i64>,
    /// Path prefixes and bucket names this token gets 403 for.
    pub denied: Vec<String>,
    /// The principal's entry among the rate limits: id, percentages, last change.
    pub limit_id: String,
    pub percentages: (u64, u64),
    pub limit_updated: i64,
}

impl Tokens {
    pub(crate) fn new(org_id: &str) -> Self {
        Self { all: Vec::new(), org_id: org_id.to_owned() }
    }

    pub(crate) fn by_secret(&self, secret: u64, now: i64) -> Option<&Token> {
        self.all.iter().find(|token| token.secret == secret && token.expires.is_none_or(|at| now < at))
    }

    pub(crate) fn value(&self, token: &Token, base: &str) -> Value {
        let (me, user) =
            (format!("{base}/api/v1/api-tokens/{}", token.id), format!("{base}/api/v1/users/{}", token.user));
        let created = seconds(token.created);
        json!({
            "id": token.id,
            "name": token.name,
            "userId": token.user,
            "clientName": "Okta API",
            "tokenWindow": "P30D",
            "network": {"connection": "ANYWHERE"},
            "expiresAt": seconds(token.expires.unwrap_or(token.created + 30 * 86_400_000)),
            "created": created,
            "lastUpdated": created,
            "_links": {
                "self": {"href": me, "hints": {"allow": ["GET", "DELETE"]}},
                "user": {"href": user, "hints": {"allow": ["GET"]}},
            },
        })
    }

    pub(crate) fn limit_value(&self, token: &Token) -> Value {
        json!({
            "id": token.limit_id,
            "orgId": self.org_id,
            "principalId": token.id,
            "principalType": "SSWS_TOKEN",
            "defaultPercentage": token.percentages.0,
            "defaultConcurrencyPercentage": token.percentages.1,
            "lastUpdate": short_time(token.limit_updated),
            "lastUpdatedBy": token.user,
            "createdDate": short_time(token.created),
            "createdBy": token.user,
        })
    }
}

impl Token {
    pub(crate) fn is_denied(&self, path: &str, bucket: &str) -> bool {
        self.denied.iter().any(|denied| bucket == denied || path.starts_with(denied.as_str()))
    }
}
