//! CyberArk's Central Credential Provider: appsettings.cyberark.agent.json has the shape of `Connections`, each value the
//! name of an account; which property of the account a setting gets follows from its key.
//!
//! Asked over REST with a client certificate, once for each account. Section `CyberArk`. Sources: the vendor's page on
//! CyberArk (its table, to which `ApiKey` and `PrivateKey` are added), CyberArk's page on the web service's GetPassword.

use std::collections::BTreeMap;

use connector_api::{Error, ErrorKind, Result};
use futures::{StreamExt, stream};
use reqwest::{StatusCode, Url};
use secrecy::SecretString;
use serde::Deserialize;

use super::{
    Found, Sources,
    certificate::ClientCertificate,
    client::{Client, MAX_CONCURRENCY},
    section::Section,
};
use crate::settings::values::{Origin, Values};

const FILE: &str = "appsettings.cyberark.agent.json";

/// The keys and what they get of an account.
const PROPERTIES: [(Property, &[&str]); 3] = [
    (Property::UserName, &["Login", "ApplicationId", "ClientId"]),
    (Property::Content, &["Password", "ApplicationKey", "ClientSecret", "ApiKey", "PrivateKey"]),
    (Property::Address, &["Server", "MicrosoftGraphPathApi", "ResponseUri"]),
];

/// Settings that ask for a certificate of the system's store.
const STORE: [&str; 4] = ["Thumbprint", "DistinguishedName", "StoreName", "StoreLocation"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Property {
    UserName,
    /// The password.
    Content,
    Address,
}

/// A setting that an account has.
struct Wanted {
    key: String,
    property: Property,
    origin: Origin,
}

/// An account's properties, as CyberArk spells them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Account {
    user_name: Option<SecretString>,
    content: Option<SecretString>,
    address: Option<SecretString>,
}

struct Provider<'a> {
    client: Client,
    service: Url,
    application: &'a str,
    safe: &'a str,
}

/// Reads the accounts that the file names; nothing where the section does not ask for it.
pub(super) async fn read(sources: Sources<'_>, values: &Values) -> Result<Option<Found>> {
    let section = Section::new("CyberArk", sources, values);
    if !section.flag("UseCyberArkSetting")? {
        return Ok(None);
    }
    let provider = Provider::open(&section)?;
    let mut found = Found { refresh_after: section.refresh()?, ..Found::default() };
    let accounts = accounts(sources.accounts, &mut found.problems);
    if accounts.is_empty() && found.problems.is_empty() {
        let what = format_args!("asks for the accounts in {FILE}, which names none");
        let hint = "write `{ \"Connections\": { \"<connection>\": { \"ApiKey\": \"<account>\" } } }` into it";
        return Err(section.error("UseCyberArkSetting", what).with_hint(hint));
    }
    let provider = &provider;
    let mut answers = stream::iter(&accounts)
        .map(|(name, wanted)| async move { (name, wanted, provider.account(name, wanted).await) })
        .buffered(MAX_CONCURRENCY);
    while let Some((name, wanted, answer)) = answers.next().await {
        match answer {
            Ok(account) => provider.take(name, wanted, &account, &mut found),
            Err(error) => found.problems.push(error),
        }
        if found.is_cut_short() {
            break;
        }
    }
    drop(answers);
    Ok(Some(found))
}

/// What each account is wanted for. Keys that get nothing of an account are problems.
fn accounts(file: &Values, problems: &mut Vec<Error>) -> BTreeMap<String, Vec<Wanted>> {
    let has_root = file.below("Connections").next().is_some();
    let mut accounts: BTreeMap<String, Vec<Wanted>> = BTreeMap::new();
    for entry in file.entries() {
        let Some(account) = file.text(&entry.key) else { continue };
        match property(&entry.key) {
            Some(property) => {
                let key = if has_root { entry.key.clone() } else { format!("Connections:{}", entry.key) };
                let wanted = Wanted { key, property, origin: entry.origin.clone() };
                accounts.entry(account.to_owned()).or_default().push(wanted);
            }
            None => {
                let known: Vec<&str> = PROPERTIES.iter().flat_map(|(_, keys)| *keys).copied().collect();
                let hint = format!("an account has values for {} alone", known.join(", "));
                problems.push(entry.error("gets nothing of an account").with_hint(hint));
            }
        }
    }
    accounts
}

/// What the setting gets; an element of an array is of the kind of the array.
fn property(key: &str) -> Option<Property> {
    let last = key.rsplit(':').find(|part| part.parse::<usize>().is_err())?;
    let has = |(_, keys): &&(Property, &[&str])| keys.iter().any(|known| known.eq_ignore_ascii_case(last));
    PROPERTIES.iter().find(has).map(|(property, _)| *property)
}

