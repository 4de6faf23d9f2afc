//! Which settings are secrets, by their names: for what must not be printed, and for what nobody else should read.

use secrecy::ExposeSecret;

use super::{protection, values::Entry};

/// How the names of secrets end, in lower case.
const ENDINGS: [&str; 12] = [
    "accesskey",
    "accountkey",
    "apikey",
    "applicationkey",
    "connectionstring",
    "headers",
    "passphrase",
    "password",
    "privatekey",
    "secret",
    "secretid",
    "token",
];

/// Sections of which every value is a secret: the vendor keeps client secrets and connection strings there, we the
/// store's address.
const SECTIONS: [&str; 4] = ["databases", "openidclients", "protectionkey", "store"];

/// Whether the entry holds a secret in the clear. A placeholder in `<…>` is none, nor is an address with one for its password.
pub(super) fn is_secret(entry: &Entry) -> bool {
    let Some(text) = entry.text.as_ref().map(|text| text.expose_secret().trim()) else { return false };
    names_secret(&entry.key) && !text.is_empty() && !is_placeholder(text) && !protection::is_sealed(text)
}

fn is_placeholder(text: &str) -> bool {
    // In an address `<` itself would be written as `%3C`.
    text.starts_with('<') || text.contains("://") && text.contains(":<") && text.contains(">@")
}

/// Whether the key is one under which a secret stands.
pub(super) fn names_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    let mut parts = key.split(':').rev().skip_while(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    let Some(name) = parts.next() else { return false };
    ENDINGS.iter().any(|ending| name.ends_with(ending))
        || parts.any(|section| SECTIONS.contains(&section)) && name != "file"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for key in [
            "Connections:Okta:ApiKey",
            "A:X509KeyFilePassword",
            "OpenId:OpenIdClients:Job",
            "A:Token:0",
            "Store:Url",
            "Telemetry:Headers",
        ] {
            assert!(names_secret(key), "{key}");
        }
        for key in ["Connections:Okta:Server", "ProtectionKey:File", "A:PrivateKeyFile", "Password:X", "", "0"] {
            assert!(!names_secret(key), "{key}");
        }
    }
}
