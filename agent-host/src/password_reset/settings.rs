//! How passwords are reset and who is told: the XML's `<PasswordResetSettings>` and the JSON section of that name, checked.
//!
//! Everything wrong with them is told at once, with its place, before anything is reset. What an attribute leaves open is
//! decided here: one-way without `AutoGenerate` and `DefaultPassword` has the system make the password up, two-way without
//! `TwoFactorSettings` has the system mail its own link. `EncryptionCertificate` protects the vendor's files and is not
//! needed here. Source: the vendor's pages on both.

use std::time::Duration;

use connector_api::{
    Account, Error, ErrorKind, Result,
    mapping::{Mapping, PasswordResetMode, PasswordResetSettings as Written},
};
use lettre::message::Mailbox;
use secrecy::SecretString;
use url::{Host, Url};

use super::{
    generate::{Counts, GenerationRule, SYMBOLS},
    key::system_random,
    strength::Strength,
};
use crate::{
    mail::{Language, MailSettings, parse_mailbox},
    settings::{Section, Settings},
};

const SECTION: &str = "PasswordResetSettings";
/// How long a link is good where nothing else is said.
const VALID_FOR: Duration = Duration::from_secs(3 * 3600);
/// A link that is good for longer is a password that lies about.
const LONGEST_VALID: Duration = Duration::from_secs(30 * 24 * 3600);

/// All settings of password resets.
#[derive(Debug)]
pub struct ResetSettings {
    /// What the XML declares, in its order.
    pub ways: Vec<ResetWay>,
    /// How mails leave; none where no mail is sent.
    pub mail: Option<MailSettings>,
    /// The languages mails and pages are written in, the preferred first.
    pub cultures: Vec<Language>,
    /// How long a link is good.
    pub valid_for: Duration,
    /// What a link's token is appended to; none where the system mails its own link.
    pub confirmation_uri: Option<String>,
    /// Where people sign in; shown in mails.
    pub application_uri: Option<String>,
}

/// One `<PasswordResetSettings>`.
#[derive(Debug)]
pub struct ResetWay {
    /// Its name.
    pub identifier: String,
    /// Who sets the password, and where it comes from.
    pub mode: Mode,
    /// Whether a password that we set must be changed at the next login.
    pub must_change: bool,
    /// Whether people are told.
    pub notifies: bool,
    /// Who gets a copy without the password.
    pub copy_to: Option<Mailbox>,
    /// The path from an order to the address of who is told.
    pub notified_email: Option<String>,
    /// The path to that person's name.
    pub notified_name: Option<String>,
    /// The path to the address of the person whose password it is.
    pub beneficiary_email: Option<String>,
    /// The path to that person's name.
    pub beneficiary_name: Option<String>,
    /// What a generated or chosen password must match.
    pub strength: Strength,
}

/// Who sets the password, and where it comes from.
#[derive(Debug)]
pub enum Mode {
    /// Nobody.
    Disabled,
    /// We make it up and set it.
    Generated(GenerationRule),
    /// We set the one that is written in the settings.
    Default(SecretString),
    /// The managed system makes it up.
    Temporary,
    /// Its owner chooses it behind our link.
    OwnLink,
    /// Its owner chooses it behind the managed system's link.
    MailedLink,
}

impl Mode {
    /// The word for it in reports and in the audit.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Generated(_) | Self::Default(_) => "one_way",
            Self::Temporary => "temporary_password",
            Self::OwnLink => "two_way",
            Self::MailedLink => "mailed_link",
        }
    }
}

impl ResetSettings {
    /// Reads and checks everything.
    ///
    /// # Errors
    /// Of kind `Settings`, with everything that is wrong.
    pub fn read(settings: &Settings, mapping: &Mapping) -> Result<Self> {
        let mut problems = Vec::new();
        let section = settings.section(&[SECTION]);
        let mail = settings.section(&[&format!("{SECTION}:MailSettings"), "MailSettings"]);
        let mail = MailSettings::read(&mail, &settings.directory, &mut problems);
        let mut note = |outcome: Result<()>| problems.extend(outcome.err());
        let mut read = Self {
            ways: Vec::new(),
            mail,
            cultures: vec![Language::En],
            valid_for: VALID_FOR,
            confirmation_uri: None,
            application_uri: section.text("TwoFactorSettings:ApplicationUri").map(str::to_owned),
        };
        note(cultures(&section).map(|cultures| read.cultures = cultures));
        note(valid_for(&section).map(|valid_for| read.valid_for = valid_for));
        note(confirmation_uri(&section).map(|uri| read.confirmation_uri = uri));
        let without_look_alikes = section.flag("ExcludeLookAlikes", false).unwrap_or_else(|problem| {
            problems.push(problem);
            false
        });
        let symbols = symbols(mapping, &mut problems);
        for written in &mapping.password_reset_settings {
            let mut found = Vec::new();
            let way = read.way(written, &symbols, without_look_alikes, &mut found);
            read.ways.push(way);
            let place = format!("{}: `{}`", written.position, written.identifier);
            problems.extend(
                found
                    .into_iter()
                    .map(|(what, hint)| Error::new(ErrorKind::Settings, format!("{place}: {what}")).with_hint(hint)),
            );
        }
        all_at_once(problems)?;
        Ok(read)
    }

