//! The hash of a password that a person chose: Argon2id with the parameters of RFC 9106's second choice as OWASP has them
//! (19 MiB, two passes, one lane), worked out on a thread of its own.

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier},
};
use aws_lc_rs::digest::{SHA256, digest};
use connector_api::{Error, ErrorKind};
use secrecy::{ExposeSecret, SecretString};

use crate::password_reset::random_text;

/// The shortest password, in letters; the longest, in bytes.
pub const MIN_PASSWORD: usize = 12;
const MAX_PASSWORD: usize = 1024;
/// Bytes of chance in a salt.
const SALT_BYTES: usize = 16;

/// What the store has of a password.
#[derive(Debug, Clone)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Hashes a new password.
    ///
    /// # Errors
    /// Of kind `Settings` where it is too short or too long; or there is no randomness.
    pub async fn new(password: &SecretString) -> anyhow::Result<Self> {
        let (letters, bytes) = (password.expose_secret().chars().count(), password.expose_secret().len());
        if letters < MIN_PASSWORD || bytes > MAX_PASSWORD {
            let message = format!("an operator's password has {MIN_PASSWORD} to {MAX_PASSWORD} characters");
            return Err(Error::new(ErrorKind::Settings, message)
                .with_hint("choose a longer one, such as four words")
                .into());
        }
        let (password, salt) = (password.clone(), random_text(SALT_BYTES)?);
        tokio::task::spawn_blocking(move || Self::hash(password.expose_secret().as_bytes(), salt.as_bytes())).await?
    }

    /// The hash as the store has it.
    pub(super) fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// A hash that no password has: nobody knows what was hashed.
    pub(super) fn of_nobody() -> Self {
        let chance = random_text(SALT_BYTES).unwrap_or_default();
        let hashed = Self::hash(chance.as_bytes(), b"nobody's own salt");
        hashed.expect("the parameters are the library's own")
    }

    /// Whether it is this password's.
    pub(super) async fn matches(self, password: SecretString) -> bool {
        let check = move || {
            let given = password.expose_secret().as_bytes();
            // As much work as for a shorter one, whatever somebody sends.
            let given = &given[..given.len().min(MAX_PASSWORD)];
            Argon2::default().verify_password(given, &*self.0).is_ok()
        };
        tokio::task::spawn_blocking(check).await.unwrap_or(false)
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn hash(password: &[u8], salt: &[u8]) -> anyhow::Result<Self> {
        let hash = Argon2::default().hash_password_with_salt(password, salt);
        Ok(Self(hash.map_err(|error| anyhow::anyhow!("a password cannot be hashed: {error}"))?.to_string()))
    }
}

/// SHA-256 in hexadecimal digits: for what is chance already.
pub(super) fn sha256(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
