//! From an HTTP request to its answer: addresses, methods, media types, bodies. Every answer is SCIM JSON.
//!
//! The host has authenticated the request and taken off what stands in front of `/Users` in its path. A trailing slash
//! makes no difference. Source: RFC 7644 §3.2 and §4.

use std::{
    pin::{Pin, pin},
    sync::Arc,
};

use bytes::{Buf, BufMut, BytesMut};
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use secrecy::zeroize::Zeroize;
use serde_json::Value;

use crate::{
    bulk,
    call::{Answer, Call, Content},
    directory::Directory,
    discovery,
    error::{Body, Error, ErrorKind, Result, SCIM_JSON, whole},
    json::{self, MAX_BODY_BYTES, is},
    parameters::{ListHead, ListResponse, Parameters, Start, decoded},
    preconditions::Preconditions,
    resource::Kind,
    store::ResourceStore,
};

/// How much of a body that is too long is read before the client is cut off.
const MAX_DROPPED_BYTES: usize = 64 * 1024 * 1024;

/// What an address is about.
#[derive(Debug)]
enum Route {
    /// The directory as a whole.
    Root,
    List(Kind),
    One(Kind, String),
    /// `.search`, at the root or below a kind.
    Search(Option<Kind>),
    Bulk,
    Me,
    ServiceProviderConfig,
    ResourceTypes(Option<String>),
    Schemas(Option<String>),
}

/// Answers a request to a directory whose credentials the host has checked.
///
/// The path is that below the directory's address, as `/Users/42`. A refusal's [`Error`] lies among the extensions of
/// the response, for the host's records.
pub async fn answer<B>(store: Arc<dyn ResourceStore>, directory: &Directory, request: Request<B>) -> Response<Body>
where
    B: http_body::Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let call = Call { store: &store, directory };
    match dispatch(&call, request).await {
        Ok(answer) => response(answer),
        Err(error) => error.into_response(),
    }
}

async fn dispatch<B>(call: &Call<'_>, request: Request<B>) -> Result<Answer>
where
    B: http_body::Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    let route = Route::of(head.uri.path())?;
    let allowed = route.methods();
    if allowed.is_empty() {
        let detail = "there is no /Me here: clients are programs; ask for /Users/{id}";
        return Err(Error::new(StatusCode::NOT_IMPLEMENTED, detail));
    }
    if !allowed.split(", ").any(|method| method == head.method.as_str()) {
        return Err(Error::method_not_allowed(allowed));
    }
    let parameters = Parameters::of_query(head.uri.query().unwrap_or_default())?;
    let takes_body = [Method::POST, Method::PUT, Method::PATCH].contains(&head.method);
    let body = if takes_body { Some(read(&head.headers, body).await?) } else { None };
    let preconditions = Preconditions::of(&head.headers);
    match (route, body) {
        (Route::Root, _) => call.list(&Kind::ALL, &parameters).await,
        (Route::List(kind), None) => call.list(&[kind], &parameters).await,
        (Route::List(kind), Some(body)) => call.create(kind, body, &parameters).await,
        (Route::Search(kind), Some(body)) => {
            let kinds = kind.map_or_else(|| Kind::ALL.to_vec(), |kind| vec![kind]);
            call.list(&kinds, &Parameters::of_body(body)?).await
        }
        (Route::Bulk, Some(body)) => bulk::answer(call, body).await,
        (Route::One(kind, id), Some(body)) if head.method == Method::PUT => {
            call.replace(kind, &id, body, &preconditions, &parameters).await
        }
        (Route::One(kind, id), Some(body)) => call.patch(kind, &id, body, &preconditions, &parameters).await,
        (Route::One(kind, id), None) if head.method == Method::DELETE => call.delete(kind, &id, &preconditions).await,
        (Route::One(kind, id), None) => call.get(kind, &id, &preconditions, &parameters).await,
        (route, _) => discover(call.directory, &route, &parameters),
    }
}

