//! The format of protected values, `prot1:` and base64url without padding of these bytes:
//!
//! | bytes | hold |
//! | --- | --- |
//! | 1 | how the data key is wrapped: 1 RSA-OAEP (SHA-256, no label), 2 AES-256-GCM (nonce, text, tag) under a shared key |
//! | 1 | where the value may stand: 0 anywhere, 1 at one path alone |
//! | 8 | id of the key |
//! | 16 | the first bytes of the path's SHA-256, or zeros |
//! | 16 | salt |
//! | 12 | nonce |
//! | 2 | length of the wrapped data key, big-endian; then the wrapped key |
//! | rest | the text under AES-256-GCM, with its tag of 16 bytes |
//!
//! The key of the text is HKDF-SHA256 (data key, salt, `prot1 value`). Authenticated are `prot1:`, every byte before
//! the text, and the path in lower case (`connections:okta:apikey`) where there is one. Several values may share one
//! data key; salt and nonce are fresh for each.

use aes_gcm::aead::AeadInOut;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};
use sha2::{Digest, Sha256};

use super::{
    super::unusable::Unusable,
    key::{Bytes32, KEY_BYTES, Key, NONCE_BYTES, SHARED, cipher, random},
};

/// How every protected value of this format begins.
pub(crate) const PREFIX: &str = "prot1:";

const VALUE_LABEL: &[u8] = b"prot1 value";
const SALT_BYTES: usize = 16;
const PATH_BYTES: usize = 16;
/// Everything before the wrapped key.
const HEAD_BYTES: usize = 2 + 8 + PATH_BYTES + SALT_BYTES + NONCE_BYTES + 2;
const TAG_BYTES: usize = 16;

/// Protects values by one data key.
pub(crate) struct Sealer {
    way: u8,
    key_id: [u8; 8],
    data_key: Bytes32,
    wrapped: Vec<u8>,
}

/// A protected value taken apart.
pub(super) struct Sealed {
    bytes: Vec<u8>,
    wrapped_bytes: usize,
}

impl Sealer {
    /// A sealer with a fresh data key.
    pub(crate) fn new(key: &Key) -> Self {
        let data_key = Zeroizing::new(random::<KEY_BYTES>());
        let wrapped = key.wrap(&data_key).expect("a key of 32 bytes fits into every key that is accepted");
        Self { way: key.way(), key_id: key.id(), data_key, wrapped }
    }

    /// Whether the key is a certificate's.
    pub(super) fn is_by_certificate(&self) -> bool {
        self.way != SHARED
    }

    /// The protected value, for the setting at `path` or, without one, for any.
    pub(crate) fn seal(&self, text: &SecretString, path: Option<&str>) -> String {
        let (salt, nonce) = (random::<SALT_BYTES>(), random::<NONCE_BYTES>());
        let length = u16::try_from(self.wrapped.len()).expect("a wrapped key has at most 1,024 bytes").to_be_bytes();
        let scope = [self.way, u8::from(path.is_some())];
        let path_id = path.map_or([0; PATH_BYTES], path_id);
        let parts: [&[u8]; 7] = [&scope, &self.key_id, &path_id, &salt, &nonce, &length, &self.wrapped];
        let mut sealed = parts.concat();
        let mut text = text.expose_secret().as_bytes().to_vec();
        // In place: where the text was, there is nothing left of it.
        cipher(&value_key(&self.data_key, &salt))
            .encrypt_in_place(&nonce.into(), &bound_to(&sealed, path), &mut text)
            .expect("a setting is far smaller than what AES-GCM can take");
        sealed.extend_from_slice(&text);
        PREFIX.to_owned() + &BASE64_URL_SAFE_NO_PAD.encode(sealed)
    }
}

/// Whether a value of ours was made to stand anywhere.
pub(super) fn is_movable(value: &str) -> bool {
    Sealed::parse(value).is_ok_and(|sealed| sealed.bytes[1] == 0)
}

/// Whether a value of ours was made with a key that is no certificate's.
pub(super) fn is_by_shared_key(value: &str) -> bool {
    Sealed::parse(value).is_ok_and(|sealed| sealed.bytes[0] == SHARED)
}

