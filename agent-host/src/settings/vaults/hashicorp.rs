//! HashiCorp Vault and OpenBao: settings in secrets of the KV engine, version 1 or 2.
//!
//! Signed in with a token, which is renewed, or with AppRole, whose token is given back afterwards. Section
//! `HashiCorpVault`. Source: the API pages of the KV engine, of AppRole and of tokens; OpenBao's are the same.

use std::time::Duration;

use connector_api::{Error, ErrorKind, Result};
use reqwest::{Method, RequestBuilder, StatusCode, Url, header::HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Found, Sources,
    client::{self, Client},
    section::{Section, problem},
};
use crate::{
    redaction,
    settings::{Warning, values::Values},
};

/// A token is renewed when half of its time is over, but not more often than this.
const SHORTEST_REFRESH: Duration = Duration::from_secs(30);

/// The versions of the KV engine that a secret is looked for in.
const VERSIONS: [(&str, &[Version]); 3] =
    [("auto", &[Version::Two, Version::One]), ("1", &[Version::One]), ("2", &[Version::Two])];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// How we sign in.
enum Credentials {
    Token(SecretString),
    AppRole { role_id: SecretString, secret_id: Option<SecretString> },
}

struct Vault<'a> {
    section: Section<'a>,
    client: Client,
    address: Url,
    namespace: Option<HeaderValue>,
    mount: &'a str,
    versions: &'static [Version],
}

/// A secret to read: its path in the engine, and the section that its keys belong to.
struct Wanted<'a> {
    path: &'a str,
    section: String,
}

#[derive(Serialize)]
struct Login<'a> {
    role_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_id: Option<&'a str>,
}

#[derive(Deserialize)]
struct SignedIn {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: SecretString,
    #[serde(default)]
    lease_duration: u64,
}

/// An answer of either version; in the second, `data` holds another one.
#[derive(Deserialize)]
struct Secret<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(default)]
    lease_duration: u64,
}

#[derive(Deserialize)]
struct Versioned<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// Reads the secrets that the section asks for; nothing where there is no such section.
pub(super) async fn read(sources: Sources<'_>, values: &Values, warnings: &mut Vec<Warning>) -> Result<Option<Found>> {
    let section = Section::new("HashiCorpVault", sources, values);
    if !section.has("Address") {
        return Ok(None);
    }
    let vault = Vault::open(section)?;
    let wanted = wanted(&section)?;
    let credentials = credentials(&section)?;
    let (token, mut refresh) = vault.sign_in(&credentials).await?;
    let mut found = Found::default();
    for wanted in &wanted {
        refresh = refresh.min(vault.read(&token, wanted, &mut found, warnings).await);
        if found.is_cut_short() {
            break;
        }
    }
    if matches!(credentials, Credentials::AppRole { .. }) && !found.is_cut_short() {
        vault.give_back(&token).await;
    }
    found.refresh_after = refresh.max(SHORTEST_REFRESH);
    Ok(Some(found))
}

/// The secrets that are asked for.
fn wanted<'a>(section: &Section<'a>) -> Result<Vec<Wanted<'a>>> {
    let whole = section.list("Path").into_iter().map(|path| Wanted { path, section: String::new() });
    let of_connections =
        section.below("Connections").map(|(id, path)| Wanted { path, section: format!("Connections:{id}") });
    let wanted: Vec<_> = whole.chain(of_connections).collect();
    if wanted.is_empty() {
        let hint = "name a secret in `Path`, or one for each connection below `Connections`";
        return Err(section.error("Path", "is missing").with_hint(hint));
    }
    Ok(wanted)
}

fn credentials(section: &Section<'_>) -> Result<Credentials> {
    match (section.secret("Token")?, section.secret("RoleId")?) {
        (Some(token), None) => Ok(Credentials::Token(token)),
        (None, Some(role_id)) => Ok(Credentials::AppRole { role_id, secret_id: section.secret("SecretId")? }),
        (Some(_), Some(_)) => Err(section.error("RoleId", "and a token are both given").with_hint("keep one of them")),
        (None, None) => {
            let hint = "set `Token` or `TokenFile`, or `RoleId` and `SecretId` of an AppRole";
            Err(section.error("Token", "is missing").with_hint(hint))
        }
    }
}

