//! Values that other tools protected with the certificate: CMS EnvelopedData, and the vendor's own format, a guess.
//!
//! CMS as `openssl cms -encrypt -outform DER` and .NET's EnvelopedCms write it, in base64: the key by RSA PKCS#1 v1.5
//! or OAEP, the text by AES-CBC or 3DES. Neither format proves that nobody altered a value. Every failure to open is
//! told in the same words. Sources: RFC 5652, RFC 8017, RFC 3565; the vendor's samples, measured.

use aes_gcm::aes::{Aes128, Aes192, Aes256};
use base64::{Engine, prelude::BASE64_STANDARD};
use cbc::{
    Decryptor,
    cipher::{BlockCipherDecrypt, BlockModeDecrypt, KeyInit, KeyIvInit, block_padding::Pkcs7},
};
use cms::{
    cert::x509::spki::AlgorithmIdentifierRef,
    content_info::ContentInfo,
    enveloped_data::{EnvelopedData, RecipientInfo},
};
use der::{
    Any, Decode, ErrorKind, Reader,
    asn1::{ContextSpecific, ObjectIdentifier},
};
use des::TdesEde3;
use secrecy::{SecretString, zeroize::Zeroizing};

use super::super::{
    certificate::{Padding, RsaKey},
    unusable::Unusable,
};

const ENVELOPED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.3");
const AUTH_ENVELOPED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.23");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_OAEP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.7");
const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const TRIPLE_DES_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.3.7");
const AES_CBC: [(ObjectIdentifier, usize); 3] = [
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2"), 16),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.22"), 24),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42"), 32),
];

/// How every value of the vendor's begins: the base64 of `93 10 01`.
const VENDOR_PREFIX: &str = "kxAB";
/// More recipients than anybody writes.
const MAX_RECIPIENTS: usize = 16;

/// A value that another tool protected.
pub(super) enum Foreign {
    Cms(Box<EnvelopedData>),
    Vendor(Vec<u8>),
}

impl Foreign {
    /// Recognises a value by its form; none where it is of no such form.
    pub(super) fn parse(value: &str) -> Result<Option<Self>, Unusable> {
        let compact: String = value.split_ascii_whitespace().collect();
        let Ok(bytes) = BASE64_STANDARD.decode(&compact) else {
            return if value.starts_with(VENDOR_PREFIX) { Err(not_opened_vendor()) } else { Ok(None) };
        };
        if value.starts_with(VENDOR_PREFIX) {
            return Ok(Some(Self::Vendor(bytes)));
        }
        let Ok(info) = ContentInfo::from_der(&bytes) else {
            // What begins as CMS does and is none was cut or altered.
            return if value.starts_with("MII") && holds_cms(&bytes) { Err(not_opened()) } else { Ok(None) };
        };
        match info.content_type {
            ENVELOPED_DATA => {
                info.content.decode_as().map(|data| Some(Self::Cms(Box::new(data)))).map_err(|_| not_opened())
            }
            AUTH_ENVELOPED_DATA => Err(unknown_way()),
            _ => Ok(None),
        }
    }

    /// The text, by the certificate's key.
    pub(super) fn open(&self, key: &RsaKey) -> Result<SecretString, Unusable> {
        match self {
            Self::Cms(data) => open_cms(data, key),
            Self::Vendor(bytes) => probe(bytes, key).ok_or_else(not_opened_vendor),
        }
    }
}

/// Whether another tool protected it.
pub(super) fn is_foreign(value: &str) -> bool {
    !matches!(Foreign::parse(value), Ok(None))
}

/// Whether it begins as the vendor's values do.
pub(super) fn is_vendors(value: &str) -> bool {
    value.trim_start().starts_with(VENDOR_PREFIX)
}

/// Whether it is the vendor's form of a PFX password: three parts that a key of the vendor's encrypts.
pub(super) fn is_vendor_password(password: &str) -> bool {
    let parts: Vec<&str> = password.split('@').collect();
    let lengths: Vec<usize> = parts.iter().filter_map(|part| Some(BASE64_STANDARD.decode(part).ok()?.len())).collect();
    parts.len() == 3 && lengths.len() == 3 && lengths[0] == 128
}

fn not_opened() -> Unusable {
    Unusable::new(
        "is a CMS value that this certificate does not open: it is for another, or it was altered or cut",
        "protect the value anew with `agent-host protect value`",
    )
}

fn unknown_way() -> Unusable {
    Unusable::new(
        "is a CMS value in an encryption that is not known here",
        "use AES-CBC with RSA PKCS#1 or OAEP, or protect the value with `agent-host protect value`",
    )
}

fn not_opened_vendor() -> Unusable {
    Unusable::new(
        "is in the vendor's own format, which is not published; it was tried and not opened",
        "protect the value anew with `agent-host protect value` and put that in its place",
    )
}

