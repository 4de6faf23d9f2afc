//! The certificate by which the agent shows a vault who it is, with its private key, from a PEM file.

use connector_api::Result;
use reqwest::Identity;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use secrecy::zeroize::Zeroizing;

use super::section::Section;

/// How a PFX file begins: as a sequence in DER.
const DER_SEQUENCE: u8 = 0x30;

/// A certificate, those between it and its authority, and its private key.
pub(super) struct ClientCertificate {
    pem: Zeroizing<Vec<u8>>,
    /// The certificate itself.
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl ClientCertificate {
    /// Reads the file that the setting `key` names; none where it is absent.
    pub(super) fn read(section: &Section<'_>, key: &str) -> Result<Option<Self>> {
        let Some(pem) = section.file(key)? else { return Ok(None) };
        if pem.first() == Some(&DER_SEQUENCE) {
            let hint = "turn it into PEM: `openssl pkcs12 -in FILE.pfx -nodes -out FILE.pem`";
            return Err(section.error(key, "names a PFX file, which a vault cannot be shown").with_hint(hint));
        }
        let refuse =
            |what: &str| section.error(key, what).with_hint("name a PEM file with the certificate and its key");
        let certificate =
            CertificateDer::from_pem_slice(&pem).map_err(|_| refuse("names a file without a certificate in PEM"))?;
        let private = PrivateKeyDer::from_pem_slice(&pem)
            .map_err(|_| refuse("names a file without an unencrypted private key in PEM"))?;
        Ok(Some(Self { pem, certificate, key: private }))
    }

    /// For TLS.
    pub(super) fn identity(&self, section: &Section<'_>, key: &str) -> Result<Identity> {
        Identity::from_pem(&self.pem).map_err(|error| {
            let hint = "name a PEM file with the certificate and its key, and nothing else";
            section.error(key, "names a file that TLS cannot use").with_hint(hint).with_source(error.without_url())
        })
    }
}
