//! Programs that tests start or whose files they read, beside cargo's own and Python's packages.
//!
//! What is missing is installed by apt, where that can be done without asking. Tests that want what cannot be had pass
//! without it, so that it is named at the end, with what was not tried.

use std::{
    fs,
    process::{Command, Stdio},
};

/// What some tests need.
struct Tool {
    name: &'static str,
    /// Calls that succeed where it is there.
    calls: &'static [(&'static str, &'static str)],
    /// Debian's packages with it.
    packages: &'static [&'static str],
    /// What is not tried without it.
    untried: &'static str,
}

/// What cargo-deb calls, and what installs its package.
const PACKAGING: [(&str, &str); 2] = [("dpkg", "--version"), ("dpkg-shlibdeps", "--version")];

const TOOLS: [Tool; 8] = [
    Tool {
        name: "Chromium with its driver",
        calls: &[("chromium", "--version"), ("chromedriver", "--version")],
        packages: &["chromium", "chromium-driver"],
        untried: "the dashboard in a browser, pictures of pages and mails",
    },
    Tool {
        name: "openssl",
        calls: &[("openssl", "version")],
        packages: &["openssl"],
        untried: "keys, certificates and sealed values that openssl makes, and https as it speaks it",
    },
    Tool {
        name: "keytool",
        calls: &[("keytool", "-help")],
        packages: &["default-jre-headless"],
        untried: "certificate files that Java makes",
    },
    Tool {
        name: "PostgreSQL",
        // The tests look for the server itself.
        calls: &[],
        packages: &["postgresql"],
        untried: "several agents, and the store on a server",
    },
    Tool {
        name: "dpkg with dpkg-shlibdeps",
        calls: &PACKAGING,
        packages: &["dpkg", "dpkg-dev"],
        untried: "the Debian package",
    },
    Tool {
        name: "systemd-analyze",
        calls: &[("systemd-analyze", "--version")],
        packages: &["systemd"],
        untried: "the service's unit and what it shuts out",
    },
    Tool {
        name: "prlimit",
        calls: &[("prlimit", "--version")],
        packages: &["util-linux"],
        untried: "a disk that is full",
    },
    Tool {
        name: "python3 with venv",
        calls: &[("python3", "-m venv --help")],
        packages: &["python3-venv"],
        untried: "AWS Secrets Manager and storage that speaks S3's language (moto), mails to a server, the public suites of SCIM, \
                  the API against its description, files that Python writes, slow and broken clients",
    },
];

/// Installs what is missing, and says so. What cannot be had, a line each with what is not tried without it.
pub(crate) fn install() -> Vec<String> {
    TOOLS.iter().filter(|tool| !tool.is_there() && !tool.install()).map(Tool::lacking).collect()
}

/// Whether a Debian package can be made here.
pub(crate) fn can_package() -> bool {
    all_work(&PACKAGING)
}

impl Tool {
    fn is_there(&self) -> bool {
        match self.calls {
            [] => has_server(),
            calls => all_work(calls),
        }
    }

    fn install(&self) -> bool {
        println!("{} is missing: installing it with `apt-get install {}`.", self.name, self.packages.join(" "));
        let install = [&["install", "-y", "--no-install-recommends"], self.packages].concat();
        works("apt-get", &["update"]) && works("apt-get", &install) && self.is_there()
    }

    fn lacking(&self) -> String {
        format!("There is no {}. Not tried: {}.", self.name, self.untried)
    }
}

/// Whether there is PostgreSQL's server, whose programs are in no path.
fn has_server() -> bool {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|version| version.path().join("bin/initdb")).any(|initdb| initdb.exists())
}

fn all_work(calls: &[(&'static str, &'static str)]) -> bool {
    calls.iter().all(|(program, arguments)| works(program, &words(arguments)))
}

fn words(arguments: &'static str) -> Vec<&'static str> {
    arguments.split(' ').collect()
}

fn works(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    let status = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_that_is_nowhere_is_named_with_what_is_not_tried() {
        let tool = Tool { name: "a-tool", calls: &[("no-such-program", "--version")], packages: &[], untried: "it" };
        assert!(!tool.is_there());
        assert_eq!(tool.lacking(), "There is no a-tool. Not tried: it.");
        let cargo = Tool { name: "cargo", calls: &[("cargo", "help version")], packages: &[], untried: "" };
        assert!(cargo.is_there());
    }
}
