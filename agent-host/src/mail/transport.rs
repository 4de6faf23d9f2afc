//! How a finished mail leaves: to a server by SMTP (RFC 5321, TLS by RFC 3207 and 8314), or as a file into a folder.

use std::{fs, io::Write, path::Path, time::Duration};

use anyhow::Context;
use connector_api::{Error, ErrorKind, Result};
use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor,
    transport::smtp::{
        authentication::Credentials,
        client::{Tls, TlsParameters},
    },
};
use secrecy::{ExposeSecret, zeroize::Zeroizing};

use super::settings::{Security, Smtp, Way};
use crate::disk;

/// How long one exchange with the server may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Characters of a server's answer that are shown.
const SHOWN: usize = 200;

#[derive(Debug)]
pub(super) enum Transport {
    Smtp { server: Box<AsyncSmtpTransport<Tokio1Executor>>, settings: Smtp },
    Folder(std::path::PathBuf),
}

impl Transport {
    pub(super) fn new(way: &Way) -> Result<Self> {
        let settings = match way {
            Way::Folder(folder) => return Ok(Self::Folder(folder.clone())),
            Way::Smtp(settings) => settings,
        };
        let unusable = |error| {
            Error::new(ErrorKind::Settings, format!("`MailSettings:Host` cannot be a TLS server: `{}`", settings.host))
                .with_source(error)
                .with_hint("write the server's name as its certificate has it")
        };
        let parameters = || TlsParameters::new(settings.host.clone()).map_err(|error| unusable(error.to_string()));
        let tls = match settings.security {
            Security::None => Tls::None,
            Security::OnConnect => Tls::Wrapper(parameters()?),
            Security::StartTls => Tls::Required(parameters()?),
            Security::StartTlsWhenAvailable => Tls::Opportunistic(parameters()?),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.clone())
            .port(settings.port)
            .tls(tls)
            .timeout(Some(TIMEOUT));
        if let Some((name, password)) = &settings.login {
            builder = builder.credentials(Credentials::new(name.clone(), password.expose_secret().to_owned()));
        }
        Ok(Self::Smtp { server: Box::new(builder.build()), settings: settings.clone() })
    }

    /// Hands a mail over. `id` names the file in a folder, so that the same mail is one file.
    pub(super) async fn send(&self, id: &str, message: &Message) -> anyhow::Result<()> {
        match self {
            Self::Folder(folder) => put_into(folder, id, message)
                .with_context(|| format!("the mail cannot be put into `{}`", folder.display())),
            Self::Smtp { server, settings } => {
                let formatted = Zeroizing::new(message.formatted());
                let sent = server.send_raw(message.envelope(), &formatted).await;
                sent.map(|_| ()).map_err(|error| anyhow::anyhow!("{}", in_words(settings, &error)))
            }
        }
    }
}

fn put_into(folder: &Path, id: &str, message: &Message) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let making = folder.join(format!(".{id}.eml"));
    let mut file = disk::create_private(&making)?;
    file.write_all(&Zeroizing::new(message.formatted()))?;
    file.sync_all()?;
    disk::put_in_place(&making, &folder.join(format!("{id}.eml")))
}

/// What went wrong, in one line.
fn in_words(settings: &Smtp, error: &lettre::transport::smtp::Error) -> String {
    let server = format!("the mail server `{}:{}`", settings.host, settings.port);
    let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    let cause = match &settings.login {
        Some((_, password)) => cause.replace(password.expose_secret().trim(), "***"),
        None => cause,
    };
    let cause: String = cause.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN).collect();
    match error.status() {
        Some(code) => format!("{server} answered {code} ({cause})"),
        None if error.is_timeout() => format!("{server} did not answer within {} s", TIMEOUT.as_secs()),
        None if error.is_tls() => format!("no encrypted connection to {server}: {cause}"),
        None => format!("{server} cannot be reached or does not speak SMTP: {cause}"),
    }
}
