//! The connection settings of Okta, checked. Every error names the key and never shows a secret.

use std::{net::IpAddr, time::Duration};

use connector_api::{ConnectionSettings, Error, Problems, Result};
use secrecy::SecretString;
use url::{Host, Url};

use crate::auth::{App, Auth, DPoP, TOKEN_PATH};

/// All keys that mean something in a connection to Okta; others are probably misspelt.
const KEYS: &[&str] = &[
    "Server",
    "ApiKey",
    "ClientId",
    "PrivateKey",
    "PrivateKeyFile",
    "KeyId",
    "Scopes",
    "DPoP",
    "RateLimitShare",
    "MaxConcurrency",
    "RequestTimeoutSeconds",
    "RetryBudgetSeconds",
    "GroupsAppsBy",
    "IncludeDeprovisioned",
    "UserFilter",
    "GroupFilter",
    "AppFilter",
    "Tables",
    "OnDelete",
    "ActivateUsers",
    "SendEmail",
    "ProtectedUserFilter",
    "ProtectedGroupFilter",
    // The host's: how much one run may take away.
    "MaxDeletes",
    "MaxDeactivations",
    "MaxLinkRemovals",
    "CaFile",
    "CaCertificates",
];

/// From which side the table `groupsapps` is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupsAppsBy {
    /// One list for each app: exact.
    App,
    /// One list for each group that has apps.
    Group,
    /// By group where that takes fewer requests and can be proved exact.
    Auto,
}

/// What becomes of an account that an order deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnDelete {
    Delete,
    Deactivate,
    Suspend,
}

/// The settings of one connection to Okta.
#[derive(Debug)]
pub(crate) struct OktaSettings {
    /// Scheme, host and port alone.
    pub server: Url,
    pub auth: Auth,
    pub rate_limit_share: u32,
    pub max_concurrency: u32,
    pub request_timeout: Duration,
    pub retry_budget: Duration,
    pub groups_apps_by: GroupsAppsBy,
    pub include_deprovisioned: bool,
    pub user_filter: Option<String>,
    pub group_filter: Option<String>,
    pub app_filter: Option<String>,
    pub on_delete: OnDelete,
    pub activate_users: bool,
    /// Whether Okta may write to people when accounts change their state.
    pub send_email: bool,
    pub protected_user_filter: Option<String>,
    pub protected_group_filter: Option<String>,
    /// Certificates in PEM that are trusted beside the system's; the host reads them from `CaFile`.
    pub ca_certificates: Option<String>,
}