impl<'a> Vault<'a> {
    fn open(section: Section<'a>) -> Result<Self> {
        let address = section.address("Address")?;
        let name = format!("HashiCorp vault `{}`", address.as_str().trim_end_matches('/'));
        let version = section.text("KvVersion").unwrap_or("auto");
        let versions = VERSIONS.iter().find(|(name, _)| name.eq_ignore_ascii_case(version)).ok_or_else(|| {
            section.error("KvVersion", "is no version of the KV engine").with_hint("write auto, 1 or 2")
        })?;
        let namespace = section.text("Namespace").map(HeaderValue::from_str).transpose().map_err(|_| {
            section.error("Namespace", "cannot be sent").with_hint("write the namespace's path, such as `team/agent`")
        })?;
        let client = Client::new(&section, name, &address, None)?;
        let mount = section.text("Mount").unwrap_or("secret").trim_matches('/');
        Ok(Self { section, client, address, namespace, mount, versions: versions.1 })
    }

    /// The token, and after how long it must be renewed.
    async fn sign_in(&self, credentials: &Credentials) -> Result<(HeaderValue, Duration)> {
        let refresh = self.section.refresh()?;
        match credentials {
            Credentials::Token(token) => {
                let token = self.header(token, "Token")?;
                Ok((token.clone(), refresh.min(self.renew(&token).await?)))
            }
            Credentials::AppRole { role_id, secret_id } => {
                let token = self.log_in(role_id, secret_id.as_ref()).await?;
                redaction::remember([&token]);
                Ok((self.header(&token, "RoleId")?, refresh))
            }
        }
    }

    fn header(&self, token: &SecretString, key: &str) -> Result<HeaderValue> {
        client::header("", token).ok_or_else(|| self.section.error(key, "cannot be sent").with_hint("write it again"))
    }

