//! Fields of a request as forms are written, each at most once.

use url::form_urlencoded;
use zeroize::Zeroizing;

/// What a query or a form says. Wiped when it goes, since some of it may be secret.
pub(super) struct Fields(Vec<(String, Zeroizing<String>)>);

/// A field stands there more than once.
#[derive(Debug)]
pub(super) struct Twice;

impl Fields {
    pub(super) fn read(text: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(text);
        Self(pairs.map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned()))).collect())
    }

    /// The value; what is empty counts as left out.
    pub(super) fn get(&self, name: &str) -> Result<Option<&str>, Twice> {
        let mut values = self.0.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(Twice),
            (value, None) => Ok(value.filter(|value| !value.is_empty())),
        }
    }
}
