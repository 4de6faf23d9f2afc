//! Protected values as they are made, moved, altered and opened.

use std::{sync::LazyLock, time::Instant};

use chrono::NaiveDate;
use proptest::prelude::*;
use secrecy::ExposeSecret;

use super::{
    super::certificate::{KeyFile, new::new_pfx},
    key::random,
    sealed::Sealer,
    *,
};

const PATH: &str = "Connections:Okta:ApiKey";

/// Making one takes seconds, so all tests share it.
static CERTIFICATE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let day = |year| NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
    new_pfx("test", day(2020), day(2040), &"pässword".into()).unwrap().to_vec()
});

fn certificate() -> Key {
    let file = KeyFile::read(&CERTIFICATE, None, "pässword", false).unwrap();
    Key::Certificate(Box::new(file.certificate().unwrap().key))
}

fn shared() -> Key {
    Key::shared(&[7; 32]).unwrap()
}

fn ring(key: Key) -> Keyring {
    Keyring::new(vec![key])
}

fn sealed(key: &Key, path: Option<&str>) -> String {
    Sealer::new(key).seal(&"00secret".into(), path)
}

fn refusal(ring: &Keyring, value: &str, path: Option<&str>) -> String {
    let problem = ring.open(value, path).expect_err("it is refused");
    assert!(!problem.what.contains("secret") && !problem.hint.is_empty(), "{problem:?}");
    problem.what
}

#[test]
fn a_value_opens_where_it_was_made_for() {
    for key in [certificate, shared] {
        let (bound, movable) = (sealed(&key(), Some(PATH)), sealed(&key(), None));
        let ring = ring(key());
        for (value, path) in [(&bound, PATH), (&bound, "connections:OKTA:apikey"), (&movable, PATH), (&movable, "X")] {
            assert_eq!(ring.open(value, Some(path)).unwrap().expose_secret(), "00secret", "{path}");
        }
        assert!(
            refusal(&ring, &bound, Some("Connections:Other:ApiKey")).starts_with("was protected for another setting")
        );
        assert_eq!(refusal(&ring, &bound, None), "was protected for one setting alone");
        assert_eq!(ring.open(&movable, None).unwrap().expose_secret(), "00secret");
    }
}

#[test]
fn a_value_of_another_key_says_so_and_no_key_says_what_to_do() {
    let value = sealed(&shared(), Some(PATH));
    for other in [ring(certificate()), ring(Key::shared(&[8; 32]).unwrap())] {
        assert_eq!(refusal(&other, &value, Some(PATH)), "was protected with another certificate or key");
    }
    assert!(refusal(&Keyring::default(), &value, Some(PATH)).contains("none is configured"));
    let both = ring(shared()).with_first(certificate());
    assert!(both.open(&value, Some(PATH)).is_ok());
}

#[test]
fn no_two_values_are_alike() {
    let sealer = Sealer::new(&shared());
    let values: std::collections::BTreeSet<String> = (0..50).map(|_| sealer.seal(&"x".into(), None)).collect();
    assert_eq!(values.len(), 50);
}

#[test]
fn every_altered_byte_is_refused() {
    for key in [certificate, shared] {
        let value = sealed(&key(), Some(PATH));
        let ring = ring(key());
        for at in 0..value.len() {
            for other in ["A", "B", "_", "=", " ", "é"] {
                if value[at..=at] == *other {
                    continue;
                }
                let altered = format!("{}{other}{}", &value[..at], &value[at + 1..]);
                refusal(&ring, &altered, Some(PATH));
            }
        }
        // Surrounding space is trimmed off settings; everything else that is cut or added counts.
        for length in 0..value.len() {
            refusal(&ring, &value[..length], Some(PATH));
        }
        refusal(&ring, &(value + "A"), Some(PATH));
    }
}

#[test]
fn what_is_no_value_of_ours_is_told_apart() {
    let ring = ring(certificate());
    for (value, expected) in [
        ("prot2:AAAA", "is protected in the format `prot2`, which this version does not know"),
        ("prot1:", "is a protected value that was altered or cut"),
        ("prot1:====", "is a protected value that was altered or cut"),
        ("00plain-secret", "is not protected, but stands where every value is"),
        ("MIIplain", "is not protected, but stands where every value is"),
        ("kxABAAAA", "is in the vendor's own format, which is not published; it was tried and not opened"),
        ("kxAB no base64", "is in the vendor's own format, which is not published; it was tried and not opened"),
    ] {
        assert_eq!(refusal(&ring, value, Some(PATH)), expected, "{value}");
    }
    for (value, expected) in
        [("prot1:x", true), ("prot99:x", true), ("prot:x", false), ("protx:x", false), ("x", false)]
    {
        assert_eq!(is_sealed(value), expected, "{value}");
    }
    let part = "A".repeat(171) + "=";
    assert!(foreign::is_vendor_password(&format!("{part}@{part}@AAAAAAAAAAAAAAAAAAAAAA==")));
    assert!(!foreign::is_vendor_password("p@ss@word") && !foreign::is_vendor_password("a@b"));
}

/// The layout that `sealed` describes, read by hand: whoever has its description can write a reader.
#[test]
fn the_layout_is_the_documented_one() {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    use sha2::{Digest, Sha256};

    let value = sealed(&shared(), Some(PATH));
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(value.strip_prefix("prot1:").unwrap()).unwrap();
    assert_eq!(bytes[..2], [2, 1]);
    assert_eq!(bytes[2..10], Sha256::digest([&b"prot1 key id"[..], &[7; 32]].concat())[..8]);
    assert_eq!(bytes[10..26], Sha256::digest(b"connections:okta:apikey")[..16]);
    assert_eq!(bytes[54..56], [0, 60]);
    assert_eq!(bytes.len(), 56 + 60 + "00secret".len() + 16);
}

#[test]
fn values_of_one_file_are_unwrapped_once() {
    let key = certificate();
    let sealer = Sealer::new(&key);
    let values: Vec<String> = (0..1000).map(|number| sealer.seal(&"x".into(), Some(&format!("A:{number}")))).collect();
    let ring = ring(key);
    let began = Instant::now();
    ring.open(&values[0], Some("A:0")).unwrap();
    let first = began.elapsed();
    let began = Instant::now();
    for (number, value) in values.iter().enumerate() {
        ring.open(value, Some(&format!("A:{number}"))).unwrap();
    }
    // Were each unwrapped, a thousand would take as long as a thousand times the first.
    assert!(began.elapsed() < first * 500, "{:?} for the first, {:?} for all", first, began.elapsed());
    assert_eq!(ring.unwrapped.borrow().len(), 1);
}

proptest! {
    #[test]
    fn any_text_survives(text in "\\PC{0,200}|(\\PC|[\\r\\n\\t]){0,40}", path in "[A-Za-z:0-9.ÄÖß-]{1,40}") {
        let key = Key::shared(&random::<32>()).unwrap();
        let value = Sealer::new(&key).seal(&text.as_str().into(), Some(&path));
        prop_assert!(is_sealed(&value) && !value.contains(char::is_whitespace));
        let ring = Keyring::new(vec![key]);
        let opened = ring.open(&value, Some(&path.to_lowercase())).unwrap();
        prop_assert_eq!(opened.expose_secret(), text);
    }
}
