//! The certificate by which the agent shows a vault who it is, with its private key, from a PFX or PEM file.

use base64::{Engine, prelude::BASE64_STANDARD};
use connector_api::Result;
use reqwest::Identity;
use secrecy::{ExposeSecret, zeroize::Zeroizing};

use super::section::Section;
use crate::settings::certificate::KeyFile;

/// The certificate, and the setting that names its file.
pub(super) struct ClientCertificate {
    file: KeyFile,
    key: &'static str,
}

impl ClientCertificate {
    /// Reads the file that the setting `key` names, opened with the password of the other; none where it is absent.
    pub(super) fn read(section: &Section<'_>, key: &'static str, password: &str) -> Result<Option<Self>> {
        let Some(file) = section.file(key)? else { return Ok(None) };
        let password = section.secret(password)?.unwrap_or_default();
        let read = KeyFile::read(&file, None, password.expose_secret(), false);
        let file = read.map_err(|unusable| {
            section.error(key, format_args!("names a file that {}", unusable.what)).with_hint(unusable.hint)
        })?;
        if file.certificates.is_empty() {
            let error = section.error(key, "names a file that holds no certificate");
            return Err(error.with_hint("put the certificate and its private key into it"));
        }
        Ok(Some(Self { file, key }))
    }

    /// The setting that names its file.
    pub(super) fn named_by(&self) -> &'static str {
        self.key
    }

    /// The certificate itself, as DER.
    pub(super) fn der(&self) -> &[u8] {
        &self.file.certificates[0]
    }

    /// Its private key, as PKCS#8.
    pub(super) fn private(&self) -> &[u8] {
        &self.file.key
    }

    /// For TLS, whose library takes PEM.
    pub(super) fn identity(&self, section: &Section<'_>) -> Result<Identity> {
        let mut pem = Zeroizing::new(block("PRIVATE KEY", &self.file.key));
        for certificate in &self.file.certificates {
            pem.push_str(&block("CERTIFICATE", certificate));
        }
        Identity::from_pem(pem.as_bytes()).map_err(|error| {
            let error =
                section.error(self.key, "names a certificate that TLS cannot use").with_source(error.without_url());
            error.with_hint("export it again with its private key")
        })
    }
}

/// DER as PEM. Source: RFC 7468.
fn block(label: &str, der: &[u8]) -> String {
    let body = Zeroizing::new(BASE64_STANDARD.encode(der));
    let mut pem = String::with_capacity(body.len() + body.len() / 64 + 64);
    pem.push_str(&format!("-----BEGIN {label}-----\n"));
    for start in (0..body.len()).step_by(64) {
        pem.push_str(&body[start..body.len().min(start + 64)]);
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}
