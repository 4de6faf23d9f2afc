//! `agent-host protect` and `unprotect`: settings that nobody can read without the agent's certificate or key.
//!
//! Values come on stdin or are asked for without echo, for what stands in a command line is in the shell's history
//! and in the list of processes. The format is described in `settings/protection/sealed.rs`.

pub(super) mod input;
mod material;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};
use connector_api::{Error, ErrorKind};
use secrecy::{ExposeSecret, SecretString, zeroize::Zeroize};
use serde::Serialize;

use super::{Common, failure::Usage, print};
use crate::settings::{
    self,
    protection::{
        Keyring,
        file::{self, SettingsFile},
        key::Key,
        keys,
        sealed::Sealer,
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum Protect {
    /// Protect values, one a line on stdin, or asked for without echo
    #[command(after_help = "\
Examples:
  agent-host protect value --path Connections:OktaExportFulfillment:ApiKey
  agent-host protect value --any-path < values.txt

The value printed goes into appsettings.encrypted.agent.json, or in the place of the plain one.")]
    Value(Values),
    /// Protect every value of a settings file, each for its own key
    #[command(after_help = "\
Example:
  agent-host protect file --in appsettings.agent.json --out appsettings.encrypted.agent.json

Comments are left out, because they may hold former values. Set `EncryptionCertificate:UseEncryptedAppsettings` to true
so that the file is read, and remove the secrets from the plain one.")]
    File(Files),
    /// Protect everything anew with another certificate or key
    #[command(after_help = "\
Examples:
  agent-host protect rotate --to new.pfx
  agent-host protect rotate --to new.key --in appsettings.encrypted.agent.json

The password of a PFX file is the first line of stdin, or is asked for. All files are prepared before the first is
replaced; a rotation that was cut off can be repeated. Then name the new file in the settings.")]
    Rotate(Rotation),
    /// Make a certificate (RSA, 3,072 bits, signed by itself) as a PFX file
    #[command(after_help = "\
Example:
  agent-host protect new-certificate --out agent.pfx

The password is the first line of stdin, or is asked for.")]
    NewCertificate(material::NewCertificate),
    /// Make a key of 32 bytes, for machines without a certificate
    #[command(after_help = "\
Example:
  agent-host protect new-key --out protection.key

With systemd: systemd-creds encrypt --name=protection-key protection.key protection.cred, and in the unit
LoadCredentialEncrypted=protection-key:… ; then no setting is needed.")]
    NewKey(material::NewKey),
}

#[derive(Debug, Subcommand)]
pub(super) enum Unprotect {
    /// Print protected values in the clear; they come on stdin, one a line
    #[command(after_help = "\
Example:
  agent-host unprotect value --path Connections:OktaExportFulfillment:ApiKey < protected.txt")]
    Value(Values),
    /// Write a settings file with every protected value in the clear
    #[command(after_help = "\
Example:
  agent-host unprotect file --in appsettings.encrypted.agent.json --out plain.json")]
    File(Files),
}

#[derive(Debug, Args)]
pub(super) struct Values {
    /// The setting the value is for, such as Connections:OktaExportFulfillment:ApiKey
    #[arg(long, value_name = "KEY:PATH")]
    path: Option<String>,
    /// Protect it for no particular setting, so that it can be moved
    #[arg(long, conflicts_with = "path")]
    any_path: bool,
    /// A value in the command line; needs --insecure-argument, because the shell's history keeps it
    #[arg(long, value_name = "VALUE", value_parser = SecretArgument::read)]
    value: Vec<SecretArgument>,
    /// Take values from the command line all the same
    #[arg(long)]
    insecure_argument: bool,
    // Caught, so that the usage error does not repeat it.
    #[arg(hide = true, value_parser = SecretArgument::read)]
    misplaced: Vec<SecretArgument>,
}

#[derive(Debug, Args)]
pub(super) struct Files {
    /// The file to read
    #[arg(long = "in", value_name = "FILE")]
    input: PathBuf,
    /// The file to write, for its owner's eyes alone
    #[arg(long = "out", value_name = "FILE")]
    output: PathBuf,
    /// Replace the file that is there
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Args)]
pub(super) struct Rotation {
    /// The new certificate (PFX, or PEM with its key), or the new key file
    #[arg(long, value_name = "NEW")]
    to: PathBuf,
    /// Only this file; all settings files of the agent directory when none is named
    #[arg(long = "in", value_name = "FILE")]
    input: Vec<PathBuf>,
}

/// A secret that somebody wrote into the command line.
#[derive(Debug, Clone)]
struct SecretArgument(SecretString);

#[derive(Serialize)]
struct ValuesReport<'a> {
    values: &'a [String],
}

