//! The setting `Store:Url`: the PostgreSQL that is the store, where one is named. It holds a password.

use connector_api::Result;
use secrecy::{ExposeSecret, SecretString};

use super::values::Values;
use crate::redaction;

const KEY: &str = "Store:Url";
const HINT: &str = "write `postgres://user:password@server:5432/database`, or remove it for a file in the work folder";

/// The address, trimmed; none where none is written.
///
/// # Errors
/// Where it is no address of a PostgreSQL. The error does not repeat it.
pub(super) fn read(values: &Values) -> Result<Option<SecretString>> {
    let Some(text) = values.secret(KEY).map(|text| text.expose_secret().trim()).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let url = url::Url::parse(text).ok().filter(|url| matches!(url.scheme(), "postgres" | "postgresql"));
    let url = url.ok_or_else(|| values.error(KEY, "is no address of a PostgreSQL").with_hint(HINT))?;
    redaction::remember(url.password().map(SecretString::from).iter());
    Ok(Some(text.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::values::Origin;

    fn read_text(text: &str) -> Result<Option<SecretString>> {
        let mut values = Values::default();
        values.set(KEY, Some(text.into()), Origin::Variable("Store__Url".to_owned()));
        read(&values)
    }

    #[test]
    fn a_postgresql_is_named_by_its_address_and_anything_else_is_refused_unseen() {
        assert!(
            read_text(" postgres://u:p@h/d ").unwrap().is_some_and(|url| url.expose_secret() == "postgres://u:p@h/d")
        );
        assert!(read_text(" ").unwrap().is_none());
        let error = read_text("mysql://ada:s3cret@h/d").unwrap_err();
        assert!(error.to_string().contains("`Store:Url` is no address") && !error.to_string().contains("s3cret"));
    }
}
