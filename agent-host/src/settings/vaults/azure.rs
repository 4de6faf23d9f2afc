//! Azure Key Vault: every secret whose name is a setting's key with `--` for `:`, such as `Connections--Okta--ApiKey`.
//!
//! Section `AzureKeyVault` (or `KeyVault`, for the vendor's page does not name it). Where the section says nothing, the
//! variables of Azure's own libraries count. Sources: Key Vault REST API 7.4, Microsoft identity platform (client
//! credentials), managed identities for virtual machines and App Service.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use connector_api::{ErrorKind, Result};
use futures::{StreamExt, stream};
use reqwest::{
    StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use serde::Deserialize;
use url::form_urlencoded;

use super::{
    Found, Sources,
    assertion::assertion,
    certificate::ClientCertificate,
    client::{self, Client, MAX_CONCURRENCY},
    full_key,
    section::{Section, problem},
};
use crate::{
    redaction,
    settings::{Warning, values::Values},
};

const SECTIONS: [&str; 2] = ["AzureKeyVault", "KeyVault"];
const API_VERSION: &str = "7.4";
/// Pages of 25 names; more are no settings of one agent.
const MAX_PAGES: usize = 400;
/// Secrets that are read.
const MAX_SECRETS: usize = 1000;

struct Vault<'a> {
    section: Section<'a>,
    client: Client,
    address: Url,
}

/// A way to a token: where to ask, with what.
struct Grant {
    url: Url,
    form: Option<Zeroizing<String>>,
    header: Option<(&'static str, SecretString)>,
}

#[derive(Deserialize)]
struct Token {
    access_token: SecretString,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    value: Vec<Listed>,
    next_link: Option<String>,
}

#[derive(Deserialize)]
struct Listed {
    id: String,
    #[serde(default)]
    attributes: Attributes,
}

/// Times in seconds since 1970.
#[derive(Default, Deserialize)]
struct Attributes {
    enabled: Option<bool>,
    nbf: Option<u64>,
    exp: Option<u64>,
}

#[derive(Deserialize)]
struct Secret {
    value: SecretString,
}

/// Reads the vault that the section names; nothing where there is no such section.
pub(super) async fn read(
    sources: Sources<'_>,
    values: &Values,
    now: SystemTime,
    warnings: &mut Vec<Warning>,
) -> Result<Option<Found>> {
    let sections = SECTIONS.map(|name| Section::new(name, sources, values));
    let Some(section) = sections.into_iter().find(|section| section.has("Vault")) else { return Ok(None) };
    let address = section.address("Vault")?;
    let name = format!("Azure key vault `{}`", address.as_str().trim_end_matches('/'));
    let client = Client::new(&section, name, &address, None)?;
    let vault = Vault { section, client, address };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let token = vault.token(now).await?;
    redaction::remember([&token]);
    let names = vault.list(&token, now, warnings).await?;
    let mut found = Found { refresh_after: section.refresh()?, ..Found::default() };
    let mut secrets = stream::iter(&names).map(|name| vault.secret(&token, name)).buffered(MAX_CONCURRENCY);
    while let Some(secret) = secrets.next().await {
        match secret {
            Ok((name, secret)) => found.take(&format!("{}, `{name}`", vault.client.vault), &full_key(name), secret),
            Err(error) => found.problems.push(error),
        }
        if found.is_cut_short() {
            break;
        }
    }
    drop(secrets);
    Ok(Some(found))
}

impl Vault<'_> {
    /// What the token must be good for: the vault's own cloud.
    fn resource(&self) -> String {
        let host = self.address.host_str().unwrap_or_default();
        let cloud = host.split_once(".vault.").map_or("azure.net", |(_, cloud)| cloud);
        format!("https://vault.{cloud}")
    }

    /// A setting, or the variable that Azure's own libraries read for it.
    fn given(&self, key: &str, variable: &str) -> Option<&str> {
        self.section.text(key).or_else(|| self.section.variable(variable))
    }

