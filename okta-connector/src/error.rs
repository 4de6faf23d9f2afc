//! Okta's answers that are no success, and what they ask for. Source: Okta's list of error codes.
//!
//! Only `errorCode` is promised to be stable, so decisions rest on it and on the status; the summary is for people.

use connector_api::{Error, ErrorKind};
use serde::Deserialize;

use crate::auth::Challenge;

/// What to do when a service app is let in and then denied: most often it has scopes, and no role.
const APP_NEEDS_ROLE: &str = "grant the app an admin role that may do this, such as Read-only Administrator for \
                                         reading (Admin roles, on the app's page in Okta's admin console)";

/// Why a request came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Okta understood and refused.
    Refused(Refusal),
    /// Anything else, ready for the caller.
    Other(Error),
}

/// An answer whose status is no success.
#[derive(Debug, Clone, Default)]
pub(crate) struct Refusal {
    pub status: u16,
    /// `E0000006`, of the token endpoint `invalid_scope`; empty where the body is not Okta's.
    pub code: String,
    /// What Okta says, in one line, without secrets.
    pub summary: String,
    /// Okta's id of the request, which its support asks for.
    pub request_id: String,
    /// Okta's id of the refusal, for the log.
    pub error_id: String,
    /// What it says about the credentials.
    pub challenge: Challenge,
    /// Whether it was a service app that was refused.
    pub of_app: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    error_code: String,
    #[serde(default)]
    error_summary: String,
    #[serde(default)]
    error_id: String,
    #[serde(default)]
    error_causes: Vec<Cause>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Cause {
    #[serde(default)]
    error_summary: String,
}

/// What OAuth says instead. Source: RFC 6749 §5.2.
#[derive(Deserialize)]
struct OAuthBody {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Refusal {
    /// Reads the body of a refusal, which may be Okta's JSON, HTML of a gateway, or nothing.
    /// Nothing of it is shown before `redact` has taken out what is secret.
    pub(crate) fn read(status: u16, body: &[u8], request_id: &str, redact: impl Fn(&str) -> String) -> Self {
        let (code, error_id, summary) = match serde_json::from_slice::<Body>(body) {
            Ok(body) => {
                let causes = body.error_causes.into_iter().map(|cause| cause.error_summary);
                let texts: Vec<String> = std::iter::once(body.error_summary).chain(causes).collect();
                (body.error_code, body.error_id, texts.join("; "))
            }
            Err(_) => {
                let (code, summary) = serde_json::from_slice::<OAuthBody>(body)
                    .map(|body| (body.error, body.error_description))
                    .unwrap_or_default();
                (code, String::new(), summary)
            }
        };
        let shown = |text: &str, max_chars| one_line(&redact(text), max_chars);
        Self {
            status,
            code: shown(&code, 40),
            summary: shown(&summary, 300),
            request_id: shown(request_id, 80),
            error_id: shown(&error_id, 80),
            ..Self::default()
        }
    }

    /// Whether the same request may succeed in a moment.
    pub(crate) fn is_transient(&self) -> bool {
        match self.code.as_str() {
            // The search index is away: asking again is no use, another way of listing is.
            "E0000100" => false,
            "E0000009" | "E0000010" | "E0000239" => true,
            _ => matches!(self.status, 408 | 423 | 425 | 500 | 502..=599),
        }
    }

    /// Whether Okta has something else to finish first, and did not begin with this.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(
            self.code.as_str(),
            "E0000010" | "E0000112" | "E0000239" | "E0000249" | "E0000253" | "E0000254" | "E0000268"
        ) || self.status == 423
    }

    /// Whether what is to be created is there already.
    pub(crate) fn says_it_exists(&self) -> bool {
        self.code == "E0000040" || self.code == "E0000001" && self.summary.contains("already exists")
    }

    /// Whether an attribute is said to be missing from the profile, which Okta has been known to say in error.
    pub(crate) fn says_attribute_is_unknown(&self) -> bool {
        let says = |words: &str| self.summary.contains(words);
        self.code == "E0000001" && (says("is not defined in profile") || says("profile property wasn't defined"))
    }

    /// Whether the app lacks a scope.
    pub(crate) fn is_missing_scope(&self) -> bool {
        self.code == "invalid_scope"
    }

    /// Whether something other than Okta says that there is no such page.
    pub(crate) fn is_foreign_404(&self) -> bool {
        self.status == 404 && self.code.is_empty()
    }

