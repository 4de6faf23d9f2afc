//! The texts of mails: for each kind a plain text, whose first line is the subject, and an HTML text, in each language.
//!
//! They are part of the program, and a file of the same name in the agent directory's `Conf/Mail` stands in for each. A
//! text that uses a name we do not know is refused when the agent starts, not when somebody waits for a mail.

use std::{collections::BTreeMap, fs, io, path::Path};

use connector_api::{Error, ErrorKind, Result};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use serde::Serialize;

/// The largest text that is read from a file.
const MAX_BYTES: u64 = 256 << 10;

/// Name of the file and the text that is part of the program.
const TEXTS: [(&str, &str); 12] = [
    ("password.en.txt", include_str!("../../templates/mail/password.en.txt")),
    ("password.en.html", include_str!("../../templates/mail/password.en.html")),
    ("password.fr.txt", include_str!("../../templates/mail/password.fr.txt")),
    ("password.fr.html", include_str!("../../templates/mail/password.fr.html")),
    ("link.en.txt", include_str!("../../templates/mail/link.en.txt")),
    ("link.en.html", include_str!("../../templates/mail/link.en.html")),
    ("link.fr.txt", include_str!("../../templates/mail/link.fr.txt")),
    ("link.fr.html", include_str!("../../templates/mail/link.fr.html")),
    ("copy.en.txt", include_str!("../../templates/mail/copy.en.txt")),
    ("copy.en.html", include_str!("../../templates/mail/copy.en.html")),
    ("copy.fr.txt", include_str!("../../templates/mail/copy.fr.txt")),
    ("copy.fr.html", include_str!("../../templates/mail/copy.fr.html")),
];

/// A language that mails and pages are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    En,
    /// French.
    Fr,
}

impl Language {
    /// The code of the language.
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Fr => "fr",
        }
    }

    /// The language that a tag such as `fr-CA` or `fr_CA` is of.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let code = tag.trim().split(['-', '_']).next().unwrap_or_default();
        [Self::En, Self::Fr].into_iter().find(|language| language.code().eq_ignore_ascii_case(code))
    }
}

/// What a mail is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailKind {
    /// A password that was set.
    Password,
    /// A link behind which a password is chosen.
    Link,
    /// That a password was reset, without what it is.
    Copy,
}

/// What a text may name.
#[derive(Debug, Clone)]
pub(crate) struct MailWords<'a> {
    /// Who is written to, by name; may be empty.
    pub(crate) recipient: &'a str,
    /// Whose account it is, by name.
    pub(crate) beneficiary: &'a str,
    /// Whether both are the same person.
    pub(crate) is_own: bool,
    pub(crate) login: &'a str,
    pub(crate) connection: &'a str,
    /// Where the application is; may be empty.
    pub(crate) application: &'a str,
    pub(crate) password: &'a str,
    pub(crate) must_change: bool,
    pub(crate) link: &'a str,
    /// Until when the link is good, such as `2026-01-31 14:05 UTC`.
    pub(crate) valid_until: &'a str,
}

/// The texts of one agent.
#[derive(Debug)]
pub struct MailTexts {
    environment: Environment<'static>,
}

/// A mail's texts with everything filled in. They may hold a password.
pub(crate) struct RenderedMail {
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl MailTexts {
    /// The texts, with those of the folder in place of ours.
    ///
    /// # Errors
    /// Of kind `Settings`: a file that cannot be read, or that is no good text.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut texts: BTreeMap<&str, String> = TEXTS.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        for (name, text) in &mut texts {
            let path = folder.join(name);
            match fs::metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Ok(metadata) if metadata.len() > MAX_BYTES => {
                    let message = format!("`{}` is larger than {} KiB", path.display(), MAX_BYTES >> 10);
                    return Err(Error::new(ErrorKind::Settings, message).with_hint("shorten the text"));
                }
                _ => {}
            }
            *text = fs::read_to_string(&path).map_err(|error| {
                Error::new(ErrorKind::Settings, format!("cannot read `{}`", path.display()))
                    .with_source(error)
                    .with_hint("let the agent's account read it, and write it in UTF-8")
            })?;
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|name| match name.ends_with(".html") {
            true => AutoEscape::Html,
            false => AutoEscape::None,
        });
        for (name, text) in texts {
            let unusable = |error: &minijinja::Error| {
                let line = error.line().map(|line| format!(":{line}")).unwrap_or_default();
                let message =
                    format!("`{}`{line} is no usable text of a mail: {}", folder.join(name).display(), error.kind());
                Error::new(ErrorKind::Settings, message).with_hint("see the README for the names a text may use")
            };
            environment.add_template_owned(name, text).map_err(|error| unusable(&error))?;
            let template = environment.get_template(name).map_err(|error| unusable(&error))?;
            for words in [MailWords::sample(true), MailWords::sample(false)] {
                template.render(words.to_value()).map_err(|error| unusable(&error))?;
            }
        }
        Ok(Self { environment })
    }

    /// A mail's texts.
    ///
    /// # Errors
    /// Where a text that was good with sample words is not with these.
    pub(crate) fn render(
        &self,
        kind: MailKind,
        language: Language,
        words: &MailWords<'_>,
    ) -> anyhow::Result<RenderedMail> {
        let name = match kind {
            MailKind::Password => "password",
            MailKind::Link => "link",
            MailKind::Copy => "copy",
        };
        let render = |format: &str| {
            let template = self.environment.get_template(&format!("{name}.{}.{format}", language.code()))?;
            template.render(words.to_value())
        };
        // What was being rendered may be in the error: its kind says enough.
        let fault = |error: minijinja::Error| anyhow::anyhow!("the text of a mail cannot be made: {}", error.kind());
        let text = render("txt").map_err(fault)?;
        Ok(RenderedMail::of(&text, render("html").map_err(fault)?))
    }
}

