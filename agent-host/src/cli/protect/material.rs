//! `protect new-certificate` and `protect new-key`: what values are protected with, as files for their owner's eyes alone.

use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{Days, Utc};
use clap::Args;
use connector_api::{Error, ErrorKind};
use secrecy::{ExposeSecret, zeroize::Zeroizing};
use serde::Serialize;

use super::{
    super::{Common, print},
    cannot_write, input,
};
use crate::settings::{
    certificate::new::new_pfx,
    protection::{
        file,
        key::{KEY_BYTES, random},
    },
};

#[derive(Debug, Args)]
pub(in super::super) struct NewCertificate {
    /// The file to write; it must not be there yet
    #[arg(long = "out", value_name = "FILE", default_value = "agent.pfx")]
    output: PathBuf,
    /// Whose certificate it is
    #[arg(long, default_value = "agent-host")]
    name: String,
    /// How many days it is valid
    #[arg(long, default_value_t = 3650, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
}

#[derive(Debug, Args)]
pub(in super::super) struct NewKey {
    /// The file to write; it must not be there yet
    #[arg(long = "out", value_name = "FILE", default_value = "protection.key")]
    output: PathBuf,
}

#[derive(Serialize)]
struct Report<'a> {
    written: &'a Path,
    setting: &'static str,
}

impl NewCertificate {
    pub(super) fn make(&self, common: &Common) -> anyhow::Result<()> {
        let path = free(common, &self.output)?;
        let password = input::new_password("The password for the new file: ")?;
        if password.expose_secret().is_empty() {
            super::super::logs::start(common, None);
            tracing::warn!("no password is given: whoever can read the file can open everything that it protects");
        }
        let today = Utc::now().date_naive();
        let ends = today + Days::new(self.days.into());
        let pfx = new_pfx(&self.name, today, ends, &password)?;
        write(&path, &pfx)?;
        let report = Report { written: &path, setting: "EncryptionCertificate:File" };
        print(common.format, &report, |out| {
            writeln!(out, "{}", path.display())?;
            writeln!(
                out,
                "Next: in appsettings.json, with the password by the variable `EncryptionCertificate__Password`:"
            )?;
            let name = serde_json::Value::from(self.output.display().to_string());
            writeln!(out, "  \"EncryptionCertificate\": {{ \"File\": {name}, \"UseEncryptedAppsettings\": true }}")
        })
    }
}

impl NewKey {
    pub(super) fn make(&self, common: &Common) -> anyhow::Result<()> {
        let path = free(common, &self.output)?;
        let key = Zeroizing::new(random::<KEY_BYTES>());
        let text = Zeroizing::new(BASE64_STANDARD.encode(key.as_slice()) + "\n");
        write(&path, text.as_bytes())?;
        let report = Report { written: &path, setting: "ProtectionKey:File" };
        print(common.format, &report, |out| {
            writeln!(out, "{}", path.display())?;
            let name = serde_json::Value::from(self.output.display().to_string());
            writeln!(out, "Next: in appsettings.json: \"ProtectionKey\": {{ \"File\": {name} }}")
        })
    }
}

/// Where the file goes, in the agent directory; refused where there is one already.
fn free(common: &Common, name: &Path) -> anyhow::Result<PathBuf> {
    let path = common.directory.join(name);
    if path.symlink_metadata().is_ok() {
        let what = format!("`{}` is there already; nothing was written", path.display());
        return Err(Error::new(ErrorKind::Settings, what).with_hint("name another file with --out").into());
    }
    Ok(path)
}

fn write(path: &Path, contents: &[u8]) -> anyhow::Result<()> {
    let file = file::stage(path, contents).with_context(|| cannot_write(path))?;
    file::publish(file, path, false).with_context(|| cannot_write(path))
}
