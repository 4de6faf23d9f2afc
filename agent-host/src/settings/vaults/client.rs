//! Requests to a vault: one allowance of time for each, repeated a few times where the vault is out of reach, answers
//! bounded in size and wiped afterwards.
//!
//! No redirect is followed, because credentials would go with it. An error never holds a body or an address' query.

use std::{error::Error as _, time::Duration};

use connector_api::{Error, ErrorKind, Result};
use reqwest::{Identity, RequestBuilder, Response, StatusCode, Url, header::HeaderValue, redirect::Policy};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use super::section::{Section, is_loopback, problem};

/// The largest answer that is read.
const MAX_BODY_BYTES: usize = 1 << 20;
/// The waits before an attempt is repeated; no more attempts than these and one.
const WAITS: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];
/// Questions to one vault that are under way at once.
pub(super) const MAX_CONCURRENCY: usize = 8;

/// The way to one server of a vault.
pub(super) struct Client {
    pub(super) http: reqwest::Client,
    /// What the vault is called in messages, such as "HashiCorp vault `https://…`".
    pub(super) vault: String,
    /// The setting that says whom to trust, for hints.
    ca_key: String,
    timeout: Duration,
}

/// What a vault answered. Without `Debug`, because it may hold secrets.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    body: Zeroizing<Vec<u8>>,
}

/// Why one attempt came to nothing.
enum Fault {
    /// Another attempt may help: in words.
    Passing(String),
    Final(Error),
}

impl Client {
    /// A client for the server at `url`. Servers of this machine are asked without a proxy.
    pub(super) fn new(section: &Section<'_>, vault: String, url: &Url, identity: Option<Identity>) -> Result<Self> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("agent-host/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .referer(false);
        if url.scheme() == "https" {
            builder = builder.https_only(true);
        }
        if is_loopback(url) || url.scheme() == "http" {
            builder = builder.no_proxy();
        }
        if let Some(authorities) = section.authorities()? {
            builder = builder.tls_certs_only(authorities);
        }
        if let Some(identity) = identity {
            builder = builder.identity(identity);
        }
        let http = builder.build().map_err(|error| {
            problem(ErrorKind::Settings, &vault, "the HTTP client cannot be set up", "check its certificates")
                .with_source(error.without_url())
        })?;
        Ok(Self { http, vault, ca_key: section.key("CaFile"), timeout: section.timeout()? })
    }

    /// Sends the request until it is answered by something else than a passing fault. `what` is being tried, such as
    /// "reading `secret/okta`".
    ///
    /// # Errors
    /// Of kind `Unavailable` where the vault is out of reach, of kind `Settings` or `Credentials` where the two sides'
    /// certificates do not fit, of kind `Protocol` for an answer too large.
    pub(super) async fn send(&self, what: &str, request: RequestBuilder) -> Result<Answer> {
        let mut last = None;
        let attempts = async {
            for wait in [Duration::ZERO].into_iter().chain(WAITS) {
                sleep(wait).await;
                let request = request.try_clone().expect("the bodies of these requests are bytes");
                match self.attempt(what, request).await {
                    Ok(answer) => return Ok(answer),
                    Err(Fault::Final(error)) => return Err(error),
                    Err(Fault::Passing(why)) => {
                        tracing::debug!(vault = self.vault, what, why, "the vault does not answer");
                        last = Some(why);
                    }
                }
            }
            Err(self.unavailable(what, last.as_deref().unwrap_or_default()))
        };
        let answer = timeout(self.timeout, attempts).await;
        answer.unwrap_or_else(|_| {
            let why = format!("no answer within {} s", self.timeout.as_secs());
            Err(self.unavailable(what, &why))
        })
    }

    async fn attempt(&self, what: &str, request: RequestBuilder) -> Result<Answer, Fault> {
        let response = request.send().await.map_err(|error| self.unsent(what, error.without_url()))?;
        let status = response.status();
        if status.is_redirection() {
            let hint = "name the address of the server that answers itself";
            let what = format_args!("{what}: the server sends us elsewhere ({})", status.as_u16());
            return Err(Fault::Final(problem(ErrorKind::Settings, &self.vault, what, hint)));
        }
        let body = self.body(what, response).await?;
        if body.len() > MAX_BODY_BYTES {
            return Err(Fault::Final(self.nonsense(what)));
        }
        let answer = Answer { status, body };
        if answer.is_sealed() {
            let hint = "unseal it and run again";
            return Err(Fault::Final(problem(ErrorKind::Unavailable, &self.vault, "the vault is sealed", hint)));
        }
        let passing = status.is_server_error() || matches!(status.as_u16(), 408 | 412 | 429);
        if passing { Err(Fault::Passing(format!("it answers {}", status.as_u16()))) } else { Ok(answer) }
    }