impl RenderedMail {
    /// A mail of a plain text, whose first line is the subject, and an HTML text.
    pub(crate) fn of(text: &str, html: String) -> Self {
        // What fills in the subject may hold line ends: the text begins after the empty line.
        let (subject, text) = text.split_once("\n\n").unwrap_or((text, ""));
        let subject: String = subject.trim_start_matches("Subject:").chars().filter(|c| !c.is_control()).collect();
        Self { subject: subject.trim().to_owned(), text: text.trim_start().to_owned(), html }
    }
}

impl MailWords<'_> {
    fn to_value(&self) -> Value {
        Value::from_pairs([
            ("recipient", Value::from(self.recipient)),
            ("beneficiary", Value::from(self.beneficiary)),
            ("is_own", Value::from(self.is_own)),
            ("login", Value::from(self.login)),
            ("connection", Value::from(self.connection)),
            ("application", Value::from(self.application)),
            ("password", Value::from(self.password)),
            ("must_change", Value::from(self.must_change)),
            ("link", Value::from(self.link)),
            ("valid_until", Value::from(self.valid_until)),
        ])
    }
}

impl MailWords<'static> {
    fn sample(yes: bool) -> Self {
        MailWords {
            recipient: "Ada",
            beneficiary: "Ada",
            is_own: yes,
            login: "ada@example.com",
            connection: "Okta",
            application: if yes { "https://example.com" } else { "" },
            password: "x",
            must_change: yes,
            link: "https://example.com/x",
            valid_until: "2026-01-31 14:05 UTC",
        }
    }
}

impl Drop for RenderedMail {
    fn drop(&mut self) {
        use secrecy::zeroize::Zeroize;

        self.text.zeroize();
        self.html.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_complete_in_both_languages() {
        let texts = MailTexts::read(Path::new("nowhere")).unwrap();
        for language in [Language::En, Language::Fr] {
            for kind in [MailKind::Password, MailKind::Link, MailKind::Copy] {
                let words = MailWords { password: "a<b&c", beneficiary: "<Ada>", ..MailWords::sample(false) };
                let mail = texts.render(kind, language, &words).unwrap();
                assert!(!mail.subject.is_empty() && mail.text.contains("ada@example.com"), "{kind:?}");
                assert!(mail.html.contains("&lt;Ada&gt;") && !mail.html.contains("<Ada>"), "{}", mail.html);
                assert_eq!(mail.text.contains("a<b&c"), kind == MailKind::Password, "{}", mail.text);
                assert_eq!(mail.html.contains("a&lt;b&amp;c"), kind == MailKind::Password);
                assert_eq!(mail.html.contains("https:&#x2f;&#x2f;example.com&#x2f;x"), kind == MailKind::Link);
            }
        }
    }

    #[test]
    fn files_stand_in_for_ours_and_are_checked_when_the_agent_starts() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("copy.en.txt"), "Subject: Hi {{ login }}\n\nOurs").unwrap();
        let texts = MailTexts::read(folder.path()).unwrap();
        let mail = texts.render(MailKind::Copy, Language::En, &MailWords::sample(true)).unwrap();
        assert_eq!((mail.subject.as_str(), mail.text.as_str()), ("Hi ada@example.com", "Ours"));
        for (text, why) in [("{{ pasword }}", "undefined"), ("{% if %}", "syntax error")] {
            fs::write(folder.path().join("copy.en.txt"), text).unwrap();
            let error = MailTexts::read(folder.path()).unwrap_err();
            assert!(
                error.to_string().contains("copy.en.txt`:1 is no usable text") && error.to_string().contains(why),
                "{error}"
            );
        }
    }

    #[test]
    fn a_subject_is_one_line() {
        let texts = MailTexts::read(Path::new("nowhere")).unwrap();
        let words = MailWords { beneficiary: "A\r\nBcc: eve@example.com", ..MailWords::sample(false) };
        let mail = texts.render(MailKind::Copy, Language::En, &words).unwrap();
        assert!(!mail.subject.contains(['\r', '\n']), "{}", mail.subject);
    }
}
