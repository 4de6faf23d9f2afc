//! `MailSettings`, typed and checked: from whom, by which server or into which folder, and to whom alone.
//!
//! Source: the vendor's page on the section, its defaults and what each `SecureSocketOption` means. The section stands
//! under `PasswordResetSettings` or at the root; the former wins.

use std::path::{Path, PathBuf};

use connector_api::{Error, Result};
use lettre::{Address, message::Mailbox};
use secrecy::SecretString;

use crate::settings::Section;

/// The port where TLS begins with the connection (RFC 8314).
const SUBMISSIONS: u16 = 465;
/// The port of every other mail server.
const SMTP: u16 = 25;

/// How mails leave.
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// Whom they are from.
    pub from: Mailbox,
    /// Where they go.
    pub way: Way,
    /// Domains that may be written to, in lower case; all where it is empty.
    pub allowed_domains: Vec<String>,
    /// Who gets every mail in place of those it is for.
    pub catch_all: Option<Mailbox>,
    /// Who gets a copy of every mail.
    pub catch_all_cc: Option<Mailbox>,
}

/// Where mails go.
#[derive(Debug, Clone)]
pub enum Way {
    /// To a server.
    Smtp(Smtp),
    /// Into a folder, each as a file, from which another program sends them.
    Folder(PathBuf),
}

/// A mail server.
#[derive(Debug, Clone)]
pub struct Smtp {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// When the connection is encrypted.
    pub security: Security,
    /// What it is signed in with.
    pub login: Option<(String, SecretString)>,
}

/// When a connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Never.
    None,
    /// From the first byte.
    OnConnect,
    /// After a command; else nothing is sent.
    StartTls,
    /// After a command where the server knows it, else not.
    StartTlsWhenAvailable,
}

/// `SecureSocketOption`; `Auto` chooses by the port.
#[derive(Debug, Clone, Copy)]
enum Written {
    Auto,
    Security(Security),
}

impl MailSettings {
    /// Reads the section; none where it is absent or says that nothing is sent. What is wrong goes to `problems`.
    pub(crate) fn read(section: &Section<'_>, directory: &Path, problems: &mut Vec<Error>) -> Option<Self> {
        let mut noted = |outcome: Result<Option<Self>>| {
            outcome.unwrap_or_else(|problem| {
                problems.push(problem);
                None
            })
        };
        let enabled = section.flag("Enabled", true);
        if !section.is_written() || matches!(enabled, Ok(false)) {
            return None;
        }
        noted(enabled.and_then(|_| Self::read_written(section, directory)).map(Some))
    }

    fn read_written(section: &Section<'_>, directory: &Path) -> Result<Self> {
        let folder = section.text("PickupDirectory").map(|path| directory.join(path.replace('\\', "/")));
        let uses_folder = section.flag("UseSpecifiedPickupDirectory", false)?;
        let way = match (section.text("Host"), folder) {
            (_, None) if uses_folder => {
                return Err(section
                    .error("PickupDirectory", "is missing, though `UseSpecifiedPickupDirectory` is true")
                    .with_hint("name the folder, such as ../Mails"));
            }
            (_, Some(folder)) if uses_folder => Way::Folder(folder),
            (None, Some(folder)) => Way::Folder(folder),
            (Some(host), _) => Way::Smtp(smtp(section, host)?),
            (None, None) => {
                return Err(section
                    .error("Host", "is missing")
                    .with_hint("name the mail server, or give a `PickupDirectory`, or set `Enabled` to false"));
            }
        };
        let from = match (mailbox(section, "FromAddress")?, &way) {
            (Some(from), _) => from,
            (None, Way::Folder(_)) => Mailbox::new(None, Address::new("agent", "localhost").expect("is an address")),
            (None, Way::Smtp(_)) => {
                return Err(section.error("FromAddress", "is missing").with_hint("give the address mails come from"));
            }
        };
        let domains = section.list("AllowedDomains", ';');
        Ok(Self {
            from,
            way,
            allowed_domains: domains.iter().map(|domain| domain.trim_start_matches('@').to_lowercase()).collect(),
            catch_all: mailbox(section, "CatchAllAddress")?,
            catch_all_cc: mailbox(section, "CatchAllCCAddress")?,
        })
    }

    /// Whether mails to this address may leave.
    ///
    /// # Errors
    /// Of kind `Settings`, where `AllowedDomains` does not name its domain.
    pub fn check_allowed(&self, address: &Address) -> Result<()> {
        let is_allowed = |allowed: &String| allowed.eq_ignore_ascii_case(address.domain());
        if self.catch_all.is_some() || self.allowed_domains.is_empty() || self.allowed_domains.iter().any(is_allowed) {
            return Ok(());
        }
        let message = format!("`AllowedDomains` does not let mails go to `{}`", address.domain());
        Err(Error::new(connector_api::ErrorKind::Settings, message)
            .with_hint("add the domain to `MailSettings:AllowedDomains`, or have another address told"))
    }
}

fn smtp(section: &Section<'_>, host: &str) -> Result<Smtp> {
    let choices = [
        ("None", Written::Security(Security::None)),
        ("Auto", Written::Auto),
        ("SslOnConnect", Written::Security(Security::OnConnect)),
        ("StartTls", Written::Security(Security::StartTls)),
        ("StartTlsWhenAvailable", Written::Security(Security::StartTlsWhenAvailable)),
    ];
    let ssl = section.flag("EnableSsl", false)?;
    let default = if ssl { Written::Security(Security::StartTls) } else { Written::Auto };
    let written = section.choice("SecureSocketOption", default, &choices)?;
    let port = section.number("Port", 0, 0..=u16::MAX)?;
    let security = match written {
        Written::Security(security) => security,
        Written::Auto if port == SUBMISSIONS => Security::OnConnect,
        Written::Auto => Security::StartTlsWhenAvailable,
    };
    let port = match (port, security) {
        (0, Security::OnConnect) => SUBMISSIONS,
        (0, _) => SMTP,
        (port, _) => port,
    };
    let login = match (section.text("Username"), section.secret("Password")) {
        (Some(name), Some(password)) => Some((name.to_owned(), password)),
        (None, None) => None,
        (Some(_), None) => {
            return Err(section
                .error("Password", "is missing, though there is a `Username`")
                .with_hint("give both, or none"));
        }
        (None, Some(_)) => {
            return Err(section
                .error("Username", "is missing, though there is a `Password`")
                .with_hint("give both, or none"));
        }
    };
    if login.is_none() && section.flag("UseDefaultCredentials", false)? {
        return Err(section
            .error("UseDefaultCredentials", "asks for the Windows account to sign in, which this agent cannot do")
            .with_hint("give `Username` and `Password`, or remove it"));
    }
    Ok(Smtp { host: host.to_owned(), port, security, login })
}

fn mailbox(section: &Section<'_>, key: &str) -> Result<Option<Mailbox>> {
    let Some(text) = section.text(key) else { return Ok(None) };
    parse_mailbox(text)
        .map(Some)
        .ok_or_else(|| section.error(key, "is no mail address").with_hint("write one, such as it@example.com"))
}

/// The mailbox that a text names: one address, with a name before it or without, and nothing that begins another line.
pub(crate) fn parse_mailbox(text: &str) -> Option<Mailbox> {
    if text.chars().any(char::is_control) { None } else { text.trim().parse().ok() }
}
