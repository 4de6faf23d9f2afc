//! Every secret that this process has loaded, so that none of them can appear in a line it prints.
//!
//! Belt and braces: nothing logs a secret by intention, and a text that came from elsewhere may repeat one. Found
//! are secrets as they are and as JSON and `Debug` spell them. Short ones are left: `true` is no secret, and cutting
//! it out everywhere would tell what it is.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{PoisonError, RwLock},
};

use aho_corasick::{AhoCorasick, MatchKind};
use secrecy::{ExposeSecret, SecretString};

/// Shorter ones are not looked for.
const MIN_BYTES: usize = 6;
/// Shorter lines of a longer secret are not looked for.
const MIN_LINE_BYTES: usize = 20;
/// More are not looked for; settings have a few.
const MAX_SECRETS: usize = 20_000;
/// What stands where a secret stood.
const MASK: &str = "***";

/// They stay as long as the process, which is why they are not wiped.
static KNOWN: RwLock<Known> = RwLock::new(Known { spellings: BTreeSet::new(), finder: None });

struct Known {
    spellings: BTreeSet<String>,
    finder: Option<AhoCorasick>,
}

/// Remembers secrets for as long as the process lives.
pub fn remember<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    for secret in secrets {
        let text = secret.expose_secret().trim();
        if text.len() < MIN_BYTES || known.spellings.len() >= MAX_SECRETS {
            continue;
        }
        known.spellings.extend(spellings(text));
        // A key in PEM is known by each of its lines, in which it may be repeated.
        let lines = text.lines().flat_map(|line| line.split("\\n")).map(str::trim);
        let telling = lines.filter(|line| line.len() >= MIN_LINE_BYTES && *line != text && !line.contains("-----"));
        known.spellings.extend(telling.map(str::to_owned));
    }
    // Built when it is next asked for, so that a thousand secrets do not build it a thousand times.
    known.finder = None;
}

/// The text without any secret that is known, in whatever case.
pub fn redact(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    if known.spellings.is_empty() {
        return Cow::Borrowed(text);
    }
    match &known.finder {
        Some(finder) => replace(finder, text),
        None => {
            drop(known);
            let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
            let spellings = known.spellings.iter().map(String::as_str);
            let mut builder = AhoCorasick::builder();
            builder.match_kind(MatchKind::LeftmostLongest).ascii_case_insensitive(true);
            // Where it cannot be built, nothing is better said than a secret.
            let Ok(finder) = builder.build(spellings) else { return Cow::Borrowed(MASK) };
            replace(known.finder.insert(finder), text)
        }
    }
}

fn replace<'a>(finder: &AhoCorasick, text: &'a str) -> Cow<'a, str> {
    if !finder.is_match(text) {
        return Cow::Borrowed(text);
    }
    let mut redacted = String::with_capacity(text.len());
    finder.replace_all_with(text, &mut redacted, |_, _, out| {
        out.push_str(MASK);
        true
    });
    Cow::Owned(redacted)
}

/// The text as it is, as JSON escapes it, and as `Debug` does.
fn spellings(text: &str) -> [String; 3] {
    let inner =
        |quoted: String| quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(&quoted).to_owned();
    let json = serde_json::to_string(text).unwrap_or_default();
    [text.to_owned(), inner(json), inner(format!("{text:?}"))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_secrets_are_cut_out_however_they_are_spelt() {
        let secrets: Vec<SecretString> =
            ["Redacted\"Test\u{7}One", "RedactedTestTwo", "RedactedTestTwoAndMore", "true", ""].map(Into::into).into();
        remember(&secrets);
        for (text, expected) in [
            ("a RedactedTestTwo b", "a *** b"),
            ("redactedTESTtwoAndMore.", "***."),
            ("\"Redacted\\\"Test\\u0007One\"", "\"***\""),
            ("\"Redacted\\\"Test\\u{7}One\"", "\"***\""),
            ("it is true", "it is true"),
        ] {
            assert_eq!(redact(text), expected);
        }
        let key = "-----BEGIN PRIVATE KEY-----\nRedactedTestLineOfTheKeyOne\nRedactedTestLineOfTheKeyTwo\nshort\n-----END PRIVATE KEY-----";
        remember(&[key.into(), key.replace("LineOf", "NextOf").replace('\n', "\\n").into()]);
        assert_eq!(redact("RedactedTestLineOfTheKeyTwo, RedactedTestNextOfTheKeyOne, short"), "***, ***, short");
        remember(&["RedactedLater".into()]);
        assert_eq!(redact("RedactedLater, RedactedTestTwo"), "***, ***");
    }
}