/// Whether the object identifier of EnvelopedData is near the beginning.
fn holds_cms(bytes: &[u8]) -> bool {
    let oid = ENVELOPED_DATA.as_bytes();
    bytes.windows(oid.len()).take(16).any(|window| window == oid)
}

fn open_cms(data: &EnvelopedData, key: &RsaKey) -> Result<SecretString, Unusable> {
    let content = &data.encrypted_content;
    let text = content.encrypted_content.as_ref().ok_or_else(not_opened)?.as_bytes();
    let algorithm = content.content_enc_alg.oid;
    let key_bytes = AES_CBC.iter().find(|(oid, _)| *oid == algorithm).map(|(_, bytes)| *bytes);
    let key_bytes = key_bytes.or_else(|| (algorithm == TRIPLE_DES_CBC).then_some(24)).ok_or_else(unknown_way)?;
    let iv = content.content_enc_alg.parameters.as_ref().ok_or_else(not_opened)?.value();
    let mut is_known = false;
    for recipient in data.recip_infos.0.iter().take(MAX_RECIPIENTS) {
        let RecipientInfo::Ktri(recipient) = recipient else { continue };
        let padding = match recipient.key_enc_alg.oid {
            RSA => Padding::Pkcs1,
            RSA_OAEP => match oaep(recipient.key_enc_alg.parameters.as_ref()) {
                Some(padding) => padding,
                None => continue,
            },
            _ => continue,
        };
        is_known = true;
        let unwrapped = key.unwrap(padding, recipient.enc_key.as_bytes());
        let Some(unwrapped) = unwrapped.filter(|key| key.len() == key_bytes) else { continue };
        let opened = if algorithm == TRIPLE_DES_CBC {
            decrypt::<TdesEde3>(&unwrapped, iv, text)
        } else {
            decrypt_aes(&unwrapped, iv, text)
        };
        if let Some(opened) = opened {
            return Ok(opened);
        }
    }
    Err(if is_known { not_opened() } else { unknown_way() })
}

/// The padding that the parameters of RSAES-OAEP name; none where hash and mask differ or are not known here.
fn oaep(parameters: Option<&Any>) -> Option<Padding> {
    let (mut hash, mut mask) = (SHA1, SHA1);
    let read = parameters?.sequence(|fields| {
        while !fields.is_finished() {
            let field = ContextSpecific::<AlgorithmIdentifierRef<'_>>::decode(fields)?;
            match (field.tag_number.value(), field.value.parameters) {
                (0, _) => hash = field.value.oid,
                (1, Some(inner)) => mask = inner.decode_as::<AlgorithmIdentifierRef<'_>>()?.oid,
                _ => return Err(ErrorKind::Failed.into()),
            }
        }
        Ok(())
    });
    read.ok()?;
    match (hash, mask) {
        (SHA1, SHA1) => Some(Padding::OaepSha1),
        (SHA256, SHA256) => Some(Padding::OaepSha256),
        _ => None,
    }
}

/// Tries the vendor's format as its published samples suggest it: `93 10 01 00`, then a key wrapped for RSA-2048 and
/// 16 bytes of initialisation vector in either order, then AES-CBC. At most six tries, none of them verified.
fn probe(bytes: &[u8], key: &RsaKey) -> Option<SecretString> {
    let rest = bytes.strip_prefix(&[0x93, 0x10])?;
    let length = rest.first_chunk::<2>().map(|length| usize::from(u16::from_be_bytes(*length)))?;
    let rest = &rest[2..];
    let orders =
        [(0, length), (16, 0)].map(|(wrapped, iv)| (rest.get(wrapped..wrapped + length), rest.get(iv..iv + 16)));
    let text = rest.get(length + 16..)?;
    for (wrapped, iv) in orders {
        for padding in [Padding::OaepSha1, Padding::OaepSha256, Padding::Pkcs1] {
            let Some(unwrapped) = key.unwrap(padding, wrapped?) else { continue };
            if let Some(opened) = decrypt_aes(&unwrapped, iv?, text) {
                return Some(opened);
            }
        }
    }
    None
}

fn decrypt_aes(key: &[u8], iv: &[u8], text: &[u8]) -> Option<SecretString> {
    match key.len() {
        16 => decrypt::<Aes128>(key, iv, text),
        24 => decrypt::<Aes192>(key, iv, text),
        32 => decrypt::<Aes256>(key, iv, text),
        _ => None,
    }
}

fn decrypt<C: BlockCipherDecrypt + KeyInit>(key: &[u8], iv: &[u8], text: &[u8]) -> Option<SecretString> {
    let mut text = Zeroizing::new(text.to_vec());
    let opened = Decryptor::<C>::new_from_slices(key, iv).ok()?.decrypt_padded::<Pkcs7>(&mut text).ok()?;
    str::from_utf8(opened).ok().map(SecretString::from)
}
