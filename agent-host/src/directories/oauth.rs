//! OAuth 2.0 for a directory: who may ask for tokens, who consented, and tokens for codes and tokens.
//!
//! The authorization code grant alone, as Okta speaks it. A code is good once and for a minute, an access token for an
//! hour, a refresh token once and for ninety days; whoever exchanges one a second time takes everything back that came of
//! the same consent. A client with a secret whose answer was lost may come with the same refresh token within a minute, as
//! long as nothing it was given has been used. Sources: RFC 6749, RFC 7636, RFC 9700.

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use connector_api::{Error, ErrorKind};
use secrecy::SecretString;
use url::{Host, Url};

use super::Directories;
use crate::{
    credential::{Minted, halves, hash},
    password_reset::random_text,
    store::{AuditRecord, OauthClient, OauthGrant, OauthToken, OauthTokenKind, Store},
};

/// How long a code is good.
const CODE_MS: i64 = 60 * 1000;
/// How long an access token is good.
pub const ACCESS_SECONDS: i64 = 3600;
/// How long a refresh token is good that nobody uses.
const REFRESH_MS: i64 = 90 * 24 * 3600 * 1000;
/// How long a client may ask again whose answer was lost.
const GRACE_MS: i64 = 60 * 1000;
/// How long the code is good by which somebody consents.
const APPROVAL_MS: i64 = 3600 * 1000;
/// Bytes of chance in that code, which people type or paste.
const APPROVAL_BYTES: usize = 12;
/// Addresses that a client may be sent back to, and how long each may be.
const MOST_REDIRECTS: usize = 10;
const LONGEST_REDIRECT: usize = 1_000;
/// What a verifier of PKCE has in characters.
const VERIFIER: std::ops::RangeInclusive<usize> = 43..=128;

/// What is wanted of a directory's client.
#[derive(Debug, Default)]
pub struct WantedClient {
    /// Where it may be sent back to; those there are where none are named.
    pub redirects: Vec<String>,
    /// Whom it acts as; as before where nothing is said.
    pub service_user: Option<String>,
    /// Whether it keeps no secret, and must use PKCE.
    pub public: bool,
    /// Whether it gets another secret, and everything is taken back that it got by the one before.
    pub new_secret: bool,
}

/// A client as it was just set up: the only moment at which its secrets are seen.
#[derive(Debug)]
pub struct ClientSetup {
    /// By which it names itself.
    pub client_id: String,
    /// Its secret, where it got one now.
    pub client_secret: Option<SecretString>,
    /// The code by which somebody consents, once and within an hour.
    pub approval_code: SecretString,
    /// Whom it acts as.
    pub service_user: String,
    /// Where it may be sent back to.
    pub redirects: Vec<String>,
}

/// What a client gets.
#[derive(Debug)]
pub struct Tokens {
    /// Opens the directory for [`ACCESS_SECONDS`].
    pub access: SecretString,
    /// To be exchanged for the next ones.
    pub refresh: SecretString,
}

/// Sets up the client of a directory, or changes it, and makes a code by which somebody consents.
///
/// # Errors
/// Of kind `Settings` where there is no such directory or an address cannot be one to be sent back to; or the store fails.
pub async fn set_up_client(
    store: &Store,
    name: &str,
    wanted: &WantedClient,
    now_ms: i64,
) -> anyhow::Result<ClientSetup> {
    let directory = store.existing_directory(name).await?;
    let known = store.oauth_client(directory.id).await?;
    wanted.redirects.iter().try_for_each(|redirect| check_redirect(redirect))?;
    let redirects = match &known {
        Some(known) if wanted.redirects.is_empty() => known.redirects.clone(),
        _ => wanted.redirects.clone(),
    };
    if redirects.is_empty() || redirects.len() > MOST_REDIRECTS {
        let error = Error::new(ErrorKind::Settings, format!("the client of `{name}` has nowhere to be sent back to"));
        let hint = format!("name 1 to {MOST_REDIRECTS} addresses by `--redirect`, letter by letter as the client says");
        return Err(error.with_hint(hint).into());
    }
    let needs_secret = !wanted.public && known.as_ref().is_none_or(|known| known.secret_hash.is_none());
    let minted = (needs_secret || (wanted.new_secret && !wanted.public)).then(|| Minted::new(false)).transpose()?;
    let approval_code = SecretString::from(random_text(APPROVAL_BYTES)?);
    let client = OauthClient {
        directory: directory.id,
        client_id: match &known {
            Some(known) => known.client_id.clone(),
            None => random_text(12)?,
        },
        secret_hash: match (&minted, wanted.public) {
            (_, true) => None,
            (Some(minted), false) => Some(hash(&minted.secret)),
            (None, false) => known.as_ref().and_then(|known| known.secret_hash.clone()),
        },
        redirects,
        service_user: wanted
            .service_user
            .clone()
            .or_else(|| known.as_ref().map(|known| known.service_user.clone()))
            .unwrap_or_else(|| format!("scim-{}", directory.name)),
        approval_hash: Some(hash(&approval_code)),
        approval_ends_ms: Some(now_ms + APPROVAL_MS),
        last_used_ms: None,
    };
    if minted.is_some() || wanted.public {
        store.revoke_oauth_grants(directory.id).await?;
    }
    store.set_oauth_client(&client, now_ms).await?;
    let OauthClient { client_id, service_user, redirects, .. } = client;
    let client_secret = minted.map(|minted| minted.secret);
    Ok(ClientSetup { client_id, client_secret, approval_code, service_user, redirects })
}