    /// The declared way of this name.
    pub fn way_named(&self, identifier: &str) -> Option<&ResetWay> {
        self.ways.iter().find(|way| way.identifier.eq_ignore_ascii_case(identifier))
    }

    /// The way for an account of the connection: the one asked for, else that of the connection's users, else the only one.
    ///
    /// # Errors
    /// Of kind `Settings`, with the choices.
    pub fn choose(&self, mapping: &Mapping, connection: &str, asked: Option<&str>) -> Result<&ResetWay> {
        let choices = || {
            let names: Vec<String> = self.ways.iter().map(|way| format!("`{}`", way.identifier)).collect();
            names.join(", ")
        };
        let refuse = |what: String, hint: String| Err(Error::new(ErrorKind::Settings, what).with_hint(hint));
        if self.ways.is_empty() {
            return refuse(
                "there are no `<PasswordResetSettings>` in Conf".to_owned(),
                "declare one, such as <PasswordResetSettings Identifier=\"Default\" Mode=\"1\" AutoGenerate=\"true\" />"
                    .to_owned(),
            );
        }
        if let Some(asked) = asked {
            let unknown = || {
                refuse(format!("there are no password reset settings `{asked}`"), format!("name one of {}", choices()))
            };
            return self.way_named(asked).map_or_else(unknown, Ok);
        }
        let is_for_users =
            |class: &Option<String>| class.as_ref().is_none_or(|class| class.eq_ignore_ascii_case("users"));
        let of_users = mapping.resource_type_mappings.iter().filter(|mapping| {
            mapping.connection.eq_ignore_ascii_case(connection) && is_for_users(&mapping.default_object_class)
        });
        let mut named: Vec<&str> = of_users.filter_map(|mapping| mapping.password_reset_setting.as_deref()).collect();
        named.sort_unstable();
        named.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
        match (named.as_slice(), self.ways.as_slice()) {
            ([one], _) => self.way_named(one).map_or_else(
                || {
                    refuse(
                        format!("the password reset settings `{one}` are not declared"),
                        format!("declare them, or name one of {} with --setting", choices()),
                    )
                },
                Ok,
            ),
            ([], [only]) => Ok(only),
            _ => refuse(
                format!("several password reset settings can be meant for `{connection}`: {}", choices()),
                "name one with --setting, or give the users' OktaResourceTypeMapping a PasswordResetSetting".to_owned(),
            ),
        }
    }

    /// The language for a person who prefers this one.
    pub fn language(&self, preferred: Option<&str>) -> Language {
        let wanted = preferred.and_then(Language::of_tag).filter(|wanted| self.cultures.contains(wanted));
        wanted.or_else(|| self.cultures.first().copied()).unwrap_or(Language::En)
    }

