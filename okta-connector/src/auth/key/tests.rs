//! Keys made for each test, in every form they come in; what a key signs must be verified by its public half.

use std::process::Command;

use aws_lc_rs::{
    encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, EcPrivateKeyRfc5915Der, Pkcs8V1Der},
    signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, RSA_PKCS1_2048_8192_SHA256,
        RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
    },
};
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::*;

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn read(text: impl Into<String>) -> Result<SigningKey> {
    SigningKey::read(&SecretString::from(text.into()))
}

#[track_caller]
fn assert_signs(text: impl Into<String>, name: &str, algorithm: &'static dyn VerificationAlgorithm, public: &[u8]) {
    let key = read(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(key.algorithm(), name);
    let signature = key.sign(b"message");
    UnparsedPublicKey::new(algorithm, public).verify(b"message", &signature).expect("the signature is verified");
}

fn pkcs8(pair: &RsaKeyPair) -> Vec<u8> {
    AsDer::<Pkcs8V1Der<'_>>::as_der(pair).unwrap().as_ref().to_vec()
}

/// The PKCS#1 key within PKCS#8 of an RSA key of 2048 bits: what follows version, algorithm and the head of the string.
fn pkcs1(pair: &RsaKeyPair) -> Vec<u8> {
    pkcs8(pair)[26..].to_vec()
}

/// The whole numbers of a DER sequence.
fn numbers(der: &[u8]) -> Vec<Vec<u8>> {
    fn item(der: &[u8]) -> (&[u8], &[u8]) {
        let (start, length) = match usize::from(der[1]) {
            short @ ..128 => (2, short),
            long => {
                let bytes = long - 128;
                (2 + bytes, der[2..2 + bytes].iter().fold(0, |length, byte| length * 256 + usize::from(*byte)))
            }
        };
        (&der[start..start + length], &der[start + length..])
    }
    let (mut rest, mut numbers) = (item(der).0, Vec::new());
    while !rest.is_empty() {
        let (number, after) = item(rest);
        numbers.push(number.to_vec());
        rest = after;
    }
    numbers
}

fn rsa_jwk(pair: &RsaKeyPair) -> Value {
    let numbers = numbers(&pkcs1(pair));
    let mut jwk = json!({ "kty": "RSA", "kid": "key-7", "use": "sig" });
    for (name, number) in ["n", "e", "d", "p", "q", "dp", "dq", "qi"].into_iter().zip(&numbers[1..]) {
        jwk[name] = URL_SAFE_NO_PAD.encode(without_zeros(number)).into();
    }
    jwk
}

fn ec_jwk(pair: &EcdsaKeyPair, curve: &str, length: usize) -> Value {
    let encoded = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let point = pair.public_key().as_ref();
    let secret = AsBigEndian::<EcPrivateKeyBin<'_>>::as_be_bytes(&pair.private_key()).unwrap();
    json!({
        "kty": "EC", "crv": curve, "kid": "key-8",
        "x": encoded(&point[1..=length]), "y": encoded(&point[1 + length..]), "d": encoded(secret.as_ref()),
    })
}

#[test]
fn rsa_keys_are_read_in_every_form() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = pair.public_key().as_ref();
    let mut jwk = rsa_jwk(&pair);
    assert_eq!(read(jwk.to_string()).unwrap().id.as_deref(), Some("key-7"));
    for text in [
        pem("PRIVATE KEY", &pkcs8(&pair)),
        pem("RSA PRIVATE KEY", &pkcs1(&pair)),
        pem("RSA PRIVATE KEY", &pkcs1(&pair)).replace('\n', "\\n"),
        pem("PRIVATE KEY", &pkcs8(&pair)).replace('\n', "\r\n"),
        format!("Bag Attributes\n    friendlyName: agent\n{}", pem("PRIVATE KEY", &pkcs8(&pair))),
        jwk.to_string(),
        format!("\n{jwk:#}\n"),
    ] {
        assert_signs(text, "RS256", &RSA_PKCS1_2048_8192_SHA256, public);
    }
    jwk["alg"] = "RS384".into();
    assert_signs(jwk.to_string(), "RS384", &RSA_PKCS1_2048_8192_SHA384, public);
    jwk["alg"] = "RS512".into();
    assert_signs(jwk.to_string(), "RS512", &RSA_PKCS1_2048_8192_SHA512, public);
}