impl Directories {
    /// The client of the directory of this name, and the directory's name as it was spelt.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn oauth_client(&self, name: &str) -> anyhow::Result<Option<(String, OauthClient)>> {
        let Some(directory) = self.store.directory(name).await? else { return Ok(None) };
        Ok(self.store.oauth_client(directory.id).await?.map(|client| (directory.name, client)))
    }

    /// Uses up the code by which somebody consents; whether it is the right one.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn use_consent_code(&self, client: &OauthClient, code: &SecretString) -> anyhow::Result<bool> {
        self.store.use_consent_code(client.directory, &hash(code), self.now()).await
    }

    /// Notes that somebody consented; the code for the client.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn grant(
        &self,
        client: &OauthClient,
        approver: &str,
        redirect: &str,
        challenge: Option<&str>,
    ) -> anyhow::Result<SecretString> {
        let grant = OauthGrant {
            id: random_text(12)?,
            directory: client.directory,
            approver: approver.to_owned(),
            redirect: redirect.to_owned(),
            challenge: challenge.map(str::to_owned),
        };
        let (code, token) = self.mint(&grant, OauthTokenKind::Code, CODE_MS)?;
        self.store.add_oauth_grant(&grant, &token).await?;
        self.note_oauth(client, approver, "approved", Some(&grant.id)).await?;
        Ok(code)
    }

    /// Notes that somebody did not consent.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn deny(&self, client: &OauthClient, who: &str) -> anyhow::Result<()> {
        self.note_oauth(client, who, "denied", None).await
    }

    /// Whether this is the client's secret; takes as long either way. A client that keeps none has none to show.
    pub fn is_oauth_secret(client: &OauthClient, secret: Option<&SecretString>) -> bool {
        match (&client.secret_hash, secret) {
            (Some(expected), Some(secret)) => {
                verify_slices_are_equal(hash(secret).as_bytes(), expected.as_bytes()).is_ok()
            }
            (None, None) => true,
            _ => false,
        }
    }

    /// Tokens for a code; none where it is not good for this client, address and verifier.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn exchange_code(
        &self,
        client: &OauthClient,
        code: &str,
        redirect: &str,
        verifier: Option<&str>,
    ) -> anyhow::Result<Option<Tokens>> {
        let fits = |grant: &OauthGrant| grant.redirect == redirect && is_verified(grant, verifier);
        self.exchange(client, code, OauthTokenKind::Code, fits).await
    }

    /// Tokens for a refresh token; none where it is not good for this client.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn refresh(&self, client: &OauthClient, token: &str) -> anyhow::Result<Option<Tokens>> {
        self.exchange(client, token, OauthTokenKind::Refresh, |_| true).await
    }

    async fn exchange(
        &self,
        client: &OauthClient,
        given: &str,
        kind: OauthTokenKind,
        fits: impl Fn(&OauthGrant) -> bool,
    ) -> anyhow::Result<Option<Tokens>> {
        let Some((prefix, secret)) = halves(given) else { return Ok(None) };
        let Some((known, grant)) = self.store.oauth_token(&prefix, kind).await? else { return Ok(None) };
        let is_secret = verify_slices_are_equal(hash(&secret).as_bytes(), known.hash.as_bytes()).is_ok();
        if !is_secret || known.directory != client.directory {
            return Ok(None);
        }
        let now_ms = self.now();
        if known.used_ms.is_none() && now_ms >= known.ends_ms {
            return Ok(None);
        }
        let (access, access_token) = self.mint(&grant, OauthTokenKind::Access, ACCESS_SECONDS * 1000)?;
        let (refresh, refresh_token) = self.mint(&grant, OauthTokenKind::Refresh, REFRESH_MS)?;
        let fits = fits(&grant);
        // What does not fit is used up all the same: it is in the wrong hands.
        let new = if fits { [access_token, refresh_token].to_vec() } else { Vec::new() };
        if !self.store.exchange(&prefix, &new, now_ms).await? {
            let may_ask_again = fits && kind == OauthTokenKind::Refresh && client.secret_hash.is_some();
            if may_ask_again && self.store.exchange_again(&prefix, &new, now_ms - GRACE_MS).await? {
                self.note_oauth(client, &client.client_id, "refreshed_again", Some(&grant.id)).await?;
                return Ok(Some(Tokens { access, refresh }));
            }
            self.store.revoke_oauth_grant(&grant.id).await?;
            self.note_oauth(client, &client.client_id, "used_twice", Some(&grant.id)).await?;
            return Ok(None);
        }
        let outcome = match (fits, kind) {
            (false, _) => "refused",
            (true, OauthTokenKind::Code) => "issued",
            (true, _) => "refreshed",
        };
        self.note_oauth(client, &client.client_id, outcome, Some(&grant.id)).await?;
        Ok(fits.then_some(Tokens { access, refresh }))
    }

    fn mint(
        &self,
        grant: &OauthGrant,
        kind: OauthTokenKind,
        good_ms: i64,
    ) -> anyhow::Result<(SecretString, OauthToken)> {
        let (minted, now_ms) = (Minted::new(false)?, self.now());
        let token = OauthToken {
            prefix: minted.prefix.clone(),
            grant: grant.id.clone(),
            directory: grant.directory,
            kind,
            hash: hash(&minted.secret),
            created_ms: now_ms,
            ends_ms: now_ms + good_ms,
            used_ms: None,
        };
        Ok((minted.token(), token))
    }

    async fn note_oauth(
        &self,
        client: &OauthClient,
        actor: &str,
        outcome: &str,
        grant: Option<&str>,
    ) -> anyhow::Result<()> {
        let record = AuditRecord {
            id: random_text(16)?,
            at_ms: self.now(),
            action_id: grant.unwrap_or_default().to_owned(),
            action: "directory_oauth".to_owned(),
            actor: actor.to_owned(),
            connection: String::new(),
            account: client.service_user.clone(),
            login: String::new(),
            mode: "oauth".to_owned(),
            outcome: outcome.to_owned(),
            request_id: None,
            note: Some(format!("directory {}", client.directory)),
        };
        self.store.add_to_audit(&record).await
    }
}

