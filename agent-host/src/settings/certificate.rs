//! A certificate's private key and validity, from a PFX file or, as an extension of ours, from PEM.
//!
//! Every shape that openssl, .NET, keytool and Python write is read; a file without a sum that proves it whole only
//! where that is asked for. Only RSA. Certificate stores of Windows and Azure are named and not offered. Nothing here
//! shows a password or a key.

mod weak;
mod rsa;
mod pem;
pub(crate) mod new;

use der::{
    Decode, Reader, SliceReader,
    asn1::{AnyRef, ContextSpecific},
};
use p12_keystore::{Pkcs12Archive, error::Error as PfxError};
use secrecy::zeroize::Zeroizing;

pub(crate) use rsa::{Padding, RsaKey};

use super::unusable::Unusable;
use rsa::STRONG_BITS;

/// What stands in a certificate's file: the private key as PKCS#8 and the certificates, the key's own first, as DER.
pub(crate) struct KeyFile {
    pub(crate) key: Zeroizing<Vec<u8>>,
    pub(crate) certificates: Vec<Vec<u8>>,
}

/// A private key, and what is to be said about its certificate.
pub(crate) struct Certificate {
    pub(crate) key: RsaKey,
    /// Seconds since 1970 between which the certificate is valid; none where there is no certificate.
    pub(crate) valid: Option<(i64, i64)>,
}

impl KeyFile {
    /// Reads PFX or PEM. `key` is the PEM file of the private key where `file` holds the certificate alone.
    pub(crate) fn read(file: &[u8], key: Option<&[u8]>, password: &str, without_mac: bool) -> Result<Self, Unusable> {
        if pem::is_pem(file) {
            return pem::read(file, key.unwrap_or_default());
        }
        let archive = archive(file, password, without_mac)?;
        let mut keys = archive.keys.iter();
        let Some(key) = keys.next() else {
            return Err(Unusable::new(
                "holds no private key",
                "export the certificate again, with its private key (`openssl pkcs12 -export -inkey …`)",
            ));
        };
        if keys.next().is_some() {
            return Err(Unusable::new("holds several private keys", "export the one certificate that is meant, alone"));
        }
        let key = Zeroizing::new(key.key.as_der().to_vec());
        Ok(Self { key, certificates: archive.certs.iter().map(|bag| bag.cert.as_der().to_vec()).collect() })
    }

    /// The key ready for use, and the validity of the certificate that belongs to it.
    pub(crate) fn certificate(&self) -> Result<Certificate, Unusable> {
        let key = RsaKey::from_pkcs8(&self.key)?;
        let mut valid = None;
        for der in &self.certificates {
            let Ok((_, certificate)) = x509_parser::parse_x509_certificate(der) else {
                return Err(Unusable::new("holds a certificate that cannot be read", "export it again"));
            };
            if certificate.subject_pki.raw == key.public_der() {
                let validity = certificate.validity();
                valid = Some((validity.not_before.timestamp(), validity.not_after.timestamp()));
            }
        }
        if valid.is_none() && !self.certificates.is_empty() {
            return Err(Unusable::new(
                "holds a certificate and a private key that do not belong together",
                "export both again",
            ));
        }
        Ok(Certificate { key, valid })
    }
}

impl Certificate {
    /// What is worth a warning, as ends of a sentence that begins with the file's name; `now` in seconds since 1970.
    pub(crate) fn doubts(&self, now: i64) -> Vec<String> {
        let mut doubts = Vec::new();
        let bits = self.key.bits();
        if bits < STRONG_BITS {
            doubts.push(format!(
                "the key has {bits} bits, which is too few today; make a certificate with `agent-host protect \
                 new-certificate` and change to it with `agent-host protect rotate`"
            ));
        }
        match self.valid {
            Some((begin, _)) if now < begin => doubts.push("the certificate is not yet valid; it is used".to_owned()),
            Some((_, end)) if now > end => doubts.push("the certificate has expired; it is used".to_owned()),
            _ => {}
        }
        doubts
    }
}

fn archive(file: &[u8], password: &str, without_mac: bool) -> Result<Pkcs12Archive, Unusable> {
    let damaged = || {
        Unusable::new(
            "is neither a PFX nor a PEM file, or it is damaged",
            "name the file that holds the certificate and its private key",
        )
    };
    let Some(has_mac) = has_mac(file) else { return Err(damaged()) };
    if !has_mac && !without_mac {
        return Err(Unusable::new(
            "is a PFX file without MAC, so nothing proves that nobody changed it",
            "export it again with a MAC, or accept this one with `AllowNoMac`: true beside its name",
        ));
    }
    let wrong_password = || {
        let hint = "correct the password; it is `Password` beside the file's name";
        Unusable::new("cannot be opened with this password, or it is damaged", hint)
    };
    Pkcs12Archive::from_pkcs12(file, password).map_err(|error| match error {
        PfxError::MacError(_) => wrong_password(),
        PfxError::UnsupportedEncryptionScheme | PfxError::UnsupportedMacAlgorithm => Unusable::new(
            "is a PFX file in an encryption that is not known here",
            "export it again with AES-256 and SHA-256, as `openssl pkcs12 -export` does by itself",
        ),
        // Without a MAC a wrong password shows only where something encrypted turns out to be nonsense.
        _ if !has_mac => wrong_password(),
        _ => damaged(),
    })
}