impl<'a> Provider<'a> {
    fn open(section: &Section<'a>) -> Result<Self> {
        if !section.has("Server") {
            let what = "is missing: without it the native library of CyberArk's agent is meant, which is not supported";
            let hint = "name the server of the Central Credential Provider, such as `https://ccp.example.com`";
            return Err(section.error("Server", what).with_hint(hint));
        }
        let server = section.required("Server")?;
        let server = if server.contains("://") { server.to_owned() } else { format!("https://{server}") };
        let mut service = section.check_address("Server", &server)?;
        let vault = format!("CyberArk `{}`", service.as_str().trim_end_matches('/'));
        let root = match service.path().trim_matches('/') {
            "" => "AIMWebService".to_owned(),
            path => path.trim_end_matches("/api/Accounts").to_owned(),
        };
        service.set_path(&format!("/{root}/api/Accounts"));
        let certificate = ClientCertificate::read(section, "File", "Password")?;
        if let Some(key) = STORE.iter().find(|key| certificate.is_none() && section.has(key)) {
            let hint = "export the certificate with its key and name the file in `CyberArk:File`";
            return Err(section.error(key, "asks for a certificate store, which is not supported").with_hint(hint));
        }
        let identity = certificate.map(|certificate| certificate.identity(section)).transpose()?;
        let client = Client::new(section, vault, &service, identity)?;
        let application = section.required("ApplicationId")?;
        Ok(Self { client, service, application, safe: section.required("SafeName")? })
    }

    async fn account(&self, name: &str, wanted: &[Wanted]) -> Result<Account> {
        let what = format!("reading the account `{name}` of the safe `{}`{}", self.safe, for_whom(wanted));
        let mut url = self.service.clone();
        url.query_pairs_mut().extend_pairs([("AppID", self.application), ("Safe", self.safe), ("Object", name)]);
        let answer = self.client.send(&what, self.client.http.get(url)).await?;
        if answer.status != StatusCode::OK {
            let right = "let the application use the safe, from this machine and with this certificate";
            return Err(self.client.refusal(&what, answer.status, right, "check the account's name and `SafeName`"));
        }
        self.client.read(&what, &answer)
    }

    fn take(&self, name: &str, wanted: &[Wanted], account: &Account, found: &mut Found) {
        for Wanted { key, property, origin } in wanted {
            let (value, spelling) = match property {
                Property::UserName => (&account.user_name, "UserName"),
                Property::Content => (&account.content, "Content"),
                Property::Address => (&account.address, "Address"),
            };
            match value {
                Some(value) => found.take(&format!("{}, account `{name}`", self.client.vault), key, value.clone()),
                None => {
                    let what = format!("{origin}: `{key}` wants `{spelling}` of the account `{name}`, which has none");
                    let error = Error::new(ErrorKind::Settings, what);
                    found.problems.push(error.with_hint("set it in CyberArk, or name another account"));
                }
            }
        }
    }
}

/// Where the account is asked for.
fn for_whom(wanted: &[Wanted]) -> String {
    wanted.first().map(|wanted| format!(" for `{}` ({})", wanted.key, wanted.origin)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::json;

    fn asked(text: &str) -> (Vec<String>, Vec<String>) {
        let mut problems = Vec::new();
        let accounts = accounts(&json::parse("c.json", text, &mut Vec::new()).unwrap(), &mut problems);
        let wanted = |(name, wanted): (String, Vec<Wanted>)| {
            wanted.into_iter().map(move |wanted| format!("{name}: {} {:?}", wanted.key, wanted.property))
        };
        (accounts.into_iter().flat_map(wanted).collect(), problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_key_says_which_property_is_wanted_and_an_account_is_asked_once() {
        let text = r#"{ "Connections": {
            "Okta": { "Server": "okta", "ApiKey": "okta", "Unset": "" },
            "AD": { "Servers": [{ "Server": "ad" }, { "Server": "ad" }], "login": "ad" }
        } }"#;
        let (wanted, problems) = asked(text);
        assert_eq!(
            wanted,
            [
                "ad: Connections:AD:Servers:0:Server Address",
                "ad: Connections:AD:Servers:1:Server Address",
                "ad: Connections:AD:login UserName",
                "okta: Connections:Okta:Server Address",
                "okta: Connections:Okta:ApiKey Content",
            ]
        );
        assert!(problems.is_empty(), "{problems:?}");
    }

    #[test]
    fn connections_may_be_the_root() {
        assert_eq!(asked(r#"{ "Okta": { "PrivateKey": "a" } }"#).0, ["a: Connections:Okta:PrivateKey Content"]);
    }

    #[test]
    fn a_key_that_gets_nothing_is_named() {
        let (_, problems) =
            asked("{ \"Connections\": { \"Okta\": {\n\"MaxConcurrency\": \"a\", \"Filter\": \"b\" } } }");
        assert_eq!(
            problems,
            [
                "c.json:2:19: `Connections:Okta:MaxConcurrency` gets nothing of an account",
                "c.json:2:34: `Connections:Okta:Filter` gets nothing of an account"
            ]
        );
    }
}
