//! The keys that values are protected with: a certificate's, or 32 bytes that a file, systemd or a variable holds.
//!
//! Each wraps the data keys of values and is known by an id, so that a value made for another key is told from one
//! that was altered.

use aes_gcm::{Aes256Gcm, KeyInit, aead::AeadInOut};
use aws_lc_rs::rand;
use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::zeroize::Zeroizing;
use sha2::{Digest, Sha256};

use super::super::certificate::{Padding, RsaKey};

/// Bytes of a key that is no certificate's, and of every data key.
pub(crate) const KEY_BYTES: usize = 32;
/// Bytes of a nonce of AES-GCM.
pub(super) const NONCE_BYTES: usize = 12;
/// What the wrapping of a data key by a shared key is bound to.
const KEY_LABEL: &[u8] = b"prot1 key";
/// What the id of a shared key begins with before it is summed.
const ID_LABEL: &[u8] = b"prot1 key id";

/// The number of the way in which a shared key wraps.
pub(super) const SHARED: u8 = 2;

/// A key of 32 bytes.
pub(crate) type Bytes32 = Zeroizing<[u8; KEY_BYTES]>;

/// One key that values may be protected with.
pub(crate) enum Key {
    Certificate(Box<RsaKey>),
    Shared(Bytes32),
}

impl Key {
    /// The shared key that a file, a credential or a variable holds: 32 bytes as they are, or as base64.
    pub(crate) fn shared(contents: &[u8]) -> Option<Self> {
        let bytes = |bytes: &[u8]| <[u8; KEY_BYTES]>::try_from(bytes).map(|key| Self::Shared(Zeroizing::new(key))).ok();
        bytes(contents).or_else(|| {
            let text = str::from_utf8(contents).ok()?.trim();
            bytes(&Zeroizing::new(BASE64_STANDARD.decode(text).ok()?))
        })
    }

    pub(super) fn id(&self) -> [u8; 8] {
        match self {
            Self::Certificate(rsa) => rsa.id(),
            Self::Shared(key) => {
                let sum = Sha256::digest([ID_LABEL, key.as_slice()].concat());
                std::array::from_fn(|index| sum[index])
            }
        }
    }

    /// The number of the way in which this key wraps data keys.
    pub(super) fn way(&self) -> u8 {
        match self {
            Self::Certificate(_) => 1,
            Self::Shared(_) => SHARED,
        }
    }

    pub(super) fn wrap(&self, data_key: &Bytes32) -> Option<Vec<u8>> {
        match self {
            Self::Certificate(rsa) => rsa.wrap(data_key),
            Self::Shared(key) => {
                let nonce = random::<NONCE_BYTES>();
                let mut wrapped = data_key.to_vec();
                cipher(key).encrypt_in_place(&nonce.into(), KEY_LABEL, &mut wrapped).ok()?;
                Some([&nonce[..], &wrapped].concat())
            }
        }
    }

    pub(super) fn unwrap(&self, wrapped: &[u8]) -> Option<Bytes32> {
        let key = match self {
            Self::Certificate(rsa) => rsa.unwrap(Padding::OaepSha256, wrapped)?,
            Self::Shared(key) => {
                let (nonce, wrapped) = wrapped.split_first_chunk::<NONCE_BYTES>()?;
                let mut text = Zeroizing::new(wrapped.to_vec());
                cipher(key).decrypt_in_place(&(*nonce).into(), KEY_LABEL, &mut *text).ok()?;
                text
            }
        };
        <[u8; KEY_BYTES]>::try_from(key.as_slice()).map(Zeroizing::new).ok()
    }
}

pub(super) fn cipher(key: &Bytes32) -> Aes256Gcm {
    Aes256Gcm::new_from_slice(key.as_slice()).expect("AES-256 takes keys of 32 bytes")
}

/// Bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}
