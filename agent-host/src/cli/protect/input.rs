//! Secrets that a person or a pipe gives: asked for without echo on a terminal, else from stdin.

use std::io::{self, BufRead, IsTerminal, Read, stdin};

use anyhow::Context;
use connector_api::{Error, ErrorKind};
use secrecy::{SecretString, zeroize::Zeroizing};

use super::super::failure::Usage;

/// More is no list of settings.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// All lines of stdin; on a terminal one value, asked for.
pub(super) fn values(prompt: &str) -> anyhow::Result<Vec<SecretString>> {
    if stdin().is_terminal() {
        return Ok(vec![ask(prompt).context("the value cannot be asked for")?.into()]);
    }
    let mut bytes = Zeroizing::new(Vec::new());
    stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes).context("stdin cannot be read")?;
    if bytes.len() as u64 > MAX_BYTES {
        let error = Error::new(ErrorKind::Settings, "stdin holds more than 16 MiB");
        return Err(error.with_hint("give one value a line").into());
    }
    let text = str::from_utf8(&bytes).ok().with_context(|| "stdin is not UTF-8")?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let values: Vec<SecretString> = text.lines().map(SecretString::from).collect();
    if values.is_empty() {
        return Err(Usage::new("there is no value on stdin", "write one a line").into());
    }
    Ok(values)
}

/// The first line of stdin; on a terminal asked for.
pub(super) fn password(prompt: &str) -> io::Result<SecretString> {
    if stdin().is_terminal() {
        return ask(prompt).map(Into::into);
    }
    let mut line = Zeroizing::new(String::new());
    stdin().lock().take(MAX_BYTES).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).into())
}

/// A new password: on a terminal asked for twice.
pub(in crate::cli) fn new_password(prompt: &str) -> anyhow::Result<SecretString> {
    let cannot = "the password cannot be read";
    let first = password(prompt).context(cannot)?;
    if stdin().is_terminal() {
        let again = Zeroizing::new(ask("The same again: ").context(cannot)?);
        if *again != *secrecy::ExposeSecret::expose_secret(&first) {
            return Err(Usage::new("the two passwords differ", "repeat the command").into());
        }
    }
    Ok(first)
}

/// Asks on the terminal, without echo from before the prompt on: whoever types early is not shown either.
fn ask(prompt: &str) -> io::Result<String> {
    #[cfg(unix)]
    let _silence = Silence::begin();
    rpassword::prompt_password(prompt)
}

/// A terminal that shows nothing of what is typed, until this is dropped.
#[cfg(unix)]
struct Silence(rustix::termios::Termios);

#[cfg(unix)]
impl Silence {
    /// None where the terminal cannot be asked; then the prompt sees to it alone.
    fn begin() -> Option<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

        let before = tcgetattr(stdin()).ok()?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(stdin(), OptionalActions::Now, &silent).ok()?;
        Some(Self(before))
    }
}

#[cfg(unix)]
impl Drop for Silence {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = rustix::termios::tcsetattr(stdin(), rustix::termios::OptionalActions::Now, &self.0);
    }
}
