//! The program as a process: where it is, and what a run of it leaves.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
    time::SystemTime,
};

use serde_json::Value;

use crate::secrets::assert_unseen;

/// The program under test, beside the test's own executable; built where it is missing or older than its sources.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().expect("a test knows where it is");
        // Tests are in `<target>/<profile>/deps`, the bench is a folder above.
        let folder = test.parent().expect("a file is in a folder");
        let folder =
            if folder.ends_with("deps") { folder.parent().expect("it is in the target folder") } else { folder };
        let program = folder.join(format!("agent-host{}", std::env::consts::EXE_SUFFIX));
        let built = fs::metadata(&program).and_then(|metadata| metadata.modified());
        if built.map_or(true, |built| built < newest_source()) {
            build(folder);
        }
        program
    })
}

/// Python with its package `cryptography`, as `cargo xtask test` installs it into the target folder.
pub fn python() -> Option<PathBuf> {
    tool("python/bin/python")
}

/// cargo-deb, as `cargo xtask test` installs it into the target folder.
pub fn cargo_deb() -> Option<PathBuf> {
    tool("cargo-deb/bin/cargo-deb")
}

fn tool(path: &str) -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    let tool = test.ancestors().nth(3)?.join("tools").join(path);
    tool.exists().then_some(tool)
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// When the sources that the program consists of were last changed.
fn newest_source() -> SystemTime {
    let mut newest = SystemTime::UNIX_EPOCH;
    let crates = ["agent-host", "connector-api", "okta-connector", "okta-connector/sandbox", "config-samples"];
    let mut folders: Vec<PathBuf> = crates.map(|name| workspace().join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() && entry.file_name() != "tests" => folders.push(entry.path()),
                Ok(metadata) if metadata.is_file() => newest = newest.max(metadata.modified().unwrap_or(newest)),
                _ => {}
            }
        }
    }
    newest
}

/// Builds the program into the folder of a profile.
fn build(folder: &Path) {
    let target = folder.parent().expect("a profile's folder is in the target folder");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "agent-host", "--bin", "agent-host", "--target-dir"]).arg(target);
    for (feature, is_wanted) in [("aws", cfg!(feature = "aws")), ("otel", cfg!(feature = "otel"))] {
        if is_wanted {
            cargo.args(["--features", feature]);
        }
    }
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(workspace()).status().expect("cargo starts");
    assert!(status.success(), "the program is not built: {status}");
}

/// What a run of the program left.
#[derive(Debug, Clone)]
pub struct Run {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// The report.
    pub stdout: String,
    /// The log, and the line of a failure.
    pub stderr: String,
}

impl Run {
    /// Runs a command to its end.
    pub fn of(mut command: Command) -> Self {
        let output = command.output().expect("the program starts");
        Self::ended(&command, output)
    }

    /// What a command left. `unprotect` and `--show` are there to print secrets; nothing else may, and no log.
    pub(crate) fn ended(command: &Command, output: Output) -> Self {
        let may_reveal = command.get_args().any(|argument| argument == "unprotect" || argument == "--show");
        if !may_reveal {
            assert_unseen("stdout", &output.stdout);
        }
        assert_unseen("stderr", &output.stderr);
        Self::read(output)
    }

    fn read(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the program writes UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Checks the exit code.
    #[track_caller]
    pub fn must_exit(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The one JSON object on stdout.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.stdout))
    }

    /// The line that says how it failed, without `error: `; there is exactly one, and it is the last.
    #[track_caller]
    pub fn failure(&self) -> &str {
        let found: Vec<&str> = self.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(found.len(), 1, "one line says how it failed:\n{}", self.stderr);
        assert_eq!(self.stderr.lines().last(), found.first().copied(), "it is the last line");
        found[0].trim_start_matches("error: ")
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        assert_unseen("stdout", &output.stdout);
        assert_unseen("stderr", &output.stderr);
        Self::read(output)
    }
}