impl OktaSettings {
    /// Reads them all.
    ///
    /// # Errors
    /// Of kind `Settings`, with everything that is unusable.
    pub(crate) fn read(settings: &ConnectionSettings) -> Result<Self> {
        for key in settings.keys() {
            let name = key.split(':').next().unwrap_or(key);
            if !KEYS.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                tracing::warn!(connection.id = %settings.id(), key, "this setting means nothing to a connection to Okta");
            }
        }
        let by = [("app", GroupsAppsBy::App), ("group", GroupsAppsBy::Group), ("auto", GroupsAppsBy::Auto)];
        let on_delete =
            [("Delete", OnDelete::Delete), ("Deactivate", OnDelete::Deactivate), ("Suspend", OnDelete::Suspend)];
        let mut problems = Problems::default();
        let server = problems.note(server(settings));
        // Where the server is unusable, nothing is sent, and the credentials are checked all the same.
        let anywhere = Url::parse("https://localhost").expect("it is an address");
        let auth = problems.note(auth(settings, server.as_ref().unwrap_or(&anywhere)));
        let groups_apps_by = problems.note(settings.choice("GroupsAppsBy", GroupsAppsBy::App, &by));
        let on_delete = problems.note(settings.choice("OnDelete", OnDelete::Delete, &on_delete));
        let mut number = |key, default, range| problems.note(settings.number(key, default, range));
        let (rate_limit_share, max_concurrency) =
            (number("RateLimitShare", 90, 1..=100), number("MaxConcurrency", 12, 1..=75));
        let mut seconds = |key, default| number(key, default, 1..=86_400).map(|s| Duration::from_secs(s.into()));
        let (request_timeout, retry_budget) =
            (seconds("RequestTimeoutSeconds", 60), seconds("RetryBudgetSeconds", 900));
        let mut flag = |key, default| problems.note(settings.flag(key, default));
        let (include_deprovisioned, activate_users, send_email) =
            (flag("IncludeDeprovisioned", true), flag("ActivateUsers", true), flag("SendEmail", false));
        let owned = |key| settings.text(key).map(str::to_owned);
        let whole = || {
            Some(Self {
                auth: auth?,
                server: server?,
                rate_limit_share: rate_limit_share?,
                max_concurrency: max_concurrency?,
                request_timeout: request_timeout?,
                retry_budget: retry_budget?,
                groups_apps_by: groups_apps_by?,
                include_deprovisioned: include_deprovisioned?,
                user_filter: owned("UserFilter"),
                group_filter: owned("GroupFilter"),
                app_filter: owned("AppFilter"),
                on_delete: on_delete?,
                activate_users: activate_users?,
                send_email: send_email?,
                protected_user_filter: owned("ProtectedUserFilter"),
                protected_group_filter: owned("ProtectedGroupFilter"),
                ca_certificates: owned("CaCertificates"),
            })
        };
        problems.finish(whole())
    }
}

/// Settings that mean something beside `ClientId` alone.
const OF_AN_APP: [&str; 5] = ["PrivateKey", "PrivateKeyFile", "KeyId", "Scopes", "DPoP"];

fn auth(settings: &ConnectionSettings, server: &Url) -> Result<Auth> {
    let create = "create one in Okta's admin console under Security > API > Tokens";
    match (settings.secret("ApiKey"), settings.text("ClientId")) {
        (Some(_), Some(_)) => Err(Error::setting("ClientId", "`ApiKey` and `ClientId` are both given")
            .with_hint("keep `ClientId` with its key, or `ApiKey`, and remove the other")),
        (None, Some(client_id)) => app(settings, client_id, server).map(Auth::with_app),
        (api_key, None) => {
            // What is given for an app is refused without one: it would look as if it were obeyed.
            if let Some(key) = OF_AN_APP.into_iter().find(|key| settings.list(key).is_some()) {
                let hint = "add `ClientId`, the id of the service app, or remove what belongs to it";
                return Err(Error::setting(key, format!("`{key}` is given without `ClientId`")).with_hint(hint));
            }
            let api_key = api_key.ok_or_else(|| {
                let hint = format!(
                    "set it to an API token; {create}; or set `ClientId` and `PrivateKey` to those of a service app"
                );
                Error::setting("ApiKey", "`ApiKey` is missing").with_hint(hint)
            })?;
            Auth::with_api_key(api_key.clone())
        }
    }
}

fn app(settings: &ConnectionSettings, client_id: &str, server: &Url) -> Result<App> {
    let mut problems = Problems::default();
    if client_id.starts_with('<') || !client_id.bytes().all(|byte| byte.is_ascii_graphic()) {
        problems.push(
            Error::setting("ClientId", "`ClientId` is no client id")
                .with_hint("copy it from the app's page in Okta's admin console; it begins with 0oa"),
        );
    }
    let key = problems.note(private_key(settings));
    let scopes = settings.list("Scopes").map(|scopes| {
        let scopes = scopes.iter().flat_map(|scope| scope.split_whitespace());
        scopes.collect::<Vec<_>>().join(" ")
    });
    let wrong = |scopes: &String| !scopes.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if scopes.as_ref().is_some_and(wrong) {
        problems.push(
            Error::setting("Scopes", "`Scopes` holds a character that no scope has")
                .with_hint("write scopes such as okta.users.read, or remove `Scopes`: they follow from what is done"),
        );
    }
    let key_id = settings.text("KeyId").map(str::to_owned);
    let dpop = settings.choice("DPoP", DPoP::Auto, &[("auto", DPoP::Auto), ("on", DPoP::On), ("off", DPoP::Off)]);
    let dpop = problems.note(dpop).unwrap_or(DPoP::Auto);
    let mut token_url = server.clone();
    token_url.set_path(TOKEN_PATH);
    let app = key.map(|key| App::new(client_id.to_owned(), key, key_id, scopes, dpop, token_url));
    let app = app.and_then(|app| problems.note(app));
    problems.finish(app)
}

