//! The HTTP client: within the configured origin, without a proxy on loopback, bounded in time.

use std::time::Duration;

use connector_api::{Error, ErrorKind};
use reqwest::redirect::Policy;

use crate::settings::{OktaSettings, is_loopback};

/// An HTTP client that follows redirects within the configured origin alone.
pub(super) fn http_client(settings: &OktaSettings) -> Result<reqwest::Client, Error> {
    let origin = settings.server.origin();
    let same_origin = Policy::custom(move |attempt| {
        if attempt.url().origin() == origin && attempt.previous().len() < 5 { attempt.follow() } else { attempt.stop() }
    });
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("agent-host/", env!("CARGO_PKG_VERSION")))
        .redirect(same_origin)
        .connect_timeout(Duration::from_secs(20))
        .timeout(settings.request_timeout)
        .referer(false)
        .tcp_nodelay(true);
    if settings.server.host().is_some_and(|host| is_loopback(&host)) {
        builder = builder.no_proxy();
    }
    if let Some(pem) = &settings.ca_certificates {
        let certificates = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).map_err(|_| {
            Error::setting("CaFile", "`CaFile` names a file that holds a damaged certificate")
                .with_hint("name the file of your authority's certificates, in PEM")
        })?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(|error| {
        Error::new(ErrorKind::Settings, "the HTTP client cannot be set up").with_source(error.without_url())
    })
}
