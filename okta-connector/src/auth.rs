//! The credentials of a connection, and what they put on each request: the one place that opens the secrets.
//!
//! Either an API token ("SSWS"), the same on each request, or a service app (OAuth 2.0), whose access tokens end and
//! whose proofs are made for one attempt. Makes no request: the client does, and shows what was answered.
//! Sources: Okta's "Create an API token" and "Implement OAuth for Okta with a service app".

mod app;
mod jwt;
mod key;
mod proof;
mod scopes;

use std::sync::Arc;

use connector_api::{Error, Result};
use reqwest::{
    Method,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE},
};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

pub(crate) use self::{
    app::{AccessToken, App, Asked, DPoP, TOKEN_PATH, TokenAnswer},
    scopes::Scope,
};

const DPOP: HeaderName = HeaderName::from_static("dpop");
const DPOP_NONCE: &str = "dpop-nonce";
/// The longest nonce that is repeated to the server.
const MAX_NONCE_BYTES: usize = 1024;
/// How often one request is signed anew with a fresh nonce: one may end while the request is under way.
const MAX_NONCES: u32 = 2;

/// The credentials of a connection.
#[derive(Debug)]
pub(crate) enum Auth {
    /// An API token.
    Token(SecretString),
    App(Box<App>),
}

/// With what a request is signed.
#[derive(Debug, Clone)]
pub(crate) enum Pass {
    /// Nothing: the path is open to anyone.
    Open,
    /// The API token.
    Token,
    /// The app's key: the request is for an access token.
    Key(Asked),
    Access(Arc<AccessToken>),
}

/// What an answer says about the credentials, beside its status and body.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Challenge {
    /// It brought a nonce for the next proof.
    pub brings_nonce: bool,
    /// It says that the proof must hold a nonce.
    pub wants_nonce: bool,
    /// The server's clock is elsewhere than we thought.
    pub clock_was_off: bool,
}

/// What was already tried to have one request accepted.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    nonces: u32,
    clock: bool,
    token: bool,
}

impl Auth {
    pub(crate) fn with_api_key(api_key: SecretString) -> Result<Self> {
        if api_key.expose_secret().trim().starts_with('<') {
            return Err(Error::setting("ApiKey", "`ApiKey` still is the placeholder of the sample")
                .with_hint("put the API token in its place, or into the environment"));
        }
        ssws(&api_key).map(|_| Self::Token(api_key)).ok_or_else(|| {
            Error::setting("ApiKey", "`ApiKey` contains a character that no API token has")
                .with_hint("paste the token again as Okta showed it when it was created")
        })
    }

    pub(crate) fn with_app(app: App) -> Self {
        Self::App(Box::new(app))
    }

    pub(crate) fn app(&self) -> Option<&App> {
        match self {
            Self::App(app) => Some(app),
            Self::Token(_) => None,
        }
    }

