//! Certificates and private keys in PEM, an extension of ours: one file, or the key in a file of its own.
//!
//! Private keys without a password only: PKCS#8 and PKCS#1. Source: RFC 7468.

use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::zeroize::Zeroizing;

use super::{KeyFile, Unusable, element};

/// The algorithm of PKCS#8 for RSA, with its version before it.
const VERSION_AND_RSA: [u8; 18] = [2, 1, 0, 0x30, 13, 6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1, 5, 0];

/// A label and what stands under it.
type Block = (String, Zeroizing<Vec<u8>>);

/// Whether a file is PEM rather than PFX.
pub(super) fn is_pem(file: &[u8]) -> bool {
    file.windows(11).any(|window| window == b"-----BEGIN ")
}

/// Reads the certificates and the private key of `file` and, for the key, of `key`.
pub(super) fn read(file: &[u8], key: &[u8]) -> Result<KeyFile, Unusable> {
    let mut found = KeyFile { key: Zeroizing::default(), certificates: Vec::new() };
    for file in [file, key] {
        for (label, der) in blocks(file)? {
            match label.as_str() {
                "CERTIFICATE" => found.certificates.push(der.to_vec()),
                "PRIVATE KEY" if found.key.is_empty() => found.key = der,
                "RSA PRIVATE KEY" if found.key.is_empty() => {
                    let info = [&VERSION_AND_RSA[..], &element(4, &der)].concat();
                    found.key = element(0x30, &Zeroizing::new(info));
                }
                "PRIVATE KEY" | "RSA PRIVATE KEY" => {
                    return Err(Unusable::new("holds several private keys", "keep the one that is meant"));
                }
                "ENCRYPTED PRIVATE KEY" => {
                    let hint = "use a PFX file, whose password is asked for (`openssl pkcs12 -export`)";
                    return Err(Unusable::new(
                        "holds a private key with a password, which is not offered for PEM",
                        hint,
                    ));
                }
                _ => {}
            }
        }
    }
    if found.key.is_empty() {
        let hint = "put the key into the same file, or name its file with `KeyFile` beside `File`";
        return Err(Unusable::new("holds no private key", hint));
    }
    Ok(found)
}

/// The labels and contents of all blocks.
fn blocks(file: &[u8]) -> Result<Vec<Block>, Unusable> {
    let damaged = || Unusable::new("is damaged PEM", "copy the file again");
    let text = str::from_utf8(file).map_err(|_| damaged())?;
    let mut blocks = Vec::new();
    for block in text.split("-----BEGIN ").skip(1) {
        let (label, rest) = block.split_once("-----").ok_or_else(damaged)?;
        let (body, _) = rest.split_once(&format!("-----END {label}-----")).ok_or_else(damaged)?;
        if body.contains("DEK-Info") {
            let hint = "use a PFX file, whose password is asked for (`openssl pkcs12 -export`)";
            return Err(Unusable::new("holds a private key with a password, which is not offered for PEM", hint));
        }
        let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
        let der = BASE64_STANDARD.decode(body.as_bytes()).map_err(|_| damaged())?;
        blocks.push((label.to_owned(), Zeroizing::new(der)));
    }
    Ok(blocks)
}