impl Route {
    fn of(path: &str) -> Result<Self> {
        let segments = path.split('/').filter(|segment| !segment.is_empty()).map(decoded);
        let segments = segments.collect::<Result<Vec<String>>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let kind = |endpoint: &str| Kind::ALL.into_iter().find(|kind| kind.endpoint() == endpoint);
        let route = match segments.as_slice() {
            [] => Some(Self::Root),
            [".search"] => Some(Self::Search(None)),
            ["Bulk"] => Some(Self::Bulk),
            ["Me", ..] => Some(Self::Me),
            ["ServiceProviderConfig"] => Some(Self::ServiceProviderConfig),
            ["ResourceTypes"] => Some(Self::ResourceTypes(None)),
            ["ResourceTypes", name] => Some(Self::ResourceTypes(Some((*name).to_owned()))),
            ["Schemas"] => Some(Self::Schemas(None)),
            ["Schemas", urn] => Some(Self::Schemas(Some((*urn).to_owned()))),
            [endpoint] => kind(endpoint).map(Self::List),
            [endpoint, ".search"] => kind(endpoint).map(|kind| Self::Search(Some(kind))),
            // No id holds U+0000, and not every database could be asked for one.
            [endpoint, id] if !id.contains('\0') => kind(endpoint).map(|kind| Self::One(kind, (*id).to_owned())),
            _ => None,
        };
        route.ok_or_else(|| {
            Error::not_found(
                "there is nothing at this address; SCIM lies at /Users, /Groups and /ServiceProviderConfig",
            )
        })
    }

    /// The methods that it answers; none where it is not implemented at all.
    fn methods(&self) -> &'static str {
        match self {
            Self::List(_) => "GET, POST",
            Self::One(..) => "GET, PUT, PATCH, DELETE",
            Self::Search(_) | Self::Bulk => "POST",
            Self::Me => "",
            Self::Root | Self::ServiceProviderConfig | Self::ResourceTypes(_) | Self::Schemas(_) => "GET",
        }
    }
}

/// The three addresses that say what the server can do.
fn discover(directory: &Directory, route: &Route, parameters: &Parameters) -> Result<Answer> {
    if parameters.has_filter() {
        return Err(Error::forbidden("this address takes no filter; ask for all or for one by its name"));
    }
    let (all, wanted) = match route {
        Route::ResourceTypes(wanted) => (discovery::resource_types(directory), wanted),
        Route::Schemas(wanted) => (discovery::schemas(directory), wanted),
        _ => return Ok(Answer::ok(&discovery::service_provider_config(directory))),
    };
    match wanted {
        None => {
            let head = ListHead::new(u64::try_from(all.len()).ok(), &Start::Index(1), None);
            Ok(Answer::ok(&ListResponse::new(head, all)))
        }
        Some(wanted) => {
            let found = all.into_iter().find(|one| one["id"].as_str().is_some_and(|id| is(id, wanted)));
            found.map(|one| Answer::ok(&one)).ok_or_else(|| Error::not_found(format!("there is no `{wanted}` here")))
        }
    }
}

/// Reads a body: of the right type, not too long, usable JSON.
async fn read<B>(headers: &HeaderMap, body: B) -> Result<Value>
where
    B: http_body::Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if let Some(media_type) = headers.get(header::CONTENT_TYPE) {
        let essence = media_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !is(essence, SCIM_JSON) && !is(essence, "application/json") {
            let detail = format!("the body is of type `{SCIM_JSON}` or `application/json`; say so in Content-Type");
            return Err(Error::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(too_long());
    }
    let mut bytes = BytesMut::with_capacity(announced.unwrap_or_default());
    let arrived = collect(pin!(body), &mut bytes).await;
    let tree = arrived.and_then(|()| json::read(&bytes));
    // It may have held a password.
    bytes.as_mut().zeroize();
    tree
}

/// Keeps what arrives. What is too long is read on all the same and dropped, since a client that is cut off while it
/// sends does not see the answer; up to a limit.
async fn collect<B>(mut body: Pin<&mut B>, bytes: &mut BytesMut) -> Result<()>
where
    B: http_body::Body,
{
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let cut = |_| Error::of(ErrorKind::InvalidSyntax, "the body did not arrive as a whole; send it again");
        let Ok(data) = frame.map_err(cut)?.into_data() else { continue };
        length += data.remaining();
        if length <= MAX_BODY_BYTES {
            bytes.put(data);
        } else if length > MAX_DROPPED_BYTES {
            break;
        }
    }
    if length > MAX_BODY_BYTES { Err(too_long()) } else { Ok(()) }
}

fn too_long() -> Error {
    let detail = format!("the body is longer than {MAX_BODY_BYTES} bytes; send it in parts");
    Error::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

fn response(answer: Answer) -> Response<Body> {
    let has_body = answer.body.is_some();
    let mut response = Response::new(match answer.body {
        None => whole(String::new()),
        Some(Content::Whole(text)) => whole(text),
        Some(Content::Pieces(pieces)) => StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync(),
    });
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    if has_body {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(SCIM_JSON));
    }
    let named = [(header::ETAG, answer.entity_tag), (header::LOCATION, answer.location)];
    for (name, value) in named {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            headers.insert(name, value);
        }
    }
    response
}