    /// The headers of one attempt at a request; they must not be sent twice. `now` is in seconds since 1970, by the
    /// server's clock.
    pub(crate) fn headers(&self, pass: &Pass, method: &Method, url: &Url, now: i64) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut put = |name: HeaderName, value: Option<HeaderValue>| {
            let mut value = value.expect("what is put into a header was checked before");
            // So that no one prints it.
            value.set_sensitive(true);
            headers.insert(name, value);
        };
        match (self, pass) {
            (Self::Token(api_key), Pass::Token) => put(AUTHORIZATION, ssws(api_key)),
            (Self::App(app), Pass::Key(_) | Pass::Access(_)) => {
                let token = if let Pass::Access(token) = pass { Some(&**token) } else { None };
                if let Some(token) = token {
                    put(AUTHORIZATION, HeaderValue::try_from(token.authorization()).ok());
                }
                if let Some(proof) = app.proof(token, method, url, now) {
                    put(DPOP, HeaderValue::try_from(proof).ok());
                }
            }
            _ => {}
        }
        headers
    }

    /// The body of one attempt at getting an access token.
    pub(crate) fn form(&self, pass: &Pass, now: i64) -> Option<String> {
        match (self, pass) {
            (Self::App(app), Pass::Key(asked)) => Some(app.form(asked, now)),
            _ => None,
        }
    }

    /// Learns from the headers of an answer, whatever its status.
    pub(crate) fn learn(&self, headers: &HeaderMap, clock_was_off: bool) -> Challenge {
        let nonce = headers.get(DPOP_NONCE).and_then(|value| value.to_str().ok());
        let nonce = nonce.filter(|nonce| !nonce.is_empty() && nonce.len() <= MAX_NONCE_BYTES);
        if let (Self::App(app), Some(nonce)) = (self, nonce) {
            app.take_nonce(nonce);
        }
        let mut challenges = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        Challenge {
            brings_nonce: nonce.is_some(),
            wants_nonce: challenges.any(|challenge| challenge.contains("use_dpop_nonce")),
            clock_was_off,
        }
    }

    /// Whether a request that was refused may be accepted when it is signed anew. Says so only so often.
    pub(crate) fn signs_anew(
        &self,
        pass: &Pass,
        (status, code): (u16, &str),
        challenge: Challenge,
        tried: &mut Tried,
    ) -> bool {
        let Self::App(app) = self else { return false };
        // E0000015 is about a feature that the organisation lacks, in spite of its status.
        let is_unauthorized = status == 401 && code != "E0000015";
        let asks_for_nonce = challenge.wants_nonce || code == "use_dpop_nonce";
        let may_be_nonce = asks_for_nonce || is_unauthorized && tried.nonces == 0 && matches!(pass, Pass::Access(_));
        if challenge.brings_nonce && may_be_nonce && tried.nonces < MAX_NONCES && app.dpop() != DPoP::Off {
            tried.nonces += 1;
            return true;
        }
        match pass {
            Pass::Access(token) if is_unauthorized && !tried.token => {
                tried.token = true;
                app.drop_token(token);
                true
            }
            Pass::Key(_) if challenge.clock_was_off && !tried.clock && matches!(status, 400 | 401) => {
                tried.clock = true;
                true
            }
            _ => false,
        }
    }

    /// A text that came from elsewhere, without the secrets, should it repeat one in whatever case.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut redacted = text.to_owned();
        let mut hide = |secret: &str| redacted = without(&redacted, secret);
        match self {
            Self::Token(api_key) => hide(api_key.expose_secret().trim()),
            Self::App(app) => app.each_secret(hide),
        }
        if self.app().is_some() { without_signed_tokens(&redacted) } else { redacted }
    }
}

fn ssws(api_key: &SecretString) -> Option<HeaderValue> {
    let text = api_key.expose_secret().trim();
    HeaderValue::try_from(format!("SSWS {text}")).ok().filter(|_| text.is_ascii())
}

fn without(text: &str, secret: &str) -> String {
    let secret = secret.to_ascii_lowercase();
    let (mut redacted, mut rest) = (String::with_capacity(text.len()), text);
    // Lowering ASCII letters leaves every offset where it is.
    while let Some(start) = rest.to_ascii_lowercase().find(&secret) {
        redacted.push_str(&rest[..start]);
        redacted.push_str("***");
        rest = &rest[start + secret.len()..];
    }
    redacted + rest
}

/// Takes out whatever looks like a JWT: assertions and proofs are not kept, and many access tokens are one.
fn without_signed_tokens(text: &str) -> String {
    let is_in_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let (mut redacted, mut rest) = (String::with_capacity(text.len()), text);
    // Each begins with `{"` in base64url.
    while let Some(start) = rest.to_ascii_lowercase().find("eyj") {
        let end = rest[start..].find(|c| !is_in_token(c)).map_or(rest.len(), |length| start + length);
        redacted.push_str(&rest[..start]);
        redacted.push_str(if rest[start..end].contains('.') { "***" } else { &rest[start..end] });
        rest = &rest[end..];
    }
    redacted + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_never_shown() {
        let auth = Auth::with_api_key("00secretTokenOfAnAdmin".into()).unwrap();
        let url = Url::parse("https://example.okta.com/api/v1/users").unwrap();
        let headers = auth.headers(&Pass::Token, &Method::GET, &url, 0);
        assert_eq!(headers[AUTHORIZATION], "SSWS 00secretTokenOfAnAdmin");
        assert!(!format!("{auth:?} {headers:?}").contains("secretToken"));
        assert_eq!(auth.redact("Invalid token 00secretTokenOfAnAdmin"), "Invalid token ***");
        assert_eq!(auth.redact("İ 00secrettokenofanadmin.example, 00SECRETTOKENOFANADMIN"), "İ ***.example, ***");
        assert!(!Auth::with_api_key("00sec\nret".into()).unwrap_err().to_string().contains("sec"));
        assert!(auth.headers(&Pass::Open, &Method::GET, &url, 0).is_empty());
    }

    #[test]
    fn what_looks_like_a_signed_token_is_taken_out() {
        for (text, redacted) in [
            ("assertion eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIwb2EifQ.c2ln was refused", "assertion *** was refused"),
            ("EYJHBGCI.X", "***"),
            ("keyjar", "keyjar"),
            ("eyJx, eyJy.z", "eyJx, ***"),
        ] {
            assert_eq!(without_signed_tokens(text), redacted);
        }
    }
}