/// The text of the app's key.
fn private_key(settings: &ConnectionSettings) -> Result<&SecretString> {
    let in_file = settings.text("PrivateKeyFile").is_some();
    match settings.secret("PrivateKey") {
        Some(_) if in_file => Err(Error::setting("PrivateKeyFile", "`PrivateKey` and `PrivateKeyFile` are both given")
            .with_hint("keep one of them")),
        Some(key) => Ok(key),
        // The host reads files; this one did not.
        None if in_file => Err(Error::setting("PrivateKeyFile", "`PrivateKeyFile` was not read")
            .with_hint("put the key itself into `PrivateKey`")),
        None if settings.text("PrivateKey:kty").is_some() => {
            Err(Error::setting("PrivateKey:kty", "`PrivateKey` is a section where a text belongs")
                .with_hint("write the JWK as one text, or into a file that `PrivateKeyFile` names"))
        }
        None => {
            let hint =
                "set `PrivateKey` or `PrivateKeyFile` to the private half of a key that is registered with the app";
            Err(Error::setting("PrivateKey", "`PrivateKey` is missing: `ClientId` signs in with a key").with_hint(hint))
        }
    }
}

fn server(settings: &ConnectionSettings) -> Result<Url> {
    let refuse = |why: &str, hint: &str| Err(Error::setting("Server", format!("`Server` {why}")).with_hint(hint));
    let example = "write the organisation's address, such as https://example.okta.com";
    let Some(text) = settings.text("Server") else { return refuse("is missing", example) };
    if !text.contains("://") {
        return refuse("has no scheme", "start it with https://");
    }
    if text.contains('<') || text.to_ascii_lowercase().contains("//your-company.") {
        return refuse("still is the placeholder of the sample", example);
    }
    let Ok(url) = Url::parse(text) else { return refuse("is no address", example) };
    let Some(host) = url.host() else { return refuse("names no host", example) };
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("holds a user name or password", "remove it; `ApiKey` is what signs in");
    }
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(&host) => {}
        "http" => {
            return refuse(
                &format!("would send the token unencrypted to `{host}`"),
                "write https:// instead of http://",
            );
        }
        scheme => return refuse(&format!("has the scheme `{scheme}`"), "write https://"),
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return refuse("has more than scheme and host", &format!("write {} alone", url.origin().ascii_serialization()));
    }
    if let Host::Domain(name) = &host
        && let Some((organisation, rest)) = name.split_once('.')
        && let Some(plain) = organisation.strip_suffix("-admin")
        && rest.contains("okta")
    {
        return refuse("is the address of the admin console", &format!("write https://{plain}.{rest}"));
    }
    Ok(url)
}

