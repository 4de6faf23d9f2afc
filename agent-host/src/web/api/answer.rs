//! Refusals as the API answers them, and as its description declares them.

use std::collections::BTreeMap;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::{
    IntoResponses, ToSchema,
    openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, response::Response as Declared},
};

use crate::{complaint::Complaint, web::views::Refusal};

/// How every refusal is told.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    /// What went wrong, and what to do about it.
    error: Complaint,
}

/// What any request may be refused with.
pub(super) struct Refusals;

const REFUSALS: [(&str, &str); 13] = [
    ("400", "The request cannot be read"),
    ("401", "There is no token, or none that is in force"),
    ("403", "The token may not do this, or not here"),
    ("404", "There is no such thing"),
    ("405", "There is something here, but not by this method"),
    ("409", "The state of things, or the agent's settings, do not allow it"),
    ("413", "The body is too large"),
    ("415", "The body is not called JSON"),
    ("422", "The request can be read and makes no sense"),
    ("429", "Too many wrong tokens came from this address"),
    ("500", "The agent failed; its log says why"),
    ("502", "The managed system refuses the agent, or answers nonsense"),
    ("503", "The managed system cannot be reached, or all took too long"),
];

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Declared>> {
        let declared = |(status, description): (&str, &str)| {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("ErrorBody"))).build();
            let response = ResponseBuilder::new().description(description).content("application/json", content);
            (status.to_owned(), RefOr::T(response.build()))
        };
        REFUSALS.into_iter().map(declared).collect()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(ErrorBody { error: self.complaint })).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer realm=\"agent\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// What the router says by itself, in the API's words.
pub(super) async fn in_our_words(response: Response) -> Response {
    let status = response.status();
    let is_ours = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    const SEE: &str = "see `/api/openapi.json` for what there is";
    let (kind, message, hint) = match status {
        StatusCode::METHOD_NOT_ALLOWED => ("not_found", "there is something here, but not by this method", SEE),
        StatusCode::NOT_FOUND => ("not_found", "there is nothing here", SEE),
        StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "the body is too large", SEE),
        // Of these none comes but from the limit of time.
        StatusCode::SERVICE_UNAVAILABLE => {
            ("unavailable", "the answer took too long", "see what came of it, then ask again")
        }
        _ if status.is_client_error() => ("failed", "this cannot be answered", SEE),
        _ => ("failed", "this cannot be answered", "the agent's log says why"),
    };
    let mut told = Refusal::new(status, kind, message, hint).into_response();
    if let Some(allow) = response.headers().get(header::ALLOW) {
        told.headers_mut().insert(header::ALLOW, allow.clone());
    }
    told
}
