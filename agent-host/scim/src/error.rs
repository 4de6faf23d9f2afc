//! What a SCIM client is told when a request is refused: status, `scimType` and a detail that says what to fix.
//!
//! The detail names the thing in backticks. It holds no value of a request, since values may be secret; Okta shows it
//! to its administrator. Source: RFC 7644 §3.12, RFC 9865 §2.1 (the cursor kinds).

use std::fmt;

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use serde_json::{Value, json};

/// The media type of every answer.
pub const SCIM_JSON: &str = "application/scim+json";

/// The schema of an error.
pub const ERROR_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// The body of an answer. It is sent while it is read from the store where it is a list with very many members; should
/// the store fail then, it ends with the error.
pub type Body = UnsyncBoxBody<Bytes, Error>;

/// How much of a detail is told; it may repeat a name that a client made up.
const MAX_DETAIL_BYTES: usize = 500;

/// The result of anything that may be refused.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    status: StatusCode,
    kind: Option<ErrorKind>,
    detail: String,
    header: Option<Header>,
}

/// The `scimType` of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The filter does not follow the grammar, or compares what cannot be compared.
    InvalidFilter,
    /// More than the server is willing to work on.
    TooMany,
    /// A value that must be unique is taken.
    Uniqueness,
    /// The attribute cannot be changed so.
    Mutability,
    /// The body is no JSON, or not of the shape that was asked for.
    InvalidSyntax,
    /// The path of a PATCH operation is malformed or names nothing.
    InvalidPath,
    /// The path of a PATCH operation selects nothing.
    NoTarget,
    /// A value is missing or of the wrong type.
    InvalidValue,
    /// A cursor that this server did not give.
    InvalidCursor,
    /// `count` is no number, in paging by cursor.
    InvalidCount,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Header {
    Allow(&'static str),
    Challenge(String),
    RetryAfter(u32),
}

impl Error {
    /// A refusal without `scimType`.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if detail.len() > MAX_DETAIL_BYTES {
            detail.truncate(detail.floor_char_boundary(MAX_DETAIL_BYTES));
            detail.push('…');
        }
        Self { status, kind: None, detail, header: None }
    }

    /// A refusal of this kind, with the status that the RFC gives it: 409 for uniqueness, else 400.
    pub fn of(kind: ErrorKind, detail: impl Into<String>) -> Self {
        let status = if kind == ErrorKind::Uniqueness { StatusCode::CONFLICT } else { StatusCode::BAD_REQUEST };
        Self { kind: Some(kind), ..Self::new(status, detail) }
    }

    /// 401 with its challenge, as `Bearer realm="SCIM"`. For the host, which knows the credentials.
    pub fn unauthorized(challenge: impl Into<String>, detail: impl Into<String>) -> Self {
        let header = Some(Header::Challenge(challenge.into()));
        Self { header, ..Self::new(StatusCode::UNAUTHORIZED, detail) }
    }

    /// 403: the directory does not allow this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 405 with the methods that are allowed, as `GET, POST`.
    pub fn method_not_allowed(allowed: &'static str) -> Self {
        let detail = format!("this address answers {allowed} only");
        Self { header: Some(Header::Allow(allowed)), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, detail) }
    }

    /// 429; whole seconds are the only form that Okta obeys.
    pub fn too_many_requests(retry_after_seconds: u32, detail: impl Into<String>) -> Self {
        let header = Some(Header::RetryAfter(retry_after_seconds));
        Self { header, ..Self::new(StatusCode::TOO_MANY_REQUESTS, detail) }
    }

    /// 500, without its cause: that is for the log.
    pub fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed; its log says why")
    }

    /// The same refusal, its detail preceded by where it arose.
    #[must_use]
    pub fn within(self, place: &str) -> Self {
        Self { detail: format!("{place}: {}", self.detail), ..self }
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The `scimType` of the answer.
    pub fn kind(&self) -> Option<ErrorKind> {
        self.kind
    }

    /// What to fix.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The body of the answer.
    pub fn body(&self) -> Value {
        let mut body = json!({ "schemas": [ERROR_SCHEMA], "status": self.status.as_str() });
        if let Some(kind) = self.kind {
            body["scimType"] = kind.name().into();
        }
        body["detail"] = self.detail.as_str().into();
        body
    }

    /// The answer; it carries the error among its extensions, so that the host can record it without reading the body.
    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::new(whole(self.body().to_string()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(SCIM_JSON));
        match &self.header {
            Some(Header::Allow(methods)) => drop(headers.insert(ALLOW, HeaderValue::from_static(methods))),
            Some(Header::RetryAfter(seconds)) => drop(headers.insert(RETRY_AFTER, (*seconds).into())),
            Some(Header::Challenge(challenge)) => {
                if let Ok(value) = HeaderValue::from_str(challenge) {
                    headers.insert(WWW_AUTHENTICATE, value);
                }
            }
            None => {}
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// A body that is there already.
pub(crate) fn whole(text: String) -> Body {
    Full::from(text).map_err(|never| match never {}).boxed_unsync()
}

impl ErrorKind {
    /// As the wire spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::TooMany => "tooMany",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
            Self::InvalidCursor => "invalidCursor",
            Self::InvalidCount => "invalidCount",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status.as_u16(), self.detail)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_a_status_in_text() {
        let error = Error::of(ErrorKind::Uniqueness, "`userName` is taken");
        assert_eq!(
            error.body(),
            json!({ "schemas": [ERROR_SCHEMA], "status": "409", "scimType": "uniqueness", "detail": "`userName` is taken" })
        );
    }

    #[test]
    fn a_long_detail_is_cut_between_letters() {
        let error = Error::not_found(format!("{}é{}", "a".repeat(MAX_DETAIL_BYTES - 1), "b".repeat(9)));
        assert_eq!(error.detail(), format!("{}…", "a".repeat(MAX_DETAIL_BYTES - 1)));
    }

    #[test]
    fn headers_say_how_to_go_on() {
        let header = |error: Error, name: &str| error.into_response().headers()[name].to_str().unwrap().to_owned();
        assert_eq!(
            header(Error::unauthorized("Bearer realm=\"SCIM\"", "no"), "www-authenticate"),
            "Bearer realm=\"SCIM\""
        );
        assert_eq!(header(Error::too_many_requests(7, "no"), "retry-after"), "7");
        assert_eq!(header(Error::method_not_allowed("GET"), "allow"), "GET");
    }
}