    /// Signs in with AppRole. Its token lives for this reading alone.
    async fn log_in(&self, role_id: &SecretString, secret_id: Option<&SecretString>) -> Result<SecretString> {
        let mount = self.section.text("AppRoleMount").unwrap_or("approle");
        let what = format!("signing in with the AppRole at `auth/{mount}`");
        let login = Login {
            role_id: role_id.expose_secret().trim(),
            secret_id: secret_id.map(|secret_id| secret_id.expose_secret().trim()),
        };
        let body = serde_json::to_vec(&login).expect("texts can be written as JSON");
        let url = self.url(&["auth", mount, "login"]);
        let request = self.request(Method::POST, url, None).body(body);
        let answer = self.client.send(&what, request).await?;
        match answer.status {
            StatusCode::OK => Ok(self.client.read::<SignedIn>(&what, &answer)?.auth.client_token),
            // What the server answers to a role or a secret identifier that it does not know.
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let hint = "check `RoleId` and `SecretId`; a secret identifier may have been used up";
                let what = format_args!("{what}: the vault refuses it ({})", answer.status.as_u16());
                Err(problem(ErrorKind::Credentials, &self.client.vault, what, hint))
            }
            status => Err(self.client.refusal(&what, status, "", "check `AppRoleMount` and `Namespace`")),
        }
    }

    /// Renews the token; after how long that is due again. Tokens that cannot be renewed are as good until they end.
    async fn renew(&self, token: &HeaderValue) -> Result<Duration> {
        let what = "renewing the token";
        let url = self.url(&["auth", "token", "renew-self"]);
        let request = self.request(Method::POST, url, Some(token)).body("{}");
        let renewed = self.client.send(what, request).await.and_then(|answer| match answer.status {
            StatusCode::OK => Ok(self.client.read::<SignedIn>(what, &answer)?.auth.lease_duration),
            status => Err(self.client.refusal(what, status, "", "")),
        });
        match renewed {
            Ok(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds / 2)),
            Ok(_) => Ok(Duration::MAX),
            Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
            Err(error) => {
                tracing::debug!(%error, "the token is used as it is");
                Ok(Duration::MAX)
            }
        }
    }

    /// Ends a token. One that stays ends by itself.
    async fn give_back(&self, token: &HeaderValue) {
        let url = self.url(&["auth", "token", "revoke-self"]);
        if let Err(error) =
            self.client.send("giving the token back", self.request(Method::POST, url, Some(token))).await
        {
            tracing::debug!(%error, "the token ends by itself");
        }
    }

    /// Reads one secret into `found`; after how long it must be read again.
    async fn read(
        &self,
        token: &HeaderValue,
        wanted: &Wanted<'_>,
        found: &mut Found,
        warnings: &mut Vec<Warning>,
    ) -> Duration {
        let mut refusal: Option<Error> = None;
        for version in self.versions {
            match self.read_version(token, wanted, *version, found, warnings).await {
                Ok(lease) => return lease,
                // Of two refusals a missing right says more than a missing secret.
                Err(error) if error.kind() == ErrorKind::Settings && refusal.is_some() => {}
                Err(error) => {
                    let ends = !matches!(error.kind(), ErrorKind::Settings | ErrorKind::Credentials);
                    refusal = Some(error);
                    if ends {
                        break;
                    }
                }
            }
        }
        found.problems.extend(refusal);
        Duration::MAX
    }

    async fn read_version(
        &self,
        token: &HeaderValue,
        wanted: &Wanted<'_>,
        version: Version,
        found: &mut Found,
        warnings: &mut Vec<Warning>,
    ) -> Result<Duration> {
        let path = wanted.path.trim_matches('/');
        let what = format!("reading `{}/{path}`", self.mount);
        let absent = "check `Mount`, the path, `KvVersion` and `Namespace`";
        let url = match version {
            Version::One => self.url(&[self.mount, path]),
            Version::Two => self.url(&[self.mount, "data", path]),
        };
        let answer = self.client.send(&what, self.request(Method::GET, url, Some(token))).await?;
        if answer.status != StatusCode::OK {
            let right = "check the token, and let its policy read this path";
            return Err(self.client.refusal(&what, answer.status, right, absent));
        }
        let secret: Secret<'_> = self.client.read(&what, &answer)?;
        let data = match version {
            Version::One => secret.data,
            Version::Two => {
                let versioned = secret.data.map(|data| serde_json::from_str::<Versioned<'_>>(data.get()));
                versioned.transpose().map_err(|_| self.client.nonsense(&what))?.and_then(|versioned| versioned.data)
            }
        };
        let Some(data) = data else {
            return Err(self.client.refusal(&what, StatusCode::NOT_FOUND, "", absent));
        };
        let place = format!("{}, `{}/{path}`", self.client.vault, self.mount);
        found.take_object(&place, &wanted.section, data.get(), warnings).map_err(|_| self.client.nonsense(&what))?;
        let lease = secret.lease_duration;
        Ok(if lease > 0 { Duration::from_secs(lease) } else { Duration::MAX })
    }

    /// The address of a part of the API; each text may hold several segments.
    fn url(&self, parts: &[&str]) -> Url {
        let mut url = self.address.clone();
        let mut segments = url.path_segments_mut().expect("an address with a host has a path");
        segments.pop_if_empty().push("v1");
        for part in parts {
            segments.extend(part.split('/').filter(|segment| !segment.is_empty()));
        }
        drop(segments);
        url
    }

    fn request(&self, method: Method, url: Url, token: Option<&HeaderValue>) -> RequestBuilder {
        let mut request = self.client.http.request(method, url).header("X-Vault-Request", "true");
        if let Some(namespace) = &self.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        match token {
            Some(token) => request.header("X-Vault-Token", token),
            None => request,
        }
    }
}
