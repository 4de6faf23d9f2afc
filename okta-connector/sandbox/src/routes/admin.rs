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
            let ours = tokens.all.iter().filter(|_| filter.contains("SSWS_TOKEN"));
            let values: Value = ours.map(|token| tokens.limit_value(token)).collect();
            Ok(Answer::value(200, &values))
        }
        ["principal-rate-limits", id] => {
            let token = tokens.all.iter().find(|token| token.limit_id == *id);
            let token = token.ok_or_else(|| ApiError::not_found(id, "PrincipalRateLimit"))?;
            Ok(Answer::value(200, &tokens.limit_value(token)))
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
            let token = org.tokens.all.iter_mut().find(|token| token.limit_id == *id);
            let token = token.ok_or_else(|| ApiError::not_found(id, "PrincipalRateLimit"))?;
            let percent = |name: &str, old: u64| request.get(name).and_then(Value::as_u64).unwrap_or(old);
            token.percentages = (
                percent("defaultPercentage", token.percentages.0),
                percent("defaultConcurrencyPercentage", token.percentages.1),
            );
            token.limit_updated = call.now;
            read(call, org, rest)
        }
        _ => Err(unknown(call)),
    }
}