    async fn token(&self, now: Duration) -> Result<SecretString> {
        let (what, grant) = self.grant(now)?;
        let client = Client::new(&self.section, self.client.vault.clone(), &grant.url, None)?;
        let mut request = match grant.form {
            Some(form) => client
                .http
                .post(grant.url)
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form.as_bytes().to_vec()),
            None => client.http.get(grant.url),
        };
        if let Some((name, value)) = grant.header {
            let value =
                client::header("", &value).ok_or_else(|| client.refusal(what, StatusCode::BAD_REQUEST, "", ""))?;
            request = request.header(name, value);
        }
        let answer = client.send(what, request).await?;
        match answer.status {
            StatusCode::OK => Ok(client.read::<Token>(what, &answer)?.access_token),
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let hint = "check `TenantId`, `ClientId` and the secret or certificate; without them, \
                            give this machine a managed identity";
                let what = format_args!("{what}: it is refused ({})", answer.status.as_u16());
                Err(problem(ErrorKind::Credentials, &client.vault, what, hint))
            }
            status => Err(client.refusal(what, status, "", "check `TenantId` and `AuthorityHost`")),
        }
    }

    /// How to come by a token, and what that is called: by a client's secret, its certificate, the token of a
    /// workload, or the identity of this machine.
    fn grant(&self, now: Duration) -> Result<(&'static str, Grant)> {
        let section = &self.section;
        let secret = match section.secret("ClientSecret")? {
            None => section.variable("AZURE_CLIENT_SECRET").map(SecretString::from),
            secret => secret,
        };
        redaction::remember(&secret);
        let certificate = ClientCertificate::read(section, "ClientCertificate", "ClientCertificatePassword")?;
        let client_id = self.given("ClientId", "AZURE_CLIENT_ID");
        let workload = section.file_of("AZURE_FEDERATED_TOKEN_FILE")?;
        if secret.is_none() && certificate.is_none() && workload.is_none() {
            return Ok(("asking for a token of the managed identity", self.managed_identity(client_id)?));
        }
        let missing =
            |key: &str| section.error(key, "is missing").with_hint("set it, as the app registration shows it");
        let tenant = self.given("TenantId", "AZURE_TENANT_ID").ok_or_else(|| missing("TenantId"))?;
        let client_id = client_id.ok_or_else(|| missing("ClientId"))?;
        let host = self.given("AuthorityHost", "AZURE_AUTHORITY_HOST").unwrap_or("https://login.microsoftonline.com");
        let mut url = section.check_address("AuthorityHost", host)?;
        url.set_path(&format!("{}/{tenant}/oauth2/v2.0/token", url.path().trim_end_matches('/')));

        let mut form = form_urlencoded::Serializer::new(String::with_capacity(8 << 10));
        form.append_pair("grant_type", "client_credentials")
            .append_pair("client_id", client_id)
            .append_pair("scope", &format!("{}/.default", self.resource()));
        if let Some(secret) = secret {
            form.append_pair("client_secret", secret.expose_secret().trim());
        } else {
            let signed = match (&certificate, workload) {
                (Some(certificate), _) => assertion(section, certificate, client_id, &url, now)?,
                (None, workload) => workload.expect("one of the three was found above"),
            };
            form.append_pair("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                .append_pair("client_assertion", signed.expose_secret());
        }
        let form = Some(Zeroizing::new(form.finish()));
        Ok(("asking for a token", Grant { url, form, header: None }))
    }

    /// App Service names its endpoint in variables; a virtual machine's is at a fixed address.
    fn managed_identity(&self, client_id: Option<&str>) -> Result<Grant> {
        let section = &self.section;
        let endpoint = section.variable("IDENTITY_ENDPOINT").zip(section.variable("IDENTITY_HEADER"));
        let (address, version, header) = match endpoint {
            Some((endpoint, header)) => (endpoint.to_owned(), "2019-08-01", ("X-IDENTITY-HEADER", header.into())),
            None => {
                let host = section.variable("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or("http://169.254.169.254");
                let address = format!("{}/metadata/identity/oauth2/token", host.trim_end_matches('/'));
                (address, "2018-02-01", ("Metadata", "true".into()))
            }
        };
        let mut url = Url::parse(&address).map_err(|_| {
            let hint = "leave `IDENTITY_ENDPOINT` and `AZURE_POD_IDENTITY_AUTHORITY_HOST` to Azure";
            section.error("Vault", "needs a managed identity, whose endpoint is no address").with_hint(hint)
        })?;
        url.query_pairs_mut().append_pair("api-version", version).append_pair("resource", &self.resource());
        if let Some(client_id) = client_id {
            url.query_pairs_mut().append_pair("client_id", client_id);
        }
        Ok(Grant { url, form: None, header: Some(header) })
    }

    /// The names of the secrets that are settings and may be used now.
    async fn list(&self, token: &SecretString, now: Duration, warnings: &mut Vec<Warning>) -> Result<Vec<String>> {
        let what = "listing the secrets";
        let mut names = Vec::new();
        let mut next = Some(self.url(&["secrets"], &[("maxresults", "25")]));
        for _ in 0..MAX_PAGES {
            let Some(url) = next.take() else { return Ok(names) };
            let answer = self.client.send(what, self.get(url, token)?).await?;
            if answer.status != StatusCode::OK {
                let right = "give the identity the role Key Vault Secrets User, or the policies Get and List; \
                             a firewall of the vault may refuse this machine too";
                return Err(self.client.refusal(what, answer.status, right, "check `Vault`"));
            }
            let page: Page = self.client.read(what, &answer)?;
            for listed in page.value {
                self.choose(&listed, now, &mut names, warnings);
            }
            next = match page.next_link.filter(|link| !link.is_empty()) {
                // The token goes to the vault alone.
                Some(link) => match Url::parse(&link) {
                    Ok(url) if url.origin() == self.address.origin() => Some(url),
                    _ => return Err(self.client.nonsense(what)),
                },
                None => return Ok(names),
            };
            if names.len() > MAX_SECRETS {
                break;
            }
        }
        let hint = "keep the agent's settings in a vault of their own";
        let what = format_args!("there are more than {MAX_SECRETS} settings or {MAX_PAGES} pages of secrets in it");
        Err(problem(ErrorKind::Settings, &self.client.vault, what, hint))
    }

    /// Takes the name of a secret, unless it is no setting or may not be used now.
    fn choose(&self, listed: &Listed, now: Duration, names: &mut Vec<String>, warnings: &mut Vec<Warning>) {
        let name = listed.id.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        if !name.contains("--") {
            return;
        }
        let Attributes { enabled, nbf, exp } = listed.attributes;
        let why = if enabled == Some(false) {
            "is disabled"
        } else if exp.is_some_and(|end| end <= now.as_secs()) {
            "has expired"
        } else if nbf.is_some_and(|start| start > now.as_secs()) {
            "is not valid yet"
        } else {
            return names.push(name.to_owned());
        };
        warnings.push(Warning(format!("{}: the secret `{name}` {why} and is left out", self.client.vault)));
    }

    async fn secret<'n>(&self, token: &SecretString, name: &'n str) -> Result<(&'n str, SecretString)> {
        let what = format!("reading `{name}`");
        let answer = self.client.send(&what, self.get(self.url(&["secrets", name], &[]), token)?).await?;
        if answer.status != StatusCode::OK {
            let right = "let the identity get this secret";
            return Err(self.client.refusal(&what, answer.status, right, "it was removed just now: run again"));
        }
        Ok((name, self.client.read::<Secret>(&what, &answer)?.value))
    }

    fn url(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.address.clone();
        url.path_segments_mut().expect("an address with a host has a path").pop_if_empty().extend(segments);
        url.query_pairs_mut().append_pair("api-version", API_VERSION).extend_pairs(query);
        url
    }

    fn get(&self, url: Url, token: &SecretString) -> Result<reqwest::RequestBuilder> {
        let value = client::header("Bearer ", token).ok_or_else(|| self.client.nonsense("asking for a token"))?;
        Ok(self.client.http.get(url).header(AUTHORIZATION, value))
    }
}