    fn way(
        &self,
        written: &Written,
        symbols: &str,
        without_look_alikes: bool,
        problems: &mut Vec<(String, &'static str)>,
    ) -> ResetWay {
        let strength = Strength::parse(&written.strength_check).unwrap_or_else(|(expression, why)| {
            problems.push((
                format!("the expression `{expression}` of `StrengthCheck` cannot be used: {why}"),
                "write it another way; looking ahead and behind, classes and counts are understood",
            ));
            Strength::default()
        });
        let mode = self.mode(written, symbols, without_look_alikes, &strength, problems);
        let copy_to = written.notification_cc.as_deref().and_then(|text| {
            let mailbox = parse_mailbox(text);
            match (&mailbox, &self.mail) {
                (None, _) => problems.push(("`NotificationCC` is no mail address".to_owned(), "write one address")),
                (Some(mailbox), Some(mail)) if mail.check_allowed(&mailbox.email).is_err() => problems.push((
                    "`AllowedDomains` does not let mails go to `NotificationCC`".to_owned(),
                    "add its domain, or remove the address",
                )),
                _ => {}
            }
            mailbox
        });
        ResetWay {
            identifier: written.identifier.clone(),
            mode,
            must_change: written.must_change,
            notifies: !written.disable_notifications,
            copy_to,
            notified_email: written.notified_email_binding.clone(),
            notified_name: written.notified_full_name_binding.clone(),
            beneficiary_email: written.beneficiary_email_binding.clone(),
            beneficiary_name: written.beneficiary_full_name_binding.clone(),
            strength,
        }
    }

    fn mode(
        &self,
        written: &Written,
        symbols: &str,
        without_look_alikes: bool,
        strength: &Strength,
        problems: &mut Vec<(String, &'static str)>,
    ) -> Mode {
        match (written.mode, written.auto_generate, &written.default_password) {
            (PasswordResetMode::Disabled, ..) => Mode::Disabled,
            (PasswordResetMode::TwoWay, ..) if self.confirmation_uri.is_none() => Mode::MailedLink,
            (PasswordResetMode::TwoWay, ..) => {
                if self.mail.is_none() || written.disable_notifications {
                    problems.push((
                        "two-way needs a mail to carry the link".to_owned(),
                        "give `MailSettings` and leave `DisableNotifications` out, or remove `TwoFactorSettings` to have the system mail its own link",
                    ));
                }
                Mode::OwnLink
            }
            (PasswordResetMode::OneWay, true, _) => {
                let counts = Counts {
                    length: written.generated_length,
                    lower: written.generated_lower_case_chars_count,
                    upper: written.generated_upper_case_chars_count,
                    digits: written.generated_digit_chars_count,
                    symbols: written.generated_symbol_chars_count,
                };
                let rule = GenerationRule::new(counts, symbols, without_look_alikes);
                let tried = rule.and_then(|rule| {
                    rule.generate(&Account::new("", ""), strength, &mut system_random()).map(|_| rule)
                });
                match tried {
                    Ok(rule) => Mode::Generated(rule),
                    Err(why) => {
                        problems.push((why.0, "change the counts, `AllowedSymbolChars` or `StrengthCheck`"));
                        Mode::Disabled
                    }
                }
            }
            (PasswordResetMode::OneWay, false, Some(password)) => Mode::Default(password.clone()),
            (PasswordResetMode::OneWay, false, None) => Mode::Temporary,
        }
    }
}

fn symbols(mapping: &Mapping, problems: &mut Vec<Error>) -> String {
    let Some(allowed) = &mapping.allowed_symbol_chars else { return SYMBOLS.to_owned() };
    if let Some(foreign) = allowed.characters.chars().find(|c| !c.is_ascii_punctuation()) {
        let message = format!(
            "{}: `AllowedSymbolChars` holds `{}`, which is no symbol",
            allowed.position,
            foreign.escape_default()
        );
        problems.push(Error::new(ErrorKind::Settings, message).with_hint("write ASCII symbols alone, without spaces"));
    }
    allowed.characters.clone()
}

fn cultures(section: &Section<'_>) -> Result<Vec<Language>> {
    let key = "NotificationSettings:Cultures";
    let written = section.list(key, ',');
    let cultures: Option<Vec<Language>> = written.iter().map(|tag| Language::of_tag(tag)).collect();
    match cultures {
        Some(cultures) if cultures.is_empty() => Ok(vec![Language::En]),
        Some(cultures) => Ok(cultures),
        None => Err(section.error(key, "names a language there are no texts in").with_hint("write en, fr or both")),
    }
}

fn valid_for(section: &Section<'_>) -> Result<Duration> {
    let key = "TokenBuildingSettings:ValidFor";
    let Some(text) = section.text(key) else { return Ok(VALID_FOR) };
    let parts: Option<Vec<u64>> = text.split(':').map(|part| part.parse().ok()).collect();
    let seconds = match parts.as_deref() {
        Some([hours, minutes @ 0..60, seconds @ 0..60]) => {
            hours.checked_mul(3600).map(|hours| hours + minutes * 60 + seconds)
        }
        _ => None,
    };
    let valid_for = seconds.map(Duration::from_secs).filter(|time| !time.is_zero() && *time <= LONGEST_VALID);
    valid_for.ok_or_else(|| {
        section
            .error(key, "is no time from 00:00:01 to 720:00:00")
            .with_hint("write hours, minutes and seconds, such as 03:00:00")
    })
}

/// The address that a token is appended to. A link is a key: it travels encrypted, but on this machine.
fn confirmation_uri(section: &Section<'_>) -> Result<Option<String>> {
    let key = "TwoFactorSettings:ResetConfirmationUri";
    let Some(text) = section.text(key) else { return Ok(None) };
    let refuse = |what: &str, hint: &str| Err(section.error(key, what).with_hint(hint));
    let example = "write the address of this agent's page, such as https://agent.example.com/PasswordReset/Activate/?activationCode=";
    let Ok(url) = Url::parse(text) else { return refuse("is no address", example) };
    let is_loopback = match url.host() {
        None => return refuse("names no host", example),
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
    };
    match url.scheme() {
        "https" => {}
        "http" if is_loopback => {}
        _ => return refuse("would send people a link that others can read", "write https:// instead"),
    }
    if !text.ends_with("activationCode=") {
        return refuse("does not end with `activationCode=`, to which the token is appended", example);
    }
    Ok(Some(text.to_owned()))
}

/// One error for all that is wrong.
fn all_at_once(mut problems: Vec<Error>) -> Result<()> {
    if problems.len() < 2 {
        return problems.pop().map_or(Ok(()), Err);
    }
    let lines: Vec<String> = problems
        .iter()
        .enumerate()
        .map(|(index, problem)| format!("({}) {problem}; {}", index + 1, problem.hint().unwrap_or("correct it")))
        .collect();
    let message = format!("{} settings of password resets are unusable: {}", problems.len(), lines.join(" "));
    Err(Error::new(ErrorKind::Settings, message).with_hint("correct each of them"))
}
