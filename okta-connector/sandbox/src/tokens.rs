//! API tokens: who may call, what each may not, and the rate-limit share each principal has.
//! Okta: a token dies with 30 days of disuse or its administrator; its list entry never shows the secret.

use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};

use crate::clock::seconds;
use crate::log::short_time;
use crate::oauth::client::Client;

/// 30 days.
pub(crate) const IDLE: i64 = 30 * 86_400_000;

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
    /// When it was last used: it ends with 30 idle days.
    pub last_used: AtomicI64,
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
        self.all.iter().find(|token| token.secret == secret && now < token.expires())
    }

    pub(crate) fn value(&self, token: &Token, base: &str) -> Value {
        let (me, user) =
            (format!("{base}/api/v1/api-tokens/{}", token.id), format!("{base}/api/v1/users/{}", token.user));
        json!({
            "id": token.id,
            "name": token.name,
            "userId": token.user,
            "clientName": "Okta API",
            "tokenWindow": "P30D",
            "network": {"connection": "ANYWHERE"},
            "expiresAt": seconds(token.expires()),
            "created": seconds(token.created),
            "lastUpdated": seconds(token.expires() - IDLE),
            "_links": {
                "self": {"href": me, "hints": {"allow": ["GET", "DELETE"]}},
                "user": {"href": user, "hints": {"allow": ["GET"]}},
            },
        })
    }

    pub(crate) fn limit_of_token(&self, token: &Token) -> Value {
        let (id, user) = (token.limit_id.as_str(), token.user.as_str());
        self.limit(id, "SSWS_TOKEN", &token.id, user, token.percentages, (token.created, token.limit_updated))
    }

    pub(crate) fn limit_of_client(&self, client: &Client) -> Value {
        let id = client.app.client_id.as_str();
        let dates = (client.created, client.limit_updated);
        self.limit(&client.limit_id, "OAUTH_CLIENT", id, id, client.percentages, dates)
    }

    fn limit(&self, id: &str, kind: &str, of: &str, by: &str, percent: (u64, u64), dates: (i64, i64)) -> Value {
        json!({
            "id": id,
            "orgId": self.org_id,
            "principalId": of,
            "principalType": kind,
            "defaultPercentage": percent.0,
            "defaultConcurrencyPercentage": percent.1,
            "lastUpdate": short_time(dates.1),
            "lastUpdatedBy": by,
            "createdDate": short_time(dates.0),
            "createdBy": by,
        })
    }
}

impl Token {
    pub(crate) fn expires(&self) -> i64 {
        self.last_used.load(Ordering::Relaxed) + IDLE
    }
}
