//! Okta's refusals of writes, for the person at the help desk: what was wanted, what Okta said, what to do. Pure.
//!
//! Source: Okta's list of error codes; where one code means many things, its causes tell them apart.

use connector_api::{Error, ErrorKind};

use super::found::Noun;
use crate::{client::WriteFailure, error::Refusal};

/// The failure of a write about a record, with what to do about it.
pub(super) fn explained(failure: WriteFailure, what: &str, noun: Noun) -> Error {
    match failure {
        WriteFailure::Refused(refusal) if refusal.code == "E0000015" || refusal.status != 401 => {
            let kind = match refusal.status {
                404 if refusal.is_missing_object() => ErrorKind::NotFound,
                404 => ErrorKind::Settings,
                500.. | 408 | 425 => ErrorKind::Unavailable,
                _ => ErrorKind::Rejected,
            };
            Error::new(kind, format!("{what}: {refusal}")).with_hint(advice(&refusal, noun))
        }
        failure => failure.into_error(what),
    }
}

fn advice(refusal: &Refusal, noun: Noun) -> String {
    let says = |text: &str| refusal.summary.to_lowercase().contains(text);
    let advice = match (refusal.status, refusal.code.as_str()) {
        (_, "E0000014" | "E0000080" | "E0000017") => {
            "see the organisation's password policy, and PasswordResetSettings in the mapping"
        }
        (_, "E0000001") if says("password") => {
            "see the organisation's password policy, and PasswordResetSettings in the mapping"
        }
        (_, "E0000001") if says("maximum number of instances") => {
            "delete apps that are no longer used, or ask Okta for more"
        }
        (_, "E0000023" | "E0000075" | "E0000076" | "E0000077" | "E0000078" | "E0000081") => {
            "another system masters this; change it there, or take the property out of the provisioning rules"
        }
        (_, "E0000038") => {
            "the account's state forbids it; deactivated accounts can be edited only where the organisation enables \
             `Edit Deactivated User Profile Updates`"
        }
        (_, "E0000024") => "Okta changes this app only while it is active; ask for the status ACTIVE first",
        (_, "E0000056") => "Okta deletes apps only while they are inactive; run again",
        (_, "E0000060" | "E0000111") => "Okta maintains this itself; take it out of the provisioning rules",
        (_, "E0000117") => "the account is not active; activate it first, then assign the app",
        (_, "E0000015") => "the organisation lacks this feature; ask Okta to enable it",
        (403, "E0000006") => {
            return format!(
                "give the token's administrator the right to change this {} (okta.{}s.manage); only a super administrator \
                 may change administrators",
                noun.in_words(),
                match noun {
                    Noun::User => "user",
                    Noun::Group => "group",
                    Noun::App => "app",
                }
            );
        }
        (404, code) if !code.is_empty() => {
            "it was deleted in Okta; synchronise, so that the next policy evaluation sees that"
        }
        (404, _) => "check that `Server` is the address of an Okta organisation",
        (500.., _) => "Okta keeps failing; see status.okta.com and run again later",
        _ => "Okta's words say what it minds; its request id helps Okta's support",
    };
    advice.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_the_orders_unless_the_token_is_no_good() {
        let kind = |status, code: &str| {
            let body = format!(r#"{{"errorCode":"{code}","errorSummary":"s"}}"#);
            let refusal = Refusal::read(status, body.as_bytes(), "r", str::to_owned);
            let error = explained(WriteFailure::Refused(refusal), "creating the account `a`", Noun::User);
            assert!(error.hint().is_some() && error.to_string().contains("request r"), "{error}");
            error.kind()
        };
        assert_eq!(kind(401, "E0000011"), ErrorKind::Credentials);
        assert_eq!(kind(401, "E0000015"), ErrorKind::Rejected);
        assert_eq!(kind(403, "E0000006"), ErrorKind::Rejected);
        assert_eq!(kind(404, "E0000007"), ErrorKind::NotFound);
        assert_eq!(kind(503, "E0000010"), ErrorKind::Unavailable);
    }
}
