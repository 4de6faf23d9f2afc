//! When two texts are the same but for upper and lower case.
//!
//! Names compare by full Unicode case folding on canonically normalized text, so that `STRASSE` is `straße` and an
//! accent written as one sign is the accent written as two. Source: Unicode 16 §3.13, D145; RFC 8265 §3.3 asks for it.

use std::borrow::Cow;

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

/// The form under which texts that differ in case alone are equal. A store keeps it beside a `userName` to find it.
pub fn fold(text: &str) -> Cow<'_, str> {
    if !text.is_ascii() {
        return Cow::Owned(text.nfd().default_case_fold().nfc().collect());
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Owned(text.to_ascii_lowercase());
    }
    Cow::Borrowed(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_is_folded_in_any_script() {
        let cases = [
            ("ann@example.com", "ANN@Example.COM", true),
            ("STRASSE", "straße", true),
            ("ΟΔΟΣ", "οδος", true),
            ("ΟΔΟΣ", "οδοσ", true),
            ("é", "e\u{301}", true),
            ("É", "e\u{301}", true),
            ("ı", "i", false),
            ("ann", "anne", false),
        ];
        for (left, right, same) in cases {
            assert_eq!(fold(left) == fold(right), same, "{left} {right}");
        }
    }
}