#[derive(Serialize)]
struct FilesReport<'a> {
    written: Vec<FileReport<'a>>,
}

#[derive(Serialize)]
struct FileReport<'a> {
    file: &'a Path,
    values: usize,
}

pub(super) fn protect(common: &Common, command: &Protect) -> anyhow::Result<()> {
    match command {
        Protect::Value(values) => protect_values(common, values),
        Protect::File(files) => {
            let keyring = keyring(common, None)?;
            let sealer = Sealer::new(first(&keyring)?);
            let (input, output) = files.paths(common);
            let text = SettingsFile::read(&input)?.protect(&sealer)?;
            files.write(&output, text.as_bytes())
        }
        Protect::Rotate(rotation) => rotate(common, rotation),
        Protect::NewCertificate(wanted) => wanted.make(common),
        Protect::NewKey(wanted) => wanted.make(common),
    }
}

pub(super) fn unprotect(common: &Common, command: &Unprotect) -> anyhow::Result<()> {
    let keyring = match command {
        Unprotect::Value(wanted) => wanted.keyring(common)?,
        Unprotect::File(_) => keyring(common, None)?,
    };
    match command {
        Unprotect::Value(wanted) => {
            let mut values = Vec::new();
            for (number, value) in (1..).zip(wanted.read("The protected value: ")?) {
                let opened = keyring.open(value.expose_secret(), wanted.path.as_deref());
                let opened = opened.map_err(|problem| {
                    let what = format!("value {number} {}", problem.what);
                    Error::new(ErrorKind::Settings, what).with_hint(problem.hint)
                })?;
                values.push(opened.expose_secret().to_owned());
            }
            let printed = print_values(common, &values);
            values.zeroize();
            printed
        }
        Unprotect::File(files) => {
            let (input, output) = files.paths(common);
            let (text, _) = SettingsFile::read(&input)?.unprotect(&keyring)?;
            files.write(&output, text.as_bytes())
        }
    }
}

fn protect_values(common: &Common, wanted: &Values) -> anyhow::Result<()> {
    let keyring = wanted.keyring(common)?;
    let key = first(&keyring)?;
    let values = wanted.read("The value (it is not shown): ")?;
    if wanted.path.is_none() && !wanted.any_path {
        tracing::warn!("the value will work under every key; --path KEY:PATH binds it to one, --any-path means it");
    }
    for (number, _) in (1..).zip(&values).filter(|(_, value)| value.expose_secret().trim().is_empty()) {
        tracing::warn!("value {number} is empty; a setting with it counts as absent");
    }
    // A fresh data key for each, because nobody knows where they will go.
    let sealed = values.iter().map(|value| Sealer::new(key).seal(value, wanted.path.as_deref()));
    print_values(common, &sealed.collect::<Vec<_>>())
}

fn print_values(common: &Common, values: &[String]) -> anyhow::Result<()> {
    print(common.format, &ValuesReport { values }, |out| values.iter().try_for_each(|value| writeln!(out, "{value}")))
}

