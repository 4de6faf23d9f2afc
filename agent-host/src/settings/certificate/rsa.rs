//! RSA with a certificate's key: wrapping and unwrapping the keys that values are encrypted with.
//!
//! Keys of 2,048 bits and more work in aws-lc; the smaller ones, which it refuses, in `weak`. Whatever goes wrong, an
//! unwrapping says no more than that it failed, so that nobody learns from the kind of failure.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rsa::{
        OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey,
        Pkcs1PrivateDecryptingKey, PrivateDecryptingKey,
    },
};
use secrecy::zeroize::Zeroizing;
use sha2::{Digest, Sha256};

use super::{Unusable, rsa_parts, weak::WeakKey};

/// Fewer bits are refused.
pub(crate) const MIN_BITS: usize = 1024;
/// Fewer bits are worth a warning.
pub(crate) const STRONG_BITS: usize = 2048;
/// More bits are slow beyond use.
const MAX_BITS: usize = 8192;

/// How a key was padded before it was wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Padding {
    OaepSha256,
    OaepSha1,
    Pkcs1,
}

/// A private RSA key, ready for use.
pub(crate) struct RsaKey {
    bits: usize,
    public_der: Vec<u8>,
    strength: Strength,
}

enum Strength {
    Strong { oaep: OaepPrivateDecryptingKey, pkcs1: Pkcs1PrivateDecryptingKey, public: OaepPublicEncryptingKey },
    Weak(WeakKey),
}

impl RsaKey {
    pub(crate) fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, Unusable> {
        let Some(parts) = rsa_parts(pkcs8) else {
            let hint = "use one with an RSA key; `agent-host protect new-certificate` makes one";
            return Err(Unusable::new("holds a private key that is no RSA key", hint));
        };
        let bits = parts[0].len() * 8 - parts[0].first().map_or(0, |byte| byte.leading_zeros() as usize);
        let refuse = |why: String| {
            Err(Unusable::new(why, "use one of 2,048 bits or more; `agent-host protect new-certificate` makes one"))
        };
        match bits {
            0..MIN_BITS => return refuse(format!("holds a key of {bits} bits, which anybody can break")),
            MIN_BITS..STRONG_BITS => {
                let weak = WeakKey::new(&parts);
                return Ok(Self { bits, public_der: weak.public_der(), strength: Strength::Weak(weak) });
            }
            STRONG_BITS..=MAX_BITS => {}
            _ => return refuse(format!("holds a key of {bits} bits, more than {MAX_BITS}")),
        }
        let strong = || {
            let private = PrivateDecryptingKey::from_pkcs8(pkcs8).ok()?;
            let public = private.public_key();
            let public_der = AsDer::<PublicKeyX509Der<'_>>::as_der(&public).ok()?.as_ref().to_vec();
            let strength = Strength::Strong {
                oaep: OaepPrivateDecryptingKey::new(private.clone()).ok()?,
                pkcs1: Pkcs1PrivateDecryptingKey::new(private).ok()?,
                public: OaepPublicEncryptingKey::new(public).ok()?,
            };
            Some(Self { bits, public_der, strength })
        };
        strong().ok_or_else(|| Unusable::new("holds a private key that is damaged", "export it again"))
    }

    pub(crate) fn bits(&self) -> usize {
        self.bits
    }

    /// The public key as SubjectPublicKeyInfo.
    pub(crate) fn public_der(&self) -> &[u8] {
        &self.public_der
    }

    /// The first eight bytes of the SHA-256 of the public key: by it a value says which key it was made for.
    pub(crate) fn id(&self) -> [u8; 8] {
        let sum = Sha256::digest(&self.public_der);
        std::array::from_fn(|index| sum[index])
    }

    /// Wraps a key by OAEP with SHA-256.
    pub(crate) fn wrap(&self, key: &[u8; 32]) -> Option<Vec<u8>> {
        match &self.strength {
            Strength::Strong { public, .. } => {
                let mut wrapped = vec![0; public.ciphertext_size()];
                let length = public.encrypt(&OAEP_SHA256_MGF1SHA256, key, &mut wrapped, None).ok()?.len();
                wrapped.truncate(length);
                Some(wrapped)
            }
            Strength::Weak(weak) => weak.wrap(key),
        }
    }

    /// Unwraps what was wrapped for this key.
    pub(crate) fn unwrap(&self, padding: Padding, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        if wrapped.len() != self.bits.div_ceil(8) {
            return None;
        }
        let Strength::Strong { oaep, pkcs1, .. } = &self.strength else {
            let Strength::Weak(weak) = &self.strength else { return None };
            return weak.unwrap(padding, wrapped);
        };
        let mut text = Zeroizing::new(vec![0; oaep.min_output_size().max(pkcs1.min_output_size())]);
        let length = match padding {
            Padding::OaepSha256 => oaep.decrypt(&OAEP_SHA256_MGF1SHA256, wrapped, &mut text, None).ok()?.len(),
            Padding::OaepSha1 => oaep.decrypt(&OAEP_SHA1_MGF1SHA1, wrapped, &mut text, None).ok()?.len(),
            Padding::Pkcs1 => pkcs1.decrypt(wrapped, &mut text).ok()?.len(),
        };
        text.truncate(length);
        Some(text)
    }
}
