//! The agent's own key: signs the links that it mails, and seals what waits in the store to be mailed.
//!
//! 32 bytes of the operating system's randomness in the work folder, for their owner's eyes alone, made when they are
//! first needed. Each use has a key of its own, derived by HMAC-SHA256 over its name. Agents that share a store share the
//! file. Without it, links that are out and notices that wait are lost, and nothing else.

use std::{fs, io::Write, path::Path};

use anyhow::Context;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    hmac,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use connector_api::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use rand::{CryptoRng, TryRng, rand_core::UnwrapErr, rngs::SysRng};
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};

use crate::disk;

const FILE: &str = "password-resets.key";
const BYTES: usize = 32;

/// The key, and what is derived from it.
pub struct ResetKey {
    link: Zeroizing<[u8; BYTES]>,
    form: Zeroizing<[u8; BYTES]>,
    seal: RandomizedNonceKey,
}

/// What a link says: its own name, and until when it is good in seconds since 1970.
#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    jti: String,
    exp: i64,
}

impl ResetKey {
    /// Reads the key of the work folder, or makes it.
    ///
    /// # Errors
    /// Where the disk refuses, or the file holds no key.
    pub fn open(work_folder: &Path) -> anyhow::Result<Self> {
        let path = work_folder.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                make(work_folder, &path).with_context(|| format!("cannot write `{}`", path.display()))?
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
        };
        let decoded = URL_SAFE_NO_PAD.decode(text.trim()).ok().map(Zeroizing::new).filter(|bytes| bytes.len() == BYTES);
        let Some(master) = decoded else {
            let message = format!("`{}` holds no key", path.display());
            let hint = "restore the file; or remove it, and links and notices that are under way are lost";
            return Err(Error::new(ErrorKind::Settings, message).with_hint(hint).into());
        };
        let derive = |name: &str| derived(&master, name);
        let seal = RandomizedNonceKey::new(&AES_256_GCM, &*derive("seal")).map_err(|_| anyhow::anyhow!("no key"))?;
        Ok(Self { link: derive("link"), form: derive("form"), seal })
    }

    /// A token for the link of this name.
    pub(crate) fn sign_link(&self, id: &str, expires_ms: i64) -> anyhow::Result<String> {
        let claims = Claims { jti: id.to_owned(), exp: expires_ms / 1000 };
        Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&*self.link))?)
    }

    /// The name of the link that a token is for; none where we did not sign it. Whether it is still good the store tells.
    pub(crate) fn read_link(&self, token: &str) -> Option<String> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        let decoded = jsonwebtoken::decode::<Claims>(token, &DecodingKey::from_secret(&*self.link), &validation);
        decoded.ok().map(|token| token.claims.jti)
    }

    /// What a form for this link carries when it was shown to the browser that holds `cookie`.
    pub(crate) fn form_code(&self, link: &str, cookie: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*self.form);
        URL_SAFE_NO_PAD.encode(hmac::sign(&key, format!("{link}\n{cookie}").as_bytes()))
    }

    /// Whether the form was shown to that browser; takes as long either way.
    pub(crate) fn is_form_code(&self, link: &str, cookie: &str, code: &str) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*self.form);
        let code = URL_SAFE_NO_PAD.decode(code).unwrap_or_default();
        hmac::verify(&key, format!("{link}\n{cookie}").as_bytes(), &code).is_ok()
    }

    /// The text, sealed; `name` must be given again to open it.
    pub(crate) fn seal(&self, name: &str, text: &[u8]) -> anyhow::Result<String> {
        let mut bytes = Zeroizing::new(text.to_vec());
        let sealed = self.seal.seal_in_place_append_tag(Aad::from(name.as_bytes()), &mut *bytes);
        let nonce = sealed.map_err(|_| anyhow::anyhow!("a notice cannot be sealed"))?;
        Ok(URL_SAFE_NO_PAD.encode([nonce.as_ref().as_slice(), &bytes].concat()))
    }

    /// The text of what was sealed under this name; none where another key sealed it, or somebody changed it.
    pub(crate) fn open_sealed(&self, name: &str, sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, rest) = bytes.split_at_checked(NONCE_LEN)?;
        let mut rest = Zeroizing::new(rest.to_vec());
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let length = self.seal.open_in_place(nonce, Aad::from(name.as_bytes()), &mut rest).ok()?.len();
        rest.truncate(length);
        Some(rest)
    }
}

