//! A new certificate for protecting settings: RSA with 3,072 bits, signed by itself, as a PFX file.

use chrono::{Datelike, NaiveDate};
use connector_api::{Error, ErrorKind, Result};
use p12_keystore::{KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

/// How often the password is stirred before it encrypts: ten times what openssl does, and every command that needs the
/// certificate pays for it, some ten milliseconds.
const ITERATIONS: u32 = 20_000;

/// The PFX file of a certificate for `name`, valid from the day `begins` to the day `ends`.
pub(crate) fn new_pfx(
    name: &str,
    begins: NaiveDate,
    ends: NaiveDate,
    password: &SecretString,
) -> Result<Zeroizing<Vec<u8>>> {
    let refuse = |source: Box<dyn std::error::Error + Send + Sync>| {
        Error::new(ErrorKind::Settings, "the certificate cannot be made").with_source(source)
    };
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072).map_err(|error| refuse(error.into()))?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let part = |number: u32| u8::try_from(number).expect("months and days are below 32");
    let midnight = |day: NaiveDate| rcgen::date_time_ymd(day.year(), part(day.month()), part(day.day()));
    (params.not_before, params.not_after) = (midnight(begins), midnight(ends));
    let certificate = params.self_signed(&key).map_err(|error| refuse(error.into()))?;

    let pkcs8 = Zeroizing::new(key.serialize_der());
    let key = PrivateKey::from_der(&pkcs8).map_err(|error| refuse(error.into()))?;
    let certificate = p12_keystore::Certificate::from_der(certificate.der()).map_err(|error| refuse(error.into()))?;
    let mut store = KeyStore::new();
    store.add_entry(name, KeyStoreEntry::PrivateKeyChain(PrivateKeyChain::new("agent-host", key, [certificate])));
    let writer = store.writer(password.expose_secret()).encryption_iterations(ITERATIONS).mac_iterations(ITERATIONS);
    writer.write().map(Zeroizing::new).map_err(|error| refuse(error.into()))
}