    /// Whether a smaller page may succeed: Okta gives up on lists that take too long.
    pub(crate) fn asks_for_smaller_page(&self) -> bool {
        matches!(self.status, 500 | 504) && self.code != "E0000010"
    }

    /// Whether `search` cannot be used now, while plain lists can.
    pub(crate) fn rules_out_search(&self) -> bool {
        matches!(self.code.as_str(), "E0000145" | "E0000100")
    }

    /// Whether Okta itself says that there is no such object; a gateway's 404 says nothing.
    pub(crate) fn is_missing_object(&self) -> bool {
        self.status == 404 && self.code == "E0000007"
    }

    /// Whether the cursor was refused, so that the list must start again.
    pub(crate) fn is_cursor_rejected(&self) -> bool {
        self.status == 400 && matches!(self.code.as_str(), "E0000029" | "E0000031")
    }
}

impl Failure {
    /// The failure as the caller of the connector sees it; `what` says what was being tried, such as "listing `users`".
    pub(crate) fn into_error(self, what: &str) -> Error {
        match self {
            Self::Other(error) => error,
            Self::Refused(refusal) => refusal.into_error(what),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Refusal {
    fn into_error(self, what: &str) -> Error {
        let (kind, hint) = match (self.status, self.code.as_str()) {
            (401, "E0000015") => (ErrorKind::Rejected, "the organisation lacks this feature; ask Okta to enable it"),
            (401, _) if self.of_app => {
                (ErrorKind::Credentials, "check that the app is active, and the network zone it may be used from")
            }
            (403, _) if self.of_app => (ErrorKind::Credentials, APP_NEEDS_ROLE),
            (401, _) => (
                ErrorKind::Credentials,
                "create a new API token, set it as `ApiKey`, and check the network zone the token may be used from",
            ),
            (403, _) => (ErrorKind::Credentials, "give the token's administrator the right to read this"),
            (404, "E0000008" | "") => {
                (ErrorKind::Settings, "check that `Server` is the address of an Okta organisation")
            }
            (404, _) => (ErrorKind::NotFound, "it may have been deleted meanwhile; run again"),
            (500.., _) | (408 | 423 | 425, _) => {
                (ErrorKind::Unavailable, "Okta keeps failing; see status.okta.com and run again later")
            }
            _ => (ErrorKind::Rejected, "Okta's words say what it minds; its request id helps Okta's support"),
        };
        Error::new(kind, format!("{what}: {self}")).with_hint(hint)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Okta answered {}", self.status)?;
        if !self.code.is_empty() {
            write!(f, " {}", self.code)?;
        }
        if !self.summary.is_empty() {
            write!(f, " ({})", self.summary)?;
        }
        if !self.request_id.is_empty() {
            write!(f, ", request {}", self.request_id)?;
        }
        Ok(())
    }
}

/// Foreign text, fit for a log: one line, no control characters, not too long.
fn one_line(text: &str, max_chars: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(max_chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, body: &str) -> Refusal {
        Refusal::read(status, body.as_bytes(), "req1", |text| text.replace("00token", "***"))
    }

    #[test]
    fn oktas_words_are_shown_in_one_line_without_the_token() {
        let refusal = refusal(
            401,
            r#"{"errorCode":"E0000011","errorSummary":"Invalid token\n00token","errorCauses":[{"errorSummary":"why"}]}"#,
        );
        assert_eq!(refusal.to_string(), "Okta answered 401 E0000011 (Invalid token ***; why), request req1");
        assert_eq!(Failure::Refused(refusal).into_error("x").kind(), ErrorKind::Credentials);
    }

    #[test]
    fn the_remedy_follows_from_status_and_code() {
        let kind = |status, code: &str| {
            let body = format!(r#"{{"errorCode":"{code}","errorSummary":"s"}}"#);
            Failure::Refused(refusal(status, &body)).into_error("x").kind()
        };
        assert_eq!(kind(401, "E0000015"), ErrorKind::Rejected);
        assert_eq!(kind(403, "E0000006"), ErrorKind::Credentials);
        assert_eq!(kind(404, "E0000007"), ErrorKind::NotFound);
        assert_eq!(kind(404, "E0000008"), ErrorKind::Settings);
        assert_eq!(kind(503, "E0000010"), ErrorKind::Unavailable);
        assert_eq!(kind(400, "E0000001"), ErrorKind::Rejected);
        assert!(refusal(502, "<html>bad gateway</html>").is_transient() && refusal(521, "").is_transient());
        assert!(!refusal(503, r#"{"errorCode":"E0000100"}"#).is_transient());
    }
}