    /// Reads the body, up to one byte more than the bound.
    async fn body(&self, what: &str, mut response: Response) -> Result<Zeroizing<Vec<u8>>, Fault> {
        // Its room is made at once: growing would leave copies behind.
        let length = response.content_length().and_then(|length| usize::try_from(length).ok());
        let mut body = Zeroizing::new(Vec::with_capacity(length.unwrap_or(64 << 10).min(MAX_BODY_BYTES)));
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unsent(what, error.without_url()))? {
            if body.len() + chunk.len() > MAX_BODY_BYTES {
                return Err(Fault::Final(self.nonsense(what)));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// What the network or TLS said: certificates that do not fit stay as they are, anything else may pass.
    fn unsent(&self, what: &str, error: reqwest::Error) -> Fault {
        let mut causes = String::new();
        let mut cause = error.source();
        while let Some(inner) = cause {
            causes = inner.to_string();
            if causes.contains("invalid peer certificate") {
                let hint = format!(
                    "name the file with the certificate of its authority in `{}`, or correct the address",
                    self.ca_key
                );
                let what = format_args!("{what}: the server's certificate is not trusted");
                return Fault::Final(problem(ErrorKind::Settings, &self.vault, what, hint).with_source(error));
            }
            if causes.contains("received fatal alert") {
                let hint = "give it a client certificate that it accepts";
                let what = format_args!("{what}: the server refuses the connection, most likely our certificate");
                return Fault::Final(problem(ErrorKind::Credentials, &self.vault, what, hint).with_source(error));
            }
            cause = inner.source();
        }
        Fault::Passing(if causes.is_empty() { error.to_string() } else { causes })
    }

    fn unavailable(&self, what: &str, why: &str) -> Error {
        let hint = "see whether the vault runs and can be reached from here, and run again";
        problem(ErrorKind::Unavailable, &self.vault, format_args!("{what}: the vault is unavailable: {why}"), hint)
    }

    /// An error for an answer that is none of this vault's.
    pub(super) fn nonsense(&self, what: &str) -> Error {
        nonsense(&self.vault, what)
    }

    /// An error for a refusal, with the remedies for a missing right and for a missing thing.
    pub(super) fn refusal(&self, what: &str, status: StatusCode, right: &str, absent: &str) -> Error {
        let (kind, says, hint) = match status.as_u16() {
            401 | 403 => (ErrorKind::Credentials, "the vault refuses it", right),
            404 => (ErrorKind::Settings, "there is no such thing in the vault", absent),
            _ => (ErrorKind::Settings, "the vault does not understand it", "check the settings of the vault"),
        };
        problem(kind, &self.vault, format_args!("{what}: {says} ({})", status.as_u16()), hint)
    }

    /// Reads a successful answer.
    pub(super) fn read<'a, T: Deserialize<'a>>(&self, what: &str, answer: &'a Answer) -> Result<T> {
        serde_json::from_slice(&answer.body).map_err(|_| self.nonsense(what))
    }
}

impl Answer {
    /// HashiCorp's vaults say so with 503 and the word.
    fn is_sealed(&self) -> bool {
        #[derive(Deserialize)]
        struct Errors {
            errors: Vec<String>,
        }
        self.status == StatusCode::SERVICE_UNAVAILABLE
            && serde_json::from_slice::<Errors>(&self.body)
                .is_ok_and(|body| body.errors.iter().any(|error| error.contains("sealed")))
    }
}

/// An error for an answer that no such vault gives.
pub(super) fn nonsense(vault: &str, what: &str) -> Error {
    let hint = "check the address: something else may answer there";
    problem(ErrorKind::Protocol, vault, format_args!("{what}: the answer is none of such a vault"), hint)
}

/// A secret as a header's value, with a word before it, which no log shows.
pub(super) fn header(before: &str, secret: &SecretString) -> Option<HeaderValue> {
    let text = Zeroizing::new(format!("{before}{}", secret.expose_secret().trim()));
    let mut value = HeaderValue::from_str(&text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
