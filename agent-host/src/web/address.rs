//! Where the agent listens: `Web:Urls`, and the certificate with which it serves https there.

use std::{fmt, net::SocketAddr, sync::Arc};

use connector_api::Result;
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use url::{Host, Url};

use crate::settings::Settings;

/// Where it listens when nothing is said.
const DEFAULT_URL: &str = "http://127.0.0.1:6001";
const URL_HINT: &str = "write http://127.0.0.1:6001, or https://0.0.0.0:6001 with a `Web:Certificate`";
/// Before a certificate ends, so long it is told at each reading of the settings.
const TELL_BEFORE_MS: i64 = 21 * 24 * 3_600_000;

/// One address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Address and port.
    pub socket: SocketAddr,
    /// Whether TLS is spoken there.
    pub is_https: bool,
}

/// What TLS is spoken with.
#[derive(Clone)]
pub struct Tls {
    /// What a handshake goes by.
    pub(super) config: Arc<ServerConfig>,
    /// When the certificate ends, in milliseconds since 1970.
    pub ends_ms: Option<i64>,
}

/// As people write it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.is_https { "https" } else { "http" }, self.socket)
    }
}

/// The addresses of `Web:Urls`, separated by semicolons.
///
/// # Errors
/// Of kind `Settings` for one that cannot be listened on.
pub fn addresses(settings: &Settings) -> Result<Vec<Address>> {
    let section = settings.section(&["Web"]);
    let refuse = |what: &str, hint: &str| Err(section.error("Urls", what).with_hint(hint));
    let mut addresses: Vec<Address> = Vec::new();
    for text in section.text("Urls").unwrap_or(DEFAULT_URL).split(';').map(str::trim).filter(|text| !text.is_empty()) {
        // As .NET writes "on every address".
        let text = text.replace("://*", "://0.0.0.0").replace("://+", "://0.0.0.0");
        let Ok(url) = Url::parse(&text) else { return refuse("holds something that is no address", URL_HINT) };
        let is_https = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return refuse("has a scheme other than http and https", URL_HINT),
        };
        if url.path() != "/" || url.query().is_some() {
            return refuse("has a path, where an address ends after the port", URL_HINT);
        }
        let port = url.port_or_known_default().unwrap_or(80);
        let socket = match url.host() {
            Some(Host::Ipv4(address)) => SocketAddr::from((address, port)),
            Some(Host::Ipv6(address)) => SocketAddr::from((address, port)),
            Some(Host::Domain("localhost")) => SocketAddr::from(([127, 0, 0, 1], port)),
            _ => return refuse("names a host instead of one of this machine's addresses", "write an IP address"),
        };
        if addresses.iter().any(|known| known.socket == socket && socket.port() != 0) {
            return refuse("names an address twice", "write each once");
        }
        addresses.push(Address { socket, is_https });
    }
    if addresses.is_empty() { refuse("names no address", URL_HINT) } else { Ok(addresses) }
}

/// What TLS is spoken with; none where no address is one of https. One that ends soon is told in the log.
///
/// # Errors
/// Of kind `Settings`: no certificate, or one that cannot be used.
pub fn tls(settings: &Settings, addresses: &[Address], now_ms: i64) -> Result<Option<Tls>> {
    if !addresses.iter().any(|address| address.is_https) {
        return Ok(None);
    }
    let section = settings.section(&["Web"]);
    let file = settings.server_certificate()?.ok_or_else(|| {
        let error = section.error("Certificate:File", "is missing, and `Web:Urls` asks for https");
        error.with_hint("name a PFX file, or a PEM file with the certificate and beside it `KeyFile`")
    })?;
    let unusable = |what: &dyn fmt::Display| {
        let error = section.error("Certificate:File", format_args!("names a file that cannot serve https: {what}"));
        error.with_hint("name the server's certificate with its chain, and the private key that belongs to it")
    };
    let ends_ms = file.certificates.first().and_then(|der| {
        let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
        Some(certificate.validity().not_after.timestamp() * 1000)
    });
    if let Some(ends_ms) = ends_ms.filter(|ends_ms| ends_ms - now_ms < TELL_BEFORE_MS) {
        let days = (ends_ms - now_ms).div_euclid(24 * 3_600_000);
        tracing::warn!(days, "the certificate of `Web:Certificate` has ended or ends soon: put a new one in its place");
    }
    let certificates = file.certificates.into_iter().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(file.key.to_vec()));
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| unusable(&error))?;
    let mut config =
        builder.with_no_client_auth().with_single_cert(certificates, key).map_err(|error| unusable(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Some(Tls { config: Arc::new(config), ends_ms }))
}
