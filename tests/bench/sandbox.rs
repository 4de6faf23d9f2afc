//! The sandbox as a process of its own, so that its time and memory are not counted, and what it writes down.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, ensure};

use crate::{journal::Journal, organisation::Organisation};

pub(crate) const TOKEN: &str = "sandbox-token";

/// A running sandbox; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Sandbox {
    process: Child,
    pub url: String,
    journal: BufReader<File>,
}

impl Sandbox {
    /// Makes up the organisation and serves it; `options` are further ones of the program.
    pub(crate) fn start(organisation: &Organisation, options: &[&str], folder: &Path) -> anyhow::Result<Self> {
        let journal = folder.join("journal");
        let Organisation { users, groups, apps, memberships } = organisation;
        let mut command = Command::new(program("okta-sandbox")?);
        command
            .args(["--plain", "--token", TOKEN])
            .args([format!("--users={users}"), format!("--groups={groups}"), format!("--apps={apps}")])
            .arg(format!("--memberships={memberships}"))
            .arg("--journal")
            .arg(&journal)
            .args(options);
        let mut process = command.stdout(Stdio::piped()).spawn().context("starting the sandbox")?;
        let stdout = process.stdout.take().expect("stdout is piped");
        // It says where it listens and then the token; what it cannot write down would end it.
        let said: Vec<String> = BufReader::new(stdout).lines().take(2).collect::<Result<_, _>>()?;
        let url = said.first().and_then(|line| line.rsplit(' ').next()).map(str::to_owned);
        let journal = File::open(&journal);
        let (Some(url), Ok(journal)) = (url, journal) else {
            // It may have ended by itself, for the reason it has printed.
            let _ = process.kill();
            let status = process.wait()?;
            anyhow::bail!("the sandbox did not start ({status})");
        };
        Ok(Self { process, url, journal: BufReader::new(journal) })
    }

    /// What was asked since the last time.
    pub(crate) fn take_journal(&mut self) -> anyhow::Result<Journal> {
        let lines = self.journal.by_ref().lines();
        let exchanges = lines.map(|line| Ok(serde_json::from_str(&line?)?));
        exchanges.collect::<anyhow::Result<_>>().map(Journal).context("reading the sandbox's journal")
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // A sandbox that has ended already is as good.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A release program, which lies beside the bench.
pub(crate) fn program(name: &str) -> anyhow::Result<PathBuf> {
    let mut path = std::env::current_exe().context("finding the bench's own folder")?;
    path.set_file_name(name);
    path.set_extension(std::env::consts::EXE_EXTENSION);
    ensure!(path.is_file(), "`{}` is not built: run `cargo xtask bench`, which builds it", path.display());
    Ok(path)
}
