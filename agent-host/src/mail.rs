//! Mails to people: made from texts in two languages and handed to a server or into a folder.
//!
//! What is said and to whom is the caller's. A header can hold nothing but what it is for: addresses are parsed, subjects
//! are one line, and the library encodes both. No error shows an address's password or a mail's text.

mod settings;
mod template;
mod transport;

use std::path::Path;

use connector_api::Result;
use lettre::{
    Message,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};

pub(crate) use settings::parse_mailbox;
pub use settings::{MailSettings, Security, Smtp, Way};
pub use template::{Language, MailKind, MailTexts};
pub(crate) use template::{MailWords, RenderedMail};
use transport::Transport;

/// Sends the mails of one agent.
#[derive(Debug)]
pub struct Mailer {
    settings: MailSettings,
    texts: MailTexts,
    transport: Transport,
}

/// One mail.
pub(crate) struct Mail<'a> {
    /// Unique, and the same when it is sent again.
    pub(crate) id: &'a str,
    pub(crate) kind: MailKind,
    pub(crate) language: Language,
    pub(crate) to: &'a Mailbox,
    pub(crate) words: MailWords<'a>,
}

impl Mailer {
    /// Reads the texts and makes ready; connects to nobody.
    ///
    /// # Errors
    /// Of kind `Settings`: a text that is not usable.
    pub fn open(settings: MailSettings, texts_folder: &Path) -> Result<Self> {
        let transport = Transport::new(&settings.way)?;
        Ok(Self { texts: MailTexts::read(texts_folder)?, transport, settings })
    }

    /// The settings.
    pub fn settings(&self) -> &MailSettings {
        &self.settings
    }

    /// Who gets a mail that is meant for `to`.
    pub(crate) fn recipient<'a>(&'a self, to: &'a Mailbox) -> &'a Mailbox {
        self.settings.catch_all.as_ref().unwrap_or(to)
    }

    /// Sends a mail.
    ///
    /// # Errors
    /// Where the server or the folder does not take it; nothing of the mail is in the error.
    pub(crate) async fn send(&self, mail: &Mail<'_>) -> anyhow::Result<()> {
        let rendered = self.texts.render(mail.kind, mail.language, &mail.words)?;
        self.deliver(mail.id, mail.language, mail.to, &rendered).await
    }

    /// Sends a mail whose texts were made elsewhere. `id` as in [`Mail`].
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) async fn deliver(
        &self,
        id: &str,
        language: Language,
        to: &Mailbox,
        rendered: &RenderedMail,
    ) -> anyhow::Result<()> {
        let message = Message::builder()
            .from(self.settings.from.clone())
            .to(self.recipient(to).clone())
            .subject(rendered.subject.as_str())
            .message_id(Some(format!("<{id}@{}>", self.settings.from.email.domain())))
            // RFC 3834: so that no automatic answer comes back.
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("Content-Language", language.code()))
            .multipart(MultiPart::alternative_plain_html(rendered.text.clone(), rendered.html.clone()))
            .map_err(|_| anyhow::anyhow!("the mail cannot be made"))?;
        self.transport.send(id, &message).await
    }
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}
