//! A notification by HTTP: JSON, signed, so that whoever gets it knows that it is ours and when it was sent.
//!
//! `X-Agent-Signature: sha256=…` is the HMAC-SHA256, in hexadecimal, with the secret as its key, of the value of
//! `X-Agent-Timestamp` (seconds since 1970), a full stop, and the body. No redirect is followed; of the answer, the status
//! counts alone.

use std::{fmt::Write as _, time::Duration};

use aws_lc_rs::hmac;
use connector_api::Result;
use reqwest::{Client, header::CONTENT_TYPE};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{outbound, settings::Settings};

const SECTION: &str = "Notifications:Webhook";
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The shortest secret: 128 bits written as text.
const MIN_SECRET: usize = 16;

/// Where notifications go.
pub(super) struct Webhook {
    client: Client,
    url: Url,
    secret: SecretString,
}

impl Webhook {
    /// Reads `Notifications:Webhook`; none where no address is given.
    pub(super) fn read(settings: &Settings) -> Result<Option<Self>> {
        let section = settings.section(&[SECTION]);
        let Some(text) = section.text("Url") else { return Ok(None) };
        let refuse = |key: &str, what: &str, hint: &str| section.error(key, what).with_hint(hint);
        let url = Url::parse(text).map_err(|_| refuse("Url", "is no address", "write https://…"))?;
        if url.scheme() != "https" && !(url.scheme() == "http" && outbound::is_loopback(&url)) {
            return Err(refuse("Url", "is not https", "write https://…; plain http is for this machine alone"));
        }
        let secret = section.secret("Secret").filter(|secret| secret.expose_secret().trim().len() >= MIN_SECRET);
        let secret = secret.ok_or_else(|| {
            let what = format!("is missing, or shorter than {MIN_SECRET} characters");
            refuse(
                "Secret",
                &what,
                "give the receiver and the agent the same long secret, such as `openssl rand -hex 32` prints",
            )
        })?;
        let client = outbound::client(settings, SECTION, &url, TIMEOUT)?;
        Ok(Some(Self { client, url, secret }))
    }

    /// Sends a notification.
    pub(super) async fn send(&self, id: &str, seconds: i64, body: &str) -> anyhow::Result<()> {
        let timestamp = seconds.to_string();
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json");
        let request = request.header("x-agent-delivery", id).header("x-agent-timestamp", &timestamp);
        let request = request.header("x-agent-signature", format!("sha256={}", self.signature(&timestamp, body)));
        let sent = request.body(body.to_owned()).send().await;
        // The address may hold a secret in its path.
        let status = sent
            .map_err(|error| anyhow::Error::new(error.without_url()).context("the webhook cannot be reached"))?
            .status();
        anyhow::ensure!(status.is_success(), "the webhook answered {}", status.as_u16());
        Ok(())
    }

    fn signature(&self, timestamp: &str, body: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.expose_secret().trim().as_bytes());
        let tag = hmac::sign(&key, format!("{timestamp}.{body}").as_bytes());
        tag.as_ref().iter().fold(String::new(), |mut hex, byte| {
            // Writing to a text cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}
