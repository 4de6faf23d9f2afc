//! From a connection's package to its connector. The only file that names connectors: a new one is one more line here.

use std::path::{Path, PathBuf};

use connector_api::{ConnectionSettings, Connector, Error, ErrorKind, Result};
use okta_connector::OktaConnector;

use crate::{
    csv_directory::CsvDirectory,
    inbox::{self, Inbox},
    store,
};

/// What a connector may have of the agent.
pub(crate) struct Place<'a> {
    /// The agent directory.
    pub(crate) directory: &'a Path,
    /// Where the agent remembers what SCIM clients sent.
    pub(crate) store: store::Place,
    /// The folders that files may be read from; anywhere where there is none.
    pub(crate) source_roots: Vec<PathBuf>,
}

/// Opens the connector for the package, which is what `<Connection Package="…">` names, such as `Usercube.Okta@0000001`.
/// A connection that no XML declares is one to Okta, or, where it names a `Directory`, to what SCIM clients sent; so are
/// those of the package `Usercube.SCIM`. Packages such as `Usercube.CSV.Complete@0000001` read CSV files.
///
/// # Errors
/// Of kind `Settings`: no connector serves the package, or a setting is unusable.
pub(crate) fn open(
    package: Option<&str>,
    settings: &ConnectionSettings,
    place: Place<'_>,
) -> Result<Box<dyn Connector>> {
    match package.map(str::to_ascii_lowercase) {
        None if settings.text(inbox::DIRECTORY).is_some() => Ok(Box::new(Inbox::open(settings, place.store)?)),
        Some(name) if name.contains("scim") => Ok(Box::new(Inbox::open(settings, place.store)?)),
        None => Ok(Box::new(OktaConnector::open(settings)?)),
        Some(name) if name.contains("csv") => {
            Ok(Box::new(CsvDirectory::open(settings, place.directory, &place.source_roots)?))
        }
        Some(name) if name.contains("okta") => Ok(Box::new(OktaConnector::open(settings)?)),
        Some(_) => Err(Error::new(
            ErrorKind::Settings,
            format!("no connector serves the package `{}`", package.unwrap_or_default()),
        )
        .with_hint(
            "this agent serves packages for Okta, such as `Usercube.Okta@0000001`, `Usercube.SCIM@0000001` and \
             `Usercube.CSV.Complete@0000001`",
        )),
    }
}
