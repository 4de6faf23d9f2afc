//! API tokens, rate limits of principals, who is an administrator, and the organisation itself.
//! Okta: lists here have no Link; principal rate limits must be asked for by type; a token may delete itself.

use hyper::Method;
use serde_json::{Value, json};

use crate::clock::seconds;
use crate::error::ApiError;
use crate::org::Org;
use crate::routes::unknown;
use crate::tokens::Token;
use crate::wire::{Answer, Call, Outcome};

pub(crate) fn read(call: &Call, org: &Org, rest: &[&str]) -> Outcome {
    let tokens = &org.tokens;
    match rest {
        ["api-tokens"] => {
            let values: Value = tokens.all.iter().map(|token| tokens.value(token, &org.base)).collect();
            Ok(Answer::value(200, &values))
        }
        ["api-tokens", id] => {
            let token = tokens.all.iter().find(|token| token.id == *id);
            let token = token.ok_or_else(|| ApiError::not_found(id, "Token"))?;
            Ok(Answer::value(200, &tokens.value(token, &org.base)))
        }
        ["principal-rate-limits"] => {
            let filter = call.parameter("filter").unwrap_or_default();
            if !filter.contains("principalType") {
                let cause =
                    "The provided filter parameter did not contain the required attrbute filter \"principalType\"";
                return Err(ApiError::validation("principalRateLimitMediated", cause));
            }
            let of_tokens = tokens.all.iter().filter(|_| filter.contains("SSWS_TOKEN"));
            let state = org.oauth.state();
            let of_clients = state.clients.iter().filter(|_| filter.contains("OAUTH_CLIENT"));
            let values: Value = of_tokens
                .map(|token| tokens.limit_of_token(token))
                .chain(of_clients.map(|client| tokens.limit_of_client(client)))
                .collect();
            Ok(Answer::value(200, &values))
        }
        ["principal-rate-limits", id] => {
            let of_token = tokens.all.iter().find(|token| token.limit_id == *id);
            let state = org.oauth.state();
            let of_client = || state.clients.iter().find(|client| client.limit_id == *id);
            let shown = of_token.map(|token| tokens.limit_of_token(token));
            let shown = shown.or_else(|| Some(tokens.limit_of_client(of_client()?)));
            Ok(Answer::value(200, &shown.ok_or_else(|| ApiError::not_found(id, "PrincipalRateLimit"))?))
        }
        ["iam", "assignees", "users"] => {
            let admins = org.roles.keys().filter(|id| org.users.row(id).is_some());
            let shown: Value = admins
                .map(|id| json!({"id": id, "_links": {"self": {"href": format!("{}/api/v1/users/{id}", org.base)}}}))
                .collect();
            Ok(Answer::value(200, &json!({"value": shown, "_links": {}})))
        }
        ["org"] => Ok(Answer::value(
            200,
            &json!({
                "id": org.id,
                "subdomain": "sandbox",
                "companyName": "Sandbox",
                "status": "ACTIVE",
                "created": seconds(org.groups.get(org.everyone).map_or(0, |group| group.created)),
                "_links": {"organization": {"href": format!("{}/api/v1/org", org.base)}},
            }),
        )),
        _ => Err(unknown(call)),
    }
}

pub(crate) fn write(call: &Call, org: &mut Org, rest: &[&str]) -> Outcome {
    match (&call.method, rest) {
        (&Method::DELETE, ["api-tokens", id]) => {
            let gone = |token: &Token| if *id == "current" { token.user == call.caller } else { token.id == *id };
            if !org.tokens.all.iter().any(gone) {
                return Err(ApiError::not_found(id, "Token"));
            }
            org.tokens.all.retain(|token| !gone(token));
            Ok(Answer::empty(204))
        }
        (&Method::POST, ["principal-rate-limits"]) => {
            let request = Value::from(call.object()?);
            let principal = request["principalId"].as_str().unwrap_or_default();
            if org.tokens.all.iter().any(|token| token.id == principal) {
                return Err(ApiError::invalid("principalRateLimitMediated"));
            }
            Err(ApiError::not_found(principal, "Token"))
        }
        (&Method::PUT, ["principal-rate-limits", id]) => {
            let request = call.object()?;
            let percent = |name: &str, old: u64| request.get(name).and_then(Value::as_u64).unwrap_or(old);
            let changed =
                |old: (u64, u64)| (percent("defaultPercentage", old.0), percent("defaultConcurrencyPercentage", old.1));
            if let Some(token) = org.tokens.all.iter_mut().find(|token| token.limit_id == *id) {
                token.percentages = changed(token.percentages);
                token.limit_updated = call.now;
            }
            let of_client = org.oauth.state().clients.iter().find(|client| client.limit_id == *id).cloned();
            if let Some(client_id) = of_client.map(|client| client.app.client_id.clone()) {
                org.change_client(&client_id, |client| {
                    client.percentages = changed(client.percentages);
                    client.limit_updated = call.now;
                });
            }
            read(call, org, rest)
        }
        _ => Err(unknown(call)),
    }
}