fn rotate(common: &Common, rotation: &Rotation) -> anyhow::Result<()> {
    let new =
        keys::read_file(&found(common, &rotation.to), || input::password("The password of the new certificate: "))?;
    let sealer = Sealer::new(&new);
    // The new key opens too: of a rotation that was cut off, some files are done.
    let keyring = keyring(common, Some(new))?;
    let paths: Vec<PathBuf> = match rotation.input.as_slice() {
        [] => settings::settings_files(&common.directory, settings::environment())?,
        named => named.iter().map(|path| found(common, path)).collect(),
    };
    // A link is followed: what it leads to holds the values.
    let paths: Vec<PathBuf> = paths.into_iter().map(|path| path.canonicalize().unwrap_or(path)).collect();
    let mut staged = Vec::new();
    for path in &paths {
        let (text, values) = SettingsFile::read(path)?.rotate(&keyring, &sealer)?;
        if values > 0 {
            let file = file::stage_over(path, text.as_bytes()).with_context(|| cannot_write(path))?;
            staged.push((file, path, values));
        }
    }
    let mut written = Vec::new();
    for (file, path, values) in staged {
        file::publish(file, path, true).with_context(|| cannot_write(path))?;
        written.push(FileReport { file: path, values });
    }
    print(common.format, &FilesReport { written }, |out| {
        if paths.is_empty() {
            writeln!(out, "There is no settings file.")?;
        }
        writeln!(
            out,
            "Next: name `{}` in the settings, in place of the former certificate or key.",
            rotation.to.display()
        )
    })
}

/// The keys that the settings name, and one `also`.
fn keyring(common: &Common, also: Option<Key>) -> anyhow::Result<Keyring> {
    super::logs::start(common, None);
    let (keyring, warnings) = settings::keyring(&common.directory, settings::environment(), also)?;
    warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    Ok(keyring)
}

/// The key that values are protected with.
fn first(keyring: &Keyring) -> Result<&Key, Error> {
    keyring.first().map_err(|problem| {
        Error::new(ErrorKind::Settings, format!("`protect` {}", problem.what)).with_hint(problem.hint)
    })
}

impl Values {
    /// The keys that these values may be protected with: for the certificate's password, those that are no certificate's.
    fn keyring(&self, common: &Common) -> anyhow::Result<Keyring> {
        let Some(path) = self.path.as_deref().filter(|path| keys::is_password(path)) else {
            return keyring(common, None);
        };
        super::logs::start(common, None);
        let (keyring, warnings) = settings::shared_keyring(&common.directory, settings::environment())?;
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        if keyring.first().is_err() {
            let what = format!("`{path}` needs a key beside the certificate, which cannot open its own password");
            let hint = "set `ProtectionKey:File` (`agent-host protect new-key` makes one)";
            return Err(Error::new(ErrorKind::Settings, what).with_hint(hint).into());
        }
        Ok(keyring)
    }

    /// The values: from stdin, or from the command line where that is insisted on.
    fn read(&self, prompt: &str) -> anyhow::Result<Vec<SecretString>> {
        let given: Vec<SecretString> = self.value.iter().chain(&self.misplaced).map(|value| value.0.clone()).collect();
        if given.is_empty() {
            return input::values(prompt);
        }
        if !self.insecure_argument {
            let what = "values come on stdin, one a line, not in the command line";
            return Err(Usage::new(what, "write them to stdin, or insist with --insecure-argument").into());
        }
        tracing::warn!("a value in the command line stays in the shell's history and shows in the list of processes");
        Ok(given)
    }
}

impl Files {
    /// Where the two files are: both in the folder in which the first is found.
    fn paths(&self, common: &Common) -> (PathBuf, PathBuf) {
        let input = found(common, &self.input);
        let output = if input == self.input { self.output.clone() } else { common.directory.join(&self.output) };
        (input, output)
    }

    fn write(&self, output: &Path, contents: &[u8]) -> anyhow::Result<()> {
        let replace = self.replace || self.input == self.output;
        if !replace && output.exists() {
            let what = format!("`{}` is there already; nothing was written", output.display());
            return Err(Error::new(ErrorKind::Settings, what).with_hint("name another file, or add --replace").into());
        }
        let file = file::stage(output, contents).with_context(|| cannot_write(output))?;
        file::publish(file, output, replace).with_context(|| cannot_write(output))
    }
}

impl SecretArgument {
    #[expect(clippy::unnecessary_wraps, reason = "the form that clap wants")]
    fn read(text: &str) -> Result<Self, String> {
        Ok(Self(text.into()))
    }
}

/// A file that is named in the command line: where it says, or else in the agent directory.
fn found(common: &Common, path: &Path) -> PathBuf {
    if path.exists() { path.to_owned() } else { common.directory.join(path) }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write `{}`", path.display())
}
