//! Signing in with an API token ("SSWS"): the one place that opens the secret.
//!
//! Source: Okta's "Create an API token".

use connector_api::{Error, Result};
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

/// The credentials of a connection.
#[derive(Debug)]
pub(crate) struct Auth {
    api_key: SecretString,
}

impl Auth {
    pub(crate) fn with_api_key(api_key: SecretString) -> Result<Self> {
        let auth = Self { api_key };
        if auth.api_key.expose_secret().trim().starts_with('<') {
            return Err(Error::setting("ApiKey", "`ApiKey` still is the placeholder of the sample")
                .with_hint("put the API token in its place, or into the environment"));
        }
        auth.header_value().map(|_| auth)
    }

    /// Whether we act as a user of the organisation, as every API token does.
    pub(crate) fn is_a_users(&self) -> bool {
        !self.api_key.expose_secret().is_empty()
    }

    /// The value of the `Authorization` header; marked so that no one prints it.
    pub(crate) fn header_value(&self) -> Result<HeaderValue> {
        let text = self.api_key.expose_secret().trim();
        let value = HeaderValue::try_from(format!("SSWS {text}")).ok().filter(|_| text.is_ascii());
        let mut value = value.ok_or_else(|| {
            Error::setting("ApiKey", "`ApiKey` contains a character that no API token has")
                .with_hint("paste the token again as Okta showed it when it was created")
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    /// A text that came from elsewhere, without the secret, should it repeat it in whatever case.
    pub(crate) fn redact(&self, text: &str) -> String {
        let secret = self.api_key.expose_secret().trim().to_ascii_lowercase();
        let (mut redacted, mut rest) = (String::with_capacity(text.len()), text);
        // Lowering ASCII letters leaves every offset where it is.
        while let Some(start) = rest.to_ascii_lowercase().find(&secret) {
            redacted.push_str(&rest[..start]);
            redacted.push_str("***");
            rest = &rest[start + secret.len()..];
        }
        redacted + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_never_shown() {
        let auth = Auth::with_api_key("00secretTokenOfAnAdmin".into()).unwrap();
        assert!(!format!("{auth:?} {:?}", auth.header_value()).contains("secretToken"));
        assert_eq!(auth.redact("Invalid token 00secretTokenOfAnAdmin"), "Invalid token ***");
        assert_eq!(auth.redact("İ 00secrettokenofanadmin.example, 00SECRETTOKENOFANADMIN"), "İ ***.example, ***");
        assert!(!Auth::with_api_key("00sec\nret".into()).unwrap_err().to_string().contains("sec"));
    }
}