pub(crate) fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Ipv4(address) => IpAddr::V4(*address).is_loopback(),
        Host::Ipv6(address) => IpAddr::V6(*address).is_loopback(),
        Host::Domain(name) => *name == "localhost",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(server: &str) -> Result<OktaSettings> {
        let settings =
            ConnectionSettings::new("Okta".parse().unwrap()).with("Server", server).with("ApiKey", "00token");
        OktaSettings::read(&settings)
    }

    #[test]
    fn good_servers_become_an_origin() {
        for (text, origin) in [
            (" https://example.okta.com", "https://example.okta.com"),
            ("https://example.okta.com/", "https://example.okta.com"),
            ("https://login.example.org:8443", "https://login.example.org:8443"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://localhost", "http://localhost"),
            ("http://[::1]:1", "http://[::1]:1"),
        ] {
            assert_eq!(read(text).unwrap().server.origin().ascii_serialization(), origin, "{text}");
        }
    }

    #[test]
    fn bad_servers_are_refused_with_what_to_do() {
        for (text, hint) in [
            ("", "https://example.okta.com"),
            ("example.okta.com", "start it with https://"),
            ("http://example.okta.com", "https:// instead"),
            ("ftp://example.okta.com", "https://"),
            ("https://example.okta.com/api/v1", "https://example.okta.com alone"),
            ("https://example-admin.okta.com", "https://example.okta.com"),
            ("https://example-admin.oktapreview.com", "https://example.oktapreview.com"),
            ("https://<YourCompany>.okta.com", "https://example.okta.com"),
            ("https://your-company.okta.com", "https://example.okta.com"),
            ("https://u:p4ssw0rd@example.okta.com", "ApiKey"),
            ("https://", "https://example.okta.com"),
        ] {
            let error = read(text).unwrap_err();
            assert_eq!(error.setting_key(), Some("Server"), "{text}");
            assert!(error.hint().unwrap().contains(hint), "{text}: {:?}", error.hint());
            assert!(!error.to_string().contains("p4ssw0rd"));
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let settings = [("Server", "example.org"), ("ApiKey", "<Token>"), ("SendEmail", "x"), ("OnDelete", "x")];
        let id = "Okta".parse().unwrap();
        let settings =
            settings.iter().fold(ConnectionSettings::new(id), |settings, (key, value)| settings.with(*key, *value));
        let error = OktaSettings::read(&settings).unwrap_err();
        assert_eq!(error.to_string(), "4 settings are unusable");
        let told = std::error::Error::source(&error).unwrap().to_string();
        assert!(["`Server`", "`ApiKey`", "`SendEmail`", "`OnDelete`"].iter().all(|key| told.contains(key)), "{told}");
    }

    #[test]
    fn the_token_and_client_id_exclude_each_other() {
        let settings = || ConnectionSettings::new("Okta".parse().unwrap()).with("Server", "https://example.okta.com");
        let key_at_fault = |settings| OktaSettings::read(&settings).unwrap_err().setting_key().map(str::to_owned);
        assert_eq!(key_at_fault(settings()).as_deref(), Some("ApiKey"));
        for (given, at_fault) in [
            (&[("ClientId", "0oa1"), ("ApiKey", "00x")][..], "ClientId"),
            (&[("ClientId", "0oa1")], "PrivateKey"),
            (&[("ClientId", "0oa1"), ("PrivateKeyFile", "key.pem")], "PrivateKeyFile"),
            (&[("ClientId", "0oa1"), ("PrivateKeyFile", "key.pem"), ("PrivateKey", "x")], "PrivateKeyFile"),
            (&[("ClientId", "<ClientId>"), ("PrivateKey", "x")], "ClientId"),
            (&[("ClientId", "0oa1"), ("PrivateKey", "x")], "PrivateKey"),
            (&[("ClientId", "0oa1"), ("PrivateKey", "x"), ("DPoP", "maybe")], "DPoP"),
            (&[("ClientId", "0oa1"), ("PrivateKey", "x"), ("Scopes", "okta.üsers.read")], "Scopes"),
            (&[("ClientId", "0oa1"), ("PrivateKey:kty", "RSA")], "PrivateKey:kty"),
            (&[("ApiKey", "00x"), ("PrivateKey", "x")], "PrivateKey"),
            (&[("ApiKey", "00x"), ("DPoP", "on")], "DPoP"),
            (&[("KeyId", "k")], "KeyId"),
        ] {
            let settings = given.iter().fold(settings(), |settings, (key, value)| settings.with(*key, *value));
            assert_eq!(key_at_fault(settings).as_deref(), Some(at_fault), "{given:?}");
        }
    }
}
