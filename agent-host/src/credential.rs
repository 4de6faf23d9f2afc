//! What opens a directory or the API: a bearer token `<public half>.<secret half>`, or the halves as key and secret of Basic.
//! Okta's mode "Header" sends the token bare, without `Bearer` before it; that opens a directory which wants it so.
//!
//! The public half finds it; of the secret half, 256 bits of chance, the SHA-256 alone is kept, and compared in constant time.

use std::fmt::Write;

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{SHA256, digest},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroizing};

use crate::password_reset::random_text;

/// Bytes of chance in the public half …
const PREFIX_BYTES: usize = 9;
/// … and in the secret half.
const SECRET_BYTES: usize = 32;

/// A secret that was just made: the only moment at which it is seen.
#[derive(Debug)]
pub struct Minted {
    /// The public half.
    pub prefix: String,
    /// The secret half.
    pub secret: SecretString,
    /// Whether it comes as Basic.
    pub basic: bool,
}

/// What a client came with.
#[derive(Debug)]
pub struct Credentials {
    prefix: String,
    secret: SecretString,
    scheme: Scheme,
}

/// How they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// As a token behind `Bearer`.
    Bearer,
    /// As a key and a secret.
    Basic,
    /// As a token and nothing else.
    Bare,
}

impl Minted {
    /// A secret of chance.
    ///
    /// # Errors
    /// Where the operating system has no randomness.
    pub fn new(basic: bool) -> anyhow::Result<Self> {
        Ok(Self { prefix: random_text(PREFIX_BYTES)?, secret: random_text(SECRET_BYTES)?.into(), basic })
    }

    /// The bearer token, to be shown once.
    pub fn token(&self) -> SecretString {
        format!("{}.{}", self.prefix, self.secret.expose_secret()).into()
    }

    /// What is kept of it: the SHA-256 of the secret half, in hexadecimal digits.
    pub fn hash(&self) -> String {
        hash(&self.secret)
    }
}

impl Credentials {
    /// Reads the value of `Authorization`; none where it is of no kind.
    pub fn read(header: &str) -> Option<Self> {
        let Some((scheme, rest)) = header.trim().split_once(' ') else {
            let (prefix, secret) = halves(header.trim())?;
            return Some(Self { prefix, secret, scheme: Scheme::Bare });
        };
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("Bearer") {
            let (prefix, secret) = halves(rest)?;
            return Some(Self { prefix, secret, scheme: Scheme::Bearer });
        }
        if !scheme.eq_ignore_ascii_case("Basic") {
            return None;
        }
        let decoded = Zeroizing::new(STANDARD.decode(rest).ok()?);
        let (prefix, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
        // No key holds U+0000, and PostgreSQL could not be asked for one.
        if prefix.contains('\0') {
            return None;
        }
        Some(Self { prefix: prefix.to_owned(), secret: secret.to_owned().into(), scheme: Scheme::Basic })
    }

    /// The public half.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// How they came.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Whether this is what is kept of their secret half; takes as long either way.
    pub fn match_hash(&self, kept: &str) -> bool {
        verify_slices_are_equal(hash(&self.secret).as_bytes(), kept.as_bytes()).is_ok()
    }
}

/// The public and the secret half of a token.
pub(crate) fn halves(token: &str) -> Option<(String, SecretString)> {
    let (prefix, secret) = token.split_once('.')?;
    Some((prefix.to_owned(), secret.to_owned().into()))
}

/// What the store has of a secret.
pub(crate) fn hash(secret: &SecretString) -> String {
    let digest = digest(&SHA256, secret.expose_secret().as_bytes());
    digest.as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_hash_in_either_scheme() {
        for basic in [false, true] {
            let minted = Minted::new(basic).unwrap();
            let kept = minted.hash();
            assert!(!kept.contains(minted.secret.expose_secret()));
            let pair = format!("{}:{}", minted.prefix, minted.secret.expose_secret());
            let token = minted.token();
            let token = token.expose_secret();
            let headers = [format!("bearer {token}"), format!("Basic {}", STANDARD.encode(pair)), token.to_owned()];
            let read = headers.map(|header| Credentials::read(&header).unwrap());
            assert!(read.iter().all(|credentials| credentials.match_hash(&kept)));
            assert_eq!(read.map(|credentials| credentials.scheme()), [Scheme::Bearer, Scheme::Basic, Scheme::Bare]);
            let forged = Credentials::read(&format!("Bearer {}.{}", minted.prefix, "x".repeat(43))).unwrap();
            assert!(!forged.match_hash(&kept));
        }
    }

    #[test]
    fn what_is_no_credential_is_none() {
        for header in ["", "Bearer", "Bearer nodot", "Basic !!!", "Basic bm9jb2xvbg==", "Basic AGE6Yg==", "Digest a.b"] {
            assert!(Credentials::read(header).is_none(), "{header}");
        }
    }
}
