//! From a connection's package to its connector. The only file that names connectors: a new one is one more line here.

use connector_api::{ConnectionSettings, Connector, Error, ErrorKind, Result};
use okta_connector::OktaConnector;

/// Opens the connector for the package, which is what `<Connection Package="…">` names, such as `Usercube.Okta@0000001`.
/// A connection that no XML declares is one to Okta.
///
/// # Errors
/// Of kind `Settings`: no connector serves the package, or a setting is unusable.
pub(crate) fn open(package: Option<&str>, settings: &ConnectionSettings) -> Result<Box<dyn Connector>> {
    match package.map(str::to_ascii_lowercase) {
        None => Ok(Box::new(OktaConnector::open(settings)?)),
        Some(name) if name.contains("okta") => Ok(Box::new(OktaConnector::open(settings)?)),
        Some(_) => Err(Error::new(
            ErrorKind::Settings,
            format!("no connector serves the package `{}`", package.unwrap_or_default()),
        )
        .with_hint("this agent serves packages for Okta, such as `Usercube.Okta@0000001`")),
    }
}
