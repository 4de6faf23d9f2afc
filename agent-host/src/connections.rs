//! From a connection's package to its connector. The only file that names connectors: a new one is one more line here.

use connector_api::{ConnectionSettings, Connector, Error, ErrorKind, Result};
use okta_connector::OktaConnector;

use crate::{
    inbox::{self, Inbox},
    store::Place,
};

/// Opens the connector for the package, which is what `<Connection Package="…">` names, such as `Usercube.Okta@0000001`.
/// A connection that no XML declares is one to Okta, or, where it names a `Directory`, to what SCIM clients sent; so are
/// those of the package `Usercube.SCIM`. `store` is where the agent remembers that.
///
/// # Errors
/// Of kind `Settings`: no connector serves the package, or a setting is unusable.
pub(crate) fn open(package: Option<&str>, settings: &ConnectionSettings, store: Place) -> Result<Box<dyn Connector>> {
    match package.map(str::to_ascii_lowercase) {
        None if settings.text(inbox::DIRECTORY).is_some() => Ok(Box::new(Inbox::open(settings, store)?)),
        Some(name) if name.contains("scim") => Ok(Box::new(Inbox::open(settings, store)?)),
        None => Ok(Box::new(OktaConnector::open(settings)?)),
        Some(name) if name.contains("okta") => Ok(Box::new(OktaConnector::open(settings)?)),
        Some(_) => Err(Error::new(
            ErrorKind::Settings,
            format!("no connector serves the package `{}`", package.unwrap_or_default()),
        )
        .with_hint(
            "this agent serves packages for Okta, such as `Usercube.Okta@0000001`, and `Usercube.SCIM@0000001`",
        )),
    }
}