impl Sealed {
    /// Takes a value apart that begins as ours do, in whatever version.
    pub(super) fn parse(value: &str) -> Result<Self, Unusable> {
        let Some(text) = value.strip_prefix(PREFIX) else {
            let version = value.split(':').next().unwrap_or_default();
            return Err(Unusable::new(
                format!("is protected in the format `{version}`, which this version does not know"),
                "open it with the version of agent-host that made it, and protect it again",
            ));
        };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| damaged())?;
        let length = bytes.get(HEAD_BYTES - 2..HEAD_BYTES).ok_or_else(damaged)?;
        let wrapped_bytes = usize::from(u16::from_be_bytes([length[0], length[1]]));
        if bytes.len() < HEAD_BYTES + wrapped_bytes + TAG_BYTES || !matches!((bytes[0], bytes[1]), (1 | 2, 0 | 1)) {
            return Err(damaged());
        }
        Ok(Self { bytes, wrapped_bytes })
    }

    /// Whether it was made for this key.
    pub(super) fn is_for(&self, key: &Key) -> bool {
        self.bytes[0] == key.way() && self.bytes[2..10] == key.id()
    }

    pub(super) fn wrapped(&self) -> &[u8] {
        &self.bytes[HEAD_BYTES..HEAD_BYTES + self.wrapped_bytes]
    }

    /// The text, by the data key, at `path`.
    pub(super) fn open(&self, data_key: &Bytes32, path: Option<&str>) -> Result<SecretString, Unusable> {
        let (head, text) = self.bytes.split_at(HEAD_BYTES + self.wrapped_bytes);
        let path = match (self.bytes[1], path) {
            (0, _) => None,
            (_, None) => {
                let hint = "name the setting it was made for with --path, such as Connections:Okta:ApiKey";
                return Err(Unusable::new("was protected for one setting alone", hint));
            }
            (_, Some(path)) if head[10..10 + PATH_BYTES] != path_id(path) => {
                return Err(Unusable::new(
                    "was protected for another setting, so it does not count here",
                    "protect the value for this setting (`agent-host protect value --path …`), or with --any-path",
                ));
            }
            (_, path) => path,
        };
        let salt: &[u8; SALT_BYTES] = array(&head[26..]);
        let nonce: &[u8; NONCE_BYTES] = array(&head[42..]);
        let mut text = Zeroizing::new(text.to_vec());
        cipher(&value_key(data_key, salt))
            .decrypt_in_place(&(*nonce).into(), &bound_to(head, path), &mut *text)
            .map_err(|_| damaged())?;
        str::from_utf8(&text).map(SecretString::from).map_err(|_| damaged())
    }
}

/// What is said of a value that is not as it was made. It does not say which part, so that nobody can learn from it.
pub(super) fn damaged() -> Unusable {
    Unusable::new(
        "is a protected value that was altered or cut",
        "paste it again as it was made, or protect the value anew",
    )
}

fn array<const N: usize>(bytes: &[u8]) -> &[u8; N] {
    bytes.first_chunk().expect("the length was checked when the value was taken apart")
}

fn path_id(path: &str) -> [u8; PATH_BYTES] {
    let sum = Sha256::digest(path.to_lowercase());
    std::array::from_fn(|index| sum[index])
}

fn bound_to(head: &[u8], path: Option<&str>) -> Vec<u8> {
    [PREFIX.as_bytes(), head, path.unwrap_or_default().to_lowercase().as_bytes()].concat()
}

fn value_key(data_key: &Bytes32, salt: &[u8; SALT_BYTES]) -> Bytes32 {
    struct Length;
    impl KeyType for Length {
        fn len(&self) -> usize {
            KEY_BYTES
        }
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    let pseudo_random = Salt::new(HKDF_SHA256, salt).extract(data_key.as_slice());
    let expanded = pseudo_random.expand(&[VALUE_LABEL], Length).expect("32 bytes are not too many");
    expanded.fill(key.as_mut_slice()).expect("the length is the one asked for");
    key
}
