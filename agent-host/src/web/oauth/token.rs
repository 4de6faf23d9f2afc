//! Tokens for a code or a refresh token, to the client that was set up for the directory.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    body::Bytes,
    extract::{ConnectInfo, Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::{super::Web, fields::Fields, fields::Twice};
use crate::{
    directories::{ACCESS_SECONDS, Attempt, Directories, Tokens, Way},
    store::OauthClient,
};

/// Why there are none, as RFC 6749 §5.2 names it.
struct Refusal {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
    /// In seconds.
    wait: Option<i64>,
}

/// Who a client says it is.
struct Claim {
    client_id: String,
    secret: Option<SecretString>,
}

impl From<Twice> for Refusal {
    fn from(_: Twice) -> Self {
        Self::new("invalid_request", "a parameter stands there more than once")
    }
}

impl Refusal {
    fn new(error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description, wait: None }
    }

    /// The same, to be tried again in so many seconds, where it was tried too often.
    fn slowed(self, wait: Option<i64>) -> Self {
        let status = if wait.is_some() { StatusCode::TOO_MANY_REQUESTS } else { self.status };
        Self { status, wait, ..self }
    }
}

pub(super) async fn answer(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut response = match tokens(&web, peer, &name, &headers, &body).await {
        Ok(Ok(tokens)) => {
            let (access, refresh) = (tokens.access.expose_secret(), tokens.refresh.expose_secret());
            let body = json!({ "access_token": access, "token_type": "Bearer", "expires_in": ACCESS_SECONDS,
                "refresh_token": refresh, "scope": "scim" });
            written(StatusCode::OK, &body)
        }
        Ok(Err(refusal)) => refused(&refusal),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "tokens cannot be given");
            let description = "the server failed; its log says why";
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            refused(&Refusal { status, error: "server_error", description, wait: None })
        }
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

async fn tokens(
    web: &Web,
    peer: SocketAddr,
    name: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> anyhow::Result<Result<Tokens, Refusal>> {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Ok(Err(Refusal::new("invalid_request", "send a form: application/x-www-form-urlencoded")));
    }
    let fields = Fields::read(body);
    let claim = match claim(headers, &fields) {
        Ok(claim) => claim,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let found = web.directories.oauth_client(name).await?;
    let directory = found.as_ref().map(|(_, client)| client.directory);
    let wrong = |way, tried| web.directories.count_wrong(&Attempt { way, directory, name, tried, from: peer.ip() });
    let proven = found.map(|(_, client)| client).filter(|client| {
        client.client_id == claim.client_id && Directories::is_oauth_secret(client, claim.secret.as_ref())
    });
    let Some(client) = proven else {
        let description = "this client or its secret is unknown here; compare `agent-host directory oauth`";
        let refusal = Refusal { status: StatusCode::UNAUTHORIZED, error: "invalid_client", description, wait: None };
        return Ok(Err(refusal.slowed(wrong(Way::ClientSecret, &claim.client_id))));
    };
    let exchanged = exchanged(web, &client, &fields).await?;
    Ok(exchanged.map_err(|refusal| match (refusal.error, fields.get("refresh_token"), fields.get("code")) {
        ("invalid_grant", Ok(Some(tried)), _) | ("invalid_grant", _, Ok(Some(tried))) => {
            refusal.slowed(wrong(Way::Token, tried))
        }
        _ => refusal,
    }))
}

async fn exchanged(web: &Web, client: &OauthClient, fields: &Fields) -> anyhow::Result<Result<Tokens, Refusal>> {
    let asked = || -> Result<_, Refusal> {
        let grant_type = fields.get("grant_type")?;
        let given = match grant_type {
            Some("authorization_code") => fields.get("code")?,
            Some("refresh_token") => fields.get("refresh_token")?,
            Some(_) => {
                let description = "grant_type can be authorization_code or refresh_token";
                return Err(Refusal::new("unsupported_grant_type", description));
            }
            None => return Err(Refusal::new("invalid_request", "grant_type is missing")),
        };
        let Some(given) = given else {
            return Err(Refusal::new("invalid_request", "code or refresh_token is missing"));
        };
        Ok((grant_type == Some("refresh_token"), given, fields.get("redirect_uri")?, fields.get("code_verifier")?))
    };
    let tokens = match asked() {
        Err(refusal) => return Ok(Err(refusal)),
        Ok((true, token, ..)) => web.directories.refresh(client, token).await?,
        Ok((false, code, redirect, verifier)) => {
            web.directories.exchange_code(client, code, redirect.unwrap_or_default(), verifier).await?
        }
    };
    let description = "it is unknown, was used, has ended, or belongs to another redirect_uri or code_verifier; \
                       authorize again";
    Ok(tokens.ok_or_else(|| Refusal::new("invalid_grant", description)))
}

/// Who the client says it is: in its header or in the form, never in both.
fn claim(headers: &HeaderMap, fields: &Fields) -> Result<Claim, Refusal> {
    let (client_id, secret) = (fields.get("client_id")?, fields.get("client_secret")?);
    let Some(header) = headers.get(header::AUTHORIZATION) else {
        let client_id = client_id.ok_or_else(|| Refusal::new("invalid_request", "client_id is missing"))?;
        return Ok(Claim { client_id: client_id.to_owned(), secret: secret.map(SecretString::from) });
    };
    if secret.is_some() {
        return Err(Refusal::new("invalid_request", "the client shows its secret in two ways; use one"));
    }
    let basic = header.to_str().ok().and_then(basic);
    let claim = basic.ok_or_else(|| Refusal::new("invalid_request", "Authorization can be Basic alone"))?;
    if client_id.is_some_and(|client_id| client_id != claim.client_id) {
        return Err(Refusal::new("invalid_request", "the client names itself in two ways"));
    }
    Ok(claim)
}

/// Both halves are written as in forms, RFC 6749 §2.3.1.
fn basic(header: &str) -> Option<Claim> {
    let (scheme, rest) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(rest.trim()).ok()?);
    let (client_id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    let text = |half: &str| {
        let form = Zeroizing::new(format!("half={half}"));
        Some(Zeroizing::new(Fields::read(form.as_bytes()).get("half").ok()?.unwrap_or_default().to_owned()))
    };
    let secret = text(secret)?;
    let secret = (!secret.is_empty()).then(|| SecretString::from(secret.as_str()));
    Some(Claim { client_id: text(client_id)?.to_string(), secret })
}

fn refused(refusal: &Refusal) -> Response {
    let body = json!({ "error": refusal.error, "error_description": refusal.description });
    let mut response = written(refusal.status, &body);
    if refusal.status == StatusCode::UNAUTHORIZED {
        let challenge = HeaderValue::from_static("Basic realm=\"OAuth\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(wait) = refusal.wait {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
    }
    response
}

fn written(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