/// Whether the verifier is that of the grant's challenge. A verifier that nothing was challenged with is wrong too.
fn is_verified(grant: &OauthGrant, verifier: Option<&str>) -> bool {
    match (&grant.challenge, verifier) {
        (None, None) => true,
        (Some(challenge), Some(verifier)) => {
            let digest = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
            VERIFIER.contains(&verifier.len())
                && verify_slices_are_equal(digest.as_bytes(), challenge.as_bytes()).is_ok()
        }
        _ => false,
    }
}

/// An address of the web without anything that makes it more than one; encrypted unless it stays on the machine.
fn check_redirect(text: &str) -> connector_api::Result<()> {
    let is_fit = |url: &Url| {
        let stays_here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        let is_open = url.scheme() == "http" && stays_here;
        (url.scheme() == "https" || is_open) && url.fragment().is_none() && url.username().is_empty()
    };
    if text.len() <= LONGEST_REDIRECT && !text.contains('*') && Url::parse(text).is_ok_and(|url| is_fit(&url)) {
        return Ok(());
    }
    let message = format!("`{}` cannot be sent back to", text.chars().take(80).collect::<String>().escape_debug());
    let hint = "write an address that begins with https://, without `*` and `#`, such as \
                https://system-admin.okta.com/admin/app/cpc/{appName}/oauth/callback";
    Err(Error::new(ErrorKind::Settings, message).with_hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_met_by_its_verifier_alone() {
        // The example of RFC 7636, appendix B.
        let (verifier, challenge) =
            ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let grant = |challenge: Option<&str>| OauthGrant {
            id: String::new(),
            directory: 1,
            approver: String::new(),
            redirect: String::new(),
            challenge: challenge.map(str::to_owned),
        };
        assert!(is_verified(&grant(Some(challenge)), Some(verifier)));
        assert!(is_verified(&grant(None), None));
        for wrong in [None, Some("short"), Some(challenge), Some("")] {
            assert!(!is_verified(&grant(Some(challenge)), wrong), "{wrong:?}");
        }
        assert!(!is_verified(&grant(None), Some(verifier)), "nothing was challenged");
    }

    #[test]
    fn nobody_is_sent_to_an_open_or_vague_address() {
        for good in ["https://system-admin.okta.com/admin/app/cpc/acme/oauth/callback", "http://127.0.0.1:8080/back"] {
            check_redirect(good).unwrap();
        }
        for bad in ["http://example.com/", "https://x/#a", "https://*.example.com/", "javascript:1", "", "https://a@b/"]
        {
            assert!(check_redirect(bad).is_err(), "{bad}");
        }
    }
}
