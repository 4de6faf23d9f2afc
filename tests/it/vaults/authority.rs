//! An authority of the test's own, and the certificates it gives to servers and clients.

use std::{fs, path::Path};

use p12_keystore::{Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key.
pub(crate) struct Issued {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: KeyPair,
    /// Both, as a file holds them.
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a certificate can be made"))
                .expect("a certificate can be made"),
        )
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    /// A certificate for a server of this machine, or for a client.
    pub(crate) fn issue(&self, name: &str) -> Issued {
        self.certify(name, KeyPair::generate().expect("a certificate can be made"))
    }

    /// The same with an RSA key.
    pub(crate) fn issue_rsa(&self, name: &str) -> Issued {
        self.certify(
            name,
            KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).expect("a certificate can be made"),
        )
    }

    fn certify(&self, name: &str, key: KeyPair) -> Issued {
        let certificate = named(name).signed_by(&key, &self.0).expect("a certificate can be made");
        let pem = format!("{}{}", certificate.pem(), key.serialize_pem());
        Issued { certificate: certificate.der().clone(), key, pem }
    }
}

impl Issued {
    /// Writes both as a PFX file.
    pub(crate) fn write_pfx(&self, path: &Path, password: &str) {
        let chain = PrivateKeyChain::new(
            "client",
            PrivateKey::from_der(&self.key.serialize_der()).expect("it is PKCS#8"),
            [Certificate::from_der(&self.certificate).expect("it is a certificate")],
        );
        let mut store = KeyStore::new();
        store.add_entry("client", KeyStoreEntry::PrivateKeyChain(chain));
        fs::write(path, store.writer(password).write().expect("it can be written")).expect("the folder can be written");
    }

    pub(crate) fn private(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.key.serialize_der()).expect("a certificate can be made")
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()])
        .expect("a certificate can be made");
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