#[test]
fn ec_keys_are_read_in_every_form() {
    let verifiers: [&'static dyn VerificationAlgorithm; 3] =
        [&ECDSA_P256_SHA256_FIXED, &ECDSA_P384_SHA384_FIXED, &ECDSA_P521_SHA512_FIXED];
    for ((curve, algorithm, length, signing), verifier) in CURVES.into_iter().zip(verifiers) {
        let pair = EcdsaKeyPair::generate(signing).unwrap();
        let public = pair.public_key().as_ref();
        let sec1 = AsDer::<EcPrivateKeyRfc5915Der<'_>>::as_der(&pair.private_key()).unwrap();
        let sec1 = pem("EC PRIVATE KEY", sec1.as_ref());
        for text in [
            pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref()),
            format!("{}{sec1}", pem("EC PARAMETERS", b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07")),
            sec1,
            ec_jwk(&pair, curve, length).to_string(),
        ] {
            assert_signs(text, algorithm, verifier, public);
        }
    }
}

#[test]
fn unusable_keys_are_refused_with_what_to_do_and_never_shown() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let other = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let good = pem("PRIVATE KEY", &pkcs8(&pair));
    let without = |name: &str| {
        let mut jwk = rsa_jwk(&pair);
        jwk.as_object_mut().unwrap().remove(name);
        jwk.to_string()
    };
    let mut mixed = rsa_jwk(&pair);
    mixed["p"] = rsa_jwk(&other)["p"].clone();
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----";
    for (text, hint) in [
        (pem("ENCRYPTED PRIVATE KEY", b"x"), "openssl pkey"),
        (old.to_owned(), "openssl pkey"),
        (pem("OPENSSH PRIVATE KEY", b"x"), "ssh-keygen"),
        (pem("PUBLIC KEY", b"x"), "private half"),
        (pem("CERTIFICATE", b"x"), "private half"),
        (pem("PRIVATE KEY", b"x"), "create an RSA key"),
        (pem("RSA PRIVATE KEY", &pkcs8(&pair)[40..]), "paste the whole key"),
        (good[..good.len() / 2].to_owned(), "last line"),
        (good.replacen('M', "é", 1), "paste the whole key"),
        ("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC".to_owned(), "first and its last line"),
        (without("d"), "private half"),
        (without("qi"), "paste the whole private key"),
        (mixed.to_string(), "paste the whole JWK"),
        ("{ \"kty\": \"RSA\", ".to_owned(), "in JSON"),
        (json!({ "kty": "oct", "k": "c2VjcmV0" }).to_string(), "`kty`"),
        (json!({ "kty": "EC", "crv": "secp256k1", "d": "x", "x": "x", "y": "x" }).to_string(), "P-256"),
    ] {
        let error = read(text.as_str()).expect_err(hint);
        assert_eq!(error.setting_key(), Some("PrivateKey"), "{error}");
        assert!(error.hint().is_some_and(|given| given.contains(hint)), "{hint}: {error}; {:?}", error.hint());
        let shown = format!("{error:?}");
        let fragments = fragments(&SecretString::from(text));
        assert!(!fragments.iter().any(|fragment| shown.contains(fragment.expose_secret())), "{shown}");
    }
    let key = read(good).unwrap();
    assert_eq!(format!("{key:?}"), r#"SigningKey { algorithm: "RS256", .. }"#);
}

/// Our library makes no such key, so openssl must; where it is not installed there is nothing to read.
#[test]
fn small_rsa_keys_are_refused() {
    for form in ["-traditional", ""] {
        let mut openssl = Command::new("openssl");
        openssl.arg("genrsa").args(Some(form).filter(|form| !form.is_empty())).arg("1024");
        let Ok(made) = openssl.output() else {
            println!("openssl is not installed: nothing tried");
            return;
        };
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let error = read(String::from_utf8(made.stdout).unwrap()).expect_err("1024 bits are too few");
        assert!(error.to_string().contains("2048"), "{form}: {error}");
    }
}

#[test]
fn a_key_is_known_by_its_lines_however_they_are_joined() {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let text = pem("PRIVATE KEY", &pkcs8(&pair));
    let lines = text.lines().filter(|line| line.len() >= MIN_FRAGMENT && !line.starts_with('-')).count();
    for text in [text.clone(), text.replace('\n', "\\n"), text.replace('\n', " ")] {
        assert_eq!(fragments(&SecretString::from(text)).len(), lines);
    }
    let jwk = rsa_jwk(&pair);
    let fragments = fragments(&SecretString::from(format!("{jwk:#}")));
    assert!(fragments.iter().any(|fragment| fragment.expose_secret() == jwk["d"].as_str().unwrap()));
}
