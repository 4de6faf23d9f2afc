//! A client for those whom the agent tells what happens: a webhook, a collector of traces.
//!
//! No redirect is followed. This machine is reached without a proxy. Where the section's `CaFile` names authorities, they
//! alone are trusted.

use std::time::Duration;

use connector_api::Result;
use reqwest::{Certificate, Client, redirect::Policy};
use url::{Host, Url};

use crate::settings::Settings;

/// A client for this address, whose requests take so long at the most.
///
/// # Errors
/// Of kind `Settings`, for the section's `CaFile`.
pub(crate) fn client(settings: &Settings, section: &str, url: &Url, timeout: Duration) -> Result<Client> {
    let refuse = |what: &str, hint: &str| settings.section(&[section]).error("CaFile", what).with_hint(hint);
    let mut builder = Client::builder()
        .user_agent(concat!("agent-host/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .referer(false)
        .timeout(timeout);
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    if let Some(authorities) = settings.file_named_by(&format!("{section}:CaFile"))? {
        let known = Certificate::from_pem_bundle(&authorities)
            .map_err(|_| refuse("names a file without certificates in PEM", "name your authority's"))?;
        builder = builder.tls_certs_only(known);
    }
    builder.build().map_err(|_| refuse("cannot be trusted with TLS", "name your authority's file"))
}

/// Whether the address is this machine's own.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
