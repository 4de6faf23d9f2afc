//! What comes with a request, read strictly: paths, queries and bodies. What is wrong is told in the API's own words.

use axum::{
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use serde::{Deserialize, de::DeserializeOwned};

use crate::web::views::{LARGEST_PAGE, Refusal};

/// The largest body that is read, but for orders.
pub(super) const MAX_BODY_BYTES: usize = 16 << 10;
/// The largest number that every reader of JSON takes as it is.
pub(super) const MAX_NUMBER: i64 = (1 << 53) - 1;

/// What the path names.
pub(super) struct At<T>(pub(super) T);

/// What the query asks for.
pub(super) struct Asked<T>(pub(super) T);

/// What the body says, as JSON.
pub(super) struct Sent<T>(pub(super) T);

/// A number of something, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub(super) struct Number(pub(super) i64);

/// How many entries a page has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub(super) struct Limit(pub(super) u32);

impl TryFrom<i64> for Number {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        if (0..=MAX_NUMBER).contains(&number) {
            Ok(Self(number))
        } else {
            Err(format!("a number must be from 0 to {MAX_NUMBER}"))
        }
    }
}

impl TryFrom<u32> for Limit {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if (1..=LARGEST_PAGE).contains(&number) {
            Ok(Self(number))
        } else {
            Err(format!("`limit` must be from 1 to {LARGEST_PAGE}"))
        }
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(found)) => Ok(Self(found)),
            Err(error) => Err(malformed(format!("the path cannot be read: {}", error.body_text()))),
        }
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(asked)) => Ok(Self(asked)),
            Err(error) => Err(malformed(format!("the query cannot be read: {}", error.body_text()))),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Sent<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        must_be_json(request.headers())?;
        let bytes = axum::body::to_bytes(request.into_body(), MAX_BODY_BYTES).await.map_err(|_| {
            let message = format!("the body breaks off, or is larger than {MAX_BODY_BYTES} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message, "send less")
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            // `error` names line and column, and of what is written there at most a key.
            let kind = if error.is_data() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
            Refusal::new(kind, "malformed", format!("the body cannot be read: {error}"), HINT)
        })
    }
}

/// Refuses what is called something other than JSON.
pub(super) fn must_be_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    let hint = "send JSON, with the header `Content-Type: application/json`";
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "malformed", "the body is not called JSON", hint))
}

pub(super) fn malformed(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "malformed", message, HINT)
}

const HINT: &str = "see `/api/openapi.json` for what is asked for";
