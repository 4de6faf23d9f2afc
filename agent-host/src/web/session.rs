//! Who sends a request to the dashboard: the cookie of their session, and proof that a form was shown to them.
//!
//! A page without a session leads to sign-in. A form must come from a page of ours (`Sec-Fetch-Site`, `Origin`) and carry
//! the code that only the browser it was shown to can have: the hash of what its cookie holds. Where the agent is reached
//! by https cookies are `__Host-` ones, so that no neighbour can set them.

use std::{net::SocketAddr, sync::Arc};

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use axum::{
    body::Bytes,
    extract::{ConnectInfo, FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::SecretString;
use url::{Url, form_urlencoded};

use super::{Web, pages};
use crate::operators::Session;

/// The cookie of a session, and that of a browser that is not signed in yet.
pub(super) const SESSION: &str = "agent-session";
pub(super) const VISITOR: &str = "agent-visitor";
/// The longest value of a cookie of ours: a path, in Base64.
const MAX_COOKIE: usize = 4 * MAX_PATH.div_ceil(3);
/// The longest path that somebody is sent to.
const MAX_PATH: usize = 512;

/// Somebody who is signed in, and where their request comes from.
pub(super) struct SignedIn {
    pub(super) session: Session,
    /// What their forms carry.
    pub(super) code: String,
    pub(super) peer: SocketAddr,
}

/// A form of somebody who is signed in, which was shown to them.
pub(super) struct Sent {
    pub(super) who: SignedIn,
    pub(super) fields: Fields,
}

/// What a form holds.
pub(super) struct Fields(Vec<(String, SecretString)>);

impl FromRequestParts<Arc<Web>> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, web: &Arc<Web>) -> Result<Self, Response> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        let peer = peer.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
        let held = cookie(&parts.headers, &name(web, SESSION)).unwrap_or_default();
        let session = match held {
            "" => None,
            held => web.operators.session(held).await.map_err(|error| pages::failed(&error))?,
        };
        match session {
            Some(session) => Ok(Self { session, code: code_for(held), peer }),
            None => {
                let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
                let next = if parts.method == Method::GET { path } else { "/" };
                let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
                Err(Redirect::to(&format!("/sign-in?next={next}")).into_response())
            }
        }
    }
}

impl FromRequest<Arc<Web>> for Sent {
    type Rejection = Response;

    async fn from_request(request: Request, web: &Arc<Web>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let who = SignedIn::from_request_parts(&mut parts, web).await?;
        if !is_from_us(&parts.headers) {
            return Err(pages::forged(web, &who));
        }
        let body = Bytes::from_request(Request::from_parts(parts, body), web).await;
        let fields = Fields::read(&body.map_err(IntoResponse::into_response)?);
        if !is_equal(fields.text("code"), &who.code) {
            return Err(pages::forged(web, &who));
        }
        Ok(Self { who, fields })
    }
}

impl Sent {
    /// Uses the form up, so that what it asks for is done once, however often it is sent.
    ///
    /// # Errors
    /// The page that says so, where it was sent before.
    pub(super) async fn use_up(&self, web: &Web) -> Result<(), Response> {
        let once = self.fields.text("once");
        if once.is_empty() {
            return Err(pages::forged(web, &self.who));
        }
        let form = sha256(&format!("{}\n{once}", self.who.session.hash));
        let (now_ms, longest_ms) = (web.now_ms(), web.operators.session_seconds() * 1000);
        match web.store().use_form(&form, now_ms, now_ms - longest_ms).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(pages::sent_before(web, &self.who)),
            Err(error) => Err(pages::failed(&error)),
        }
    }
}

impl Fields {
    pub(super) fn read(body: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(body);
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned().into())).collect())
    }

    /// A field that is no secret, trimmed; empty where it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        self.secret(name).map(secrecy::ExposeSecret::expose_secret).unwrap_or_default().trim()
    }

    /// All fields of this name.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let named = self.0.iter().filter(|(known, _)| known == name);
        named.map(|(_, value)| secrecy::ExposeSecret::expose_secret(value).trim().to_owned()).collect()
    }

    /// Whether a box is ticked.
    pub(super) fn is_set(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }

    /// A field as it was typed.
    pub(super) fn secret(&self, name: &str) -> Option<&SecretString> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }

    /// The names of the fields that were sent.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}

