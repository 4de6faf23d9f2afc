//! One call of cargo, shown so that it can be copied and repeated.
//!
//! It runs in the workspace's root with the environment it was given: all steps share one target directory, and no
//! step sets a flag that would make the next one build again.

use std::process::{Command, Stdio};

/// The workspace's root.
pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A call of cargo under a title.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step {
    pub(crate) title: &'static str,
    arguments: &'static [&'static str],
    variable: Option<(&'static str, &'static str)>,
}

impl Step {
    pub(crate) const fn new(title: &'static str, arguments: &'static [&'static str]) -> Self {
        Self { title, arguments, variable: None }
    }

    /// The same step with an environment variable.
    pub(crate) const fn with_variable(self, name: &'static str, value: &'static str) -> Self {
        Self { variable: Some((name, value)), ..self }
    }

    /// As one would type it.
    pub(crate) fn shown(&self, further: &[String]) -> String {
        let variable = self.variable.map(|(name, value)| format!("{name}=\"{value}\""));
        let arguments = self.arguments.iter().map(ToString::to_string).chain(further.iter().cloned());
        variable.into_iter().chain(["cargo".to_owned()]).chain(arguments).collect::<Vec<_>>().join(" ")
    }

    /// Runs it with `further` arguments at its end. An error is a text for the reader.
    pub(crate) fn run(&self, further: &[String]) -> Result<(), String> {
        let mut command = cargo(self.arguments);
        command.args(further).envs(self.variable);
        let status = command.status().map_err(|error| format!("Cannot start cargo: {error}"))?;
        if status.success() {
            return Ok(());
        }
        Err(format!("{} failed ({status}). To repeat this step alone:\n  {}", self.title, self.shown(further)))
    }
}

/// Whether this call of cargo succeeds; silent.
pub(crate) fn succeeds(arguments: &[&str]) -> bool {
    let status = cargo(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Adds components, separated by spaces, to the toolchain in use.
pub(crate) fn install(components: &str) -> Result<(), String> {
    let mut command = Command::new("rustup");
    let status = command.args(["component", "add"]).args(components.split(' ')).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("rustup ended with {status}")),
        Err(error) => Err(format!("rustup does not start: {error}")),
    }
}

fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(ROOT);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_shown_as_one_would_type_it() {
        let step = Step::new("Documentation", &["doc", "--no-deps"]);
        assert_eq!(step.shown(&[]), "cargo doc --no-deps");
        assert_eq!(step.shown(&["--open".to_owned()]), "cargo doc --no-deps --open");
        let strict = step.with_variable("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(strict.shown(&[]), "RUSTDOCFLAGS=\"-D warnings\" cargo doc --no-deps");
    }

    #[test]
    fn a_failed_step_says_how_to_repeat_it() {
        let failure = Step::new("Nonsense", &["no-such-command", "--version"]).run(&[]).unwrap_err();
        assert!(failure.starts_with("Nonsense failed"), "{failure}");
        assert!(failure.ends_with("\n  cargo no-such-command --version"), "{failure}");
        assert!(!succeeds(&["no-such-command"]));
        assert!(succeeds(&["--version"]));
    }
}