/// The operating system's randomness. A system that has none cannot go on.
pub(super) fn system_random() -> impl CryptoRng {
    UnwrapErr(SysRng)
}

/// So many bytes of the operating system's randomness, as text.
///
/// # Errors
/// Where the operating system gives none.
pub(crate) fn random_text(bytes: usize) -> anyhow::Result<String> {
    let mut random = Zeroizing::new(vec![0_u8; bytes]);
    SysRng.try_fill_bytes(&mut random).context("the operating system gives no randomness")?;
    Ok(URL_SAFE_NO_PAD.encode(&*random))
}

fn make(folder: &Path, path: &Path) -> anyhow::Result<Zeroizing<String>> {
    fs::create_dir_all(folder)?;
    let text = Zeroizing::new(random_text(BYTES)?);
    let making = folder.join(format!(".{FILE}.{}", random_text(6)?));
    let mut file = disk::create_private(&making)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // Whoever comes second takes the key of whoever came first.
    let linked = fs::hard_link(&making, path);
    fs::remove_file(&making)?;
    match linked {
        Ok(()) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Ok(Zeroizing::new(fs::read_to_string(path)?))
        }
        Err(error) => Err(error.into()),
    }
}

fn derived(master: &[u8], name: &str) -> Zeroizing<[u8; BYTES]> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, master);
    let mut bytes = Zeroizing::new([0_u8; BYTES]);
    bytes.copy_from_slice(hmac::sign(&key, name.as_bytes()).as_ref());
    bytes
}

impl std::fmt::Debug for ResetKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResetKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stays_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("Work");
        let token = ResetKey::open(&work).unwrap().sign_link("one", 1_000).unwrap();
        let key = ResetKey::open(&work).unwrap();
        assert_eq!(key.read_link(&token).as_deref(), Some("one"));
        let names: Vec<_> = fs::read_dir(&work).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [FILE]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(work.join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        }
        fs::write(work.join(FILE), "c2hvcnQ").unwrap();
        assert!(ResetKey::open(&work).unwrap_err().to_string().ends_with("holds no key"));
    }

    #[test]
    fn nothing_but_our_own_signature_names_a_link() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (ours, other) = (ResetKey::open(one.path()).unwrap(), ResetKey::open(two.path()).unwrap());
        let token = ours.sign_link("one", 1_000).unwrap();
        let claims = token.split('.').nth(1).unwrap();
        let none = format!("{}.{claims}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#));
        for forged in [other.sign_link("one", 1_000).unwrap(), none, format!("{token}x"), String::new(), ".".repeat(9)]
        {
            assert_eq!(ours.read_link(&forged), None, "{forged}");
        }
        let code = ours.form_code("one", "cookie");
        assert!(ours.is_form_code("one", "cookie", &code));
        assert!(!ours.is_form_code("two", "cookie", &code) && !ours.is_form_code("one", "other", &code));
    }

    #[test]
    fn what_is_sealed_opens_under_its_name_alone() {
        let folder = tempfile::tempdir().unwrap();
        let key = ResetKey::open(folder.path()).unwrap();
        let sealed = key.seal("a", b"secret").unwrap();
        assert_eq!(&*key.open_sealed("a", &sealed).unwrap(), b"secret");
        assert_ne!(sealed, key.seal("a", b"secret").unwrap());
        let mut changed = sealed.clone().into_bytes();
        changed[20] ^= 1;
        let changed = String::from_utf8(changed).unwrap();
        assert!(key.open_sealed("b", &sealed).is_none() && key.open_sealed("a", &changed).is_none());
        assert!(key.open_sealed("a", "").is_none() && key.open_sealed("a", "!").is_none());
    }
}