/// What a form carries that is shown to the browser with this cookie.
pub(super) fn code_for(held: &str) -> String {
    sha256(&format!("form\n{held}"))
}

fn sha256(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, text.as_bytes()))
}

/// Whether two texts are the same; takes as long either way.
pub(super) fn is_equal(one: &str, two: &str) -> bool {
    !two.is_empty() && verify_slices_are_equal(one.as_bytes(), two.as_bytes()).is_ok()
}

/// Whether the browser says that a page of ours sent the form, as far as it says anything.
pub(super) fn is_from_us(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = text("origin") else { return true };
    let host = text("host").unwrap_or_default();
    let Ok(origin) = Url::parse(origin) else { return false };
    let port = origin.port().map(|port| format!(":{port}")).unwrap_or_default();
    origin.host_str().is_some_and(|name| host.eq_ignore_ascii_case(&format!("{name}{port}")))
}

/// What the browser holds under this name, if it can be ours.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(known, _)| *known == name)?;
    let is_ours = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (!value.is_empty() && value.len() <= MAX_COOKIE && value.bytes().all(is_ours)).then_some(value)
}

/// The cookie's name as it is here.
pub(super) fn name(web: &Web, cookie: &str) -> String {
    if web.is_secure() { format!("__Host-{cookie}") } else { cookie.to_owned() }
}

/// Lets the browser hold this for so long; no time ends it. Lax, because sign-in by a provider comes back from its site.
pub(super) fn set_cookie(web: &Web, response: &mut Response, cookie: &str, held: &str, seconds: i64) {
    let secure = if web.is_secure() { "; Secure" } else { "" };
    let name = name(web, cookie);
    let set = format!("{name}={held}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}");
    if let Ok(set) = HeaderValue::from_str(&set) {
        response.headers_mut().append(header::SET_COOKIE, set);
    }
}

/// A path of this agent that somebody may be sent to, else the first page: never another site. Browsers leave tabs and
/// line ends out of an address before they read it, and take `\` for `/`.
pub(super) fn own_path(path: &str) -> &str {
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_ours = path.starts_with('/') && !path.starts_with("//") && is_plain;
    if is_ours && path.len() <= MAX_PATH { path } else { "/" }
}

/// Sends the browser to another page by GET, whatever it did before.
pub(super) fn see(path: &str) -> Response {
    match HeaderValue::from_str(path) {
        Ok(path) => (StatusCode::SEE_OTHER, [(header::LOCATION, path)]).into_response(),
        Err(_) => Redirect::to("/").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_form_of_another_site_is_known() {
        let here = ("host", "agent.example.com:6001");
        let cases: [(&[(&'static str, &'static str)], bool); 8] = [
            (&[here], true),
            (&[here, ("sec-fetch-site", "same-origin")], true),
            (&[here, ("sec-fetch-site", "same-site")], false),
            (&[here, ("sec-fetch-site", "cross-site"), ("origin", "http://agent.example.com:6001")], false),
            (&[here, ("origin", "https://Agent.example.com:6001")], true),
            (&[here, ("origin", "https://agent.example.com")], false),
            (&[here, ("origin", "https://evil.example")], false),
            (&[here, ("origin", "null")], false),
        ];
        for (pairs, expected) in cases {
            assert_eq!(is_from_us(&headers(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn nobody_is_sent_to_another_site() {
        for path in ["/", "/runs/7?x=1"] {
            assert_eq!(own_path(path), path);
        }
        for path in
            ["", "runs", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb", "/\t/evil.example"]
        {
            assert_eq!(own_path(path), "/");
        }
    }

    #[test]
    fn a_cookie_that_cannot_be_ours_is_none() {
        let cookies = headers(&[("cookie", "a=1; agent-session=abc_-9; b=x y")]);
        assert_eq!(cookie(&cookies, SESSION), Some("abc_-9"));
        assert_eq!(cookie(&cookies, "b"), None);
        assert_eq!(cookie(&cookies, VISITOR), None);
    }
}