/// Whether a PFX file carries a MAC; none where it is no PFX file. Source: RFC 7292, section 4.
fn has_mac(file: &[u8]) -> Option<bool> {
    let mut reader = SliceReader::new(file).ok()?;
    let found = reader.sequence(|pfx| {
        u8::decode(pfx)?;
        AnyRef::decode(pfx)?;
        let mac = !pfx.is_finished();
        if mac {
            AnyRef::decode(pfx)?;
        }
        Ok(mac)
    });
    found.ok().filter(|_| reader.is_finished())
}

/// The parts `n`, `e`, `d` of a private RSA key in PKCS#8; none where it is something else. Sources: RFC 5958, RFC 8017.
fn rsa_parts(pkcs8: &[u8]) -> Option<[Zeroizing<Vec<u8>>; 3]> {
    const RSA: der::oid::ObjectIdentifier = der::oid::ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
    let mut reader = SliceReader::new(pkcs8).ok()?;
    let key = reader.sequence(|info| {
        u8::decode(info)?;
        let oid = AnyRef::decode(info)?.sequence(|algorithm| {
            let oid = der::oid::ObjectIdentifier::decode(algorithm)?;
            Option::<AnyRef<'_>>::decode(algorithm)?;
            Ok(oid)
        })?;
        let key = der::asn1::OctetStringRef::decode(info)?.as_bytes();
        while !info.is_finished() {
            ContextSpecific::<AnyRef<'_>>::decode(info).map(drop).or_else(|_| AnyRef::decode(info).map(drop))?;
        }
        Ok((oid == RSA).then_some(key))
    });
    let parts = |number: der::asn1::UintRef<'_>| Zeroizing::new(number.as_bytes().to_vec());
    let mut reader = SliceReader::new(key.ok()??).ok()?;
    let numbers = reader.sequence(|key| {
        u8::decode(key)?;
        let numbers = [parts(key.decode()?), parts(key.decode()?), parts(key.decode()?)];
        key.read_slice(key.remaining_len())?;
        Ok(numbers)
    });
    numbers.ok()
}

/// One element of DER.
fn element(tag: u8, content: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut der = Zeroizing::new(Vec::with_capacity(content.len() + 2 + length.len()));
    der.push(tag);
    match (content.len(), u8::try_from(length.len())) {
        (short @ 0..=127, _) => der.push(u8::try_from(short).unwrap_or_default()),
        (_, count) => {
            der.push(0x80 | count.unwrap_or_default());
            der.extend_from_slice(length);
        }
    }
    der.extend_from_slice(content);
    der
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDate;

    use super::*;

    #[test]
    fn what_is_doubtful_about_a_certificate_is_said_by_its_dates() {
        let day = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
        let pfx = new::new_pfx("test", day(2020), day(2030), &"abc".into()).unwrap();
        let certificate = KeyFile::read(&pfx, None, "abc", false).unwrap().certificate().unwrap();
        assert_eq!(certificate.key.bits(), 3072);
        let at = |year| day(year).and_time(chrono::NaiveTime::MIN).and_utc().timestamp();
        for (year, expected) in [
            (2019, &["the certificate is not yet valid; it is used"][..]),
            (2025, &[]),
            (2031, &["the certificate has expired; it is used"]),
        ] {
            assert_eq!(certificate.doubts(at(year)), expected, "{year}");
        }
    }

    #[test]
    fn lengths_are_written_as_der_wants_them() {
        for (length, head) in [(0, &[4, 0][..]), (127, &[4, 127]), (128, &[4, 0x81, 128]), (256, &[4, 0x82, 1, 0])] {
            let der = element(4, &vec![7; length]);
            assert_eq!((&der[..head.len()], der.len()), (head, head.len() + length));
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let day = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
        let pfx = new::new_pfx("test", day(2020), day(2030), &"abc".into()).unwrap();
        for length in (0..pfx.len()).step_by(pfx.len() / 50) {
            assert!(KeyFile::read(&pfx[..length], None, "abc", false).is_err(), "{length}");
        }
    }
}
